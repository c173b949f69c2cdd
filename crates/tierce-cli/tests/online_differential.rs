//! Packages of Debian and of PyPI, installed by the native builder and by others from its
//! Dockerfile, on the same base.

mod support;

use std::path::{Path, PathBuf};
use support::differential::{Differences, Other, Place};
use support::{Project, Registry, Tierce, shared_store};

fn stored(tierce: Tierce) -> Tierce {
    tierce.env("TIERCE_STORE", shared_store("online-differential-store"))
}

/// A Debian base with Python, pushed; its reference.
fn base(registry: &Registry) -> String {
    let spec = "name = 'base'\nbase = { debian = 'bookworm', python = true, \
                packages = ['ca-certificates'] }\n";
    let project = Project::new(spec);
    let pushed = stored(project.tierce(["build", "--push", "--registry", registry.address()])).ok();
    pushed.line().to_owned()
}

/// The program that the native builder resolved with.
fn uv() -> PathBuf {
    let programs = shared_store("online-differential-store").join("caches/uv-program");
    let found = std::fs::read_dir(programs).expect("the store has a uv").flatten();
    found.map(|entry| entry.path()).find(|path| path.is_file()).expect("the store has a uv")
}

fn compare(other: &Other) {
    let (Some(registry), Some(place)) = (Registry::start(), Place::new()) else { return };
    let base = base(&registry);
    let mut all = Differences::with_environments();
    for (name, steps) in [
        ("apt", "apt = ['tree', 'cron=3.0*']"),
        (
            "pip",
            "pip = ['click==8.1.7', 'six==1.16.0']\nrequirements = 'requirements.txt'\n\
             run = ['python -c \"import click, six, yaml\"']",
        ),
        ("uncompiled", "bytecode = false\npip = ['six==1.16.0']"),
    ] {
        let spec = format!("name = '{name}'\nbase = '{base}'\n{steps}\n");
        let project = Project::new(&spec)
            .file("requirements.txt", "-r more.txt\n-c limits.txt\nattrs\n")
            .file("more.txt", "# by way of another file\npyyaml==6.0.2\n")
            .file("limits.txt", "attrs==24.2.0\n");
        let Some(native) = place.native_with(&project, name, stored) else { return };
        let uv = if name == "apt" { None } else { Some(uv().display().to_string()) };
        let authorities = std::env::var("SSL_CERT_FILE").ok().filter(|f| Path::new(f).is_file());
        let mut arguments = vec![];
        if let Some(uv) = &uv {
            arguments.extend(["--uv", uv]);
        }
        if let Some(file) = &authorities {
            arguments.extend(["--ca-bundle", file]);
        }
        let rendered = place.other(&project, name, other, &arguments);
        all.compare(name, &native, &rendered);
    }
    all.finish();
}

#[test]
fn buildah_installs_the_same() {
    if let Some(buildah) = Other::buildah() {
        compare(&buildah);
    }
}

#[test]
fn docker_with_buildkit_installs_the_same() {
    if let Some(docker) = Other::docker(true) {
        compare(&docker);
    }
}

#[test]
fn docker_without_buildkit_installs_the_same() {
    if let Some(docker) = Other::docker(false) {
        compare(&docker);
    }
}
