//! Which uv is used.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use tierce_fetch::{Fetcher, HttpSettings, client};
use tierce_oci::{Diagnostic, ErrorKind, Platform};
use tierce_store::Store;
use tierce_wheel::*;
use url::Url;

/// A directory with a program that says it is uv of a version.
fn installed(root: &Path, version: &str) -> PathBuf {
    let directory = root.join(version);
    fs::create_dir_all(&directory).unwrap();
    let program = directory.join("uv");
    fs::write(&program, format!("#!/bin/sh\necho 'uv {version} (x86_64)'\n")).unwrap();
    fs::set_permissions(&program, Permissions::from_mode(0o755)).unwrap();
    directory
}

// One test: programs that were just written can't be run while another thread forks.
#[tokio::test]
async fn only_the_pinned_version_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let fetcher = Fetcher::new(client(&HttpSettings::default()).unwrap());
    let store = Store::open(&dir.path().join("store")).unwrap();
    let nowhere = Url::from_directory_path(dir.path().join("no-index")).unwrap();
    let [old, new, pinned] =
        ["0.13.8", "99.0.0", PINNED_VERSION].map(|version| installed(dir.path(), version));
    let get = async |settings: &UvSettings| {
        Uv::locate_or_fetch(settings, &fetcher, &store, &nowhere).await
    };
    let on = |search_path: &[&PathBuf]| UvSettings {
        search_path: search_path.iter().copied().cloned().collect(),
        ..UvSettings::default()
    };

    let empty = dir.path().to_owned();
    let uv = get(&on(&[&empty, &old, &new, &pinned])).await.unwrap();
    assert_eq!(uv.program(), pinned.join("uv"));

    // Others are neither used nor passed over in silence where there is nothing else.
    assert_eq!(Uv::locate(&on(&[&old, &new])).await.unwrap(), None);
    let error = get(&on(&[&new, &old])).await.unwrap_err();
    assert_eq!((error.code(), error.kind()), ("python/uv-other-version", ErrorKind::Upstream));
    let program = new.join("uv");
    let says = format!("uv {PINNED_VERSION} is needed, and {} is uv 99.0.0", program.display());
    assert_eq!(error.to_string(), says);
    assert!(error.hint().unwrap().contains(PINNED_VERSION));
    let error = get(&on(&[])).await.unwrap_err();
    assert_eq!(error.code(), "python/uv-unreachable");

    // One that is asked for by name is, but builds nothing and asks no interpreter of this
    // machine's.
    let named = |program: PathBuf| UvSettings { program: Some(program), ..on(&[&pinned]) };
    let foreign = get(&named(program.clone())).await.unwrap();
    assert_eq!(foreign.program(), program);
    let target =
        Target::new("3.12".parse().unwrap(), &Platform::linux("amd64"), Libc::DEFAULT).unwrap();
    let cache = dir.path().join("cache");
    let mut request = LockRequest::new(target, vec!["six".to_owned()], dir.path(), &cache);
    request.extra_args.push("--build".to_owned());
    for (sources, foreign_builds, pinned_builds) in
        [(SourcePolicy::Allow, false, true), (SourcePolicy::WheelsOnly, false, false)]
    {
        request.sources = sources;
        for (uv, builds) in [(&foreign, foreign_builds), (&uv, pinned_builds)] {
            let args = uv.lock_command(&request).unwrap().args;
            let last = args.iter().rposition(|arg| arg == "--build" || arg == "--no-build");
            assert_eq!(args[last.unwrap()] == "--build", builds, "{sources:?} {uv:?} {args:?}");
            let python = args.iter().position(|arg| arg == "--python").unwrap() + 1;
            assert!(Path::new(&args[python]).starts_with(&cache), "{args:?}");
        }
    }
    let old = installed(dir.path(), "0.8.9").join("uv");
    assert_eq!(get(&named(old)).await.unwrap_err().code(), "python/uv-too-old");
    let error = get(&named(empty.join("missing"))).await.unwrap_err();
    assert_eq!(error.code(), "python/uv-not-runnable");
}
