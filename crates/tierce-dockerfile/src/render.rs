//! From an image to the text.

use crate::base::{self, BaseText};
use crate::context::{Archive, BuildContext, ContextLayout, DockerLayout};
use crate::dialect::Dialect;
use crate::error::RenderError;
use crate::python::PythonText;
use crate::quote;
use crate::run::Run;
use crate::secret::{self, RenderedSecret, SecretIds};
use crate::state::State;
use crate::text::Text;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use tierce_engine::{Gathered, GatheredBase, Source, Unsupported};
use tierce_layer::LayerPath;
use tierce_spec::{
    Apt, Base, Commands, DebianBase, Entrypoint, Env, Labels, Network, ResolvedStep, Secret, Step,
    join_image_path, without_credentials,
};

/// How an image is rendered.
#[derive(Clone)]
pub struct RenderOptions {
    /// What the builder's frontend understands.
    pub dialect: Dialect,
    /// What `FROM` says.
    pub base: BaseText,
    /// How Python packages are installed.
    pub python: PythonText,
    /// How the context is laid out and packed.
    pub layout: Arc<dyn ContextLayout>,
}

impl Default for RenderOptions {
    fn default() -> Self {
        RenderOptions {
            dialect: Dialect::default(),
            base: BaseText::default(),
            python: PythonText::default(),
            layout: Arc::new(DockerLayout),
        }
    }
}

impl fmt::Debug for RenderOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let RenderOptions { dialect, base, python: _, layout: _ } = self;
        f.debug_struct("RenderOptions")
            .field("dialect", dialect)
            .field("base", base)
            .finish_non_exhaustive()
    }
}

/// An image as a Dockerfile with a build context.
#[derive(Clone, Debug)]
pub struct Rendered {
    /// The Dockerfile's text.
    pub dockerfile: String,
    /// Where the Dockerfile is in the context.
    pub dockerfile_path: String,
    /// The context, the Dockerfile in it.
    pub context: BuildContext,
    /// How the context is packed where it is sent as a whole.
    pub archive: Archive,
    /// The secrets that the text names, each once.
    pub secrets: Vec<RenderedSecret>,
    /// The build arguments that have to be given.
    pub build_args: BTreeMap<String, String>,
    /// The stage to build, if not the last one.
    pub target: Option<String>,
    /// What of the image the text does not say.
    pub warnings: Vec<Unsupported>,
}

/// Renders an image with all that was read for it. Where the base is an image of ours,
/// [`RenderOptions::base`] says what became of it.
pub fn render(gathered: &Gathered, options: &RenderOptions) -> Result<Rendered, RenderError> {
    let image = gathered.resolved.image();
    if let (Base::Dockerfile(base), Some(GatheredBase::Dockerfile(read)), true) =
        (image.base(), &gathered.base, image.steps().is_empty())
    {
        return crate::dockerfile::render(base, read, &*options.layout);
    }
    let mut renderer = Renderer::new(gathered, options)?;
    for step in gathered.resolved.steps() {
        renderer.step(step)?;
    }
    renderer.finish()
}

pub(crate) struct Renderer<'a> {
    pub gathered: &'a Gathered,
    pub options: &'a RenderOptions,
    pub text: Text,
    pub context: BuildContext,
    pub ids: SecretIds,
    pub secrets: Vec<RenderedSecret>,
    pub state: State,
    from: String,
    build_args: BTreeMap<String, String>,
    warnings: Vec<Unsupported>,
}

impl<'a> Renderer<'a> {
    fn new(gathered: &'a Gathered, options: &'a RenderOptions) -> Result<Self, RenderError> {
        let image = gathered.resolved.image();
        let from = base::from(image.base(), &options.base).ok_or(RenderError::Base)?;
        let ids = SecretIds::new(image.secrets());
        let mut renderer = Renderer {
            gathered,
            options,
            text: Text::default(),
            context: BuildContext::new(),
            secrets: ids.rendered(),
            ids,
            state: State::new(from.config),
            from: from.text,
            build_args: BTreeMap::new(),
            warnings: vec![],
        };
        renderer.text.push(&format!("FROM {}", renderer.from));
        if let (BaseText::Own, Base::Debian(debian)) = (&options.base, image.base()) {
            renderer.debian(debian, &from.packages)?;
        }
        Ok(renderer)
    }

