//! What this program and `tierce._load` tell each other: a request, a JSON document, and answers, one
//! before each file and one at the end, each with what was found since the one before it.
//!
//! All are lines on the socket that is the loader's standard input: standard output and standard
//! error are those of the files that are loaded, and there may be credentials in what is said,
//! which must be in no file.

use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

/// The version of what is said. Anything new that may be ignored does not change it.
pub const PROTOCOL: u32 = 1;

/// What to load.
#[derive(Debug, Serialize)]
pub struct Request<'a> {
    pub protocol: u32,
    /// This process: without it the loader ends.
    pub parent: u32,
    /// The files, absolute.
    pub files: &'a [PathBuf],
    /// The folder that they import from; `None` for the one around their package.
    pub root: Option<&'a Path>,
    /// The images that are wanted; empty for all.
    pub names: &'a [String],
    /// Whether environments in modules that the files import count, too.
    pub all: bool,
    /// Whether sources are left out of images that get them from a task.
    pub fast: bool,
    /// The copy style, in Flyte's words, where somebody said one.
    pub copy_style: Option<&'static str>,
    /// The builder that the command line names.
    pub builder: Option<&'a str>,
    /// The builder of images for which nobody names one.
    pub configured_builder: Option<&'a str>,
    /// What to build at once; `None` to build nothing.
    pub build: Option<&'a BuildRequest>,
    /// Whether to answer before each file, too: a package that does not know this answers once.
    pub stepwise: bool,
}

/// A build by the loader: the builder is there only in Python.
#[derive(Clone, Debug, Serialize)]
pub struct BuildRequest {
    /// Which images: their files, and their places among those.
    pub images: Vec<(PathBuf, usize)>,
    /// The registry that the command line names.
    pub registry: Option<String>,
    pub platforms: Vec<String>,
    /// Whether to push images that would not be.
    pub push: bool,
    /// Whether not to push images that would be.
    pub no_push: bool,
    pub force: bool,
    pub dry_run: bool,
    /// How progress is shown on standard error.
    pub progress: &'static str,
}

/// What was found.
#[derive(Debug, Deserialize)]
pub struct Reply {
    pub protocol: u32,
    pub python: Interpreter,
    /// Why there is no `tierce` package; nothing else is said then.
    #[serde(default)]
    pub missing: Option<String>,
    #[serde(default)]
    pub files: Vec<File>,
    /// The file that is loaded next; `None` in the last answer.
    #[serde(default)]
    pub loading: Option<PathBuf>,
}

/// The Python that loaded.
#[derive(Debug, Deserialize)]
pub struct Interpreter {
    /// As it knows itself.
    pub executable: PathBuf,
    pub version: String,
    /// The version of the `tierce` package.
    #[serde(default)]
    pub tierce: Option<String>,
}

/// What is in one file.
#[derive(Debug, Deserialize)]
pub struct File {
    pub path: PathBuf,
    /// Why it could not be loaded.
    #[serde(default)]
    pub error: Option<LoadError>,
    /// What it said to `tierce.init`.
    #[serde(default)]
    pub init: Init,
    /// The files of the modules that it has loaded.
    #[serde(default)]
    pub loaded: Vec<PathBuf>,
    #[serde(default)]
    pub images: Vec<Found>,
    /// Environments and tasks that have no image of their own.
    #[serde(default)]
    pub without_image: Vec<String>,
}

/// Why a file could not be loaded.
#[derive(Clone, Debug, Deserialize)]
pub struct LoadError {
    /// The exception in one line.
    pub summary: String,
    /// All of it, as Python would print it.
    pub traceback: String,
    /// The module that is not there, if that is why.
    #[serde(default)]
    pub missing_module: Option<String>,
    /// Whether it ended the whole Python.
    #[serde(skip)]
    pub fatal: bool,
}

impl File {
    /// A file that ended the Python that loaded it, like that.
    pub fn fatal(path: PathBuf, status: ExitStatus) -> Self {
        let summary = format!("it ends Python ({status})");
        let (traceback, missing_module) = (String::new(), None);
        let error = LoadError { summary, traceback, missing_module, fatal: true };
        File {
            path,
            error: Some(error),
            init: Init::default(),
            loaded: vec![],
            images: vec![],
            without_image: vec![],
        }
    }
}

/// What a file said to `tierce.init`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Init {
    #[serde(default)]
    pub builder: Option<String>,
    #[serde(default)]
    pub registry: Option<String>,
    #[serde(default)]
    pub root_dir: Option<PathBuf>,
}

/// An image in a file.
#[derive(Debug, Deserialize)]
pub struct Found {
    pub kind: Kind,
    /// What it can be called, the best name first.
    pub names: Vec<Name>,
    /// Whether it is built only if it is named.
    #[serde(default)]
    pub private: bool,
    /// Whether the code that runs in it is decided about already.
    #[serde(default)]
    pub decided: bool,
    /// The image; `None` for one that is not wanted.
    #[serde(default)]
    pub document: Option<serde_json::Value>,
    /// Why there is no document of one that is wanted.
    #[serde(default)]
    pub problem: Option<Problem>,
    /// Its builder, where that is there only in Python.
    #[serde(default)]
    pub python_builder: Option<String>,
    /// What came of building it.
    #[serde(default)]
    pub build: Option<Built>,
}

/// What came of a build by the loader.
#[derive(Clone, Debug, Deserialize)]
pub struct Built {
    #[serde(default)]
    pub uri: Option<String>,
    /// As `tierce.ImageBuild` has it.
    #[serde(default)]
    pub status: Option<String>,
    #[serde(default)]
    pub digest: Option<String>,
    /// Why it failed.
    #[serde(default)]
    pub problem: Option<Problem>,
}

/// In whose words an image is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Flyte's.
    Image,
    /// flytekit's.
    ImageSpec,
}

/// What an image can be called.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Name {
    pub of: Named,
    pub name: String,
}

/// What has the name; what stands further up is meant before what stands below.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Named {
    Variable,
    Environment,
    Task,
    Image,
}

/// An exception that is not the file's own.
#[derive(Clone, Debug, Deserialize)]
pub struct Problem {
    pub message: String,
    #[serde(default)]
    pub code: Option<String>,
    #[serde(default)]
    pub hint: Option<String>,
    /// `user`, `environment`, `upstream`, `step` or `bug`.
    #[serde(default)]
    pub kind: Option<String>,
}
