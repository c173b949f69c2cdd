//! Other programs read what this crate writes, and the reverse.

mod support;

use std::fs;
use std::path::Path;
use support::{has, image, image_of, index, layer, run};
use tierce_layer::Compression;
use tierce_oci::{Blob, Digest, Manifest, Platform, Reference};
use tierce_store::{Verify, docker_archive, oci_archive, oci_layout};

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// What skopeo says an image's digest is.
fn skopeo_digest(source: &str) -> String {
    let out = run("skopeo", &["inspect", "--format", "{{.Digest}}", source]);
    out.trim().to_owned()
}

#[test]
fn skopeo_reads_layouts_and_archives() {
    if !has("skopeo") {
        return;
    }
    let (dir, store) = support::store();
    let (a, b) = (image(&store, "a"), image(&store, "b"));
    let (out, archive) = (dir.path().join("out"), dir.path().join("a.tar"));
    oci_layout::write(&out, &a, Some("a")).unwrap();
    oci_layout::write(&out, &b, Some("b")).unwrap();
    oci_archive::write(&archive, &a, Some("a")).unwrap();
    assert_eq!(skopeo_digest(&format!("oci:{}:a", text(&out))), a.root.digest.to_string());
    assert_eq!(skopeo_digest(&format!("oci:{}:b", text(&out))), b.root.digest.to_string());
    let source = format!("oci-archive:{}:a", text(&archive));
    assert_eq!(skopeo_digest(&source), a.root.digest.to_string());
    // Copying verifies every blob.
    for source in [format!("oci:{}:a", text(&out)), source] {
        let copy = tempfile::tempdir().unwrap();
        run("skopeo", &["copy", "-q", &source, &format!("dir:{}", text(copy.path()))]);
    }
}

#[test]
fn skopeo_reads_docker_archives_of_every_compression() {
    if !has("skopeo") {
        return;
    }
    let (dir, store) = support::store();
    let reference: Reference = "ghcr.io/me/app:v1".parse().unwrap();
    let layers: Vec<_> =
        [Compression::None, Compression::Gzip, Compression::Zstd, Compression::Gzip]
            .into_iter()
            .zip(["none", "gzip", "zstd", "gzip"])
            .map(|(compression, text)| layer(&store, compression, text))
            .collect();
    let artifact = image_of(&store, Platform::host(), &layers);
    let file = dir.path().join("image.tar");
    docker_archive::write(&file, &artifact, Some(&reference)).unwrap();
    let source = format!("docker-archive:{}:ghcr.io/me/app:v1", text(&file));
    let config = run("skopeo", &["inspect", "--config", "--raw", &source]);
    let manifest = artifact.document(&artifact.root.digest).unwrap();
    let manifest = Manifest::parse(manifest, &artifact.root.media_type).unwrap();
    assert_eq!(Digest::of(config), manifest.config.digest);
    // Copying verifies the layers against the config's diff ids.
    let copy = dir.path().join("copy");
    run("skopeo", &["copy", "-q", &source, &format!("oci:{}:v1", text(&copy))]);
    let copied = oci_layout::read(&copy, Some("v1"), Verify::Everything).unwrap();
    let is_layer = |b: &&Blob| b.descriptor.media_type.is_layer();
    assert_eq!(copied.blobs.values().filter(is_layer).count(), 3);
}

#[test]
fn docker_loads_docker_archives() {
    let daemon = std::process::Command::new("docker").arg("info").output();
    if !daemon.is_ok_and(|o| o.status.success()) {
        eprintln!("skipped: no Docker daemon answers");
        return;
    }
    let (dir, store) = support::store();
    let layers: Vec<_> = [Compression::None, Compression::Gzip, Compression::Zstd]
        .into_iter()
        .zip(["docker none", "docker gzip", "docker zstd"])
        .map(|(compression, text)| layer(&store, compression, text))
        .collect();
    let artifact = image_of(&store, Platform::host(), &layers);
    let reference: Reference = "tierce.test/store-oracle:v1".parse().unwrap();
    let file = dir.path().join("image.tar");
    docker_archive::write(&file, &artifact, Some(&reference)).unwrap();
    run("docker", &["load", "-i", text(&file)]);
    let format = "{{json .RootFS.Layers}}";
    let found = run("docker", &["image", "inspect", "-f", format, "tierce.test/store-oracle:v1"]);
    run("docker", &["image", "rm", "tierce.test/store-oracle:v1"]);
    let diff_ids: Vec<String> = layers.iter().map(|l| format!("\"{}\"", l.diff_id)).collect();
    assert_eq!(found.trim(), format!("[{}]", diff_ids.join(",")));
}

#[test]
fn podman_loads_docker_archives() {
    if !has("podman") {
        return;
    }
    let (dir, store) = support::store();
    let reference: Reference = "localhost/app:v1".parse().unwrap();
    let file = dir.path().join("image.tar");
    docker_archive::write(&file, &image(&store, "podman"), Some(&reference)).unwrap();
    let storage = dir.path().join("podman");
    let (root, run_root) = (storage.join("root"), storage.join("run"));
    let output = std::process::Command::new("podman")
        .args(["--root", text(&root), "--runroot", text(&run_root), "--storage-driver=vfs"])
        .args(["load", "-q", "-i", text(&file)])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    match output.status.success() {
        true => {
            let loaded = String::from_utf8_lossy(&output.stdout).into_owned();
            assert!(loaded.contains("localhost/app:v1"), "{loaded}");
        }
        false => eprintln!("skipped: podman does not work here: {said}"),
    }
}

#[test]
fn this_crate_reads_what_skopeo_writes() {
    if !has("skopeo") {
        return;
    }
    let (dir, store) = support::store();
    let artifact = index(&store, &["linux/amd64", "linux/arm64"]);
    let out = dir.path().join("out");
    oci_layout::write(&out, &artifact, Some("v1")).unwrap();
    let source = format!("oci:{}:v1", text(&out));
    let (copy, archive) = (dir.path().join("copy"), dir.path().join("copy.tar"));
    for target in [format!("oci:{}:v2", text(&copy)), format!("oci-archive:{}:v2", text(&archive))]
    {
        run("skopeo", &["copy", "-q", "--all", &source, &target]);
    }
    let from_dir = oci_layout::read(&copy, Some("v2"), Verify::Everything).unwrap();
    let other = tierce_store::Store::open(&dir.path().join("other")).unwrap();
    let from_archive = oci_archive::read(&archive, &other, Some("v2")).unwrap();
    for read in [from_dir, from_archive] {
        assert_eq!(read.root.digest, artifact.root.digest);
        assert_eq!(read.blobs.len(), artifact.blobs.len());
    }
}

#[test]
fn umoci_unpacks_layouts() {
    if !has("umoci") {
        return;
    }
    let (dir, store) = support::store();
    let out = dir.path().join("out");
    oci_layout::write(&out, &image(&store, "unpacked"), Some("v1")).unwrap();
    let image = format!("{}:v1", text(&out));
    run("umoci", &["stat", "--image", &image]);
    let bundle = dir.path().join("bundle");
    run("umoci", &["unpack", "--rootless", "--image", &image, text(&bundle)]);
    let file = bundle.join("rootfs/app/main.py");
    assert_eq!(fs::read_to_string(file).unwrap(), "unpacked");
    // umoci finds nothing to collect, and its own writing leaves a layout that is read here.
    run("umoci", &["gc", "--layout", text(&out)]);
    run("umoci", &["tag", "--image", &image, "v2"]);
    oci_layout::read(&out, Some("v2"), Verify::Everything).unwrap();
}
