//! Bases of real suites: assembled, configured with chroot, and looked over by dpkg and apt.
//! Needs Debian's archive and root.

mod common;

use common::chroot::Root;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::SystemTime;
use tierce_debian::{
    Archive, ArchiveSettings, Documentation, Package, Request, RootOptions, configure_plan,
    fetch_packages, interpreter, unpack_packages, write_root_layer,
};
use tierce_layer::{Compression, LayerInfo, LayerWriter};
use tierce_oci::Platform;
use tierce_store::Store;

/// What was downloaded stays for the next run.
fn store() -> Store {
    Store::open(&PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("debian-store")).unwrap()
}

struct Base {
    packages: Vec<Package>,
    options: RootOptions,
}

async fn base(settings: ArchiveSettings, documentation: Documentation) -> Base {
    let store = store();
    let fetcher = common::fetcher();
    let archive = Archive::open(&settings, &fetcher, &store, SystemTime::now()).await.unwrap();
    let packages = archive.resolve(&Request::base().with_python()).unwrap();
    fetch_packages(&packages, &fetcher, &store, 8, &|_, _| {}).await.unwrap();
    let architecture = settings.architecture.clone();
    let apt_sources = settings.apt_sources();
    Base { packages, options: RootOptions { architecture, apt_sources, documentation } }
}

impl Base {
    fn write(&self, packages: &[Package], layer: &Path) -> LayerInfo {
        let debs = unpack_packages(packages, &store()).unwrap();
        let file = File::create(layer).unwrap();
        let writer = LayerWriter::new(file, Compression::None);
        write_root_layer(&debs, &self.options, writer).unwrap().1
    }
}

fn debian(suite: &str) -> ArchiveSettings {
    ArchiveSettings::debian(suite, &Platform::host()).unwrap()
}

async fn bootstraps(settings: ArchiveSettings, documentation: Documentation, python: &str) {
    let base = base(settings, documentation).await;
    let directory = tempfile::tempdir().unwrap();
    let layer = directory.path().join("root.tar");
    let info = base.write(&base.packages, &layer);
    let reversed: Vec<Package> = base.packages.iter().rev().cloned().collect();
    assert_eq!(base.write(&reversed, &directory.path().join("again.tar")), info);

    let found = interpreter(&base.packages).unwrap();
    assert!(found.version.starts_with(&format!("{python}.")), "{found:?}");
    assert_eq!(found.path, format!("/usr/bin/python{python}"));

    let plan = configure_plan(&base.packages);
    let mut snapshots = Vec::new();
    for _ in 0..2 {
        let Some(root) = Root::unpack(&layer) else { return };
        root.configure(&plan);
        snapshots.push(root.snapshot());
        assert_eq!(root.run(&plan, &["dpkg", "--audit"]), "");
        let verified = root.run(&plan, &["dpkg", "--verify"]);
        let wrong: Vec<&str> = verified.lines().filter(|l| !is_omitted(l, documentation)).collect();
        assert!(wrong.is_empty(), "{wrong:?}");
        let states = root.run(&plan, &["dpkg-query", "-W", "-f", "${db:Status-Abbrev}|"]);
        assert!(states.split('|').all(|s| matches!(s, "ii " | "")), "{states}");
        root.run(&plan, &["apt-get", "check"]);
        let script = "import ssl, sqlite3, ctypes, zoneinfo, sys; \
                      assert ssl.create_default_context().cert_store_stats()['x509_ca'] > 100; \
                      zoneinfo.ZoneInfo('Europe/Berlin'); print(sys.version.split()[0])";
        assert_eq!(root.run(&plan, &[&found.path, "-c", script]).trim(), found.version);
    }
    let (first, second) = (&snapshots[0], &snapshots[1]);
    let paths = first.keys().chain(second.keys());
    let differing: Vec<_> = paths.filter(|path| first.get(*path) != second.get(*path)).collect();
    assert!(differing.is_empty(), "differ from run to run: {differing:?}");
}

/// dpkg calls documentation missing that it was told to leave out, in Debian's slim images too.
fn is_omitted(line: &str, documentation: Documentation) -> bool {
    documentation == Documentation::Omit && line.starts_with("missing     /usr/share/")
}

#[tokio::test]
async fn bookworm() {
    bootstraps(debian("bookworm"), Documentation::Keep, "3.11").await;
}

#[tokio::test]
async fn trixie() {
    bootstraps(debian("trixie"), Documentation::Omit, "3.13").await;
}

#[tokio::test]
async fn ubuntu() {
    let settings = ArchiveSettings::ubuntu("noble", &Platform::host()).unwrap();
    bootstraps(settings, Documentation::Keep, "3.12").await;
}

#[tokio::test]
async fn a_foreign_architecture_is_assembled_too() {
    let settings = ArchiveSettings::debian("bookworm", &Platform::linux("arm64")).unwrap();
    let base = base(settings, Documentation::Keep).await;
    let directory = tempfile::tempdir().unwrap();
    base.write(&base.packages, &directory.path().join("root.tar"));
}
