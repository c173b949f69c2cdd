//! Reads what an image takes from the host, and pins the image to it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tierce_oci::{Diagnostic, Digest, ErrorKind, Platform};
use tierce_spec::{Image, Input, Inputs, ResolvedImage, SourceOptions};
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
    /// The directory that relative paths are relative to.
    pub root: PathBuf,
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
    let mut sources = BTreeMap::new();
    let mut requirements = BTreeMap::new();
    for input in image.inputs() {
        let path = root.join(input.path());
        let digest = match input {
            Input::Folder { options, .. } => {
                let source = folder(&path, &input, options, cache)?;
                let digest = source.tree.digest();
                sources.insert(input.step(), source);
                digest
            }
            Input::File { .. } => {
                let source = file(&path, &input)?;
                let digest = source.tree.digest();
                sources.insert(input.step(), source);
                digest
            }
            Input::Requirements { .. } => {
                let digest = requirements_digest(&path, &input)?;
                requirements.insert(input.step(), path);
                digest
            }
        };
        inputs.insert(input.step(), digest);
    }
    let resolved = image.resolve(&inputs).map_err(GatherError::from)?;
    Ok(Gathered { resolved, sources, requirements, root: root.to_owned() })
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
    let canonical = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let index_file = cache.file(&canonical);
    let mut index = index_file.as_deref().map(StatIndex::load);
    let tree = tierce_tree::scan(path, &scan_options, index.as_mut())
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
