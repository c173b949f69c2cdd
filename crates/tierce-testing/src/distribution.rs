//! Python projects, and the wheels and source distributions of them, made in memory.

use crate::encode::{normalize, record_sha256, tar_gz, zip};
use std::io;
use std::path::Path;

/// The build backend that a project carries itself.
const BACKEND: &str = include_str!("backend.py");

/// A Python project. `..ProjectSpec::new(name, version)` fills what a test does not care about.
#[derive(Clone, Copy, Debug)]
pub struct ProjectSpec<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its version.
    pub version: &'a str,
    /// What it requires (PEP 508).
    pub requires: &'a [&'a str],
    /// Its extras, and what each requires.
    pub extras: &'a [(&'a str, &'a [&'a str])],
    /// The interpreters that it is for.
    pub requires_python: Option<&'a str>,
    /// Its files, from the project's directory on; what its wheel installs are those in
    /// directories. Where there are none: a module of its name with `__version__` and a `main`
    /// that prints name and version.
    pub files: &'a [(&'a str, &'a str)],
    /// Its console scripts: name, and `module:function`.
    pub entry_points: &'a [(&'a str, &'a str)],
    /// Fields of `[project]` that only the backend knows (`version`, `dependencies`).
    pub dynamic: &'a [&'a str],
    /// What has to be installed to build it.
    pub build_requires: &'a [&'a str],
    /// Whether building it succeeds.
    pub build: BuildOutcome<'a>,
    /// More of its `pyproject.toml`.
    pub pyproject: &'a str,
}

/// How a project's build ends.
#[derive(Clone, Copy, Debug, Default)]
pub enum BuildOutcome<'a> {
    /// With a wheel.
    #[default]
    Wheel,
    /// With this as its last words.
    Failure(&'a str),
}

impl<'a> ProjectSpec<'a> {
    /// A project with a module and nothing else.
    pub const fn new(name: &'a str, version: &'a str) -> Self {
        ProjectSpec {
            name,
            version,
            requires: &[],
            extras: &[],
            requires_python: None,
            files: &[],
            entry_points: &[],
            dynamic: &[],
            build_requires: &[],
            build: BuildOutcome::Wheel,
            pyproject: "",
        }
    }

    /// The name of its module, unless it has files of its own.
    pub fn module(&self) -> String {
        normalize(self.name).replace('-', "_")
    }

    /// The name of its source distribution (PEP 625).
    pub fn sdist_filename(&self) -> String {
        format!("{}-{}.tar.gz", self.module(), self.version)
    }

    /// The project's directory: paths and content, `pyproject.toml` and build backend included.
    pub fn directory(&self) -> Vec<(String, Vec<u8>)> {
        let mut files = vec![
            ("pyproject.toml".to_owned(), pyproject(self).into_bytes()),
            ("in_tree_backend.py".to_owned(), backend(self).into_bytes()),
        ];
        files.extend(sources(self));
        files
    }

    /// Writes the project's directory to `directory`, which is made.
    pub fn write_to(&self, directory: &Path) -> io::Result<()> {
        for (path, content) in self.directory() {
            let file = directory.join(path);
            std::fs::create_dir_all(file.parent().unwrap_or(directory))?;
            std::fs::write(file, content)?;
        }
        Ok(())
    }
}

/// A wheel. `WheelSpec::new(name, version)` is for every platform.
#[derive(Clone, Copy, Debug)]
pub struct WheelSpec<'a> {
    /// What is in it.
    pub project: ProjectSpec<'a>,
    /// What it is for: `py3-none-any`, `cp311-cp311-manylinux_2_17_x86_64`.
    pub tags: &'a str,
}

impl<'a> WheelSpec<'a> {
    /// A wheel of a project with a module and nothing else.
    pub const fn new(name: &'a str, version: &'a str) -> Self {
        WheelSpec::of(ProjectSpec::new(name, version))
    }

    /// A wheel of a project.
    pub const fn of(project: ProjectSpec<'a>) -> Self {
        WheelSpec { project, tags: "py3-none-any" }
    }

    /// The same, requiring these.
    pub const fn requires(mut self, requires: &'a [&'a str]) -> Self {
        self.project.requires = requires;
        self
    }

    /// The same, with these extras.
    pub const fn extras(mut self, extras: &'a [(&'a str, &'a [&'a str])]) -> Self {
        self.project.extras = extras;
        self
    }

    /// The same for these tags.
    pub const fn tags(mut self, tags: &'a str) -> Self {
        self.tags = tags;
        self
    }

    /// Its file name.
    pub fn filename(&self) -> String {
        format!("{}-{}-{}.whl", self.project.module(), self.project.version, self.tags)
    }

    /// Its content.
    pub fn bytes(&self) -> Vec<u8> {
        wheel(self)
    }
}

/// The core metadata of a project (METADATA, PKG-INFO).
pub(crate) fn metadata(project: &ProjectSpec<'_>) -> String {
    let ProjectSpec { name, version, .. } = project;
    let mut text = format!("Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n");
    if let Some(python) = project.requires_python {
        text.push_str(&format!("Requires-Python: {python}\n"));
    }
    for requirement in project.requires {
        text.push_str(&format!("Requires-Dist: {requirement}\n"));
    }
    for (extra, requires) in project.extras {
        text.push_str(&format!("Provides-Extra: {extra}\n"));
        for requirement in *requires {
            let line = match requirement.split_once(';') {
                Some((requirement, marker)) => {
                    format!("{requirement}; ({}) and extra == \"{extra}\"", marker.trim())
                }
                None => format!("{requirement} ; extra == \"{extra}\""),
            };
            text.push_str(&format!("Requires-Dist: {line}\n"));
        }
    }
    text
}

