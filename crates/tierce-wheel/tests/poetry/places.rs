//! Where the files of a lock are, asked of an index that is real.

use crate::target;
use tierce_fetch::{Fetcher, HttpSettings, client};
use tierce_oci::Diagnostic;
use tierce_store::Store;
use tierce_testing::{AddedFile, PackageIndex, ProjectSpec, WheelSpec};
use tierce_wheel::poetry::{self, LocateError, LocateSettings, PoetryLock, PoetrySelection};
use tierce_wheel::{FetchSettings, IndexCredentials, Lock, Source, fetch_wheels};
use url::Url;

struct World {
    index: PackageIndex,
    fetcher: Fetcher,
    store: Store,
    dir: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let index = PackageIndex::start().with_basic_auth("me", "pass");
        let fetcher = Fetcher::new(client(&HttpSettings::default()).unwrap());
        let store = Store::open(&dir.path().join("store")).unwrap();
        World { index, fetcher, store, dir }
    }

    fn settings(&self) -> LocateSettings {
        let url = Url::parse(&self.index.url_with_credentials()).unwrap();
        LocateSettings {
            credentials: IndexCredentials::new().with_url(&url),
            ..LocateSettings::default()
        }
    }

    async fn locate(&self, lock: &PoetryLock) -> Result<Lock, LocateError> {
        lock.locate(&self.fetcher, &self.store, &self.settings()).await
    }

    /// A lock of files that the index has.
    fn lock(&self, packages: &[(&str, &[&AddedFile])]) -> PoetryLock {
        let mut lock = String::new();
        for (name, files) in packages {
            let files: Vec<String> = files
                .iter()
                .map(|file| {
                    format!("{{file = {:?}, hash = \"sha256:{}\"}}", file.filename, file.sha256)
                })
                .collect();
            lock += &format!(
                "[[package]]\nname = {name:?}\nversion = \"1.0\"\ngroups = [\"main\"]\n\
                 files = [{}]\n[package.source]\ntype = \"legacy\"\nurl = {:?}\nreference = \
                 \"own\"\n\n",
                files.join(", "),
                self.index.url(),
            );
        }
        lock += &format!("[metadata]\nlock-version = \"2.1\"\ncontent-hash = {EMPTY_HASH:?}\n");
        let pyproject = "[tool.poetry]\nname = \"demo\"\n";
        let target = target("3.11", "amd64");
        poetry::read(pyproject, &lock, &target, &PoetrySelection::default()).unwrap()
    }
}

/// Poetry's content hash of a project without dependencies: that of
/// `{"dependencies": null, "dev-dependencies": null, "extras": null, "source": null}`.
const EMPTY_HASH: &str = "115cf985d932e9bf5f540555bbdd75decbb62cac81e399375fc19f6277f8c1d8";

#[tokio::test]
async fn files_are_asked_for_once_and_fetched() {
    let world = World::new();
    let wheel = world.index.add_wheel(&WheelSpec::new("a", "1.0"));
    let other = world.index.add_wheel(&WheelSpec::new("a", "1.0").tags("cp311-cp311-win32"));
    let sdist = world.index.add_sdist(&ProjectSpec::new("b", "1.0"));
    let lock = world.lock(&[("a", &[&wheel, &other]), ("b", &[&sdist])]);
    let located = world.locate(&lock).await.unwrap();
    let mut asked = world.index.requests();
    asked.sort();
    assert_eq!(asked, ["GET /simple/a/", "GET /simple/b/"]);
    let sources: Vec<&Source> = located.packages().iter().map(|package| &package.source).collect();
    let [Source::Wheel { file, direct: false }, Source::Sdist { file: archive, .. }] = sources[..]
    else {
        panic!("{sources:?}")
    };
    assert_eq!(file.digest.hex(), wheel.sha256);
    assert_eq!(archive.digest.hex(), sdist.sha256);
    assert!(!String::from_utf8_lossy(located.bytes()).contains("pass"));

    let settings = FetchSettings {
        credentials: world.settings().credentials,
        ..FetchSettings::new(world.dir.path())
    };
    fetch_wheels(&located, &world.fetcher, &world.store, &settings, &|_| {}).await.unwrap();
    world.index.forget_requests();
    let again = world.locate(&lock).await.unwrap();
    assert_eq!(again.bytes(), located.bytes());
    // What has to be built is fetched by another; it is asked for until it is there.
    assert_eq!(world.index.requests(), ["GET /simple/b/"]);

    // The index moved on, and what is in the store is installed all the same.
    assert!(world.index.remove("a", "1.0"));
    let only = world.lock(&[("a", &[&wheel])]);
    assert!(world.locate(&only).await.is_ok());
}

