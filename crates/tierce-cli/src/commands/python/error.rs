//! What can go wrong with Python files.

use super::protocol::{LoadError, Problem};
use crate::commands::failure::Failure;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::Arc;
use tierce::{Diagnostic, ErrorKind};

/// What can go wrong with Python files.
#[derive(Debug, thiserror::Error)]
pub enum PythonError {
    /// There is no Python on this machine.
    #[error("no Python is found that could load {}", .file.display())]
    NoPython {
        /// What was to be loaded.
        file: PathBuf,
    },
    /// The Python does not start.
    #[error("cannot start {}", .python.display())]
    Start {
        /// The Python.
        python: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The Python does not have the package.
    #[error("{} (Python {version}) has no usable tierce package: {reason}", .python.display())]
    NoPackage {
        /// The Python.
        python: PathBuf,
        /// Its version.
        version: String,
        /// What it says about it.
        reason: String,
    },
    /// The package speaks otherwise than this program.
    #[error("{} has tierce {package}, which this tierce {} does not understand", .python.display(), env!("CARGO_PKG_VERSION"))]
    Protocol {
        /// The Python.
        python: PathBuf,
        /// The package's version.
        package: String,
    },
    /// The Python ended without an answer.
    #[error("{} ended before it had said what is in the files: {status}", .python.display())]
    Ended {
        /// The Python.
        python: PathBuf,
        /// How.
        status: ExitStatus,
    },
    /// What the Python answers makes no sense.
    #[error("{} answers what this tierce {} does not understand", .python.display(), env!("CARGO_PKG_VERSION"))]
    Garbage {
        /// The Python.
        python: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// Files cannot be loaded.
    #[error("{}", Failed(.failed, *.of))]
    Load {
        /// The files, and why.
        failed: Vec<(PathBuf, LoadError)>,
        /// How many there were.
        of: usize,
        /// The Python.
        python: PathBuf,
    },
    /// A file has no image.
    #[error("there is no image in {}", .file.display())]
    NoImage {
        /// The file, or the folder of some.
        file: PathBuf,
        /// What there is instead: environments and tasks without an image of their own.
        without: Vec<String>,
    },
    /// A file has no image of that name.
    #[error("there is no image {name} in {}", .file.display())]
    NoSuchImage {
        /// The file, or the folder of some.
        file: PathBuf,
        /// The name.
        name: String,
        /// The names there are.
        names: Vec<String>,
        /// The one of them that was meant.
        near: Option<String>,
        /// Whether something has that name, and no image of its own.
        without: bool,
    },
    /// One image is wanted and there are several.
    #[error("there are {} images in {}", .names.len(), .file.display())]
    Several {
        /// The file, or the folder of some.
        file: PathBuf,
        /// Their names.
        names: Vec<String>,
    },
    /// An object of the file can't be understood.
    #[error("{0}")]
    Problem(Box<Problem>),
    /// What describes an image is none.
    #[error("the tierce package {package} describes the image in a way that this tierce {} does not understand", env!("CARGO_PKG_VERSION"))]
    Document {
        /// The package's version.
        package: String,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// A builder is there only in Python, and the command line asks for more than those can do.
    #[error("the builder {builder} is written in Python: it builds without {option}")]
    PythonBuilder {
        /// The builder.
        builder: String,
        /// What it can't do.
        option: &'static str,
    },
    /// The registry that a file gives to `tierce.init` is none.
    #[error("tierce.init(image_registry={text:?})")]
    Registry {
        /// What it gives.
        text: String,
        /// What is wrong with it.
        source: tierce::config::ValueError,
    },
    /// A folder cannot be read.
    #[error("cannot read {}", .path.display())]
    Read {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// What is named is not inside of the folder that is to be imported from.
    #[error("{} is not in the root folder {}", .file.display(), .root.display())]
    OutsideOfRoot {
        /// The file.
        file: PathBuf,
        /// The folder.
        root: PathBuf,
    },
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// The files that cannot be loaded, each with its traceback.
struct Failed<'a>(&'a [(PathBuf, LoadError)], usize);

impl fmt::Display for Failed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Failed(failed, of) = self;
        match failed {
            [(file, error)] if *of == 1 => {
                return write!(f, "cannot load {}: {error}", file.display());
            }
            _ => write!(f, "{} of {of} files cannot be loaded", failed.len())?,
        }
        for (file, error) in *failed {
            write!(f, "\n\n{}: {error}", file.display())?;
        }
        Ok(())
    }
}

/// What is wrong, and below it where: a traceback ends in what is wrong, which is said once.
impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.summary)?;
        let traceback = self.traceback.trim_end();
        let place = traceback.strip_suffix(&self.summary).unwrap_or(traceback).trim_end();
        match place.is_empty() || place == "Traceback (most recent call last):" {
            true => Ok(()),
            false => write!(f, "\n{place}"),
        }
    }
}

