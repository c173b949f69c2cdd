//! A snapshot of the process environment, so that tests need not change the real one.

use crate::ConfigError;
use crate::values::Flag;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::PathBuf;
use url::Url;

/// The variables of a process and the user's identity.
#[derive(Clone, Default)]
pub struct Environment {
    variables: BTreeMap<String, OsString>,
}

impl fmt::Debug for Environment {
    // Values may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.variables.keys()).finish()
    }
}

/// Whether this process is a task of an orchestrator's: nothing is built there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Execution {
    /// The variable that says so; `None` outside.
    pub marker: Option<&'static str>,
    /// Which image the container was started from, as the image itself says (`_F_IMG_ID`).
    pub image_id: Option<String>,
}

impl Execution {
    /// Whether it is.
    pub fn is_inside(&self) -> bool {
        self.marker.is_some()
    }
}

/// What says whether this is an execution, whatever the orchestrators' own variables say: a
/// program that builds images for others may itself be a task.
const IN_EXECUTION: &str = "TIERCE_IN_EXECUTION";

/// What flytekit's containers have; the second is its short form.
const FLYTEKIT_MARKERS: [&str; 2] = ["FLYTE_INTERNAL_EXECUTION_ID", "_F_NM"];

/// What Flyte 2's containers have; the first alone may be anybody's.
const FLYTE_MARKERS: [&str; 2] = ["ACTION_NAME", "FLYTE_INTERNAL_EXECUTION_PROJECT"];

/// Variables that programs run for the user need to reach the network as the user does.
const NETWORK_VARIABLES: [&str; 8] = [
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
];

/// Where distributions keep the bundle of trusted certificates, the commonest first.
const CA_BUNDLES: [&str; 5] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Where a user keeps credentials for package indexes, besides the indexes' own addresses.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct IndexCredentialSettings {
    /// The netrc file: `NETRC`, or `~/.netrc`. It need not be there.
    pub netrc: Option<PathBuf>,
    /// What `uv auth login` writes. It need not be there.
    pub uv: Option<PathBuf>,
    /// The indexes that `UV_INDEX` and `UV_DEFAULT_INDEX` give names, as `private=https://...`:
    /// uv's `UV_INDEX_PRIVATE_PASSWORD` is for them. Which indexes are used they don't say.
    pub names: Vec<(String, Url)>,
}

