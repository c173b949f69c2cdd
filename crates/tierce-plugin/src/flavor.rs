//! Kinds of builders.

use crate::discover::SearchPath;
use crate::external::{ExternalFlavor, ExternalSettings};
use crate::process::Limits;
use crate::schema::{ConfigSchema, nearest};
use async_trait::async_trait;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use tierce_engine::{AnyDiagnostic, ImageBuilder};
use tierce_oci::{Diagnostic, ErrorKind};

/// The checked configuration of a builder.
pub type Config = serde_json::Map<String, serde_json::Value>;

/// A kind of builders: what `docker` or `buildkit` is, before anybody says which socket or
/// address.
#[async_trait]
pub trait Flavor: Send + Sync {
    /// The flavor's name.
    fn name(&self) -> &str;

    /// Where it comes from.
    fn origin(&self) -> FlavorOrigin;

    /// What it is and how it is configured. Loads the implementation if it must.
    async fn describe(&self) -> Result<FlavorDescription, AnyDiagnostic>;

    /// A builder of this flavor. `config` was checked against the schema and has its defaults;
    /// `limits` are for flavors that are programs.
    async fn build(
        &self,
        config: &Config,
        limits: Option<Limits>,
    ) -> Result<Arc<dyn ImageBuilder>, AnyDiagnostic>;
}

/// What a flavor is and how it is configured.
#[derive(Clone, Debug, PartialEq)]
pub struct FlavorDescription {
    /// What it is, in one sentence.
    pub summary: String,
    /// The implementation's version.
    pub version: String,
    /// What its configuration may hold.
    pub schema: ConfigSchema,
}

/// Where a flavor comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "from", rename_all = "kebab-case")]
pub enum FlavorOrigin {
    /// It is part of this program.
    BuiltIn,
    /// A program that a configuration file names.
    Configured {
        /// The program.
        program: PathBuf,
    },
    /// A program that was found.
    Found {
        /// The program.
        program: PathBuf,
    },
}

impl fmt::Display for FlavorOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FlavorOrigin::BuiltIn => f.write_str("built in"),
            FlavorOrigin::Configured { program } => write!(f, "registered: {}", program.display()),
            FlavorOrigin::Found { program } => write!(f, "found: {}", program.display()),
        }
    }
}

/// There is no flavor of that name.
#[derive(Clone, Debug, thiserror::Error)]
#[error("there is no flavor called {name:?}; there are: {}", known.join(", "))]
pub struct UnknownFlavor {
    /// The name asked for.
    pub name: String,
    /// The names that exist.
    pub known: Vec<String>,
    /// Where programs were looked for.
    pub searched: Vec<PathBuf>,
}

impl Diagnostic for UnknownFlavor {
    fn code(&self) -> &'static str {
        "builder/unknown-flavor"
    }

    fn kind(&self) -> ErrorKind {
        ErrorKind::User
    }

    fn hint(&self) -> Option<String> {
        let looked = looked_for(&self.name, &self.searched);
        Some(match nearest(&self.name, &self.known) {
            Some(name) => format!("Did you mean {name}? {looked}"),
            None => looked,
        })
    }
}

/// Where a builder or flavor would have been found.
pub(crate) fn looked_for(name: &str, searched: &[PathBuf]) -> String {
    // Which directories those are is what nobody reads.
    let place = match searched {
        [] => "PATH, which is empty",
        _ => "PATH",
    };
    format!(
        "Looked for [builders.{name}] and [flavors.{name}] in the configuration, and for \
         {}{name} on {place}.",
        crate::PROGRAM_PREFIX
    )
}

/// The flavors there are: those built in, those that were registered, and those whose programs
/// are found. Nothing is loaded by asking what there is.
#[derive(Clone)]
pub struct Flavors {
    built_in: Vec<Arc<dyn Flavor>>,
    registered: BTreeMap<String, PathBuf>,
    search: SearchPath,
    external: ExternalSettings,
}

impl Flavors {
    /// No flavors but those whose programs are found in `search`.
    pub fn new(search: SearchPath, external: ExternalSettings) -> Self {
        Flavors { built_in: vec![], registered: BTreeMap::new(), search, external }
    }

    /// With a flavor that is built in.
    pub fn with_built_in(mut self, flavor: Arc<dyn Flavor>) -> Self {
        self.built_in.push(flavor);
        self
    }

    /// With registered programs, by name.
    pub fn with_registered(
        mut self,
        programs: impl IntoIterator<Item = (String, PathBuf)>,
    ) -> Self {
        self.registered.extend(programs);
        self
    }

    /// Where programs are looked for.
    pub fn search_path(&self) -> &SearchPath {
        &self.search
    }

    /// Whether a flavor of this name is built in.
    pub fn is_built_in(&self, name: &str) -> bool {
        self.built_in.iter().any(|flavor| flavor.name() == name)
    }

    /// All flavors by name. Of several with one name that which is built in wins, then that which
    /// was registered.
    pub fn list(&self) -> BTreeMap<String, FlavorOrigin> {
        let mut all: BTreeMap<String, FlavorOrigin> = self
            .search
            .list()
            .into_iter()
            .map(|(name, program)| (name, FlavorOrigin::Found { program }))
            .collect();
        for (name, program) in &self.registered {
            all.insert(name.clone(), FlavorOrigin::Configured { program: program.clone() });
        }
        all.extend(self.built_in.iter().map(|f| (f.name().to_owned(), FlavorOrigin::BuiltIn)));
        all
    }

    /// The flavor called `name`; it is not loaded yet.
    pub fn find(&self, name: &str) -> Result<Arc<dyn Flavor>, UnknownFlavor> {
        if let Some(flavor) = self.built_in.iter().find(|flavor| flavor.name() == name) {
            return Ok(flavor.clone());
        }
        let external = |origin| {
            let flavor = ExternalFlavor::new(name.to_owned(), origin, self.external.clone());
            Ok(Arc::new(flavor) as Arc<dyn Flavor>)
        };
        if let Some(program) = self.registered.get(name) {
            return external(FlavorOrigin::Configured { program: program.clone() });
        }
        if let Some(program) = self.search.find(name) {
            return external(FlavorOrigin::Found { program });
        }
        Err(UnknownFlavor {
            name: name.to_owned(),
            known: self.list().into_keys().collect(),
            searched: self.search.directories().to_vec(),
        })
    }
}
