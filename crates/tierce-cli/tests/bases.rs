//! Images that start from other images of ours, and several images at once.

mod support;

use serde_json::{Value, json};
use std::fs;
use support::{Project, Registry, unpack};

/// An image `top` on an image `low`, neither of which runs anything.
fn stacked() -> Project {
    Project::new("name = 'top'\nbase = { spec = 'low/tierce.toml' }\ncopy = [{ src = 'app', dst = '/app' }]\n")
        .file("app/a.py", "a\n")
        .file(
            "low/tierce.toml",
            "name = 'low'\nbase = 'scratch'\nenv = { LOW = '1' }\n\
             copy = [{ src = 'lib', dst = '/lib' }]\n",
        )
        .file("low/lib/b.py", "b\n")
}

fn layers(build: &Value) -> Vec<String> {
    let layers = build["platforms"][0]["layers"].as_array().unwrap();
    layers.iter().map(|l| l["digest"].as_str().unwrap().to_owned()).collect()
}

/// The images that were built, in this order, as `--progress json` says.
fn started(stderr: &str) -> Vec<String> {
    let events = stderr.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let name = |event: Value| {
        let uri = event["uri"].as_str()?;
        let name = uri.rsplit('/').next()?.split(':').next()?;
        (event["event"] == "build-started").then(|| name.to_owned())
    };
    events.filter_map(name).collect()
}

#[test]
fn a_base_is_pushed_first_and_its_layers_are_mounted() {
    let Some(registry) = Registry::start() else { return };
    let project = stacked();
    let push = ["build", "--push", "--registry", registry.address(), "--format", "json"];
    let (built, requests) = registry.during(|| project.tierce(push).ok().json());
    let base = &built["base"];
    assert_eq!((&built["status"], &base["status"]), (&json!("built"), &json!("built")));
    let low = format!("{}/low:t", registry.address());
    assert!(base["uri"].as_str().unwrap().starts_with(&low), "{base}");
    assert_eq!(layers(&built)[..layers(base).len()], layers(base));
    let tagged: Vec<&String> =
        requests.iter().filter(|r| r.starts_with("PUT ") && r.contains("/manifests/t")).collect();
    assert!(tagged[0].contains("/low/") && tagged[1].contains("/top/"), "{tagged:?}");
    let mounts: Vec<&String> = requests.iter().filter(|r| r.contains("mount=")).collect();
    assert_eq!(mounts.len(), layers(base).len(), "{requests:?}");
    assert!(mounts.iter().all(|r| r.contains("from=low") && r.ends_with(" 201")), "{mounts:?}");

    // Another machine builds on what the registry has, and the result is the same.
    let elsewhere = stacked();
    let with_tag = |project: &Project, tag: &str| {
        registry.during(|| project.tierce(push).args(["--tag", tag]).ok().json())
    };
    let (there, requests) = with_tag(&elsewhere, "there");
    assert_eq!(there["base"]["status"], "present", "{there}");
    let blobs = layers(base);
    let fetched = |r: &&String| r.starts_with("GET ") && blobs.iter().any(|b| r.contains(b));
    assert_eq!(requests.iter().filter(fetched).count(), 0, "{requests:?}");
    let (here, _) = with_tag(&project, "here");
    assert_eq!(here["digest"], there["digest"]);
    assert_eq!(here["digest"], built["digest"]);

    // Nothing is done for a base whose image is there.
    let (again, requests) = registry.during(|| stacked().tierce(push).ok().json());
    assert_eq!((again["status"].as_str(), requests.len()), (Some("present"), 1), "{requests:?}");
}

#[test]
fn commands_run_on_what_the_base_made() {
    let Some(project) = Project::shell("run = ['echo low > /made', 'chmod 700 /old']") else {
        return;
    };
    let project = project.file(
        "top/tierce.toml",
        "name = 'top'\nbase = { spec = '../tierce.toml' }\nrun = ['cat /made /made > /twice', 'rm /made']\n",
    );
    let build = ["build", "top", "--format", "json", "--output", "oci:out", "--progress", "json"];
    let outcome = project.tierce(build).ok();
    assert_eq!(started(&outcome.stderr), ["shell", "top"]);
    let tag = outcome.json()["uri"].as_str().unwrap().rsplit_once(':').unwrap().1.to_owned();
    if let Some(unpacked) = unpack(&project.path("out"), &tag) {
        assert_eq!(fs::read_to_string(unpacked.file("twice")).unwrap(), "low\nlow\n");
        assert!(!unpacked.file("made").exists());
    }
    // Whatever is there already is not made again.
    project.write(
        "top/tierce.toml",
        "name = 'top'\nbase = { spec = '../tierce.toml' }\nrun = ['cat /made > /once']\n",
    );
    let outcome = project.tierce(build).ok();
    assert_eq!(started(&outcome.stderr), ["top"]);
    assert_eq!(outcome.json()["base"]["status"], "present");
}

#[test]
fn a_dry_run_shows_the_base_first_and_makes_nothing() {
    let Some(registry) = Registry::start() else { return };
    let project = stacked();
    let push = ["build", "--push", "--dry-run", "--registry", registry.address()];
    let (outcome, requests) = registry.during(|| project.tierce(push).ok());
    assert!(outcome.line().contains("/top:t"), "{outcome}");
    let base = outcome.stderr.find("first its base").expect("the base is shown");
    let lib = outcome.stderr.find("to /lib").expect("what the base copies");
    let app = outcome.stderr.find("to /app").expect("what the image copies");
    assert!(base < lib && lib < app, "{outcome}");
    assert!(requests.iter().all(|r| r.starts_with("HEAD ")), "{requests:?}");
    let build = project.tierce(push).args(["--format", "json"]).ok().json();
    let plan = &build["rendering"]["plan"]["platforms"][0]["layers"];
    // The whole image is planned: what is below, and what is added.
    assert_eq!(plan.as_array().map(Vec::len), Some(2), "{build}");
    assert_eq!(build["base"]["status"], "would-build");
    let info = project.tierce(["cache", "info", "--format", "json"]).ok().json();
    assert_eq!((&info["blobs"]["count"], &info["records"]), (&json!(0), &json!({})));
}

