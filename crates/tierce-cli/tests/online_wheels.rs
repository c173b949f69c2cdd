//! Wheels of this machine, which take the place of PyPI's.

mod support;

use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use support::{Project, Tierce, shared_store, unpack};

/// Packages on a base whose Python is only said: nothing is run.
fn project(more: &str) -> Project {
    Project::new(&format!(
        "name = 'wheels'\nbase = 'scratch'\nbytecode = false\n\
         python = {{ version = '3.12', interpreter = '/usr/bin/python3.12' }}\n{more}\n"
    ))
}

fn tierce<'a>(project: &Project, args: impl IntoIterator<Item = &'a str>) -> Tierce {
    project.tierce(args).env("TIERCE_STORE", shared_store("online-wheels-store"))
}

/// CRC-32 as zip files have it (ISO 3309).
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ if crc & 1 == 1 { 0xedb8_8320 } else { 0 }
        })
    })
}

/// A zip file of stored entries (APPNOTE, 4.3).
fn zip(files: &[(String, String)]) -> Vec<u8> {
    let (mut out, mut directory) = (vec![], vec![]);
    for (name, content) in files {
        let offset = out.len() as u32;
        let size = (content.len() as u32).to_le_bytes();
        let mut fields = vec![20, 0, 0, 0, 0, 0, 0, 0, 0x21, 0];
        fields.extend(crc32(content.as_bytes()).to_le_bytes());
        fields.extend([size, size].concat());
        fields.extend((name.len() as u16).to_le_bytes());
        fields.extend([0, 0]);
        out.extend(b"PK\x03\x04");
        out.extend(&fields);
        out.extend(name.as_bytes());
        out.extend(content.as_bytes());
        directory.extend(b"PK\x01\x02\x1e\x03");
        directory.extend(&fields);
        directory.extend([0; 6]);
        directory.extend((0o100_644u32 << 16).to_le_bytes());
        directory.extend(offset.to_le_bytes());
        directory.extend(name.as_bytes());
    }
    let start = out.len() as u32;
    out.extend(&directory);
    out.extend(b"PK\x05\x06\0\0\0\0");
    out.extend([(files.len() as u16).to_le_bytes(); 2].concat());
    out.extend((directory.len() as u32).to_le_bytes());
    out.extend(start.to_le_bytes());
    out.extend([0, 0]);
    out
}

/// A wheel (PEP 427) with one module that says which wheel it is from.
fn wheel(name: &str, version: &str, tag: &str, metadata: &str) -> (String, Vec<u8>) {
    let info = format!("{name}-{version}.dist-info");
    let mut files = vec![
        (format!("{name}.py"), format!("WHEEL = '{version} {tag}'\n")),
        (
            format!("{info}/METADATA"),
            format!("Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{metadata}"),
        ),
        (
            format!("{info}/WHEEL"),
            format!("Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: {tag}\n"),
        ),
    ];
    let mut rows: String = files
        .iter()
        .map(|(name, content)| format!("{name},sha256={},{}\n", sha256(content), content.len()))
        .collect();
    rows.push_str(&format!("{info}/RECORD,,\n"));
    files.push((format!("{info}/RECORD"), rows));
    (format!("{name}-{version}-{tag}.whl"), zip(&files))
}

/// As RECORD has it: URL-safe base64 without padding.
fn sha256(content: &str) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let digest = tierce::Digest::of(content);
    let mut text = String::new();
    for group in digest.as_bytes().chunks(3) {
        let bits = (0..3)
            .fold(0u32, |bits, at| bits << 8 | u32::from(group.get(at).copied().unwrap_or(0)));
        for at in 0..=group.len() {
            text.push(char::from(ALPHABET[(bits >> (18 - 6 * at) & 63) as usize]));
        }
    }
    text
}

impl WithWheel for Project {
    fn wheel(self, folder: &str, name: &str, version: &str, tag: &str, metadata: &str) -> Self {
        let (file, content) = wheel(name, version, tag, metadata);
        self.file(&format!("{folder}/{file}"), content)
    }
}

trait WithWheel {
    fn wheel(self, folder: &str, name: &str, version: &str, tag: &str, metadata: &str) -> Self;
}

const ANY: &str = "py3-none-any";

fn build(project: &Project, output: &str) -> Value {
    let args = ["build", "--format", "json", "--output", output];
    tierce(project, args).ok().json()
}

/// The packages that the image of an OCI layout has.
fn site(project: &Project, output: &str, built: &Value) -> Option<(support::Unpacked, PathBuf)> {
    let tag = built["uri"].as_str().unwrap().rsplit_once(':').unwrap().1;
    let unpacked = unpack(&project.path(output), tag)?;
    let site = unpacked.file("opt/venv/lib/python3.12/site-packages");
    Some((unpacked, site))
}

