//! The builder options that tierce itself knows.

use crate::error::Problem;
use crate::{Field, Surroundings, Warning};
use serde_json::Value;
use std::collections::BTreeMap;

/// Whether, and how, flytekit is added.
const FLYTEKIT: &str = "flytekit";
/// The user that containers run as.
const USER: &str = "user";

/// The user of containers unless something else is said, as in flytekit.
pub(crate) const DEFAULT_USER: &str = "flytekit";

/// What is wrong with the options that are known.
pub(crate) fn problems(options: &BTreeMap<String, Value>) -> Vec<Problem> {
    let problem = |name: &str, expected: &str| {
        let message = format!("{name}: expected {expected}");
        Problem::new("imagespec/invalid-builder-option", Field::BuilderOptions, message)
    };
    let mut all = vec![];
    if let Some(value) = options.get(FLYTEKIT)
        && !matches!(value, Value::Bool(_) | Value::String(_))
    {
        all.push(problem(FLYTEKIT, "true, false or a requirement, as \"flytekit==1.16.0\""));
    }
    if let Some(value) = options.get(USER)
        && value.as_str().is_none_or(str::is_empty)
    {
        all.push(problem(USER, "a user, as \"root\" or \"1000:1000\""));
    }
    all
}

/// A warning for those that are not known.
pub(crate) fn warnings(options: &BTreeMap<String, Value>) -> Vec<Warning> {
    let unknown: Vec<&str> = options
        .keys()
        .map(String::as_str)
        .filter(|name| ![FLYTEKIT, USER].contains(name))
        .collect();
    match unknown.as_slice() {
        [] => vec![],
        unknown => vec![Warning::new(
            "imagespec/unsupported-builder-option",
            format!("these builder_options are unsupported and ignored: {}", unknown.join(", ")),
        )],
    }
}

/// The requirement of flytekit that is added where a spec has none of its own.
pub(crate) fn flytekit(
    options: &BTreeMap<String, Value>,
    surroundings: &Surroundings,
) -> Option<String> {
    match options.get(FLYTEKIT) {
        Some(Value::Bool(false)) => None,
        Some(Value::String(requirement)) => Some(requirement.clone()),
        Some(Value::Bool(true)) => {
            Some(surroundings.flytekit.clone().unwrap_or_else(|| "flytekit".to_owned()))
        }
        _ => surroundings.flytekit.clone(),
    }
}

/// The user that containers run as.
pub(crate) fn user(options: &BTreeMap<String, Value>) -> &str {
    options.get(USER).and_then(Value::as_str).unwrap_or(DEFAULT_USER)
}
