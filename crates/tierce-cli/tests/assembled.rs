//! Images that run nothing: what is built, where it is written, what is printed.

mod support;

use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::process::Command;
use support::{Project, Tierce, copy, inspect, run, unpack};

/// The tag of a URI.
fn tag(uri: &str) -> &str {
    uri.rsplit_once(':').expect("a tag").1
}

#[test]
fn every_output_is_the_same_image() {
    let project = Project::assembled();
    let outputs = ["oci:out", "oci-archive:out.tar", "docker-archive:docker.tar"];
    let options = outputs.iter().flat_map(|output| ["--output", output]);
    let built = project.tierce(["build", "--format", "json"].into_iter().chain(options)).ok();
    let built = built.json();
    assert_eq!(built["status"], "built");

    for output in outputs {
        let (format, path) = output.split_once(':').unwrap();
        let image = format!("{format}:{}", project.path(path).display());
        let Some(config) = inspect(["--config", &image]) else { return };
        assert_eq!(
            config["config"],
            json!({
                "User": "1000:1000",
                "Env": ["A=one two", "B=2"],
                "Entrypoint": ["/usr/bin/tool", "--serve"],
                "Cmd": ["now"],
                "WorkingDir": "/srv",
                "Labels": { "org.example.kind": "test" },
            }),
            "{output}"
        );
        let copied = format!("oci:{}", project.beside(&format!("copy-{format}")).display());
        copy(&image, &copied);
        // `docker save` has layers as plain tars: the content is the same, the blobs are not.
        if format != "docker-archive" {
            let digest = inspect([copied.as_str()]).map(|i| i["Digest"].clone());
            assert_eq!(digest, Some(built["digest"].clone()), "{output}");
        }
        let diff_ids = inspect(["--config", &copied]).map(|c| c["rootfs"]["diff_ids"].clone());
        assert_eq!(diff_ids, Some(config["rootfs"]["diff_ids"].clone()), "{output}");
    }
}

#[test]
fn the_image_holds_what_was_said() {
    let project = Project::assembled();
    let built = project.tierce(["build", "--output", "oci:out"]).ok();
    let Some(unpacked) = unpack(&project.path("out"), tag(built.line())) else { return };
    let listing = unpacked.listing();
    let expected = [
        ("srv", "directory 755"),
        ("srv/app", "directory 755"),
        ("srv/app/current", "-> data/empty"),
        ("srv/app/data", "directory 755"),
        ("srv/app/data/empty", "file 644 @315532800 "),
        ("srv/app/data/zwölf.txt", "file 644 @315532800 12\n"),
        ("srv/app/main.py", "file 644 @315532800 print('hello')\n"),
        ("srv/app/start", "file 755 @315532800 #!/bin/sh\n"),
        ("usr", "directory 755"),
        ("usr/bin", "directory 755"),
        ("usr/bin/tool", "file 755 @315532800 #!/bin/sh\necho tool\n"),
    ];
    let listing: Vec<(&str, &str)> =
        listing.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    assert_eq!(listing, expected);
}

#[test]
fn what_surrounds_a_build_does_not_matter() {
    let digest = |project: &Project, tierce: Tierce| {
        let built = tierce.args(["--output", "oci:out"]).ok().json();
        assert!(project.path("out/index.json").is_file());
        built["digest"].as_str().expect("a digest").to_owned()
    };
    let build = ["build", "--format", "json"];
    let project = Project::assembled();
    let first = digest(&project, project.tierce(build));
    assert_eq!(digest(&project, project.tierce(build)), first, "the same again");

    // (what, shell commands before, variables)
    type Surroundings<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)]);
    let table: &[Surroundings<'_>] = &[
        ("umask", "umask 077", &[]),
        ("loose umask", "umask 000", &[]),
        ("time zone", "true", &[("TZ", "Pacific/Kiritimati")]),
        ("locale", "true", &[("LANG", "tr_TR.UTF-8"), ("LC_ALL", "C")]),
        ("modes", "chmod -R g+w,o-rwx app tool", &[]),
        ("times", "touch -d 2001-01-01 app/main.py tool app", &[]),
        (
            "order of creation",
            "mv app a; mkdir app; cp -P a/start a/main.py a/current app; mkdir app/data; \
             cp a/data/z* app/data; cp a/data/empty app/data; rm -r a",
            &[],
        ),
        ("one core", "true", &[("RAYON_NUM_THREADS", "1"), ("TOKIO_WORKER_THREADS", "1")]),
    ];
    for (what, before, variables) in table {
        // A project of its own each: another store, home and path, too.
        let project = Project::assembled();
        let mut tierce = project.tierce(build).args(["--output", "oci:out"]).after(before);
        for (name, value) in *variables {
            tierce = tierce.env(name, value);
        }
        let built = tierce.ok().json();
        assert_eq!(built["digest"], *first, "{what}");
    }
}

