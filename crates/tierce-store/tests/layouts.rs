//! Images as directories and archives, written and read back.

mod support;

use std::fs;
use std::io::Read;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use support::{digests, image, index, names};
use tierce_layer::{Compression, LayerReader};
use tierce_oci::{
    Artifact, BlobLocation, Descriptor, Diagnostic, Digest, Index, MediaType, Platform, Reference,
};
use tierce_store::{ExportError, ImportError, Verify, docker_archive, oci_archive, oci_layout};

fn index_of(dir: &Path) -> Index {
    Index::parse(&fs::read(dir.join("index.json")).unwrap(), &MediaType::OciIndex).unwrap()
}

fn ref_names(dir: &Path) -> Vec<Option<String>> {
    let name = |d: Descriptor| d.annotations.get("org.opencontainers.image.ref.name").cloned();
    index_of(dir).manifests.into_iter().map(name).collect()
}

#[test]
fn what_is_written_is_read_back() {
    let (dir, store) = support::store();
    let images = [
        ("image", image(&store, "hello")),
        ("index", index(&store, &["linux/amd64", "linux/arm64/v8"])),
    ];
    for (name, artifact) in images {
        let out = dir.path().join(name);
        let archive = dir.path().join(format!("{name}.tar"));
        oci_layout::write(&out, &artifact, Some("v1")).unwrap();
        oci_archive::write(&archive, &artifact, Some("v1")).unwrap();
        let fresh = tierce_store::Store::open(&dir.path().join(format!("{name}-store"))).unwrap();
        for asked in [Some("v1"), None] {
            let from_dir = oci_layout::read(&out, asked, Verify::Everything).unwrap();
            let from_archive = oci_archive::read(&archive, &fresh, asked).unwrap();
            for read in [from_dir, from_archive] {
                assert_eq!(read.root.digest, artifact.root.digest, "{name}");
                assert_eq!(digests(&read), digests(&artifact), "{name}");
                // And what was read can be written again.
                let again = tempfile::tempdir().unwrap();
                oci_layout::write(again.path(), &read, Some("v1")).unwrap();
                assert_eq!(
                    fs::read(again.path().join("index.json")).unwrap(),
                    fs::read(out.join("index.json")).unwrap()
                );
            }
        }
    }
}

#[test]
fn an_image_replaces_its_namesake_only() {
    let (dir, store) = support::store();
    let out = dir.path().join("out");
    let [a, b] = ["a", "b"].map(|text| image(&store, text));
    let name = |n: &str| Some(n.to_owned());
    for (artifact, tag, expected) in [
        (&a, Some("one"), vec![name("one")]),
        (&b, Some("two"), vec![name("one"), name("two")]),
        (&b, Some("one"), vec![name("one"), name("two")]),
        (&a, None, vec![name("one"), name("two"), None]),
        (&b, None, vec![name("one"), name("two"), None]),
        (&a, Some("two"), vec![name("one"), name("two"), None]),
    ] {
        oci_layout::write(&out, artifact, tag).unwrap();
        assert_eq!(ref_names(&out), expected);
    }
    let root = |n| oci_layout::read(&out, n, Verify::Documents).map(|a| a.root.digest);
    assert_eq!(root(Some("one")).unwrap(), b.root.digest);
    assert_eq!(root(Some("two")).unwrap(), a.root.digest);
    let error = root(None).unwrap_err();
    assert_eq!(error.code(), "import/ambiguous");
    assert!(error.hint().unwrap().contains("one, two"));
    assert!(matches!(root(Some("three")), Err(ImportError::NotFound { .. })));
    assert_eq!(names(&out), ["blobs", "index.json", "oci-layout"]);
}

#[test]
fn fields_of_other_tools_survive() {
    let (dir, store) = support::store();
    oci_layout::write(dir.path(), &image(&store, "x"), Some("x")).unwrap_err();
    let out = dir.path().join("out");
    oci_layout::write(&out, &image(&store, "a"), Some("a")).unwrap();
    let path = out.join("index.json");
    let text = fs::read_to_string(&path).unwrap();
    let text = text.replacen("\"digest\"", "\"artifactType\":\"a/b\",\"digest\"", 1);
    fs::write(&path, text.replacen('{', "{\"x-tool\":[1],", 1)).unwrap();
    oci_layout::write(&out, &image(&store, "b"), Some("b")).unwrap();
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains("\"artifactType\":\"a/b\"") && text.contains("\"x-tool\":[1]"), "{text}");
}

