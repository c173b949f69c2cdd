//! `.dockerignore`: the first line of the input is a path, the rest the rules that judge it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tierce_layer::LayerPath;
use tierce_tree::IgnoreRules;

fuzz_target!(|text: &str| {
    let Some((path, rules)) = text.split_once('\n') else { return };
    let rules = match IgnoreRules::parse(rules) {
        Ok(rules) => rules,
        Err(error) => return drop(error.to_string()),
    };
    assert!(!rules.is_ignored(&LayerPath::ROOT));
    if let Ok(path) = LayerPath::new(path) {
        let ignored = rules.is_ignored(&path);
        assert!(!(ignored && rules.is_empty()));
    }
});
