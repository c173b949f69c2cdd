//! Settings: who says what, and what comes of it.

mod support;

use serde_json::{Value, json};
use std::fs;
use std::path::PathBuf;
use support::{Project, Registry, Tierce, run};

const IMAGE: &str = "name = \"app\"\nbase = \"scratch\"\n";

/// The program, without the project's own choice of a store.
fn tierce<'a>(project: &Project, args: impl IntoIterator<Item = &'a str>) -> Tierce {
    project.tierce(args)
}

/// Writes the user's `config.toml`.
fn user_config(project: &Project, text: &str) -> PathBuf {
    let path = project.beside("home/.config/tierce/config.toml");
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, text).unwrap();
    path
}

fn setting(project: &Project, key: &str) -> Value {
    let shown = tierce(project, ["config", "show", "--format", "json"]).ok().json();
    let entries = shown.as_array().unwrap();
    entries.iter().find(|entry| entry["key"] == key).unwrap_or_else(|| panic!("{key}")).clone()
}

#[test]
fn each_setting_says_where_it_comes_from() {
    let project = Project::new(&format!("{IMAGE}\n[workspace]\nunknown = \"fail\"\n"));
    let config = user_config(
        &project,
        "registry = \"ghcr.io/user\"\nunknown = \"build\"\n\
         index = \"https://me:hunter2@pypi.example/simple\"\n",
    );
    let tierce_toml = project.path("tierce.toml").canonicalize().unwrap();
    let show = ["config", "show", "--origin"];
    let shown = tierce(&project, show).env("TIERCE_IMAGE_BUILDER", "kiln").ok();
    for line in [
        format!("registry = \"ghcr.io/user\"  # {}:1", config.display()),
        "builder = \"kiln\"  # TIERCE_IMAGE_BUILDER".to_owned(),
        format!("unknown = \"fail\"  # {}:5", tierce_toml.display()),
        "check-cache.ttl = \"1d\"  # default".to_owned(),
        format!("index = \"https://***@pypi.example/simple\"  # {}:3", config.display()),
        format!("store = \"{}\"  # TIERCE_STORE", project.store().display()),
        "# debian.mirror is not set".to_owned(),
    ] {
        assert!(shown.stdout.lines().any(|l| l == line), "no {line:?}: {shown}");
    }
    // What it prints is what it reads.
    let plain = tierce(&project, ["config", "show"]).ok().stdout;
    assert!(!plain.contains("hunter2"), "{plain}");
    let copy = project.beside("copy.toml");
    fs::write(&copy, plain.replace("***@", "")).unwrap();
    let again = tierce(&project, ["config", "get", "registry", "/"]).env("TIERCE_CONFIG", &copy);
    assert_eq!(again.ok().line(), "ghcr.io/user");

    let entry = setting(&project, "unknown");
    let origin = json!({ "kind": "file", "file": "workspace", "path": tierce_toml, "line": 5 });
    assert_eq!(entry, json!({ "key": "unknown", "value": "fail", "origin": origin }));
    assert_eq!(setting(&project, "builder")["value"], Value::Null);
    let schema = tierce(&project, ["config", "schema"]).ok().json();
    assert!(schema["properties"]["registries"].is_object());
}

#[test]
fn the_command_line_outranks_everything() {
    let project = Project::new(&format!("{IMAGE}[workspace]\nregistry = \"ghcr.io/project\"\n"));
    let get = |args: &[&str], variables: &[(&str, &str)]| {
        let args = ["config", "get", "registry", "--origin"].iter().chain(args).copied();
        let program = tierce(&project, args);
        let program = variables.iter().fold(program, |p, (name, value)| p.env(name, value));
        program.ok().line().to_owned()
    };
    let flyte = "image:\n  registry: ghcr.io/flyte\n";
    fs::create_dir_all(project.beside("home/.flyte")).unwrap();
    fs::write(project.beside("home/.flyte/config.yaml"), flyte).unwrap();
    assert!(get(&["/"], &[]).starts_with("ghcr.io/flyte  # "));
    user_config(&project, "registry = \"ghcr.io/user\"\n");
    assert!(get(&["/"], &[]).starts_with("ghcr.io/user  # "));
    assert!(get(&[], &[]).starts_with("ghcr.io/project  # "));
    let variables = [("FLYTE_IMAGE_REGISTRY", "ghcr.io/variable")];
    assert_eq!(get(&[], &variables), "ghcr.io/variable  # FLYTE_IMAGE_REGISTRY");
    assert_eq!(get(&["--registry", "ghcr.io/flag"], &variables), "ghcr.io/flag  # --registry");

    let name = |args: &[&str]| {
        tierce(&project, ["key"].iter().chain(args).copied()).ok().line().to_owned()
    };
    assert!(name(&[]).starts_with("ghcr.io/project/app:"), "{}", name(&[]));
    let builder = ["config", "get", "builder", "--builder", "kiln", "--origin"];
    assert_eq!(tierce(&project, builder).ok().line(), "kiln  # --builder");
    let unknown = ["config", "get", "unknown", "--unknown", "fail"];
    assert_eq!(tierce(&project, unknown).ok().line(), "fail");
    tierce(&project, ["config", "show", "--unknown", "maybe"]).fails(2, "cli/usage");
    let image = ["config", "get", "images.base", "--image", "base=python:3.12", "--origin"];
    assert_eq!(tierce(&project, image).ok().line(), "docker.io/library/python:3.12  # --image");
    let image = ["config", "get", "images.default", "--image", "r.example/x"];
    assert_eq!(tierce(&project, image).ok().line(), "r.example/x");
}

