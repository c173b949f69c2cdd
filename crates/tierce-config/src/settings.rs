//! Everything that a build takes from its surroundings, in one value.

use crate::environment::{Execution, IndexCredentialSettings};
use crate::layer::Layer;
use crate::origin::{FileKind, Origin};
use crate::resolve::{Recorded, Resolver, Said};
use crate::sources::{ConfigPath, Files, Overrides};
use crate::tables::{self, BuildkitSettings, DebianSettings, DockerSettings, ImageSpecSettings};
use crate::tables::{PodmanSettings, RegistrySettings, SecretsSettings};
use crate::values::{
    Address, DebianBase, FileAddress, ImageName, NamedAddress, PushRegistry, TimeSpan, UnknownImage,
};
use crate::{ConfigError, ConfigFile, Entry, Environment, FlavorEntry, Sources, flyte};
use crate::{python, redact};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tierce_oci::{Reference, RegistryPath};
use url::Url;

/// How long an image that was found in its registry is taken to be there.
const CHECK_CACHE_TTL: Duration = Duration::from_secs(24 * 60 * 60);

/// The effective settings: the command line first, then variables, the project's workspace, the
/// user's `config.toml`, Flyte's configuration, defaults. [`Settings::entries`] says which it was.
#[derive(Clone)]
pub struct Settings {
    /// The store's directory.
    pub store: PathBuf,
    /// Where images without a registry of their own are pushed.
    pub registry: Option<String>,
    /// The name of the builder to use.
    pub builder: Option<String>,
    /// What to do about images that nobody can tell about.
    pub unknown: UnknownImage,
    /// Images by name.
    pub images: BTreeMap<String, Reference>,
    /// What images start from that only say which Python they want.
    pub debian_base: DebianBase,
    /// How long an image that was found in its registry is taken to be there; zero for not at
    /// all.
    pub check_cache_ttl: Duration,
    /// The Python package index, where not PyPI.
    pub index: Option<Url>,
    /// What has python-build-standalone's releases, where not its own servers.
    pub python_install_mirror: Option<Url>,
    /// The list of its builds, where not the pinned one.
    pub python_downloads: Option<Url>,
    /// Where conda channels are that are given by name alone, where not at their usual server.
    pub conda_channel_alias: Option<Url>,
    /// What is particular about single registries, or parts of them.
    pub registries: BTreeMap<RegistryPath, RegistrySettings>,
    /// The Python that loads the project's Python files.
    pub python: Option<PathBuf>,
    /// The Debian archive.
    pub debian: DebianSettings,
    /// Where secrets come from.
    pub secrets: SecretsSettings,
    /// How ImageSpecs are built.
    pub image_spec: ImageSpecSettings,
    /// The docker builder.
    pub docker: DockerSettings,
    /// The podman builder.
    pub podman: PodmanSettings,
    /// The buildkit builder.
    pub buildkit: BuildkitSettings,
    /// Registered builders, by name: a `flavor`, and that flavor's settings.
    pub builders: BTreeMap<String, toml::Table>,
    /// Registered flavors of builders, by name.
    pub flavors: BTreeMap<String, FlavorEntry>,
    /// Whether this is a task of an orchestrator's, and in which image.
    pub execution: Execution,
    /// Files with registry credentials, the most specific first.
    pub registry_auth_files: Vec<PathBuf>,
    /// Directories with programs.
    pub search_path: Vec<PathBuf>,
    /// The machine's certificate bundle, for use inside build steps.
    pub ca_bundle: Option<PathBuf>,
    /// Proxy variables, for use inside build steps.
    pub network_variables: Vec<(String, String)>,
    /// The environment that `uv` runs with.
    pub uv_variables: Vec<(String, String)>,
    /// Where the user keeps credentials for package indexes.
    pub index_credentials: IndexCredentialSettings,
    /// The variables, for those who look for secrets in them.
    pub environment: Environment,
    /// The files that have settings, or would have.
    pub files: Vec<ConfigPath>,
    /// What was ignored, and why.
    pub warnings: Vec<String>,
    record: Arc<Record>,
}

/// Who said what.
struct Record {
    layers: Vec<Layer>,
    recorded: Vec<Recorded>,
}

impl fmt::Debug for Settings {
    // Variables, URLs and arguments may hold credentials; entries are made to be shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings").field("entries", &self.entries()).finish_non_exhaustive()
    }
}

impl Settings {
    /// The settings of this process, in its current directory.
    pub fn load() -> Result<Self, ConfigError> {
        Self::resolve(&Sources::of_process())
    }

    /// The settings of this process for a project in `directory`, and a command line's.
    pub fn load_for(directory: &Path, overrides: Overrides) -> Result<Self, ConfigError> {
        let directory = Some(directory.to_owned());
        Self::resolve(&Sources { directory, overrides, ..Sources::of_process() })
    }

