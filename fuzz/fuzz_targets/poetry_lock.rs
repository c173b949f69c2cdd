//! `poetry.lock` and its `pyproject.toml`: the input is both, with a line of `---` between.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;
use tierce_oci::Platform;
use tierce_wheel::poetry::{self, PoetryExtras, PoetryGroups, PoetrySelection};
use tierce_wheel::{Libc, PythonVersion, Target};

static TARGET: LazyLock<Target> = LazyLock::new(|| {
    let python = PythonVersion::new(3, 12).expect("a version");
    Target::new(python, &Platform::linux("amd64"), Libc::DEFAULT).expect("a target")
});

fuzz_target!(|text: &str| {
    let (pyproject, lock) = text.split_once("\n---\n").unwrap_or(("", text));
    drop(poetry::local_sources(lock).map_err(|error| error.to_string()));
    let everything = PoetrySelection {
        groups: PoetryGroups::All,
        extras: PoetryExtras::All,
        ..PoetrySelection::default()
    };
    // Nobody finds a content hash by chance: what is behind the check is read, too.
    for selection in [PoetrySelection::default(), everything] {
        match poetry::read_unchecked(pyproject, lock, &TARGET, &selection) {
            Ok(read) => {
                let names: Vec<_> = read.packages().map(|(name, _)| name).collect();
                assert!(names.is_sorted(), "packages are in the order of their names");
                assert!(read.directories().count() <= names.len());
            }
            Err(error) => drop(error.to_string()),
        }
    }
});
