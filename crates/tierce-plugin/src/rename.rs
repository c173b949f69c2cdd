//! A builder under another name.

use async_trait::async_trait;
use std::sync::Arc;
use tierce_engine::{
    AnyDiagnostic, BuildRequest, BuilderError, Capabilities, Events, Export, ImageBuild,
    ImageBuilder, ImageChecker, RegistryLogin, Rendering, Unsupported,
};
use tierce_spec::Image;

/// A builder under the name that the user registered it by.
pub struct Renamed {
    name: String,
    inner: Arc<dyn ImageBuilder>,
}

impl Renamed {
    /// `inner`, called `name`.
    pub fn new(name: impl Into<String>, inner: Arc<dyn ImageBuilder>) -> Self {
        Renamed { name: name.into(), inner }
    }
}

#[async_trait]
impl ImageBuilder for Renamed {
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

    fn trusts_records(&self) -> bool {
        self.inner.trusts_records()
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
        self.inner.build(request, events).await
    }

    fn checkers(
        &self,
        exports: &[Export],
        login: Option<&RegistryLogin>,
    ) -> Vec<Arc<dyn ImageChecker>> {
        self.inner.checkers(exports, login)
    }
}
