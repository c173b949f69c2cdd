//! Layers out of planned wheels.

use crate::install::{Content, InstallPlan, InstallTarget, PlannedFile, reader};
use crate::zip::Method;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use tierce_layer::{Deflated, Entry, EntryKind, LayerPath, LayerWriter, PathError, WriteError};
use tierce_oci::{Diagnostic, ErrorKind};

/// Why a layer could not be written.
#[derive(Debug, thiserror::Error)]
pub enum LayerError {
    /// A path can't be in a layer.
    #[error("a path can't be in a layer")]
    Path(#[from] PathError),
    /// Writing failed, or a wheel's content is not what its directory says.
    #[error("the layer can't be written")]
    Write(#[from] WriteError),
    /// A directory of compiled files can't be read.
    #[error("compiled files can't be read from {path}")]
    Read {
        /// The file or directory.
        path: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Something in a directory of compiled files is not one.
    #[error("{0} is not a compiled file that was asked for")]
    Foreign(String),
}

impl Diagnostic for LayerError {
    fn code(&self) -> &'static str {
        match self {
            LayerError::Path(_) | LayerError::Foreign(_) => "python/bad-layer-path",
            LayerError::Write(_) => "python/layer-write",
            LayerError::Read { .. } => "python/bytecode-unreadable",
        }
    }

    fn kind(&self) -> ErrorKind {
        match self {
            LayerError::Path(_) => ErrorKind::Upstream,
            LayerError::Write(
                WriteError::BadDeflate { .. }
                | WriteError::CrcMismatch { .. }
                | WriteError::SizeMismatch { .. }
                | WriteError::DeflatedSizeMismatch { .. },
            ) => ErrorKind::Upstream,
            LayerError::Write(_) | LayerError::Read { .. } => ErrorKind::Environment,
            LayerError::Foreign(_) => ErrorKind::Step,
        }
    }
}

/// Adds entries in path order, directories (0755, root) once and before what they hold.
pub(crate) struct Tree<'w, W: Write> {
    writer: &'w mut LayerWriter<W>,
    written: BTreeSet<LayerPath>,
}

impl<'w, W: Write> Tree<'w, W> {
    pub(crate) fn new(writer: &'w mut LayerWriter<W>) -> Self {
        Tree { writer, written: BTreeSet::new() }
    }

    pub(crate) fn directory(&mut self, path: &LayerPath) -> Result<(), WriteError> {
        let mut missing = Vec::new();
        let mut next = Some(path.clone());
        while let Some(directory) = next.filter(|d| !d.is_root() && !self.written.contains(d)) {
            next = directory.parent();
            missing.push(directory);
        }
        for directory in missing.into_iter().rev() {
            self.writer
                .append(&Entry::directory(directory.clone()).with_mode(0o755), io::empty())?;
            self.written.insert(directory);
        }
        Ok(())
    }

    fn parents(&mut self, path: &LayerPath) -> Result<(), WriteError> {
        path.parent().map_or(Ok(()), |parent| self.directory(&parent))
    }

    pub(crate) fn bytes(
        &mut self,
        path: LayerPath,
        mode: u32,
        content: &[u8],
    ) -> Result<(), WriteError> {
        self.parents(&path)?;
        self.writer.append(&Entry::file(path, content.len() as u64).with_mode(mode), content)
    }

    pub(crate) fn stream(
        &mut self,
        path: LayerPath,
        mode: u32,
        size: u64,
        content: impl io::Read,
    ) -> Result<(), WriteError> {
        self.parents(&path)?;
        self.writer.append(&Entry::file(path, size).with_mode(mode), content)
    }

    pub(crate) fn symlink(&mut self, path: LayerPath, target: &str) -> Result<(), WriteError> {
        self.parents(&path)?;
        self.writer.append(
            &Entry::new(path, EntryKind::Symlink { target: target.into() }, 0o777),
            io::empty(),
        )
    }

    pub(crate) fn hard_link(
        &mut self,
        path: LayerPath,
        target: LayerPath,
    ) -> Result<(), WriteError> {
        self.parents(&path)?;
        self.writer.append(&Entry::hard_link(path, target), io::empty())
    }

    /// A planned file; deflated ones are spliced, not unpacked and packed again.
    pub(crate) fn planned(
        &mut self,
        path: LayerPath,
        plan: &InstallPlan,
        file: &PlannedFile,
    ) -> Result<(), WriteError> {
        if let Content::Entry(index) = file.content {
            let archive = plan.wheel().archive();
            let entry = &archive.entries()[index];
            if entry.method() == Method::Deflated {
                self.parents(&path)?;
                let content = Deflated {
                    stream: archive.raw(entry),
                    compressed_size: entry.compressed_size(),
                    crc32: entry.crc32(),
                };
                let entry = Entry::file(path, file.size).with_mode(file.mode);
                return self.writer.append_deflated(&entry, content);
            }
        }
        self.stream(path, file.mode, file.size, reader(plan, file))
    }
}

/// A path below the environment's prefix as a layer has it.
pub(crate) fn layer_path(target: &InstallTarget, path: &str) -> Result<LayerPath, PathError> {
    LayerPath::new(target.prefix())?.join(path)
}

/// Writes the layer of some wheels: every directory on the way from the root, then files, sorted
/// by path. A file that more than one wheel has is that of the last by name.
///
/// The bytes depend on the wheels and the target alone. Only content that the wheel itself has
/// uncompressed, and generated files, go through a compressor.
pub fn write_wheel_layer<W: Write>(
    plans: &[&InstallPlan],
    writer: &mut LayerWriter<W>,
) -> Result<(), LayerError> {
    let mut sorted = plans.to_vec();
    sorted.sort_by_key(|plan| plan.wheel().name().clone());
    let mut files: BTreeMap<LayerPath, (&InstallPlan, &PlannedFile)> = BTreeMap::new();
    for plan in sorted {
        for (path, file) in plan.files() {
            files.insert(layer_path(plan.target(), path)?, (plan, file));
        }
    }
    let mut tree = Tree::new(writer);
    for (path, (plan, file)) in files {
        tree.planned(path, plan, file)?;
    }
    Ok(())
}