/// A wheel's content.
pub(crate) fn wheel(spec: &WheelSpec<'_>) -> Vec<u8> {
    let project = &spec.project;
    let info = format!("{}-{}.dist-info", project.module(), project.version);
    let mut files: Vec<_> =
        sources(project).into_iter().filter(|(path, _)| path.contains('/')).collect();
    let mut add = |name: &str, text: String| files.push((format!("{info}/{name}"), text.into()));
    add("METADATA", metadata(project));
    let tags: String = tag_set(spec.tags).iter().map(|tag| format!("Tag: {tag}\n")).collect();
    let pure = spec.tags.ends_with("-none-any");
    add("WHEEL", format!("Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: {pure}\n{tags}"));
    if !project.entry_points.is_empty() {
        add("entry_points.txt", entry_points(project));
    }
    let row = |(path, content): &(String, Vec<u8>)| {
        format!("{path},sha256={},{}\n", record_sha256(content), content.len())
    };
    let rows: String = files.iter().map(row).collect();
    files.push((format!("{info}/RECORD"), format!("{rows}{info}/RECORD,,\n").into()));
    zip(&files)
}

/// A source distribution's content.
pub(crate) fn sdist(project: &ProjectSpec<'_>) -> Vec<u8> {
    let root = format!("{}-{}", project.module(), project.version);
    let mut files = project.directory();
    files.push(("PKG-INFO".to_owned(), metadata(project).into_bytes()));
    let below = |(path, content): (String, Vec<u8>)| (format!("{root}/{path}"), content);
    tar_gz(&files.into_iter().map(below).collect::<Vec<_>>())
}

/// Every tag that a compressed tag set stands for (PEP 425).
fn tag_set(tags: &str) -> Vec<String> {
    let mut expanded = vec![String::new()];
    for part in tags.split('-') {
        let join = |start: &String, one: &str| match start.is_empty() {
            true => one.to_owned(),
            false => format!("{start}-{one}"),
        };
        expanded = expanded
            .iter()
            .flat_map(|start| part.split('.').map(|one| join(start, one)).collect::<Vec<_>>())
            .collect();
    }
    expanded
}

fn sources(project: &ProjectSpec<'_>) -> Vec<(String, Vec<u8>)> {
    if project.files.is_empty() {
        let ProjectSpec { name, version, .. } = project;
        let text = format!(
            "__version__ = {version:?}\n\n\ndef main():\n    print({name:?}, __version__)\n"
        );
        return vec![(format!("{}/__init__.py", project.module()), text.into_bytes())];
    }
    let owned = |(path, text): &(&str, &str)| ((*path).to_owned(), text.as_bytes().to_vec());
    project.files.iter().map(owned).collect()
}

fn entry_points(project: &ProjectSpec<'_>) -> String {
    let line = |(name, target): &(&str, &str)| format!("{name} = {target}\n");
    let lines: String = project.entry_points.iter().map(line).collect();
    format!("[console_scripts]\n{lines}")
}

fn pyproject(project: &ProjectSpec<'_>) -> String {
    // Strings and lists of strings are the same in TOML as in JSON.
    let list = |items: &[&str]| serde_json::json!(items).to_string();
    let is_static = |field: &str| !project.dynamic.contains(&field);
    let mut text = format!(
        "[build-system]\nrequires = {}\nbuild-backend = \"in_tree_backend\"\n\
         backend-path = [\".\"]\n\n[project]\nname = {:?}\n",
        list(project.build_requires),
        project.name
    );
    if is_static("version") {
        text.push_str(&format!("version = {:?}\n", project.version));
    }
    if let Some(python) = project.requires_python {
        text.push_str(&format!("requires-python = {python:?}\n"));
    }
    if is_static("dependencies") {
        text.push_str(&format!("dependencies = {}\n", list(project.requires)));
    }
    if !project.dynamic.is_empty() {
        text.push_str(&format!("dynamic = {}\n", list(project.dynamic)));
    }
    if !project.extras.is_empty() && is_static("optional-dependencies") {
        text.push_str("\n[project.optional-dependencies]\n");
        for (extra, requires) in project.extras {
            text.push_str(&format!("{extra} = {}\n", list(requires)));
        }
    }
    if !project.entry_points.is_empty() {
        text.push_str("\n[project.scripts]\n");
        for (name, target) in project.entry_points {
            text.push_str(&format!("{name} = {target:?}\n"));
        }
    }
    if !project.pyproject.is_empty() {
        text.push_str(&format!("\n{}\n", project.pyproject.trim()));
    }
    text
}

fn backend(project: &ProjectSpec<'_>) -> String {
    let failure = match project.build {
        BuildOutcome::Wheel => None,
        BuildOutcome::Failure(words) => Some(words),
    };
    // A string is the same in Python as in JSON.
    let quoted = |text: &str| serde_json::json!(text).to_string();
    let scripts = match project.entry_points.is_empty() {
        true => String::new(),
        false => entry_points(project),
    };
    BACKEND
        .replace("@MODULE@", &quoted(&project.module()))
        .replace("@VERSION@", &quoted(project.version))
        .replace("@METADATA@", &quoted(&metadata(project)))
        .replace("@ENTRY_POINTS@", &quoted(&scripts))
        .replace("@FAILURE@", &failure.map_or("None".to_owned(), quoted))
}
