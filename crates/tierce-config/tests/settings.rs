//! What the environment and the files come to.

mod support;

use std::path::PathBuf;
use std::time::Duration;
use support::World;
use tierce_config::{Environment, Settings, UnknownImage};
use tierce_oci::Diagnostic;

#[test]
fn the_store_is_in_the_cache_directory_unless_said_otherwise() {
    let world = World::new();
    let store = |extra: &[(&str, &str)]| World::new().variables(extra).settings().store;
    assert_eq!(world.settings().store, world.path("home/.cache/tierce"));
    assert_eq!(store(&[("XDG_CACHE_HOME", "/c")]), PathBuf::from("/c/tierce"));
    assert!(store(&[("XDG_CACHE_HOME", "relative")]).ends_with("home/.cache/tierce"));
    assert_eq!(store(&[("TIERCE_STORE", "/s")]), PathBuf::from("/s"));
    let world = World::new().user("store = \"here\"\n");
    assert_eq!(world.settings().store, world.path("home/.config/tierce/here"));
    let world = World::new().user("store = \"~/there\"\n");
    assert_eq!(world.settings().store, world.path("home/there"));
}

#[test]
fn policies_ttls_and_flags_are_read_wherever_they_are() {
    let unknown = |world: World| world.settings().unknown;
    assert_eq!(unknown(World::new()), UnknownImage::Build);
    assert_eq!(unknown(World::new().user("unknown = \"fail\"")), UnknownImage::Fail);
    for (name, value, expected) in [
        ("TIERCE_UNKNOWN_IMAGE", "assume-present", UnknownImage::AssumePresent),
        ("FLYTE_IMG_FAST_FAIL", "True", UnknownImage::Fail),
        ("FLYTE_IMG_FAST_FAIL", "1", UnknownImage::Fail),
        ("FLYTE_IMG_FAST_FAIL", "0", UnknownImage::Build),
    ] {
        let world = World::new().user("unknown = \"build\"").variable(name, value);
        assert_eq!(unknown(world), expected, "{name}={value}");
    }
    let ttl = |text: &str| World::new().user(text).settings().check_cache_ttl;
    assert_eq!(ttl(""), Duration::from_secs(86_400));
    assert_eq!(ttl("check-cache = { ttl = \"90m\" }"), Duration::from_secs(5_400));
    assert_eq!(ttl("check-cache.ttl = \"0\""), Duration::ZERO);
    let spec = World::new().settings().image_spec;
    assert_eq!((spec.push, spec.force_push), (true, false));
    let world = World::new()
        .variables(&[("FLYTE_PUSH_IMAGE_SPEC", "False"), ("FLYTE_FORCE_PUSH_IMAGE_SPEC", "yes")]);
    let spec = world.settings().image_spec;
    assert_eq!((spec.push, spec.force_push), (false, true));
}

#[test]
fn variables_that_say_nothing_sensible_are_named() {
    for (name, value) in [
        ("TIERCE_UNKNOWN_IMAGE", "perhaps"),
        ("FLYTE_IMG_FAST_FAIL", "maybe"),
        ("FLYTE_PUSH_IMAGE_SPEC", "maybe"),
        ("TIERCE_REGISTRY", "https://me:hunter2@ghcr.io"),
        ("FLYTE_IMAGE_REGISTRY", "ghcr.io/Upper"),
        ("TIERCE_INDEX", "no url, hunter2"),
        ("FLYTE_DOCKER_BUILD_EXTRA_ARGS", "'hunter2"),
        ("TIERCE_IN_EXECUTION", "x"),
    ] {
        let error = World::new().variable(name, value).load().unwrap_err();
        assert_eq!(error.code(), "config/invalid-variable", "{name}");
        assert!(error.to_string().contains(name), "{error}");
        let cause = std::error::Error::source(&error).unwrap().to_string();
        assert!(!format!("{error:?} {cause}").contains("hunter2"), "{error:?} {cause}");
    }
}

