//! Images that Flyte's SDK wrote and named, as its integration hands them over: on a base from
//! Debian's archive, with packages of PyPI and a project of uv's.

mod support;

use serde_json::{Value, json};
use std::path::Path;
use support::{Outcome, Project, inspect, shared_store};
use tierce::flyte::FlyteImage;
use tierce::{BuildOptions, Cancel, Diagnostic, Error, Events, Export, Settings, Tierce, fronts};

const TAG: &str = "d41d8cd98f00b204e9800998ecf8427e";

fn settings() -> Settings {
    let mut settings = Settings::load().expect("settings");
    settings.store = shared_store("online-imagespec").to_owned();
    settings
}

/// What Flyte's own base image has, and then some of what its users add.
fn image(layers: &[Value]) -> FlyteImage {
    let own = [
        json!({ "layer": "docker_lines", "lines": [
            "LABEL org.opencontainers.image.authors='Some One <one@example.org>'",
        ] }),
        json!({ "layer": "commands", "commands": [
            "id -u flyte >/dev/null 2>&1 || useradd --create-home --shell /bin/bash flyte \
             && mkdir -p /home/flyte && chown -R flyte:flyte /home/flyte /root",
        ] }),
        json!({ "layer": "workdir", "workdir": "/home/flyte" }),
        json!({ "layer": "env", "vars": [
            ["VIRTUAL_ENV", "/opt/venv"], ["PATH", "/opt/venv/bin:$PATH"], ["PYTHONPATH", "/root"],
        ] }),
    ];
    let layers: Vec<Value> = own.iter().chain(layers).cloned().collect();
    serde_json::from_value(json!({
        "python_version": "3.11",
        "registry": "localhost:5000/team",
        "name": "tasks",
        "platform": [tierce::Platform::host().to_string()],
        "extendable": true,
        "is_cloned": true,
        "layers": layers,
        "uri": format!("localhost:5000/team/tasks:{TAG}"),
    }))
    .expect("an image")
}

/// Builds the image into the layout `out` of the project. `None`, with a printed reason, where the
/// archives can't be reached or nothing can be run.
fn build(project: &Project, image: &FlyteImage) -> Option<Vec<String>> {
    let root = project.path("");
    let front = fronts::flyte(image, &root, &settings()).expect("a front");
    let options = BuildOptions {
        root,
        exports: vec![Export::OciLayout(project.path("out"))],
        ..BuildOptions::default()
    };
    let program = Path::new(env!("CARGO_BIN_EXE_tierce"));
    let tierce = Tierce::open_with(settings(), &Cancel::new(), program).expect("an engine");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    match runtime.block_on(tierce.build(&front.image, &options, &Events::none())) {
        Ok(build) => {
            assert!(image.uri.as_ref().is_none_or(|uri| build.uri == *uri), "{}", build.uri);
            Some(front.warnings.into_iter().map(|warning| warning.message).collect())
        }
        Err(error) if unreachable(&error) => {
            eprintln!("skipped: {error}");
            None
        }
        Err(error) => panic!("{}: {error:?}", explained(&error)),
    }
}

fn unreachable(error: &Error) -> bool {
    error.code().starts_with("sandbox/") || error.code().ends_with("unreachable")
}

fn explained(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", explained(source)),
        None => error.to_string(),
    }
}

fn python(project: &Project, script: &str) -> Outcome {
    let args = ["run", "oci:out", "--no-network", "--", "python", "-c", script];
    project.tierce(args).env("TIERCE_STORE", shared_store("online-imagespec")).ok()
}

