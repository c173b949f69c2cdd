//! Folders of the host as what packages are built from: as a layer below the build, so that it
//! sees exactly what was digested, and may write into it as it likes.

use super::error::ProjectError;
use super::{flat, locks};
use crate::assembled::COMPRESSION;
use crate::context::Context;
use crate::error::NativeError;
use crate::key::KeyEncoder;
use crate::layer::{Layer, LayerOutcome};
use crate::make::LAYER;
use crate::pip::PipRequest;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use tierce_engine::Source;
use tierce_layer::LayerPath;
use tierce_oci::{BlobLocation, Digest};
use tierce_tree::{Node, ScanOptions};
use tierce_wheel::{
    BuildIndexes, BuildJob, BuildPaths, Lock, LockedPackage, Source as PackageSource, StoredWheel,
};

/// Where a folder is while a package is built from it.
pub const FOLDER: &str = "/var/tmp/tierce-build/source";

/// A folder that a package is built from.
#[derive(Clone, Debug)]
pub struct Folder {
    /// What of the host.
    pub source: Source,
    /// The package's own folder in it.
    pub subdirectory: Option<String>,
    /// Keeps a checkout where it is.
    _checkout: Option<Arc<tierce_store::ScratchDir>>,
}

impl Folder {
    /// All that the build depends on.
    pub fn key(&self) -> String {
        let digest = self.source.tree.digest();
        format!("{digest}#{}", self.subdirectory.as_deref().unwrap_or_default())
    }

    /// The package as it is built from the folder.
    pub fn package(&self, package: &LockedPackage) -> LockedPackage {
        let subdirectory = self.subdirectory.clone();
        let source = PackageSource::Directory { path: FOLDER.into(), subdirectory };
        LockedPackage { source, ..package.clone() }
    }

    /// Variables for backends that take the version from a version control system, which is not
    /// in the folder: a version that is the same for the same content.
    pub fn variables(&self) -> BTreeMap<String, String> {
        let own = self.subdirectory.as_deref().unwrap_or_default();
        let file = Path::new(own).join("pyproject.toml");
        let known =
            self.source.tree.entries().iter().any(|entry| {
                matches!(entry.node, Node::File { .. }) && entry.path.as_path() == file
            });
        let text = known.then(|| std::fs::read_to_string(self.source.root.join(file)).ok());
        let digest = self.source.tree.digest().hex();
        // Of the content, so that a wheel is never taken for that of other content.
        let version = format!("0.0.0+g{}", &digest[..12]);
        let text = text.flatten().unwrap_or_default();
        tierce_spec::locked::scm_variables(&text, &version)
    }
}

/// All folders that packages of an environment are built from, by what they are known by.
fn folders<'a>(request: &PipRequest<'a>) -> BTreeMap<PathBuf, &'a Source> {
    let mut all = flat::folders(request.gathered);
    all.extend(locks::folders(request.gathered));
    all
}

impl Context {
    /// The folder that a package is built from; `None` for those that are built from elsewhere.
    pub async fn folder_of(
        &self,
        package: &LockedPackage,
        request: &PipRequest<'_>,
    ) -> Result<Option<Folder>, NativeError> {
        match &package.source {
            PackageSource::Directory { path, subdirectory } => {
                let found = folders(request).get(path).copied().cloned();
                let source = found.ok_or_else(|| ProjectError::NoSource {
                    package: package.name.to_string(),
                    path: path.clone(),
                })?;
                let subdirectory = subdirectory.clone();
                Ok(Some(Folder { source, subdirectory, _checkout: None }))
            }
            // Not to be seen in an image.
            PackageSource::Vcs(vcs) if vcs.location.is_local() => {
                let checkout = self.checkout(package).await?;
                let tree = tierce_tree::scan(checkout.path(), &ScanOptions::default(), None);
                let tree = Arc::new(tree.map_err(|error| {
                    NativeError::io(checkout.path())(std::io::Error::other(error))
                })?);
                let source = Source { root: checkout.path().to_owned(), tree };
                let subdirectory = vcs.subdirectory.clone();
                Ok(Some(Folder { source, subdirectory, _checkout: Some(Arc::new(checkout)) }))
            }
            _ => Ok(None),
        }
    }

