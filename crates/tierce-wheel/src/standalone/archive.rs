//! From an archive to a layer.

use super::catalog::{ArchiveLayout, StandaloneBuild};
use super::error::{ArchiveProblem, StandaloneError};
use super::sysconfig::{patch_json, patch_pkgconfig, patch_sysconfigdata};
use crate::target::PythonVersion;
use crate::write::Tree;
use std::collections::BTreeMap;
use std::io::{Read, Write};
use tierce_layer::{Entry, EntryKind, LayerPath, LayerReader, LayerWriter};

/// Where the interpreter is in every image that is given one.
pub const STANDALONE_PREFIX: &str = "/opt/python";

/// Its programs.
pub const PROGRAM_DIRECTORY: &str = "/opt/python/bin";

/// Changes whenever the layer of an archive would come to other bytes.
pub const STANDALONE_VERSION: u32 = 1;

/// The most that an archive may unpack to: with all that they were built from, the largest come
/// to 1.5 GB.
const UNPACKED_LIMIT: u64 = 8 << 30;

/// The most entries: the largest have some 20,000.
const ENTRY_LIMIT: usize = 500_000;

/// The largest file that is patched: they have some 50 kB.
const PATCHED_LIMIT: u64 = 4 << 20;

/// Marks an environment that packages are not to be installed into (PEP 668).
const EXTERNALLY_MANAGED: &str = "[externally-managed]\n\
    Error=This Python installation is managed by tierce and should not be modified.\n";

/// The interpreter of an image that is given this version.
pub fn standalone_program(version: PythonVersion) -> String {
    format!("{PROGRAM_DIRECTORY}/python{}", version.short())
}

/// Writes the installation in `archive` to [`STANDALONE_PREFIX`].
///
/// Files keep their order and permissions, without set-id bits and writable for nobody but their
/// owner, who is root; they are dated as all that tierce writes. Compiled modules are left out,
/// since they are valid for their modules' dates only. What `sysconfig` tells is made true for the
/// place, and the installation is marked as managed (PEP 668): both as uv does.
///
/// Nothing is unpacked on the way, and nothing leads out of the prefix: archives with such paths or
/// links are refused.
pub fn write_standalone_layer<R: Read, W: Write>(
    archive: R,
    build: &StandaloneBuild,
    writer: &mut LayerWriter<W>,
) -> Result<(), StandaloneError> {
    let name = build.filename();
    let unreadable = |source| StandaloneError::Read { archive: name.clone(), source };
    let mut reader = LayerReader::new(archive).map_err(unreadable)?;
    let mut install = Installation::new(build, &name, writer)?;
    let mut entries = 0;
    while let Some((entry, mut content)) = reader.next_entry().map_err(unreadable)? {
        entries += 1;
        if entries > ENTRY_LIMIT {
            return Err(install.hostile(&entry, ArchiveProblem::TooLarge));
        }
        install.add(&entry, &mut content)?;
    }
    install.finish()
}

/// What is at a path of the installation.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Directory,
    File,
    Link,
}

/// An installation on its way into a layer.
struct Installation<'w, W: Write> {
    archive: &'w str,
    layout: ArchiveLayout,
    /// `python3.12`.
    versioned: String,
    prefix: LayerPath,
    /// All that was added, relative to the prefix.
    there: BTreeMap<LayerPath, Kind>,
    unpacked: u64,
    has_sysconfig: bool,
    tree: Tree<'w, W>,
}

impl<'w, W: Write> Installation<'w, W> {
    fn new(
        build: &StandaloneBuild,
        archive: &'w str,
        writer: &'w mut LayerWriter<W>,
    ) -> Result<Self, StandaloneError> {
        Ok(Installation {
            archive,
            layout: build.layout(),
            versioned: format!("python{}", build.version.short()),
            prefix: LayerPath::new(STANDALONE_PREFIX)?,
            there: BTreeMap::new(),
            unpacked: 0,
            has_sysconfig: false,
            tree: Tree::new(writer),
        })
    }

    fn hostile(&self, entry: &Entry, problem: ArchiveProblem) -> StandaloneError {
        let path = String::from_utf8_lossy(entry.path.as_bytes()).into_owned();
        StandaloneError::Hostile { archive: self.archive.to_owned(), path, problem }
    }

    /// The path below the prefix; `None` for what is not of the installation.
    fn inside(&self, path: &LayerPath) -> Result<Option<LayerPath>, ArchiveProblem> {
        let mut rest = path.as_bytes().strip_prefix(b"python").ok_or(ArchiveProblem::Outside)?;
        if self.layout == ArchiveLayout::Full {
            match rest.strip_prefix(b"/install") {
                Some(below) => rest = below,
                None => return Ok(None),
            }
        }
        match rest {
            b"" | b"/" => Ok(None),
            [b'/', below @ ..] => {
                LayerPath::new(below).map(Some).map_err(|_| ArchiveProblem::Outside)
            }
            // `python/installer` is not of the installation, `pythonic` not of the archive.
            _ if self.layout == ArchiveLayout::Full => Ok(None),
            _ => Err(ArchiveProblem::Outside),
        }
    }

