//! Values of secrets are seen by the steps that need them, and are nowhere else: not in what
//! builds write, push, print, log, remember, or leave behind when they fail or are stopped.

mod support;

use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::io::{BufRead, BufReader, Read};
use support::{
    Canaries, ORDINARY, Outcome, PASSWORD, Project, Registry, Tierce, USER, Watch, canary,
    give_away, is_root, key_file, ordinary_user, user_with_subordinate_ids,
};

/// What steps say and do with what they see: everything but keep it.
const STEPS: &str = r#"
run = [
    { cmd = "test -n \"$ENV_TOKEN\" && test \"$(cat /run/secrets/key | wc -l)\" = 6 && echo said $ENV_TOKEN; cat /run/secrets/key >&2; echo $ENV_TOKEN | busybox base64", secrets = ["env-token", { key = "key", group = "group", mount = "/run/secrets/key" }] },
    { cmd = "test -z \"${ENV_TOKEN-}\" && test ! -e /run/secrets && echo nothing >/seen" },
    { cmd = "test \"$A\" = \"$(cat /root/.netrc)\" && cp /root/.netrc /copy && rm /copy && echo \"$B\" | wc -c >/length", secrets = [{ key = "from-file", env = "A" }, { key = "from-file", mount = "/root/.netrc" }, { key = "from-command", env = "B", mount = "/deep/er/file" }] },
]
"#;

/// A project with a home of its own, and a value in every place that values come from.
struct Field {
    project: Project,
    registry: Option<Registry>,
    env: String,
    canaries: Canaries,
    /// Without those that other tests use, too.
    own: Canaries,
    outputs: Vec<u8>,
}

impl Field {
    fn new(steps: &str) -> Option<Self> {
        let project = Project::shell(steps)?;
        let values = ["environment", "file", "command"].map(canary);
        let [env, file, command] = &values;
        let key = key_file();
        let at = |name: &str| project.beside("inputs").join(name);
        fs::create_dir_all(at("secrets/group")).unwrap();
        fs::write(at("file"), format!("{file}\n")).unwrap();
        fs::write(at("command"), command).unwrap();
        fs::write(at("secrets/group/key"), &key).unwrap();
        let config = format!(
            "[secrets]\ndirectories = [{:?}]\nfiles.FROM_FILE = {:?}\n\
             commands.FROM_COMMAND = [\"cat\", {:?}]\n",
            at("secrets"),
            at("file"),
            at("command")
        );
        fs::write(at("config.toml"), config).unwrap();
        let login = base64::Engine::encode(
            &base64::engine::general_purpose::STANDARD,
            format!("{USER}:{PASSWORD}"),
        );
        let registry = Registry::private();
        let address = registry.as_ref().map(Registry::address).unwrap_or("none.invalid");
        let docker = format!("{{\"auths\": {{{address:?}: {{\"auth\": {login:?}}}}}}}");
        fs::write(at("config.json"), docker).unwrap();
        for directory in ["tmp", "run"] {
            fs::create_dir(project.beside(directory)).unwrap();
        }
        let mut values = vec![
            ("the value of the environment", env.as_str()),
            ("the value of a file", file),
            ("the value of a command", command),
            ("the key", &key),
        ];
        let own = Canaries::new(&values);
        values.push(("the registry's password", PASSWORD));
        let canaries = Canaries::new(&values);
        let env = env.clone();
        Some(Field { project, registry, env, canaries, own, outputs: vec![] })
    }

    fn tierce(&self, args: &[&str]) -> Tierce {
        let inputs = self.project.beside("inputs");
        self.project
            .tierce(args.iter().copied())
            .env("ENV_TOKEN", &self.env)
            .env("TIERCE_CONFIG", inputs.join("config.toml"))
            .env("DOCKER_CONFIG", inputs)
            .env("TMPDIR", self.project.beside("tmp"))
            .env("XDG_RUNTIME_DIR", self.project.beside("run"))
            .env("TIERCE_LOG", "trace")
    }

    fn heard(&mut self, outcome: &Outcome) {
        self.outputs.extend_from_slice(outcome.stdout.as_bytes());
        self.outputs.extend_from_slice(outcome.stderr.as_bytes());
    }

    /// Searches everything. Gives how many files there were.
    #[track_caller]
    fn search(&self) -> usize {
        self.canaries.absent("what was printed", &self.outputs);
        let except = [self.project.beside("inputs")];
        let own = self.project.path("").parent().unwrap().to_path_buf();
        let mut files = self.canaries.absent_below(&own, &except);
        if let Some(registry) = &self.registry {
            // Its own table of users is no work of tierce's.
            files += self.canaries.absent_below(registry.directory(), &[]);
        }
        files
    }
}

