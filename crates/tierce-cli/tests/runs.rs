//! Builds in the background: real processes, with records that others read.

mod support;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::process::Child;
use std::time::{Duration, Instant};
use support::{Outcome, Project};

/// How long things may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A step that says that it has begun and goes on for longer than any test.
const LONG: &str = "run = ['echo begun; sleep 1234']";

fn start(project: &Project) -> String {
    let started = project.tierce(["build", "--detach"]).ok();
    started.line().to_owned()
}

fn list(project: &Project) -> Vec<Value> {
    let listed = project.tierce(["runs", "list", "--format", "json"]).ok().json();
    listed.as_array().unwrap().clone()
}

fn state(project: &Project, id: &str) -> String {
    let all = list(project);
    let run = all.iter().find(|run| run["id"] == id).unwrap_or_else(|| panic!("{id}: {all:?}"));
    run["state"].as_str().unwrap().to_owned()
}

/// The process of a run, as its lock names it.
fn process(project: &Project, id: &str) -> Pid {
    let text = fs::read_to_string(project.store().join("runs").join(id).join("lock")).unwrap();
    Pid::from_raw(text.trim().parse().unwrap()).unwrap()
}

/// `tierce runs logs -f` in a process of its own, up to the line with `text`.
fn follow_to(project: &Project, id: &str, text: &str) -> (Child, BufReader<impl Read + use<>>) {
    let mut child = project.tierce(["runs", "logs", "--follow", id]).spawn();
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    while !line.contains(text) {
        line.clear();
        assert_ne!(lines.read_line(&mut line).unwrap(), 0, "no {text:?} in the log of {id}");
    }
    (child, lines)
}

fn rest(mut child: Child, mut lines: BufReader<impl Read>) -> String {
    let mut text = String::new();
    lines.read_to_string(&mut text).unwrap();
    assert!(child.wait().unwrap().success());
    text
}

/// Whether a process with this in its command line is left of those that were started here.
fn is_running(text: &str) -> bool {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    processes
        .filter_map(|p| fs::read(p.path().join("cmdline")).ok())
        .any(|line| String::from_utf8_lossy(&line).replace('\0', " ").trim_end() == text)
}

fn becomes(what: &str, mut condition: impl FnMut() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < PATIENCE, "never {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_build_in_the_background_is_a_build() {
    let project = Project::assembled();
    let id = start(&project);
    assert!(id.len() == 8 && id.bytes().all(|b| b.is_ascii_alphanumeric()), "{id}");
    let waited = project.tierce(["runs", "wait", &id]).ok();
    let foreground = project.tierce(["build", "--format", "json"]).ok().json();
    assert_eq!(waited.line(), foreground["uri"]);
    assert_eq!(foreground["status"], "present", "it is there");

    let all = list(&project);
    let [run] = all.as_slice() else { panic!("{all:?}") };
    assert_eq!((&run["id"], &run["state"]), (&Value::from(id.as_str()), &Value::from("succeeded")));
    assert_eq!(run["uri"], foreground["uri"]);
    let build = &run["result"]["build"];
    assert_eq!((&build["status"], &build["run"]), (&"built".into(), &Value::from(id.as_str())));
    assert_eq!(build["digest"], foreground["digest"]);
    assert_eq!(run["arguments"], serde_json::json!(["build", "--detach"]));

    // The beginning of an id is enough; what it prints for programs holds everything.
    let json = project.tierce(["runs", "wait", &id[..3], "--format", "json"]).ok().json();
    assert_eq!(json["result"]["build"]["digest"], foreground["digest"]);
    let text = project.tierce(["runs", "list"]).ok();
    assert!(text.line().starts_with(&format!("{id}  succeeded  ")), "{text}");
    let log = project.tierce(["runs", "logs", &id]).ok().stdout;
    assert!(log.contains("\nbuilding ") && log.contains("\nbuilt "), "{log}");
    let events = project.tierce(["runs", "logs", &id, "--format", "json"]).ok().stdout;
    let events: Vec<Value> = events.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!(events.last().unwrap()["event"], "build-finished");

    // Nobody else reads it.
    let directory = project.store().join("runs").join(&id);
    assert_eq!(fs::metadata(&directory).unwrap().permissions().mode() & 0o777, 0o700);
    for entry in fs::read_dir(&directory).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{entry:?}");
    }
    assert_eq!(fs::read(directory.join("output")).unwrap(), b"", "all that is said is an event");
}