    /// What makes Docker Hub's Debian image more like the one that is asked for.
    fn debian(&mut self, debian: &DebianBase, packages: &[String]) -> Result<(), RenderError> {
        let DebianBase { suite, python: _, mirror, security_mirror, components, packages: _ } =
            debian;
        let hub = format!("Docker Hub's debian:{suite}-slim has its own");
        self.unsupported("base.debian", &format!("it starts from {} instead", self.from.clone()));
        for (parameter, set) in [
            ("base.mirror", mirror.is_some()),
            ("base.security-mirror", security_mirror.is_some()),
            ("base.components", !components.is_empty()),
        ] {
            if set {
                self.unsupported(parameter, &hub);
            }
        }
        self.apt(packages, &[])
    }

    fn unsupported(&mut self, parameter: &str, reason: &str) {
        let all = Unsupported { parameter: parameter.to_owned(), reason: reason.to_owned() };
        if !self.warnings.contains(&all) {
            self.warnings.push(all);
        }
    }

    fn step(&mut self, step: ResolvedStep<'_>) -> Result<(), RenderError> {
        match step.step {
            Step::Apt(Apt { packages, secrets }) => self.apt(packages, secrets),
            Step::Conda(_) => Err(RenderError::Step { what: "a conda environment" }),
            Step::Pip(_) | Step::Requirements(_) | Step::Wheels(_) | Step::Project(_) => {
                let resolved = &self.gathered.resolved;
                match resolved.python_environment() {
                    Some(environment) if environment.skeleton == Some(step.index) => {
                        self.text.paragraph();
                        self.text.push(&quote::comment("Python: an empty environment"));
                        self.python(&environment.emptied())
                    }
                    // All steps make one environment, at the place of the first of them that
                    // installs something.
                    Some(environment) if environment.position == step.index => {
                        self.text.paragraph();
                        let packages = environment.packages.iter().map(|p| without_credentials(p));
                        let packages: Vec<String> = packages.collect();
                        let files = environment.requirements.iter().chain(&environment.wheels);
                        let files = files.map(|(_, path)| path.display().to_string());
                        let projects = environment.projects.iter();
                        let projects = projects.map(|(_, p)| p.manifest.display().to_string());
                        let all: Vec<String> = projects.chain(packages).chain(files).collect();
                        self.text.push(&quote::comment(&format!("Python: {}", all.join(", "))));
                        self.python(&environment)
                    }
                    _ => Ok(()),
                }
            }
            Step::SourceFolder(_) | Step::SourceFile(_) => self.source(step),
            // Decided about before the image was resolved.
            Step::CodeBundle(_) => Ok(()),
            Step::Env(env) => {
                self.env(env);
                Ok(())
            }
            Step::Commands(commands) => self.commands(commands),
            Step::Workdir(workdir) => {
                self.text.paragraph();
                // Made by whoever is the user, in some builders.
                self.as_root(|renderer| {
                    renderer.text.push(&format!("WORKDIR {}", quote::argument(&workdir.path)));
                });
                self.state.set_workdir(&workdir.path);
                Ok(())
            }
            Step::User(user) => {
                self.text.paragraph();
                self.text.push(&format!("USER {}", quote::argument(&user.user)));
                self.state.set_user(&user.user);
                Ok(())
            }
            Step::Entrypoint(Entrypoint { argv }) => {
                self.text.paragraph();
                self.text.push(&format!("ENTRYPOINT {}", quote::exec(argv)));
                if self.state.take_cmd() {
                    self.text.push("CMD []");
                }
                Ok(())
            }
            Step::Cmd(cmd) => {
                self.text.paragraph();
                self.text.push(&format!("CMD {}", quote::exec(&cmd.argv)));
                self.state.set_cmd();
                Ok(())
            }
            Step::Labels(labels) => self.labels(labels),
        }
    }

