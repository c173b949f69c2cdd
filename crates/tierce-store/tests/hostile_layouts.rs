//! Layouts and archives that want to be something else.

mod support;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use support::image;
use tierce_layer::{Compression, Entry, LayerPath, LayerWriter};
use tierce_oci::{Artifact, Descriptor, Diagnostic, Digest, Index, Manifest, MediaType};
use tierce_store::{Store, Verify, oci_archive, oci_layout};

struct Case {
    out: std::path::PathBuf,
    artifact: Artifact,
    _dir: tempfile::TempDir,
}

impl Case {
    fn new() -> Self {
        let (dir, store) = support::store();
        let artifact = image(&store, "victim");
        let out = dir.path().join("out");
        oci_layout::write(&out, &artifact, None).unwrap();
        Case { out, artifact, _dir: dir }
    }

    fn layer(&self) -> Descriptor {
        let is_layer = |d: &&Descriptor| d.media_type.is_layer();
        self.artifact.blobs.values().map(|b| &b.descriptor).find(is_layer).unwrap().clone()
    }

    fn blob(&self, digest: &Digest) -> std::path::PathBuf {
        self.out.join("blobs/sha256").join(digest.hex())
    }

    fn put(&self, bytes: &[u8]) -> Digest {
        let digest = Digest::of(bytes);
        fs::write(self.blob(&digest), bytes).unwrap();
        digest
    }

    fn set_root(&self, media_type: MediaType, bytes: &[u8]) {
        self.put(bytes);
        let index = Index::new(vec![Descriptor::of(media_type, bytes)]);
        fs::write(self.out.join("index.json"), index.to_bytes()).unwrap();
    }

    fn set_index(&self, text: &str) {
        fs::write(self.out.join("index.json"), text).unwrap();
    }
}

#[test]
fn hostile_layouts_are_errors() {
    type Spoil = fn(&Case);
    let cases: [(&str, Spoil, &str); 15] = [
        (
            "no marker",
            |c| fs::remove_file(c.out.join("oci-layout")).unwrap(),
            "import/not-a-layout",
        ),
        (
            "another version",
            |c| fs::write(c.out.join("oci-layout"), r#"{"imageLayoutVersion":"9"}"#).unwrap(),
            "import/layout-version",
        ),
        ("no index", |c| fs::remove_file(c.out.join("index.json")).unwrap(), "store/io"),
        (
            "an index that is a manifest too",
            |c| c.set_index(r#"{"schemaVersion":2,"manifests":[],"layers":[],"config":{}}"#),
            "import/invalid-index",
        ),
        ("an endless index", |c| c.set_index(&" ".repeat(5 << 20)), "import/invalid-index"),
        (
            "a digest that is a path",
            |c| {
                c.set_index(
                    r#"{"schemaVersion":2,"manifests":[{"size":1,"digest":"sha256:../../../etc/passwd",
                    "mediaType":"application/vnd.oci.image.manifest.v1+json"}]}"#,
                );
            },
            "import/invalid-index",
        ),
        (
            "a manifest of another length",
            |c| {
                let mut root = c.artifact.root.clone();
                root.size += 1;
                c.set_index(&String::from_utf8(Index::new(vec![root]).to_bytes()).unwrap());
            },
            "import/size-mismatch",
        ),
        (
            "a manifest of other content",
            |c| {
                let size = c.artifact.root.size as usize;
                fs::write(c.blob(&c.artifact.root.digest), vec![b' '; size]).unwrap();
            },
            "import/corrupt",
        ),
        (
            "a layer of other content",
            |c| {
                let layer = c.layer();
                fs::write(c.blob(&layer.digest), vec![0; layer.size as usize]).unwrap();
            },
            "import/corrupt",
        ),
        (
            "a layer that is a link",
            |c| {
                let path = c.blob(&c.layer().digest);
                fs::rename(&path, c.out.join("moved")).unwrap();
                symlink(c.out.join("moved"), &path).unwrap();
            },
            "store/io",
        ),
        (
            "a layer that is a pipe",
            |c| {
                let path = c.blob(&c.layer().digest);
                fs::remove_file(&path).unwrap();
                support::run("mkfifo", &[path.to_str().unwrap()]);
            },
            "store/io",
        ),
        ("no layer", |c| fs::remove_file(c.blob(&c.layer().digest)).unwrap(), "import/incomplete"),
        (
            "a huge manifest",
            |c| c.set_root(MediaType::OciManifest, &vec![b' '; (4 << 20) + 1]),
            "import/too-large",
        ),
        (
            "a manifest that is an index",
            |c| c.set_root(MediaType::OciManifest, &Index::new(vec![]).to_bytes()),
            "import/invalid-manifest",
        ),
        (
            "an index of which nothing is there",
            |c| {
                let absent = Descriptor::new(MediaType::OciManifest, Digest::of("absent"), 6);
                c.set_root(MediaType::OciIndex, &Index::new(vec![absent]).to_bytes());
            },
            "import/incomplete",
        ),
    ];
    for (name, spoil, code) in cases {
        let case = Case::new();
        spoil(&case);
        let error = oci_layout::read(&case.out, None, Verify::Everything).unwrap_err();
        assert_eq!(error.code(), code, "{name}: {error}");
    }
    let error = oci_layout::read(Path::new("/nonexistent"), None, Verify::Documents).unwrap_err();
    assert_eq!(error.code(), "import/not-a-layout");
}

