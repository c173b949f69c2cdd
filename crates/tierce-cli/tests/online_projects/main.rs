//! Projects of uv, Poetry and others, built natively and run: what is installed is what their own
//! tools install. Packages come from an index of this program; uv and the base from their own
//! places.

mod errors;
mod poetry;
mod repositories;
mod requirements;
#[path = "../support/mod.rs"]
mod support;
mod workspace;

use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use support::{Outcome, Project, Tierce, crun, shared_store, unpack};
use tierce_testing::{PackageIndex, ProjectSpec, WheelSpec};

/// What every image here starts from.
const BASE: &str = "base = { debian = 'bookworm', python = true }\nbytecode = false\n";

/// The same where nothing is run, since nothing is built.
const SAID: &str = "base = 'scratch'\nbytecode = false\n\
                    python = { version = '3.11', interpreter = '/usr/bin/python3.11' }\n";

/// Prints what is installed, as `name==version`, sorted.
const INSTALLED: &str = "import importlib.metadata as m; \
                         print('\\n'.join(sorted(f'{d.name}=={d.version}'.lower().replace('_', '-') \
                         for d in m.distributions() if '/opt/venv' in str(d.locate_file('')))))";

fn tierce<'a>(project: &Project, args: impl IntoIterator<Item = &'a str>) -> Tierce {
    project.tierce(args).env("TIERCE_STORE", shared_store("online-projects-store"))
}

/// The program that locks and installs on this machine: the one that builds use.
fn uv() -> &'static Path {
    static UV: OnceLock<PathBuf> = OnceLock::new();
    UV.get_or_init(|| {
        let index = PackageIndex::start();
        index.add_wheel(&WheelSpec::new("first", "1"));
        let spec = format!("{SAID}[pip]\npackages = ['first']\nindex = '{}'\n", index.url());
        let project = Project::new(&format!("name = 'first'\n{spec}"));
        tierce(&project, ["build"]).ok();
        let programs = shared_store("online-projects-store").join("caches/uv-program");
        let mut found = fs::read_dir(programs).unwrap().map(|entry| entry.unwrap().path());
        found.find(|path| path.file_name().unwrap().to_string_lossy().starts_with("uv-")).unwrap()
    })
}

/// Runs uv in a folder of the project.
fn run_uv(folder: &Path, args: &[&str]) -> Outcome {
    let mut command = Command::new(uv());
    command.args(args).current_dir(folder).env_remove("VIRTUAL_ENV");
    for name in ["UV_INDEX", "UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL"] {
        command.env_remove(name);
    }
    let cache = folder.join("../../uv-cache");
    let outcome = Outcome::of(command.env("UV_CACHE_DIR", cache).output().unwrap());
    assert_eq!(outcome.code, 0, "uv {args:?}: {outcome}");
    outcome
}

/// What uv itself installs of a project, on this machine's Python.
fn synced(folder: &Path, args: &[&str]) -> String {
    let venv = folder.join(".venv");
    let _ = fs::remove_dir_all(&venv);
    let sync = ["sync", "--frozen", "--no-editable", "--python", "3.11", "--quiet"];
    run_uv(folder, &[&sync, args].concat());
    let python = venv.join("bin/python");
    let asked = Command::new(&python)
        .args(["-I", "-c", &INSTALLED.replace("/opt/venv", &venv.display().to_string())])
        .output()
        .unwrap();
    fs::remove_dir_all(&venv).unwrap();
    String::from_utf8(asked.stdout).unwrap()
}

fn build(project: &Project, output: &str) -> Value {
    let output = format!("oci:{output}");
    tierce(project, ["build", "--format", "json", "--output", &output]).ok().json()
}

/// Runs Python in an image that was built.
fn python(project: &Project, output: &str, built: &Value, code: &str) -> Option<String> {
    let tag = built["uri"].as_str().unwrap().rsplit_once(':').unwrap().1;
    let unpacked = unpack(&project.path(output), tag)?;
    let argv = ["/opt/venv/bin/python", "-c", code];
    let outcome = crun(&unpacked, &project.beside(&format!("crun-{output}")), &argv)?;
    assert_eq!(outcome.code, 0, "{outcome}");
    Some(outcome.stdout)
}

/// The layers of an image that were not there before.
fn made(built: &Value) -> Vec<String> {
    let layers = built["platforms"][0]["layers"].as_array().unwrap();
    let fresh = layers.iter().filter(|layer| layer["cached"] == false);
    fresh.map(|layer| layer["created-by"].as_str().unwrap_or_default().to_owned()).collect()
}

/// Writes a package's folder into the project.
fn write(project: &Project, folder: &str, spec: &ProjectSpec<'_>) {
    spec.write_to(&project.path(folder)).unwrap();
}
