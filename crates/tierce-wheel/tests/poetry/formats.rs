//! Locks that Poetry 1.1, 1.4, 1.8 and 2.5 wrote for the project of `fixture.rs`.

use crate::{shown, target, words};
use tierce_wheel::poetry::{
    self, LocalKind, PoetryExtras, PoetryGroups, PoetrySelection, local_sources,
};

/// A lock of each format, with its project.
const LOCKS: [(&str, &str, &str); 5] = [
    ("1.0", include_str!("locks/1.1.toml"), include_str!("locks/1.1.lock")),
    ("1.1", include_str!("locks/1.1.toml"), include_str!("locks/1.1.lock")),
    ("2.0", include_str!("locks/2.0.toml"), include_str!("locks/2.0.lock")),
    ("2.1", include_str!("locks/2.1.toml"), include_str!("locks/2.1.lock")),
    ("2.1", include_str!("locks/2.1-standard.toml"), include_str!("locks/2.1-standard.lock")),
];

/// What every way to write the project requires by default.
const MAIN: &str = "alpha-package=1.2 beta=2.1 by-url=5.0 compiled=1.0 delta=1.0 epsilon=1.2";

fn selection(change: impl FnOnce(&mut PoetrySelection)) -> PoetrySelection {
    let mut selection = PoetrySelection::default();
    change(&mut selection);
    selection
}

#[test]
fn every_format_is_read() {
    for (format, pyproject, lock) in LOCKS {
        let lock = lock.replace("lock-version = \"1.1\"", &format!("lock-version = {format:?}"));
        let read = |python, selection: &PoetrySelection| {
            let target = target(python, "amd64");
            let read = poetry::read(pyproject, &lock, &target, selection);
            shown(&read.unwrap_or_else(|error| panic!("{format}: {error}: {error:?}")))
        };
        let all = read("3.11.7", &PoetrySelection::default());
        assert!(all.starts_with(MAIN), "{format}: {all}");
        assert!(all.contains(" numeric=2.0 ") && all.contains(" tester=7.0"), "{format}: {all}");
        for other in ["only-windows", "backport", "omega", "psi", "zeta", "sphinxy"] {
            assert!(!all.contains(&format!(" {other}=")), "{format}: {all}");
        }
        let old = read("3.9", &PoetrySelection::default());
        assert!(old.contains(" beta=1.5 ") && old.contains(" numeric=1.0 "), "{format}: {old}");
        let main = read("3.11", &selection(|s| s.groups = PoetryGroups::None));
        assert!(!main.contains("tester"), "{format}: {main}");
        let extras = read("3.11", &selection(|s| s.with_extras = words("PlugIns")));
        for name in [" omega=1.0 ", " psi=2.0 ", " psi-plugin=1.0"] {
            assert!(extras.contains(name), "{format}: {extras}");
        }
        let extras = selection(|s| {
            s.extras = PoetryExtras::All;
            s.without_extras = words("plugins");
        });
        let extras = read("3.11", &extras);
        assert!(extras.contains(" omega=") && !extras.contains(" psi="), "{format}: {extras}");
    }
}

#[test]
fn groups_are_chosen() {
    for (format, pyproject, lock) in &LOCKS[2..] {
        let read = |selection: &PoetrySelection| {
            let read = poetry::read(pyproject, lock, &target("3.11", "amd64"), selection);
            shown(&read.unwrap_or_else(|error| panic!("{format}: {error}")))
        };
        let docs = read(&selection(|s| {
            s.groups = PoetryGroups::Only;
            s.with_groups = words("docs");
        }));
        // An extra that only this group asks for.
        assert_eq!(docs, "delta=1.0 sphinxy=5.0 sphinxy-tools=1.0 theme=1.0 zeta=0.9", "{format}");
        let all = read(&selection(|s| s.groups = PoetryGroups::All));
        for name in ["alpha-package", "sphinxy", "tester", "linter"] {
            assert!(all.contains(&format!("{name}=")), "{format}: {all}");
        }
        let without = read(&selection(|s| {
            s.groups = PoetryGroups::All;
            s.without_groups = words("Docs main");
        }));
        assert!(without.contains("linter=") && !without.contains("alpha"), "{format}: {without}");
        // Another group includes it there.
        assert_eq!(without.contains("sphinxy"), pyproject.contains("include-groups"), "{without}");
    }
}

#[test]
fn groups_include_others() {
    let (_, pyproject, lock) = LOCKS[4];
    for (group, expected) in [
        ("everything", "linter=1.0 tester=7.0 theme=1.0"),
        ("deep", "delta=1.0 sphinxy=5.0 sphinxy-tools=1.0 theme=1.0 zeta=0.9"),
    ] {
        let only = selection(|s| {
            s.groups = PoetryGroups::Only;
            s.with_groups = words(group);
        });
        let read = poetry::read(pyproject, lock, &target("3.11", "amd64"), &only).unwrap();
        assert_eq!(shown(&read), expected);
    }
}

#[test]
fn the_project_and_its_directories_are_to_be_built() {
    for (format, pyproject, lock) in &LOCKS[2..] {
        let target = target("3.11", "amd64");
        let read = poetry::read(pyproject, lock, &target, &PoetrySelection::default()).unwrap();
        let directories = |read: &poetry::PoetryLock| -> Vec<String> {
            let show =
                |(name, path): (_, &std::path::PathBuf)| format!("{name} {}", path.display());
            read.directories().map(|(name, path)| show((name, path))).collect()
        };
        assert_eq!(directories(&read), ["lib lib"], "{format}");
        let with_project = read.with_project().unwrap();
        assert_eq!(directories(&with_project), ["demo .", "lib lib"], "{format}");
        let local = local_sources(lock).unwrap();
        assert!(local.iter().any(|one| one.kind == LocalKind::Directory), "{format}");
    }
    let (_, pyproject, lock) = LOCKS[2];
    let local = local_sources(lock).unwrap();
    let file = local.iter().find(|one| one.kind == LocalKind::File).unwrap();
    assert_eq!(file.path.to_str(), Some("in_file-4.0-py3-none-any.whl"));
    let no_package = pyproject.replace("[tool.poetry]\n", "[tool.poetry]\npackage-mode = false\n");
    let target = target("3.11", "amd64");
    let read = poetry::read(&no_package, lock, &target, &PoetrySelection::default()).unwrap();
    let error = read.with_project().unwrap_err();
    assert!(error.to_string().contains("package-mode"), "{error}");
}
