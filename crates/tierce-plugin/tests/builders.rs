//! Builders by name, and the files that they are registered in.

mod support;

use serde_json::json;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use support::Programs;
use tierce_oci::Diagnostic;
use tierce_plugin::{
    Builders, Config, ConfigDocument, Flavors, Origin, Registered, SearchPath, Section, valid_name,
};

fn config(value: serde_json::Value) -> Config {
    value.as_object().unwrap().clone()
}

fn registered(text: &str) -> Vec<Registered> {
    let tables: toml::Table = text.parse().unwrap();
    tables.iter().map(|(name, t)| Registered::read(name, t.as_table().unwrap()).unwrap()).collect()
}

const CONFIGURED: &str = r#"#!/bin/sh
echo '{"result":{"name":"x","version":"1","protocol":[1],"config":{"properties":{
"address":{"type":"string"}},"required":["address"]}}}' | tr -d '\n'; echo
"#;

fn builders(programs: &Programs) -> Builders {
    let search = SearchPath::new(vec![
        programs.directory.path().join("missing"),
        programs.directory.path().to_owned(),
    ]);
    let other = programs.raw("elsewhere", CONFIGURED);
    let hidden = programs.directory.path().join("hidden");
    fs::rename(other, &hidden).unwrap();
    let flavors =
        Flavors::new(search, programs.settings()).with_registered([("theirs".to_owned(), hidden)]);
    Builders::new(flavors).with_registered(
        "config.toml".into(),
        registered(
            "[ci]\nflavor = 'theirs'\naddress = 'a'\n[wrong]\nflavor = 'theirs'\nadress = 'a'\n\
             [lost]\nflavor = 'nowhere'",
        ),
    )
}

#[test]
fn listing_loads_nothing() {
    let programs = Programs::new();
    // It would fail if it were started.
    programs.raw("broken", "#!/nowhere\n");
    fs::write(programs.directory.path().join("tierce-builder-no-program"), "").unwrap();
    programs.raw("Not-A-Name", "#!/bin/sh\n");
    let list = builders(&programs).list();
    let names: Vec<&str> = list.keys().map(String::as_str).collect();
    assert_eq!(names, ["broken", "ci", "lost", "theirs", "wrong"]);
    assert_eq!(list["ci"].origin, Origin::Registered { file: "config.toml".into() });
    assert_eq!(list["ci"].config, config(json!({"address": "a"})));
    assert_eq!(list["broken"].origin, Origin::Flavor);
}

#[tokio::test]
async fn builders_open_by_name_under_their_own_name() {
    let programs = Programs::new();
    programs.program("plain", "built");
    let builders = builders(&programs);
    assert_eq!(builders.open("ci").await.unwrap().name(), "ci");
    assert_eq!(builders.open("plain").await.unwrap().name(), "plain");
}

#[tokio::test]
async fn what_does_not_open_says_why_and_where_it_was_looked_for() {
    let programs = Programs::new();
    programs.program("plain", "built");
    let builders = builders(&programs);
    let cases = [
        ("plan", "engine/unknown-builder", vec!["ci, lost, plain, theirs, wrong"]),
        (
            "plan",
            "engine/unknown-builder",
            vec!["Did you mean plain?", "tierce-builder-plan on PATH", "[builders.plan]"],
        ),
        ("../plain", "engine/unknown-builder", vec!["\"../plain\""]),
        ("lost", "builder/unknown-flavor", vec!["\"nowhere\"", "plain, theirs"]),
        (
            "wrong",
            "builder/invalid-config",
            vec!["adress: there is no such key; did you mean address?"],
        ),
        ("theirs", "builder/invalid-config", vec!["address: the key is required"]),
    ];
    for (name, code, parts) in cases {
        let error = builders.open(name).await.err().expect(name);
        let source = std::error::Error::source(&error).map(ToString::to_string);
        let text =
            format!("{error} {} {}", source.unwrap_or_default(), error.hint().unwrap_or_default());
        assert_eq!(error.code(), code, "{text}");
        parts.iter().for_each(|part| assert!(text.contains(part), "{name}: {part}: {text}"));
    }
}

