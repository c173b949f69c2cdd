//! Which Python loads the project's Python files.

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use support::World;

/// A world with a program at each of these paths.
fn with_programs(paths: &[&str]) -> World {
    let world = World::new();
    paths.iter().for_each(|path| program(&world, path));
    world
}

fn program(world: &World, path: &str) {
    let path = world.path(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, "#!/bin/sh\n").unwrap();
    fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
}

fn python(world: &World) -> String {
    world.entry("python")
}

#[test]
fn the_nearest_environment_is_taken_unless_another_is_named() {
    let mut world = with_programs(&[
        "usr/bin/python3",
        "usr/bin/python3.12",
        "conda/bin/python",
        "tool/bin/python",
        "tool/pyvenv.cfg",
        "active/bin/python",
        "mine/bin/python",
        "variable/bin/python",
        "flag/bin/python",
    ]);
    assert_eq!(World::new().entry("python"), "nothing from default");
    let path = world.path("usr/bin").to_str().unwrap().to_owned();
    world = world.variable("PATH", &path);
    assert_eq!(python(&world), "\"usr/bin/python3\" from PATH");
    world.programs = vec![world.path("usr/bin/tierce")];
    assert_eq!(python(&world), "\"usr/bin/python3\" from found: usr/bin");
    let conda = world.path("conda").to_str().unwrap().to_owned();
    world = world.variable("CONDA_PREFIX", &conda);
    assert_eq!(python(&world), "\"conda/bin/python\" from CONDA_PREFIX");
    world.programs.push(world.path("tool/bin/tierce"));
    assert_eq!(python(&world), "\"tool/bin/python\" from found: tool/bin");
    // The tool's own environment is less than the project's.
    program(&world, "work/.venv/bin/python");
    assert_eq!(python(&world), "\"work/.venv/bin/python\" from found: work/.venv");
    let active = world.path("active").to_str().unwrap().to_owned();
    world = world.variable("VIRTUAL_ENV", &active);
    assert_eq!(python(&world), "\"active/bin/python\" from VIRTUAL_ENV");
    let mine = world.path("mine/bin/python");
    world = world.user(&format!("python = \"{}\"\n", mine.display()));
    assert_eq!(python(&world), "\"mine/bin/python\" from home/.config/tierce/config.toml:1");
    let variable = world.path("variable").to_str().unwrap().to_owned();
    world = world.variable("TIERCE_PYTHON", &variable);
    assert_eq!(python(&world), "\"variable/bin/python\" from TIERCE_PYTHON");
    world.overrides.python = Some(world.path("flag/bin/python"));
    assert_eq!(python(&world), "\"flag/bin/python\" from --python");
    // A name is looked for, and what is not there is for those to say who start it.
    for (named, found) in [("python3.12", "usr/bin/python3.12"), ("/nowhere/py", "/nowhere/py")] {
        world.overrides.python = Some(named.into());
        let expected = world.path(found);
        assert_eq!(world.settings().python, Some(expected), "{named}");
    }
}

#[test]
fn a_project_does_not_choose_what_runs() {
    let world = World::new().project("[workspace]\npython = \"bin/python\"\n");
    let error = world.load().unwrap_err().to_string();
    assert!(error.contains("python is not for projects to set"), "{error}");
}
