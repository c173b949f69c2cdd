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

/// The same for a user with subordinate ids, who is made if need be: only root can, and what is
/// asked of the system's tables is not taken back.
pub fn user_with_subordinate_ids() -> Option<(u32, Vec<String>)> {
    if !is_root() {
        eprintln!("skipped: making users needs root");
        return None;
    }
    for name in ["setpriv", "useradd", "usermod", "newuidmap"] {
        tool(name)?;
    }
    // Fails where the user is there already.
    let _ = Command::new("useradd").args(["--no-create-home", NAME]).output();
    let id = Command::new("id").args(["-u", NAME]).output().ok()?;
    let id: u32 = String::from_utf8(id.stdout).ok()?.trim().parse().ok()?;
    for (file, option) in [("/etc/subuid", "--add-subuids"), ("/etc/subgid", "--add-subgids")] {
        let has = |text: String| text.lines().any(|line| line.starts_with(&format!("{NAME}:")));
        if !std::fs::read_to_string(file).is_ok_and(has) {
            Command::new("usermod").args([option, "600000000-600065535", NAME]).output().ok()?;
        }
    }
    let launcher = ["setpriv", &format!("--reuid={id}"), &format!("--regid={id}"), "--init-groups"];
    starts(&launcher).then(|| (id, launcher.map(str::to_owned).to_vec()))
}

/// The user with subordinate ids; the sandbox's own tests make the same one.
const NAME: &str = "tierce-test-many";

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

/// Gives a tree to a user, if the tests run as root.
pub fn give_away(tree: &Path, user: u32) {
    if is_root() {
        let owner = format!("{user}:{user}");
        let status = Command::new("chown").args(["-R", &owner]).arg(tree).status();
        assert!(status.is_ok_and(|s| s.success()), "chown {}", tree.display());
    }
}
