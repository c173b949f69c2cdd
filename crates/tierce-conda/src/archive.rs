//! Package files: `.conda` (CEP 1, CEP 35) and `.tar.bz2`, read without unpacking them to disk.

use crate::error::{PackageError, PackageProblem};
use crate::info::{self, PackageInfo, PathKind};
use bzip2::read::MultiBzDecoder;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;
use tierce_layer::{Entry, EntryKind, LayerReader};
use tierce_wheel::zip::Archive;

/// The two formats of packages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArchiveKind {
    /// A zip of two zstd archives: what is for installers, what is installed.
    Conda,
    /// One bzip2 archive with both.
    TarBz2,
}

/// What a package may unpack to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackageLimits {
    /// All of its files.
    pub unpacked: u64,
    /// A file that is held in memory: because a prefix in it is replaced, or because it is
    /// metadata.
    pub in_memory: u64,
}

impl Default for PackageLimits {
    /// 64 GiB, 1 GiB.
    fn default() -> Self {
        PackageLimits { unpacked: 64 << 30, in_memory: 1 << 30 }
    }
}

/// The largest `info/` file that is looked at; paths.json of the largest packages has 20 MB.
const MAX_METADATA: u64 = 256 << 20;

/// A package file.
#[derive(Debug)]
pub struct Package {
    name: String,
    source: Source,
    limits: PackageLimits,
}

#[derive(Debug)]
enum Source {
    Conda(Archive),
    TarBz2(File),
}

impl ArchiveKind {
    /// The format that a file's name says.
    pub fn of(filename: &str) -> Option<Self> {
        match filename {
            name if name.ends_with(".conda") => Some(ArchiveKind::Conda),
            name if name.ends_with(".tar.bz2") => Some(ArchiveKind::TarBz2),
            _ => None,
        }
    }
}

/// What is done with an entry of an archive; the error is whatever the doer can fail with.
type Each<'a, E> = &'a mut dyn FnMut(&Entry, &mut dyn Read) -> Result<(), E>;

impl Package {
    /// Opens a package; `name` is what errors call it.
    pub fn open(
        path: &Path,
        name: &str,
        kind: ArchiveKind,
        limits: PackageLimits,
    ) -> Result<Self, PackageError> {
        let open = || -> Result<Source, PackageProblem> {
            let file = File::open(path)?;
            Ok(match kind {
                ArchiveKind::Conda => Source::Conda(Archive::open(file, limits.unpacked)?),
                ArchiveKind::TarBz2 => Source::TarBz2(file),
            })
        };
        let source = open().map_err(|problem| error(name, problem))?;
        Ok(Package { name: name.to_owned(), source, limits })
    }

    /// What the package says of itself, checked.
    pub fn info(&self) -> Result<PackageInfo, PackageError> {
        self.read_info().map_err(|problem| error(&self.name, problem))
    }

