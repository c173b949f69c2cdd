//! Files that say which packages there are.

use crate::support::{Project, Unpacked, unpack};
use crate::world::{World, build};
use std::fs;

/// Nothing is run: the layers are assembled.
fn project(conda: &str) -> Project {
    Project::new(&format!(
        "name = 'files'\nbase = 'scratch'\nbytecode = false\nconda = {{ {conda} }}\n"
    ))
}

#[track_caller]
fn built(project: &Project) -> Option<Unpacked> {
    let built = build(project);
    let tag = built["uri"].as_str().unwrap().rsplit_once(':').unwrap().1;
    unpack(&project.path("out"), tag)
}

/// What is installed: conda's records, and Python's.
fn installed(unpacked: &Unpacked, prefix: &str) -> Vec<String> {
    let names = |path: &str, end: &str| -> Vec<String> {
        let entries =
            fs::read_dir(unpacked.file(&format!("{prefix}/{path}"))).into_iter().flatten();
        let names = entries.flatten().map(|entry| entry.file_name().into_string().unwrap());
        names.filter_map(|name| name.strip_suffix(end).map(str::to_owned)).collect()
    };
    let mut all = names("conda-meta", ".json");
    all.retain(|name| !name.starts_with("python-"));
    all.extend(names("lib/python3.11/site-packages", ".dist-info"));
    all.sort();
    all
}

const ALL: [&str; 4] = ["addon-2.0", "greet-1.0", "greet-1.0-pyh0_0", "tool-1.0-h0_0"];

fn environment(world: &World) -> String {
    format!(
        "name: x\nchannels:\n- {}\n- nodefaults\ndependencies:\n- python=3.11\n- greet\n- tool\n\
         - pip:\n  - addon\n  - --index-url {}\nvariables:\n  COLOR: blue\n",
        world.served.url(),
        world.index.url()
    )
}

#[test]
fn environments_are_what_their_files_say() {
    let Some(world) = World::new() else { return };
    let project = project("environment = 'environment.yml', prefix = '/srv/env'")
        .file("environment.yml", environment(&world));
    let Some(unpacked) = built(&project) else { return };
    assert_eq!(installed(&unpacked, "srv/env"), ALL);
    let script = fs::read_to_string(unpacked.file("srv/env/bin/greet")).unwrap();
    assert!(script.starts_with("#!/srv/env/bin/python3.11\n"), "{script}");
    let config = fs::read_to_string(unpacked.path().join("config.json")).unwrap();
    for part in ["COLOR=blue", "CONDA_PREFIX=/srv/env", "PATH=/srv/env/bin:"] {
        assert!(config.contains(part), "{part}: {config}");
    }
}

fn manifest(world: &World) -> String {
    format!(
        "[workspace]\nname = 'x'\nchannels = ['{}']\nplatforms = ['linux-64', 'linux-aarch64']\n\
         [dependencies]\npython = '3.11.*'\ngreet = '*'\n\
         [pypi-dependencies]\naddon = '>=2'\n\
         [pypi-options]\nindex-url = '{}'\n\
         [feature.tools.dependencies]\ntool = '*'\n\
         [environments]\nwork = ['tools']\nbare = {{ features = ['tools'], no-default-feature = true }}\n",
        world.served.url(),
        world.index.url()
    )
}

/// A `pixi.lock` of the environment `work`.
fn lock(world: &World) -> String {
    let names = ["python", "greet", "tool"];
    let addon = world.index.file_url("addon-2.0-py3-none-any.whl");
    let mut text = format!(
        "version: 6\nenvironments:\n  work:\n    channels:\n    - url: {}\n    packages:\n      linux-64:\n",
        world.served.url()
    );
    for name in names {
        text.push_str(&format!("      - conda: {}\n", world.url(name)));
    }
    text.push_str(&format!("      - pypi: {addon}\npackages:\n"));
    for name in names {
        let sha256 = &world.package(name).sha256;
        text.push_str(&format!("- conda: {}\n  sha256: {sha256}\n", world.url(name)));
        if name == "greet" {
            text.push_str("  noarch: python\n  depends:\n  - python >=3.9\n");
        }
    }
    let sha256 = world.addon_sha256();
    text.push_str(&format!(
        "- pypi: {addon}\n  name: addon\n  version: '2.0'\n  sha256: {sha256}\n  requires_dist:\n  - greet>=1\n"
    ));
    text
}

