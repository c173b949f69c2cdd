//! Images in Flyte's words: which programs of this machine they get.

use std::fs;
use std::path::{Path, PathBuf};
use tierce::config::Environment;
use tierce::flyte::{
    DebianOptions, FlyteImage, Host, InstallMode, InstallOptions, Layer, LocalPackage,
};
use tierce::fronts::{Front, flyte_unfetched};
use tierce::spec::Step;
use tierce::{BuildOptions, Settings, offline};

/// A machine with a store and a uv of its own, which is not the one for images.
fn machine(root: &Path) -> Settings {
    let path = |name: &str| root.join(name).to_str().unwrap().to_owned();
    fs::create_dir_all(root.join("bin")).unwrap();
    fs::write(root.join("bin/uv"), format!("#!/bin/sh\necho uv of {}\n", root.display())).unwrap();
    let (home, store, bin) = (path("home"), path("store"), path("bin"));
    let variables =
        [("HOME", home.as_str()), ("TIERCE_STORE", store.as_str()), ("PATH", bin.as_str())];
    Settings::from_environment(&Environment::from_variables(variables)).unwrap()
}

fn image() -> FlyteImage {
    let host = Host::new("3.11".parse().unwrap());
    FlyteImage::from_debian_base(DebianOptions::new().with_name("app"), &host)
}

/// An image that Flyte named, whose command may call uv.
fn flytes() -> FlyteImage {
    let commands = image().with_commands(["uv --version"], []).unwrap();
    FlyteImage {
        base_image: Some("python:3.11-slim-bookworm".to_owned()),
        is_cloned: true,
        uri: Some("ghcr.io/me/app:0123".to_owned()),
        ..commands
    }
}

/// Where the image has its uv from.
fn uv(front: &Front) -> Option<PathBuf> {
    front.image.steps().iter().find_map(|step| match step {
        Step::SourceFile(file) if file.dst == "/usr/bin/uv" => Some(file.src.clone()),
        _ => None,
    })
}

#[test]
fn the_uv_in_images_is_not_the_one_that_is_installed() {
    let temp = tempfile::tempdir().unwrap();
    let root = temp.path().join("project");
    fs::create_dir(&root).unwrap();
    let name = |machine_name: &str| {
        let machine_root = temp.path().join(machine_name);
        let settings = machine(&machine_root);
        let front = flyte_unfetched(&flytes(), &root, &settings).unwrap();
        let program = uv(&front).unwrap();
        assert!(program.starts_with(machine_root.join("store")), "{}", program.display());
        assert!(front.wants_uv, "it has to be fetched");
        fs::write(&program, "the pinned one").unwrap();
        let front = flyte_unfetched(&flytes(), &root, &settings).unwrap();
        assert!(!front.wants_uv, "it was fetched");
        let options = BuildOptions { root: root.clone(), ..BuildOptions::default() };
        offline(&settings).prepare(&front.image, &options).unwrap().key
    };
    assert_eq!(name("one"), name("other"), "a machine has no say in what an image is");
}

#[test]
fn nothing_is_fetched_that_nobody_calls() {
    let temp = tempfile::tempdir().unwrap();
    let settings = machine(temp.path());
    let packages = image().with_pip_packages(["six"], InstallOptions::default()).unwrap();
    let (mode, options) = (InstallMode::InstallProject, InstallOptions::default());
    let lock = Some("uv.lock".into());
    let project = image().with_uv_project("pyproject.toml", lock, mode, options).unwrap();
    for image in [packages, project] {
        let front = flyte_unfetched(&image, temp.path(), &settings).unwrap();
        assert!(!front.wants_uv);
        assert_eq!(uv(&front), None);
        assert!(!settings.store.exists(), "nor is a store made for it");
    }
}

#[test]
fn what_images_install_of_this_machine_is_written_down_for_them() {
    let temp = tempfile::tempdir().unwrap();
    let settings = machine(temp.path());
    let packages = vec![LocalPackage {
        name: "own".to_owned(),
        version: "1".to_owned(),
        path: "/src/own".into(),
        sha256: None,
    }];
    let image = FlyteImage { layers: vec![Layer::LocalPackages { packages }], ..image() };
    for _ in 0..2 {
        let front = flyte_unfetched(&image, temp.path(), &settings).unwrap();
        let [Step::Project(project)] = front.image.steps() else { panic!("{:?}", front.image) };
        assert!(project.manifest.starts_with(&settings.store), "{}", project.manifest.display());
        let text = fs::read_to_string(&project.manifest).unwrap();
        assert!(text.contains("directory = { path = \"/src/own\" }"), "{text}");
    }
}
