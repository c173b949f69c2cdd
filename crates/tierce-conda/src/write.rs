//! Layers out of packages.

use crate::archive::{Package, utf8};
use crate::error::{PackageError, PackageProblem};
use crate::fetch::StoredPackage;
use crate::info::{PackagePath, PathKind, Placeholder};
use crate::install::{CondaPrefix, Target};
use crate::layers::CondaLayerPlan;
use crate::lock::CondaLock;
use crate::prefix;
use crate::record::{self, Written};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::{self, Read, Write};
use tierce_layer::{EPOCH, Entry, EntryKind, LayerPath, LayerWriter, PathError, WriteError};
use tierce_oci::{Diagnostic, Digest, ErrorKind, Hasher};

/// Why a layer could not be written.
#[derive(Debug, thiserror::Error)]
pub enum LayerError {
    /// A package is bad.
    #[error(transparent)]
    Package(#[from] PackageError),
    /// A path can't be in a layer.
    #[error("a path can't be in a layer")]
    Path(#[from] PathError),
    /// Writing failed.
    #[error("the layer can't be written")]
    Write(#[from] WriteError),
}

impl Diagnostic for LayerError {
    fn code(&self) -> &'static str {
        match self {
            LayerError::Package(error) => error.code(),
            LayerError::Path(_) => "conda/bad-layer-path",
            LayerError::Write(_) => "conda/layer-write",
        }
    }

    fn kind(&self) -> ErrorKind {
        match self {
            LayerError::Package(error) => error.kind(),
            LayerError::Path(_) => ErrorKind::Upstream,
            LayerError::Write(_) => ErrorKind::Environment,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            LayerError::Package(error) => error.hint(),
            _ => None,
        }
    }
}

/// A path that several packages install.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clobber {
    /// The path below the prefix.
    pub path: String,
    /// The package whose file is in the image.
    pub winner: String,
    /// The others.
    pub losers: Vec<String>,
}

/// A symbolic link of a package that leads out of the environment, or has an absolute path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutsideLink {
    /// The package's file name.
    pub package: String,
    /// The link's path below the prefix.
    pub path: String,
    /// What it leads to, as it is written.
    pub target: String,
}

impl fmt::Display for OutsideLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let OutsideLink { package, path, target } = self;
        let (path, target) = (path.escape_debug(), target.escape_debug());
        write!(f, "{package}: {path} is a link out of the environment, to {target}")
    }
}

/// The paths that several packages install, and whose file it is that the image has: that of the
/// uppermost layer, within it of the last by name. For a warning: such packages don't belong
/// together, but conda installs them, too. A package that has files below a file or link of
/// another one is an error.
pub fn clobbers(
    plans: &[CondaLayerPlan],
    prefix: &CondaPrefix,
) -> Result<Vec<Clobber>, LayerError> {
    let mut all = vec![];
    for stored in plans.iter().flat_map(|plan| &plan.packages) {
        all.push((stored, targets(stored, prefix)?));
    }
    // What is one package's link must not be another one's directory, in whichever layer it is.
    check_leaves(&all)?;
    let mut owners: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for (stored, targets) in all {
        for (path, target) in targets {
            if !is_directory(&target) {
                owners.entry(path).or_default().push(&stored.package.name);
            }
        }
    }
    let several = owners.into_iter().filter(|(_, owners)| owners.len() > 1);
    Ok(several
        .filter_map(|(path, owners)| {
            let (winner, losers) = owners.split_last()?;
            let losers = losers.iter().map(|name| (*name).to_owned()).collect();
            Some(Clobber { path, winner: (*winner).to_owned(), losers })
        })
        .collect())
}

fn targets<'p>(
    stored: &'p StoredPackage,
    prefix: &CondaPrefix,
) -> Result<Vec<(String, Target<'p>)>, LayerError> {
    prefix.targets(stored).map_err(|problem| bad(stored, problem))
}

fn bad(stored: &StoredPackage, problem: PackageProblem) -> LayerError {
    let package = stored.package.filename().to_owned();
    LayerError::Package(PackageError { package, problem })
}

