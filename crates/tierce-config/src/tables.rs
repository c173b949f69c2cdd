//! The settings that are tables of their own.

use crate::ConfigError;
use crate::file::{BuildkitConfig, DockerConfig, PodmanConfig, RegistryConfig};
use crate::redact::options;
use crate::resolve::{Above, Resolver};
use crate::values::{Arguments, Flag, RegistryKey};
use std::collections::BTreeMap;
use std::path::PathBuf;
use tierce_oci::RegistryPath;
use url::Url;

/// What is particular about one registry, or about a part of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegistrySettings {
    /// Where to pull from first, in this order.
    pub mirrors: Vec<RegistryPath>,
    /// Whether to ask the registry itself when no mirror has an image.
    pub fallback: bool,
    /// Where everything is read and written instead.
    pub rewrite: Option<RegistryPath>,
    /// Certificate authorities to trust besides the machine's.
    pub ca: Option<PathBuf>,
    /// The certificate to show, and its key.
    pub identity: Option<ClientIdentity>,
    /// Whether to speak plain HTTP, where somebody said; else only hosts of this machine do.
    pub insecure: Option<bool>,
    /// Take any certificate. Dangerous: whoever is in between reads and writes along.
    pub skip_tls_verify: bool,
}

/// A certificate to show, and its key: PEM files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientIdentity {
    /// The certificate, with those that lead to its authority.
    pub cert: PathBuf,
    /// The key.
    pub key: PathBuf,
}

/// Where Debian packages come from.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct DebianSettings {
    /// The archive's mirror, instead of `deb.debian.org`.
    pub mirror: Option<Url>,
    /// The mirror of the security archive.
    pub security_mirror: Option<Url>,
    /// Where files are taken from that an archive has no more, instead of `snapshot.debian.org`.
    pub snapshot: Option<Url>,
    /// A keyring that signs the archive, beside the keys that tierce ships.
    pub keyring: Option<PathBuf>,
}

/// Where secrets of build steps come from, besides the environment.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretsSettings {
    /// Folders with a file for each secret.
    pub directories: Vec<PathBuf>,
    /// Files by the variable's name.
    pub files: BTreeMap<String, PathBuf>,
    /// Programs and their arguments by the variable's name.
    pub commands: BTreeMap<String, Vec<String>>,
}

/// How ImageSpecs are built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageSpecSettings {
    /// Whether they are pushed.
    pub push: bool,
    /// Whether they are built even if they exist.
    pub force_push: bool,
}

/// The docker builder.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct DockerSettings {
    /// The daemon's address.
    pub host: Option<String>,
    /// The context to use.
    pub context: Option<String>,
    /// The folder with `ca.pem`, `cert.pem` and `key.pem`.
    pub cert_path: Option<PathBuf>,
    /// Whether the daemon's certificate is checked, where somebody said.
    pub tls_verify: Option<bool>,
    /// The buildx builder.
    pub builder: Option<String>,
    /// Caches to read.
    pub cache_from: Vec<String>,
    /// Caches to write.
    pub cache_to: Vec<String>,
    /// Further arguments.
    pub extra_args: Vec<String>,
    /// Docker's own configuration: `DOCKER_CONFIG` or `~/.docker`.
    pub config_dir: Option<PathBuf>,
}

/// The podman builder.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct PodmanSettings {
    /// The service's address.
    pub host: Option<String>,
    /// Repositories to read cached layers from.
    pub cache_from: Vec<String>,
    /// Repositories to write cached layers to.
    pub cache_to: Vec<String>,
    /// Further arguments.
    pub extra_args: Vec<String>,
}

/// The buildkit builder.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct BuildkitSettings {
    /// The daemon's address.
    pub address: Option<String>,
    /// The certificate authority of the daemon.
    pub ca: Option<PathBuf>,
    /// The certificate to show.
    pub client_cert: Option<PathBuf>,
    /// Its key.
    pub client_key: Option<PathBuf>,
    /// The name in the daemon's certificate.
    pub server_name: Option<String>,
    /// Caches to read.
    pub cache_from: Vec<String>,
    /// Caches to write.
    pub cache_to: Vec<String>,
}