#[tokio::test]
async fn an_index_that_disagrees_with_the_lock_is_not_believed() {
    let world = World::new();
    let wheel = world.index.add_wheel(&WheelSpec::new("a", "1.0"));
    let lock = world.lock(&[("a", &[&wheel])]);
    world.index.replace(&wheel.filename, b"something else".to_vec());
    let error = world.locate(&lock).await.unwrap_err();
    assert_eq!(error.code(), "python/hash-mismatch");
    assert!(error.to_string().contains(&wheel.sha256), "{error}");
    assert!(error.hint().unwrap().contains(&wheel.filename));

    world.index.remove("a", "1.0");
    let error = world.locate(&lock).await.unwrap_err();
    assert_eq!(error.code(), "python/not-in-index");
    assert!(error.to_string().contains("a 1.0"), "{error}");

    assert_eq!(lock.indexes().iter().map(|(name, _)| *name).collect::<Vec<_>>(), ["own"]);
    let stranger = LocateSettings::default();
    let error = lock.locate(&world.fetcher, &world.store, &stranger).await.unwrap_err();
    assert_eq!(error.code(), "python/not-in-index");
    assert!(!world.index.refused().is_empty());
}

#[tokio::test]
async fn poetrys_variables_have_credentials() {
    let world = World::new();
    let wheel = world.index.add_wheel(&WheelSpec::new("a", "1.0"));
    let lock = world.lock(&[("a", &[&wheel])]);
    let variable = |name: &str| match name {
        "POETRY_HTTP_BASIC_OWN_USERNAME" => Some("me".to_owned()),
        "POETRY_HTTP_BASIC_OWN_PASSWORD" => Some("pass".to_owned()),
        _ => None,
    };
    let credentials = lock.credentials(IndexCredentials::new(), &variable);
    let settings = LocateSettings { credentials, ..LocateSettings::default() };
    let located = lock.locate(&world.fetcher, &world.store, &settings).await.unwrap();
    assert_eq!(located.wheels().count(), 1);
}

#[tokio::test]
async fn packages_without_a_source_are_from_pypi_or_its_mirror() {
    let world = World::new();
    let wheel = world.index.add_wheel(&WheelSpec::new("a", "1.0"));
    let lock = format!(
        "[[package]]\nname = \"a\"\nversion = \"1.0\"\ngroups = [\"main\"]\nfiles = [{{file = \
         {:?}, hash = \"sha256:{}\"}}]\n[metadata]\nlock-version = \"2.1\"\ncontent-hash = {:?}\n",
        wheel.filename, wheel.sha256, EMPTY_HASH
    );
    let target = target("3.12", "arm64");
    let lock =
        poetry::read("[tool.poetry]\nname = \"demo\"\n", &lock, &target, &Default::default());
    let lock = lock.unwrap();
    assert!(lock.indexes().is_empty());
    let pypi = Some(Url::parse(&world.index.url()).unwrap());
    let settings = LocateSettings { pypi, ..world.settings() };
    let located = lock.locate(&world.fetcher, &world.store, &settings).await.unwrap();
    assert_eq!(located.wheels().count(), 1);
}
