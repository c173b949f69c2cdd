//! Which file of a wheel goes where.

use crate::name::PackageName;
use crate::record::{self, RecordHash, RecordRow};
use crate::script;
use crate::target::PythonVersion;
use crate::wheel::{Root, Wheel, WheelError, WheelProblem, names_distribution};
use crate::zip::Entry;
use std::collections::BTreeMap;
use std::io::{self, Read};

/// What installed the packages, for `INSTALLER` files.
pub(crate) const INSTALLER: &str = "tierce\n";

/// The largest script that is read into memory to have its first line replaced.
const SCRIPT_LIMIT: u64 = 64 << 20;

/// The environment that wheels are installed into: a virtual environment's scheme (`venv` in
/// Python's `sysconfig`) below a prefix.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct InstallTarget {
    prefix: String,
    python: PythonVersion,
}

/// Why a path can't be an environment's prefix.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} can't hold a python environment: expected an absolute path without '.', '..' and control characters"
)]
pub struct PrefixError(pub String);

impl InstallTarget {
    /// The prefix that tierce uses unless told otherwise.
    pub const DEFAULT_PREFIX: &str = "/opt/venv";

    /// An environment at `prefix` for this interpreter, of which only `major.minor` matters.
    pub fn new(prefix: &str, python: PythonVersion) -> Result<Self, PrefixError> {
        let bad = || PrefixError(prefix.to_owned());
        let relative = prefix.strip_prefix('/').ok_or_else(bad)?.trim_end_matches('/');
        crate::zip::check_path(relative).map_err(|_| bad())?;
        Ok(InstallTarget { prefix: format!("/{relative}"), python })
    }

    /// The prefix, absolute, without a trailing slash.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The interpreter's version.
    pub fn python(&self) -> PythonVersion {
        self.python
    }

    /// The interpreter that scripts are run by.
    pub fn interpreter(&self) -> String {
        format!("{}/bin/python", self.prefix)
    }

    /// Where modules go, relative to the prefix; `purelib` and `platlib` are one.
    pub fn site_packages(&self) -> String {
        format!("lib/python{}/site-packages", self.python.short())
    }

    fn headers(&self, package: &PackageName) -> String {
        format!("include/site/python{}/{package}", self.python.short())
    }

    /// Paths that belong to the environment and not to any package.
    fn is_protected(&self, path: &str) -> bool {
        let versioned = format!("bin/python{}", self.python.short());
        matches!(path, "pyvenv.cfg" | "bin" | "lib" | "lib64" | "bin/python" | "bin/python3")
            || path == versioned
    }

    /// A path below the prefix as RECORD spells it: relative to the modules' directory.
    fn record_path(&self, path: &str) -> String {
        let site = self.site_packages();
        match path.strip_prefix(&site).and_then(|p| p.strip_prefix('/')) {
            Some(inside) => inside.to_owned(),
            None => format!("../../../{path}"),
        }
    }
}

/// Where a file's content comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// An entry of the wheel, by its index in the archive.
    Entry(usize),
    /// Made by the installer.
    Bytes(Vec<u8>),
}

/// A file to be installed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedFile {
    /// The content.
    pub content: Content,
    /// 0644 or 0755.
    pub mode: u32,
    /// The content's hash; a RECORD has none.
    pub hash: Option<RecordHash>,
    /// The content's size.
    pub size: u64,
}

impl PlannedFile {
    fn generated(bytes: Vec<u8>, mode: u32) -> Self {
        PlannedFile {
            hash: Some(RecordHash::sha256(&bytes)),
            size: bytes.len() as u64,
            content: Content::Bytes(bytes),
            mode,
        }
    }
}

/// A wheel and where its files go. A function of the wheel and the target alone.
///
/// Follows "Installing a wheel" of the binary distribution format and "Recording installed
/// projects". Two files that an installer writes are left out, since they tell of the
/// environment and not of the wheel: `REQUESTED` and `direct_url.json`. They, and bytecode, are
/// in layers of their own and not listed in the RECORD.
#[derive(Debug)]
pub struct InstallPlan {
    wheel: Wheel,
    target: InstallTarget,
    files: BTreeMap<String, PlannedFile>,
}