#[test]
fn what_a_build_is_made_of_matters() {
    let key = |project: &Project| project.tierce(["key"]).ok().line().to_owned();
    let mut keys = BTreeSet::from([key(&Project::assembled())]);
    for before in [
        "echo more >>app/main.py",
        "chmod +x app/main.py",
        "mv app/data app/date",
        "ln -sf main.py app/current",
        "rmdir app/data 2>/dev/null || mkdir app/empty",
        "sed -i s/now/later/ tierce.toml",
        "sed -i s/1000:1000/1000/ tierce.toml",
    ] {
        let project = Project::assembled();
        let changed = project.tierce(["key"]).after(before).ok();
        assert!(keys.insert(changed.line().to_owned()), "{before}");
        assert_eq!(key(&project), changed.line(), "{before}: a change is seen once");
    }
    // What is left out by default, and what an ignore file leaves out, is no change.
    for before in ["mkdir app/.git app/__pycache__; echo x >app/.git/HEAD", "touch other"] {
        let project = Project::assembled();
        assert!(!keys.insert(project.tierce(["key"]).after(before).ok().line().to_owned()));
    }
}

#[test]
fn key_names_what_build_makes() {
    let project = Project::assembled();
    for options in [&[][..], &["--registry", "registry.example/team"], &["--tag", "1.0"]] {
        let key = project.tierce(["key"]).args(options.iter().copied()).ok();
        assert!(!project.store().join("blobs").exists(), "nothing is built");
        let outputs = ["build", "--output", "oci:out"];
        let other = Project::assembled();
        let built = other.tierce(outputs).args(options.iter().copied()).ok();
        assert_eq!(key.line(), built.line());
        let json = project.tierce(["key", "--format", "json"]).args(options.iter().copied()).ok();
        let json = json.json();
        assert_eq!((&json["uri"], &json["tag"]), (&json!(key.line()), &json!(tag(key.line()))));
        assert!(json["key"].as_str().is_some_and(|k| k.starts_with("sha256:")), "{json}");
    }
    // Neither the name nor the tag is part of the key, so the blobs are the same.
    let renamed =
        project.tierce(["key", "--format", "json"]).after("sed -i s/hello/h/ tierce.toml");
    assert_eq!(
        renamed.ok().json()["key"],
        Project::assembled().tierce(["key", "--format", "json"]).ok().json()["key"]
    );
}

#[test]
fn the_name_of_a_nameless_project_is_its_directorys() {
    let project = Project::new("base = 'scratch'\n");
    assert!(project.tierce(["key"]).ok().line().starts_with("project:t"));
    let uri = project.tierce(["key", project.path("tierce.toml").to_str().unwrap()]);
    assert!(uri.current_dir("/").ok().line().starts_with("project:t"));
}

#[test]
fn json_says_what_was_built() {
    let project = Project::assembled();
    let build = ["build", "--format", "json", "--progress", "quiet"];
    let first = project.tierce(build).ok();
    assert_eq!(first.stderr, "");
    let json = first.json();
    let keys: Vec<&String> = json.as_object().unwrap().keys().collect();
    let expected = ["uri", "status", "digest", "platforms", "bytes-uploaded", "requests", "millis"];
    assert_eq!(keys, expected);
    assert_eq!((&json["bytes-uploaded"], &json["requests"]), (&json!(0), &json!(0)));
    let [platform] = json["platforms"].as_array().unwrap().as_slice() else { panic!("{json}") };
    assert_eq!(platform["digest"], json["digest"]);
    let layers = platform["layers"].as_array().unwrap();
    assert!(layers.len() >= 2, "{json}");
    for layer in layers {
        assert_eq!(layer["cached"], false);
        assert!(layer["size"].as_u64() > Some(0));
        assert!(layer["digest"].as_str().is_some_and(|d| d.starts_with("sha256:")));
        assert!(layer["created-by"].as_str().is_some_and(|c| !c.is_empty()));
    }
    let again = project.tierce(build).ok().json();
    assert_eq!(again["status"], "present");
    assert_eq!(again["digest"], json["digest"]);
    let forced = project.tierce(build).args(["--force"]).ok().json();
    assert_eq!((&forced["status"], &forced["digest"]), (&json!("built"), &json["digest"]));
}

