//! Contexts, read by other people's programs.

mod support;

use std::collections::BTreeMap;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use tierce_dockerfile::{
    Archive, BuildContext, ContextError, ContextLayout, ContextSource, DockerLayout, RenderOptions,
    WARNING_SIZE,
};
use tierce_engine::Source;
use tierce_oci::Diagnostic;
use tierce_spec::{Image, SourceOptions};
use tierce_testing::{program, skip};
use tierce_tree::{ScanOptions, scan};

fn file(path: &Path, content: &[u8], mode: u32) {
    std::fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
    std::fs::write(path, content).expect("a file");
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("a mode");
}

/// A folder with all that can be in one.
fn folder(root: &Path) -> Source {
    file(&root.join("a.txt"), b"a\n", 0o600);
    file(&root.join("run.sh"), b"#!/bin/sh\n", 0o777);
    file(&root.join("sub/deep/nothing"), b"", 0o644);
    file(&root.join("sub/noise"), &noise(300_000), 0o644);
    file(&root.join("sub/zeros"), &[0; 100_000], 0o644);
    file(&root.join("größe $x '1'.txt"), b"unicode", 0o644);
    file(&root.join(&*"long/".repeat(40)).join("n".repeat(200)), b"long", 0o644);
    std::fs::create_dir_all(root.join("empty")).expect("a directory");
    symlink("a.txt", root.join("link")).expect("a link");
    symlink("../outside", root.join("sub/out")).expect("a link");
    let tree = scan(root, &ScanOptions::default(), None).expect("a tree");
    Source { root: root.to_owned(), tree: Arc::new(tree) }
}

fn noise(length: usize) -> Vec<u8> {
    let mut state = 1u32;
    let next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    std::iter::repeat_with(next).take(length).collect()
}

fn context(root: &Path) -> BuildContext {
    let source = folder(root);
    let mut context = BuildContext::new();
    context.add_content("Dockerfile", "FROM scratch\n").expect("added");
    context.add_tree("sources/01-app", &source.root, &source.tree).expect("added");
    context.add_program("tools/x", "#!/bin/sh\n").expect("added");
    context
}

/// Path to kind, mode, time, and content or target.
type Facts = BTreeMap<String, (char, u32, i64, Vec<u8>)>;

fn expected(context: &BuildContext) -> Facts {
    let content = |source: &ContextSource| match source {
        ContextSource::File { path, .. } => ('f', std::fs::read(path).expect("a file")),
        ContextSource::Bytes(bytes) => ('f', bytes.to_vec()),
        ContextSource::Symlink(target) => ('l', target.clone()),
        ContextSource::Directory => ('d', vec![]),
    };
    let entries = context.entries().map(|(path, entry)| {
        let (kind, content) = content(&entry.source);
        (path.to_string(), (kind, entry.mode, entry.mtime, content))
    });
    entries.collect()
}

/// What is below a directory.
fn found(root: &Path) -> Facts {
    let mut facts = Facts::new();
    let mut open = vec![root.to_owned()];
    while let Some(directory) = open.pop() {
        for entry in std::fs::read_dir(&directory).expect("a directory") {
            let path = entry.expect("an entry").path();
            let metadata = path.symlink_metadata().expect("metadata");
            let kind = metadata.file_type();
            let (letter, content) = match () {
                () if kind.is_dir() => ('d', vec![]),
                () if kind.is_symlink() => {
                    let target = std::fs::read_link(&path).expect("a link");
                    ('l', target.to_string_lossy().into_owned().into_bytes())
                }
                () => ('f', std::fs::read(&path).expect("a file")),
            };
            let name = path.strip_prefix(root).expect("below").to_string_lossy().into_owned();
            facts.insert(name, (letter, metadata.mode() & 0o7777, metadata.mtime(), content));
            if kind.is_dir() {
                open.push(path);
            }
        }
    }
    facts
}

fn run(command: &mut Command) {
    let output = command.output().expect("a program");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{command:?}: {said}");
}

fn archive(context: &BuildContext, archive: Archive, file: &Path) {
    let out = std::fs::File::create(file).expect("a file");
    context.write_archive(archive, out).unwrap_or_else(|e| panic!("{e}")).flush().expect("written");
}

#[test]
fn tar_reads_what_was_put_in() {
    let directory = tempfile::tempdir().expect("a directory");
    let context = context(&directory.path().join("src"));
    for (kind, name) in [(Archive::Tar, "x.tar"), (Archive::TarGz, "x.tar.gz")] {
        assert_eq!(Archive::of_file_name(name), Some(kind));
        let (file, out) = (directory.path().join(name), directory.path().join(format!("{name}.d")));
        archive(&context, kind, &file);
        std::fs::create_dir(&out).expect("a directory");
        run(Command::new("tar").arg("-C").arg(&out).args(["--same-permissions", "-xf"]).arg(&file));
        assert_eq!(found(&out), expected(&context), "{kind}");
    }
}

