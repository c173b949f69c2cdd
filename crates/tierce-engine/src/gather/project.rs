//! Projects and conda environments: what says which packages, and the folders of the host that
//! are installed from.

use super::error::GatherError;
use super::outside::{Allowed, is_project};
use super::read::{MOST_TEXT, Reader};
use super::{LocalWheel, Source};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use tierce_oci::{Digest, Hasher};
use tierce_spec::locked::{self, LockedError, plain};
use tierce_spec::requirements::{LocalKind, LocalRequirement};
use tierce_spec::{Input, Project, ProjectKind};

/// What a uv project's lock file and manifest are called.
const UV_LOCK: &str = "uv.lock";
pub(super) const MANIFEST: &str = "pyproject.toml";

/// A file that was read whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatheredFile {
    /// Where it is: an absolute path.
    pub path: PathBuf,
    /// What it says.
    pub content: Vec<u8>,
}

/// What says which packages are installed, and what of the host is installed.
#[derive(Clone, Debug)]
pub struct GatheredProject {
    /// The manifest.
    pub manifest: GatheredFile,
    /// The lock file, where there is one.
    pub lock: Option<GatheredFile>,
    /// The manifest's folder relative to the one that the lock's paths start from: empty but for
    /// members of workspaces.
    pub place: PathBuf,
    /// Further texts that are read with the lock, by their paths relative to the folder that its
    /// paths start from: manifests of the workspace.
    pub texts: BTreeMap<PathBuf, GatheredFile>,
    /// Folders of the host that packages are built from, by their paths as the lock has them,
    /// without `.` components; `.` is the project itself.
    pub local: BTreeMap<PathBuf, Source>,
    /// Wheels and source archives of the host, by their paths as the lock has them.
    pub archives: BTreeMap<PathBuf, LocalWheel>,
}

impl GatheredProject {
    /// A manifest and its lock, and nothing else.
    pub fn new(manifest: GatheredFile, lock: Option<GatheredFile>) -> Self {
        GatheredProject {
            manifest,
            lock,
            place: PathBuf::new(),
            texts: BTreeMap::new(),
            local: BTreeMap::new(),
            archives: BTreeMap::new(),
        }
    }

    /// The digest of what says which packages are installed: of all texts, and of nothing that is
    /// built.
    pub fn texts_digest(&self) -> Digest {
        let GatheredProject { manifest, lock, place, texts, local: _, archives } = self;
        let mut all = Hasher::new();
        all.update(Digest::of(&manifest.content).as_bytes());
        all.update(&[u8::from(lock.is_some())]);
        if let Some(lock) = lock {
            all.update(Digest::of(&lock.content).as_bytes());
        }
        named(&mut all, place);
        all.update(&(texts.len() as u64).to_le_bytes());
        for (path, text) in texts {
            named(&mut all, path);
            all.update(Digest::of(&text.content).as_bytes());
        }
        for (path, archive) in archives {
            named(&mut all, path);
            all.update(archive.digest.as_bytes());
        }
        all.finish()
    }

    /// The digest of all that was read.
    pub fn digest(&self) -> Digest {
        let mut all = Hasher::new();
        all.update(self.texts_digest().as_bytes());
        for (path, source) in &self.local {
            named(&mut all, path);
            all.update(source.tree.digest().as_bytes());
        }
        all.finish()
    }

    /// The single files that were read, with their digests.
    pub(super) fn files(&self) -> impl Iterator<Item = (&Path, Digest)> {
        let texts = [&self.manifest].into_iter().chain(&self.lock).chain(self.texts.values());
        let archives = self.archives.values().map(|file| (file.path.as_path(), file.digest));
        texts.map(|file| (file.path.as_path(), Digest::of(&file.content))).chain(archives)
    }
}

/// A path with its length before it.
fn named(all: &mut Hasher, path: &Path) {
    let path = path.as_os_str().as_encoded_bytes();
    all.update(&(path.len() as u64).to_le_bytes());
    all.update(path);
}

/// Where a project's texts are, relative to the image's folder.
struct Layout {
    /// The folder that the lock's paths start from.
    root: PathBuf,
    /// The manifest's folder, from there.
    place: PathBuf,
    lock: PathBuf,
}

/// A line of a requirements file that installs something of the host, with what is there.
#[derive(Clone, Debug)]
pub struct GatheredLocal {
    /// The line.
    pub requirement: LocalRequirement,
    /// What it names.
    pub target: LocalTarget,
}