fn read(path: impl AsRef<Path>) -> String {
    let path = path.as_ref();
    fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

#[test]
fn local_wheels_are_forced_over_the_index() {
    let spec = "pip = ['python-dateutil==2.9.0.post0']\nwheels = ['dist', 'more']";
    let make = || {
        project(spec)
            // PyPI has six, and python-dateutil requires it.
            .wheel("dist", "six", "1.99.1", ANY, "")
            .wheel("dist", "six", "1.99", ANY, "")
            // What a local wheel requires comes from the index, or from beside it.
            .wheel(
                "dist",
                "tierce_mine",
                "2.0",
                ANY,
                "Requires-Dist: idna==3.7\nRequires-Dist: tierce_other\n",
            )
            .wheel("more", "tierce_other", "1", ANY, "")
            .wheel("more", "tierce_other", "1", "cp312-cp312-manylinux_2_17_x86_64", "")
            .wheel("more", "tierce_other", "1", "cp312-cp312-manylinux_2_17_aarch64", "")
            .wheel("more", "tierce_other", "3", "cp39-cp39-manylinux_2_17_x86_64", "")
    };
    let one = make();
    let args = ["build", "--format", "json", "--output", "oci:out", "--platform", "linux/amd64"];
    let built = tierce(&one, args).ok().json();
    let Some((unpacked, site)) = site(&one, "out", &built) else { return };
    assert_eq!(read(site.join("six.py")), "WHEEL = '1.99.1 py3-none-any'\n");
    assert!(site.join("idna-3.7.dist-info").is_dir() && site.join("dateutil").is_dir());
    let best = "WHEEL = '1 cp312-cp312-manylinux_2_17_x86_64'\n";
    assert_eq!(read(site.join("tierce_other.py")), best);
    // Asked for by themselves (PEP 376), and from no URL that means anything here (PEP 610).
    let info = site.join("tierce_mine-2.0.dist-info");
    assert!(info.join("REQUESTED").is_file() && !info.join("direct_url.json").exists());
    assert!(!site.join("idna-3.7.dist-info/REQUESTED").exists());
    drop(unpacked);
    // The same wheels in another place are the same image, and the place is nowhere in it.
    let other = make();
    let again = tierce(&other, args).ok().json();
    assert_eq!(again["digest"], built["digest"]);
    assert_eq!(again["uri"], built["uri"]);
    let fresh = make().tierce(args).ok().json();
    assert_eq!(fresh["digest"], built["digest"], "in a store of its own");
}

#[test]
fn extras_of_local_wheels_come_along() {
    let metadata = "Provides-Extra: cli\nRequires-Dist: idna==3.7; extra == 'cli'\n";
    let project = project("pip = ['tierce-mine[cli]']\nwheels = 'dist'").wheel(
        "dist",
        "tierce_mine",
        "1",
        ANY,
        metadata,
    );
    let built = build(&project, "oci:out");
    let Some((_unpacked, site)) = site(&project, "out", &built) else { return };
    assert!(site.join("tierce_mine.py").is_file() && site.join("idna").is_dir());
}

#[test]
fn a_wheel_that_changes_makes_another_image() {
    let project = project("wheels = 'dist'").wheel("dist", "tierce_mine", "1", ANY, "");
    let first = build(&project, "oci:out");
    let second = build(&project, "oci:out");
    assert_eq!(first["uri"], second["uri"]);
    let project = project.wheel("dist", "tierce_mine", "1", ANY, "Summary: other\n");
    let third = build(&project, "oci:out");
    assert_ne!(first["uri"], third["uri"]);
    assert_ne!(first["digest"], third["digest"]);
}

#[test]
fn local_wheels_that_can_not_be_taken_are_explained() {
    type Make = fn(Project) -> Project;
    let table: &[(&str, Make, &str, &[&str])] = &[
        (
            "pip = ['six<1.99']\nwheels = 'dist'",
            |p| p.wheel("dist", "six", "1.99", ANY, ""),
            "python/unsatisfiable",
            &["six"],
        ),
        (
            "wheels = 'dist'",
            |p| p.wheel("dist", "six", "1.99", "cp38-cp38-manylinux_2_17_x86_64", ""),
            "python/no-wheel",
            &["no local wheel of six", "six-1.99-cp38-cp38-manylinux_2_17_x86_64.whl"],
        ),
        (
            "wheels = 'dist'",
            |p| p.file("dist/six.whl", ""),
            "python/bad-wheel-name",
            &["dist/six.whl", "six.whl"],
        ),
        (
            "wheels = 'dist'",
            |p| p.file("dist/a.txt", ""),
            "source/no-wheels",
            &["folder of wheels dist"],
        ),
        ("wheels = 'dist'", |p| p, "source/missing", &["folder of wheels dist"]),
    ];
    for (spec, make, error, parts) in table {
        let project = make(project(spec));
        let outcome = tierce(&project, ["build", "--output", "oci:out"]).fails(2, error);
        for part in *parts {
            assert!(outcome.stderr.contains(part), "{part:?} is not in {outcome}");
        }
    }
}

#[test]
fn local_wheels_are_seen_where_packages_have_to_be_built_to_be_resolved() {
    // docopt has a source distribution only, which does not declare what it requires.
    let project = Project::new(
        "name = 'inside'\nbase = { debian = 'bookworm', python = true }\nbytecode = false\n\
         pip = ['docopt==0.6.2', 'python-dateutil==2.9.0.post0']\nwheels = 'dist'\n",
    )
    .wheel("dist", "six", "1.99", ANY, "");
    let doctor = tierce(&project, ["doctor"]).run();
    if doctor.code != 0 {
        eprintln!("skipped: nothing can be run in a sandbox here: {doctor}");
        return;
    }
    let args = ["build", "--format", "json", "--output", "oci:out"];
    let outcome = tierce(&project, args).ok();
    let built: Value = outcome.json();
    let tag = built["uri"].as_str().unwrap().rsplit_once(':').unwrap().1;
    let Some(unpacked) = unpack(&project.path("out"), tag) else { return };
    let site = unpacked.file("opt/venv/lib/python3.11/site-packages");
    assert_eq!(read(site.join("six.py")), "WHEEL = '1.99 py3-none-any'\n");
    assert!(site.join("docopt.py").is_file());
    assert!(!site.join("six-1.99.dist-info/direct_url.json").exists());
}
