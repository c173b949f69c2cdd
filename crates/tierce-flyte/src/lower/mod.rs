//! From Flyte's words to an image, layer by layer.

mod base;
mod credentials;
mod declared;
mod lines;
mod name;
mod options;
mod pixi;
mod prelude;
mod project;
mod requires;
mod script;
mod source;
mod variables;
mod wanted;
mod words;

use crate::environment::pylock;
use crate::{FlyteError, FlyteImage, Layer, Prelude, Surroundings};
use options::Indexes;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use tierce_spec::{
    CopyStyle, Image, Network, Project, ProjectKind, Secret, SourceOptions, Step, Wheels,
    join_image_path,
};
use variables::Variables;

/// The image that was described.
#[derive(Clone, Debug)]
pub struct Lowered {
    /// The image.
    pub image: Image,
    /// What the user should know.
    pub warnings: Vec<Warning>,
}

/// Something that the user should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// A stable code.
    pub code: &'static str,
    /// What it is.
    pub message: String,
}

impl FlyteImage {
    /// The image that is described.
    ///
    /// # Errors
    /// What is wrong with its layers, and what they need that is not there.
    pub fn lower(&self, surroundings: &Surroundings) -> Result<Lowered, FlyteError> {
        let python = requires::python(self, surroundings)?;
        let image = base::start(self, python, surroundings)?;
        let image = base::named(self, image, surroundings)?;
        if self.is_unmodified() || self.dockerfile.is_some() {
            return Ok(Lowered { image, warnings: vec![] });
        }
        let mut lowering = Lowering::new(self, surroundings, image);
        lowering.platforms();
        if self.prelude() == Prelude::Flyte {
            lowering.prelude()?;
        }
        for layer in &self.layers {
            lowering.layer(layer)?;
        }
        lowering.code_bundles();
        if self.prelude() == Prelude::Flyte {
            lowering.footer();
        }
        Ok(Lowered { image: lowering.image, warnings: lowering.warnings })
    }
}

/// An image on its way.
struct Lowering<'a> {
    source: &'a FlyteImage,
    surroundings: &'a Surroundings,
    image: Image,
    warnings: Vec<Warning>,
    variables: Variables,
    indexes: Indexes,
    /// The working directory, where it is known.
    workdir: Option<String>,
    /// Directories that are known to be there.
    directories: BTreeSet<String>,
}

/// Directories that all systems have, and the home of Flyte's user.
const DIRECTORIES: [&str; 9] =
    ["/", "/etc", "/home", "/home/flyte", "/opt", "/root", "/srv", "/tmp", "/usr"];

impl<'a> Lowering<'a> {
    fn new(source: &'a FlyteImage, surroundings: &'a Surroundings, image: Image) -> Self {
        Lowering {
            source,
            surroundings,
            image,
            warnings: vec![],
            variables: Variables::default(),
            indexes: Indexes::of(&source.layers),
            workdir: None,
            directories: DIRECTORIES.map(str::to_owned).into(),
        }
    }

    fn warn(&mut self, code: &'static str, message: impl Into<String>) {
        let warning = Warning { code, message: message.into() };
        if !self.warnings.contains(&warning) {
            self.warnings.push(warning);
        }
    }

    /// Whether values are those of a Dockerfile, in which variables are expanded.
    fn expands(&self) -> bool {
        self.source.prelude() == Prelude::Flyte
    }

    fn add(&mut self, step: Step) {
        self.image = self.image.with_step(step);
    }

    fn layer(&mut self, layer: &Layer) -> Result<(), FlyteError> {
        match layer {
            Layer::PipPackages { packages, options } => self.pip(packages, options),
            Layer::Requirements { file, options } => self.requirements(file, options),
            Layer::Wheels { dir, package, options } => self.wheels(dir, package, options),
            Layer::LocalPackages { packages } => {
                let name = wanted::pylock_name(&pylock(packages));
                let lock = self.surroundings.written.join(name);
                self.add(Step::Project(Project::new(ProjectKind::Pylock, lock)));
                Ok(())
            }
            Layer::UvProject { pyproject, lock, mode, options } => {
                let lock = self.sibling(lock.as_ref(), pyproject, "uv.lock");
                self.uv_project(pyproject, lock.as_deref(), *mode, options)
            }
            Layer::PoetryProject { pyproject, lock, mode, extra_args, secrets } => {
                self.poetry_project(pyproject, lock, *mode, extra_args.as_deref(), secrets)
            }
            Layer::PixiProject { manifest, lock, environment, mode, extra_args, secrets } => {
                let lock = self.sibling(lock.as_ref(), manifest, "pixi.lock");
                let install =
                    pixi::Install { environment, extra_args: extra_args.as_deref(), secrets };
                self.pixi_project(manifest, lock.as_deref(), *mode, &install)
            }
            Layer::UvScript { script, options } => self.uv_script(script, options),
            Layer::PixiScript { script, environment, extra_args, secrets } => {
                let install =
                    pixi::Install { environment, extra_args: extra_args.as_deref(), secrets };
                self.pixi_script(script, &install)
            }
            Layer::AptPackages { packages, secrets } => {
                self.apt(packages, secrets);
                Ok(())
            }
            Layer::Commands { commands, secrets } => {
                self.commands(commands, secrets);
                Ok(())
            }
            Layer::Env { vars } => {
                self.env(vars);
                Ok(())
            }
            Layer::Workdir { workdir } => {
                self.enter(workdir);
                Ok(())
            }
            Layer::Source { kind, src, dst } => {
                self.copy(*kind, src, dst);
                Ok(())
            }
            // After everything else.
            Layer::CodeBundle { .. } => Ok(()),
            Layer::Dockerignore { path } => {
                if !path.as_os_str().is_empty() {
                    self.image = self.image.with_dockerignore(path);
                }
                Ok(())
            }
            Layer::DockerLines { lines } => lines.iter().try_for_each(|line| self.line(line)),
        }
    }

