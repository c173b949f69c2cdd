//! uv's workspaces, with all that may be in one.

use super::*;
use tierce_testing::{GitRepository, GitServer};

/// A workspace with a member, a package beside it, groups, extras, and an index that asks for a
/// password.
fn workspace(index: &PackageIndex, git: Option<&GitServer>, install: &str) -> Project {
    for (name, version) in
        [("plain", "1.0"), ("fast", "2.0"), ("tool", "3.0"), ("deep", "1.0"), ("windows", "1")]
    {
        index.add_wheel(&WheelSpec::new(name, version));
    }
    index.add_wheel(&WheelSpec::new("leaf", "1.5").requires(&["deep"]));
    index.add_sdist(&ProjectSpec::new("source", "0.5"));
    let project = Project::new(&format!(
        "name = 'ws'\n{BASE}[project]\nuv = 'ws/pyproject.toml'\nextras = ['speed']\n\
         groups = ['test']\ninstall = '{install}'\n"
    ));
    let git = match git {
        Some(git) => format!("hosted = {{ git = '{}', subdirectory = 'sub' }}\n", git.url()),
        None => String::new(),
    };
    let hosted = if git.is_empty() { "" } else { "hosted" };
    let pyproject = format!(
        "[dependency-groups]\ndev = ['unused']\ntest = ['tool']\n\
         [tool.uv]\ndefault-groups = []\n\
         [tool.uv.workspace]\nmembers = ['packages/*']\n\
         [tool.uv.sources]\ncore = {{ workspace = true }}\n\
         beside = {{ path = '../beside', editable = true }}\n{git}\
         [[tool.uv.index]]\nname = 'own'\nurl = '{}'\ndefault = true\n",
        index.url()
    );
    index.add_wheel(&WheelSpec::new("unused", "1"));
    let requires: Vec<&str> =
        ["plain>=1", "core", "beside", "source", "windows; sys_platform == 'win32'", hosted]
            .into_iter()
            .filter(|name| !name.is_empty())
            .collect();
    write(
        &project,
        "ws",
        &ProjectSpec {
            requires: &requires,
            extras: &[("speed", &["fast"])],
            requires_python: Some(">=3.9"),
            entry_points: &[("app", "app:main")],
            dynamic: &["version"],
            pyproject: &pyproject,
            ..ProjectSpec::new("app", "7.0")
        },
    );
    let python = Some(">=3.9");
    let core = ProjectSpec {
        requires: &["leaf"],
        requires_python: python,
        ..ProjectSpec::new("core", "0.2")
    };
    write(&project, "ws/packages/core", &core);
    write(&project, "beside", &ProjectSpec::new("beside", "0.3"));
    project
}

#[test]
fn a_workspace_is_what_uv_installs() {
    let index = PackageIndex::start();
    let hosted = ProjectSpec::new("hosted", "4.0");
    let git = GitRepository::with_project(&hosted, Some("sub"));
    let server = git.as_ref().map(|git| git.serve(None));
    let project = workspace(&index, server.as_ref(), "project");
    let folder = project.path("ws");
    run_uv(&folder, &["lock", "--quiet"]);
    let expected = synced(&folder, &["--extra", "speed", "--group", "test"]);
    assert!(expected.contains("app==7.0") && expected.contains("core==0.2"), "{expected}");

    let built = build(&project, "out");
    // Built and installed as any other: not in place.
    let code = format!(
        "{INSTALLED}; import app, core, beside, os; d = m.distribution('core'); \
         print('-', d.read_text('INSTALLER'), d.read_text('direct_url.json'), \
         os.path.dirname(app.__file__), os.path.exists('/opt/venv/bin/app'))"
    );
    if let Some(said) = python(&project, "out", &built, &code) {
        let (found, said) = said.split_once("- ").unwrap();
        assert_eq!(found, expected);
        assert!(said.contains("tierce") || said.contains("uv"), "{said}");
        assert!(said.contains("None /opt/venv/lib/python3.11/site-packages/app True"), "{said}");
    }

    // Only code changed: one package is built, and one layer made.
    index.forget_requests();
    project.write("ws/app/more.py", "X = 1\n");
    let again = build(&project, "again");
    // Small wheels share one.
    assert_eq!(made(&again), ["pip app==7.0 hosted==4.0 source==0.5"]);
    assert!(index.requests().iter().all(|r| !r.contains("/simple/")), "{:?}", index.requests());

    // The dependencies alone do not see it at all.
    let spec = fs::read_to_string(project.path("tierce.toml")).unwrap();
    project.write("tierce.toml", spec.replace("'project'\n", "'dependencies'\n"));
    let alone = build(&project, "alone");
    let layers = alone["platforms"][0]["layers"].as_array().unwrap();
    let installed: String = layers
        .iter()
        .filter_map(|layer| layer["created-by"].as_str())
        .collect::<Vec<_>>()
        .join(" ");
    for package in expected.lines() {
        assert_eq!(installed.contains(package), package != "app==7.0", "{package}: {installed}");
    }
    let key = |project: &Project| tierce(project, ["key"]).ok().stdout;
    let before = key(&project);
    project.write("ws/app/more.py", "X = 2\n");
    assert_eq!(key(&project), before);

    // One dependency bumped is one new layer.
    index.add_wheel(&WheelSpec::new("deep", "1.1"));
    run_uv(&folder, &["lock", "--quiet", "--upgrade-package", "deep"]);
    let bumped = build(&project, "bumped");
    let layers = made(&bumped);
    assert!(matches!(layers.as_slice(), [one] if one.contains("deep==1.1")), "{layers:?}");
}
