//! `tierce.toml`: reading, lowering and validating it, and the messages with their excerpts.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tierce_spec::manifest::{Manifest, ManifestError};

/// Messages quote the text by offsets.
fn show(error: &ManifestError) {
    assert!(!error.problems().is_empty());
    assert!(error.to_string().contains("tierce.toml"));
}

fuzz_target!(|text: &str| {
    let manifest = match Manifest::parse(text, "tierce.toml") {
        Ok(manifest) => manifest,
        Err(error) => return show(&error),
    };
    let image = manifest.image();
    match manifest.validate(&image) {
        Ok(()) => assert!(image.validate().is_ok()),
        Err(error) => show(&error),
    }
    let _ = image.inputs();
});