    fn wheels(
        &mut self,
        dir: &Path,
        package: &str,
        options: &crate::InstallOptions,
    ) -> Result<(), FlyteError> {
        let options = self.pip_options(options)?;
        let packages = vec![package.to_owned()];
        self.add(Step::Wheels(Wheels { dir: dir.to_owned(), packages, options }));
        Ok(())
    }

    fn apt(&mut self, packages: &[String], secrets: &[Secret]) {
        // One argument may name several packages: they end up in one line for a shell.
        let packages: Vec<String> =
            packages.iter().flat_map(|p| p.split_whitespace()).map(str::to_owned).collect();
        if packages.is_empty() {
            return;
        }
        let secrets = secrets.to_vec();
        self.add(Step::Apt(tierce_spec::Apt { packages, secrets }));
    }

    fn commands(&mut self, commands: &[String], secrets: &[Secret]) {
        let commands: Vec<String> = commands.iter().map(|line| self.command(line)).collect();
        if !commands.is_empty() {
            self.run(commands, secrets);
        }
    }

    /// Runs lines in the image, each as a layer.
    fn run(&mut self, lines: Vec<String>, secrets: &[Secret]) {
        self.add(Step::Commands(tierce_spec::Commands {
            commands: lines.into_iter().map(Into::into).collect(),
            network: Network::Host,
            secrets: secrets.to_vec(),
        }));
    }

    /// The command, without the `RUN` that some write before it.
    fn command(&mut self, line: &str) -> String {
        let Some(("RUN", rest)) = line.trim_start().split_once(char::is_whitespace) else {
            return line.to_owned();
        };
        let rest = rest.trim_start().to_owned();
        self.warn(
            "flyte/run-prefix",
            format!("commands are not instructions of a Dockerfile: {rest:?} is run, without RUN"),
        );
        rest
    }

    fn enter(&mut self, workdir: &str) {
        let workdir = self.text(workdir);
        let path = join_image_path(self.workdir.as_deref().unwrap_or("/"), &workdir);
        // What leads upwards is for validation to refuse.
        let path = if workdir.is_empty() { workdir } else { path };
        self.directories.insert(path.clone());
        self.workdir = Some(path.clone());
        self.image = self.image.with_workdir(path);
    }

    /// The code bundles, after everything else: those of which it was decided where the code is,
    /// and the last of the others, of which whoever builds decides.
    fn code_bundles(&mut self) {
        let mut image = self.image.clone();
        let mut undecided = None;
        for layer in &self.source.layers {
            let Layer::CodeBundle { style, dst, root, loaded } = layer else { continue };
            let Some(root) = root else {
                undecided = Some((*style, dst));
                continue;
            };
            let options = match style {
                CopyStyle::All => SourceOptions::new(),
                CopyStyle::LoadedModules => SourceOptions::new().with_only(
                    loaded.iter().map(|file| file.strip_prefix(root).unwrap_or(file).to_owned()),
                ),
            };
            image = image.with_source_folder(root, dst, options);
        }
        self.image = match undecided {
            Some((style, dst)) => image.with_code_bundle(style, dst),
            None => image,
        };
    }

    /// The file that is named, or else the one called `name` beside `file`, if there is one.
    fn sibling(&self, named: Option<&PathBuf>, file: &Path, name: &str) -> Option<PathBuf> {
        named.cloned().or_else(|| {
            let beside = file.with_file_name(name);
            self.surroundings.texts.contains_key(&beside).then_some(beside)
        })
    }
}
