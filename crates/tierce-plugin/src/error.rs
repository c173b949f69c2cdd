//! What can go wrong with an external builder.

use crate::process::Phase;
use crate::protocol::{Garbage, ReportedError, VERSION};
use std::collections::VecDeque;
use std::fmt;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;
use tierce_engine::AnyDiagnostic;
use tierce_oci::{Diagnostic, ErrorKind, Platform};

/// The last lines that a builder wrote to its standard error, without secrets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tail {
    lines: VecDeque<String>,
}

impl Tail {
    const LINES: usize = 20;

    pub(crate) fn push(&mut self, line: String) {
        if self.lines.len() == Self::LINES {
            self.lines.pop_front();
        }
        self.lines.push_back(line);
    }

    /// The lines.
    pub fn lines(&self) -> impl Iterator<Item = &str> {
        self.lines.iter().map(String::as_str)
    }
}

/// After a message, in errors: nothing where nothing was written.
impl fmt::Display for Tail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.lines.is_empty() {
            return Ok(());
        }
        f.write_str("; its last output:")?;
        self.lines.iter().try_for_each(|line| write!(f, "\n    {line}"))
    }
}

/// Why an external builder gave no usable answer.
#[derive(Clone, Debug, thiserror::Error)]
pub enum PluginError {
    /// Its program does not start.
    #[error("cannot start {}, the program of the builder {builder:?}", program.display())]
    Start {
        /// The builder.
        builder: String,
        /// The program.
        program: PathBuf,
        /// The system's reason.
        source: Arc<std::io::Error>,
    },
    /// It ended without an answer.
    #[error("the builder {builder:?} ended without an answer to {phase} ({status}){tail}")]
    Died {
        /// The builder.
        builder: String,
        /// What it was asked.
        phase: Phase,
        /// How it ended.
        status: ExitStatus,
        /// What it said last.
        tail: Tail,
    },
    /// It answered, and then failed.
    #[error("the builder {builder:?} said that {phase} went well, but failed ({status}){tail}")]
    Contradiction {
        /// The builder.
        builder: String,
        /// What it was asked.
        phase: Phase,
        /// How it ended.
        status: ExitStatus,
        /// What it said last.
        tail: Tail,
    },
    /// It closed its standard output and goes on, or says nothing.
    #[error("the builder {builder:?} said nothing for {} s during {phase}{tail}", limit.as_secs())]
    Silent {
        /// The builder.
        builder: String,
        /// What it was asked.
        phase: Phase,
        /// How long it was waited for.
        limit: Duration,
        /// What it said last.
        tail: Tail,
    },
    /// It took longer than it may.
    #[error("the builder {builder:?} took longer than {} s for {phase}{tail}", limit.as_secs())]
    Slow {
        /// The builder.
        builder: String,
        /// What it was asked.
        phase: Phase,
        /// How long it was waited for.
        limit: Duration,
        /// What it said last.
        tail: Tail,
    },
    /// A line of its standard output is no message.
    #[error("the builder {builder:?} wrote {line:?} to its standard output{tail}")]
    Garbage {
        /// The builder.
        builder: String,
        /// The line, cut short.
        line: String,
        /// What is wrong with it.
        source: Arc<Garbage>,
        /// What it said last.
        tail: Tail,
    },
    /// A line, or all of them, are longer than any honest builder's.
    #[error("the builder {builder:?} wrote more than {limit} bytes {what}{tail}")]
    Flood {
        /// The builder.
        builder: String,
        /// `in one line`, `in all`.
        what: &'static str,
        /// The limit.
        limit: u64,
        /// What it said last.
        tail: Tail,
    },
    /// Its answer is not what was asked for.
    #[error("the builder {builder:?} gave no valid answer to {phase}")]
    Answer {
        /// The builder.
        builder: String,
        /// What it was asked.
        phase: Phase,
        /// What is wrong with it.
        source: AnswerError,
    },
    /// It speaks other versions of the protocol only.
    #[error(
        "the builder {builder:?} speaks version {} of the protocol, and not version {VERSION}",
        versions(spoken)
    )]
    Protocol {
        /// The builder.
        builder: String,
        /// What it speaks.
        spoken: Vec<u32>,
    },
    /// It wants a dialect of Dockerfiles that does not exist.
    #[error("the builder {builder:?} wants Dockerfiles in the dialect {dialect:?}")]
    Dialect {
        /// The builder.
        builder: String,
        /// The dialect.
        dialect: String,
    },
    /// The image that is the base has a name that is no reference.
    #[error("the base {uri:?} is not an image reference")]
    Base {
        /// The base's name.
        uri: String,
    },
    /// The Dockerfile has secrets, and the builder takes none.
    #[error("the builder {builder:?} takes no secrets, and the build needs {id}")]
    Secrets {
        /// The builder.
        builder: String,
        /// The secret's id.
        id: String,
    },
    /// A source is another one than it was when the image got its key.
    #[error(transparent)]
    Changed(AnyDiagnostic),
    /// The image is for a platform that it does not build for.
    #[error("the builder {builder:?} does not build for {platform}, but for {able}")]
    Platform {
        /// The builder.
        builder: String,
        /// The image's platform.
        platform: Platform,
        /// Those that it builds for.
        able: String,
    },
    /// The schema of its configuration cannot be used.
    #[error("the builder {builder:?} has an invalid configuration schema")]
    Schema {
        /// The builder.
        builder: String,
        /// What is wrong with it.
        source: crate::SchemaError,
    },
    /// It said itself what failed.
    #[error("{}{tail}", said(builder, reported))]
    Reported {
        /// The builder.
        builder: String,
        /// What it said.
        reported: Box<ReportedError>,
        /// What it said before.
        tail: Tail,
    },
    /// The directory with the build context cannot be written.
    #[error("cannot write the build context for the builder {builder:?}")]
    Context {
        /// The builder.
        builder: String,
        /// Why.
        source: AnyDiagnostic,
    },
    /// No scratch directory could be made.
    #[error("cannot make a directory for the build context")]
    Scratch(#[source] Arc<std::io::Error>),
}

