//! `tierce.toml`: an image as a file.
//!
//! The short form has one key for each kind of step, in any order in the file; the steps apply in
//! a fixed one, from what changes seldom to what changes often:
//!
//! `base`, `apt`, `conda`, `project`, `pip`, `requirements`, `wheels`, `env`, `workdir`, `copy`,
//! `run`, `user`, `code`, and then `entrypoint`, `cmd` and `labels`.
//!
//! So `env` and `workdir` hold for `run`, a relative `dst` of `copy` is below `workdir`, and
//! `run` works as the base's user (root, almost always) while containers work as `user`.
//!
//! The long form has `[[steps]]` instead, each a table with exactly one of these keys, which
//! apply in the order of the file. The two are not mixed.
//!
//! Paths of the host (`src`, `requirements`, those of `project` and `conda`) are kept as written; they are meant to be relative to
//! the folder of the file. Those of an image below (`base = { spec = "../base/tierce.toml" }`) are
//! relative to its own ([`Image::root`]).

mod base_value;
mod document;
mod error;
mod files;
mod forms;
mod locate;
mod lower;
mod packages;
mod schema;

use crate::{FieldPath, Image, Item, Problem};
use document::Document;
use files::{Below, NoFiles, Reading};
use locate::{Segment, Source};
use std::fmt;
use std::path::Path;

pub use error::{ManifestError, ManifestProblem};
pub use files::ManifestFiles;
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
    /// What was read for `base = { spec = ... }`; `Some` exactly where the document says so.
    below: Option<Box<Below>>,
}

impl fmt::Debug for Manifest {
    // The text may hold URLs with credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Manifest").field(&self.source.file_name).finish()
    }
}

impl Manifest {
    /// Reads `text`; `file_name` is what messages call it. No other file is read, so an image that
    /// starts from another one's manifest is an error: [`Manifest::parse_with`] reads those.
    ///
    /// ```
    /// use tierce_spec::manifest::Manifest;
    ///
    /// let text = "name = \"app\"\nbase = \"python:3.12-slim\"\napts = [\"git\"]\n";
    /// let error = Manifest::parse(text, "tierce.toml").unwrap_err();
    /// assert!(error.to_string().starts_with("tierce.toml:3:1: unknown key `apts`, did you mean `apt`?"));
    /// ```
    pub fn parse(text: &str, file_name: &str) -> Result<Self, ManifestError> {
        Manifest::parse_with(text, Path::new(file_name), &NoFiles)
    }

    /// Reads `text`, which `file` holds, and through `files` the manifests of the images below it,
    /// whose paths are relative to the folder of the one that names them.
    pub fn parse_with(
        text: &str,
        file: &Path,
        files: &dyn ManifestFiles,
    ) -> Result<Self, ManifestError> {
        Reading::new(files).manifest(text, file)
    }

    /// The image, where every `src` of `copy` is a folder.
    pub fn image(&self) -> Image {
        self.image_with(|_| SourceKind::Folder)
    }

    /// The image, where `kind` says what each `src` of `copy` is. It is asked with paths relative
    /// to the folder of this manifest, also about sources of the images below.
    pub fn image_with(&self, kind: impl Fn(&Path) -> SourceKind) -> Image {
        self.lowered(&kind)
    }

    fn lowered(&self, kind: &dyn Fn(&Path) -> SourceKind) -> Image {
        let mut image = lower::image(self, kind);
        image.steps = lower::steps(&self.document, kind).into_iter().map(|s| s.step).collect();
        image
    }

    /// Validates `image`, made by [`Manifest::image`] or [`Manifest::image_with`], and shows each
    /// problem where it is in the file, or in the file of the image below that has it.
    pub fn validate(&self, image: &Image) -> Result<(), ManifestError> {
        let Err(errors) = image.validate() else { return Ok(()) };
        let mut problems: Vec<_> = errors
            .problems()
            .iter()
            .map(|problem| (problem.field.below, self.locate(problem, problem.field.below)))
            .collect();
        // In the order of the file; what is nowhere in it comes last.
        problems.sort_by_key(|(below, p)| (*below, p.offset.unwrap_or(usize::MAX)));
        let mut problems: Vec<_> = problems.into_iter().map(|(_, problem)| problem).collect();
        // Options that several steps were made from are wrong once.
        problems.dedup();
        Err(ManifestError { problems })
    }

    /// Shows a problem of the image that is so many images below this one.
    fn locate(&self, problem: &Problem, below: usize) -> ManifestProblem {
        match (below.checked_sub(1), &self.below) {
            (Some(rest), Some(below)) => below.manifest.locate(problem, rest),
            _ => self.locate_here(problem),
        }
    }

    fn locate_here(&self, problem: &Problem) -> ManifestProblem {
        let Problem { code, field, message, hint } = problem;
        let (path, offset) = match field.step {
            Some(step) => {
                let steps = lower::steps(&self.document, &|_| SourceKind::Folder);
                steps.into_iter().nth(step).map(|s| (s.origin, s.offset)).unwrap_or_default()
            }
            None => (vec![Segment::from(field.name)], 0),
        };
        let (path, span) = self.source.locate(&whole_path(path, offset, field));
        // Steps that were added to the image since are nowhere in the file.
        let path = if path.is_empty() { field.to_string() } else { path };
        let message = format!("{path}: {message}");
        ManifestProblem::new(&self.source, code, span, message, hint.clone())
    }
}

/// The way to a part of a step whose own place is `path`, with its first item at `offset` of the
/// list there.
fn whole_path(mut path: Vec<Segment>, offset: usize, field: &FieldPath) -> Vec<Segment> {
    match field.trail.first() {
        // The commands of a step have the same secrets: the first one's are shown.
        Some(Item::Part("secrets")) if field.name == "run" => path.push(Segment::Index(offset)),
        // Options stand next to the list of packages or files that they are for.
        Some(Item::Part(_)) => {
            if let Some(at) = path.iter().rposition(|segment| *segment == Segment::from("pip")) {
                path.truncate(at + 1);
            }
        }
        _ => {}
    }
    // A step's items are those of the file's list from an offset on.
    let trail = field.trail.iter().enumerate().map(|(depth, item)| match item {
        Item::Index(index) if depth == 0 => Segment::Index(index + offset),
        item => Segment::from(item),
    });
    path.extend(trail);
    path
}
