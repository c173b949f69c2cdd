//! Configuration schemas: what they accept, what they refuse, and that refusals name the key.

use proptest::prelude::*;
use serde_json::{Map, Value, json};
use tierce_plugin::{ConfigProblem, ConfigSchema};

fn schema() -> ConfigSchema {
    ConfigSchema::parse(&json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "a builder",
        "type": "object",
        "properties": {
            "address": {"type": "string", "minLength": 1, "description": "where it listens"},
            "jobs": {"type": "integer", "minimum": 1, "maximum": 8, "default": 2},
            "ratio": {"type": "number", "minimum": 0},
            "pull": {"type": "boolean", "default": false},
            "level": {"type": "string", "enum": ["low", "high"]},
            "hosts": {"type": "array", "items": {"type": "string"}, "maxItems": 2},
            "labels": {"type": "object", "additionalProperties": {"type": "string"}},
            "token": {"type": "string", "writeOnly": true, "maxLength": 5, "x-shown": "never"},
        },
        "required": ["address"],
        "additionalProperties": false,
    }))
    .unwrap()
}

fn object(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

#[test]
fn valid_configurations_get_their_defaults() {
    let given =
        json!({"address": "a", "jobs": 8, "ratio": 1, "hosts": ["x"], "labels": {"a": "b"}});
    let complete = schema().check(&object(given)).unwrap();
    let expected = json!({
        "address": "a", "jobs": 8, "ratio": 1, "hosts": ["x"], "labels": {"a": "b"}, "pull": false,
    });
    assert_eq!(complete, object(expected));
}

#[test]
fn everything_wrong_is_said_at_once_and_names_its_key() {
    let cases = [
        (json!({}), vec!["address: the key is required"]),
        (
            json!({"addres": "a", "jobs": 9}),
            vec![
                "addres: there is no such key; did you mean address?",
                "jobs: 9 is not an integer from 1 to 8",
                "address: the key is required",
            ],
        ),
        (json!({"address": "a", "zzz": 1}), vec!["zzz: there is no such key"]),
        (json!({"address": ""}), vec!["address: \"\" is not a string of at least 1 characters"]),
        (json!({"address": 1}), vec!["address: 1 is not a string of at least 1 characters"]),
        (json!({"address": "a", "jobs": 1.5}), vec!["jobs: 1.5 is not an integer from 1 to 8"]),
        (json!({"address": "a", "ratio": -1}), vec!["ratio: -1 is not a number of at least 0"]),
        (json!({"address": "a", "pull": "yes"}), vec!["pull: \"yes\" is not true or false"]),
        (
            json!({"address": "a", "level": "mid"}),
            vec!["level: \"mid\" is not one of \"low\", \"high\""],
        ),
        (
            json!({"address": "a", "hosts": ["x", 1, 2]}),
            vec![
                "hosts[1]: 1 is not a string",
                "hosts[2]: 2 is not a string",
                "hosts: a list of 3 is not a list of at most 2 items, each a string",
            ],
        ),
        (json!({"address": "a", "labels": {"x": 1}}), vec!["labels.x: 1 is not a string"]),
        // What may be confidential is not shown.
        (
            json!({"address": "a", "token": "s3cr3t"}),
            vec!["token: the value is not a string of at most 5 characters"],
        ),
    ];
    for (config, expected) in cases {
        let text = schema().check(&object(config.clone())).unwrap_err().to_string();
        assert_eq!(text.lines().collect::<Vec<_>>().join("\n"), expected.join("\n"), "{config}");
    }
}

#[test]
fn texts_of_a_command_line_become_what_the_key_wants() {
    let read = |key: &str, texts: &[&str]| {
        let texts: Vec<String> = texts.iter().map(ToString::to_string).collect();
        schema().read(key, &texts)
    };
    let good: [(&str, &[&str], Value); 7] = [
        ("address", &["8"], json!("8")),
        ("jobs", &["8"], json!(8)),
        ("ratio", &["0.5"], json!(0.5)),
        ("pull", &["true"], json!(true)),
        ("hosts", &["a", "b"], json!(["a", "b"])),
        ("labels", &["a=b", "c=d=e"], json!({"a": "b", "c": "d=e"})),
        ("level", &["low"], json!("low")),
    ];
    for (key, texts, value) in good {
        assert_eq!(read(key, texts).unwrap(), value);
    }
    let bad: [(&str, &[&str], &str); 7] = [
        ("jobs", &["many"], "jobs: \"many\" is not an integer from 1 to 8"),
        ("jobs", &["9"], "jobs: 9 is not an integer from 1 to 8"),
        ("jobs", &["1", "2"], "jobs: the key takes one value, and was given 2"),
        ("pull", &["yes"], "pull: \"yes\" is not true or false"),
        ("labels", &["a"], "labels: \"a\" is not NAME=VALUE"),
        ("adress", &["a"], "adress: there is no such key; did you mean address?"),
        ("token", &["s3cr3t"], "token: the value is not a string of at most 5 characters"),
    ];
    for (key, texts, message) in bad {
        let problem = read(key, texts).unwrap_err();
        assert_eq!((problem.key(), problem.to_string().as_str()), (key, message));
    }
}

#[test]
fn schemas_outside_of_the_subset_are_refused() {
    let with = |property: Value| json!({"properties": {"a": property}});
    let cases = [
        (json!([]), "the schema: expected an object"),
        (json!({"type": "array"}), "the schema.type: expected \"object\""),
        (json!({"oneOf": []}), "the schema: the keyword \"oneOf\" is not supported"),
        (json!({"additionalProperties": true}), "the schema.additionalProperties: expected false"),
        (json!({"required": ["a"]}), "required: there is no property \"a\""),
        (with(json!({"type": "string", "pattern": "a"})), "the keyword \"pattern\" is not"),
        (with(json!({"type": "string", "minimum": 1})), "the keyword \"minimum\" is not"),
        (with(json!({})), "properties.a.type: expected one of"),
        (with(json!({"type": ["string"]})), "properties.a.type: expected a string"),
        (with(json!({"type": "array"})), "properties.a.items: expected a schema"),
        (with(json!({"type": "integer", "default": "x"})), "properties.a: the default value"),
        (with(json!({"type": "string", "minLength": -1})), "expected a whole number"),
        (
            json!({"properties": {"flavor": {"type": "string"}}}),
            "properties.flavor: every registered builder has a key of that name",
        ),
    ];
    for (schema, expected) in cases {
        let error = ConfigSchema::parse(&schema).unwrap_err().to_string();
        assert!(error.contains(expected), "{schema}: {error}");
    }
}

#[test]
fn write_only_values_are_not_shown() {
    let shown = schema().redact(&object(json!({"address": "a", "token": "s3cr"})));
    assert_eq!(shown, object(json!({"address": "a", "token": "***"})));
}

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[a-z]{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        let keyword = prop_oneof![
            "[a-z]{1,4}",
            Just("type".to_owned()),
            Just("properties".to_owned()),
            Just("items".to_owned()),
            Just("default".to_owned()),
            Just("enum".to_owned()),
        ];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((keyword, inner), 0..4)
                .prop_map(|entries| Value::Object(entries.into_iter().collect())),
        ]
    })
}

proptest! {
    /// Whatever a builder gives as its schema, and a user as a configuration: an answer, no panic.
    #[test]
    fn anything_is_answered(schema in json_value(), config in json_value()) {
        let schema = ConfigSchema::parse(&schema).unwrap_or_else(|_| self::schema());
        if let Value::Object(config) = config {
            let _ = schema.check(&config);
        }
        prop_assert_eq!(&ConfigSchema::parse(&schema.to_json()).unwrap().to_json(), &schema.to_json());
    }

    /// What the command line reads passes the check.
    #[test]
    fn what_is_read_is_valid(key in "jobs|ratio|pull|level|address|token", text in "[a-z0-9.-]{0,6}") {
        if let Ok(value) = schema().read(&key, std::slice::from_ref(&text)) {
            let mut config = object(json!({"address": "a"}));
            config.insert(key, value);
            prop_assert!(schema().check(&config).is_ok());
        }
    }
}

#[test]
fn problems_name_their_keys() {
    let errors = schema().check(&object(json!({"jobs": 0}))).unwrap_err();
    let keys: Vec<&str> = errors.0.iter().map(ConfigProblem::key).collect();
    assert_eq!(keys, ["jobs", "address"]);
}
