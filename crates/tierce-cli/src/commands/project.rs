//! What the commands that work on a specification have in common.

use super::failure::{CliError, Failure};
use crate::args::{NamingArgs, Progress, SpecArgs};
use crate::ui;
use std::future::Future;
use std::path::{Path, PathBuf};
use tierce::manifest::{Manifest, SourceKind};
use tierce::{BuildOptions, Cancel, Events, Image, Settings, Tierce};

/// A specification, read.
pub struct Project {
    pub image: Image,
    pub options: BuildOptions,
}

/// Reads the specification and applies what the command line says about names and platforms.
pub fn load(spec: &SpecArgs, naming: &NamingArgs, settings: &Settings) -> Result<Project, Failure> {
    let file = locate(&spec.spec)?;
    let text = std::fs::read_to_string(&file)
        .map_err(|source| CliError::ReadSpec { path: file.display().to_string(), source })?;
    let manifest = Manifest::parse(&text, &file.display().to_string())?;
    let root = match file.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    };
    let mut image = manifest.image_with(|src| match root.join(src).is_dir() {
        true => SourceKind::Folder,
        false => SourceKind::File,
    });
    // Problems are shown where they stand in the file.
    manifest.validate(&image)?;
    if image.name().is_none() {
        // As cargo and npm would: a project that says no name has its directory's.
        if let Some(name) = directory_name(&root) {
            image = image.with_name(name);
        }
    }
    if let Some(tag) = &naming.tag {
        image = image.with_tag(tag.as_str());
    }
    if let Some(registry) = &naming.registry {
        image = image.with_registry(registry.as_str());
    }
    let options = BuildOptions {
        root,
        default_registry: settings.registry.clone(),
        platforms: naming.platform.clone(),
        ..BuildOptions::default()
    };
    Ok(Project { image, options })
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
    let name = root.canonicalize().ok()?.file_name()?.to_str()?.to_lowercase();
    let name: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    let name = name.trim_matches('-');
    (!name.is_empty()).then(|| name.to_owned())
}

/// Runs `work` on a new runtime until it is done or Ctrl-C is pressed. The first Ctrl-C asks the
/// work to stop and lets it clean up; the second ends the program.
pub fn drive<T, F>(progress: Progress, work: impl FnOnce(Tierce, Events) -> F) -> Result<T, Failure>
where
    F: Future<Output = Result<T, Failure>>,
{
    init_tracing();
    let settings = Settings::load()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(CliError::Runtime)?;
    let cancel = Cancel::new();
    let events = Events::new(ui::sink(progress));
    let result = runtime.block_on(async {
        let tierce = Tierce::open(settings, &cancel)?;
        let foreground = tierce.native().context().foreground.clone();
        let work = work(tierce, events);
        tokio::pin!(work);
        loop {
            tokio::select! {
                result = &mut work => return result,
                signal = interrupted() => match signal {
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

async fn interrupted() -> Signal {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        let _ = tokio::signal::ctrl_c().await;
        return Signal::Interrupt;
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => Signal::Interrupt,
        _ = terminate.recv() => Signal::Terminate,
    }
}

/// Logs go to standard error when `TIERCE_LOG` asks for them.
fn init_tracing() {
    use tracing_subscriber::EnvFilter;
    if let Ok(filter) = EnvFilter::try_from_env("TIERCE_LOG") {
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    }
}
