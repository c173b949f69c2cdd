//! The example does what it says, on a real engine.

use async_trait::async_trait;
use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tierce_engine::{
    BuildOptions, BuildRequest, BuilderError, Capabilities, Events, Export, ExportKind,
    GatherCache, ImageBuild, ImageBuildEngine, ImageBuilder, ImageChecker, RegistryLogin, Status,
};
use tierce_example_builder::{Guarded, Rules};
use tierce_oci::Diagnostic;
use tierce_spec::Image;

/// Counts how many builds run at once.
#[derive(Default)]
struct Counting {
    running: AtomicUsize,
    most: AtomicUsize,
}

#[async_trait]
impl ImageBuilder for Counting {
    fn name(&self) -> &str {
        "counting"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            exports: [ExportKind::Local, ExportKind::Push].into(),
            multi_platform: true,
            secrets: false,
            dockerfiles: false,
            reproducible: true,
        }
    }

    async fn build(&self, request: &BuildRequest, _: &Events) -> Result<ImageBuild, BuilderError> {
        let running = self.running.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(running, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(20)).await;
        self.running.fetch_sub(1, Ordering::SeqCst);
        Ok(ImageBuild::new(&request.uri, Status::Built))
    }

    fn checkers(&self, _: &[Export], _: Option<&RegistryLogin>) -> Vec<Arc<dyn ImageChecker>> {
        vec![]
    }
}

#[derive(Clone, Default)]
struct Journal(Arc<Mutex<Vec<u8>>>);

impl Write for Journal {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn engine(counting: &Arc<Counting>, journal: &Journal) -> ImageBuildEngine {
    let rules = Rules { at_once: 2, registry: "registry.example".into() };
    let guarded = Guarded::new("guarded", counting.clone(), rules).with_journal(journal.clone());
    let mut engine = ImageBuildEngine::new(GatherCache::none());
    engine.register(counting.clone(), 0);
    engine.register(Arc::new(guarded), 10);
    engine
}

fn image(number: usize) -> Image {
    Image::from_scratch().with_name("report").with_env_vars([("N", number.to_string())])
}

#[tokio::test]
async fn at_most_so_many_builds_run_at_once_and_each_is_in_the_journal() {
    let (counting, journal) = (Arc::new(Counting::default()), Journal::default());
    let engine = engine(&counting, &journal);
    let images: Vec<_> = (0..6).map(|n| (image(n), BuildOptions::default())).collect();
    for build in engine.build_all(&images, &Events::none()).await {
        assert_eq!(build.unwrap().status, Status::Built);
    }
    assert!(counting.most.load(Ordering::SeqCst) <= 2);
    let journal = String::from_utf8(journal.0.lock().unwrap().clone()).unwrap();
    assert_eq!(journal.lines().count(), 6);
    assert!(journal.lines().all(|line| line.contains("report:")), "{journal}");
}

#[tokio::test]
async fn pushes_elsewhere_are_refused() {
    let (counting, journal) = (Arc::new(Counting::default()), Journal::default());
    let engine = engine(&counting, &journal);
    let options = BuildOptions { push: true, ..BuildOptions::default() };
    let elsewhere = image(1).with_registry("elsewhere.example");
    let error = engine.build(&elsewhere, &options, &Events::none()).await.unwrap_err();
    assert_eq!(error.code(), "guarded/foreign-registry");
    assert_eq!(error.hint().as_deref(), Some("Push to registry.example."));
    let here = image(1).with_registry("registry.example");
    engine.build(&here, &options, &Events::none()).await.unwrap();
}