    /// The settings that `env` and the user's files give, no project having a say.
    pub fn from_environment(env: &Environment) -> Result<Self, ConfigError> {
        Self::resolve(&Sources { environment: env.clone(), ..Sources::default() })
    }

    /// The settings that come from these.
    pub fn resolve(sources: &Sources) -> Result<Self, ConfigError> {
        let Files { layers, paths, warnings } = sources.files()?;
        let env = &sources.environment;
        let flags = &sources.overrides;
        let mut r = Resolver { env, layers: &layers, recorded: vec![] };
        let settings = Settings {
            registry: registry(&mut r, flags)?.map(|r| r.as_str().to_owned()),
            builder: builder(&mut r, flags),
            unknown: unknown(&mut r, flags)?,
            store: store(&mut r)?,
            index: index(&mut r)?.map(|a| a.0),
            python_install_mirror: python_install_mirror(&mut r)?.map(|a| a.0),
            python_downloads: python_downloads(&mut r)?.map(|a| a.0),
            conda_channel_alias: conda_channel_alias(&mut r)?.map(|a| a.0),
            debian_base: r.or_default(
                &["debian-base"],
                None,
                |file| file.debian_base.clone(),
                DebianBase::default(),
            ),
            check_cache_ttl: check_cache_ttl(&mut r),
            python: python::python(&mut r, flags, sources),
            image_spec: tables::image_spec(&mut r)?,
            debian: tables::debian(&mut r),
            images: images(&mut r, flags),
            registries: tables::registries(&mut r),
            secrets: tables::secrets(&mut r),
            docker: tables::docker(&mut r)?,
            podman: tables::podman(&mut r),
            buildkit: tables::buildkit(&mut r),
            builders: by_name(&mut r, "builders", |file| &file.builders, redact::builder),
            flavors: by_name(&mut r, "flavors", |file| &file.flavors, FlavorEntry::clone),
            execution: env.execution()?,
            registry_auth_files: env.registry_auth_files(),
            search_path: env.search_path(),
            ca_bundle: env.ca_bundle(),
            network_variables: env.network_variables(),
            uv_variables: env.uv_variables(),
            index_credentials: env.index_credentials(),
            environment: env.clone(),
            files: paths,
            warnings,
            record: Arc::new(Record { layers: vec![], recorded: vec![] }),
        };
        let recorded = r.recorded;
        Ok(Settings { record: Arc::new(Record { layers, recorded }), ..settings })
    }

    /// Every setting with where it comes from, what may be a secret taken out.
    pub fn entries(&self) -> Vec<Entry> {
        let Record { layers, recorded } = &*self.record;
        recorded.iter().map(|one| one.entry(layers)).collect()
    }

    /// Whether it is Flyte's configuration that names the builder, and not tierce's own: where
    /// Flyte has chosen tierce all the same, in a program, it means nothing.
    pub fn has_builder_of_flytes(&self) -> bool {
        let of_flytes = |origin: &Origin| {
            matches!(
                origin,
                Origin::Variable { name: "FLYTE_IMAGE_BUILDER" }
                    | Origin::File { file: FileKind::Flyte, .. }
            )
        };
        self.entries().iter().any(|entry| entry.key == "builder" && of_flytes(&entry.origin))
    }

    /// The registries that are spoken to in plain HTTP, besides those on this machine.
    pub fn insecure_registries(&self) -> impl Iterator<Item = &str> {
        self.hosts(|registry| registry.insecure == Some(true))
    }

    /// The registries that have TLS even if they are on this machine.
    pub fn encrypted_registries(&self) -> impl Iterator<Item = &str> {
        self.hosts(RegistrySettings::is_encrypted)
    }

    fn hosts(&self, wanted: impl Fn(&RegistrySettings) -> bool) -> impl Iterator<Item = &str> {
        self.registries.iter().filter(move |(_, r)| wanted(r)).map(|(path, _)| path.host())
    }

    /// Where the user's `config.toml` is: `TIERCE_CONFIG`, else in the config directory.
    pub fn config_path(env: &Environment) -> Option<PathBuf> {
        Sources { environment: env.clone(), ..Sources::default() }.user_config()
    }
}

fn registry(r: &mut Resolver<'_>, flags: &Overrides) -> Result<Option<PushRegistry>, ConfigError> {
    let flag = flags.registry.clone().map(|value| (value, Said::Flag("--registry")));
    let above = match flag {
        Some(flag) => Some(flag),
        None => r.variable(&["TIERCE_REGISTRY", "FLYTE_IMAGE_REGISTRY"])?,
    };
    Ok(r.value(&["registry"], above, |file| file.registry.clone()))
}

