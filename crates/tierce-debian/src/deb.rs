//! Binary packages: `.deb` files (`deb(5)`), version 2.

use crate::ar::{ArError, Archive};
use crate::control::{ControlError, Paragraph};
use crate::package::{MultiArch, PackageName};
use crate::relation::{Relation, RelationError, parse_relations};
use crate::spool::{Content, Spool};
use crate::version::Version;
use md5::{Digest as _, Md5};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::{self, Read};
use std::sync::Arc;
use tierce_layer::{Entry, EntryKind, LayerPath, LayerReader, PathError, ReadError};
use tierce_oci::{Diagnostic, ErrorKind};

/// The largest control file that is taken in; `md5sums` of the largest packages have 10 MB.
const MAX_CONTROL_FILE: u64 = 64 << 20;
/// What `xz -9` needs to decompress is 65 MB.
const XZ_MEMORY: u64 = 256 << 20;

/// Why a file is not a usable binary package.
#[derive(Debug, thiserror::Error)]
pub enum DebError {
    /// The container is malformed or cannot be read.
    #[error("package file is malformed")]
    Container(#[from] ArError),
    /// The container is an archive of something else.
    #[error("file is not a version 2 binary package: {0}")]
    NotADeb(&'static str),
    /// A member is compressed in a way that current packages do not use.
    #[error("package file has the member {0}, whose compression is not supported")]
    Compression(String),
    /// A tar archive in it is malformed.
    #[error("{member} of the package file is malformed")]
    Tar {
        /// The member.
        member: String,
        /// What is wrong with it.
        #[source]
        source: ReadError,
    },
    /// A control file is not one.
    #[error("control archive of the package file has the unacceptable entry {0}")]
    ControlEntry(LayerPath),
    /// A control file's text is malformed.
    #[error("control data of the package file is malformed")]
    Control(#[from] ControlError),
    /// A relationship is malformed.
    #[error("control data of the package file is malformed")]
    Relation(#[from] RelationError),
    /// A control file names a file in an unacceptable way.
    #[error("{0} of the package file names an unacceptable path")]
    Path(&'static str, #[source] PathError),
    /// The package brings device files.
    #[error("package file has the device {0}")]
    Device(LayerPath),
    /// The contents cannot be kept.
    #[error("cannot keep the contents of a package file")]
    Spool(#[source] io::Error),
}

impl Diagnostic for DebError {
    fn code(&self) -> &'static str {
        match self {
            DebError::Spool(_) => "debian/scratch",
            _ => "debian/bad-deb",
        }
    }

    fn kind(&self) -> ErrorKind {
        match self {
            DebError::Spool(_) => ErrorKind::Environment,
            _ => ErrorKind::Upstream,
        }
    }
}

/// A file that the package's own scripts and dpkg use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControlFile {
    /// The content.
    pub content: Vec<u8>,
    /// The modification time.
    pub mtime: i64,
}

/// An entry of a package's file system.
#[derive(Clone, Debug)]
pub(crate) struct DebEntry {
    pub entry: Entry,
    pub content: Content,
}

/// A binary package, its contents held in a [`Spool`].
#[derive(Clone, Debug)]
pub struct UnpackedDeb {
    name: PackageName,
    version: Version,
    multi_arch: MultiArch,
    paragraph: Paragraph,
    replaces: Vec<Relation>,
    files: BTreeMap<String, ControlFile>,
    conffiles: Vec<Conffile>,
    pub(crate) entries: Vec<DebEntry>,
    pub(crate) spool: Arc<Spool>,
}

/// A configuration file and the MD5 that dpkg compares it with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Conffile {
    pub path: String,
    pub md5: String,
}

/// What a package says of itself; its files are not looked at.
pub fn read_deb_control(input: impl Read) -> Result<Paragraph, DebError> {
    let mut archive = Archive::new(input)?;
    expect_version(&mut archive)?;
    Ok(read_control(&mut archive)?.0)
}

impl UnpackedDeb {
    /// Reads a package and puts its contents into the spool.
    pub fn read(input: impl Read, spool: &Arc<Spool>) -> Result<Self, DebError> {
        let mut archive = Archive::new(input)?;
        expect_version(&mut archive)?;
        let (paragraph, mut files) = read_control(&mut archive)?;
        let wanted = Checksums::wanted(&files)?;
        let (entries, sums) = read_data(&mut archive, spool, &wanted)?;
        // Reading to the end lets a reader that verifies a digest have its say.
        while let Some((member, mut content)) = archive.next()? {
            if !member.name.starts_with('_') {
                return Err(DebError::NotADeb("it has more than the three members"));
            }
            io::copy(&mut content, &mut io::sink()).map_err(ArError::Io)?;
        }
        let conffiles = conffiles(&files, &sums)?;
        if let Checksums::All = wanted {
            files.insert("md5sums".to_owned(), generated_md5sums(&entries, &sums, &conffiles));
        }
        Ok(UnpackedDeb {
            name: paragraph.parse("Package")?,
            version: paragraph.parse("Version")?,
            multi_arch: MultiArch::of(paragraph.get("Multi-Arch")),
            replaces: parse_relations(paragraph.get("Replaces").unwrap_or(""))?,
            paragraph,
            files,
            conffiles,
            entries,
            spool: spool.clone(),
        })
    }

    /// The package's name.
    pub fn name(&self) -> &PackageName {
        &self.name
    }

    /// Its version.
    pub fn version(&self) -> &Version {
        &self.version
    }

    /// Its `control` file.
    pub fn paragraph(&self) -> &Paragraph {
        &self.paragraph
    }

    /// Its other control files by name: `postinst`, `md5sums`, ...
    pub fn control_files(&self) -> &BTreeMap<String, ControlFile> {
        &self.files
    }

    /// The entries of its file system, in the package's order.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().map(|e| &e.entry)
    }

    pub(crate) fn conffiles(&self) -> &[Conffile] {
        &self.conffiles
    }

    /// The name under which dpkg files what it knows of the package.
    pub(crate) fn info_name(&self) -> String {
        match (self.multi_arch, self.paragraph.get("Architecture")) {
            (MultiArch::Same, Some(architecture)) => format!("{}:{architecture}", self.name),
            _ => self.name.to_string(),
        }
    }

    /// Whether the package may take over files of `other` (Debian policy section 7.6.1).
    pub(crate) fn replaces(&self, other: &UnpackedDeb) -> bool {
        self.replaces.iter().any(|relation| {
            relation.name == other.name
                && relation.constraint.as_ref().is_none_or(|c| c.admits(&other.version))
        })
    }
}

fn expect_version<R: Read>(archive: &mut Archive<R>) -> Result<(), DebError> {
    let (member, mut content) = archive.next()?.ok_or(DebError::NotADeb("it is empty"))?;
    if member.name != "debian-binary" || member.size > 64 {
        return Err(DebError::NotADeb("its first member is not debian-binary"));
    }
    let mut version = Vec::new();
    content.read_to_end(&mut version).map_err(ArError::Io)?;
    match version.starts_with(b"2.") {
        true => Ok(()),
        false => Err(DebError::NotADeb("it is of another version")),
    }
}

/// Opens the next member that counts, which must be the tar archive `stem`, and reads all of it.
fn read_tar<R: Read>(
    archive: &mut Archive<R>,
    stem: &'static str,
    mut each: impl FnMut(Entry, &mut dyn Read) -> Result<(), DebError>,
) -> Result<(), DebError> {
    loop {
        let (member, mut content) = archive.next()?.ok_or(DebError::NotADeb("it is cut short"))?;
        if member.name.starts_with('_') {
            io::copy(&mut content, &mut io::sink()).map_err(ArError::Io)?;
            continue;
        }
        let Some(extension) = member.name.strip_prefix(stem) else {
            return Err(DebError::NotADeb("its members are not control.tar and data.tar"));
        };
        let tar: Box<dyn Read + '_> = match extension {
            // These three the layer reader tells apart itself.
            "" | ".gz" | ".zst" => Box::new(&mut content),
            ".xz" => {
                let stream = liblzma::stream::Stream::new_stream_decoder(
                    XZ_MEMORY,
                    liblzma::stream::CONCATENATED,
                );
                let stream = stream.map_err(|e| DebError::Spool(e.into()))?;
                Box::new(liblzma::read::XzDecoder::new_stream(&mut content, stream))
            }
            _ => return Err(DebError::Compression(member.name)),
        };
        let failed = |source| DebError::Tar { member: member.name.clone(), source };
        let mut reader = LayerReader::new(tar).map_err(failed)?;
        while let Some((entry, mut body)) = reader.next_entry().map_err(failed)? {
            each(entry, &mut body)?;
        }
        drop(reader);
        let trailing = io::copy(&mut content, &mut io::sink()).map_err(ArError::Io)?;
        return match (trailing, content.limit()) {
            (0, 0) => Ok(()),
            (0, _) => Err(ArError::Malformed("it is cut short").into()),
            _ => Err(DebError::NotADeb("something follows one of its tar archives")),
        };
    }
}

fn read_control<R: Read>(
    archive: &mut Archive<R>,
) -> Result<(Paragraph, BTreeMap<String, ControlFile>), DebError> {
    let mut files = BTreeMap::new();
    read_tar(archive, "control.tar", |entry, body| {
        if entry.path.is_root() && entry.is_directory() {
            return Ok(());
        }
        let unacceptable = || DebError::ControlEntry(entry.path.clone());
        let name = std::str::from_utf8(entry.path.as_bytes()).map_err(|_| unacceptable())?;
        let safe = name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_+.".contains(&b));
        if !entry.is_file() || !safe || entry.size() > MAX_CONTROL_FILE {
            return Err(unacceptable());
        }
        let mut content = Vec::new();
        body.read_to_end(&mut content).map_err(ArError::Io)?;
        let file = ControlFile { content, mtime: entry.mtime };
        match files.insert(name.to_owned(), file) {
            None => Ok(()),
            Some(_) => Err(unacceptable()),
        }
    })?;
    let control = files.remove("control").ok_or(DebError::NotADeb("it has no control file"))?;
    let text = String::from_utf8(control.content)
        .map_err(|_| ControlError::Syntax { line: 0, reason: "is not UTF-8" })?;
    Ok((Paragraph::parse_one(&text)?, files))
}

/// The files whose MD5 is needed.
enum Checksums {
    /// The package has its own list, which leaves out configuration files: these only.
    Conffiles(BTreeSet<LayerPath>),
    /// It has none; dpkg makes one then.
    All,
}

impl Checksums {
    fn wanted(files: &BTreeMap<String, ControlFile>) -> Result<Self, DebError> {
        if !files.contains_key("md5sums") {
            return Ok(Checksums::All);
        }
        let paths = conffile_paths(files)?;
        let paths = paths.iter().map(LayerPath::new).collect::<Result<_, _>>();
        paths.map(Checksums::Conffiles).map_err(|e| DebError::Path("conffiles", e))
    }

