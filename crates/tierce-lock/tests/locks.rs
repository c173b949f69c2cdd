//! Files that are read back as they were written, files that are not as they were written, and
//! what changed between two.

use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use tierce_lock::{
    InterpreterProvider, Ledger, LockFile, LockFileError, LockedApt, LockedBase, LockedConda,
    LockedCondaPackage, LockedDeb, LockedFile, LockedImage, LockedInterpreter, LockedMirrors,
    LockedPackage, LockedPlatform, LockedPython, LockedSource, Place, Toolchain, Update,
    declaration_changes, diff, listing,
};
use tierce_oci::{Diagnostic, Digest, Platform};

fn digest() -> impl Strategy<Value = Digest> {
    any::<[u8; 32]>().prop_map(Digest::from_bytes)
}

fn size() -> impl Strategy<Value = u64> {
    0..=u64::try_from(i64::MAX).unwrap()
}

/// Anything at all, quotes and control characters too.
fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z0-9.]{1,8}", any::<String>()]
}

fn url() -> impl Strategy<Value = String> {
    text().prop_map(|path| format!("https://x/{path}"))
}

fn snapshot() -> impl Strategy<Value = Option<String>> {
    of("[0-9]{8}T[0-9]{6}Z")
}

fn unique<T>(mut all: Vec<T>, key: impl Fn(&T) -> String) -> Vec<T> {
    all.sort_by_key(&key);
    all.dedup_by_key(|item| key(item));
    all
}

fn debs() -> impl Strategy<Value = Vec<LockedDeb>> {
    let deb = (text(), text(), text(), any::<bool>(), url(), size(), digest());
    let deb = deb.prop_map(|(name, version, architecture, multi_arch_same, url, size, sha256)| {
        LockedDeb { name, version, architecture, multi_arch_same, url, size, sha256 }
    });
    vec(deb, 0..4).prop_map(|debs| {
        let mut debs = unique(debs, |d| format!("{}:{}", d.name, d.architecture));
        debs.sort();
        debs
    })
}

fn place() -> impl Strategy<Value = Place> {
    prop_oneof![url().prop_map(Place::Url), text().prop_map(Place::Path)]
}

/// A directory below another.
fn folder() -> impl Strategy<Value = String> {
    "[a-z ]{1,4}(/[a-z\"]{1,4})?"
}

fn repository() -> impl Strategy<Value = Place> {
    prop_oneof![url().prop_map(Place::Url), folder().prop_map(Place::Path)]
}

fn file(name: String) -> impl Strategy<Value = LockedFile> {
    (place(), of(size()), digest()).prop_map(move |(place, size, sha256)| LockedFile {
        filename: name.clone(),
        place,
        size,
        sha256,
    })
}

fn package() -> impl Strategy<Value = LockedPackage> {
    ("[a-z][a-z0-9]{0,5}", "[1-9]\\.[0-9]", any::<bool>()).prop_flat_map(
        |(name, version, requested)| {
            let wheel = file(format!("{name}-{version}-py3-none-any.whl"));
            let sdist = file(format!("{name}-{version}.tar.gz"));
            let source = prop_oneof![
                (wheel, any::<bool>())
                    .prop_map(|(file, direct)| LockedSource::Wheel { file, direct }),
                (sdist, any::<bool>(), of(folder())).prop_map(|(file, direct, subdirectory)| {
                    LockedSource::Sdist { file, direct, subdirectory }
                }),
                ("git|hg", repository(), of(text()), "[0-9a-f]{40}", of(folder())).prop_map(
                    |(kind, place, requested_revision, commit, subdirectory)| LockedSource::Vcs {
                        kind,
                        place,
                        requested_revision,
                        commit,
                        subdirectory
                    }
                ),
                (text(), of(folder())).prop_map(|(path, subdirectory)| LockedSource::Directory {
                    path,
                    subdirectory
                }),
            ];
            source.prop_map(move |source| LockedPackage {
                name: name.clone(),
                version: Some(version.clone()),
                requested,
                source,
            })
        },
    )
}

fn conda() -> impl Strategy<Value = Vec<LockedConda>> {
    let package = (text(), text(), text(), text(), text(), url(), of(size()), digest());
    let package = package.prop_map(|(name, version, build, subdir, channel, url, size, sha256)| {
        LockedCondaPackage { name, version, build, subdir, channel, url, size, sha256 }
    });
    let environment = (text(), vec(package, 0..3)).prop_map(|(prefix, packages)| LockedConda {
        prefix,
        packages: unique(packages, |p| p.name.clone()),
    });
    vec(environment, 0..2).prop_map(|all| unique(all, |c| c.prefix.clone()))
}

fn base() -> impl Strategy<Value = LockedBase> {
    prop_oneof![
        (text(), digest(), digest()).prop_map(|(reference, digest, manifest)| {
            LockedBase::Registry { reference, digest, manifest }
        }),
        (text(), snapshot(), of((url(), url())), debs()).prop_map(
            |(suite, snapshot, mirrors, packages)| {
                let mirrors =
                    mirrors.map(|(archive, security)| LockedMirrors { archive, security });
                LockedBase::Debian { suite, snapshot, mirrors, packages }
            }
        ),
    ]
}

