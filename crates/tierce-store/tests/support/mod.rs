//! What several tests need.
#![allow(dead_code)]

use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use tierce_layer::{Compression, Entry, LayerInfo, LayerPath, LayerWriter};
use tierce_oci::{
    Artifact, BlobLocation, Descriptor, Digest, ImageConfig, Index, Manifest, MediaType, Platform,
};
use tierce_store::Store;

/// A store in a new directory.
pub fn store() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("store")).unwrap();
    (dir, store)
}

/// Names of what is in a directory, sorted.
pub fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(dir)
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// A layer with a directory and two files, in the store.
pub fn layer(store: &Store, compression: Compression, text: &str) -> LayerInfo {
    let path = |p: &str| LayerPath::new(p).unwrap();
    let staged = store.stage().unwrap();
    let mut layer = LayerWriter::new(staged, compression);
    layer.append(&Entry::directory(path("app")), std::io::empty()).unwrap();
    for name in ["app/main.py", "app/other"] {
        layer.append(&Entry::file(path(name), text.len() as u64), text.as_bytes()).unwrap();
    }
    let (staged, info) = layer.finish().unwrap();
    staged.commit(&info.descriptor.digest).unwrap();
    info
}

/// An image of these layers, which are in the store.
pub fn image_of(store: &Store, platform: Platform, layers: &[LayerInfo]) -> Artifact {
    let mut config = ImageConfig::scratch(platform.clone());
    config.config.cmd = Some(vec!["/app/main.py".into()]);
    config.rootfs.diff_ids = layers.iter().map(|l| l.diff_id).collect();
    let config_bytes = config.to_bytes();
    let config = Descriptor::of(MediaType::OciConfig, &config_bytes);
    let descriptors = layers.iter().map(|l| l.descriptor.clone()).collect();
    let manifest = Manifest::new(config.clone(), descriptors).to_bytes();
    let root = Descriptor::of(MediaType::OciManifest, &manifest);
    let mut artifact = Artifact::new(root, manifest);
    artifact.insert(config, BlobLocation::Memory(config_bytes.into()));
    for layer in layers {
        let path = store.blob_path(&layer.descriptor.digest);
        artifact.insert(layer.descriptor.clone(), BlobLocation::File(path));
    }
    artifact
}

/// An image of one gzip layer whose files hold `text`.
pub fn image(store: &Store, text: &str) -> Artifact {
    let layer = layer(store, Compression::Gzip, text);
    image_of(store, Platform::host(), &[layer])
}

/// An index of one image for each platform.
pub fn index(store: &Store, platforms: &[&str]) -> Artifact {
    let images: Vec<(Platform, Artifact)> = platforms
        .iter()
        .map(|p| {
            let platform: Platform = p.parse().unwrap();
            let layer = layer(store, Compression::Gzip, p);
            (platform.clone(), image_of(store, platform, &[layer]))
        })
        .collect();
    let manifests =
        images.iter().map(|(p, image)| image.root.clone().with_platform(p.clone())).collect();
    let bytes = Index::new(manifests).to_bytes();
    let mut artifact = Artifact::new(Descriptor::of(MediaType::OciIndex, &bytes), bytes);
    for (_, image) in images {
        artifact.blobs.extend(image.blobs);
    }
    artifact
}

/// The digests of all blobs.
pub fn digests(artifact: &Artifact) -> Vec<Digest> {
    artifact.blobs.keys().copied().collect()
}

/// Runs a program and gives its output; panics with what it said when it fails.
pub fn run(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {args:?}: {errors}{text}");
    text
}

/// Whether a program is installed; says so when it is not.
pub fn has(program: &str) -> bool {
    let found = Command::new(program).arg("--version").output().is_ok();
    if !found {
        eprintln!("skipped: {program} is not installed");
    }
    found
}

/// This test program again, to run its ignored test `name` only, with the store in `STORE`.
pub fn child_command(name: &str, store: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--ignored", "--exact", name, "--nocapture", "--test-threads=1"]);
    command.env("STORE", store).stdin(Stdio::piped()).stdout(Stdio::piped());
    command
}

/// The store that the parent names; `None` if this is no child.
pub fn parents_store() -> Option<Store> {
    Some(Store::open(Path::new(&std::env::var_os("STORE")?)).unwrap())
}

/// Tells the parent that the child is where it should be, and waits to be killed.
pub fn ready() {
    println!("\nready");
    std::io::stdout().flush().unwrap();
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).unwrap();
}

/// Starts a child and waits until it says that it is [`ready`].
pub fn start(mut command: Command) -> Child {
    use std::io::BufRead;
    let mut child = command.spawn().unwrap();
    let mut lines = std::io::BufReader::new(child.stdout.as_mut().unwrap());
    let mut line = String::new();
    while line.trim() != "ready" {
        line.clear();
        assert!(lines.read_line(&mut line).unwrap() > 0, "the child has ended");
    }
    child
}
