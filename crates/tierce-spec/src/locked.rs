//! What a lock file names of the host: folders and archives that packages are installed from, and
//! manifests that are read with it. Texts go in, paths come out; nothing is read here.

mod paths;

pub use paths::{named_paths, script_header};

use crate::{Groups, Project, ProjectInstall, ProjectKind, Selection};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};
use tierce_oci::{Diagnostic, ErrorKind};
use toml::{Table, Value};

/// What a lock file names of the host, relative to the folder that its paths start from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Named {
    /// Folders that packages are built from; `.` is the project itself.
    pub folders: BTreeSet<PathBuf>,
    /// Wheels and source archives.
    pub archives: BTreeSet<PathBuf>,
    /// Manifests of workspace members, which whoever reads the lock reads too.
    pub manifests: BTreeSet<PathBuf>,
}

/// Why a lock file can't be read.
#[derive(Debug, thiserror::Error)]
pub enum LockedError {
    /// It is not text.
    #[error("it is not UTF-8")]
    Encoding,
    /// It is not TOML: truncated, or edited by hand.
    #[error("it is not a lock file: {}", first_line(.0.message()))]
    Toml(#[source] Box<toml::de::Error>),
    /// The format's version is not known.
    #[error("its format is version {found}, which is not known")]
    Version {
        /// The version.
        found: String,
    },
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

impl Diagnostic for LockedError {
    fn code(&self) -> &'static str {
        "python/bad-lock"
    }

    fn kind(&self) -> ErrorKind {
        ErrorKind::User
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            LockedError::Encoding | LockedError::Toml(_) => {
                "Bring it back from version control, or write it anew with the tool that it is of."
                    .to_owned()
            }
            LockedError::Version { .. } => {
                "Write it anew with a release of the tool that tierce knows.".to_owned()
            }
        })
    }
}

/// What the lock file of `project` names of the host. `place` is the manifest's folder relative
/// to that of the lock's paths: `.` but for members of workspaces.
pub fn named(project: &Project, place: &Path, lock: &[u8]) -> Result<Named, LockedError> {
    let text = std::str::from_utf8(lock).map_err(|_| LockedError::Encoding)?;
    let table: Table = text.parse().map_err(|e| LockedError::Toml(Box::new(e)))?;
    match project.kind {
        ProjectKind::Uv => of_uv(project, place, &table),
        ProjectKind::Poetry => Ok(of_poetry(project, &table)),
        ProjectKind::Pylock => Ok(of_pylock(project, &table)),
    }
}

/// A package of a `uv.lock`.
struct Package<'a> {
    name: &'a str,
    table: &'a Table,
}

impl Package<'_> {
    /// Its folder or archive, and which key says so.
    fn local(&self) -> Option<(&'static str, PathBuf)> {
        let source = self.table.get("source")?.as_table()?;
        ["editable", "directory", "virtual", "path"]
            .into_iter()
            .find_map(|key| Some((key, plain(source.get(key)?.as_str()?))))
    }

    /// The names of what it may require, with any extra and group.
    fn requires(&self) -> Vec<&str> {
        let lists = ["optional-dependencies", "dev-dependencies"];
        let groups = lists.iter().filter_map(|key| self.table.get(*key)?.as_table());
        let lists = groups.flat_map(Table::values).chain(self.table.get("dependencies"));
        let items = lists.filter_map(Value::as_array).flatten();
        items.filter_map(|item| item.get("name")?.as_str()).collect()
    }
}

