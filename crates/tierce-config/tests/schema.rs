//! The published JSON Schema of `config.toml`.
//!
//! `UPDATE_EXPECTED=1 cargo test -p tierce-config --test schema` writes
//! `schema/tierce-config.schema.json`.

use boon::{Compiler, Schemas};
use serde_json::Value;
use std::path::Path;
use tierce_config::{ConfigFile, schema};

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

#[test]
fn the_committed_schema_is_the_generated_one() {
    let file = root().join("schema/tierce-config.schema.json");
    if std::env::var_os("UPDATE_EXPECTED").is_some() {
        std::fs::write(&file, serde_json::to_string_pretty(&schema()).unwrap() + "\n").unwrap();
    }
    let committed = std::fs::read_to_string(&file).unwrap_or_default();
    assert_eq!(
        serde_json::from_str::<Value>(&committed).ok(),
        Some(schema()),
        "schema/tierce-config.schema.json is out of date: run this test with UPDATE_EXPECTED=1"
    );
}

/// The examples of the documentation are what the reader and the schema take.
#[test]
fn the_documented_configuration_is_valid_and_complete() {
    let docs = std::fs::read_to_string(root().join("docs/configuration.md")).unwrap();
    let examples: Vec<&str> = docs
        .split("```toml\n")
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap_or_default())
        .filter(|text| !text.contains("[workspace"))
        .collect();
    let mut compiler = Compiler::new();
    compiler.add_resource("config.json", schema()).unwrap();
    let mut schemas = Schemas::new();
    let compiled = compiler.compile("config.json", &mut schemas).unwrap();
    let mut keys = std::collections::BTreeSet::new();
    for text in examples {
        toml::from_str::<ConfigFile>(text).unwrap_or_else(|e| panic!("{e}\n{text}"));
        let value: Value = toml::from_str(text).unwrap();
        keys.extend(value.as_object().unwrap().keys().cloned());
        if let Err(error) = schemas.validate(&value, compiled) {
            panic!("{error}\n{text}");
        }
    }
    let known = schema();
    for key in known["properties"].as_object().unwrap().keys() {
        assert!(keys.contains(key), "no example has {key}");
    }
}
