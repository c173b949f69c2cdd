//! Whether an image is there already.

use async_trait::async_trait;
use std::sync::Arc;
use tierce_oci::{Descriptor, Diagnostic, Platform, Reference};

/// A failure that is somebody else's type, seen through [`Diagnostic`].
pub type AnyDiagnostic = Arc<dyn Diagnostic + Send + Sync>;

/// What a checker found.
#[derive(Clone, Debug)]
pub enum Presence {
    /// The image is there, for every platform asked for.
    Present(Descriptor),
    /// It is not, or not for every platform.
    Absent,
    /// The checker could not tell.
    Unknown(AnyDiagnostic),
}

/// What to do when no checker can tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UnknownPolicy {
    /// Take the image for present, with a warning that says so.
    AssumePresent,
    /// Build it.
    #[default]
    Build,
    /// Give up.
    Fail,
}

/// Asks one place whether an image is there.
#[async_trait]
pub trait ImageChecker: Send + Sync {
    /// The checker's name, for messages.
    fn name(&self) -> &str;

    /// Whether `reference` is there for all of `platforms`.
    async fn check(&self, reference: &Reference, platforms: &[Platform]) -> Presence;
}

/// Asks `checkers` in turn; the first that can tell decides. Each failure is kept for the
/// message that the policy then needs.
pub async fn first_answer(
    checkers: &[Arc<dyn ImageChecker>],
    reference: &Reference,
    platforms: &[Platform],
) -> Result<Presence, Vec<(String, AnyDiagnostic)>> {
    let mut failures = vec![];
    for checker in checkers {
        match checker.check(reference, platforms).await {
            Presence::Unknown(error) => failures.push((checker.name().to_owned(), error)),
            answer => return Ok(answer),
        }
    }
    Err(failures)
}
