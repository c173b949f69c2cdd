//! uv's projects: `pyproject.toml` with `uv.lock`, read by uv itself (`uv export --frozen`) out of
//! a directory that holds nothing but their texts. Nothing is resolved, built or asked for there.

mod error;
mod origin;
mod script;
mod stale;

pub use error::UvProjectError;
pub use script::UvScript;

use crate::lock::Lock;
use crate::target::Target;
use crate::{Uv, standin};
use pep440_rs::{Version, VersionSpecifiers};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};
use std::process::Stdio;
use std::str::FromStr;
use tokio::process::Command;
use toml::{Table, Value};

/// The texts of a uv project.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UvProject {
    /// The folder of the project's manifest relative to that of `uv.lock`: empty but for members
    /// of workspaces.
    pub place: PathBuf,
    /// `uv.lock`.
    pub lock: String,
    /// The manifests, by their paths relative to the folder of `uv.lock`: the project's own and
    /// those of its workspace.
    pub manifests: BTreeMap<PathBuf, String>,
}

/// How a project is read.
#[derive(Clone)]
pub struct ExportSettings {
    /// What is chosen of it: arguments of `uv export`, as `--extra`, `--group`, `--package`.
    pub arguments: Vec<String>,
    /// What it is read for.
    pub target: Target,
    /// Where the stand-in for an interpreter is kept, and scratch directories are made.
    pub cache_dir: PathBuf,
}

impl UvProject {
    /// The project's own manifest.
    fn own(&self) -> Option<&str> {
        self.manifests.get(&self.place.join("pyproject.toml")).map(String::as_str)
    }

    /// Fails where the lock is not that of the manifests, or not for the target's interpreter:
    /// what `uv sync --locked` would say of these, without asking anybody. uv's `[options]`, its
    /// constraints and overrides, and the sources of other members are not compared.
    ///
    /// Requirements that do not apply to the target are not looked at.
    pub fn check(&self, target: &Target) -> Result<(), UvProjectError> {
        let lock: Table = self
            .lock
            .parse()
            .map_err(|source| UvProjectError::Lock { source: Box::new(source) })?;
        for requires in self.required_pythons(&lock) {
            if !allows(&requires, target) {
                let (allowed, python) = (requires, target.python().to_string());
                return Err(UvProjectError::Python { allowed, python });
            }
        }
        let mut differences = vec![];
        for (path, text) in &self.manifests {
            let manifest: Table = text.parse().map_err(|source| UvProjectError::Manifest {
                path: path.clone(),
                source: Box::new(source),
            })?;
            let is_root = path == Path::new("pyproject.toml");
            differences.extend(stale::differences(&lock, &manifest, target, is_root));
            // That of a workspace is what all of its members allow.
            if self.manifests.len() == 1 {
                differences.extend(stale::python(&lock, &manifest));
            }
        }
        match differences.is_empty() {
            true => Ok(()),
            false => Err(UvProjectError::Stale { differences }),
        }
    }

    /// What the lock and the project's manifest say of interpreters.
    fn required_pythons(&self, lock: &Table) -> Vec<String> {
        let of_lock = lock.get("requires-python").and_then(Value::as_str).map(str::to_owned);
        let manifest = self.own().and_then(|text| text.parse::<Table>().ok());
        let of_project = manifest.as_ref().and_then(|manifest| {
            manifest.get("project")?.get("requires-python")?.as_str().map(str::to_owned)
        });
        of_project.into_iter().chain(of_lock).collect()
    }

    /// Writes the texts.
    fn write(&self, directory: &Path) -> std::io::Result<()> {
        let lock = (PathBuf::from("uv.lock"), &self.lock);
        let manifests = self.manifests.iter().map(|(path, text)| (path.clone(), text));
        for (path, text) in manifests.chain([lock]) {
            let outside = |part: Component<'_>| !matches!(part, Component::Normal(_));
            if path.components().any(outside) {
                // Members are below their workspace; whatever else it is, uv does not read it.
                continue;
            }
            let file = directory.join(&path);
            std::fs::create_dir_all(file.parent().unwrap_or(directory))?;
            std::fs::write(file, text)?;
        }
        Ok(())
    }
}

/// Whether a `requires-python` allows the target's interpreter. Of one whose last number is not
/// known, any may be meant.
pub(crate) fn allows(requires: &str, target: &Target) -> bool {
    let Ok(specifiers) = VersionSpecifiers::from_str(requires) else { return true };
    let python = target.python();
    let micros = match python.micro() {
        Some(micro) => vec![u64::from(micro)],
        None => vec![0, 99],
    };
    let (major, minor) = (u64::from(python.major()), u64::from(python.minor()));
    micros.iter().any(|micro| specifiers.contains(&Version::new([major, minor, *micro])))
}

