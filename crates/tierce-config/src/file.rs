//! What a `config.toml` holds, and the `[workspace]` table of a `tierce.toml`.
//!
//! The descriptions here are the schema's: they are written for those who edit the file.

use crate::values::{
    Address, DebianBase, ImageName, PushRegistry, RegistryKey, TimeSpan, UnknownImage,
};
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

/// The standing choices of a user, or of a project. Every key is optional.
#[derive(Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
#[schemars(title = "tierce config.toml")]
pub struct ConfigFile {
    /// Where images without a registry of their own are pushed: "ghcr.io/me".
    pub registry: Option<PushRegistry>,
    /// The builder to use.
    pub builder: Option<String>,
    /// Where the store is. Only in the user's own config.toml.
    pub store: Option<PathBuf>,
    /// The Python package index, instead of PyPI.
    pub index: Option<Address>,
    /// What has python-build-standalone's releases, instead of releases.astral.sh and GitHub, for
    /// images whose base has no Python.
    pub python_install_mirror: Option<Address>,
    /// The list of the builds that there are, in the format of uv's, instead of the pinned one.
    pub python_downloads_json_url: Option<Address>,
    /// Where conda channels are that are given by name alone, instead of
    /// https://conda.anaconda.org.
    pub conda_channel_alias: Option<Address>,
    /// What to do about an image when nobody can tell whether it exists; "build" unless set.
    pub unknown: Option<UnknownImage>,
    /// What images start from that only say which Python they want.
    pub debian_base: Option<DebianBase>,
    /// Images by name, for those that refer to them by name only.
    pub images: BTreeMap<String, ImageName>,
    /// Settings for single registries, by "host", "host:port" or "host/path".
    pub registries: BTreeMap<RegistryKey, RegistryConfig>,
    /// What is remembered of images that were found in their registries.
    pub check_cache: CheckCacheConfig,
    /// The Python that loads Python files, or the folder of its environment; a name alone is
    /// looked for on the PATH. Only in the user's own config.toml.
    pub python: Option<PathBuf>,
    /// The Debian archive.
    pub debian: DebianConfig,
    /// Where secrets of build steps come from. Only in the user's own config.toml.
    pub secrets: SecretsConfig,
    /// How ImageSpecs are built.
    pub image_spec: ImageSpecConfig,
    /// The docker builder.
    pub docker: DockerConfig,
    /// The podman builder.
    pub podman: PodmanConfig,
    /// The buildkit builder.
    pub buildkit: BuildkitConfig,
    /// Registered builders, by name: a `flavor`, and that flavor's settings. Only in the user's own
    /// config.toml.
    #[schemars(with = "BTreeMap<String, BTreeMap<String, serde_json::Value>>")]
    pub builders: BTreeMap<String, toml::Table>,
    /// Registered flavors of builders, by name. Only in the user's own config.toml.
    pub flavors: BTreeMap<String, FlavorEntry>,
}

impl fmt::Debug for ConfigFile {
    // There may be credentials in it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConfigFile").finish_non_exhaustive()
    }
}

/// What is particular about one registry, or about a part of one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct RegistryConfig {
    /// Where to pull from first, in this order. Only in the user's own config.toml.
    pub mirrors: Option<Vec<RegistryKey>>,
    /// Whether to ask the registry itself when no mirror has an image; true unless set.
    pub fallback: Option<bool>,
    /// Where everything is read and written instead. Only in the user's own config.toml.
    pub rewrite: Option<RegistryKey>,
    /// A PEM file with certificate authorities to trust besides the machine's. Only in the user's
    /// own config.toml.
    pub ca: Option<PathBuf>,
    /// A PEM file with the certificate to show. Only in the user's own config.toml.
    pub client_cert: Option<PathBuf>,
    /// A PEM file with its key. Only in the user's own config.toml.
    pub client_key: Option<PathBuf>,
    /// Speak plain HTTP; loopback hosts need no such entry. Only in the user's own config.toml.
    pub insecure: Option<bool>,
    /// DANGEROUS: take any certificate; whoever is in between reads the credentials and can
    /// change the images. Only in the user's own config.toml.
    pub skip_tls_verify: Option<bool>,
}

/// What is remembered of images that were found in their registries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct CheckCacheConfig {
    /// For how long: "1d" unless set; "0" remembers nothing.
    pub ttl: Option<TimeSpan>,
}

/// A flavor of builders that the user registered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct FlavorEntry {
    /// The program that builds; a name alone is looked for on the PATH.
    pub program: PathBuf,
}

/// Where Debian packages come from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct DebianConfig {
    /// The archive's mirror, instead of deb.debian.org.
    pub mirror: Option<Address>,
    /// The mirror of the security archive.
    pub security_mirror: Option<Address>,
    /// Where files are taken from that an archive has no more, instead of snapshot.debian.org.
    pub snapshot: Option<Address>,
    /// A keyring that signs the archive, beside the keys that tierce ships.
    pub keyring: Option<PathBuf>,
}

/// Where secrets of build steps come from, besides the environment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct SecretsConfig {
    /// Folders with a file for each secret, of its variable's name: ["/etc/secrets"] unless set.
    pub directories: Option<Vec<PathBuf>>,
    /// Files with single secrets, by the variable's name.
    pub files: BTreeMap<String, PathBuf>,
    /// Programs that print single secrets, with their arguments, by the variable's name.
    pub commands: BTreeMap<String, Vec<String>>,
}

/// How ImageSpecs are built.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct ImageSpecConfig {
    /// Whether they are pushed to their registry; true unless set.
    pub push: Option<bool>,
    /// Whether they are built even if they exist.
    pub force_push: Option<bool>,
}

