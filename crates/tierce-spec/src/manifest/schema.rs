//! The JSON Schema of `tierce.toml`, for editors.

use super::base_value::ReferenceName;
use super::document::{Document, PlatformName, SecretName, WorkspaceTable};
use crate::{PythonVersion, ServiceUrl};
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value, json};
use std::borrow::Cow;

/// The keys that `[[steps]]` excludes.
const SHORT_KEYS: [&str; 12] = [
    "apt",
    "conda",
    "project",
    "pip",
    "requirements",
    "wheels",
    "env",
    "workdir",
    "copy",
    "run",
    "user",
    "code",
];

/// The JSON Schema (draft 2020-12) of `tierce.toml`: what the repository's
/// `schema/tierce.schema.json` holds.
pub fn schema() -> Value {
    let generator = SchemaSettings::draft2020_12().into_generator();
    let mut schema = generator.into_root_schema_for::<Document>().to_value();
    without_null(&mut schema);
    if let Value::Object(root) = &mut schema {
        let none: Map<String, Value> =
            SHORT_KEYS.iter().map(|key| ((*key).to_owned(), json!(false))).collect();
        root.insert("dependentSchemas".into(), json!({ "steps": { "properties": none } }));
        // The root of a workspace need not be an image itself.
        let required = root.remove("required").unwrap_or_default();
        let image = json!({ "required": required });
        let workspace = json!({ "required": ["workspace"], "maxProperties": 1 });
        root.insert("anyOf".into(), json!([image, workspace]));
    }
    schema
}

impl JsonSchema for WorkspaceTable {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Workspace".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "object" })
    }
}

/// Takes out what stands for `None`: TOML has no null, a key is there or it is not.
fn without_null(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            if let Some(Value::Array(types)) = object.get_mut("type") {
                types.retain(|t| t != "null");
                if let [only] = types.as_slice() {
                    let only = only.clone();
                    object.insert("type".into(), only);
                }
            }
            if object.get("default") == Some(&Value::Null) {
                object.remove("default");
            }
            if let Some(Value::Array(forms)) = object.get_mut("anyOf") {
                forms.retain(|form| *form != json!({ "type": "null" }));
                if let [Value::Object(only)] = forms.as_slice() {
                    let only = only.clone();
                    object.remove("anyOf");
                    object.extend(only);
                }
            }
            if let Some(Value::Array(values)) = object.get_mut("enum") {
                values.retain(|value| !value.is_null());
            }
            object.values_mut().for_each(without_null);
        }
        Value::Array(items) => items.iter_mut().for_each(without_null),
        _ => {}
    }
}

/// A string with a name, a description and an example.
macro_rules! text_schema {
    ($type:ty, $name:literal, { $($schema:tt)* }) => {
        impl JsonSchema for $type {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                $name.into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", $($schema)* })
            }
        }
    };
}

text_schema!(ServiceUrl, "ServiceUrl", {
    "pattern": "^([A-Za-z0-9_.-]+=)?(https?|file)://",
    "examples": ["https://pypi.example.com/simple", "private=https://pypi.example.com/simple"]
});
text_schema!(ReferenceName, "ReferenceName", {
    "minLength": 1,
    "examples": ["python:3.12-slim", "scratch"]
});
text_schema!(SecretName, "SecretName", {
    "pattern": "^[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)?$",
    "examples": ["token", "pypi/token"]
});
text_schema!(PlatformName, "PlatformName", {
    "description": "An operating system and a processor.",
    "pattern": "^[a-z0-9_]+/[a-z0-9_]+(/[a-z0-9_]+)?$",
    "examples": ["linux/amd64", "linux/arm64"]
});
text_schema!(PythonVersion, "PythonVersion", {
    "pattern": "^[0-9]+\\.[0-9]+(\\.[0-9]+)?$",
    "examples": ["3.12"]
});
