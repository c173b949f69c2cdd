//! From files to images.

use super::error::{InImage, PythonError};
use super::lower::{self, Context};
use super::protocol::{File, Init, LoadError, PROTOCOL, Reply, Request};
use super::select::{self, Selected};
use super::{files, loader};
use crate::args::CopyStyle;
use crate::commands::failure::{CliError, Failure};
use crate::commands::project::{self, Ask, Loaded, Project};
use std::path::{Path, PathBuf};
use tierce::fronts::FrontWarning;
use tierce::spec::{Base, Step};
use tierce::{CodeSource, Settings};

/// The images that `ask` means, of the file or the folder that it names.
pub fn load(ask: &Ask<'_>, spec: &Path) -> Result<Loaded, Failure> {
    let settings = project::settings(spec, ask)?;
    let python = settings.python.clone();
    let python = python.ok_or_else(|| PythonError::NoPython { file: spec.to_owned() })?;
    let sources = sources(spec, ask)?;
    let reply = run(&python, &sources, ask)?;
    let (loaded, failed): (Vec<File>, Vec<File>) =
        reply.files.into_iter().partition(|file| file.error.is_none());
    let failed: Vec<(PathBuf, LoadError)> =
        failed.into_iter().filter_map(|file| Some((shown(&file.path), file.error?))).collect();
    if !failed.is_empty() && (loaded.is_empty() || !ask.python.ignore_load_errors) {
        let (of, python) = (loaded.len() + failed.len(), reply.python.executable);
        return Err(PythonError::Load { failed, of, python }.into());
    }
    let selected = select::select(spec, &loaded, ask.names)?;
    if ask.one && selected.len() > 1 {
        let names = selected.iter().map(|found| select::label(found.image)).collect();
        return Err(PythonError::Several { file: spec.to_owned(), names }.into());
    }
    let package = reply.python.tierce.unwrap_or_default();
    let mut projects = images(ask, spec, &selected, &package)?;
    if let Some(first) = projects.first_mut() {
        first.warnings.extend(failed.iter().map(|(file, error)| left_out(file, error)));
    }
    // What the first file says holds for what all images share; each has its own besides.
    let first = selected.first().map(|found| &found.file.init);
    let mut settings = match first {
        Some(init) => with_init(ask, spec, init)?,
        None => settings,
    };
    for project in &mut projects {
        settings.secrets.files.append(&mut project.secret_files);
    }
    projects.iter_mut().for_each(|project| project.name_secrets(&settings));
    if let Some(first) = projects.first_mut() {
        first.take_warnings(&settings);
    }
    Ok(Loaded { settings, projects })
}

/// The files to load, absolute.
fn sources(spec: &Path, ask: &Ask<'_>) -> Result<Vec<PathBuf>, Failure> {
    let read = |source| CliError::ReadSpec { path: spec.display().to_string(), source };
    let found = match spec.metadata().map_err(read)?.is_dir() {
        true => files::below(spec, ask.recursive)?,
        false => vec![spec.to_owned()],
    };
    let found: Vec<PathBuf> = found.iter().map(|file| absolute(file)).collect();
    if let Some(root) = &ask.python.root_dir {
        let root = root
            .canonicalize()
            .map_err(|source| CliError::ReadSpec { path: root.display().to_string(), source })?;
        let outside = found.iter().find(|file| {
            let folder = file.parent().and_then(|folder| folder.canonicalize().ok());
            !folder.is_some_and(|folder| folder.starts_with(&root))
        });
        if let Some(file) = outside {
            return Err(PythonError::OutsideOfRoot { file: shown(file), root }.into());
        }
    }
    Ok(found)
}

fn run(python: &Path, files: &[PathBuf], ask: &Ask<'_>) -> Result<Reply, Failure> {
    let root = ask.python.root_dir.as_deref().map(absolute);
    let request = Request {
        protocol: PROTOCOL,
        parent: std::process::id(),
        files,
        root: root.as_deref(),
        names: ask.names,
        all: ask.all,
        fast: ask.code.fast,
        copy_style: ask.code.style().map(|style| match style {
            CopyStyle::LoadedModules => "loaded_modules",
            CopyStyle::All => "all",
            CopyStyle::None => "none",
        }),
    };
    loader::load(python, &request)
}

/// The settings for a file that said `init`.
fn with_init(ask: &Ask<'_>, spec: &Path, init: &Init) -> Result<Settings, Failure> {
    let mut overrides = ask.overrides();
    if overrides.builder.is_none() {
        overrides.builder.clone_from(&init.builder);
    }
    if let Some(text) = init.registry.as_ref().filter(|_| overrides.registry.is_none()) {
        let registry = text.parse();
        let invalid = |source| PythonError::Registry { text: text.clone(), source };
        overrides.registry = Some(registry.map_err(invalid)?);
    }
    project::settings_with(spec, overrides)
}

/// The images, those that are the same in several files once.
fn images(
    ask: &Ask<'_>,
    spec: &Path,
    selected: &[Selected<'_>],
    package: &str,
) -> Result<Vec<Project>, Failure> {
    let mut projects: Vec<Project> = vec![];
    for Selected { file, image } in selected {
        let label = format!("{}:{}", shown(&file.path).display(), select::label(image));
        let settings = with_init(ask, spec, &file.init)?;
        let root = match (&ask.python.root_dir, &file.init.root_dir) {
            (Some(root), _) | (None, Some(root)) => absolute(root),
            (None, None) => PathBuf::from("."),
        };
        let context = Context { ask, settings: &settings, root, file, package };
        let project = lower::project(&context, image, label.clone());
        let project = project.map_err(|failure| match selected.len() {
            1 => failure,
            _ => InImage::of(&label, failure),
        })?;
        if !projects.iter().any(|known| is_same(known, &project)) {
            projects.push(project);
        }
    }
    Ok(projects)
}

/// Whether two images are one, in whatever file they are.
fn is_same(a: &Project, b: &Project) -> bool {
    let (left, right) = (&a.options, &b.options);
    let code = |code: &CodeSource| matches!(code, CodeSource::Image { .. });
    a.image == b.image
        && left.root == right.root
        && left.builder == right.builder
        && left.default_registry == right.default_registry
        && left.force == right.force
        && (left.code == right.code || code(&left.code) == code(&right.code) && !has_code(a))
}

/// Whether the image, or one below it, brings the code that runs in it.
fn has_code(project: &Project) -> bool {
    let mut next = Some(&project.image);
    while let Some(image) = next {
        if image.steps().iter().any(|step| matches!(step, Step::CodeBundle(_))) {
            return true;
        }
        next = match image.base() {
            Base::Image(below) => Some(below),
            _ => None,
        };
    }
    false
}

fn left_out(file: &Path, error: &LoadError) -> FrontWarning {
    let message = format!(
        "{} is left out: {}\n{}",
        file.display(),
        error.summary,
        error.traceback.trim_end()
    );
    FrontWarning { code: "python/load-failed", message }
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// A path as people name it: from where they are.
fn shown(path: &Path) -> PathBuf {
    let here = std::env::current_dir().ok();
    here.and_then(|here| Some(path.strip_prefix(here).ok()?.to_owned()))
        .filter(|relative| !relative.as_os_str().is_empty())
        .unwrap_or_else(|| path.to_owned())
}
