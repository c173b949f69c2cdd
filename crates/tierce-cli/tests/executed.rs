//! Steps that run programs in the image, and `tierce run`: with busybox, without a network.

mod support;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::time::{Duration, Instant};
use support::{
    ORDINARY, Outcome, Project, Registry, Tierce, crun, give_away, is_root, ordinary_user, unpack,
    user_with_subordinate_ids,
};

/// A step for each kind of change that a program can make.
const CHANGES: &str = r#"
run = [
    "echo new >/new && chmod 640 /new && chown 1000:1000 /new",
    "rm /old/a && echo more >>/old/b && mkdir -p /deep/er && ln -s er /deep/link",
    "mkdir /var && touch /var/x && ln /var/x /var/y && chmod 4755 /var/x",
    { cmd = ["true"] },
]
"#;

fn build(project: &Project) -> Value {
    project.tierce(["build", "--format", "json", "--output", "oci:out"]).ok().json()
}

fn tag(built: &Value) -> &str {
    built["uri"].as_str().unwrap().rsplit_once(':').unwrap().1
}

#[test]
fn steps_change_what_they_say_and_nothing_else() {
    let Some(project) = Project::shell(CHANGES) else { return };
    let built = build(&project);
    let layers = built["platforms"][0]["layers"].as_array().unwrap();
    let made_by = layers.iter().filter_map(|layer| layer["created-by"].as_str());
    let steps = made_by.filter(|made_by| made_by.starts_with("run ")).count();
    assert_eq!(steps, 3, "one for each step that changed a thing: {built}");
    let Some(unpacked) = unpack(&project.path("out"), tag(&built)) else { return };
    let mut listing = unpacked.listing();
    listing.retain(|name, _| !name.starts_with("bin"));
    // Times differ; what they say is tested with the sandbox.
    let listing: Vec<(&str, String)> = listing
        .iter()
        .map(|(name, text)| {
            let text: Vec<&str> = text.split(' ').filter(|w| !w.starts_with('@')).collect();
            (name.as_str(), text.join(" "))
        })
        .collect();
    let expected = [
        ("deep", "directory 755"),
        ("deep/er", "directory 755"),
        ("deep/link", "-> er"),
        ("etc", "directory 755"),
        ("etc/group", "file 644 root:x:0:\napp:x:1000:\n"),
        ("etc/passwd", "file 644 root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000::/home:/bin/sh\n"),
        ("new", "file 640 new\n"),
        ("old", "directory 755"),
        ("old/b", "file 644 b\nmore\n"),
        ("var", "directory 755"),
        ("var/x", "file 4755 "),
        ("var/y", "file 4755 "),
    ];
    let expected: Vec<(&str, String)> =
        expected.iter().map(|(name, text)| (*name, (*text).to_owned())).collect();
    assert_eq!(listing, expected);
    if is_root() {
        let metadata = fs::metadata(unpacked.file("new")).unwrap();
        let owner = std::os::unix::fs::MetadataExt::uid(&metadata);
        assert_eq!(owner, 1000);
    }
    let x = fs::metadata(unpacked.file("var/x")).unwrap();
    assert_eq!(std::os::unix::fs::MetadataExt::nlink(&x), 2, "hard links are kept");
}

