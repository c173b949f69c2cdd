//! What the environment and `config.toml` come to.

use std::path::PathBuf;
use tierce_config::{ConfigError, Environment, Settings};
use tierce_oci::Diagnostic;

fn environment(home: &std::path::Path, extra: &[(&str, &str)]) -> Environment {
    let home = home.to_str().unwrap().to_owned();
    let extra = extra.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
    Environment::from_variables([("HOME".to_owned(), home)].into_iter().chain(extra))
}

fn with_config(text: &str, extra: &[(&str, &str)]) -> Result<Settings, ConfigError> {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join(".config/tierce");
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::write(dir.join("config.toml"), text).unwrap();
    Settings::from_environment(&environment(home.path(), extra))
}

#[test]
fn the_store_is_in_the_cache_directory_unless_said_otherwise() {
    let home = tempfile::tempdir().unwrap();
    let store = |extra: &[(&str, &str)]| {
        Settings::from_environment(&environment(home.path(), extra)).unwrap().store
    };
    assert_eq!(store(&[]), home.path().join(".cache/tierce"));
    assert_eq!(store(&[("XDG_CACHE_HOME", "/c")]), PathBuf::from("/c/tierce"));
    assert_eq!(store(&[("XDG_CACHE_HOME", "relative")]), home.path().join(".cache/tierce"));
    assert_eq!(store(&[("TIERCE_STORE", "/s")]), PathBuf::from("/s"));
}

#[test]
fn variables_outrank_the_file() {
    let text = "registry = \"ghcr.io/file\"\nbuilder = \"docker\"\n";
    let settings = with_config(text, &[]).unwrap();
    assert_eq!(settings.registry.as_deref(), Some("ghcr.io/file"));
    assert_eq!(settings.builder.as_deref(), Some("docker"));
    let settings =
        with_config(text, &[("TIERCE_REGISTRY", "r.example"), ("FLYTE_IMAGE_BUILDER", "f")]);
    let settings = settings.unwrap();
    assert_eq!(settings.registry.as_deref(), Some("r.example"));
    assert_eq!(settings.builder.as_deref(), Some("f"));
}

#[test]
fn registries_can_be_insecure_by_name() {
    let text = "[registries.\"r.example:5000\"]\ninsecure = true\n[registries.other]\n";
    assert_eq!(with_config(text, &[]).unwrap().insecure_registries, ["r.example:5000"]);
}

#[test]
fn an_unknown_key_is_an_error_with_a_code() {
    let error = with_config("registri = \"x\"", &[]).unwrap_err();
    assert_eq!(error.code(), "config/invalid");
    assert!(std::error::Error::source(&error).unwrap().to_string().contains("registri"));
}

#[test]
fn uv_sees_how_to_reach_indexes_and_nothing_that_changes_a_lock() {
    let home = tempfile::tempdir().unwrap();
    let env = environment(
        home.path(),
        &[
            ("UV_INDEX_CORP_PASSWORD", "secret"),
            ("UV_HTTP_TIMEOUT", "60"),
            ("UV_RESOLUTION", "lowest"),
            ("UV_PYTHON", "3.8"),
            ("UV_PUBLISH_TOKEN", "secret"),
            ("PATH", "/bin"),
            ("https_proxy", "p"),
        ],
    );
    let names: Vec<String> = env.uv_variables().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["HOME", "UV_HTTP_TIMEOUT", "UV_INDEX_CORP_PASSWORD", "https_proxy"]);
}

#[test]
fn the_index_of_the_environment_outranks_the_file() {
    let text = "index = \"https://file.example/simple\"";
    let index = |extra: &[(&str, &str)]| with_config(text, extra).unwrap().index.unwrap();
    assert_eq!(index(&[]).as_str(), "https://file.example/simple");
    let set = index(&[("UV_DEFAULT_INDEX", "https://env.example/simple")]);
    assert_eq!(set.as_str(), "https://env.example/simple");
    let error = with_config(text, &[("TIERCE_INDEX", "no url, secret")]).unwrap_err();
    assert_eq!(error.code(), "config/invalid-index");
    assert!(!format!("{error:?} {error}").contains("secret"));
}

#[test]
fn docker_and_podman_credentials_are_found() {
    let home = tempfile::tempdir().unwrap();
    let env =
        environment(home.path(), &[("XDG_RUNTIME_DIR", "/run/user/1"), ("DOCKER_CONFIG", "/d")]);
    assert_eq!(
        env.registry_auth_files(),
        [PathBuf::from("/d/config.json"), PathBuf::from("/run/user/1/containers/auth.json")]
    );
}
