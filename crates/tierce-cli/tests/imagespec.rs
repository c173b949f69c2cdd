//! `imageSpec.yaml` through the program, with a registry for its base.

mod support;

use serde_json::{Value, json};
use std::fs;
use support::{Project, Registry, unpack};

/// A base with a shell and the user that flytekit's images have, in the registry.
fn base(registry: &Registry) -> Option<String> {
    let project = Project::shell("")?;
    let passwd = "root:x:0:0:root:/root:/bin/sh\nflytekit:x:1001:1001::/home/flytekit:/bin/sh\n";
    project.write("root/etc/passwd", passwd);
    project.write("root/root/base", "base\n");
    let push = ["build", "--push", "--registry", registry.address(), "--tag", "1"];
    Some(project.tierce(push).ok().line().to_owned())
}

fn config(project: &Project) -> Value {
    let report = project.tierce(["key", "imageSpec.yaml", "--format", "json"]).ok().json();
    report["image"].clone()
}

#[test]
fn an_image_spec_is_built_pushed_and_run() {
    let Some(registry) = Registry::start() else { return };
    let Some(base) = base(&registry) else { return };
    let spec = format!(
        r#"
name: App
registry: {}/Team
base_image: {base}
tag_format: "{{spec_hash}}-dev"
env: {{GREETING: hello world, PORT: 8080}}
source_root: src
source_copy_mode: ALL
copy: [conf/app.yaml, assets]
commands:
  - RUN cat /root/main.py > /made
  - cd /old
  - pwd >> /made
entrypoint: []
builder_options: {{flytekit: false}}
"#,
        registry.address()
    );
    let project = Project::new("")
        .file("imageSpec.yaml", &spec)
        .file("src/main.py", "print('main')\n")
        .file("src/package/module.py", "")
        .file("conf/app.yaml", "a: 1\n")
        .file("assets/logo.txt", "logo\n");
    let build = ["build", "imageSpec.yaml", "--format", "json"];
    let outcome = project.tierce(build).ok();
    let built = outcome.json();
    assert_eq!(built["status"], "built");
    let uri = built["uri"].as_str().unwrap();
    assert!(uri.starts_with(&format!("{}/team/app:t", registry.address())), "{uri}");
    assert!(uri.ends_with("-dev"), "{uri}");
    assert!(outcome.stderr.contains("warning[imagespec/run-prefix]"), "{outcome}");
    assert_eq!(project.tierce(["key", "imageSpec.yaml"]).ok().line(), uri);

    // It was pushed, as flytekit does, and is found there.
    assert_eq!(project.tierce(build).ok().json()["status"], "present");
    let force = project.tierce(build).env("FLYTE_FORCE_PUSH_IMAGE_SPEC", "true").ok().json();
    assert_eq!((&force["status"], &force["digest"]), (&"built".into(), &built["digest"]));

    let run = ["run", "imageSpec.yaml", "--", "sh", "-c"];
    let script = "cat /made; id -un; pwd; echo $GREETING $PORT $PYTHONPATH; echo $PATH; \
                  echo $LD_LIBRARY_PATH; echo $_F_IMG_ID; cat /root/conf/app.yaml";
    let ran = project.tierce(run).args([script]).ok().stdout;
    let lines: Vec<&str> = ran.lines().collect();
    let [main, old, user, here, env, path, libraries, id, conf] = lines[..] else {
        panic!("{ran}")
    };
    assert_eq!([main, old, user, here], ["print('main')", "/old", "flytekit", "/root"]);
    assert_eq!([env, conf], ["hello world 8080 /root", "a: 1"]);
    assert_eq!(path, "/bin:/usr/local/nvidia/bin:/usr/local/cuda/bin");
    assert_eq!(libraries, "/usr/local/nvidia/lib64");
    assert!(id.starts_with('s') && id.len() == 25, "{id}");

    let layout = ["build", "imageSpec.yaml", "--output", "oci:out"];
    project.tierce(layout).ok();
    let tag = uri.rsplit_once(':').unwrap().1;
    if let Some(unpacked) = unpack(&project.path("out"), tag) {
        let text = |path: &str| fs::read_to_string(unpacked.file(path)).unwrap();
        assert_eq!(text("root/assets/logo.txt"), "logo\n");
        assert_eq!(text("root/base"), "base\n");
        assert_eq!(text("home/flytekit/.profile").lines().count(), 1);
        assert!(unpacked.file("root/package/module.py").exists());
    }

    // What its files hold decides about the tag, as do its fields; the name does not.
    for (file, text, same) in [
        ("src/main.py", "print('other')\n".to_owned(), false),
        ("assets/logo.txt", "other\n".to_owned(), false),
        ("imageSpec.yaml", spec.replace("hello world", "hello"), false),
        ("imageSpec.yaml", spec.replace("8080", "'8080'"), true),
    ] {
        let before = fs::read(project.path(file)).unwrap();
        project.write(file, text);
        let key = project.tierce(["key", "imageSpec.yaml"]).ok();
        assert_eq!(key.line() == uri, same, "{file}");
        project.write(file, before);
    }
}