fn interpreter() -> impl Strategy<Value = LockedInterpreter> {
    let providers = proptest::sample::select(InterpreterProvider::ALL.to_vec());
    (text(), text(), providers, file("python.tar.gz".to_owned())).prop_map(
        |(implementation, version, provider, file)| LockedInterpreter {
            implementation,
            version,
            provider,
            file: (provider == InterpreterProvider::Standalone).then_some(file),
        },
    )
}

fn platform() -> impl Strategy<Value = LockedPlatform> {
    let apt = (vec(text(), 0..3), snapshot(), debs())
        .prop_map(|(packages, snapshot, debs)| LockedApt { packages, snapshot, debs });
    let name = proptest::sample::select(vec!["amd64", "arm64", "s390x"]);
    let python = of(vec(package(), 0..4)
        .prop_map(|packages| LockedPython { packages: unique(packages, |p| p.name.clone()) }));
    (name, of(base()), of(interpreter()), python, conda(), vec(apt, 0..3)).prop_map(
        |(name, base, interpreter, python, conda, apt)| LockedPlatform {
            platform: Platform::linux(name),
            base,
            interpreter,
            python,
            conda,
            apt,
        },
    )
}

fn lock_file() -> impl Strategy<Value = LockFile> {
    let image = (text(), vec(text(), 0..3), vec(platform(), 0..3)).prop_map(
        |(name, declared, platforms)| {
            let platforms = unique(platforms, |p| p.platform.to_string());
            LockedImage { name, declared, platforms }
        },
    );
    (text(), text(), vec(image, 0..3)).prop_map(|(tierce, uv, images)| LockFile {
        toolchain: Toolchain { tierce, uv },
        images: unique(images, |i| i.name.clone()),
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read(lock in lock_file()) {
        let text = lock.text();
        let read = LockFile::parse(&text).map_err(|e| format!("{e}\n{text}")).unwrap();
        prop_assert_eq!(&read, &lock);
        prop_assert_eq!(read.text(), text);
        prop_assert!(diff(&read, &lock).is_empty());
    }

    #[test]
    fn what_is_cut_off_is_said_to_be(lock in lock_file(), at in any::<prop::sample::Index>()) {
        let text = lock.text();
        let whole = text.trim_end().len();
        let cut: String = text.chars().take(at.index(text.chars().count())).collect();
        prop_assume!(cut.len() < whole);
        let error = LockFile::parse(&cut).unwrap_err();
        let known = matches!(
            error,
            LockFileError::Truncated | LockFileError::Malformed { .. }
                | LockFileError::Version { .. }
        );
        prop_assert!(known, "{}", error);
    }
}

fn wheel(name: &str, version: &str) -> LockedPackage {
    let filename = format!("{name}-{version}-py3-none-any.whl");
    LockedPackage {
        name: name.to_owned(),
        version: Some(version.to_owned()),
        requested: false,
        source: LockedSource::Wheel {
            file: LockedFile {
                place: Place::Url(format!("https://files.example/{filename}")),
                sha256: Digest::of(&filename),
                filename,
                size: Some(9),
            },
            direct: false,
        },
    }
}

fn deb(name: &str, version: &str) -> LockedDeb {
    LockedDeb {
        name: name.to_owned(),
        version: version.to_owned(),
        architecture: "amd64".to_owned(),
        multi_arch_same: false,
        url: format!("http://deb.example/debian/pool/{name}_{version}_amd64.deb"),
        size: 7,
        sha256: Digest::of(version),
    }
}

fn example() -> LockFile {
    let mut platform = LockedPlatform::new(Platform::linux("amd64"));
    platform.base = Some(LockedBase::Debian {
        suite: "bookworm".to_owned(),
        snapshot: Some("20251115T203412Z".to_owned()),
        mirrors: None,
        packages: vec![deb("libc6", "2.36-9"), deb("bash", "5.2-1")],
    });
    platform.python =
        Some(LockedPython { packages: vec![wheel("idna", "3.4"), wheel("requests", "2.31.0")] });
    platform.apt = vec![LockedApt {
        packages: vec!["git".to_owned()],
        snapshot: None,
        debs: vec![deb("git", "1:2.39")],
    }];
    let image = LockedImage {
        name: "image".to_owned(),
        declared: vec!["base debian bookworm".to_owned(), "pip requests".to_owned()],
        platforms: vec![platform],
    };
    let toolchain = Toolchain { tierce: "0.1.0".to_owned(), uv: "0.11.1".to_owned() };
    LockFile { toolchain, images: vec![image] }
}

#[test]
fn an_entry_is_a_line() {
    let text = example().text();
    let line = text.lines().find(|line| line.contains("\"requests\"")).unwrap();
    for part in ["version = \"2.31.0\"", "wheel = ", "url = ", "size = 9", "sha256 = "] {
        assert!(line.contains(part), "{line}");
    }
    assert!(text.starts_with("# What the image was resolved to. Made by `tierce lock`"), "{text}");
}

#[test]
fn what_was_edited_by_hand_is_refused() {
    let text = example().text();
    let cases: &[(&str, &str, &str, &str)] = &[
        ("version = 1\n", "version = 2\n", "lock/version", "version 2"),
        ("version = 1\n", "", "lock/malformed", "no version"),
        ("\"2.31.0\"", "\"2.32.0\"", "lock/contradiction", "requests 2.32.0"),
        ("name = \"idna\"", "name = \"requests\"", "lock/contradiction", "idna-3.4"),
        ("name = \"bash\"", "name = \"libc6\"", "lock/contradiction", "libc6:amd64 twice"),
        ("pip requests", "pip flask", "lock/contradiction", "declares"),
        ("sha256 = \"", "sha256 = \"x", "lock/malformed", "64 hex digits"),
        ("size = 9", "size = -9", "lock/malformed", "size"),
        ("size = 9", "length = 9", "lock/malformed", "length"),
        ("https://files", "ftp://files", "lock/malformed", "ftp://files"),
        ("https://files", "https://u:secret@files", "lock/malformed", "credentials"),
        ("20251115T203412Z", "../../etc", "lock/malformed", "../../etc"),
        ("\n# end of tierce.lock\n", "", "lock/truncated", "cut off"),
    ];
    for (from, to, code, part) in cases {
        let edited = text.replacen(from, to, 1);
        assert_ne!(edited, text, "{from}");
        let error = LockFile::parse(&edited).unwrap_err();
        assert_eq!(error.code(), *code, "{from}: {error}");
        assert!(error.to_string().contains(part), "{from}: {error}");
        assert!(error.hint().is_some());
    }
}

#[test]
fn changes_are_told() {
    let (before, mut after) = (example(), example());
    let platform = &mut after.images[0].platforms[0];
    platform.python =
        Some(LockedPython { packages: vec![wheel("certifi", "1"), wheel("requests", "2.32.0")] });
    platform.apt[0].debs[0].sha256 = Digest::of("another");
    let said = listing(&diff(&before, &after));
    let git = Digest::of("1:2.39").short();
    let expected = format!(
        "  + certifi 1\n  - idna 3.4\n  - requests 2.31.0\n  + requests 2.32.0\n  \
         ~ apt git 1:2.39: {git} -> {}",
        Digest::of("another").short()
    );
    assert_eq!(said, expected);
    let declared = |lines: &[&str]| lines.iter().map(|l| (*l).to_owned()).collect::<Vec<_>>();
    let changes =
        declaration_changes(&declared(&["pip a", "apt b"]), &declared(&["apt b", "pip c"]));
    assert_eq!(listing(&changes), "  - pip a\n  + pip c");
    assert_eq!(
        listing(&declaration_changes(&declared(&["a", "b"]), &declared(&["b", "a"]))),
        "  ~ the order of steps"
    );
}

#[test]
fn the_key_depends_on_the_platforms_that_are_built() {
    let amd64 = [Platform::linux("amd64")];
    let mut image = example().images.remove(0);
    let before = image.digest(&amd64);
    image.platforms.push(LockedPlatform::new(Platform::linux("arm64")));
    assert_eq!(image.digest(&amd64), before);
    image.platforms[0].python = None;
    assert_ne!(image.digest(&amd64), before);
}

#[test]
fn an_update_leaves_the_rest_alone() {
    let image = example().images.remove(0);
    let amd64 = Platform::linux("amd64");
    let names = |names: &[&str]| Update::Packages(names.iter().map(|n| (*n).to_owned()).collect());
    let ledger = Ledger::updating(image.clone(), names(&["Requests", "nothing"]));
    let kept = ledger.python_preferences(&amd64).unwrap();
    assert_eq!(kept.packages.iter().map(|p| &*p.name).collect::<Vec<_>>(), ["idna"]);
    assert!(ledger.python(&amd64).is_none() && ledger.base(&amd64).is_some());
    assert_eq!(ledger.not_found(), ["nothing"]);

    let ledger = Ledger::updating(image.clone(), names(&["git"]));
    let base = ledger.base(&amd64).unwrap();
    ledger.record_base(&amd64, base.clone());
    assert!(ledger.apt(&amd64, 0, &["git".to_owned()]).is_none());

    let ledger = Ledger::updating(image.clone(), names(&[]));
    assert!(ledger.apt(&amd64, 0, &["git".to_owned()]).is_none(), "on another base");
    ledger.record_base(&amd64, base);
    assert!(ledger.apt(&amd64, 0, &["git".to_owned()]).is_some());
    assert!(ledger.apt(&amd64, 0, &["curl".to_owned()]).is_none());

    let ledger = Ledger::updating(image.clone(), Update::All);
    assert!(ledger.base(&amd64).is_none() && ledger.python_preferences(&amd64).is_none());

    let ledger = Ledger::locked(image);
    assert!(ledger.is_locked() && ledger.python(&amd64).is_some());
    assert!(ledger.apt(&amd64, 0, &["curl".to_owned()]).is_none());
}
