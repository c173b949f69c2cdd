//! What a Poetry project's `pyproject.toml` requires: `[project]` (PEP 621), `[tool.poetry]`,
//! `[dependency-groups]` (PEP 735).

use super::dependency::{BadDependency, Dependency, DependencySpec, constraint, names};
use super::error::PoetryError;
use crate::name::PackageName;
use pep440_rs::Version;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

/// A project.
pub(super) struct Manifest {
    /// Its name and version, where it is a package; else why it is none.
    pub package: Result<(PackageName, Option<Version>), &'static str>,
    pub groups: BTreeMap<PackageName, Group>,
    /// The extras, and which packages each is for.
    pub extras: BTreeMap<PackageName, BTreeSet<PackageName>>,
    /// Its interpreters, as they are written.
    pub python: Option<String>,
}

/// A dependency group.
#[derive(Default)]
pub(super) struct Group {
    pub optional: bool,
    pub dependencies: Vec<Dependency>,
    pub includes: BTreeSet<PackageName>,
}

/// The group that is there without being named.
pub(super) fn main_group() -> PackageName {
    PackageName::new("main").unwrap_or_else(|_| unreachable!("main is a name"))
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct File {
    #[serde(default)]
    project: Project,
    #[serde(default)]
    tool: Tool,
    #[serde(default)]
    dependency_groups: BTreeMap<String, Vec<GroupItem>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Project {
    name: Option<String>,
    version: Option<String>,
    requires_python: Option<String>,
    dependencies: Option<Vec<String>>,
    #[serde(default)]
    optional_dependencies: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    dynamic: Vec<String>,
}

#[derive(Default, Deserialize)]
struct Tool {
    #[serde(default)]
    poetry: Poetry,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Poetry {
    name: Option<String>,
    version: Option<String>,
    package_mode: Option<bool>,
    #[serde(default)]
    dependencies: BTreeMap<String, DependencySpec>,
    #[serde(default)]
    dev_dependencies: BTreeMap<String, DependencySpec>,
    #[serde(default)]
    group: BTreeMap<String, PoetryGroup>,
    #[serde(default)]
    extras: BTreeMap<String, Vec<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct PoetryGroup {
    #[serde(default)]
    optional: bool,
    #[serde(default)]
    dependencies: BTreeMap<String, DependencySpec>,
    #[serde(default)]
    include_groups: Vec<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum GroupItem {
    Requirement(String),
    Include {
        #[serde(rename = "include-group")]
        include_group: String,
    },
}

impl Manifest {
    pub(super) fn read(pyproject: &toml::Table) -> Result<Self, PoetryError> {
        let file: File = toml::Value::Table(pyproject.clone())
            .try_into()
            .map_err(|error| PoetryError::Pyproject(Box::new(error)))?;
        let mut manifest = Manifest {
            package: package(&file)?,
            groups: BTreeMap::from([(main_group(), Group::default())]),
            extras: BTreeMap::new(),
            python: python(&file),
        };
        manifest.read_main(&file)?;
        manifest.read_groups(file)?;
        manifest.check_includes()?;
        Ok(manifest)
    }

    /// `[project]` is what counts; `[tool.poetry]` has the dependencies where it has none, or
    /// those that it declares to be dynamic.
    fn read_main(&mut self, file: &File) -> Result<(), PoetryError> {
        let Project { dependencies, optional_dependencies, dynamic, .. } = &file.project;
        let mut all = vec![];
        for text in dependencies.iter().flatten() {
            all.push(Dependency::parse(text).map_err(in_part("[project] dependencies"))?);
        }
        for (extra, texts) in optional_dependencies {
            let part = "[project.optional-dependencies]";
            let extra = self.extra(extra, part)?;
            for text in texts {
                let mut dependency = Dependency::parse(text).map_err(in_part(part))?;
                dependency.optional = true;
                dependency.in_extras.insert(extra.clone());
                self.extras.entry(extra.clone()).or_default().insert(dependency.name.clone());
                all.push(dependency);
            }
        }
        let poetry = table(&file.tool.poetry.dependencies, "[tool.poetry.dependencies]")?;
        let is_dynamic = |field: &str| dynamic.iter().any(|name| name == field);
        let mixed = is_dynamic("dependencies") || is_dynamic("optional-dependencies");
        let from_poetry: Vec<Dependency> = match all.first().map(|first| first.optional) {
            None => poetry,
            // One of the two kinds is dynamic where `[project]` has the other only.
            Some(optional) if mixed && all.iter().all(|one| one.optional == optional) => {
                poetry.into_iter().filter(|one| one.optional != optional).collect()
            }
            Some(_) => vec![],
        };
        all.extend(from_poetry);
        if dependencies.as_ref().is_none_or(Vec::is_empty) && optional_dependencies.is_empty() {
            let part = "[tool.poetry.extras]";
            for (extra, packages) in &file.tool.poetry.extras {
                let extra = self.extra(extra, part)?;
                let packages = names(packages).map_err(in_part(part))?;
                for dependency in all.iter_mut().filter(|one| packages.contains(&one.name)) {
                    dependency.in_extras.insert(extra.clone());
                }
                self.extras.entry(extra).or_default().extend(packages);
            }
        }
        self.group(main_group()).dependencies = all;
        Ok(())
    }

    fn extra(&mut self, text: &str, part: &str) -> Result<PackageName, PoetryError> {
        let extra = name(text, part)?;
        self.extras.entry(extra.clone()).or_default();
        Ok(extra)
    }

    fn group(&mut self, name: PackageName) -> &mut Group {
        self.groups.entry(name).or_default()
    }

    fn read_groups(&mut self, file: File) -> Result<(), PoetryError> {
        for (text, items) in &file.dependency_groups {
            let part = format!("[dependency-groups] {text}");
            let group = self.group(name(text, &part)?);
            for item in items {
                match item {
                    GroupItem::Requirement(text) => {
                        let dependency = Dependency::parse(text).map_err(in_part(&part))?;
                        group.dependencies.push(dependency);
                    }
                    GroupItem::Include { include_group } => {
                        group.includes.insert(name(include_group, &part)?);
                    }
                }
            }
        }
        let Poetry { group: groups, dev_dependencies, .. } = file.tool.poetry;
        for (text, own) in &groups {
            let part = format!("[tool.poetry.group.{text}]");
            let dependencies = table(&own.dependencies, &part)?;
            let group = self.group(name(text, &part)?);
            group.optional |= own.optional;
            // Where both have dependencies, Poetry's own only add to what is known of them.
            if group.dependencies.is_empty() {
                group.dependencies = dependencies;
            }
            for included in &own.include_groups {
                group.includes.insert(name(included, &part)?);
            }
        }
        if !dev_dependencies.is_empty() {
            let part = "[tool.poetry.dev-dependencies]";
            let dependencies = table(&dev_dependencies, part)?;
            self.group(name("dev", part)?).dependencies.extend(dependencies);
        }
        Ok(())
    }

    fn check_includes(&self) -> Result<(), PoetryError> {
        for (group, content) in &self.groups {
            for included in &content.includes {
                if !self.groups.contains_key(included) {
                    let (group, included) = (group.to_string(), included.to_string());
                    return Err(PoetryError::Include { group, included });
                }
            }
        }
        Ok(())
    }

    /// The dependencies of these groups and of what they include.
    pub(super) fn dependencies_of(&self, groups: &BTreeSet<PackageName>) -> Vec<&Dependency> {
        let mut seen = BTreeSet::new();
        let mut waiting: Vec<&PackageName> = groups.iter().collect();
        let mut all = vec![];
        while let Some(name) = waiting.pop() {
            if let Some(group) = self.groups.get(name).filter(|_| seen.insert(name)) {
                all.extend(&group.dependencies);
                waiting.extend(&group.includes);
            }
        }
        all
    }
}

fn package(
    file: &File,
) -> Result<Result<(PackageName, Option<Version>), &'static str>, PoetryError> {
    let (project, poetry) = (&file.project, &file.tool.poetry);
    if poetry.package_mode == Some(false) {
        return Ok(Err("says package-mode = false"));
    }
    let Some(text) = project.name.as_ref().or(poetry.name.as_ref()) else {
        return Ok(Err("has no name"));
    };
    let version = project.version.as_ref().or(poetry.version.as_ref());
    let version = version.and_then(|version| version.parse().ok());
    Ok(Ok((name(text, "name")?, version)))
}

fn python(file: &File) -> Option<String> {
    let of_poetry = match file.tool.poetry.dependencies.get("python") {
        Some(DependencySpec::Version(version)) => Some(version.clone()),
        _ => None,
    };
    of_poetry.or_else(|| file.project.requires_python.clone())
}

fn table(
    specs: &BTreeMap<String, DependencySpec>,
    part: &str,
) -> Result<Vec<Dependency>, PoetryError> {
    let mut all = vec![];
    for (name, spec) in specs {
        match (name.eq_ignore_ascii_case("python"), spec) {
            (true, DependencySpec::Version(version)) => {
                constraint(version).map_err(in_part(part))?;
            }
            (true, _) => {}
            (false, spec) => all.extend(spec.read(name).map_err(in_part(part))?),
        }
    }
    Ok(all)
}

fn name(text: &str, part: &str) -> Result<PackageName, PoetryError> {
    PackageName::new(text).map_err(|_| in_part(part)(BadDependency(text.to_owned())))
}

fn in_part(part: &str) -> impl Fn(BadDependency) -> PoetryError + '_ {
    move |BadDependency(text)| PoetryError::Manifest { what: part.to_owned(), text }
}
