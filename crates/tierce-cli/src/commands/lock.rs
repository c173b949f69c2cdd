//! `tierce lock`, and locks for the other commands.

use super::failure::Failure;
use super::lock_file;
use super::project::{Ask, Project};
use super::{Done, print_json, print_line, project};
use crate::args::{Format, LockArgs, LockedArgs, NamingArgs, Progress};
use serde_json::json;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tierce::lock::{Change, ChangeKind, LockFile, LockedBase, LockedImage, Update, diff, listing};
use tierce::{
    Diagnostic, ErrorKind, LockReadError, LockRequest, LockUse, Settings, offline, read_lock,
};

/// How a lock is called beside its specification.
const FILE_NAME: &str = "tierce.lock";

/// Where the lock of a specification is, and which of its images is meant.
#[derive(Clone, Debug, Default)]
pub struct LockPlace {
    /// The file.
    pub file: PathBuf,
    /// The image.
    pub image: String,
}

impl LockPlace {
    /// That of a file with one image.
    pub fn of_file(spec: &Path) -> Self {
        let name = spec.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let image = if name == "tierce.toml" { "image".to_owned() } else { name };
        LockPlace { file: beside(spec), image }
    }

    /// That of an image of a Python file.
    pub fn of_python(spec: &Path, label: &str) -> Self {
        let name = spec.file_name().unwrap_or_default().to_string_lossy();
        LockPlace { file: beside(spec), image: format!("{name}:{label}") }
    }
}

fn beside(spec: &Path) -> PathBuf {
    let file = match spec.is_dir() {
        true => spec.join(FILE_NAME),
        false => spec.with_file_name(FILE_NAME),
    };
    file.strip_prefix(".").map(Path::to_owned).unwrap_or(file)
}

/// What can go wrong with a lock's file.
#[derive(Debug, thiserror::Error)]
pub enum LockCommandError {
    /// There is none to be had.
    #[error(transparent)]
    Read(#[from] LockReadError),
    /// It can't be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// What is to be updated is not there.
    #[error("there is no {} to update", .0.join(", nor "))]
    NotFound(Vec<String>),
    /// Two images would have the same name in it.
    #[error("two of the specifications would be {image} in {}", path.display())]
    Clash {
        /// The name.
        image: String,
        /// The file.
        path: PathBuf,
    },
    /// The images are built by builders that only Python knows.
    #[error("the builder {0} can neither make nor use a lock")]
    Builder(String),
    /// It is for something that says itself how packages are found.
    #[error("a Dockerfile can't be written from a lock: what is built from it is resolved anew")]
    Rendered,
    /// It is for an image that is there already.
    #[error("{0} is an image, and not a specification that has a lock")]
    NoSpec(String),
}

impl Diagnostic for LockCommandError {
    fn code(&self) -> &'static str {
        match self {
            LockCommandError::Read(error) => error.code(),
            LockCommandError::Write { .. } => "lock/not-written",
            LockCommandError::NotFound(_) => "lock/unknown-package",
            LockCommandError::Clash { .. } => "lock/name-clash",
            LockCommandError::Builder(_) | LockCommandError::Rendered => "lock/builder",
            LockCommandError::NoSpec(_) => "lock/no-file",
        }
    }

    fn kind(&self) -> ErrorKind {
        match self {
            LockCommandError::Read(error) => error.kind(),
            LockCommandError::Write { .. } => ErrorKind::Environment,
            _ => ErrorKind::User,
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            LockCommandError::Read(error) => return error.hint(),
            LockCommandError::Clash { .. } => {
                "Lock them in files of their own: without --lock and --output each has a \
                 tierce.lock beside it."
                    .to_owned()
            }
            LockCommandError::NotFound(names) if names.iter().any(|n| Path::new(n).exists()) => {
                "What follows --update is a package; write `tierce lock --update -- SPEC` for a \
                 specification."
                    .to_owned()
            }
            LockCommandError::NotFound(_) => {
                "The lock has no package of that name. `tierce lock` takes up what is new in the \
                 specification; `tierce lock --update` looks everything up anew."
                    .to_owned()
            }
            LockCommandError::Builder(_) => {
                "Lock and build with --builder native: what other builders resolve is theirs to \
                 decide."
                    .to_owned()
            }
            LockCommandError::Rendered => {
                "Build with --locked and --builder native, or render without.".to_owned()
            }
            LockCommandError::NoSpec(_) => {
                "An image is what it is: run it without --locked and --lock.".to_owned()
            }
            LockCommandError::Write { .. } => return None,
        })
    }
}

