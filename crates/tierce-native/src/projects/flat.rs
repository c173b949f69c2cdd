//! Requirements files that install something of the host, written anew: what is there is a wheel
//! in the store by then, and editable projects are projects.

use super::error::ProjectError;
use super::pinned::PinnedWheel;
use crate::context::Context;
use crate::error::NativeError;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use tierce_engine::{Gathered, GatheredLocal, LocalTarget, LocalWheel};
use tierce_oci::Digest;
use tierce_spec::locked::plain;
use tierce_spec::requirements::{
    IncludedAs, LineKind, LocalRequirement, RequirementsFile, included_path,
};
use tierce_spec::{PythonEnvironment, Step};
use tierce_wheel::{
    ArchiveFile, FetchSettings, FetchWheelError, Location, Lock, LockedPackage, PackageName,
    Source, StoredWheel, Target, WheelFile, WheelFilename,
};

/// Larger source archives are not read into memory.
const MOST_ARCHIVE: u64 = 1 << 30;

/// All requirements files of an environment, where one of them installs something of the host.
#[derive(Clone, Debug, Default)]
pub struct FlatRequirements {
    files: Vec<FlatFile>,
    /// What the lines of this machine name, in the order of the files.
    locals: Vec<Local>,
}

#[derive(Clone, Debug)]
struct FlatFile {
    name: String,
    is_root: bool,
    lines: Vec<FlatLine>,
}

#[derive(Clone, Debug)]
enum FlatLine {
    Text(String),
    /// The local of this index.
    Local(usize),
    /// All archives that are offered.
    Links,
}

#[derive(Clone, Debug)]
struct Local {
    requirement: LocalRequirement,
    /// What it is known by: its path as the image has it.
    path: PathBuf,
    target: LocalTarget,
    wheel: Option<PinnedWheel>,
}

impl FlatRequirements {
    /// The files of an environment; `None` where none of them installs anything of the host.
    pub fn read(
        environment: &PythonEnvironment<'_>,
        gathered: &Gathered,
    ) -> Result<Option<Self>, NativeError> {
        let steps = || environment.requirements.iter().map(|(step, _)| *step);
        let is_plain = |step: usize| gathered.locals.get(&step).is_none_or(Vec::is_empty);
        let has_editable = |step: usize| -> bool {
            gathered.requirements.get(&step).is_some_and(|file| has_editable(file))
        };
        if steps().all(|step| is_plain(step) && !has_editable(step)) {
            return Ok(None);
        }
        let mut flat = FlatRequirements::default();
        for step in steps() {
            flat.add(step, gathered)?;
        }
        flat.locals.iter().try_for_each(Local::check_hashes)?;
        Ok(Some(flat))
    }

    fn add(&mut self, step: usize, gathered: &Gathered) -> Result<(), NativeError> {
        let Some(root) = gathered.requirements.get(&step) else { return Ok(()) };
        let read = tierce_spec::requirements::gather(root, |file| std::fs::read(file));
        let read = read.map_err(tierce_engine::GatherError::Requirements)?;
        let mut names: BTreeMap<(PathBuf, bool), String> = BTreeMap::new();
        for RequirementsFile { path, included_as, .. } in &read.files {
            let number = names.len();
            let name = format!("requirements-{step}-{number}.txt");
            names.entry((path.clone(), *included_as == IncludedAs::Constraints)).or_insert(name);
        }
        let locals = gathered.locals.get(&step).map(Vec::as_slice).unwrap_or_default();
        let mut written: Vec<String> = vec![];
        for RequirementsFile { path, included_as, lines } in &read.files {
            let is_constraint = *included_as == IncludedAs::Constraints;
            let name = names.get(&(path.clone(), is_constraint)).cloned().unwrap_or_default();
            if written.contains(&name) {
                continue;
            }
            let flat = lines.iter().map(|line| {
                let include = |option: &str, name: &str, constraint: bool| {
                    let name = names.get(&(included_path(path, name), constraint));
                    FlatLine::Text(format!("{option} {}", name.cloned().unwrap_or_default()))
                };
                let is_it = |local: &&GatheredLocal| {
                    local.requirement.file == *path && local.requirement.line == line.number
                };
                match (&line.kind, locals.iter().find(is_it)) {
                    (_, Some(local)) if !is_constraint => self.local(local, gathered),
                    (LineKind::Include(name), _) => include("-r", name, false),
                    (LineKind::Constraint(name), _) => include("-c", name, true),
                    // An image has no place that could be edited.
                    (LineKind::Editable(text), _) => FlatLine::Text(text.clone()),
                    (
                        LineKind::Requirement(text)
                        | LineKind::Url(text)
                        | LineKind::Option(text)
                        | LineKind::LocalPath(text),
                        _,
                    ) => FlatLine::Text(text.clone()),
                }
            });
            let lines = flat.collect();
            let is_root = *path == *root && !is_constraint;
            self.files.push(FlatFile { name: name.clone(), is_root, lines });
            written.push(name);
        }
        Ok(())
    }

