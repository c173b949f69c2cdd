//! What can be done with a spec: ids, tags, names, changes, and specs of environments.

use proptest::prelude::*;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use tierce_imagespec::{
    BaseImage, Field, Fields, ImageSpec, InstalledPackage, KnownAs, Running, SecretMount,
    SourceCopyMode, Surroundings, from_env,
};
use tierce_oci::{Diagnostic, Platform};
use tierce_spec::{ImageKey, Inputs};

fn spec(fields: Fields) -> ImageSpec {
    ImageSpec::new(fields).unwrap_or_else(|error| panic!("{error}"))
}

/// The key of a spec that reads nothing of the host.
fn key(spec: &ImageSpec) -> ImageKey {
    let lowered = spec.lower(&Surroundings::default()).unwrap();
    lowered.image.resolve(&Inputs::new(Platform::linux("amd64"))).unwrap().key()
}

/// A spec for each field that says something there, and nothing elsewhere.
fn each() -> Vec<(Field, Fields)> {
    let list = || vec!["a".to_owned()];
    let text = || Some("a".to_owned());
    let options = || BTreeMap::from([("a".to_owned(), json!({"b": [1, "1", null, true]}))]);
    let f = Fields::default;
    let url = || "https://a.example/".parse().unwrap();
    let specs = vec![
        Fields { name: "a".into(), ..f() },
        Fields { registry: text(), ..f() },
        Fields { builder: text(), ..f() },
        Fields { platform: vec![Platform::linux("arm64")], ..f() },
        Fields { python_version: Some("3.12".parse().unwrap()), ..f() },
        Fields { python_exec: Some("/a".into()), ..f() },
        Fields { base_image: Some("a".into()), ..f() },
        Fields { packages: list(), ..f() },
        Fields { conda_packages: list(), ..f() },
        Fields { conda_channels: list(), ..f() },
        Fields { requirements: Some("a".into()), ..f() },
        Fields { apt_packages: list(), ..f() },
        Fields { cuda: text(), ..f() },
        Fields { cudnn: text(), ..f() },
        Fields { pip_index: Some(url()), ..f() },
        Fields { pip_extra_index_url: vec![url()], ..f() },
        Fields {
            pip_secret_mounts: vec![SecretMount { src: "a".into(), dst: "/a".into() }],
            ..f()
        },
        Fields { pip_extra_args: text(), ..f() },
        Fields { env: BTreeMap::from([("a".into(), "a".into())]), ..f() },
        Fields { entrypoint: Some(list()), ..f() },
        Fields { commands: list(), ..f() },
        Fields { source_root: Some("a".into()), ..f() },
        Fields { source_copy_mode: Some(SourceCopyMode::NoCopy), ..f() },
        Fields { copy: vec!["a".into()], ..f() },
        Fields { runtime_packages: list(), ..f() },
        Fields { registry_config: Some("a".into()), ..f() },
        Fields { tag_format: text(), ..f() },
        Fields { builder_options: options(), ..f() },
        Fields { builder_config: options(), ..f() },
    ];
    assert_eq!(specs.len(), Field::ALL.len());
    Field::ALL.into_iter().zip(specs).collect()
}

/// What decides nothing about the image, and so is in no id.
const NOT_IN_THE_ID: [Field; 4] =
    [Field::Builder, Field::PipSecretMounts, Field::RuntimePackages, Field::RegistryConfig];

#[test]
fn every_field_that_decides_is_in_the_id() {
    let plain = spec(Fields::default()).id();
    let mut ids = BTreeSet::from([plain]);
    for (field, fields) in each() {
        assert!(fields.says(field), "{field}");
        let id = spec(fields).id();
        match NOT_IN_THE_ID.contains(&field) {
            true => assert_eq!(id, plain, "{field}"),
            false => assert!(ids.insert(id), "{field}"),
        }
    }
}