#[test]
fn flytes_images_have_what_its_tasks_run_in() {
    let project = Project::new("").file("main.py", "WHERE = __file__\n");
    let image = image(&[
        // Before anything is installed there is an environment to run in, and uv.
        json!({ "layer": "commands", "commands": [
            "test \"$(command -v python)\" = /opt/venv/bin/python && uv --version",
        ] }),
        json!({ "layer": "apt_packages", "packages": ["tree"] }),
        json!({ "layer": "pip_packages", "packages": ["six==1.16.0"] }),
        json!({ "layer": "commands", "commands": ["python -c 'import six' && echo ok > /made"] }),
        json!({ "layer": "env", "vars": [["GREETING", "a $UV_LINK_MODE b"]] }),
        json!({ "layer": "source", "kind": "file", "src": "main.py", "dst": "." }),
    ]);
    if build(&project, &image).is_none() {
        return;
    }
    let layout = format!("oci:{}", project.path("out").display());
    let config = inspect(["--config", &layout]);
    if let Some(config) = config {
        let env: Vec<&str> =
            config["config"]["Env"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
        for expected in [
            "VIRTUALENV=/opt/venv",
            "VIRTUAL_ENV=/opt/venv",
            "UV_PYTHON=/opt/venv/bin/python",
            "UV_COMPILE_BYTECODE=1",
            "GREETING=a copy b",
            "LD_LIBRARY_PATH=/usr/local/nvidia/lib64",
            &format!("_F_IMG_ID=localhost:5000/team/tasks:{TAG}"),
        ] {
            assert!(env.contains(&expected), "{expected} is not in {env:?}");
        }
        let path = env.iter().find_map(|v| v.strip_prefix("PATH=")).unwrap();
        assert!(path.starts_with("/opt/venv/bin:/usr/local/sbin:"), "{path}");
        assert!(path.ends_with(":/usr/local/nvidia/bin:/usr/local/cuda/bin"), "{path}");
        assert_eq!(config["config"]["User"], "flyte");
        assert_eq!(config["config"]["WorkingDir"], "/home/flyte");
        let label = &config["config"]["Labels"]["org.opencontainers.image.authors"];
        assert_eq!(label, "Some One <one@example.org>");
    }
    let script = "import getpass, os, six, main, shutil, sys\n\
                  print(getpass.getuser(), os.getcwd(), main.WHERE, sys.prefix)\n\
                  print(open('/made').read().strip(), shutil.which('tree'), six.__version__)\n\
                  open('written', 'w').close()";
    let ran = python(&project, script);
    let lines: Vec<&str> = ran.stdout.lines().collect();
    assert_eq!(
        lines,
        ["flyte /home/flyte /home/flyte/main.py /opt/venv", "ok /usr/bin/tree 1.16.0"],
        "{ran}"
    );
}

/// What `uv lock` writes for it.
const UV_LOCK: &str = r#"
version = 1
revision = 5
requires-python = ">=3.9"

[[package]]
name = "app"
version = "1.2"
source = { editable = "." }
dependencies = [
    { name = "beside" },
    { name = "iniconfig" },
]

[package.metadata]
requires-dist = [
    { name = "beside", editable = "../beside" },
    { name = "iniconfig", specifier = "==2.0.0" },
]

[[package]]
name = "beside"
version = "3.4"
source = { editable = "../beside" }

[[package]]
name = "iniconfig"
version = "2.0.0"
source = { registry = "https://pypi.org/simple" }
wheels = [
    { url = "https://files.pythonhosted.org/packages/ef/a6/62565a6e1cf69e10f5727360368e451d4b7f58beeac6173dc9db836a5b46/iniconfig-2.0.0-py3-none-any.whl", hash = "sha256:b6a85871a79d2e3b22d2d1b94ac2824226a63c6b741c88f7ae975f18b6778374", size = 5892 },
]
"#;

#[test]
fn projects_of_uv_are_installed_into_the_environment() {
    const MANIFEST: &str = r#"
[project]
name = "app"
version = "1.2"
requires-python = ">=3.9"
dependencies = ["iniconfig==2.0.0", "beside"]

[tool.uv.sources]
beside = { path = "../beside", editable = true }

[build-system]
requires = ["hatchling==1.25.0"]
build-backend = "hatchling.build"
"#;
    const BESIDE: &str = r#"
[project]
name = "beside"
version = "3.4"

[build-system]
requires = ["hatchling==1.25.0"]
build-backend = "hatchling.build"
"#;
    let project = Project::new("")
        .file("app/pyproject.toml", MANIFEST)
        .file("app/uv.lock", UV_LOCK)
        .file("app/app/__init__.py", "NAME = 'app'\n")
        .file("beside/pyproject.toml", BESIDE)
        .file("beside/beside/__init__.py", "NAME = 'beside'\n");
    for (mode, expected) in
        [("dependencies_only", "2.0.0 beside False"), ("install_project", "2.0.0 beside True")]
    {
        let image = image(&[
            json!({ "layer": "uv_project", "pyproject": "app/pyproject.toml", "mode": mode }),
            json!({ "layer": "pip_packages", "packages": ["six==1.16.0"] }),
        ]);
        if build(&project, &image).is_none() {
            return;
        }
        let script = "import beside, importlib.metadata as m, importlib.util, os, six\n\
                      print(m.version('iniconfig'), beside.NAME, bool(importlib.util.find_spec('app')))\n\
                      print(os.path.exists('/var/tmp/tierce'), beside.__file__.startswith('/opt/venv/'))";
        let ran = python(&project, script);
        assert_eq!(ran.stdout.lines().collect::<Vec<_>>(), [expected, "False True"], "{ran}");
        std::fs::remove_dir_all(project.path("out")).unwrap();
    }
}

#[test]
fn projects_of_uv_need_nothing_before_them() {
    const MANIFEST: &str = "[project]\nname = \"app\"\nversion = \"1\"\n\
                            dependencies = [\"iniconfig==2.0.0\"]\n";
    let project = Project::new("").file("app/pyproject.toml", MANIFEST);
    // Not Flyte's, but one of whoever writes `tierce.Image`: nothing comes with it.
    let image: FlyteImage = serde_json::from_value(json!({
        "python_version": "3.11",
        "name": "own",
        "extendable": true,
        "layers": [
            { "layer": "uv_project", "pyproject": "app/pyproject.toml", "mode": "dependencies_only" },
            { "layer": "env", "vars": [["PATH", "/extra/bin:$PATH"]] },
        ],
    }))
    .expect("an image");
    let Some(warnings) = build(&project, &image) else { return };
    assert!(warnings.iter().any(|warning| warning.contains("no uv.lock")), "{warnings:?}");
    let script = "import iniconfig, os, sys\n\
                  print(sys.prefix, iniconfig.__file__.startswith('/opt/venv/'))\n\
                  print(os.environ['PATH'].split(':')[:2])";
    let ran = python(&project, script);
    let expected = ["/opt/venv True", "['/extra/bin', '/opt/venv/bin']"];
    assert_eq!(ran.stdout.lines().collect::<Vec<_>>(), expected, "{ran}");
}

#[test]
fn projects_of_poetry_are_installed_without_poetry() {
    const MANIFEST: &str = r#"
[tool.poetry]
name = "app"
version = "1.2"
description = ""
authors = []

[tool.poetry.dependencies]
python = ">=3.9"

[build-system]
requires = ["poetry-core==1.9.0"]
build-backend = "poetry.core.masonry.api"
"#;
    // What `poetry lock` writes for it.
    const LOCK: &str = r#"
package = []

[metadata]
lock-version = "2.1"
python-versions = ">=3.9"
content-hash = "db9b4c08b159b17b239e26c67ead7c37b82d9f9eb06550245ae3134c095f98f7"
"#;
    let project = Project::new("")
        .file("app/pyproject.toml", MANIFEST)
        .file("app/poetry.lock", LOCK)
        .file("app/app/__init__.py", "NAME = 'app'\n");
    let image = image(&[json!({
        "layer": "poetry_project", "pyproject": "app/pyproject.toml", "lock": "app/poetry.lock",
        "mode": "install_project",
    })]);
    if build(&project, &image).is_none() {
        return;
    }
    let script = "import app, importlib.metadata as m\n\
                  print(sorted(d.name for d in m.distributions()))\n\
                  print(app.__file__)";
    let ran = python(&project, script);
    assert!(ran.stdout.contains("['app']"), "{ran}");
}
