//! Reading one input after the other.

use super::error::GatherError;
use super::place::Place;
use super::project::{GatheredLocal, requirements_digest};
use super::rules::{self, IGNORE_FILE, ProjectRules};
use super::{
    GatherCache, Gathered, GatheredBase, GatheredDockerfile, GatheredFile, GatheredProject,
    LocalWheel, Source, gather_at,
};
use crate::lock::Locking;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tierce_oci::{Digest, Hasher};
use tierce_spec::{CondaSource, DockerfileBase, Image, Input, ResolvedImage, SourceOptions};
use tierce_tree::{DefaultExcludes, Node, ScanError, ScanOptions, StatIndex, Tree};

/// Larger manifests, locks and lists are somebody's mistake, or mischief.
pub(super) const MOST_TEXT: u64 = 64 << 20;

/// Reads the inputs of one image.
pub(super) struct Reader<'a> {
    image: &'a Image,
    place: &'a Place,
    cache: &'a GatherCache,
    project: Option<ProjectRules>,
    sources: BTreeMap<usize, Source>,
    requirements: BTreeMap<usize, PathBuf>,
    locals: BTreeMap<usize, Vec<GatheredLocal>>,
    wheels: BTreeMap<usize, Vec<LocalWheel>>,
    projects: BTreeMap<usize, GatheredProject>,
    conda: BTreeMap<usize, GatheredProject>,
    files: BTreeMap<PathBuf, Digest>,
    base: Option<GatheredBase>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(
        image: &'a Image,
        place: &'a Place,
        cache: &'a GatherCache,
    ) -> Result<Self, GatherError> {
        let is_folder = |input: &Input<'_>| {
            matches!(input, Input::Folder { .. } | Input::Project { .. } | Input::Conda { .. })
        };
        let has_folder = image.inputs().iter().any(is_folder);
        let project = match has_folder || image.dockerignore().is_some() {
            true => ProjectRules::read(image, place)?,
            false => None,
        };
        Ok(Reader {
            image,
            place,
            cache,
            project,
            sources: BTreeMap::new(),
            requirements: BTreeMap::new(),
            locals: BTreeMap::new(),
            wheels: BTreeMap::new(),
            projects: BTreeMap::new(),
            conda: BTreeMap::new(),
            files: BTreeMap::new(),
            base: None,
        })
    }

    /// The image, and all that was read.
    pub(super) fn finish(self, resolved: ResolvedImage) -> Gathered {
        let Reader { sources, requirements, locals, wheels, projects, conda, files, base, .. } =
            self;
        let root = self.place.root.clone();
        let locking = Locking::Off;
        Gathered {
            resolved,
            sources,
            requirements,
            locals,
            wheels,
            projects,
            conda,
            base,
            root,
            files,
            locking,
        }
    }

    /// Reads an input; its digest.
    pub(super) fn read(&mut self, input: &Input<'_>) -> Result<Digest, Arc<GatherError>> {
        Ok(match input {
            Input::Folder { step, src, options } => {
                let source = self.folder(src, input, options)?;
                let digest = source.tree.digest();
                self.sources.insert(*step, source);
                digest
            }
            Input::File { step, src } => {
                let path = self.require(src, input, Kind::File)?;
                let tree = tierce_tree::scan_file(&path).map_err(|e| self.unscanned(input, e))?;
                let digest = tree.digest();
                self.sources.insert(*step, Source { root: path, tree: Arc::new(tree) });
                digest
            }
            Input::Requirements { step, file } => {
                let path = self.require(file, input, Kind::File)?;
                let gathered = self.requirements(&path)?;
                let locals = self.locals(gathered.locals(), input)?;
                let digest = requirements_digest(gathered.digest, &locals);
                self.requirements.insert(*step, path);
                self.locals.insert(*step, locals);
                digest
            }
            Input::Wheels { step, dir, packages } => {
                let wheels = self.wheels(dir, packages, input)?;
                let digest = wheels_digest(&wheels);
                self.wheels.insert(*step, wheels);
                digest
            }
            Input::Project { step, project } => {
                let read = self.project(project, input)?;
                let digest = read.digest();
                self.projects.insert(*step, read);
                digest
            }
            Input::Conda { step, source } => {
                let read = self.conda(source, input)?;
                let digest = read.digest();
                self.conda.insert(*step, read);
                digest
            }
            Input::Dockerfile(dockerfile) => self.dockerfile(dockerfile, input)?,
            Input::Image(base) => self.base_image(base)?,
        })
    }

    fn folder(
        &self,
        src: &Path,
        input: &Input<'_>,
        options: &SourceOptions,
    ) -> Result<Source, GatherError> {
        let path = self.require(src, input, Kind::Folder)?;
        let options = rules::scan_options(self.project.as_ref(), self.place, src, input, options)?;
        let source = self.scan(&path, input, &options)?;
        if let (true, Some(project), Some(above)) =
            (source.tree.is_empty(), &self.project, &options.above)
        {
            project.check_rest(&self.place.describe(input), &path, above)?;
        }
        Ok(source)
    }

    /// A requirements file and every file that it includes.
    fn requirements(
        &mut self,
        path: &Path,
    ) -> Result<tierce_spec::requirements::Gathered, GatherError> {
        let mut read = vec![];
        let gathered = tierce_spec::requirements::gather(path, |file| {
            let bytes = tierce_tree::read_file(file, MOST_TEXT).map_err(io_error)?;
            read.push((file.to_owned(), Digest::of(&bytes)));
            Ok(bytes)
        });
        self.files.extend(read);
        gathered.map_err(GatherError::Requirements)
    }

    /// The wheels of these packages in a folder, or all that it has, by name. What is below its
    /// folders is none of its business.
    fn wheels(
        &self,
        dir: &Path,
        packages: &[String],
        input: &Input<'_>,
    ) -> Result<Vec<LocalWheel>, GatherError> {
        let path = self.require(dir, input, Kind::Folder)?;
        let mut names = wheel_names(&path)
            .map_err(|source| GatherError::Read { path: path.clone(), source })?;
        names.retain(|name| is_of(name, packages));
        if names.is_empty() {
            let (what, packages) = (self.place.describe(input), packages.to_vec());
            return Err(GatherError::NoWheels { what, packages, path });
        }
        let options = ScanOptions {
            only: Some(names.clone()),
            defaults: DefaultExcludes::Off,
            ..ScanOptions::default()
        };
        let source = self.scan(&path, input, &options)?;
        let digest_of = |tree: &Tree, at: &str| {
            tree.entries().iter().find_map(|entry| match entry.node {
                Node::File { digest, .. } if entry.path.to_string() == at => Some(digest),
                _ => None,
            })
        };
        names
            .into_iter()
            .map(|name| {
                let file = path.join(&name);
                let known = name.to_str().and_then(|name| digest_of(&source.tree, name));
                let digest = match known {
                    Some(digest) => digest,
                    // Behind a link.
                    None => file_digest(&file).map_err(|e| self.unscanned(input, e))?,
                };
                Ok(LocalWheel { path: file, digest })
            })
            .collect()
    }

    /// What says which conda packages there are.
    fn conda(
        &self,
        source: &CondaSource,
        input: &Input<'_>,
    ) -> Result<GatheredProject, GatherError> {
        let Some((file, lock)) = source.files() else {
            let (what, path) = (self.place.describe(input), PathBuf::new());
            return Err(GatherError::Missing { what, path });
        };
        let manifest = self.whole(file, input)?;
        let lock = match lock.filter(|lock| self.place.at(lock).exists()) {
            Some(lock) => Some(self.whole(&lock, input)?),
            None => None,
        };
        let mut read = GatheredProject::new(manifest, lock);
        self.pixi_locals(source, &mut read, input)?;
        Ok(read)
    }

    /// A folder of the host that a project is in.
    pub(super) fn beside(&self, src: &Path, input: &Input<'_>) -> Result<Source, GatherError> {
        self.project_folder(src, input, &SourceOptions::new())
    }

    /// The same, without what the options leave out.
    pub(super) fn project_folder(
        &self,
        src: &Path,
        input: &Input<'_>,
        options: &SourceOptions,
    ) -> Result<Source, GatherError> {
        let src = match src.as_os_str().is_empty() {
            true => Path::new("."),
            false => src,
        };
        let path = self.require(src, input, Kind::Folder)?;
        let options = rules::scan_options(self.project.as_ref(), self.place, src, input, options)?;
        self.scan(&path, input, &options)
    }

    /// A file, whole.
    pub(super) fn whole(
        &self,
        file: &Path,
        input: &Input<'_>,
    ) -> Result<GatheredFile, GatherError> {
        let path = self.require(file, input, Kind::File)?;
        let content = tierce_tree::read_file(&path, MOST_TEXT);
        let content = content.map_err(|error| self.unscanned(input, error))?;
        Ok(GatheredFile { path, content })
    }

    /// A wheel or source archive.
    pub(super) fn archive(
        &self,
        file: &Path,
        input: &Input<'_>,
    ) -> Result<LocalWheel, GatherError> {
        let path = self.require(file, input, Kind::File)?;
        let digest = file_digest(&path).map_err(|e| self.unscanned(input, e))?;
        Ok(LocalWheel { path, digest })
    }

    /// A path of this process, as people know it.
    pub(super) fn shown(&self, path: &Path) -> PathBuf {
        self.place.shown(self.below(path))
    }

    /// The same relative to the image's folder, where it is below that.
    pub(super) fn below<'b>(&self, path: &'b Path) -> &'b Path {
        path.strip_prefix(&self.place.root).unwrap_or(path)
    }

    /// A path of the image, as this process reaches it.
    pub(super) fn at(&self, path: &Path) -> PathBuf {
        self.place.at(path)
    }

    /// A Dockerfile and its context, under one digest.
    fn dockerfile(
        &mut self,
        dockerfile: &DockerfileBase,
        input: &Input<'_>,
    ) -> Result<Digest, GatherError> {
        let file = self.require(&dockerfile.file, input, Kind::File)?;
        let content = tierce_tree::read_file(&file, MOST_TEXT)
            .map_err(|error| self.unscanned(input, error))?;
        let context = self.place.at(&dockerfile.context());
        let directory = if context.as_os_str().is_empty() { Path::new(".") } else { &context };
        let what = format!("build context {}", self.place.shown(&dockerfile.context()).display());
        require(directory, what, Kind::Folder)?;
        let ignore_file = self.dockerfile_rules(&file, directory);
        let ignore = match &ignore_file {
            Some(file) => rules::parse(&rules::read(file)?, file)?,
            None => Default::default(),
        };
        // The Dockerfile decides what it copies: nothing is left out that its rules do not name.
        let options =
            ScanOptions { ignore, defaults: DefaultExcludes::Off, ..ScanOptions::default() };
        let context = self.scan(directory, input, &options)?;
        let mut all = Hasher::new();
        all.update(Digest::of(&content).as_bytes());
        all.update(context.tree.digest().as_bytes());
        self.files.insert(file.clone(), Digest::of(&content));
        let base = GatheredDockerfile { file, content, context, ignore_file };
        self.base = Some(GatheredBase::Dockerfile(base));
        Ok(all.finish())
    }

    /// The ignore file of a Dockerfile's context: the one that the image names; else what the
    /// docker command reads, the more particular one first.
    fn dockerfile_rules(&self, file: &Path, context: &Path) -> Option<PathBuf> {
        if let Some(named) = self.image.dockerignore() {
            return Some(self.place.at(named));
        }
        let mut own = file.to_owned().into_os_string();
        own.push(IGNORE_FILE);
        [PathBuf::from(own), context.join(IGNORE_FILE)].into_iter().find(|file| file.is_file())
    }

    fn base_image(&mut self, base: &Image) -> Result<Digest, Arc<GatherError>> {
        // What an image says of its platforms holds for the one below it.
        let base = match self.image.platforms() {
            [] => base.clone(),
            platforms => base.with_platforms(platforms.iter().cloned()),
        };
        let gathered = gather_at(&base, self.place.of(&base), self.cache)?;
        let digest = gathered.resolved.key().digest();
        self.base = Some(GatheredBase::Image(Box::new(gathered)));
        Ok(digest)
    }

    fn scan(
        &self,
        path: &Path,
        input: &Input<'_>,
        options: &ScanOptions,
    ) -> Result<Source, GatherError> {
        let canonical = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        // A scan forgets what it did not see.
        let part = if options.only.is_some() { "only" } else { "" };
        let index_file = self.cache.file(&canonical, part);
        let mut index = index_file.as_deref().map(StatIndex::load);
        let tree = tierce_tree::scan(path, options, index.as_mut())
            .map_err(|source| self.unscanned(input, source))?;
        if let (Some(index), Some(file)) = (index, index_file) {
            // A cache that can't be written costs time, not correctness.
            if let Err(error) = index.save(&file) {
                let file = file.display();
                tracing::warn!(%error, %file, "cannot save the index of source files");
            }
        }
        Ok(Source { root: path.to_owned(), tree: Arc::new(tree) })
    }

    fn unscanned(&self, input: &Input<'_>, source: ScanError) -> GatherError {
        GatherError::Scan { what: self.place.describe(input), source }
    }

    /// The input's path, which must be of this kind.
    fn require(&self, path: &Path, input: &Input<'_>, kind: Kind) -> Result<PathBuf, GatherError> {
        let path = self.place.at(path);
        require(&path, self.place.describe(input), kind)?;
        Ok(path)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Folder,
    File,
}

