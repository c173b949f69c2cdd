//! Which Python loads the project's Python files.

use crate::resolve::{Resolver, Said};
use crate::{Overrides, Sources};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

const KEY: [&str; 1] = ["python"];

/// The Python of the project: the one that somebody names, or else that of the environment that is
/// active, that lies in or above the project, that this program was installed into.
pub(crate) fn python(
    r: &mut Resolver<'_>,
    flags: &Overrides,
    sources: &Sources,
) -> Option<PathBuf> {
    let search_path = r.env.search_path();
    let named = |path: PathBuf| interpreter(&path, &search_path);
    let flag = flags.python.clone().map(|path| (named(path), Said::Flag("--python")));
    let variable = || {
        let path = r.env.path("TIERCE_PYTHON")?;
        Some((named(path), Said::Variable("TIERCE_PYTHON")))
    };
    let above = flag.or_else(variable);
    if let Some(python) = r.value(&KEY, above, |file| file.python.clone().map(named)) {
        return Some(python);
    }
    r.recorded.pop();
    let found = environments(r, sources).or_else(|| {
        let python = search_path.iter().find_map(|folder| executable(folder.join("python3")));
        Some((python?, Said::Variable("PATH")))
    });
    r.value(&KEY, found, |_| None)
}

/// The first Python of an environment that there is.
fn environments(r: &Resolver<'_>, sources: &Sources) -> Option<(PathBuf, Said)> {
    let active = |name: &'static str| {
        let python = executable(r.env.path(name)?.join("bin/python"))?;
        Some((python, Said::Variable(name)))
    };
    let here = |folder: &Path| {
        let environment = folder.join(".venv");
        Some((executable(environment.join("bin/python"))?, Said::Found(environment)))
    };
    let project = || {
        let directory = std::path::absolute(sources.directory.as_ref()?).ok()?;
        directory.canonicalize().ok()?.ancestors().find_map(here)
    };
    let beside = |environments: bool| {
        sources.programs.iter().find_map(|program| {
            let folder = program.parent()?;
            let above = folder.parent()?;
            let marked = ["pyvenv.cfg", "conda-meta"].iter().any(|name| above.join(name).exists());
            let python = executable(folder.join(if environments { "python" } else { "python3" }))?;
            (marked || !environments).then(|| (python, Said::Found(folder.to_owned())))
        })
    };
    active("VIRTUAL_ENV")
        .or_else(project)
        .or_else(|| beside(true))
        .or_else(|| active("CONDA_PREFIX"))
        .or_else(|| beside(false))
}

/// The interpreter that is meant: a path, an environment's folder, or the name of a program.
fn interpreter(path: &Path, search_path: &[PathBuf]) -> PathBuf {
    let is_name = path.components().count() == 1 && !path.exists();
    if is_name
        && let Some(found) = search_path.iter().find_map(|folder| executable(folder.join(path)))
    {
        return found;
    }
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    match path.is_dir() {
        true => path.join("bin/python"),
        false => path,
    }
}

/// The path, if a program is there. Links stay: an environment is found by the name that its
/// Python was started with.
fn executable(path: PathBuf) -> Option<PathBuf> {
    let metadata = path.metadata().ok()?;
    (metadata.is_file() && metadata.permissions().mode() & 0o111 != 0).then_some(path)
}