impl RegistrySettings {
    /// Whether something is said about its TLS, and so it has some, wherever it is.
    pub fn is_encrypted(&self) -> bool {
        self.insecure == Some(false)
            || self.insecure.is_none()
                && (self.ca.is_some() || self.identity.is_some() || self.skip_tls_verify)
    }

    /// Whether it needs a client of its own.
    pub fn has_own_tls(&self) -> bool {
        self.ca.is_some() || self.identity.is_some() || self.skip_tls_verify
    }
}

pub(crate) fn registries(r: &mut Resolver<'_>) -> BTreeMap<RegistryPath, RegistrySettings> {
    let names = r.names(|file| &file.registries);
    names.into_iter().map(|name| (name.0.clone(), registry(r, &name))).collect()
}

fn registry(r: &mut Resolver<'_>, key: &RegistryKey) -> RegistrySettings {
    let name = key.0.to_string();
    // Only what somebody said is worth a line: there are eight settings for each registry.
    macro_rules! get {
        ($field:ident, $last:literal) => {{
            let get = |table: &RegistryConfig| table.$field.clone();
            let value = r.value(&["registries", &name, $last], None, |file| {
                file.registries.get(key).and_then(get)
            });
            if value.is_none() {
                r.recorded.pop();
            }
            value
        }};
    }
    let mirrors = get!(mirrors, "mirrors");
    let fallback = get!(fallback, "fallback");
    let rewrite = get!(rewrite, "rewrite");
    let ca = get!(ca, "ca");
    let identity = match (get!(client_cert, "client-cert"), get!(client_key, "client-key")) {
        (Some(cert), Some(key)) => Some(ClientIdentity { cert, key }),
        // Files are checked one by one: halves can't come together here.
        _ => None,
    };
    RegistrySettings {
        mirrors: mirrors.unwrap_or_default().into_iter().map(|mirror| mirror.0).collect(),
        fallback: fallback.unwrap_or(true),
        rewrite: rewrite.map(|rewrite| rewrite.0),
        ca,
        identity,
        insecure: get!(insecure, "insecure"),
        skip_tls_verify: get!(skip_tls_verify, "skip-tls-verify").unwrap_or(false),
    }
}

pub(crate) fn debian(r: &mut Resolver<'_>) -> DebianSettings {
    let mirror = r.value(&["debian", "mirror"], None, |f| f.debian.mirror.clone());
    let security =
        r.value(&["debian", "security-mirror"], None, |f| f.debian.security_mirror.clone());
    DebianSettings {
        mirror: mirror.map(|a| a.0),
        security_mirror: security.map(|a| a.0),
        snapshot: r
            .value(&["debian", "snapshot"], None, |f| f.debian.snapshot.clone())
            .map(|a| a.0),
        keyring: r.value(&["debian", "keyring"], None, |f| f.debian.keyring.clone()),
    }
}

pub(crate) fn secrets(r: &mut Resolver<'_>) -> SecretsSettings {
    let directories = r.or_default(
        &["secrets", "directories"],
        None,
        |file| file.secrets.directories.clone(),
        vec!["/etc/secrets".into()],
    );
    let mut files = BTreeMap::new();
    for name in r.names(|file| &file.secrets.files) {
        let key = ["secrets", "files", &name];
        let path = r.value(&key, None, |file| file.secrets.files.get(&name).cloned());
        files.extend(path.map(|path| (name, path)));
    }
    let mut commands = BTreeMap::new();
    for name in r.names(|file| &file.secrets.commands) {
        // Arguments may be secrets themselves: the record has the program only.
        let key = ["secrets", "commands", &name];
        r.value(&key, None, |f| f.secrets.commands.get(&name).map(|argv| program(argv)));
        let mut layers = r.layers.iter();
        let argv = layers.find_map(|layer| layer.file.secrets.commands.get(&name));
        commands.extend(argv.map(|argv| (name, argv.clone())));
    }
    SecretsSettings { directories, files, commands }
}

fn program(argv: &[String]) -> Vec<String> {
    match argv {
        [program, _, ..] => vec![program.clone(), "***".to_owned()],
        short => short.to_vec(),
    }
}

