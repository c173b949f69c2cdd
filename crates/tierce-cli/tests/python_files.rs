//! Python files through the program, with a Python that only speaks the protocol: the real ones
//! are in `bindings/python/tests/test_load.py`.

mod support;

use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::process::Child;
use std::time::{Duration, Instant};
use support::{Outcome, Project, Registry};

/// What starts every answer: the request is kept in the project.
const ASKED: &str = r#"#!/bin/sh
read -r request
printf '%s' "$request" > request.json
"#;

/// A Python that does this when it is asked.
fn python(does: &str) -> String {
    format!("{ASKED}{does}\n")
}

/// A Python that answers this.
fn answering(answer: &Value) -> String {
    python(&format!("cat >&0 <<'END'\n{answer}\nEND"))
}

/// A project with Python files and no `tierce.toml`, whose `.venv` has this Python.
fn project(python: &str) -> Project {
    let project = Project::new("").file("app.py", "").file("pkg/b.py", "").file("pkg/a.py", "");
    fs::remove_file(project.path("tierce.toml")).unwrap();
    fs::create_dir_all(project.path(".venv/bin")).unwrap();
    project.executable(".venv/bin/python", python)
}

/// An answer with these files.
fn answer(files: &[Value]) -> Value {
    let python = json!({ "executable": "/env/bin/python", "version": "3.11.2", "tierce": "0.1.0" });
    json!({ "protocol": 1, "python": python, "files": files })
}

fn file(project: &Project, name: &str, images: &[Value]) -> Value {
    json!({ "path": project.path(name), "images": images, "without_image": ["plain"] })
}

/// An image that is what it starts from: nothing has to be built.
fn image(base: &str, names: &[(&str, &str)]) -> Value {
    let names: Vec<Value> =
        names.iter().map(|(of, name)| json!({ "of": of, "name": name })).collect();
    let document = json!({ "base_image": base, "python_version": "3.11" });
    json!({ "kind": "image", "names": names, "document": document })
}

fn two_images(project: &Project) -> Value {
    let train = [("variable", "train"), ("environment", "training")];
    let images =
        [image("example.com/train:1", &train), image("example.com/serve:1", &[("task", "serve")])];
    answer(&[file(project, "app.py", &images)])
}

/// The project, its Python saying what `answer` says of it.
fn answered(answer: impl Fn(&Project) -> Value) -> Project {
    let project = project("");
    let text = answering(&answer(&project));
    project.executable(".venv/bin/python", text)
}

fn request(project: &Project) -> Value {
    serde_json::from_slice(&fs::read(project.path("request.json")).unwrap()).unwrap()
}

#[test]
fn all_images_are_built_or_the_one_that_is_named() {
    let project = answered(two_images);
    let built = project.tierce(["build", "app.py", "--format", "json"]).ok().json();
    let uris: Vec<_> = built.as_array().unwrap().iter().map(|b| (&b["spec"], &b["uri"])).collect();
    assert_eq!(
        uris,
        [
            (&json!("app.py:train"), &json!("example.com/train:1")),
            (&json!("app.py:serve"), &json!("example.com/serve:1")),
        ]
    );
    assert_eq!(project.tierce(["build", "app.py", "serve"]).ok().line(), "example.com/serve:1");
    assert_eq!(request(&project)["names"], json!(["serve"]));
    for command in ["key", "build"] {
        let line = project.tierce([command, "app.py", "training"]).ok();
        assert_eq!(line.line(), "example.com/train:1");
    }
    let several = project.tierce(["build", "app.py", "serve", "train"]).ok();
    assert_eq!(several.stdout.lines().count(), 2);

    for command in [&["key"][..], &["plan"], &["render"], &["run"]] {
        let outcome = project.tierce(command.iter().copied()).args(["app.py"]);
        let outcome = outcome.fails(2, "python/several-images");
        assert!(outcome.hint().unwrap().contains("train (training), serve"), "{outcome}");
    }
    let unknown = project.tierce(["build", "app.py", "trian"]).fails(2, "python/no-such-image");
    assert!(unknown.stderr.contains("there is no image trian in app.py"), "{unknown}");
    assert!(unknown.hint().unwrap().starts_with("Did you mean train? "), "{unknown}");
    let plain = project.tierce(["build", "app.py", "plain"]).fails(2, "python/no-such-image");
    assert!(plain.hint().unwrap().starts_with("It has no image of its own"), "{plain}");
    // What is there is taken for a name after a file.
    let folder = project.tierce(["build", "app.py", "pkg"]).fails(2, "python/no-such-image");
    assert!(folder.hint().unwrap().contains("write ./pkg. There are: "), "{folder}");
    let two = ["build", "app.py", "--output", "oci:out"];
    let two = project.tierce(two).fails(2, "cli/usage");
    assert!(two.stderr.contains("app.py:train, app.py:serve"), "{two}");
}