/// Pins the images to their locks, where that is asked for.
pub fn pin(projects: &mut [Project], args: &LockedArgs) -> Result<(), Failure> {
    if !args.locked && args.lock.is_none() {
        return Ok(());
    }
    let mut known: BTreeMap<PathBuf, Arc<LockFile>> = BTreeMap::new();
    for project in projects {
        let path = args.lock.as_ref().unwrap_or(&project.lock.file);
        let file = match known.get(path) {
            Some(file) => file.clone(),
            None => {
                let file = read_lock(path)?;
                let file = file.ok_or_else(|| LockReadError::NoFile(path.clone()))?;
                let file = Arc::new(file);
                known.insert(path.clone(), file.clone());
                file
            }
        };
        project.options.lock = Some(LockUse { file, image: project.lock.image.clone() });
    }
    Ok(())
}

/// What came of locking: for each file what changed.
type Locked = Vec<(PathBuf, LockFile, Vec<Change>)>;

pub fn run(mut args: LockArgs) -> Done {
    if args.spec.is_none() {
        args.spec = args.update.take_specification();
    }
    let naming = NamingArgs { registry: None, tag: None, platform: args.platform.clone() };
    let loaded = project::load(&Ask {
        spec: args.spec.as_deref(),
        names: Cow::Borrowed(&args.names),
        naming: &naming,
        settings: &args.settings,
        python: &args.python,
        code: args.code,
        recursive: false,
        all: false,
        one: false,
    })?;
    if let Some(handover) = &loaded.handover {
        return Err(LockCommandError::Builder(handover.builder.clone()).into());
    }
    let (settings, mut projects) = (loaded.settings, loaded.projects);
    if let Some(output) = &args.output {
        projects.iter_mut().for_each(|project| project.lock.file.clone_from(output));
    }
    if args.check {
        return check(&settings, projects, args.format);
    }
    let update = match args.update.is_wanted() {
        true => args.update.update(),
        false => Update::Packages(vec![]),
    };
    let locked = make(settings, &projects, update, args.progress)?;
    show(&locked, args.format)
}

/// Fails where a lock is not for what is specified.
fn check(settings: &Settings, mut projects: Vec<Project>, format: Format) -> Done {
    pin(&mut projects, &LockedArgs { locked: true, lock: None })?;
    let engine = offline(settings);
    let files: BTreeSet<PathBuf> = projects.iter().map(|p| p.lock.file.clone()).collect();
    for project in &projects {
        let name = engine.prepare(&project.image, &project.options);
        name.map_err(|error| project.failed(error))?;
    }
    match format {
        Format::Text => {
            files.iter().for_each(|file| eprintln!("{} is up to date", file.display()));
            Ok(0)
        }
        Format::Json => print_json(&files.iter().map(|f| entry(f, &[])).collect::<Vec<_>>()),
    }
}

