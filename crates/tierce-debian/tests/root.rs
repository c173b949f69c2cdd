//! Root layers of small packages.

mod common;

use common::archive::{Source, build};
use common::{has, run};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::process::Command;
use std::sync::Arc;
use tierce_debian::{
    AptSource, Architecture, Documentation, RootError, RootOptions, Spool, UnpackedDeb,
    write_root_layer,
};
use tierce_layer::{Compression, Entry, EntryKind, LayerReader, LayerWriter};
use tierce_oci::{Diagnostic, Platform};

fn options() -> RootOptions {
    RootOptions {
        architecture: Architecture::of(&Platform::linux("amd64")).unwrap(),
        apt_sources: vec![AptSource {
            uri: "http://deb.debian.org/debian".parse().unwrap(),
            suites: vec!["bookworm".to_owned(), "bookworm-updates".to_owned()],
            components: vec!["main".to_owned()],
        }],
        documentation: Documentation::Keep,
    }
}

fn unpack(sources: &[Source<'_>]) -> Option<Vec<UnpackedDeb>> {
    if !has("dpkg-deb") {
        return None;
    }
    let directory = tempfile::tempdir().unwrap();
    let spool: Arc<Spool> = Spool::new(directory.path()).unwrap();
    let read = |source| {
        let deb = build(source, directory.path());
        UnpackedDeb::read(File::open(deb).unwrap(), &spool).unwrap()
    };
    Some(sources.iter().map(read).collect())
}

struct Layer {
    bytes: Vec<u8>,
    files: BTreeMap<String, (Entry, String)>,
}

fn write(debs: &[UnpackedDeb], options: &RootOptions) -> Result<Layer, RootError> {
    let writer = LayerWriter::new(Vec::new(), Compression::None);
    let (bytes, _) = write_root_layer(debs, options, writer)?;
    let mut reader = LayerReader::new(bytes.as_slice()).unwrap();
    let mut files = BTreeMap::new();
    let mut last = None;
    while let Some((entry, mut body)) = reader.next_entry().unwrap() {
        assert!(last < Some(entry.path.clone()), "{} is out of order", entry.path);
        last = Some(entry.path.clone());
        let mut content = String::new();
        body.read_to_string(&mut content).unwrap();
        files.insert(entry.path.to_string(), (entry, content));
    }
    Ok(Layer { bytes, files })
}

impl Layer {
    fn entry(&self, path: &str) -> &Entry {
        &self.files.get(path).unwrap_or_else(|| panic!("{path} is missing")).0
    }

    fn content(&self, path: &str) -> &str {
        &self.files.get(path).unwrap_or_else(|| panic!("{path} is missing")).1
    }

    fn link(&self, path: &str) -> String {
        match &self.entry(path).kind {
            EntryKind::Symlink { target } => String::from_utf8(target.clone()).unwrap(),
            EntryKind::HardLink { target } => format!("= {target}"),
            other => panic!("{path} is {other:?}"),
        }
    }
}

const SHELL: Source<'_> = Source {
    name: "shell",
    version: "1:5-2",
    fields: "Section: shells\nHomepage: http://example.org\nPriority: required\nEssential: yes\n",
    files: &[
        ("bin/shell", "#!"),
        ("bin/sh", "-> shell"),
        ("lib/x86_64-linux-gnu/libshell.so", "elf"),
        ("etc/shell.rc", "rc\n"),
        ("usr/share/doc/shell/copyright", "free"),
        ("usr/share/doc/shell/changelog", "long"),
    ],
    control: &[
        ("conffiles", "/etc/shell.rc\n"),
        ("preinst", "#!/bin/sh\n"),
        ("triggers", "interest-noawait /usr/lib/shells # for others\ninterest reshell\n"),
    ],
    options: &[],
};