impl InstallPlan {
    /// Plans the installation of `wheel`.
    pub fn new(wheel: Wheel, target: &InstallTarget) -> Result<Self, WheelError> {
        match plan_files(&wheel, target) {
            Ok(files) => Ok(InstallPlan { wheel, target: target.clone(), files }),
            Err(problem) => Err(WheelError { filename: wheel.filename().to_string(), problem }),
        }
    }

    /// The wheel.
    pub fn wheel(&self) -> &Wheel {
        &self.wheel
    }

    /// The environment.
    pub fn target(&self) -> &InstallTarget {
        &self.target
    }

    /// The files by path relative to the prefix, sorted.
    pub fn files(&self) -> &BTreeMap<String, PlannedFile> {
        &self.files
    }

    /// The `.dist-info` directory, relative to the prefix.
    pub fn dist_info(&self) -> String {
        format!("{}/{}", self.target.site_packages(), self.wheel.dist_info())
    }

    /// The modules that bytecode is made of, as absolute paths, sorted.
    pub fn modules(&self) -> impl Iterator<Item = String> + '_ {
        let site = format!("{}/", self.target.site_packages());
        self.files
            .keys()
            .filter(move |path| path.starts_with(&site) && path.ends_with(".py"))
            .map(|path| format!("{}/{path}", self.target.prefix()))
    }
}

fn plan_files(
    wheel: &Wheel,
    target: &InstallTarget,
) -> Result<BTreeMap<String, PlannedFile>, WheelProblem> {
    let mut files = BTreeMap::new();
    let mut add = |path: String, file: PlannedFile| {
        if target.is_protected(&path) {
            return Err(WheelProblem::Protected(path));
        }
        match files.insert(path.clone(), file) {
            None => Ok(()),
            Some(_) => Err(WheelProblem::Doubled(path)),
        }
    };
    for (index, entry) in wheel.archive().entries().iter().enumerate() {
        let Some(place) = place(wheel, target, entry)? else { continue };
        let file = match &place.kind {
            Kind::Script => plan_script(wheel, target, index, entry)?,
            Kind::Plain => plan_entry(wheel, index, entry)?,
        };
        add(place.path, file)?;
    }
    let interpreter = target.interpreter();
    for point in wheel.scripts() {
        let text = script::wrapper(&interpreter, point);
        add(format!("bin/{}", point.name), PlannedFile::generated(text.into_bytes(), 0o755))?;
    }
    let dist_info = format!("{}/{}", target.site_packages(), wheel.dist_info());
    add(format!("{dist_info}/INSTALLER"), PlannedFile::generated(INSTALLER.into(), 0o644))?;
    let record_path = format!("{dist_info}/RECORD");
    let mut record = plan_record(target, &files, &record_path);
    record.hash = None;
    files.insert(record_path, record);
    Ok(files)
}

fn plan_record(
    target: &InstallTarget,
    files: &BTreeMap<String, PlannedFile>,
    record_path: &str,
) -> PlannedFile {
    let mut rows: Vec<RecordRow> = files
        .iter()
        .map(|(path, file)| RecordRow {
            path: target.record_path(path),
            hash: file.hash.clone(),
            size: Some(file.size),
        })
        .collect();
    rows.push(RecordRow { path: target.record_path(record_path), hash: None, size: None });
    PlannedFile::generated(record::format(&rows).into_bytes(), 0o644)
}

enum Kind {
    Plain,
    Script,
}

struct Place {
    path: String,
    kind: Kind,
}