#[test]
fn writers_take_turns() {
    let (dir, store) = support::store();
    let out = dir.path().join("out");
    let images: Vec<Artifact> = (0..8).map(|i| image(&store, &format!("image {i}"))).collect();
    std::thread::scope(|scope| {
        for (i, artifact) in images.iter().enumerate() {
            let out = &out;
            scope.spawn(move || oci_layout::write(out, artifact, Some(&format!("v{i}"))).unwrap());
        }
    });
    let mut found = ref_names(&out);
    found.sort();
    assert_eq!(found, (0..8).map(|i| Some(format!("v{i}"))).collect::<Vec<_>>());
}

#[test]
fn what_happens_to_the_layout_does_not_reach_the_store() {
    let (dir, store) = support::store();
    let artifact = image(&store, "mine");
    let out = dir.path().join("out");
    oci_layout::write(&out, &artifact, None).unwrap();
    for digest in digests(&artifact) {
        let theirs = out.join("blobs/sha256").join(digest.hex());
        let metadata = fs::metadata(&theirs).unwrap();
        assert_eq!(metadata.nlink(), 1);
        assert_eq!(metadata.permissions().mode() & 0o600, 0o600);
        fs::write(&theirs, "scribble").unwrap();
        if store.blob_path(&digest).exists() {
            assert!(store.verify(&digest).unwrap().is_some());
        }
    }
    // Written anew, the layout is whole again.
    oci_layout::write(&out, &artifact, None).unwrap();
    oci_layout::read(&out, None, Verify::Everything).unwrap();
}

