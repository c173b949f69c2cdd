//! Python packages of an index that changes, on a base whose Python is only said.

use crate::support::{Outcome, Project, Tierce, shared_store};
use std::fs;
use tierce_testing::{PackageIndex, WheelSpec};

fn spec(index: &PackageIndex, packages: &str) -> String {
    format!(
        "name = 'packages'\nbase = 'scratch'\nbytecode = false\n\
         python = {{ version = '3.12', interpreter = '/usr/bin/python3.12' }}\n\
         copy = [{{ src = 'app', dst = '/app' }}]\n\
         [pip]\npackages = [{packages}]\nindex = '{}'\n",
        index.url()
    )
}

/// An index with two versions' worth of packages to come, and a project that asks for them.
fn start() -> (PackageIndex, Project) {
    let index = PackageIndex::start();
    index.add_wheel(&WheelSpec::new("alpha", "1.0").requires(&["beta"]));
    index.add_wheel(&WheelSpec::new("beta", "1.0"));
    let project = Project::new(&spec(&index, "'alpha'")).file("app/main.py", "1\n");
    (index, project)
}

fn tierce<'a>(project: &Project, args: impl IntoIterator<Item = &'a str>) -> Tierce {
    project.tierce(args).env("TIERCE_STORE", shared_store("online-lock-store"))
}

/// The same with a store that has seen nothing of this index.
fn elsewhere<'a>(project: &Project, args: impl IntoIterator<Item = &'a str>) -> Tierce {
    project.tierce(args).env("TIERCE_STORE", project.beside("another-store"))
}

fn digest(outcome: &Outcome) -> String {
    outcome.json()["digest"].as_str().expect("a digest").to_owned()
}

fn lock(project: &Project) -> String {
    fs::read_to_string(project.path("tierce.lock")).expect("a lock")
}

const LOCKED: [&str; 6] = ["build", "--locked", "--format", "json", "--output", "oci:out"];

#[test]
fn what_is_locked_is_built_when_the_index_has_moved_on() {
    let (index, project) = start();
    let made = tierce(&project, ["lock"]).ok();
    assert!(made.stderr.contains("tierce.lock: 1 image, 1 platform, 2 Python packages"), "{made}");
    let text = lock(&project);
    for part in ["wheel = \"alpha-1.0-py3-none-any.whl\"", "\"pip alpha\"", "size = "] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let first = digest(&tierce(&project, LOCKED).ok());
    tierce(&project, ["lock", "--check"]).ok();
    // Nothing is new: the file stays as it is.
    let again = tierce(&project, ["lock"]).ok();
    assert!(again.stderr.contains("nothing changed"), "{again}");
    assert_eq!(lock(&project), text);

    index.add_wheel(&WheelSpec::new("alpha", "1.1").requires(&["beta"]));
    index.add_wheel(&WheelSpec::new("beta", "1.1"));
    index.yank("alpha", "1.0", "broken");
    index.forget_requests();
    let other = Project::new(&spec(&index, "'alpha'"))
        .file("app/main.py", "1\n")
        .file("tierce.lock", &text);
    assert_eq!(digest(&elsewhere(&other, LOCKED).ok()), first);
    let asked = index.requests();
    assert!(!asked.iter().any(|request| request.contains("/simple/")), "{asked:?}");
    // Code is no business of the lock's, and the lock is part of the key.
    other.write("app/main.py", "2\n");
    assert_ne!(digest(&elsewhere(&other, LOCKED).ok()), first);
    let keys = [["key", "--locked"].as_slice(), &["key"]];
    let keys = keys.map(|args| elsewhere(&other, args.iter().copied()).ok().line().to_owned());
    assert_ne!(keys[0], keys[1]);
    // Without the lock, the index decides.
    let unlocked = ["build", "--format", "json", "--output", "oci:out"];
    assert_ne!(digest(&elsewhere(&project, unlocked).ok()), first);
}