#[test]
fn standard_output_has_the_uri_and_nothing_else() {
    let project = Project::assembled();
    let uri = project.tierce(["key"]).ok().line().to_owned();
    for progress in ["auto", "plain", "json", "quiet"] {
        let built = project.tierce(["build", "--force", "--progress", progress]).ok();
        assert_eq!(built.line(), uri, "{progress}");
        let by_variable = project.tierce(["build", "--force"]).env("TIERCE_PROGRESS", progress);
        let by_variable = by_variable.ok();
        match progress {
            "quiet" => assert_eq!((built.stderr, by_variable.stderr), <_>::default()),
            "json" => {
                let events: Vec<Value> = built
                    .stderr
                    .lines()
                    .map(|line| serde_json::from_str(line).expect("an event a line"))
                    .collect();
                let kinds: Vec<&str> = events.iter().filter_map(|e| e["event"].as_str()).collect();
                assert_eq!(kinds.first(), Some(&"build-started"), "{kinds:?}");
                assert_eq!(kinds.last(), Some(&"build-finished"), "{kinds:?}");
                let count = |kind| kinds.iter().filter(|k| **k == kind).count();
                assert!(count("step-started") >= 2);
                assert_eq!(count("step-started"), count("step-finished"));
                assert!(by_variable.stderr.starts_with('{'));
            }
            _ => {
                assert!(built.stderr.contains(&format!("built {uri}@sha256:")), "{built}");
                assert!(!built.stderr.contains('\u{1b}'), "no colours in a pipe");
                assert!(by_variable.stderr.contains("built "));
            }
        }
    }
    // A reader that goes away is no failure.
    let piped = project.tierce(["inspect", &uri]).after("exec >/dev/full").run();
    assert_eq!((piped.code, piped.error_code()), (3, Some("cli/stdout")), "{piped}");
}

#[test]
fn what_always_builds() {
    let project = Project::assembled();
    let status = |args: &[&str]| {
        let build = ["build", "--format", "json"].into_iter();
        let built = project.tierce(build.chain(args.iter().copied())).ok().json();
        built["status"].as_str().unwrap_or_default().to_owned()
    };
    for (args, first, second) in [
        (&["--dry-run"][..], "would-build", "would-build"),
        (&[], "built", "present"),
        (&["--dry-run"], "present", "present"),
        (&["--force"], "built", "built"),
        (&["--tag", "latest"], "built", "built"),
        (&["--tag", "mine"], "built", "built"),
        (&["--output", "oci:out"], "built", "built"),
        (&["--force", "--dry-run"], "would-build", "would-build"),
    ] {
        assert_eq!((status(args).as_str(), status(args).as_str()), (first, second), "{args:?}");
    }
}

#[test]
fn a_dry_run_makes_nothing() {
    let project = Project::assembled();
    let outcome = project.tierce(["build", "--dry-run", "--output", "oci:out"]).ok();
    assert!(outcome.stderr.contains("would be built"), "{outcome}");
    assert_eq!(outcome.line(), project.tierce(["key"]).ok().line());
    assert!(!project.path("out").exists());
    let info = project.tierce(["cache", "info", "--format", "json"]).ok().json();
    assert_eq!((&info["blobs"]["count"], &info["records"]), (&json!(0), &json!({})));
}

#[test]
fn a_plan_says_what_is_made_and_what_is_there() {
    let project = Project::assembled();
    let actions = || {
        let plan = project.tierce(["plan", "--format", "json"]).ok().json();
        let layers = plan["platforms"][0]["layers"].as_array().unwrap().clone();
        assert!(layers.iter().all(|l| l["why"].as_str().is_some_and(|w| !w.is_empty())));
        let actions = layers.iter().map(|l| l["action"].as_str().unwrap().to_owned());
        (plan["uri"].clone(), actions.collect::<Vec<_>>())
    };
    let (uri, before) = actions();
    assert!(before.len() >= 2 && before.iter().all(|a| a == "assemble"), "{before:?}");
    let text = project.tierce(["plan"]).ok();
    assert!(text.stdout.starts_with(uri.as_str().unwrap()), "{text}");
    assert!(text.stdout.contains("\nlinux/") && text.stdout.contains("assemble"), "{text}");
    assert!(text.stdout.contains("copy app to /srv/app"), "{text}");
    assert_eq!(actions().1, before, "a plan makes nothing");

    project.tierce(["build"]).ok();
    let (_, after) = actions();
    assert!(after.len() == before.len() && after.iter().all(|a| a == "cached"), "{after:?}");
    assert!(!project.tierce(["plan"]).ok().stdout.contains("assemble"));

    project.write("app/main.py", "print('changed')\n");
    let (_, changed) = actions();
    assert_eq!(changed.iter().filter(|a| *a == "assemble").count(), 1, "{changed:?}");
}