impl Uv {
    /// What a uv project installs on a target. Packages of the host are in the lock as
    /// directories and archives, with paths relative to the folder of `uv.lock`.
    pub async fn export(
        &self,
        project: &UvProject,
        settings: &ExportSettings,
    ) -> Result<Lock, UvProjectError> {
        let place = |scratch: &Path| ["--project".into(), scratch.join(&project.place).into()];
        let lock = self.read_lock(settings, &|scratch| project.write(scratch), &place).await?;
        Ok(match project.requested() {
            Some(names) => lock.with_requested(&names),
            None => lock,
        })
    }

    /// Reads a lock in a directory with what `write` writes there; `place` says to uv where it is.
    async fn read_lock(
        &self,
        settings: &ExportSettings,
        write: &(dyn Fn(&Path) -> std::io::Result<()> + Sync),
        place: &(dyn Fn(&Path) -> [OsString; 2] + Sync),
    ) -> Result<Lock, UvProjectError> {
        let ExportSettings { arguments, target, cache_dir } = settings;
        let failed = |source| UvProjectError::Run { program: self.program().to_owned(), source };
        let python = standin::install(&cache_dir.join("standin"), target).map_err(failed)?;
        let scratch = tempfile::tempdir_in(cache_dir).map_err(failed)?;
        write(scratch.path()).map_err(failed)?;
        let mut command = Command::new(self.program());
        command
            .args(["export", "--format", "pylock.toml", "--frozen", "--no-editable"])
            .args(["--no-header", "--no-config", "--no-python-downloads", "--offline"])
            .args(["--no-progress", "--color", "never"])
            .arg("--cache-dir")
            .arg(cache_dir.join("uv"))
            .arg("--python")
            .arg(python)
            .args(place(scratch.path()))
            .args(arguments)
            .env_clear()
            .current_dir(scratch.path())
            .stdin(Stdio::null())
            .kill_on_drop(true);
        let output = command.output().await.map_err(failed)?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            // Where the scratch directory is means nothing to anybody.
            let place = scratch.path().display().to_string();
            let said = said.replace(&format!("{place}/"), "").replace(&place, "the project");
            return Err(UvProjectError::of_uv(&said));
        }
        Ok(Lock::parse(&output.stdout, target)?)
    }
}