#[test]
fn values_are_nowhere_but_where_they_are_needed() {
    let Some(mut field) = Field::new(STEPS) else { return };
    let watch = Watch::start();
    let push: Vec<String> = match &field.registry {
        Some(registry) => vec!["--registry".into(), registry.address().into(), "--push".into()],
        None => vec![],
    };
    let push: Vec<&str> = push.iter().map(String::as_str).collect();
    let outputs = ["oci:layout", "oci-archive:a.tar", "docker-archive:d.tar"];
    let outputs = outputs.iter().flat_map(|output| ["--output", *output]);
    for more in [vec![], vec!["--progress", "json", "--force"], vec!["--progress", "plain"]] {
        let build = ["build"].into_iter().chain(outputs.clone()).chain(push.clone()).chain(more);
        let outcome = field.tierce(&build.collect::<Vec<_>>()).ok();
        field.heard(&outcome);
    }
    let said = String::from_utf8_lossy(&field.outputs);
    assert!(said.contains("said ****"), "lines are passed on without the value: {said}");
    for args in [
        &["build", "--dry-run"][..],
        &["plan"],
        &["plan", "--format", "json"],
        &["key"],
        &["render"],
        &["config", "show", "--origin"],
        &["runs", "list"],
        &["inspect", "oci:layout"],
    ] {
        let outcome = field.tierce(args).run();
        field.heard(&outcome);
    }
    let id = field.tierce(&["build", "--detach", "--force", "--output", "oci:later"]).run();
    field.heard(&id);
    if id.code == 0 {
        for verb in ["wait", "logs"] {
            let outcome = field.tierce(&["runs", verb, id.stdout.trim()]).run();
            field.heard(&outcome);
        }
    }
    // The files with `nothing`, so that the steps are known to have run.
    assert!(field.search() > 20);
    for line in watch.finish() {
        field.own.absent("a command line", &line);
    }
}

#[test]
fn values_are_not_left_by_builds_that_fail_or_are_stopped() {
    let steps = r#"run = [{ cmd = "echo $ENV_TOKEN >/left; cat /k; echo at last $ENV_TOKEN >&2; exit 3", secrets = ["env-token", { key = "key", group = "group", mount = "/k" }] }]"#;
    let Some(mut field) = Field::new(steps) else { return };
    for progress in ["plain", "json", "quiet"] {
        let outcome = field.tierce(&["build", "--progress", progress]).fails(5, "step/failed");
        assert!(outcome.stderr.contains("at last ****"), "{outcome}");
        field.heard(&outcome);
    }
    field.search();

    let steps = r#"run = [{ cmd = "echo $ENV_TOKEN >/left; echo waiting $ENV_TOKEN; sleep 1000", secrets = ["env-token"] }]"#;
    let Some(mut field) = Field::new(steps) else { return };
    for signal in [Signal::INT, Signal::TERM, Signal::KILL] {
        let mut child = field.tierce(&["build", "--progress", "plain"]).spawn();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut said = String::new();
        while !said.contains("waiting ****") {
            assert!(stderr.read_line(&mut said).unwrap() > 0, "{said}");
        }
        kill_process(Pid::from_child(&child), signal).unwrap();
        stderr.read_to_string(&mut said).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(!output.status.success());
        field.outputs.extend(said.into_bytes());
        field.outputs.extend(output.stdout);
        if signal != Signal::KILL {
            field.search();
        }
    }
    // What a killed build leaves is swept by the next one.
    let outcome = field.tierce(&["build"]).env("ENV_TOKEN", "").fails(2, "secret/missing");
    field.heard(&outcome);
    field.project.write("tierce.toml", "name = 'other'\nbase = 'scratch'\n");
    field.tierce(&["build"]).ok();
    field.search();
}

#[test]
fn secrets_are_seen_whoever_builds() {
    let Some(mut field) = Field::new(STEPS) else { return };
    let mine = field.tierce(&["build", "--output", "oci:out"]).ok();
    let mut others: Vec<(u32, Vec<String>)> = vec![];
    let strings = |launcher: Vec<&str>| launcher.into_iter().map(str::to_owned).collect();
    others.extend(ordinary_user().filter(|_| is_root()).map(|user| (ORDINARY, strings(user))));
    others.extend(user_with_subordinate_ids());
    for (id, launcher) in others {
        let theirs = field.project.beside(&format!("of-{id}"));
        fs::create_dir_all(theirs.join("home")).unwrap();
        give_away(&theirs, id);
        let launcher: Vec<&str> = launcher.iter().map(String::as_str).collect();
        let output = format!("oci:{}", theirs.join("out").display());
        let build = field.tierce(&["build", "--output", &output]);
        let build =
            build.env("HOME", theirs.join("home")).env("TIERCE_STORE", theirs.join("store"));
        let outcome =
            build.env("TMPDIR", &theirs).env("XDG_RUNTIME_DIR", &theirs).behind(&launcher).ok();
        assert_eq!(outcome.stdout, mine.stdout, "{launcher:?}");
        field.heard(&outcome);
    }
    field.search();
}