/// `a` and `b` on `low`, and `bad`, whose source is not there.
fn several() -> Project {
    let image = |name: &str, more: &str| {
        format!(
            "name = '{name}'\nbase = {{ spec = '../low/tierce.toml' }}\ncopy = [{{ src = '{more}', dst = '/{more}' }}]\n"
        )
    };
    stacked()
        .file("a/tierce.toml", image("a", "one"))
        .file("a/one", "1\n")
        .file("b/tierce.toml", image("b", "two"))
        .file("b/two", "2\n")
        .file("bad/tierce.toml", image("bad", "nowhere"))
}

#[test]
fn several_images_share_their_base() {
    let project = several();
    let build = ["build", "a", "b", "low", "--format", "json", "--progress", "json"];
    let outcome = project.tierce(build).ok();
    let built = outcome.json();
    let of = |key: &str| -> Vec<&str> {
        built.as_array().unwrap().iter().map(|b| b[key].as_str().unwrap()).collect()
    };
    assert_eq!(of("spec"), ["a", "b", "low"]);
    assert_eq!(of("status"), ["built", "built", "built"]);
    let mut order = started(&outcome.stderr);
    assert_eq!(order.remove(0), "low");
    order.sort();
    assert_eq!(order, ["a", "b"]);
    // For people, a table.
    let table = project.tierce(["build", "a", "b", "."]).ok();
    let words: Vec<Vec<&str>> =
        table.stdout.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(words.len(), 3, "{table}");
    let status: Vec<&str> = words.iter().map(|row| row[1]).collect();
    assert_eq!(status, ["present", "present", "built"]);
    assert_eq!(words[0][0], of("uri")[0]);
}

#[test]
fn one_image_that_fails_leaves_the_others_alone() {
    let project = several();
    let outcome = project.tierce(["build", "a", "bad", "b", "--format", "json"]).run();
    assert_eq!((outcome.code, outcome.error_code()), (2, None), "{outcome}");
    let built = outcome.json();
    let status: Vec<&Value> = built.as_array().unwrap().iter().map(|b| &b["status"]).collect();
    assert_eq!(status, ["built", "failed", "built"]);
    assert_eq!(built[1]["error"]["code"], "source/missing");
    let outcome = project.tierce(["build", "a", "bad"]).run();
    assert_eq!((outcome.code, outcome.error_code()), (2, Some("source/missing")), "{outcome}");
    assert!(outcome.stdout.lines().nth(1).is_some_and(|l| l.starts_with("bad ")), "{outcome}");
    // A specification that makes no sense stops all before anything is built.
    project.write("bad/tierce.toml", "name = 'bad'\nbase = 'scratch'\nworkdir = 'relative'\n");
    project.tierce(["build", "b", "bad"]).fails(2, "spec/invalid-workdir");
    project.tierce(["build", "a", "b", "--output", "oci:out"]).fails(2, "cli/usage");
}

#[test]
fn an_image_that_was_seen_is_taken_for_present_for_a_while() {
    let Some(registry) = Registry::start() else { return };
    let project = stacked();
    let push = ["build", "--push", "--registry", registry.address(), "--format", "json"];
    let asked = |args: &[&str]| {
        let (outcome, requests) =
            registry.during(|| project.tierce(push).args(args.iter().copied()).ok().json());
        (outcome["status"].as_str().unwrap().to_owned(), requests.len())
    };
    assert_eq!(asked(&[]).0, "built");
    let present = |requests| ("present".to_owned(), requests);
    // What was pushed has to be seen once.
    assert_eq!(asked(&[]), present(1));
    assert_eq!(asked(&[]), present(0));
    assert_eq!(asked(&["--no-check-cache"]), present(1));
    // To build is to push, and what was seen before says nothing of that.
    assert_eq!(asked(&["--force"]).0, "built");
    assert_eq!(asked(&[]), present(1));
    assert_eq!(asked(&[]), present(0));
    fs::create_dir_all(project.beside("home/.config/tierce")).unwrap();
    let config = project.beside("home/.config/tierce/config.toml");
    fs::write(config, "[check-cache]\nttl = '0'\n").unwrap();
    assert_eq!(asked(&[]), present(1));
    assert_eq!(asked(&[]), present(1));
}

#[test]
fn noop_gives_back_the_base() {
    let project = Project::new("name = 'app'\nbase = 'debian:12'\nenv = { A = '1' }\n");
    let outcome = project.tierce(["build", "--builder", "noop"]).ok();
    assert_eq!(outcome.line(), "docker.io/library/debian:12");
    assert!(outcome.stderr.contains("noop leaves out its 1 steps"), "{outcome}");
    stacked().tierce(["build", "--builder", "noop"]).fails(2, "noop/no-reference");
    let outcome = project.tierce(["build", "--builder", "nope"]).fails(2, "engine/unknown-builder");
    assert!(outcome.stderr.contains("native (built in), noop (built in)"), "{outcome}");
}