#[test]
fn what_looks_alike_has_other_ids() {
    let f = Fields::default;
    let list = |items: &[&str]| items.iter().map(|i| (*i).to_owned()).collect::<Vec<_>>();
    let env = |pairs: &[(&str, &str)]| {
        let pairs = pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned()));
        Fields { env: pairs.collect(), ..f() }
    };
    let options = |value| Fields { builder_options: BTreeMap::from([("a".into(), value)]), ..f() };
    let base = |fields: Fields| Fields { base_image: Some(spec(fields).into()), ..f() };
    let specs = [
        Fields { packages: list(&["ab", "c"]), ..f() },
        Fields { packages: list(&["a", "bc"]), ..f() },
        Fields { packages: list(&["c", "ab"]), ..f() },
        Fields { packages: list(&["curl"]), ..f() },
        Fields { apt_packages: list(&["curl"]), ..f() },
        Fields { conda_packages: list(&["curl"]), ..f() },
        Fields { copy: vec!["a/b".into()], ..f() },
        Fields { copy: vec!["ab".into()], ..f() },
        Fields { entrypoint: Some(vec![]), ..f() },
        f(),
        env(&[("a", "bc")]),
        env(&[("ab", "c")]),
        env(&[("a", "b"), ("c", "d")]),
        options(json!(1)),
        options(json!("1")),
        options(json!([1])),
        options(json!({"number": "1"})),
        options(json!({"a": 1})),
        options(json!(null)),
        options(json!([])),
        options(json!({})),
        options(json!(true)),
        Fields { builder_config: BTreeMap::from([("a".into(), json!(1))]), ..f() },
        base(f()),
        base(Fields { packages: list(&["curl"]), ..f() }),
        Fields { base_image: Some(BaseImage::Reference(spec(f()).id().to_string())), ..f() },
    ];
    let ids: BTreeSet<_> = specs.iter().map(|fields| spec(fields.clone()).id()).collect();
    assert_eq!(ids.len(), specs.len());
}

#[test]
fn credentials_are_in_no_id_and_no_debug_text() {
    let with = |user: &str| {
        spec(Fields {
            pip_index: Some(format!("https://{user}@pypi.example.com/simple").parse().unwrap()),
            pip_extra_index_url: vec![
                format!("https://{user}@extra.example.com/").parse().unwrap(),
            ],
            packages: vec![format!("a @ https://{user}@git.example.com/a.whl")],
            pip_extra_args: Some(format!("--find-links https://{user}@links.example.com/")),
            ..Fields::default()
        })
    };
    let (mine, theirs) = (with("me:hunter2"), with("you:swordfish"));
    assert_eq!(mine.id(), theirs.id());
    assert!(!format!("{mine:?}").contains("hunter2"), "{mine:?}");
    assert!(format!("{mine:?}").contains("pypi.example.com"), "{mine:?}");
}

#[test]
fn golden_ids() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let known = std::fs::read_to_string(folder.join("IDS")).unwrap();
    let mut known: BTreeMap<&str, &str> =
        known.lines().map(|line| line.split_once(' ').unwrap()).collect();
    let mut files: Vec<_> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".yaml"))
        .collect();
    files.sort();
    for name in files {
        let text = std::fs::read_to_string(folder.join(&name)).unwrap();
        let spec = ImageSpec::from_yaml(&text, &name).unwrap_or_else(|error| panic!("{error}"));
        let id = spec.id().to_string();
        assert_eq!(known.remove(name.as_str()), Some(id.as_str()), "{name} {id}");
    }
    assert_eq!(known, BTreeMap::new(), "lines without a file");
}

