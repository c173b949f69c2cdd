//! A small archive on disk: what works, and what must be refused.

mod common;

use common::archive::{KEY, LocalArchive, Source, now};
use common::{fetcher, write};
use std::fs;
use std::time::Duration;
use tierce_debian::{
    Archive, ArchiveSettings, OpenError, Package, PackagesError, Request, fetch_packages,
    unpack_packages,
};
use tierce_oci::{Diagnostic, Digest};
use tierce_store::Store;

struct Machine {
    _directory: tempfile::TempDir,
    store: Store,
}

impl Machine {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path()).unwrap();
        Machine { _directory: directory, store }
    }

    async fn open(&self, settings: &ArchiveSettings) -> Result<Archive, OpenError> {
        Archive::open(settings, &fetcher(), &self.store, now()).await
    }

    async fn fetch(&self, packages: &[Package]) -> Result<(), PackagesError> {
        fetch_packages(packages, &fetcher(), &self.store, 4, &|_, _| {}).await
    }
}

fn ask(name: &str) -> Request {
    Request::default().with_names([name.parse().unwrap()])
}

fn hello() -> Source<'static> {
    Source {
        name: "hello",
        version: "1.0-1",
        fields: "Depends: libhello\n",
        files: &[("usr/bin/hello", "#!/bin/sh\n")],
        ..Source::default()
    }
}

fn libhello() -> Source<'static> {
    Source {
        name: "libhello",
        version: "2",
        files: &[("usr/lib/libhello.so.2", "elf")],
        ..Source::default()
    }
}

#[tokio::test]
async fn packages_are_found_fetched_and_unpacked() {
    let Some(archive) = LocalArchive::new() else { return };
    archive.add(&hello());
    archive.add(&libhello());
    archive.publish();
    let machine = Machine::new();
    for round in 0..2 {
        let opened = machine.open(&archive.settings()).await.unwrap();
        assert_eq!(opened.lists()[0].names().collect::<Vec<_>>(), ["hello", "libhello"]);
        let packages = opened.resolve(&ask("hello")).unwrap();
        let names: Vec<&str> = packages.iter().map(|p| p.name.as_str()).collect();
        assert_eq!(names, ["libhello", "hello"]);
        machine.fetch(&packages).await.unwrap();
        let debs = unpack_packages(&packages, &machine.store).unwrap();
        assert_eq!(debs[1].paragraph().get("Depends"), Some("libhello"));
        assert!(debs[0].entries().any(|e| e.path.as_bytes() == b"usr/lib/libhello.so.2"));
        if round == 0 {
            // The second round has all it needs but the release file.
            fs::remove_dir_all(archive.dists().join("main")).unwrap();
            fs::remove_dir_all(archive.directory.path().join("pool")).unwrap();
        }
    }
}

#[tokio::test]
async fn release_and_its_signature_may_be_apart() {
    let Some(archive) = LocalArchive::new() else { return };
    archive.add(&libhello());
    archive.publish();
    fs::remove_file(archive.dists().join("InRelease")).unwrap();
    let release = archive.release();
    write(&archive.dists().join("Release"), &release);
    let machine = Machine::new();
    let error = machine.open(&archive.settings()).await.err().unwrap();
    assert_eq!(error.code(), "debian/bad-signature", "unsigned");
    let signature = archive.gpg.sign(&release, &["--detach-sign"], &[KEY]);
    write(&archive.dists().join("Release.gpg"), signature);
    machine.open(&archive.settings()).await.unwrap();
    write(&archive.dists().join("Release"), release.replace("Test", "Best"));
    let error = Machine::new().open(&archive.settings()).await.err().unwrap();
    assert_eq!(error.code(), "debian/bad-signature", "changed");
}

type Change = fn(&mut LocalArchive, &mut ArchiveSettings);

