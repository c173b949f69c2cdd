//! apt and dpkg in a Debian root file system: the same layer, whoever installs.

mod support;

use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;
use support::{Layer, as_user, chain, given, helper, list, now, ordinary_mapping, ordinary_user};
use tierce_sandbox::{Cancel, DiffOptions, Exit, IdMapping, Mount, Process, Sandbox};

/// Programs whose packages have users, groups, set-id files, capabilities and scripts of their
/// own.
const PACKAGES: &str = "git cron openssh-client dbus iputils-ping";

#[derive(Serialize, Deserialize)]
struct Given {
    tar: PathBuf,
    single: bool,
}

/// A minimal Debian, as a tar: made by mmdebstrap, or given.
fn debian(dir: &Path) -> Option<PathBuf> {
    if let Some(tar) = std::env::var_os("TIERCE_TEST_DEBIAN") {
        return Some(tar.into());
    }
    let tar = dir.join("debian.tar");
    let made = Command::new("mmdebstrap")
        .args(["--quiet", "--variant=apt", "bookworm"])
        .arg(&tar)
        .arg("http://deb.debian.org/debian")
        .status();
    match made {
        Ok(status) if status.success() => Some(tar),
        Ok(status) => {
            eprintln!("skipped: mmdebstrap failed with {status}");
            None
        }
        Err(_) => {
            eprintln!("skipped: no mmdebstrap on this machine");
            None
        }
    }
}

fn install(tar: &Path, mapping: IdMapping) -> Layer {
    let sandbox = Sandbox::with_mapping(helper(), mapping);
    let dir = tempfile::tempdir().unwrap();
    let (base, scratch) = (dir.path().join("base"), dir.path().join("scratch"));
    let started = Instant::now();
    sandbox.unpack(tar, &base).unwrap_or_else(|error| panic!("{}", chain(&error)));
    eprintln!("unpacked after {:?}", started.elapsed());
    let script = format!("apt-get update -q && apt-get install -qy {PACKAGES} && dpkg --audit");
    let argv = vec!["/bin/sh".to_owned(), "-ec".to_owned(), script];
    let mut process = Process::new(vec![base.clone()], scratch.clone(), argv);
    process.env = vec![("DEBIAN_FRONTEND".to_owned(), "noninteractive".to_owned())];
    let caches =
        ["lib/apt/lists", "cache/apt"].map(|name| Mount::Tmpfs { target: format!("/var/{name}") });
    process.mounts = caches.to_vec();
    let (mut output, step) = (Vec::new(), now());
    let exit = sandbox
        .run(&process, &mut |_, bytes| output.extend_from_slice(bytes), &Cancel::new())
        .unwrap_or_else(|error| panic!("{}", chain(&error)));
    let output = String::from_utf8_lossy(&output);
    assert_eq!(exit, Exit::Code(0), "{mapping}: {output}");
    eprintln!("installed after {:?}", started.elapsed());
    let mut options = DiffOptions::new(vec![base.clone()], step);
    // What says when it was installed.
    options.omit =
        ["var/log/**", "var/cache/ldconfig/aux-cache", "var/lib/dbus/machine-id", "etc/machine-id"]
            .map(str::to_owned)
            .to_vec();
    let blob = dir.path().join("layer.tar.gz");
    let info = sandbox.diff(&scratch, &options, File::create(&blob).unwrap()).unwrap();
    eprintln!("layer after {:?}", started.elapsed());
    let mut lines = list(&blob);
    for line in &mut lines {
        // Contents are compared by digest, and shown as lengths.
        if let Some(at) = line.find("file ") {
            let xattrs = line.rfind("\" [").map_or("", |at| &line[at + 1..]).to_owned();
            let length = line.len() - at - xattrs.len();
            line.truncate(at);
            *line += &format!("file of about {length}{xattrs}");
        }
    }
    for directory in [&base, &scratch] {
        sandbox.remove(directory).unwrap();
    }
    Layer { digest: info.map(|info| info.descriptor.digest.to_string()), lines }
}

#[test]
#[ignore = "the other side of a test that runs as another user"]
fn driver() {
    given(|given: Given| install(&given.tar, ordinary_mapping(given.single)));
}

#[test]
fn packages_give_one_layer_for_all_mappings() {
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let Some(tar) = debian(dir.path()) else { return };
    let mut layers: Vec<(&str, Layer)> = Vec::new();
    for (user, single) in [("tierce-test-one", true), ("tierce-test-many", false)] {
        if let Some(uid) = ordinary_user(user, !single) {
            let given = Given { tar: tar.clone(), single };
            layers.push((user, as_user(user, uid, &given)));
        }
    }
    let own = if support::is_root() { IdMapping::Root } else { IdMapping::Single };
    let layer = install(&tar, own);
    for wanted in ["usr/bin/git ", "usr/bin/ssh-agent 2755 0:", "usr/bin/crontab 2755 0:10"] {
        let found = layer.lines.iter().any(|line| line.starts_with(wanted));
        assert!(found, "no {wanted} in {:#?}", layer.lines);
    }
    // Capabilities come with setcap, in the package's script.
    let capable = layer.lines.iter().any(|line| line.contains("security.capability"));
    assert!(capable, "no file with capabilities");
    for (user, other) in &layers {
        let only = |one: &Layer, two: &Layer| -> Vec<String> {
            one.lines.iter().filter(|line| !two.lines.contains(line)).cloned().collect()
        };
        assert_eq!(only(&layer, other), only(other, &layer), "differences as {user}");
        assert_eq!(layer.digest, other.digest, "as {user}: contents differ");
        eprintln!("as {user}: the same {} entries", layer.lines.len());
    }
}
