//! From projects to what they lock, for one target.

use super::error::ProjectError;
use super::selection::{poetry_selection, pylock_selection, uv_arguments};
use crate::context::Context;
use crate::credentials::without_credentials;
use crate::error::NativeError;
use crate::key::KeyEncoder;
use crate::pip::PipRequest;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tierce_engine::{AnyDiagnostic, Events, Gathered, GatheredProject, Outcome, Source, StepKind};
use tierce_oci::{Diagnostic, Digest};
use tierce_spec::locked::plain;
use tierce_spec::{Project, ProjectInstall, ProjectKind};
use tierce_store::RecordKind;
use tierce_wheel::poetry::{self, LocateSettings};
use tierce_wheel::{
    ExportSettings, Location, Lock, LockedPackage, PackageName, Source as PackageSource, Target,
    UvProject, UvScript,
};
use url::Url;

/// What projects lock, by all that was read of them.
const PROJECT_LOCK: RecordKind = RecordKind::new("project-lock");

#[derive(Serialize, Deserialize)]
struct Record {
    pylock: String,
}

/// The packages of all projects of an environment, each with the project that locks it.
#[derive(Clone, Debug, Default)]
pub struct ProjectPackages(pub BTreeMap<PackageName, (LockedPackage, PathBuf)>);

impl ProjectPackages {
    /// The packages.
    pub fn packages(&self) -> Vec<LockedPackage> {
        self.0.values().map(|(package, _)| package.clone()).collect()
    }

    fn add(&mut self, lock: &Lock, project: &Path) -> Result<(), ProjectError> {
        for package in lock.packages() {
            match self.0.get_mut(&package.name) {
                Some((there, of_one)) if !is_same(there, package) => {
                    return Err(ProjectError::Disagree {
                        package: package.name.clone(),
                        one: describe(there),
                        of_one: of_one.clone(),
                        other: describe(package),
                        of_other: project.to_owned(),
                    });
                }
                Some((there, _)) => there.requested |= package.requested,
                None => {
                    let entry = (package.clone(), project.to_owned());
                    self.0.insert(package.name.clone(), entry);
                }
            }
        }
        Ok(())
    }
}

/// Whether two locks install the same thing. One may have its hash of one mirror, one of another.
fn is_same(one: &LockedPackage, other: &LockedPackage) -> bool {
    match (&one.source, &other.source) {
        (PackageSource::Wheel { file: a, .. }, PackageSource::Wheel { file: b, .. }) => {
            a.digest == b.digest
        }
        (PackageSource::Sdist { file: a, .. }, PackageSource::Sdist { file: b, .. }) => {
            a.digest == b.digest
        }
        (PackageSource::Vcs(a), PackageSource::Vcs(b)) => {
            a.commit == b.commit && a.subdirectory == b.subdirectory
        }
        (a, b) => a == b,
    }
}

fn describe(package: &LockedPackage) -> String {
    let version = package.version.as_ref().map(ToString::to_string);
    let place = match &package.source {
        PackageSource::Wheel { file, .. } => file.filename.to_string(),
        PackageSource::Sdist { file, .. } => file.filename.clone(),
        PackageSource::Vcs(vcs) => format!("{} at {}", vcs.location, vcs.commit),
        PackageSource::Directory { path, .. } => path.display().to_string(),
    };
    match version {
        Some(version) => format!("{version} ({place})"),
        None => place,
    }
}

/// The folder that a lock's paths start from, as the image's paths have it.
fn base(project: &Project, read: &GatheredProject) -> PathBuf {
    let folder = project.directory();
    let depth = read.place.components().count();
    let named = folder.ends_with(&read.place).then(|| folder.ancestors().nth(depth)).flatten();
    match named {
        Some(base) => base.to_owned(),
        None => (0..depth).fold(folder.to_owned(), |base, _| base.join("..")),
    }
}

/// A path of a lock, as the image's paths have it: what such a package is known by from here on.
fn placed(base: &Path, path: &Path) -> PathBuf {
    plain(&base.join(path).to_string_lossy())
}

/// The folders of the host that packages are built from, by what they are known by.
pub fn folders(gathered: &Gathered) -> BTreeMap<PathBuf, &Source> {
    let mut all = BTreeMap::new();
    for step in gathered.resolved.steps() {
        let tierce_spec::Step::Project(project) = step.step else { continue };
        let Some(read) = gathered.projects.get(&step.index) else { continue };
        let base = base(project, read);
        all.extend(read.local.iter().map(|(path, source)| (placed(&base, path), source)));
    }
    all
}