/// Writes the layer of some packages: package by package in the order of their names, each in the
/// order of its archive, every directory once and before what it holds.
///
/// Files keep the times that their package gives them, because compiled Python files in packages
/// name the times of their sources; what is made here is dated [`EPOCH`]. Everything belongs to
/// root. The bytes depend on the packages and the prefix alone.
///
/// The answer are the links that lead out of the environment. They are installed as they are, as
/// conda and rattler do: some packages have links to what the system has. A link is data here.
/// Nothing is ever written through one: what is in a layer has the path that it says, and paths
/// below a file or link are refused.
pub fn write_layer<W: Write>(
    plan: &CondaLayerPlan,
    prefix: &CondaPrefix,
    writer: &mut LayerWriter<W>,
) -> Result<Vec<OutsideLink>, LayerError> {
    let mut all = Vec::with_capacity(plan.packages.len());
    for stored in &plan.packages {
        all.push((stored, targets(stored, prefix)?));
    }
    check_leaves(&all)?;
    let owners = owners(&all);
    let mut tree = Tree { writer, prefix, directories: BTreeSet::new() };
    let mut outside = vec![];
    for (stored, targets) in &all {
        let own = |path: &str| owners.get(path).is_some_and(|owner| *owner == stored.package.name);
        outside.extend(write_package(stored, targets, &own, &mut tree)?);
    }
    Ok(outside)
}

/// Writes `conda-meta/history`, by which conda knows an environment, and knows what was asked
/// for in it.
pub fn write_history<W: Write>(
    lock: &CondaLock,
    specs: &[String],
    prefix: &CondaPrefix,
    writer: &mut LayerWriter<W>,
) -> Result<(), LayerError> {
    let mut text = "==> 1980-01-01 00:00:00 <==\n# cmd: tierce build\n".to_owned();
    for package in &lock.packages {
        let channel = package.channel.trim_end_matches('/');
        text.push_str(&format!("+{channel}/{}::{}\n", package.subdir, package.stem()));
    }
    let mut specs: Vec<String> = specs
        .iter()
        .filter(|s| !s.contains("://"))
        .map(|s| format!("'{}'", s.replace('\'', "\"")))
        .collect();
    specs.sort();
    text.push_str(&format!("# update specs: [{}]\n", specs.join(", ")));
    let mut tree = Tree { writer, prefix, directories: BTreeSet::new() };
    tree.file("conda-meta/history", 0o644, EPOCH, text.as_bytes())
}

/// What packages install, below the prefix.
type Targets<'p> = [(&'p StoredPackage, Vec<(String, Target<'p>)>)];

fn is_directory(target: &Target<'_>) -> bool {
    matches!(target, Target::Path(PackagePath { kind: PathKind::Directory, .. }))
}

/// Who a path of the layer belongs to.
fn owners<'p>(all: &Targets<'p>) -> BTreeMap<String, &'p str> {
    let each = all.iter().flat_map(|(stored, targets)| {
        targets.iter().map(|(path, _)| (path.clone(), stored.package.name.as_str()))
    });
    each.collect()
}

/// A path below a package's file or link would be a way out of the environment, or a file that
/// another's takes the place of.
fn check_leaves(all: &Targets<'_>) -> Result<(), LayerError> {
    let targets = all.iter().flat_map(|(_, targets)| targets);
    let leaves: BTreeSet<&str> = targets
        .filter(|(_, target)| !is_directory(target))
        .map(|(path, _)| path.as_str())
        .collect();
    for (stored, targets) in all {
        for (path, _) in targets {
            let above = path.match_indices('/').map(|(at, _)| &path[..at]);
            if let Some(above) = above.into_iter().find(|above| leaves.contains(above)) {
                let problem =
                    PackageProblem::path(above, "it is a file or link, and has files below");
                return Err(bad(stored, problem));
            }
        }
    }
    Ok(())
}

