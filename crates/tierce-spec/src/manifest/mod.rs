//! `tierce.toml`: an image as a file.
//!
//! The short form has one key for each kind of step, in any order in the file; the steps apply in
//! a fixed one, from what changes seldom to what changes often:
//!
//! `base`, `apt`, `pip`, `requirements`, `env`, `workdir`, `copy`, `run`, `user`, and then
//! `entrypoint`, `cmd` and `labels`.
//!
//! So `env` and `workdir` hold for `run`, a relative `dst` of `copy` is below `workdir`, and
//! `run` works as the base's user (root, almost always) while containers work as `user`.
//!
//! The long form has `[[steps]]` instead, each a table with exactly one of these keys, which
//! apply in the order of the file. The two are not mixed.
//!
//! Paths of the host (`src`, `requirements`) are kept as written; they are meant to be relative to
//! the folder of the file.

mod document;
mod error;
mod forms;
mod locate;
mod lower;
mod schema;

use crate::{Image, Problem};
use document::Document;
use locate::{Segment, Source};
use std::fmt;
use std::path::Path;

pub use error::{ManifestError, ManifestProblem};
pub use schema::schema;

/// What a source on the host is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SourceKind {
    /// Its contents are copied.
    Folder,
    /// It is copied itself.
    File,
}

/// A `tierce.toml` that was read: well-formed, but not validated.
#[derive(Clone)]
pub struct Manifest {
    source: Source,
    document: Document,
}

impl fmt::Debug for Manifest {
    // The text may hold URLs with credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Manifest").field(&self.source.file_name).finish()
    }
}

impl Manifest {
    /// Reads `text`; `file_name` is what messages call it.
    ///
    /// ```
    /// use tierce_spec::manifest::Manifest;
    ///
    /// let text = "name = \"app\"\nbase = \"python:3.12-slim\"\napts = [\"git\"]\n";
    /// let error = Manifest::parse(text, "tierce.toml").unwrap_err();
    /// assert!(error.to_string().starts_with("tierce.toml:3:1: unknown key `apts`, did you mean `apt`?"));
    /// ```
    pub fn parse(text: &str, file_name: &str) -> Result<Self, ManifestError> {
        let source = Source::new(file_name, text);
        let document = match toml::from_str::<Document>(text) {
            Ok(document) => document,
            Err(error) => return Err(ManifestError::of_toml(&source, &error)),
        };
        let problems = lower::check_forms(&source, &document);
        match problems.is_empty() {
            true => Ok(Manifest { source, document }),
            false => Err(ManifestError { problems }),
        }
    }

    /// The image, where every `src` of `copy` is a folder.
    pub fn image(&self) -> Image {
        self.image_with(|_| SourceKind::Folder)
    }

    /// The image, where `kind` says what each `src` of `copy` is.
    pub fn image_with(&self, kind: impl Fn(&Path) -> SourceKind) -> Image {
        let mut image = lower::image(&self.document);
        image.steps = lower::steps(&self.document, &kind).into_iter().map(|s| s.step).collect();
        image
    }

    /// Validates `image`, made by [`Manifest::image`] or [`Manifest::image_with`], and shows each
    /// problem where it is in the file.
    pub fn validate(&self, image: &Image) -> Result<(), ManifestError> {
        let Err(errors) = image.validate() else { return Ok(()) };
        let origins: Vec<_> = lower::steps(&self.document, &|_| SourceKind::Folder)
            .into_iter()
            .map(|s| (s.origin, s.offset))
            .collect();
        let mut problems: Vec<_> =
            errors.problems().iter().map(|p| self.locate(&origins, p)).collect();
        // In the order of the file; what is nowhere in it comes last.
        problems.sort_by_key(|p| p.offset.unwrap_or(usize::MAX));
        Err(ManifestError { problems })
    }

    fn locate(&self, origins: &[(Vec<Segment>, usize)], problem: &Problem) -> ManifestProblem {
        let Problem { code, field, message, hint } = problem;
        let (mut path, offset) = match field.step {
            Some(step) => origins.get(step).cloned().unwrap_or_default(),
            None => (vec![Segment::from(field.name)], 0),
        };
        // A step's items are those of the file's list from an offset on.
        let trail = field.trail.iter().enumerate().map(|(depth, item)| match item {
            crate::Item::Index(index) if depth == 0 => Segment::Index(index + offset),
            item => Segment::from(item),
        });
        path.extend(trail);
        let (path, span) = self.source.locate(&path);
        // Steps that were added to the image since are nowhere in the file.
        let path = if path.is_empty() { field.to_string() } else { path };
        let message = format!("{path}: {message}");
        ManifestProblem::new(&self.source, code, span, message, hint.clone())
    }
}