#[test]
fn an_update_changes_what_it_names_alone() {
    let (index, project) = start();
    tierce(&project, ["lock"]).ok();
    index.add_wheel(&WheelSpec::new("alpha", "1.1").requires(&["beta"]));
    index.add_wheel(&WheelSpec::new("beta", "1.1"));
    index.add_wheel(&WheelSpec::new("gamma", "1.0").requires(&["beta"]));

    // What is new comes in, and what is there stays.
    project.write("tierce.toml", spec(&index, "'alpha', 'gamma'"));
    let stale = tierce(&project, LOCKED).fails(2, "lock/stale");
    assert!(stale.stderr.contains("+ pip gamma"), "{stale}");
    assert!(stale.hint().is_some_and(|hint| hint.contains("tierce lock")), "{stale}");
    tierce(&project, ["lock", "--check"]).fails(2, "lock/stale");
    tierce(&project, ["plan", "--locked"]).fails(2, "lock/stale");
    assert_eq!(tierce(&project, ["lock"]).ok().stdout, "  + gamma 1.0\n");

    let updated = tierce(&project, ["lock", "--update", "Beta"]).ok();
    assert_eq!(updated.stdout, "  - beta 1.0\n  + beta 1.1\n");
    let unknown = tierce(&project, ["lock", "--update", "delta"]);
    let unknown = unknown.fails(2, "lock/unknown-package");
    assert!(unknown.stderr.contains("there is no delta to update"), "{unknown}");
    let updated = tierce(&project, ["lock", "--update", "--format", "json"]).ok().json();
    assert_eq!(updated[0]["changes"], serde_json::json!(["- alpha 1.0", "+ alpha 1.1"]));

    // A build that updates first, and one with a lock that is elsewhere.
    index.add_wheel(&WheelSpec::new("gamma", "1.1").requires(&["beta"]));
    let build = ["build", "--update", "gamma", "--output", "oci:out"];
    let built = tierce(&project, build).ok();
    assert!(built.stderr.contains("+ gamma 1.1"), "{built}");
    fs::rename(project.path("tierce.lock"), project.path("other.lock")).unwrap();
    tierce(&project, LOCKED).fails(2, "lock/no-file");
    tierce(&project, ["build", "--lock", "other.lock", "--output", "oci:out"]).ok();
    tierce(&project, ["plan", "--lock", "other.lock"]).ok();
}

