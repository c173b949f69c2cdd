//! What a lock may name of the host: what is in the project, and what its manifests name
//! themselves. A lock is written by a program and read by nobody: it must not be the one that puts
//! a folder of the host into an image.

use super::error::GatherError;
use super::project::{GatheredProject, MANIFEST};
use super::read::MOST_TEXT;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use tierce_spec::ProjectKind;
use tierce_spec::locked::{named_paths, script_header};

/// More manifests that name each other than this are not followed.
const MOST_MANIFESTS: usize = 1000;

/// Where a lock may install from.
pub(super) struct Allowed {
    /// Real folders, with all that is below them.
    folders: Vec<PathBuf>,
    /// Real paths that manifests name.
    named: BTreeSet<PathBuf>,
}

impl Allowed {
    /// What is allowed to the lock of a project whose paths start from `root`; `image` is the
    /// image's own folder.
    pub(super) fn of(
        kind: ProjectKind,
        project: &GatheredProject,
        root: &Path,
        image: &Path,
    ) -> Self {
        let real = |path: &Path| path.canonicalize().ok();
        let root = real(root);
        let repository = root.as_deref().and_then(|root| {
            root.ancestors().find(|folder| folder.join(".git").exists()).map(Path::to_owned)
        });
        let folders = [root.clone(), repository, real(image)].into_iter().flatten().collect();
        let mut all = Allowed { folders, named: BTreeSet::new() };
        let manifest = &project.manifest;
        match kind {
            // It has no manifest, but may be beside one.
            ProjectKind::Pylock => root.iter().for_each(|root| all.follow(root.clone())),
            ProjectKind::Uv | ProjectKind::Poetry => {
                for file in [manifest].into_iter().chain(project.texts.values()) {
                    let text = String::from_utf8_lossy(&file.content);
                    let text = match file.path.extension().is_some_and(|e| e == "py") {
                        true => script_header(&text),
                        false => text.into_owned(),
                    };
                    all.name(file.path.parent().unwrap_or(Path::new("")), &text);
                }
            }
        }
        all
    }

    /// Adds what a manifest names, and what the manifests there name.
    fn name(&mut self, folder: &Path, manifest: &str) {
        for path in named_paths(manifest) {
            let Ok(path) = folder.join(path).canonicalize() else { continue };
            if self.named.len() < MOST_MANIFESTS && self.named.insert(path.clone()) {
                self.follow(path);
            }
        }
    }

    fn follow(&mut self, folder: PathBuf) {
        let read = tierce_tree::read_file(&folder.join(MANIFEST), MOST_TEXT);
        if let Ok(content) = read {
            self.name(&folder, &String::from_utf8_lossy(&content));
        }
    }

    /// Fails where something that is there is not allowed. What is missing is told of elsewhere.
    pub(super) fn check(&self, path: &Path, named: &Path, by: &Path) -> Result<(), GatherError> {
        let Ok(real) = path.canonicalize() else { return Ok(()) };
        let is_inside = self.folders.iter().any(|folder| real.starts_with(folder));
        match is_inside || self.named.contains(&real) {
            true => Ok(()),
            false => Err(GatherError::Outside {
                named: named.to_owned(),
                by: by.to_owned(),
                path: path.to_owned(),
            }),
        }
    }
}

/// Whether packages can be built from a folder (PEP 517, or setuptools' ways before it).
pub(super) fn is_project(folder: &Path) -> bool {
    [MANIFEST, "setup.py", "setup.cfg"].iter().any(|name| folder.join(name).is_file())
}