#[test]
fn unzip_and_python_read_what_was_put_in() {
    let directory = tempfile::tempdir().expect("a directory");
    let context = context(&directory.path().join("src"));
    let file = directory.path().join("x.zip");
    archive(&context, Archive::Zip, &file);
    let undated = |facts: Facts| -> BTreeMap<String, (char, u32, Vec<u8>)> {
        facts
            .into_iter()
            .map(|(path, (kind, mode, _, content))| (path, (kind, mode, content)))
            .collect()
    };
    let expected = undated(expected(&context));
    match program("unzip") {
        None => skip("unzip", "unzip is not installed"),
        Some(unzip) => {
            run(Command::new(&unzip).arg("-tq").arg(&file));
            let out = directory.path().join("out");
            run(Command::new(&unzip)
                .env("LC_ALL", "C.UTF-8")
                .arg("-q")
                .arg(&file)
                .arg("-d")
                .arg(&out));
            assert_eq!(undated(found(&out)), expected);
        }
    }
    let script = "import json, sys, zipfile\n\
        z = zipfile.ZipFile(sys.argv[1])\n\
        assert z.testzip() is None\n\
        print(json.dumps({i.filename.rstrip('/'): [i.external_attr >> 16 & 0o7777, z.read(i).hex()] for i in z.infolist()}))\n";
    let output = Command::new("python3").args(["-c", script]).arg(&file).output().expect("python");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said: BTreeMap<String, (u32, String)> =
        serde_json::from_slice(&output.stdout).expect("JSON");
    let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
    let expected: BTreeMap<String, (u32, String)> =
        expected.iter().map(|(p, (_, mode, content))| (p.clone(), (*mode, hex(content)))).collect();
    assert_eq!(said, expected);
}

/// More entries than 16 bits can count.
#[test]
fn zip_files_may_have_many_entries() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut context = BuildContext::new();
    for number in 0..70_000 {
        context.add_content(&format!("{number}"), "").expect("added");
    }
    let file = directory.path().join("x.zip");
    archive(&context, Archive::Zip, &file);
    let script = "import sys, zipfile; print(len(zipfile.ZipFile(sys.argv[1]).namelist()))";
    let output = Command::new("python3").args(["-c", script]).arg(&file).output().expect("python");
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "70000");
}

#[test]
fn equal_contexts_are_equal_bytes() {
    let directory = tempfile::tempdir().expect("a directory");
    let (one, two) = (context(&directory.path().join("1")), context(&directory.path().join("2")));
    assert_eq!(one.digest(), two.digest());
    for kind in [Archive::Tar, Archive::TarGz, Archive::Zip] {
        let write = |context: &BuildContext| context.write_archive(kind, vec![]).expect("written");
        assert!(write(&one) == write(&two), "{kind}");
        assert!(write(&one) == write(&one), "{kind}");
    }
}

#[test]
fn directories_are_what_was_put_in_whatever_the_umask() {
    let directory = tempfile::tempdir().expect("a directory");
    let context = context(&directory.path().join("src"));
    let out = directory.path().join("out");
    context.write_dir(&out).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(found(&out), expected(&context));
    let error = context.write_dir(&out).expect_err("there is something");
    assert_eq!(error.code(), "context/not-empty");
}

#[test]
fn paths_are_refused_that_lead_out_or_are_taken() {
    let mut context = BuildContext::new();
    context.add_content("a/b", "1").expect("added");
    context.add_symlink("link", "/etc").expect("added");
    for (path, code) in [
        ("", "context/invalid-path"),
        (".", "context/invalid-path"),
        ("/", "context/invalid-path"),
        ("/etc/passwd", "context/invalid-path"),
        ("../x", "context/invalid-path"),
        ("a/../../x", "context/invalid-path"),
        ("a\0b", "context/invalid-path"),
        ("a/b", "context/duplicate-path"),
        ("./a//b", "context/duplicate-path"),
        ("a", "context/duplicate-path"),
        ("link", "context/duplicate-path"),
        ("a/b/c", "context/not-a-directory"),
        ("link/x", "context/not-a-directory"),
    ] {
        let error = context.add_content(path, "2").expect_err(path);
        assert_eq!(error.code(), code, "{path:?}");
    }
    let missing = context.add_file("x", Path::new("/nowhere/at/all")).expect_err("missing");
    assert_eq!(missing.code(), "source/missing");
}