/// How to install into the environment of a Python.
fn install(python: &Path, package: &str) -> String {
    format!("uv pip install --python {} {package}", python.display())
}

fn list(names: &[String]) -> String {
    names.join(", ")
}

impl Diagnostic for PythonError {
    fn code(&self) -> &'static str {
        match self {
            PythonError::NoPython { .. } => "python/not-found",
            PythonError::Start { .. } => "python/not-started",
            PythonError::NoPackage { .. } => "python/no-package",
            PythonError::Protocol { .. }
            | PythonError::Garbage { .. }
            | PythonError::Document { .. } => "python/other-version",
            PythonError::Ended { .. } => "python/ended",
            PythonError::Load { .. } => "python/load-failed",
            PythonError::NoImage { .. } => "python/no-image",
            PythonError::NoSuchImage { .. } => "python/no-such-image",
            PythonError::Several { .. } => "python/several-images",
            PythonError::Problem(problem) => match &problem.code {
                // Codes of another process; the program ends with the error.
                Some(code) => Box::leak(code.clone().into_boxed_str()),
                None => "python/problem",
            },
            PythonError::PythonBuilder { .. } => "python/builder",
            PythonError::Registry { .. } => "python/image-registry",
            PythonError::Read { .. } => "python/unreadable",
            PythonError::OutsideOfRoot { .. } => "python/outside-root",
        }
    }

    fn kind(&self) -> ErrorKind {
        match self {
            PythonError::NoPython { .. }
            | PythonError::Start { .. }
            | PythonError::NoPackage { .. }
            | PythonError::Protocol { .. }
            | PythonError::Garbage { .. }
            | PythonError::Document { .. }
            | PythonError::Read { .. } => ErrorKind::Environment,
            PythonError::Problem(problem) => match problem.kind.as_deref() {
                Some("environment") => ErrorKind::Environment,
                Some("upstream") => ErrorKind::Upstream,
                Some("step") => ErrorKind::Step,
                Some("bug") => ErrorKind::Bug,
                _ => ErrorKind::User,
            },
            PythonError::Ended { .. }
            | PythonError::Load { .. }
            | PythonError::NoImage { .. }
            | PythonError::NoSuchImage { .. }
            | PythonError::Several { .. }
            | PythonError::PythonBuilder { .. }
            | PythonError::Registry { .. }
            | PythonError::OutsideOfRoot { .. } => ErrorKind::User,
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            PythonError::NoPython { .. } => {
                "Create an environment beside the file (uv venv && uv pip install tierce), or name \
                 a Python that has the package with --python."
                    .into()
            }
            PythonError::Start { .. } => {
                "`tierce config get python --origin` says why it is this one; --python names \
                 another."
                    .into()
            }
            PythonError::NoPackage { python, .. } => format!(
                "Install it there ({}), or name a Python that has it with --python.",
                install(python, "tierce")
            ),
            PythonError::Protocol { python, .. } => {
                format!("Have the same version in both places: {}.", pinned(python))
            }
            PythonError::Garbage { .. } | PythonError::Document { .. } => {
                "Have the same version of the tierce package and of the tierce program: \
                 `tierce --version` and `python -c 'import tierce; print(tierce.__version__)'`."
                    .into()
            }
            PythonError::Ended { .. } => {
                "Whatever the files run at import may end Python (os._exit, a crash): run them with \
                 `python FILE` to see."
                    .into()
            }
            PythonError::Load { failed, python, .. } => return load_hint(failed, python),
            PythonError::NoImage { without, .. } => no_image_hint(without),
            PythonError::NoSuchImage { name, names, near, without, .. } => {
                let near = near.as_ref().map(|near| format!("Did you mean {near}? "));
                let without = if *without {
                    "It has no image of its own: it runs in one that is there already. "
                } else {
                    ""
                };
                let near = near.unwrap_or_default();
                let without = match Path::new(name).exists() {
                    true => format!("{without}For what is there by that name, write ./{name}. "),
                    false => without.to_owned(),
                };
                match names.is_empty() {
                    true => format!("{without}{}", no_image_hint(&[])),
                    false => format!("{without}{near}There are: {}.", list(names)),
                }
            }
            PythonError::Several { names, .. } => {
                format!("Name one after the file: {}.", list(names))
            }
            PythonError::Problem(problem) => return problem.hint.clone(),
            PythonError::PythonBuilder { .. } => {
                "Leave it out, or choose one of `tierce builder list` with --builder.".into()
            }
            PythonError::Registry { .. } => {
                "A registry looks like ghcr.io/me: no scheme, no tag.".into()
            }
            PythonError::OutsideOfRoot { .. } => {
                "Name the folder that your imports start from with --root-dir.".into()
            }
            PythonError::Read { .. } => return None,
        })
    }
}