/// Why an answer is not valid.
#[derive(Clone, Debug, thiserror::Error)]
pub enum AnswerError {
    /// A field is missing or has the wrong type.
    #[error("a field of it is missing or wrong")]
    Shape(#[source] Arc<serde_json::Error>),
    /// It is about another image.
    #[error("it is about another image: its {field} is {found:?} and not {expected:?}")]
    OtherImage {
        /// `uri` or `key`.
        field: &'static str,
        /// What it is.
        found: String,
        /// What was asked for.
        expected: String,
    },
    /// The platforms are not those of the request.
    #[error("it is for {found}, and the image was to be built for {expected}")]
    Platforms {
        /// What it is for.
        found: String,
        /// What was asked for.
        expected: String,
    },
    /// Something was pushed, but nothing says what.
    #[error("it has no digest, and the image was to be pushed")]
    NoDigest,
    /// `present` without a digest.
    #[error("it says that the image is present, but not its digest")]
    PresentWithoutDigest,
    /// A file that was asked for was not written.
    #[error("{} was not written", .0.display())]
    NoOutput(PathBuf),
}

fn versions(spoken: &[u32]) -> String {
    match spoken {
        [] => "no".to_owned(),
        some => some.iter().map(u32::to_string).collect::<Vec<_>>().join(", "),
    }
}

fn said(builder: &str, reported: &ReportedError) -> String {
    let message = reported.message.trim_end();
    match &reported.code {
        Some(code) => format!("the builder {builder:?} failed: {message} [{code}]"),
        None => format!("the builder {builder:?} failed: {message}"),
    }
}

impl Diagnostic for PluginError {
    fn code(&self) -> &'static str {
        match self {
            PluginError::Start { .. } => "builder/cannot-start",
            PluginError::Died { .. } => "builder/died",
            PluginError::Contradiction { .. } => "builder/failed-after-answer",
            PluginError::Silent { .. } | PluginError::Slow { .. } => "builder/timed-out",
            PluginError::Garbage { .. } => "builder/garbage",
            PluginError::Flood { .. } => "builder/flood",
            PluginError::Answer { source, .. } => match source {
                AnswerError::OtherImage { .. } | AnswerError::Platforms { .. } => {
                    "builder/other-image"
                }
                AnswerError::NoOutput(_) => "builder/no-output",
                _ => "builder/invalid-answer",
            },
            PluginError::Protocol { .. } => "builder/protocol-version",
            PluginError::Dialect { .. } => "builder/unknown-dialect",
            PluginError::Base { .. } => "builder/invalid-base",
            PluginError::Secrets { .. } => "builder/no-secrets",
            PluginError::Changed(error) => error.code(),
            PluginError::Platform { .. } => "builder/unsupported-platform",
            PluginError::Schema { .. } => "builder/invalid-schema",
            PluginError::Reported { .. } => "builder/failed",
            PluginError::Context { source, .. } => source.code(),
            PluginError::Scratch(_) => "builder/scratch",
        }
    }

    fn kind(&self) -> ErrorKind {
        match self {
            PluginError::Reported { reported, .. } => reported.kind.into(),
            PluginError::Context { source, .. } => source.kind(),
            PluginError::Changed(error) => error.kind(),
            PluginError::Platform { .. } | PluginError::Secrets { .. } => ErrorKind::User,
            // A plug-in is a part of the machine as tierce finds it.
            _ => ErrorKind::Environment,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            PluginError::Reported { reported, .. } => reported.hint.clone(),
            PluginError::Context { source, .. } => source.hint(),
            PluginError::Start { .. } => {
                Some("The program must exist and be executable; scripts need a `#!` line.".into())
            }
            PluginError::Silent { .. } | PluginError::Slow { .. } => Some(
                "Raise the builder's `limits` in the configuration file if it needs longer.".into(),
            ),
            PluginError::Protocol { spoken, .. } => {
                Some(match spoken.iter().all(|version| *version > VERSION) {
                    true => "Update tierce, or use an older version of the builder.".into(),
                    false => "Update the builder.".into(),
                })
            }
            PluginError::Changed(error) => error.hint(),
            PluginError::Dialect { .. } => {
                Some("There are buildkit, docker-20, podman and classic.".into())
            }
            PluginError::Secrets { .. } => Some("Build with another builder.".into()),
            PluginError::Scratch(_) | PluginError::Platform { .. } | PluginError::Base { .. } => {
                None
            }
            _ => Some(
                "This is a fault of the builder's program: `tierce builder test` shows what it \
                 does wrong."
                    .into(),
            ),
        }
    }
}