    fn local(&mut self, local: &GatheredLocal, gathered: &Gathered) -> FlatLine {
        let GatheredLocal { requirement, target } = local;
        let at = match target {
            LocalTarget::Folder(source) => &source.root,
            LocalTarget::Archive(file) => &file.path,
            LocalTarget::Links(_) => &requirement.path,
        };
        let path = plain(&at.strip_prefix(&gathered.root).unwrap_or(at).to_string_lossy());
        let is_links = matches!(target, LocalTarget::Links(_));
        let (requirement, target) = (requirement.clone(), target.clone());
        let wheel = match &target {
            LocalTarget::Archive(file) => wheel_of(file),
            _ => None,
        };
        self.locals.push(Local { requirement, path, target, wheel });
        match is_links {
            true => FlatLine::Links,
            false => FlatLine::Local(self.locals.len() - 1),
        }
    }

    /// What has to be built to wheels, as packages of a lock, in the order of the lines.
    pub fn to_build(&self, target: &Target) -> Result<Lock, NativeError> {
        let mut packages: Vec<LockedPackage> = vec![];
        let applies = |local: &&Local| {
            let marker = &local.requirement.marker;
            local.wheel.is_none() && (marker.is_empty() || target.has_marker(marker))
        };
        for local in self.locals.iter().filter(applies) {
            let Some(source) = local.source() else { continue };
            if packages.iter().any(|package| package.source == source) {
                continue;
            }
            let name = local.name();
            packages.push(LockedPackage { name, version: None, source, requested: true });
        }
        Ok(Lock::of(target, packages))
    }

    /// The same with what was built of them.
    pub fn with_wheels(mut self, built: &[(StoredWheel, Source)]) -> Self {
        for local in &mut self.locals {
            if let (None, Some(source)) = (&local.wheel, local.source()) {
                let made = built.iter().find(|(_, of)| *of == source);
                local.wheel = made.map(|(wheel, _)| PinnedWheel::of(wheel));
            }
        }
        self
    }

    /// The wheels that requirements are for, and the archives that are offered.
    pub fn archives(&self) -> impl Iterator<Item = &PinnedWheel> {
        self.locals.iter().filter_map(|local| local.wheel.as_ref())
    }

    /// Archives that may be chosen.
    pub fn offered(&self) -> Vec<PinnedWheel> {
        let links = self.locals.iter().filter_map(|local| match &local.target {
            LocalTarget::Links(files) => Some(files),
            _ => None,
        });
        let archive = |file: &LocalWheel| PinnedWheel {
            package: None,
            filename: name_of(&file.path),
            digest: file.digest,
        };
        links.flatten().map(archive).collect()
    }

    /// The names of the files that are not included by others.
    pub fn roots(&self) -> impl Iterator<Item = &str> {
        self.files.iter().filter(|file| file.is_root).map(|file| file.name.as_str())
    }

    /// The files: names and texts.
    pub fn texts(
        &self,
        place: &dyn Fn(&PinnedWheel) -> PathBuf,
        links: &Path,
    ) -> Vec<(String, String)> {
        let line = |line: &FlatLine| match line {
            FlatLine::Text(text) => text.clone(),
            FlatLine::Links => format!("--find-links {}", links.display()),
            FlatLine::Local(index) => self.locals[*index].text(place),
        };
        let text = |file: &FlatFile| {
            let lines: Vec<String> = file.lines.iter().map(line).collect();
            (file.name.clone(), lines.join("\n") + "\n")
        };
        self.files.iter().map(text).collect()
    }
}

impl Local {
    /// Fails where an archive is not the one that the line has hashes of (pip's hash-checking
    /// mode). One that fits is enough, as for pip.
    fn check_hashes(&self) -> Result<(), ProjectError> {
        let hashes = &self.requirement.hashes;
        let actual = match &self.target {
            LocalTarget::Archive(file) => format!("sha256:{}", file.digest.hex()),
            LocalTarget::Folder(_) => "a folder, which has no hash".to_owned(),
            LocalTarget::Links(_) => return Ok(()),
        };
        match hashes.is_empty() || hashes.iter().any(|hash| hash.eq_ignore_ascii_case(&actual)) {
            true => Ok(()),
            false => Err(ProjectError::Hash {
                file: self.requirement.file.clone(),
                line: self.requirement.line,
                path: self.requirement.path.clone(),
                expected: hashes.join(", "),
                actual,
            }),
        }
    }

    /// The line, with the wheel in the place of what it is made of.
    fn text(&self, place: &dyn Fn(&PinnedWheel) -> PathBuf) -> String {
        let Some(wheel) = &self.wheel else { return String::new() };
        let LocalRequirement { extras, marker, .. } = &self.requirement;
        let name = wheel.package.as_ref().map(ToString::to_string).unwrap_or_default();
        let marker = match marker.is_empty() {
            true => String::new(),
            false => format!(" ; {marker}"),
        };
        format!("{name}{extras} @ {}{marker}", wheel.url(place))
    }

