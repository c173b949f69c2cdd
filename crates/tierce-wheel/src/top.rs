//! What depends on more than one wheel: the small layer above all wheels' layers.

use crate::install::{InstallPlan, InstallTarget};
use crate::layers::KeyHasher;
use crate::lock::LockedPackage;
use crate::name::PackageName;
use crate::write::{LayerError, Tree, layer_path};
use std::collections::BTreeMap;
use std::fmt;
use std::io::Write;
use tierce_layer::{Compression, LayerWriter};
use tierce_oci::{Diagnostic, Digest, ErrorKind};

/// Two wheels have a file in one place with different content. The last by name wins, as if
/// installed last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// Relative to the prefix.
    pub path: String,
    /// Whose file is in the image.
    pub winner: PackageName,
    /// Whose files are not.
    pub losers: Vec<PackageName>,
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let losers: Vec<&str> = self.losers.iter().map(PackageName::as_str).collect();
        let (path, losers, winner) = (&self.path, losers.join(", "), &self.winner);
        write!(f, "{path} of {losers} is replaced by that of {winner}")
    }
}

/// Wheels that can't be installed together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file_of} has a file {path}, where {directory_of} has a directory")]
pub struct FileConflict {
    /// Relative to the prefix.
    pub path: String,
    /// The package with the file.
    pub file_of: PackageName,
    /// The package with the directory.
    pub directory_of: PackageName,
}

impl Diagnostic for FileConflict {
    fn code(&self) -> &'static str {
        "python/file-conflict"
    }

    fn kind(&self) -> ErrorKind {
        ErrorKind::User
    }

    fn hint(&self) -> Option<String> {
        Some(format!("Require only one of {} and {}.", self.file_of, self.directory_of))
    }
}

/// The resolved layer above the wheels' layers: files that wheels disagree about, `REQUESTED`
/// markers and `direct_url.json` (PEP 610).
#[derive(Debug)]
pub struct TopLayer<'a> {
    target: InstallTarget,
    conflicts: Vec<Conflict>,
    winners: BTreeMap<String, &'a InstallPlan>,
    notes: BTreeMap<String, Vec<u8>>,
}

impl<'a> TopLayer<'a> {
    /// Compares all wheels of an environment. `packages` are those of the lock; a package
    /// without a wheel among `plans` is left out.
    pub fn new(
        target: &InstallTarget,
        plans: &[&'a InstallPlan],
        packages: &[LockedPackage],
    ) -> Result<Self, FileConflict> {
        let mut plans = plans.to_vec();
        plans.sort_by_key(|plan| plan.wheel().name().clone());
        let mut owners: BTreeMap<&str, Vec<&'a InstallPlan>> = BTreeMap::new();
        for plan in &plans {
            for path in plan.files().keys() {
                owners.entry(path).or_default().push(plan);
            }
        }
        check_directories(&owners)?;
        let mut conflicts = Vec::new();
        let mut winners = BTreeMap::new();
        for (path, owners) in owners {
            let differs = |plan: &&InstallPlan| {
                let (file, first) = (&plan.files()[path], &owners[0].files()[path]);
                (&file.hash, file.size, file.mode) != (&first.hash, first.size, first.mode)
            };
            let Some((winner, losers)) = owners.split_last() else { continue };
            if owners.iter().any(differs) {
                conflicts.push(Conflict {
                    path: path.to_owned(),
                    winner: winner.wheel().name().clone(),
                    losers: losers.iter().map(|plan| plan.wheel().name().clone()).collect(),
                });
                winners.insert(path.to_owned(), *winner);
            }
        }
        let notes = notes(&plans, packages);
        Ok(TopLayer { target: target.clone(), conflicts, winners, notes })
    }

    /// What the wheels disagree about: each is worth a warning.
    pub fn conflicts(&self) -> &[Conflict] {
        &self.conflicts
    }

    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.winners.is_empty() && self.notes.is_empty()
    }

    /// What the layer's bytes depend on.
    pub fn key(&self, compression: Compression) -> Digest {
        let mut hasher = KeyHasher::new("tierce-wheel/top", &self.target);
        hasher.field(compression.media_type().as_str());
        for (path, plan) in &self.winners {
            hasher.field("winner");
            hasher.field(path);
            hasher.field(&plan.wheel().digest().to_string());
        }
        for (path, content) in &self.notes {
            hasher.field("note");
            hasher.field(path);
            hasher.field(&Digest::of(content).to_string());
        }
        hasher.finish()
    }

    /// Writes the layer.
    pub fn write<W: Write>(&self, writer: &mut LayerWriter<W>) -> Result<(), LayerError> {
        let mut paths: Vec<&String> = self.winners.keys().chain(self.notes.keys()).collect();
        paths.sort();
        let mut tree = Tree::new(writer);
        for path in paths {
            let place = layer_path(&self.target, path)?;
            match self.winners.get(path) {
                Some(plan) => tree.planned(place, plan, &plan.files()[path])?,
                None => tree.bytes(place, 0o644, &self.notes[path])?,
            }
        }
        Ok(())
    }
}

fn notes(plans: &[&InstallPlan], packages: &[LockedPackage]) -> BTreeMap<String, Vec<u8>> {
    let mut notes = BTreeMap::new();
    for package in packages {
        let Some(plan) = plans.iter().find(|plan| *plan.wheel().name() == package.name) else {
            continue;
        };
        if package.requested {
            notes.insert(format!("{}/REQUESTED", plan.dist_info()), Vec::new());
        }
        if let Some(url) = package.source.direct_url() {
            notes.insert(format!("{}/direct_url.json", plan.dist_info()), url.into_bytes());
        }
    }
    notes
}

fn check_directories(owners: &BTreeMap<&str, Vec<&InstallPlan>>) -> Result<(), FileConflict> {
    for (path, below) in owners {
        for (at, _) in path.match_indices('/') {
            if let Some(file) = owners.get(&path[..at]) {
                return Err(FileConflict {
                    path: path[..at].to_owned(),
                    file_of: file[0].wheel().name().clone(),
                    directory_of: below[0].wheel().name().clone(),
                });
            }
        }
    }
    Ok(())
}
