//! The constructors and methods: what they make, and what they refuse.

use std::path::Path;
use tierce_flyte::{
    CloneOptions, DebianOptions, FlyteError, FlyteImage, Host, InstallMode, InstallOptions, Layer,
    PixiOptions, ScriptOptions, SourceKind,
};
use tierce_oci::{Diagnostic, Platform};
use tierce_spec::{CopyStyle, Secret};

fn host() -> Host {
    Host::new("3.12".parse().unwrap())
}

fn debian() -> FlyteImage {
    FlyteImage::from_debian_base(DebianOptions::new().with_install_flyte(false), &host())
}

fn options() -> InstallOptions {
    InstallOptions::default()
}

#[test]
fn debian_bases_are_those_of_flytes_releases() {
    let plain = DebianOptions::new;
    for (options, host, base, name, is_cloned) in [
        (
            plain(),
            host().with_flyte("2.12.1"),
            Some("ghcr.io/flyteorg/flyte:py3.12-v2.12.1"),
            "flyte",
            false,
        ),
        (plain(), host(), None, "tierce", false),
        (
            plain().with_flyte_version("2.0.0"),
            host(),
            Some("ghcr.io/flyteorg/flyte:py3.12-v2.0.0"),
            "flyte",
            false,
        ),
        (
            plain().with_flyte_version("v2.0.0+x").with_python_version("3.10".parse().unwrap()),
            host().with_flyte("1"),
            Some("ghcr.io/flyteorg/flyte:py3.10-v2.0.0-x"),
            "flyte",
            false,
        ),
        (plain().with_install_flyte(false), host().with_flyte("2.12.1"), None, "tierce", false),
        (
            plain().with_name("mine"),
            host().with_flyte("2.12.1"),
            Some("ghcr.io/flyteorg/flyte:py3.12-v2.12.1"),
            "mine",
            true,
        ),
        // No release: the one before it is installed.
        (plain(), host().with_flyte("2.13.0.dev4+g1"), None, "flyte", true),
    ] {
        let image = FlyteImage::from_debian_base(options.clone(), &host);
        assert_eq!(image.base_image.as_deref(), base, "{options:?}");
        assert_eq!(image.name.as_deref(), Some(name), "{options:?}");
        assert_eq!(image.is_cloned, is_cloned, "{options:?}");
        assert!(image.extendable);
    }
    let development = FlyteImage::from_debian_base(plain(), &host().with_flyte("2.13.0.dev4+g1"));
    assert_eq!(development.layers[0].describe(), "pip flyte<2.13.0");
}

#[test]
fn registries_are_the_images_own_or_the_users() {
    let host = host().with_registry("ghcr.io/me");
    let image = |options| FlyteImage::from_debian_base(options, &host);
    assert_eq!(image(DebianOptions::new()).registry.as_deref(), Some("ghcr.io/me"));
    let other = image(DebianOptions::new().with_registry("localhost:5000"));
    assert_eq!((other.registry.as_deref(), other.is_cloned), (Some("localhost:5000"), true));
}

#[test]
fn a_secret_alone_is_kept_and_changes_nothing() {
    let secret = Secret::new("token");
    let options = DebianOptions { registry_secret: Some(secret.clone()), ..DebianOptions::new() };
    let image = FlyteImage::from_debian_base(options, &host().with_flyte("2.12.1"));
    assert_eq!((image.registry_secret.as_ref(), image.is_cloned), (Some(&secret), false));
    let more = image.with_workdir("/app").unwrap().clone_with(CloneOptions::new()).unwrap();
    assert_eq!(more.registry_secret, Some(secret));
}

#[test]
fn layers_need_an_image_that_is_extendable_and_named() {
    let base = FlyteImage::from_base("python:3.12-slim", &host()).unwrap();
    let dockerfile = FlyteImage::from_dockerfile("Dockerfile", "ghcr.io/me", "own", [], &host());
    let extendable = base.clone_with(CloneOptions::new().with_extendable(true)).unwrap();
    for (image, code, text) in [
        (
            &base,
            "flyte/not-extendable",
            "with_workdir can't add a layer to the image \"python:3.12-slim\": it is not extendable",
        ),
        (
            &extendable,
            "flyte/no-name",
            "with_workdir can't add a layer to the image \"python:3.12-slim\": it has no name",
        ),
        (
            &dockerfile,
            "flyte/dockerfile-layers",
            "with_workdir can't add a layer to what Dockerfile makes",
        ),
    ] {
        let error = image.with_workdir("/app").unwrap_err();
        assert_eq!((error.code(), error.to_string().as_str()), (code, text));
        assert!(error.hint().is_some(), "{error}");
    }
    let named = CloneOptions::new().with_name("app").with_extendable(true);
    let image = base.clone_with(named).unwrap().with_workdir("/app").unwrap();
    assert_eq!(image.layers, [Layer::Workdir { workdir: "/app".to_owned() }]);
    assert!(image.is_cloned && !base.is_cloned);
    // A name given together with the layer counts.
    let both = CloneOptions {
        name: Some("app".to_owned()),
        addl_layer: Some(Layer::Workdir { workdir: "/".to_owned() }),
        ..CloneOptions::new()
    };
    assert!(extendable.clone_with(both).is_ok());
    assert_eq!(FlyteImage::from_base("  ", &host()).unwrap_err().code(), "flyte/no-base");
}

