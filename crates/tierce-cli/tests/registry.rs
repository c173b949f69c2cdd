//! Images in a registry: a real one, `docker-registry` as Debian has it.

mod support;

use serde_json::{Value, json};
use std::fs;
use support::{PASSWORD, Project, Registry, USER, copy, inspect, unpack};

/// The requests with this method.
fn with_method<'a>(requests: &'a [String], method: &str) -> Vec<&'a str> {
    let start = format!("{method} ");
    requests.iter().filter(|r| r.starts_with(&start)).map(String::as_str).collect()
}

/// `base64(user:password)` in a `config.json`.
fn docker_config(project: &Project, registry: &Registry, auth: &str) {
    let config = json!({ "auths": { registry.address(): { "auth": auth } } });
    fs::create_dir_all(project.beside("home/.docker")).unwrap();
    fs::write(project.beside("home/.docker/config.json"), config.to_string()).unwrap();
}

#[test]
fn a_pushed_image_is_whole_and_found_with_one_request() {
    let Some(registry) = Registry::start() else { return };
    let project = Project::assembled();
    let team = format!("{}/team", registry.address());
    let push = ["build", "--push", "--registry", &team, "--format", "json"];
    let (built, requests) = registry.during(|| project.tierce(push).ok().json());
    let uri = built["uri"].as_str().unwrap();
    assert!(uri.starts_with(&format!("{team}/hello:t")), "{uri}");
    assert_eq!(built["status"], "built");
    let layers = built["platforms"][0]["layers"].as_array().unwrap();
    let size: u64 = layers.iter().filter_map(|l| l["size"].as_u64()).sum();
    assert!(built["bytes-uploaded"].as_u64() > Some(size), "{built}");
    assert!(built["requests"].as_u64() >= Some(requests.len() as u64 - 1), "{built} {requests:?}");
    // The tag comes last: whoever sees it sees the whole image.
    let last = requests.last().unwrap();
    assert!(last.starts_with("PUT ") && last.contains("/manifests/"), "{requests:?}");

    if let Some(image) = inspect([format!("docker://{uri}").as_str()]) {
        assert_eq!(image["Digest"], built["digest"]);
    }
    let pulled = project.beside("pulled");
    let layout = format!("oci:{}:pulled", pulled.display());
    if copy(&format!("docker://{uri}"), &layout).is_some()
        && let Some(unpacked) = unpack(&pulled, "pulled")
    {
        assert!(support::executable(&unpacked.file("usr/bin/tool")));
    }

    // From here on one request says it all, whichever machine asks.
    for project in [&project, &Project::assembled()] {
        let (again, requests) = registry.during(|| project.tierce(push).ok().json());
        let path = uri.split_once('/').unwrap().1.replace(':', "/manifests/");
        assert_eq!(requests, [format!("HEAD /v2/{path} 200")]);
        assert_eq!((&again["status"], &again["digest"]), (&json!("present"), &built["digest"]));
        let text = project.tierce(["build", "--push", "--registry", &team]).ok();
        assert_eq!(text.line(), uri);
        assert!(text.stderr.contains("is there already"), "{text}");
    }
    // An image of the registry is inspected and named by its URI as well.
    let report = Project::assembled().tierce(["inspect", uri, "--format", "json"]).ok().json();
    assert_eq!(report["digest"], built["digest"]);
    assert_eq!(report["platforms"][0]["layers"].as_array().map(Vec::len), Some(layers.len()));
}

#[test]
fn what_always_builds_is_pushed_without_uploading_twice() {
    let Some(registry) = Registry::start() else { return };
    let project = Project::assembled();
    let push = ["build", "--push", "--registry", registry.address(), "--format", "json"];
    let first = project.tierce(push).ok().json();
    for (args, status) in [
        (&["--tag", "latest"][..], "built"),
        (&["--tag", "latest"], "built"),
        (&["--force"], "built"),
        (&["--tag", "1.0"], "built"),
        // A tag of the user's own that is there for the platform is left alone.
        (&["--tag", "1.0"], "present"),
        (&["--tag", "1.0", "--platform", "linux/s390x"], "built"),
        (&["--tag", "1.0", "--force"], "built"),
    ] {
        let (built, requests) =
            registry.during(|| project.tierce(push).args(args.iter().copied()).ok().json());
        assert_eq!(built["status"], status, "{args:?}");
        let uploads = with_method(&requests, "POST");
        if args.contains(&"linux/s390x") {
            assert_eq!(uploads.len(), 1, "the configuration alone: {requests:?}");
        } else {
            assert_eq!(uploads, [""; 0], "{args:?}: {requests:?}");
            assert_eq!(built["digest"], first["digest"], "{args:?}");
        }
    }
    let (dry, requests) =
        registry.during(|| project.tierce(push).args(["--tag", "2", "--dry-run"]).ok().json());
    assert_eq!(dry["status"], "would-build");
    assert_eq!(requests.len(), 1, "{requests:?}");
}

