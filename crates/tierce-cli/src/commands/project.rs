//! What the commands that work on a specification have in common.

use super::failure::{CliError, Failure, Pythons};
use super::lock::LockPlace;
use super::{imagespec, python, trust};
use crate::args::{CodeArgs, CopyStyle, NameArgs, NamingArgs, Progress, PythonArgs, SettingArgs};
use crate::ui;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::future::Future;
use std::path::{Path, PathBuf};
use tierce::config::Overrides;
use tierce::fronts::{Front, FrontWarning};
use tierce::manifest::{Manifest, ManifestFiles, SourceKind};
use tierce::spec::{Base, CopyStyle as BundleStyle, ImageName, Step};
use tierce::{
    BuildOptions, Cancel, CodeSource, ErrorKind, Events, Image, Outcome, Settings, StepKind,
    Tierce, build_options,
};

/// What the command line says about a specification.
#[derive(Clone)]
pub struct Ask<'a> {
    /// The specification; `None` for that of the current directory.
    pub spec: Option<&'a Path>,
    /// Which images of a Python file; empty for all.
    pub names: Cow<'a, [String]>,
    pub naming: &'a NamingArgs,
    pub settings: &'a SettingArgs,
    pub python: &'a PythonArgs,
    pub code: CodeArgs,
    /// Whether folders are searched with all that is below them.
    pub recursive: bool,
    /// Whether environments in modules that Python files import count, too.
    pub all: bool,
    /// Whether one image is wanted.
    pub one: bool,
}

impl<'a> Ask<'a> {
    /// For one image.
    pub fn one(
        spec: Option<&'a Path>,
        name: &'a NameArgs,
        naming: &'a NamingArgs,
        settings: &'a SettingArgs,
        (python, code): (&'a PythonArgs, CodeArgs),
    ) -> Self {
        let (spec, of_file) = match spec.and_then(python::files::with_name) {
            Some((file, name)) => (Some(file), Some(name.to_owned())),
            None => (spec, None),
        };
        let names = match of_file {
            Some(first) => Cow::Owned([first].into_iter().chain(name.name.clone()).collect()),
            None => Cow::Borrowed(name.name.as_slice()),
        };
        Ask { spec, names, naming, settings, python, code, recursive: false, all: false, one: true }
    }

    /// What the command line says instead of the settings.
    pub fn overrides(&self) -> Overrides {
        let images = self.settings.image.iter().map(|i| (i.name.clone(), i.image.clone()));
        Overrides {
            // One that is none is shown where the image is validated.
            registry: self.naming.registry.as_ref().and_then(|registry| registry.parse().ok()),
            builder: self.settings.builder.clone(),
            unknown: self.settings.unknown,
            images: images.collect(),
            python: self.python.python.clone(),
        }
    }
}

/// What a specification comes to.
pub struct Loaded {
    pub settings: Settings,
    pub projects: Vec<Project>,
    /// The Python that has loaded it, if one has.
    pub python: Option<PathBuf>,
    /// Where the builder is there only in Python.
    pub handover: Option<python::Handover>,
}

/// An image that is specified.
pub struct Project {
    /// The specification, as the command line names it.
    pub spec: String,
    /// Whether it is an object of a Python file, which errors don't show by themselves.
    pub of_python: bool,
    pub image: Image,
    pub options: BuildOptions,
    /// Whether it is pushed without being asked to, as Flyte and flytekit do.
    pub pushes: bool,
    pub warnings: Vec<FrontWarning>,
    /// The files that the specification itself names for its secrets, by their variables.
    pub secret_files: BTreeMap<String, PathBuf>,
    /// Where its lock is.
    pub lock: LockPlace,
    /// Which secrets are used.
    secrets: Vec<String>,
}

impl Project {
    /// What comes of a specification in other words.
    pub fn of(spec: String, front: Front, options: BuildOptions) -> Self {
        let Front { image, warnings, force, pushes, secret_files, wants_uv: _ } = front;
        let options = BuildOptions { force, ..options };
        let secret_files = secret_files.into_iter().map(|(id, path)| (id.variable(), path));
        let secret_files = secret_files.collect();
        let (of_python, secrets, lock) = (false, vec![], LockPlace::default());
        Project { spec, of_python, image, options, pushes, warnings, secret_files, lock, secrets }
    }

    /// A failure with this image, which says so where that is not clear.
    pub fn failed(&self, failure: impl Into<Failure>) -> Failure {
        let failure = failure.into();
        match self.of_python && failure.0.kind() != ErrorKind::Interrupted {
            true => python::InImage::of(&self.spec, failure),
            false => failure,
        }
    }

    /// Applies what the command line says about names.
    pub fn rename(&mut self, naming: &NamingArgs) {
        if let Some(tag) = &naming.tag {
            self.image = self.image.with_tag(tag.as_str());
        }
        if let Some(registry) = &naming.registry {
            self.image = self.image.with_registry(registry.as_str());
        }
    }

    /// Finds out which secrets it uses, and where they come from.
    pub fn name_secrets(&mut self, settings: &Settings) {
        self.secrets = trust::secret_lines(&self.image, settings);
    }

