//! What real builders make of the texts: everything means itself.

mod support;

use proptest::test_runner::{Config, TestRunner};
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use support::engine::{BASE, Built, Engine};
use support::{gather, rendered};
use tierce_dockerfile::{RenderOptions, Rendered};
use tierce_secret::SecretValue;
use tierce_spec::{Command, Commands, Image, Network, SearchPath, Secret, SourceOptions, Step};

fn image() -> Image {
    Image::from_base(BASE).expect("a reference").with_name("test")
}

fn options(engine: &Engine) -> RenderOptions {
    RenderOptions { dialect: engine.dialect(), ..RenderOptions::default() }
}

fn build(engine: &Engine, image: &Image, root: &Path) -> (Rendered, Built) {
    let rendered = rendered(&gather(image, root), &options(engine));
    let built = engine.build(&rendered, &BTreeMap::new());
    (rendered, built)
}

/// Runs `test` with every engine that works here, each in the dialect that is its own.
fn with_engines(test: impl Fn(&Engine)) {
    let engines = [Engine::buildah(), Engine::docker(true), Engine::docker(false)];
    engines.iter().flatten().for_each(test);
}

/// What a step sees and a configuration says, whatever characters are in it.
#[test]
fn strings_mean_themselves() {
    with_engines(|engine| {
        let nasty = [
            "",
            " ",
            "$HOME",
            "${X:-y}",
            "\\",
            "a\\",
            "\"",
            "'",
            "# a",
            "<<EOF",
            "\n",
            "a\n#b\n",
            "\\\n",
            "[\"a\"]",
            "`id`",
            "$(id)",
            "$$",
            "--flag",
            "\u{feff}",
            "é ü \u{1f980}\t\u{7f}\u{1b}",
        ];
        check_strings(engine, &nasty.map(str::to_owned));
        let text = "[ -~üé\\n\\t$\"'\\\\#`<{}]{0,12}";
        let config = Config { cases: 2, failure_persistence: None, ..Config::default() };
        TestRunner::new(config)
            .run(&proptest::collection::vec(text, 10), |strings| {
                check_strings(engine, &strings);
                Ok(())
            })
            .unwrap_or_else(|error| panic!("{error}"));
    });
}

/// What is in variables, labels, arguments and commands comes out as it went in.
fn check_strings(engine: &Engine, strings: &[String]) {
    let numbered = |prefix: &str| -> Vec<(String, String)> {
        let pair = |(i, text): (usize, &String)| (format!("{prefix}{i}"), text.clone());
        strings.iter().enumerate().map(pair).collect()
    };
    let shell: String =
        (0..strings.len()).map(|i| format!("printf '%s' \"$V{i}\" > '/shell {i}'\n")).collect();
    let script = "i=0; for text; do printf '%s' \"$text\" > \"/exec $i\"; i=$((i + 1)); done";
    let exec = ["/bin/sh", "-c", script, "sh"].into_iter().map(str::to_owned);
    let exec: Vec<String> = exec.chain(strings.iter().cloned()).collect();
    let quoted = strings.iter().enumerate().map(|(i, text)| {
        let quoted = text.replace('\'', "'\\''");
        Command::Shell(format!("# a comment \\\nprintf '%s' '{quoted}' > '/line {i}' # \\"))
    });
    let image = image()
        .with_env_vars(numbered("V"))
        .with_labels(numbered("label.\"$'\\"))
        .with_step(Step::Commands(Commands {
            commands: [Command::Shell(shell), Command::Exec(exec)]
                .into_iter()
                .chain(quoted)
                .collect(),
            network: Network::Host,
            secrets: vec![],
        }))
        .with_entrypoint(strings.iter().map(|s| format!("x{s}")))
        .with_cmd(strings);
    let empty = tempfile::tempdir().expect("a directory");
    let (rendered, built) = build(engine, &image, empty.path());
    for (i, text) in strings.iter().enumerate() {
        let shown = &rendered.dockerfile;
        assert_eq!(built.variable(&format!("V{i}")).as_ref(), Some(text), "{shown}");
        let label = &built.config["Labels"][format!("label.\"$'\\{i}")];
        assert_eq!(label.as_str(), Some(text.as_str()), "{shown}");
        for way in ["shell", "exec", "line"] {
            assert_eq!(&built.text(&format!("{way} {i}")), text, "{way}: {shown}");
        }
    }
    let entrypoint: Vec<String> = strings.iter().map(|s| format!("x{s}")).collect();
    assert_eq!(built.list("Entrypoint"), entrypoint);
    assert_eq!(built.list("Cmd"), strings);
}

fn write(path: &Path, content: &str, mode: u32) {
    std::fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
    std::fs::write(path, content).expect("a file");
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("a mode");
}

