//! What goes wrong is said with a code, an exit code and what to do next, and leaves nothing
//! half-done.

mod support;

use serde_json::json;
use std::fs;
use std::net::TcpListener;
use support::{Outcome, Project, Registry};

/// A specification that cannot be built as it is.
struct Bad {
    spec: &'static str,
    error: &'static str,
    /// What the message or the hint says, among other things.
    says: &'static [&'static str],
}

const BAD_SPECS: &[Bad] = &[
    Bad {
        spec: "base = 'scratch'\napts = ['git']\n",
        error: "spec/unknown-key",
        says: &["tierce.toml:2:1: ", "did you mean `apt`?"],
    },
    Bad {
        spec: "base = 'scratch'\n\n[labels]\na = 'b'\ncopy = [{ src = 'app' }]\n",
        error: "spec/wrong-type",
        says: &["tierce.toml:5:", "above all [tables]"],
    },
    Bad {
        spec: "base = 'scratch'\ncmd = 'python'\n",
        error: "spec/wrong-type",
        says: &["tierce.toml:2:7: ", "cmd = [\"python\", \"-m\", \"app\"]"],
    },
    Bad { spec: "base = 'scratch'\ncmd = [\n", error: "spec/toml-syntax", says: &["toml:2"] },
    Bad { spec: "name = 'x'\n", error: "spec/missing-key", says: &["`base` is missing", "debian"] },
    Bad {
        spec: "base = 'python:3.12-slim'\npip = ['fastapi', 'uvicorn>>1']\n",
        error: "spec/invalid-requirement",
        says: &["tierce.toml:2:", "uvicorn>>1"],
    },
    Bad {
        spec: "base = 'Not A Reference'\n",
        error: "spec/invalid-value",
        says: &["tierce.toml:1:8: "],
    },
    Bad {
        spec: "base = 'scratch'\nplatforms = ['linux']\n",
        error: "spec/invalid-value",
        says: &["tierce.toml:2:", "linux/amd64"],
    },
    Bad {
        spec: "base = 'scratch'\nplatforms = ['windows/amd64']\n",
        error: "spec/unsupported-platform",
        says: &["tierce.toml:2:", "linux"],
    },
    Bad {
        spec: "base = 'scratch'\napt = ['git']\n",
        error: "spec/no-apt",
        says: &["tierce.toml:2:", "Start from a Debian base"],
    },
    Bad {
        spec: "base = 'scratch'\npip = ['six']\n",
        error: "spec/no-python",
        says: &["tierce.toml:2:", "python = { version"],
    },
    Bad {
        spec: "base = 'scratch'\ncopy = [{ src = 'missing', dst = '/app' }]\n",
        error: "source/missing",
        says: &["missing does not exist", "the directory of the tierce.toml"],
    },
    Bad {
        spec: "base = 'python:3.12-slim'\nrequirements = 'requirements.txt'\n",
        error: "source/missing",
        says: &["requirements.txt does not exist"],
    },
    Bad {
        spec: "base = 'scratch'\nname = 'Upper Case'\n",
        error: "spec/invalid-name",
        says: &["tierce.toml:2:"],
    },
    Bad {
        spec: "base = 'scratch'\nworkdir = 'relative'\n",
        error: "spec/invalid-workdir",
        says: &["tierce.toml:2:"],
    },
    Bad {
        spec: "base = 'scratch'\nrun = ['']\n",
        error: "spec/invalid-command",
        says: &["tierce.toml:2:"],
    },
    Bad {
        spec: "base = 'scratch'\ncopy = [{ src = 'a', dst = '../../etc' }]\n",
        error: "spec/invalid-destination",
        says: &["tierce.toml:2:"],
    },
];

#[track_caller]
fn says(outcome: &Outcome, parts: &[&str]) {
    for part in parts {
        assert!(outcome.stderr.contains(part), "{part:?} is not in {outcome}");
    }
    assert!(!outcome.stderr.contains("panicked"), "{outcome}");
}

#[test]
fn wrong_specifications() {
    for Bad { spec, error, says: parts } in BAD_SPECS {
        let project = Project::new(spec);
        for command in ["build", "plan", "key"] {
            let outcome = project.tierce([command]).fails(2, error);
            says(&outcome, parts);
        }
        assert!(!project.store().join("blobs/sha256").read_dir().is_ok_and(|d| d.count() > 0));
    }
}

