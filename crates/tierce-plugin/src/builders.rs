//! Builders by name.

use crate::config::Registered;
use crate::flavor::{Config, Flavor, Flavors, UnknownFlavor, looked_for};
use crate::rename::Renamed;
use crate::schema::{ConfigErrors, nearest};
use async_trait::async_trait;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use tierce_engine::{AnyDiagnostic, BuilderSource, ImageBuilder, KnownBuilder};
use tierce_oci::{Diagnostic, ErrorKind};

/// The builders there are: those that were registered, and one without configuration for each
/// flavor.
#[derive(Clone)]
pub struct Builders {
    flavors: Flavors,
    registered: BTreeMap<String, (Registered, PathBuf)>,
}

/// A builder, before it is loaded.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct BuilderEntry {
    /// Its name.
    pub name: String,
    /// Its flavor.
    pub flavor: String,
    /// Where it comes from.
    #[serde(flatten)]
    pub origin: Origin,
    /// Its configuration, as it was written.
    #[serde(skip_serializing_if = "Config::is_empty")]
    pub config: Config,
}

/// Where a builder comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "from", rename_all = "kebab-case")]
pub enum Origin {
    /// It was registered.
    Registered {
        /// In this file.
        file: PathBuf,
    },
    /// It is its flavor, without configuration.
    Flavor,
}

/// Why there is no builder.
#[derive(Clone, Debug, thiserror::Error)]
pub enum OpenBuilderError {
    /// No builder of that name.
    #[error("there is no builder called {name:?}; there are: {}", known.join(", "))]
    Unknown {
        /// The name asked for.
        name: String,
        /// The names that exist.
        known: Vec<String>,
        /// Where programs were looked for.
        searched: Vec<PathBuf>,
    },
    /// A registered builder's flavor does not exist.
    #[error("the builder {name:?} has a flavor that does not exist")]
    Flavor {
        /// The builder.
        name: String,
        /// Which flavors there are.
        source: UnknownFlavor,
    },
    /// The configuration breaks the flavor's rules.
    #[error("the configuration of the builder {name:?} is invalid")]
    Config {
        /// The builder.
        name: String,
        /// Its flavor.
        flavor: String,
        /// Everything that is wrong.
        source: ConfigErrors,
    },
    /// The implementation cannot be loaded.
    #[error(transparent)]
    Load(AnyDiagnostic),
}

impl Diagnostic for OpenBuilderError {
    fn code(&self) -> &'static str {
        match self {
            OpenBuilderError::Unknown { .. } => "engine/unknown-builder",
            OpenBuilderError::Flavor { source, .. } => source.code(),
            OpenBuilderError::Config { .. } => "builder/invalid-config",
            OpenBuilderError::Load(error) => error.code(),
        }
    }

    fn kind(&self) -> ErrorKind {
        match self {
            OpenBuilderError::Load(error) => error.kind(),
            _ => ErrorKind::User,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            OpenBuilderError::Unknown { name, known, searched } => {
                let looked = looked_for(name, searched);
                Some(match nearest(name, known) {
                    Some(near) => format!("Did you mean {near}? {looked}"),
                    None => looked,
                })
            }
            OpenBuilderError::Flavor { source, .. } => source.hint(),
            OpenBuilderError::Config { flavor, .. } => {
                Some(format!("`tierce builder flavor describe {flavor}` lists its keys."))
            }
            OpenBuilderError::Load(error) => error.hint(),
        }
    }
}

impl Builders {
    /// A builder for each flavor, and none that was registered.
    pub fn new(flavors: Flavors) -> Self {
        Builders { flavors, registered: BTreeMap::new() }
    }

    /// With builders that were registered in `file`. They win over those with the same names that
    /// were added before.
    pub fn with_registered(
        mut self,
        file: PathBuf,
        builders: impl IntoIterator<Item = Registered>,
    ) -> Self {
        for builder in builders {
            self.registered.insert(builder.name.clone(), (builder, file.clone()));
        }
        self
    }

    /// The flavors.
    pub fn flavors(&self) -> &Flavors {
        &self.flavors
    }