impl UvProject {
    /// The packages that the project's manifest names itself, and the project.
    fn requested(&self) -> Option<std::collections::BTreeSet<crate::PackageName>> {
        let manifest: Table = self.own()?.parse().ok()?;
        Some(stale::named(&manifest).into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::Libc;
    use tierce_oci::{Diagnostic, Platform};

    fn target(python: &str) -> Target {
        Target::new(python.parse().unwrap(), &Platform::linux("amd64"), Libc::DEFAULT).unwrap()
    }

    const MANIFEST: &str = r#"
[project]
name = "app"
version = "1"
requires-python = ">=3.9"
dependencies = ["Six >= 1.15", "core", "win; sys_platform == 'win32'", "u @ https://x/u-1.whl"]
[project.optional-dependencies]
fast = ["idna[a,B]~=3.0; python_version > '3.8'"]
[dependency-groups]
dev = ["iniconfig"]
docs = ["toml", { include-group = "dev" }]
[tool.uv]
constraint-dependencies = ["six<3"]
[tool.uv.sources]
core = { workspace = true }
"#;

    const LOCK: &str = r#"
version = 1
requires-python = ">=3.9"
[manifest]
constraints = [{ name = "six", specifier = "<3" }]
[[package]]
name = "app"
version = "1"
source = { virtual = "." }
[package.metadata]
requires-dist = [
    { name = "core", editable = "packages/core" },
    { name = "idna", extras = ["a", "b"], marker = "extra == 'fast'", specifier = "~=3.0" },
    { name = "six", specifier = ">=1.15" },
    { name = "u", url = "https://x/u-1.whl" },
    { name = "win", marker = "sys_platform == 'win32'" },
]
provides-extras = ["fast"]
[package.metadata.requires-dev]
dev = [{ name = "iniconfig" }]
docs = [{ name = "iniconfig" }, { name = "toml" }]
"#;

    fn check(manifest: &str, lock: &str) -> Result<(), UvProjectError> {
        let manifests = [(PathBuf::from("pyproject.toml"), manifest.to_owned())].into();
        let project = UvProject { place: PathBuf::new(), lock: lock.to_owned(), manifests };
        project.check(&target("3.11"))
    }

    #[test]
    fn locks_of_the_manifest_are_taken() {
        check(MANIFEST, LOCK).unwrap();
        // What makes no difference, and what is not for the target.
        for (from, to) in [
            ("Six >= 1.15", "six>=1.15"),
            ("\"win; sys_platform", "\"win>3; sys_platform"),
            ("version = \"1\"", "version = \"1.0\""),
            ("[\"toml\", { include-group = \"dev\" }]", "[\"iniconfig\", \"toml\"]"),
        ] {
            assert!(MANIFEST.contains(from));
            check(&MANIFEST.replace(from, to), LOCK).unwrap_or_else(|e| panic!("{to}: {e}"));
        }
    }

    #[test]
    fn stale_locks_are_told_by_what_differs() {
        for (from, to, expected) in [
            ("Six >= 1.15", "six>=1.16", "six>=1.16"),
            ("\"Six >= 1.15\", ", "", "six>=1.15"),
            ("\"core\"", "\"core\", \"new\"", "new"),
            ("idna[a,B]~=3.0", "idna[a]~=3.0", "idna[a]~=3.0"),
            ("dev = [\"iniconfig\"]", "dev = []", "iniconfig"),
            ("fast = [", "slow = [", "slow"),
            ("six<3", "six<4", "six<4"),
            (">=3.9", ">=3.10", ">=3.10"),
            ("version = \"1\"", "version = \"2\"", "the version of app is 2, 1 in the lock"),
            ("version = \"1\"", "dynamic = [\"version\"]", "is dynamic, 1 in the lock"),
        ] {
            assert!(MANIFEST.contains(from), "{from}");
            let error = check(&MANIFEST.replacen(from, to, 1), LOCK).unwrap_err();
            assert_eq!(error.code(), "python/stale-lock", "{to}: {error}");
            assert!(error.to_string().contains(expected), "{to}: {error}");
            assert!(error.hint().unwrap().contains("uv lock"));
        }
    }

    #[test]
    fn places_are_compared() {
        // As uv writes them. `uv lock --check` was seen to say the same where it needs no network.
        let lock = |source: &str| {
            format!(
                "version = 1\nrequires-python = \">=3.9\"\n[[package]]\nname = \"app\"\n\
                 version = \"1\"\nsource = {{ virtual = \".\" }}\n[package.metadata]\n\
                 requires-dist = [{{ name = \"a-b\"{source} }}]\n"
            )
        };
        let manifest = |source: &str| {
            format!(
                "[project]\nname = \"app\"\nversion = \"1\"\nrequires-python = \">=3.9\"\n\
                 dependencies = [\"a-b\"]\n[tool.uv.sources]\n{source}\n\
                 [[tool.uv.index]]\nname = \"mine\"\nurl = \"https://u:p@mine/simple/\"\n"
            )
        };
        let git = ", git = \"https://x/a.git?subdirectory=s&tag=v1\"";
        for (source, locked, is_fresh) in [
            ("", "", true),
            ("a_b = { git = \"https://x/a.git\", tag = \"v1\", subdirectory = \"s\" }", git, true),
            ("a-b = { git = \"https://x/a.git\", tag = \"v2\", subdirectory = \"s\" }", git, false),
            ("a-b = { git = \"https://x/b.git\", tag = \"v1\", subdirectory = \"s\" }", git, false),
            ("", git, false),
            ("a-b = { path = \"../a\" }", ", directory = \"../a\"", true),
            ("a-b = { workspace = true }", ", editable = \"a\"", true),
            ("a-b = { path = \"../a\" }", "", false),
            ("a-b = { url = \"https://x/a.whl\" }", ", url = \"https://x/a.whl\"", true),
            ("a-b = { url = \"https://x/a2.whl\" }", ", url = \"https://x/a.whl\"", false),
            ("a-b = { index = \"mine\" }", ", index = \"https://mine/simple\"", true),
            ("a-b = { index = \"mine\" }", ", index = \"https://other/simple\"", false),
            ("a-b = { git = \"https://x/c\", extra = \"e\" }", "", true),
        ] {
            let checked = check(&manifest(source), &lock(locked));
            assert_eq!(checked.is_ok(), is_fresh, "{source}: {locked}: {checked:?}");
        }
    }

    #[test]
    fn versions_that_backends_find_are_in_no_lock() {
        let lock = LOCK.replacen("version = \"1\"\nsource", "source", 1);
        check(&MANIFEST.replace("version = \"1\"", "dynamic = [\"version\"]"), &lock).unwrap();
        let error = check(MANIFEST, &lock).unwrap_err();
        assert!(error.to_string().contains("is 1, and dynamic in the lock"), "{error}");
    }

    #[test]
    fn interpreters_that_are_not_allowed_are_named() {
        let project = UvProject {
            lock: LOCK.to_owned(),
            manifests: [("pyproject.toml".into(), MANIFEST.to_owned())].into(),
            ..UvProject::default()
        };
        let lock = project.lock.replace(">=3.9", ">=3.12");
        let error = UvProject { lock, ..project }.check(&target("3.11")).unwrap_err();
        assert_eq!(error.code(), "python/wrong-version");
        assert!(allows(">=3.11.4", &target("3.11")) && !allows(">=3.11.4", &target("3.11.3")));
    }
}