#[test]
fn what_is_started_is_an_answer_for_programs() {
    let project = Project::assembled();
    let started = project.tierce(["build", "--detach", "--format", "json"]).ok().json();
    assert_eq!((&started["status"], &started["digest"]), (&"started".into(), &Value::Null));
    let id = started["run"].as_str().unwrap();
    let waited = project.tierce(["runs", "wait", id]).ok();
    assert_eq!(waited.line(), started["uri"]);
}

#[test]
fn what_is_wrong_with_a_specification_is_said_at_once() {
    let project = Project::new("name = 'a'\nbase = 'scratch'\nquux = 1\n");
    project.tierce(["build", "--detach"]).fails(2, "spec/unknown-key");
    project.write(
        "tierce.toml",
        "name = 'a'\nbase = 'scratch'\ncopy = [{ src = 'nothing', dst = '/a' }]\n",
    );
    project.tierce(["build", "--detach"]).fails(2, "source/missing");
    project.write("tierce.toml", "name = 'a'\nbase = 'scratch'\nenv = { A = '1' }\n");
    let unknown = ["build", "--detach", "--builder", "nope"];
    project.tierce(unknown).fails(2, "engine/unknown-builder");
    project.tierce(["build", "--detach", "--builder", "noop"]).fails(2, "noop/no-reference");
    project.write(
        "tierce.toml",
        "name = 'a'\nbase = 'scratch'\n\
         run = [{ cmd = 'true', secrets = ['no_such_secret'] }]\n",
    );
    project.tierce(["build", "--detach"]).fails(2, "secret/missing");
    assert_eq!(list(&project), [""; 0]);
    project.tierce(["build", "--detach", "--dry-run"]).fails(2, "cli/usage");
}

#[test]
fn ids_are_found_by_their_beginnings() {
    let project = Project::assembled();
    project.tierce(["runs", "wait", "b"]).fails(2, "runs/unknown");
    let ids = [start(&project), start(&project)];
    let both = project.tierce(["runs", "wait", &ids[0], &ids[1]]).ok();
    assert_eq!(both.stdout.lines().count(), 2, "{both}");
    for command in ["wait", "cancel"] {
        project.tierce(["runs", command, &ids[0], "nonesuch"]).fails(2, "runs/unknown");
    }
    project.tierce(["runs", "logs", ""]).fails(2, "runs/ambiguous");
    // They go when they are told to, and with the store's other things.
    let pruned = project.tierce(["runs", "prune", "--dry-run"]).ok();
    assert_eq!(pruned.stdout.lines().count(), 2, "{pruned}");
    assert_eq!(project.tierce(["runs", "prune", "--older-than", "1"]).ok().stdout, "");
    assert_eq!(list(&project).len(), 2);
    project.tierce(["cache", "prune", "--all"]).ok();
    assert_eq!(list(&project), [""; 0]);
    assert_eq!(fs::read_dir(project.store().join("runs")).unwrap().count(), 0);
}

#[test]
fn a_build_that_fails_says_why_to_those_who_ask() {
    let Some(project) = Project::shell("run = ['echo before; exit 7']") else { return };
    let foreground = project.tierce(["build"]).run();
    let id = start(&project);
    let waited = project.tierce(["runs", "wait", &id]).run();
    assert_eq!((waited.code, waited.error_code()), (foreground.code, foreground.error_code()));
    assert_eq!(waited.hint(), foreground.hint());
    assert_eq!(state(&project, &id), "failed");
    let log = project.tierce(["runs", "logs", "-f", &id]).ok();
    assert!(log.stdout.contains("| before"), "{log}");
    assert_eq!(log.error_code(), foreground.error_code());
    // The first that failed decides.
    project.write("tierce.toml", "name = 'a'\nbase = 'scratch'\n");
    let good = start(&project);
    let both = project.tierce(["runs", "wait", &good, &id]).run();
    assert_eq!((both.code, both.stdout.lines().count()), (foreground.code, 1), "{both}");
}

