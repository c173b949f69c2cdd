//! Requirements that are a lock: exactly what it says, without the project itself.

use crate::{ImageSpecError, Surroundings, words};
use std::path::Path;
use tierce_spec::{PipOptions, Project, ProjectArguments, ProjectKind};

/// The file beside a lock that it is the lock of.
const MANIFEST: &str = "pyproject.toml";

/// The kind of project that requirements are the lock of, if they are one.
pub(crate) fn kind(requirements: &Path) -> Option<ProjectKind> {
    let name = requirements.file_name()?;
    [ProjectKind::Uv, ProjectKind::Poetry]
        .into_iter()
        .find(|kind| kind.lock_name().is_some_and(|lock| name == lock))
}

/// The project whose lock is `lock`. `arguments` are of `uv sync` or `poetry install`, which
/// flytekit calls.
///
/// # Errors
/// [`ImageSpecError::ExtraArgs`]: an argument that can't be followed.
pub(crate) fn project(
    kind: ProjectKind,
    lock: &Path,
    arguments: Option<&str>,
    options: PipOptions,
    surroundings: &Surroundings,
) -> Result<Project, ImageSpecError> {
    // What is not made of words was refused before.
    let arguments = arguments.and_then(|text| words::split(text).ok()).unwrap_or_default();
    let chosen = match kind {
        ProjectKind::Poetry => ProjectArguments::of_poetry(&arguments),
        ProjectKind::Uv | ProjectKind::Pylock => ProjectArguments::of_uv(&arguments),
    };
    let chosen = chosen.map_err(ImageSpecError::ExtraArgs)?;
    let mut selection = chosen.selection;
    if kind == ProjectKind::Uv {
        // As flytekit has it: without the development group, and without the project.
        let dev = || "dev".to_owned();
        if !selection.without_groups.contains(&dev()) {
            selection.without_groups.push(dev());
        }
        if chosen.all_packages {
            let text = surroundings.requirements.get(lock).map(String::as_str);
            selection.packages = tierce_spec::workspace_members(text.unwrap_or_default());
        }
    }
    let address = |text: &String| text.parse().ok();
    let mut options = options;
    options.index = options.index.or_else(|| chosen.index.as_ref().and_then(address));
    options.extra_indexes.extend(chosen.extra_indexes.iter().filter_map(address));
    let manifest = lock.with_file_name(MANIFEST);
    Ok(Project::new(kind, manifest).with_selection(selection).with_options(options))
}
