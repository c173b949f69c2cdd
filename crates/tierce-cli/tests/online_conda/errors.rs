//! What can't be built, and what is said then.

use crate::support::Project;
use crate::world::{World, build};
use tierce_testing::WheelSpec;

#[test]
fn what_can_not_be_installed_is_said() {
    let Some(world) = World::new() else { return };
    let url = world.served.url();
    let index = world.index.url();
    let packages = |packages: &str| format!("packages = [{packages}], channels = ['{url}']");
    let table: &[(String, &str, &str, &[&str])] = &[
        (packages("'tool', 'wants-old'"), "", "conda/unsatisfiable", &["wants-old", "tool"]),
        (packages("'elsewhere'"), "", "conda/no-build", &["elsewhere", "osx-arm64"]),
        (packages("'toool'"), "", "conda/unknown-package", &["toool"]),
        (
            format!("packages = ['tool'], channels = ['{url}nothing']"),
            "",
            "conda/no-such-channel",
            &["nothing"],
        ),
        (packages("'tool >>>1'"), "", "conda/bad-spec", &["tool >>>1"]),
        (
            packages("'python 3.11.*', 'greet'"),
            "picky",
            "python/unsatisfiable",
            &["picky", "greet"],
        ),
        ("environment = 'environment.yml'".to_owned(), "", "conda/no-python", &["/opt/conda"]),
        (
            "pixi = 'pixi.toml', environment = 'prod'".to_owned(),
            "",
            "conda/no-environment",
            &["\"prod\"", "default"],
        ),
        (
            "pixi = 'pixi.toml'".to_owned(),
            "",
            "conda/environment-platform",
            &["linux-64", "osx-arm64"],
        ),
        ("lock = 'conda-lock.yml'".to_owned(), "", "conda/lock-platform", &["osx-arm64"]),
    ];
    for (conda, pip, error, parts) in table {
        let pip = match *pip {
            "" => String::new(),
            name => format!("pip = {{ packages = ['{name}'], index = '{index}' }}\n"),
        };
        let project = Project::new(&format!(
            "name = 'bad'\nbase = 'scratch'\nbytecode = false\nconda = {{ {conda} }}\n{pip}"
        ))
        .file(
            "environment.yml",
            format!("channels: ['{url}']\ndependencies: [tool, {{pip: [addon]}}]\n"),
        )
        .file("pixi.toml", "[workspace]\nchannels = []\nplatforms = ['osx-arm64']\n")
        .file("conda-lock.yml", "version: 1\nmetadata: {platforms: [osx-arm64]}\npackage: []\n");
        let outcome = project.tierce(["build", "--output", "oci:out"]).run();
        assert_eq!(outcome.error_code(), Some(*error), "{conda}: {outcome}");
        for part in *parts {
            assert!(outcome.stderr.contains(part), "{part:?} is not in {outcome}");
        }
        assert!(!project.path("out").exists());
    }
}

#[test]
fn what_a_project_locks_is_not_overruled() {
    let Some(world) = World::new() else { return };
    let file = world.index.add_wheel(&WheelSpec::new("greet", "9.9"));
    let lock = |version: &str| {
        format!(
            "lock-version = '1.0'\ncreated-by = 'test'\n[[packages]]\nname = 'greet'\n\
             version = '{version}'\n[[packages.wheels]]\nname = 'greet-{version}-py3-none-any.whl'\n\
             url = '{}'\nhashes = {{ sha256 = '{}' }}\n",
            world.index.file_url(&format!("greet-{version}-py3-none-any.whl")),
            file.sha256,
        )
    };
    let spec = |more: &str| {
        format!(
            "name = 'both'\nbase = 'scratch'\nbytecode = false\n{}\n\
             project = {{ pylock = 'pylock.toml' }}\n{more}",
            world.conda("packages = ['python 3.11.*', 'greet']")
        )
    };
    let project = Project::new(&spec("")).file("pylock.toml", lock("9.9"));
    let outcome = project.tierce(["build", "--output", "oci:out"]).run();
    assert_eq!(outcome.error_code(), Some("python/projects-disagree"), "{outcome}");
    for part in ["pylock.toml locks greet 9.9", "/opt/conda has greet 1.0", "Pin one"] {
        assert!(outcome.stderr.contains(part), "{outcome}");
    }
    // The same version stays conda's: the index, which does not have it, is not asked.
    project.write("pylock.toml", lock("1.0"));
    assert!(build(&project)["digest"].is_string());
    let addon = format!("pip = {{ packages = ['addon'], index = '{}' }}\n", world.index.url());
    project.write("tierce.toml", spec(&addon));
    assert!(build(&project)["digest"].is_string());
    // A Python of somebody else's does not go with conda's.
    project.write("tierce.toml", spec("python = { version = '3.11', provider = 'standalone' }\n"));
    let outcome = project.tierce(["build", "--output", "oci:out"]).run();
    assert_eq!(outcome.error_code(), Some("conda/other-python-provider"), "{outcome}");
}
