//! Builds that are stopped, and places that can't be written to: nothing is left broken.

mod support;

use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::io::Read;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::process::Child;
use std::time::Duration;
use support::{
    ORDINARY, Outcome, Project, copy, give_away, inspect, is_root, mounting, ordinary_user, unpack,
};

fn signal(child: &Child, signal: Signal) {
    let pid = Pid::from_raw(child.id().try_into().expect("a process id")).expect("not 0");
    // It may have ended by itself.
    let _ = kill_process(pid, signal);
}

/// Bytes that can't be compressed, always the same.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let next = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    });
    next.flatten().take(length).collect()
}

/// A project with enough in it to be killed in the middle.
fn large() -> Project {
    let project = Project::new(
        "name = 'large'\nbase = 'scratch'\n\
         copy = [{ src = 'a', dst = '/a' }, { src = 'b', dst = '/b' }]\n",
    );
    let noise = noise(3 << 20);
    (0..50).for_each(|i| project.write(&format!("a/{i}/text"), format!("{i}\n")));
    project.write("a/noise", &noise);
    project.write("b/noise", &noise[1..]);
    project
}

#[test]
fn ctrl_c_ends_a_build_and_leaves_the_store_whole() {
    for (name, sent) in [("SIGINT", Signal::INT), ("SIGTERM", Signal::TERM)] {
        // A registry that takes requests and never answers.
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = silent.local_addr().unwrap();
        let project = Project::assembled();
        project.write("tierce.toml.good", fs::read(project.path("tierce.toml")).unwrap());
        project.write("tierce.toml", format!("base = '{address}/base:1'\n"));
        let child = project.tierce(["build", "--output", "oci:out"]).spawn();
        let (mut request, _) = silent.accept().unwrap();
        request.read_exact(&mut [0; 16]).unwrap();
        signal(&child, sent);
        let outcome = Outcome::of(child.wait_with_output().unwrap());
        assert_eq!((outcome.code, outcome.error_code()), (130, Some("cli/interrupted")), "{name}");
        assert_eq!(outcome.stdout, "");
        assert!(!project.path("out/index.json").exists());
        project.tierce(["build", "tierce.toml.good", "--output", "oci:out"]).ok();
    }
}

#[test]
fn a_build_killed_anywhere_is_built_again() {
    let whole = large();
    let build = ["build", "--format", "json", "--output", "oci:out", "--output", "oci-archive:t"];
    let expected = whole.tierce(build).ok().json();
    let project = large();
    let mut killed = 0;
    for millis in (0..60).step_by(6).chain([90, 120]) {
        let mut child = project.tierce(build).spawn();
        std::thread::sleep(Duration::from_millis(millis));
        signal(&child, Signal::KILL);
        killed += u32::from(!child.wait().unwrap().success());
        // What is there by its name is whole.
        if project.path("t").exists()
            && let Some(image) = inspect([&*format!("oci-archive:{}", project.path("t").display())])
        {
            assert_eq!(image["Digest"], expected["digest"]);
        }
    }
    assert!(killed > 0, "none was killed");
    let again = project.tierce(build).ok().json();
    assert_eq!(again["digest"], expected["digest"]);
    let layout = format!("oci:{}", project.path("out").display());
    copy(&layout, &format!("oci:{}", project.beside("copy").display()));
    let tag = again["uri"].as_str().unwrap().rsplit_once(':').unwrap().1;
    if let Some(unpacked) = unpack(&project.path("out"), tag) {
        assert_eq!(fs::read(unpacked.file("b/noise")).unwrap(), noise(3 << 20)[1..]);
    }
    // What the killed ones left is gone, and nothing of theirs lies about where they wrote.
    let info = project.tierce(["cache", "info", "--format", "json"]).ok().json();
    assert_eq!(info["temporary"]["count"], 0, "{info}");
}

#[test]
fn builds_at_the_same_time_share_a_store() {
    let projects: Vec<Project> = (0..4).map(|_| large()).collect();
    let store = projects[0].store();
    let build = ["build", "--format", "json", "--output", "oci:out"];
    let children: Vec<Child> =
        projects.iter().map(|p| p.tierce(build).env("TIERCE_STORE", &store).spawn()).collect();
    let digests: Vec<String> = children
        .into_iter()
        .map(|child| {
            let outcome = Outcome::of(child.wait_with_output().unwrap());
            assert_eq!(outcome.code, 0, "{outcome}");
            outcome.json()["digest"].as_str().unwrap().to_owned()
        })
        .collect();
    assert!(digests.iter().all(|d| *d == digests[0]), "{digests:?}");
}

#[test]
fn a_store_that_may_not_be_written_to() {
    let Some(user) = ordinary_user() else { return };
    let project = Project::assembled();
    fs::create_dir(project.store()).unwrap();
    fs::set_permissions(project.store(), PermissionsExt::from_mode(0o555)).unwrap();
    let outcome = project.tierce(["build"]).behind(&user).fails(3, "store/denied");
    assert!(outcome.hint().is_some_and(|h| h.contains("TIERCE_STORE")), "{outcome}");

    // Another user's store could hold anything.
    if is_root() {
        let theirs = Project::assembled();
        fs::create_dir(theirs.store()).unwrap();
        fs::set_permissions(theirs.store(), PermissionsExt::from_mode(0o777)).unwrap();
        std::os::unix::fs::chown(theirs.store(), Some(65432), Some(65432)).unwrap();
        let outcome = theirs.tierce(["build"]).behind(&user).run();
        assert_eq!(outcome.error_code(), Some("store/foreign"), "{outcome}");
    }
}

#[test]
fn an_ordinary_user_builds_the_same_image() {
    let Some(user) = ordinary_user() else { return };
    let build = ["build", "--format", "json", "--output", "oci:../out/image"];
    let project = Project::assembled();
    fs::create_dir(project.beside("out")).unwrap();
    let mine = project.tierce(build).ok().json();
    let theirs = Project::assembled();
    fs::create_dir(theirs.beside("out")).unwrap();
    fs::create_dir(theirs.store()).unwrap();
    for directory in ["out", "store", "home"] {
        give_away(&theirs.beside(directory), ORDINARY);
    }
    let built = theirs.tierce(build).behind(&user).ok().json();
    assert_eq!(built["digest"], mine["digest"]);
}

#[test]
fn a_full_disk() {
    let Some(elsewhere) = mounting() else { return };
    let project = large();
    fs::create_dir(project.store()).unwrap();
    let build = ["build", "--format", "json", "--output", "oci-archive:out/image.tar"];
    fs::create_dir(project.path("out")).unwrap();
    for full in ["$TIERCE_STORE", "out"] {
        let mount = format!("mount -t tmpfs -o size=2m tmpfs {full} || exit 99");
        let outcome = project.tierce(build).after(&mount).behind(&elsewhere).run();
        if outcome.code == 99 {
            eprintln!("skipped: a tmpfs cannot be mounted here: {}", outcome.stderr);
            return;
        }
        assert_eq!(outcome.code, 3, "{outcome}");
        let code = outcome.error_code().unwrap_or_default();
        assert!(code.ends_with("/disk-full"), "{full}: {outcome}");
        assert!(outcome.hint().is_some(), "{outcome}");
    }
    project.tierce(build).ok();
}