    fn add(&mut self, entry: &Entry, content: &mut dyn Read) -> Result<(), StandaloneError> {
        let found = self.inside(&entry.path).map_err(|problem| self.hostile(entry, problem))?;
        self.unpacked = self.unpacked.saturating_add(entry.size());
        if self.unpacked > UNPACKED_LIMIT {
            return Err(self.hostile(entry, ArchiveProblem::TooLarge));
        }
        let Some(path) = found else { return Ok(()) };
        if path.as_bytes().ends_with(b".pyc") {
            return Ok(());
        }
        self.check(entry, &path).map_err(|problem| self.hostile(entry, problem))?;
        let place = self.prefix.join(path.as_bytes())?;
        let kind = match &entry.kind {
            EntryKind::Directory => {
                self.tree.directory(&place)?;
                Kind::Directory
            }
            EntryKind::File { size } => {
                self.file(&path, place, entry.mode, *size, content)?;
                Kind::File
            }
            EntryKind::Symlink { target } => {
                let target = std::str::from_utf8(target)
                    .map_err(|_| self.hostile(entry, ArchiveProblem::Escape))?;
                self.tree.symlink(place, target)?;
                Kind::Link
            }
            EntryKind::HardLink { target } => {
                let target = self.inside(target).ok().flatten();
                let target = target.filter(|t| self.there.get(t) == Some(&Kind::File));
                let target = target.ok_or_else(|| self.hostile(entry, ArchiveProblem::Dangling))?;
                self.tree.hard_link(place, self.prefix.join(target.as_bytes())?)?;
                Kind::File
            }
            _ => return Err(self.hostile(entry, ArchiveProblem::Special)),
        };
        self.there.insert(path, kind);
        Ok(())
    }

    /// Whether an entry may be where it is.
    fn check(&mut self, entry: &Entry, path: &LayerPath) -> Result<(), ArchiveProblem> {
        for directory in path.ancestors() {
            if *self.there.entry(directory).or_insert(Kind::Directory) != Kind::Directory {
                return Err(ArchiveProblem::BelowFile);
            }
        }
        match self.there.get(path) {
            // Archives may list a directory after what is in it.
            Some(Kind::Directory) if entry.is_directory() => {}
            Some(_) => return Err(ArchiveProblem::Twice),
            None => {}
        }
        match &entry.kind {
            EntryKind::Symlink { target } if leads_out(path, target) => Err(ArchiveProblem::Escape),
            _ => Ok(()),
        }
    }

    fn file(
        &mut self,
        path: &LayerPath,
        place: LayerPath,
        mode: u32,
        size: u64,
        content: &mut dyn Read,
    ) -> Result<(), StandaloneError> {
        let mode = mode & 0o755 | 0o600;
        let Some(patch) = self.patch_of(path).filter(|_| size <= PATCHED_LIMIT) else {
            return Ok(self.tree.stream(place, mode, size, content)?);
        };
        let strange = |what| StandaloneError::Sysconfig {
            archive: self.archive.to_owned(),
            path: String::from_utf8_lossy(path.as_bytes()).into_owned(),
            what,
        };
        let mut text = String::new();
        content.read_to_string(&mut text).map_err(|e| strange(e.to_string()))?;
        let patched = match patch {
            Patch::Data => patch_sysconfigdata(&text, STANDALONE_PREFIX).map_err(strange)?,
            Patch::Json => patch_json(&text, STANDALONE_PREFIX).map_err(strange)?,
            Patch::PkgConfig => patch_pkgconfig(&text),
        };
        self.has_sysconfig |= patch == Patch::Data;
        Ok(self.tree.bytes(place, mode, patched.as_bytes())?)
    }

    /// How a file is patched, if it is.
    fn patch_of(&self, path: &LayerPath) -> Option<Patch> {
        let path = std::str::from_utf8(path.as_bytes()).ok()?;
        let (directory, name) = path.rsplit_once('/')?;
        let is_python = |directory: &str| directory.strip_prefix("lib/") == Some(&self.versioned);
        let is = |start: &str, end: &str| name.starts_with(start) && name.ends_with(end);
        if directory == "lib/pkgconfig" {
            return is("", ".pc").then_some(Patch::PkgConfig);
        }
        if !is_python(directory) {
            return None;
        }
        if is("_sysconfigdata_", ".py") {
            return Some(Patch::Data);
        }
        (is("_sysconfig_vars_", ".json") || name == "build-details.json").then_some(Patch::Json)
    }

    /// What uv adds, once everything else is there.
    fn finish(mut self) -> Result<(), StandaloneError> {
        let library = format!("lib/{}", self.versioned);
        let program = format!("bin/{}", self.versioned);
        let missing = |missing: String| StandaloneError::NotPython {
            archive: self.archive.to_owned(),
            missing,
        };
        let has =
            |path: &str| Ok::<_, StandaloneError>(self.there.contains_key(&LayerPath::new(path)?));
        for wanted in [program.clone(), format!("{library}/os.py")] {
            if !has(&wanted)? {
                return Err(missing(wanted));
            }
        }
        if !self.has_sysconfig {
            return Err(missing(format!("{library}/_sysconfigdata_*.py")));
        }
        // Builds from before the summer of 2024 have no `python`.
        for link in ["bin/python", "bin/python3"] {
            if !has(link)? {
                self.tree.symlink(self.prefix.join(link)?, &self.versioned)?;
            }
        }
        let marker = format!("{library}/EXTERNALLY-MANAGED");
        if !has(&marker)? {
            let marker = self.prefix.join(marker)?;
            self.tree.bytes(marker, 0o644, EXTERNALLY_MANAGED.as_bytes())?;
        }
        Ok(())
    }
}

/// How a file of an installation is patched.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Patch {
    Data,
    Json,
    PkgConfig,
}

/// Whether a link at `path` leads out of the installation.
fn leads_out(path: &LayerPath, target: &[u8]) -> bool {
    if target.starts_with(b"/") {
        return true;
    }
    let mut depth = path.components().count() - 1;
    for component in target.split(|&b| b == b'/') {
        match component {
            b"" | b"." => {}
            b".." if depth == 0 => return true,
            b".." => depth -= 1,
            _ => depth += 1,
        }
    }
    false
}

#[cfg(test)]
mod tests;
