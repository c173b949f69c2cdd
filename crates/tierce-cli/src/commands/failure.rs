//! Any failure of any command.

use clap::error::ErrorKind as Usage;
use std::error::Error;
use std::io::ErrorKind::NotFound;
use std::path::Path;
use std::sync::Arc;
use tierce::{Diagnostic, ErrorKind, ExportFormatError};

/// An error with a code, a kind and a hint, whatever its type.
pub struct Failure(pub Arc<dyn Diagnostic + Send + Sync>);

impl<E: Diagnostic + Send + Sync + 'static> From<E> for Failure {
    fn from(error: E) -> Self {
        Failure(Arc::new(error))
    }
}

/// What can go wrong in the program itself.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// The command line makes no sense.
    #[error("{0}")]
    Usage(String),
    /// There is no specification where one was looked for.
    #[error("there is no tierce.toml{} in {folder}", if *python == Pythons::None { " and no Python file" } else { "" })]
    NoSpec {
        /// The folder.
        folder: String,
        /// Where there are Python files, which are run only if they are named.
        python: Pythons,
    },
    /// A specification is named that is not there.
    #[error("there is no {} {path}", if *python { "file" } else { "file or folder" })]
    Missing {
        /// What is named.
        path: String,
        /// Whether it would be a Python file.
        python: bool,
    },
    /// A specification could not be read.
    #[error("cannot read {path}")]
    ReadSpec {
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// A `tierce.toml` wants the modules that a program has loaded, and there is no program.
    #[error("code: which modules are loaded is known only to the program that has loaded them")]
    NoModules,
    /// An ImageSpec names a file as a secret that is not its own.
    #[error("pip_secret_mounts: {path} is outside of the project")]
    SecretFile {
        /// The file.
        path: String,
    },
    /// `--env` without a value.
    #[error("--env {0:?} is not NAME=VALUE")]
    Env(String),
    /// `tierce config get` of what is no setting.
    #[error("there is no setting {key}")]
    NoSetting {
        /// What was asked for.
        key: String,
    },
    /// Standard output cannot be written to.
    #[error("cannot write the result")]
    Stdout(#[source] std::io::Error),
    /// A file cannot be written.
    #[error("cannot write {path}")]
    Write {
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// No threads can be started.
    #[error("cannot start threads")]
    Runtime(#[source] std::io::Error),
    /// The program cannot find itself.
    #[error("cannot find the running program")]
    Program(#[source] std::io::Error),
    /// The user stopped it.
    #[error("interrupted")]
    Interrupted,
}

/// Where the Python files of a folder are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pythons {
    /// In the folder itself, or where else they were looked for.
    Here,
    /// Only in the folders below.
    Below,
    /// Nowhere.
    None,
}

impl CliError {
    /// Why the specification `path` can't be read.
    pub fn unreadable(path: &Path, source: std::io::Error) -> Self {
        let python = path.extension() == Some("py".as_ref());
        let path = path.display().to_string();
        match source.kind() {
            NotFound => CliError::Missing { path, python },
            _ => CliError::ReadSpec { path, source },
        }
    }
}

impl Failure {
    /// Standard output cannot be written to.
    pub fn stdout(error: std::io::Error) -> Self {
        CliError::Stdout(error).into()
    }

    /// What is wrong with a command line; `None` where clap prints help instead.
    pub fn of_usage(error: &clap::Error) -> Option<Self> {
        if !error.use_stderr() || error.kind() == Usage::DisplayHelpOnMissingArgumentOrSubcommand {
            return None;
        }
        // Values say themselves what they should be.
        if let Some(output) = error.source().and_then(|e| e.downcast_ref::<ExportFormatError>()) {
            return Some(output.clone().into());
        }
        let text = error.render().to_string();
        let text = text.strip_prefix("error: ").unwrap_or(&text);
        let text = text.split("\n\nFor more information").next().unwrap_or(text);
        Some(CliError::Usage(text.trim_end().to_owned()).into())
    }
}

impl Diagnostic for CliError {
    fn code(&self) -> &'static str {
        match self {
            CliError::Usage(_) => "cli/usage",
            CliError::NoSpec { .. } => "cli/no-spec",
            CliError::ReadSpec { .. } => "cli/unreadable-spec",
            CliError::Missing { .. } => "cli/missing-spec",
            CliError::NoModules => "cli/no-modules",
            CliError::SecretFile { .. } => "imagespec/foreign-secret",
            CliError::Env(_) => "cli/invalid-env",
            CliError::NoSetting { .. } => "cli/no-setting",
            CliError::Stdout(_) => "cli/stdout",
            CliError::Write { .. } => "cli/not-written",
            CliError::Runtime(_) => "cli/runtime",
            CliError::Program(_) => "cli/program",
            CliError::Interrupted => "cli/interrupted",
        }
    }

    fn kind(&self) -> ErrorKind {
        match self {
            CliError::Usage(_)
            | CliError::NoSpec { .. }
            | CliError::ReadSpec { .. }
            | CliError::Missing { .. }
            | CliError::NoModules
            | CliError::SecretFile { .. }
            | CliError::Env(_)
            | CliError::NoSetting { .. } => ErrorKind::User,
            CliError::Stdout(_)
            | CliError::Write { .. }
            | CliError::Runtime(_)
            | CliError::Program(_) => ErrorKind::Environment,
            CliError::Interrupted => ErrorKind::Interrupted,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            CliError::Usage(_) => Some("`--help` after a command explains its options.".into()),
            CliError::Missing { python: true, .. } => {
                Some("Paths start from the current folder.".into())
            }
            CliError::Missing { .. } => Some(
                "Name a tierce.toml or the folder that holds it, or a Python file; names of images \
                 come after their file: `tierce build FILE.py NAME`."
                    .into(),
            ),
            CliError::NoSpec { folder, python } => Some(no_spec_hint(folder, *python)),
            CliError::NoModules => Some("Copy all of it: code = \"all\".".into()),
            CliError::SecretFile { path } => Some(format!(
                "If it is meant to see it, say so in your own config.toml: below [secrets.files], \
                 `NAME = \"{path}\"`, or the file's folder in `secrets.directories`."
            )),
            CliError::NoSetting { .. } => Some("`tierce config show` prints them all.".into()),
            CliError::Interrupted => Some("Nothing is half-done: run it again to go on.".into()),
            _ => None,
        }
    }
}

fn no_spec_hint(folder: &str, python: Pythons) -> String {
    let folder = folder.trim_end_matches('/');
    match python {
        Pythons::Here => format!(
            "There are Python files: `tierce build FILE.py` runs one and builds its images, \
             `tierce build {folder}/` does so with all of them."
        ),
        Pythons::Below => format!(
            "There are Python files in the folders below: `tierce build -r {folder}/` runs them \
             and builds their images."
        ),
        Pythons::None => "Name one (`tierce build path/to/tierce.toml`, `tierce build \
                          path/to/app.py`), or start with a tierce.toml:\n  base = { debian = \
                          \"bookworm\", python = true }\n  pip = [\"requests\"]"
            .to_owned(),
    }
}
