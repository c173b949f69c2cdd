//! From an image's steps to the layers that make it.

use crate::apt;
use crate::assembled::COMPRESSION;
use crate::base::ResolvedBase;
use crate::context::Context;
use crate::draft::{DEFAULT_PATH, Draft};
use crate::error::NativeError;
use crate::key::{KeyEncoder, LayerKey};
use crate::layer::{Layer, Stack};
use crate::make::{Maker, Refresh};
use crate::pip::{PipRequest, Resolution};
use crate::plan::{Node, Plan, PlanBuilder};
use crate::python::{Interpreter, PREFIX, PythonLayers, Together};
use crate::work::{Execution, Omit, Work};
use std::sync::Arc;
use tierce_engine::{Events, Gathered, Source};
use tierce_layer::LayerPath;
use tierce_oci::Platform;
use tierce_spec::{Bytecode, Command, Labels, Network, PythonRequest, ResolvedStep, Step};
use tierce_wheel::{BucketPolicy, LayerKind, Lock};

/// How much planning may do.
#[derive(Clone, Debug)]
pub enum PlanMode {
    /// Whatever it takes: what a later layer depends on is made at once.
    Build(Refresh),
    /// Nothing is executed: planning ends where it would have to.
    Show,
}

impl PlanMode {
    fn refresh(&self) -> Refresh {
        match self {
            PlanMode::Build(refresh) => refresh.clone(),
            PlanMode::Show => Refresh::new(false),
        }
    }

    fn is_show(&self) -> bool {
        matches!(self, PlanMode::Show)
    }
}

/// What an interpreter runs on: the first layers of a plan, and their key.
#[derive(Clone, Copy, Debug)]
struct Foundation {
    nodes: usize,
    stack: Stack,
}

/// A plan, and what could not be planned.
pub struct Planned {
    /// The layers.
    pub plan: Plan,
    /// Why the plan ends early; only in [`PlanMode::Show`].
    pub open_end: Option<String>,
}

/// Directories that every system has: a working directory among them is not made again, since a
/// layer that lists it would reset its mode.
const STANDARD_DIRECTORIES: [&str; 10] =
    ["", "bin", "etc", "home", "opt", "root", "srv", "tmp", "usr", "var/tmp"];

struct Planner<'a> {
    context: &'a Arc<Context>,
    gathered: &'a Gathered,
    events: &'a Events,
    mode: PlanMode,
    builder: PlanBuilder,
    links: &'static [(&'static str, &'static str)],
    interpreter: Option<Interpreter>,
    open_end: Option<String>,
    /// The base itself.
    base: Foundation,
}

impl Context {
    /// Plans the image for one platform.
    pub async fn plan(
        self: &Arc<Self>,
        gathered: &Gathered,
        platform: &Platform,
        mode: PlanMode,
        events: &Events,
    ) -> Result<Planned, NativeError> {
        let base = gathered.resolved.image().base();
        let ResolvedBase { plan, links, interpreter } =
            self.resolve_base(base, platform, events).await?;
        let base = Foundation { nodes: plan.len(), stack: plan.stack() };
        let mut planner = Planner {
            context: self,
            base,
            gathered,
            events,
            mode,
            builder: plan,
            links,
            interpreter,
            open_end: None,
        };
        planner.label_python();
        for step in gathered.resolved.steps() {
            planner.step(step).await?;
            if planner.open_end.is_some() {
                break;
            }
        }
        Ok(Planned { plan: planner.builder.finish(), open_end: planner.open_end })
    }
}

