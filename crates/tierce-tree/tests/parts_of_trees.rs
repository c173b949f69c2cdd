//! Trees that are parts of larger ones: rules from further up, and single files.

mod common;

use common::{listing, options, path, put, scan_with};
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use tierce_layer::LayerPath;
use tierce_oci::Diagnostic;
use tierce_tree::{DefaultExcludes, IgnoreRules, RulesAbove, ScanOptions, StatIndex, Tree, scan};

fn below(rules: &str, tree: &LayerPath, own: &str) -> ScanOptions {
    let rules = IgnoreRules::parse(rules).unwrap();
    ScanOptions { above: Some(RulesAbove { rules, tree: tree.clone() }), ..options(own) }
}

/// Rules further up, the tree's own, and what is left of the tree.
const ROWS: &[(&str, &str, &str)] = &[
    ("", "", "a.log a.py d/ d/a.log d/b.py"),
    ("*.log", "", "a.log a.py d/ d/a.log d/b.py"),
    ("**/*.log", "", "a.py d/ d/b.py"),
    ("app/*.log", "", "a.py d/ d/a.log d/b.py"),
    ("app/d", "", "a.log a.py"),
    ("/app/d/", "", "a.log a.py"),
    ("d", "", "a.log a.py d/ d/a.log d/b.py"),
    ("*/d/*.py", "", "a.log a.py d/ d/a.log"),
    ("app", "", ""),
    ("app", "!a.py", "a.py"),
    ("*\n!app", "", "a.log a.py d/ d/a.log d/b.py"),
    ("*\n!app\napp/d", "", "a.log a.py"),
    ("*\n!app/d/*.py", "", "d/ d/b.py"),
    ("**/*.log", "!a.log", "a.log a.py d/ d/b.py"),
    ("!app/a.log", "*.log", "a.py d/ d/a.log d/b.py"),
    ("app/d\n!app/d/b.py", "d/*.py", "a.log a.py"),
    ("app*", "!**/*.py", "a.py d/ d/b.py"),
];

#[test]
fn rules_from_further_up_come_first() {
    let root = tempfile::tempdir().unwrap();
    for file in ["a.log", "a.py", "d/a.log", "d/b.py"] {
        put(root.path(), file, "");
    }
    for (above, own, kept) in ROWS {
        let tree = scan(root.path(), &below(above, &path("app"), own), None).unwrap();
        assert_eq!(listing(&tree), *kept, "{above:?}, then {own:?}");
        // As if both were one file, where the tree is the directory that they are in.
        let top = scan(root.path(), &below(above, &LayerPath::ROOT, own), None).unwrap();
        assert_eq!(top, scan_with(root.path(), &format!("{above}\n{own}")), "{above:?}, {own:?}");
    }
}

#[test]
fn exceptions_from_further_up_lift_defaults_that_they_name() {
    let root = tempfile::tempdir().unwrap();
    for file in ["m.py", "__pycache__/m.pyc", ".venv/x"] {
        put(root.path(), file, "");
    }
    for (above, kept) in [
        ("*\n!app", "m.py"),
        ("!app/.venv", ".venv/ .venv/x m.py"),
        ("!.venv", "m.py"),
        ("!**/.venv", ".venv/ .venv/x m.py"),
    ] {
        let tree = scan(root.path(), &below(above, &path("app"), ""), None).unwrap();
        assert_eq!(listing(&tree), kept, "{above:?}");
    }
}

