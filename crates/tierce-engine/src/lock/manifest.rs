//! What of a `pyproject.toml` says which packages there are.

use crate::gather::{GatheredProject, Source};
use std::path::Path;
use tierce_oci::Digest;
use tierce_tree::Node;
use toml::{Table, Value};

/// What names and describes packages to people, and says nothing of what they need (core metadata
/// in `pyproject.toml`, PEP 621).
const DESCRIPTIVE: [&str; 12] = [
    "description",
    "readme",
    "license",
    "license-files",
    "authors",
    "maintainers",
    "keywords",
    "classifiers",
    "urls",
    "scripts",
    "gui-scripts",
    "entry-points",
];

/// The tools that choose packages, and read what they are to choose from in their tables.
const RESOLVERS: [&str; 6] = ["uv", "poetry", "pixi", "pdm", "hatch", "setuptools"];

/// A manifest larger than this is none, in bytes.
const LARGEST: u64 = 16 << 20;

/// The digest of what a manifest says about packages. Settings of other tools are none of a
/// lock's business; of a file that can't be read all is.
pub fn digest(path: &Path, content: &[u8]) -> Digest {
    let relevant = match path.file_name().is_some_and(|name| name == "pyproject.toml") {
        true => std::str::from_utf8(content).ok().and_then(|text| toml::from_str(text).ok()),
        false => None,
    };
    match relevant.map(|table| toml::to_string(&relevant_to_packages(table))) {
        Some(Ok(text)) => Digest::of(text),
        _ => Digest::of(content),
    }
}

fn relevant_to_packages(mut table: Table) -> Table {
    table.retain(|name, _| ["project", "dependency-groups", "tool"].contains(&name));
    if let Some(Value::Table(project)) = table.get_mut("project") {
        project.retain(|name, _| !DESCRIPTIVE.contains(&name));
    }
    if let Some(Value::Table(tools)) = table.get_mut("tool") {
        tools.retain(|name, _| RESOLVERS.contains(&name));
    }
    // No tool's settings and no empty table of them are the same.
    table.retain(|_, value| value.as_table().is_none_or(|table| !table.is_empty()));
    table
}

/// Lines for a project's manifest, its lock file, and the manifests of what it installs from
/// folders of the host. What else is in those is code, which may change.
pub fn lines(name: &str, read: Option<&GatheredProject>) -> Vec<String> {
    let Some(read) = read else { return vec![] };
    let files = std::iter::once(&read.manifest).chain(&read.lock);
    let mut lines: Vec<String> = files
        .map(|file| {
            let of_file = file.path.file_name().unwrap_or_default().to_string_lossy();
            format!("{name}: {of_file} {}", digest(&file.path, &file.content))
        })
        .collect();
    let others = read.texts.iter().filter(|(_, file)| file.path != read.manifest.path);
    lines.extend(others.map(|(path, file)| {
        format!("{name}: {} {}", path.display(), digest(&file.path, &file.content))
    }));
    let folders = read.local.iter().filter(|(path, _)| !is_known(path, read));
    lines.extend(folders.filter_map(|(path, source)| of_folder(name, path, source)));
    lines
}

/// Whether the manifest of a folder has a line anyway.
fn is_known(folder: &Path, read: &GatheredProject) -> bool {
    folder == Path::new(".") || read.texts.contains_key(&folder.join("pyproject.toml"))
}

/// A line for the manifest in a folder of the host.
pub fn of_folder(name: &str, path: &Path, source: &Source) -> Option<String> {
    let is_manifest = |entry: &tierce_tree::TreeEntry| {
        entry.path.as_bytes() == b"pyproject.toml"
            && matches!(entry.node, Node::File { size, .. } if size <= LARGEST)
    };
    if !source.tree.entries().iter().any(is_manifest) {
        return None;
    }
    let file = source.root.join("pyproject.toml");
    // Whoever builds it says why it can't be read.
    let content = std::fs::read(&file).ok()?;
    let shown = path.join("pyproject.toml");
    Some(format!("{name}: {} {}", shown.display(), digest(&file, &content)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_resolvers_read_counts() {
        let of = |text: &str| digest(Path::new("a/pyproject.toml"), text.as_bytes());
        let plain = "[project]\nname = 'a'\ndependencies = ['idna']\n";
        let same = [
            "[project]\ndependencies = ['idna']\nname = 'a'\ndescription = 'x'\n",
            "[project]\nname = 'a'\ndependencies = ['idna']\n[tool.ruff]\nline-length = 9\n",
            "[project]\nname = 'a'\ndependencies = ['idna']\nurls = { a = 'b' }\n",
        ];
        for text in same {
            assert_eq!(of(text), of(plain), "{text}");
        }
        let others = [
            "[project]\nname = 'a'\ndependencies = ['idna<3']\n",
            "[project]\nname = 'a'\ndependencies = ['idna']\nrequires-python = '>=3.9'\n",
            "[project]\nname = 'a'\ndependencies = ['idna']\n[tool.uv]\nprerelease = 'allow'\n",
            "[project]\nname = 'a'\ndependencies = ['idna']\n[dependency-groups]\na = []\n",
            "[project\n",
        ];
        for text in others {
            assert_ne!(of(text), of(plain), "{text}");
        }
        let lock = |text: &str| digest(Path::new("uv.lock"), text.as_bytes());
        assert_ne!(lock("# a\n"), lock("# b\n"));
    }
}
