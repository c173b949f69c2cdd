//! The same channel, solved and installed by rattler.

#[path = "../conda/common.rs"]
#[allow(dead_code)]
mod common;

use common::*;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tierce_conda::*;
use tierce_testing::{
    CONDA_PLACEHOLDER, CondaChannel, CondaFile, CondaFormat, CondaIndex, CondaPackageSpec,
};

const PYTHON: [&str; 2] = ["py-rattler==0.28.0", "conda-package-streaming==0.13.0"];

/// An interpreter that has the oracles; `None` where PyPI has none for it.
fn oracle(directory: &Path) -> Option<PathBuf> {
    let environment = directory.join("venv");
    let made = Command::new("python3").args(["-m", "venv"]).arg(&environment).status();
    if !made.is_ok_and(|status| status.success()) {
        eprintln!("skipped: python3 can't make virtual environments");
        return None;
    }
    let python = environment.join("bin/python");
    let mut pip = Command::new(&python);
    pip.args(["-m", "pip", "install", "--quiet", "--only-binary", ":all:"]).args(PYTHON);
    if !pip.status().unwrap().success() {
        eprintln!("skipped: py-rattler can't be installed from PyPI");
        return None;
    }
    Some(python)
}

fn packages() -> Vec<CondaPackageSpec> {
    let place = CONDA_PLACEHOLDER;
    let long = format!("#!{place}/bin/python3.12 -E\nprint({place:?})\n");
    let strings = format!("\x7fELF\0{place}/lib\0{place}:{place}\0\0end\0");
    let mut python = CondaPackageSpec::new("python", "3.12.4").files(vec![
        CondaFile::new("bin/python3.12", "not really").mode(0o755),
        CondaFile::symlink("bin/python", "python3.12"),
    ]);
    python.site_packages = Some("lib/python3.12/site-packages".to_owned());
    let tool =
        CondaPackageSpec::new("tool", "1.2").depends(&["python", "__glibc >=2.17"]).files(vec![
            CondaFile::text("bin/tool", long).mode(0o775),
            CondaFile::text("share/text", format!("a {place} b {place}/c\r\n")),
            CondaFile::binary("lib/libtool.so.1.2", strings).mode(0o755),
            CondaFile::symlink("lib/libtool.so", "libtool.so.1.2"),
            CondaFile::new("share/private", "mine").mode(0o600),
            CondaFile::hard_link("share/again", "share/private"),
            CondaFile::new("share/ünïcode", "x"),
        ]);
    let mut old = CondaPackageSpec::new("old", "0.9").format(CondaFormat::Legacy).files(vec![
        CondaFile::text("etc/old.conf", format!("prefix={place}\n")),
        CondaFile::new("etc/plain", "plain"),
    ]);
    old.depends = vec!["tool >=1".to_owned()];
    let mut module = CondaPackageSpec::python_module("demo", "3.0");
    module.files.push(
        CondaFile::text("python-scripts/older", format!("#!{place}/bin/python\n")).mode(0o755),
    );
    module.depends.push("old".to_owned());
    let newer = CondaPackageSpec::new("tool", "2.0").depends(&["__glibc >=2.99"]);
    let archive = CondaPackageSpec::new("archive", "1").format(CondaFormat::TarBz2).files(vec![
        CondaFile::text("bin/archive", format!("#!{place}/bin/sh\n")).mode(0o755),
        CondaFile::symlink("share/link", "../bin/archive"),
        CondaFile::new("share/data", "data".repeat(10_000)),
    ]);
    vec![python, tool, old, module, newer, archive]
}

/// Paths below a directory: type and mode, link target or content. Of directories nothing but
/// that they are there, since rattler's have the umask's mode.
fn tree(root: &Path, directory: &Path, out: &mut BTreeMap<String, (u32, Vec<u8>)>) {
    for entry in std::fs::read_dir(directory).unwrap().flatten() {
        let (path, metadata) = (entry.path(), entry.metadata().unwrap());
        let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
        if name == "conda-meta" || name == "CACHEDIR.TAG" {
            continue;
        }
        let mode = metadata.mode();
        if metadata.is_dir() {
            out.insert(name, (mode & 0o170_000, Vec::new()));
            tree(root, &path, out);
        } else if metadata.is_symlink() {
            let target = std::fs::read_link(&path).unwrap().into_os_string().into_encoded_bytes();
            out.insert(name, (mode & 0o170_000, target));
        } else {
            let permissions = metadata.permissions().mode();
            out.insert(name, (permissions, std::fs::read(&path).unwrap()));
        }
    }
}

