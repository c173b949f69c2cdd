//! What an external builder writes to its standard output: the first line is a message, the
//! second a configuration for the schema that the message brings along.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use tierce_plugin::protocol::{BuildAnswer, CheckAnswer, Described, Event, ReportedError};
use tierce_plugin::{ConfigSchema, Registered};

fn read<T: DeserializeOwned>(value: &Value) -> Option<T> {
    serde_json::from_value(value.clone()).map_err(|error| error.to_string()).ok()
}

fn check(schema: &Value, config: Option<&str>) {
    let schema = match ConfigSchema::parse(schema) {
        Ok(schema) => schema,
        Err(error) => return drop(error.to_string()),
    };
    let again = ConfigSchema::parse(&schema.to_json()).expect("what is written can be read");
    assert_eq!(again, schema);
    for (key, property) in schema.properties() {
        let _ = property.expected();
        let value = schema.read(key, &[config.unwrap_or_default().to_owned()]);
        drop(value.map_err(|problem| problem.to_string()));
    }
    let Some(config) = config.and_then(|text| serde_json::from_str::<Map<_, _>>(text).ok()) else {
        return;
    };
    match schema.check(&config) {
        // Defaults are as valid as what the user writes.
        Ok(complete) => assert_eq!(schema.check(&complete).expect("still valid"), complete),
        Err(errors) => drop(errors.to_string()),
    }
    drop(schema.redact(&config));
}

fuzz_target!(|text: &str| {
    let mut lines = text.lines();
    let (line, config) = (lines.next().unwrap_or_default(), lines.next());
    if let Some(table) = config.and_then(|text| text.parse().ok()) {
        drop(Registered::read("fuzz", &table).map_err(|error| error.to_string()));
    }
    let Ok(message) = serde_json::from_str::<Map<String, Value>>(line) else { return };
    drop(read::<Event>(&Value::Object(message.clone())));
    if let Some(error) = message.get("error") {
        drop(read::<ReportedError>(error));
    }
    let Some(result) = message.get("result") else { return };
    drop(read::<CheckAnswer>(result));
    drop(read::<BuildAnswer>(result));
    if let Some(Described { config: Some(schema), .. }) = read(result) {
        check(&schema, config);
    }
});
