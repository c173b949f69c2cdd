//! Builders that are programs.

mod build;
mod call;
mod checker;
mod steps;

use crate::error::{AnswerError, PluginError};
use crate::flavor::{Config, Flavor, FlavorDescription, FlavorOrigin};
use crate::process::{Limits, Program};
use crate::protocol::{Call, Described, VERSION};
use crate::schema::ConfigSchema;
use async_trait::async_trait;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempDir;
use tierce_dockerfile::PythonText;
use tierce_engine::{AnyDiagnostic, ImageBuilder, ImageChecker, RegistryLogin};
use tierce_secret::Secrets;
use tokio::sync::OnceCell;

/// What external builders get from their surroundings.
#[derive(Clone)]
pub struct ExternalSettings {
    /// Makes directories for build contexts, on a file system with room for them.
    pub scratch: Scratch,
    /// How long programs may take, where no registered builder says otherwise.
    pub limits: Limits,
    /// How Python packages are installed in images that are rendered for the builder.
    pub python: PythonText,
    /// Who knows whether an image that was to be pushed is in its registry; asked after the
    /// builder itself.
    pub registries: Option<RegistryChecker>,
}

/// Makes directories that go away when they are dropped.
pub type Scratch = Arc<dyn Fn() -> io::Result<Box<dyn ScratchDirectory>> + Send + Sync>;

/// A directory that goes away with this value.
pub trait ScratchDirectory: Send + Sync {
    /// Where it is.
    fn path(&self) -> &Path;
}

impl ScratchDirectory for TempDir {
    fn path(&self) -> &Path {
        TempDir::path(self)
    }
}

/// A checker of registries, with the credentials that an image brings.
pub type RegistryChecker =
    Arc<dyn Fn(Option<&RegistryLogin>) -> Arc<dyn ImageChecker> + Send + Sync>;

impl ExternalSettings {
    /// Build contexts below `parent`, the usual limits, and nobody who knows registries.
    pub fn new(parent: PathBuf) -> Self {
        let scratch: Scratch = Arc::new(move || {
            std::fs::create_dir_all(&parent)?;
            let directory = tempfile::Builder::new().prefix("context-").tempdir_in(&parent)?;
            Ok(Box::new(directory))
        });
        let (limits, python) = (Limits::default(), PythonText::default());
        ExternalSettings { scratch, limits, python, registries: None }
    }

    /// With somebody who knows registries.
    pub fn with_registries(self, checker: RegistryChecker) -> Self {
        ExternalSettings { registries: Some(checker), ..self }
    }

    /// With build contexts in directories of somebody else's making.
    pub fn with_scratch(self, scratch: Scratch) -> Self {
        ExternalSettings { scratch, ..self }
    }

    /// With Python packages installed so.
    pub fn with_python(self, python: PythonText) -> Self {
        ExternalSettings { python, ..self }
    }

    /// With these limits.
    pub fn with_limits(self, limits: Limits) -> Self {
        ExternalSettings { limits, ..self }
    }
}

/// A builder that is a program: it speaks the protocol of `docs/builder-protocol.md`.
#[derive(Clone)]
pub struct ExternalBuilder {
    program: Program,
    described: Arc<Described>,
    schema: ConfigSchema,
    config: Config,
    settings: ExternalSettings,
}

impl ExternalBuilder {
    /// Asks `program` what it is. The builder has no configuration yet.
    pub async fn open(
        name: &str,
        program: PathBuf,
        settings: ExternalSettings,
    ) -> Result<Self, PluginError> {
        let builder = name.to_owned();
        let program = Program { builder, path: program, limits: settings.limits };
        let described = describe(&program).await?;
        let schema = match &described.config {
            None => ConfigSchema::empty(),
            Some(schema) => ConfigSchema::parse(schema)
                .map_err(|source| PluginError::Schema { builder: name.to_owned(), source })?,
        };
        let described = Arc::new(described);
        Ok(ExternalBuilder { program, described, schema, config: Config::new(), settings })
    }

    /// With a configuration, which must have been checked against [`ExternalBuilder::schema`].
    pub fn with_config(self, config: Config) -> Self {
        ExternalBuilder { config, ..self }
    }

    /// What the program says that it is.
    pub fn described(&self) -> &Described {
        &self.described
    }

    /// What its configuration may hold.
    pub fn schema(&self) -> &ConfigSchema {
        &self.schema
    }
}

async fn describe(program: &Program) -> Result<Described, PluginError> {
    let answer = program.ask(&Call::Describe, &Secrets::default(), &mut |_| {}).await?;
    // The version decides whether the rest of the answer can be understood at all.
    let spoken: Vec<u32> = answer
        .get("protocol")
        .and_then(|versions| serde_json::from_value(versions.clone()).ok())
        .unwrap_or_default();
    if !spoken.is_empty() && !spoken.contains(&VERSION) {
        return Err(PluginError::Protocol { builder: program.builder.clone(), spoken });
    }
    let described: Described =
        serde_json::from_value(answer).map_err(|source| PluginError::Answer {
            builder: program.builder.clone(),
            phase: crate::process::Phase::Describe,
            source: AnswerError::Shape(Arc::new(source)),
        })?;
    match described.protocol.contains(&VERSION) {
        true => Ok(described),
        false => Err(PluginError::Protocol { builder: program.builder.clone(), spoken }),
    }
}

/// The flavor that a program is.
pub struct ExternalFlavor {
    name: String,
    origin: FlavorOrigin,
    settings: ExternalSettings,
    /// The program is asked what it is once, and only when somebody wants to know.
    opened: OnceCell<ExternalBuilder>,
}

impl ExternalFlavor {
    pub(crate) fn new(name: String, origin: FlavorOrigin, settings: ExternalSettings) -> Self {
        ExternalFlavor { name, origin, settings, opened: OnceCell::new() }
    }

    async fn open(&self) -> Result<&ExternalBuilder, AnyDiagnostic> {
        self.opened.get_or_try_init(|| self.load()).await
    }

    async fn load(&self) -> Result<ExternalBuilder, AnyDiagnostic> {
        let program = match &self.origin {
            FlavorOrigin::Configured { program } | FlavorOrigin::Found { program } => program,
            FlavorOrigin::BuiltIn => unreachable!("a flavor that is a program is not built in"),
        };
        ExternalBuilder::open(&self.name, program.clone(), self.settings.clone())
            .await
            .map_err(|error| Arc::new(error) as AnyDiagnostic)
    }
}

#[async_trait]
impl Flavor for ExternalFlavor {
    fn name(&self) -> &str {
        &self.name
    }

    fn origin(&self) -> FlavorOrigin {
        self.origin.clone()
    }

    async fn describe(&self) -> Result<FlavorDescription, AnyDiagnostic> {
        let builder = self.open().await?;
        Ok(FlavorDescription {
            summary: builder.described().description.clone(),
            version: builder.described().version.clone(),
            schema: builder.schema().clone(),
        })
    }

    async fn build(
        &self,
        config: &Config,
        limits: Option<Limits>,
    ) -> Result<Arc<dyn ImageBuilder>, AnyDiagnostic> {
        let mut builder = self.open().await?.clone().with_config(config.clone());
        builder.program.limits = limits.unwrap_or(builder.program.limits);
        Ok(Arc::new(builder))
    }
}