fn pinned(python: &Path) -> String {
    install(python, &format!("tierce=={}", env!("CARGO_PKG_VERSION")))
}

fn no_image_hint(without: &[String]) -> String {
    let hint = "Images are looked for in variables of the module (lists and dicts of them, too), in \
                Flyte's environments, and in flytekit's tasks.";
    match without {
        [] => hint.to_owned(),
        names => format!("These run in images that are there already: {}. {hint}", list(names)),
    }
}

fn load_hint(failed: &[(PathBuf, LoadError)], python: &Path) -> Option<String> {
    let missing = failed.iter().find_map(|(_, error)| error.missing_module.as_deref());
    if let Some(module) = missing {
        return Some(format!(
            "The files were loaded by {}, which has no module {module}: install it there, name \
             another Python with --python, or the folder that imports start from with --root-dir.",
            python.display()
        ));
    }
    if failed.iter().any(|(_, error)| error.fatal) {
        let text = "What a file runs at import may end Python (os._exit, a crash): `python FILE` \
                    shows it.";
        return Some(text.to_owned());
    }
    (failed.len() > 1).then(|| "--ignore-load-errors builds what the other files hold.".to_owned())
}

/// A failure with one of the images of Python files, which may hold several.
#[derive(Debug)]
pub struct InImage {
    label: String,
    error: Arc<dyn Diagnostic + Send + Sync>,
}

impl InImage {
    /// `failure`, which is about the image that `label` names.
    pub fn of(label: &str, failure: Failure) -> Failure {
        InImage { label: label.to_owned(), error: failure.0 }.into()
    }
}

impl fmt::Display for InImage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.label, self.error)
    }
}

impl std::error::Error for InImage {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.error.source()
    }
}

impl Diagnostic for InImage {
    fn code(&self) -> &'static str {
        self.error.code()
    }

    fn kind(&self) -> ErrorKind {
        self.error.kind()
    }

    fn hint(&self) -> Option<String> {
        self.error.hint()
    }
}