    fn apt(&mut self, packages: &[String], secrets: &[Secret]) -> Result<(), RenderError> {
        if packages.is_empty() {
            return Ok(());
        }
        self.text.paragraph();
        let options = self.options;
        let dialect = &options.dialect;
        let mut run = Run::default();
        secret::mount(&mut run, secrets, &self.ids, dialect, secret::Reader::Root)?;
        let commands = crate::apt::commands(&mut run, packages, dialect, &self.from);
        self.as_root(|renderer| renderer.text.push(&run.shell(&commands)));
        Ok(())
    }

    fn commands(&mut self, commands: &Commands) -> Result<(), RenderError> {
        let Commands { commands, network, secrets } = commands;
        self.text.paragraph();
        let dialect = &self.options.dialect;
        let mut run = Run::default();
        secret::mount(&mut run, secrets, &self.ids, dialect, self.state.reader())?;
        match (network, dialect.run_network) {
            (Network::Host, _) => {}
            (Network::None, true) => run.offline = true,
            (Network::None, false) => {
                let reason = "the builder has no RUN --network: commands reach what it reaches";
                self.unsupported("run.network", reason);
            }
        }
        for command in commands {
            // Not the shell form: which shell that is, the base's configuration decides.
            self.text.push(&run.exec(&command.argv()));
        }
        Ok(())
    }

    fn env(&mut self, env: &Env) {
        let Env { vars, paths } = env;
        let mut all = vec![];
        for (name, value) in vars {
            self.line_feeds(value);
            all.push(format!("{name}={}", quote::word(value)));
            self.state.set_variable(name, value);
        }
        // They go around values that were just set: an instruction of their own.
        self.text.paragraph();
        self.instruction("ENV", &all);
        for (name, path) in paths {
            let value = self.state.set_search_path(name, path);
            self.instruction("ENV", &[format!("{name}={value}")]);
        }
    }

    fn labels(&mut self, labels: &Labels) -> Result<(), RenderError> {
        let mut all = vec![];
        for (name, value) in &labels.labels {
            if name.contains('=') {
                return Err(RenderError::Label { name: name.clone() });
            }
            self.line_feeds(value);
            all.push(format!("{}={}", quote::argument(name), quote::word(value)));
        }
        self.text.paragraph();
        self.instruction("LABEL", &all);
        Ok(())
    }

    fn instruction(&mut self, keyword: &str, arguments: &[String]) {
        if !arguments.is_empty() {
            self.text.push(&format!("{keyword} {}", arguments.join(" \\\n    ")));
        }
    }

    /// Declares the argument that stands for a line feed, where `value` has one.
    fn line_feeds(&mut self, value: &str) {
        let name = quote::LINE_FEED;
        if value.contains('\n') && !self.build_args.contains_key(name) {
            self.build_args.insert(name.to_owned(), "\n".to_owned());
            self.text.paragraph();
            self.text.push(&format!("ARG {name}"));
        }
    }

    fn source(&mut self, step: ResolvedStep<'_>) -> Result<(), RenderError> {
        let Some(source) = self.gathered.sources.get(&step.index) else { return Ok(()) };
        let destination = match (step.step, self.state.workdir()) {
            (Step::SourceFolder(folder), Some(workdir)) => folder.image_path(workdir),
            (Step::SourceFile(file), Some(workdir)) => file.image_path(workdir),
            // Relative to whatever the base's directory is.
            (Step::SourceFolder(folder), None) => relative(&folder.dst),
            (Step::SourceFile(file), None) => relative(&file.target()),
            _ => return Ok(()),
        };
        let name = source.root.file_name().map(|name| name.to_string_lossy().into_owned());
        let name = safe_name(&name.unwrap_or_default());
        // The digest in the path: a builder that goes by times and sizes takes nothing old for it.
        let digest = source.tree.digest().short();
        let at = format!("sources/{:02}-{name}-{digest}", step.index);
        let place = self.at(&at);
        self.text.paragraph();
        if let Step::SourceFile(_) = step.step {
            return self.file(source, &at, &place, &destination);
        }
        self.context.add_tree(&place, &source.root, &source.tree)?;
        self.keep_modes(&place, &destination);
        let slash = if destination.ends_with('/') { "" } else { "/" };
        self.copy(&format!("{at}/"), &format!("{destination}{slash}"));
        Ok(())
    }