#[test]
fn builders_get_their_settings() {
    let world = World::new()
        .user(
            "docker.extra-args = [\"--pull\"]\n\
             podman = { host = \"ssh://box\", cache-from = [\"r.example/c\"] }\n\
             [buildkit]\naddress = \"tcp://b:1234\"\nca = \"ca.pem\"\nclient-cert = \"c.pem\"\n\
             client-key = \"k.pem\"\nserver-name = \"b.example\"\n",
        )
        .variables(&[
            ("DOCKER_HOST", "tcp://d:2376"),
            ("DOCKER_TLS_VERIFY", "1"),
            ("FLYTE_DOCKER_BUILDER_CACHE_FROM", "type=registry,ref=r.example/c"),
        ]);
    let settings = world.settings();
    assert_eq!(settings.docker.host.as_deref(), Some("tcp://d:2376"));
    assert_eq!(settings.docker.tls_verify, Some(true));
    assert_eq!(settings.docker.cache_from, ["type=registry,ref=r.example/c"]);
    assert_eq!(settings.docker.extra_args, ["--pull"]);
    assert_eq!(settings.podman.host.as_deref(), Some("ssh://box"));
    assert_eq!(settings.podman.cache_from, ["r.example/c"]);
    assert_eq!(settings.buildkit.address.as_deref(), Some("tcp://b:1234"));
    assert_eq!(settings.buildkit.ca, Some(world.path("home/.config/tierce/ca.pem")));
    let world = world.variable("FLYTE_DOCKER_BUILD_EXTRA_ARGS", "--label 'a=b c' --no-cache");
    assert_eq!(world.settings().docker.extra_args, ["--label", "a=b c", "--no-cache"]);
    let shown = world.entry("docker.extra-args");
    assert!(
        shown.starts_with("[\"--label\", \"***\", \"--no-cache\"] from FLYTE_DOCKER"),
        "{shown}"
    );
    let world = world.variable("PATH", "/usr/bin:/bin:/usr/bin:bin::/bin");
    assert_eq!(world.settings().search_path, ["/usr/bin", "/bin"].map(std::path::Path::new));
}

#[test]
fn an_execution_is_told_by_its_markers() {
    for (variables, marker) in [
        (&[][..], None),
        (&[("FLYTE_INTERNAL_EXECUTION_ID", "x")], Some("FLYTE_INTERNAL_EXECUTION_ID")),
        (&[("_F_NM", "x")], Some("_F_NM")),
        (&[("ACTION_NAME", "a0")], None),
        (&[("ACTION_NAME", "a0"), ("FLYTE_INTERNAL_EXECUTION_PROJECT", "p")], Some("ACTION_NAME")),
        (&[("TIERCE_IN_EXECUTION", "1")], Some("TIERCE_IN_EXECUTION")),
        (&[("TIERCE_IN_EXECUTION", "0"), ("FLYTE_INTERNAL_EXECUTION_ID", "x")], None),
    ] {
        let execution = World::new().variables(variables).settings().execution;
        assert_eq!(execution.marker, marker, "{variables:?}");
        assert_eq!(execution.is_inside(), marker.is_some());
    }
    let execution = World::new().variable("_F_IMG_ID", "abc").settings().execution;
    assert_eq!(execution.image_id.as_deref(), Some("abc"));
}

#[test]
fn uv_sees_how_to_reach_indexes_and_nothing_that_changes_a_lock() {
    let world = World::new().variables(&[
        ("UV_INDEX_CORP_PASSWORD", "secret"),
        ("UV_HTTP_TIMEOUT", "60"),
        ("UV_RESOLUTION", "lowest"),
        ("UV_PYTHON", "3.8"),
        ("UV_PUBLISH_TOKEN", "secret"),
        ("PATH", "/bin"),
        ("https_proxy", "p"),
    ]);
    let names: Vec<String> =
        world.settings().uv_variables.into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["HOME", "UV_HTTP_TIMEOUT", "UV_INDEX_CORP_PASSWORD", "https_proxy"]);
}