#[test]
fn a_file_that_changed_is_not_written() {
    let directory = tempfile::tempdir().expect("a directory");
    let root = directory.path().join("src");
    for (name, change) in
        [("other content", b"b\n".as_slice()), ("longer", b"a\nmore"), ("shorter", b"a")]
    {
        let context = context(&root);
        std::fs::write(root.join("a.txt"), change).expect("a file");
        for kind in [Archive::Tar, Archive::TarGz, Archive::Zip] {
            let error = context.write_archive(kind, vec![]).expect_err(name);
            assert!(matches!(error, ContextError::Changed { .. }), "{name}: {error}");
        }
        let out = directory.path().join(name);
        let error = context.write_dir(&out).expect_err(name);
        assert!(matches!(error, ContextError::Changed { .. }), "{name}: {error}");
        std::fs::remove_dir_all(&root).expect("removed");
    }
    let context = context(&root);
    std::fs::remove_file(root.join("a.txt")).expect("removed");
    let error = context.write_archive(Archive::Tar, vec![]).expect_err("gone");
    assert!(matches!(error, ContextError::Changed { .. }), "{error}");
}

#[test]
fn a_large_context_without_an_ignore_file_is_worth_a_warning() {
    let directory = tempfile::tempdir().expect("a directory");
    let root = directory.path();
    for number in 0..12 {
        // Files with holes: no machine needs the room.
        let file = root.join(format!("app/{number:02}.bin"));
        std::fs::create_dir_all(file.parent().expect("a parent")).expect("a directory");
        let size = (5 << 20) + (number % 6) * 1024;
        std::fs::File::create(&file).expect("a file").set_len(size).expect("a size");
    }
    let image = Image::from_scratch().with_name("x").with_source_folder(
        "app",
        "/app",
        SourceOptions::new(),
    );
    let rendered =
        |image: &Image| support::rendered(&support::gather(image, root), &RenderOptions::default());
    let large = rendered(&image).context.large().expect("a warning");
    assert!(large.size > WARNING_SIZE);
    assert_eq!(large.largest.len(), 10);
    let names: Vec<&str> =
        large.largest.iter().filter_map(|(path, _)| path.rsplit('/').next()).collect();
    let order = [5, 11, 4, 10, 3, 9, 2, 8, 1, 7].map(|n| format!("{n:02}.bin"));
    assert_eq!(names, order);
    assert!(large.to_string().contains("05.bin (5.0 MiB)"), "{large}");
    assert_eq!(rendered(&image).context.larger_than(100 << 20), None);
    file(&root.join("app/.dockerignore"), b"*.log\n", 0o644);
    assert_eq!(rendered(&image).context.large(), None);
}

/// A service that takes a zip file with instructions of its own beside the sources.
struct BuildService;

impl ContextLayout for BuildService {
    fn root(&self) -> &str {
        "source"
    }

    fn dockerfile(&self) -> &str {
        "source/Dockerfile"
    }

    fn archive(&self) -> Archive {
        Archive::Zip
    }

    fn finish(&self, context: &mut BuildContext) -> Result<(), ContextError> {
        let files = context.entries().count();
        context.add_content("buildspec.yml", format!("version: 0.2\n# {files} entries\n"))
    }
}

#[test]
fn a_builder_brings_its_own_layout() {
    let directory = tempfile::tempdir().expect("a directory");
    folder(&directory.path().join("app"));
    let image = Image::from_scratch().with_name("x").with_source_folder(
        "app",
        "/app",
        SourceOptions::new(),
    );
    let gathered = support::gather(&image, directory.path());
    let own = RenderOptions { layout: Arc::new(BuildService), ..RenderOptions::default() };
    let own = support::rendered(&gathered, &own);
    let default = RenderOptions { layout: Arc::new(DockerLayout), ..RenderOptions::default() };
    let default = support::rendered(&gathered, &default);
    // What the text says is below the root that the builder looks from.
    assert_eq!(own.dockerfile, default.dockerfile);
    let below = |path: &str| path.strip_prefix("source/").map(str::to_owned);
    let paths: Vec<String> =
        own.context.entries().filter_map(|(p, _)| below(&p.to_string())).collect();
    let of_default: Vec<String> = default.context.entries().map(|(p, _)| p.to_string()).collect();
    assert!(of_default.iter().filter(|p| *p != ".dockerignore").eq(paths.iter()));
    let instructions = own.context.get("buildspec.yml").expect("instructions");
    assert!(matches!(&instructions.source, ContextSource::Bytes(b) if b.starts_with(b"version")));
    let zip = own.context.write_archive(own.archive, vec![]).expect("written");
    assert!(zip.starts_with(b"PK\x03\x04"));
}
