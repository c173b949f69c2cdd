//! `tierce builder`: choosing, configuring and testing builders.

mod support;

use serde_json::json;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use support::Tierce;
use tempfile::TempDir;

/// A builder that notes what it was asked, and says that it built.
const PROGRAM: &str = r#"#!/bin/sh
IFS= read -r request
about() { expr "$request" : ".*\"$1\":\"\([^\"]*\)\""; }
case "$request" in
  *'"method":"describe"'*)
    echo '{"result":{"name":"noting","version":"1.2.3","protocol":[1],"description":"notes",
      "capabilities":{"exports":["local"]},"config":{"type":"object","properties":{
      "level":{"type":"integer","minimum":1,"maximum":9,"description":"how much"},
      "fast":{"type":"boolean","default":false},
      "tags":{"type":"array","items":{"type":"string"}},
      "token":{"type":"string","writeOnly":true}}}}}' | tr -d '\n'; echo ;;
  *)
    printf '%s\n' "$request" >> NOTES
    echo "noted" >&2
    printf '{"result":{"uri":"%s","key":"%s"}}\n' "$(about uri)" "$(about key)" ;;
esac
"#;

/// A user's home with a program on PATH.
struct Home {
    directory: TempDir,
}

impl Home {
    fn new() -> Self {
        let home = Home { directory: tempfile::tempdir().unwrap() };
        fs::create_dir_all(home.path("bin")).unwrap();
        fs::create_dir_all(home.path("project")).unwrap();
        fs::write(
            home.path("project/tierce.toml"),
            "name = \"report\"\nbase = \"scratch\"\nenv = { A = \"1\" }\n",
        )
        .unwrap();
        home.program("bin/tierce-builder-noting");
        home
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn program(&self, name: &str) {
        let text = PROGRAM.replace("NOTES", &self.path("notes").display().to_string());
        fs::write(self.path(name), text).unwrap();
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn tierce<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Tierce {
        let path = format!("{}:/usr/bin:/bin", self.path("bin").display());
        Tierce::new(args)
            .env("HOME", self.directory.path())
            .env("PATH", path)
            .env("TIERCE_CONFIG", self.path("config.toml"))
            .env("TIERCE_STORE", self.path("store"))
            .current_dir(self.path("project"))
    }

    fn config(&self) -> String {
        fs::read_to_string(self.path("config.toml")).unwrap_or_default()
    }
}

#[test]
fn programs_on_path_are_builders() {
    let home = Home::new();
    let list = home.tierce(["builder", "list", "--format", "json"]).ok().json();
    let names: Vec<&str> =
        list.as_array().unwrap().iter().filter_map(|entry| entry["name"].as_str()).collect();
    assert!(["native", "noop", "noting"].iter().all(|name| names.contains(name)), "{names:?}");
    home.tierce(["build", "--builder", "noting"]).ok();
    let notes = fs::read_to_string(home.path("notes")).unwrap();
    let request: serde_json::Value = serde_json::from_str(notes.lines().next().unwrap()).unwrap();
    assert_eq!(request["config"], json!({"fast": false}));
    let unknown = home.tierce(["build", "--builder", "notin"]).fails(2, "engine/unknown-builder");
    for part in ["native", "Did you mean noting?", "programs called tierce-builder-NAME on PATH"] {
        assert!(unknown.stderr.contains(part), "{part}: {unknown}");
    }
}

#[test]
fn builders_are_registered_checked_changed_and_removed() {
    let home = Home::new();
    fs::write(home.path("config.toml"), "# mine\nregistry = \"ghcr.io/me\"\n").unwrap();
    let register = ["builder", "register", "ci", "--flavor", "noting"];
    let wrong = register.into_iter().chain(["--levle", "3", "--tags", "a"]);
    let refused = home.tierce(wrong).fails(2, "builder/invalid-config");
    assert!(refused.stderr.contains("levle: there is no such key; did you mean level?"));
    let refused = home
        .tierce(register.into_iter().chain(["--level=12", "--fast=maybe"]))
        .fails(2, "builder/invalid-config");
    for part in ["level: 12 is not an integer from 1 to 9", "fast: \"maybe\" is not true or false"]
    {
        assert!(refused.stderr.contains(part), "{refused}");
    }
    assert!(!home.config().contains("builders"));
    let good = ["--level", "3", "--tags", "a", "--tags=b", "--fast", "--token", "s3cr3t"];
    home.tierce(register.into_iter().chain(good)).ok();
    let expected = "# mine\nregistry = \"ghcr.io/me\"\n\n[builders.ci]\nflavor = \"noting\"\n\
                    level = 3\ntags = [\"a\", \"b\"]\nfast = true\ntoken = \"s3cr3t\"\n";
    assert_eq!(home.config(), expected);
    let again = home.tierce(register).fails(2, "builder/registered");
    assert!(again.stderr.contains("config.toml"));
    let described = home.tierce(["builder", "describe", "ci"]).ok();
    assert!(described.stdout.contains("level = 3") && !described.stdout.contains("s3cr3t"));

    home.tierce(["builder", "update", "ci", "--unset", "tags", "--level", "4"]).ok();
    assert!(home.config().contains("level = 4") && !home.config().contains("tags"));
    home.tierce(["builder", "update", "ci", "--level", "40"]).fails(2, "builder/invalid-config");
    home.tierce(["builder", "update", "other", "--level", "4"]).fails(2, "builder/not-registered");

    home.tierce(["builder", "set-default", "ci"]).ok();
    home.tierce(["builder", "set-default", "cy"]).fails(2, "engine/unknown-builder");
    home.tierce(["build"]).ok();
    assert!(fs::read_to_string(home.path("notes")).unwrap().contains("\"level\":4"));
    home.tierce(["builder", "delete", "ci"]).ok();
    assert_eq!(home.config().trim_end(), "# mine\nregistry = \"ghcr.io/me\"");
}

#[test]
fn projects_name_builders_and_define_none() {
    let home = Home::new();
    let text = || fs::read_to_string(home.path("project/tierce.toml")).unwrap();
    let before = text();
    let register = ["builder", "register", "ci"];
    for args in [
        ["--project", "--flavor", "noting", "--level", "2"],
        ["--flavor", "noting", "--level", "2", "--project"],
    ] {
        let refused = home.tierce(register.into_iter().chain(args)).fails(2, "config/user-only");
        assert!(refused.hint().unwrap().contains("set-default"), "{refused}");
    }
    assert_eq!((text(), home.config()), (before, String::new()));
    home.tierce(["builder", "register", "ci", "--flavor", "noting", "--level", "2"]).ok();
    home.tierce(["builder", "set-default", "ci", "--project"]).ok();
    assert!(text().contains("[workspace]\nbuilder = \"ci\""), "{}", text());
    home.tierce(["build"]).ok();
    assert!(fs::read_to_string(home.path("notes")).unwrap().contains("\"level\":2"));
}

/// What a project that was downloaded could run on the host, and does not: a program of its own,
/// as the runtime of an engine, as the engine, as a flavor.
#[test]
fn projects_run_nothing_of_theirs_on_the_host() {
    let home = Home::new();
    let mark = home.path("mark");
    let evil = home.path("project/evil.sh");
    fs::write(&evil, format!("#!/bin/sh\necho ran > {}\n", mark.display())).unwrap();
    fs::set_permissions(&evil, fs::Permissions::from_mode(0o755)).unwrap();
    // In place of every engine there may be: runs what it is told to by any argument.
    for engine in ["podman", "docker", "buildctl"] {
        let program = home.path("bin").join(engine);
        fs::write(
            &program,
            "#!/bin/sh\nfor a; do case $a in *evil.sh) sh \"${a#*=}\";; esac; done\nexit 1\n",
        )
        .unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let evil = evil.display();
    let extra = format!("extra-args = [\"--runtime\", \"{evil}\"]");
    for (text, key) in [
        (format!("builder = \"x\"\nbuilders.x = {{ flavor = \"podman\", {extra} }}"), "builders.x"),
        (format!("builders.native = {{ flavor = \"podman\", {extra} }}"), "builders.native"),
        ("builder = \"x\"\nbuilders.x = { flavor = \"noting\" }".to_owned(), "builders.x"),
        (format!("builder = \"podman\"\npodman.{extra}"), "podman.extra-args"),
        (format!("builder = \"docker\"\ndocker.{extra}"), "docker.extra-args"),
        (format!("builder = \"x\"\nflavors.x.program = \"{evil}\""), "flavors"),
        ("builder = \"docker\"\ndocker.host = \"tcp://evil.example:1\"".to_owned(), "docker.host"),
        (
            "builder = \"buildkit\"\nbuildkit.address = \"tcp://evil.example:1\"".to_owned(),
            "buildkit.address",
        ),
    ] {
        let image = "name = \"report\"\nbase = \"scratch\"\n[workspace]\n";
        fs::write(home.path("project/tierce.toml"), format!("{image}{text}\n")).unwrap();
        for args in [&["build"][..], &["build", "--dry-run"], &["builder", "list"], &["key"]] {
            let refused = home.tierce(args.iter().copied()).fails(2, "config/user-only");
            assert!(refused.stderr.contains(key), "{key}: {refused}");
        }
        assert!(!mark.exists(), "{text}");
    }
    assert!(!home.path("notes").exists());
    // The file could have done it: it is no vacuous test.
    std::process::Command::new("sh").arg(home.path("project/evil.sh")).status().unwrap();
    assert!(mark.exists());
}

/// The names that the configuration keeps for builders are those of all that are built in.
#[test]
fn built_in_names_are_reserved() {
    let home = Home::new();
    let flavors = home.tierce(["builder", "flavor", "list", "--format", "json"]).ok().json();
    let built_in = |entry: &serde_json::Value| entry["from"] == "built-in";
    let names: Vec<&String> =
        flavors.as_object().unwrap().iter().filter(|(_, e)| built_in(e)).map(|(n, _)| n).collect();
    assert!(names.len() >= 5, "{names:?}");
    for name in names {
        let text = format!("[builders.{name}]\nflavor = \"noting\"\n");
        fs::write(home.path("config.toml"), text).unwrap();
        home.tierce(["build"]).fails(2, "config/reserved-name");
    }
    fs::write(home.path("config.toml"), "[builders.a]\nlevel = 1\n").unwrap();
    home.tierce(["key"]).fails(2, "config/invalid");
}

#[test]
fn what_is_configured_is_not_shown_to_everybody() {
    let home = Home::new();
    let text = "[builders.ci]\nflavor = \"noting\"\nlevel = 3\ntoken = \"s3cr3t\"\n";
    fs::write(home.path("config.toml"), text).unwrap();
    for args in [
        &["builder", "list"][..],
        &["builder", "list", "--format", "json"],
        &["builder", "describe", "ci"],
        &["builder", "describe", "ci", "--format", "json"],
        &["config", "show"],
        &["config", "show", "--format", "json"],
        &["config", "get", "builders.ci"],
    ] {
        let shown = home
            .tierce(args.iter().copied())
            .env("FLYTE_DOCKER_BUILD_EXTRA_ARGS", "--build-arg=A=s3cr3t --label s3cr3t")
            .ok();
        assert!(!format!("{shown}").contains("s3cr3t"), "{args:?}: {shown}");
        assert!(args[0] == "config" || shown.stdout.contains("ci"), "{args:?}: {shown}");
    }
    let described = home.tierce(["builder", "describe", "ci"]).ok();
    assert!(described.stdout.contains("level = 3"), "{described}");
}

#[test]
fn builders_without_a_description_are_shown_by_name() {
    let home = Home::new();
    let program = home.path("bin/tierce-builder-noting");
    let text = fs::read_to_string(&program).unwrap().replace("\"description\":\"notes\",", "");
    fs::write(&program, text).unwrap();
    for args in
        [["builder", "describe", "noting"].as_slice(), &["builder", "flavor", "describe", "noting"]]
    {
        let described = home.tierce(args.iter().copied()).ok();
        assert_eq!(described.stdout.lines().next(), Some("noting"), "{described}");
    }
}

#[test]
fn names_and_flavors_have_to_make_sense() {
    let home = Home::new();
    let register = |name, flavor| home.tierce(["builder", "register", name, "--flavor", flavor]);
    register("native", "noting").fails(2, "builder/built-in");
    register("Not A Name", "noting").fails(2, "builder/invalid-name");
    let unknown = register("ci", "notin").fails(2, "builder/unknown-flavor");
    assert!(unknown.hint().unwrap().contains("Did you mean noting?"), "{unknown}");
    home.tierce(["builder", "register", "ci"]).fails(2, "cli/usage");
    home.tierce(["builder", "register", "ci", "--flavor", "noting", "level"]).fails(2, "cli/usage");
}

#[test]
fn flavors_are_registered_and_removed() {
    let home = Home::new();
    home.program("elsewhere");
    let program = home.path("elsewhere").display().to_string();
    let register = ["builder", "flavor", "register", &program, "--name", "mine"];
    home.tierce(register).ok();
    let list = home.tierce(["builder", "flavor", "list", "--format", "json"]).ok().json();
    assert_eq!(list["mine"], json!({"from": "configured", "program": program}));
    let described = home.tierce(["builder", "flavor", "describe", "mine"]).ok();
    for part in ["--level", "an integer from 1 to 9", "how much", "1.2.3"] {
        assert!(described.stdout.contains(part), "{described}");
    }
    home.tierce(["builder", "register", "ci", "--flavor", "mine"]).ok();
    let used =
        home.tierce(["builder", "flavor", "delete", "mine"]).fails(2, "builder/flavor-in-use");
    assert!(used.stderr.contains("ci"));
    home.tierce(["builder", "delete", "ci"]).ok();
    home.tierce(["builder", "flavor", "delete", "mine"]).ok();
    home.tierce(["builder", "flavor", "delete", "noting"]).fails(2, "builder/not-registered");
    let broken = home.path("project/tierce.toml").display().to_string();
    home.tierce(["builder", "flavor", "register", &broken]).fails(3, "builder/cannot-start");
}

#[test]
fn the_suite_runs_from_the_command_line() {
    let home = Home::new();
    let args = ["builder", "test", "native", "--case", "folder", "--format", "json"];
    let report = home.tierce(args).ok().json();
    assert_eq!(report["cases"][0]["outcome"], "passed");
    // It says that it delivers nowhere but to its own store: there is nothing to be read.
    let skipped = home.tierce(["builder", "test", "noting", "--case", "folder"]).run();
    let error = (skipped.code, skipped.error_code());
    assert_eq!(error, (5, Some("builder/nothing-tested")), "{skipped}");
    assert!(skipped.stdout.contains("1 skipped"), "{skipped}");
    assert!(skipped.stderr.contains("--base"), "{skipped}");
    // What it answers can be looked at.
    let tested = home.tierce(["builder", "test", "noting"]).ok();
    assert!(tested.stdout.contains("1 passed, 0 failed"), "{tested}");
    let tested = home.tierce(["builder", "test", "noop"]).ok();
    assert!(tested.stdout.contains("2 passed, 0 failed"), "{tested}");
    home.tierce(["builder", "test", "native", "--case", "no such"])
        .fails(2, "conformance/unknown-case");
}

#[test]
fn cases_that_fail_are_told_and_fail_the_command() {
    let home = Home::new();
    let text = fs::read_to_string(home.path("bin/tierce-builder-noting")).unwrap();
    // It says that it writes layouts, and never does.
    let text = text.replace("[\"local\"]", "[\"local\",\"oci-layout\"]");
    fs::write(home.path("bin/tierce-builder-noting"), text).unwrap();
    let outcome = home.tierce(["builder", "test", "noting", "--case", "folder"]).run();
    assert_eq!(outcome.code, 5, "{outcome}");
    assert!(outcome.stdout.contains("1 failed"), "{outcome}");
    assert!(outcome.stdout.contains("was not written"), "{outcome}");
}

#[test]
fn a_builder_can_not_write_to_the_terminal_as_it_likes() {
    let home = Home::new();
    let evil = r"\u001b]0;pwn\u0007\nerror[fake]: forged\r\nhint: forged";
    let event = |json: &str| format!("printf '%s\\n' '{}'", json.replace("EVIL", evil));
    let said = [
        event(r#"{"event":"step-started","step":1,"kind":"execute","title":"title EVIL"}"#),
        event(r#"{"event":"step-output","step":1,"line":"line EVIL"}"#),
        event(r#"{"event":"step-finished","step":1,"outcome":"made","detail":"detail EVIL"}"#),
        event(r#"{"event":"warning","code":"evil","message":"warned EVIL"}"#),
        "printf '\\033[2Jlog\\rerror[fake]: forged\\n' >&2".to_owned(),
        event(r#"{"error":{"code":"bad","message":"failed EVIL","hint":"hint EVIL"}}"#),
    ];
    let text = fs::read_to_string(home.path("bin/tierce-builder-noting")).unwrap();
    let text = text.replace("    echo \"noted\" >&2\n", &format!("{}\nexit 1\n", said.join("\n")));
    fs::write(home.path("bin/tierce-builder-noting"), text).unwrap();
    for progress in ["plain", "quiet"] {
        let failed = home.tierce(["build", "--builder", "noting", "--progress", progress]).run();
        for wanted in ["warned \u{fffd}]0;pwn", "failed \u{fffd}]0;pwn", "hint \u{fffd}]0;pwn"] {
            assert!(failed.stderr.contains(wanted), "{wanted}: {failed}");
        }
        let obeyed = |c: char| c.is_control() && c != '\n';
        assert!(!failed.stderr.contains(obeyed), "{:?}", failed.stderr);
        let forged =
            |line: &str| line.starts_with("error[fake]") || line.starts_with("hint: forged");
        assert!(!failed.stderr.lines().any(forged), "{failed}");
    }
    // Programs get every character.
    let json = home.tierce(["build", "--builder", "noting", "--progress", "json"]).run();
    assert!(json.stderr.contains(r"warned \u001b]0;pwn\u0007\nerror[fake]"), "{json}");
}