#[test]
fn clones_keep_what_is_not_said_and_lose_flytes_name() {
    let image = FlyteImage { uri: Some("r/n:t".to_owned()), ..debian() };
    let image = image.clone_with(CloneOptions::new()).unwrap();
    assert_eq!((image.uri.as_deref(), image.is_cloned), (None, true));
    assert_eq!(image.python_version, debian().python_version);
    let clone = image
        .clone_with(CloneOptions {
            python_version: Some("3.10".parse().unwrap()),
            platform: vec![Platform::linux("arm64")],
            name: Some(String::new()),
            base_image: Some("debian:12".to_owned()),
            ..CloneOptions::new()
        })
        .unwrap();
    assert_eq!(clone.platform, [Platform::linux("arm64")]);
    assert_eq!(clone.python_version.to_string(), "3.10");
    assert_eq!(clone.base_image.as_deref(), Some("debian:12"));
    assert_eq!(clone.name, image.name, "an empty name is none");
}

#[test]
fn methods_make_layers() {
    let image = debian();
    let mode = InstallMode::DependenciesOnly;
    let pixi = PixiOptions::default;
    for (made, expected) in [
        (image.with_pip_packages(["numpy", "pandas"], options()), "pip numpy pandas"),
        (
            image.with_requirements("a/requirements.txt", options()),
            "requirements a/requirements.txt",
        ),
        (image.with_uv_project("app/pyproject.toml", None, mode, options()), "uv project app"),
        (
            image.with_uv_project("pyproject.toml", None, InstallMode::InstallProject, options()),
            "uv project . itself",
        ),
        (
            image.with_poetry_project("app/pyproject.toml", None, mode, None, []),
            "poetry project app",
        ),
        (
            image.with_pixi_project("app/pixi.toml", None, mode, pixi()),
            "pixi project app (default)",
        ),
        (image.with_apt_packages(["git"], [Secret::new("t")]), "apt git with t"),
        (image.with_commands(["echo a\n b", "c"], []), "run echo a b and 1 more"),
        (image.with_env_vars([("A", "1"), ("B", "2")]), "env A B"),
        (image.with_workdir("/app"), "workdir /app"),
        (image.with_source_folder("src/app", ".", false), "copy src/app to ./app"),
        (image.with_source_folder("src/app", ".", true), "copy src/app to ."),
        (image.with_source_folder("src/app", "/x", false), "copy src/app to /x"),
        (image.with_source_folder(".", ".", false), "copy . to ."),
        (image.with_source_file("a.py", "."), "copy a.py to ."),
        (image.with_code_bundle(CopyStyle::All, "."), "code, all, to ."),
        (image.with_dockerignore("own.dockerignore"), "dockerignore own.dockerignore"),
        (
            image.with_local_rs_controller(Path::new("rs/dist")),
            "wheel flyte_controller_base of rs/dist",
        ),
    ] {
        assert_eq!(made.unwrap().layers.last().unwrap().describe(), expected);
    }
    let poetry = image.with_poetry_project("app/pyproject.toml", None, mode, None, []).unwrap();
    assert!(
        matches!(&poetry.layers[0], Layer::PoetryProject { lock, .. } if lock == Path::new("app/poetry.lock"))
    );
}

#[test]
fn descriptions_show_no_credentials() {
    let options = InstallOptions {
        index_url: Some("https://me:hunter2@pypi.example/simple".to_owned()),
        extra_args: Some("--find-links https://me:hunter2@h/x".to_owned()),
        ..options()
    };
    let image = debian().with_pip_packages(["a @ https://me:hunter2@h/a.whl"], options).unwrap();
    let shown = format!("{} {:?}", image.layers[0], image);
    assert!(!shown.contains("hunter2"), "{shown}");
    assert!(shown.contains("pypi.example"), "{shown}");
    for url in ["https://me:hunter2@h.example/simple", "me:hunter2@h.example/simple"] {
        let index = InstallOptions {
            index_url: Some(url.to_owned()),
            extra_index_urls: vec![url.to_owned()],
            extra_args: Some(format!("--find-links={url}")),
            ..InstallOptions::default()
        };
        let image = debian().with_pip_packages(["a"], index).unwrap();
        let image = image.with_commands([format!("pip install -i '{url}' b")], []).unwrap();
        let shown = format!("{} {} {:?}", image.layers[0], image.layers[1], image);
        assert!(!shown.contains("hunter2"), "{shown}");
        assert!(shown.contains("h.example/simple"), "{shown}");
    }
    let many: Vec<String> = (0..20).map(|n| format!("package{n}")).collect();
    let image = debian().with_pip_packages(many, InstallOptions::default()).unwrap();
    assert!(image.layers[0].describe().ends_with("and 14 more"), "{}", image.layers[0]);
}

