//! From files to images.

use super::error::{InImage, PythonError};
use super::lower::{self, Context};
use super::protocol::Request;
use super::protocol::{BuildRequest, Built, File, Init, LoadError, PROTOCOL, Problem, Reply};
use super::select::{self, Selected};
use super::{files, loader};
use crate::args::CopyStyle;
use crate::commands::failure::{CliError, Failure};
use crate::commands::lock::LockPlace;
use crate::commands::project::{self, Ask, Loaded, Project};
use std::path::{Path, PathBuf};
use tierce::fronts::FrontWarning;
use tierce::spec::{Base, Step};
use tierce::{CodeSource, ImageBuild, Settings, Status};

/// The images that `ask` means, of the file or the folder that it names.
pub fn load(ask: &Ask<'_>, spec: &Path) -> Result<Loaded, Failure> {
    let settings = project::settings(spec, ask)?;
    let python = settings.python.clone();
    let python = python.ok_or_else(|| PythonError::NoPython { file: spec.to_owned() })?;
    let sources = sources(spec, ask)?;
    let reply = run(&python, &sources, ask, settings.builder.as_deref(), None)?;
    let (loaded, failed): (Vec<File>, Vec<File>) =
        reply.files.into_iter().partition(|file| file.error.is_none());
    let failed: Vec<(PathBuf, LoadError)> =
        failed.into_iter().filter_map(|file| Some((shown(&file.path), file.error?))).collect();
    if !failed.is_empty() && (loaded.is_empty() || !ask.python.ignore_load_errors) {
        let (of, python) = (loaded.len() + failed.len(), reply.python.executable);
        return Err(PythonError::Load { failed, of, python }.into());
    }
    let selected = select::select(spec, &loaded, &ask.names)?;
    if ask.one && selected.len() > 1 {
        let names = selected.iter().map(|found| select::described(found.image)).collect();
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
    let builder = selected.iter().find_map(|found| found.image.python_builder.clone());
    let handover = builder.map(|builder| Handover {
        builder,
        python: python.clone(),
        configured: settings.builder.clone(),
        files: sources,
        images: selected.iter().map(|found| (found.file.path.clone(), found.index)).collect(),
        labels: selected.iter().map(|found| labelled(found)).collect(),
    });
    projects.iter_mut().for_each(|project| project.name_secrets(&settings));
    if let Some(first) = projects.first_mut() {
        first.take_warnings(&settings);
    }
    Ok(Loaded { settings, projects, python: Some(python), handover })
}

/// Images whose builder is there only in Python.
pub struct Handover {
    /// The builder.
    pub builder: String,
    python: PathBuf,
    configured: Option<String>,
    files: Vec<PathBuf>,
    images: Vec<(PathBuf, usize)>,
    /// What the images are called.
    pub labels: Vec<String>,
}

impl Handover {
    /// Has Python build the images: the files are loaded once more.
    pub fn build(
        self,
        ask: &Ask<'_>,
        request: BuildRequest,
    ) -> Result<Vec<Result<ImageBuild, Failure>>, Failure> {
        let Handover { python, configured, files, images, .. } = self;
        let request = BuildRequest { images, ..request };
        let reply = run(&python, &files, ask, configured.as_deref(), Some(&request))?;
        let builds = request.images.iter().map(|(path, index)| {
            let file = reply.files.iter().find(|file| file.path == *path);
            if let Some(error) = file.and_then(|file| file.error.clone()) {
                let (failed, python) =
                    (vec![(shown(path), error)], reply.python.executable.clone());
                return Err(PythonError::Load { failed, of: 1, python }.into());
            }
            let found = file.and_then(|file| file.images.get(*index));
            built(found.and_then(|image| image.build.as_ref()))
        });
        Ok(builds.collect())
    }
}

/// What Python says of a build, as one of the library's results.
fn built(build: Option<&Built>) -> Result<ImageBuild, Failure> {
    let problem = |message: &str| Problem {
        message: message.to_owned(),
        code: None,
        hint: None,
        kind: Some("step".to_owned()),
    };
    let build = match build {
        Some(Built { problem: None, uri: Some(uri), status, digest }) => {
            let status = status.as_deref().and_then(status_of).unwrap_or(Status::Built);
            let mut build = ImageBuild::new(uri.clone(), status);
            build.digest = digest.as_ref().and_then(|digest| digest.parse().ok());
            return Ok(build);
        }
        Some(Built { problem: Some(problem), .. }) => problem.clone(),
        Some(_) | None => problem("the builder gives no image"),
    };
    Err(PythonError::Problem(Box::new(build)).into())
}

fn status_of(word: &str) -> Option<Status> {
    use Status::*;
    [Present, AssumedPresent, Built, WouldBuild, Unmodified, Skipped, Started]
        .into_iter()
        .find(|status| serde_json::to_value(status).is_ok_and(|value| value == word))
}

/// The files to load, absolute.
fn sources(spec: &Path, ask: &Ask<'_>) -> Result<Vec<PathBuf>, Failure> {
    let read = |source| CliError::unreadable(spec, source);
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

fn run(
    python: &Path,
    files: &[PathBuf],
    ask: &Ask<'_>,
    configured: Option<&str>,
    build: Option<&BuildRequest>,
) -> Result<Reply, Failure> {
    let root = ask.python.root_dir.as_deref().map(absolute);
    let request = Request {
        protocol: PROTOCOL,
        parent: std::process::id(),
        files,
        root: root.as_deref(),
        names: &ask.names,
        all: ask.all,
        fast: ask.code.fast,
        copy_style: ask.code.style().map(|style| match style {
            CopyStyle::LoadedModules => "loaded_modules",
            CopyStyle::All => "all",
            CopyStyle::None => "none",
        }),
        builder: ask.settings.builder.as_deref(),
        configured_builder: configured,
        build,
        stepwise: true,
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
    for found in selected {
        let Selected { file, image, .. } = found;
        let label = labelled(found);
        let settings = with_init(ask, spec, &file.init)?;
        let root = match (&ask.python.root_dir, &file.init.root_dir) {
            (Some(root), _) | (None, Some(root)) => absolute(root),
            (None, None) => PathBuf::from("."),
        };
        let context = Context { ask, settings: &settings, root, file, package };
        let project = lower::project(&context, image, label.clone());
        let mut project = project.map_err(|failure| InImage::of(&label, failure))?;
        project.lock = LockPlace::of_python(&file.path, &select::label(image));
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

/// What an image is called: its file, and its name there.
fn labelled(found: &Selected<'_>) -> String {
    format!("{}:{}", shown(&found.file.path).display(), select::label(found.image))
}

fn left_out(file: &Path, error: &LoadError) -> FrontWarning {
    let message = format!("{} is left out: {error}", file.display());
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