/// Every path of up to three components.
fn forest() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    let names = ["a", "b", "ab"];
    for one in names {
        for two in names {
            for three in ["a", "b", "x.a", "x.b"] {
                put(root.path(), &format!("{one}/{two}/{three}"), three);
            }
            put(root.path(), &format!("{one}/f.{two}"), two);
        }
    }
    root
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn a_part_is_what_it_is_in_the_whole(
        lines in prop::collection::vec(
            "!?/?(a|b|ab|\\*|\\*\\*|\\?|a\\*|\\*b|\\*\\.a)(/(a|b|ab|\\*|\\*\\*|\\*\\.b|x\\.a)){0,2}(/\\*\\*)?",
            1..5,
        ),
        part in prop::sample::select(vec!["a", "b", "ab", "a/b", "ab/a", "b/ab"]),
    ) {
        thread_local!(static FOREST: tempfile::TempDir = forest());
        FOREST.with(|root| {
            let text = lines.join("\n");
            let whole = scan_with(root.path(), &text);
            let wanted: BTreeSet<String> = listing(&whole)
                .split(' ')
                .filter_map(|word| Some(word.strip_prefix(part)?.strip_prefix('/')?.to_owned()))
                .filter(|word| !word.is_empty())
                .collect();
            let options = below(&text, &path(part), "");
            let tree = scan(&root.path().join(part), &options, None).unwrap();
            let found: BTreeSet<String> =
                listing(&tree).split_whitespace().map(str::to_owned).collect();
            prop_assert_eq!(found, wanted, "{:?} of {:?}", part, text);
            Ok(())
        })?;
    }
}

fn only(root: &Path, files: &[&str], ignore: &str) -> Result<Tree, tierce_tree::ScanError> {
    let only = Some(files.iter().map(Into::into).collect());
    scan(root, &ScanOptions { only, ..options(ignore) }, None)
}

#[test]
fn single_files_come_with_the_directories_above_them() {
    let root = tempfile::tempdir().unwrap();
    for file in ["m.py", "pkg/__init__.py", "pkg/deep/n.py", "pkg/deep/other.py", "data/x", "a/b/c"]
    {
        put(root.path(), file, file);
    }
    symlink("m.py", root.path().join("link.py")).unwrap();
    symlink("pkg", root.path().join("alias")).unwrap();
    for (files, ignore, kept) in [
        (&["m.py", "pkg/deep/n.py"][..], "", "m.py pkg/ pkg/deep/ pkg/deep/n.py"),
        (&["./m.py", "m.py", "pkg//deep/./n.py"], "", "m.py pkg/ pkg/deep/ pkg/deep/n.py"),
        (&["link.py"], "", "link.py@"),
        (&[], "", ""),
        // What is left out stays out, and takes its directory with it.
        (&["m.py", "pkg/deep/n.py"], "**/n.py", "m.py"),
        (&["m.py", "pkg/deep/n.py"], "*\n!pkg", "pkg/ pkg/deep/ pkg/deep/n.py"),
    ] {
        let tree = only(root.path(), files, ignore).unwrap();
        assert_eq!(listing(&tree), kept, "{files:?} without {ignore:?}");
    }
    for (file, code, said) in [
        ("pkg/gone.py", "source/missing", "pkg/gone.py"),
        ("gone/m.py", "source/missing", "gone"),
        ("m.py/x", "source/wrong-kind", "m.py"),
        ("pkg", "source/wrong-kind", "pkg"),
        ("alias/__init__.py", "source/behind-link", "alias"),
        ("../m.py", "source/outside", "../m.py"),
        ("/etc/hosts", "source/outside", "/etc/hosts"),
        (".", "source/outside", "."),
    ] {
        let error = only(root.path(), &["m.py", file], "").unwrap_err();
        assert_eq!(error.code(), code, "{file}: {error}");
        let said = match code {
            "source/outside" => said.into(),
            _ => root.path().join(said),
        };
        assert_eq!(*error.path(), said, "{file}: {error}");
    }
    fs::remove_file(root.path().join("m.py")).unwrap();
    assert!(only(root.path(), &["m.py"], "*").is_err(), "gone, not left out");
}

#[test]
fn single_files_are_remembered_too() {
    let root = tempfile::tempdir().unwrap();
    put(root.path(), "pkg/m.py", "1");
    put(root.path(), "pkg/n.py", "2");
    let options = ScanOptions {
        only: Some(vec!["pkg/m.py".into()]),
        defaults: DefaultExcludes::Off,
        ..ScanOptions::default()
    };
    let mut index = StatIndex::new();
    let first = scan(root.path(), &options, Some(&mut index)).unwrap();
    assert_eq!(first, scan(root.path(), &options, Some(&mut index)).unwrap());
    assert_eq!(first.files(), 1);
}