fn write_package<W: Write>(
    stored: &StoredPackage,
    targets: &[(String, Target<'_>)],
    own: &dyn Fn(&str) -> bool,
    tree: &mut Tree<'_, W>,
) -> Result<Vec<OutsideLink>, LayerError> {
    let package = stored.open()?;
    let places: BTreeMap<&str, (&str, &PackagePath)> = targets
        .iter()
        .filter_map(|(place, target)| match target {
            Target::Path(path) => Some((path.path.as_str(), (place.as_str(), *path))),
            _ => None,
        })
        .collect();
    let (written, links, outside) = (BTreeMap::new(), BTreeMap::new(), vec![]);
    let mut job = Job { package: &package, places, written, links, outside, tree, own };
    let all = package.each(&mut |entry, content| job.entry(entry, content));
    all.and_then(|()| job.hard_links()).map_err(|failure| match failure {
        Failure::Problem(problem) => LayerError::Package(package.error(problem)),
        Failure::Layer(error) => error,
    })?;
    job.directories()?;
    let Job { places, mut written, outside, tree, .. } = job;
    for (path, (place, source)) in &places {
        if !written.contains_key(*place) && source.kind != PathKind::Directory {
            let problem = PackageProblem::path(path, "it is listed and not there");
            return Err(LayerError::Package(package.error(problem)));
        }
    }
    for (place, target) in targets {
        if let Target::EntryPoint(point) = target {
            let script = tree.prefix.entry_point(point);
            let script = script.map_err(|problem| bad(stored, problem))?;
            let now = Written { sha256: Some(Digest::of(&script)), size: script.len() as u64 };
            written.insert(place.clone(), now);
            if own(place) {
                tree.file(place, 0o755, EPOCH, script.as_bytes())?;
            }
        }
    }
    let record = record::record(stored, tree.prefix, targets, &written);
    let place = format!("conda-meta/{}.json", stored.package.stem());
    tree.file(&place, 0o644, EPOCH, &record)?;
    Ok(outside)
}

enum Failure {
    Problem(PackageProblem),
    Layer(LayerError),
}

impl From<PackageProblem> for Failure {
    fn from(problem: PackageProblem) -> Self {
        Failure::Problem(problem)
    }
}

impl From<LayerError> for Failure {
    fn from(error: LayerError) -> Self {
        Failure::Layer(error)
    }
}

/// A package on its way into a layer.
struct Job<'a, 'w, W: Write> {
    package: &'a Package,
    /// By path in the package.
    places: BTreeMap<&'a str, (&'a str, &'a PackagePath)>,
    /// By place below the prefix.
    written: BTreeMap<String, Written>,
    /// Further names of files of the archive: place and source, by the file's path.
    links: BTreeMap<LayerPath, Vec<(&'a str, &'a PackagePath)>>,
    /// The links that lead out of the environment.
    outside: Vec<OutsideLink>,
    tree: &'a mut Tree<'w, W>,
    own: &'a dyn Fn(&str) -> bool,
}

impl<W: Write> Job<'_, '_, W> {
    fn entry(&mut self, entry: &Entry, content: &mut dyn Read) -> Result<(), Failure> {
        let path = utf8(entry)?;
        let Some(&(place, source)) = self.places.get(path) else { return Ok(()) };
        let problem = |problem| Failure::Problem(PackageProblem::path(path, problem));
        if self.written.contains_key(place) {
            return Err(problem("it is there twice"));
        }
        let now = match &entry.kind {
            EntryKind::Directory if source.kind == PathKind::Directory => return Ok(()),
            EntryKind::File { size } if source.kind == PathKind::File => {
                self.file(place, source, mode(entry.mode), time(entry), *size, content)?
            }
            EntryKind::HardLink { target } if source.kind == PathKind::File => {
                self.links.entry(target.clone()).or_default().push((place, source));
                // What is in it is known when the archive was read again.
                Written { sha256: None, size: 0 }
            }
            EntryKind::Symlink { target } if source.kind == PathKind::Symlink => {
                if !stays_inside(place, target) {
                    self.outside.push(OutsideLink {
                        package: self.package.name().to_owned(),
                        path: place.to_owned(),
                        target: String::from_utf8_lossy(target).into_owned(),
                    });
                }
                if (self.own)(place) {
                    self.tree.symlink(place, target, time(entry))?;
                }
                Written { sha256: Some(Digest::of(target)), size: 0 }
            }
            _ => return Err(problem("it is something else than paths.json says")),
        };
        self.written.insert(place.to_owned(), now);
        Ok(())
    }

    fn file(
        &mut self,
        place: &str,
        source: &PackagePath,
        mode: u32,
        mtime: i64,
        size: u64,
        content: &mut dyn Read,
    ) -> Result<Written, Failure> {
        if source.size.is_some_and(|declared| declared != size) {
            let problem = "it has another size than paths.json says";
            return Err(PackageProblem::path(&source.path, problem).into());
        }
        if let Some(placeholder) = &source.placeholder {
            return self.replaced(place, source, placeholder, (mode, mtime), size, content);
        }
        let mut content = Hashing { content, hasher: Hasher::new() };
        match (self.own)(place) {
            true => {
                let entry = self.tree.entry(place, EntryKind::File { size }, mode, mtime)?;
                let appended = self.tree.writer.append(&entry, &mut content);
                appended.map_err(failed_append)?;
            }
            false => {
                io::copy(&mut content, &mut io::sink()).map_err(PackageProblem::Content)?;
            }
        }
        let actual = content.hasher.finish();
        check(source, actual)?;
        Ok(Written { sha256: Some(actual), size })
    }

    fn replaced(
        &mut self,
        place: &str,
        source: &PackagePath,
        placeholder: &Placeholder,
        (mode, mtime): (u32, i64),
        size: u64,
        content: &mut dyn Read,
    ) -> Result<Written, Failure> {
        let limit = self.package.limits().in_memory;
        if size > limit {
            let problem = "a prefix in it is to be replaced, and it is too large for that";
            return Err(PackageProblem::path(&source.path, problem).into());
        }
        let mut data = Vec::with_capacity(size as usize);
        content.read_to_end(&mut data).map_err(PackageProblem::Content)?;
        check(source, Digest::of(&data))?;
        let data = prefix::replace(&source.path, &data, placeholder, self.tree.prefix.prefix())?;
        if (self.own)(place) {
            self.tree.file(place, mode, mtime, &data)?;
        }
        Ok(Written { sha256: Some(Digest::of(&data)), size: data.len() as u64 })
    }

    /// Second names of files of the archive. Each becomes a file of its own: the first may have
    /// another prefix in it, or may have gone elsewhere. Rare, so the archive is read again, once
    /// for all of them.
    fn hard_links(&mut self) -> Result<(), Failure> {
        let mut links = std::mem::take(&mut self.links);
        if links.is_empty() {
            return Ok(());
        }
        let (package, mut total) = (self.package, 0_u64);
        let limit = package.limits().unpacked;
        package.each(&mut |entry, content| -> Result<(), Failure> {
            if !entry.is_file() {
                return Ok(());
            }
            let Some(names) = links.remove(&entry.path) else { return Ok(()) };
            let (mode, time, size) = (mode(entry.mode), time(entry), entry.size());
            total = total.saturating_add(size.saturating_mul(names.len() as u64));
            if total > limit {
                return Err(PackageProblem::TooLarge { limit }.into());
            }
            if let [(place, source)] = names.as_slice() {
                let now = self.file(place, source, mode, time, size, content)?;
                self.written.insert((*place).to_owned(), now);
                return Ok(());
            }
            let data = self.in_memory(names[0].1, size, content)?;
            for (place, source) in names {
                let now = self.file(place, source, mode, time, size, &mut data.as_slice())?;
                self.written.insert(place.to_owned(), now);
            }
            Ok(())
        })?;
        match links.values().flatten().next() {
            None => Ok(()),
            Some((_, source)) => {
                let problem = "it is another name of a file that is not there";
                Err(PackageProblem::path(&source.path, problem).into())
            }
        }
    }

    /// A file that has several names.
    fn in_memory(
        &self,
        source: &PackagePath,
        size: u64,
        content: &mut dyn Read,
    ) -> Result<Vec<u8>, Failure> {
        if size > self.package.limits().in_memory {
            let problem = "it has several names, and is too large for that";
            return Err(PackageProblem::path(&source.path, problem).into());
        }
        let mut data = Vec::new();
        content.read_to_end(&mut data).map_err(PackageProblem::Content)?;
        Ok(data)
    }

    /// Directories that would be empty otherwise; archives need not have them.
    fn directories(&mut self) -> Result<(), LayerError> {
        for (place, source) in self.places.values() {
            if source.kind == PathKind::Directory {
                let path = self.tree.prefix.layer_path(place)?;
                self.tree.directory(&path)?;
            }
        }
        Ok(())
    }
}

/// Content that can't be read is the package's fault, not the layer's.
fn failed_append(error: WriteError) -> Failure {
    match error {
        WriteError::Input { source, .. } => Failure::Problem(PackageProblem::Content(source)),
        other => Failure::Layer(LayerError::Write(other)),
    }
}

fn check(source: &PackagePath, actual: Digest) -> Result<(), PackageProblem> {
    match source.sha256 {
        Some(expected) if expected != actual => Err(PackageProblem::Digest {
            path: source.path.escape_debug().to_string(),
            expected: expected.hex(),
            actual: actual.hex(),
        }),
        _ => Ok(()),
    }
}

/// The permission bits, without those that give a program its owner's rights.
fn mode(mode: u32) -> u32 {
    mode & 0o777
}

/// Python's `zipfile` refuses times before 1980.
fn time(entry: &Entry) -> i64 {
    entry.mtime.max(EPOCH)
}

/// Whether a link at `place` ends below the prefix.
fn stays_inside(place: &str, target: &[u8]) -> bool {
    if target.starts_with(b"/") {
        return false;
    }
    let mut depth = place.matches('/').count();
    for part in target.split(|b| *b == b'/') {
        match part {
            b"" | b"." => {}
            b".." => match depth.checked_sub(1) {
                Some(less) => depth = less,
                None => return false,
            },
            _ => depth += 1,
        }
    }
    true
}

struct Hashing<'a> {
    content: &'a mut dyn Read,
    hasher: Hasher,
}

impl Read for Hashing<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.content.read(buffer)?;
        self.hasher.update(&buffer[..read]);
        Ok(read)
    }
}