#[test]
fn a_run_whose_process_is_killed_is_lost_and_leaves_a_whole_store() {
    let Some(project) = Project::shell(LONG) else { return };
    let id = start(&project);
    let (child, lines) = follow_to(&project, &id, "| begun");
    assert_eq!(state(&project, &id), "running");
    let pid = process(&project, &id);
    // In a session of its own: what ends the terminal does not end it.
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).unwrap();
    let session = stat.rsplit_once(')').unwrap().1.split_whitespace().nth(3).unwrap().to_owned();
    assert_eq!(session, pid.as_raw_nonzero().to_string());
    let waiter = project.tierce(["runs", "wait", &id]).spawn();
    kill_process(pid, Signal::KILL).unwrap();
    let waited = Outcome::of(waiter.wait_with_output().unwrap());
    assert_eq!((waited.code, waited.error_code()), (3, Some("runs/lost")), "{waited}");
    assert!(waited.hint().is_some());
    assert_eq!(state(&project, &id), "lost");
    rest(child, lines);
    becomes("the step's end", || !is_running("sleep 1234"));
    // Nothing is left of it that stands in the way of the next one.
    project.tierce(["runs", "cancel", &id]).ok();
    let spec = fs::read_to_string(project.path("tierce.toml")).unwrap();
    project.write("tierce.toml", spec.replace("sleep 1234", "true"));
    project.tierce(["build"]).ok();
    let info = project.tierce(["cache", "info", "--format", "json"]).ok().json();
    assert_eq!(info["temporary"]["count"], 0, "{info}");
    assert_eq!(project.tierce(["runs", "prune"]).ok().line(), id);
}

#[test]
fn a_run_is_stopped_in_the_middle_of_a_step() {
    let Some(project) = Project::shell(&LONG.replace("1234", "1235")) else { return };
    let id = start(&project);
    let (child, lines) = follow_to(&project, &id, "| begun");
    // Those who wait for the same run learn the same.
    let waiters = [0; 2].map(|_| project.tierce(["runs", "wait", &id]).spawn());
    project.tierce(["cache", "prune"]).fails(3, "store/busy");
    let cancelled = project.tierce(["runs", "cancel", &id]).ok();
    assert!(cancelled.stderr.contains("has stopped"), "{cancelled}");
    for waiter in waiters {
        let waited = Outcome::of(waiter.wait_with_output().unwrap());
        assert_eq!((waited.code, waited.error_code()), (130, Some("cli/interrupted")), "{waited}");
    }
    assert!(rest(child, lines).contains("failed after"));
    assert_eq!(state(&project, &id), "cancelled");
    assert!(!is_running("sleep 1235"));
    let again = project.tierce(["runs", "cancel", &id]).ok();
    assert!(again.stderr.contains("has ended already"), "{again}");
}

#[test]
fn a_run_that_does_not_stop_is_killed() {
    let Some(project) = Project::shell(&LONG.replace("1234", "1236")) else { return };
    let id = start(&project);
    let (child, lines) = follow_to(&project, &id, "| begun");
    kill_process(process(&project, &id), Signal::STOP).unwrap();
    let cancelled = project.tierce(["runs", "cancel", "--patience", "0", &id]).ok();
    assert!(cancelled.stderr.contains("was killed"), "{cancelled}");
    rest(child, lines);
    assert_eq!(state(&project, &id), "cancelled");
    assert_eq!(project.tierce(["runs", "wait", &id]).run().code, 130);
    becomes("the step's end", || !is_running("sleep 1236"));
}

#[test]
fn who_waits_can_stop_waiting() {
    let Some(project) = Project::shell(&LONG.replace("1234", "1237")) else { return };
    let id = start(&project);
    let (child, lines) = follow_to(&project, &id, "| begun");
    for command in [&["runs", "wait"][..], &["runs", "logs", "-f"]] {
        let mut waiter = project.tierce(command.iter().copied()).args([&*id]).spawn();
        // Long enough to be waiting, on most machines; the test is the same where it is not.
        std::thread::sleep(Duration::from_millis(200));
        kill_process(Pid::from_child(&waiter), Signal::INT).unwrap();
        assert!(!waiter.wait().unwrap().success());
        assert_eq!(state(&project, &id), "running");
    }
    project.tierce(["runs", "cancel", &id]).ok();
    rest(child, lines);
}

#[test]
fn what_is_not_a_run_is_not_adopted() {
    let project = Project::assembled();
    let id = start(&project);
    project.tierce(["runs", "wait", &id]).ok();
    let directory = project.store().join("runs").join(&id);
    let directory = directory.to_str().unwrap();
    for directory in [directory, "/nonesuch", ""] {
        project.tierce(["__tierce-run", directory, "build"]).fails(70, "runs/not-ours");
    }
    assert_eq!(state(&project, &id), "succeeded");
}
