//! Specs as JSON, for another process.

use serde_json::json;
use std::path::PathBuf;
use tierce_imagespec::{BaseImage, Fields, ImageSpec, KnownAs, SecretMount, SourceCopyMode};

fn spec() -> ImageSpec {
    let base = ImageSpec::new(Fields { name: "base".into(), ..Fields::default() }).unwrap();
    let base = base.known_as(KnownAs { id: "base-id".into(), tag: "base-tag".into() });
    ImageSpec::new(Fields {
        name: "report".into(),
        registry: Some("ghcr.io/team".into()),
        builder: Some("podman".into()),
        platform: vec!["linux/amd64".parse().unwrap(), "linux/arm64/v8".parse().unwrap()],
        python_version: Some("3.12".parse().unwrap()),
        base_image: Some(BaseImage::from(base)),
        packages: vec!["pandas".into()],
        requirements: Some(PathBuf::from("requirements.txt")),
        apt_packages: vec!["git".into()],
        pip_index: Some("private=https://me:hunter2@pypi.example/simple".parse().unwrap()),
        pip_extra_index_url: vec!["https://other.example/simple".parse().unwrap()],
        pip_secret_mounts: vec![SecretMount { src: "token".into(), dst: "/run/token".into() }],
        env: [("A".to_owned(), "b \"c\"\n".to_owned())].into(),
        entrypoint: Some(vec![]),
        commands: vec!["true".into()],
        source_root: Some(PathBuf::from("/src")),
        source_copy_mode: Some(SourceCopyMode::All),
        copy: vec!["data".into()],
        runtime_packages: vec!["rich".into()],
        tag_format: Some("{spec_hash}-dev".into()),
        builder_options: [("flytekit".to_owned(), json!(false))].into(),
        ..Fields::default()
    })
    .unwrap()
}

#[test]
fn a_spec_arrives_as_it_was() {
    let plain = ImageSpec::new(Fields::default()).unwrap();
    let named = spec().force_push().known_as(KnownAs { id: "x".into(), tag: "y".into() });
    for spec in [plain, spec(), spec().force_push(), named] {
        let document = serde_json::to_string(&spec).unwrap();
        let read: ImageSpec = serde_json::from_str(&document).unwrap();
        assert_eq!(read, spec);
        assert_eq!(read.id(), spec.id());
    }
    // People do not see it.
    assert!(!format!("{:?}", spec()).contains("hunter2"));
}

#[test]
fn what_a_document_leaves_out_is_the_default() {
    let read: ImageSpec = serde_json::from_value(json!({ "fields": {} })).unwrap();
    assert_eq!(read, ImageSpec::new(Fields::default()).unwrap());
    for (wrong, says) in [
        (json!({ "fields": { "packges": [] } }), "unknown field `packges`"),
        (json!({ "fields": {}, "next": 1 }), "unknown field `next`"),
        (json!({ "fields": { "pip_index": "nowhere" } }), "is not a URL"),
    ] {
        let error = serde_json::from_value::<ImageSpec>(wrong).unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
}