impl Planner<'_> {
    /// Images that start from this one need not look inside it for its Python.
    fn label_python(&mut self) {
        let Some(python) = &self.interpreter else { return };
        let labels = [(crate::PYTHON_LABEL.to_owned(), python.label())].into();
        self.builder.configure(&Step::Labels(Labels { labels }));
    }

    async fn step(&mut self, step: ResolvedStep<'_>) -> Result<(), NativeError> {
        match step.step {
            Step::Apt(apt) if apt.packages.is_empty() => Ok(()),
            Step::Apt(apt) => self.apt(&apt.packages),
            Step::Pip(_) | Step::Requirements(_) | Step::Wheels(_) => self.python(step.index).await,
            // Decided about before the image was resolved.
            Step::CodeBundle(_) => Ok(()),
            Step::SourceFolder(_) | Step::SourceFile(_) => self.source(step),
            Step::Commands(commands) => {
                commands.commands.iter().try_for_each(|c| self.command(c, commands.network))
            }
            Step::Workdir(workdir) => {
                self.builder.configure(step.step);
                self.workdir(&workdir.path);
                Ok(())
            }
            Step::Env(_) | Step::User(_) | Step::Entrypoint(_) | Step::Cmd(_) | Step::Labels(_) => {
                self.builder.configure(step.step);
                Ok(())
            }
        }
    }

    fn apt(&mut self, packages: &[String]) -> Result<(), NativeError> {
        let title = format!("apt {}", packages.join(" "));
        self.context.require_execution(self.builder.platform(), &title)?;
        let env = environment(self.builder.config());
        let execution = apt::execution(packages, env, &self.builder.stack());
        self.execute("apt", title, execution);
        Ok(())
    }

    fn command(&mut self, command: &Command, network: Network) -> Result<(), NativeError> {
        let argv = command.argv();
        let title = format!("run {}", crate::execute::display(&argv));
        self.context.require_execution(self.builder.platform(), &title)?;
        let config = self.builder.config();
        let execution = Execution {
            commands: vec![argv],
            env: environment(config),
            cwd: config.workdir().to_owned(),
            user: config.user().to_owned(),
            network,
            caches: vec![],
            omit: Omit::Logs,
        };
        self.execute("run", title, execution);
        Ok(())
    }

    fn execute(&mut self, kind: &str, title: String, execution: Execution) {
        let key = apt::execution_key(kind, &execution, &self.builder.stack());
        let created_by = title.clone();
        self.builder.layer(Node { key, title, created_by, work: Work::Execute(execution) });
    }

    fn source(&mut self, step: ResolvedStep<'_>) -> Result<(), NativeError> {
        let workdir = self.builder.config().workdir().to_owned();
        let (Some(source), Some(destination), Some(digest)) =
            (self.gathered.sources.get(&step.index), step.image_path(Some(&workdir)), step.digest)
        else {
            return Ok(());
        };
        let path = LayerPath::new(&destination).map_err(tierce_wheel::LayerError::from)?;
        let path = resolve_links(path, self.links);
        let name = source_name(source, self.gathered);
        let parts = source.tree.parts();
        let count = parts.len();
        for (number, part) in parts.into_iter().enumerate() {
            let key = KeyEncoder::new("source")
                .digest("tree", &part.digest())
                .list("destination", [path.as_bytes()])
                .text("compression", COMPRESSION.media_type().as_str())
                .text("format", &tierce_layer::FORMAT_VERSION.to_string())
                .finish();
            let which = match count {
                1 => String::new(),
                _ => format!(" ({} of {count})", number + 1),
            };
            // Where the source was on the host is nobody's business but its author's.
            let created_by = format!("copy {} to {destination}{which}", digest.short());
            let title = format!("copy {name} to {destination}{which}");
            let source = Source { root: source.root.clone(), tree: Arc::new(part) };
            let work = Work::Source { source, destination: path.clone() };
            self.builder.layer(Node { key, title, created_by, work });
        }
        Ok(())
    }

    /// Makes the working directory, unless something else does.
    fn workdir(&mut self, path: &str) {
        let Ok(path) = LayerPath::new(path) else { return };
        let standard = STANDARD_DIRECTORIES.iter().any(|d| d.as_bytes() == path.as_bytes());
        if standard || self.a_source_makes(&path) {
            return;
        }
        let key = KeyEncoder::new("directory")
            .list("path", [path.as_bytes()])
            .text("compression", COMPRESSION.media_type().as_str())
            .finish();
        let title = format!("make /{path}");
        let created_by = title.clone();
        self.builder.layer(Node { key, title, created_by, work: Work::Directory(path) });
    }

    /// Whether some source is copied into the directory or below it.
    fn a_source_makes(&self, path: &LayerPath) -> bool {
        let workdir = self.builder.config().workdir();
        self.gathered.resolved.steps().any(|step| {
            let into = step.image_path(Some(workdir)).and_then(|d| LayerPath::new(d).ok());
            let is_folder = matches!(step.step, Step::SourceFolder(_));
            into.is_some_and(|into| into.starts_with(path) && (is_folder || into != *path))
        })
    }

    async fn python(&mut self, index: usize) -> Result<(), NativeError> {
        let resolved = &self.gathered.resolved;
        let Some(environment) = resolved.python_environment() else { return Ok(()) };
        // All steps make one environment, at the place of the first of them.
        if environment.position != index {
            return Ok(());
        }
        let compile = compiles(resolved.image().bytecode(), resolved.platforms().len());
        let platform = self.builder.platform().clone();
        if compile {
            self.context.require_execution(&platform, "compiling Python modules")?;
        }
        let found = self.interpreter(resolved.image().python(), &platform).await?;
        let Some((interpreter, foundation)) = found else { return Ok(()) };
        let gathered = self.gathered;
        let request = PipRequest {
            environment: &environment,
            gathered,
            interpreter: &interpreter,
            platform: &platform,
            refresh: self.mode.refresh().is_wanted(),
        };
        let mut below = None;
        let lock = match self.context.python_lock(&request, self.events).await? {
            Resolution::Lock(lock) => lock,
            Resolution::Inside(_) if self.mode.is_show() => {
                self.open_end = Some(
                    "packages must be built to know what they require; what follows depends on it"
                        .to_owned(),
                );
                return Ok(());
            }
            Resolution::Inside(inside) => {
                let layers = below.insert(self.make_below().await?);
                self.context.lock_inside(&inside, &request, layers, self.events).await?
            }
        };
        let below = match lock.to_build().next() {
            None => vec![],
            Some(_) if self.mode.is_show() => {
                let names: Vec<&str> = lock.to_build().map(|p| p.name.as_str()).collect();
                self.open_end = Some(format!(
                    "{} will be built from source first; what follows depends on the result",
                    names.join(", ")
                ));
                return Ok(());
            }
            Some(_) => match below {
                Some(below) => below,
                None => self.make_below().await?,
            },
        };
        // Each group has two layers when it is compiled: half as many groups, then.
        let max_layers = if compile { 20 } else { 40 };
        let policy = BucketPolicy { max_layers, ..BucketPolicy::default() };
        let (layers, together) =
            self.context.python_layers(lock, &policy, &request, &below, self.events).await?;
        self.place(&layers, &together, environment.packages.len(), compile.then_some(foundation));
        Ok(())
    }

    /// Adds the environment's layers.
    fn place(
        &mut self,
        python: &Arc<PythonLayers>,
        together: &Together,
        requested: usize,
        compile: Option<Foundation>,
    ) {
        let venv = self.builder.layer(Node {
            key: LayerKey(python.venv().key(COMPRESSION)),
            title: format!("venv {PREFIX}"),
            created_by: format!("venv {PREFIX} on {}", python.interpreter.path),
            work: Work::Venv(python.clone()),
        });
        let mut wheels = vec![];
        for (group, plan) in python.groups.iter().enumerate() {
            let names = group_names(&python.lock, plan);
            wheels.push(self.builder.layer(Node {
                key: LayerKey(plan.key(&python.target, COMPRESSION)),
                title: format!("wheels {}", group_title(&plan.kind, &names)),
                created_by: format!("pip {}", names.join(" ")),
                work: Work::Wheels(python.clone(), group),
            }));
        }
        if let Some(foundation) = compile {
            // Not what an interpreter is said to be, but what it is: its path, and every layer
            // that it runs on. Bytecode is never checked against its source, so one image's
            // interpreter must not be able to write what another image ships.
            let interpreter = KeyEncoder::new("interpreter")
                .digest("foundation", &foundation.stack.0.0)
                .text("path", &python.interpreter.path)
                .finish();
            let disputed = &together.disputed;
            for (group, plan) in python.groups.iter().enumerate() {
                let names = group_names(&python.lock, plan);
                let needs = (0..foundation.nodes).chain([venv, wheels[group]]).collect();
                let key = plan.bytecode_key(&python.target, &interpreter.0);
                let key = match disputed.is_empty() {
                    true => LayerKey(key),
                    false => KeyEncoder::new("bytecode")
                        .digest("group", &key)
                        .list("without", disputed)
                        .finish(),
                };
                self.builder.layer(Node {
                    key,
                    title: format!("compile {}", group_title(&plan.kind, &names)),
                    created_by: format!("compile {}", names.join(" ")),
                    work: Work::Bytecode { python: python.clone(), group, needs },
                });
            }
        }
        if let Some(key) = together.top {
            self.builder.layer(Node {
                key: LayerKey(key),
                title: "environment".to_owned(),
                created_by: format!("pip: {requested} requested"),
                work: Work::Environment(python.clone()),
            });
        }
        self.builder.activate_venv(PREFIX);
    }

    /// Makes everything planned so far, since something has to run on it now.
    async fn make_below(&self) -> Result<Vec<Layer>, NativeError> {
        let plan = Arc::new(self.builder.snapshot());
        let refresh = self.mode.refresh();
        let maker = Maker::new(self.context.clone(), plan.clone(), self.events.clone(), refresh);
        let made = maker.run().await.map_err(|e| NativeError::Part(e))?;
        Ok(plan.base.layers().iter().cloned().chain(made.into_iter().flatten()).collect())
    }

    /// The image's Python, checked against what the image asks for, and what it runs on. `None`
    /// where the plan has to end because of it.
    async fn interpreter(
        &mut self,
        request: Option<&PythonRequest>,
        platform: &Platform,
    ) -> Result<Option<(Interpreter, Foundation)>, NativeError> {
        let here = Foundation { nodes: self.builder.len(), stack: self.builder.stack() };
        let (known, foundation) = match (&self.interpreter, request) {
            (Some(known), _) => (known.clone(), self.base),
            (None, Some(PythonRequest { version: Some(version), interpreter: Some(path) })) => {
                let version = version.to_string().parse()?;
                let libc = tierce_wheel::Libc::DEFAULT;
                (Interpreter { path: path.clone(), version, libc }, here)
            }
            (None, request) => {
                let name = match request {
                    Some(PythonRequest { interpreter: Some(path), .. }) => path.clone(),
                    Some(PythonRequest { version: Some(version), interpreter: None }) => {
                        format!("python{}.{}", version.major, version.minor)
                    }
                    Some(PythonRequest { version: None, interpreter: None }) | None => {
                        "python3".to_owned()
                    }
                };
                match self.probe(&name, platform).await? {
                    Some(found) => (found, here),
                    None => return Ok(None),
                }
            }
        };
        let Some(PythonRequest { version, interpreter }) = request else {
            return Ok(Some((known, foundation)));
        };
        if let Some(version) = version {
            let (found, wanted) = (known.version.to_string(), version.to_string());
            if found != wanted && !found.starts_with(&format!("{wanted}.")) {
                return Err(NativeError::WrongPython { wanted, found });
            }
        }
        let path = interpreter.clone().unwrap_or(known.path);
        Ok(Some((Interpreter { path, ..known }, foundation)))
    }

    /// Asks the image's own interpreter, as it is at this point, who it is.
    async fn probe(
        &mut self,
        name: &str,
        platform: &Platform,
    ) -> Result<Option<Interpreter>, NativeError> {
        if self.context.require_execution(platform, "looking for Python").is_err() {
            return Err(NativeError::NoInterpreter);
        }
        if self.mode.is_show() {
            self.open_end =
                Some("the image is asked for its Python first; what follows depends on it".into());
            return Ok(None);
        }
        let below = self.make_below().await?;
        if below.is_empty() {
            return Err(NativeError::NoInterpreter);
        }
        let path = self.builder.config().env("PATH").unwrap_or_else(|| DEFAULT_PATH.to_owned());
        Ok(Some(self.context.probe_python(name, &below, path, self.events).await?))
    }
}