impl Environment {
    /// The environment of this process. Variables whose names are not UTF-8 are left out.
    pub fn of_process() -> Self {
        Self::from_variables(
            std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v))),
        )
    }

    /// An environment made of `variables`.
    pub fn from_variables<K: Into<String>, V: Into<OsString>>(
        variables: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        let variables = variables.into_iter().map(|(k, v)| (k.into(), v.into())).collect();
        Environment { variables }
    }

    /// A variable that is set, not empty, and UTF-8.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.variables.get(name)?.to_str().filter(|v| !v.is_empty())
    }

    /// A variable as it is, be it empty.
    pub fn raw(&self, name: &str) -> Option<&OsStr> {
        self.variables.get(name).map(OsString::as_os_str)
    }

    /// A variable that holds a path.
    pub fn path(&self, name: &str) -> Option<PathBuf> {
        self.variables.get(name).filter(|v| !v.is_empty()).map(PathBuf::from)
    }

    /// A variable that holds an absolute path: what the XDG base directory specification asks
    /// of its variables, relative ones being invalid.
    fn absolute(&self, name: &str) -> Option<PathBuf> {
        self.path(name).filter(|p| p.is_absolute())
    }

    /// The user's home directory.
    pub fn home(&self) -> Option<PathBuf> {
        self.absolute("HOME").or_else(std::env::home_dir)
    }

    /// `XDG_CACHE_HOME` or `~/.cache`.
    pub fn cache_home(&self) -> Option<PathBuf> {
        self.absolute("XDG_CACHE_HOME").or_else(|| Some(self.home()?.join(".cache")))
    }

    /// `XDG_CONFIG_HOME` or `~/.config`.
    pub fn config_home(&self) -> Option<PathBuf> {
        self.absolute("XDG_CONFIG_HOME").or_else(|| Some(self.home()?.join(".config")))
    }

    /// The directories of `PATH`, each once.
    pub fn search_path(&self) -> Vec<PathBuf> {
        let path = self.variables.get("PATH").cloned().unwrap_or_default();
        let mut seen = BTreeSet::new();
        let absolute = std::env::split_paths(&path).filter(|p| p.is_absolute());
        absolute.filter(|p| seen.insert(p.clone())).collect()
    }

    /// The files that may hold registry credentials, the most specific first: what
    /// `REGISTRY_AUTH_FILE` names, Docker's, podman's.
    pub fn registry_auth_files(&self) -> Vec<PathBuf> {
        let docker = self.docker_config_dir().map(|dir| dir.join("config.json"));
        let podman = self.runtime_dir().map(|dir| dir.join("containers/auth.json"));
        [self.path("REGISTRY_AUTH_FILE"), docker, podman].into_iter().flatten().collect()
    }

    /// Where Docker's own configuration is: `DOCKER_CONFIG` or `~/.docker`.
    pub fn docker_config_dir(&self) -> Option<PathBuf> {
        self.path("DOCKER_CONFIG").or_else(|| Some(self.home()?.join(".docker")))
    }

    /// `XDG_RUNTIME_DIR`, where the user's own daemons have their sockets.
    pub fn runtime_dir(&self) -> Option<PathBuf> {
        self.absolute("XDG_RUNTIME_DIR")
    }

    /// Where the user keeps credentials for package indexes, as uv finds them.
    pub fn index_credentials(&self) -> IndexCredentialSettings {
        let data_home = self.absolute("XDG_DATA_HOME");
        let data_home = data_home.or_else(|| Some(self.home()?.join(".local/share")));
        let uv = self.path("UV_CREDENTIALS_DIR");
        let uv = uv.or_else(|| Some(data_home?.join("uv/credentials")));
        let named = |text: &str| {
            let (name, url) = text.split_once('=')?;
            Some((name.to_owned(), url.parse().ok()?))
        };
        let lists = ["UV_DEFAULT_INDEX", "UV_INDEX"].iter().filter_map(|name| self.text(name));
        IndexCredentialSettings {
            netrc: self.path("NETRC").or_else(|| Some(self.home()?.join(".netrc"))),
            uv: uv.map(|directory| directory.join("credentials.toml")),
            names: lists.flat_map(str::split_whitespace).filter_map(named).collect(),
        }
    }

    /// Whether this is a task of an orchestrator's.
    pub fn execution(&self) -> Result<Execution, ConfigError> {
        let invalid = |source| ConfigError::Variable { name: IN_EXECUTION, source };
        let said = self.text(IN_EXECUTION).map(str::parse::<Flag>).transpose().map_err(invalid)?;
        let marker = match said {
            Some(Flag(true)) => Some(IN_EXECUTION),
            Some(Flag(false)) => None,
            None => {
                let flyte = FLYTE_MARKERS.iter().all(|name| self.text(name).is_some());
                FLYTEKIT_MARKERS
                    .into_iter()
                    .find(|name| self.text(name).is_some())
                    .or_else(|| flyte.then_some(FLYTE_MARKERS[0]))
            }
        };
        Ok(Execution { marker, image_id: self.text("_F_IMG_ID").map(str::to_owned) })
    }

    /// The bundle of certificates that this machine trusts, for programs inside build steps:
    /// `SSL_CERT_FILE`, else the distribution's.
    pub fn ca_bundle(&self) -> Option<PathBuf> {
        self.path("SSL_CERT_FILE")
            .filter(|p| p.is_file())
            .or_else(|| CA_BUNDLES.iter().map(PathBuf::from).find(|p| p.is_file()))
    }

    /// The proxy variables that are set.
    pub fn network_variables(&self) -> Vec<(String, String)> {
        NETWORK_VARIABLES
            .iter()
            .filter_map(|name| Some(((*name).to_owned(), self.text(name)?.to_owned())))
            .collect()
    }

    /// What `uv` may see: how to reach indexes and who asks. Nothing that decides what a
    /// requirement resolves to: that is the image's to say. Not `PATH` either: which interpreters
    /// exist must not matter.
    pub fn uv_variables(&self) -> Vec<(String, String)> {
        let is_credential = |name: &str| {
            name.starts_with("UV_INDEX_")
                && (name.ends_with("_USERNAME") || name.ends_with("_PASSWORD"))
        };
        let wanted = |name: &str| {
            UV_ALLOWED.contains(&name)
                || is_credential(name)
                || NETWORK_VARIABLES.contains(&name)
                || UV_SEES.contains(&name)
        };
        self.variables
            .iter()
            .filter(|(name, _)| wanted(name))
            .filter_map(|(name, value)| Some((name.clone(), value.to_str()?.to_owned())))
            .collect()
    }
}

/// Other people's variables that uv finds certificates and credentials by.
const UV_SEES: [&str; 7] = [
    "HOME",
    "NETRC",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
    "SSL_CLIENT_CERT",
    "UV_CREDENTIALS_DIR",
    "XDG_DATA_HOME",
];

/// Settings of uv's that say how to reach indexes.
const UV_ALLOWED: [&str; 9] = [
    "UV_CONCURRENT_DOWNLOADS",
    "UV_HTTP_CONNECT_TIMEOUT",
    "UV_HTTP_RETRIES",
    "UV_HTTP_TIMEOUT",
    "UV_INSECURE_HOST",
    "UV_KEYRING_PROVIDER",
    "UV_NATIVE_TLS",
    "UV_REQUEST_TIMEOUT",
    "UV_SYSTEM_CERTS",
];