fn require(path: &Path, what: String, kind: Kind) -> Result<(), GatherError> {
    let expected = match kind {
        Kind::Folder => "folder",
        Kind::File => "file",
    };
    let path = path.to_owned();
    match std::fs::metadata(&path) {
        Ok(metadata) if kind == Kind::Folder && metadata.is_dir() => Ok(()),
        Ok(metadata) if kind == Kind::File && metadata.is_file() => Ok(()),
        Ok(_) => Err(GatherError::Kind { what, path, expected }),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Err(GatherError::Missing { what, path }),
        Err(source) => Err(GatherError::Read { path, source }),
    }
}

fn io_error(error: ScanError) -> io::Error {
    match error {
        ScanError::Unreadable { source, .. } => source,
        ScanError::NotFound { .. } => io::ErrorKind::NotFound.into(),
        other => io::Error::other(other),
    }
}

/// The names of the wheels in a folder, sorted.
fn wheel_names(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut names = vec![];
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let name = PathBuf::from(entry.file_name());
        if name.extension().is_some_and(|e| e == "whl") && entry.path().is_file() {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

/// Whether a wheel is one of these packages; of any, where there are none. Names are compared as
/// indexes do (PEP 503): that of a wheel ends at its first dash.
fn is_of(wheel: &Path, packages: &[String]) -> bool {
    let normal = |name: &str| {
        let parts = name.split(['-', '_', '.']).filter(|part| !part.is_empty());
        parts.map(str::to_ascii_lowercase).collect::<Vec<_>>().join("-")
    };
    let name = wheel.to_string_lossy();
    let name = normal(name.split('-').next().unwrap_or_default());
    packages.is_empty() || packages.iter().any(|package| normal(package) == name)
}

fn file_digest(file: &Path) -> Result<Digest, ScanError> {
    let tree = tierce_tree::scan_file(file)?;
    match tree.entries() {
        [entry] => match entry.node {
            Node::File { digest, .. } => Ok(digest),
            Node::Directory | Node::Symlink { .. } => {
                Err(ScanError::NotAFile { path: file.to_owned() })
            }
        },
        _ => Err(ScanError::NotAFile { path: file.to_owned() }),
    }
}

/// A digest over the names and contents of wheels.
fn wheels_digest(wheels: &[LocalWheel]) -> Digest {
    let mut all = Hasher::new();
    for wheel in wheels {
        let name = wheel.path.file_name().unwrap_or_default().as_encoded_bytes();
        all.update(&(name.len() as u64).to_le_bytes());
        all.update(name);
        all.update(wheel.digest.as_bytes());
    }
    all.finish()
}
