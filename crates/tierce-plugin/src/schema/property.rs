//! One key of a configuration.

use super::problem::ConfigProblem;
use serde::Serialize;
use serde_json::{Map, Value, json};

/// One key of a configuration.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Property {
    /// What the key is for.
    pub description: Option<String>,
    /// What values are like.
    pub kind: ValueKind,
    /// The values that may be; empty for any of the kind.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<Value>,
    /// The value where none is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default: Option<Value>,
    /// Whether one has to be given.
    pub required: bool,
    /// Whether values are never shown.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub write_only: bool,
}

/// The type of a value and its bounds.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum ValueKind {
    /// Text; lengths in characters.
    String {
        /// The least length.
        min: u64,
        /// The greatest length.
        max: Option<u64>,
    },
    /// A whole number.
    Integer {
        /// The least value.
        min: Option<i64>,
        /// The greatest value.
        max: Option<i64>,
    },
    /// Any number.
    Number {
        /// The least value.
        min: Option<f64>,
        /// The greatest value.
        max: Option<f64>,
    },
    /// `true` or `false`.
    Boolean,
    /// A list.
    Array {
        /// What its items are like.
        items: Box<Property>,
        /// The least number of items.
        min: u64,
        /// The greatest number of items.
        max: Option<u64>,
    },
    /// A table with keys of the user's choice.
    Table {
        /// What its values are like.
        values: Box<Property>,
    },
}

impl ValueKind {
    /// The type's name in JSON Schema.
    pub fn name(&self) -> &'static str {
        match self {
            ValueKind::String { .. } => "string",
            ValueKind::Integer { .. } => "integer",
            ValueKind::Number { .. } => "number",
            ValueKind::Boolean => "boolean",
            ValueKind::Array { .. } => "array",
            ValueKind::Table { .. } => "object",
        }
    }
}

impl Property {
    /// What belongs here, for messages: `an integer from 1 to 8`, `one of "a", "b"`.
    pub fn expected(&self) -> String {
        if !self.values.is_empty() {
            let values: Vec<String> = self.values.iter().map(Value::to_string).collect();
            return match values.as_slice() {
                [one] => one.clone(),
                several => format!("one of {}", several.join(", ")),
            };
        }
        match &self.kind {
            ValueKind::String { min: 0, max: None } => "a string".into(),
            ValueKind::String { min, max } => {
                format!("a string{} characters", bounds(Some(*min).filter(|m| *m > 0), *max))
            }
            ValueKind::Integer { min, max } => format!("an integer{}", bounds(*min, *max)),
            ValueKind::Number { min, max } => format!("a number{}", bounds(*min, *max)),
            ValueKind::Boolean => "true or false".into(),
            ValueKind::Array { items, min, max } => {
                let of = items.expected();
                match (min, max) {
                    (0, None) => format!("a list, each item {of}"),
                    (min, max) => {
                        let least = Some(*min).filter(|min| *min > 0);
                        format!("a list{} items, each {of}", bounds(least, *max))
                    }
                }
            }
            ValueKind::Table { values } => format!("a table, each value {}", values.expected()),
        }
    }

    pub(super) fn check(&self, key: &str, value: &Value, problems: &mut Vec<ConfigProblem>) {
        let within = match (&self.kind, value) {
            (ValueKind::Array { items, min, max }, Value::Array(list)) => {
                for (n, item) in list.iter().enumerate() {
                    items.check(&format!("{key}[{n}]"), item, problems);
                }
                in_bounds(list.len() as u64, Some(*min), *max)
            }
            (ValueKind::Table { values }, Value::Object(table)) => {
                for (name, item) in table {
                    values.check(&format!("{key}.{name}"), item, problems);
                }
                true
            }
            (ValueKind::String { min, max }, Value::String(text)) => {
                in_bounds(text.chars().count() as u64, Some(*min), *max)
            }
            (ValueKind::Integer { min, max }, value) => {
                value.as_i64().is_some_and(|n| in_bounds(n, *min, *max))
            }
            (ValueKind::Number { min, max }, value) => {
                value.as_f64().is_some_and(|n| in_bounds(n, *min, *max))
            }
            (ValueKind::Boolean, Value::Bool(_)) => true,
            _ => false,
        };
        if !within || !(self.values.is_empty() || self.values.contains(value)) {
            problems.push(ConfigProblem::Value {
                key: key.to_owned(),
                found: self.show(value),
                expected: self.expected(),
            });
        }
    }

