//! Reads what an image takes from the host, and pins the image to it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tierce_oci::{Diagnostic, Digest, ErrorKind, Hasher, Platform};
use tierce_spec::{DockerfileBase, Image, Input, Inputs, ResolvedImage, SourceOptions};
use tierce_tree::{DefaultExcludes, IgnoreRules, ScanError, ScanOptions, StatIndex, Tree};

/// A source of the host, read and digested.
#[derive(Clone, Debug)]
pub struct Source {
    /// The folder, or the file itself, on the host.
    pub root: PathBuf,
    /// What of it ships.
    pub tree: Arc<Tree>,
}

/// An image pinned to its inputs, and the inputs.
#[derive(Clone, Debug)]
pub struct Gathered {
    /// The image with every digest.
    pub resolved: ResolvedImage,
    /// The sources, by step.
    pub sources: BTreeMap<usize, Source>,
    /// The requirements files, by step, as absolute paths.
    pub requirements: BTreeMap<usize, PathBuf>,
    /// The wheels in the folders of wheels, by step, sorted by name.
    pub wheels: BTreeMap<usize, Vec<PathBuf>>,
    /// What was read for the base; `None` where it reads nothing of the host.
    pub base: Option<GatheredBase>,
    /// The directory that relative paths are relative to.
    pub root: PathBuf,
}

/// A base that is made of something of the host.
#[derive(Clone, Debug)]
pub enum GatheredBase {
    /// Another image, with its own inputs.
    Image(Box<Gathered>),
    /// A Dockerfile.
    Dockerfile(GatheredDockerfile),
}

/// A Dockerfile and its context.
#[derive(Clone, Debug)]
pub struct GatheredDockerfile {
    /// Where it is.
    pub file: PathBuf,
    /// What it says.
    pub content: Vec<u8>,
    /// What its ignore file leaves in of its context.
    pub context: Source,
    /// The ignore file, where there is one.
    pub ignore_file: Option<PathBuf>,
}

/// Remembers digests of files between builds, so that unchanged files are not read again.
#[derive(Clone, Debug, Default)]
pub struct GatherCache {
    directory: Option<PathBuf>,
}

impl GatherCache {
    /// Remembers in files in `directory`.
    pub fn in_directory(directory: PathBuf) -> Self {
        GatherCache { directory: Some(directory) }
    }

    /// Remembers nothing.
    pub fn none() -> Self {
        Self::default()
    }

    fn file(&self, root: &Path) -> Option<PathBuf> {
        let name = Digest::of(root.as_os_str().as_encoded_bytes()).short();
        Some(self.directory.as_ref()?.join(format!("{name}.stat")))
    }
}

/// Why a source could not be read.
#[derive(Debug, thiserror::Error)]
pub enum GatherError {
    /// It is not there.
    #[error("{what} does not exist")]
    Missing {
        /// What was looked for.
        what: String,
    },
    /// It is there, but of another kind.
    #[error("{what} is not a {expected}")]
    Kind {
        /// What was looked for.
        what: String,
        /// `folder` or `file`.
        expected: &'static str,
    },
    /// It could not be scanned.
    #[error("cannot read {what}")]
    Scan {
        /// What was looked for.
        what: String,
        /// Why.
        source: ScanError,
    },
    /// A file could not be read.
    #[error("cannot read {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A requirements file, or one that it includes, could not be read.
    #[error(transparent)]
    Requirements(tierce_spec::requirements::GatherError<std::io::Error>),
    /// A folder of wheels has none.
    #[error("{what} has no wheels in it")]
    NoWheels {
        /// What was looked for.
        what: String,
    },
    /// An ignore pattern is malformed.
    #[error("{file} has an invalid pattern")]
    Ignore {
        /// The ignore file, or the step.
        file: String,
        /// Why.
        source: tierce_tree::IgnoreError,
    },
    /// The image could not be pinned to what was read.
    #[error(transparent)]
    Resolve(#[from] tierce_spec::ResolveError),
}

impl Diagnostic for GatherError {
    fn code(&self) -> &'static str {
        match self {
            GatherError::Missing { .. } => "source/missing",
            GatherError::Kind { .. } => "source/wrong-kind",
            GatherError::Scan { .. } | GatherError::Read { .. } => "source/unreadable",
            GatherError::NoWheels { .. } => "source/no-wheels",
            GatherError::Ignore { .. } => "source/invalid-pattern",
            GatherError::Resolve(e) => e.code(),
            GatherError::Requirements(e) => e.code(),
        }
    }