#[test]
fn unsuitable_targets_are_refused_and_left_alone() {
    let (dir, store) = support::store();
    let artifact = image(&store, "x");
    type Prepare = fn(&Path);
    let cases: [(&str, Prepare, &str); 5] = [
        ("other files", |d| fs::write(d.join("notes"), "x").unwrap(), "export/not-a-layout"),
        ("no marker", |d| fs::write(d.join("oci-layout"), "{}").unwrap(), "export/not-a-layout"),
        (
            "another version",
            |d| fs::write(d.join("oci-layout"), r#"{"imageLayoutVersion":"2.0.0"}"#).unwrap(),
            "export/layout-version",
        ),
        (
            "an index that is none",
            |d| {
                fs::write(d.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
                fs::write(d.join("index.json"), r#"{"schemaVersion":2,"layers":[]}"#).unwrap();
            },
            "export/invalid-index",
        ),
        (
            "blobs in the way",
            |d| {
                fs::write(d.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
                fs::write(d.join("blobs"), "").unwrap();
            },
            "store/io",
        ),
    ];
    for (i, (name, prepare, code)) in cases.into_iter().enumerate() {
        let out = dir.path().join(format!("case-{i}"));
        fs::create_dir(&out).unwrap();
        prepare(&out);
        let before = fs::read(out.join("index.json")).ok();
        let error = oci_layout::write(&out, &artifact, None).unwrap_err();
        assert_eq!(error.code(), code, "{name}: {error}");
        assert_eq!(fs::read(out.join("index.json")).ok(), before, "{name}");
    }
    // What a killed writer has left is no obstacle.
    let out = dir.path().join("interrupted");
    fs::create_dir(&out).unwrap();
    fs::write(out.join(".oci-layout.abc"), "{").unwrap();
    oci_layout::write(&out, &artifact, None).unwrap();
    oci_layout::read(&out, None, Verify::Everything).unwrap();
}

#[test]
fn names_follow_the_specification() {
    let (dir, store) = support::store();
    let artifact = image(&store, "x");
    for (i, name) in
        ["v1", "1.2.3-rc1", "docker.io/library/x:1", "a--b", "v1+cuda@x"].iter().enumerate()
    {
        let out = dir.path().join(format!("good-{i}"));
        oci_layout::write(&out, &artifact, Some(name)).unwrap();
        assert_eq!(ref_names(&out), [Some((*name).to_owned())]);
    }
    for name in ["", " ", "-a", "a-", "a//b", "/a", "a/", "a b", "a..b", "é", "a\nb", "a---b"] {
        let error = oci_layout::write(&dir.path().join("bad"), &artifact, Some(name)).unwrap_err();
        assert_eq!(error.code(), "export/invalid-name", "{name:?}");
        assert!(!dir.path().join("bad").exists());
    }
}

#[test]
fn incomplete_and_damaged_images_are_not_written() {
    let (dir, store) = support::store();
    let reference: Reference = "localhost:5000/x:1".parse().unwrap();
    let layer_of = |a: &Artifact| {
        a.blobs.values().find(|b| b.descriptor.media_type.is_layer()).unwrap().descriptor.clone()
    };
    let mut missing = image(&store, "missing");
    missing.blobs.remove(&layer_of(&missing).digest);
    let mut elsewhere = image(&store, "elsewhere");
    let layer = layer_of(&elsewhere);
    elsewhere.blobs.get_mut(&layer.digest).unwrap().location = BlobLocation::Registry(reference);
    let mut wrong = image(&store, "wrong");
    let root = wrong.root.digest;
    let bytes = wrong.document(&root).unwrap().to_vec();
    wrong.blobs.get_mut(&root).unwrap().location =
        BlobLocation::Memory([&bytes[..], b" "].concat().into());
    let damaged = image(&store, "damaged");
    let path = store.blob_path(&layer_of(&damaged).digest);
    let size = fs::metadata(&path).unwrap().len() as usize;
    fs::remove_file(&path).unwrap();
    fs::write(&path, vec![0; size]).unwrap();
    let gone = image(&store, "gone");
    store.remove(&layer_of(&gone).digest).unwrap();

    for (artifact, code) in [
        (missing, "export/incomplete"),
        (elsewhere, "export/not-fetched"),
        (wrong, "export/corrupt"),
        (damaged, "export/corrupt"),
        (gone, "store/io"),
    ] {
        let out = tempfile::tempdir_in(dir.path()).unwrap();
        let target = out.path().join("layout");
        let error = oci_layout::write(&target, &artifact, None).unwrap_err();
        assert_eq!(error.code(), code, "{error}");
        assert!(!target.join("index.json").exists());
        for name in ["oci.tar", "docker.tar"] {
            let file = out.path().join(name);
            let error = match name {
                "oci.tar" => oci_archive::write(&file, &artifact, None),
                _ => docker_archive::write(&file, &artifact, None),
            };
            assert_eq!(error.unwrap_err().code(), code, "{name}");
            assert!(!file.exists());
        }
        let left: Vec<String> = names(out.path()).into_iter().filter(|n| n != "layout").collect();
        assert!(left.is_empty(), "{left:?}");
    }
}

/// The entries of an archive: path and content.
fn entries(path: &Path) -> Vec<(String, Vec<u8>)> {
    let mut tar = LayerReader::new(fs::File::open(path).unwrap()).unwrap();
    let mut found = vec![];
    while let Some((entry, mut content)) = tar.next_entry().unwrap() {
        let mut bytes = vec![];
        content.read_to_end(&mut bytes).unwrap();
        found.push((entry.path.to_string(), bytes));
    }
    found
}

#[test]
fn archives_are_deterministic_and_sorted() {
    let (dir, store) = support::store();
    let artifact = image(&store, "same");
    let (a, b) = (dir.path().join("a.tar"), dir.path().join("b.tar"));
    oci_archive::write(&a, &artifact, Some("v1")).unwrap();
    let mut stream = vec![];
    oci_archive::write_to(&mut stream, Path::new("stdout"), &artifact, Some("v1")).unwrap();
    assert!(fs::read(&a).unwrap() == stream);
    let paths: Vec<String> = entries(&a).into_iter().map(|e| e.0).collect();
    let mut sorted = paths.clone();
    sorted.sort();
    assert_eq!(paths, sorted);

    let reference: Reference = "ghcr.io/me/app:v1".parse().unwrap();
    docker_archive::write(&a, &artifact, Some(&reference)).unwrap();
    docker_archive::write(&b, &artifact, Some(&reference)).unwrap();
    assert!(fs::read(&a).unwrap() == fs::read(&b).unwrap());
}

#[test]
fn archives_go_where_they_are_sent() {
    let (dir, store) = support::store();
    let artifact = image(&store, "x");
    let (file, link, pipe) = (dir.path().join("f"), dir.path().join("l"), dir.path().join("p"));
    fs::write(&file, "old").unwrap();
    std::os::unix::fs::symlink(&file, &link).unwrap();
    oci_archive::write(&link, &artifact, None).unwrap();
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    let expected = fs::read(&file).unwrap();
    assert!(expected.len() > 1024);

    support::run("mkfifo", &[pipe.to_str().unwrap()]);
    let found = std::thread::scope(|scope| {
        let reader = scope.spawn(|| fs::read(&pipe).unwrap());
        oci_archive::write(&pipe, &artifact, None).unwrap();
        reader.join().unwrap()
    });
    assert!(found == expected);
    assert!(!fs::symlink_metadata(&pipe).unwrap().is_file());

    for target in [dir.path().to_owned(), dir.path().join("no/such/directory")] {
        let error = oci_archive::write(&target, &artifact, None).unwrap_err();
        assert!(error.to_string().contains(target.to_str().unwrap()), "{error}");
    }
}

#[test]
fn a_docker_archive_names_its_image_as_docker_would() {
    let (dir, store) = support::store();
    let artifact = image(&store, "x");
    let file = dir.path().join("image.tar");
    let digest = Digest::of("d");
    for (reference, tags) in [
        (None, "[]".to_owned()),
        (Some("app".to_owned()), r#"["app:latest"]"#.to_owned()),
        (Some("ghcr.io/me/app:v1".to_owned()), r#"["ghcr.io/me/app:v1"]"#.to_owned()),
        (Some(format!("app:v2@{digest}")), r#"["app:v2"]"#.to_owned()),
        (Some(format!("app@{digest}")), "[]".to_owned()),
    ] {
        let reference: Option<Reference> = reference.map(|r| r.parse().unwrap());
        docker_archive::write(&file, &artifact, reference.as_ref()).unwrap();
        let manifest = entries(&file).into_iter().find(|e| e.0 == "manifest.json").unwrap().1;
        let manifest = String::from_utf8(manifest).unwrap();
        assert!(manifest.contains(&format!("\"RepoTags\":{tags}")), "{manifest}");
    }
}

#[test]
fn a_docker_archive_holds_one_platform() {
    let (dir, store) = support::store();
    let file = dir.path().join("image.tar");
    let host = Platform::host().to_string();
    for (platforms, works) in [
        (vec!["linux/s390x", &host], true),
        (vec!["linux/s390x"], true),
        (vec!["linux/s390x", "linux/riscv64"], false),
    ] {
        let result = docker_archive::write(&file, &index(&store, &platforms), None);
        match result {
            Ok(()) => assert!(works),
            Err(error) => {
                assert!(!works);
                assert!(matches!(error, ExportError::NoPlatform { .. }));
                assert!(error.to_string().ends_with("only for linux/s390x, linux/riscv64"));
            }
        }
    }
}

#[test]
fn a_docker_archive_has_no_zstd() {
    let (dir, store) = support::store();
    let layer = support::layer(&store, Compression::Zstd, "zstd");
    let artifact = support::image_of(&store, Platform::host(), std::slice::from_ref(&layer));
    let file = dir.path().join("image.tar");
    docker_archive::write(&file, &artifact, None).unwrap();
    let name = format!("{}.tar", layer.diff_id.0.hex());
    let tar = entries(&file).into_iter().find(|e| e.0 == name).unwrap().1;
    assert_eq!(Digest::of(tar), layer.diff_id.0);

    // A config that says another diff id is found out.
    let lie = tierce_layer::LayerInfo { diff_id: tierce_oci::DiffId(Digest::of("lie")), ..layer };
    let artifact = support::image_of(&store, Platform::host(), &[lie]);
    let error = docker_archive::write(&file, &artifact, None).unwrap_err();
    assert_eq!(error.code(), "export/corrupt");
}