    fn contains(&self, path: &LayerPath) -> bool {
        match self {
            Checksums::Conffiles(paths) => paths.contains(path),
            Checksums::All => true,
        }
    }
}

type Sums = BTreeMap<LayerPath, String>;

fn read_data<R: Read>(
    archive: &mut Archive<R>,
    spool: &Arc<Spool>,
    wanted: &Checksums,
) -> Result<(Vec<DebEntry>, Sums), DebError> {
    let mut entries = Vec::new();
    let mut sums = Sums::new();
    read_tar(archive, "data.tar", |entry, body| {
        let content = match &entry.kind {
            EntryKind::File { size } if wanted.contains(&entry.path) => {
                let mut hashed = Hashed { input: body, state: Md5::new() };
                let content = spool.put(*size, &mut hashed).map_err(DebError::Spool)?;
                sums.insert(entry.path.clone(), hex(&hashed.state.finalize()));
                content
            }
            EntryKind::File { size } => spool.put(*size, body).map_err(DebError::Spool)?,
            EntryKind::CharDevice { .. } | EntryKind::BlockDevice { .. } => {
                return Err(DebError::Device(entry.path));
            }
            _ => Content::EMPTY,
        };
        entries.push(DebEntry { entry, content });
        Ok(())
    })?;
    Ok((entries, sums))
}

struct Hashed<'a> {
    input: &'a mut dyn Read,
    state: Md5,
}

