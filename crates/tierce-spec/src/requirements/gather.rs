//! A requirements file with all that it includes, under one digest.

use super::{Line, LineKind, parse};
use crate::canonical::Encoder;
use crate::service_url::redact;
use std::path::{Path, PathBuf};
use tierce_oci::{Diagnostic, Digest, ErrorKind};

/// The version of the digest's encoding.
const VERSION: u32 = 1;

/// Deeper nests are mistakes; pip itself would run out of stack.
const MAX_DEPTH: usize = 32;

/// How a file came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IncludedAs {
    /// Its packages are installed.
    Requirements,
    /// Its lines limit what is installed.
    Constraints,
}

/// One file that takes part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequirementsFile {
    /// Where it is: the root as given, an included file below the folder of the one that names it.
    pub path: PathBuf,
    /// How it came in.
    pub included_as: IncludedAs,
    /// What it says.
    pub lines: Vec<Line>,
}

/// A requirements file with all that it includes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gathered {
    /// The files in the order in which they are named, the root first. One that is named twice
    /// is here twice.
    pub files: Vec<RequirementsFile>,
    /// The digest of what they say together: of every line but comments, in order, with the
    /// lines of included files in the place of their names. Where the files lie, and credentials
    /// in URLs, are not part of it.
    pub digest: Digest,
}

/// Why a requirements file can't be digested.
#[derive(Debug, thiserror::Error)]
pub enum GatherError<E: std::error::Error + 'static> {
    /// A file can't be read.
    #[error("can't read requirements file {}{}", path.display(), named_by(from))]
    Read {
        /// The file.
        path: PathBuf,
        /// The file and line that name it; `None` for the root.
        from: Option<(PathBuf, usize)>,
        /// Why.
        source: E,
    },
    /// A file is not text.
    #[error("requirements file {} is not UTF-8", path.display())]
    Encoding {
        /// The file.
        path: PathBuf,
    },
    /// A file includes itself, by way of others or not.
    #[error("{}:{line} includes {}, which includes it", path.display(), included.display())]
    Cycle {
        /// The file with the line that closes the circle.
        path: PathBuf,
        /// The line.
        line: usize,
        /// The file it names.
        included: PathBuf,
    },
    /// Files include files too deep.
    #[error("{}:{line}: requirements files are nested more than 32 deep", path.display())]
    Depth {
        /// The file.
        path: PathBuf,
        /// The line.
        line: usize,
    },
    /// A line includes a URL.
    #[error("{}:{line} includes {url:?}, whose content can change at any time", path.display())]
    RemoteInclude {
        /// The file.
        path: PathBuf,
        /// The line.
        line: usize,
        /// The URL, without credentials.
        url: String,
    },
}

fn named_by(from: &Option<(PathBuf, usize)>) -> String {
    match from {
        Some((path, line)) => format!(", which {}:{line} names", path.display()),
        None => String::new(),
    }
}

impl<E: std::error::Error + 'static> Diagnostic for GatherError<E> {
    fn code(&self) -> &'static str {
        match self {
            GatherError::Read { .. } => "spec/unreadable-requirements",
            GatherError::Encoding { .. } => "spec/invalid-requirements",
            GatherError::Cycle { .. } | GatherError::Depth { .. } => "spec/nested-requirements",
            GatherError::RemoteInclude { .. } => "spec/remote-requirements",
        }
    }

    fn kind(&self) -> ErrorKind {
        ErrorKind::User
    }

    fn hint(&self) -> Option<String> {
        match self {
            GatherError::Read { .. } | GatherError::Cycle { .. } | GatherError::Depth { .. } => {
                None
            }
            GatherError::Encoding { .. } => Some("Save it as UTF-8.".into()),
            GatherError::RemoteInclude { .. } => {
                Some("Download the file and include the copy.".into())
            }
        }
    }
}