/// `uv.lock`, version 1.
fn of_uv(project: &Project, place: &Path, lock: &Table) -> Result<Named, LockedError> {
    match lock.get("version").and_then(Value::as_integer) {
        Some(1) => {}
        other => {
            let found = other.map_or("missing".to_owned(), |version| version.to_string());
            return Err(LockedError::Version { found });
        }
    }
    let packages: Vec<Package<'_>> = tables(lock, "package")
        .filter_map(|table| Some(Package { name: table.get("name")?.as_str()?, table }))
        .collect();
    let manifest = lock.get("manifest").and_then(Value::as_table);
    let members: Vec<&str> = manifest
        .and_then(|manifest| manifest.get("members")?.as_array())
        .map(|members| members.iter().filter_map(Value::as_str).collect())
        .unwrap_or_default();
    let mut found = Named::default();
    let is_own = |package: &Package<'_>| match members.as_slice() {
        [] => package.local().is_some_and(|(_, at)| at == Path::new(".")),
        members => members.contains(&package.name),
    };
    for package in packages.iter().filter(|package| is_own(package)) {
        if let Some((_, folder)) = package.local()
            && folder != Path::new(".")
        {
            found.manifests.insert(folder.join("pyproject.toml"));
        }
    }
    let place = plain(&place.to_string_lossy());
    let wanted = &project.selection.packages;
    let is_root = |package: &Package<'_>| match wanted.as_slice() {
        [] => package.local().is_some_and(|(key, at)| key != "path" && at == place),
        wanted => wanted.iter().any(|name| normal(name) == package.name),
    };
    let mut roots: Vec<&str> =
        packages.iter().filter(|package| is_root(package)).map(|p| p.name).collect();
    let mut reached: BTreeSet<&str> = BTreeSet::new();
    if roots.is_empty() {
        // The root of a workspace that is no project itself: all members, and its own groups.
        roots.extend(packages.iter().filter(|package| is_own(package)).map(|p| p.name));
        let groups = manifest.and_then(|m| m.get("dependency-groups")?.as_table());
        let items = groups.into_iter().flat_map(Table::values).filter_map(Value::as_array);
        // A script's lock has its requirements there.
        let of_script = manifest.and_then(|m| m.get("requirements")?.as_array());
        let items = items.chain(of_script).flatten();
        reached.extend(items.filter_map(|item| item.get("name")?.as_str()));
    }
    let mut open: Vec<&str> = roots.iter().copied().chain(reached.iter().copied()).collect();
    reached.extend(&roots);
    while let Some(name) = open.pop() {
        let of_name = packages.iter().filter(|package| package.name == name);
        for required in of_name.flat_map(Package::requires) {
            if reached.insert(required) {
                open.push(required);
            }
        }
    }
    let skips_roots = project.install == ProjectInstall::DependenciesOnly;
    for package in packages.iter().filter(|package| reached.contains(package.name)) {
        if skips_roots && roots.contains(&package.name) {
            continue;
        }
        match package.local() {
            Some(("path", archive)) => found.archives.insert(archive),
            Some(("editable" | "directory", folder)) => found.folders.insert(folder),
            Some(_) | None => false,
        };
    }
    Ok(found)
}

/// Whether a package of a `poetry.lock` may be of the groups that are wanted: which of them are
/// optional, only the manifest says. Locks of old releases have no groups.
fn may_be_wanted(package: &Table, selection: &Selection) -> bool {
    let Some(groups) = package.get("groups").and_then(Value::as_array) else { return true };
    let has = |names: &[String], group: &str| names.iter().any(|name| normal(name) == group);
    groups.iter().filter_map(Value::as_str).map(normal).any(|group| {
        let is_of_kind = match selection.groups {
            Groups::Defaults | Groups::All => true,
            Groups::None => group == "main",
            Groups::Only => false,
        };
        (is_of_kind || has(&selection.with_groups, &group))
            && !has(&selection.without_groups, &group)
    })
}

/// `poetry.lock`: packages whose source is of type `directory` or `file`.
fn of_poetry(project: &Project, lock: &Table) -> Named {
    let mut found = Named::default();
    let wanted = |package: &&Table| may_be_wanted(package, &project.selection);
    for package in tables(lock, "package").filter(wanted) {
        let source = |key: &str| package.get("source")?.get(key)?.as_str();
        match (source("type"), source("url")) {
            (Some("directory"), Some(url)) => found.folders.insert(plain(url)),
            (Some("file"), Some(url)) => found.archives.insert(plain(url)),
            _ => false,
        };
    }
    if project.install == ProjectInstall::InstallProject {
        found.folders.insert(PathBuf::from("."));
    }
    found
}