#[test]
fn what_a_registry_has_lost_is_pushed_again() {
    let Some(registry) = Registry::start() else { return };
    let project = Project::assembled();
    let push = ["build", "--push", "--registry", registry.address(), "--format", "json"];
    let first = project.tierce(push).ok().json();
    let source = format!("docker://{}", first["uri"].as_str().unwrap());
    let layer = first["platforms"][0]["layers"][0]["digest"].as_str().unwrap();
    let whole = |name: &str| copy(&source, &format!("oci:{}", project.beside(name).display()));

    registry.forget();
    let again = project.tierce(push).ok().json();
    assert_eq!((&again["status"], &again["digest"]), (&json!("built"), &first["digest"]));
    assert_eq!(again["bytes-uploaded"], first["bytes-uploaded"]);
    whole("all");

    registry.lose("hello", layer);
    project.tierce(push).args(["--force"]).ok();
    whole("one");
}

#[test]
fn an_index_of_platforms_is_pushed() {
    let Some(registry) = Registry::start() else { return };
    let project = Project::assembled();
    let both = ["--platform", "linux/amd64,linux/arm64"];
    let push = ["build", "--push", "--registry", registry.address(), "--format", "json"];
    let push = || project.tierce(push.into_iter().chain(both));
    let built = push().ok().json();
    let uri = format!("docker://{}", built["uri"].as_str().unwrap());
    let Some(index) = inspect(["--raw", &uri]) else { return };
    assert_eq!(index["mediaType"], "application/vnd.oci.image.index.v1+json");
    let manifests = index["manifests"].as_array().unwrap();
    let found: Vec<(Value, Value)> = manifests
        .iter()
        .map(|m| (m["platform"]["architecture"].clone(), m["digest"].clone()))
        .collect();
    let platforms = built["platforms"].as_array().unwrap();
    let expected: Vec<(Value, Value)> = ["amd64", "arm64"]
        .iter()
        .zip(platforms)
        .map(|(architecture, platform)| (json!(architecture), platform["digest"].clone()))
        .collect();
    assert_eq!(found, expected);
    for architecture in ["amd64", "arm64"] {
        let args = ["--override-arch", architecture, "inspect", "--tls-verify=false", &uri];
        let image = support::run("skopeo", args).expect("skopeo is there");
        let image: Value = serde_json::from_str(&image).unwrap();
        assert_eq!(image["Architecture"], architecture);
    }
    let (again, requests) = registry.during(|| push().ok().json());
    assert_eq!((again["status"].as_str(), requests.len()), (Some("present"), 1), "{requests:?}");
    copy(&uri, &format!("oci:{}", project.beside("pulled").display()));
}

