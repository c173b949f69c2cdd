//! The published JSON Schema, and what it says about manifests.
//!
//! `UPDATE_EXPECTED=1 cargo test -p tierce-spec --test schema` writes `schema/tierce.schema.json`.

use boon::{Compiler, Schemas};
use serde_json::Value;
use std::path::{Path, PathBuf};
use tierce_spec::manifest::{Manifest, schema};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn toml_files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|e| e == "toml"));
    files.sort();
    assert!(!files.is_empty(), "no cases in {}", folder.display());
    files
}

#[test]
fn the_committed_schema_is_the_generated_one() {
    let file = root().join("schema/tierce.schema.json");
    let generated = serde_json::to_string_pretty(&schema()).unwrap() + "\n";
    if std::env::var_os("UPDATE_EXPECTED").is_some() {
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, &generated).unwrap();
    }
    let committed = std::fs::read_to_string(&file).unwrap_or_default();
    // Compared as values: the order of keys depends on features that other crates turn on.
    assert_eq!(
        serde_json::from_str::<Value>(&committed).ok(),
        Some(schema()),
        "schema/tierce.schema.json is out of date: run this test with UPDATE_EXPECTED=1"
    );
}

#[test]
fn valid_manifests_and_only_those_fit_the_schema() {
    let mut compiler = Compiler::new();
    compiler.add_resource("tierce.json", schema()).unwrap();
    let mut schemas = Schemas::new();
    let compiled = compiler.compile("tierce.json", &mut schemas).unwrap();
    let fits = |file: &Path| {
        let text = std::fs::read_to_string(file).unwrap();
        let value: Option<Value> = toml::from_str(&text).ok();
        value.map(|value| schemas.validate(&value, compiled).map_err(|e| e.to_string()))
    };
    let tests = root().join("crates/tierce-spec/tests");
    let mut valid = toml_files(&tests.join("manifests"));
    valid.extend(toml_files(&tests.join("golden")));
    let examples = std::fs::read_dir(root().join("examples")).unwrap();
    valid.extend(
        examples.map(|entry| entry.unwrap().path().join("tierce.toml")).filter(|f| f.exists()),
    );
    for file in valid {
        if let Some(Err(error)) = fits(&file) {
            panic!("{} does not fit the schema:\n{error}", file.display());
        }
    }
    // What the reader refuses for its shape, the schema refuses too; values it can't judge.
    for file in toml_files(&tests.join("errors")) {
        let text = std::fs::read_to_string(&file).unwrap();
        let Err(error) = Manifest::parse(&text, "tierce.toml") else { continue };
        let code = error.problems()[0].code();
        if !["spec/invalid-value", "spec/unreadable-base"].contains(&code)
            && fits(&file).is_some_and(|result| result.is_ok())
        {
            panic!("{} fits the schema, but: {error}", file.display());
        }
    }
}
