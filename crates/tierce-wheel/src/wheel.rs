//! One wheel: its metadata, checked against the binary distribution format specification.

use crate::entry_points::{self, EntryPoint, EntryPointError};
use crate::name::{PackageName, WheelFilename, parse_version};
use crate::record::{self, RecordError, RecordHash, RecordRow};
use crate::zip::{Archive, Entry, ZipError, check_path};
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::Path;
use tierce_oci::{Diagnostic, Digest, ErrorKind};

/// What a wheel may unpack to unless the caller says otherwise: 64 GiB. The largest wheels known
/// unpack to a few GiB.
pub const DEFAULT_UNPACKED_LIMIT: u64 = 64 << 30;

/// The largest metadata file that is read into memory. RECORDs of 50,000 files are ~5 MB.
const METADATA_LIMIT: u64 = 64 << 20;

/// Where a wheel's top-level files belong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Root {
    /// `Root-Is-Purelib: true`
    Purelib,
    /// `Root-Is-Purelib: false`
    Platlib,
}

/// A wheel that can't be installed.
#[derive(Debug, thiserror::Error)]
#[error("wheel {filename} can't be installed")]
pub struct WheelError {
    /// The wheel's file name.
    pub filename: String,
    /// What is wrong.
    #[source]
    pub problem: WheelProblem,
}

