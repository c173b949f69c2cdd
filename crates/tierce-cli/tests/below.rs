//! Images that start from other images, and what a project's own files say about sources.

mod support;

use serde_json::Value;
use support::{Project, unpack};

/// An image and the one below it, each in a folder of its own.
fn stacked() -> Project {
    Project::new("base = { spec = 'low/tierce.toml' }\ncopy = [{ src = 'app', dst = '/app' }]\n")
        .file("app/a.py", "a\n")
        .file(
            "low/tierce.toml",
            "base = 'scratch'\nenv = { LOW = '1' }\ncopy = [{ src = 'app', dst = '/low' }]\n",
        )
        .file("low/app/b.py", "b\n")
        .file("low/app/b.tmp", "b\n")
        .file("low/.dockerignore", "app/*.tmp\n")
}

fn key(project: &Project, spec: &str) -> Value {
    project.tierce(["key", "--format", "json", spec]).ok().json()
}

#[test]
fn an_image_below_is_built_from_its_own_folder() {
    let project = stacked();
    let built = project.tierce(["build", "--format", "json", "--output", "oci:out"]).ok().json();
    let tag = built["uri"].as_str().unwrap().rsplit_once(':').unwrap().1;
    let Some(unpacked) = unpack(&project.path("out"), tag) else { return };
    assert!(unpacked.file("app/a.py").is_file() && unpacked.file("low/b.py").is_file());
    assert!(!unpacked.file("low/b.tmp").exists(), "the rules of its own folder hold");
    drop(unpacked);
    // What is below decides what is above.
    let before = key(&project, ".");
    project.write("low/app/b.tmp", "left out\n");
    assert_eq!(key(&project, "."), before);
    project.write("low/app/b.py", "other\n");
    assert_ne!(key(&project, ".")["key"], before["key"]);
}

#[test]
fn images_that_lead_back_to_themselves_are_shown_with_the_whole_way() {
    let project = stacked().file("low/tierce.toml", "base = { spec = '../tierce.toml' }\n");
    let outcome = project.tierce(["key"]).fails(2, "spec/base-cycle");
    assert!(
        outcome.stderr.contains("tierce.toml -> ./low/tierce.toml -> ./tierce.toml")
            || outcome.stderr.contains("tierce.toml -> low/tierce.toml -> tierce.toml"),
        "{outcome}"
    );
    let project = stacked().file("low/tierce.toml", "base = 'scratch'\nworkdir = 'x'\n");
    let outcome = project.tierce(["key"]).fails(2, "spec/invalid-workdir");
    assert!(outcome.stderr.contains("low/tierce.toml:2:11"), "{outcome}");
}

#[test]
fn the_code_of_a_project_is_copied_last() {
    let project = Project::new("base = 'scratch'\nworkdir = '/srv'\ncode = 'all'\ncmd = ['a']\n")
        .file("main.py", "main\n")
        .file("pkg/m.py", "m\n")
        .file(".dockerignore", "out\n.dockerignore\ntierce.toml\n");
    let built = project.tierce(["build", "--format", "json", "--output", "oci:out"]).ok().json();
    let tag = built["uri"].as_str().unwrap().rsplit_once(':').unwrap().1;
    let Some(unpacked) = unpack(&project.path("out"), tag) else { return };
    assert!(unpacked.file("srv/main.py").is_file() && unpacked.file("srv/pkg/m.py").is_file());
    assert!(!unpacked.file("srv/tierce.toml").exists());
    project.write("tierce.toml", "base = 'scratch'\ncode = 'loaded-modules'\n");
    project.tierce(["key"]).fails(2, "cli/no-modules");
}

#[test]
fn the_projects_ignore_file_holds_for_all_sources() {
    let project = Project::new("base = 'scratch'\ncopy = [{ src = 'app' }, { src = 'lib' }]\n")
        .file("app/a.py", "")
        .file("lib/b.py", "");
    let whole = key(&project, ".");
    for file in ["app/x.log", "lib/deep/y.log"] {
        project.write(file, "noise");
    }
    project.write(".dockerignore", "**/*.log\nlib/deep\n");
    assert_eq!(key(&project, ".")["key"], whole["key"]);
    project.write(".dockerignore", "lib\n");
    project.tierce(["key"]).fails(2, "source/ignored");
}