#[test]
fn steps_that_keep_a_value_fail_and_nothing_is_kept() {
    // What the step does, and what the error says that it is in.
    let table = [
        ("echo $T >/etc/left", "is in /etc/left"),
        ("echo x $T | busybox base64 >/left", "is in /left"),
        ("printf %s $T | busybox sed 's,/,%2F,g; s,+,%2B,g; s,&,%26,g; s,%%,%25%,' >/url", ""),
        ("mkdir -p \"/d/$T\"", "is in the name of /d/****"),
        ("ln -s \"$T\" /link", "is in the target of the link /link"),
        ("echo '#!/bin/sh' >/x; echo \"export TOKEN='$T'\" >>/x", "is in /x"),
        ("cp /k /root-key", "is in /root-key"),
        ("busybox sed -n 4p /k >/part", "is in /part"),
        ("busybox tar -cf /archive /k", "is in /archive"),
        ("(busybox seq 1 100000; echo $T) >/large", "is in /large"),
    ];
    for (command, place) in table {
        // The value of the URL's case has one sign of each kind.
        let steps = format!(
            "run = [{{ cmd = {command:?}, secrets = [{{ key = 'env-token', env = 'T' }}, \
             {{ key = 'key', group = 'group', mount = '/k' }}] }}]"
        );
        let Some(mut field) = Field::new(&steps) else { return };
        let outcome = field.tierce(&["build", "--output", "oci:out"]).fails(5, "secret/leaked");
        assert!(outcome.stderr.contains(place), "{command}: {outcome}");
        assert!(outcome.hint().is_some(), "{outcome}");
        let secret = if command.contains("/k") { "group/key" } else { "env-token" };
        assert!(outcome.stderr.contains(&format!("secret {secret}")), "{command}: {outcome}");
        field.heard(&outcome);
        field.search();
        assert!(!field.project.path("out").exists());
    }
}

#[test]
fn what_is_missing_is_said_before_anything_is_built() {
    let steps = r#"run = [
        "echo built >/first",
        { cmd = "true", secrets = ["env-token", { key = "key", group = "other" }, "third"] },
    ]"#;
    let Some(field) = Field::new(steps) else { return };
    let outcome = field.tierce(&["build"]).fails(2, "secret/missing");
    for part in [
        "the secret other/key is not in the variable OTHER_KEY, nor in ",
        "inputs/secrets/OTHER_KEY",
        "inputs/secrets/other/key",
        "the secret third is not in the variable THIRD",
        "Set THIRD in the environment",
    ] {
        assert!(outcome.stderr.contains(part), "{part:?} is not in {outcome}");
    }
    assert!(!outcome.stderr.contains("echo built"), "nothing was run: {outcome}");
    // Naming and planning need no values.
    let key = field.tierce(&["key"]).env("ENV_TOKEN", "").ok();
    let (third, other) = (canary("third"), canary("other"));
    let ok = field.tierce(&["build"]).env("THIRD", &third).env("OTHER_KEY", &other).ok();
    assert_eq!(field.tierce(&["key"]).ok().stdout, key.stdout);
    let again = field.tierce(&["build", "--force"]);
    let again = again.env("THIRD", canary("changed")).env("OTHER_KEY", "0000").ok();
    assert_eq!(ok.stdout, again.stdout, "values are no part of any key");
}

#[test]
fn keys_have_how_a_secret_is_seen_and_not_where_it_comes_from() {
    let key = |secret: &str| {
        let spec = format!(
            "name = 'x'\nbase = 'scratch'\nrun = [{{ cmd = 'true', secrets = [{secret}] }}]"
        );
        Project::new(&spec).tierce(["key"]).ok().stdout
    };
    let same = ["{ key = 'a', env = 'X' }", "{ key = 'b', group = 'g', env = 'X' }", "'x'"];
    assert!(same.iter().all(|secret| key(secret) == key(same[0])));
    for other in ["{ key = 'a', env = 'Y' }", "{ key = 'a', mount = '/x' }"] {
        assert_ne!(key(other), key(same[0]), "{other}");
    }
}
