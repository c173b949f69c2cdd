//! Whether sources are still what an image was pinned to.

use super::place::Place;
use super::{GatherCache, GatherError, Gathered, GatheredBase, Source, gather_at};
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tierce_oci::{Diagnostic, Digest, ErrorKind};
use tierce_tree::{ScanError, Tree, TreeEntry};

/// What became of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It was not there.
    Added,
    /// It is gone.
    Removed,
    /// It is another one than it was.
    Modified,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Change::Added => "added",
            Change::Removed => "removed",
            Change::Modified => "changed",
        })
    }
}

/// Why sources are not what an image was pinned to.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// One is another one by now.
    #[error("{} was {change} during the build", path.display())]
    Changed {
        /// The first one by name.
        path: PathBuf,
        /// What became of it.
        change: Change,
    },
    /// They can't be read any more.
    #[error(transparent)]
    Unreadable(Arc<GatherError>),
}

impl Diagnostic for VerifyError {
    fn code(&self) -> &'static str {
        match self {
            VerifyError::Changed { .. } => "source/changed",
            VerifyError::Unreadable(error) => error.code(),
        }
    }

    fn kind(&self) -> ErrorKind {
        match self {
            VerifyError::Changed { .. } => ErrorKind::User,
            VerifyError::Unreadable(error) => error.kind(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            VerifyError::Changed { .. } => Some(
                "Build again when nothing writes to the sources, or leave out in .dockerignore \
                 what always changes."
                    .into(),
            ),
            VerifyError::Unreadable(error) => error.hint(),
        }
    }
}

impl Gathered {
    /// Reads all inputs again and compares: what is built must be what its key says.
    ///
    /// Belongs between the moment when the builder has read its last input and the one when the
    /// result gets its name: after the build, before anything is tagged or pushed. With the cache
    /// of the first reading nothing is read again but what the file system says of the files, and
    /// those that were written less than two seconds before.
    ///
    /// # Errors
    /// [`VerifyError::Changed`] with the path, where the image would have another key by now. A
    /// change that makes no other image (a comment in a requirements file, a file that is left
    /// out) is none.
    pub fn verify(&self, cache: &GatherCache) -> Result<(), VerifyError> {
        let place = Place::new(&self.root);
        let now = gather_at(self.resolved.image(), place, cache).map_err(gone)?;
        // What is locked is no input that could change.
        let pinned = match self.resolved.lock() {
            Some(lock) => now.resolved.clone().with_lock(lock),
            None => now.resolved.clone(),
        };
        if pinned == self.resolved {
            return Ok(());
        }
        let (path, change) =
            self.first_change(&now).unwrap_or_else(|| (self.root.clone(), Change::Modified));
        Err(VerifyError::Changed { path, change })
    }

    fn first_change(&self, now: &Gathered) -> Option<(PathBuf, Change)> {
        let in_base = match (&self.base, &now.base) {
            (Some(GatheredBase::Image(then)), Some(GatheredBase::Image(now))) => {
                then.first_change(now)
            }
            (Some(GatheredBase::Dockerfile(then)), Some(GatheredBase::Dockerfile(now))) => {
                change_of_source(&then.context, &now.context)
            }
            _ => None,
        };
        let in_sources = || {
            self.sources
                .iter()
                .find_map(|(step, source)| change_of_source(source, now.sources.get(step)?))
        };
        let in_projects = || {
            let of_projects = self.projects.iter().map(|read| (read, &now.projects));
            let of_conda = self.conda.iter().map(|read| (read, &now.conda));
            of_projects.chain(of_conda).find_map(|((step, project), now)| {
                let now = now.get(step)?;
                let pairs = project.local.iter().filter_map(|(p, s)| Some((s, now.local.get(p)?)));
                pairs.into_iter().find_map(|(then, now)| change_of_source(then, now))
            })
        };
        in_base
            .or_else(in_sources)
            .or_else(in_projects)
            .or_else(|| first_difference(&self.singles(), &now.singles()))
    }

    /// All single files.
    fn singles(&self) -> BTreeMap<&Path, Digest> {
        let files = self.files.iter().map(|(path, digest)| (path.as_path(), *digest));
        let wheels = self.wheels.values().flatten();
        let projects = self.projects.values().chain(self.conda.values());
        let wheels = wheels.map(|wheel| (wheel.path.as_path(), wheel.digest));
        files.chain(wheels).chain(projects.flat_map(|project| project.files())).collect()
    }
}

/// What can't be read where it could before has changed, unless it is there and shut.
fn gone(error: Arc<GatherError>) -> VerifyError {
    let change = match &*error {
        GatherError::Missing { .. }
        | GatherError::MissingLocal { .. }
        | GatherError::Scan { source: ScanError::NotFound { .. }, .. } => Change::Removed,
        GatherError::Kind { .. } | GatherError::NoWheels { .. } | GatherError::Ignored { .. } => {
            Change::Modified
        }
        GatherError::Scan { source: ScanError::Changed { .. }, .. } => Change::Modified,
        _ => return VerifyError::Unreadable(error),
    };
    match error.path() {
        Some(path) => VerifyError::Changed { path: path.to_owned(), change },
        None => VerifyError::Unreadable(error),
    }
}

fn change_of_source(then: &Source, now: &Source) -> Option<(PathBuf, Change)> {
    let entries = |tree: &Tree| -> BTreeMap<PathBuf, TreeEntry> {
        let entry = |entry: &TreeEntry| (entry.path.as_path().to_owned(), entry.clone());
        tree.entries().iter().map(entry).collect()
    };
    if then.tree.digest() == now.tree.digest() {
        return None;
    }
    let (path, change) = first_difference(&entries(&then.tree), &entries(&now.tree))?;
    let path = if path.as_os_str().is_empty() { then.root.clone() } else { then.root.join(path) };
    Some((path, change))
}

/// The first key that only one of two maps has, or that has another value in each.
fn first_difference<K: Ord + AsRef<Path>, V: PartialEq>(
    then: &BTreeMap<K, V>,
    now: &BTreeMap<K, V>,
) -> Option<(PathBuf, Change)> {
    let changed = then.iter().filter_map(|(key, value)| match now.get(key) {
        None => Some((key, Change::Removed)),
        Some(other) if other != value => Some((key, Change::Modified)),
        Some(_) => None,
    });
    let added = now.keys().filter(|key| !then.contains_key(*key)).map(|key| (key, Change::Added));
    let first = changed.chain(added).min_by(|(a, _), (b, _)| a.cmp(b));
    first.map(|(path, change)| (path.as_ref().to_owned(), change))
}