    /// A file that gets its destination's name. buildah (1.28) can give it no name that takes an
    /// extended tar header; a directory that holds one, it can copy.
    fn file(
        &mut self,
        source: &Source,
        at: &str,
        place: &str,
        destination: &str,
    ) -> Result<(), RenderError> {
        match destination.rsplit_once('/') {
            Some((directory, name)) if !name.is_ascii() || name.len() > 100 => {
                self.context.add_tree(&format!("{place}/{name}"), &source.root, &source.tree)?;
                self.copy(&format!("{at}/"), &format!("{directory}/"));
            }
            _ => {
                self.context.add_tree(place, &source.root, &source.tree)?;
                self.copy(at, destination);
            }
        }
        Ok(())
    }

    /// `COPY` sets the modes of directories that the base has: those of well-known ones are what
    /// they are everywhere.
    fn keep_modes(&mut self, place: &str, destination: &str) {
        const WELL_KNOWN: [(&str, u32); 3] =
            [("/tmp", 0o1777), ("/var/tmp", 0o1777), ("/root", 0o700)];
        for (path, mode) in WELL_KNOWN {
            let destination = join_image_path("/", destination);
            let below = match destination.as_str() {
                "/" => Some(path),
                destination => {
                    path.strip_prefix(destination).filter(|p| p.starts_with('/') || p.is_empty())
                }
            };
            let Some(below) = below else { continue };
            if let Ok(at) = LayerPath::new(format!("{place}{below}")) {
                self.context.set_mode(&at, mode);
            }
        }
    }

    /// `COPY` from the context.
    pub(crate) fn copy(&mut self, source: &str, destination: &str) {
        self.copy_from(None, source, destination);
    }

    /// `COPY` from the context, or from an image.
    pub(crate) fn copy_from(&mut self, from: Option<&str>, source: &str, destination: &str) {
        let from = from.map(|from| format!("--from={from} ")).unwrap_or_default();
        self.text.push(&format!("COPY {from}{}", quote::paths(&[source, destination])));
    }

    /// Where `path` of the text is in the context.
    pub(crate) fn at(&self, path: &str) -> String {
        match self.options.layout.root() {
            "" => path.to_owned(),
            root => format!("{root}/{path}"),
        }
    }

    /// Runs `what` as root, and goes back to the user that was.
    pub(crate) fn as_root(&mut self, what: impl FnOnce(&mut Self)) {
        let user = self.state.other_user().map(quote::argument);
        if user.is_some() {
            self.text.push("USER 0");
        }
        what(self);
        if let Some(user) = user {
            self.text.push(&format!("USER {user}"));
        }
    }

    fn finish(self) -> Result<Rendered, RenderError> {
        let Renderer {
            gathered, options, text, mut context, secrets, build_args, warnings, ..
        } = self;
        let dockerfile = text.finish();
        let path = options.layout.dockerfile().to_owned();
        context.add_content(&path, dockerfile.clone())?;
        // It is not in the image, and another text may have the same length.
        context.date_file_by_content(&path);
        options.layout.finish(&mut context)?;
        let folders = || gathered.sources.values().filter(|source| source.root.is_dir());
        context.set_ignore_file(
            gathered.resolved.image().dockerignore().is_some()
                || folders().any(|source| source.root.join(".dockerignore").is_file()),
        );
        Ok(Rendered {
            dockerfile,
            dockerfile_path: path,
            context,
            archive: options.layout.archive(),
            secrets,
            build_args,
            target: None,
            warnings,
        })
    }
}

/// A destination below a working directory that is not known.
fn relative(destination: &str) -> String {
    match destination.starts_with('/') {
        true => join_image_path("/", destination),
        false => format!(".{}", join_image_path("/", destination)),
    }
}

/// A name as it may stand in a path of the text without any quoting.
fn safe_name(name: &str) -> String {
    let safe = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '_' };
    name.chars().map(safe).collect()
}