#[test]
fn a_base_stays_in_the_registry() {
    let Some(registry) = Registry::start() else { return };
    let base = Project::assembled();
    let push = ["build", "--push", "--registry", registry.address(), "--format", "json"];
    let base_image = base.tierce(push).args(["--tag", "1", "--force"]).ok().json();
    let base_uri = base_image["uri"].as_str().unwrap();
    let base_layers = base_image["platforms"][0]["layers"].as_array().unwrap();
    let layer_of_base =
        |request: &str| base_layers.iter().any(|l| request.contains(l["digest"].as_str().unwrap()));

    let project = Project::new(&format!(
        "name = 'child'\nbase = '{base_uri}'\ncopy = [{{ src = 'more', dst = '/srv/more' }}]\n\
         env = {{ C = '3' }}\n"
    ))
    .file("more/text", "more\n");
    let (built, requests) = registry.during(|| project.tierce(push).ok().json());
    let downloads = with_method(&requests, "GET");
    assert!(!downloads.iter().any(|r| layer_of_base(r)), "{requests:?}");
    assert_eq!(downloads.len(), 2, "its manifest and its configuration: {requests:?}");
    let mounts: Vec<&String> = requests.iter().filter(|r| r.contains("mount=")).collect();
    assert_eq!(mounts.len(), base_layers.len(), "{requests:?}");
    assert!(mounts.iter().all(|r| r.contains("from=hello") && r.ends_with(" 201")), "{mounts:?}");
    let layers = built["platforms"][0]["layers"].as_array().unwrap();
    assert_eq!(layers.len(), base_layers.len() + 1);

    let uri = format!("docker://{}", built["uri"].as_str().unwrap());
    let Some(config) = inspect(["--config", &uri]) else { return };
    assert_eq!(config["config"]["Env"], json!(["A=one two", "B=2", "C=3"]));
    assert_eq!(config["config"]["Entrypoint"], json!(["/usr/bin/tool", "--serve"]));
    let Some(manifest) = inspect(["--raw", &uri]) else { return };
    let annotations = &manifest["annotations"];
    assert_eq!(annotations["org.opencontainers.image.base.digest"], base_image["digest"]);
    assert_eq!(annotations["org.opencontainers.image.base.name"], base_uri);

    // Planning asks for the tag and nothing else; written to a file, the image has all layers.
    let (plan, requests) =
        registry.during(|| project.tierce(["plan", "--format", "json"]).ok().json());
    let actions: Vec<&str> = plan["platforms"][0]["layers"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|l| l["action"].as_str())
        .collect();
    assert_eq!(actions.iter().filter(|a| **a == "base").count(), base_layers.len(), "{plan}");
    assert_eq!(actions.last(), Some(&"cached"));
    assert_eq!(requests.len(), 1, "{requests:?}");
    let written = project.tierce(["build", "--output", "oci:out", "--format", "json"]).ok().json();
    assert_eq!(written["digest"], built["digest"]);
    let tag = written["uri"].as_str().unwrap().rsplit_once(':').unwrap().1;
    if let Some(unpacked) = unpack(&project.path("out"), tag) {
        assert!(unpacked.file("srv/more/text").is_file());
        assert!(unpacked.file("srv/app/main.py").is_file());
    }
}

#[test]
fn a_base_in_another_registry_is_copied() {
    let (Some(from), Some(to)) = (Registry::start(), Registry::start()) else { return };
    let base = Project::assembled();
    let push = ["build", "--push", "--format", "json", "--registry"];
    let base_image = base.tierce(push).args([from.address()]).ok().json();
    let (uri, digest) = (&base_image["uri"], &base_image["digest"]);
    let (name, _) = uri.as_str().unwrap().rsplit_once(':').unwrap();
    let project = Project::new(&format!("base = '{name}@{}'\n", digest.as_str().unwrap()));
    let built = project.tierce(push).args([to.address()]).ok().json();
    let pushed = format!("docker://{}", built["uri"].as_str().unwrap());
    copy(&pushed, &format!("oci:{}", project.beside("pulled").display()));
    // What a digest stands for is asked only once.
    let (_, requests) = from.during(|| project.tierce(push).args([to.address(), "--force"]).ok());
    assert_eq!(requests, [""; 0]);
}

#[test]
fn a_base_that_moves_is_built_upon_when_asked() {
    let Some(registry) = Registry::start() else { return };
    let push = ["build", "--push", "--registry", registry.address(), "--format", "json"];
    let base = Project::assembled();
    let moved = || base.tierce(push).args(["--tag", "1", "--force"]).ok().json();
    let uri = moved()["uri"].as_str().unwrap().to_owned();
    let project = Project::new(&format!("name = 'child'\nbase = '{uri}'\n"));
    let first = project.tierce(push).ok().json();
    base.write("app/main.py", "print('moved')\n");
    moved();
    let kept = project.tierce(push).ok().json();
    assert_eq!((&kept["status"], &kept["digest"]), (&json!("present"), &first["digest"]));
    let forced = project.tierce(push).args(["--force"]).ok().json();
    assert_ne!(forced["digest"], first["digest"]);
}

