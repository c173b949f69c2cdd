//! Debian's own archive, with debootstrap as the oracle.

mod common;

use std::collections::BTreeSet;
use std::process::Command;
use std::time::{Duration, SystemTime};
use tierce_debian::{Archive, ArchiveSettings, Keyring, Request};
use tierce_oci::{Diagnostic, Platform};
use tierce_store::Store;

fn store() -> Store {
    let path = std::path::PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("debian-store");
    Store::open(&path).unwrap()
}

async fn open(suite: &str, architecture: &str) -> Archive {
    let settings = ArchiveSettings::debian(suite, &Platform::linux(architecture)).unwrap();
    Archive::open(&settings, &common::fetcher(), &store(), SystemTime::now()).await.unwrap()
}

/// What debootstrap would install, by name.
fn debootstrap(suite: &str, architecture: &str) -> BTreeSet<String> {
    let directory = tempfile::tempdir().unwrap();
    let architecture = format!("--arch={architecture}");
    let output = common::run(
        Command::new("debootstrap")
            .args(["--variant=minbase", "--print-debs", &architecture, suite])
            .arg(directory.path().join("root"))
            .arg("http://deb.debian.org/debian"),
    );
    let text = String::from_utf8(output.stdout).unwrap();
    text.split_whitespace().map(str::to_owned).collect()
}

#[tokio::test]
async fn the_base_is_what_debootstrap_installs() {
    for (suite, architecture) in [("bookworm", "amd64"), ("bookworm", "arm64"), ("trixie", "amd64")]
    {
        let packages = open(suite, architecture).await.resolve(&Request::base()).unwrap();
        let names: BTreeSet<String> = packages.iter().map(|p| p.name.to_string()).collect();
        assert!(names.contains("dpkg") && names.contains("apt"));
        if common::has("debootstrap") {
            assert_eq!(names, debootstrap(suite, architecture), "{suite} {architecture}");
        }
    }
}

#[tokio::test]
async fn larger_sets_can_be_had() {
    let archive = open("bookworm", "amd64").await;
    let names = ["git", "build-essential", "default-mta", "openjdk-17-jre", "libgl1", "emacs-nox"];
    for name in names {
        let request = Request::base().with_python().with_names([name.parse().unwrap()]);
        let packages = archive.resolve(&request);
        let packages = packages.unwrap_or_else(|e| panic!("{name}: {e} {:?}", e.hint()));
        let position = |n: &str| packages.iter().position(|p| p.name.as_str() == n);
        assert!(position("libc6") < position("dpkg") && position("dpkg").is_some());
    }
}

#[tokio::test]
async fn unknown_suites_and_packages_are_named() {
    let settings = ArchiveSettings::debian("bookwurm", &Platform::linux("amd64")).unwrap();
    let error = Archive::open(&settings, &common::fetcher(), &store(), SystemTime::now()).await;
    assert_eq!(error.err().unwrap().code(), "debian/unknown-suite");
    let request = Request::default().with_names(["pyhton3".parse().unwrap()]);
    let error = open("bookworm", "amd64").await.resolve(&request).unwrap_err();
    assert!(error.hint().unwrap().starts_with("Similar names: python3,"));
}

#[tokio::test]
async fn another_keyring_or_time_is_refused() {
    let debian = ArchiveSettings::debian("bookworm", &Platform::linux("amd64")).unwrap();
    let strangers = ArchiveSettings { keyring: Keyring::ubuntu(), ..debian.clone() };
    let now = SystemTime::now();
    for (settings, when, code) in [
        (&strangers, now, "debian/bad-signature"),
        (&debian, now + Duration::from_secs(365 * 86_400), "debian/expired-release"),
        (&debian, now + Duration::from_secs(20 * 365 * 86_400), "debian/bad-signature"),
        (&debian, now - Duration::from_secs(365 * 86_400), "debian/future-release"),
    ] {
        let error = Archive::open(settings, &common::fetcher(), &store(), when).await;
        assert_eq!(error.err().unwrap().code(), code);
    }
}