#[test]
fn changes_make_new_specs_that_stay_forced() {
    let plain = spec(Fields { packages: vec!["a".into()], ..Fields::default() });
    let forced = plain.force_push();
    assert!(forced.is_forced() && !plain.is_forced());
    assert_eq!(forced.id(), plain.id());
    let changed = forced
        .with_packages(["b"])
        .with_apt_packages(["git"])
        .with_commands(["c"])
        .with_copy(["d"])
        .with_runtime_packages(["e"])
        .with_builder_options([("flytekit", json!(false))])
        .with_builder_options([("flytekit", json!(true)), ("user", json!("root"))]);
    assert!(changed.is_forced());
    assert!(changed.lower(&Surroundings::default()).unwrap().force);
    let fields = changed.fields();
    assert_eq!(fields.packages, ["a", "b"]);
    assert_eq!(fields.apt_packages, ["git"]);
    assert_eq!(fields.commands, ["c"]);
    assert_eq!(fields.copy, [std::path::Path::new("d")]);
    assert_eq!(fields.runtime_packages, ["e"]);
    assert_eq!(fields.builder_options["flytekit"], json!(true));
    assert_eq!(fields.builder_options["user"], json!("root"));
    assert_eq!(plain.fields().packages, ["a"]);
    // What is added is checked when it is used.
    let broken = plain.with_copy(["../a"]).lower(&Surroundings::default()).unwrap_err();
    assert_eq!(broken.code(), "imagespec/invalid-copy");
    // The environment may force all.
    let forcing = Surroundings { force: true, ..Surroundings::default() };
    assert!(plain.lower(&forcing).unwrap().force);
}

#[test]
fn tags_and_names() {
    let of = |tag_format: Option<&str>, registry: Option<&str>| {
        spec(Fields {
            tag_format: tag_format.map(str::to_owned),
            registry: registry.map(str::to_owned),
            ..Fields::default()
        })
    };
    let plain = of(None, None);
    let hash = key(&plain).tag();
    assert_eq!(plain.tag(&key(&plain)).unwrap(), hash);
    assert_eq!(plain.image_name(&key(&plain)).unwrap(), format!("flytekit:{hash}"));
    for (format, expected) in [
        ("{spec_hash}", "HASH"),
        ("{spec_hash}-dev", "HASH-dev"),
        ("v1-{spec_hash}", "v1-HASH"),
        ("{spec_hash}{spec_hash}", "HASHHASH"),
        ("fixed", "fixed"),
        ("{{spec_hash}}", "{spec_hash}"),
    ] {
        let spec = of(Some(format), Some("ghcr.io/team"));
        let key = key(&plain);
        let expected = expected.replace("HASH", &key.tag());
        assert_eq!(spec.tag(&key).unwrap(), expected, "{format}");
        let name = spec.image_name(&key).unwrap();
        assert_eq!(name, format!("ghcr.io/team/flytekit:{expected}"));
        // The image goes by the same name, if that is one.
        if !expected.contains('{') {
            let image = spec.lower(&Surroundings::default()).unwrap().image;
            assert_eq!(image.reference(&key, None).unwrap().to_string(), name);
        }
    }
    for format in ["{hash}", "{spec_hash", "spec_hash}", "{spec_hash:.7}", "{}"] {
        let fields = Fields { tag_format: Some(format.into()), ..Fields::default() };
        let error = ImageSpec::new(fields).unwrap_err();
        assert_eq!(error.code(), "imagespec/invalid-tag-format", "{format}");
        assert!(error.hint().is_some());
    }
}

#[test]
fn a_container_knows_its_spec() {
    let spec = spec(Fields::default());
    let id = spec.id().to_string();
    let running = |in_execution, image_id| Running { in_execution, image_id };
    assert!(spec.is_container(running(true, Some(&id))));
    assert!(!spec.is_container(running(true, Some("sother"))));
    assert!(!spec.is_container(running(true, None)));
    assert!(spec.is_container(running(false, None)));
    let lowered = spec.lower(&Surroundings::default()).unwrap();
    let last = lowered.image.steps().last().unwrap();
    let tierce_spec::Step::Env(env) = last else { panic!("{last:?}") };
    assert_eq!(env.vars["_F_IMG_ID"], id);
}

