//! Projects as commands of the instruction that makes the Python environment: uv or Poetry install
//! them there from their locks, out of a scratch copy of what they need.

use crate::error::RenderError;
use crate::quote;
use crate::render::Renderer;
use std::path::{Component, Path, PathBuf};
use tierce_engine::GatheredProject;
use tierce_spec::{
    Extras, Groups, Project, ProjectInstall, ProjectKind, PythonEnvironment, Selection,
    without_credentials,
};

/// Where projects are while they are installed: backends write into them.
const SCRATCH: &str = "/var/tmp/tierce-projects";

/// What installs the projects of an environment.
pub(crate) struct ProjectCommands {
    /// The directory of the context that has them.
    pub directory: String,
    /// The commands, with the projects at `place`.
    pub commands: Vec<String>,
}

/// What the commands work with.
pub(crate) struct Tools<'a> {
    /// The `uv` program, as a shell's word.
    pub uv: &'a str,
    /// The environment.
    pub prefix: &'a str,
    /// Where the projects are seen.
    pub place: &'a str,
    /// Whether modules are compiled.
    pub compile: bool,
}

impl Renderer<'_> {
    /// Puts the projects into the context; `None` where there are none.
    pub(crate) fn projects(
        &mut self,
        environment: &PythonEnvironment<'_>,
        tools: &Tools<'_>,
    ) -> Result<Option<ProjectCommands>, RenderError> {
        let gathered = self.gathered;
        let all = environment.projects.iter().filter_map(|(step, project)| {
            gathered.projects.get(step).map(|read| (*step, *project, read))
        });
        let all: Vec<(usize, &Project, &GatheredProject)> = all.collect();
        if all.is_empty() {
            return Ok(None);
        }
        let digests: Vec<u8> =
            all.iter().flat_map(|(_, _, read)| *read.digest().as_bytes()).collect();
        let directory = format!("projects-{}", tierce_oci::Digest::of(digests).short());
        let Tools { place, .. } = tools;
        let mut commands = vec![format!("rm -rf {SCRATCH}"), format!("cp -r {place} {SCRATCH}")];
        for (number, (_, project, read)) in all.into_iter().enumerate() {
            let root = format!("{number}{}", "/project".repeat(depth(read) + 1));
            self.add_project(project, read, &format!("{directory}/{root}"))?;
            let root = format!("{SCRATCH}/{root}");
            commands.extend(install(project, read, &root, tools));
        }
        commands.push(format!("rm -rf {SCRATCH}"));
        Ok(Some(ProjectCommands { directory, commands }))
    }

    /// Puts a project's texts, folders and archives below `root`, at the places that its lock says.
    fn add_project(
        &mut self,
        project: &Project,
        read: &GatheredProject,
        root: &str,
    ) -> Result<(), RenderError> {
        for (path, source) in &read.local {
            let at = self.at(&below(root, path).ok_or(RenderError::Step { what: OUTSIDE })?);
            self.context.add_tree(&at, &source.root, &source.tree)?;
        }
        for (path, archive) in &read.archives {
            let at = self.at(&below(root, path).ok_or(RenderError::Step { what: OUTSIDE })?);
            self.context.add_known_file(&at, &archive.path, archive.digest)?;
        }
        if project.manifest.extension().is_some_and(|extension| extension == "py") {
            return Err(RenderError::Step { what: "the lock of a script" });
        }
        // Ignore files may have left these out.
        let (manifest, lock) = match project.kind {
            ProjectKind::Uv => ("pyproject.toml", "uv.lock"),
            ProjectKind::Poetry => ("pyproject.toml", "poetry.lock"),
            ProjectKind::Pylock => ("pylock.toml", ""),
        };
        let mut texts = vec![(read.place.join(manifest), &read.manifest)];
        texts.extend(read.lock.iter().map(|file| (PathBuf::from(lock), file)));
        texts.extend(read.texts.iter().map(|(path, file)| (path.clone(), file)));
        for (path, file) in texts {
            let at = self.at(&format!("{root}/{}", path.display()));
            let text = String::from_utf8_lossy(&file.content);
            if without_credentials(&text) != text {
                // They would be in a layer, or in a cache.
                return Err(RenderError::Credentials { url: file.path.display().to_string() });
            }
            if self.context.get(&at).is_none() {
                self.context.add_content(&at, file.content.clone())?;
            }
        }
        Ok(())
    }
}

/// What can't be put beside the rest.
const OUTSIDE: &str = "a project that depends on an absolute path";

/// How many directories up the paths of a project lead, at most.
fn depth(read: &GatheredProject) -> usize {
    let paths = read.local.keys().chain(read.archives.keys());
    let up = |path: &PathBuf| path.components().filter(|c| *c == Component::ParentDir).count();
    paths.map(up).max().unwrap_or(0)
}

/// `path` from `root`, without `..`.
fn below(root: &str, path: &Path) -> Option<String> {
    let mut parts: Vec<&str> = root.split('/').collect();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                parts.pop()?;
            }
            Component::Normal(name) => parts.push(name.to_str()?),
            Component::CurDir => {}
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(parts.join("/"))
}