#[test]
fn who_runs_a_step_does_not_matter() {
    let Some(project) = Project::shell(CHANGES) else { return };
    let mine = build(&project);
    let diff_ids = |built: &Value| built["platforms"][0]["layers"].clone();
    let mut others: Vec<(u32, Vec<String>)> = vec![];
    let strings = |launcher: Vec<&str>| launcher.into_iter().map(str::to_owned).collect();
    others.extend(ordinary_user().filter(|_| is_root()).map(|user| (ORDINARY, strings(user))));
    others.extend(user_with_subordinate_ids());
    for (id, launcher) in others {
        let Some(theirs) = Project::shell(CHANGES) else { return };
        for directory in ["project", "store", "home"] {
            give_away(&theirs.beside(directory), id);
        }
        let launcher: Vec<&str> = launcher.iter().map(String::as_str).collect();
        let args = ["build", "--format", "json", "--output", "oci:out"];
        let tierce = theirs.tierce(args).env("TZ", "Asia/Tokyo").after("umask 077");
        let built = tierce.behind(&launcher).ok().json();
        assert_eq!(diff_ids(&built), diff_ids(&mine), "{launcher:?}");
        assert_eq!(built["digest"], mine["digest"], "{launcher:?}");
        let run = theirs.tierce(["run", "oci:out", "--", "cat", "/old/b"]).behind(&launcher).ok();
        assert_eq!(run.stdout, "b\nmore\n", "{launcher:?}");
        // Nothing in the store is out of its owner's reach.
        theirs.tierce(["cache", "prune", "--all"]).behind(&launcher).ok();
        let info = theirs.tierce(["cache", "info", "--format", "json"]).behind(&launcher).ok();
        assert_eq!(info.json()["rootfs"], json!({}), "{launcher:?}");
    }
}

#[test]
fn steps_are_executed_once() {
    let Some(project) =
        Project::shell("run = ['cat /proc/sys/kernel/random/uuid >/id', 'cp /id /again']")
    else {
        return;
    };
    // What happens to the sources' layers, and to those of the two steps.
    let actions = || -> (BTreeSet<String>, [String; 2]) {
        let plan = project.tierce(["plan", "--format", "json"]).ok().json();
        let layers = plan["platforms"][0]["layers"].as_array().unwrap();
        let mut actions: Vec<String> =
            layers.iter().map(|l| l["action"].as_str().unwrap().to_owned()).collect();
        let steps = actions.split_off(actions.len() - 2);
        (actions.into_iter().collect(), steps.try_into().unwrap())
    };
    let sources = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<BTreeSet<_>>();
    let both = |action: &str| [action.to_owned(), action.to_owned()];
    assert_eq!(actions(), (sources(&["assemble"]), both("execute")));
    let first = build(&project);
    assert_eq!(actions(), (sources(&["cached"]), both("cached")));
    let second = build(&project);
    assert_eq!(second["digest"], first["digest"], "from the cache");
    // What is asked to run again does, and gives something else.
    let forced = project.tierce(["build", "--force", "--format", "json"]).ok().json();
    assert_ne!(forced["digest"], first["digest"]);
    let made = |built: &Value| -> usize {
        let layers = built["platforms"][0]["layers"].as_array().unwrap();
        layers.iter().filter(|l| l["cached"] == false).count()
    };
    assert_eq!((made(&second), made(&forced)), (0, 2));
    // A step runs again when what is below it changes, and only then.
    project.write("root/old/a", "changed\n");
    let (changed, steps) = actions();
    assert!(changed.contains("assemble"));
    assert_eq!(steps, both("execute"));
    project.write("root/old/a", "a\n");
    assert_eq!(actions(), (sources(&["cached"]), both("cached")));
}

#[test]
fn output_goes_to_standard_error_with_its_step() {
    let Some(project) = Project::shell("run = ['echo to-out; echo to-err >&2; printf no-newline']")
    else {
        return;
    };
    let built = project.tierce(["build"]).ok();
    assert!(built.line().starts_with("shell:t"), "{built}");
    for line in ["to-out", "to-err", "no-newline"] {
        let marked = format!(" | {line}");
        let found = built.stderr.lines().any(|l| l.starts_with('#') && l.ends_with(&marked));
        assert!(found, "{line}: {built}");
    }
    let quiet = project.tierce(["build", "--force", "--progress", "quiet"]).ok();
    assert_eq!(quiet.stderr, "");
    let json = project.tierce(["build", "--force", "--progress", "json"]).ok();
    let output = json.stderr.lines().filter_map(|line| {
        let event: Value = serde_json::from_str(line).expect("JSON");
        let part = |name: &str| event[name].as_str().map(str::to_owned);
        (event["event"] == "step-output").then(|| (part("stream"), part("line")))
    });
    let some = |text: &str| Some(text.to_owned());
    let output: Vec<_> = output.collect();
    assert!(output.contains(&(some("stderr"), some("to-err"))), "{output:?}");
    assert!(output.contains(&(some("stdout"), some("to-out"))), "{output:?}");
}

