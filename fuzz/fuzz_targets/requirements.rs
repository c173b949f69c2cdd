//! Requirements files, and what they include.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::convert::Infallible;
use std::path::Path;
use tierce_spec::requirements::{gather, parse};

fuzz_target!(|text: &str| {
    let lines = parse(text);
    assert!(lines.is_sorted_by(|a, b| a.number < b.number));
    assert!(lines.last().is_none_or(|line| line.number <= text.lines().count()));
    let root = Path::new("requirements.txt");
    let read = |path: &Path| -> Result<Vec<u8>, Infallible> {
        let content = if path == root { text } else { "six==1.17.0 # included" };
        Ok(content.into())
    };
    if let Err(error) = gather(root, read) {
        assert!(error.to_string().contains("requirements"));
    }
});
