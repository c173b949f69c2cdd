//! What a specification takes from the machine is told, and some of it refused.

mod support;

use std::fs;
use support::Project;

const TOKEN: &str = "hunter2-hunter2";

#[test]
fn secrets_are_named_before_anything_is_built() {
    let project = Project::new(
        "name = \"app\"\nbase = \"scratch\"\nregistry-secret = \"ghcr/login\"\n\
         run = [{ cmd = \"true\", secrets = [\"aws/secret_access_key\", \"other\"] }]\n",
    );
    for args in [&["build", "--dry-run"][..], &["plan"], &["build"]] {
        let outcome = project
            .tierce(args.iter().copied())
            .env("AWS_SECRET_ACCESS_KEY", TOKEN)
            .env("GHCR_LOGIN", TOKEN)
            .env("TIERCE_PROGRESS", "plain")
            .run();
        for line in [
            "secret aws/secret_access_key: from the variable AWS_SECRET_ACCESS_KEY, for step 1",
            "secret ghcr/login: from the variable GHCR_LOGIN, for the registry",
            "secret other: not found (the variable OTHER would be the first place), for step 1",
        ] {
            assert!(outcome.stderr.contains(line), "{args:?}: {line}: {outcome}");
        }
        assert!(!outcome.to_string().contains("hunter2"), "{outcome}");
    }
}

#[test]
fn sources_outside_of_the_project_are_named() {
    let project = Project::new("").file("inside.txt", "in\n");
    fs::write(project.beside("outside.txt"), "out\n").unwrap();
    let outside = project.beside("outside.txt").canonicalize().unwrap();
    std::os::unix::fs::symlink(&outside, project.path("link.txt")).unwrap();
    let absolute = outside.display().to_string();
    for (src, warns) in [
        ("inside.txt", false),
        ("../outside.txt", true),
        ("link.txt", true),
        (absolute.as_str(), true),
    ] {
        let copy = format!("copy = [{{ src = {src:?}, dst = \"/x\" }}]\n");
        project.write("tierce.toml", format!("name = \"app\"\nbase = \"scratch\"\n{copy}"));
        let outcome = project.tierce(["build", "--dry-run"]).run();
        let warned = outcome.stderr.contains("warning[source/outside-project]");
        assert_eq!(warned, warns, "{src}: {outcome}");
        assert!(!warns || outcome.stderr.contains(&absolute), "{outcome}");
    }
    // What a workspace has in common is its projects' own.
    fs::write(project.beside("tierce.toml"), "[workspace]\n").unwrap();
    let outcome = project.tierce(["build", "--dry-run"]).run();
    assert!(!outcome.stderr.contains("source/outside-project"), "{outcome}");
}

#[test]
fn an_image_spec_sees_no_file_that_is_not_its_own() {
    let project = Project::new("").file("secrets/token", TOKEN);
    fs::write(project.beside("id_ed25519"), TOKEN).unwrap();
    let key = project.beside("id_ed25519").canonicalize().unwrap();
    std::os::unix::fs::symlink(&key, project.path("link")).unwrap();
    let absolute = key.display().to_string();
    let spec = |file: &str| {
        let text = format!(
            "name: app\nbase_image: r.invalid/x:1\npackages: [six]\n\
             pip_secret_mounts: [[{file}, /run/token]]\nbuilder_options: {{flytekit: false}}\n"
        );
        project.write("imageSpec.yaml", text);
        project.tierce(["key", "imageSpec.yaml"])
    };
    for file in ["../id_ed25519", "link", absolute.as_str()] {
        let refused = spec(file).fails(2, "imagespec/foreign-secret");
        assert!(refused.hint().unwrap().contains("[secrets.files]"), "{refused}");
    }
    spec("secrets/token").ok();
    // Unless the user says so.
    let config = project.beside("home/.config/tierce/config.toml");
    fs::create_dir_all(config.parent().unwrap()).unwrap();
    fs::write(&config, format!("[secrets.files]\nKEY = {absolute:?}\n")).unwrap();
    spec("../id_ed25519").ok();
    let folder = key.parent().unwrap().display().to_string();
    fs::write(&config, format!("[secrets]\ndirectories = [{folder:?}]\n")).unwrap();
    spec("link").ok();
}