#[test]
fn a_base_that_is_a_spec_is_built_first() {
    let Some(registry) = Registry::start() else { return };
    let Some(base) = base(&registry) else { return };
    let spec = format!(
        r#"
name: top
base_image:
  name: below
  base_image: {base}
  commands: ["echo below > /below"]
  builder_options: {{flytekit: false}}
commands: ["cat /below > /top"]
builder_options: {{flytekit: false, user: root}}
"#
    );
    let project = Project::new("").file("imageSpec.yaml", &spec);
    let ran = project.tierce(["run", "imageSpec.yaml", "--", "cat", "/top"]).ok();
    assert_eq!(ran.stdout, "below\n");
    project.write("imageSpec.yaml", spec.replace("echo below", "echo other"));
    let ran = project.tierce(["run", "imageSpec.yaml", "--", "cat", "/top"]).ok();
    assert_eq!(ran.stdout, "other\n");
}

#[test]
fn everyones_registry_is_the_specs() {
    let Some(registry) = Registry::start() else { return };
    let Some(base) = base(&registry) else { return };
    let project = Project::new("").file(
        "imageSpec.yaml",
        format!("name: ours\nbase_image: {base}\nbuilder_options: {{flytekit: false}}\n"),
    );
    let everyones = format!("{}/everyone", registry.address());
    let build = |push: &str| {
        let build = project.tierce(["build", "imageSpec.yaml", "--format", "json"]);
        let build = build.env("TIERCE_REGISTRY", &everyones).env("FLYTE_PUSH_IMAGE_SPEC", push);
        let (built, requests) = registry.during(|| build.ok().json());
        let uri = built["uri"].as_str().unwrap();
        assert!(uri.starts_with(&format!("{everyones}/ours:")), "{uri}");
        requests.iter().any(|r| r.starts_with("PUT ") && r.contains("/everyone/ours/manifests/"))
    };
    assert!(!build("False"), "it stays here");
    assert!(build("True"), "it is where its name says");
    assert!(!build("True"), "it is there");
}

#[test]
fn what_decides_nothing_is_not_in_the_image() {
    let project = Project::new("").file("src/.keep", "");
    let image = |more: &str| {
        let spec =
            format!("base_image: example.com/a:1\nbuilder_options: {{flytekit: false}}\n{more}");
        project.write("imageSpec.yaml", spec);
        config(&project)
    };
    let plain = image("");
    assert_eq!(image("registry_config: r.json\n"), plain);
    assert_eq!(plain["name"], "flytekit");
    assert_eq!(plain["platforms"], json!([{"os": "linux", "architecture": "amd64"}]));
    assert_ne!(image("runtime_packages: [a]\n"), plain);
    // Names of files that are specifications too.
    project.write("other.yml", "base_image: example.com/a:1\n");
    project.tierce(["key", "other.yml"]).ok();
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    for (text, code, place) in [
        ("packges: [a]\n", "imagespec/unknown-key", "imageSpec.yaml:1:1: "),
        ("packages: a\n", "imagespec/wrong-type", "imageSpec.yaml:1:11: packages: "),
        ("name: a\n  b: c\n", "imagespec/yaml-syntax", "imageSpec.yaml:2:"),
        ("copy: [../a]\n", "imagespec/invalid-copy", "imageSpec.yaml:1:8: copy[0]: "),
        ("cuda: 12.4\n", "imagespec/cuda-unsupported", "cuda cannot be installed"),
        ("base_image: ubuntu:22.04\npackages: [a]\n", "imagespec/conda-unsupported", "ubuntu"),
        ("requirements: uv.lock\n", "source/missing", "project pyproject.toml"),
        ("requirements: none.txt\n", "source/missing", "requirements file none.txt"),
        ("base_image: A B\n", "imagespec/invalid-base", "base_image: "),
        ("packages: ['a b']\n", "spec/invalid-requirement", "pip[0]: "),
    ] {
        let project = Project::new("").file("imageSpec.yaml", text);
        for command in ["build", "key", "plan"] {
            let outcome = project.tierce([command, "imageSpec.yaml"]).fails(2, code);
            assert!(outcome.stderr.contains(place), "{text}{outcome}");
        }
    }
}
