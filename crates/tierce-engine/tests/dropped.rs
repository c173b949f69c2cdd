//! A build that is given up ends: nothing of it goes on where nobody waits.

use async_trait::async_trait;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tierce_engine::{
    BuildOptions, BuildRequest, BuilderError, Capabilities, Events, Export, ExportKind,
    GatherCache, ImageBuild, ImageBuildEngine, ImageBuilder, ImageChecker, RegistryLogin,
};
use tierce_spec::Image;

/// Builds for ever, and counts those of its builds that are under way.
#[derive(Clone, Default)]
struct Endless(Arc<AtomicU32>);

struct Counted(Arc<AtomicU32>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[async_trait]
impl ImageBuilder for Endless {
    fn name(&self) -> &str {
        "endless"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            exports: BTreeSet::from([ExportKind::Local]),
            multi_platform: true,
            secrets: true,
            dockerfiles: true,
            reproducible: true,
        }
    }

    async fn build(&self, _: &BuildRequest, _: &Events) -> Result<ImageBuild, BuilderError> {
        self.0.fetch_add(1, Ordering::SeqCst);
        let _counted = Counted(self.0.clone());
        std::future::pending().await
    }

    fn checkers(&self, _: &[Export], _: Option<&RegistryLogin>) -> Vec<Arc<dyn ImageChecker>> {
        vec![]
    }
}

#[tokio::test]
async fn a_build_ends_with_whoever_waits_for_it() {
    let builder = Endless::default();
    let mut engine = ImageBuildEngine::new(GatherCache::none());
    engine.register(Arc::new(builder.clone()), 0);
    let image = Image::from_scratch().with_name("app");
    let options = BuildOptions::default();
    let events = Events::none();
    let limit = Duration::from_millis(200);
    let build = tokio::time::timeout(limit, engine.build(&image, &options, &events)).await;
    assert!(build.is_err());
    assert_eq!(builder.0.load(Ordering::SeqCst), 0);

    let images = [(image.clone(), options.clone()), (image.with_name("other"), options)];
    let builds = tokio::time::timeout(limit, engine.build_all(&images, &events)).await;
    assert!(builds.is_err());
    assert_eq!(builder.0.load(Ordering::SeqCst), 0);
}