#[test]
fn images_are_named_as_the_results_print_them() {
    let project = answered(two_images);
    for command in ["build", "key"] {
        let named = project.tierce([command, "app.py:serve"]).ok();
        assert_eq!(named.line(), "example.com/serve:1");
        assert_eq!(request(&project)["names"], json!(["serve"]));
    }
    let two = ["build", "app.py:serve", "app.py:train", "--format", "json"];
    assert_eq!(project.tierce(two).ok().json().as_array().unwrap().len(), 2);
    assert_eq!(request(&project)["names"], json!(["serve", "train"]));
    project.tierce(["build", "app.py:trian"]).fails(2, "python/no-such-image");
    let run = project.tierce(["run", "app.py:trian"]).fails(2, "python/no-such-image");
    assert!(run.hint().unwrap().starts_with("Did you mean train? "), "{run}");
    let missing = project.tierce(["build", "none.py:train"]).fails(2, "cli/missing-spec");
    assert!(missing.stderr.contains("there is no file none.py\n"), "{missing}");
}

#[test]
fn the_project_decides_what_is_run_and_the_user_by_what() {
    let project = answered(two_images);
    assert!(
        project
            .tierce(["config", "get", "python", "--origin", "pkg"])
            .ok()
            .line()
            .contains("/project/.venv/bin/python  # found: "),
    );
    let other = project.path("other");
    let wrong = answering(&json!({ "protocol": 1, "python": {}, "missing": "x" }));
    let project = project.executable("other", wrong);
    let other = other.to_str().unwrap();
    project.tierce(["key", "app.py", "serve", "--python", other]).fails(3, "python/other-version");
    let variable = project.tierce(["key", "app.py", "serve"]).env("TIERCE_PYTHON", other);
    variable.fails(3, "python/other-version");
    let absent = project.tierce(["key", "app.py", "--python", "/nowhere"]);
    let absent = absent.fails(3, "python/not-started");
    assert!(absent.stderr.contains("/nowhere"), "{absent}");
    fs::remove_file(project.path(".venv/bin/python")).unwrap();
    let none = project.tierce(["key", "app.py"]).env("PATH", "");
    let none = none.fails(3, "python/not-found");
    assert!(none.hint().unwrap().contains("--python"), "{none}");
}

#[test]
fn what_a_python_can_answer_that_is_no_answer() {
    let no_package = json!({
        "protocol": 1,
        "python": { "executable": "/env/bin/python", "version": "3.11.2" },
        "missing": "No module named 'tierce'",
    });
    let next = json!({
        "protocol": 2,
        "python": { "executable": "/env/bin/python", "version": "3.11.2", "tierce": "9.0" },
    });
    let document = json!({
        "kind": "image",
        "names": [{ "of": "variable", "name": "image" }],
        "document": { "base": 1 },
    });
    let problem = json!({
        "kind": "image",
        "names": [{ "of": "variable", "name": "image" }],
        "problem": { "message": "it is odd", "code": "flyte/odd", "hint": "Even it.", "kind": "step" },
    });
    let project = project("");
    let mut loading = answer(&[]);
    loading["loading"] = json!(project.path("app.py"));
    let mut strange = answer(&[]);
    strange["loading"] = json!("/nobody/asked.py");
    const ENDS: &str = "cannot load app.py: it ends Python (exit status: 3)";
    let images = |images: &[Value]| answering(&answer(&[file(&project, "app.py", images)]));
    for (does, exit, code, says) in [
        (python("exit 3"), 2, "python/ended", "exit status: 3"),
        (python("kill -9 $$"), 2, "python/ended", "signal: 9"),
        (python("exit 0"), 2, "python/ended", "ended before"),
        (format!("{}\nexit 3\n", answering(&loading)), 2, "python/load-failed", ENDS),
        (format!("{}\nexit 3\n", answering(&strange)), 2, "python/ended", "exit status: 3"),
        (python("echo oops >&0"), 3, "python/other-version", "does not understand"),
        (answering(&no_package), 3, "python/no-package", "/env/bin/python (Python 3.11.2)"),
        (answering(&next), 3, "python/other-version", "has tierce 9.0"),
        (images(&[document]), 3, "python/other-version", "tierce package 0.1.0"),
        (images(&[problem]), 5, "flyte/odd", "it is odd"),
        (images(&[]), 2, "python/no-image", "plain"),
        ("no script".to_owned(), 3, "python/not-started", ".venv/bin/python"),
    ] {
        project.write(".venv/bin/python", does);
        let outcome = project.tierce(["build", "app.py"]).fails(exit, code);
        assert!(outcome.stderr.contains(says), "{says}: {outcome}");
        assert!(outcome.hint().is_some(), "{outcome}");
    }
    let missing = project.tierce(["build", "none.py"]).fails(2, "cli/missing-spec");
    assert!(missing.stderr.contains("there is no file none.py\n"), "{missing}");
    assert!(!missing.stderr.contains("os error"), "{missing}");
}