#[test]
fn environments_are_pinned() {
    let installed = [
        InstalledPackage { name: "flytekit", version: "1.16.31" },
        InstalledPackage { name: "scikit_learn", version: "1.5.0" },
    ];
    let python = "3.12.4".parse().unwrap();
    let fields = || Fields { packages: vec!["pandas".into()], ..Fields::default() };
    let pinned = from_env(fields(), &installed, &["flytekit", "Scikit-Learn"], python).unwrap();
    assert_eq!(pinned.fields().packages, ["pandas", "flytekit==1.16.31", "Scikit-Learn==1.5.0"]);
    assert_eq!(pinned.fields().python_version.unwrap().to_string(), "3.12");
    let error = from_env(fields(), &installed, &["numpy", "flytekit", "jax"], python).unwrap_err();
    assert_eq!(error.code(), "imagespec/not-installed");
    assert_eq!(error.to_string(), "packages are not installed in this environment: numpy, jax");
    let versioned = Fields { python_version: Some(python), ..fields() };
    let error = from_env(versioned, &installed, &[], python).unwrap_err();
    assert_eq!(error.code(), "imagespec/from-env-python-version");
}

#[test]
fn what_has_to_be_looked_at() {
    let below = Fields { requirements: Some("base.txt".into()), ..Fields::default() };
    let spec = spec(Fields {
        base_image: Some(spec(below).into()),
        requirements: Some("own.txt".into()),
        copy: vec!["b".into(), "a".into()],
        ..Fields::default()
    });
    let wanted = spec.wanted();
    let text = |paths: &BTreeSet<&std::path::Path>| {
        paths.iter().map(|p| p.display().to_string()).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(
        (text(&wanted.requirements), text(&wanted.copy)),
        ("base.txt own.txt".into(), "a b".into())
    );
}

proptest! {
    /// Lists and variables that differ have other ids; the order of variables does not count.
    #[test]
    fn ids_are_those_of_what_is_said(
        one in (prop::collection::vec("[ab,]{0,2}", 0..3), prop::collection::vec(("[ab]{1,2}", "[ab]{0,2}"), 0..3)),
        other in (prop::collection::vec("[ab,]{0,2}", 0..3), prop::collection::vec(("[ab]{1,2}", "[ab]{0,2}"), 0..3)),
    ) {
        let make = |(packages, env): &(Vec<String>, Vec<(String, String)>)| {
            let fields = Fields {
                packages: packages.clone(),
                env: env.iter().cloned().collect(),
                ..Fields::default()
            };
            ImageSpec::new(fields).unwrap()
        };
        let (one, other) = (make(&one), make(&other));
        prop_assert_eq!(one == other, one.id() == other.id());
    }

    /// Any tag format is applied or refused.
    #[test]
    fn tag_formats_are_applied_or_refused(format in "[{}a]{0,4}(\\{spec_hash\\})?[{}a]{0,4}") {
        if let Ok(spec) = ImageSpec::new(Fields { tag_format: Some(format), ..Fields::default() }) {
            let plain = ImageSpec::new(Fields::default()).unwrap();
            spec.tag(&key(&plain)).unwrap();
        }
    }

    /// No text makes the reader panic.
    #[test]
    fn any_text_is_read_or_refused(text in "([a-c_ \\-\\[\\]{}:,&*!'\"#|>\n]|packages|env|name|\\PC){0,40}") {
        let _ = ImageSpec::from_yaml(&text, "a.yaml");
    }
}

#[test]
fn a_spec_may_be_known_under_names_of_others() {
    let names = KnownAs { id: "their-id".into(), tag: "their-tag".into() };
    let plain =
        ImageSpec::new(Fields { packages: vec!["six".into()], ..Fields::default() }).unwrap();
    let known = plain.known_as(names);
    let lowered = known.lower(&Surroundings::default()).unwrap();
    assert_eq!(lowered.image.tag(), Some("their-tag"));
    let inside = |id: &'static str| Running { in_execution: true, image_id: Some(id) };
    assert!(known.is_container(inside("their-id")));
    // Its own id is still what it says, and forcing it changes nothing that has a name.
    assert_eq!(known.id(), plain.id());
    assert!(known.force_push().is_container(inside("their-id")));
    // What is made of it is another spec.
    assert!(!known.with_packages(["attrs"]).is_container(inside("their-id")));
    let named = known.with_packages(["attrs"]).lower(&Surroundings::default()).unwrap();
    assert_eq!(named.image.tag(), None);
}
