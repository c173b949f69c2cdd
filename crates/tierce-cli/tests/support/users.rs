//! Being somebody else, or elsewhere.

use super::tools::{is_root, tool};
use std::path::Path;
use std::process::{Command, Stdio};

/// A user that nobody is and that has no subordinate ids.
pub const ORDINARY: u32 = 65533;

/// What to start a program with so that an ordinary user without subordinate ids runs it; `env`
/// where the tests run as one. `None`, with a printed reason, where that can't be had.
pub fn ordinary_user() -> Option<Vec<&'static str>> {
    if !is_root() {
        return Some(vec!["env"]);
    }
    tool("setpriv")?;
    let launcher = vec!["setpriv", "--reuid=65533", "--regid=65533", "--clear-groups"];
    starts(&launcher).then_some(launcher)
}

/// What to start a program with so that it may mount, and nobody else sees it.
pub fn mounting() -> Option<Vec<&'static str>> {
    tool("unshare")?;
    let launcher = vec!["unshare", "--user", "--map-root-user", "--mount"];
    starts(&launcher).then_some(launcher)
}

/// Whether the program under test starts behind `launcher`: its directory may be closed to others.
fn starts(launcher: &[&str]) -> bool {
    let started = Command::new(launcher[0])
        .args(&launcher[1..])
        .args([env!("CARGO_BIN_EXE_tierce"), "--version"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    let starts = started.is_ok_and(|status| status.success());
    if !starts {
        eprintln!("skipped: {} cannot start tierce here", launcher.join(" "));
    }
    starts
}

/// Gives a tree to [`ORDINARY`], if the tests run as root.
pub fn give_away(tree: &Path) {
    if is_root() {
        let owner = format!("{ORDINARY}:{ORDINARY}");
        let status = Command::new("chown").args(["-R", &owner]).arg(tree).status();
        assert!(status.is_ok_and(|s| s.success()), "chown {}", tree.display());
    }
}