#[test]
fn entries_are_read_with_their_limits() {
    let all = registered(
        "[a]\nflavor = 'f'\nn = 1\nwhen = 2024-01-02\nlist = [2024-01-02]\n\
         limits = {idle = 5, build = 60}",
    );
    assert_eq!(
        all[0].config,
        config(json!({"n": 1, "when": "2024-01-02", "list": ["2024-01-02"]}))
    );
    let limits = all[0].limits.unwrap();
    assert_eq!((limits.idle.as_secs(), limits.build.unwrap().as_secs()), (5, 60));
    for text in ["", "flavor = 1", "flavor = 'f'\nlimits = {idel = 5}"] {
        let error = Registered::read("a", &text.parse().unwrap()).unwrap_err();
        assert_eq!(error.code(), "builder/invalid-entry");
    }
}

#[test]
fn names_are_portable() {
    for name in ["a", "docker", "my-builder_2.0"] {
        assert!(valid_name(name), "{name}");
    }
    for name in ["", "A", "-a", "a/b", "..", "ä", "a b", &"a".repeat(65)] {
        assert!(!valid_name(name), "{name}");
    }
}

const BEFORE: &str = "\
# my settings
registry = \"ghcr.io/me\" # mine

[builders.ci] # the one in CI
flavor = \"buildkit\"
# where it is
address = \"tcp://a:1\" # a
old = 1
limits = { idle = 5 }

[debian]
mirror = \"https://deb.example\"
";

const AFTER: &str = "\
# my settings
registry = \"ghcr.io/me\" # mine
builder = \"ci\"

[builders.ci] # the one in CI
flavor = \"buildkit\"
# where it is
address = \"tcp://b:1\" # a
limits = { idle = 5 }
tags = [\"x\"]
labels = { a = \"b\" }

[builders.new]
flavor = \"docker\"
\"odd key\" = true

[debian]
mirror = \"https://deb.example\"

[flavors.mine]
program = \"/opt/mine\"
";

#[test]
fn editing_leaves_everything_else_as_it_was() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("config.toml");
    fs::write(&path, BEFORE).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    let mut document = ConfigDocument::open(&path, Section::Top).unwrap();
    let ci = json!({"address": "tcp://b:1", "tags": ["x"], "labels": {"a": "b"}});
    document.set_builder("ci", "buildkit", &config(ci)).unwrap();
    document.set_builder("new", "docker", &config(json!({"odd key": true}))).unwrap();
    document.set_flavor("mine", "/opt/mine".as_ref()).unwrap();
    document.set_default("ci").unwrap();
    document.save().unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), AFTER);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o640);
    let mut document = ConfigDocument::open(&path, Section::Top).unwrap();
    assert!(
        document.has_builder("new") && document.has_flavor("mine") && document.is_default("ci")
    );
    document.remove_builder("ci").unwrap();
    document.remove_builder("new").unwrap();
    document.remove_flavor("mine").unwrap();
    document.save().unwrap();
    let text = fs::read_to_string(&path).unwrap();
    assert!(!text.contains("builder") && !text.contains("flavor"), "{text}");
    assert!(text.starts_with("# my settings\nregistry = \"ghcr.io/me\" # mine\n"), "{text}");
}

#[test]
fn projects_have_theirs_in_the_workspace_section() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("tierce.toml");
    fs::write(&path, "name = \"report\"\nbase = \"scratch\"\n").unwrap();
    let mut document = ConfigDocument::open(&path, Section::Workspace).unwrap();
    document.set_builder("ci", "docker", &config(json!({"n": 1}))).unwrap();
    document.set_default("ci").unwrap();
    document.save().unwrap();
    let text = fs::read_to_string(&path).unwrap();
    let expected = "name = \"report\"\nbase = \"scratch\"\n\n[workspace]\nbuilder = \"ci\"\n\n\
                    [workspace.builders.ci]\nflavor = \"docker\"\nn = 1\n";
    assert_eq!(text, expected);
}

#[test]
fn files_are_made_and_links_are_followed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("new/config.toml");
    let mut document = ConfigDocument::open(&path, Section::Top).unwrap();
    document.set_default("x").unwrap();
    document.save().unwrap();
    let link = directory.path().join("link.toml");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    let mut document = ConfigDocument::open(&link, Section::Top).unwrap();
    document.set_default("y").unwrap();
    document.save().unwrap();
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(fs::read_to_string(&path).unwrap(), "builder = \"y\"\n");
}

#[test]
fn files_that_are_something_else_are_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("config.toml");
    for (text, code) in [("= nonsense", "config/invalid"), ("builders = 1", "config/invalid")] {
        fs::write(&path, text).unwrap();
        let edited = ConfigDocument::open(&path, Section::Top)
            .and_then(|mut document| document.set_builder("x", "y", &Config::new()));
        assert_eq!(edited.unwrap_err().code(), code);
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
    }
}
