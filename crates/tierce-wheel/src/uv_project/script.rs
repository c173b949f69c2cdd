//! Scripts with a header (PEP 723) and a lock of their own (`uv lock --script`), read by uv itself.

use super::{ExportSettings, UvProjectError, allows, stale};
use crate::Uv;
use crate::lock::Lock;
use crate::target::Target;
use std::path::Path;
use toml::{Table, Value};

/// What a script is called where uv reads it.
const SCRIPT: &str = "script.py";
/// The package that stands for the script where its lock is compared with its header.
const NAME: &str = "script";

/// The texts of a script.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UvScript {
    /// The script.
    pub script: String,
    /// Its lock.
    pub lock: String,
}

impl UvScript {
    /// Fails where the lock is not that of the header, or not for the target's interpreter.
    pub fn check(&self, target: &Target) -> Result<(), UvProjectError> {
        let wrong = |source| UvProjectError::Lock { source: Box::new(source) };
        let lock: Table = self.lock.parse().map_err(wrong)?;
        let header: Table = Self::header(&self.script).parse().map_err(|source| {
            UvProjectError::Manifest { path: SCRIPT.into(), source: Box::new(source) }
        })?;
        for requires in [&header, &lock] {
            let requires = requires.get("requires-python").and_then(Value::as_str);
            if let Some(requires) = requires.filter(|requires| !allows(requires, target)) {
                let (allowed, python) = (requires.to_owned(), target.python().to_string());
                return Err(UvProjectError::Python { allowed, python });
            }
        }
        let (lock, manifest) = (as_project_lock(lock), as_manifest(header));
        match stale::differences(&lock, &manifest, target, true) {
            differences if differences.is_empty() => Ok(()),
            differences => Err(UvProjectError::Stale { differences }),
        }
    }

    /// The content of the block called `script`, as PEP 723 has it; empty where there is none.
    pub fn header(text: &str) -> String {
        header(text)
    }

    fn write(&self, directory: &Path) -> std::io::Result<()> {
        std::fs::write(directory.join(SCRIPT), &self.script)?;
        std::fs::write(directory.join(format!("{SCRIPT}.lock")), &self.lock)
    }
}

impl Uv {
    /// What a script's lock installs on a target. Packages of the host are in it as directories
    /// and archives, with paths relative to the script's folder.
    pub async fn export_script(
        &self,
        script: &UvScript,
        settings: &ExportSettings,
    ) -> Result<Lock, UvProjectError> {
        let place = |scratch: &Path| ["--script".into(), scratch.join(SCRIPT).into_os_string()];
        self.read_lock(settings, &|scratch| script.write(scratch), &place).await
    }
}

fn header(text: &str) -> String {
    let lines = text.lines().map(str::trim_end).skip_while(|line| *line != "# /// script");
    let is_inside = |line: &&str| *line == "#" || line.starts_with("# ");
    let lines: Vec<&str> = lines.skip(1).take_while(is_inside).collect();
    let end = lines.iter().rposition(|line| *line == "# ///").unwrap_or(0);
    let content = |line: &&str| line.strip_prefix("# ").unwrap_or_default().to_owned();
    lines[..end].iter().map(content).collect::<Vec<_>>().join("\n")
}

/// The header as the manifest of a project that depends on the same.
fn as_manifest(mut header: Table) -> Table {
    let mut project = Table::from_iter([("name".to_owned(), Value::String(NAME.to_owned()))]);
    for key in ["dependencies", "requires-python"] {
        project.extend(header.remove(key).map(|value| (key.to_owned(), value)));
    }
    header.insert("project".to_owned(), Value::Table(project));
    header
}

/// The lock as that of such a project.
fn as_project_lock(mut lock: Table) -> Table {
    let requirements = lock.get("manifest").and_then(|manifest| manifest.get("requirements"));
    let requirements = requirements.cloned().unwrap_or_else(|| Value::Array(vec![]));
    let metadata = Table::from_iter([("requires-dist".to_owned(), requirements)]);
    let source = Table::from_iter([("virtual".to_owned(), Value::String(".".to_owned()))]);
    let package = Table::from_iter([
        ("name".to_owned(), Value::String(NAME.to_owned())),
        ("source".to_owned(), Value::Table(source)),
        ("metadata".to_owned(), Value::Table(metadata)),
    ]);
    let packages = lock.entry("package").or_insert_with(|| Value::Array(vec![]));
    if let Value::Array(packages) = packages {
        packages.push(Value::Table(package));
    }
    lock
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::Libc;
    use tierce_oci::{Diagnostic, Platform};

    const LOCK: &str = r#"
version = 1
requires-python = ">=3.10"
[manifest]
requirements = [
    { name = "idna", extras = ["all"], marker = "python_full_version >= '3.9'", specifier = "<4" },
    { name = "six", specifier = ">=1.15" },
]
constraints = [{ name = "six", specifier = "<1.17" }]
"#;

    fn check(dependencies: &str, python: &str) -> Result<(), UvProjectError> {
        let script = format!(
            "#!/usr/bin/env python\n# /// script\n# requires-python = \">=3.10\"\n\
             # dependencies = [{dependencies}]\n#\n# [tool.uv]\n\
             # constraint-dependencies = [\"six<1.17\"]\n# ///\nimport six\n"
        );
        let target = Target::new(python.parse().unwrap(), &Platform::linux("amd64"), Libc::DEFAULT);
        UvScript { script, lock: LOCK.to_owned() }.check(&target.unwrap())
    }

    #[test]
    fn locks_of_scripts_are_those_of_their_headers() {
        check("\"six>=1.15\", \"idna[all]<4; python_version >= '3.9'\"", "3.11").unwrap();
        for (dependencies, expected) in
            [("\"six>=1.15\"", "idna"), ("\"idna[all]<4\", \"six\"", "six")]
        {
            let error = check(dependencies, "3.11").unwrap_err();
            assert_eq!(error.code(), "python/stale-lock");
            assert!(error.to_string().contains(expected), "{error}");
        }
        assert_eq!(check("", "3.9").unwrap_err().code(), "python/wrong-version");
    }
}
