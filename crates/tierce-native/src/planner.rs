//! From an image's steps to the layers that make it.

use crate::apt;
use crate::assembled::COMPRESSION;
use crate::base::ResolvedBase;
use crate::conda::CondaState;
use crate::context::Context;
use crate::draft::{DEFAULT_PATH, Draft};
use crate::error::NativeError;
use crate::image_base::Below;
use crate::key::KeyEncoder;
use crate::layer::Stack;
use crate::make::Refresh;
use crate::plan::{Node, Plan, PlanBuilder};
use crate::python::Interpreter;
use crate::work::{Execution, Omit, Work};
use std::sync::Arc;
use tierce_engine::{Events, Gathered, GatheredBase, Source, Status};
use tierce_layer::LayerPath;
use tierce_oci::{Platform, hide_credentials};
use tierce_spec::{Apt, Command, Commands, Labels, Network, ResolvedStep, Step};
use tierce_wheel::Libc;

/// How much planning may do.
#[derive(Clone, Debug)]
pub enum PlanMode {
    /// Whatever it takes: what a later layer depends on is made at once.
    Build(Refresh),
    /// Nothing is executed: planning ends where it would have to.
    Show,
}

impl PlanMode {
    /// Whether to look everything up again.
    pub fn refresh(&self) -> Refresh {
        match self {
            PlanMode::Build(refresh) => refresh.clone(),
            PlanMode::Show => Refresh::new(false),
        }
    }

    /// Whether nothing is executed.
    pub fn is_show(&self) -> bool {
        matches!(self, PlanMode::Show)
    }
}

/// What an interpreter runs on: the first layers of a plan, and their key.
#[derive(Clone, Copy, Debug)]
pub struct Foundation {
    /// How many layers.
    pub nodes: usize,
    /// Their key.
    pub stack: Stack,
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

/// Plans one image for one platform, step by step.
pub struct Planner<'a> {
    /// What everything works with.
    pub context: &'a Arc<Context>,
    /// The image and its inputs.
    pub gathered: &'a Gathered,
    /// Where it is told what happens.
    pub events: &'a Events,
    /// How much planning may do.
    pub mode: PlanMode,
    /// The plan so far.
    pub builder: PlanBuilder,
    /// Directories of the base that are links.
    links: &'static [(&'static str, &'static str)],
    /// The base's Python, where it is known.
    pub interpreter: Option<Interpreter>,
    /// The base's C library, as far as it is known.
    pub libc: Libc,
    /// The Python that the image's environment was made for, before anything was installed into
    /// it, and what it runs on.
    pub found: Option<(Interpreter, Foundation)>,
    /// The layer that the environment's skeleton is in, where there is one.
    pub venv: Option<usize>,
    /// The image's conda environments.
    pub conda: CondaState,
    /// Why the plan ends here.
    pub open_end: Option<String>,
    /// The base itself.
    pub base: Foundation,
}

impl Context {
    /// Plans the image for one platform.
    pub async fn plan(
        self: &Arc<Self>,
        gathered: &Gathered,
        below: Option<Below<'_>>,
        platform: &Platform,
        mode: PlanMode,
        events: &Events,
    ) -> Result<Planned, NativeError> {
        let steps = self.plan_steps(gathered, below, platform, mode, events).await?;
        Ok(Planned { plan: steps.builder.finish(), open_end: steps.open_end })
    }

