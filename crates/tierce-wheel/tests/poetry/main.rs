//! Poetry's projects: locks of every format, bad ones, and files found in indexes.

mod bad;
mod formats;
mod places;

use tierce_oci::Platform;
use tierce_wheel::poetry::{self, PoetryError, PoetryLock, PoetrySelection};
use tierce_wheel::{Libc, Target};

fn target(python: &str, architecture: &str) -> Target {
    Target::new(python.parse().unwrap(), &Platform::linux(architecture), Libc::DEFAULT).unwrap()
}

fn read(pyproject: &str, lock: &str) -> Result<PoetryLock, PoetryError> {
    poetry::read(pyproject, lock, &target("3.11", "amd64"), &PoetrySelection::default())
}

/// Names and versions, between blanks.
fn shown(lock: &PoetryLock) -> String {
    let all: Vec<String> =
        lock.packages().map(|(name, version)| format!("{name}={version}")).collect();
    all.join(" ")
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}
