//! Projects that uv or Poetry manage: installed by these, inside the image, as Flyte's builder
//! has it.
//!
//! The project's files come into a scratch directory, which is removed by the command that reads
//! them. What it depends on beside itself (`../lib`) comes along, at the same place from there.

use super::options::{arguments, line, words};
use super::prelude::VENV;
use super::wanted::read_by_tools;
use super::{Environment, Lowering};
use crate::{FlyteError, InstallMode, InstallOptions};
use std::path::{Component, Path, PathBuf};
use tierce_spec::{PipOptions, Secret, SourceOptions, Step, join_image_path};

/// Where scratch directories are.
const SCRATCH: &str = "/var/tmp/tierce";

/// What a project needs of the host.
pub(super) struct Files<'a> {
    /// Its manifest: the project's directory is the one it is in.
    pub manifest: &'a Path,
    /// Its lock, and what it is called beside the manifest.
    pub lock: Option<(&'a Path, &'static str)>,
    /// Folders and files that it depends on, relative to it.
    pub local: Vec<PathBuf>,
    /// Whether all of it is needed.
    pub mode: InstallMode,
}

/// A project in the image.
struct Placed {
    /// The scratch directory.
    scratch: String,
    /// The project in it.
    project: String,
}

impl Lowering<'_> {
    /// Makes sure that uv is in the image.
    pub(super) fn uv(&mut self, layer: &'static str) -> Result<(), FlyteError> {
        let uv = self.surroundings.tools.uv.clone();
        self.tool(layer, "uv", uv, "/usr/bin/uv")
    }

    /// Makes sure that there is an environment to install into. Flyte's prelude makes it, pixi
    /// has its own, and so does what installs packages.
    fn environment(&mut self) {
        let is_there =
            self.environment == Environment::Pixi
                || self.image.steps().iter().any(|step| {
                    matches!(step, Step::Pip(_) | Step::Requirements(_) | Step::Wheels(_))
                });
        if !is_there {
            self.image = self.image.with_pip_packages(Vec::<String>::new(), PipOptions::new());
        }
    }

    /// Copies a program of the host, once.
    pub(super) fn tool(
        &mut self,
        layer: &'static str,
        tool: &'static str,
        program: Option<PathBuf>,
        at: &str,
    ) -> Result<(), FlyteError> {
        let program = program.ok_or(FlyteError::NoTool { layer, tool })?;
        if self.tools.insert(tool) {
            self.image = self.image.with_source_file(program, at);
        }
        Ok(())
    }

    /// A new scratch directory.
    pub(super) fn scratch(&mut self) -> String {
        self.scratches += 1;
        format!("{SCRATCH}/{}", self.scratches)
    }

    pub(super) fn uv_project(
        &mut self,
        pyproject: &Path,
        lock: Option<&Path>,
        mode: InstallMode,
        options: &InstallOptions,
    ) -> Result<(), FlyteError> {
        self.uv("with_uv_project")?;
        self.environment();
        let local = super::wanted::local_of_uv(pyproject, lock, &self.surroundings.texts);
        let lock = lock.map(|lock| (lock, "uv.lock"));
        let placed = self.place_project(&Files { manifest: pyproject, lock, local, mode })?;
        let mut sync = ["uv", "sync", "--active", "--inexact"].map(str::to_owned).to_vec();
        let given = arguments(options)?;
        let has = |option: &str| given.iter().any(|arg| arg == option);
        // What is installed in place would be gone with the scratch directory.
        if !has("--no-editable") {
            sync.push("--no-editable".to_owned());
        }
        if mode == InstallMode::DependenciesOnly && !has("--no-install-project") {
            sync.push("--no-install-project".to_owned());
        }
        sync.extend(["--project".to_owned(), placed.project.clone()]);
        sync.extend(given);
        let title = format!("uv sync {}", pyproject.display());
        self.install_project(&title, &placed, &line(sync), &options.secrets);
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
        self.uv("with_poetry_project")?;
        self.environment();
        let local = super::wanted::local_of_poetry(lock, &self.surroundings.texts);
        let folders: Vec<PathBuf> = local.iter().filter(|p| !is_archive(p)).cloned().collect();
        let lock = Some((lock, "poetry.lock"));
        let placed = self.place_project(&Files { manifest: pyproject, lock, local, mode })?;
        // In an environment of its own, so that it is not left in the image's.
        let mut install = ["uv", "tool", "run", "poetry", "install", "--no-interaction"]
            .map(str::to_owned)
            .to_vec();
        let given = words(extra_args)?;
        let wants_root =
            mode == InstallMode::InstallProject && !given.iter().any(|arg| arg == "--no-root");
        if !given.iter().any(|arg| arg == "--no-root") {
            install.push("--no-root".to_owned());
        }
        install.extend(["--directory".to_owned(), placed.project.clone()]);
        install.extend(given);
        let mut install = line(install);
        // Poetry installs these in place, and the place is gone in a moment.
        let own = wants_root.then(|| placed.project.clone());
        let own: Vec<String> = folders
            .iter()
            .filter_map(|folder| beside(&placed.project, folder))
            .chain(own)
            .collect();
        if !own.is_empty() {
            let own = line(own);
            install +=
                &format!(" && uv pip install --python \"$UV_PYTHON\" --no-deps --reinstall {own}");
        }
        let title = format!("poetry install {}", pyproject.display());
        self.install_project(&title, &placed, &install, secrets);
        Ok(())
    }

    /// Runs what installs a project, and removes what was there for it alone.
    fn install_project(&mut self, title: &str, placed: &Placed, install: &str, secrets: &[Secret]) {
        let Placed { scratch, project: _ } = placed;
        // The image's variables count; what an environment is not told, it must not guess: no
        // Python is fetched, and nothing is left outside of the environment.
        let settings = format!(
            "export VIRTUAL_ENV=\"${{VIRTUAL_ENV:-{VENV}}}\" \
             UV_PYTHON=\"${{UV_PYTHON:-{VENV}/bin/python}}\" UV_PYTHON_DOWNLOADS=never \
             UV_NO_CACHE=1 UV_LINK_MODE=copy UV_COMPILE_BYTECODE=1 \
             POETRY_CACHE_DIR={scratch}/cache POETRY_VIRTUALENVS_CREATE=false"
        );
        let command = format!("{settings} && {install} && rm -rf {SCRATCH}");
        self.run(vec![titled(title, &command)], secrets);
    }

    /// Copies a project, or as much of it as is needed, into a scratch directory.
    fn place_project(&mut self, files: &Files<'_>) -> Result<Placed, FlyteError> {
        let Files { manifest, lock, local, mode } = files;
        let folder = match manifest.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            Some(_) | None => Path::new("."),
        };
        for file in read_by_tools(manifest, lock.map(|(lock, _)| lock), local, *mode) {
            self.refuse_credentials(&file)?;
        }
        let scratch = self.scratch();
        let depth = local.iter().map(|path| upwards(path)).max().unwrap_or(0);
        let project = format!("{scratch}{}", "/project".repeat(depth + 1));
        let name = manifest.file_name().unwrap_or_default().to_string_lossy();
        if *mode == InstallMode::InstallProject {
            self.image = self.image.with_source_folder(folder, &project, SourceOptions::new());
        }
        // Ignore files may have left them out.
        self.image = self.image.with_source_file(*manifest, format!("{project}/{name}"));
        if let Some((lock, name)) = lock {
            self.image = self.image.with_source_file(*lock, format!("{project}/{name}"));
        }
        for path in local {
            let is_inside = upwards(path) == 0 && path.is_relative();
            if is_inside && *mode == InstallMode::InstallProject {
                continue;
            }
            let Some(target) = beside(&project, path) else {
                let (project, dependency) = (folder.to_owned(), path.clone());
                return Err(FlyteError::Outside { project, dependency });
            };
            let src = folder.join(path);
            self.image = match is_archive(path) {
                true => self.image.with_source_file(src, target),
                false => self.image.with_source_folder(src, target, SourceOptions::new()),
            };
        }
        Ok(Placed { scratch, project })
    }
}

