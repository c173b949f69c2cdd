//! Sources.

use crate::bench::{Bench, Built, Checked, Stop, fail, same};
use crate::filesystem::NodeKind;
use std::os::unix::fs::symlink;
use tierce_oci::Digest;
use tierce_spec::SourceOptions;

/// Checks that a path is a file with this content, executable or not.
fn is_file(built: &Built, path: &str, content: &str, executable: bool) -> Checked {
    let files = &built.only()?.files;
    let Some(node) = files.get(path) else { return missing(built, path) };
    let NodeKind::File { digest, .. } = &node.kind else {
        return fail(format!("/{path} is no file, but {:?}", node.kind));
    };
    if *digest != Digest::of(content) {
        let found = files.content(path).map(String::from_utf8_lossy);
        return fail(format!("/{path} has other content: {found:?} and not {content:?}"));
    }
    let mode = if executable { 0o755 } else { 0o644 };
    same(&format!("the mode of /{path}"), format!("{:o}", node.mode), format!("{mode:o}"))?;
    same(&format!("the owner of /{path}"), (node.uid, node.gid), (0, 0))
}

fn missing<T>(built: &Built, path: &str) -> Result<T, Stop> {
    let paths: Vec<String> = built.only()?.files.paths().take(50).collect();
    fail(format!("/{path} is missing; there are: {}", paths.join(", ")))
}

fn io<T>(result: std::io::Result<T>) -> Result<T, Stop> {
    result.or_else(|e| fail(format!("the suite cannot write its own sources: {e}")))
}

pub(super) async fn folder(bench: &Bench<'_>) -> Checked {
    bench.write("src/data.txt", "data\n", 0o644)?;
    bench.write("src/secretive.txt", "mine\n", 0o600)?;
    bench.write("src/bin/tool", "#!/bin/sh\n", 0o755)?;
    bench.write("src/bin/odd", "#!/bin/sh\n", 0o711)?;
    bench.write("src/empty.txt", "", 0o644)?;
    io(std::fs::create_dir_all(bench.root().join("src/nothing/in/here")))?;
    io(symlink("bin/tool", bench.root().join("src/link")))?;
    io(symlink("/etc/nowhere", bench.root().join("src/dangling")))?;
    io(symlink("bin", bench.root().join("src/folder-link")))?;
    let image = bench.scratch().with_source_folder("src", "/app", SourceOptions::new());
    let built = bench.build(&image).await?;
    is_file(&built, "app/data.txt", "data\n", false)?;
    is_file(&built, "app/secretive.txt", "mine\n", false)?;
    is_file(&built, "app/bin/tool", "#!/bin/sh\n", true)?;
    is_file(&built, "app/bin/odd", "#!/bin/sh\n", true)?;
    is_file(&built, "app/empty.txt", "", false)?;
    for (path, target) in
        [("link", "bin/tool"), ("dangling", "/etc/nowhere"), ("folder-link", "bin")]
    {
        let path = format!("app/{path}");
        let Some(node) = built.only()?.files.get(&path) else { return missing(&built, &path) };
        let expected = NodeKind::Symlink { target: target.into() };
        same(&format!("/{path}"), &node.kind, &expected)?;
    }
    match built.only()?.files.get("app/nothing/in/here").map(|node| &node.kind) {
        Some(NodeKind::Directory) => Ok(()),
        _ => missing(&built, "app/nothing/in/here"),
    }
}

pub(super) async fn file(bench: &Bench<'_>) -> Checked {
    bench.write("one.txt", "one\n", 0o644)?;
    bench.write("run.sh", "#!/bin/sh\n", 0o755)?;
    let image = bench
        .scratch()
        .with_source_file("one.txt", "/etc/app/settings")
        .with_source_file("run.sh", "/usr/local/bin/");
    let built = bench.build(&image).await?;
    is_file(&built, "etc/app/settings", "one\n", false)?;
    is_file(&built, "usr/local/bin/run.sh", "#!/bin/sh\n", true)
}

pub(super) async fn names(bench: &Bench<'_>) -> Checked {
    let names = [
        "with space.txt",
        "grüße/日本語.txt",
        "quote's \"here\".txt",
        "dollar$HOME.txt",
        "star*.txt",
        "brackets[a].txt",
        "-dash.txt",
        "back\\slash.txt",
        "#hash.txt",
        "emoji-🛢️.txt",
    ];
    for name in names {
        bench.write(&format!("src/{name}"), name, 0o644)?;
    }
    bench.write("a file's [name] $x.txt", "alone", 0o644)?;
    let image = bench
        .scratch()
        .with_source_folder("src", "/my files/ünï", SourceOptions::new())
        .with_source_file("a file's [name] $x.txt", "/other place/it's $x.txt");
    let built = bench.build(&image).await?;
    for name in names {
        is_file(&built, &format!("my files/ünï/{name}"), name, false)?;
    }
    is_file(&built, "other place/it's $x.txt", "alone", false)
}

pub(super) async fn ignored(bench: &Bench<'_>) -> Checked {
    bench.write("src/.dockerignore", "*.log\n!keep.log\n", 0o644)?;
    for path in ["a.log", "keep.log", "a.txt", "tmp/x", "__pycache__/a.pyc"] {
        bench.write(&format!("src/{path}"), path, 0o644)?;
    }
    let options = SourceOptions::new().with_ignore(["tmp"]);
    let image = bench.scratch().with_source_folder("src", "/app", options);
    let built = bench.build(&image).await?;
    is_file(&built, "app/a.txt", "a.txt", false)?;
    is_file(&built, "app/keep.log", "keep.log", false)?;
    for path in ["app/a.log", "app/tmp", "app/tmp/x", "app/__pycache__"] {
        if built.only()?.files.get(path).is_some() {
            return fail(format!("/{path} is there, and was to be left out"));
        }
    }
    Ok(())
}

pub(super) async fn large(bench: &Bench<'_>) -> Checked {
    // Neither repetitive nor random from run to run.
    let mut random = fastrand::Rng::with_seed(7);
    let content: Vec<u8> = std::iter::repeat_with(|| random.u8(..)).take(6 << 20).collect();
    bench.write("src/large.bin", &content, 0o644)?;
    let image = bench.scratch().with_source_folder("src", "/", SourceOptions::new());
    let built = bench.build(&image).await?;
    match built.only()?.files.get("large.bin").map(|node| &node.kind) {
        Some(NodeKind::File { digest, .. }) => {
            same("the digest of /large.bin", *digest, Digest::of(&content))
        }
        _ => missing(&built, "large.bin"),
    }
}

pub(super) async fn later_wins(bench: &Bench<'_>) -> Checked {
    bench.write("a/same.txt", "first\n", 0o644)?;
    bench.write("a/first.txt", "first\n", 0o644)?;
    bench.write("b/same.txt", "second\n", 0o755)?;
    let image = bench
        .scratch()
        .with_source_folder("a", "/app", SourceOptions::new())
        .with_source_folder("b", "/app", SourceOptions::new());
    let built = bench.build(&image).await?;
    is_file(&built, "app/first.txt", "first\n", false)?;
    is_file(&built, "app/same.txt", "second\n", true)
}
