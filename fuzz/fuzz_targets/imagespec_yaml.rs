//! `imageSpec.yaml`: reading and lowering it, and the messages with their places.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tierce_imagespec::{ImageSpec, Surroundings};

fuzz_target!(|text: &str| {
    let spec = match ImageSpec::from_yaml(text, "imageSpec.yaml") {
        Ok(spec) => spec,
        Err(error) => {
            assert!(!error.problems().is_empty());
            return assert!(error.to_string().contains("imageSpec.yaml:"));
        }
    };
    // A spec is its fields: the same ones make the same spec, of the same name.
    let again = ImageSpec::new(spec.fields().clone()).expect("what was read is valid");
    assert_eq!(again.fields(), spec.fields());
    assert_eq!(again.id(), spec.id());
    match spec.lower(&Surroundings::default()) {
        Ok(lowered) => drop(lowered.image.validate()),
        Err(error) => drop(error.to_string()),
    }
});