#[test]
fn wrong_command_lines() {
    let project = Project::assembled().file("occupied/file", "");
    let table: &[(&[&str], i32, &str, &[&str])] = &[
        (&["build", "none"], 2, "cli/missing-spec", &["no file or folder none", "FILE.py NAME"]),
        (&["build", "none.py"], 2, "cli/missing-spec", &["no file none.py\n", "hint: Paths"]),
        (&["build", "app/data"], 2, "cli/no-spec", &["toml and no Python file in app/data\n"]),
        (&["build", "app/data"], 2, "cli/no-spec", &["app.py`", "hint: Name one", "base ="]),
        (&["build", "tool"], 2, "spec/toml-syntax", &["tool:2:"]),
        (&["build", "app/main.py", "--python", "/none"], 3, "python/not-started", &["/none"]),
        (&["build", "--output", "out"], 2, "cli/invalid-output", &["hint: Write oci:DIR"]),
        (&["build", "--output", "zip:out"], 2, "cli/invalid-output", &["\"zip\"", "hint: Write"]),
        (&["build", "--output", "oci:"], 2, "cli/invalid-output", &["names no path"]),
        (&["build", "--platform", "linux"], 2, "cli/usage", &["as linux/amd64", "hint: "]),
        (&["build", "--platform", "windows/amd64"], 2, "spec/unsupported-platform", &["linux"]),
        (&["build", "--tag", "not a tag"], 2, "spec/invalid-tag", &["not a tag"]),
        (&["build", "--registry", "not a host"], 2, "spec/invalid-registry", &["not a host"]),
        (&["build", "--nope"], 2, "cli/usage", &["--nope", "hint: "]),
        (&["bild"], 2, "cli/usage", &["'build'"]),
        (&["build", "--push"], 2, "engine/no-registry", &["hint: Give one with --registry"]),
        (&["build", "--output", "oci:occupied"], 2, "export/not-a-layout", &["hint: Name a dir"]),
        (&["build", "--output", "oci:tool"], 3, "store/io", &["tool"]),
        (&["build", "--output", "oci-archive:app"], 3, "store/io", &["app"]),
        (&["build", "--output", "oci-archive:no/dir/x.tar"], 3, "store/io", &["no/dir"]),
        (&["inspect", "oci:none"], 2, "import/not-a-layout", &["none"]),
        (&["inspect", "oci:app"], 2, "import/not-a-layout", &["app"]),
        (&["inspect", "oci-archive:tool"], 2, "import/invalid-archive", &["tool"]),
        (&["run", "oci:none"], 2, "import/not-a-layout", &["none"]),
        (&["run", "--env", "X"], 2, "cli/invalid-env", &["\"X\""]),
        (&["cache", "prune", "--all", "--older-than", "3"], 2, "cli/usage", &["--all"]),
    ];
    for (args, code, error, parts) in table {
        let outcome = project.tierce(args.iter().copied()).fails(*code, error);
        says(&outcome, parts);
    }
    let occupied: Vec<_> = fs::read_dir(project.path("occupied")).unwrap().collect();
    assert_eq!(occupied.len(), 1, "nothing was added");
    assert_eq!(fs::read_to_string(project.path("tool")).unwrap(), "#!/bin/sh\necho tool\n");
}

#[test]
fn wrong_settings() {
    let project = Project::assembled();
    for (config, code, error) in [
        ("registri = 'x'\n", 2, "config/invalid"),
        ("registry = \n", 2, "config/invalid"),
        ("builder = 'none'\n", 2, "engine/unknown-builder"),
    ] {
        fs::write(project.beside("config.toml"), config).unwrap();
        let tierce = project.tierce(["build"]).env("TIERCE_CONFIG", project.beside("config.toml"));
        let outcome = tierce.fails(code, error);
        assert!(outcome.hint().is_some() || outcome.stderr.contains("native"), "{outcome}");
    }
    let not_a_store = project.path("app");
    let outcome = project.tierce(["build"]).env("TIERCE_STORE", &not_a_store).run();
    assert_eq!(outcome.error_code(), Some("store/not-a-store"), "{outcome}");
    assert_eq!(fs::read_dir(not_a_store).unwrap().count(), 4, "nothing was added");
}