pub(crate) fn image_spec(r: &mut Resolver<'_>) -> Result<ImageSpecSettings, ConfigError> {
    let push: Above<Flag> = r.variable(&["FLYTE_PUSH_IMAGE_SPEC"])?;
    let force: Above<Flag> = r.variable(&["FLYTE_FORCE_PUSH_IMAGE_SPEC"])?;
    let push = push.map(|(value, said)| (value.0, said));
    let force = force.map(|(value, said)| (value.0, said));
    Ok(ImageSpecSettings {
        push: r.or_default(&["image-spec", "push"], push, |f| f.image_spec.push, true),
        force_push: r.or_default(
            &["image-spec", "force-push"],
            force,
            |f| f.image_spec.force_push,
            false,
        ),
    })
}

pub(crate) fn docker(r: &mut Resolver<'_>) -> Result<DockerSettings, ConfigError> {
    macro_rules! get {
        ($field:ident, $last:literal, $above:expr) => {{
            let get = |table: &DockerConfig| table.$field.clone();
            let above = $above;
            r.value(&["docker", $last], above, |file| get(&file.docker))
        }};
    }
    let one = |above: Above<String>| above.map(|(text, said)| (vec![text], said));
    let arguments: Above<Arguments> = r.variable(&["FLYTE_DOCKER_BUILD_EXTRA_ARGS"])?;
    // As Docker has it: any value but the empty one.
    let verify = r.text(&["DOCKER_TLS_VERIFY"]).map(|(_, said)| (true, said));
    Ok(DockerSettings {
        host: get!(host, "host", r.text(&["DOCKER_HOST"])),
        context: get!(context, "context", r.text(&["DOCKER_CONTEXT"])),
        cert_path: get!(cert_path, "cert-path", r.path("DOCKER_CERT_PATH")),
        tls_verify: get!(tls_verify, "tls-verify", verify),
        builder: get!(builder, "builder", r.text(&["FLYTE_DOCKER_BUILDKIT_BUILDER_NAME"])),
        cache_from: get!(
            cache_from,
            "cache-from",
            one(r.text(&["FLYTE_DOCKER_BUILDER_CACHE_FROM"]))
        )
        .unwrap_or_default(),
        cache_to: get!(cache_to, "cache-to", one(r.text(&["FLYTE_DOCKER_BUILDER_CACHE_TO"])))
            .unwrap_or_default(),
        extra_args: r
            .value_as(
                &["docker", "extra-args"],
                arguments.map(|(args, said)| (args.0, said)),
                |file| file.docker.extra_args.clone(),
                |arguments| options(arguments),
            )
            .unwrap_or_default(),
        config_dir: r.env.docker_config_dir(),
    })
}

pub(crate) fn podman(r: &mut Resolver<'_>) -> PodmanSettings {
    macro_rules! get {
        ($field:ident, $last:literal, $above:expr) => {{
            let get = |table: &PodmanConfig| table.$field.clone();
            let above = $above;
            r.value(&["podman", $last], above, |file| get(&file.podman))
        }};
    }
    PodmanSettings {
        host: get!(host, "host", r.text(&["CONTAINER_HOST"])),
        cache_from: get!(cache_from, "cache-from", None).unwrap_or_default(),
        cache_to: get!(cache_to, "cache-to", None).unwrap_or_default(),
        extra_args: r
            .value_as(
                &["podman", "extra-args"],
                None,
                |file| file.podman.extra_args.clone(),
                |arguments| options(arguments),
            )
            .unwrap_or_default(),
    }
}

pub(crate) fn buildkit(r: &mut Resolver<'_>) -> BuildkitSettings {
    macro_rules! get {
        ($field:ident, $last:literal, $above:expr) => {{
            let get = |table: &BuildkitConfig| table.$field.clone();
            let above = $above;
            r.value(&["buildkit", $last], above, |file| get(&file.buildkit))
        }};
    }
    BuildkitSettings {
        address: get!(address, "address", r.text(&["BUILDKIT_HOST"])),
        ca: get!(ca, "ca", None),
        client_cert: get!(client_cert, "client-cert", None),
        client_key: get!(client_key, "client-key", None),
        server_name: get!(server_name, "server-name", None),
        cache_from: get!(cache_from, "cache-from", None).unwrap_or_default(),
        cache_to: get!(cache_to, "cache-to", None).unwrap_or_default(),
    }
}
