//! Which daemon: an address, a context, or the usual places.

use crate::docker::DockerSettings;
use crate::error::DockerError;
use serde::Deserialize;
use std::io;
use std::path::{Path, PathBuf};
use tierce_buildkit_client::{Endpoint, TlsFiles};
use tierce_oci::Digest;

/// Docker's ports, in the clear and with TLS.
const PORTS: [u16; 2] = [2375, 2376];

/// Where a daemon of root's listens.
const SYSTEM: &str = "/var/run/docker.sock";

/// Which daemon is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Daemon {
    /// One that is spoken to directly.
    At(Endpoint),
    /// One that only the `docker` command reaches (`ssh://`).
    Command(String),
}

impl Daemon {
    /// The daemon that `settings` mean: `docker.host`, else a context, else the usual places.
    pub(crate) fn find(settings: &DockerSettings) -> Result<Self, DockerError> {
        if let Some(host) = &settings.host {
            return Self::at(host, settings.cert_path.as_deref().map(tls_files));
        }
        let context = match &settings.context {
            Some(name) => Some(name.clone()),
            None => settings.config_dir.as_deref().and_then(current_context),
        };
        match context.filter(|name| name != "default") {
            Some(name) => Self::of_context(&name, settings),
            None => Ok(Daemon::At(Endpoint::Unix(usual_socket(settings)))),
        }
    }

    fn at(host: &str, tls: Option<TlsFiles>) -> Result<Self, DockerError> {
        if host.starts_with("ssh://") {
            return Ok(Daemon::Command(host.to_owned()));
        }
        let port = PORTS[usize::from(tls.is_some())];
        Ok(Daemon::At(Endpoint::parse(host, Some(port), tls)?))
    }

    /// The endpoint of a context of `docker context`: `contexts/meta/<sha256 of its name>`.
    fn of_context(name: &str, settings: &DockerSettings) -> Result<Self, DockerError> {
        let invalid = |source| DockerError::Context { name: name.to_owned(), source };
        let Some(config_dir) = &settings.config_dir else {
            return Err(invalid(io::Error::from(io::ErrorKind::NotFound)));
        };
        let digest = Digest::of(name.as_bytes()).to_string();
        let id = digest.rsplit(':').next().unwrap_or_default();
        let contexts = config_dir.join("contexts");
        let meta = std::fs::read(contexts.join("meta").join(id).join("meta.json"));
        let meta: Meta = serde_json::from_slice(&meta.map_err(invalid)?)
            .map_err(|error| invalid(io::Error::other(error)))?;
        let files = contexts.join("tls").join(id).join("docker");
        let tls = files.join("ca.pem").is_file().then(|| tls_files(&files));
        Self::at(&meta.endpoints.docker.host, tls)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Meta {
    endpoints: Endpoints,
}

#[derive(Deserialize)]
struct Endpoints {
    docker: ContextEndpoint,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ContextEndpoint {
    host: String,
}

/// What `docker context use` wrote down.
fn current_context(config_dir: &Path) -> Option<String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Config {
        current_context: Option<String>,
    }
    let config = std::fs::read(config_dir.join("config.json")).ok()?;
    serde_json::from_slice::<Config>(&config).ok()?.current_context.filter(|name| !name.is_empty())
}

/// Docker's names for the files of mutual TLS.
fn tls_files(directory: &Path) -> TlsFiles {
    let file = |name: &str| Some(directory.join(name)).filter(|file| file.is_file());
    TlsFiles {
        ca: file("ca.pem"),
        certificate: file("cert.pem"),
        key: file("key.pem"),
        server_name: None,
    }
}

/// The first of the usual sockets that is there: the system's, rootless Docker's, Docker
/// Desktop's; the system's where none is, so that the error names it.
fn usual_socket(settings: &DockerSettings) -> PathBuf {
    let rootless = settings.runtime_dir.as_ref().map(|dir| dir.join("docker.sock"));
    let desktop = settings.config_dir.as_ref().map(|dir| dir.join("run/docker.sock"));
    [Some(PathBuf::from(SYSTEM)), rootless, desktop]
        .into_iter()
        .flatten()
        .find(|socket| socket.exists())
        .unwrap_or_else(|| PathBuf::from(SYSTEM))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_context_names_its_daemon() {
        let config = tempfile::tempdir().unwrap();
        let digest = Digest::of(b"remote").to_string();
        let id = digest.strip_prefix("sha256:").unwrap();
        let meta = config.path().join("contexts/meta").join(id);
        std::fs::create_dir_all(&meta).unwrap();
        let text = r#"{"Name":"remote","Endpoints":{"docker":{"Host":"tcp://build.example"}}}"#;
        std::fs::write(meta.join("meta.json"), text).unwrap();
        std::fs::write(config.path().join("config.json"), r#"{"currentContext":"remote"}"#)
            .unwrap();
        let mut settings =
            DockerSettings { config_dir: Some(config.path().into()), ..DockerSettings::default() };
        let daemon = |settings: &DockerSettings| match Daemon::find(settings).unwrap() {
            Daemon::At(endpoint) => endpoint.to_string(),
            Daemon::Command(host) => host,
        };
        assert_eq!(daemon(&settings), "tcp://build.example:2375");

        let tls = config.path().join("contexts/tls").join(id).join("docker");
        std::fs::create_dir_all(&tls).unwrap();
        std::fs::write(tls.join("ca.pem"), "").unwrap();
        assert_eq!(daemon(&settings), "tcp://build.example:2376");

        settings.host = Some("unix:///elsewhere.sock".into());
        assert_eq!(daemon(&settings), "unix:///elsewhere.sock");
        settings.host = Some("ssh://me@build.example".into());
        assert_eq!(daemon(&settings), "ssh://me@build.example");

        settings.host = None;
        settings.context = Some("other".into());
        let error = Daemon::find(&settings).unwrap_err();
        assert!(matches!(error, DockerError::Context { .. }), "{error}");
    }
}