impl Read for Hashed<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.input.read(buffer)?;
        self.state.update(&buffer[..read]);
        Ok(read)
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

/// The lines of `conffiles` (`deb-conffiles(5)`) that stand for files. Flagged ones
/// (`remove-on-upgrade`) stand for files that are gone.
fn conffile_paths(files: &BTreeMap<String, ControlFile>) -> Result<Vec<String>, DebError> {
    let Some(list) = files.get("conffiles") else { return Ok(Vec::new()) };
    let text = std::str::from_utf8(&list.content)
        .map_err(|_| ControlError::Syntax { line: 0, reason: "is not UTF-8" })?;
    let lines = text.lines().map(str::trim_end);
    Ok(lines.filter(|line| line.starts_with('/')).map(str::to_owned).collect())
}

fn conffiles(
    files: &BTreeMap<String, ControlFile>,
    sums: &Sums,
) -> Result<Vec<Conffile>, DebError> {
    let mut found = Vec::new();
    for path in conffile_paths(files)? {
        let place = LayerPath::new(&path).map_err(|e| DebError::Path("conffiles", e))?;
        // Listed, but a link or not there: dpkg has nothing to compare either.
        if let Some(md5) = sums.get(&place) {
            found.push(Conffile { path, md5: md5.clone() });
        }
    }
    Ok(found)
}

fn generated_md5sums(entries: &[DebEntry], sums: &Sums, conffiles: &[Conffile]) -> ControlFile {
    let mut content = Vec::new();
    for DebEntry { entry, .. } in entries {
        let path = entry.path.as_bytes();
        let is_conffile =
            conffiles.iter().any(|c| c.path.as_bytes().strip_prefix(b"/") == Some(path));
        if let (Some(md5), false) = (sums.get(&entry.path), is_conffile) {
            content.extend_from_slice(md5.as_bytes());
            content.extend_from_slice(b"  ");
            content.extend_from_slice(path);
            content.push(b'\n');
        }
    }
    ControlFile { content, mtime: tierce_layer::EPOCH }
}
