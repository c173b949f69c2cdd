//! Scripts that say what they need in their header (PEP 723).

use super::declared::{Declared, LocalProject};
use super::wanted::Texts;
use super::{Lowering, options};
use crate::{FlyteError, InstallMode, InstallOptions};
use std::path::{Path, PathBuf};
use tierce_spec::{Project, ProjectKind, Step};
use toml::Table;

/// The header of a script.
pub(super) fn header(script: &Path, texts: &Texts) -> Result<Table, FlyteError> {
    let unread = || FlyteError::Unread { path: script.to_owned() };
    let text = texts.get(script).ok_or_else(unread)?;
    let wrong = |reason: String| FlyteError::Header { script: script.to_owned(), reason };
    let none = || FlyteError::NoHeader { script: script.to_owned() };
    let block = block(text).map_err(wrong)?.ok_or_else(none)?;
    block.parse().map_err(|error: toml::de::Error| wrong(error.message().to_owned()))
}

/// The content of the block called `script` (PEP 723, "Reference Implementation"): lines that are
/// a `#`, or begin with `# `, up to the last `# ///` among them.
fn block(text: &str) -> Result<Option<String>, String> {
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    let mut found = None;
    let mut at = 0;
    while at < lines.len() {
        let here = at;
        at += 1;
        if lines[here] != "# /// script" {
            continue;
        }
        let is_inside = |line: &&&str| **line == "#" || line.starts_with("# ");
        let inside: Vec<&str> = lines[here + 1..].iter().take_while(is_inside).copied().collect();
        let Some(end) = inside.iter().rposition(|line| *line == "# ///") else { continue };
        let content = |line: &&str| line.strip_prefix("# ").unwrap_or("").to_owned();
        if found.replace(inside[..end].iter().map(content).collect::<Vec<_>>()).is_some() {
            return Err("there are several blocks called script".to_owned());
        }
        at = here + 1 + end + 1;
    }
    Ok(found.map(|lines| lines.join("\n")))
}

/// The manifests of the projects of the host that a script depends on.
pub(super) fn projects(script: &Path, texts: &Texts) -> Result<Vec<PathBuf>, FlyteError> {
    let projects = needs(script, &header(script, texts)?)?.projects;
    Ok(projects.into_iter().map(|project| project.pyproject).collect())
}

/// The strings of a list in the header.
pub(super) fn strings(script: &Path, table: &Table, key: &str) -> Result<Vec<String>, FlyteError> {
    let wrong = || FlyteError::Header {
        script: script.to_owned(),
        reason: format!("{key} is not a list of strings"),
    };
    let Some(value) = table.get(key) else { return Ok(vec![]) };
    let all = value.as_array().ok_or_else(wrong)?;
    all.iter().map(|item| item.as_str().map(str::to_owned).ok_or_else(wrong)).collect()
}

/// What a script says that it needs.
fn needs(script: &Path, header: &Table) -> Result<Declared, FlyteError> {
    let folder = script.parent().unwrap_or(Path::new(""));
    let uv = header.get("tool").and_then(|tool| tool.get("uv"));
    Ok(Declared::of(folder, &strings(script, header, "dependencies")?, uv))
}

/// The lock beside a script (`uv lock --script`).
pub(super) fn lock(script: &Path) -> PathBuf {
    let name = script.file_name().unwrap_or_default().to_string_lossy();
    script.with_file_name(format!("{name}.lock"))
}

impl Lowering<'_> {
    pub(super) fn uv_script(
        &mut self,
        script: &Path,
        options: &InstallOptions,
    ) -> Result<(), FlyteError> {
        let header = header(script, &self.surroundings.texts)?;
        let lock = lock(script);
        if self.surroundings.texts.contains_key(&lock) {
            let project = Project::new(ProjectKind::Uv, script).with_lock(lock);
            let options = self.pip_options(options)?;
            self.add(Step::Project(project.with_options(options)));
            return Ok(());
        }
        let declared = needs(script, &header)?;
        if !declared.needs_lock.is_empty() {
            let (script, needs) = (script.to_owned(), declared.needs_lock);
            return Err(FlyteError::NoScriptLock { script, needs });
        }
        let projects = declared.projects.clone();
        self.declared(script, declared, options)?;
        if projects.is_empty() {
            return Ok(());
        }
        // What makes a version of what a repository says asks git.
        self.apt(&["git".to_owned()], &[]);
        for LocalProject { pyproject, extras } in projects {
            let lock = self.sibling(None, &pyproject, "uv.lock");
            let extras = options::line(extras.iter().flat_map(|extra| ["--extra", extra.as_str()]));
            let said = options.extra_args.iter().cloned().chain([extras]);
            let said: Vec<String> = said.filter(|words| !words.is_empty()).collect();
            let extra_args = (!said.is_empty()).then(|| said.join(" "));
            let options = InstallOptions { extra_args, ..options.clone() };
            self.uv_project(&pyproject, lock.as_deref(), InstallMode::InstallProject, &options)?;
        }
        Ok(())
    }

    /// Installs what a header or a manifest declares, and says what of it is not followed.
    pub(super) fn declared(
        &mut self,
        file: &Path,
        declared: Declared,
        options: &InstallOptions,
    ) -> Result<(), FlyteError> {
        let Declared { packages, index, extra_indexes, pre, arguments, unheeded, .. } = declared;
        if !unheeded.is_empty() {
            let (file, unheeded) = (file.display(), unheeded.join(", "));
            self.warn(
                "flyte/setting-left-out",
                format!("{file}: without a lock beside it, {unheeded} is not followed"),
            );
        }
        let mut install = options.clone();
        install.index_url = install.index_url.or(index);
        install.extra_index_urls.extend(extra_indexes);
        install.pre |= pre;
        if !arguments.is_empty() {
            let more = options::line(arguments);
            install.extra_args = Some(match install.extra_args {
                Some(args) => format!("{args} {more}"),
                None => more,
            });
        }
        self.pip(&packages, &install)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_found_as_pep_723_says() {
        for (text, expected) in [
            ("# /// script\n# a = 1\n#\n# b = 2\n# ///\n", Ok(Some("a = 1\n\nb = 2"))),
            ("#!/usr/bin/env python\n\n# /// script\n# ///\nx = 1", Ok(Some(""))),
            // The last closing line of the block counts.
            ("# /// script\n# a = 1\n# ///\n# b = 2\n# ///\n", Ok(Some("a = 1\n///\nb = 2"))),
            ("# /// script\n# a = 1\n", Ok(None)),
            ("# /// other\n# a = 1\n# ///\n", Ok(None)),
            ("# /// script\n#a = 1\n# ///\n", Ok(None)),
            ("", Ok(None)),
        ] {
            let found = block(text);
            assert_eq!(found, expected.map(|text| text.map(str::to_owned)), "{text:?}");
        }
        assert!(block("# /// script\n# ///\n\n# /// script\n# ///\n").is_err());
    }
}
