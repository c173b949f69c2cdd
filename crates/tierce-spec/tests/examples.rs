//! The manifests of `examples/` are valid.

use std::path::Path;
use tierce_spec::manifest::Manifest;

#[test]
fn examples_are_valid() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let file = entry.unwrap().path().join("tierce.toml");
        if !file.exists() {
            continue;
        }
        let text = std::fs::read_to_string(&file).unwrap();
        let manifest = Manifest::parse(&text, &file.display().to_string()).unwrap();
        manifest.validate(&manifest.image()).unwrap();
        seen += 1;
    }
    assert!(seen > 0, "there are no examples");
}