#[test]
fn several_platforms_have_one_lock() {
    let (index, project) = start();
    let wheel = WheelSpec::new("alpha", "1.2");
    index.add_wheel(&wheel.tags("cp312-cp312-manylinux_2_17_x86_64"));
    index.add_wheel(&wheel.tags("cp312-cp312-manylinux_2_17_aarch64"));
    let both = "linux/amd64,linux/arm64";
    tierce(&project, ["lock", "--platform", both]).ok();
    let text = lock(&project);
    for part in ["platform = \"linux/amd64\"", "x86_64.whl", "linux/arm64\"", "aarch64.whl"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    tierce(&project, ["build", "--locked", "--platform", both, "--output", "oci:out"]).ok();
    let missing = ["build", "--locked", "--platform", "linux/s390x", "--output", "oci:out"];
    let missing = tierce(&project, missing).fails(2, "lock/stale");
    assert!(missing.stderr.contains("+ platform linux/s390x"), "{missing}");
    // It stays for the platforms that it was made for.
    index.add_wheel(&wheel.tags("cp312-cp312-manylinux_2_28_s390x"));
    let again = tierce(&project, ["lock"]).ok();
    assert!(again.stderr.contains("2 platforms"), "{again}");
}

#[test]
fn locks_that_are_not_as_they_were_made_are_refused() {
    let (index, project) = start();
    tierce(&project, ["lock"]).ok();
    let text = lock(&project);
    let half = &text[..text.len() / 2];
    let other = |digit: &str| if digit == "0" { "1" } else { "0" };
    let sha = text.find("sha256 = \"").expect("a hash") + "sha256 = \"".len();
    let digit = &text[sha..=sha];
    let wrong = format!("{}{}{}", &text[..sha], other(digit), &text[sha + 1..]);
    let cases: &[(&str, i32, &str, &[&str])] = &[
        (half, 2, "lock/truncated", &["tierce.lock is not a lock", "cut off", "hint: "]),
        (&text.replace("version = 1\n", "version = 9\n"), 2, "lock/version", &["version 9"]),
        (&text.replace("\"1.0\"", "\"1.1\""), 2, "lock/contradiction", &["alpha 1.1"]),
        (&text.replace("\"image\"", "\"x\""), 2, "lock/no-image", &["it has: x"]),
        (&wrong, 4, "lock/wrong-hash", &["alpha-1.0", "expected sha256:", "hint: "]),
        (
            &text.replace("/alpha-1.0", "/nowhere/alpha-1.0"),
            4,
            "lock/file-gone",
            &["alpha-1.0-py3-none-any.whl", "/nowhere/", "404", "hint: "],
        ),
    ];
    for (bad, code, error, parts) in cases {
        project.write("tierce.lock", bad);
        let outcome = elsewhere(&project, ["build", "--locked"]).fails(*code, error);
        for part in *parts {
            assert!(outcome.stderr.contains(part), "{part:?} is not in {outcome}");
        }
    }
    // Whoever looks everything up anew needs nothing of it.
    project.write("tierce.lock", half);
    tierce(&project, ["lock"]).fails(2, "lock/truncated");
    tierce(&project, ["lock", "--update"]).ok();
    assert_eq!(lock(&project), text);

    // The file was uploaded again.
    index.tamper("alpha-1.0-py3-none-any.whl");
    let outcome = elsewhere(&project, ["build", "--locked"]).fails(4, "lock/wrong-hash");
    assert!(outcome.stderr.contains("is not the file that is locked"), "{outcome}");
    index.remove("alpha", "1.0");
    elsewhere(&project, ["build", "--locked"]).fails(4, "lock/file-gone");
}

#[test]
fn an_image_below_has_its_own_part_of_the_lock() {
    let index = PackageIndex::start();
    index.add_wheel(&WheelSpec::new("alpha", "1.0"));
    index.add_wheel(&WheelSpec::new("beta", "1.0"));
    let above =
        spec(&index, "'beta'").replace("base = 'scratch'", "base = { spec = 'below.toml' }");
    let below = spec(&index, "'alpha'").replace("'packages'", "'below'");
    let project = Project::new(&above).file("below.toml", below).file("app/main.py", "1\n");
    let made = tierce(&project, ["lock"]).ok();
    assert!(made.stderr.contains("2 images"), "{made}");
    let first = digest(&tierce(&project, LOCKED).ok());
    index.add_wheel(&WheelSpec::new("alpha", "1.1"));
    index.add_wheel(&WheelSpec::new("beta", "1.1"));
    assert_eq!(digest(&elsewhere(&project, LOCKED).ok()), first);
    let updated = tierce(&project, ["lock", "--update", "alpha"]).ok();
    assert_eq!(
        updated.stdout,
        "image:\n  - alpha 1.0\n  + alpha 1.1\nimage/base:\n  - alpha 1.0\n  + alpha 1.1\n"
    );
    // Only the image below asks for it.
    project.write("below.toml", spec(&index, "'alpha', 'beta'").replace("'packages'", "'below'"));
    let stale = tierce(&project, LOCKED).fails(2, "lock/stale");
    assert!(stale.stderr.contains("+ pip beta"), "{stale}");
}

#[test]
fn builders_that_know_no_locks_say_so() {
    let (_index, project) = start();
    let lock = ["lock", "--builder", "noop"];
    let outcome = tierce(&project, lock).fails(2, "lock/builder");
    assert!(outcome.stderr.contains("noop"), "{outcome}");
    tierce(&project, ["lock"]).ok();
    tierce(&project, ["build", "--locked", "--builder", "noop"]).fails(2, "lock/builder");
    let rendered = tierce(&project, ["render", "--locked"]).fails(2, "lock/builder");
    assert!(rendered.stderr.contains("a Dockerfile"), "{rendered}");
    let image = ["run", "--locked", "example.com/image:1"];
    tierce(&project, image).fails(2, "lock/no-file");
}