/// `pylock.toml` (PEP 751): `directory.path`, and `path` of archives, wheels and sdists.
fn of_pylock(project: &Project, lock: &Table) -> Named {
    let mut found = Named::default();
    let path = |value: &Value| Some(plain(value.get("path")?.as_str()?));
    for package in tables(lock, "packages") {
        if let Some(folder) = package.get("directory").and_then(path) {
            let is_project = folder == Path::new(".");
            if !is_project || project.install == ProjectInstall::InstallProject {
                found.folders.insert(folder);
            }
        }
        let files = ["archive", "sdist"].into_iter().filter_map(|key| package.get(key));
        let wheels = package.get("wheels").and_then(Value::as_array).into_iter().flatten();
        found.archives.extend(files.chain(wheels).filter_map(path));
    }
    found
}

fn tables<'a>(lock: &'a Table, key: &str) -> impl Iterator<Item = &'a Table> + use<'a> {
    let packages = lock.get(key).and_then(Value::as_array).into_iter().flatten();
    packages.filter_map(Value::as_table)
}

/// A path without `.` components and without a slash at its end: `.` where nothing is left. A
/// `file:` URL is the path that it leads to.
pub fn plain(path: &str) -> PathBuf {
    let path = path.strip_prefix("file://").filter(|rest| rest.starts_with('/')).unwrap_or(path);
    let kept = Path::new(path).components().filter(|part| *part != Component::CurDir);
    let kept: PathBuf = kept.collect();
    match kept.as_os_str().is_empty() {
        true => PathBuf::from("."),
        false => kept,
    }
}

/// A name as indexes compare it (PEP 503).
fn normal(name: &str) -> String {
    let parts = name.split(['-', '_', '.']).filter(|part| !part.is_empty());
    parts.map(str::to_ascii_lowercase).collect::<Vec<_>>().join("-")
}

/// Whether this manifest is the root of a uv workspace.
pub fn is_workspace_root(manifest: &str) -> bool {
    let workspace = |table: &Table| table.get("tool")?.get("uv")?.get("workspace").map(|_| ());
    manifest.parse::<Table>().is_ok_and(|table| workspace(&table).is_some())
}

/// Fields of a project's version that a backend takes from a version control system, which a
/// build has none of: the variables that make it up instead, by the names of their backends'
/// documentation. Empty where the version is written down, or a fallback for it is.
pub fn scm_variables(manifest: &str, version: &str) -> BTreeMap<String, String> {
    let Ok(table) = manifest.parse::<Table>() else { return BTreeMap::new() };
    let strings = |value: Option<&Value>| -> Vec<String> {
        let items = value.and_then(Value::as_array).into_iter().flatten();
        items.filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let project = table.get("project");
    let dynamic = strings(project.and_then(|project| project.get("dynamic")));
    let tool = table.get("tool");
    let has_fallback = ["fallback_version", "fallback-version"].iter().any(|key| {
        let holders = [
            tool.and_then(|tool| tool.get("setuptools_scm")?.get(key)),
            tool.and_then(|tool| tool.get("hatch")?.get("version")?.get("raw-options")?.get(key)),
            tool.and_then(|tool| tool.get("hatch")?.get("version")?.get(key)),
        ];
        holders.iter().any(Option::is_some)
    });
    if !dynamic.iter().any(|field| field == "version") || has_fallback {
        return BTreeMap::new();
    }
    let requires = strings(table.get("build-system").and_then(|build| build.get("requires")));
    let is_required = |name: &str| {
        requires.iter().any(|requirement| {
            let rest = normal_start(requirement).strip_prefix(name).map(str::to_owned);
            rest.is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '-'))
        })
    };
    let mut all = BTreeMap::new();
    for (backends, variable, value) in [
        (&["setuptools-scm", "hatch-vcs", "vcs-versioning"][..], SCM_VERSION, version),
        (&["pdm-backend"], "PDM_BUILD_SCM_VERSION", version),
        (&["uv-dynamic-versioning"], "UV_DYNAMIC_VERSIONING_BYPASS", version),
        (&["poetry-dynamic-versioning"], "POETRY_DYNAMIC_VERSIONING_BYPASS", version),
        (&["pbr"], "PBR_VERSION", version),
    ] {
        if backends.iter().any(|backend| is_required(backend)) {
            all.insert(variable.to_owned(), value.to_owned());
        }
    }
    all
}

