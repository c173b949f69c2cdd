//! What several tests share.
#![allow(dead_code, missing_docs)]

pub mod archive;
pub mod chroot;

use std::path::Path;
use std::process::{Command, Output};
use tierce_fetch::{Fetcher, HttpSettings, client};

pub fn fetcher() -> Fetcher {
    Fetcher::new(client(&HttpSettings::default()).expect("an HTTP client"))
}

/// Whether a program is there to be run; says so if not.
pub fn has(program: &str) -> bool {
    let found = Command::new("sh").args(["-c", &format!("command -v {program}")]).output();
    let found = found.is_ok_and(|output| output.status.success());
    if !found {
        eprintln!("skipped: {program} is not installed");
    }
    found
}

/// Runs a program that must succeed.
pub fn run(command: &mut Command) -> Output {
    let output = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

pub fn write(path: &Path, content: impl AsRef<[u8]>) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, content).unwrap();
}
