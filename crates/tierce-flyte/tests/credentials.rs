//! Passwords in what steps in the image read: images that would have them in a layer are refused.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use tierce_flyte::{
    DebianOptions, FlyteImage, Host, InstallMode, InstallOptions, Layer, PixiOptions,
    ScriptOptions, Surroundings,
};
use tierce_oci::Diagnostic;

const SECRET: &str = "https://me:hunter2@pypi.example/simple";
const VARIABLE: &str = "https://me:${TOKEN}@pypi.example/simple";

fn host() -> Host {
    Host::new("3.11".parse().unwrap())
}

fn own() -> FlyteImage {
    FlyteImage::from_debian_base(DebianOptions::new().with_name("app"), &host())
}

/// What is to be found where files have these texts: only those that the image wants are read.
fn surroundings(image: &FlyteImage, texts: &BTreeMap<PathBuf, String>) -> Surroundings {
    let mut read = BTreeMap::new();
    let mut asked = BTreeSet::new();
    while let Some(path) = image.wanted(&read).into_iter().find(|p| asked.insert(p.clone())) {
        if let Some(text) = texts.get(&path) {
            read.insert(path, text.clone());
        }
    }
    Surroundings { texts: read, uv: Some("/host/uv".into()), ..Surroundings::default() }
}

/// The image is refused where one of the files has a password, and names that file; not where it
/// names a variable.
#[track_caller]
fn check(image: &FlyteImage, files: &[(&str, &str)], culprit: &str) {
    let texts = |url: &str| -> BTreeMap<PathBuf, String> {
        let text = |path: &str, text: &str| {
            let filled = if path == culprit { text.replace("URL", url) } else { text.to_owned() };
            (PathBuf::from(path), filled)
        };
        files.iter().map(|(path, of)| text(path, of)).collect()
    };
    let error = image.lower(&surroundings(image, &texts(SECRET))).unwrap_err();
    assert_eq!(error.code(), "flyte/credentials");
    let said = format!("{error} {error:?} {}", error.hint().unwrap());
    assert!(said.contains(culprit), "{said}");
    assert!(said.contains("secret_mounts") && said.contains("UV_INDEX_"), "{said}");
    assert!(!said.contains("hunter2"), "{said}");
    let lowered = image.lower(&surroundings(image, &texts(VARIABLE))).unwrap();
    lowered.image.validate().unwrap();
}

const LOCK: &str = "version = 1\n# URL\n";

#[test]
fn projects_whose_files_are_in_no_layer() {
    let mode = InstallMode::InstallProject;
    let uv = own().with_uv_project("app/pyproject.toml", None, mode, InstallOptions::default());
    let poetry = own().with_poetry_project("app/pyproject.toml", None, mode, None, []);
    for image in [uv.unwrap(), poetry.unwrap()] {
        let files = ["pyproject.toml", "uv.toml", "uv.lock", "poetry.lock"];
        let files = files.map(|name| (Path::new("app").join(name), format!("# {SECRET}\n")));
        let lowered = image.lower(&surroundings(&image, &files.into())).unwrap();
        assert!(!format!("{lowered:?}").contains("hunter2"));
    }
}

#[test]
fn projects_of_pixi() {
    let image = FlyteImage {
        layers: vec![Layer::PixiProject {
            manifest: "app/pixi.toml".into(),
            lock: None,
            environment: "default".into(),
            mode: InstallMode::DependenciesOnly,
            extra_args: None,
            secrets: vec![],
        }],
        ..own()
    };
    let manifest = "[workspace]\nchannels = ['URL']\n";
    check(&image, &[("app/pixi.toml", manifest)], "app/pixi.toml");
    check(&image, &[("app/pixi.toml", ""), ("app/pixi.lock", LOCK)], "app/pixi.lock");
    // What is installed beside it is in no layer.
    let requirements =
        Layer::Requirements { file: "requirements.txt".into(), options: InstallOptions::default() };
    let layers = image.layers.iter().cloned().chain([requirements]).collect();
    let more = FlyteImage { layers, ..image };
    assert!(!more.wanted(&BTreeMap::new()).contains(Path::new("requirements.txt")));
}

#[test]
fn scripts_of_pixi() {
    let options = PixiOptions { environment: "default".into(), extra_args: None, secrets: vec![] };
    let image =
        FlyteImage::from_pixi_script("run.py", ScriptOptions::new("script"), options, &host())
            .unwrap();
    let script = |line: &str| format!("# /// script\n# dependencies = []\n{line}# ///\n");
    let channels = script("# [tool.pixi.workspace]\n# channels = [\"URL\"]\n");
    check(&image, &[("run.py", &channels)], "run.py");
    let none = script("");
    check(&image, &[("run.py", &none), ("run.py.pixi.lock", LOCK)], "run.py.pixi.lock");
    // Only the header is in the image.
    let code = [(PathBuf::from("run.py"), format!("{none}INDEX = '{SECRET}'\n"))].into();
    let lowered = image.lower(&surroundings(&image, &code)).unwrap();
    assert!(!format!("{:?}", lowered.image.steps()).contains("hunter2"));
}

#[test]
fn requirements_that_nothing_in_the_image_reads() {
    let image = own().with_requirements("requirements.txt", InstallOptions::default()).unwrap();
    assert!(!image.wanted(&BTreeMap::new()).contains(Path::new("requirements.txt")));
}