#[test]
fn the_files_are_named() {
    let project = Project::new(IMAGE).file("sub/tierce.toml", IMAGE);
    let paths = |spec: &str| tierce(&project, ["config", "path", spec]).ok().stdout;
    let user = project.beside("home/.config/tierce/config.toml");
    assert_eq!(paths("."), format!("user       {} (not there)\n", user.display()));
    user_config(&project, "");
    project.write("tierce.toml", "[workspace]\n");
    let workspace = project.path("tierce.toml").canonicalize().unwrap();
    let expected = format!("workspace  {}\nuser       {}\n", workspace.display(), user.display());
    assert_eq!(paths("sub"), expected);
    assert_eq!(paths("sub/tierce.toml"), expected);
    let found = tierce(&project, ["config", "path", "--format", "json"]).ok().json();
    assert_eq!(found[0], json!({ "kind": "workspace", "path": workspace, "exists": true }));
    let named = tierce(&project, ["config", "path", "/"]).env("TIERCE_CONFIG", "elsewhere.toml");
    let expected = project.path("").canonicalize().unwrap().join("elsewhere.toml");
    assert_eq!(named.ok().line(), format!("user       {} (not there)", expected.display()));
}

#[test]
fn mistakes_are_told_with_their_place() {
    let project = Project::new(IMAGE);
    let config = user_config(&project, "registri = \"x\"\n");
    let outcome = tierce(&project, ["key"]).fails(2, "config/invalid");
    assert!(outcome.stderr.contains(&format!("{}:1:1: ", config.display())), "{outcome}");
    user_config(&project, "");
    project.write("tierce.toml", format!("{IMAGE}[workspace]\nstore = \"/tmp\"\n"));
    let outcome = tierce(&project, ["build"]).fails(2, "config/user-only");
    assert!(outcome.stderr.contains("tierce.toml:4: store"), "{outcome}");
    project.write("tierce.toml", "[workspace]\n");
    tierce(&project, ["key"]).fails(2, "spec/no-image");
    tierce(&project, ["config", "get", "registri"]).fails(2, "cli/no-setting");
    let outcome = tierce(&project, ["key"])
        .env("FLYTE_IMG_FAST_FAIL", "x")
        .fails(2, "config/invalid-variable");
    assert!(outcome.stderr.contains("FLYTE_IMG_FAST_FAIL"), "{outcome}");
}

#[test]
fn what_flytes_file_gets_wrong_is_a_warning() {
    let project = Project::new(IMAGE);
    project.write(".flyte/config.yaml", "image:\n  registry: https://ghcr.io\n");
    for args in [&["key"][..], &["config", "show"]] {
        let outcome = tierce(&project, args.iter().copied()).ok();
        assert!(outcome.stderr.contains("image.registry ignored"), "{outcome}");
    }
}