/// A layer below a prefix.
struct Tree<'w, W: Write> {
    writer: &'w mut LayerWriter<W>,
    prefix: &'w CondaPrefix,
    directories: BTreeSet<LayerPath>,
}

impl<W: Write> Tree<'_, W> {
    fn directory(&mut self, path: &LayerPath) -> Result<(), LayerError> {
        let above: Vec<LayerPath> = path.ancestors().chain([path.clone()]).collect();
        for directory in above.into_iter().filter(|d| !d.is_root()) {
            if self.directories.insert(directory.clone()) {
                self.writer.append(&Entry::directory(directory), io::empty())?;
            }
        }
        Ok(())
    }

    /// An entry below the prefix, its directories written.
    fn entry(
        &mut self,
        place: &str,
        kind: EntryKind,
        mode: u32,
        mtime: i64,
    ) -> Result<Entry, LayerError> {
        let path = self.prefix.layer_path(place)?;
        if let Some(parent) = path.parent() {
            self.directory(&parent)?;
        }
        Ok(Entry::new(path, kind, mode).with_mtime(mtime))
    }

    fn file(
        &mut self,
        place: &str,
        mode: u32,
        mtime: i64,
        content: &[u8],
    ) -> Result<(), LayerError> {
        let kind = EntryKind::File { size: content.len() as u64 };
        let entry = self.entry(place, kind, mode, mtime)?;
        Ok(self.writer.append(&entry, content)?)
    }

    fn symlink(&mut self, place: &str, target: &[u8], mtime: i64) -> Result<(), LayerError> {
        let kind = EntryKind::Symlink { target: target.to_vec() };
        let entry = self.entry(place, kind, 0o777, mtime)?;
        Ok(self.writer.append(&entry, io::empty())?)
    }
}