#[test]
fn packages_are_unpacked_and_recorded() {
    let Some(debs) = unpack(&[SHELL]) else { return };
    let layer = write(&debs, &options()).unwrap();

    // Merged /usr.
    for name in ["bin", "sbin", "lib", "lib32", "lib64", "libx32"] {
        assert_eq!(layer.link(name), format!("usr/{name}"));
        assert!(layer.entry(&format!("usr/{name}")).is_directory());
    }
    assert_eq!(layer.content("usr/bin/shell"), "#!");
    assert_eq!(layer.link("usr/bin/sh"), "shell");
    assert_eq!(layer.content("usr/lib/x86_64-linux-gnu/libshell.so"), "elf");
    assert!(!layer.files.keys().any(|path| path.starts_with("bin/") || path.starts_with("lib/")));

    // Times and modes.
    assert_eq!(layer.entry("usr/bin/shell").mtime, 1_700_000_000);
    assert_eq!(layer.entry("tmp").mode, 0o1777);
    assert_eq!(layer.entry("usr/sbin/policy-rc.d").mode, 0o755);
    for directory in ["dev", "proc", "sys", "run", "var/lib/dpkg/updates"] {
        assert!(layer.entry(directory).is_directory());
    }

    // dpkg's records.
    assert_eq!(
        layer.content("var/lib/dpkg/status"),
        "Package: shell\nEssential: yes\nStatus: install ok unpacked\nPriority: required\n\
         Section: shells\nMaintainer: T <t@example.org>\nArchitecture: all\nVersion: 1:5-2\n\
         Conffiles:\n /etc/shell.rc fe2f9b7ca6ddb3b1a6bbf5ae5ef61c82\nDescription: a test\n\
         Homepage: http://example.org\n\n"
            .replace("fe2f9b7ca6ddb3b1a6bbf5ae5ef61c82", &md5("rc\n"))
    );
    let list = layer.content("var/lib/dpkg/info/shell.list");
    // By the package's own names, as dpkg has them.
    assert!(list.starts_with("/.\n/bin\n/bin/shell\n"), "{list}");
    assert!(list.contains("\n/lib/x86_64-linux-gnu/libshell.so\n"), "{list}");
    assert_eq!(layer.entry("var/lib/dpkg/info/shell.preinst").mode, 0o755);
    assert_eq!(layer.content("var/lib/dpkg/info/shell.conffiles"), "/etc/shell.rc\n");
    assert_eq!(layer.content("var/lib/dpkg/info/format"), "1\n");
    assert_eq!(layer.content("var/lib/dpkg/triggers/File"), "/usr/lib/shells shell/noawait\n");
    assert_eq!(layer.content("var/lib/dpkg/triggers/reshell"), "shell\n");
    // Without a list of its own, dpkg makes one; so does this.
    let sums = layer.content("var/lib/dpkg/info/shell.md5sums");
    assert!(sums.contains(&format!("{}  bin/shell\n", md5("#!"))), "{sums}");
    assert!(!sums.contains("shell.rc"));

    assert_eq!(
        layer.content("etc/apt/sources.list.d/debian.sources"),
        "Types: deb\nURIs: http://deb.debian.org/debian\nSuites: bookworm bookworm-updates\n\
         Components: main\n"
    );
}

fn md5(text: &str) -> String {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("x"), text).unwrap();
    let output = run(Command::new("md5sum").arg(directory.path().join("x"))).stdout;
    String::from_utf8(output[..32].to_vec()).unwrap()
}

#[test]
fn dpkg_reads_its_records() {
    if !has("dpkg") {
        return;
    }
    let Some(debs) = unpack(&[SHELL, Source { name: "b", version: "1", ..Source::default() }])
    else {
        return;
    };
    let layer = write(&debs, &options()).unwrap();
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("layer.tar"), &layer.bytes).unwrap();
    let root = directory.path().join("root");
    fs::create_dir(&root).unwrap();
    run(Command::new("tar")
        .arg("-xf")
        .arg(directory.path().join("layer.tar"))
        .arg("-C")
        .arg(&root));
    let admin = format!("--admindir={}", root.join("var/lib/dpkg").display());
    let query = |args: &[&str]| {
        let output = run(Command::new("dpkg-query").arg(&admin).args(args));
        assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let format = "${Package} ${Version} ${db:Status-Status}\n";
    assert_eq!(query(&["-W", "-f", format]), "b 1 unpacked\nshell 1:5-2 unpacked\n");
    assert_eq!(query(&["-S", "/etc/shell.rc"]), "shell: /etc/shell.rc\n");
    let root_option = format!("--root={}", root.display());
    let verify = run(Command::new("dpkg").arg(&root_option).arg("--verify"));
    assert_eq!(String::from_utf8_lossy(&verify.stdout), "");
}

