//! The files that a manifest leads to: those of the images below it.

use super::document::Document;
use super::error::{ManifestError, ManifestProblem};
use super::locate::{Segment, Source};
use super::{Manifest, lower};
use crate::manifest::base_value::{BaseValue, SpecTable};
use std::io;
use std::path::{Path, PathBuf};

/// Reads manifests. This crate opens no file itself.
pub trait ManifestFiles {
    /// The text of a file.
    fn read(&self, file: &Path) -> io::Result<String>;

    /// The same path for every path of one file, as [`std::fs::canonicalize`] makes it: what an
    /// image below that leads back to itself is known by.
    fn identity(&self, file: &Path) -> PathBuf {
        file.to_owned()
    }
}

/// No files: a manifest that starts from another one can't be read.
pub(super) struct NoFiles;

impl ManifestFiles for NoFiles {
    fn read(&self, _: &Path) -> io::Result<String> {
        Err(io::Error::new(io::ErrorKind::Unsupported, "no other file is read here"))
    }
}

/// The image below, as its own manifest says it.
#[derive(Clone)]
pub(super) struct Below {
    pub manifest: Manifest,
    /// The way to its folder from that of the manifest above.
    pub folder: PathBuf,
    /// What the image is called unless it says so itself: by its folder.
    pub name: Option<String>,
}

/// Deeper stacks of images are mistakes.
const MAX_DEPTH: usize = 32;

/// The files that are being read, the one that was asked for first.
pub(super) struct Reading<'a> {
    files: &'a dyn ManifestFiles,
    open: Vec<(PathBuf, String)>,
}

impl<'a> Reading<'a> {
    pub(super) fn new(files: &'a dyn ManifestFiles) -> Self {
        Reading { files, open: vec![] }
    }

    /// Reads `text`, which `file` holds, and what it leads to.
    pub(super) fn manifest(&mut self, text: &str, file: &Path) -> Result<Manifest, ManifestError> {
        let shown = file.display().to_string();
        let source = Source::new(&shown, text);
        let document = match toml::from_str::<Document>(text) {
            Ok(document) => document,
            Err(error) => return Err(ManifestError::of_toml(&source, &error)),
        };
        let problems = lower::check_forms(&source, &document);
        if !problems.is_empty() {
            return Err(ManifestError { problems });
        }
        self.open.push((self.files.identity(file), shown));
        let below = match &document.base {
            BaseValue::Spec(SpecTable { spec }) => Some(Box::new(self.below(&source, file, spec)?)),
            _ => None,
        };
        self.open.pop();
        Ok(Manifest { source, document, below })
    }

    /// Reads the manifest of the image below the one in `file`.
    fn below(&mut self, source: &Source, file: &Path, spec: &Path) -> Result<Below, ManifestError> {
        let folder = spec.parent().unwrap_or(Path::new(""));
        let path = file.parent().unwrap_or(Path::new("")).join(spec);
        let identity = self.files.identity(&path);
        let refused = |code, message: String, hint: &str| {
            let at = [Segment::from("base"), Segment::from("spec")];
            let (shown, span) = source.locate(&at);
            let message = format!("{shown}: {message}");
            let problem = ManifestProblem::new(source, code, span, message, Some(hint.to_owned()));
            ManifestError { problems: vec![problem] }
        };
        if let Some(start) = self.open.iter().position(|(open, _)| *open == identity) {
            let chain: Vec<&str> = self.open[start..].iter().map(|(_, s)| s.as_str()).collect();
            let message =
                format!("it leads back to itself: {} -> {}", chain.join(" -> "), chain[0]);
            let hint = "Let one of these images start from something else.";
            return Err(refused("spec/base-cycle", message, hint));
        }
        if self.open.len() >= MAX_DEPTH {
            let message = format!("more than {MAX_DEPTH} images stand on each other");
            return Err(refused("spec/nested-bases", message, "Let some of them be one image."));
        }
        let text = self.files.read(&path).map_err(|error| {
            let message = format!("can't read {}: {error}", path.display());
            let hint =
                "Name the tierce.toml of the image below, relative to the folder of this one.";
            refused("spec/unreadable-base", message, hint)
        })?;
        let name = identity
            .parent()
            .and_then(Path::file_name)
            .and_then(|name| crate::name::of_folder(&name.to_string_lossy()));
        let manifest = self.manifest(&text, &path)?;
        Ok(Below { manifest, folder: folder.to_owned(), name })
    }
}
