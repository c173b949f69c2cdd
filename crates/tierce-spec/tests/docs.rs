//! The examples of the documentation do what it says, and it leaves no key out.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use tierce_spec::manifest::{Manifest, ManifestError, ManifestFiles, SourceKind, schema};

const PAGES: [&str; 2] = ["README.md", "docs/spec.md"];

/// What fragments stand on.
const BASE: &str = "base = { debian = \"bookworm\", python = true }\n";

/// A block of TOML in a page.
struct Block {
    /// `page:line` of its first line.
    place: String,
    /// What follows `toml` in the fence: nothing, `fragment` or `refused`.
    mark: String,
    text: String,
}

fn page(name: &str) -> String {
    let path: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn blocks(name: &str) -> Vec<Block> {
    let mut blocks = vec![];
    let mut open: Option<Block> = None;
    let mut in_other = false;
    for (index, line) in page(name).lines().enumerate() {
        match (line.strip_prefix("```"), &mut open) {
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (Some(info), None) if !in_other => match info.strip_prefix("toml") {
                Some(mark) => {
                    let place = format!("{name}:{}", index + 2);
                    let mark = mark.trim().to_owned();
                    open = Some(Block { place, mark, text: String::new() });
                }
                None => in_other = true,
            },
            (Some(_), None) => in_other = false,
            (None, Some(block)) => {
                block.text.push_str(line);
                block.text.push('\n');
            }
            (None, None) => {}
        }
    }
    assert!(open.is_none() && !in_other, "{name} ends inside a block");
    blocks
}

/// What examples start from.
struct Below;

impl ManifestFiles for Below {
    fn read(&self, _: &Path) -> std::io::Result<String> {
        Ok(BASE.to_owned())
    }
}

fn check(block: &Block, text: &str) -> Result<(), ManifestError> {
    let manifest = Manifest::parse_with(text, Path::new(&block.place), &Below)?;
    let image = manifest.image_with(|path| match path.extension() {
        Some(_) => SourceKind::File,
        None => SourceKind::Folder,
    });
    manifest.validate(&image)
}

#[test]
fn every_example_is_what_it_is_said_to_be() {
    for name in PAGES {
        let blocks = blocks(name);
        assert!(!blocks.is_empty(), "{name} has no examples");
        for block in blocks {
            let whole = match block.mark.as_str() {
                "fragment" => format!("{BASE}{}", block.text),
                "" | "refused" => block.text.clone(),
                other => panic!("{}: what is `toml {other}`?", block.place),
            };
            match (check(&block, &whole), block.mark == "refused") {
                (Ok(()), false) | (Err(_), true) => {}
                (Err(error), false) => panic!("{}: {error}", block.place),
                (Ok(()), true) => panic!("{} is not refused", block.place),
            }
        }
    }
}

#[test]
fn every_key_is_described() {
    let text = page("docs/spec.md");
    let mut keys = BTreeSet::new();
    collect(&schema(), &mut keys);
    for expected in ["base", "keep-defaults", "security-mirror", "extra-args", "steps"] {
        assert!(keys.contains(expected), "the schema has no {expected}");
    }
    let missing: Vec<_> = keys.iter().filter(|key| !text.contains(&format!("`{key}`"))).collect();
    assert!(missing.is_empty(), "docs/spec.md does not name {missing:?}");
}

/// The names of all properties anywhere in a schema.
fn collect(schema: &serde_json::Value, keys: &mut BTreeSet<String>) {
    match schema {
        serde_json::Value::Object(object) => {
            if let Some(serde_json::Value::Object(properties)) = object.get("properties") {
                keys.extend(properties.keys().cloned());
            }
            object.values().for_each(|value| collect(value, keys));
        }
        serde_json::Value::Array(items) => items.iter().for_each(|item| collect(item, keys)),
        _ => {}
    }
}
