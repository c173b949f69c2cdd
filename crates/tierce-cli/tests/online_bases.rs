//! Python packages on images of ours that have some already.

mod support;

use serde_json::Value;
use std::fs;
use std::path::Path;
use support::{Project, Tierce, shared_store, unpack};

const SITE: &str = "opt/venv/lib/python3.12/site-packages";

fn tierce<'a>(project: &Project, args: impl IntoIterator<Item = &'a str>) -> Tierce {
    project.tierce(args).env("TIERCE_STORE", shared_store("online-bases-store"))
}

/// `top` with packages on `low` with packages, both on a Python that is only said.
fn said(low: &str, top: &str) -> Project {
    let python = "bytecode = false\n\
                  python = { version = '3.12', interpreter = '/usr/bin/python3.12' }\n";
    Project::new(&format!(
        "name = 'top'\nbase = {{ spec = 'low/tierce.toml' }}\n{python}pip = {top}\n"
    ))
    .file("low/tierce.toml", format!("name = 'low'\nbase = 'scratch'\n{python}pip = {low}\n"))
}

/// The distributions in an unpacked environment.
fn distributions(site: &Path) -> Vec<String> {
    let entries =
        fs::read_dir(site).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
    let mut all: Vec<String> =
        entries.filter_map(|n| Some(n.strip_suffix(".dist-info")?.to_owned())).collect();
    all.sort();
    all
}

fn layers(build: &Value) -> Vec<&Value> {
    build["platforms"][0]["layers"].as_array().unwrap().iter().map(|l| &l["digest"]).collect()
}

#[test]
fn what_is_there_stays_and_what_is_missing_comes_on_top() {
    // Without the base, jinja2 would bring the newest markupsafe.
    let project = said("['markupsafe==2.1.3']", "['jinja2==3.1.4']");
    let build = ["build", "--format", "json", "--output", "oci:out"];
    let built = tierce(&project, build).ok().json();
    let base = tierce(&project, ["build", "low", "--format", "json", "--force"]).ok().json();
    let (all, below) = (layers(&built), layers(&base));
    assert_eq!(all[..below.len()], below);
    assert_eq!(all.len(), below.len() + 2, "one wheel, and what says that it was asked for");
    let tag = built["uri"].as_str().unwrap().rsplit_once(':').unwrap().1;
    let Some(unpacked) = unpack(&project.path("out"), tag) else { return };
    let found = distributions(&unpacked.file(SITE));
    assert_eq!(found, ["MarkupSafe-2.1.3", "jinja2-3.1.4"]);
    let label = "dev.tierce.python.packages";
    let report = tierce(&project, ["inspect", "oci:out", "--format", "json"]).ok().json();
    let labels = &report["platforms"][0]["config"]["Labels"];
    assert_eq!(labels[label], "jinja2==3.1.4 markupsafe==2.1.3");

    // What is there already makes no layer.
    let project = said("['markupsafe==2.1.3']", "['markupsafe>=2']");
    let built = tierce(&project, build).ok().json();
    assert_eq!(layers(&built), below);
}

#[test]
fn packages_are_replaced_where_they_must_be() {
    let low = "name = 'low'\nbase = { debian = 'bookworm', python = true }\n\
               pip = ['idna==3.4', 'requests==2.31.0']\n";
    let project = Project::new(
        "name = 'top'\nbase = { spec = 'low/tierce.toml' }\npip = ['idna==3.7', 'six==1.16.0']\n",
    )
    .file("low/tierce.toml", low)
    .file("command/tierce.toml", "name = 'x'\nbase = { spec = '../tierce.toml' }\nrun = ['true']\n")
    .file(
        "last/tierce.toml",
        "name = 'last'\nbase = { spec = '../command/tierce.toml' }\npip = ['six', 'packaging==24.0']\n",
    );
    if tierce(&project, ["doctor"]).run().code != 0 {
        return eprintln!("skipped: nothing can be run in a sandbox here");
    }
    // What is installed, whether it fits together, and that every file is some package's.
    let question = "import importlib.metadata as m, os, sys\n\
        all = {d.metadata['Name'].lower(): d for d in m.distributions()}\n\
        print(' '.join(sorted(f'{n}=={d.version}' for n, d in all.items())))\n\
        files = {os.path.realpath(d.locate_file(f)) for d in all.values() for f in d.files}\n\
        site = next(p for p in sys.path if p.endswith('site-packages'))\n\
        lost = [os.path.join(r, f) for r, _, fs in os.walk(site) for f in fs]\n\
        print([p for p in lost if p not in files and '__pycache__' not in p and not p.endswith('REQUESTED')])\n\
        import idna, requests, six\n\
        print(idna.__version__ if hasattr(idna, '__version__') else '', requests.__version__)\n";
    let says = |spec: &str| {
        let args = ["run", spec, "--", "/opt/venv/bin/python", "-c", question];
        tierce(&project, args).ok().stdout
    };
    let found = says(".");
    let mut lines = found.lines();
    let first = lines.next().unwrap();
    for part in ["idna==3.7", "requests==2.31.0", "six==1.16.0"] {
        assert!(first.split(' ').any(|word| word == part), "{part}: {found}");
    }
    assert_eq!(lines.next(), Some("[]"), "{found}");
    assert!(lines.next().is_some_and(|line| line.ends_with("2.31.0")), "{found}");
    // After a command nobody knows, and the environment is asked.
    let found = says("last");
    let first = found.lines().next().unwrap();
    for part in ["idna==3.7", "packaging==24.0", "six==1.16.0"] {
        assert!(first.split(' ').any(|word| word == part), "{part}: {found}");
    }
    assert_eq!(found.lines().nth(1), Some("[]"), "{found}");
}