/// Locks the images, and writes the files that changed.
pub fn make(
    settings: Settings,
    projects: &[Project],
    update: Update,
    progress: Progress,
) -> Result<Locked, Failure> {
    let mut files: BTreeMap<PathBuf, Option<LockFile>> = BTreeMap::new();
    let mut named: BTreeMap<(&Path, &str), &Path> = BTreeMap::new();
    for project in projects {
        let path = &project.lock.file;
        let root = project.options.root.as_path();
        let other = named.insert((path, &project.lock.image), root);
        if other.is_some_and(|other| other != root) {
            let (image, path) = (project.lock.image.clone(), path.clone());
            return Err(LockCommandError::Clash { image, path }.into());
        }
        if !files.contains_key(path) {
            let before = match read_lock(path) {
                // All of it is made anew: nothing of it is needed.
                Err(LockReadError::Bad { .. }) if update == Update::All => None,
                before => before?,
            };
            files.insert(path.clone(), before);
        }
    }
    let before = files.clone();
    let wanted = update.clone();
    let after = project::drive(settings, progress, async move |tierce, events| {
        let mut after: BTreeMap<PathBuf, LockFile> = BTreeMap::new();
        let mut missing: Option<BTreeSet<String>> = None;
        for project in projects {
            project.announce(&events);
            let before = files.get(&project.lock.file).cloned().flatten();
            let is_first = before.is_none();
            let request = LockRequest {
                image: project.lock.image.clone(),
                before: before.clone().map(Arc::new),
                update: wanted.clone(),
            };
            let engine = tierce.engine();
            let locked = engine.lock(&project.image, &project.options, &request, &events).await;
            let locked = locked.map_err(|error| project.failed(error))?;
            let not_found: BTreeSet<String> = match is_first {
                // All is new.
                true => BTreeSet::new(),
                false => locked.not_found.into_iter().collect(),
            };
            missing = Some(match missing {
                None => not_found,
                Some(missing) => missing.intersection(&not_found).cloned().collect(),
            });
            let file = after
                .entry(project.lock.file.clone())
                .or_insert_with(|| before.unwrap_or_default());
            let below = format!("{}/", project.lock.image);
            file.images.retain(|image| !image.name.starts_with(&below));
            file.toolchain = locked.toolchain;
            locked.images.into_iter().for_each(|image| file.put(image));
        }
        let missing: Vec<String> = missing.unwrap_or_default().into_iter().collect();
        if !missing.is_empty() {
            return Err(LockCommandError::NotFound(missing).into());
        }
        Ok(after)
    })?;
    let mut all = vec![];
    for (path, file) in after {
        let old = before.get(&path).cloned().flatten();
        let made: Vec<&str> = projects
            .iter()
            .filter(|project| project.lock.file == path)
            .map(|project| project.lock.image.as_str())
            .collect();
        let changes = match &old {
            Some(old) => diff(old, &file),
            None => first(&path),
        };
        let file = match old.is_none_or(|old| old.text() != file.text()) {
            true => lock_file::put(&path, file, &made)?,
            false => file,
        };
        all.push((path, file, changes));
    }
    Ok(all)
}

fn first(path: &Path) -> Vec<Change> {
    let what = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    vec![Change { place: String::new(), kind: ChangeKind::Added, what }]
}

/// Says what was locked, and what changed, to who waits for something else.
pub fn report(locked: &Locked) {
    for (path, file, changes) in locked {
        eprintln!("{}: {}", path.display(), summary(file));
        if !changes.is_empty() {
            eprintln!("{}", listing(changes));
        }
    }
}

/// Says what was locked, and what changed.
fn show(locked: &Locked, format: Format) -> Done {
    if let Format::Json = format {
        let all: Vec<_> = locked.iter().map(|(path, _, changes)| entry(path, changes)).collect();
        return print_json(&all);
    }
    for (path, file, changes) in locked {
        eprintln!("{}: {}", path.display(), summary(file));
        match changes.as_slice() {
            [] => eprintln!("nothing changed"),
            [only] if only.what == FILE_NAME => {}
            changes => print_line(&listing(changes)).map(|_| ())?,
        }
    }
    Ok(0)
}

fn entry(path: &Path, changes: &[Change]) -> serde_json::Value {
    let changes: Vec<String> = changes
        .iter()
        .map(|change| match change.place.as_str() {
            "" => change.to_string(),
            place => format!("{place}: {change}"),
        })
        .collect();
    json!({ "lock": path.display().to_string(), "changes": changes })
}

/// How much is locked.
fn summary(file: &LockFile) -> String {
    let platforms = || file.images.iter().flat_map(|image: &LockedImage| &image.platforms);
    let count = |number: usize, what: &str| match number {
        0 => None,
        1 => Some(format!("1 {what}")),
        n => Some(format!("{n} {what}s")),
    };
    let debs = platforms()
        .map(|p| {
            let base = match &p.base {
                Some(LockedBase::Debian { packages, .. }) => packages.len(),
                _ => 0,
            };
            base + p.apt.iter().map(|apt| apt.debs.len()).sum::<usize>()
        })
        .sum();
    let python = platforms().filter_map(|p| p.python.as_ref()).map(|p| p.packages.len()).sum();
    let conda = platforms().flat_map(|p| &p.conda).map(|c| c.packages.len()).sum();
    let names: BTreeSet<_> = platforms().map(|p| p.platform.clone()).collect();
    let parts = [
        count(file.images.len(), "image"),
        count(names.len(), "platform"),
        count(python, "Python package"),
        count(conda, "conda package"),
        count(debs, "Debian package"),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// Refuses what Python builds.
pub fn refuse_handover(builder: &str) -> Failure {
    LockCommandError::Builder(builder.to_owned()).into()
}
