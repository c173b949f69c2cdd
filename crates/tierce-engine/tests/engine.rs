//! The order of work and the policies, with a builder that only remembers what it was asked.

use async_trait::async_trait;
use std::path::Path;
use std::sync::{Arc, Mutex};
use tierce_engine::{
    BuildEvent, BuildOptions, BuildRequest, BuilderError, Capabilities, EventSink, Events, Export,
    ExportKind, GatherCache, ImageBuild, ImageBuildEngine, ImageBuilder, ImageChecker, Presence,
    RegistryLogin, Status, UnknownPolicy,
};
use tierce_oci::{Descriptor, Diagnostic, Digest, ErrorKind, MediaType, Platform, Reference};
use tierce_spec::Image;

/// What checkers say, and what happened.
#[derive(Default)]
struct World {
    answers: Vec<Answer>,
    log: Mutex<Vec<String>>,
}

#[derive(Clone, Copy)]
enum Answer {
    Present,
    Absent,
    Unknown,
}

impl World {
    fn note(&self, what: impl Into<String>) {
        self.log.lock().unwrap().push(what.into());
    }

    fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the registry is asleep")]
struct Asleep;

impl Diagnostic for Asleep {
    fn code(&self) -> &'static str {
        "test/asleep"
    }

    fn kind(&self) -> ErrorKind {
        ErrorKind::Upstream
    }
}

struct Checker(Arc<World>, Answer);

#[async_trait]
impl ImageChecker for Checker {
    fn name(&self) -> &str {
        "test"
    }

    async fn check(&self, reference: &Reference, _: &[Platform]) -> Presence {
        self.0.note(format!("check {}", reference.repository()));
        match self.1 {
            Answer::Present => {
                let (digest, size) = (Digest::of("there"), 5);
                Presence::Present(Descriptor::new(MediaType::OciManifest, digest, size))
            }
            Answer::Absent => Presence::Absent,
            Answer::Unknown => Presence::Unknown(Arc::new(Asleep)),
        }
    }
}

struct Builder(Arc<World>, &'static str);

#[async_trait]
impl ImageBuilder for Builder {
    fn name(&self) -> &str {
        self.1
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            exports: [ExportKind::Local, ExportKind::Push, ExportKind::OciLayout].into(),
            multi_platform: true,
            secrets: true,
            dockerfiles: false,
            reproducible: true,
        }
    }

    async fn build(&self, request: &BuildRequest, _: &Events) -> Result<ImageBuild, BuilderError> {
        self.0.note(format!("build by {}", self.1));
        Ok(ImageBuild {
            digest: Some(Digest::of("built")),
            ..ImageBuild::new(&request.uri, Status::Built)
        })
    }

    fn checkers(&self, _: &[Export], _: Option<&RegistryLogin>) -> Vec<Arc<dyn ImageChecker>> {
        let checker = |answer: &Answer| Arc::new(Checker(self.0.clone(), *answer)) as _;
        self.0.answers.iter().map(checker).collect()
    }
}

impl EventSink for World {
    fn emit(&self, event: &BuildEvent) {
        if let BuildEvent::Warning { code, message } = event {
            self.note(format!("warning {code}: {message}"));
        }
    }
}

fn world(answers: &[Answer]) -> Arc<World> {
    Arc::new(World { answers: answers.to_vec(), log: Mutex::default() })
}

fn engine(world: &Arc<World>) -> ImageBuildEngine {
    let mut engine = ImageBuildEngine::new(GatherCache::none());
    engine.register(Arc::new(Builder(world.clone(), "low")), 0);
    engine.register(Arc::new(Builder(world.clone(), "high")), 5);
    engine
}

fn image() -> Image {
    Image::from_scratch().with_name("app").with_registry("r.example")
}

fn pushing() -> BuildOptions {
    BuildOptions { push: true, root: Path::new("/nowhere").into(), ..BuildOptions::default() }
}