/// Whether modules are compiled. Said by the image alone, never by the machine: the same
/// specification must not name two images. Images for several platforms are not compiled unless
/// they say so, since few machines could.
fn compiles(bytecode: Bytecode, platforms: usize) -> bool {
    match bytecode {
        Bytecode::Compile => true,
        Bytecode::Skip => false,
        Bytecode::Auto => platforms == 1,
    }
}

/// The environment of commands: the image's, with a search path in any case.
fn environment(config: &Draft) -> Vec<(String, String)> {
    let mut env = config.config().env();
    if !env.iter().any(|(name, _)| name == "PATH") {
        env.push(("PATH".to_owned(), DEFAULT_PATH.to_owned()));
    }
    env
}

fn group_names(lock: &Lock, plan: &tierce_wheel::LayerPlan) -> Vec<String> {
    plan.wheels
        .iter()
        .map(|wheel| {
            let package = lock.packages().iter().find(|p| p.name == *wheel.name());
            match package.and_then(|p| p.version.as_ref()) {
                Some(version) => format!("{}=={version}", wheel.name()),
                None => wheel.name().to_string(),
            }
        })
        .collect()
}

fn group_title(kind: &LayerKind, names: &[String]) -> String {
    match (kind, names) {
        (LayerKind::Own(_), [name]) => name.clone(),
        (_, names) if names.len() <= 3 => names.join(" "),
        (_, names) => format!("{} and {} more", names[..2].join(" "), names.len() - 2),
    }
}

/// The path with its leading link replaced by what it leads to.
fn resolve_links(path: LayerPath, links: &[(&str, &str)]) -> LayerPath {
    let found = links.iter().find_map(|(link, target)| {
        let link = LayerPath::new(link).ok()?;
        let rest = path.as_bytes().get(link.as_bytes().len()..)?;
        let target = LayerPath::new(target).ok()?;
        path.starts_with(&link).then(|| target.join(rest).unwrap_or(target))
    });
    found.unwrap_or(path)
}

/// The source as the user wrote it.
fn source_name(source: &Source, gathered: &Gathered) -> String {
    let path = source.root.strip_prefix(&gathered.root).unwrap_or(&source.root);
    path.display().to_string()
}