/// Entry points differ in white space and in the group's right to write.
fn without_entry_points(tree: &mut BTreeMap<String, (u32, Vec<u8>)>) -> String {
    let (_, script) = tree.remove("bin/demo").unwrap();
    String::from_utf8(script).unwrap().split_whitespace().collect()
}

#[test]
fn rattler_solves_and_installs_the_same() {
    let bench = Bench::new();
    let Some(python) = oracle(bench.directory.path()) else { return };
    let mut channel = CondaChannel::new();
    packages().iter().for_each(|package| drop(channel.add(package)));
    let archive = channel.path().join("linux-64/archive-1-h0_0.tar.bz2");
    let place = bench.directory.path().join("prefix");
    for (round, indexes) in [[CondaIndex::Zstd], [CondaIndex::Shards]].iter().enumerate() {
        channel = channel.with_indexes(indexes);
        let served = channel.serve();
        let specs = ["demo", "archive"];
        let lock = bench.solve(&[&served.url()], &specs).unwrap();
        let prefix = CondaPrefix::new(place.to_str().unwrap(), &lock).unwrap();
        let root = bench.install(&lock, &prefix);
        let ours = root.join(place.strip_prefix("/").unwrap());
        let theirs = bench.directory.path().join(format!("theirs-{round}"));
        let target = bench.request(&[&served.url()], &[]).target;
        let job = json!({
            "channel": served.url(),
            "specs": specs,
            "virtual": target.describe(),
            "target": theirs,
            "prefix": place,
            "written": ours.join("conda-meta"),
            "convert": [archive],
        });
        let work = bench.directory.path().join(format!("work-{round}"));
        std::fs::create_dir_all(work.join("converted")).unwrap();
        let answer = run(&python, &work, &job);
        assert_eq!(answer["found"], json!(names(&lock)), "solved");
        assert_eq!(answer["written"], json!(names(&lock)), "records");
        let (mut mine, mut other) = (BTreeMap::new(), BTreeMap::new());
        tree(&ours, &ours, &mut mine);
        tree(&theirs, &theirs, &mut other);
        assert_eq!(without_entry_points(&mut mine), without_entry_points(&mut other));
        for (path, entry) in &other {
            assert_eq!(mine.get(path), Some(entry), "{path}");
        }
        assert!(mine.keys().all(|path| other.contains_key(path)), "{mine:?}");
        converted(&work.join("converted"), &archive);
    }
}

fn run(python: &Path, work: &Path, job: &Value) -> Value {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/online_rattler/oracle.py");
    let mut child = Command::new(python)
        .arg(script)
        .current_dir(work)
        .env("HOME", work)
        .env("NO_PROXY", "127.0.0.1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(job.to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    serde_json::from_slice(&output.stdout).unwrap()
}

/// A `.conda` file by conda's own tool says and holds what the `.tar.bz2` it was made of does.
fn converted(directory: &Path, archive: &Path) {
    let open = |path: &Path, kind| {
        let name = path.file_name().unwrap().to_str().unwrap();
        Package::open(path, name, kind, PackageLimits::default()).unwrap().info().unwrap()
    };
    let conda = directory.join("archive-1-h0_0.conda");
    assert_eq!(open(&conda, ArchiveKind::Conda), open(archive, ArchiveKind::TarBz2));
    let mut channel = CondaChannel::new();
    let spec = packages().pop().unwrap();
    let bytes = std::fs::read(&conda).unwrap();
    let record = json!({
        "name": spec.name, "version": spec.version, "build": spec.build, "build_number": 0,
        "depends": [], "subdir": "linux-64", "sha256": tierce_oci::Digest::of(&bytes).hex(),
    });
    let record = record.as_object().unwrap().clone();
    channel.add_file("linux-64", "archive-1-h0_0.conda", &bytes, record);
    let bench = Bench::new();
    let lock = bench.solve(&[&channel.url()], &["archive"]).unwrap();
    let prefix = CondaPrefix::new("/opt/conda", &lock).unwrap();
    let layers = bench.layers(&lock, &prefix);
    assert_eq!(entries(&layers[0])["opt/conda/bin/archive"].1, b"#!/opt/conda/bin/sh\n");
}
