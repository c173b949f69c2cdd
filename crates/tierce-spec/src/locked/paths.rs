//! The folders and archives of the host that a manifest names itself.

use super::plain;
use std::collections::BTreeSet;
use std::path::PathBuf;
use toml::{Table, Value};

/// The paths that a manifest (`pyproject.toml`, or a script's header) names, relative to its
/// folder: `path` of `[tool.uv.sources]` and of Poetry's dependencies, members of a workspace, and
/// requirements for files (PEP 508). A text that is no manifest names none.
pub fn named_paths(manifest: &str) -> BTreeSet<PathBuf> {
    let Ok(table) = manifest.parse::<Table>() else { return BTreeSet::new() };
    let mut found = BTreeSet::new();
    let tool = table.get("tool");
    let uv = tool.and_then(|tool| tool.get("uv"));
    let sources = [uv.and_then(|uv| uv.get("sources")), tool.and_then(|tool| tool.get("poetry"))];
    sources.into_iter().flatten().for_each(|value| paths(value, &mut found));
    let members = uv.and_then(|uv| uv.get("workspace")?.get("members")?.as_array());
    let members = members.into_iter().flatten().filter_map(Value::as_str);
    found.extend(members.map(plain));
    let project = table.get("project");
    let lists = [
        project.and_then(|project| project.get("dependencies")),
        project.and_then(|project| project.get("optional-dependencies")),
        table.get("dependency-groups"),
        uv.and_then(|uv| uv.get("dev-dependencies")),
        table.get("dependencies"),
    ];
    lists.into_iter().flatten().for_each(|value| requirements(value, &mut found));
    found
}

/// All that a key `path` has, in whatever table.
fn paths(value: &Value, found: &mut BTreeSet<PathBuf>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| paths(item, found)),
        Value::Table(table) => {
            found.extend(table.get("path").and_then(Value::as_str).map(plain));
            table.values().for_each(|item| paths(item, found));
        }
        _ => {}
    }
}

/// The places of requirements, where they are no URLs of servers.
fn requirements(value: &Value, found: &mut BTreeSet<PathBuf>) {
    match value {
        Value::String(text) => {
            let place = text.split_once('@').map(|(_, place)| place.trim());
            let place = place.and_then(|place| place.split([';', '#']).next()).map(str::trim_end);
            let is_local = |place: &&str| !place.contains("://") || place.starts_with("file://");
            found.extend(place.filter(is_local).map(plain));
        }
        Value::Array(items) => items.iter().for_each(|item| requirements(item, found)),
        Value::Table(table) => table.values().for_each(|item| requirements(item, found)),
        _ => {}
    }
}

/// The content of a script's block called `script` (PEP 723); empty where there is none.
pub fn script_header(text: &str) -> String {
    let lines = text.lines().map(str::trim_end).skip_while(|line| *line != "# /// script");
    let is_inside = |line: &&str| *line == "#" || line.starts_with("# ");
    let lines: Vec<&str> = lines.skip(1).take_while(is_inside).collect();
    let end = lines.iter().rposition(|line| *line == "# ///").unwrap_or(0);
    let content = |line: &&str| line.strip_prefix("# ").unwrap_or_default().to_owned();
    lines[..end].iter().map(content).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn manifests_name_paths() {
        let uv = "[project]\ndependencies = [\"a @ file:///srv/a ; os_name == 'posix'\", \"b\", \
                  \"c @ https://x/c.whl\"]\n[tool.uv.sources]\nb = [{ path = \"../b\", marker = \"x\" }]\n\
                  d = { git = \"https://x/d\" }\n[tool.uv.workspace]\nmembers = [\"libs/*\"]\n";
        let poetry = "[tool.poetry.dependencies]\npython = \"^3.9\"\na = { path = \"../a/\" }\n\
                      [tool.poetry.group.dev.dependencies]\nb = [{ path = \"./b\" }]\n";
        for (text, expected) in [
            (uv, &["/srv/a", "../b", "libs/*"][..]),
            (poetry, &["../a", "b"]),
            ("not = [ toml", &[]),
        ] {
            let found = named_paths(text);
            let found: Vec<&str> = found.iter().filter_map(|path| path.to_str()).collect();
            assert_eq!(found, expected);
        }
        let script = "# /// script\n# dependencies = [\"a @ ../a\"]\n# ///\nprint()\n";
        assert_eq!(named_paths(&script_header(script)), BTreeSet::from(["../a".into()]));
    }
}