#[test]
fn inspect_finds_images_wherever_they_are() {
    let project = Project::assembled();
    let outputs = ["--output", "oci:out", "--output", "oci-archive:out.tar"];
    let built = project.tierce(["build", "--format", "json"].into_iter().chain(outputs)).ok();
    let built = built.json();
    let uri = built["uri"].as_str().unwrap();
    let layout = format!("oci:out:{}", tag(uri));
    for name in [uri, "oci:out", &layout, "oci-archive:out.tar"] {
        let report = project.tierce(["inspect", name, "--format", "json"]).ok().json();
        assert_eq!(report["digest"], built["digest"], "{name}");
        let platform = &report["platforms"][0];
        assert_eq!(platform["platform"], built["platforms"][0]["platform"]);
        assert_eq!(platform["config"]["Cmd"], json!(["now"]));
        let layers = built["platforms"][0]["layers"].as_array().unwrap();
        for (reported, built) in platform["layers"].as_array().unwrap().iter().zip(layers) {
            for field in ["digest", "size", "created-by"] {
                assert_eq!(reported[field], built[field], "{name}: {field}");
            }
        }
        let text = project.tierce(["inspect", name]).ok();
        for part in [built["digest"].as_str().unwrap(), "/usr/bin/tool --serve", "A=one two"] {
            assert!(text.stdout.contains(part), "{part}: {text}");
        }
    }
}

#[test]
fn a_pruned_store_builds_the_same_again() {
    let project = Project::assembled();
    let info = || project.tierce(["cache", "info", "--format", "json"]).ok().json();
    let build = ["build", "--format", "json", "--output", "oci:out"];
    let first = project.tierce(build).ok().json();
    let full = info();
    assert_eq!(full["root"], project.store().to_str().unwrap());
    assert!(full["blobs"]["count"].as_u64() >= Some(3), "{full}");

    let recent = project.tierce(["cache", "prune"]).ok();
    assert_eq!(recent.line(), "freed 0 B");
    let would = project.tierce(["cache", "prune", "--all", "--dry-run"]).ok();
    assert!(would.line().starts_with("would free ") && !would.line().ends_with(" 0 B"), "{would}");
    assert_eq!(info(), full);
    let freed = project.tierce(["cache", "prune", "--all"]).ok();
    assert_eq!(freed.line().strip_prefix("freed "), would.line().strip_prefix("would free "));
    let empty = info();
    assert_eq!((&empty["blobs"]["count"], &empty["records"]), (&json!(0), &json!({})));
    assert!(project.tierce(["cache", "info"]).ok().stdout.contains("blobs"));

    // What was written is whole without the store, and the store fills up again.
    if let Some(image) = inspect([format!("oci:{}", project.path("out").display()).as_str()]) {
        assert_eq!(image["Digest"], first["digest"]);
    }
    let again = project.tierce(build).ok().json();
    assert_eq!((&again["status"], &again["digest"]), (&json!("built"), &first["digest"]));
}

/// Changes the files of an image's layers in the store.
fn damage(project: &Project, built: &Value, change: impl Fn(&mut Vec<u8>)) {
    for layer in built["platforms"][0]["layers"].as_array().unwrap() {
        let hex = layer["digest"].as_str().unwrap().strip_prefix("sha256:").unwrap();
        let blob = find(&project.store().join("blobs"), hex).expect("the layer is in the store");
        let mut bytes = fs::read(&blob).unwrap();
        change(&mut bytes);
        fs::remove_file(&blob).unwrap();
        fs::write(&blob, bytes).unwrap();
    }
}

#[test]
fn a_cut_off_store_is_made_good() {
    let project = Project::assembled();
    let build = ["build", "--format", "json", "--output", "oci:out"];
    let first = project.tierce(build).ok().json();
    damage(&project, &first, |bytes| bytes.truncate(20));
    let other = ["build", "--format", "json", "--output", "oci:other"];
    let again = project.tierce(other).ok().json();
    assert_eq!(again["digest"], first["digest"]);
    if let Some(unpacked) = unpack(&project.path("other"), tag(first["uri"].as_str().unwrap())) {
        assert!(unpacked.file("srv/app/main.py").is_file());
    }
}