/// The docker builder.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct DockerConfig {
    /// The daemon's address: "unix:///run/docker.sock", "tcp://host:2376". Only in the user's own
    /// config.toml.
    pub host: Option<String>,
    /// The context to use, as `docker context ls` lists them. Only in the user's own config.toml.
    pub context: Option<String>,
    /// A folder with ca.pem, cert.pem and key.pem for a daemon that speaks TLS. Only in the user's
    /// own config.toml.
    pub cert_path: Option<PathBuf>,
    /// Whether the daemon's certificate is checked. Only in the user's own config.toml.
    pub tls_verify: Option<bool>,
    /// The buildx builder to use, as `docker buildx ls` lists them. Only in the user's own
    /// config.toml.
    pub builder: Option<String>,
    /// Caches to read: "type=registry,ref=ghcr.io/me/cache". A project's are in registries.
    pub cache_from: Option<Vec<String>>,
    /// Caches to write. A project's are in registries.
    pub cache_to: Option<Vec<String>>,
    /// Further arguments of `docker buildx build`. Only in the user's own config.toml.
    pub extra_args: Option<Vec<String>>,
}

/// The podman builder.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct PodmanConfig {
    /// The service's address, where podman does not run on this machine. Only in the user's own
    /// config.toml.
    pub host: Option<String>,
    /// Repositories to read cached layers from.
    pub cache_from: Option<Vec<String>>,
    /// Repositories to write cached layers to.
    pub cache_to: Option<Vec<String>>,
    /// Further arguments of `podman build`. Only in the user's own config.toml.
    pub extra_args: Option<Vec<String>>,
}

/// The buildkit builder.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct BuildkitConfig {
    /// The daemon's address: "unix:///run/buildkit/buildkitd.sock", "tcp://host:1234". Only in the
    /// user's own config.toml.
    pub address: Option<String>,
    /// A PEM file with the certificate authority of the daemon. Only in the user's own config.toml.
    pub ca: Option<PathBuf>,
    /// A PEM file with the certificate to show. Only in the user's own config.toml.
    pub client_cert: Option<PathBuf>,
    /// A PEM file with its key. Only in the user's own config.toml.
    pub client_key: Option<PathBuf>,
    /// The name in the daemon's certificate, where it is not that of the address. Only in the user's
    /// own config.toml.
    pub server_name: Option<String>,
    /// Caches to read: "type=registry,ref=ghcr.io/me/cache". A project's are in registries.
    pub cache_from: Option<Vec<String>>,
    /// Caches to write. A project's are in registries.
    pub cache_to: Option<Vec<String>>,
}

/// The JSON Schema (draft 2020-12) of `config.toml`: what the repository's
/// `schema/tierce-config.schema.json` holds.
pub fn schema() -> serde_json::Value {
    let settings = SchemaSettings::draft2020_12().with(|s| s.inline_subschemas = false);
    let mut schema = settings.into_generator().into_root_schema_for::<ConfigFile>().to_value();
    without_null(&mut schema);
    schema
}

/// Takes out what stands for `None`: TOML has no null, a key is there or it is not.
fn without_null(schema: &mut serde_json::Value) {
    use serde_json::{Value, json};
    match schema {
        Value::Object(object) => {
            object.remove("default");
            if let Some(Value::Array(types)) = object.get_mut("type") {
                types.retain(|t| t != "null");
                if let [only] = types.as_slice() {
                    let only = only.clone();
                    object.insert("type".into(), only);
                }
            }
            if let Some(Value::Array(forms)) = object.get_mut("anyOf") {
                forms.retain(|form| *form != json!({ "type": "null" }));
                if let [Value::Object(only)] = forms.as_slice() {
                    let only = only.clone();
                    object.remove("anyOf");
                    object.extend(only);
                }
            }
            object.values_mut().for_each(without_null);
        }
        Value::Array(items) => items.iter_mut().for_each(without_null),
        _ => {}
    }
}

impl ConfigFile {
    /// Makes relative paths relative to the file's folder, and `~/` the user's home.
    pub(crate) fn resolve_paths(&mut self, folder: &Path, home: Option<&Path>) {
        // A new field must be looked at here.
        let ConfigFile {
            registry: _,
            builder: _,
            store,
            index: _,
            python_install_mirror: _,
            python_downloads_json_url: _,
            conda_channel_alias: _,
            unknown: _,
            debian_base: _,
            images: _,
            registries,
            check_cache: _,
            python,
            debian,
            secrets,
            image_spec: _,
            docker,
            podman: _,
            buildkit,
            builders: _,
            flavors,
        } = self;
        let mut paths: Vec<&mut PathBuf> = vec![];
        paths.extend(store);
        paths.extend(python.iter_mut().filter(|python| python.components().count() > 1));
        for registry in registries.values_mut() {
            let RegistryConfig { ca, client_cert, client_key, .. } = registry;
            paths.extend([ca, client_cert, client_key].into_iter().flatten());
        }
        paths.extend(&mut debian.keyring);
        paths.extend(secrets.directories.iter_mut().flatten());
        paths.extend(secrets.files.values_mut());
        paths.extend(&mut docker.cert_path);
        let BuildkitConfig { ca, client_cert, client_key, .. } = buildkit;
        paths.extend([ca, client_cert, client_key].into_iter().flatten());
        let programs = flavors.values_mut().map(|flavor| &mut flavor.program);
        paths.extend(programs.filter(|program| program.components().count() > 1));
        for path in paths {
            *path = match (path.strip_prefix("~"), home) {
                (Ok(rest), Some(home)) => home.join(rest),
                _ => folder.join(&*path),
            };
        }
    }
}
