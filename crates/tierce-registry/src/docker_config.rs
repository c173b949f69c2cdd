//! Credentials out of Docker's `config.json` and its credential helpers.
//!
//! Follows the Docker CLI's "Configuration files" and "Credential stores" documentation, and
//! podman's `auth.json`, which has the same form. Which file, and where helpers are looked for,
//! is the caller's to say.

use crate::{Credential, CredentialError, Credentials, Secret};
use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

/// Under which name Docker keeps Docker Hub's credentials.
const DOCKER_HUB_KEY: &str = "https://index.docker.io/v1/";

/// What a helper says where it knows no credential, in every implementation of the protocol.
const NOT_FOUND: &str = "credentials not found in native keychain";

/// The user that stands for an identity token in a helper's answer.
const TOKEN_USER: &str = "<token>";

/// Hand-written configurations leave out the padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The credentials of one Docker configuration file.
#[derive(Debug)]
pub struct DockerConfigCredentials {
    path: PathBuf,
    helper_dirs: Vec<PathBuf>,
    config: OnceLock<Config>,
}

#[derive(Debug, Default, Deserialize)]
struct Config {
    #[serde(default)]
    auths: BTreeMap<String, Entry>,
    #[serde(default, rename = "credHelpers")]
    helpers: BTreeMap<String, String>,
    #[serde(default, rename = "credsStore")]
    store: Option<String>,
}

#[derive(Default, Deserialize)]
struct Entry {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
    identitytoken: Option<String>,
    registrytoken: Option<String>,
}

/// Says which fields there are and not what is in them.
impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Entry").field("username", &self.username).finish_non_exhaustive()
    }
}

impl DockerConfigCredentials {
    /// The configuration at `path`, read when the first credential is looked up; none there is
    /// as good as an empty one. Helper programs are looked for in `helper_dirs`, in order.
    pub fn at(path: impl Into<PathBuf>, helper_dirs: Vec<PathBuf>) -> Self {
        DockerConfigCredentials { path: path.into(), helper_dirs, config: OnceLock::new() }
    }

    /// The configuration in `json`, which errors say is at `path`.
    pub fn from_json(
        json: &str,
        path: impl Into<PathBuf>,
        helper_dirs: Vec<PathBuf>,
    ) -> Result<Self, CredentialError> {
        let path = path.into();
        let config = parse(json.as_bytes(), &path)?.into();
        Ok(DockerConfigCredentials { path, helper_dirs, config })
    }