    /// Takes the warnings of the settings, which are those of all images together.
    pub fn take_warnings(&mut self, settings: &Settings) {
        let ignored = settings.warnings.iter();
        self.warnings.extend(
            ignored
                .map(|message| FrontWarning { code: "config/ignored", message: message.clone() }),
        );
    }

    /// Says which secrets of the machine it is about to use, and what [`Project::warn`] says.
    pub fn announce(&self, events: &Events) {
        for line in &self.secrets {
            events.step(StepKind::Check, line).finish(Outcome::Made, None);
        }
        self.warn(events);
    }

    /// Says what the specification asks for and does not get.
    pub fn warn(&self, events: &Events) {
        for warning in &self.warnings {
            events.warn(warning.code, &warning.message);
        }
    }
}

/// Reads the specification, and applies what the command line says.
pub fn load(ask: &Ask<'_>) -> Result<Loaded, Failure> {
    let file = match locate(ask)? {
        Spec::Python(path) => return python::load(ask, &path),
        Spec::File(file) => file,
    };
    if let Some(name) = ask.names.first() {
        let text =
            format!("{name:?} after {}: only Python files have several images", file.display());
        return Err(CliError::Usage(text).into());
    }
    let mut settings = settings(&file, ask)?;
    let text =
        std::fs::read_to_string(&file).map_err(|source| CliError::unreadable(&file, source))?;
    let name = file.display().to_string();
    let root = folder(&file).to_owned();
    let spec = ask.spec.unwrap_or(Path::new(".")).display().to_string();
    let options = BuildOptions {
        root: root.clone(),
        platforms: ask.naming.platform.clone(),
        builder: ask.settings.builder.clone(),
        ..build_options(&settings)
    };
    let mut project = match imagespec::is_one(&file) {
        true => Project::of(spec, imagespec::lower(&text, &name, &root, &settings)?, options),
        false => {
            let image = manifest(&text, &file, &root)?;
            // Nobody else brings the code of an image that is built by hand.
            let code = CodeSource::Image { root: PathBuf::from("."), loaded: None };
            Project::of(spec, Front::of(image), BuildOptions { code, ..options })
        }
    };
    match ask.code.style() {
        None => {}
        // Nothing was imported here that could tell which modules are meant.
        Some(CopyStyle::None) => {
            project.options.code = CodeSource::Image { root: ".".into(), loaded: None };
        }
        Some(CopyStyle::LoadedModules | CopyStyle::All) => {
            project.options.code = CodeSource::Runner;
        }
    }
    project.lock = LockPlace::of_file(&file);
    project.rename(ask.naming);
    settings.secrets.files.extend(std::mem::take(&mut project.secret_files));
    project.warnings.extend(trust::outside(&project.image, &root, &settings));
    project.name_secrets(&settings);
    project.take_warnings(&settings);
    Ok(Loaded { settings, projects: vec![project], python: None, handover: None })
}

/// Reads a specification of one image.
pub fn load_one(ask: &Ask<'_>) -> Result<(Settings, Project), Failure> {
    let Loaded { settings, mut projects, .. } = load(ask)?;
    let project = projects.pop().expect("a specification has an image");
    Ok((settings, project))
}

/// The settings for a specification, and what the command line says instead.
pub fn settings(spec: &Path, ask: &Ask<'_>) -> Result<Settings, Failure> {
    settings_with(spec, ask.overrides())
}

/// The same, where the command line is not all that has a say.
pub fn settings_with(spec: &Path, overrides: Overrides) -> Result<Settings, Failure> {
    Ok(Settings::load_for(folder(spec), overrides)?)
}

/// The folder of a specification.
fn folder(spec: &Path) -> &Path {
    let above = || spec.parent().filter(|parent| !parent.as_os_str().is_empty());
    match spec.is_dir() {
        true => spec,
        false => above().unwrap_or(Path::new(".")),
    }
}

/// The image of a `tierce.toml`.
fn manifest(text: &str, file: &Path, root: &Path) -> Result<Image, Failure> {
    let manifest = Manifest::parse_with(text, file, &HostFiles)?;
    let image = manifest.image_with(|src| match root.join(src).is_dir() {
        true => SourceKind::Folder,
        false => SourceKind::File,
    });
    // Problems are shown where they stand in the file.
    manifest.validate(&image)?;
    if wants_loaded_modules(&image) {
        return Err(CliError::NoModules.into());
    }
    if image.name().is_some() {
        return Ok(image);
    }
    // As cargo and npm would: a project that says no name has its directory's.
    Ok(directory_name(root).map_or(image.clone(), |name| image.with_name(name)))
}

/// The manifests that manifests name, on this machine.
struct HostFiles;

impl ManifestFiles for HostFiles {
    fn read(&self, file: &Path) -> std::io::Result<String> {
        std::fs::read_to_string(file)
    }

