//! A builder that only remembers what it was asked, and a world that answers it.
#![allow(dead_code)]

use async_trait::async_trait;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tierce_engine::{
    BuildEvent, BuildOptions, BuildRequest, BuilderError, Capabilities, EventSink, Events, Export,
    ExportKind, GatherCache, ImageBuild, ImageBuildEngine, ImageBuilder, ImageChecker,
    OutputStream, Presence, Question, RegistryLogin, Rendering, Status, StepKind, TagKind,
    Unsupported,
};
use tierce_oci::{Descriptor, Diagnostic, Digest, ErrorKind, MediaType};
use tierce_spec::Image;

/// What a checker says.
#[derive(Clone, Copy)]
pub enum Answer {
    Present,
    Vouched,
    Absent,
    Unknown,
}

/// What checkers say, what builders do, and what happened.
pub struct World {
    pub answers: Vec<Answer>,
    /// Images that are there whatever `answers` say.
    pub present: Vec<&'static str>,
    /// Images whose builds fail.
    pub failing: Vec<&'static str>,
    /// What builders say while they build; `{secret}` stands for the values they were given.
    pub says: Option<&'static str>,
    /// Done in the middle of a build.
    pub meanwhile: Option<Box<dyn Fn() + Send + Sync>>,
    pub log: Mutex<Vec<String>>,
    pub at_once: AtomicUsize,
    pub most_at_once: AtomicUsize,
}

impl World {
    pub fn new(answers: &[Answer]) -> Self {
        World {
            answers: answers.to_vec(),
            present: vec![],
            failing: vec![],
            says: None,
            meanwhile: None,
            log: Mutex::default(),
            at_once: AtomicUsize::new(0),
            most_at_once: AtomicUsize::new(0),
        }
    }

    pub fn note(&self, what: impl Into<String>) {
        self.log.lock().unwrap().push(what.into());
    }

    pub fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }

    pub fn forget(&self) {
        self.log.lock().unwrap().clear();
    }

    /// How often something happened that starts like this.
    pub fn count(&self, start: &str) -> usize {
        self.log().iter().filter(|line| line.starts_with(start)).count()
    }
}

impl EventSink for World {
    fn emit(&self, event: &BuildEvent) {
        match event {
            BuildEvent::Warning { code, message } => {
                self.note(format!("warning {code}: {message}"));
            }
            BuildEvent::StepStarted { title, kind: StepKind::Execute, .. } => {
                self.note(format!("step {title}"));
            }
            BuildEvent::StepOutput { line, .. } => self.note(format!("output {line}")),
            _ => {}
        }
    }
}

pub fn world(answers: &[Answer]) -> Arc<World> {
    Arc::new(World::new(answers))
}

#[derive(Debug, thiserror::Error)]
#[error("the registry is asleep")]
pub struct Asleep;

#[derive(Debug, thiserror::Error)]
#[error("the build broke: {0}")]
pub struct Broken(pub String, #[source] pub Cause);

#[derive(Debug, thiserror::Error)]
#[error("it said {0}")]
pub struct Cause(pub String);

impl Diagnostic for Asleep {
    fn code(&self) -> &'static str {
        "test/asleep"
    }

    fn kind(&self) -> ErrorKind {
        ErrorKind::Upstream
    }
}

impl Diagnostic for Broken {
    fn code(&self) -> &'static str {
        "test/broken"
    }

    fn kind(&self) -> ErrorKind {
        ErrorKind::Step
    }

    fn hint(&self) -> Option<String> {
        Some(format!("Its last output was {}.", self.0))
    }
}

struct Checker(Arc<World>, Answer);

pub fn root() -> Descriptor {
    Descriptor::new(MediaType::OciManifest, Digest::of("there"), 5)
}

#[async_trait]
impl ImageChecker for Checker {
    fn name(&self) -> &str {
        "test"
    }

    async fn check(&self, question: Question<'_>) -> Presence {
        let reference = question.reference;
        let tag = if question.tag == TagKind::Chosen { " by a chosen tag" } else { "" };
        self.0.note(format!("check {}{tag}", reference.repository()));
        if self.0.present.contains(&reference.repository()) {
            return Presence::Present(root());
        }
        match self.1 {
            Answer::Present => Presence::Present(root()),
            Answer::Vouched => {
                Presence::Vouched(format!("r.example/{}:its", reference.repository()))
            }
            Answer::Absent => Presence::Absent,
            Answer::Unknown => Presence::Unknown(Arc::new(Asleep)),
        }
    }
}

/// Builds nothing, and remembers what it was asked.
#[derive(Clone)]
pub struct Builder {
    pub world: Arc<World>,
    pub name: &'static str,
    pub exports: BTreeSet<ExportKind>,
    pub able: bool,
    pub leaves_out: Vec<&'static str>,
}