/// Where an entry goes; `None` for what is not installed.
fn place(
    wheel: &Wheel,
    target: &InstallTarget,
    entry: &Entry,
) -> Result<Option<Place>, WheelProblem> {
    if entry.is_directory() {
        return Ok(None);
    }
    let (top, rest) = entry.name().split_once('/').unwrap_or((entry.name(), ""));
    if top == wheel.dist_info() {
        // The installer's own files: made anew, or not the wheel's to say.
        if matches!(rest, "RECORD" | "INSTALLER" | "REQUESTED" | "direct_url.json") {
            return Ok(None);
        }
    }
    let site = target.site_packages();
    let is_data =
        top.strip_suffix(".data").is_some_and(|stem| names_distribution(stem, wheel.filename()));
    if !is_data {
        // purelib and platlib are one directory in a virtual environment.
        let (Root::Purelib | Root::Platlib) = wheel.root();
        return Ok(Some(Place { path: format!("{site}/{}", entry.name()), kind: Kind::Plain }));
    }
    let unknown = || WheelProblem::Scheme(entry.name().to_owned());
    let (scheme, path) = rest.split_once('/').ok_or_else(unknown)?;
    let place = match scheme {
        "purelib" | "platlib" => Place { path: format!("{site}/{path}"), kind: Kind::Plain },
        "headers" => {
            Place { path: format!("{}/{path}", target.headers(wheel.name())), kind: Kind::Plain }
        }
        "scripts" if is_legacy_wrapper(wheel, path) => return Ok(None),
        "scripts" => Place { path: format!("bin/{path}"), kind: Kind::Script },
        // `lib64` is a link to `lib` in the environment; a layer must not turn it into a directory.
        "data" => match path.strip_prefix("lib64/") {
            Some(inside) => Place { path: format!("lib/{inside}"), kind: Kind::Plain },
            None => Place { path: path.to_owned(), kind: Kind::Plain },
        },
        _ => return Err(unknown()),
    };
    Ok(Some(place))
}

/// Whether a script is setuptools' wrapper of an entry point, which is made anew (as in pip).
fn is_legacy_wrapper(wheel: &Wheel, script: &str) -> bool {
    let lower = script.to_ascii_lowercase();
    let stem = [".exe", "-script.py", ".pya"]
        .iter()
        .find(|suffix| lower.ends_with(**suffix))
        .map_or(script, |suffix| &script[..script.len() - suffix.len()]);
    wheel.scripts().iter().any(|point| point.name == stem)
}

fn plan_entry(wheel: &Wheel, index: usize, entry: &Entry) -> Result<PlannedFile, WheelProblem> {
    Ok(PlannedFile {
        content: Content::Entry(index),
        mode: if entry.is_executable() { 0o755 } else { 0o644 },
        hash: Some(wheel.content_hash(entry)?),
        size: entry.size(),
    })
}

fn plan_script(
    wheel: &Wheel,
    target: &InstallTarget,
    index: usize,
    entry: &Entry,
) -> Result<PlannedFile, WheelProblem> {
    let unpack = |source| WheelProblem::Unpack { path: entry.name().to_owned(), source };
    let mut start = Vec::new();
    let length = script::PLACEHOLDER.len() as u64;
    wheel.archive().reader(entry).take(length).read_to_end(&mut start).map_err(unpack)?;
    if start != script::PLACEHOLDER {
        return Ok(PlannedFile { mode: 0o755, ..plan_entry(wheel, index, entry)? });
    }
    let original = wheel.archive().read(entry, SCRIPT_LIMIT)?;
    let changed = script::with_shebang(&target.interpreter(), &original);
    Ok(PlannedFile::generated(changed, 0o755))
}

/// A planned file's content, unpacked.
pub(crate) fn reader<'a>(plan: &'a InstallPlan, file: &'a PlannedFile) -> Box<dyn Read + 'a> {
    match &file.content {
        Content::Bytes(bytes) => Box::new(io::Cursor::new(bytes)),
        Content::Entry(index) => {
            let archive = plan.wheel().archive();
            Box::new(archive.reader(&archive.entries()[*index]))
        }
    }
}