#[test]
fn a_failing_step_shows_its_last_words() {
    let run = "run = ['echo first >/made', 'for i in 1 2 3; do echo line $i; done; exit 7']";
    let Some(project) = Project::shell(run) else { return };
    for progress in ["plain", "quiet"] {
        let build = ["build", "--output", "oci:out", "--progress", progress];
        let outcome = project.tierce(build).fails(5, "step/failed");
        assert!(outcome.stderr.contains("exit code 7"), "{outcome}");
        assert!(outcome.stderr.contains("step failed: run for i in"), "{outcome}");
        assert!(outcome.hint().is_some_and(|h| h.contains("line 2\n  line 3")), "{outcome}");
        assert!(!project.path("out").exists());
    }
    // What went well is not done again.
    let fixed = fs::read_to_string(project.path("tierce.toml")).unwrap().replace("exit 7", "true");
    project.write("tierce.toml", fixed);
    let built = build(&project);
    let layers = built["platforms"][0]["layers"].as_array().unwrap();
    assert_eq!(layers.last().unwrap()["cached"], true, "{built}");

    for (command, code, error, says) in [
        ("['none-such']", 2, "sandbox/not-found", "none-such is not in the image"),
        ("['/etc/passwd']", 2, "sandbox/execute", "/etc/passwd"),
        ("'kill -9 $$'", 5, "step/failed", "signal 9"),
    ] {
        let project = Project::shell(&format!("run = [{{ cmd = {command} }}]")).unwrap();
        let outcome = project.tierce(["build"]).fails(code, error);
        assert!(outcome.stderr.contains(says), "{outcome}");
    }
}

#[test]
fn a_step_without_a_network_has_none() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let greeter = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(b"greetings\n").unwrap();
    });
    let connect = format!("nc -w 5 127.0.0.1 {port} </dev/null");
    let spec = |network: &str, command: &str| {
        format!("run = [{{ cmd = \"{command}\", network = '{network}' }}]")
    };
    let Some(none) = Project::shell(&spec("none", &connect)) else { return };
    let outcome = none.tierce(["build"]).fails(5, "step/failed");
    assert!(!outcome.stderr.contains("greetings"), "{outcome}");
    let interfaces = "ls /sys/class/net; cut -d: -f1 -s /proc/net/dev";
    let lonely = Project::shell(&spec("none", interfaces)).unwrap().tierce(["build"]).run();
    assert!(!lonely.stderr.contains("| eth"), "{lonely}");

    let host = Project::shell(&spec("host", &connect)).unwrap();
    let outcome = host.tierce(["build"]).ok();
    assert!(outcome.stderr.contains("| greetings"), "{outcome}");
    greeter.join().unwrap();
}

#[test]
fn steps_see_the_image_as_it_is_configured() {
    let spec = r#"
[[steps]]
env = { GREETING = "hello world" }
[[steps]]
workdir = "/work"
[[steps]]
run = ['echo "$GREETING from $(pwd)" >here; id -u >root']
[[steps]]
user = "app"
[[steps]]
run = ['id -u; id -g; test ! -w /etc/passwd && echo unprivileged']
"#;
    let Some(project) = Project::shell("") else { return };
    let text = "name = 'long'\nbase = 'scratch'\n".to_owned()
        + "[[steps]]\ncopy = [{ src = 'root', dst = '/' }]\n[[steps]]\nenv = { PATH = '/bin' }\n"
        + spec;
    project.write("tierce.toml", text.replace("test ! -w /etc/passwd &&", "touch /etc/passwd ||"));
    let built = project.tierce(["build", "--output", "oci:out", "--format", "json"]).ok();
    assert!(built.stderr.contains("| 1000"), "{built}");
    // With one mapped id the kernel sees one user, who owns all files: who the step runs as is
    // acted, but not what that user may do.
    if is_root() {
        assert!(built.stderr.contains("| unprivileged"), "{built}");
    }
    let Some(unpacked) = unpack(&project.path("out"), tag(&built.json())) else { return };
    let here = fs::read_to_string(unpacked.file("work/here")).unwrap();
    assert_eq!(here, "hello world from /work\n");
    assert_eq!(fs::read_to_string(unpacked.file("work/root")).unwrap(), "0\n");
}