    /// What it is built from; `None` for what is not built.
    fn source(&self) -> Option<Source> {
        match &self.target {
            LocalTarget::Folder(_) => {
                Some(Source::Directory { path: self.path.clone(), subdirectory: None })
            }
            LocalTarget::Archive(file) => Some(Source::Sdist {
                file: ArchiveFile {
                    filename: name_of(&file.path),
                    location: Location::Path(self.path.clone()),
                    digest: file.digest,
                    size: None,
                },
                direct: true,
                subdirectory: None,
            }),
            LocalTarget::Links(_) => None,
        }
    }

    /// What the package is called: by the line, or by its place for messages, until it is built.
    fn name(&self) -> PackageName {
        let named = self.requirement.name.as_deref().and_then(|name| PackageName::new(name).ok());
        let folder = self.path.file_name().map(|name| name.to_string_lossy().into_owned());
        let word: String = folder.unwrap_or_default();
        let word: String = word.split(".tar").next().unwrap_or_default().to_owned();
        let stem = word.trim_end_matches(".zip").trim_matches(|c: char| !c.is_ascii_alphanumeric());
        named
            .or_else(|| PackageName::new(stem).ok())
            .unwrap_or_else(|| PackageName::new("project").expect("a valid name"))
    }
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn wheel_of(file: &LocalWheel) -> Option<PinnedWheel> {
    let filename = WheelFilename::from_str(&name_of(&file.path)).ok()?;
    let package = Some(filename.name().clone());
    Some(PinnedWheel { package, filename: filename.to_string(), digest: file.digest })
}

/// Whether a requirements file, or one that it includes, has a repository to be installed in
/// place: pip takes such lines, the resolver does not.
fn has_editable(file: &Path) -> bool {
    let read = tierce_spec::requirements::gather(file, |file| std::fs::read(file));
    // Whoever reads it next says what is wrong with it.
    read.is_ok_and(|read| {
        let mut lines = read.files.iter().flat_map(|file| &file.lines);
        lines.any(|line| matches!(line.kind, LineKind::Editable(_)))
    })
}

/// The folders that requirements files install from, by what they are known by.
pub fn folders(gathered: &Gathered) -> BTreeMap<PathBuf, &tierce_engine::Source> {
    let mut all = BTreeMap::new();
    for step in gathered.resolved.steps() {
        if !matches!(step.step, Step::Requirements(_)) {
            continue;
        }
        for local in gathered.locals.get(&step.index).into_iter().flatten() {
            if let LocalTarget::Folder(source) = &local.target {
                let at = source.root.strip_prefix(&gathered.root).unwrap_or(&source.root);
                all.insert(plain(&at.to_string_lossy()), source);
            }
        }
    }
    all
}

impl Context {
    /// Brings the archives of requirements files into the store; what the wheels among them are.
    pub fn import_archives(
        &self,
        flat: &FlatRequirements,
        settings: &FetchSettings,
    ) -> Result<Vec<(Digest, Source)>, NativeError> {
        let mut known = vec![];
        for local in &flat.locals {
            let files = match &local.target {
                LocalTarget::Folder(_) => continue,
                LocalTarget::Archive(file) => std::slice::from_ref(file),
                LocalTarget::Links(files) => files,
            };
            for file in files {
                self.import_archive(file, settings)?;
            }
            if let (LocalTarget::Archive(file), Some(wheel)) = (&local.target, &local.wheel)
                && let Ok(filename) = WheelFilename::from_str(&wheel.filename)
                && wheel.digest == file.digest
            {
                let location = Location::Path(local.path.clone());
                let file = WheelFile { filename, location, digest: file.digest, size: None };
                known.push((file.digest, Source::Wheel { file, direct: true }));
            }
        }
        Ok(known)
    }

    fn import_archive(
        &self,
        file: &LocalWheel,
        settings: &FetchSettings,
    ) -> Result<(), NativeError> {
        let LocalWheel { path, digest } = file;
        if self.store.has(digest).is_some() {
            return Ok(());
        }
        let actual = match WheelFilename::from_str(&name_of(path)) {
            Ok(_) => StoredWheel::import(&self.store, path, settings)?.digest,
            Err(_) => {
                let content = tierce_tree::read_file(path, MOST_ARCHIVE);
                let content =
                    content.map_err(|error| NativeError::io(path)(std::io::Error::other(error)))?;
                self.store.put(&content)?
            }
        };
        match actual == *digest {
            true => Ok(()),
            false => {
                let (path, expected) = (path.clone(), *digest);
                Err(FetchWheelError::Changed { path, expected, actual }.into())
            }
        }
    }
}
