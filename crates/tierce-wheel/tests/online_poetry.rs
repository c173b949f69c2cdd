//! What Poetry itself installs from its locks, beside what tierce reads in them.

#[path = "poetry/fixture.rs"]
mod fixture;

use fixture::{Style, World};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use tierce_oci::{Diagnostic, Platform};
use tierce_wheel::poetry::{self, PoetryExtras, PoetryGroups, PoetrySelection};
use tierce_wheel::{Libc, PythonVersion, Target};

/// A Poetry of a version in an environment of its own.
struct Poetry {
    program: PathBuf,
    python: PythonVersion,
    _environment: tempfile::TempDir,
}

impl Poetry {
    fn install(version: &str) -> Option<Self> {
        let environment = tempfile::tempdir().unwrap();
        let run = |command: &mut Command| {
            let output = command.output().ok()?;
            let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
            output.status.success().then_some(text)
        };
        let made =
            run(Command::new("python3").args(["-m", "venv"]).arg(environment.path())).is_some();
        let python = environment.path().join("bin/python");
        if !made {
            eprintln!("skipped: no python3 that makes virtual environments");
            return None;
        }
        let script = "import sys; print(*sys.version_info[:3], sep='.')";
        let version_of = run(Command::new(&python).args(["-c", script])).unwrap();
        let mut pip = Command::new(&python);
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
        let output = pip.arg(format!("poetry=={version}")).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Some(Poetry {
            program: environment.path().join("bin/poetry"),
            python: version_of.parse().unwrap(),
            _environment: environment,
        })
    }

    fn run(&self, project: &Path, args: &[&str]) -> (bool, String) {
        let mut command = Command::new(&self.program);
        command.current_dir(project).args(args).args(["--no-interaction", "--no-ansi"]);
        for (name, value) in [
            ("POETRY_VIRTUALENVS_IN_PROJECT", "true"),
            ("POETRY_CACHE_DIR", ".cache"),
            ("POETRY_CONFIG_DIR", ".config"),
            ("PYTHON_KEYRING_BACKEND", "keyring.backends.null.Keyring"),
            ("NO_PROXY", "127.0.0.1"),
            ("no_proxy", "127.0.0.1"),
        ] {
            command.env(name, value);
        }
        command.env_remove("VIRTUAL_ENV");
        let output = command.output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&said).into_owned())
    }

    /// What `poetry install` would install: names and versions.
    fn would_install(&self, project: &Path, args: &[&str]) -> BTreeSet<String> {
        let install = [&["install", "--no-root", "--dry-run"], args].concat();
        let (ok, said) = self.run(project, &install);
        assert!(ok, "{install:?}: {said}");
        let installed = |line: &str| {
            let at = line.find("Installing ")?;
            let rest = &line[at + "Installing ".len()..];
            let (name, rest) = rest.split_once(" (")?;
            let version = rest.split([' ', ')']).next()?;
            (!line.contains("Skipped")).then(|| format!("{name} {version}").to_lowercase())
        };
        said.lines().filter_map(installed).collect()
    }

    fn target(&self) -> Target {
        let architecture = match std::env::consts::ARCH {
            "aarch64" => "arm64",
            _ => "amd64",
        };
        Target::new(self.python, &Platform::linux(architecture), Libc::DEFAULT).unwrap()
    }
}

/// Poetry's arguments, and what they are here.
type Case = (&'static [&'static str], fn(&mut PoetrySelection));

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// Few, as each is a start of Poetry.
const COMMON: [Case; 4] = [
    (&[], |_| {}),
    (&["--all-extras", "--only", "main"], |s| {
        s.extras = PoetryExtras::All;
        s.groups = PoetryGroups::None;
    }),
    (&["--with", "docs", "--without", "main,dev"], |s| {
        s.with_groups = words(&["docs"]);
        s.without_groups = words(&["main", "dev"]);
    }),
    (&["--extras", "plugins", "--with", "docs"], |s| {
        s.with_extras = words(&["Plugins"]);
        s.with_groups = words(&["docs"]);
    }),
];

const STANDARD: [Case; 3] = [
    (&["--with", "everything", "--without", "dev"], |s| {
        s.with_groups = words(&["everything"]);
        s.without_groups = words(&["dev"]);
    }),
    (&["--only", "deep"], |s| {
        s.groups = PoetryGroups::Only;
        s.with_groups = words(&["deep"]);
    }),
    (&["--all-groups", "--all-extras"], |s| {
        s.groups = PoetryGroups::All;
        s.extras = PoetryExtras::All;
    }),
];

fn compare(poetry: &Poetry, style: Style, cases: &[Case]) {
    let Some(world) = World::new(style) else { return };
    let project = world.project();
    let (ok, said) = poetry.run(project, &["lock"]);
    assert!(ok, "{said}");
    let read = |name: &str| std::fs::read_to_string(project.join(name)).unwrap();
    let (pyproject, lock) = (read("pyproject.toml"), read("poetry.lock"));
    for (args, change) in cases {
        let mut selection = PoetrySelection::default();
        change(&mut selection);
        let own = poetry::read(&pyproject, &lock, &poetry.target(), &selection)
            .unwrap_or_else(|error| panic!("{args:?}: {error} ({error:?})\n{lock}"));
        let own: BTreeSet<String> =
            own.packages().map(|(name, version)| format!("{name} {version}")).collect();
        assert_eq!(own, poetry.would_install(project, args), "{style:?} {args:?}\n{lock}");
    }
    if style == Style::Poetry {
        return;
    }
    // A dependency more, and neither takes the lock.
    let changed = pyproject.replacen("compiled", "zeta", 1);
    std::fs::write(project.join("pyproject.toml"), &changed).unwrap();
    let (ok, said) = poetry.run(project, &["install", "--no-root", "--dry-run"]);
    assert!(!ok && said.contains("changed significantly"), "{said}");
    let stale = poetry::read(&changed, &lock, &poetry.target(), &PoetrySelection::default());
    assert_eq!(stale.unwrap_err().code(), "python/stale-lock");
}

#[test]
fn poetry_2_installs_what_is_read() {
    let Some(poetry) = Poetry::install("2.5.1") else { return };
    compare(&poetry, Style::Poetry, &COMMON[..1]);
    compare(&poetry, Style::Standard, &[&COMMON[2..4], &STANDARD[..]].concat());
}

#[test]
fn poetry_1_installs_what_is_read() {
    let Some(poetry) = Poetry::install("1.8.5") else { return };
    compare(&poetry, Style::Poetry, &COMMON);
}