/// The lock with paths as the image has them.
fn rebased(lock: &Lock, base: &Path) -> Lock {
    let at = |location: &mut Location| {
        if let Location::Path(path) = location {
            *path = placed(base, path);
        }
    };
    let packages = lock.packages().iter().cloned().map(|mut package| {
        match &mut package.source {
            PackageSource::Wheel { file, .. } => at(&mut file.location),
            PackageSource::Sdist { file, .. } => at(&mut file.location),
            PackageSource::Vcs(vcs) => at(&mut vcs.location),
            PackageSource::Directory { path, .. } => *path = placed(base, path),
        }
        package
    });
    Lock::of(lock.target(), packages.collect())
}

impl Context {
    /// What the projects of an environment lock, together.
    pub async fn project_packages(
        &self,
        request: &PipRequest<'_>,
        target: &Target,
        events: &Events,
    ) -> Result<ProjectPackages, NativeError> {
        let mut all = ProjectPackages::default();
        for (step, project) in &request.environment.projects {
            let Some(read) = request.gathered.projects.get(step) else { continue };
            let lock = self.project_lock(project, read, request, target, events).await;
            let lock = lock.map_err(|error| ProjectError::Read {
                project: project.manifest.clone(),
                source: Arc::new(error) as AnyDiagnostic,
            })?;
            all.add(&lock, &project.manifest)?;
        }
        Ok(all)
    }

    /// What a project locks. What was read once is not read again while its texts are the same.
    async fn project_lock(
        &self,
        project: &Project,
        read: &GatheredProject,
        request: &PipRequest<'_>,
        target: &Target,
        events: &Events,
    ) -> Result<Lock, NativeError> {
        let index = match project.kind {
            ProjectKind::Poetry => {
                self.poetry_index(request).map(|index| without_credentials(index.as_str()))
            }
            ProjectKind::Uv | ProjectKind::Pylock => None,
        };
        let key = lock_key(project, read, target, index.as_deref().unwrap_or_default());
        let title = format!("read the lock of {}", project.manifest.display());
        let step = events.step(StepKind::Resolve, title);
        if !request.refresh
            && let Some(record) = self.store.record::<Record>(PROJECT_LOCK, &key)
            && let Ok(lock) = Lock::parse(record.pylock.as_bytes(), target)
        {
            step.finish(Outcome::Cached, format!("{} packages", lock.packages().len()));
            return Ok(lock);
        }
        let lock = match project.kind {
            ProjectKind::Uv => self.uv_lock(project, read, target).await?,
            ProjectKind::Poetry => self.poetry_lock(project, read, request, target).await?,
            ProjectKind::Pylock => pylock(project, read, target)?,
        };
        let lock = rebased(&lock, &base(project, read));
        let seen = self.seen_by_uv(request);
        seen.search_text(lock.bytes(), "what the project locks")?;
        let pylock = String::from_utf8_lossy(lock.bytes()).into_owned();
        self.store.put_record(PROJECT_LOCK, &key, &Record { pylock })?;
        step.finish(Outcome::Made, format!("{} packages", lock.packages().len()));
        Ok(lock)
    }

    async fn uv_lock(
        &self,
        project: &Project,
        read: &GatheredProject,
        target: &Target,
    ) -> Result<Lock, NativeError> {
        let text = |file: &tierce_engine::GatheredFile| text(&file.content, &file.path);
        let cache_dir = self.store.cache_dir("uv")?;
        let lock = read.lock.as_ref().map(text).transpose()?.unwrap_or_default();
        if project.manifest.extension().is_some_and(|extension| extension == "py") {
            let script = UvScript { script: text(&read.manifest)?, lock };
            script.check(target)?;
            let settings = ExportSettings { arguments: vec![], target: target.clone(), cache_dir };
            return Ok(self.uv().await?.export_script(&script, &settings).await?);
        }
        let own = read.place.join("pyproject.toml");
        let mut manifests = BTreeMap::from([(own, text(&read.manifest)?)]);
        for (path, file) in &read.texts {
            manifests.insert(path.clone(), text(file)?);
        }
        let texts = UvProject { place: read.place.clone(), lock, manifests };
        texts.check(target)?;
        let arguments = uv_arguments(project);
        let settings = ExportSettings { arguments, target: target.clone(), cache_dir };
        Ok(self.uv().await?.export(&texts, &settings).await?)
    }