#[test]
fn deeply_nested_indexes_take_no_stack() {
    let case = Case::new();
    let mut root = case.artifact.root.clone();
    for _ in 0..5_000 {
        let bytes = Index::new(vec![root]).to_bytes();
        case.put(&bytes);
        root = Descriptor::of(MediaType::OciIndex, &bytes);
    }
    case.set_root(MediaType::OciIndex, &Index::new(vec![root]).to_bytes());
    let read = oci_layout::read(&case.out, None, Verify::Documents).unwrap();
    assert!(read.blobs.len() > 5_000);
}

#[test]
fn an_index_may_lack_other_platforms() {
    let case = Case::new();
    let absent = Descriptor::new(MediaType::OciManifest, Digest::of("absent"), 6);
    let both = Index::new(vec![absent.clone(), case.artifact.root.clone()]);
    case.set_root(MediaType::OciIndex, &both.to_bytes());
    let read = oci_layout::read(&case.out, None, Verify::Everything).unwrap();
    assert!(!read.blobs.contains_key(&absent.digest));
    let again = tempfile::tempdir().unwrap();
    oci_layout::write(again.path(), &read, None).unwrap();
}

#[test]
fn layers_are_not_read_unless_asked() {
    let case = Case::new();
    let layer = case.layer();
    fs::write(case.blob(&layer.digest), vec![0; layer.size as usize]).unwrap();
    oci_layout::read(&case.out, None, Verify::Documents).unwrap();
}

/// An archive of these entries.
fn archive(dir: &Path, entries: &[(&str, &[u8])]) -> std::path::PathBuf {
    let path = dir.join("image.tar");
    let mut tar = LayerWriter::new(fs::File::create(&path).unwrap(), Compression::Gzip);
    for (name, bytes) in entries {
        let entry = Entry::file(LayerPath::new(name).unwrap(), bytes.len() as u64);
        tar.append(&entry, *bytes).unwrap();
    }
    tar.finish().unwrap();
    path
}

#[test]
fn hostile_archives_are_errors_and_leave_nothing_but_true_blobs() {
    let marker: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;
    let config = b"{}".to_vec();
    let manifest = Manifest::new(Descriptor::of(MediaType::OciConfig, &config), vec![]).to_bytes();
    let index = Index::new(vec![Descriptor::of(MediaType::OciManifest, &manifest)]).to_bytes();
    let name = |bytes: &[u8]| format!("blobs/sha256/{}", Digest::of(bytes).hex());
    let (config_name, manifest_name) = (name(&config), name(&manifest));
    let good: Vec<(&str, &[u8])> = vec![
        ("oci-layout", marker),
        ("index.json", &index),
        (&config_name, &config),
        (&manifest_name, &manifest),
    ];
    let with = |more: &[(&'static str, &'static [u8])]| {
        let mut all: Vec<(&str, &[u8])> = good.clone();
        all.extend(more.iter().copied());
        all
    };
    let without = |i: usize| {
        let mut all = good.clone();
        all.remove(i);
        all
    };
    let mut damaged = good.clone();
    damaged[3].1 = &index;
    let cases = [
        ("good", good.clone(), None),
        ("harmless extras", with(&[("manifest.json", b"[]"), ("blobs/sha256/x", b"")]), None),
        ("a second index", with(&[("index.json", b"{}")]), Some("import/duplicate-entry")),
        ("no marker", without(0), Some("import/not-a-layout")),
        ("no index", without(1), Some("import/not-a-layout")),
        ("no config", without(2), Some("import/incomplete")),
        ("no manifest", without(3), Some("import/incomplete")),
        ("another manifest", damaged, Some("import/corrupt")),
    ];
    for (case, entries, code) in cases {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("store")).unwrap();
        let path = archive(dir.path(), &entries);
        let result = oci_archive::read(&path, &store, None);
        assert_eq!(result.as_ref().err().map(|e| e.code()), code, "{case}");
        assert!(support::names(&dir.path().join("store/tmp")).is_empty());
        if let Ok(artifact) = result {
            for digest in artifact.blobs.keys() {
                assert!(store.verify(digest).unwrap().is_some());
            }
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("store")).unwrap();
    let path = archive(dir.path(), &good);
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    let error = oci_archive::read(&path, &store, None).unwrap_err();
    assert_eq!(error.code(), "import/invalid-archive", "{error}");
}
