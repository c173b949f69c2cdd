//! The protocol between tierce and an external builder, version 1: newline-delimited JSON.
//!
//! `docs/builder-protocol.md` is its specification; these are its messages as types. Fields that
//! a reader does not know are ignored, on both sides.

mod answer;
mod event;
mod request;

pub(crate) use answer::{Garbage, Message};

pub use answer::{
    BuildAnswer, BuiltPlatform, CheckAnswer, Described, DescribedCapabilities, Need, Presence,
    ReportedError, ReportedKind,
};
pub use event::{Event, StepNumber};
pub use request::{BaseImage, BuildCall, Call, CheckCall, Context, Login, Output, SecretValue};

/// The version of the protocol that this crate speaks.
pub const VERSION: u32 = 1;