#[test]
fn run_is_the_program_it_runs() {
    let more = "workdir = '/old'\nentrypoint = ['/bin/sh', '-c']\ncmd = ['echo from cmd']\n\
                user = 'app'\nlabels = { a = 'b' }";
    let Some(project) = Project::shell(more) else { return };
    let uri = build(&project)["uri"].as_str().unwrap().to_owned();
    let run = |args: &[&str]| -> Outcome {
        let command = ["run", "--progress", "quiet"].into_iter();
        project.tierce(command.chain(args.iter().copied())).run()
    };
    // (arguments, exit code, standard output)
    let table: &[(&[&str], i32, &str)] = &[
        (&["oci:out"], 0, "from cmd\n"),
        (&[&uri], 0, "from cmd\n"),
        (&["."], 0, "from cmd\n"),
        (&[], 0, "from cmd\n"),
        (&["oci:out", "--", "pwd; id -u"], 0, "/old\n1000\n"),
        (&["oci:out", "--workdir", "/bin", "--", "pwd"], 0, "/bin\n"),
        (&["oci:out", "--user", "0", "--", "id -u"], 0, "0\n"),
        (&["oci:out", "--env", "A=b c", "--", "echo $A"], 0, "b c\n"),
        (&["oci:out", "--", "exit 7"], 7, ""),
        (&["oci:out", "--", "kill -TERM $$"], 143, ""),
        (&["oci:out", "--", "none-such"], 127, ""),
        (&["oci:out", "--user", "0", "--", "rm -r /old; touch /new; ls /old"], 1, ""),
        (&["oci:out", "--", "ls; test ! -e /new"], 0, "a\nb\n"),
        (&["oci:out", "--no-network", "--", "grep -c : /proc/net/dev"], 0, "1\n"),
    ];
    for (args, code, stdout) in table {
        let outcome = run(args);
        assert_eq!((outcome.code, outcome.stdout.as_str()), (*code, *stdout), "{args:?} {outcome}");
    }
    assert!(run(&["oci:out", "--", "echo oops >&2"]).stderr.contains("oops"));

    // Its standard input is the caller's.
    let piped = ["/bin/sh", "-c", "printf 12345 | \"$0\" \"$@\""];
    let count = ["run", "--progress", "quiet", "oci:out", "--", "wc -c"];
    let outcome = project.tierce(count).behind(&piped).ok();
    assert_eq!(outcome.stdout.trim(), "5", "{outcome}");

    let nothing = Project::new("base = 'scratch'\n");
    let outcome = nothing.tierce(["run"]).fails(2, "run/no-command");
    assert!(outcome.hint().is_some_and(|h| h.contains("tierce run")), "{outcome}");
}

#[test]
fn an_image_of_a_registry_runs() {
    let (Some(registry), Some(project)) =
        (Registry::start(), Project::shell("cmd = ['ls', '/old']"))
    else {
        return;
    };
    let push = ["build", "--push", "--registry", registry.address(), "--format", "json"];
    let built = project.tierce(push).ok().json();
    let uri = built["uri"].as_str().unwrap();
    let layers = built["platforms"][0]["layers"].as_array().map_or(0, Vec::len);
    let elsewhere = Project::new("base = 'scratch'\n");
    let outcome = elsewhere.tierce(["run", uri]).ok();
    assert_eq!(outcome.stdout, "a\nb\n");
    // What runs on a registry's base fetches its layers once.
    let child = Project::new(&format!("base = '{}'\nrun = ['cat /old/a >/c']\n", uri));
    let fetched = |requests: &[String]| requests.iter().filter(|r| r.contains("/blobs/")).count();
    let (_, requests) = registry.during(|| child.tierce(["build"]).ok());
    assert_eq!(fetched(&requests), 1 + layers, "the configuration and layers: {requests:?}");
    let (_, requests) = registry.during(|| child.tierce(["build", "--force"]).ok());
    assert_eq!(fetched(&requests), 0, "{requests:?}");
}