/// What is copied is what was digested, where it was to go.
#[test]
fn sources_go_where_they_are_to() {
    let directory = tempfile::tempdir().expect("a directory");
    let root = directory.path();
    write(&root.join("app/main.py"), "main", 0o600);
    write(&root.join("app/run"), "run", 0o711);
    write(&root.join("app/-dash $x 'q' \"d\" [a] *?.txt"), "odd", 0o644);
    write(&root.join("app/ü/é"), "unicode", 0o644);
    write(&root.join("app/tmp/f"), "t", 0o644);
    write(&root.join("app/root/f"), "r", 0o644);
    write(&root.join("app/.git/HEAD"), "left out", 0o644);
    write(&root.join("app/debug.log"), "left out", 0o644);
    write(&root.join("app/sub/.dockerignore"), "*\n", 0o644);
    write(&root.join("single"), "single", 0o755);
    std::fs::create_dir(root.join("app/empty")).expect("a directory");
    for (link, target) in [("app/link", "main.py"), ("app/dangling", "/nowhere"), ("app/dir", "ü")]
    {
        std::os::unix::fs::symlink(target, root.join(link)).expect("a link");
    }
    std::os::unix::fs::symlink("app", root.join("linked")).expect("a link");
    let folder = || SourceOptions::new().with_ignore(["*.log"]);
    let image = image()
        .with_source_folder("app", "relative", folder())
        .with_source_folder("linked", "/x/", folder())
        .with_source_folder("app", "/odd $x 'q' \"d\" \\ [a]/ü", folder())
        .with_source_folder("app", "/", folder())
        .with_source_file("single", "/file $x 'q' \"d\" \\")
        .with_source_file("single", "/new/ü é")
        .with_source_file("single", "/tmp/")
        .with_workdir("/w d/$x/'y'")
        .with_source_file("single", "--here")
        .with_source_folder("app", ".", folder());
    with_engines(|engine| {
        let (_, built) = build(engine, &image, root);
        let here = "w d/$x/'y'";
        for at in ["relative/", "x/", "odd $x 'q' \"d\" \\ [a]/ü/", "", &format!("{here}/")] {
            let file = |path: &str| {
                let path = format!("{at}{path}");
                built.files.get(&path).unwrap_or_else(|| panic!("there is no {path:?}")).clone()
            };
            for (path, mode, content) in [
                ("main.py", 0o644, "main"),
                ("run", 0o755, "run"),
                ("-dash $x 'q' \"d\" [a] *?.txt", 0o644, "odd"),
                ("ü/é", 0o644, "unicode"),
                ("sub/.dockerignore", 0o644, "*\n"),
            ] {
                let file = file(path);
                assert_eq!((file.kind, file.mode, file.owner), ("file", mode, (0, 0)), "{path}");
                assert_eq!(file.content, content.as_bytes(), "{path}");
            }
            for (path, target) in [("link", "main.py"), ("dangling", "/nowhere"), ("dir", "ü")] {
                assert_eq!(
                    (file(path).kind, file(path).content),
                    ("link", target.into()),
                    "{path}"
                );
            }
            assert_eq!((file("empty").kind, file("empty").mode), ("directory", 0o755));
            for path in [".git", ".git/HEAD", "debug.log"] {
                assert!(!built.files.contains_key(&format!("{at}{path}")), "{at}{path}");
            }
        }
        for path in ["file $x 'q' \"d\" \\", "new/ü é", "tmp/single", &format!("{here}/--here")] {
            assert_eq!(built.text(path), "single", "{path}");
            assert_eq!(built.files[path].mode, 0o755, "{path}");
        }
        assert_eq!(built.config["WorkingDir"], format!("/{here}"));
        assert_eq!((built.files[here].mode, built.files[here].owner), (0o755, (0, 0)));
        // Those of the base keep their modes.
        assert_eq!((built.files["tmp"].mode, built.files["root"].mode), (0o1777, 0o700));
    });
}

/// Nothing resets what the user said, and steps do not run as somebody else.
#[test]
fn settings_are_the_users() {
    let empty = tempfile::tempdir().expect("a directory");
    let path = SearchPath { before: vec!["/first $x".into()], after: vec!["/last".into()] };
    let image = image()
        .with_commands(["chmod 1777 /tmp"], Network::Host)
        .with_search_path("PATH", path.clone())
        .with_search_path("UNSET", path.clone())
        .with_search_path("PATH", SearchPath { before: vec![], after: vec!["/more".into()] })
        .with_user("1000:50")
        .with_workdir("/made/by/root")
        .with_commands(["id -u > /tmp/id; id -g >> /tmp/id; pwd >> /tmp/id"], Network::Host)
        .with_cmd(["old"])
        .with_entrypoint(["program"]);
    with_engines(|engine| {
        let (_, built) = build(engine, &image, empty.path());
        assert_eq!(built.text("tmp/id"), "1000\n50\n/made/by/root\n");
        assert_eq!(built.files["made/by/root"].owner, (0, 0));
        assert_eq!(built.config["User"], "1000:50");
        assert_eq!(built.config["WorkingDir"], "/made/by/root");
        assert_eq!(built.list("Entrypoint"), ["program"]);
        assert_eq!(built.list("Cmd"), Vec::<String>::new());
        let path = "/first $x:/usr/local/bin:/usr/bin:/bin:/last:/more";
        assert_eq!(built.variable("PATH").as_deref(), Some(path));
        assert_eq!(built.variable("UNSET").as_deref(), Some("/first $x:/last"));
    });
}