#[tokio::test]
async fn archives_that_must_be_refused() {
    let cases: &[(&str, &str, Change)] = &[
        ("debian/bad-signature", "the text was changed", |archive, _| {
            let path = archive.dists().join("InRelease");
            write(&path, fs::read_to_string(&path).unwrap().replace("Test", "Best"));
        }),
        ("debian/bad-signature", "another key signed", |archive, _| {
            archive.gpg.key("other@example.org", "ed25519", "1y");
            let signed = archive.gpg.clearsign(&archive.release(), &["other@example.org"]);
            write(&archive.dists().join("InRelease"), signed);
        }),
        ("debian/bad-signature", "not signed", |archive, _| {
            write(&archive.dists().join("InRelease"), archive.release());
        }),
        ("debian/expired-release", "old", |archive, _| {
            archive.release_fields = "Valid-Until: Fri, 10 Jul 2026 00:00:00 UTC\n".to_owned();
            archive.sign_release();
        }),
        ("debian/bad-release", "a date that is none", |archive, _| {
            archive.release_fields = "Valid-Until: tomorrow\n".to_owned();
            archive.sign_release();
        }),
        ("debian/wrong-suite", "another suite under the name", |archive, settings| {
            fs::rename(archive.dists(), archive.dists().with_file_name("other")).unwrap();
            settings.suite = "other".to_owned();
        }),
        ("debian/unknown-suite", "no such suite", |_, settings| {
            settings.suite = "bookwurm".to_owned();
        }),
        ("debian/unknown-component", "no such component", |_, settings| {
            settings.components = vec!["main".to_owned(), "non-free".to_owned()];
        }),
        ("debian/unknown-architecture", "no such architecture", |_, settings| {
            let platform = tierce_oci::Platform::linux("arm64");
            settings.architecture = tierce_debian::Architecture::of(&platform).unwrap();
        }),
        ("debian/wrong-hash", "another index", |archive, _| {
            let path = archive.dists().join("main/binary-amd64/Packages.xz");
            let mut bytes = fs::read(&path).unwrap();
            bytes[20] ^= 1;
            write(&path, bytes);
        }),
        ("debian/wrong-hash", "an index cut short", |archive, _| {
            let path = archive.dists().join("main/binary-amd64/Packages.xz");
            let bytes = fs::read(&path).unwrap();
            write(&path, &bytes[..bytes.len() / 2]);
        }),
        ("debian/bad-index", "an index that is none", |archive, _| {
            let path = archive.dists().join("main/binary-amd64/Packages.xz");
            write(&path, "not xz");
            archive.sign_release();
        }),
    ];
    for (code, what, change) in cases {
        let Some(mut archive) = LocalArchive::new() else { return };
        archive.add(&libhello());
        archive.publish();
        let mut settings = archive.settings();
        change(&mut archive, &mut settings);
        match Machine::new().open(&settings).await {
            Err(error) => assert_eq!(error.code(), *code, "{what}: {error}"),
            Ok(_) => panic!("{what}: accepted"),
        }
    }
}

#[tokio::test]
async fn a_release_from_the_future_is_refused() {
    let Some(archive) = LocalArchive::new() else { return };
    archive.add(&libhello());
    archive.publish();
    let machine = Machine::new();
    let early = now() - Duration::from_secs(3600);
    let result = Archive::open(&archive.settings(), &fetcher(), &machine.store, early).await;
    let error = result.err().unwrap();
    assert!(matches!(error.code(), "debian/future-release" | "debian/bad-signature"), "{error}");
}

#[tokio::test]
async fn packages_that_must_be_refused() {
    let Some(archive) = LocalArchive::new() else { return };
    let deb = archive.add(&libhello());
    archive.publish();
    let machine = Machine::new();
    let opened = machine.open(&archive.settings()).await.unwrap();
    let packages = opened.resolve(&ask("libhello")).unwrap();
    let good = fs::read(&deb).unwrap();

    let mut changed = good.clone();
    changed[100] ^= 1;
    for bytes in [&changed[..], &good[..good.len() / 2], b""] {
        write(&deb, bytes);
        let error = machine.fetch(&packages).await.unwrap_err();
        assert_eq!(error.code(), "debian/wrong-hash", "{error}");
        assert!(error.to_string().contains("libhello"));
        assert_eq!(machine.store.has(&packages[0].sha256), None);
    }
    fs::remove_file(&deb).unwrap();
    assert!(machine.fetch(&packages).await.is_err());
    write(&deb, &good);
    machine.fetch(&packages).await.unwrap();

    // The hash is right, but the file is cut short: the archive itself is broken.
    for (bytes, what) in [(&good[..good.len() / 2], "cut"), (&b"!<arch>\n"[..], "empty")] {
        let digest = machine.store.put(bytes).unwrap();
        let broken = Package { sha256: digest, size: bytes.len() as u64, ..packages[0].clone() };
        let error = unpack_packages(&[broken], &machine.store).unwrap_err();
        assert_eq!(error.code(), "debian/bad-deb", "{what}: {error}");
    }
    // Another package under the name.
    let other = Package { version: "3".parse().unwrap(), ..packages[0].clone() };
    let error = unpack_packages(&[other], &machine.store).unwrap_err();
    assert_eq!(error.to_string(), "package libhello 3 turns out to be libhello 2");
    assert_eq!(Digest::of(&good), packages[0].sha256);
}