    /// The index that stands for PyPI, which Poetry's locks don't name.
    fn poetry_index<'a>(&'a self, request: &'a PipRequest<'_>) -> Option<&'a Url> {
        let index = request.environment.options.index.as_ref().map(|index| index.as_url());
        index.or(self.settings.index.as_ref())
    }

    async fn poetry_lock(
        &self,
        project: &Project,
        read: &GatheredProject,
        request: &PipRequest<'_>,
        target: &Target,
    ) -> Result<Lock, NativeError> {
        let manifest = text(&read.manifest.content, &read.manifest.path)?;
        let lock = match &read.lock {
            Some(lock) => text(&lock.content, &lock.path)?,
            None => String::new(),
        };
        let selection = poetry_selection(&project.selection);
        let mut lock = poetry::read(&manifest, &lock, target, &selection)?;
        if project.install == ProjectInstall::InstallProject {
            lock = lock.with_project()?;
        }
        let settings = LocateSettings {
            credentials: request.credentials.clone(),
            pypi: self.poetry_index(request).cloned(),
            ..LocateSettings::default()
        };
        Ok(lock.locate(&self.fetcher, &self.store, &settings).await?)
    }
}

/// What a `pylock.toml` says (PEP 751). A package in its own folder is the project itself.
fn pylock(project: &Project, read: &GatheredProject, target: &Target) -> Result<Lock, NativeError> {
    if let Some(allowed) = tierce_wheel::required_python(&read.manifest.content, target) {
        let python = target.python().to_string();
        return Err(ProjectError::Python { allowed, python }.into());
    }
    let selection = pylock_selection(&project.selection);
    let lock = Lock::parse_selected(&read.manifest.content, target, &selection)?;
    let is_project = |package: &LockedPackage| {
        matches!(&package.source, PackageSource::Directory { path, .. }
            if plain(&path.to_string_lossy()) == Path::new("."))
    };
    let skip = project.install == ProjectInstall::DependenciesOnly;
    Ok(lock.without(&|package| skip && is_project(package)))
}

fn text(content: &[u8], path: &Path) -> Result<String, ProjectError> {
    let text = std::str::from_utf8(content);
    text.map(str::to_owned).map_err(|_| ProjectError::Encoding { path: path.to_owned() })
}

/// All that a project's lock depends on. `index` is the one that is asked where the files are, if
/// the lock does not say.
fn lock_key(project: &Project, read: &GatheredProject, target: &Target, index: &str) -> Digest {
    let install = match project.install {
        ProjectInstall::DependenciesOnly => "dependencies",
        ProjectInstall::InstallProject => "project",
    };
    KeyEncoder::new("project-lock")
        .text("kind", project.kind.name())
        .digest("texts", &read.texts_digest())
        .list("selection", uv_arguments(project))
        .text("install", install)
        .text("base", &base(project, read).to_string_lossy())
        .text("target", &target.to_string())
        .text("index", index)
        .text("uv", tierce_wheel::PINNED_VERSION)
        .finish()
        .0
}

/// The error's code, for those who try something else then.
pub fn is_unsatisfiable(error: &NativeError) -> bool {
    error.code() == "python/unsatisfiable"
}

#[cfg(test)]
mod tests {
    use super::*;
    use tierce_oci::Platform;
    use tierce_wheel::Libc;

    fn lock(version: &str, digest: char) -> Lock {
        let target =
            Target::new("3.11".parse().unwrap(), &Platform::linux("amd64"), Libc::DEFAULT).unwrap();
        let hash = digest.to_string().repeat(64);
        let text = format!(
            "lock-version = \"1.0\"\ncreated-by = \"x\"\n[[packages]]\nname = \"six\"\nversion = {version:?}\n\
             wheels = [{{ name = \"six-{version}-py3-none-any.whl\", url = \"https://x/six.whl\", hashes = {{ sha256 = {hash:?} }} }}]\n"
        );
        Lock::parse(text.as_bytes(), &target).unwrap()
    }

    #[test]
    fn projects_that_disagree_are_told() {
        let mut all = ProjectPackages::default();
        all.add(&lock("1.0", 'a'), Path::new("a/pyproject.toml")).unwrap();
        all.add(&lock("1.0", 'a'), Path::new("b/pyproject.toml")).unwrap();
        let error = all.add(&lock("1.1", 'b'), Path::new("b/pyproject.toml")).unwrap_err();
        assert_eq!(error.code(), "python/projects-disagree");
        let text = error.to_string();
        for part in ["a/pyproject.toml locks 1.0", "b/pyproject.toml locks 1.1"] {
            assert!(text.contains(part), "{text}");
        }
    }

    #[test]
    fn paths_are_those_of_the_image() {
        for (base, path, expected) in [
            ("", ".", "."),
            ("", "lib", "lib"),
            ("ws", ".", "ws"),
            ("ws", "../lib", "ws/../lib"),
            ("./ws", "a", "ws/a"),
        ] {
            assert_eq!(placed(Path::new(base), Path::new(path)), Path::new(expected));
        }
    }
}
