//! Package files, good and hostile.

mod common;

use common::archive::{Source, build};
use common::{has, run};
use proptest::prelude::*;
use std::fs::{self, File};
use std::path::Path;
use std::process::Command;
use tierce_debian::{DebError, Spool, UnpackedDeb};
use tierce_layer::{Compression, Entry, EntryKind, LayerPath, LayerWriter};
use tierce_oci::Diagnostic;

fn read(bytes: &[u8]) -> Result<UnpackedDeb, DebError> {
    let directory = tempfile::tempdir().unwrap();
    UnpackedDeb::read(bytes, &Spool::new(directory.path()).unwrap())
}

#[test]
fn every_compression_in_use_is_read() {
    if !has("dpkg-deb") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let spool = Spool::new(directory.path()).unwrap();
    for options in
        [&["-Zgzip"][..], &["-Zxz"], &["-Zzstd"], &["-Znone"], &["-Zxz", "--uniform-compression"]]
    {
        let source = Source {
            name: "p",
            version: "1",
            files: &[("usr/bin/p", "#!/bin/sh\n"), ("etc/p.conf", "a\n")],
            control: &[("conffiles", "/etc/p.conf\n")],
            options,
            ..Source::default()
        };
        let _ = fs::remove_dir_all(directory.path().join("p.tree"));
        let deb = build(&source, directory.path());
        let unpacked = UnpackedDeb::read(File::open(&deb).unwrap(), &spool).unwrap();
        // Against dpkg-deb's own listing.
        let listing = run(Command::new("dpkg-deb").arg("-c").arg(&deb)).stdout;
        assert_eq!(unpacked.entries().count(), String::from_utf8(listing).unwrap().lines().count());
        assert_eq!(unpacked.version().as_str(), "1");
    }
}

fn member(out: &mut Vec<u8>, name: &str, content: &[u8]) {
    let size = content.len();
    out.extend_from_slice(
        format!("{name:<16}{:<12}{:<6}{:<6}{:<8}{size:<10}`\n", 0, 0, 0, 100644).as_bytes(),
    );
    out.extend_from_slice(content);
    if size % 2 == 1 {
        out.push(b'\n');
    }
}

fn tar(entries: &[(Entry, &[u8])]) -> Vec<u8> {
    let mut writer = LayerWriter::new(Vec::new(), Compression::None);
    for (entry, content) in entries {
        writer.append(entry, *content).unwrap();
    }
    writer.finish().unwrap().0
}

const CONTROL: &[u8] = b"Package: p\nVersion: 1\nArchitecture: all\nDescription: x\n";

fn file<'a>(path: &str, content: &'a [u8]) -> (Entry, &'a [u8]) {
    (Entry::file(LayerPath::new(path).unwrap(), content.len() as u64), content)
}

fn deb(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut out = b"!<arch>\n".to_vec();
    for (name, content) in members {
        member(&mut out, name, content);
    }
    out
}

#[test]
fn what_is_no_package_is_refused() {
    let control = tar(&[file("control", CONTROL)]);
    let data = tar(&[file("usr/f", b"x")]);
    let two: (&str, &[u8]) = ("debian-binary", b"2.0\n");
    let good = [two, ("control.tar", &control), ("data.tar", &data)];
    assert!(read(&deb(&good)).is_ok());
    assert!(
        read(&deb(&[
            two,
            ("control.tar/", &control),
            ("_x", b"y"),
            ("data.tar", &data),
            ("_z", b"")
        ]))
        .is_ok()
    );

    let device = LayerPath::new("dev/sda").unwrap();
    let device = Entry::new(device, EntryKind::BlockDevice { major: 8, minor: 0 }, 0o600);
    let link = Entry::symlink(LayerPath::new("postinst").unwrap(), "/etc/passwd");
    let nested = tar(&[file("control", CONTROL), file("sub/postinst", b"")]);
    let linked = tar(&[file("control", CONTROL), (link, b"")]);
    let devices = tar(&[(device, b"")]);
    let no_control = tar(&[file("postinst", b"")]);
    let bad_control = tar(&[file("control", b"Package p\n")]);
    let bad_name = tar(&[file("control", b"Package: ../p\nVersion: 1\n")]);
    let escaping = tar(&[
        file("control", CONTROL),
        file("conffiles", b"/../../etc/x\n"),
        file("md5sums", b""),
    ]);
    let trailing = [data.clone(), b"more".to_vec()].concat();
    let mut hostile = data.clone();
    hostile[..8].copy_from_slice(b"../../et");
    let cases: &[(&str, Vec<u8>)] = &[
        ("nothing", Vec::new()),
        ("no magic", b"!<arsh>\n".to_vec()),
        ("no members", deb(&[])),
        ("version 3", deb(&[("debian-binary", b"3.0\n"), good[1], good[2]])),
        ("no version", deb(&[good[1], good[2]])),
        ("no control", deb(&[two, good[2]])),
        ("no data", deb(&[two, good[1]])),
        ("wrong order", deb(&[two, good[2], good[1]])),
        ("unknown compression", deb(&[two, good[1], ("data.tar.lz4", &data)])),
        ("further member", deb(&[two, good[1], good[2], ("extra", b"")])),
        ("not compressed as said", deb(&[two, good[1], ("data.tar.xz", &data)])),
        ("device", deb(&[two, good[1], ("data.tar", &devices)])),
        ("link among control files", deb(&[two, ("control.tar", &linked), good[2]])),
        ("directory among control files", deb(&[two, ("control.tar", &nested), good[2]])),
        ("no control file", deb(&[two, ("control.tar", &no_control), good[2]])),
        ("malformed control file", deb(&[two, ("control.tar", &bad_control), good[2]])),
        ("malformed name", deb(&[two, ("control.tar", &bad_name), good[2]])),
        ("conffile outside", deb(&[two, ("control.tar", &escaping), good[2]])),
        ("data after data", deb(&[two, good[1], ("data.tar", &trailing)])),
        ("path outside", deb(&[two, good[1], ("data.tar", &hostile)])),
    ];
    for (what, bytes) in cases {
        match read(bytes) {
            Ok(_) => panic!("{what}: accepted"),
            Err(error) => assert_eq!(error.code(), "debian/bad-deb", "{what}: {error}"),
        }
    }
    let whole = deb(&good);
    for cut in (0..whole.len()).step_by(97) {
        assert!(read(&whole[..cut]).is_err(), "cut to {cut}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_bytes_are_read_or_refused(at in any::<prop::sample::Index>(), value in any::<u8>()) {
        let control = tar(&[file("control", CONTROL)]);
        let data = tar(&[file("usr/f", b"x")]);
        let members: [(&str, &[u8]); 3] =
            [("debian-binary", b"2.0\n"), ("control.tar", &control), ("data.tar", &data)];
        let mut bytes = deb(&members);
        let at = at.index(bytes.len());
        bytes[at] = value;
        if let Ok(deb) = read(&bytes) {
            for entry in deb.entries() {
                prop_assert!(!Path::new("/x").join(entry.path.as_path()).components().any(|c| c.as_os_str() == ".."));
            }
        }
    }
}
