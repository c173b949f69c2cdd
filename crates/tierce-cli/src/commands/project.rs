//! What the commands that work on a specification have in common.

use super::failure::{CliError, Failure};
use super::{imagespec, trust};
use crate::args::{NamingArgs, Progress, SettingArgs, SpecArgs};
use crate::ui;
use std::future::Future;
use std::path::{Path, PathBuf};
use tierce::config::Overrides;
use tierce::fronts::FrontWarning;
use tierce::manifest::{Manifest, ManifestFiles, SourceKind};
use tierce::spec::{Base, CopyStyle, ImageName, Step};
use tierce::{
    BuildOptions, Cancel, CodeSource, Events, Image, Outcome, Settings, StepKind, Tierce,
    build_options,
};

/// A specification, read.
pub struct Project {
    /// The specification, as the command line names it.
    pub spec: String,
    pub image: Image,
    pub options: BuildOptions,
    /// Whether it is pushed without being asked to, as flytekit does.
    pub pushes: bool,
    warnings: Vec<FrontWarning>,
    /// Which secrets are used.
    secrets: Vec<String>,
}

impl Project {
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

/// Reads the specification and applies what the command line says about names and platforms.
/// Where it says where secrets are, that is added to the settings.
pub fn load(
    spec: &SpecArgs,
    naming: &NamingArgs,
    wishes: &SettingArgs,
    settings: &mut Settings,
) -> Result<Project, Failure> {
    let file = locate(&spec.spec)?;
    let text = std::fs::read_to_string(&file)
        .map_err(|source| CliError::ReadSpec { path: file.display().to_string(), source })?;
    let name = file.display().to_string();
    let root = match file.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    };
    let options = BuildOptions {
        root: root.clone(),
        platforms: naming.platform.clone(),
        builder: wishes.builder.clone(),
        ..build_options(settings)
    };
    let mut project = match imagespec::is_one(&file) {
        true => {
            let front = imagespec::lower(&text, &name, &root, settings)?;
            let files = front.secret_files.into_iter().map(|(id, path)| (id.variable(), path));
            settings.secrets.files.extend(files);
            Project {
                spec: spec.spec.display().to_string(),
                pushes: front.pushes,
                image: front.image,
                options: BuildOptions { force: front.force, ..options },
                warnings: front.warnings,
                secrets: vec![],
            }
        }
        false => {
            let image = manifest(&text, &file, &root)?;
            // Nobody else brings the code of an image that is built by hand.
            let code = CodeSource::Image { root: PathBuf::from("."), loaded: None };
            let options = BuildOptions { code, ..options };
            let spec = spec.spec.display().to_string();
            Project { spec, image, options, pushes: false, warnings: vec![], secrets: vec![] }
        }
    };
    if let Some(tag) = &naming.tag {
        project.image = project.image.with_tag(tag.as_str());
    }
    if let Some(registry) = &naming.registry {
        project.image = project.image.with_registry(registry.as_str());
    }
    project.secrets = trust::secret_lines(&project.image, settings);
    project.warnings.extend(trust::outside(&project.image, &root, settings));
    let ignored = settings.warnings.iter();
    project.warnings.extend(
        ignored.map(|message| FrontWarning { code: "config/ignored", message: message.clone() }),
    );
    Ok(project)
}

/// The settings for a specification, and what the command line says instead.
pub fn settings(
    spec: &SpecArgs,
    wishes: &SettingArgs,
    registry: Option<&str>,
) -> Result<Settings, Failure> {
    let folder = match spec.spec.is_dir() {
        true => Some(spec.spec.as_path()),
        false => spec.spec.parent().filter(|parent| !parent.as_os_str().is_empty()),
    };
    let overrides = Overrides {
        // One that is none is shown where the image is validated.
        registry: registry.and_then(|registry| registry.parse().ok()),
        builder: wishes.builder.clone(),
        unknown: wishes.unknown,
        images: wishes.image.iter().map(|i| (i.name.clone(), i.image.clone())).collect(),
    };
    Ok(Settings::load_for(folder.unwrap_or(Path::new(".")), overrides)?)
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
    let loaded = |step: &Step| matches!(step, Step::CodeBundle(bundle) if bundle.style == CopyStyle::LoadedModules);
    image.steps().iter().any(loaded)
        || matches!(image.base(), Base::Image(below) if wants_loaded_modules(below))
}

fn locate(spec: &Path) -> Result<PathBuf, Failure> {
    let file = if spec.is_dir() { spec.join("tierce.toml") } else { spec.to_owned() };
    if spec.is_dir() && !file.exists() {
        return Err(CliError::NoSpec(spec.display().to_string()).into());
    }
    Ok(file)
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

/// What asks the program to end.
enum Signal {
    /// Ctrl-C.
    Interrupt,
    /// A polite request, as CI systems send it.
    Terminate,
}

/// Whether the program was started to outlive its terminal, as by nohup(1): SIGHUP is ignored.
fn is_under_nohup() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    // The lowest bit is that of the first signal, which is SIGHUP.
    ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|m| m & 1 == 1)
}

async fn interrupted(under_nohup: bool) -> Signal {
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
