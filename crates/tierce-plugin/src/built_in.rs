//! Flavors that are part of the program.

use crate::flavor::{Config, Flavor, FlavorDescription, FlavorOrigin};
use crate::process::Limits;
use crate::schema::ConfigSchema;
use async_trait::async_trait;
use serde_json::Value;
use std::sync::Arc;
use tierce_engine::{AnyDiagnostic, ImageBuilder};

/// Makes a builder from a configuration.
type Make = dyn Fn(&Config) -> Result<Arc<dyn ImageBuilder>, AnyDiagnostic> + Send + Sync;

/// A flavor that is part of the program. Its builder is made when it is used.
pub struct BuiltInFlavor {
    name: &'static str,
    summary: &'static str,
    version: &'static str,
    schema: ConfigSchema,
    make: Box<Make>,
}

impl BuiltInFlavor {
    /// A flavor without configuration; `make` makes its builders.
    pub fn new(
        name: &'static str,
        summary: &'static str,
        make: impl Fn(&Config) -> Result<Arc<dyn ImageBuilder>, AnyDiagnostic> + Send + Sync + 'static,
    ) -> Self {
        let (schema, version) = (ConfigSchema::empty(), env!("CARGO_PKG_VERSION"));
        BuiltInFlavor { name, summary, version, schema, make: Box::new(make) }
    }

    /// With a configuration.
    ///
    /// # Panics
    ///
    /// If the schema is none: it is part of the program.
    pub fn with_schema(self, schema: &Value) -> Self {
        let schema = ConfigSchema::parse(schema)
            .unwrap_or_else(|error| panic!("the schema of the flavor {}: {error}", self.name));
        BuiltInFlavor { schema, ..self }
    }
}

#[async_trait]
impl Flavor for BuiltInFlavor {
    fn name(&self) -> &str {
        self.name
    }

    fn origin(&self) -> FlavorOrigin {
        FlavorOrigin::BuiltIn
    }

    async fn describe(&self) -> Result<FlavorDescription, AnyDiagnostic> {
        Ok(FlavorDescription {
            summary: self.summary.to_owned(),
            version: self.version.to_owned(),
            schema: self.schema.clone(),
        })
    }

    async fn build(
        &self,
        config: &Config,
        _: Option<Limits>,
    ) -> Result<Arc<dyn ImageBuilder>, AnyDiagnostic> {
        (self.make)(config)
    }
}