#[test]
fn docker_and_podman_credentials_are_found() {
    let world =
        World::new().variables(&[("XDG_RUNTIME_DIR", "/run/user/1"), ("DOCKER_CONFIG", "/d")]);
    assert_eq!(
        world.settings().registry_auth_files,
        [PathBuf::from("/d/config.json"), PathBuf::from("/run/user/1/containers/auth.json")]
    );
}

#[test]
fn nothing_shows_what_may_be_a_secret() {
    let settings = World::new()
        .user(
            "index = \"https://u:hunter2@pypi.example/simple\"\n\
             debian.mirror = \"http://u:hunter2@mirror.example/debian\"\n\
             secrets.commands.TOKEN = [\"op\", \"hunter2\"]\n\
             buildkit.cache-to = [\"type=s3,bucket=b,secret_access_key=hunter2\"]\n\
             docker.extra-args = [\"--build-arg=TOKEN=hunter2\"]\n",
        )
        .variables(&[
            ("UV_INDEX_CORP_PASSWORD", "hunter2"),
            ("HTTPS_PROXY", "http://u:hunter2@proxy"),
            ("PYPI_TOKEN", "hunter2"),
        ])
        .settings();
    assert!(settings.index.as_ref().unwrap().as_str().contains("hunter2"));
    assert_eq!(settings.secrets.commands["TOKEN"], ["op", "hunter2"]);
    let shown = format!("{settings:?} {settings:#?} {:?}", settings.environment);
    assert!(!shown.contains("hunter2"), "{shown}");
    assert!(shown.contains("pypi.example"));
}

#[test]
fn without_a_home_a_store_must_be_named() {
    // The user database may know a home where the environment has none.
    if Environment::default().home().is_some() {
        eprintln!("skipped: this user has a home whatever the environment says");
        return;
    }
    let error = Settings::from_environment(&Environment::default()).unwrap_err();
    assert_eq!(error.code(), "config/no-home");
}

#[test]
fn conda_channels_are_where_conda_looks_for_them() {
    let alias = |world: World| world.settings().conda_channel_alias.map(|url| url.to_string());
    assert_eq!(alias(World::new()), None);
    let file = "conda-channel-alias = \"https://file.example/conda\"\n";
    let found = alias(World::new().user(file));
    assert_eq!(found.as_deref(), Some("https://file.example/conda"));
    let variable = [("CONDA_CHANNEL_ALIAS", "https://variable.example")];
    let found = alias(World::new().user(file).variables(&variable));
    assert_eq!(found.as_deref(), Some("https://variable.example/"));
}

#[test]
fn builds_of_python_come_from_where_uv_looks_for_them() {
    let there = "python-install-mirror = \"https://file.example/python\"\n\
                 python-downloads-json-url = \"https://file.example/list.json\"\n";
    let places = |world: World| {
        let settings = world.settings();
        let text = |url: Option<url::Url>| url.map(|url| url.to_string()).unwrap_or_default();
        (text(settings.python_install_mirror), text(settings.python_downloads))
    };
    assert_eq!(places(World::new()), (String::new(), String::new()));
    let expected = ("https://file.example/python", "https://file.example/list.json");
    let (mirror, list) = places(World::new().user(there));
    assert_eq!((mirror.as_str(), list.as_str()), expected);
    let variables = [
        ("UV_PYTHON_INSTALL_MIRROR", "https://me:hunter2@variable.example/python"),
        ("UV_PYTHON_DOWNLOADS_JSON_URL", "/srv/list.json"),
    ];
    let (mirror, list) = places(World::new().user(there).variables(&variables));
    assert_eq!(mirror, variables[0].1);
    assert_eq!(list, "file:///srv/list.json");
}