pub fn builder(world: &Arc<World>, name: &'static str) -> Builder {
    Builder {
        world: world.clone(),
        name,
        exports: [ExportKind::Local, ExportKind::Push, ExportKind::OciLayout].into(),
        able: true,
        leaves_out: vec![],
    }
}

fn short(uri: &str) -> &str {
    let name = uri.rsplit('/').next().unwrap_or(uri);
    name.split(':').next().unwrap_or(name)
}

#[async_trait]
impl ImageBuilder for Builder {
    fn name(&self) -> &str {
        self.name
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            exports: self.exports.clone(),
            multi_platform: self.able,
            secrets: self.able,
            dockerfiles: self.able,
            reproducible: true,
        }
    }

    fn unsupported(&self, _: &BuildRequest) -> Vec<Unsupported> {
        let unsupported = |parameter: &&str| Unsupported {
            parameter: (*parameter).to_owned(),
            reason: "it never does".to_owned(),
        };
        self.leaves_out.iter().map(unsupported).collect()
    }

    async fn render(&self, request: &BuildRequest, _: &Events) -> Result<Rendering, BuilderError> {
        let name = short(&request.uri);
        self.world.note(format!("render {name} by {}", self.name));
        Ok(Rendering { command: Some(format!("make {name}")), ..Rendering::default() })
    }

    async fn build(
        &self,
        request: &BuildRequest,
        events: &Events,
    ) -> Result<ImageBuild, BuilderError> {
        let world = &self.world;
        let now = world.at_once.fetch_add(1, Ordering::SeqCst) + 1;
        world.most_at_once.fetch_max(now, Ordering::SeqCst);
        let name = short(&request.uri);
        let on = request.base.as_ref().map(|b| format!(" on {}", short(&b.uri)));
        world.note(format!("build {name} by {}{}", self.name, on.unwrap_or_default()));
        // Others get their turn.
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
        if let Some(meanwhile) = &world.meanwhile {
            meanwhile();
        }
        world.at_once.fetch_sub(1, Ordering::SeqCst);
        let values = request.gathered.resolved.image().secrets().into_iter().map(|secret| {
            let value = request.secrets.get(&secret.id()).expect("a value");
            String::from_utf8_lossy(value.expose()).into_owned()
        });
        let said =
            world.says.unwrap_or("").replace("{secret}", &values.collect::<Vec<_>>().join(" "));
        if !said.is_empty() {
            let step = events.step(StepKind::Execute, format!("title {said}"));
            step.reporter().line(OutputStream::Stderr, format!("line {said}"));
            step.finish(tierce_engine::Outcome::Made, format!("detail {said}"));
            events.warn("test/said", said.clone());
        }
        request.verify().await.map_err(|e| BuilderError(Arc::new(e)))?;
        if world.failing.contains(&name) {
            return Err(BuilderError(Arc::new(Broken(said.clone(), Cause(said)))));
        }
        let digest = Digest::of(format!("built {}", request.uri));
        let root = Descriptor::new(MediaType::OciManifest, digest, 5);
        Ok(ImageBuild::new(&request.uri, Status::Built).with_root(root))
    }

    fn checkers(&self, _: &[Export], login: Option<&RegistryLogin>) -> Vec<Arc<dyn ImageChecker>> {
        if let Some(login) = login {
            let value = String::from_utf8_lossy(login.value.expose()).into_owned();
            self.world.note(format!("login {} {value}", login.registry));
        }
        let checker = |answer: &Answer| Arc::new(Checker(self.world.clone(), *answer)) as _;
        self.world.answers.iter().map(checker).collect()
    }
}

/// An engine with a builder `low` and a builder `high`, which is the default.
pub fn engine(world: &Arc<World>) -> ImageBuildEngine {
    let mut engine = ImageBuildEngine::new(GatherCache::none());
    engine.register(Arc::new(builder(world, "low")), 0);
    engine.register(Arc::new(builder(world, "high")), 5);
    engine
}

pub fn image() -> Image {
    Image::from_scratch().with_name("app").with_registry("r.example")
}

pub fn pushing() -> BuildOptions {
    BuildOptions { push: true, root: Path::new("/nowhere").into(), ..BuildOptions::default() }
}

/// Builds by the engine of [`engine`]; the status, or the error's code.
pub async fn build(
    world: &Arc<World>,
    image: &Image,
    options: &BuildOptions,
) -> Result<Status, String> {
    build_with(&engine(world), world, image, options).await
}

pub async fn build_with(
    engine: &ImageBuildEngine,
    world: &Arc<World>,
    image: &Image,
    options: &BuildOptions,
) -> Result<Status, String> {
    let result = engine.build(image, options, &Events::new(world.clone())).await;
    result.map(|b| b.status).map_err(|e| e.code().to_owned())
}