    /// The steps of the image on its base. Where the base is an image that is not there, since
    /// nothing is built, its steps come first.
    async fn plan_steps<'a>(
        self: &'a Arc<Self>,
        gathered: &'a Gathered,
        below: Option<Below<'_>>,
        platform: &Platform,
        mode: PlanMode,
        events: &'a Events,
    ) -> Result<Planner<'a>, NativeError> {
        let base = gathered.resolved.image().base();
        let (ResolvedBase { plan, links, interpreter, libc }, open_end) =
            match (&gathered.base, below) {
                (Some(GatheredBase::Image(image)), Some(below))
                    if below.build.status == Status::WouldBuild =>
                {
                    // What is locked of the image below is its own.
                    let context = (**self).clone().with_locking(image.locking.clone());
                    let context = Arc::new(context);
                    let steps =
                        context.plan_steps(image, below.next(), platform, mode.clone(), events);
                    let Planner { builder: plan, links, interpreter, libc, open_end, .. } =
                        Box::pin(steps).await?;
                    (ResolvedBase { plan, links, interpreter, libc }, open_end)
                }
                (Some(GatheredBase::Image(_)), Some(below)) => {
                    (self.image_base(below, platform, events).await?, None)
                }
                _ => (self.resolve_base(base, platform, events).await?, None),
            };
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
            libc,
            found: None,
            venv: None,
            conda: CondaState::default(),
            open_end,
        };
        planner.label_python();
        planner.conda_of_base();
        planner.standalone_first().await?;
        for step in gathered.resolved.steps() {
            if planner.open_end.is_some() {
                break;
            }
            planner.step(step).await?;
        }
        Ok(planner)
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
            Step::Apt(apt) if self.context.locking.ledger().is_some() => {
                self.locked_apt(step.index, apt).await
            }
            Step::Apt(apt) => self.apt(apt),
            Step::Pip(_) | Step::Requirements(_) | Step::Wheels(_) | Step::Project(_) => {
                self.python(step.index).await
            }
            Step::Conda(_) => self.conda(step.index).await,
            // Decided about before the image was resolved.
            Step::CodeBundle(_) => Ok(()),
            Step::SourceFolder(_) | Step::SourceFile(_) => self.source(step),
            Step::Commands(commands) => {
                commands.commands.iter().try_for_each(|command| self.command(command, commands))
            }
            Step::Workdir(workdir) => {
                self.builder.configure(step.step);
                self.workdir(step.index, &workdir.path);
                Ok(())
            }
            Step::Env(_) | Step::User(_) | Step::Entrypoint(_) | Step::Cmd(_) | Step::Labels(_) => {
                self.builder.configure(step.step);
                Ok(())
            }
        }
    }

    fn apt(&mut self, step: &Apt) -> Result<(), NativeError> {
        let Apt { packages, secrets } = step;
        let title = format!("apt {}", packages.join(" "));
        self.context.require_execution(self.builder.platform(), &title)?;
        let env = environment(self.builder.config());
        let execution = apt::execution(packages, secrets, env, &self.builder.stack());
        self.execute("apt", title, execution);
        Ok(())
    }

    fn command(&mut self, command: &Command, step: &Commands) -> Result<(), NativeError> {
        // Whatever it does, it may do to the Python environment.
        if self.builder.config().labelled(crate::PACKAGES_LABEL).is_some() {
            self.builder.installed(None);
        }
        let argv = command.argv();
        let title = format!("run {}", crate::execute::display(&argv));
        self.context.require_execution(self.builder.platform(), &hide_credentials(&title))?;
        let config = self.builder.config();
        let execution = Execution {
            commands: vec![argv],
            env: environment(config),
            cwd: config.workdir().to_owned(),
            user: config.user().to_owned(),
            network: step.network,
            caches: vec![],
            omit: Omit::Logs,
            secrets: step.secrets.clone(),
        };
        self.execute("run", title, execution);
        Ok(())
    }

    /// Adds a layer that is made by running something.
    pub fn execute(&mut self, kind: &str, title: String, execution: Execution) {
        let key = apt::execution_key(kind, &execution, &self.builder.stack());
        // The history says what ran, as the layer's key does.
        let created_by = title;
        let title = hide_credentials(&created_by);
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

    /// Makes the working directory of the step `index`, unless something else does.
    ///
    /// Layers that are assembled know nothing of those below, and a directory that one of them
    /// lists loses the owner and mode that it may have there. What is executed sees what is there:
    /// a command makes the directory that it runs in if it is missing, and else leaves it alone.
    fn workdir(&mut self, index: usize, workdir: &str) {
        let Ok(path) = LayerPath::new(workdir) else { return };
        let standard = STANDARD_DIRECTORIES.iter().any(|d| d.as_bytes() == path.as_bytes());
        if standard || self.a_source_makes(&path) || self.a_command_runs_in(index) {
            return;
        }
        if self.a_shell_ran_before(index) {
            let execution = Execution {
                commands: vec![Command::from(":").argv()],
                env: environment(self.builder.config()),
                cwd: workdir.to_owned(),
                user: String::new(),
                network: Network::None,
                caches: vec![],
                omit: Omit::Logs,
                secrets: vec![],
            };
            return self.execute("workdir", format!("make /{path}"), execution);
        }
        let key = KeyEncoder::new("directory")
            .list("path", [path.as_bytes()])
            .text("compression", COMPRESSION.media_type().as_str())
            .finish();
        let title = format!("make /{path}");
        let created_by = title.clone();
        self.builder.layer(Node { key, title, created_by, work: Work::Directory(path) });
    }

    /// Whether a command runs in the working directory that the step `index` names.
    fn a_command_runs_in(&self, index: usize) -> bool {
        let later = self.gathered.resolved.steps().skip(index + 1).map(|later| later.step);
        later
            .take_while(|step| !matches!(step, Step::Workdir(_)))
            .any(|step| matches!(step, Step::Commands(c) if !c.commands.is_empty()))
    }

    /// Whether a command before the step `index` may have made anything, and has shown that the
    /// image has a shell.
    fn a_shell_ran_before(&self, index: usize) -> bool {
        self.gathered.resolved.steps().take(index).any(|earlier| match earlier.step {
            Step::Commands(c) => c.commands.iter().any(|c| matches!(c, Command::Shell(_))),
            _ => false,
        })
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
}

/// The environment of commands: the image's, with a search path in any case.
pub fn environment(config: &Draft) -> Vec<(String, String)> {
    let mut env = config.config().env();
    if !env.iter().any(|(name, _)| name == "PATH") {
        env.push(("PATH".to_owned(), DEFAULT_PATH.to_owned()));
    }
    env
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
