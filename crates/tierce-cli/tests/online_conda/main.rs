//! Conda environments in images: from a channel that the tests make, with a Python that runs.

#[path = "../support/mod.rs"]
mod support;

mod errors;
mod files;
mod host;
mod locked;
mod world;

use serde_json::Value;
use std::fs;
use support::{Project, crun, shared_store, unpack};
use world::{World, build, digest};

/// Looks at an environment from inside it.
const LOOK: &str = r#"
import importlib.metadata as m, os, subprocess, sys
import addon, greet
out = lambda *argv: subprocess.run(argv, capture_output=True, text=True, check=True).stdout.split()
print(sys.prefix, os.environ["CONDA_PREFIX"], os.environ["PATH"].split(":")[0])
print(m.version("greet"), m.version("addon"), os.path.dirname(addon.__file__))
print(*out("greet"))
print(*out("tool"))
print(open("/opt/conda/share/tool.bin", "rb").read().rstrip(b"\0").decode())
print(open("/opt/conda/linked").read().strip())
"#;

#[test]
fn conda_brings_python_and_pip_installs_beside_it() {
    let Some(world) = World::new() else { return };
    let project = Project::new(&format!(
        "name = 'conda'\nbase = {{ debian = 'bookworm' }}\n{}\n\
         pip = {{ packages = ['addon'], index = '{}' }}\n",
        world.conda("packages = ['python 3.11.*', 'greet', 'tool', 'linked']"),
        world.index.url(),
    ));
    let tierce = |args: &[&'static str]| {
        let tierce = project.tierce(args.iter().copied());
        tierce.env("TIERCE_STORE", shared_store("online-conda-store"))
    };
    let args = ["build", "--format", "json", "--output", "oci:out"];
    let outcome = tierce(&args).run();
    if outcome.error_code().is_some_and(|code| code.starts_with("sandbox/")) || outcome.code == 4 {
        eprintln!("skipped: {outcome}");
        return;
    }
    assert_eq!(outcome.code, 0, "{outcome}");
    let built = outcome.json();
    let tag = built["uri"].as_str().unwrap().rsplit_once(':').unwrap().1.to_owned();
    let Some(unpacked) = unpack(&project.path("out"), &tag) else { return };
    let python = "/opt/conda/bin/python";
    if let Some(outcome) = crun(&unpacked, &project.beside("crun"), &[python, "-c", LOOK]) {
        assert_eq!(outcome.code, 0, "{outcome}");
        let lines: Vec<&str> = outcome.stdout.lines().collect();
        let site = "/opt/conda/lib/python3.11/site-packages";
        assert_eq!(
            lines,
            [
                "/opt/conda /opt/conda /opt/conda/bin",
                &format!("1.0 2.0 {site}/addon"),
                &format!("greet 1.0 {site}/greet/__init__.py"),
                "tool at /opt/conda",
                "prefix=/opt/conda/share",
                "linked 1.0 into /opt/conda",
            ],
            "{outcome}"
        );
    }
    assert!(!unpacked.file("opt/venv").exists());
    assert!(unpacked.file("opt/conda/conda-meta/history").exists());

    // A warm build asks no channel and no index.
    let (channel, index) = (world.served.requests().len(), world.index.requests().len());
    let again = tierce(&args).ok().json();
    assert_eq!(again["digest"], built["digest"]);
    assert_eq!(world.served.requests().len(), channel);
    assert_eq!(world.index.requests().len(), index);
    // Unless it is told to.
    tierce(&["build", "--force", "--format", "json", "--output", "oci:out"]).ok();
    assert!(world.served.requests().len() > channel);
}

#[test]
fn a_channel_for_one_user_gives_nothing_away() {
    let Some(world) = World::new() else { return };
    let password = "hunter2-of-the-channel";
    let private = world.channel.serve().with_basic_auth("me", password);
    let spec = format!(
        "name = 'private'\nbase = 'scratch'\nbytecode = false\n\
         conda = {{ packages = ['tool'], channels = ['{}'] }}\n",
        private.url()
    );
    let project = Project::new(&spec);
    let outcome = project.tierce(["build", "--output", "oci:out"]).run();
    assert_ne!(outcome.code, 0, "{outcome}");
    let host = private.url().replace("http://", "");
    let host = host.split('/').next().unwrap_or_default().to_owned();
    let netrc = format!("machine {host} login me password {password}\n");
    fs::write(project.beside("home").join(".netrc"), netrc).unwrap();
    let built: Value = build(&project);
    assert!(built["digest"].is_string());
    let found = support::Canaries::new(&[("password", password)]);
    found.absent_below(&project.path("out"), &[]);
    found.absent_below(&project.store(), &[]);
}

#[test]
fn one_prefix_is_one_environment() {
    let Some(world) = World::new() else { return };
    let url = world.served.url();
    let spec = format!(
        "name = 'two'\nbase = 'scratch'\nbytecode = false\nsteps = [\n\
         {{ conda = {{ packages = ['tool'], channels = ['{url}'] }} }},\n\
         {{ env = {{ A = '1' }} }},\n\
         {{ conda = {{ packages = ['greet'], channels = ['{url}'] }} }},\n\
         {{ conda = {{ packages = ['tool'], channels = ['{url}'], prefix = '/srv/envs/other' }} }},\n]\n"
    );
    let project = Project::new(&spec);
    let built = build(&project);
    let tag = built["uri"].as_str().unwrap().rsplit_once(':').unwrap().1;
    let Some(unpacked) = unpack(&project.path("out"), tag) else { return };
    for path in ["opt/conda/bin/greet", "opt/conda/bin/tool", "srv/envs/other/bin/tool"] {
        assert!(unpacked.file(path).exists(), "{path}");
    }
    assert!(!unpacked.file("srv/envs/other/bin/greet").exists());
    let text = fs::read_to_string(unpacked.file("srv/envs/other/bin/tool")).unwrap();
    assert!(text.contains("/srv/envs/other") && !text.contains("placehold"), "{text}");
    assert_eq!(digest(&built), digest(&build(&project)));
}