#[test]
fn credentials_open_a_private_registry() {
    let Some(registry) = Registry::private() else { return };
    let project = Project::assembled();
    let push = ["build", "--push", "--registry", registry.address()];
    // alice:correct horse
    docker_config(&project, &registry, "YWxpY2U6Y29ycmVjdCBob3JzZQ==");
    let uri = project.tierce(push).ok().line().to_owned();
    let (_, requests) = registry.during(|| project.tierce(push).ok());
    assert!(requests.len() <= 2, "a challenge at most: {requests:?}");
    let credentials = format!("{USER}:{PASSWORD}");
    if let Some(image) = inspect(["--creds", &credentials, &format!("docker://{uri}")]) {
        assert_eq!(image["Labels"]["org.example.kind"], "test");
    }
    // The file may be elsewhere, too.
    let file = project.beside("home/.docker/config.json");
    let elsewhere = project.beside("auth.json");
    fs::rename(file, &elsewhere).unwrap();
    let outcome = project.tierce(push).args(["--force"]).env("REGISTRY_AUTH_FILE", elsewhere).ok();
    assert_eq!(outcome.line(), uri);
}

#[test]
fn refused_credentials_are_an_error_that_says_what_next() {
    let Some(registry) = Registry::private() else { return };
    let project = Project::assembled();
    let push = ["build", "--push", "--registry", registry.address()];
    let anonymous = project.tierce(push).fails(4, "registry/denied");
    assert!(anonymous.hint().is_some_and(|h| h.contains("docker login")), "{anonymous}");
    // alice:wrong horse
    docker_config(&project, &registry, "YWxpY2U6d3JvbmcgaG9yc2U=");
    let wrong = project.tierce(push).fails(4, "registry/denied");
    assert!(wrong.hint().is_some_and(|h| h.contains("another")), "{wrong}");
    for secret in ["wrong horse", "YWxpY2U6d3JvbmcgaG9yc2U="] {
        assert!(!wrong.stderr.contains(secret), "{wrong}");
    }
    let debugged = project.tierce(push).env("TIERCE_LOG", "trace").run();
    assert!(!debugged.stderr.contains("wrong horse"), "no secret in a log");
    assert!(!debugged.stderr.contains("YWxpY2U6d3JvbmcgaG9yc2U="), "no secret in a log");
    let base = Project::new(&format!("base = '{}/hello:1'\n", registry.address()));
    base.tierce(["build"]).fails(4, "registry/denied");
}

#[test]
fn a_base_that_cannot_be_used_is_an_error() {
    let Some(registry) = Registry::start() else { return };
    let push = ["build", "--push", "--registry", registry.address(), "--format", "json"];
    let base = Project::assembled();
    let image = base.tierce(push).args(["--platform", "linux/arm64"]).ok().json();
    let uri = image["uri"].as_str().unwrap();
    let child = |base: &str| Project::new(&format!("base = '{base}'\n"));

    let missing = child(&format!("{}/none:1", registry.address()));
    let outcome = missing.tierce(["build"]).run();
    assert_ne!(outcome.code, 0, "{outcome}");
    assert!(outcome.stderr.contains("none:1") && outcome.hint().is_some(), "{outcome}");

    let other = child(uri);
    let build = ["build", "--platform", "linux/amd64"];
    let outcome = other.tierce(build).fails(2, "registry/no-platform");
    assert!(outcome.stderr.contains("linux/arm64") && outcome.hint().is_some(), "{outcome}");
    // A single manifest that is for one platform is for that one only, digest or not.
    let (name, _) = uri.rsplit_once(':').unwrap();
    let pinned = child(&format!("{name}@{}", image["digest"].as_str().unwrap()));
    pinned.tierce(build).fails(2, "registry/no-platform");

    // A layer that rots in the registry is found when it is needed here.
    let layer = image["platforms"][0]["layers"][0]["digest"].as_str().unwrap();
    let file = registry.blob_file(layer);
    let mut bytes = fs::read(&file).unwrap();
    bytes[20] ^= 1;
    fs::write(&file, bytes).unwrap();
    let rotten = child(uri);
    let build = ["build", "--platform", "linux/arm64", "--output", "oci:out"];
    let outcome = rotten.tierce(build).fails(4, "registry/digest-mismatch");
    assert!(outcome.stderr.contains(layer), "{outcome}");
    assert!(!rotten.path("out/index.json").exists());
}