/// Reads `root` and the files it includes through `read`, and digests what they say.
///
/// Nothing is read but through `read`, which gets `root` as it is and the path of each included
/// file below the folder of the file that names it, as pip does.
pub fn gather<E: std::error::Error + 'static>(
    root: &Path,
    mut read: impl FnMut(&Path) -> Result<Vec<u8>, E>,
) -> Result<Gathered, GatherError<E>> {
    let mut walk = Walk {
        read: &mut read,
        files: vec![],
        open: vec![],
        encoder: Encoder::new("tierce.requirements", VERSION),
    };
    walk.file(root.to_owned(), IncludedAs::Requirements, None)?;
    Ok(Gathered { files: walk.files, digest: Digest::of(walk.encoder.finish()) })
}

struct Walk<'a, E> {
    read: &'a mut dyn FnMut(&Path) -> Result<Vec<u8>, E>,
    files: Vec<RequirementsFile>,
    /// The files that are being read, outermost first.
    open: Vec<PathBuf>,
    encoder: Encoder,
}

impl<E: std::error::Error + 'static> Walk<'_, E> {
    fn file(
        &mut self,
        path: PathBuf,
        included_as: IncludedAs,
        from: Option<(PathBuf, usize)>,
    ) -> Result<(), GatherError<E>> {
        let bytes = (self.read)(&path).map_err(|source| GatherError::Read {
            path: path.clone(),
            from,
            source,
        })?;
        let text =
            String::from_utf8(bytes).map_err(|_| GatherError::Encoding { path: path.clone() })?;
        let lines = parse(&text);
        self.files.push(RequirementsFile { path: path.clone(), included_as, lines: lines.clone() });
        self.open.push(path.clone());
        for line in &lines {
            self.line(&path, line)?;
        }
        self.open.pop();
        Ok(())
    }

    fn line(&mut self, path: &Path, line: &Line) -> Result<(), GatherError<E>> {
        match &line.kind {
            LineKind::Requirement(text) => self.encoder.text("requirement", &redact(text)),
            LineKind::Url(text) => self.encoder.text("url", &redact(text)),
            LineKind::Option(text) => self.encoder.text("option", &redact(text)),
            LineKind::Include(name) => {
                self.include(path, line.number, name, IncludedAs::Requirements)?;
            }
            LineKind::Constraint(name) => {
                self.include(path, line.number, name, IncludedAs::Constraints)?;
            }
            // What is there is digested by whoever reads it.
            LineKind::Editable(text) => self.encoder.text("editable", &redact(text)),
            LineKind::LocalPath(text) => self.encoder.text("local", &redact(text)),
        }
        Ok(())
    }

    fn include(
        &mut self,
        path: &Path,
        line: usize,
        name: &str,
        included_as: IncludedAs,
    ) -> Result<(), GatherError<E>> {
        if name.contains("://") {
            let (path, url) = (path.to_owned(), redact(name));
            return Err(GatherError::RemoteInclude { path, line, url });
        }
        let included = included_path(path, name);
        if self.open.contains(&included) {
            return Err(GatherError::Cycle { path: path.to_owned(), line, included });
        }
        if self.open.len() >= MAX_DEPTH {
            return Err(GatherError::Depth { path: path.to_owned(), line });
        }
        let label = match included_as {
            IncludedAs::Requirements => "include",
            IncludedAs::Constraints => "constraint",
        };
        self.encoder.begin(label);
        self.file(included, included_as, Some((path.to_owned(), line)))?;
        self.encoder.end();
        Ok(())
    }
}

/// The path of the file that the requirements file at `path` includes as `name`: below the folder
/// of `path`, without `.` components.
///
/// `..` stays as it is: above a symbolic link it means another folder than its spelling says.
pub fn included_path(path: &Path, name: &str) -> PathBuf {
    let folder = path.parent().unwrap_or(Path::new(""));
    folder.join(name).components().filter(|c| *c != std::path::Component::CurDir).collect()
}
