//! The same specification, built by the native builder and by others from its Dockerfile: the
//! file systems and the settings are equal, but for what `docs/rendering.md` lists.

mod support;

use std::path::{Path, PathBuf};
use support::differential::{Differences, Other, Place, base};
use support::{Project, Registry};

/// The specifications, all but their base.
fn corpus() -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/differential");
    let mut files: Vec<PathBuf> = std::fs::read_dir(directory)
        .expect("a corpus")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|e| e == "toml"))
        .collect();
    files.sort();
    files
}

/// What the specifications copy.
fn with_sources(project: Project) -> Project {
    let project = project
        .file("app/main.py", "print()\n")
        .file("app/pkg/__init__.py", "")
        .file("app/-dash $x 'q' \"d\" [a] *?.txt", "odd\n")
        .file("app/ü/é.txt", "unicode\n")
        .file("app/tmp/file", "in a directory of the base's\n")
        .file("app/root/file", "in another\n")
        .file("app/a.log", "log\n")
        .file("app/keep.log", "log\n")
        .file("app/.git/HEAD", "left out\n")
        .file("app/sub/.dockerignore", "*\n")
        .executable("app/run", "#!/bin/sh\n")
        .executable("tool", "#!/bin/sh\necho tool\n")
        .link("app/link", "main.py")
        .link("app/dangling", "/nowhere/at all");
    std::fs::create_dir_all(project.path("app/empty/empty")).expect("a directory");
    project
}

fn compare(other: &Other) {
    let (Some(registry), Some(place)) = (Registry::start(), Place::new()) else { return };
    let Some(base) = base(&registry) else { return };
    let mut all = Differences::documented();
    for file in corpus() {
        let spec = std::fs::read_to_string(&file).expect("a specification");
        let spec = spec.replace("BASE", &base);
        let project = with_sources(Project::new(&spec));
        let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let Some(native) = place.native(&project, &name) else { return };
        let rendered = place.other(&project, &name, other, &[]);
        all.compare(&name, &native, &rendered);
    }
    all.finish();
}

#[test]
fn buildah_makes_the_same() {
    if let Some(buildah) = Other::buildah() {
        compare(&buildah);
    }
}

#[test]
fn docker_with_buildkit_makes_the_same() {
    if let Some(docker) = Other::docker(true) {
        compare(&docker);
    }
}

#[test]
fn docker_without_buildkit_makes_the_same() {
    if let Some(docker) = Other::docker(false) {
        compare(&docker);
    }
}