#[test]
fn files_of_one_name_can_not_go_to_one_folder() {
    let image = debian();
    let error = image.with_source_files(["a/x.py", "b/x.py", "y.py"], "/app").unwrap_err();
    assert_eq!(
        error.to_string(),
        "with_source_file: several files are called x.py, and all go to \"/app\""
    );
    let image = image.with_source_files(["a/x.py", "y.py"], "/app").unwrap();
    assert!(
        image.layers.iter().all(
            |l| matches!(l, Layer::Source { kind: SourceKind::File, dst, .. } if dst == "/app/")
        )
    );
}

#[test]
fn what_is_not_what_it_is_said_to_be_is_refused() {
    let (image, none) = (debian(), || ScriptOptions::new("s"));
    let errors: Vec<FlyteError> = vec![
        image.with_requirements("poetry.lock", options()).unwrap_err(),
        image
            .with_pixi_project("x.toml", None, InstallMode::default(), PixiOptions::default())
            .unwrap_err(),
        FlyteImage::from_uv_script("s.sh", none(), options(), &host()).unwrap_err(),
        FlyteImage::from_pixi_script("s", none(), PixiOptions::default(), &host()).unwrap_err(),
        image.with_local_v2_plugins(Path::new("dist"), ["flyteplugins-a", "b"]).unwrap_err(),
        image
            .with_local_v2(
                Path::new("dist"),
                ["flyteidl2-1-py3-none-any.whl", "flyteidl2-2-py3-none-any.whl"],
            )
            .unwrap_err(),
    ];
    let codes: Vec<&str> = errors.iter().map(Diagnostic::code).collect();
    assert_eq!(
        codes,
        [
            "flyte/not-requirements",
            "flyte/not-a-pixi-manifest",
            "flyte/not-a-script",
            "flyte/not-a-script",
            "flyte/not-a-plugin",
            "flyte/many-wheels",
        ]
    );
}

#[test]
fn local_wheels_have_a_layer_for_each_package() {
    let dist = Path::new("dist");
    let names = ["flyte-2-py3-none-any.whl", "flyteidl2-1-py3-none-any.whl", "notes.txt"];
    let image = debian().with_local_v2(dist, names).unwrap();
    let image = image.with_local_v2_plugins(dist, ["flyteplugins-hitl"]).unwrap();
    let lines: Vec<String> = image.layers.iter().map(Layer::describe).collect();
    assert_eq!(
        lines,
        ["wheel flyte of dist", "wheel flyteidl2 of dist", "wheel flyteplugins_hitl of dist"]
    );
    assert_eq!(debian().with_local_v2(dist, ["flyte-2-py3-none-any.whl"]).unwrap().layers.len(), 1);
}

#[test]
fn json_has_flytes_names() {
    let image: FlyteImage = serde_json::from_str(
        r#"{
            "base_image": "python:3.12-slim-bookworm", "registry": "ghcr.io/me", "name": "app",
            "platform": ["linux/amd64", "linux/arm64"], "python_version": "3.12",
            "extendable": true, "is_cloned": true, "uri": "ghcr.io/me/app:abc",
            "layers": [
                {"layer": "pip_packages", "packages": ["a"], "options": {"pre": true}},
                {"layer": "env", "vars": [["A", "1"]]},
                {"layer": "source", "kind": "folder", "src": "src", "dst": "./src"},
                {"layer": "uv_project", "pyproject": "pyproject.toml", "mode": "install_project"}
            ]
        }"#,
    )
    .unwrap();
    assert_eq!(image.platform, [Platform::linux("amd64"), Platform::linux("arm64")]);
    let again: FlyteImage = serde_json::from_value(serde_json::to_value(&image).unwrap()).unwrap();
    assert_eq!(again, image);
    let error = serde_json::from_str::<FlyteImage>(r#"{"python_version": "3.12", "tag": "x"}"#);
    assert!(error.unwrap_err().to_string().contains("unknown field `tag`"));
}