    /// Checks out a repository of this machine. Nothing of what is in it runs.
    async fn checkout(
        &self,
        package: &LockedPackage,
    ) -> Result<tierce_store::ScratchDir, NativeError> {
        let missing = || NativeError::Unbuildable {
            package: package.name.to_string(),
            kind: "a git repository of this machine, which has no git",
        };
        let mut places = self.settings.search_path.iter().map(|folder| folder.join("git"));
        let git = places.find(|program| program.is_file()).ok_or_else(missing)?;
        let scratch = self.store.scratch_dir("checkout")?;
        let directory = scratch.path().to_string_lossy().into_owned();
        let paths = BuildPaths { uv: "", python: "", source: &directory, out: "", cache: "" };
        let job = BuildJob::new(package, &paths, &BuildIndexes::default()).ok_or_else(missing)?;
        // All but the last, which is the build.
        for argv in job.commands.split_last().map(|(_, checkout)| checkout).unwrap_or_default() {
            let output = tokio::process::Command::new(&git)
                .args(&argv[1..])
                .env_clear()
                .envs([("GIT_CONFIG_GLOBAL", "/dev/null"), ("GIT_CONFIG_SYSTEM", "/dev/null")])
                .env("GIT_TERMINAL_PROMPT", "0")
                .env("PATH", std::env::join_paths(&self.settings.search_path).unwrap_or_default())
                .stdin(Stdio::null())
                .kill_on_drop(true)
                .output()
                .await
                .map_err(NativeError::io(&git))?;
            if !output.status.success() {
                let said = String::from_utf8_lossy(&output.stderr);
                let tail = said.lines().map(str::to_owned).collect();
                let title = format!("check out {}", package.name);
                let exit = tierce_sandbox::Exit::Code(output.status.code().unwrap_or(1));
                return Err(NativeError::StepFailed { title, exit, tail });
            }
        }
        Ok(scratch)
    }

    /// A folder as a layer.
    pub async fn folder_layer(&self, folder: &Folder) -> Result<Option<Layer>, NativeError> {
        let key = KeyEncoder::new("build-source")
            .digest("tree", &folder.source.tree.digest())
            .text("destination", FOLDER)
            .text("compression", COMPRESSION.media_type().as_str())
            .finish();
        let known = self.store.record::<LayerOutcome>(LAYER, &key.0);
        let is_there = |outcome: &LayerOutcome| match outcome {
            LayerOutcome::Layer(record) => {
                self.store.has(&record.descriptor.digest) == Some(record.descriptor.size)
            }
            LayerOutcome::Empty => true,
        };
        let outcome = match known.filter(is_there) {
            Some(outcome) => outcome,
            None => {
                let destination = LayerPath::new(FOLDER).map_err(tierce_wheel::LayerError::from)?;
                let outcome = self.source(&folder.source, &destination).await?;
                self.store.put_record(LAYER, &key.0, &outcome)?;
                outcome
            }
        };
        Ok(match outcome {
            LayerOutcome::Empty => None,
            LayerOutcome::Layer(record) => {
                let path = self.store.blob_path(&record.descriptor.digest);
                Some(Layer {
                    record: *record,
                    location: BlobLocation::File(path),
                    created_by: String::new(),
                    cached: true,
                })
            }
        })
    }
}

/// The lock with the versions of what was built, where it has none.
pub fn with_versions(lock: &Lock, wheels: &[StoredWheel]) -> Lock {
    let packages = lock.packages().iter().cloned().map(|mut package| {
        if package.version.is_none()
            && let Some(wheel) = wheels.iter().find(|wheel| wheel.package == package.name)
        {
            package.version = Some(wheel.filename.version().clone());
        }
        package
    });
    Lock::of(lock.target(), packages.collect())
}

/// Fails where something else was built than what is locked.
pub fn check_built(lock: &Lock, wheels: &[StoredWheel]) -> Result<(), ProjectError> {
    for (package, wheel) in lock.to_build().zip(wheels) {
        if package.name != wheel.package {
            let (package, built) = (package.name.clone(), wheel.package.clone());
            return Err(ProjectError::OtherPackage { package, built });
        }
    }
    Ok(())
}

/// What is built of an archive is the same whoever asks for it.
pub fn source_key(package: &LockedPackage, folder: Option<&Folder>) -> String {
    let digest = |digest: &Digest| digest.to_string();
    match (&package.source, folder) {
        (_, Some(folder)) => folder.key(),
        (PackageSource::Sdist { file, .. }, None) => digest(&file.digest),
        (PackageSource::Vcs(vcs), None) => vcs.commit.clone(),
        (PackageSource::Wheel { file, .. }, None) => digest(&file.digest),
        (PackageSource::Directory { path, .. }, None) => path.display().to_string(),
    }
}
