//! Projects that uv or Poetry manage: exactly what their locks say, in the image's environment.
//!
//! Flyte's builder runs uv and Poetry in the image; here nothing runs but the build backends of
//! what there is no wheel of.

use super::declared::{Declared, of_manifest};
use super::selection::{self, Chosen};
use super::{Lowering, wanted};
use crate::{FlyteError, InstallMode, InstallOptions};
use std::path::{Path, PathBuf};
use tierce_spec::{Project, ProjectInstall, ProjectKind, Secret, Step};
use toml::{Table, Value};

impl Lowering<'_> {
    pub(super) fn uv_project(
        &mut self,
        pyproject: &Path,
        lock: Option<&Path>,
        mode: InstallMode,
        options: &InstallOptions,
    ) -> Result<(), FlyteError> {
        let chosen = selection::uv(options.extra_args.as_deref())?;
        let mut options = InstallOptions { extra_args: None, ..options.clone() };
        options.index_url = options.index_url.or(chosen.index.clone());
        options.extra_index_urls.extend(chosen.extra_indexes.iter().cloned());
        let Some(lock) = lock else {
            return self.unlocked(pyproject, mode, &chosen, &options);
        };
        let install = install(mode, &chosen);
        let mut selection = chosen.selection;
        if chosen.all_packages {
            selection.packages = self.members(lock);
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
        self.add(Step::Project(with_lock(project, lock)));
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
        let chosen = selection::poetry(extra_args)?;
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
        chosen: &Chosen,
        options: &InstallOptions,
    ) -> Result<(), FlyteError> {
        let no_lock = || FlyteError::NoLock { pyproject: pyproject.to_owned() };
        let is_plain = chosen.selection.is_default()
            && !chosen.all_packages
            && install(mode, chosen) == ProjectInstall::DependenciesOnly;
        let declared = of_manifest(pyproject, &self.surroundings.texts).filter(|_| is_plain);
        let is_complete = |found: &Declared| found.projects.is_empty() && found.unheeded.is_empty();
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

    /// The members of a workspace, as its lock has them; none where there is but one project.
    fn members(&self, lock: &Path) -> Vec<String> {
        let lock = self.surroundings.texts.get(lock).and_then(|text| text.parse::<Table>().ok());
        let members = || lock.as_ref()?.get("manifest")?.get("members")?.as_array();
        let names = members().into_iter().flatten().filter_map(Value::as_str);
        names.map(str::to_owned).collect()
    }
}

fn install(mode: InstallMode, chosen: &Chosen) -> ProjectInstall {
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