    fn identity(&self, file: &Path) -> PathBuf {
        file.canonicalize().unwrap_or_else(|_| file.to_owned())
    }
}

/// Whether the image, or one below it, has a code bundle of what a program has loaded.
fn wants_loaded_modules(image: &Image) -> bool {
    let loaded = |step: &Step| matches!(step, Step::CodeBundle(bundle) if bundle.style == BundleStyle::LoadedModules);
    image.steps().iter().any(loaded)
        || matches!(image.base(), Base::Image(below) if wants_loaded_modules(below))
}

/// What a specification is.
enum Spec {
    /// A file that is read.
    File(PathBuf),
    /// A file that is run, or a folder of such files.
    Python(PathBuf),
}

fn locate(ask: &Ask<'_>) -> Result<Spec, Failure> {
    let spec = ask.spec.unwrap_or(Path::new("."));
    if !spec.is_dir() {
        return Ok(match python::files::is_python(spec) {
            true => Spec::Python(spec.to_owned()),
            false => Spec::File(spec.to_owned()),
        });
    }
    let file = spec.join("tierce.toml");
    if file.exists() {
        return Ok(Spec::File(file));
    }
    let python = match python::files::below(spec, ask.recursive)?.is_empty() {
        false => Pythons::Here,
        true if python::files::any_below(spec) => Pythons::Below,
        true => Pythons::None,
    };
    // What is run has to be asked for.
    match python == Pythons::Here && ask.spec.is_some() {
        true => Ok(Spec::Python(spec.to_owned())),
        false => Err(CliError::NoSpec { folder: spec.display().to_string(), python }.into()),
    }
}

/// The directory's name as a repository path may have it.
fn directory_name(root: &Path) -> Option<String> {
    ImageName::of_folder(root.canonicalize().ok()?.file_name()?.to_str()?)
}

/// Runs `work` on a new runtime until it is done or Ctrl-C is pressed, and shows its progress. The
/// first Ctrl-C asks the work to stop and lets it clean up; the second ends the program.
pub fn drive<T, F>(
    settings: Settings,
    progress: Progress,
    work: impl FnOnce(Tierce, Events) -> F,
) -> Result<T, Failure>
where
    F: Future<Output = Result<T, Failure>>,
{
    drive_with(settings, Events::new(ui::sink(progress)), work)
}

/// The same, with events that go elsewhere.
pub fn drive_with<T, F>(
    settings: Settings,
    events: Events,
    work: impl FnOnce(Tierce, Events) -> F,
) -> Result<T, Failure>
where
    F: Future<Output = Result<T, Failure>>,
{
    init_tracing();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(CliError::Runtime)?;
    let cancel = Cancel::new();
    let under_nohup = is_under_nohup();
    let result = runtime.block_on(async {
        let tierce = Tierce::open(settings, &cancel)?;
        let foreground = tierce.native().context().foreground.clone();
        let work = work(tierce, events);
        tokio::pin!(work);
        loop {
            tokio::select! {
                result = &mut work => return result,
                signal = interrupted(under_nohup) => match signal {
                    // A program that has the terminal got the Ctrl-C too, and knows what to do.
                    Signal::Interrupt if foreground.is_taken() => {}
                    Signal::Interrupt | Signal::Terminate => break,
                },
            }
        }
        // What runs in a sandbox ends now, and everything else with the work's own future.
        cancel.cancel();
        Err(CliError::Interrupted.into())
    });
    runtime.shutdown_timeout(std::time::Duration::from_secs(5));
    result
}

/// Runs `work` on a thread of its own until it is done or Ctrl-C is pressed, which ends the program.
/// For work that has nothing to clean up.
pub fn interruptible<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(CliError::Runtime)?;
    let result = runtime.block_on(async {
        tokio::select! {
            done = tokio::task::spawn_blocking(work) => match done {
                Ok(result) => result,
                Err(failed) => std::panic::resume_unwind(failed.into_panic()),
            },
            _ = interrupted(is_under_nohup()) => Err(CliError::Interrupted.into()),
        }
    });
    runtime.shutdown_background();
    result
}

/// What asks the program to end.
pub enum Signal {
    /// Ctrl-C.
    Interrupt,
    /// A polite request, as CI systems send it.
    Terminate,
}

/// Whether the program was started to outlive its terminal, as by nohup(1): SIGHUP is ignored.
pub fn is_under_nohup() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    // The lowest bit is that of the first signal, which is SIGHUP.
    ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|m| m & 1 == 1)
}

/// Waits until something asks the program to end.
pub async fn interrupted(under_nohup: bool) -> Signal {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        let _ = tokio::signal::ctrl_c().await;
        return Signal::Interrupt;
    };
    let hangup = async {
        // Listening alone would take the signal away from nohup.
        let listener = if under_nohup { None } else { signal(SignalKind::hangup()).ok() };
        match listener {
            Some(mut listener) => drop(listener.recv().await),
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => Signal::Interrupt,
        _ = terminate.recv() => Signal::Terminate,
        // The terminal is gone: what was started from it must not stay.
        () = hangup => Signal::Terminate,
    }
}

/// Logs go to standard error when `TIERCE_LOG` asks for them.
fn init_tracing() {
    use tracing_subscriber::EnvFilter;
    if let Ok(filter) = EnvFilter::try_from_env("TIERCE_LOG") {
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    }
}
