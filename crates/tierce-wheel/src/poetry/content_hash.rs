//! What Poetry compares to know whether a lock still belongs to its `pyproject.toml`.

use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fmt::Write;
use toml::{Table, Value};

/// What `[tool.poetry]` always contributes, so that it is `null` where it is missing.
const LEGACY: [&str; 4] = ["dependencies", "source", "extras", "dev-dependencies"];

/// What `[project]` contributes.
const PROJECT: [&str; 3] = ["requires-python", "dependencies", "optional-dependencies"];

/// Which of Poetry's versions made the lock: what they hash differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HashedBy {
    /// 1.x, which knows nothing but `[tool.poetry]`.
    One,
    /// 2.0 to 2.2, which leave `[dependency-groups]` out.
    EarlyTwo,
    /// 2.3 and later.
    Two,
}

/// The content hash of a `pyproject.toml`.
pub(super) fn content_hash(pyproject: &Table, by: HashedBy) -> String {
    let poetry = table(table(Some(pyproject), "tool"), "poetry");
    let project = match by {
        HashedBy::One => BTreeMap::new(),
        HashedBy::EarlyTwo | HashedBy::Two => {
            let project = table(Some(pyproject), "project");
            let present = |key: &'static str| Some((key, Node::Value(project?.get(key)?)));
            PROJECT.into_iter().filter_map(present).collect()
        }
    };
    let groups = table(Some(pyproject), "dependency-groups")
        .filter(|groups| by == HashedBy::Two && !groups.is_empty());
    let is_standard = !project.is_empty() || groups.is_some();
    let of_poetry = |key: &'static str| poetry.and_then(|poetry| poetry.get(key)).map(Node::Value);
    let mut own: BTreeMap<&str, Node<'_>> = LEGACY
        .into_iter()
        .filter_map(|key| match of_poetry(key) {
            None if is_standard => None,
            value => Some((key, value.unwrap_or(Node::Null))),
        })
        .collect();
    own.extend(of_poetry("group").map(|group| ("group", group)));
    let content = match is_standard {
        false => own,
        true => {
            let mut content = BTreeMap::new();
            if !project.is_empty() {
                content.insert("project", Node::Map(project));
            }
            if let Some(groups) = groups {
                content.insert("dependency-groups", Node::Table(groups));
            }
            let tool = BTreeMap::from([("poetry", Node::Map(own))]);
            content.insert("tool", Node::Map(tool));
            content
        }
    };
    let mut json = String::new();
    write(&mut json, &Node::Map(content));
    Sha256::digest(json.as_bytes()).iter().fold(String::new(), |mut hex, byte| {
        // Writing to a string does not fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

fn table<'a>(value: Option<&'a Table>, key: &str) -> Option<&'a Table> {
    value?.get(key)?.as_table()
}

enum Node<'a> {
    Null,
    Value(&'a Value),
    Table(&'a Table),
    Map(BTreeMap<&'a str, Node<'a>>),
}

/// As Python's `json.dumps(value, sort_keys=True)` does.
fn write(out: &mut String, node: &Node<'_>) {
    match node {
        Node::Null => out.push_str("null"),
        Node::Value(value) => write_value(out, value),
        Node::Table(table) => write_table(out, table),
        Node::Map(map) => {
            out.push('{');
            for (index, (key, value)) in map.iter().enumerate() {
                write_key(out, index, key);
                write(out, value);
            }
            out.push('}');
        }
    }
}

fn write_table(out: &mut String, table: &Table) {
    let sorted: BTreeMap<&String, &Value> = table.iter().collect();
    out.push('{');
    for (index, (key, value)) in sorted.into_iter().enumerate() {
        write_key(out, index, key);
        write_value(out, value);
    }
    out.push('}');
}

fn write_key(out: &mut String, index: usize, key: &str) {
    if index > 0 {
        out.push_str(", ");
    }
    write_string(out, key);
    out.push_str(": ");
}

fn write_value(out: &mut String, value: &Value) {
    match value {
        Value::String(text) => write_string(out, text),
        Value::Integer(number) => out.push_str(&number.to_string()),
        Value::Float(number) => out.push_str(&format!("{number:?}")),
        Value::Boolean(value) => out.push_str(if *value { "true" } else { "false" }),
        // Poetry can't hash these at all.
        Value::Datetime(time) => write_string(out, &time.to_string()),
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push_str(", ");
                }
                write_value(out, item);
            }
            out.push(']');
        }
        Value::Table(table) => write_table(out, table),
    }
}

fn write_string(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            ' '..='~' => out.push(c),
            c => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    out.push_str(&format!("\\u{unit:04x}"));
                }
            }
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What Poetry 2.5, 2.2 and 1.8 say of this project.
    #[test]
    fn hashes_are_those_of_poetry() {
        let project = r#"
[project]
requires-python = ">=3.9"
dependencies = ["b", "a \u00e9"]
[project.optional-dependencies]
x = ["\U0001F40D \"quoted\" \\ / \t"]
[dependency-groups]
z = ["q", { include-group = "y" }]
y = []
[tool.poetry]
name = "n"
[tool.poetry.dependencies]
python = "^3.9"
b = { version = "1", optional = true, number = 3, list = [1, 2.5, false] }
[tool.poetry.group.g]
optional = true
"#;
        let project: Table = project.parse().unwrap();
        for (by, expected) in [
            (HashedBy::Two, "87d2973e6185d8a908a9b00abe711e4e87dd006865ae4c8e9e4fa5aecfbcf4dc"),
            (
                HashedBy::EarlyTwo,
                "19a124059bcd98f482c16bb19c7b17c1a239c626bce87a45af090720b19b94b4",
            ),
            (HashedBy::One, "c9c0b56250fb0571be3fe6e8c5be0bffb4641e74babf6c46c6776978e1fe22c3"),
        ] {
            assert_eq!(content_hash(&project, by), expected, "{by:?}");
        }
    }
}