#[test]
fn the_layer_depends_on_the_set_of_packages_alone() {
    let sources: Vec<Source<'_>> = vec![
        SHELL,
        Source { name: "a", version: "1", files: &[("usr/a", "a")], ..Source::default() },
        Source { name: "base-files", version: "1", files: &[("tmp/", "")], ..Source::default() },
        Source { name: "z", version: "1", files: &[("usr/z", "z")], ..Source::default() },
    ];
    let Some(mut debs) = unpack(&sources) else { return };
    let first = write(&debs, &options()).unwrap();
    debs.reverse();
    assert!(first.bytes == write(&debs, &options()).unwrap().bytes);
    debs.swap(0, 2);
    assert!(first.bytes == write(&debs, &options()).unwrap().bytes);
    let twice = [debs[0].clone(), debs[0].clone()];
    assert!(matches!(write(&twice, &options()), Err(RootError::Twice(_))));
}

#[test]
fn links_that_a_package_brings_are_followed() {
    let base = Source {
        name: "base-files",
        version: "13",
        files: &[
            ("bin", "-> usr/bin"),
            ("lib64", "-> usr/lib64"),
            ("usr/bin/", ""),
            ("var/run", "-> /run"),
        ],
        ..Source::default()
    };
    let other = Source {
        name: "other",
        version: "1",
        files: &[("bin/tool", "tool"), ("var/run/other/pid", "1"), ("lib64/ld.so", "ld")],
        ..Source::default()
    };
    let Some(debs) = unpack(&[other, base]) else { return };
    let layer = write(&debs, &options()).unwrap();
    assert_eq!(layer.content("usr/bin/tool"), "tool");
    assert_eq!(layer.content("run/other/pid"), "1");
    assert_eq!(layer.content("usr/lib64/ld.so"), "ld");
    assert_eq!(layer.link("var/run"), "/run");
    // Only the links that base-files brings.
    assert!(!layer.files.contains_key("libx32"));
}

#[test]
fn hard_links_name_what_came_before() {
    let source = Source {
        name: "links",
        version: "1",
        files: &[("usr/z", "content"), ("usr/a", "= usr/z"), ("bin/m", "= usr/z")],
        ..Source::default()
    };
    let Some(debs) = unpack(&[source]) else { return };
    let layer = write(&debs, &options()).unwrap();
    assert_eq!(layer.content("usr/a"), "content");
    assert_eq!(layer.link("usr/bin/m"), "= usr/a");
    assert_eq!(layer.link("usr/z"), "= usr/a");
}

#[test]
fn files_of_two_packages() {
    let old = Source { name: "old", version: "1", files: &[("usr/f", "old")], ..Source::default() };
    let new = Source { name: "new", version: "2", files: &[("usr/f", "new")], ..Source::default() };
    let Some(debs) = unpack(&[old.clone(), new.clone()]) else { return };
    let error = write(&debs, &options()).err().unwrap();
    assert_eq!(error.code(), "debian/file-conflict");
    assert_eq!(error.to_string(), "packages new and old both have the file usr/f");
    for fields in ["Replaces: old\n", "Replaces: x, old (<< 2)\n"] {
        let new = Source { fields, ..new.clone() };
        let Some(debs) = unpack(&[old.clone(), new]) else { return };
        let layer = write(&debs, &options()).unwrap();
        assert_eq!(layer.content("usr/f"), "new");
        assert!(layer.content("var/lib/dpkg/info/new.list").contains("/usr/f\n"));
        assert!(!layer.content("var/lib/dpkg/info/old.list").contains("/usr/f\n"));
    }
    let Some(debs) = unpack(&[old, Source { fields: "Replaces: old (<< 1)\n", ..new }]) else {
        return;
    };
    assert!(write(&debs, &options()).is_err());
}

#[test]
fn a_file_is_no_directory() {
    let file = Source { name: "f", version: "1", files: &[("usr/x", "file")], ..Source::default() };
    let below = Source { name: "g", version: "1", files: &[("usr/x/y", "")], ..Source::default() };
    let Some(debs) = unpack(&[file, below]) else { return };
    assert!(write(&debs, &options()).is_err());
}

#[test]
fn documentation_can_be_left_out() {
    let Some(debs) = unpack(&[SHELL]) else { return };
    let slim = RootOptions { documentation: Documentation::Omit, ..options() };
    let layer = write(&debs, &slim).unwrap();
    assert_eq!(layer.content("usr/share/doc/shell/copyright"), "free");
    assert!(!layer.files.contains_key("usr/share/doc/shell/changelog"));
    assert!(layer.content("etc/dpkg/dpkg.cfg.d/tierce").contains("path-exclude /usr/share/man/*"));
}