/// An address that nobody listens at.
fn closed_port() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("an address").to_string()
}

#[test]
fn a_registry_that_is_not_there() {
    let address = closed_port();
    let project = Project::assembled();
    for args in [&["--push"][..], &["--push", "--force"]] {
        let build = ["build", "--registry", &address].into_iter().chain(args.iter().copied());
        let outcome = project.tierce(build).fails(4, "registry/unreachable");
        says(&outcome, &[&format!("can't reach {address}"), "hint: Check the registry's name"]);
    }
    let child = Project::new(&format!("base = '{address}/base:1'\n"));
    for command in ["build", "plan"] {
        let outcome = child.tierce([command]).fails(4, "registry/unreachable");
        says(&outcome, &[&address, "hint: "]);
    }
    // A name needs no registry.
    child.tierce(["key"]).ok();
    project.tierce(["inspect", &format!("{address}/x:1")]).fails(4, "registry/unreachable");
}

#[test]
fn a_base_with_no_python_or_another() {
    let Some(registry) = Registry::start() else { return };
    let push = ["build", "--push", "--registry", registry.address(), "--format", "json"];
    let base = |spec: &str| {
        let base = Project::new(spec).file("file", "x\n");
        base.tierce(push).ok().json()["uri"].as_str().unwrap().to_owned()
    };
    let plain =
        base("name = 'plain'\nbase = 'scratch'\ncopy = [{ src = 'file', dst = '/file' }]\n");
    let python = base(
        "name = 'python'\nbase = 'scratch'\ncopy = [{ src = 'file', dst = '/file' }]\n\
         env = { PYTHON_VERSION = '3.11.2' }\n",
    );
    let absent = format!("{}/team/plain:2", registry.address());
    let has_none = format!("{} has no team/plain:2", registry.address());
    for (base, spec, error, parts) in [
        (&absent, "", "base/not-found", &[has_none.as_str(), "Check its name and its tag"]),
        (&plain, "", "python/no-interpreter", &["cannot tell which Python", "python = \"3.12\""]),
        (
            &plain,
            "python = { version = '3.12', provider = 'base' }",
            "python/no-interpreter",
            &["cannot tell which Python", "hint"],
        ),
        (
            &python,
            "python = { version = '3.12', provider = 'base' }",
            "python/wrong-version",
            &["3.11.2, not 3.12", "Ask for"],
        ),
        (
            &python,
            "python = { version = '3.11.3', provider = 'base' }",
            "python/wrong-version",
            &["3.11.2", "3.11.3"],
        ),
    ] {
        let project =
            Project::new(&format!("base = '{base}'\n{spec}\npip = ['six']\nbytecode = false\n"));
        let outcome = project.tierce(["build"]).fails(2, error);
        says(&outcome, parts);
    }
}

#[test]
fn a_platform_that_nothing_runs_on() {
    let foreign = match cfg!(target_arch = "s390x") {
        true => "linux/riscv64",
        false => "linux/s390x",
    };
    if fs::read_dir("/proc/sys/fs/binfmt_misc").is_ok_and(|mut entries| {
        entries.any(|e| e.is_ok_and(|e| e.file_name().to_string_lossy().starts_with("qemu-")))
    }) {
        eprintln!("skipped: emulators are registered on this machine");
        return;
    }
    let project = Project::new("base = 'scratch'\nrun = ['true']\n");
    let outcome = project.tierce(["build", "--platform", foreign]);
    let outcome = outcome.fails(3, "build/foreign-platform");
    says(&outcome, &[foreign, "hint: Register an emulator"]);
}

#[test]
fn errors_are_data_for_programs_too() {
    let project = Project::assembled();
    let build = ["build", "--progress", "json", "--push", "--registry"];
    let outcome = project.tierce(build).args([closed_port().as_str()]);
    let outcome = outcome.fails(4, "registry/unreachable");
    let failed = outcome.stderr.lines().filter_map(|line| {
        let event: serde_json::Value = serde_json::from_str(line).ok()?;
        (event["event"] == "step-failed").then(|| event["step"].clone())
    });
    assert_eq!(failed.count(), 1, "{outcome}");
    assert!(outcome.stderr.contains(&json!("warning").to_string()), "{outcome}");
}
