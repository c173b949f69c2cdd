//! The package index and the git repository, as pip and git see them.

use std::process::Command;
use tempfile::TempDir;
use tierce_testing::{BuildOutcome, GitRepository, PackageIndex, ProjectSpec, WheelSpec, program};

/// An interpreter with pip.
fn python() -> Option<Command> {
    let python = program("python3")?;
    let pip = Command::new(&python).args(["-m", "pip", "--version"]).output().ok()?;
    pip.status.success().then(|| Command::new(python))
}

fn install(index: &PackageIndex, url: &str, what: &str) -> Option<(bool, String, TempDir)> {
    let target = TempDir::new().expect("a directory");
    let mut pip = match python() {
        Some(python) => python,
        None => {
            eprintln!("skipped: no python3 with pip");
            return None;
        }
    };
    pip.args(["-m", "pip", "--isolated", "install", "--no-input", "--no-cache-dir", "--retries=0"]);
    pip.args(["--disable-pip-version-check", "--index-url", url, "--target"]);
    pip.arg(target.path()).arg(what).env("no_proxy", index.address());
    let output = pip.env_remove("PIP_INDEX_URL").output().expect("pip runs");
    let said = [output.stdout, output.stderr].concat();
    Some((output.status.success(), String::from_utf8_lossy(&said).into_owned(), target))
}

#[test]
fn pip_installs_wheels_and_builds_source_distributions() {
    let index = PackageIndex::start().with_basic_auth("me", "p@ss:word");
    let wheel = ProjectSpec {
        requires: &["Built.One>=1"],
        extras: &[("more", &["never>1"])],
        entry_points: &[("hello", "hello:main")],
        ..ProjectSpec::new("hello", "2.0")
    };
    index.add_wheel(&WheelSpec::of(wheel));
    index.add_wheel(&WheelSpec::new("hello", "3.0").tags("cp39-cp39.abi3-win32"));
    index.add_sdist(&ProjectSpec {
        files: &[("built_one/data.txt", "content"), ("README", "outside")],
        ..ProjectSpec::new("built-one", "1.5")
    });
    let Some((ok, said, there)) = install(&index, &index.url_with_credentials(), "hello") else {
        return;
    };
    assert!(ok, "{said}");
    let read = |path: &str| std::fs::read_to_string(there.path().join(path)).expect(path);
    assert!(read("hello/__init__.py").contains("2.0"));
    assert_eq!(read("built_one/data.txt"), "content");
    assert!(!there.path().join("README").exists());
    assert!(there.path().join("bin/hello").exists());
    let heard = index.requests();
    assert!(heard.iter().any(|r| r == "GET /files/built_one-1.5.tar.gz"), "{heard:?}");
    assert!(heard.iter().any(|r| r.ends_with("hello-2.0-py3-none-any.whl.metadata")), "{heard:?}");

    assert!(index.remove("Hello", "2.0"));
    assert!(!index.remove("hello", "2.0"));
    let (ok, said, _) = install(&index, &index.url_with_credentials(), "hello").expect("pip");
    assert!(!ok, "{said}");
    let (ok, _, _) = install(&index, &index.url(), "built-one").expect("pip");
    assert!(!ok && !index.refused().is_empty());
}

#[test]
fn what_an_index_tells_may_be_wrong() {
    let index = PackageIndex::start();
    let added = index.add_wheel(&WheelSpec::new("a", "1.0"));
    assert_eq!(added.filename, "a-1.0-py3-none-any.whl");
    index.tamper(&added.filename);
    let broken = ProjectSpec {
        build: BuildOutcome::Failure("the compiler is on holiday"),
        ..ProjectSpec::new("broken", "1.0")
    };
    index.add_sdist(&broken);
    let Some((ok, said, _)) = install(&index, &index.url(), "a") else { return };
    assert!(!ok && said.contains(&added.sha256), "{said}");
    let (ok, said, _) = install(&index, &index.url(), "broken").expect("pip");
    assert!(!ok && said.contains("on holiday"), "{said}");
}

#[test]
fn pip_installs_from_a_repository() {
    let index = PackageIndex::start();
    let project = ProjectSpec { dynamic: &["version"], ..ProjectSpec::new("in-git", "0.1") };
    let Some(repository) = GitRepository::with_project(&project, Some("python")) else { return };
    let first = repository.head();
    repository.tag("v1");
    let second = repository.commit(&[("python/in_git/more.py", "X = 1\n")]);
    assert_ne!(first, second);
    let again = GitRepository::with_project(&project, Some("python")).expect("git");
    assert_eq!(again.head(), first, "the same content has the same commit");
    for (revision, more) in [("v1", false), (second.as_str(), true)] {
        let what = format!("git+{}@{revision}#subdirectory=python", repository.url());
        let Some((ok, said, there)) = install(&index, &index.url(), &what) else { return };
        assert!(ok, "{said}");
        assert_eq!(there.path().join("in_git/more.py").exists(), more);
    }
}