/// Something of the host that a requirement names.
#[derive(Clone, Debug)]
pub enum LocalTarget {
    /// A project's folder.
    Folder(Source),
    /// A wheel or source archive.
    Archive(LocalWheel),
    /// Archives that may be chosen, by name.
    Links(Vec<LocalWheel>),
}

impl GatheredLocal {
    fn digest(&self, all: &mut Hasher) {
        let named_file = |all: &mut Hasher, file: &LocalWheel| {
            named(all, Path::new(file.path.file_name().unwrap_or_default()));
            all.update(file.digest.as_bytes());
        };
        match &self.target {
            LocalTarget::Folder(source) => {
                all.update(b"folder");
                all.update(source.tree.digest().as_bytes());
            }
            LocalTarget::Archive(file) => {
                all.update(b"file");
                named_file(all, file);
            }
            LocalTarget::Links(files) => {
                all.update(b"links");
                all.update(&(files.len() as u64).to_le_bytes());
                files.iter().for_each(|file| named_file(all, file));
            }
        }
    }
}

/// The digest of a requirements file, `text`'s, with what it installs of the host.
pub(super) fn requirements_digest(text: Digest, locals: &[GatheredLocal]) -> Digest {
    if locals.is_empty() {
        return text;
    }
    let mut all = Hasher::new();
    all.update(text.as_bytes());
    locals.iter().for_each(|local| local.digest(&mut all));
    all.finish()
}