fn builder(r: &mut Resolver<'_>, flags: &Overrides) -> Option<String> {
    let flytes = || {
        let (name, said) = r.text(&["FLYTE_IMAGE_BUILDER"])?;
        Some((flyte::builder(&name)?.to_owned(), said))
    };
    let flag = flags.builder.clone().map(|value| (value, Said::Flag("--builder")));
    let above = flag.or_else(|| r.text(&["TIERCE_IMAGE_BUILDER"])).or_else(flytes);
    r.value(&["builder"], above, |file| file.builder.clone().filter(|name| !name.is_empty()))
}

fn unknown(r: &mut Resolver<'_>, flags: &Overrides) -> Result<UnknownImage, ConfigError> {
    let flag = flags.unknown.map(|value| (value, Said::Flag("--unknown")));
    let mut above = match flag {
        Some(flag) => Some(flag),
        None => r.variable(&["TIERCE_UNKNOWN_IMAGE"])?,
    };
    if above.is_none()
        && let Some((crate::values::Flag(true), said)) = r.variable(&["FLYTE_IMG_FAST_FAIL"])?
    {
        above = Some((UnknownImage::Fail, said));
    }
    Ok(r.or_default(&["unknown"], above, |file| file.unknown, UnknownImage::default()))
}

fn store(r: &mut Resolver<'_>) -> Result<PathBuf, ConfigError> {
    let above = r.path("TIERCE_STORE");
    let found = r.value(&["store"], above, |file| file.store.clone());
    match found {
        Some(store) => Ok(store),
        None => {
            r.recorded.pop();
            let default = r.env.cache_home().ok_or(ConfigError::NoHome)?.join("tierce");
            Ok(r.or_default(&["store"], None, |_| None, default))
        }
    }
}

fn index(r: &mut Resolver<'_>) -> Result<Option<Address>, ConfigError> {
    let above = r.variable(&["TIERCE_INDEX", "UV_DEFAULT_INDEX", "UV_INDEX_URL"])?;
    let above = above.map(|(NamedAddress(address), said)| (address, said));
    Ok(r.value(&["index"], above, |file| file.index.clone()))
}

fn python_install_mirror(r: &mut Resolver<'_>) -> Result<Option<Address>, ConfigError> {
    let above = r.variable(&["UV_PYTHON_INSTALL_MIRROR"])?;
    let above = above.map(|(FileAddress(address), said)| (address, said));
    Ok(r.value(&["python-install-mirror"], above, |file| file.python_install_mirror.clone()))
}

fn python_downloads(r: &mut Resolver<'_>) -> Result<Option<Address>, ConfigError> {
    let above = r.variable(&["UV_PYTHON_DOWNLOADS_JSON_URL"])?;
    let above = above.map(|(FileAddress(address), said)| (address, said));
    let key = ["python-downloads-json-url"];
    Ok(r.value(&key, above, |file| file.python_downloads_json_url.clone()))
}

fn conda_channel_alias(r: &mut Resolver<'_>) -> Result<Option<Address>, ConfigError> {
    let above = r.variable(&["CONDA_CHANNEL_ALIAS"])?;
    let above = above.map(|(FileAddress(address), said)| (address, said));
    Ok(r.value(&["conda-channel-alias"], above, |file| file.conda_channel_alias.clone()))
}

fn check_cache_ttl(r: &mut Resolver<'_>) -> Duration {
    let default = TimeSpan(CHECK_CACHE_TTL);
    r.or_default(&["check-cache", "ttl"], None, |file| file.check_cache.ttl, default).0
}

/// A table whose entries are each taken whole from the first who has it.
fn by_name<'a, T: Clone, S: Serialize>(
    r: &mut Resolver<'a>,
    table: &'static str,
    get: impl Fn(&ConfigFile) -> &BTreeMap<String, T>,
    show: impl Fn(&T) -> S,
) -> BTreeMap<String, T> {
    let mut found = BTreeMap::new();
    for name in r.names(&get) {
        let value = r.value_as(&[table, &name], None, |f| get(f).get(&name).cloned(), &show);
        found.extend(value.map(|value| (name, value)));
    }
    found
}

fn images(r: &mut Resolver<'_>, flags: &Overrides) -> BTreeMap<String, Reference> {
    let mut names = r.names(|file| &file.images);
    names.extend(flags.images.keys().cloned());
    let mut images = BTreeMap::new();
    for name in names {
        let flag = flags.images.get(&name).cloned().map(ImageName);
        let above = flag.map(|image| (image, Said::Flag("--image")));
        let image = r.value(&["images", &name], above, |file| file.images.get(&name).cloned());
        images.extend(image.map(|image| (name, image.0)));
    }
    images
}