impl World {
    pub fn addon_sha256(&self) -> String {
        let wheel = tierce_testing::WheelSpec::new("addon", "2.0").requires(&["greet>=1"]);
        tierce::Digest::of(wheel.bytes()).hex().to_string()
    }
}

#[test]
fn pixi_environments_are_solved_or_taken_from_their_lock() {
    let Some(world) = World::new() else { return };
    let conda = "pixi = 'pixi.toml', environment = 'work'";
    let solved = project(conda).file("pixi.toml", manifest(&world));
    let Some(unpacked) = built(&solved) else { return };
    assert_eq!(installed(&unpacked, "opt/conda"), ALL);
    let bare = "pixi = 'pixi.toml', environment = 'bare'";
    let bare = project(bare).file("pixi.toml", manifest(&world));
    assert_eq!(installed(&built(&bare).unwrap(), "opt/conda"), ["tool-1.0-h0_0"]);

    let locked = project(conda).file("pixi.toml", manifest(&world)).file("pixi.lock", lock(&world));
    let asked = world.served.requests().len();
    assert_eq!(installed(&built(&locked).unwrap(), "opt/conda"), ALL);
    let asked = world.served.requests().split_off(asked);
    assert!(!asked.iter().any(|request| request.contains("repodata")), "{asked:?}");

    // The lock is compared with the manifest.
    for (old, new, expected) in [
        ("python = '3.11.*'", "python = '3.12.*'", "python"),
        ("addon = '>=2'", "addon = '>=3'", "addon==2.0"),
        ("tool = '*'", "tool = '*'\nlinked = '*'", "linked is not in it"),
        ("greet = '*'\n", "", "greet"),
    ] {
        locked.write("pixi.toml", manifest(&world).replace(old, new));
        let outcome = locked.tierce(["build", "--output", "oci:out"]).fails(2, "conda/stale-lock");
        assert!(outcome.stderr.contains(expected), "{expected}: {outcome}");
        assert!(outcome.stderr.contains("pixi lock"), "{outcome}");
    }
}

#[test]
fn locks_of_other_tools_are_taken_as_they_are() {
    let Some(world) = World::new() else { return };
    let mut multi = format!(
        "version: 1\nmetadata:\n  channels:\n  - url: {}\n    used_env_vars: []\n  platforms: [linux-64]\npackage:\n",
        world.served.url()
    );
    let mut explicit = "# platform: linux-64\n@EXPLICIT\n".to_owned();
    for name in ["python", "greet", "tool"] {
        let package = world.package(name);
        let (url, sha256) = (world.url(name), &package.sha256);
        let version = package.filename.split('-').nth(1).unwrap();
        multi.push_str(&format!(
            "- name: {name}\n  version: '{version}'\n  manager: conda\n  platform: linux-64\n  \
             dependencies: {{}}\n  url: {url}\n  hash: {{sha256: {sha256}}}\n  category: main\n  optional: false\n"
        ));
        explicit.push_str(&format!("{url}#{sha256}\n"));
    }
    let (url, sha256) = (world.index.file_url("addon-2.0-py3-none-any.whl"), world.addon_sha256());
    multi.push_str(&format!(
        "- name: addon\n  version: '2.0'\n  manager: pip\n  platform: linux-64\n  dependencies: {{}}\n  \
         url: {url}\n  hash: {{sha256: {sha256}}}\n  category: main\n  optional: false\n"
    ));
    explicit.push_str(&format!("# pip addon @ {url} --hash=sha256:{sha256}\n"));
    for (name, text) in [("conda-lock.yml", &multi), ("explicit.txt", &explicit)] {
        let project = project(&format!("lock = '{name}'")).file(name, text);
        let Some(unpacked) = built(&project) else { return };
        assert_eq!(installed(&unpacked, "opt/conda"), ALL, "{name}");
        let wrong = text.replace(&world.package("tool").sha256, &"0".repeat(64));
        project.write(name, wrong);
        let outcome = project.tierce(["build", "--output", "oci:out"]).run();
        assert_ne!(outcome.code, 0, "{outcome}");
        assert!(outcome.stderr.contains("tool-1.0"), "{outcome}");
    }
}