    fn config(&self) -> Result<&Config, CredentialError> {
        if let Some(config) = self.config.get() {
            return Ok(config);
        }
        let config = match std::fs::read(&self.path) {
            Ok(json) => parse(&json, &self.path)?,
            Err(e)
                if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) =>
            {
                Config::default()
            }
            Err(source) => return Err(CredentialError::Read { path: self.path.clone(), source }),
        };
        Ok(self.config.get_or_init(|| config))
    }

    fn in_entry(&self, key: &str, entry: &Entry) -> Result<Option<Credential>, CredentialError> {
        let given = |field: &Option<String>| field.clone().filter(|text| !text.is_empty());
        if let Some(token) = given(&entry.identitytoken) {
            return Ok(Some(Credential::IdentityToken(Secret::new(token))));
        }
        if let Some(token) = given(&entry.registrytoken) {
            return Ok(Some(Credential::BearerToken(Secret::new(token))));
        }
        if let Some(auth) = given(&entry.auth) {
            let malformed =
                || CredentialError::Auth { path: self.path.clone(), registry: key.to_owned() };
            let pair = BASE64.decode(auth.trim()).map_err(|_| malformed())?;
            let pair = String::from_utf8(pair).map_err(|_| malformed())?;
            let (user, password) = pair.split_once(':').ok_or_else(malformed)?;
            // Docker's own files end in NULs sometimes.
            let password = Secret::new(password.trim_end_matches('\0'));
            return Ok(Some(Credential::Basic { user: user.to_owned(), password }));
        }
        Ok(match (given(&entry.username), given(&entry.password)) {
            (Some(user), Some(password)) => {
                Some(Credential::Basic { user, password: Secret::new(password) })
            }
            _ => None,
        })
    }

    /// Runs `docker-credential-<name> get` (Docker's "Credential helper protocol").
    fn ask_helper(&self, name: &str, server: &str) -> Result<Option<Credential>, CredentialError> {
        let program = self.helper(name)?;
        let failed_to_run =
            |source| CredentialError::HelperRun { program: program.clone(), source };
        let output = run(&program, server).map_err(failed_to_run)?;
        if !output.status.success() {
            // Helpers complain on stdout.
            let said = [output.stdout, output.stderr].concat();
            let said = String::from_utf8_lossy(&said);
            if said.contains(NOT_FOUND) {
                return Ok(None);
            }
            let last = said.lines().rev().map(str::trim).find(|line| !line.is_empty());
            let message = last.map_or_else(|| output.status.to_string(), str::to_owned);
            let registry = server.to_owned();
            return Err(CredentialError::HelperFailed { program, registry, message });
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Answer {
            username: String,
            secret: String,
        }
        let answer: Answer = serde_json::from_slice(&output.stdout).map_err(|_| {
            CredentialError::HelperOutput { program: program.clone(), registry: server.to_owned() }
        })?;
        let secret = Secret::new(answer.secret);
        Ok(match answer.username.as_str() {
            "" if secret.expose().is_empty() => None,
            TOKEN_USER => Some(Credential::IdentityToken(secret)),
            _ => Some(Credential::Basic { user: answer.username, password: secret }),
        })
    }

    fn helper(&self, name: &str) -> Result<PathBuf, CredentialError> {
        use std::os::unix::fs::PermissionsExt;
        let program = format!("docker-credential-{name}");
        let executable = |path: &PathBuf| {
            path.metadata().is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
        };
        let found = match name.contains('/') {
            true => None,
            false => self.helper_dirs.iter().map(|dir| dir.join(&program)).find(executable),
        };
        found.ok_or(CredentialError::HelperMissing { program })
    }
}

impl Credentials for DockerConfigCredentials {
    fn lookup(&self, registry: &str) -> Result<Option<Credential>, CredentialError> {
        let config = self.config()?;
        let server = if registry == "docker.io" { DOCKER_HUB_KEY } else { registry };
        let helper = config.helpers.iter().find(|(key, _)| is_for(key, registry));
        let helper = helper.map(|(_, name)| name).or(config.store.as_ref());
        if let Some(name) = helper.filter(|name| !name.is_empty())
            && let Some(found) = self.ask_helper(name, server)?
        {
            return Ok(Some(found));
        }
        for (key, entry) in config.auths.iter().filter(|(key, _)| is_for(key, registry)) {
            if let Some(found) = self.in_entry(key, entry)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }
}

fn parse(json: &[u8], path: &Path) -> Result<Config, CredentialError> {
    serde_json::from_slice(json)
        .map_err(|source| CredentialError::Parse { path: path.to_owned(), source })
}

/// Whether an entry is for exactly this registry. Keys are hosts, or URLs as old versions of
/// Docker wrote them; those with another path are podman's, for parts of a registry, and not
/// for all of it.
fn is_for(key: &str, registry: &str) -> bool {
    let bare = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://")).unwrap_or(key);
    let (host, path) = bare.split_once('/').unwrap_or((bare, ""));
    if !matches!(path.trim_end_matches('/'), "" | "v1" | "v2") {
        return false;
    }
    match registry {
        "docker.io" => matches!(host, "docker.io" | "index.docker.io" | "registry-1.docker.io"),
        _ => host == registry,
    }
}

fn run(program: &Path, server: &str) -> io::Result<Output> {
    let mut helper = Command::new(program)
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    if let Some(mut stdin) = helper.stdin.take() {
        // One that does not read its input has still an answer.
        match stdin.write_all(server.as_bytes()) {
            Err(e) if e.kind() != io::ErrorKind::BrokenPipe => return Err(e),
            _ => {}
        }
    }
    helper.wait_with_output()
}
