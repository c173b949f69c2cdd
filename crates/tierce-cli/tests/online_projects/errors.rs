//! What is wrong with a project is said before anything is built, with what to do.

use super::*;

/// A project of two packages on a base that nothing is run on.
fn project(index: &PackageIndex, more: &str) -> Project {
    index.add_wheel(&WheelSpec::new("plain", "1.0"));
    index.add_wheel(&WheelSpec::new("leaf", "1.5").requires(&["plain"]));
    let project =
        Project::new(&format!("name = 'p'\n{SAID}project = {{ uv = 'pyproject.toml' }}\n{more}\n"));
    let pyproject = format!(
        "[tool.uv]\npackage = false\n[[tool.uv.index]]\nname = 'own'\nurl = '{}'\ndefault = true\n",
        index.url()
    );
    let requires_python = Some(">=3.9");
    let spec = ProjectSpec {
        requires: &["leaf"],
        requires_python,
        pyproject: &pyproject,
        ..ProjectSpec::new("p", "1")
    };
    write(&project, "", &spec);
    run_uv(&project.path(""), &["lock", "--quiet"]);
    project
}

fn edit(project: &Project, file: &str, from: &str, to: &str) {
    let text = fs::read_to_string(project.path(file)).unwrap();
    assert!(text.contains(from), "{file} has no {from}:\n{text}");
    project.write(file, text.replace(from, to));
}

/// What a build says that fails.
#[track_caller]
pub fn fails(project: &Project, code: &str) -> String {
    let outcome = tierce(project, ["build"]).run();
    assert_eq!(outcome.error_code(), Some(code), "{outcome}");
    outcome.stderr
}

#[test]
fn what_is_wrong_is_said() {
    let index = PackageIndex::start();
    let fresh = || project(&index, "");
    let build = |project: &Project| tierce(project, ["build"]).ok();

    // As it is, it is built; the second time nobody is asked.
    let one = fresh();
    build(&one);
    index.forget_requests();
    tierce(&one, ["build", "--force"]).ok();

    let stale = fresh();
    edit(&stale, "pyproject.toml", "\"leaf\"", "\"leaf>=1.5\", \"other\"");
    let said = fails(&stale, "python/stale-lock");
    for part in ["leaf>=1.5 is leaf in the lock", "other is not in the lock", "uv lock"] {
        assert!(said.contains(part), "{said}");
    }

    let truncated = fresh();
    let text = fs::read_to_string(truncated.path("uv.lock")).unwrap();
    truncated.write("uv.lock", &text[..text.len() - 40]);
    fails(&truncated, "python/bad-lock");

    let python = fresh();
    edit(&python, "pyproject.toml", ">=3.9", ">=3.12");
    edit(&python, "uv.lock", "requires-python = \">=3.9\"", "requires-python = \">=3.12\"");
    let said = fails(&python, "python/wrong-version");
    assert!(said.contains(">=3.12"), "{said}");

    for (more, code) in [
        ("groups = ['nope']", "python/unknown-group"),
        ("extras = ['nope']", "python/unknown-extra"),
        ("packages = ['nope']", "python/unknown-member"),
    ] {
        let project = fresh();
        edit(&project, "tierce.toml", "'pyproject.toml'", &format!("'pyproject.toml', {more}"));
        let said = fails(&project, code);
        assert!(said.contains("nope"), "{said}");
    }

    // A hash of somebody else's.
    let hash = fresh();
    let added = index.add_wheel(&WheelSpec::new("changed", "1"));
    edit(&hash, "pyproject.toml", "\"leaf\"", "\"leaf\", \"changed\"");
    run_uv(&hash.path(""), &["lock", "--quiet"]);
    let other = "0".repeat(64);
    edit(&hash, "uv.lock", &added.sha256, &other);
    let said = fails(&hash, "fetch/digest-mismatch");
    for part in ["changed-1-py3-none-any.whl", &other, &added.sha256, "refresh the lock"] {
        assert!(said.contains(part), "{said}");
    }

    // No build for the platform: which there are is said.
    let foreign = fresh();
    index.add_wheel(&WheelSpec::new("foreign", "1").tags("cp311-cp311-win_amd64"));
    edit(&foreign, "pyproject.toml", "\"leaf\"", "\"leaf\", \"foreign\"");
    run_uv(&foreign.path(""), &["lock", "--quiet"]);
    let said = fails(&foreign, "python/no-wheel");
    assert!(said.contains("win_amd64"), "{said}");
}