#[test]
fn files_that_cannot_be_loaded_are_reported_each() {
    let broken = |project: &Project, name: &str| {
        json!({
            "path": project.path(name),
            "error": {
                "summary": "ModuleNotFoundError: No module named 'pandas'",
                "traceback": "Traceback (most recent call last):\n  pandas is not there\nModuleNotFoundError: No module named 'pandas'\n",
                "missing_module": "pandas",
            },
        })
    };
    let images = [image("example.com/b:1", &[("variable", "image")])];
    let project = answered(|p| answer(&[broken(p, "pkg/a.py"), file(p, "pkg/b.py", &images)]));
    let outcome = project.tierce(["build", "pkg/"]).fails(2, "python/load-failed");
    let error = "ModuleNotFoundError: No module named 'pandas'";
    for says in
        ["1 of 2 files cannot be loaded", &format!("pkg/a.py: {error}\n"), "  pandas is not there"]
    {
        assert_eq!(outcome.stderr.matches(says).count(), 1, "{outcome}");
    }
    assert_eq!(outcome.stderr.matches(error).count(), 1, "{outcome}");
    let hint = outcome.hint().unwrap();
    assert!(hint.contains("/env/bin/python, which has no module pandas"), "{outcome}");
    for option in ["-i", "--ignore-load-errors"] {
        let rest = project.tierce(["build", "pkg/", option]).ok();
        assert_eq!(rest.line(), "example.com/b:1");
        assert!(rest.stderr.contains("warning[python/load-failed]"), "{rest}");
        assert!(rest.stderr.contains("pkg/a.py is left out"), "{rest}");
        assert_eq!(rest.stderr.matches(error).count(), 1, "{rest}");
    }
    let none = answered(|p| answer(&[broken(p, "app.py")]));
    let outcome = none.tierce(["build", "app.py", "-i"]).fails(2, "python/load-failed");
    let says = "cannot load app.py: ModuleNotFoundError: No module named 'pandas'";
    assert!(outcome.stderr.contains(says), "{outcome}");
    assert_eq!(outcome.stderr.matches(error).count(), 1, "{outcome}");
}

#[test]
fn the_only_image_of_a_file_is_named_by_errors_too() {
    let project = answered(|project| {
        let mut image = image("example.com/a:1", &[("variable", "train")]);
        image["document"]["is_cloned"] = json!(true);
        image["document"]["layers"] = json!([{ "layer": "requirements", "file": "no.txt" }]);
        answer(&[file(project, "app.py", &[image])])
    });
    for command in ["build", "key", "plan", "render", "run"] {
        let outcome = project.tierce([command, "app.py"]);
        let outcome = outcome.fails(2, "source/missing");
        assert!(outcome.stderr.contains("]: app.py:train: "), "{outcome}");
    }
}

