//! Whether an image is there already.

use async_trait::async_trait;
use std::fmt;
use std::sync::Arc;
use tierce_oci::{Descriptor, Diagnostic, Platform, Reference};
use tierce_spec::ImageKey;

/// A failure that is somebody else's type, seen through [`Diagnostic`].
pub type AnyDiagnostic = Arc<dyn Diagnostic + Send + Sync>;

/// What a checker found.
#[derive(Clone, Debug)]
pub enum Presence {
    /// The image is there, for every platform asked for.
    Present(Descriptor),
    /// The same, from somebody who gives a name for it and no digest.
    Vouched(String),
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
    /// Build it. The default: where it turns out to be there, a build costs time, and nothing
    /// else is wrong; an image that is taken for present and is not there fails whoever pulls it.
    #[default]
    Build,
    /// Give up.
    Fail,
}

/// What a tag says about the image behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TagKind {
    /// It is made of the image's own key. The platforms are part of the key, so such a tag says
    /// that its image has them all.
    OfKey,
    /// Somebody chose it, whatever it looks like: anything may be behind it.
    Chosen,
}

impl TagKind {
    /// What `tag` is to the image with this key.
    pub fn of(tag: &str, key: &ImageKey) -> Self {
        if tag == key.tag() { TagKind::OfKey } else { TagKind::Chosen }
    }
}

/// What a checker is asked.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// The image, by its name.
    pub reference: &'a Reference,
    /// The platforms that it must be there for.
    pub platforms: &'a [Platform],
    /// What its tag says.
    pub tag: TagKind,
}

/// Asks one place whether an image is there.
#[async_trait]
pub trait ImageChecker: Send + Sync {
    /// The checker's name, for messages.
    fn name(&self) -> &str;

    /// Whether the image is there for all platforms.
    async fn check(&self, question: Question<'_>) -> Presence;
}

/// Asks `checkers` in turn; the first that can tell decides. Each failure is kept for the
/// message that the policy then needs.
pub async fn first_answer(
    checkers: &[Arc<dyn ImageChecker>],
    question: Question<'_>,
) -> Result<Presence, CheckFailures> {
    let mut failures = CheckFailures::default();
    for checker in checkers {
        match checker.check(question).await {
            Presence::Unknown(error) => failures.0.push((checker.name().to_owned(), error)),
            answer => return Ok(answer),
        }
    }
    Err(failures)
}

/// Remembers where images were seen, between processes.
///
/// Only what a checker found present is remembered, and only for a while, which is the
/// implementation's to say.
pub trait CheckRecords: Send + Sync {
    /// The image, where it was seen not long ago for all of `platforms`.
    fn get(&self, reference: &Reference, platforms: &[Platform]) -> Option<Descriptor>;

    /// Remembers that the image was seen for `platforms`.
    fn put(&self, reference: &Reference, platforms: &[Platform], root: &Descriptor);

    /// Forgets the image: it was pushed anew, or is not there after all.
    fn forget(&self, reference: &Reference);
}

/// Whether an image is where it should be.
#[derive(Clone, Debug)]
pub enum Existence {
    /// It is, for every platform asked for.
    Present(Descriptor),
    /// It is, under this name, says somebody who knows no digest.
    Vouched(String),
    /// It is not.
    Absent,
    /// No checker could tell, and the policy is to build it.
    Unknown(CheckFailures),
    /// No checker could tell, and the policy is to take it for present.
    Assumed(CheckFailures),
    /// Nobody was asked.
    NotChecked(NotChecked),
}

/// Why nobody was asked whether an image exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotChecked {
    /// It is an image of a registry to which nothing is added.
    Unmodified,
    /// Its tag is `latest`, which is always built.
    Latest,
    /// It is to be built whether it is there or not.
    Forced,
    /// It is written to a file or into an engine, whose content can't be told from a name.
    Written,
    /// Its builder knows no place to ask.
    NoCheckers,
    /// This is the inside of an execution, where nothing is built.
    Inside,
}

/// Why each checker could not tell, by its name.
#[derive(Clone, Debug, Default)]
pub struct CheckFailures(pub Vec<(String, AnyDiagnostic)>);

impl fmt::Display for CheckFailures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (checker, error)) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { "; " };
            write!(f, "{comma}{checker} cannot tell: {error}")?;
            let mut cause = error.source();
            while let Some(error) = cause {
                write!(f, ": {error}")?;
                cause = error.source();
            }
        }
        Ok(())
    }
}
