//! What a builder says while it builds.

use serde::Deserialize;
use tierce_engine::{Outcome, OutputStream, StepKind};

/// A step of the builder's own numbering.
pub type StepNumber = u64;

/// Something that happened, in the words of [`tierce_engine::BuildEvent`]. The numbers of steps
/// are the builder's own.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// A step begins.
    StepStarted {
        /// Its number.
        step: StepNumber,
        /// What it does.
        #[serde(default = "executes", deserialize_with = "kind")]
        kind: StepKind,
        /// What it is called, for people.
        title: String,
    },
    /// A step got on.
    StepProgress {
        /// Its number.
        step: StepNumber,
        /// How far, in bytes or items.
        done: u64,
        /// Of how much, where that is known.
        #[serde(default)]
        total: Option<u64>,
    },
    /// A step's program wrote a line.
    StepOutput {
        /// Its number.
        step: StepNumber,
        /// To which output.
        #[serde(default = "stdout", deserialize_with = "stream")]
        stream: OutputStream,
        /// The line, without its end.
        line: String,
    },
    /// A step ended well.
    StepFinished {
        /// Its number.
        step: StepNumber,
        /// Whether there was anything to do.
        #[serde(default = "made", deserialize_with = "outcome")]
        outcome: Outcome,
        /// A remark.
        #[serde(default)]
        detail: Option<String>,
    },
    /// A step failed; an error follows.
    StepFailed {
        /// Its number.
        step: StepNumber,
    },
    /// Something the user should know that is no error.
    Warning {
        /// A stable code.
        #[serde(default)]
        code: Option<String>,
        /// What it is.
        message: String,
    },
    /// An event of a later version of the protocol.
    #[serde(other)]
    Unknown,
}

fn executes() -> StepKind {
    StepKind::Execute
}

fn stdout() -> OutputStream {
    OutputStream::Stdout
}

fn made() -> Outcome {
    Outcome::Made
}

// Words of a later version mean the usual thing.

fn kind<'de, D: serde::Deserializer<'de>>(d: D) -> Result<StepKind, D::Error> {
    Ok(match String::deserialize(d)?.as_str() {
        "check" => StepKind::Check,
        "resolve" => StepKind::Resolve,
        "fetch" => StepKind::Fetch,
        "assemble" => StepKind::Assemble,
        "unpack" => StepKind::Unpack,
        "export" => StepKind::Export,
        _ => StepKind::Execute,
    })
}

fn stream<'de, D: serde::Deserializer<'de>>(d: D) -> Result<OutputStream, D::Error> {
    Ok(match String::deserialize(d)?.as_str() {
        "stderr" => OutputStream::Stderr,
        _ => OutputStream::Stdout,
    })
}

fn outcome<'de, D: serde::Deserializer<'de>>(d: D) -> Result<Outcome, D::Error> {
    Ok(match String::deserialize(d)?.as_str() {
        "cached" => Outcome::Cached,
        _ => Outcome::Made,
    })
}