#[test]
fn the_loader_is_told_what_the_command_line_says() {
    let project = answered(two_images);
    let asked = |args: &[&str]| {
        project.tierce(["key"].iter().chain(args).copied()).args(["serve"]).ok();
        request(&project)
    };
    let path = |name: &str| project.path(name).canonicalize().unwrap();
    let plain = asked(&["app.py"]);
    assert_eq!((&plain["protocol"], &plain["files"]), (&json!(1), &json!([path("app.py")])));
    assert_eq!((&plain["root"], &plain["copy_style"]), (&Value::Null, &Value::Null));
    assert_eq!((&plain["all"], &plain["fast"]), (&json!(false), &json!(false)));
    assert_eq!(asked(&["--root-dir", ".", "app.py"])["root"], json!(path("")));
    assert_eq!(asked(&["--fast", "app.py"])["fast"], true);
    for (style, told) in [("all", "all"), ("none", "none"), ("loaded_modules", "loaded_modules")] {
        assert_eq!(asked(&["--copy-style", style, "app.py"])["copy_style"], told);
    }
    project.tierce(["key", "app.py", "--root-dir", "pkg"]).fails(2, "python/outside-root");
    project.tierce(["key", "app.py", "--fast", "--copy-style", "all"]).fails(2, "cli/usage");
    // Folders, with all that is below them if that is asked for.
    let files = |args: &[&str]| {
        project.tierce(["build"].iter().chain(args).copied()).ok();
        let files = request(&project)["files"].clone();
        let paths = files.as_array().unwrap().iter().map(|file| file.as_str().unwrap().to_owned());
        let root = format!("{}/", path("").display());
        paths.map(|path| path.strip_prefix(&root).unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(files(&["pkg/"]), ["pkg/a.py", "pkg/b.py"]);
    assert_eq!(files(&["."]), ["app.py"]);
    for recursive in [&["-r", "."][..], &["--recursive", "."], &["--all", ".", "-r"]] {
        assert_eq!(files(recursive), ["app.py", "pkg/a.py", "pkg/b.py"], "{recursive:?}");
    }
    assert_eq!(request(&project)["all"], true);
    assert_eq!(files(&["--registry", "ghcr.io/me", "app.py"]), ["app.py"]);
}

#[test]
fn nothing_is_run_that_was_not_named() {
    let project = answered(two_images);
    for command in ["build", "key", "plan", "run"] {
        let outcome = project.tierce([command]).fails(2, "cli/no-spec");
        assert!(outcome.hint().unwrap().contains("tierce build ./"), "{outcome}");
    }
    let project = project.file("only/below/c.py", "");
    for (command, folder) in [("build", "only"), ("key", "only/")] {
        let outcome = project.tierce([command, folder]).fails(2, "cli/no-spec");
        assert!(outcome.hint().unwrap().contains("`tierce build -r only/`"), "{outcome}");
    }
    assert!(!project.path("request.json").exists());
    // A specification that is only read comes first.
    project.write("pkg/tierce.toml", "name = 'toml'\nbase = 'scratch'\n");
    assert!(project.tierce(["key", "pkg"]).ok().line().starts_with("toml:"));
    assert!(!project.path("request.json").exists());
    let named = project.tierce(["key", "pkg/tierce.toml", "a"]).fails(2, "cli/usage");
    assert!(named.stderr.contains("only Python files"), "{named}");
    let named = project.tierce(["run", "example.com/a:1", "a"]).fails(2, "cli/usage");
    assert!(named.stderr.contains("only Python files"), "{named}");
}

#[test]
fn what_files_print_is_not_among_the_results() {
    let project = project("");
    let said = answering(&two_images(&project)).replacen(ASKED, "", 1);
    let project = project.executable(".venv/bin/python", python(&format!("echo printed\n{said}")));
    let outcome = project.tierce(["build", "app.py", "serve"]).ok();
    assert_eq!(outcome.line(), "example.com/serve:1");
    assert!(outcome.stderr.contains("printed"), "{outcome}");
}

#[test]
fn what_files_say_to_init_counts_after_the_command_line() {
    let project = answered(|project| {
        let mut image = image("example.com/base:1", &[("variable", "image")]);
        image["document"]["name"] = json!("app");
        image["document"]["is_cloned"] = json!(true);
        let mut file = file(project, "app.py", &[image]);
        file["init"] = json!({ "registry": "ghcr.io/init", "builder": "kiln" });
        answer(&[file])
    });
    let key = |args: &[&str]| {
        project.tierce(["key", "app.py"].iter().chain(args).copied()).ok().line().to_owned()
    };
    assert!(key(&[]).starts_with("ghcr.io/init/app:"), "{}", key(&[]));
    assert!(key(&["--registry", "ghcr.io/flag"]).starts_with("ghcr.io/flag/app:"));
    let variable = project.tierce(["key", "app.py"]).env("TIERCE_REGISTRY", "ghcr.io/variable");
    assert!(variable.ok().line().starts_with("ghcr.io/init/app:"));
    let builder = project.tierce(["build", "app.py", "--push"]).fails(2, "engine/unknown-builder");
    assert!(builder.stderr.contains("kiln"), "{builder}");
}

#[test]
fn images_with_a_registry_are_pushed_unless_somebody_says_no() {
    let Some(registry) = Registry::start() else { return };
    let address = registry.address();
    let base = Project::new("name = 'base'\nbase = 'scratch'\nenv = { A = '1' }\n");
    let base = base.tierce(["build", "--push", "--registry", address]).ok().line().to_owned();
    for kind in ["image", "image-spec"] {
        for from in ["own", "option", "init", "configured", "nobody"] {
            let own = (from == "own").then_some(address);
            let project = answered(|project| {
                let (name, env) = (format!("{kind}-{from}"), json!({ "B": from }));
                let document = match kind {
                    "image" => json!({
                        "base_image": base, "name": name, "registry": own, "is_cloned": true,
                        "python_version": "3.11",
                        "layers": [{ "layer": "env", "vars": [["B", from]] }],
                    }),
                    _ => json!({ "spec": { "fields": {
                        "base_image": base, "name": name, "registry": own, "env": env,
                        "builder_options": { "flytekit": false, "user": "root" },
                    } } }),
                };
                let names = json!([{ "of": "variable", "name": "x" }]);
                let image = json!({ "kind": kind, "names": names, "document": document });
                let mut file = file(project, "app.py", &[image]);
                file["init"] = json!({ "registry": (from == "init").then_some(address) });
                answer(&[file])
            });
            let pushed = |args: &[&str]| {
                let mut build = project.tierce(["build", "app.py"].iter().chain(args).copied());
                if from == "option" {
                    build = build.args(["--registry", address]);
                }
                if from == "configured" {
                    build = build.env("TIERCE_REGISTRY", address);
                }
                let (_, requests) = registry.during(|| build.ok());
                requests.iter().any(|request| request.contains("PUT"))
            };
            for args in [&["--no-push"][..], &["--output", "oci:out"]] {
                assert!(!pushed(args), "{kind} {from} {args:?}");
            }
            assert_eq!(pushed(&[]), from != "nobody", "{kind} {from}");
        }
    }
    let both = ["build", "app.py", "--push", "--no-push"];
    answered(two_images).tierce(both).fails(2, "cli/usage");
}

#[test]
fn a_build_in_the_background_has_the_same_python() {
    let project = answered(two_images);
    let started = project.tierce(["build", "app.py", "serve", "--detach"]).ok();
    let waited = project.tierce(["runs", "wait", started.line()]).ok();
    assert_eq!(waited.line(), "example.com/serve:1");
}

#[test]
fn an_image_spec_is_one_too() {
    let project = answered(|project| {
        let fields = json!({
            "name": "spec",
            "base_image": {
                "fields": { "base_image": "example.com/a:1", "builder_options": { "flytekit": false } },
            },
            "env": { "QUOTED": "a \"b\" \\ ü\n'c'" },
            "tag_format": "{spec_hash}-dev",
            "builder_options": { "flytekit": false },
            "source_root": project.path(""),
            "source_copy_mode": "LOADED_MODULES",
        });
        let image = json!({
            "kind": "image-spec",
            "names": [{ "of": "task", "name": "train" }],
            "document": { "spec": { "fields": fields } },
        });
        let mut file = file(project, "app.py", &[image]);
        file["loaded"] = json!([project.path("app.py"), "/usr/lib/other.py"]);
        answer(&[file])
    });
    let report = project.tierce(["key", "app.py", "--format", "json"]).ok().json();
    assert!(report["uri"].as_str().unwrap().ends_with("-dev"), "{report}");
    let image = report["image"].to_string();
    assert!(image.contains("a \\\"b\\\" \\\\ ü\\n'c'"), "{image}");
    assert!(image.contains("app.py") && !image.contains("other.py"), "{image}");
}

fn is_running(process: u32) -> bool {
    let process = Pid::from_raw(process.try_into().unwrap()).unwrap();
    test_kill_process(process).is_ok()
        && !fs::read_to_string(format!("/proc/{}/stat", process.as_raw_nonzero()))
            .is_ok_and(|stat| stat.contains(") Z "))
}

#[track_caller]
fn wait_for(what: &str, mut there: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(30);
    while !there() {
        assert!(Instant::now() < end, "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn started(project: &Project, file: &Path) -> (Child, u32) {
    let child = project.tierce(["build", "app.py"]).spawn();
    let read = || fs::read_to_string(file).ok().filter(|text| text.ends_with('\n'));
    wait_for("the Python starts", || read().is_some());
    (child, read().unwrap().trim().parse().unwrap())
}

#[test]
fn ctrl_c_ends_the_python_and_all_that_it_started() {
    for (signal, trap) in [(Signal::INT, ""), (Signal::TERM, ""), (Signal::INT, "trap '' INT TERM")]
    {
        let does = format!("{trap}\n(sleep 1000 & echo $! > pid.new; mv pid.new pid; wait)");
        let project = project(&python(&does));
        let (child, sleeping) = started(&project, &project.path("pid"));
        let process = Pid::from_raw(child.id().try_into().unwrap()).unwrap();
        kill_process(process, signal).unwrap();
        let outcome = Outcome::of(child.wait_with_output().unwrap());
        assert_eq!((outcome.code, outcome.error_code()), (130, Some("cli/interrupted")));
        wait_for("its programs end", || !is_running(sleeping));
    }
}
