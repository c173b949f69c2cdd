//! Docker's configuration and its credential helpers.

mod support;

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use support::basic;
use tierce_registry::{Credential, CredentialError, Credentials, DockerConfigCredentials, Secret};

fn config(json: &str, helpers: &[&Path]) -> Result<DockerConfigCredentials, CredentialError> {
    let dirs = helpers.iter().map(PathBuf::from).collect();
    DockerConfigCredentials::from_json(json, "/home/me/.docker/config.json", dirs)
}

fn lookup(json: &str, registry: &str) -> Option<Credential> {
    config(json, &[]).unwrap().lookup(registry).unwrap()
}

// base64 of alice:secret
const ALICE: &str = r#"{"auth":"YWxpY2U6c2VjcmV0"}"#;

#[test]
fn entries_are_for_exactly_one_host() {
    for (key, registry, found) in [
        ("ghcr.io", "ghcr.io", true),
        ("https://ghcr.io", "ghcr.io", true),
        ("https://ghcr.io/v2/", "ghcr.io", true),
        ("localhost:5000", "localhost:5000", true),
        ("https://index.docker.io/v1/", "docker.io", true),
        ("docker.io", "docker.io", true),
        ("ghcr.io", "ghcr.io.evil.example", false),
        ("ghcr.io", "evil-ghcr.io", false),
        ("ghcr.io", "sub.ghcr.io", false),
        ("localhost:5000", "localhost", false),
        ("localhost", "localhost:5000", false),
        // podman's entries for a part of a registry are not for all of it
        ("quay.io/team", "quay.io", false),
        ("https://index.docker.io/v1/", "index.docker.io.evil.example", false),
    ] {
        let json = format!(r#"{{"auths":{{"{key}":{ALICE}}}}}"#);
        let expected = found.then(|| basic("alice", "secret"));
        assert_eq!(lookup(&json, registry), expected, "{key} for {registry}");
    }
}

#[test]
fn every_form_of_an_entry() {
    let secret = || Secret::new("s");
    for (entry, expected) in [
        (r#"{"auth":"YWxpY2U6czpz"}"#, Some(basic("alice", "s:s"))),
        // without padding, as people write it
        (r#"{"auth":"YWxpY2U6cw"}"#, Some(basic("alice", "s"))),
        (r#"{"username":"alice","password":"s"}"#, Some(basic("alice", "s"))),
        (r#"{"auth":"YWxpY2U6","identitytoken":"s"}"#, Some(Credential::IdentityToken(secret()))),
        (r#"{"registrytoken":"s"}"#, Some(Credential::BearerToken(secret()))),
        // what `docker login` leaves when a credential store has the rest
        ("{}", None),
    ] {
        let json = format!(r#"{{"auths":{{"r.example":{entry}}},"HttpHeaders":{{"a":"b"}}}}"#);
        assert_eq!(lookup(&json, "r.example"), expected, "{entry}");
    }
    assert_eq!(lookup("{}", "r.example"), None);
}

#[test]
fn errors_name_the_file_and_nothing_secret() {
    let error = config("{\"auths\": [", &[]).unwrap_err();
    assert!(error.to_string().contains("/home/me/.docker/config.json"), "{error}");
    for auth in ["*not base64*", "bm8tY29sb24"] {
        let json = format!(r#"{{"auths":{{"r.example":{{"auth":"{auth}"}}}}}}"#);
        let error = config(&json, &[]).unwrap().lookup("r.example").unwrap_err();
        let shown = format!("{error} {error:?}");
        assert!(shown.contains("config.json") && shown.contains("r.example"), "{shown}");
        assert!(!shown.contains(auth), "{shown}");
        // Others may still be looked up.
        assert_eq!(lookup(&json, "other.example"), None);
    }
    let shown = format!("{:?}", config(&format!(r#"{{"auths":{{"r":{ALICE}}}}}"#), &[]).unwrap());
    assert!(!shown.contains("YWxpY2U6c2VjcmV0"), "{shown}");
}

#[test]
fn a_configuration_that_is_not_there_is_empty() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config.json");
    assert_eq!(DockerConfigCredentials::at(&path, vec![]).lookup("r.example").unwrap(), None);
    std::fs::write(&path, format!(r#"{{"auths":{{"r.example":{ALICE}}}}}"#)).unwrap();
    let found = DockerConfigCredentials::at(&path, vec![]).lookup("r.example").unwrap();
    assert_eq!(found, Some(basic("alice", "secret")));
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    let error = DockerConfigCredentials::at(&path, vec![]).lookup("r.example").unwrap_err();
    assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
}

/// A helper that knows two servers and fails on a third.
const HELPER: &str = r#"#!/bin/sh
[ "$1" = get ] || exit 9
case "$(cat)" in
user.example) echo '{"ServerURL":"user.example","Username":"alice","Secret":"from-helper"}' ;;
token.example) echo '{"ServerURL":"token.example","Username":"<token>","Secret":"t"}' ;;
https://index.docker.io/v1/) echo '{"Username":"hub","Secret":"h"}' ;;
broken.example) echo 'keychain is locked'; exit 1 ;;
garbage.example) echo 'hunter2' ;;
*) echo 'credentials not found in native keychain'; exit 1 ;;
esac
"#;

fn helper_dir() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("docker-credential-fake");
    std::fs::write(&path, HELPER).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    dir
}

#[test]
fn helpers_are_asked() {
    let dir = helper_dir();
    let empty = tempfile::tempdir().unwrap();
    let json = format!(
        r#"{{"credsStore":"fake","credHelpers":{{"special.example":"missing"}},
             "auths":{{"user.example":{ALICE},"plain.example":{ALICE}}}}}"#
    );
    let config = config(&json, &[empty.path(), dir.path()]).unwrap();
    let get = |registry: &str| config.lookup(registry);
    assert_eq!(get("user.example").unwrap(), Some(basic("alice", "from-helper")));
    assert_eq!(get("token.example").unwrap(), Some(Credential::IdentityToken(Secret::new("t"))));
    assert_eq!(get("docker.io").unwrap(), Some(basic("hub", "h")));
    // What the store does not know may stand in the file.
    assert_eq!(get("plain.example").unwrap(), Some(basic("alice", "secret")));
    assert_eq!(get("unknown.example").unwrap(), None);

    let error = get("broken.example").unwrap_err();
    assert!(error.to_string().ends_with("keychain is locked"), "{error}");
    let error = get("garbage.example").unwrap_err();
    assert!(matches!(error, CredentialError::HelperOutput { .. }));
    assert!(!format!("{error} {error:?}").contains("hunter2"));
    // The registry's own helper goes before the store.
    let error = get("special.example").unwrap_err();
    assert!(error.to_string().contains("docker-credential-missing"), "{error}");
}

#[test]
fn helpers_are_names_and_not_paths() {
    let dir = helper_dir();
    let json = r#"{"credsStore":"x/../docker-credential-fake"}"#;
    let error = config(json, &[dir.path()]).unwrap().lookup("user.example").unwrap_err();
    assert!(matches!(error, CredentialError::HelperMissing { .. }), "{error:?}");
}