/// What is wrong with a wheel.
#[derive(Debug, thiserror::Error)]
pub enum WheelProblem {
    /// The file can't be opened.
    #[error("the file can't be opened")]
    Open(#[source] io::Error),
    /// The zip file is not one that may be installed from.
    #[error(transparent)]
    Zip(#[from] ZipError),
    /// There is no `.dist-info` directory of the right name, or more than one.
    #[error("it has the metadata directories {found:?}, expected one named after {expected}")]
    DistInfo {
        /// Those that are there.
        found: Vec<String>,
        /// Name and version from the file name.
        expected: String,
    },
    /// A required metadata file is missing.
    #[error("{0} is missing")]
    Missing(String),
    /// A metadata file is not UTF-8.
    #[error("{0} is not UTF-8")]
    NotUtf8(String),
    /// `WHEEL` lacks a field.
    #[error("its WHEEL file has no valid {0}")]
    WheelField(&'static str),
    /// The format's major version is unknown.
    #[error("it is in wheel format {0}, only 1.x is known")]
    FormatVersion(String),
    /// The RECORD is malformed.
    #[error("its RECORD is malformed")]
    Record(#[from] RecordError),
    /// The RECORD lists a path twice or one that leads outside.
    #[error("its RECORD lists {path:?}: {problem}")]
    RecordPath {
        /// The path.
        path: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A file's content is not what RECORD says.
    #[error("{path} is not what its RECORD says: expected {expected}, found {actual}")]
    Mismatch {
        /// The file.
        path: String,
        /// Hash or size as recorded.
        expected: String,
        /// Hash or size found.
        actual: String,
    },
    /// A file could not be unpacked.
    #[error("{path} can't be unpacked")]
    Unpack {
        /// The file.
        path: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// `entry_points.txt` is malformed.
    #[error("its entry points are malformed")]
    EntryPoints(#[from] EntryPointError),
    /// A path in the `.data` directory belongs to no known scheme.
    #[error("{0} belongs to none of purelib, platlib, headers, scripts and data")]
    Scheme(String),
    /// Two of the wheel's files would be installed to one path.
    #[error("two of its files would be installed as {0}")]
    Doubled(String),
    /// A file would replace a part of the environment itself.
    #[error("it would replace {0}, which belongs to the environment")]
    Protected(String),
}

impl Diagnostic for WheelError {
    fn code(&self) -> &'static str {
        match self.problem {
            WheelProblem::Open(_) => "python/wheel-unreadable",
            _ => "python/bad-wheel",
        }
    }

    fn kind(&self) -> ErrorKind {
        match self.problem {
            WheelProblem::Open(_) => ErrorKind::Environment,
            _ => ErrorKind::Upstream,
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self.problem {
            WheelProblem::Open(_) => "See that the store's files are readable.".to_owned(),
            _ => format!(
                "Choose another version of the package, or report the file to its maintainers: \
                 {} does not follow the wheel format.",
                self.filename
            ),
        })
    }
}

/// A flaw that installers tolerate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WheelWarning {
    /// The file is in the wheel but not in its RECORD. It is installed, as pip and uv do.
    Unlisted(String),
    /// The file is in the RECORD without a hash. It is installed.
    Unhashed(String),
    /// The file is in the RECORD but not in the wheel.
    Absent(String),
    /// The wheel's format has a newer minor version than is known.
    NewerFormat(String),
}

impl std::fmt::Display for WheelWarning {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            WheelWarning::Unlisted(path) => write!(f, "{path} is not listed in RECORD"),
            WheelWarning::Unhashed(path) => write!(f, "{path} has no hash in RECORD"),
            WheelWarning::Absent(path) => write!(f, "RECORD lists {path}, which is not there"),
            WheelWarning::NewerFormat(version) => write!(f, "wheel format {version} is newer"),
        }
    }
}

/// An open wheel whose structure and metadata were checked.
#[derive(Debug)]
pub struct Wheel {
    filename: WheelFilename,
    digest: Digest,
    file_size: u64,
    archive: Archive,
    dist_info: String,
    root: Root,
    record: BTreeMap<String, RecordRow>,
    scripts: Vec<EntryPoint>,
    warnings: Vec<WheelWarning>,
}

impl Wheel {
    /// Opens the wheel at `path`, which is known to have this `digest`, under its real name.
    ///
    /// Checked here: the zip file's structure (see [`Archive::open`]), the `.dist-info`
    /// directory against the file name, `WHEEL`, `RECORD`'s form, `entry_points.txt`. File
    /// contents are checked by [`Wheel::verify_record`].
    pub fn open(
        path: &Path,
        filename: &WheelFilename,
        digest: Digest,
        unpacked_limit: u64,
    ) -> Result<Self, WheelError> {
        Self::read(path, filename, digest, unpacked_limit)
            .map_err(|problem| WheelError { filename: filename.to_string(), problem })
    }

    fn read(
        path: &Path,
        filename: &WheelFilename,
        digest: Digest,
        unpacked_limit: u64,
    ) -> Result<Self, WheelProblem> {
        let file = File::open(path).map_err(WheelProblem::Open)?;
        let file_size = file.metadata().map_err(WheelProblem::Open)?.len();
        let archive = Archive::open(file, unpacked_limit)?;
        let dist_info = find_dist_info(&archive, filename)?;
        let text = |name: &str| read_text(&archive, &format!("{dist_info}/{name}"));
        let required = |name: &str| {
            text(name)?.ok_or_else(|| WheelProblem::Missing(format!("{dist_info}/{name}")))
        };
        required("METADATA")?;
        let (root, newer) = parse_wheel_file(&required("WHEEL")?)?;
        let record = index_record(&required("RECORD")?)?;
        let scripts = match text("entry_points.txt")? {
            Some(text) => entry_points::scripts(&text)?,
            None => Vec::new(),
        };
        let mut wheel = Wheel {
            filename: filename.clone(),
            digest,
            file_size,
            archive,
            dist_info,
            root,
            record,
            scripts,
            warnings: newer.into_iter().collect(),
        };
        let flaws = wheel.record_flaws();
        wheel.warnings.extend(flaws);
        Ok(wheel)
    }

    /// The file name.
    pub fn filename(&self) -> &WheelFilename {
        &self.filename
    }

    /// The package.
    pub fn name(&self) -> &PackageName {
        self.filename.name()
    }

    /// The digest of the file.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// The size of the file.
    pub fn file_size(&self) -> u64 {
        self.file_size
    }

    /// The zip file.
    pub fn archive(&self) -> &Archive {
        &self.archive
    }

    /// The name of the `.dist-info` directory.
    pub fn dist_info(&self) -> &str {
        &self.dist_info
    }

    /// Where top-level files belong.
    pub fn root(&self) -> Root {
        self.root
    }

    /// The programs its entry points ask for, by name.
    pub fn scripts(&self) -> &[EntryPoint] {
        &self.scripts
    }

    /// Flaws that do not keep it from being installed.
    pub fn warnings(&self) -> &[WheelWarning] {
        &self.warnings
    }

    /// What RECORD says about a file.
    pub fn recorded(&self, path: &str) -> Option<&RecordRow> {
        self.record.get(path)
    }

    /// Unpacks every file once, keeping nothing, and compares size and hash with RECORD.
    ///
    /// The specification asks installers for this. pip and uv skip it; the wheel's own hash in
    /// the lock says more. It finds wheels whose files were edited without their RECORD, and is
    /// to be done once per wheel: the answer never changes.
    pub fn verify_record(&self) -> Result<(), WheelError> {
        self.archive
            .entries()
            .iter()
            .filter(|entry| !entry.is_directory())
            .try_for_each(|entry| self.verify_entry(entry))
            .map_err(|problem| WheelError { filename: self.filename.to_string(), problem })
    }

    fn verify_entry(&self, entry: &Entry) -> Result<(), WheelProblem> {
        let path = entry.name().to_owned();
        let Some(row) = self.recorded(entry.name()) else { return Ok(()) };
        if let Some(expected) = row.size.filter(|size| *size != entry.size()) {
            return Err(WheelProblem::Mismatch {
                path,
                expected: format!("{expected} bytes"),
                actual: format!("{} bytes", entry.size()),
            });
        }
        let Some(expected) = &row.hash else { return Ok(()) };
        let (actual, _) = expected
            .of_same_kind(self.archive.reader(entry))
            .map_err(|source| WheelProblem::Unpack { path: path.clone(), source })?;
        if actual != *expected {
            let (expected, actual) = (expected.to_string(), actual.to_string());
            return Err(WheelProblem::Mismatch { path, expected, actual });
        }
        Ok(())
    }

    /// The content hash of a file: from RECORD or, where that has none, computed.
    pub(crate) fn content_hash(&self, entry: &Entry) -> Result<RecordHash, WheelProblem> {
        if let Some(hash) = self.recorded(entry.name()).and_then(|row| row.hash.clone()) {
            return Ok(hash);
        }
        RecordHash::sha256(b"")
            .of_same_kind(self.archive.reader(entry))
            .map(|(hash, _)| hash)
            .map_err(|source| WheelProblem::Unpack { path: entry.name().to_owned(), source })
    }

    /// Whether RECORD says nothing about this file by design: itself and its signatures.
    fn is_exempt(&self, path: &str) -> bool {
        let name = path.strip_prefix(&self.dist_info).and_then(|p| p.strip_prefix('/'));
        matches!(name, Some("RECORD" | "RECORD.jws" | "RECORD.p7s"))
    }

    fn record_flaws(&self) -> Vec<WheelWarning> {
        let files: Vec<&str> =
            self.archive.entries().iter().filter(|e| !e.is_directory()).map(Entry::name).collect();
        let mut flaws = Vec::new();
        for path in files.iter().filter(|path| !self.is_exempt(path)) {
            match self.recorded(path) {
                None => flaws.push(WheelWarning::Unlisted((*path).to_owned())),
                Some(row) if row.hash.is_none() => {
                    flaws.push(WheelWarning::Unhashed((*path).to_owned()));
                }
                Some(_) => {}
            }
        }
        let present: std::collections::HashSet<&str> = files.into_iter().collect();
        let listed = self.record.keys().filter(|path| !self.is_exempt(path));
        // Old builders list directories.
        let absent = listed.filter(|path| !path.ends_with('/') && !present.contains(path.as_str()));
        flaws.extend(absent.map(|path| WheelWarning::Absent(path.clone())));
        flaws
    }
}

fn read_text(archive: &Archive, path: &str) -> Result<Option<String>, WheelProblem> {
    let Some(entry) = archive.find(path) else { return Ok(None) };
    let bytes = archive.read(entry, METADATA_LIMIT)?;
    String::from_utf8(bytes).map(Some).map_err(|_| WheelProblem::NotUtf8(path.to_owned()))
}

/// The one top-level `*.dist-info` directory, which must be named after the file's package and
/// version, whatever way either is spelled.
fn find_dist_info(archive: &Archive, filename: &WheelFilename) -> Result<String, WheelProblem> {
    let mut found: Vec<String> = archive
        .entries()
        .iter()
        .filter_map(|e| e.name().split_once('/'))
        .map(|(top, _)| top)
        .filter(|top| top.ends_with(".dist-info"))
        .map(str::to_owned)
        .collect();
    found.sort();
    found.dedup();
    match &found[..] {
        [one] if names_distribution(one.trim_end_matches(".dist-info"), filename) => {
            Ok(one.clone())
        }
        _ => {
            let expected = format!("{} {}", filename.name(), filename.version());
            Err(WheelProblem::DistInfo { found, expected })
        }
    }
}

/// Whether `stem`, as `Foo_Bar-1.0`, names the distribution of `filename`.
pub(crate) fn names_distribution(stem: &str, filename: &WheelFilename) -> bool {
    stem.split_once('-').is_some_and(|(name, version)| {
        PackageName::new(name).is_ok_and(|name| name == *filename.name())
            && parse_version(version).is_some_and(|version| version == *filename.version())
    })
}

fn parse_wheel_file(text: &str) -> Result<(Root, Option<WheelWarning>), WheelProblem> {
    let field = |wanted: &str| {
        text.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.trim().eq_ignore_ascii_case(wanted).then_some(value.trim())
        })
    };
    let version = field("Wheel-Version").ok_or(WheelProblem::WheelField("Wheel-Version"))?;
    let (major, minor) = version.split_once('.').unwrap_or((version, "0"));
    if major != "1" {
        return Err(WheelProblem::FormatVersion(version.to_owned()));
    }
    let newer = (minor != "0").then(|| WheelWarning::NewerFormat(version.to_owned()));
    let root = field("Root-Is-Purelib").ok_or(WheelProblem::WheelField("Root-Is-Purelib"))?;
    let root = match root.eq_ignore_ascii_case("true") {
        true => Root::Purelib,
        false => Root::Platlib,
    };
    Ok((root, newer))
}

fn index_record(text: &str) -> Result<BTreeMap<String, RecordRow>, WheelProblem> {
    let mut rows = BTreeMap::new();
    for row in record::parse(text)? {
        let path = row.path.strip_prefix("./").unwrap_or(&row.path).to_owned();
        if let Err(problem) = check_path(&path) {
            return Err(WheelProblem::RecordPath { path, problem });
        }
        match rows.get(&path) {
            // Some builders write a row twice; harmless where both say the same.
            Some(first) if *first != row => {
                let problem = "it is listed twice with different contents";
                return Err(WheelProblem::RecordPath { path, problem });
            }
            _ => rows.insert(path, row),
        };
    }
    Ok(rows)
}