    fn kind(&self) -> ErrorKind {
        match self {
            GatherError::Resolve(e) => e.kind(),
            _ => ErrorKind::User,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            GatherError::Missing { .. } => {
                Some("Paths are relative to the directory of the tierce.toml.".into())
            }
            GatherError::NoWheels { .. } => {
                Some("Build them first, as `uv build --wheel -o DIR` does.".into())
            }
            GatherError::Resolve(e) => e.hint(),
            GatherError::Requirements(e) => e.hint(),
            _ => None,
        }
    }
}

/// Reads the inputs of `image` below `root`.
pub fn gather(
    image: &Image,
    root: &Path,
    cache: &GatherCache,
) -> Result<Gathered, Arc<GatherError>> {
    let mut inputs = Inputs::new(Platform::host());
    let mut gathered = Parts::default();
    for input in image.inputs() {
        let digest = gathered.read(image, &input, root, cache)?;
        inputs.insert(input.slot(), digest);
    }
    let resolved = image.resolve(&inputs).map_err(GatherError::from)?;
    let Parts { sources, requirements, wheels, base } = gathered;
    Ok(Gathered { resolved, sources, requirements, wheels, base, root: root.to_owned() })
}

/// What was read so far.
#[derive(Default)]
struct Parts {
    sources: BTreeMap<usize, Source>,
    requirements: BTreeMap<usize, PathBuf>,
    wheels: BTreeMap<usize, Vec<PathBuf>>,
    base: Option<GatheredBase>,
}

impl Parts {
    fn read(
        &mut self,
        image: &Image,
        input: &Input<'_>,
        root: &Path,
        cache: &GatherCache,
    ) -> Result<Digest, Arc<GatherError>> {
        let at = |path: &Path| root.join(path);
        Ok(match input {
            Input::Folder { step, src, options } => {
                let source = folder(&at(src), input, options, cache)?;
                let digest = source.tree.digest();
                self.sources.insert(*step, source);
                digest
            }
            Input::File { step, src } => {
                let source = file(&at(src), input)?;
                let digest = source.tree.digest();
                self.sources.insert(*step, source);
                digest
            }
            Input::Requirements { step, file } => {
                let digest = requirements_digest(&at(file), input)?;
                self.requirements.insert(*step, at(file));
                digest
            }
            Input::Wheels { step, dir } => {
                let (files, digest) = wheels(&at(dir), input)?;
                self.wheels.insert(*step, files);
                digest
            }
            Input::Dockerfile(dockerfile) => {
                let (gathered, digest) = dockerfile_base(dockerfile, input, root, cache)?;
                self.base = Some(GatheredBase::Dockerfile(gathered));
                digest
            }
            Input::Image(base) => {
                // What an image says of its platforms holds for the one below it.
                let base = match image.platforms() {
                    [] => (*base).clone(),
                    platforms => base.with_platforms(platforms.iter().cloned()),
                };
                let gathered = gather(&base, root, cache)?;
                let digest = gathered.resolved.key().digest();
                self.base = Some(GatheredBase::Image(Box::new(gathered)));
                digest
            }
        })
    }
}

/// The wheels in a folder, by name, and a digest over their names and contents.
fn wheels(dir: &Path, input: &Input<'_>) -> Result<(Vec<PathBuf>, Digest), GatherError> {
    require(dir, input, true)?;
    let unreadable = |source| GatherError::Read { path: dir.to_owned(), source };
    let mut files = vec![];
    for entry in std::fs::read_dir(dir).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.extension().is_some_and(|e| e == "whl") && path.is_file() {
            files.push(path);
        }
    }
    if files.is_empty() {
        return Err(GatherError::NoWheels { what: input.to_string() });
    }
    files.sort();
    let mut all = Hasher::new();
    for file in &files {
        let tree = tierce_tree::scan_file(file)
            .map_err(|source| GatherError::Scan { what: input.to_string(), source })?;
        let name = file.file_name().unwrap_or_default().as_encoded_bytes();
        all.update(&(name.len() as u64).to_le_bytes());
        all.update(name);
        all.update(tree.digest().as_bytes());
    }
    Ok((files, all.finish()))
}