impl Reader<'_> {
    /// What the lines of a requirements file install of the host. As for pip, paths start from
    /// the directory that it is run in, which is the image's folder; where nothing is there, from
    /// the folder of the file.
    pub(super) fn locals(
        &self,
        lines: Vec<LocalRequirement>,
        input: &Input<'_>,
    ) -> Result<Vec<GatheredLocal>, GatherError> {
        let local = |requirement: LocalRequirement| {
            let target = self.local(&requirement, input)?;
            Ok(GatheredLocal { requirement, target })
        };
        lines.into_iter().map(local).collect()
    }

    fn local(
        &self,
        requirement: &LocalRequirement,
        input: &Input<'_>,
    ) -> Result<LocalTarget, GatherError> {
        let LocalRequirement { file, line, path, kind, .. } = requirement;
        let beside = self.below(file).parent().unwrap_or(Path::new("")).join(path);
        let candidates = [path.clone(), beside];
        let is_it = |path: &&PathBuf| {
            let at = self.at(path);
            match kind {
                LocalKind::Package if at.is_dir() => is_project(&at),
                LocalKind::Package => at.is_file(),
                LocalKind::FindLinks => at.is_dir(),
            }
        };
        let Some(found) = candidates.iter().find(is_it) else {
            let what = format!(
                "{}, which {}:{line} installs from,",
                path.display(),
                self.shown(file).display()
            );
            return Err(GatherError::MissingLocal { what, path: self.at(path) });
        };
        if *kind == LocalKind::FindLinks {
            return self.links(found, input);
        }
        match self.at(found).is_dir() {
            true => Ok(LocalTarget::Folder(self.beside(found, input)?)),
            false => Ok(LocalTarget::Archive(self.archive(found, input)?)),
        }
    }

    /// The archives of a folder.
    fn links(&self, folder: &Path, input: &Input<'_>) -> Result<LocalTarget, GatherError> {
        let at = self.at(folder);
        let unreadable = |source| GatherError::Read { path: at.clone(), source };
        let mut names = vec![];
        for entry in std::fs::read_dir(&at).map_err(unreadable)? {
            let name = entry.map_err(unreadable)?.file_name();
            let text = name.to_string_lossy();
            if [".whl", ".tar.gz", ".zip"].iter().any(|end| text.ends_with(end)) {
                names.push(name);
            }
        }
        names.sort();
        let archive = |name| self.archive(&folder.join(name), input);
        Ok(LocalTarget::Links(names.into_iter().map(archive).collect::<Result<_, _>>()?))
    }

    /// A project: its files, and the folders and archives of the host that it installs.
    pub(super) fn project(
        &self,
        project: &Project,
        input: &Input<'_>,
    ) -> Result<GatheredProject, GatherError> {
        let manifest = self.whole(&project.manifest, input)?;
        let layout = self.layout(project);
        let mut read = match project.kind {
            ProjectKind::Pylock => GatheredProject::new(manifest, None),
            ProjectKind::Uv | ProjectKind::Poetry => {
                let lock = self.whole(&layout.lock, input).map_err(|error| match error {
                    GatherError::Missing { path, .. } => {
                        let what = format!("lock file {}", self.shown(&path).display());
                        GatherError::Missing { what, path }
                    }
                    other => other,
                })?;
                GatheredProject::new(manifest, Some(lock))
            }
        };
        read.place.clone_from(&layout.place);
        let lock = read.lock.as_ref().unwrap_or(&read.manifest);
        let bad = |source: LockedError| GatherError::Locked { path: lock.path.clone(), source };
        let named = locked::named(project, &layout.place, &lock.content).map_err(bad)?;
        let mut manifests = named.manifests;
        let own = layout.place.join(MANIFEST);
        if !layout.place.as_os_str().is_empty() {
            manifests.insert(PathBuf::from(MANIFEST));
        }
        for path in manifests.into_iter().filter(|path| *path != own) {
            let text = self.whole(&layout.root.join(&path), input)?;
            read.texts.insert(path, text);
        }
        let lock = read.lock.as_ref().unwrap_or(&read.manifest);
        let by = self.shown(&lock.path);
        let real = |path: &Path| self.at(&Path::new(".").join(path));
        let allowed = Allowed::of(project.kind, &read, &real(&layout.root), &real(Path::new("")));
        for path in named.folders.iter().chain(&named.archives).chain(read.texts.keys()) {
            allowed.check(&self.at(&layout.root.join(path)), path, &by)?;
        }
        // What other locks install depends on the target, of which nothing is known here: what is
        // missing is told of where it is needed.
        let may_miss = |at: &Path| project.kind != ProjectKind::Uv && !self.at(at).exists();
        for path in named.folders {
            let at = layout.root.join(&path);
            if may_miss(&at) {
                continue;
            }
            let folder = self.at(&at);
            if folder.is_dir() && !is_project(&folder) {
                return Err(GatherError::NoProject { named: path, by, path: folder });
            }
            let source = self.beside(&at, input).map_err(|e| named_by(e, &path, project))?;
            read.local.insert(path, source);
        }
        for path in named.archives {
            let at = layout.root.join(&path);
            if may_miss(&at) {
                continue;
            }
            let archive = self.archive(&at, input).map_err(|e| named_by(e, &path, project))?;
            read.archives.insert(path, archive);
        }
        Ok(read)
    }

    /// Where the texts of a project are: a lock file that is named, or that of the workspace that
    /// a manifest is a member of, may be above it. A lock file that is kept anywhere else counts
    /// as if it were beside the manifest.
    fn layout(&self, project: &Project) -> Layout {
        let folder = project.directory();
        let lock = project.lock_file();
        let beside = Layout { root: folder.to_owned(), place: PathBuf::new(), lock: lock.clone() };
        if project.kind != ProjectKind::Uv {
            return match (project.kind, folder) {
                (ProjectKind::Pylock, _) => Layout { lock: project.manifest.clone(), ..beside },
                _ => beside,
            };
        }
        if project.lock.is_none() && self.at(&lock).exists() {
            return beside;
        }
        let mut above = PathBuf::new();
        let mut place = PathBuf::new();
        let canonical = self.at(folder).canonicalize().unwrap_or_default();
        for name in canonical.ancestors().filter_map(Path::file_name) {
            above.push("..");
            place = Path::new(name).join(&place);
            let root = folder.join(&above);
            let candidate = match &project.lock {
                Some(lock) if is_same(&self.at(lock).with_file_name(""), &self.at(&root)) => {
                    lock.clone()
                }
                Some(_) => continue,
                None => root.join(UV_LOCK),
            };
            let manifest = tierce_tree::read_file(&self.at(&root.join(MANIFEST)), MOST_TEXT);
            let manifest = manifest.ok().and_then(|content| String::from_utf8(content).ok());
            let is_root = manifest.is_some_and(|text| locked::is_workspace_root(&text));
            if is_root && self.at(&candidate).exists() {
                // `place` has no slash at its end.
                let place = plain(&place.to_string_lossy());
                return Layout { root, place, lock: candidate };
            }
        }
        beside
    }
}

fn is_same(one: &Path, other: &Path) -> bool {
    match (one.canonicalize(), other.canonicalize()) {
        (Ok(one), Ok(other)) => one == other,
        _ => false,
    }
}

/// The same error about something that only the lock names.
fn named_by(error: GatherError, named: &Path, project: &Project) -> GatherError {
    match error {
        GatherError::Missing { path, .. } => {
            let what = format!(
                "{}, which {} installs from,",
                named.display(),
                project.lock_file().display()
            );
            GatherError::MissingLocal { what, path }
        }
        other => other,
    }
}