async fn build(
    world: &Arc<World>,
    image: &Image,
    options: &BuildOptions,
) -> Result<Status, String> {
    let result = engine(world).build(image, options, &Events::new(world.clone())).await;
    result.map(|b| b.status).map_err(|e| e.code().to_owned())
}

#[tokio::test]
async fn what_is_there_is_not_built() {
    let w = world(&[Answer::Present]);
    assert_eq!(build(&w, &image(), &pushing()).await, Ok(Status::Present));
    assert_eq!(w.log(), ["check app"]);
}

#[tokio::test]
async fn the_first_checker_that_knows_decides() {
    let w = world(&[Answer::Unknown, Answer::Absent, Answer::Present]);
    assert_eq!(build(&w, &image(), &pushing()).await, Ok(Status::Built));
    assert_eq!(w.log(), ["check app", "check app", "build by high"]);
}

#[tokio::test]
async fn force_and_latest_are_not_checked() {
    for (image, force) in [(image(), true), (image().with_tag("latest"), false)] {
        let w = world(&[Answer::Present]);
        let options = BuildOptions { force, ..pushing() };
        assert_eq!(build(&w, &image, &options).await, Ok(Status::Built));
        assert_eq!(w.log(), ["build by high"]);
    }
}

#[tokio::test]
async fn a_dry_run_checks_and_builds_nothing() {
    let w = world(&[Answer::Absent]);
    let options = BuildOptions { dry_run: true, ..pushing() };
    assert_eq!(build(&w, &image(), &options).await, Ok(Status::WouldBuild));
    assert_eq!(w.log(), ["check app"]);
}

#[tokio::test]
async fn the_policy_decides_when_nobody_knows() {
    for (unknown, expected, built) in [
        (UnknownPolicy::Build, Ok(Status::Built), true),
        (UnknownPolicy::AssumePresent, Ok(Status::AssumedPresent), false),
        (UnknownPolicy::Fail, Err("engine/unknown-presence".to_owned()), false),
    ] {
        let w = world(&[Answer::Unknown]);
        let options = BuildOptions { unknown, ..pushing() };
        assert_eq!(build(&w, &image(), &options).await, expected);
        let log = w.log();
        assert!(
            log.iter().any(|l| l.contains("test cannot tell: the registry is asleep")),
            "{log:?}"
        );
        assert_eq!(log.contains(&"build by high".to_owned()), built);
    }
}

#[tokio::test]
async fn a_wrong_image_fails_before_anything_is_asked() {
    let w = world(&[Answer::Present]);
    let wrong = image().with_workdir("relative");
    assert!(build(&w, &wrong, &pushing()).await.is_err());
    assert!(w.log().is_empty());
}

#[tokio::test]
async fn builders_are_chosen_by_name_then_priority() {
    let w = world(&[]);
    let options = BuildOptions { builder: Some("low".into()), ..pushing() };
    assert_eq!(build(&w, &image(), &options).await, Ok(Status::Built));
    assert_eq!(w.log(), ["build by low"]);
    let options = BuildOptions { builder: Some("none".into()), ..pushing() };
    assert_eq!(build(&w, &image(), &options).await, Err("engine/unknown-builder".into()));
}

#[tokio::test]
async fn only_images_with_a_registry_are_pushed() {
    let w = world(&[]);
    let nameless = Image::from_scratch().with_name("app");
    assert_eq!(build(&w, &nameless, &pushing()).await, Err("engine/no-registry".into()));
}

#[tokio::test]
async fn files_are_always_written() {
    let w = world(&[Answer::Present]);
    let exports = vec!["oci:out".parse().unwrap()];
    let options = BuildOptions { push: false, exports, ..pushing() };
    assert_eq!(build(&w, &image(), &options).await, Ok(Status::Built));
    assert_eq!(w.log(), ["build by high"]);
}

#[test]
fn a_missing_source_is_named() {
    let missing = image().with_source_file("no-such-file", "/f");
    let error = engine(&world(&[])).prepare(&missing, &pushing()).err().unwrap();
    assert_eq!(error.code(), "source/missing");
    assert!(error.to_string().contains("no-such-file"), "{error}");
}