/// A Dockerfile and its context, and a digest over both.
fn dockerfile_base(
    dockerfile: &DockerfileBase,
    input: &Input<'_>,
    root: &Path,
    cache: &GatherCache,
) -> Result<(GatheredDockerfile, Digest), GatherError> {
    let path = root.join(&dockerfile.file);
    require(&path, input, false)?;
    let content =
        std::fs::read(&path).map_err(|source| GatherError::Read { path: path.clone(), source })?;
    let context = root.join(dockerfile.context());
    let directory = if context.as_os_str().is_empty() { Path::new(".") } else { &context };
    // The names that the docker command reads ignore rules from, the more particular one first.
    let mut own_rules = path.clone().into_os_string();
    own_rules.push(".dockerignore");
    let ignore_file = [PathBuf::from(own_rules), directory.join(".dockerignore")]
        .into_iter()
        .find(|file| file.is_file());
    let text = match &ignore_file {
        Some(file) => std::fs::read_to_string(file)
            .map_err(|source| GatherError::Read { path: file.clone(), source })?,
        None => String::new(),
    };
    let rules = IgnoreRules::parse(&text)
        .map_err(|source| GatherError::Ignore { file: input.to_string(), source })?;
    // The Dockerfile decides what it copies: nothing is left out that its rules do not name.
    let options = ScanOptions { ignore: rules, defaults: DefaultExcludes::Off };
    let source = scan(directory, input, &options, cache)?;
    let mut all = Hasher::new();
    all.update(Digest::of(&content).as_bytes());
    all.update(source.tree.digest().as_bytes());
    Ok((GatheredDockerfile { file: path, content, context: source, ignore_file }, all.finish()))
}

fn require(path: &Path, input: &Input<'_>, folder: bool) -> Result<(), GatherError> {
    let what = input.to_string();
    match std::fs::metadata(path) {
        Ok(m) if m.is_dir() == folder => Ok(()),
        Ok(_) => Err(GatherError::Kind { what, expected: if folder { "folder" } else { "file" } }),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Err(GatherError::Missing { what }),
        Err(source) => Err(GatherError::Read { path: path.to_owned(), source }),
    }
}

fn folder(
    path: &Path,
    input: &Input<'_>,
    options: &SourceOptions,
    cache: &GatherCache,
) -> Result<Source, GatherError> {
    require(path, input, true)?;
    let rules = ignore_rules(path, input, options)?;
    let defaults = if options.keep_defaults { DefaultExcludes::Off } else { DefaultExcludes::On };
    let scan_options = ScanOptions { ignore: rules, defaults };
    scan(path, input, &scan_options, cache)
}

fn scan(
    path: &Path,
    input: &Input<'_>,
    options: &ScanOptions,
    cache: &GatherCache,
) -> Result<Source, GatherError> {
    let canonical = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let index_file = cache.file(&canonical);
    let mut index = index_file.as_deref().map(StatIndex::load);
    let tree = tierce_tree::scan(path, options, index.as_mut())
        .map_err(|source| GatherError::Scan { what: input.to_string(), source })?;
    if let (Some(index), Some(file)) = (index, index_file) {
        // A cache that can't be written costs time, not correctness.
        if let Err(error) = index.save(&file) {
            tracing::warn!(%error, file = %file.display(), "cannot save the index of source files");
        }
    }
    Ok(Source { root: path.to_owned(), tree: Arc::new(tree) })
}

/// The folder's own `.dockerignore`, then the step's patterns.
fn ignore_rules(
    path: &Path,
    input: &Input<'_>,
    options: &SourceOptions,
) -> Result<IgnoreRules, GatherError> {
    let file = path.join(".dockerignore");
    let mut text = match std::fs::read_to_string(&file) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(source) => return Err(GatherError::Read { path: file, source }),
    };
    for pattern in &options.ignore {
        text.push('\n');
        text.push_str(pattern);
    }
    IgnoreRules::parse(&text)
        .map_err(|source| GatherError::Ignore { file: input.to_string(), source })
}

fn file(path: &Path, input: &Input<'_>) -> Result<Source, GatherError> {
    require(path, input, false)?;
    let tree = tierce_tree::scan_file(path)
        .map_err(|source| GatherError::Scan { what: input.to_string(), source })?;
    Ok(Source { root: path.to_owned(), tree: Arc::new(tree) })
}

/// The digest of a requirements file and of every file that it includes.
fn requirements_digest(path: &Path, input: &Input<'_>) -> Result<Digest, GatherError> {
    require(path, input, false)?;
    let gathered = tierce_spec::requirements::gather(path, |file| std::fs::read(file));
    Ok(gathered.map_err(GatherError::Requirements)?.digest)
}