    /// All builders, by name. Nothing is loaded.
    pub fn list(&self) -> BTreeMap<String, BuilderEntry> {
        let of_flavor = |name: String| BuilderEntry {
            flavor: name.clone(),
            name,
            origin: Origin::Flavor,
            config: Config::new(),
        };
        let mut all: BTreeMap<String, BuilderEntry> =
            self.flavors.list().into_keys().map(|name| (name.clone(), of_flavor(name))).collect();
        for (name, (builder, file)) in &self.registered {
            let entry = BuilderEntry {
                name: name.clone(),
                flavor: builder.flavor.clone(),
                origin: Origin::Registered { file: file.clone() },
                config: builder.config.clone(),
            };
            all.insert(name.clone(), entry);
        }
        all
    }

    /// The registered builder called `name`, and the file it was registered in.
    pub fn registered(&self, name: &str) -> Option<(&Registered, &PathBuf)> {
        self.registered.get(name).map(|(builder, file)| (builder, file))
    }

    /// The names of all registered builders.
    pub fn registered_names(&self) -> impl Iterator<Item = &str> {
        self.registered.keys().map(String::as_str)
    }

    /// The registered builders of a flavor.
    pub fn of_flavor<'a>(&'a self, flavor: &'a str) -> impl Iterator<Item = &'a str> {
        let of = move |(builder, _): &&(Registered, PathBuf)| builder.flavor == flavor;
        self.registered.values().filter(of).map(|(builder, _)| builder.name.as_str())
    }

    /// Loads the builder called `name`.
    pub async fn open(&self, name: &str) -> Result<Arc<dyn ImageBuilder>, OpenBuilderError> {
        let (flavor, config, limits) = match self.registered.get(name) {
            Some((builder, _)) => (self.flavor_of(builder)?, &builder.config, builder.limits),
            None => {
                let flavor = self.flavors.find(name).map_err(|_| self.unknown(name))?;
                (flavor, &Config::new(), None)
            }
        };
        let config = check(name, &*flavor, config).await?;
        let builder = flavor.build(&config, limits).await.map_err(OpenBuilderError::Load)?;
        Ok(match builder.name() == name {
            true => builder,
            false => Arc::new(Renamed::new(name, builder)),
        })
    }

    /// Whether a builder can be registered: its flavor exists, and its configuration is valid.
    pub async fn check(&self, builder: &Registered) -> Result<(), OpenBuilderError> {
        let flavor = self.flavor_of(builder)?;
        check(&builder.name, &*flavor, &builder.config).await.map(drop)
    }

    fn flavor_of(&self, builder: &Registered) -> Result<Arc<dyn Flavor>, OpenBuilderError> {
        self.flavors
            .find(&builder.flavor)
            .map_err(|source| OpenBuilderError::Flavor { name: builder.name.clone(), source })
    }

    fn unknown(&self, name: &str) -> OpenBuilderError {
        OpenBuilderError::Unknown {
            name: name.to_owned(),
            known: self.list().into_keys().collect(),
            searched: self.flavors.search_path().directories().to_vec(),
        }
    }
}

/// The engine loads builders when they are chosen.
#[async_trait]
impl BuilderSource for Builders {
    async fn find(&self, name: &str) -> Result<Option<Arc<dyn ImageBuilder>>, AnyDiagnostic> {
        match self.open(name).await {
            Ok(builder) => Ok(Some(builder)),
            Err(OpenBuilderError::Unknown { .. }) => Ok(None),
            Err(error) => Err(Arc::new(error)),
        }
    }

    fn known(&self) -> Vec<KnownBuilder> {
        let flavors = self.flavors.list();
        let origin = |entry: &BuilderEntry| match &entry.origin {
            Origin::Registered { file } => {
                format!("a {} of {}", entry.flavor, file.display())
            }
            Origin::Flavor => {
                flavors.get(&entry.flavor).map(ToString::to_string).unwrap_or_default()
            }
        };
        self.list()
            .into_values()
            .map(|entry| KnownBuilder { origin: origin(&entry), name: entry.name })
            .collect()
    }

    fn places(&self) -> Vec<String> {
        vec![
            "[builders] and [flavors] of the configuration".to_owned(),
            format!("programs called {}NAME on PATH", crate::PROGRAM_PREFIX),
        ]
    }
}

async fn check(
    name: &str,
    flavor: &dyn Flavor,
    config: &Config,
) -> Result<Config, OpenBuilderError> {
    let description = flavor.describe().await.map_err(OpenBuilderError::Load)?;
    description.schema.check(config).map_err(|source| OpenBuilderError::Config {
        name: name.to_owned(),
        flavor: flavor.name().to_owned(),
        source,
    })
}
