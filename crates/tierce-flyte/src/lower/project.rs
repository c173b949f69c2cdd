//! Projects that uv or Poetry manage: exactly what their locks say, in the image's environment.
//!
//! Flyte's builder runs uv and Poetry in the image; here nothing runs but the build backends of
//! what there is no wheel of.

use super::declared::{Declared, of_manifest};
use super::{Lowering, wanted};
use crate::{FlyteError, InstallMode, InstallOptions};
use std::path::{Path, PathBuf};
use tierce_spec::{
    Project, ProjectArgumentError, ProjectArguments, ProjectInstall, ProjectKind, Secret, Step,
    without_credentials, workspace_members,
};

impl Lowering<'_> {
    pub(super) fn uv_project(
        &mut self,
        pyproject: &Path,
        lock: Option<&Path>,
        mode: InstallMode,
        options: &InstallOptions,
    ) -> Result<(), FlyteError> {
        let method = "with_uv_project";
        let chosen = read(method, options.extra_args.as_deref(), ProjectArguments::of_uv)?;
        let mut options = InstallOptions { extra_args: None, ..options.clone() };
        options.index_url = options.index_url.or(chosen.index.clone());
        options.extra_index_urls.extend(chosen.extra_indexes.iter().cloned());
        let texts = &self.surroundings.texts;
        let workspace = || wanted::workspace_lock(pyproject, texts);
        let Some(lock) = lock.map(Path::to_owned).or_else(workspace) else {
            return self.unlocked(pyproject, mode, &chosen, &options);
        };
        let install = install(mode, &chosen);
        let mut selection = chosen.selection;
        if chosen.all_packages {
            let lock = self.surroundings.texts.get(&lock).map(String::as_str);
            selection.packages = workspace_members(lock.unwrap_or_default());
        }
        let has_dev = || wanted::has_dev_group(pyproject, &self.surroundings.texts);
        if chosen.dev && has_dev() {
            selection.with_groups.push("dev".to_owned());
        }
        let options = self.pip_options(&options)?;
        let project = Project::new(ProjectKind::Uv, pyproject)
            .with_install(install)
            .with_selection(selection)
            .with_options(options);
        self.add(Step::Project(with_lock(project, &lock)));
        Ok(())
    }

    pub(super) fn poetry_project(
        &mut self,
        pyproject: &Path,
        lock: &Path,
        mode: InstallMode,
        extra_args: Option<&str>,
        secrets: &[Secret],
    ) -> Result<(), FlyteError> {
        let chosen = read("with_poetry_project", extra_args, ProjectArguments::of_poetry)?;
        let options =
            self.pip_options(&InstallOptions { secrets: secrets.to_vec(), ..Default::default() })?;
        let project = Project::new(ProjectKind::Poetry, pyproject)
            .with_install(install(mode, &chosen))
            .with_selection(chosen.selection)
            .with_options(options);
        self.add(Step::Project(with_lock(project, lock)));
        Ok(())
    }

    /// A project of uv's that has no lock. What it depends on is resolved like any packages, if its
    /// manifest says all of it.
    fn unlocked(
        &mut self,
        pyproject: &Path,
        mode: InstallMode,
        chosen: &ProjectArguments,
        options: &InstallOptions,
    ) -> Result<(), FlyteError> {
        let no_lock = || FlyteError::NoLock { pyproject: pyproject.to_owned() };
        let is_plain = chosen.selection.is_default()
            && !chosen.all_packages
            && install(mode, chosen) == ProjectInstall::DependenciesOnly;
        let declared = of_manifest(pyproject, &self.surroundings.texts).filter(|_| is_plain);
        let is_complete = |found: &Declared| {
            found.projects.is_empty() && found.unheeded.is_empty() && found.needs_lock.is_empty()
        };
        let declared = declared.filter(is_complete).ok_or_else(no_lock)?;
        self.warn(
            "flyte/no-lock",
            format!(
                "{}: there is no uv.lock beside it, so that what is installed changes with the index",
                pyproject.display()
            ),
        );
        self.declared(pyproject, declared, options)
    }
}

/// What makes sense of arguments.
type Read = fn(&[String]) -> Result<ProjectArguments, ProjectArgumentError>;

fn read(
    method: &'static str,
    text: Option<&str>,
    read: Read,
) -> Result<ProjectArguments, FlyteError> {
    let Some(text) = text else { return Ok(ProjectArguments::default()) };
    let unreadable = || FlyteError::ExtraArgs { text: without_credentials(text) };
    let words = shlex::split(text).ok_or_else(unreadable)?;
    read(&words).map_err(|source| FlyteError::ExtraArg { method, source })
}

fn install(mode: InstallMode, chosen: &ProjectArguments) -> ProjectInstall {
    match (mode, chosen.install) {
        (_, Some(said)) => said,
        (InstallMode::DependenciesOnly, None) => ProjectInstall::DependenciesOnly,
        (InstallMode::InstallProject, None) => ProjectInstall::InstallProject,
    }
}

/// The project by this lock, which is not named where it is where locks are.
fn with_lock(project: Project, lock: &Path) -> Project {
    let usual: PathBuf = project.lock_file();
    match usual == lock {
        true => project,
        false => project.with_lock(lock),
    }
}
