//! Locks and projects that can't be used, and what is said of them.

use crate::{read, target};
use proptest::prelude::*;
use std::error::Error;
use tierce_oci::Diagnostic;
use tierce_wheel::poetry::{self, PoetrySelection};

const PYPROJECT: &str = include_str!("locks/2.1-standard.toml");
const LOCK: &str = include_str!("locks/2.1-standard.lock");
const OLD_PYPROJECT: &str = include_str!("locks/2.0.toml");
const OLD_LOCK: &str = include_str!("locks/2.0.lock");

#[test]
fn bad_locks_are_errors_with_codes() {
    let cut = &LOCK[..LOCK.len() / 2];
    let without = |name: &str| {
        let start = LOCK.find(&format!("[[package]]\nname = \"{name}\"")).unwrap();
        let end = start + 1 + LOCK[start + 1..].find("[[package]]").unwrap();
        format!("{}{}", &LOCK[..start], &LOCK[end..])
    };
    let changed = |from: &str, to: &str| {
        assert!(LOCK.contains(from), "{from}");
        LOCK.replacen(from, to, 1)
    };
    for (lock, code, words) in [
        (cut.to_owned(), "python/bad-lock", "damaged"),
        (String::new(), "python/bad-lock", "damaged"),
        ("<<<<<<< HEAD\n".to_owned() + LOCK, "python/bad-lock", "damaged"),
        (without("tester"), "python/bad-lock", "no entry for tester, which pyproject.toml"),
        (without("leaf"), "python/bad-lock", "no entry for leaf, which by-url 5.0 requires"),
        (changed("\"2.1\"\npython", "\"3.0\"\npython"), "python/lock-version", "\"3.0\""),
        (changed("lock-version = \"2.1\"\n", ""), "python/lock-version", "only 1.x and 2.x"),
        (changed("content-hash = ", "content-has = "), "python/bad-lock", "no content-hash"),
        (changed("content-hash = \"", "content-hash = \"0"), "python/stale-lock", "stale"),
        (changed("hash = \"sha256:", "hash = \"md5:"), "python/no-hash", "alpha_package-1.2"),
        (changed("version = \"1.2\"", "version = \"one\""), "python/bad-lock", "\"one\""),
        (changed("python_version < \\\"3.11\\\"", "what"), "python/bad-lock", "\"what\""),
        (
            changed("python_version < \\\"3.11\\\"", "python_version < \\\"4\\\""),
            "python/bad-lock",
            "beta twice",
        ),
        (changed("groups = [\"main\"]", "group = 1"), "python/bad-lock", "no groups"),
        (
            changed("resolved_reference = \"", "resolved_reference = \"-"),
            "python/bad-lock",
            "in-git",
        ),
        (
            changed("python-versions = \">=3.9,<4\"", "python-versions = \">=3.12\""),
            "python/wrong-version",
            "3.11",
        ),
    ] {
        let error = read(PYPROJECT, &lock).expect_err(words);
        assert_eq!(error.code(), code, "{error}");
        assert!(error.to_string().contains(words), "{error}: {words}");
        assert!(error.hint().is_some());
        let source = error.source().map(ToString::to_string);
        assert!(source.is_none_or(|source| !error.to_string().contains(&source)));
    }
    let stale = read(&PYPROJECT.replace("compiled>=1", "compiled>=1.0"), LOCK).unwrap_err();
    assert_eq!(stale.code(), "python/stale-lock");
    assert!(stale.hint().unwrap().contains("`poetry lock`"));
}

#[test]
fn older_locks_are_walked_as_far_as_they_go() {
    let changed = |from: &str, to: &str| {
        assert!(OLD_LOCK.contains(from), "{from}");
        read(OLD_PYPROJECT, &OLD_LOCK.replacen(from, to, 1)).unwrap_err().to_string()
    };
    assert!(changed("beta = \">=1,<3\"", "beta = \">=7\"").contains("no version of beta"));
    assert!(changed("beta = \">=1,<3\"", "gamma = \">=7\"").contains("no entry for gamma"));
    assert!(changed("beta = \">=1,<3\"", "beta = \"latest\"").contains("\"latest\""));
    // Poetry before 1.2 locked no build tools.
    let unlocked = OLD_LOCK.replacen("beta = \">=1,<3\"", "setuptools = \"*\"", 1);
    assert!(read(OLD_PYPROJECT, &unlocked).is_ok());
}

#[test]
fn what_a_project_has_not_is_an_error() {
    let target = target("3.11", "amd64");
    for (selection, code) in [
        (
            PoetrySelection { with_groups: vec!["nope".to_owned()], ..Default::default() },
            "python/unknown-group",
        ),
        (
            PoetrySelection { without_groups: vec!["no pe".to_owned()], ..Default::default() },
            "python/unknown-group",
        ),
        (
            PoetrySelection { with_extras: vec!["nope".to_owned()], ..Default::default() },
            "python/unknown-extra",
        ),
    ] {
        let error = poetry::read(PYPROJECT, LOCK, &target, &selection).unwrap_err();
        assert_eq!(error.code(), code, "{error}");
    }
    for (pyproject, words) in [
        ("[project", "not that of a Poetry project"),
        ("[tool]\npoetry = 1", "not that of a Poetry project"),
        ("[project]\nname = 'x'\ndependencies = ['a b c']", "[project] dependencies"),
        ("[tool.poetry.dependencies]\nx = '^a'", "\"^a\""),
        ("[tool.poetry.group.a]\ninclude-groups = ['b']", "includes b"),
        ("[dependency-groups]\na = [{ include-group = 'b' }]", "includes b"),
    ] {
        let error = read(pyproject, LOCK).expect_err(words);
        assert_eq!(error.code(), "python/bad-pyproject");
        assert!(error.to_string().contains(words), "{error}");
    }
}

#[test]
fn groups_may_include_each_other() {
    let pyproject = "[tool.poetry.group.a]\ninclude-groups = ['b']\n\
                     [tool.poetry.group.b]\ninclude-groups = ['a', 'b']\n";
    assert_eq!(read(pyproject, LOCK).unwrap_err().code(), "python/stale-lock");
}

fn survives(pyproject: &str, lock: &str) {
    let target = target("3.11", "amd64");
    let read = poetry::read_unchecked(pyproject, lock, &target, &PoetrySelection::default());
    let _ = read.map_err(|error| (error.to_string(), error.code()));
}

proptest! {
    /// Any damage is an error or another lock, and never a panic.
    #[test]
    fn damaged_locks_are_survived(at in 0..LOCK.len(), length in 0_usize..40, with in "[\\]\\[\"={}a0,. \n<>^~*|]{0,6}") {
        let mut bytes = LOCK.as_bytes().to_vec();
        let end = (at + length).min(bytes.len());
        bytes.splice(at..end, with.bytes());
        let text = String::from_utf8_lossy(&bytes);
        survives(PYPROJECT, &text);
    }

    #[test]
    fn damaged_projects_are_survived(at in 0..PYPROJECT.len(), length in 0_usize..40, with in "[\\]\\[\"={}a0,. \n<>^~*|]{0,6}") {
        let mut bytes = PYPROJECT.as_bytes().to_vec();
        let end = (at + length).min(bytes.len());
        bytes.splice(at..end, with.bytes());
        let text = String::from_utf8_lossy(&bytes);
        survives(&text, LOCK);
    }
}