/// Secrets are there, for the step alone, to the byte, and nowhere else.
#[test]
fn secrets_are_seen_by_their_step_alone() {
    let value = "canary-$x'\"\\ 8f3a\n\n";
    let empty = tempfile::tempdir().expect("a directory");
    let secrets = |secrets: Vec<Secret>, command: &str| {
        Step::Commands(Commands { commands: vec![command.into()], network: Network::Host, secrets })
    };
    let count =
        "printf '%s' \"$K\" | sha256sum > /tmp/env.sum; sha256sum < /creds/key > /tmp/file.sum";
    let image = image()
        .with_step(secrets(vec![Secret::new("k").with_env("K").with_mount("/creds/key")], count))
        .with_step(secrets(vec![Secret::new("k").with_group("G")], "test -n \"$G_K\""))
        .with_step(secrets(vec![], "test -z \"$K\" && test ! -s /creds/key && test -z \"$G_K\""))
        .with_user("1000")
        .with_step(secrets(
            vec![Secret::new("k").with_mount("/creds/key")],
            "cat /creds/key | wc -c",
        ));
    for engine in [Engine::buildah(), Engine::docker(true)].into_iter().flatten() {
        let rendered = rendered(&gather(&image, empty.path()), &options(&engine));
        let ids: Vec<&str> = rendered.secrets.iter().map(|s| s.id.as_str()).collect();
        assert_eq!(ids, ["k", "g_k"]);
        let values = ids.iter().map(|id| ((*id).to_owned(), SecretValue::new(value))).collect();
        let built = engine.build(&rendered, &values);
        for path in ["tmp/env.sum", "tmp/file.sum"] {
            let sum = tierce_oci::Digest::of(value).hex();
            assert_eq!(built.text(path).split_whitespace().next(), Some(sum.as_str()), "{path}");
        }
        for (path, file) in &built.files {
            let found = file.content.windows(6).any(|window| window == b"canary");
            assert!(!found, "the secret is in {path}");
        }
        assert!(!built.config.to_string().contains("canary"));
    }
}

/// A line that no frontend would read is cut into several.
#[test]
fn long_lines_are_cut() {
    let empty = tempfile::tempdir().expect("a directory");
    let text = "a# \\ \" $x ".repeat(12_000);
    let quoted = text.replace('\'', "'\\''");
    let line = format!("printf '%s' '{quoted}' | sha256sum > /sum");
    let image = image().with_commands([line], Network::Host).with_env_vars([("LONG", &text)]);
    with_engines(|engine| {
        let (rendered, built) = build(engine, &image, empty.path());
        assert!(rendered.dockerfile.lines().all(|line| line.len() < 65_000));
        assert_eq!(
            built.text("sum").split_whitespace().next(),
            Some(tierce_oci::Digest::of(&text).hex().as_str())
        );
        assert_eq!(built.variable("LONG"), Some(text.clone()));
    });
}

/// A Dockerfile of the user's makes what it makes anywhere else.
#[test]
fn dockerfiles_are_built_as_they_are() {
    let directory = tempfile::tempdir().expect("a directory");
    let root = directory.path();
    write(&root.join("ctx/a"), "a", 0o644);
    write(&root.join("ctx/left-out"), "b", 0o644);
    write(&root.join("ctx/.dockerignore"), "left-out\n.dockerignore\n", 0o644);
    let text =
        format!("FROM {BASE} AS one\nARG V\nCOPY . /all\nENV V=$V\nFROM one AS two\nENV W=1\n");
    write(&root.join("ctx/Dockerfile"), &text, 0o644);
    write(&root.join("elsewhere/My.Dockerfile"), &text, 0o644);
    for file in ["ctx/Dockerfile", "elsewhere/My.Dockerfile"] {
        let mut base = tierce_spec::DockerfileBase::new(file);
        base.context = Some("ctx".into());
        base.build_args.insert("V".into(), "a b".into());
        base.target = Some("one".into());
        let image = Image::from_dockerfile(base).with_name("test");
        with_engines(|engine| {
            let (_, built) = build(engine, &image, root);
            assert_eq!(built.variable("V").as_deref(), Some("a b"));
            assert_eq!(built.variable("W"), None);
            assert_eq!(built.text("all/a"), "a");
            assert!(!built.files.contains_key("all/left-out"));
            assert!(built.files.contains_key("all/Dockerfile"));
        });
    }
    // Nothing of ours is in it.
    write(&root.join("plain/Own.Dockerfile"), &format!("FROM {BASE}\nCOPY . /all\n"), 0o644);
    write(&root.join("plain/ctx/a"), "a", 0o644);
    let mut base = tierce_spec::DockerfileBase::new("plain/Own.Dockerfile");
    base.context = Some("plain/ctx".into());
    let image = Image::from_dockerfile(base).with_name("test");
    with_engines(|engine| {
        let (_, built) = build(engine, &image, root);
        let all: Vec<&String> = built.files.keys().filter(|p| p.starts_with("all/")).collect();
        assert_eq!(all, ["all/a"]);
    });
}
