//! A manifest may also be the root of a workspace.

use tierce_spec::manifest::Manifest;

const SETTINGS: &str = "[workspace]\nregistry = \"ghcr.io/me\"\nimages.default = \"x\"\n";

#[test]
fn settings_of_a_workspace_are_no_part_of_an_image() {
    let image = "name = \"app\"\nbase = \"scratch\"\n";
    let parse = |text: &str| Manifest::parse(text, "tierce.toml").unwrap().image();
    assert_eq!(parse(&format!("{image}{SETTINGS}")), parse(image));
}

#[test]
fn a_workspace_need_not_be_an_image() {
    for (text, code) in [
        (SETTINGS, "spec/no-image"),
        ("workspace = {}\n", "spec/no-image"),
        ("name = \"app\"\n[workspace]\n", "spec/missing-key"),
        ("base = \"scratch\"\nworkspace = 1\n", "spec/wrong-type"),
    ] {
        let error = Manifest::parse(text, "tierce.toml").unwrap_err();
        assert_eq!(error.problems()[0].code(), code, "{error}");
    }
}