#[test]
fn other_packages_go_with_what_is_locked() {
    let index = PackageIndex::start();
    let pip = |requirement: &str| {
        format!("[pip]\npackages = ['{requirement}']\nindex = '{}'\n", index.url())
    };
    index.add_wheel(&WheelSpec::new("more", "1").requires(&["plain", "extra"]));
    index.add_wheel(&WheelSpec::new("extra", "1"));
    let fits = project(&index, &pip("more"));
    // What came out since the project was locked is not for it.
    index.add_wheel(&WheelSpec::new("plain", "1.9"));
    let built = build(&fits, "out");
    let text = built.to_string();
    for package in ["plain==1.0", "leaf==1.5", "more==1", "extra==1"] {
        assert!(text.contains(package), "{package}: {text}");
    }
    let conflict = project(&index, &pip("plain<1"));
    let said = fails(&conflict, "python/unsatisfiable");
    assert!(said.contains("is locked by pyproject.toml"), "{said}");

    // Two projects of one mind, and of two.
    let spec = |second: &str| {
        format!(
            "name = 'two'\n{SAID}[[steps]]\nproject = {{ uv = 'pyproject.toml' }}\n\
             [[steps]]\nproject = {{ pylock = '{second}' }}\n"
        )
    };
    let two = project(&index, "");
    let export = ["export", "--format", "pylock.toml", "--frozen", "--quiet", "-o"];
    run_uv(&two.path(""), &[&export[..], &["pylock.toml"]].concat());
    two.write("tierce.toml", spec("pylock.toml"));
    tierce(&two, ["build"]).ok();
    index.add_wheel(&WheelSpec::new("plain", "2.5"));
    run_uv(&two.path(""), &["lock", "--quiet", "--upgrade"]);
    let said = fails(&two, "python/projects-disagree");
    assert!(said.contains("plain"), "{said}");
}

#[test]
fn an_index_of_the_project_gets_the_password_of_its_name() {
    let index = PackageIndex::start().with_basic_auth("alice", "wonderland");
    // A version of its own: what is in the store already, nobody is asked for.
    let version = std::process::id().to_string();
    index.add_wheel(&WheelSpec::new("private", &version));
    let project =
        Project::new(&format!("name = 'p'\n{SAID}project = {{ uv = 'pyproject.toml' }}\n"));
    let pyproject = format!(
        "[tool.uv]\npackage = false\n[[tool.uv.index]]\nname = 'own'\nurl = '{}'\ndefault = true\n",
        index.url()
    );
    let requires_python = Some(">=3.9");
    let spec =
        ProjectSpec { requires: &["private"], requires_python, ..ProjectSpec::new("p", "1") };
    write(&project, "", &ProjectSpec { pyproject: &pyproject, ..spec });
    let with = pyproject.replace("http://", "http://alice:wonderland@");
    write(&project, "locked", &ProjectSpec { pyproject: &with, ..spec });
    run_uv(&project.path("locked"), &["lock", "--quiet"]);
    fs::copy(project.path("locked/uv.lock"), project.path("uv.lock")).unwrap();
    let refused = tierce(&project, ["build"]).run();
    assert_ne!(refused.code, 0, "{refused}");
    let build = tierce(&project, ["build"])
        .env("UV_INDEX_OWN_USERNAME", "alice")
        .env("UV_INDEX_OWN_PASSWORD", "wonderland");
    let outcome = build.ok();
    assert!(!outcome.stderr.contains("wonderland"), "{outcome}");
}
