//! Images that run: pixi projects with packages of the host, and ImageSpecs.

use crate::support::{Outcome, Project, crun, shared_store, unpack};
use crate::world::World;

/// A build backend in the project's own folder (PEP 517, "In-tree build backends"): builds need
/// nothing from an index.
const BACKEND: &str = r#"
import zipfile
def build_wheel(out, config_settings=None, metadata_directory=None):
    name = "mine-0.3-py3-none-any.whl"
    with zipfile.ZipFile(f"{out}/{name}", "w") as wheel:
        wheel.write("mine.py")
        info = "mine-0.3.dist-info"
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: mine\nVersion: 0.3\nRequires-Dist: addon>=2\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: mine\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    return name
"#;
const PACKAGE: &str = "[build-system]\nrequires = []\nbuild-backend = 'backend'\nbackend-path = ['.']\n\
                       [project]\nname = 'mine'\nversion = '0.3'\ndependencies = ['addon>=2']\n";

/// Builds; `None`, with a printed reason, where nothing can run or no archive can be reached.
fn built(project: &Project) -> Option<Outcome> {
    let outcome =
        project.tierce(ARGS).env("TIERCE_STORE", shared_store("online-conda-store")).run();
    match outcome.error_code() {
        Some(code) if code.starts_with("sandbox/") || outcome.code == 4 => {
            eprintln!("skipped: {outcome}");
            None
        }
        _ => Some(outcome),
    }
}

/// What a script says inside the image.
fn says(project: &Project, built: &Outcome, python: &str, script: &str) -> Option<Vec<String>> {
    assert_eq!(built.code, 0, "{built}");
    let uri = built.json()["uri"].as_str().expect("a name").to_owned();
    let tag = uri.rsplit_once(':').expect("a tag").1;
    let unpacked = unpack(&project.path("out"), tag)?;
    let outcome = crun(&unpacked, &project.beside("crun"), &[python, "-c", script])?;
    assert_eq!(outcome.code, 0, "{outcome}");
    Some(outcome.stdout.lines().map(str::to_owned).collect())
}

fn manifest(world: &World) -> String {
    format!(
        "[workspace]\nname = 'x'\nchannels = ['{}']\nplatforms = ['linux-64', 'linux-aarch64']\n\
         [dependencies]\npython = '3.11.*'\ngreet = '*'\n\
         [pypi-dependencies]\nmine = {{ path = '.', editable = true }}\n\
         [pypi-options]\nindex-url = '{}'\n",
        world.served.url(),
        world.index.url()
    )
}

fn lock(world: &World) -> String {
    let (addon, sha256) =
        (world.index.file_url("addon-2.0-py3-none-any.whl"), world.addon_sha256());
    let conda: Vec<String> = ["python", "greet"].map(|name| world.url(name)).into();
    let listed = conda.iter().map(|url| format!("      - conda: {url}\n")).collect::<String>();
    let mut text = format!(
        "version: 6\nenvironments:\n  default:\n    channels:\n    - url: {}\n    packages:\n      \
         linux-64:\n{listed}      - pypi: {addon}\n      - pypi: ./\npackages:\n",
        world.served.url()
    );
    for (name, url) in ["python", "greet"].iter().zip(&conda) {
        text.push_str(&format!("- conda: {url}\n  sha256: {}\n", world.package(name).sha256));
        if *name == "greet" {
            text.push_str("  noarch: python\n  depends:\n  - python >=3.9\n");
        }
    }
    text.push_str(&format!(
        "- pypi: {addon}\n  name: addon\n  version: '2.0'\n  sha256: {sha256}\n  requires_dist:\n  - greet>=1\n\
         - pypi: ./\n  name: mine\n  version: '0.3'\n  sha256: {}\n  requires_dist:\n  - addon>=2\n  editable: true\n",
        "0".repeat(64)
    ));
    text
}

const ARGS: [&str; 5] = ["build", "--format", "json", "--output", "oci:out"];