#[test]
fn a_rotten_store_is_never_exported() {
    let project = Project::assembled();
    let first = project.tierce(["build", "--format", "json"]).ok().json();
    damage(&project, &first, |bytes| *bytes.last_mut().unwrap() ^= 1);
    let outputs = ["oci:out", "oci-archive:out.tar", "docker-archive:docker.tar"];
    for output in outputs {
        let outcome = project.tierce(["build", "--output", output]).fails(3, "export/corrupt");
        assert!(outcome.hint().is_some_and(|h| h.contains("tierce cache prune --all")));
    }
    // No archive is there, and no index that calls the layout's blobs an image.
    for path in ["out/index.json", "out.tar", "docker.tar"] {
        assert!(!project.path(path).exists(), "{path}");
    }
    project.tierce(["cache", "prune", "--all"]).ok();
    for output in outputs {
        project.tierce(["build", "--output", output]).ok();
    }
}

fn find(directory: &std::path::Path, name: &str) -> Option<std::path::PathBuf> {
    fs::read_dir(directory).ok()?.flatten().find_map(|entry| {
        let path = entry.path();
        match path.is_dir() {
            true => find(&path, name),
            false => path.to_string_lossy().contains(name).then_some(path),
        }
    })
}

#[test]
fn platforms_that_nothing_runs_on_are_built_anywhere() {
    let project = Project::assembled();
    let both = ["--platform", "linux/arm64,linux/amd64"];
    let build = ["build", "--format", "json", "--output", "oci:out"];
    let built = project.tierce(build.into_iter().chain(both)).ok().json();
    let platforms = built["platforms"].as_array().unwrap();
    let names: Vec<&str> = platforms.iter().filter_map(|p| p["platform"].as_str()).collect();
    assert_eq!(names, ["linux/amd64", "linux/arm64"]);
    assert_ne!(built["digest"], platforms[0]["digest"]);
    assert_eq!(
        platforms[0]["layers"][0]["digest"], platforms[1]["layers"][0]["digest"],
        "what does not depend on the platform is the same blob"
    );
    let layout = format!("oci:{}", project.path("out").display());
    for architecture in ["amd64", "arm64"] {
        let args = ["--override-arch", architecture, "inspect", &layout];
        let Some(image) = run("skopeo", args) else { return };
        let image: Value = serde_json::from_str(&image).unwrap();
        assert_eq!(image["Architecture"], architecture);
    }
    let report = project.tierce(["inspect", "oci:out", "--format", "json"]).ok().json();
    assert_eq!(report["platforms"].as_array().map(Vec::len), Some(2));
    // The order in which they are asked for is not part of the key.
    let reversed = ["key", "--platform", "linux/amd64", "--platform", "linux/arm64"];
    assert_eq!(project.tierce(reversed).ok().line(), built["uri"].as_str().unwrap());
}

#[test]
fn completions_and_the_schema_are_printed() {
    for shell in ["bash", "zsh", "fish"] {
        let script = Tierce::new(["completions", shell]).ok().stdout;
        for word in ["build", "plan", "dry-run"] {
            assert!(script.contains(word), "{shell}: {word}");
        }
        let check = Command::new(shell).arg("-n").arg("/dev/stdin").stdin(pipe(&script)).output();
        if let Ok(output) = check {
            assert!(output.status.success(), "{shell}: {output:?}");
        }
    }
    let schema = Tierce::new(["schema"]).ok().json();
    assert_eq!(schema["title"], "tierce.toml");
    assert!(schema["properties"]["base"].is_object());
    let version = Tierce::new(["--version"]).ok();
    assert_eq!(version.line(), concat!("tierce ", env!("CARGO_PKG_VERSION")));
    let help = Tierce::new(["--help"]).ok();
    assert!(help.stdout.contains("Exit codes"), "{help}");
}

/// A file with `text`, from its start.
fn pipe(text: &str) -> fs::File {
    use std::io::{Seek, Write};
    let mut file = tempfile::tempfile().expect("a file");
    file.write_all(text.as_bytes()).expect("a file");
    file.rewind().expect("a file");
    file
}

#[test]
fn doctor_looks_at_this_machine() {
    let project = Project::assembled();
    let report = project.tierce(["doctor", "--format", "json"]).run();
    let json = report.json();
    let findings = json["findings"].as_array().unwrap();
    for finding in findings {
        assert!(finding["ok"] == true || finding["hint"].is_string(), "{finding}");
    }
    assert_eq!(report.code, if json["can-execute"] == true { 0 } else { 3 }, "{report}");
    let text = project.tierce(["doctor"]).run();
    assert!(text.stdout.contains(project.store().to_str().unwrap()), "{text}");
}