    fn show(&self, value: &Value) -> String {
        if self.write_only {
            return "the value".into();
        }
        match value {
            Value::Array(items) => format!("a list of {}", items.len()),
            Value::Object(_) => "a table".into(),
            other => other.to_string(),
        }
    }

    pub(super) fn read(&self, key: &str, texts: &[String]) -> Result<Value, ConfigProblem> {
        match &self.kind {
            ValueKind::Array { items, .. } => {
                texts.iter().map(|t| items.read(key, std::slice::from_ref(t))).collect()
            }
            ValueKind::Table { values } => {
                let mut table = Map::new();
                for text in texts {
                    let (name, value) =
                        text.split_once('=').ok_or_else(|| self.wrong(key, text, "NAME=VALUE"))?;
                    let value = values.read(&format!("{key}.{name}"), &[value.to_owned()])?;
                    table.insert(name.to_owned(), value);
                }
                Ok(Value::Object(table))
            }
            _ => match texts {
                [text] => self.read_one(key, text),
                several => Err(ConfigProblem::Several { key: key.into(), count: several.len() }),
            },
        }
    }

    fn read_one(&self, key: &str, text: &str) -> Result<Value, ConfigProblem> {
        let value = match &self.kind {
            ValueKind::Integer { .. } => text.parse::<i64>().ok().map(Value::from),
            ValueKind::Number { .. } => text.parse::<f64>().ok().map(Value::from),
            ValueKind::Boolean => text.parse::<bool>().ok().map(Value::from),
            _ => Some(Value::from(text)),
        };
        let value = value.ok_or_else(|| self.wrong(key, text, &self.expected()))?;
        let mut problems = vec![];
        self.check(key, &value, &mut problems);
        problems.into_iter().next().map_or(Ok(value), Err)
    }

    fn wrong(&self, key: &str, text: &str, expected: &str) -> ConfigProblem {
        let found = self.show(&Value::from(text));
        ConfigProblem::Value { key: key.into(), found, expected: expected.into() }
    }

    pub(super) fn to_json(&self) -> Value {
        let mut json = Map::new();
        json.insert("type".into(), self.kind.name().into());
        let mut set = |keyword: &str, value: Option<Value>| {
            if let Some(value) = value {
                json.insert(keyword.to_owned(), value);
            }
        };
        set("description", self.description.clone().map(Value::from));
        set("enum", (!self.values.is_empty()).then(|| json!(self.values)));
        set("default", self.default.clone());
        set("writeOnly", self.write_only.then_some(Value::Bool(true)));
        let least = |min: u64| (min > 0).then(|| Value::from(min));
        match &self.kind {
            ValueKind::String { min, max } => {
                set("minLength", least(*min));
                set("maxLength", max.map(Value::from));
            }
            ValueKind::Integer { min, max } => {
                set("minimum", min.map(Value::from));
                set("maximum", max.map(Value::from));
            }
            ValueKind::Number { min, max } => {
                set("minimum", min.map(Value::from));
                set("maximum", max.map(Value::from));
            }
            ValueKind::Boolean => {}
            ValueKind::Array { items, min, max } => {
                set("items", Some(items.to_json()));
                set("minItems", least(*min));
                set("maxItems", max.map(Value::from));
            }
            ValueKind::Table { values } => set("additionalProperties", Some(values.to_json())),
        }
        Value::Object(json)
    }
}

fn in_bounds<T: PartialOrd>(value: T, min: Option<T>, max: Option<T>) -> bool {
    min.is_none_or(|min| value >= min) && max.is_none_or(|max| value <= max)
}

fn bounds<T: std::fmt::Display>(min: Option<T>, max: Option<T>) -> String {
    match (min, max) {
        (None, None) => String::new(),
        (Some(min), None) => format!(" of at least {min}"),
        (None, Some(max)) => format!(" of at most {max}"),
        (Some(min), Some(max)) => format!(" from {min} to {max}"),
    }
}