/// The variable of setuptools-scm and of all that stand on it.
const SCM_VERSION: &str = "SETUPTOOLS_SCM_PRETEND_VERSION";

/// A requirement in lower case, with `-` for what indexes take for the same.
fn normal_start(requirement: &str) -> String {
    requirement.trim().to_ascii_lowercase().replace(['_', '.'], "-")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Groups, Selection};

    const UV: &str = r#"
version = 1
revision = 3
requires-python = ">=3.9"
[manifest]
members = ["app", "core", "other"]
[[package]]
name = "app"
version = "1"
source = { editable = "." }
dependencies = [{ name = "core" }, { name = "six" }]
[package.dev-dependencies]
dev = [{ name = "tool" }]
[[package]]
name = "core"
source = { editable = "packages/core" }
dependencies = [{ name = "archive" }]
[[package]]
name = "other"
source = { virtual = "packages/other" }
[[package]]
name = "archive"
source = { path = "../archive-1.tar.gz" }
[[package]]
name = "tool"
source = { directory = "../tool" }
[[package]]
name = "lone"
source = { directory = "../lone" }
[[package]]
name = "six"
source = { registry = "https://pypi.org/simple" }
"#;

    fn paths(found: &BTreeSet<PathBuf>) -> Vec<&str> {
        found.iter().map(|path| path.to_str().unwrap()).collect()
    }

    #[test]
    fn a_uv_lock_names_what_the_project_reaches() {
        let project = Project::new(ProjectKind::Uv, "pyproject.toml");
        let found = named(&project, Path::new(""), UV.as_bytes()).unwrap();
        assert_eq!(paths(&found.folders), ["../tool", "packages/core"]);
        assert_eq!(paths(&found.archives), ["../archive-1.tar.gz"]);
        let members = ["packages/core/pyproject.toml", "packages/other/pyproject.toml"];
        assert_eq!(paths(&found.manifests), members);

        let whole = project.clone().with_install(ProjectInstall::InstallProject);
        let found = named(&whole, Path::new("."), UV.as_bytes()).unwrap();
        assert_eq!(paths(&found.folders), [".", "../tool", "packages/core"]);

        // A member, by its manifest or by its name.
        let found = named(&whole, Path::new("packages/core/"), UV.as_bytes()).unwrap();
        assert_eq!(paths(&found.folders), ["packages/core"]);
        let packages = vec!["Core".to_owned()];
        let member = whole.with_selection(Selection {
            packages,
            groups: Groups::All,
            ..Selection::default()
        });
        let by_name = named(&member, Path::new("."), UV.as_bytes()).unwrap();
        assert_eq!(by_name, found);
    }

    #[test]
    fn other_locks_name_what_they_have() {
        let poetry = "[[package]]\nname = \"lib\"\n[package.source]\ntype = \"directory\"\nurl = \"../lib\"\n\
                      [[package]]\nname = \"f\"\n[package.source]\ntype = \"file\"\nurl = \"./f-1.whl\"\n";
        let project = Project::new(ProjectKind::Poetry, "pyproject.toml");
        let found = named(&project, Path::new("."), poetry.as_bytes()).unwrap();
        assert_eq!(
            (paths(&found.folders), paths(&found.archives)),
            (vec!["../lib"], vec!["f-1.whl"])
        );

        let pylock = "lock-version = \"1.0\"\n[[packages]]\nname = \"a\"\ndirectory = { path = \".\" }\n\
                      [[packages]]\nname = \"b\"\nwheels = [{ path = \"w/b-1-py3-none-any.whl\" }]\n\
                      [[packages]]\nname = \"c\"\ndirectory = { path = \"./c/\", editable = true }\n";
        let project = Project::new(ProjectKind::Pylock, "pylock.toml");
        let found = named(&project, Path::new("."), pylock.as_bytes()).unwrap();
        assert_eq!(paths(&found.folders), ["c"]);
        assert_eq!(paths(&found.archives), ["w/b-1-py3-none-any.whl"]);
        let whole = project.with_install(ProjectInstall::InstallProject);
        assert_eq!(
            paths(&named(&whole, Path::new("."), pylock.as_bytes()).unwrap().folders),
            [".", "c"]
        );
    }

    #[test]
    fn groups_that_are_not_wanted_need_not_be_there() {
        let package = |name: &str, groups: &str| {
            format!(
                "[[package]]\nname = {name:?}\n{groups}[package.source]\ntype = \"directory\"\n\
                 url = {name:?}\n"
            )
        };
        let lock = package("a", "groups = [\"main\", \"dev\"]\n")
            + &package("b", "groups = [\"dev\"]\n")
            + &package("c", "groups = [\"Docs_x\"]\n")
            + &package("old", "");
        let all = || Selection::default();
        let docs = || vec!["docs-x".to_owned()];
        for (selection, expected) in [
            (all(), &["a", "b", "c", "old"][..]),
            (Selection { groups: Groups::None, ..all() }, &["a", "old"]),
            (Selection { groups: Groups::Only, with_groups: docs(), ..all() }, &["c", "old"]),
            (Selection { without_groups: docs(), ..all() }, &["a", "b", "old"]),
        ] {
            let project =
                Project { selection, ..Project::new(ProjectKind::Poetry, "pyproject.toml") };
            let found = named(&project, Path::new("."), lock.as_bytes()).unwrap();
            assert_eq!(paths(&found.folders), expected);
        }
    }

    #[test]
    fn locks_that_are_none_are_errors() {
        let project = Project::new(ProjectKind::Uv, "pyproject.toml");
        for lock in ["version = 2\n", "package = [", "", "\u{0}"] {
            let error = named(&project, Path::new("."), lock.as_bytes()).unwrap_err();
            assert_eq!(error.code(), "python/bad-lock", "{lock:?}");
        }
        assert!(named(&project, Path::new("."), b"\xff").is_err());
    }

    #[test]
    fn versions_of_version_control_are_made_up() {
        let manifest = |requires: &str, more: &str| {
            format!(
                "[build-system]\nrequires = [{requires:?}]\n[project]\nname = \"a\"\ndynamic = [\"version\"]\n{more}"
            )
        };
        let names = |text: &str| scm_variables(text, "0").into_keys().collect::<Vec<_>>();
        assert_eq!(names(&manifest("setuptools_scm[toml]>=8", "")), [SCM_VERSION]);
        assert_eq!(names(&manifest("hatch-vcs", "")), [SCM_VERSION]);
        assert_eq!(names(&manifest("pdm-backend", "")), ["PDM_BUILD_SCM_VERSION"]);
        assert!(names(&manifest("hatchling", "")).is_empty());
        assert!(
            names(&manifest("hatch-vcs", "[tool.setuptools_scm]\nfallback_version = \"1\"\n"))
                .is_empty()
        );
        assert!(
            names("[build-system]\nrequires = [\"hatch-vcs\"]\n[project]\nversion = \"1\"\n")
                .is_empty()
        );
    }
}
