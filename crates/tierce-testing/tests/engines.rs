//! What is started works, and is gone afterwards.

use std::net::TcpStream;
use tierce_testing::{Dockerd, Podman, Registry};

#[test]
fn dockerd_runs_containers_and_goes_away() {
    let Some(dockerd) = Dockerd::start() else { return };
    dockerd.import_busybox("base:1").expect("an image");
    let output = dockerd
        .docker()
        .args(["run", "--rm", "--network", Dockerd::NETWORK, "base:1", "echo", "hello"])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "hello\n", "{output:?}");
    let directory = dockerd.socket().parent().unwrap().to_owned();
    drop(dockerd);
    assert!(!directory.exists());
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap();
    assert!(!mounts.contains(directory.to_str().unwrap()), "{mounts}");
}

#[test]
fn podman_runs_containers_on_its_own_storage() {
    let Some(podman) = Podman::isolated() else { return };
    podman.import_busybox("localhost/base:1").expect("an image");
    let output = podman
        .podman()
        .args(["run", "--rm"])
        .args(Podman::RUN_ARGUMENTS)
        .args(["localhost/base:1", "echo", "hello"])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "hello\n", "{output:?}");
}

#[test]
fn a_registry_answers_until_it_is_dropped() {
    let Some(registry) = Registry::start() else { return };
    let port = registry.port();
    assert!(TcpStream::connect(("127.0.0.1", port)).is_ok());
    drop(registry);
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
}