#[test]
fn crun_runs_what_is_built() {
    let Some(project) = Project::shell("cmd = ['sh', '-c', 'echo crun says $(id -u)']") else {
        return;
    };
    let built = build(&project);
    let Some(unpacked) = unpack(&project.path("out"), tag(&built)) else { return };
    let Some(outcome) = crun(&unpacked, &project.beside("crun"), &[]) else { return };
    assert_eq!((outcome.code, outcome.stdout.as_str()), (0, "crun says 0\n"), "{outcome}");
}

#[test]
fn ctrl_c_ends_what_a_step_started() {
    // A number that no other process has in its command line.
    let seconds = format!("{}.{}", 98_000, std::process::id());
    let command = format!("run = ['(sleep {seconds} &) ; echo ready; sleep {seconds}']");
    let Some(project) = Project::shell(&command) else { return };
    let mut child = project.tierce(["build", "--output", "oci:out"]).spawn();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("| ready") {
        line.clear();
        assert_ne!(stderr.read_line(&mut line).unwrap(), 0, "the step starts");
    }
    assert!(running(&seconds) > 0);
    let pid = Pid::from_raw(child.id().try_into().unwrap()).unwrap();
    kill_process(pid, Signal::INT).unwrap();
    let mut rest = String::new();
    stderr.read_to_string(&mut rest).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{rest}");
    assert!(rest.contains("error[cli/interrupted]"), "{rest}");
    assert_eq!(running(&seconds), 0, "children end with the build");
    assert!(!project.path("out").exists());
    let fixed = fs::read_to_string(project.path("tierce.toml")).unwrap();
    project.write("tierce.toml", fixed.replace("sleep", "echo"));
    build(&project);
    let info = project.tierce(["cache", "info", "--format", "json"]).ok().json();
    assert_eq!(info["temporary"]["count"], 0, "{info}");
}

/// Waits until the kernel has ended what it was told to end.
fn wait_for_end(seconds: &str) {
    let started = Instant::now();
    while running(seconds) > 0 {
        assert!(started.elapsed() < Duration::from_secs(30), "sleep {seconds} goes on");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// How many processes of this machine sleep for `seconds`.
fn running(seconds: &str) -> usize {
    let wanted = format!("sleep\0{seconds}\0");
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let lines = processes.filter_map(|p| fs::read(p.path().join("cmdline")).ok());
    lines.filter(|line| line.ends_with(wanted.as_bytes())).count()
}

#[test]
fn a_killed_build_leaves_no_process_and_no_litter() {
    let seconds = format!("{}.{}", 97_000, std::process::id());
    let Some(project) = Project::shell(&format!("run = ['echo ready; sleep {seconds}']")) else {
        return;
    };
    let mut child = project.tierce(["build"]).spawn();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("| ready") {
        line.clear();
        assert_ne!(stderr.read_line(&mut line).unwrap(), 0, "the step starts");
    }
    child.kill().unwrap();
    child.wait().unwrap();
    // The pipe ends when the last process that holds it does.
    let mut rest = String::new();
    stderr.read_to_string(&mut rest).unwrap();
    wait_for_end(&seconds);
    let fixed = fs::read_to_string(project.path("tierce.toml")).unwrap();
    project.write("tierce.toml", fixed.replace("sleep", "echo"));
    build(&project);
    let info = project.tierce(["cache", "info", "--format", "json"]).ok().json();
    assert_eq!(info["temporary"]["count"], 0, "{info}");
}

#[test]
fn the_sandboxs_helper_is_no_command() {
    // The sandbox's own argument is no part of the interface.
    let help = Tierce::new(["--help"]).ok().stdout;
    assert!(!help.contains("sandbox-helper"), "{help}");
}
