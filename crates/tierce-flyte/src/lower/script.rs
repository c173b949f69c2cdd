//! Scripts that say what they need in their header (PEP 723).

use super::wanted::Texts;
use super::{Lowering, options};
use crate::{FlyteError, InstallMode, InstallOptions};
use std::path::{Path, PathBuf};
use toml::{Table, Value};

/// What a script needs.
#[derive(Debug, Default)]
struct Needs {
    /// Requirements (PEP 508).
    packages: Vec<String>,
    /// Manifests of projects of the host.
    projects: Vec<PathBuf>,
    /// Further indexes.
    indexes: Vec<String>,
    /// Further arguments to the resolver.
    arguments: Vec<String>,
    /// Sources that are of no use here.
    unknown: Vec<String>,
}

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
    Ok(needs(script, &header(script, texts)?)?.projects)
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

fn needs(script: &Path, header: &Table) -> Result<Needs, FlyteError> {
    let folder = script.parent().unwrap_or(Path::new(""));
    let uv = header.get("tool").and_then(|tool| tool.get("uv"));
    let sources = uv.and_then(|uv| uv.get("sources")).and_then(Value::as_table);
    let mut needs = Needs::default();
    for dependency in strings(script, header, "dependencies")? {
        // As Flyte has it: `file:///home/me/project`, with a name before it or without.
        if let Some((_, path)) = dependency.split_once("file://") {
            needs.projects.push(folder.join(path.trim()).join("pyproject.toml"));
            continue;
        }
        let source = sources.and_then(|all| source_of(all, &dependency));
        match source {
            None => needs.packages.push(dependency),
            Some(source) => needs.add(folder, &dependency, source),
        }
    }
    for index in uv.and_then(|uv| uv.get("index")).and_then(Value::as_array).into_iter().flatten() {
        let url = index.get("url").and_then(Value::as_str);
        needs.indexes.extend(url.map(str::to_owned));
    }
    if let Some(date) = uv.and_then(|uv| uv.get("exclude-newer")).and_then(Value::as_str) {
        needs.arguments.extend(["--exclude-newer".to_owned(), date.to_owned()]);
    }
    Ok(needs)
}

impl Needs {
    /// A dependency that comes from elsewhere than an index.
    fn add(&mut self, folder: &Path, dependency: &str, source: &Value) {
        let word = |key: &str| source.get(key).and_then(Value::as_str);
        let head = dependency.find(|c: char| "<>=!~;@ (".contains(c)).unwrap_or(dependency.len());
        let name = dependency[..head].trim();
        if let Some(path) = word("path") {
            self.projects.push(folder.join(path).join("pyproject.toml"));
        } else if let Some(url) = word("url") {
            self.packages.push(format!("{name} @ {url}"));
        } else if let Some(url) = word("git") {
            let at = ["rev", "tag", "branch"].iter().find_map(|key| word(key));
            let at = at.map(|at| format!("@{at}")).unwrap_or_default();
            let below = word("subdirectory").map(|dir| format!("#subdirectory={dir}"));
            self.packages.push(format!("{name} @ git+{url}{at}{}", below.unwrap_or_default()));
        } else {
            // An index of the header's own is asked for everything.
            if word("index").is_none() {
                self.unknown.push(name.to_owned());
            }
            self.packages.push(dependency.to_owned());
        }
    }
}

/// What the header says of where a dependency comes from. Names are compared as indexes do.
fn source_of<'a>(sources: &'a Table, dependency: &str) -> Option<&'a Value> {
    let name = normal(dependency);
    let (_, source) = sources.iter().find(|(key, _)| normal(key) == name)?;
    match source {
        Value::Array(all) => all.first(),
        one => Some(one),
    }
}

/// The name that a requirement starts with, in its normal form (PEP 503).
fn normal(requirement: &str) -> String {
    let is_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let end = requirement.find(|c| !is_word(c)).unwrap_or(requirement.len());
    let parts = requirement[..end].split(['-', '_', '.']).filter(|part| !part.is_empty());
    parts.map(str::to_ascii_lowercase).collect::<Vec<_>>().join("-")
}

impl Lowering<'_> {
    pub(super) fn uv_script(
        &mut self,
        script: &Path,
        options: &InstallOptions,
    ) -> Result<(), FlyteError> {
        let header = header(script, &self.surroundings.texts)?;
        let Needs { packages, projects, indexes, arguments, unknown } = needs(script, &header)?;
        if !unknown.is_empty() {
            self.warn(
                "flyte/script-source",
                format!(
                    "{}: what the header says of where {} comes from is not followed",
                    script.display(),
                    unknown.join(", ")
                ),
            );
        }
        let mut install = options.clone();
        install.extra_index_urls.extend(indexes);
        if !arguments.is_empty() {
            let more = options::line(arguments);
            install.extra_args = Some(match install.extra_args {
                Some(args) => format!("{args} {more}"),
                None => more,
            });
        }
        self.pip(&packages, &install)?;
        if projects.is_empty() {
            return Ok(());
        }
        // What makes a version of what a repository says asks git.
        self.apt(&["git".to_owned()], &[]);
        for pyproject in projects {
            let lock = self.sibling(None, &pyproject, "uv.lock");
            self.uv_project(&pyproject, lock.as_deref(), InstallMode::InstallProject, options)?;
        }
        Ok(())
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