#[test]
fn pixi_projects_of_the_host_are_installed() {
    let Some(world) = World::new() else { return };
    let spec = |install: &str| {
        format!(
            "name = 'host'\nbase = {{ debian = 'bookworm' }}\nbytecode = false\n\
             conda = {{ pixi = 'app/pixi.toml'{install} }}\n"
        )
    };
    let project = Project::new(&spec(", install = 'project'"))
        .file("app/pixi.toml", manifest(&world))
        .file("app/pyproject.toml", PACKAGE)
        .file("app/backend.py", BACKEND)
        .file("app/mine.py", "SAYS = 'one'\n")
        .file("app/.pixi/envs/default/big", "of the host");
    let script = "import addon, importlib.metadata as m, mine\n\
                  print(mine.SAYS, m.version('mine'), m.version('addon'), mine.__file__)";
    let python = "/opt/conda/bin/python";
    let line = |says: &str| {
        vec![format!("{says} 0.3 2.0 /opt/conda/lib/python3.11/site-packages/mine.py")]
    };
    let Some(solved) = built(&project) else { return };
    if let Some(lines) = says(&project, &solved, python, script) {
        assert_eq!(lines, line("one"));
    }
    // From the lock, and with what the folder has by then.
    project.write("app/pixi.lock", lock(&world));
    project.write("app/mine.py", "SAYS = 'two'\n");
    let Some(locked) = built(&project) else { return };
    if let Some(lines) = says(&project, &locked, python, script) {
        assert_eq!(lines, line("two"));
    }
    // The host's environments are no part of it.
    project.write("app/.pixi/envs/default/big", "changed");
    let Some(again) = built(&project) else { return };
    assert_eq!(again.json()["digest"], locked.json()["digest"]);
    // Its dependencies alone.
    project.write("tierce.toml", spec(""));
    let Some(alone) = built(&project) else { return };
    let script = "import addon, importlib.util\nprint(importlib.util.find_spec('mine'))";
    if let Some(lines) = says(&project, &alone, python, script) {
        assert_eq!(lines, ["None"]);
    }
}

#[test]
fn what_a_package_requires_must_be_known() {
    let Some(world) = World::new() else { return };
    let dynamic = PACKAGE.replace("dependencies = ['addon>=2']", "dynamic = ['dependencies']");
    let project = Project::new(
        "name = 'x'\nbase = 'scratch'\nconda = { pixi = 'pixi.toml', install = 'project' }\n",
    )
    .file("pixi.toml", manifest(&world))
    .file("pyproject.toml", dynamic);
    let outcome = project.tierce(ARGS).fails(2, "conda/local-package");
    assert!(outcome.stderr.contains("pixi lock"), "{outcome}");
    // A folder that is not there.
    project.write("pixi.toml", manifest(&world).replace("path = '.'", "path = '../none'"));
    let outcome = project.tierce(ARGS).fails(2, "source/missing");
    assert!(outcome.stderr.contains("../none, which pixi.toml installs from"), "{outcome}");
}

#[test]
fn image_specs_have_conda_packages() {
    let Some(world) = World::new() else { return };
    let spec = format!(
        "name: conda\npython_version: '3.11'\nconda_packages: [greet, tool]\n\
         conda_channels: [channel, conda-forge]\npackages: [addon]\npip_index: {}\n\
         builder_options: {{flytekit: false}}\n",
        world.index.url()
    );
    let project = Project::new("").file("imageSpec.yaml", spec);
    // conda-forge comes first, always: both are the same here.
    let channels = alias(&project, &world);
    let outcome = project
        .tierce(["build", "imageSpec.yaml", "--format", "json", "--output", "oci:out"])
        .env("TIERCE_STORE", shared_store("online-conda-store"))
        .env("CONDA_CHANNEL_ALIAS", channels)
        .run();
    if outcome.error_code().is_some_and(|code| code.starts_with("sandbox/")) || outcome.code == 4 {
        eprintln!("skipped: {outcome}");
        return;
    }
    let script = "import addon, greet, importlib.metadata as m, subprocess, sys\n\
                  print(sys.prefix, m.version('addon'), m.version('greet'))\n\
                  print(subprocess.check_output(['tool'], text=True).strip())";
    let python = "/opt/micromamba/envs/runtime/bin/python";
    if let Some(lines) = says(&project, &outcome, python, script) {
        let prefix = "/opt/micromamba/envs/runtime";
        assert_eq!(lines, [format!("{prefix} 2.0 1.0"), format!("tool at {prefix}")]);
    }
}

/// A folder in which the channel is called as people's channels are.
fn alias(project: &Project, world: &World) -> String {
    let folder = project.beside("channels");
    std::fs::create_dir_all(&folder).expect("a folder");
    for name in ["conda-forge", "channel"] {
        std::os::unix::fs::symlink(world.channel.path(), folder.join(name)).expect("a link");
    }
    format!("file://{}/", folder.display())
}