    /// What errors call it.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn limits(&self) -> &PackageLimits {
        &self.limits
    }

    fn read_info(&self) -> Result<PackageInfo, PackageProblem> {
        let mut found = Metadata::default();
        match &self.source {
            Source::Conda(zip) => {
                self.read_member(zip, "info-", &mut |entry, content| found.take(entry, content))?;
                if !found.files.contains_key("paths.json") {
                    self.read_member(zip, "pkg-", &mut |entry, content| {
                        found.take(entry, content)
                    })?;
                }
            }
            Source::TarBz2(file) => {
                self.read_bzip2(file, &mut |entry, content| found.take(entry, content))?;
            }
        }
        info::read(found.files, &found.contents)
    }

    /// Goes over all entries that are to be installed, in the archive's order, those of `info/`
    /// included where the format has them there, too.
    pub(crate) fn each<E: From<PackageProblem>>(&self, each: Each<'_, E>) -> Result<(), E> {
        match &self.source {
            Source::Conda(zip) => self.read_member(zip, "pkg-", each),
            Source::TarBz2(file) => self.read_bzip2(file, each),
        }
    }

    pub(crate) fn error(&self, problem: PackageProblem) -> PackageError {
        error(&self.name, problem)
    }

    fn read_member<E: From<PackageProblem>>(
        &self,
        zip: &Archive,
        prefix: &'static str,
        each: Each<'_, E>,
    ) -> Result<(), E> {
        let mut members = zip
            .entries()
            .iter()
            .filter(|e| e.name().starts_with(prefix))
            .filter(|e| e.name().ends_with(".tar.zst") && !e.name().contains('/'));
        let (Some(member), None) = (members.next(), members.next()) else {
            return Err(PackageProblem::Member(prefix).into());
        };
        let mut reader = zip.reader(member);
        self.read_tar(&mut reader, each)?;
        // The last read of a member is the one that compares its checksum.
        match io::copy(&mut reader, &mut io::sink()).map_err(PackageProblem::Content)? {
            0 => Ok(()),
            _ => Err(PackageProblem::Member(prefix).into()),
        }
    }

    fn read_bzip2<E: From<PackageProblem>>(&self, file: &File, each: Each<'_, E>) -> Result<(), E> {
        let file = BufReader::with_capacity(1 << 17, At { file, offset: 0 });
        self.read_tar(MultiBzDecoder::new(file), each)
    }

    fn read_tar<E: From<PackageProblem>>(
        &self,
        input: impl Read,
        each: Each<'_, E>,
    ) -> Result<(), E> {
        let limit = self.limits.unpacked;
        let mut reader = LayerReader::new(input).map_err(PackageProblem::from)?;
        loop {
            // What an entry declares is known before it is read.
            let position = reader.position();
            let next = reader.next_entry().map_err(PackageProblem::from)?;
            let Some((entry, mut content)) = next else { return Ok(()) };
            if position.saturating_add(entry.size()) > limit {
                return Err(PackageProblem::TooLarge { limit }.into());
            }
            match entry.kind {
                EntryKind::CharDevice { .. } | EntryKind::BlockDevice { .. } | EntryKind::Fifo => {
                    let path = entry.path.to_string();
                    return Err(PackageProblem::path(&path, "it is a device or pipe").into());
                }
                _ => each(&entry, &mut content)?,
            }
        }
    }
}

/// What is collected on the way through an archive.
#[derive(Default)]
struct Metadata {
    /// By name below `info/`.
    files: BTreeMap<String, Vec<u8>>,
    contents: BTreeMap<String, PathKind>,
}

impl Metadata {
    fn take(&mut self, entry: &Entry, content: &mut dyn Read) -> Result<(), PackageProblem> {
        let path = utf8(entry)?;
        let Some(name) = path.strip_prefix("info/") else {
            self.contents.insert(path.to_owned(), info::kind_of(&entry.kind));
            return Ok(());
        };
        if !info::FILES.contains(&name) || !entry.is_file() {
            return Ok(());
        }
        if entry.size() > MAX_METADATA {
            return Err(PackageProblem::TooLarge { limit: MAX_METADATA });
        }
        let mut bytes = Vec::new();
        content.read_to_end(&mut bytes).map_err(PackageProblem::Content)?;
        match self.files.insert(name.to_owned(), bytes) {
            None => Ok(()),
            Some(_) => Err(PackageProblem::path(path, "it is there twice")),
        }
    }
}

/// A file from its start, whoever else reads it.
struct At<'a> {
    file: &'a File,
    offset: u64,
}

impl Read for At<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        use std::os::unix::fs::FileExt;
        let read = self.file.read_at(buffer, self.offset)?;
        self.offset += read as u64;
        Ok(read)
    }
}

fn error(package: &str, problem: PackageProblem) -> PackageError {
    PackageError { package: package.to_owned(), problem }
}

/// The path as metadata spells it.
pub(crate) fn utf8(entry: &Entry) -> Result<&str, PackageProblem> {
    std::str::from_utf8(entry.path.as_bytes())
        .map_err(|_| PackageProblem::path(&entry.path.to_string(), "its name is not UTF-8"))
}
