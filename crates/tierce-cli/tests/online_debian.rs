//! Images on Debian's archive and PyPI: the quickstart, by whoever builds it.

mod support;

use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use support::{
    ORDINARY, Project, give_away, inspect, is_root, ordinary_user, shared_store, unpack,
    user_with_subordinate_ids,
};

fn store() -> PathBuf {
    shared_store("online-debian-store")
}

/// Takes turns: two builds of a Debian base at once take longer than one after the other.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The project of the README, with the shared store's downloads; `None` where nothing can be run.
fn quickstart() -> Option<Project> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/quickstart");
    let read = |name: &str| fs::read(source.join(name)).expect("a file of the example");
    let project = Project::new(&String::from_utf8(read("tierce.toml")).expect("UTF-8"))
        .file("app/__init__.py", read("app/__init__.py"))
        .file("app/__main__.py", read("app/__main__.py"));
    can_run(&project).then_some(project)
}

fn can_run(project: &Project) -> bool {
    let doctor = project.tierce(["doctor"]).run();
    if doctor.code != 0 {
        eprintln!("skipped: nothing can be run in a sandbox here: {doctor}");
    }
    doctor.code == 0
}

fn layers(built: &Value) -> Vec<(String, String)> {
    let layers = built["platforms"][0]["layers"].as_array().expect("layers");
    let text = |layer: &Value, name: &str| layer[name].as_str().unwrap_or_default().to_owned();
    layers.iter().map(|layer| (text(layer, "created-by"), text(layer, "digest"))).collect()
}

#[test]
fn the_quickstart_is_the_same_image_whoever_builds_it() {
    let Some(project) = quickstart() else { return };
    let _turn = turn();
    let build = ["build", "--format", "json", "--output", "oci:out"];
    let mine = project.tierce(build).env("TIERCE_STORE", store()).ok().json();

    let run = project.tierce(["run"]).env("TIERCE_STORE", store()).ok();
    for part in ["\"env\":\"prod\"", "'fastapi': '", "git version 2."] {
        assert!(run.stdout.contains(part), "{part}: {run}");
    }
    let import = "import importlib.metadata as m, fastapi, sys; \
                  print(sys.prefix, m.version('fastapi') == fastapi.__version__)";
    let python = ["run", "--progress", "quiet", "oci:out", "--", "python", "-c", import];
    let python = project.tierce(python).env("TIERCE_STORE", store()).ok();
    assert_eq!(python.stdout, "/opt/venv True\n");

    let plan = project.tierce(["plan", "--format", "json"]).env("TIERCE_STORE", store());
    for layer in plan.ok().json()["platforms"][0]["layers"].as_array().unwrap() {
        assert_eq!(layer["action"], "cached", "{layer}");
    }
    let layout = format!("oci:{}", project.path("out").display());
    if let Some(image) = inspect([layout.as_str()]) {
        assert_eq!(image["Digest"], mine["digest"]);
    }

    let mut others: Vec<(u32, Vec<String>)> = vec![];
    let strings = |launcher: Vec<&str>| launcher.into_iter().map(str::to_owned).collect();
    others.extend(ordinary_user().filter(|_| is_root()).map(|user| (ORDINARY, strings(user))));
    others.extend(user_with_subordinate_ids());
    for (id, launcher) in others {
        let Some(theirs) = quickstart() else { return };
        // Downloads alone: every layer is made again.
        let blobs = Command::new("cp")
            .args(["-r", "--reflink=auto"])
            .arg(store().join("blobs"))
            .arg(theirs.store())
            .status();
        assert!(blobs.is_ok_and(|status| status.success()));
        for directory in ["project", "store", "home"] {
            give_away(&theirs.beside(directory), id);
        }
        let launcher: Vec<&str> = launcher.iter().map(String::as_str).collect();
        let tierce = theirs.tierce(build).env("TZ", "Asia/Tokyo").env("LANG", "de_DE.UTF-8");
        let built = tierce.after("umask 077").behind(&launcher).ok().json();
        assert_eq!(layers(&built), layers(&mine), "{launcher:?}");
        assert_eq!(built["digest"], mine["digest"], "{launcher:?}");
        let run = theirs.tierce(["run", "oci:out"]).behind(&launcher).ok();
        assert!(run.stdout.contains("git version 2."), "{run}");
        theirs.tierce(["cache", "prune", "--all"]).behind(&launcher).ok();
    }
}

#[test]
fn a_debian_base_is_a_whole_system() {
    let spec = "name = 'system'\nbase = { debian = 'bookworm' }\n\
                run = [{ cmd = 'dpkg --audit && ! getent hosts deb.debian.org', network = 'none' }]\n";
    let project = Project::new(spec);
    if !can_run(&project) {
        return;
    }
    let _turn = turn();
    let build = ["build", "--format", "json", "--output", "oci:out"];
    let built = project.tierce(build).env("TIERCE_STORE", store()).ok().json();
    let run = |script: &str| {
        let args = ["run", "--progress", "quiet", "oci:out", "--", "sh", "-ec", script];
        project.tierce(args).env("TIERCE_STORE", store()).ok().stdout
    };
    let script = ". /etc/os-release; echo $VERSION_CODENAME; cd /tmp; stat -c %a .; \
                  dpkg -V | grep -vcE '/usr/share/(doc|groff|info|lintian|locale|man)/' || :; \
                  test ! -e /usr/bin/python3; su nobody -s /bin/sh -c 'id -u'";
    assert_eq!(run(script), "bookworm\n1777\n0\n65534\n");
    let tag = built["uri"].as_str().unwrap().rsplit_once(':').unwrap().1;
    let Some(unpacked) = unpack(&project.path("out"), tag) else { return };
    for absent in ["etc/hostname", "etc/resolv.conf", "dev/null", "proc/self", "var/cache/tierce"] {
        assert!(!unpacked.file(absent).exists(), "{absent} is the sandbox's, not the image's");
    }
}

#[test]
fn what_debian_does_not_have_is_an_error() {
    let _turn = turn();
    // (the specification, exit code, error, what is said)
    let table: &[(&str, i32, &str, &[&str])] = &[
        ("base = { debian = 'bullfrog' }", 2, "debian/unknown-suite", &["bullfrog", "hint: "]),
        (
            "base = { debian = 'bookworm', packages = ['no-such-package'] }",
            2,
            "debian/unknown-package",
            &["no-such-package", "hint: "],
        ),
        (
            "base = { debian = 'bookworm', mirror = 'http://127.0.0.1:1/debian' }",
            4,
            "fetch/unreachable",
            &["127.0.0.1:1", "hint: "],
        ),
        (
            "base = { debian = 'bookworm', python = true }\n\
             python = { version = '3.12', provider = 'base' }\npip = ['six']",
            2,
            "python/wrong-version",
            &["Python 3.11", "not 3.12", "hint: "],
        ),
        (
            "base = { debian = 'bookworm' }\napt = ['no-such-package']",
            5,
            "step/failed",
            &[
                "step failed: apt no-such-package (exit code 100)",
                "Unable to locate package no-such-package",
            ],
        ),
    ];
    for (spec, code, error, parts) in table {
        let project = Project::new(&format!("{spec}\n"));
        if !can_run(&project) {
            return;
        }
        let build = project.tierce(["build", "--output", "oci:out"]);
        let outcome = build.env("TIERCE_STORE", store()).fails(*code, error);
        for part in *parts {
            assert!(outcome.stderr.contains(part), "{part:?} is not in {outcome}");
        }
        assert!(!project.path("out").exists());
    }
}
