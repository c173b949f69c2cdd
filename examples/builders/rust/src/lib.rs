//! An example of a builder in Rust: [`Guarded`] wraps another builder, lets only so many builds
//! run at once, refuses images that push somewhere else than they should, and keeps a journal.
//!
//! A builder is a value with the trait [`ImageBuilder`], registered on an engine:
//!
//! ```
//! use std::sync::Arc;
//! use tierce_engine::{GatherCache, ImageBuildEngine, NoopBuilder};
//! use tierce_example_builder::{Guarded, Rules};
//!
//! let rules = Rules { at_once: 2, registry: "registry.example".into() };
//! let guarded = Guarded::new("guarded", Arc::new(NoopBuilder), rules);
//! let mut engine = ImageBuildEngine::new(GatherCache::none());
//! engine.register(Arc::new(guarded), 10);
//! ```

use async_trait::async_trait;
use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};
use tierce_engine::{
    AnyDiagnostic, BuildRequest, BuilderError, Capabilities, Events, Export, ImageBuild,
    ImageBuilder, ImageChecker, RegistryLogin, Rendering, Unsupported,
};
use tierce_oci::{Diagnostic, ErrorKind, Reference};
use tierce_spec::Image;
use tokio::sync::Semaphore;

/// What a [`Guarded`] builder allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// How many builds may run at once, at least one.
    pub at_once: usize,
    /// The only registry that may be pushed to.
    pub registry: String,
}

/// A push to a registry that the rules do not allow. A builder's own errors have codes, kinds and
/// hints as tierce's have; the kind decides the exit code.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("pushing to {} is not allowed", reference.registry())]
pub struct ForeignRegistry {
    /// Where the image was to go.
    pub reference: Reference,
    /// Where it may go.
    pub allowed: String,
}

impl Diagnostic for ForeignRegistry {
    fn code(&self) -> &'static str {
        "guarded/foreign-registry"
    }

    fn kind(&self) -> ErrorKind {
        ErrorKind::User
    }

    fn hint(&self) -> Option<String> {
        Some(format!("Push to {}.", self.allowed))
    }
}

/// A builder around another one.
pub struct Guarded {
    name: String,
    inner: Arc<dyn ImageBuilder>,
    rules: Rules,
    running: Semaphore,
    journal: Option<Mutex<Box<dyn Write + Send>>>,
}

impl Guarded {
    /// `inner`, guarded, to be chosen by `name`.
    pub fn new(name: impl Into<String>, inner: Arc<dyn ImageBuilder>, rules: Rules) -> Self {
        let running = Semaphore::new(rules.at_once.max(1));
        Guarded { name: name.into(), inner, rules, running, journal: None }
    }

    /// Writes one line of JSON for each build.
    pub fn with_journal(self, journal: impl Write + Send + 'static) -> Self {
        Guarded { journal: Some(Mutex::new(Box::new(journal))), ..self }
    }

    /// The first export that the rules do not allow.
    fn foreign(&self, exports: &[Export]) -> Option<ForeignRegistry> {
        exports.iter().find_map(|export| match export {
            Export::Push(reference) if reference.registry() != self.rules.registry => {
                let allowed = self.rules.registry.clone();
                Some(ForeignRegistry { reference: reference.clone(), allowed })
            }
            _ => None,
        })
    }

    fn note(&self, request: &BuildRequest, result: &Result<ImageBuild, BuilderError>) {
        let Some(journal) = &self.journal else { return };
        let outcome = match result {
            Ok(build) => serde_json::json!({ "digest": build.digest.map(|d| d.to_string()) }),
            // The code, and not the text: what a failing step printed is nobody's else.
            Err(error) => serde_json::json!({ "error": error.0.code() }),
        };
        let line = serde_json::json!({
            "uri": request.uri,
            "key": request.gathered.resolved.key().to_string(),
            "outcome": outcome,
        });
        let mut journal = journal.lock().unwrap_or_else(PoisonError::into_inner);
        // A journal that is full must not fail a build that went well.
        let _ = writeln!(journal, "{line}");
    }
}

#[async_trait]
impl ImageBuilder for Guarded {
    fn name(&self) -> &str {
        &self.name
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    fn refuses(&self, image: &Image) -> Option<AnyDiagnostic> {
        self.inner.refuses(image)
    }

    fn unsupported(&self, request: &BuildRequest) -> Vec<Unsupported> {
        self.inner.unsupported(request)
    }

    async fn render(
        &self,
        request: &BuildRequest,
        events: &Events,
    ) -> Result<Rendering, BuilderError> {
        self.inner.render(request, events).await
    }

    async fn build(
        &self,
        request: &BuildRequest,
        events: &Events,
    ) -> Result<ImageBuild, BuilderError> {
        if let Some(foreign) = self.foreign(&request.exports) {
            return Err(BuilderError(Arc::new(foreign)));
        }
        // The permit comes back when the build ends, and when its future is dropped: a build that
        // is given up.
        let _permit = self.running.acquire().await.expect("the semaphore is never closed");
        let result = self.inner.build(request, events).await;
        self.note(request, &result);
        result
    }

    fn checkers(
        &self,
        exports: &[Export],
        login: Option<&RegistryLogin>,
    ) -> Vec<Arc<dyn ImageChecker>> {
        self.inner.checkers(exports, login)
    }
}