fn install(
    project: &Project,
    read: &GatheredProject,
    root: &str,
    tools: &Tools<'_>,
) -> Vec<String> {
    let Tools { uv, prefix, compile, .. } = tools;
    let python = format!("{prefix}/bin/python");
    let compile = if *compile { " --compile-bytecode" } else { "" };
    let place = read.place.display().to_string();
    let folder = match place.is_empty() {
        true => root.to_owned(),
        false => format!("{root}/{place}"),
    };
    let folder = quote::shell(&folder);
    let words = |words: Vec<String>| -> String {
        words.iter().map(|word| format!(" {}", quote::shell(word))).collect()
    };
    match project.kind {
        ProjectKind::Uv => {
            let chosen = words(uv_arguments(project));
            vec![format!(
                "VIRTUAL_ENV={prefix} {uv} sync --quiet --active --inexact --no-editable --frozen{compile}{chosen} --project {folder}"
            )]
        }
        ProjectKind::Pylock => {
            let lock = quote::shell(&format!("{root}/pylock.toml"));
            vec![format!("{uv} pip install --python {python}{compile} --requirements {lock}")]
        }
        ProjectKind::Poetry => {
            let chosen = words(poetry_arguments(project));
            let install = format!(
                "VIRTUAL_ENV={prefix} POETRY_CACHE_DIR={SCRATCH}/cache POETRY_VIRTUALENVS_CREATE=false \
                 {uv} tool run --python {python} poetry install --no-interaction{chosen} --directory {folder}"
            );
            // Poetry installs these in place, and the place is gone in a moment.
            let own: Vec<String> = read
                .local
                .keys()
                .filter_map(|path| below(root.trim_start_matches('/'), path))
                .map(|path| quote::shell(&format!("/{path}")))
                .collect();
            let again = format!(
                "{uv} pip install --python {python} --no-deps --reinstall{compile} {}",
                own.join(" ")
            );
            [Some(install), (!own.is_empty()).then_some(again)].into_iter().flatten().collect()
        }
    }
}

/// The arguments of `uv sync`.
fn uv_arguments(project: &Project) -> Vec<String> {
    let Selection {
        groups,
        with_groups,
        without_groups,
        extras,
        with_extras,
        without_extras,
        packages,
    } = &project.selection;
    let mut all = vec![];
    match groups {
        Groups::None => all.push("--no-default-groups".to_owned()),
        Groups::All => all.push("--all-groups".to_owned()),
        Groups::Defaults | Groups::Only => {}
    }
    if *extras == Extras::All {
        all.push("--all-extras".to_owned());
    }
    let group = if *groups == Groups::Only { "--only-group" } else { "--group" };
    for (option, names) in [
        (group, with_groups),
        ("--no-group", without_groups),
        ("--extra", with_extras),
        ("--no-extra", without_extras),
        ("--package", packages),
    ] {
        all.extend(names.iter().map(|name| format!("{option}={name}")));
    }
    if project.install == ProjectInstall::DependenciesOnly {
        match packages.as_slice() {
            [] => all.push("--no-install-project".to_owned()),
            some => all.extend(some.iter().map(|name| format!("--no-install-package={name}"))),
        }
    }
    all
}

/// The arguments of `poetry install`.
fn poetry_arguments(project: &Project) -> Vec<String> {
    let Selection {
        groups,
        with_groups,
        without_groups,
        extras,
        with_extras,
        without_extras: _,
        packages: _,
    } = &project.selection;
    let mut all = vec![];
    match groups {
        Groups::None => all.push("--only=main".to_owned()),
        Groups::All => all.push("--all-groups".to_owned()),
        Groups::Defaults | Groups::Only => {}
    }
    let with = if *groups == Groups::Only { "--only" } else { "--with" };
    for (option, names) in [(with, with_groups), ("--without", without_groups)] {
        if !names.is_empty() {
            all.push(format!("{option}={}", names.join(",")));
        }
    }
    match extras {
        Extras::All => all.push("--all-extras".to_owned()),
        Extras::None => all.extend(with_extras.iter().map(|extra| format!("--extras={extra}"))),
    }
    if project.install == ProjectInstall::DependenciesOnly {
        all.push("--no-root".to_owned());
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_beside_a_project_stays_beside_it() {
        for (path, expected) in [
            (".", Some("0/project/project")),
            ("lib", Some("0/project/project/lib")),
            ("../lib", Some("0/project/lib")),
            ("../../x", Some("0/x")),
            ("/abs", None),
        ] {
            assert_eq!(below("0/project/project", Path::new(path)).as_deref(), expected, "{path}");
        }
    }

    #[test]
    fn selections_are_arguments() {
        let names = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect();
        let selection = Selection {
            groups: Groups::None,
            with_groups: names(&["a"]),
            with_extras: names(&["x"]),
            ..Selection::default()
        };
        let project = Project::new(ProjectKind::Uv, "p").with_selection(selection);
        let expected = "--no-default-groups --group=a --extra=x --no-install-project";
        assert_eq!(uv_arguments(&project).join(" "), expected);
        assert_eq!(
            poetry_arguments(&project).join(" "),
            "--only=main --with=a --extras=x --no-root"
        );
    }
}