/// Builds an image on a base that is in a registry that is not there, but for its mirror.
#[test]
fn bases_come_from_mirrors() {
    let Some(mirror) = Registry::start() else { return };
    let base = Project::assembled();
    let cache = format!("{}/cache", mirror.address());
    let pushed = tierce(&base, ["build", "--push", "--registry", &cache, "-t", "1"]).ok();
    assert_eq!(pushed.line(), format!("{cache}/hello:1"));

    let project = Project::new("name = \"app\"\nbase = \"hub.invalid/team/hello:1\"\n");
    let output = ["build", "--output", "oci:out"];
    tierce(&project, output).fails(4, "registry/unreachable");
    let cache = format!("{cache}\"]");
    user_config(&project, &format!("[registries.\"hub.invalid/team\"]\nmirrors = [\"{cache}\n"));
    let (_, requests) = mirror.during(|| tierce(&project, output).ok());
    assert!(requests.iter().any(|r| r.contains("/v2/cache/hello/manifests/1")), "{requests:?}");
    // What only starts alike is somebody else's.
    user_config(&project, &format!("[registries.\"hub.invalid/te\"]\nmirrors = [\"{cache}\n"));
    tierce(&project, ["build", "--force", "--output", "oci:out"]).fails(4, "registry/unreachable");
}

#[test]
fn names_of_images_are_looked_up() {
    let project = Project::new("name = \"app\"\nbase = { ref = \"ours\" }\n");
    let key = |args: &[&str]| tierce(&project, ["key"].iter().chain(args).copied());
    assert_eq!(key(&[]).run().code, 2);
    let on = |base: &str| {
        project.write("direct/tierce.toml", format!("name = \"app\"\nbase = {base:?}\n"));
        key(&["direct"]).ok().line().to_owned()
    };
    assert_eq!(key(&["--image", "ours=r.example/x:1"]).ok().line(), on("r.example/x:1"));
    user_config(&project, "images.ours = \"r.example/user:1\"\n");
    assert_eq!(key(&[]).ok().line(), on("r.example/user:1"));
    assert_eq!(key(&["--image", "ours=r.example/x:1"]).ok().line(), on("r.example/x:1"));
    project.write("../tierce.toml", "[workspace.images]\nours = \"r.example/workspace:1\"\n");
    assert_eq!(key(&[]).ok().line(), on("r.example/workspace:1"));
}

/// A certificate of a new authority for `localhost`, and the authority's.
fn certificates(project: &Project) -> Option<[PathBuf; 4]> {
    let files = ["ca.pem", "ca.key", "leaf.pem", "leaf.key"].map(|name| project.beside(name));
    let [ca, ca_key, leaf, leaf_key] = files.each_ref().map(|path| path.to_str().unwrap());
    let new = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
    let authority =
        ["-subj", "/CN=ca", "-keyout", ca_key, "-out", ca, "-addext", "basicConstraints=CA:TRUE"];
    run("openssl", new.into_iter().chain(authority))?;
    let issued =
        ["-subj", "/CN=leaf", "-keyout", leaf_key, "-out", leaf, "-CA", ca, "-CAkey", ca_key];
    let names = ["-addext", "basicConstraints=CA:FALSE", "-addext", "subjectAltName=DNS:localhost"];
    run("openssl", new.into_iter().chain(issued).chain(names))?;
    Some(files)
}

#[test]
fn a_registry_may_have_an_authority_of_its_own() {
    let project = Project::assembled();
    let Some([ca, _, leaf, key]) = certificates(&project) else { return };
    let Some(registry) = Registry::encrypted(&leaf, &key, Some(&ca)) else { return };
    let host = registry.address().replace("127.0.0.1", "localhost");
    let push = ["build", "--push", "--registry", &host];
    // Hosts of this machine speak plain HTTP unless something is said about their TLS.
    assert_ne!(tierce(&project, push).run().code, 0);
    let table = format!("[registries.\"{host}\"]\n");
    user_config(&project, &format!("{table}ca = {ca:?}\n"));
    assert_ne!(tierce(&project, push).run().code, 0, "it wants a certificate");
    let identity = format!("client-cert = {leaf:?}\nclient-key = {key:?}\n");
    user_config(&project, &format!("{table}insecure = false\n{identity}"));
    tierce(&project, push).fails(4, "registry/tls");
    user_config(&project, &format!("{table}ca = \"../../../ca.pem\"\n{identity}"));
    tierce(&project, push).ok();
    // The whole program's authorities do as well.
    user_config(&project, &format!("{table}{identity}"));
    tierce(&project, push).env("SSL_CERT_FILE", &ca).ok();
    user_config(&project, &format!("{table}skip-tls-verify = true\n{identity}"));
    tierce(&project, push).ok();
    user_config(&project, &format!("{table}ca = \"missing.pem\"\n"));
    tierce(&project, push).fails(3, "fetch/ca-file");
}
