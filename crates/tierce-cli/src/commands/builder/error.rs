//! What can go wrong with `tierce builder`.

use std::path::PathBuf;
use tierce::plugin::ConfigErrors;
use tierce::{Diagnostic, ErrorKind};

/// What can go wrong with `tierce builder`, besides what its parts report.
#[derive(Debug, thiserror::Error)]
pub enum BuilderCommandError {
    /// `register` without a flavor.
    #[error("no --flavor was given")]
    NoFlavor,
    /// Something among the keys is no key.
    #[error("{0:?} is not a configuration key: keys are written --key value")]
    NoKey(String),
    /// A name that can't be one.
    #[error("{0:?} is not a builder name")]
    Name(String),
    /// A name that stands for something else already.
    #[error("{0:?} is the name of a flavor that is built in")]
    BuiltIn(String),
    /// A name that was registered before.
    #[error("{name:?} is registered in {} already", file.display())]
    Registered {
        /// The builder or flavor.
        name: String,
        /// Where.
        file: PathBuf,
    },
    /// Nothing of that name was registered.
    #[error("no builder called {name:?} was registered; there are: {}", list(registered))]
    NotRegistered {
        /// The builder.
        name: String,
        /// Those that were.
        registered: Vec<String>,
    },
    /// No flavor of that name was registered.
    #[error("no flavor called {0:?} was registered")]
    FlavorNotRegistered(String),
    /// Builders need the flavor.
    #[error("the flavor {name:?} is used by {}", builders.join(", "))]
    FlavorInUse {
        /// The flavor.
        name: String,
        /// Its builders.
        builders: Vec<String>,
    },
    /// A key that has no value to take back.
    #[error("the builder {name:?} does not set {key}")]
    NotSet {
        /// The builder.
        name: String,
        /// The key.
        key: String,
    },
    /// The configuration breaks the flavor's rules.
    #[error("the configuration of the builder {name:?} is invalid")]
    Config {
        /// The builder.
        name: String,
        /// Its flavor.
        flavor: String,
        /// Everything that is wrong.
        source: ConfigErrors,
    },
    /// A builder that a project would define.
    #[error("a project can't register builders: whoever builds it would run what it names")]
    ProjectBuilder,
    /// `--project` outside of a project.
    #[error("there is no tierce.toml here")]
    NoProject,
    /// There is no place for the suite's files.
    #[error("cannot make a scratch directory")]
    Scratch(#[source] std::io::Error),
    /// The suite skipped every case.
    #[error("nothing of the builder {name:?} was tested: every case was skipped")]
    NothingTested {
        /// The builder.
        name: String,
    },
    /// There is no place for the user's configuration.
    #[error("cannot tell where config.toml is: neither HOME nor XDG_CONFIG_HOME is set")]
    NoHome,
}

fn list(names: &[String]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

impl Diagnostic for BuilderCommandError {
    fn code(&self) -> &'static str {
        match self {
            BuilderCommandError::NoFlavor | BuilderCommandError::NoKey(_) => "cli/usage",
            BuilderCommandError::Name(_) => "builder/invalid-name",
            BuilderCommandError::BuiltIn(_) => "builder/built-in",
            BuilderCommandError::Registered { .. } => "builder/registered",
            BuilderCommandError::NotRegistered { .. }
            | BuilderCommandError::FlavorNotRegistered(_) => "builder/not-registered",
            BuilderCommandError::FlavorInUse { .. } => "builder/flavor-in-use",
            BuilderCommandError::NotSet { .. } | BuilderCommandError::Config { .. } => {
                "builder/invalid-config"
            }
            BuilderCommandError::ProjectBuilder => "config/user-only",
            BuilderCommandError::NoProject => "cli/no-spec",
            BuilderCommandError::Scratch(_) => "cli/scratch",
            BuilderCommandError::NothingTested { .. } => "builder/nothing-tested",
            BuilderCommandError::NoHome => "config/no-home",
        }
    }

    fn kind(&self) -> ErrorKind {
        match self {
            BuilderCommandError::NoHome | BuilderCommandError::Scratch(_) => ErrorKind::Environment,
            BuilderCommandError::NothingTested { .. } => ErrorKind::Step,
            _ => ErrorKind::User,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            BuilderCommandError::NoFlavor => {
                Some("`tierce builder flavor list` shows which there are.".into())
            }
            BuilderCommandError::NoKey(_) => Some(
                "As in: tierce builder register ci --flavor buildkit --address tcp://...".into(),
            ),
            BuilderCommandError::Name(_) => Some(
                "Use lower-case letters, digits, -, _ and ., starting with a letter or digit."
                    .into(),
            ),
            BuilderCommandError::BuiltIn(_) => Some("Choose another name.".into()),
            BuilderCommandError::Registered { name, .. } => {
                Some(format!("Change it with `tierce builder update {name}`, or delete it first."))
            }
            BuilderCommandError::NotRegistered { .. } => {
                Some("`tierce builder list` shows those that need not be registered, too.".into())
            }
            BuilderCommandError::FlavorNotRegistered(_) => Some(
                "Flavors that are built in, or found on PATH, can't be removed here; `tierce \
                 builder flavor list` shows where each comes from."
                    .into(),
            ),
            BuilderCommandError::FlavorInUse { .. } => Some("Delete those builders first.".into()),
            BuilderCommandError::NotSet { .. } => None,
            BuilderCommandError::Scratch(_) => Some("Name one with --scratch.".into()),
            BuilderCommandError::NothingTested { .. } => Some(
                "Give it an image with a shell (--base) and a registry to push to (--registry); \
                 each case says why it was skipped."
                    .into(),
            ),
            BuilderCommandError::Config { flavor, .. } => {
                Some(format!("`tierce builder flavor describe {flavor}` lists its keys."))
            }
            BuilderCommandError::ProjectBuilder => Some(
                "Register it without --project, and let the project name it with `tierce builder \
                 set-default NAME --project`."
                    .into(),
            ),
            BuilderCommandError::NoProject => {
                Some("Run it where the project's tierce.toml is, or without --project.".into())
            }
            BuilderCommandError::NoHome => Some("Set TIERCE_CONFIG to a file.".into()),
        }
    }
}
