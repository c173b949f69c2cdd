//! JSON Schema -> [`Property`].

use super::RESERVED_KEYS;
use super::problem::SchemaError;
use super::property::{Property, ValueKind};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Keywords that say nothing about values.
const ANNOTATIONS: [&str; 7] =
    ["$schema", "$id", "$comment", "title", "description", "examples", "deprecated"];

/// The properties of the schema of a whole configuration.
pub(super) fn object(schema: &Value) -> Result<BTreeMap<String, Property>, SchemaError> {
    let schema = Node::of(schema, "the schema")?;
    if schema.text("type")?.is_some_and(|t| t != "object") {
        return Err(schema.shape("type", "\"object\""));
    }
    if schema.get("additionalProperties").is_some_and(|v| v != &Value::Bool(false)) {
        return Err(schema.shape("additionalProperties", "false"));
    }
    schema.only(&["type", "properties", "required", "additionalProperties"])?;
    let mut properties = BTreeMap::new();
    if let Some(value) = schema.get("properties") {
        for (key, value) in Node::of(value, "properties")?.map {
            let at = format!("properties.{key}");
            if RESERVED_KEYS.contains(&key.as_str()) {
                return Err(SchemaError::Reserved { at });
            }
            properties.insert(key.clone(), property(value, &at)?);
        }
    }
    for name in schema.list("required")?.into_iter().flatten() {
        let name = name.as_str().ok_or_else(|| schema.shape("required", "a list of strings"))?;
        properties
            .get_mut(name)
            .ok_or_else(|| SchemaError::Required { name: name.to_owned() })?
            .required = true;
    }
    Ok(properties)
}

fn property(schema: &Value, at: &str) -> Result<Property, SchemaError> {
    let node = Node::of(schema, at)?;
    let kind = kind(&node)?;
    let mut values = node.list("enum")?.cloned().unwrap_or_default();
    values.extend(node.get("const").cloned());
    let property = Property {
        description: node.text("description")?.map(str::to_owned),
        kind,
        values,
        default: node.get("default").cloned(),
        required: false,
        write_only: node.flag("writeOnly")?,
    };
    if let Some(default) = &property.default {
        let mut problems = vec![];
        property.check("default", default, &mut problems);
        if !problems.is_empty() {
            return Err(SchemaError::Default { at: at.to_owned() });
        }
    }
    Ok(property)
}

fn kind(node: &Node<'_>) -> Result<ValueKind, SchemaError> {
    const COMMON: [&str; 5] = ["type", "enum", "const", "default", "writeOnly"];
    let only = |more: &[&str]| node.only(&[&COMMON, more].concat());
    let types = "one of \"string\", \"integer\", \"number\", \"boolean\", \"array\", \"object\"";
    match node.text("type")? {
        Some("string") => {
            only(&["minLength", "maxLength"])?;
            let min = node.count("minLength")?.unwrap_or(0);
            Ok(ValueKind::String { min, max: node.count("maxLength")? })
        }
        Some("integer") => {
            only(&["minimum", "maximum"])?;
            let whole = |keyword| node.read(keyword, "an integer", Value::as_i64);
            Ok(ValueKind::Integer { min: whole("minimum")?, max: whole("maximum")? })
        }
        Some("number") => {
            only(&["minimum", "maximum"])?;
            let number = |keyword| node.read(keyword, "a number", Value::as_f64);
            Ok(ValueKind::Number { min: number("minimum")?, max: number("maximum")? })
        }
        Some("boolean") => {
            only(&[])?;
            Ok(ValueKind::Boolean)
        }
        Some("array") => {
            only(&["items", "minItems", "maxItems"])?;
            let items = Box::new(node.inner("items")?);
            let min = node.count("minItems")?.unwrap_or(0);
            Ok(ValueKind::Array { items, min, max: node.count("maxItems")? })
        }
        Some("object") => {
            only(&["additionalProperties"])?;
            Ok(ValueKind::Table { values: Box::new(node.inner("additionalProperties")?) })
        }
        _ => Err(node.shape("type", types)),
    }
}

/// A part of a schema, and where it is.
struct Node<'a> {
    map: &'a Map<String, Value>,
    at: &'a str,
}

impl<'a> Node<'a> {
    fn of(value: &'a Value, at: &'a str) -> Result<Self, SchemaError> {
        let map = value
            .as_object()
            .ok_or_else(|| SchemaError::Shape { at: at.to_owned(), expected: "an object" })?;
        Ok(Node { map, at })
    }

    fn get(&self, keyword: &str) -> Option<&'a Value> {
        self.map.get(keyword)
    }

    fn shape(&self, keyword: &str, expected: &'static str) -> SchemaError {
        SchemaError::Shape { at: format!("{}.{keyword}", self.at), expected }
    }

    /// A keyword's value, read by `read`.
    fn read<T>(
        &self,
        keyword: &str,
        expected: &'static str,
        read: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Result<Option<T>, SchemaError> {
        let Some(value) = self.get(keyword) else { return Ok(None) };
        read(value).map(Some).ok_or_else(|| self.shape(keyword, expected))
    }

    fn text(&self, keyword: &str) -> Result<Option<&'a str>, SchemaError> {
        self.read(keyword, "a string", Value::as_str)
    }

    fn count(&self, keyword: &str) -> Result<Option<u64>, SchemaError> {
        self.read(keyword, "a whole number of at least 0", Value::as_u64)
    }

    fn flag(&self, keyword: &str) -> Result<bool, SchemaError> {
        Ok(self.read(keyword, "true or false", Value::as_bool)?.unwrap_or(false))
    }

    fn list(&self, keyword: &str) -> Result<Option<&'a Vec<Value>>, SchemaError> {
        self.read(keyword, "a list", Value::as_array)
    }

    /// The schema that a keyword has as its value.
    fn inner(&self, keyword: &str) -> Result<Property, SchemaError> {
        let value = self.get(keyword).ok_or_else(|| self.shape(keyword, "a schema"))?;
        property(value, &format!("{}.{keyword}", self.at))
    }

    /// Refuses every keyword that is neither one of `known` nor an annotation.
    fn only(&self, known: &[&str]) -> Result<(), SchemaError> {
        let fine = |keyword: &str| {
            known.contains(&keyword) || ANNOTATIONS.contains(&keyword) || keyword.starts_with("x-")
        };
        match self.map.keys().find(|keyword| !fine(keyword)) {
            None => Ok(()),
            Some(keyword) => {
                Err(SchemaError::Keyword { at: self.at.to_owned(), keyword: keyword.clone() })
            }
        }
    }
}