/// A command whose first line, which is what people see of it, says what it is for.
pub(super) fn titled(title: &str, command: &str) -> String {
    format!("# {}\n{command}", title.replace(char::is_control, " "))
}

/// How many directories up `path` leads before it leads down.
fn upwards(path: &Path) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0_usize);
    let mut up = 0_usize;
    for part in path.components() {
        match part {
            Component::ParentDir if depth == 0 => up += 1,
            Component::ParentDir => depth -= 1,
            Component::Normal(_) => depth += 1,
            _ => {}
        }
        deepest = deepest.max(up);
    }
    deepest
}

/// `path`, relative to the image's directory `project`, without `..`.
fn beside(project: &str, path: &Path) -> Option<String> {
    if path.is_absolute() {
        return None;
    }
    let mut parts: Vec<&str> = project.split('/').filter(|part| !part.is_empty()).collect();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                parts.pop();
            }
            Component::Normal(name) => parts.push(name.to_str()?),
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
        }
    }
    Some(join_image_path("/", &parts.join("/")))
}

fn is_archive(path: &Path) -> bool {
    let name = path.to_string_lossy();
    [".whl", ".tar.gz", ".tgz", ".zip", ".tar.bz2", ".tar.xz"].iter().any(|end| name.ends_with(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_beside_a_project_stays_beside_it() {
        for (path, up, expected) in [
            ("lib", 0, "/s/project/lib"),
            ("./a/../lib", 0, "/s/project/lib"),
            ("../lib", 1, "/s/lib"),
            ("../../x/lib", 2, "/x/lib"),
        ] {
            assert_eq!(upwards(Path::new(path)), up, "{path}");
            assert_eq!(beside("/s/project", Path::new(path)).as_deref(), Some(expected), "{path}");
        }
        assert_eq!(beside("/s/project", Path::new("/abs")), None);
    }
}
