//! What a manifest, or the header of a script, says that it depends on: for those that no lock
//! file says it of.

use super::wanted::Texts;
use std::path::{Path, PathBuf};
use toml::{Table, Value};

/// What is depended on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Declared {
    /// Requirements (PEP 508).
    pub packages: Vec<String>,
    /// Projects of the host.
    pub projects: Vec<LocalProject>,
    /// The index instead of PyPI.
    pub index: Option<String>,
    /// Further indexes.
    pub extra_indexes: Vec<String>,
    /// Whether pre-releases may be chosen.
    pub pre: bool,
    /// Arguments to the resolver.
    pub arguments: Vec<String>,
    /// What is said and not followed.
    pub unheeded: Vec<String>,
    /// Dependencies that only a lock says where to get: anything else might come from an index
    /// that somebody else may put a package of that name into.
    pub needs_lock: Vec<String>,
}

/// A project of the host that is depended on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LocalProject {
    /// Its manifest.
    pub pyproject: PathBuf,
    /// Its extras.
    pub extras: Vec<String>,
}

/// Settings of uv (`[tool.uv]`) that say how it works, and not what is installed; or that only
/// locks know.
const MOOT: [&str; 26] = [
    "cache-dir",
    "cache-keys",
    "compile-bytecode",
    "concurrent-builds",
    "concurrent-downloads",
    "concurrent-installs",
    "conflicts",
    "default-groups",
    "dev-dependencies",
    "environments",
    "fork-strategy",
    "link-mode",
    "managed",
    "native-tls",
    "no-cache",
    "package",
    "preview",
    "python-downloads",
    "python-preference",
    "reinstall",
    "reinstall-package",
    "required-environments",
    "required-version",
    "sources",
    "upgrade",
    "upgrade-package",
];

impl Declared {
    /// What `dependencies` of something in `folder` come to, by the settings `uv`.
    pub fn of(folder: &Path, dependencies: &[String], uv: Option<&Value>) -> Self {
        let sources = uv.and_then(|uv| uv.get("sources")).and_then(Value::as_table);
        let mut declared = Declared::default();
        for dependency in dependencies {
            // As Flyte has it: `file:///home/me/project`, with a name before it or without.
            if let Some((name, path)) = dependency.split_once("file://") {
                let end = path.find(" ;").unwrap_or(path.len());
                let (path, marker) = path.split_at(end);
                declared.add_local(folder, name, path.trim(), !marker.is_empty());
                continue;
            }
            match sources.and_then(|all| source_of(all, dependency)) {
                None => declared.packages.push(dependency.clone()),
                Some(source) => declared.add_from(folder, dependency, source),
            }
        }
        for (key, value) in uv.and_then(Value::as_table).into_iter().flatten() {
            if !declared.setting(key, value) && !MOOT.contains(&key.as_str()) {
                declared.unheeded.push(format!("tool.uv.{key}"));
            }
        }
        declared
    }

    /// A dependency that comes from elsewhere than an index.
    fn add_from(&mut self, folder: &Path, dependency: &str, source: &Value) {
        let sources: &[Value] = match source {
            Value::Array(all) => all,
            one => std::slice::from_ref(one),
        };
        let (dependency, marker) = match dependency.split_once(';') {
            Some((dependency, marker)) => (dependency, format!(" ; {}", marker.trim())),
            None => (dependency, String::new()),
        };
        let head = dependency.find(|c: char| "<>=!~@ (".contains(c)).unwrap_or(dependency.len());
        let name = dependency[..head].trim();
        let is_conditional = |source: &Value| source.get("marker").is_some();
        let [source] = sources else {
            return self.needs_lock.push(name.to_owned());
        };
        let word = |key: &str| source.get(key).and_then(Value::as_str);
        if is_conditional(source) {
            self.needs_lock.push(name.to_owned());
        } else if let Some(path) = word("path") {
            self.add_local(folder, dependency, path, !marker.is_empty());
        } else if let Some(url) = word("url") {
            let below = word("subdirectory").map(|dir| format!("#subdirectory={dir}"));
            self.packages.push(format!("{name} @ {url}{}{marker}", below.unwrap_or_default()));
        } else if let Some(url) = word("git") {
            let at = ["rev", "tag", "branch"].iter().find_map(|key| word(key));
            let at = at.map(|at| format!("@{at}")).unwrap_or_default();
            let below = word("subdirectory").map(|dir| format!("#subdirectory={dir}"));
            let below = below.unwrap_or_default();
            let url = url.strip_prefix("git+").unwrap_or(url);
            self.packages.push(format!("{name} @ git+{url}{at}{below}{marker}"));
        } else {
            // One index of several, or a member of a workspace.
            self.needs_lock.push(name.to_owned());
        }
    }

    /// A project of the host. Archives, and what is only wanted somewhere, are what locks are for.
    fn add_local(&mut self, folder: &Path, dependency: &str, path: &str, is_conditional: bool) {
        const ARCHIVES: [&str; 5] = [".whl", ".zip", ".tar.gz", ".tar.bz2", ".tgz"];
        let (path, below) = path.split_once("#subdirectory=").unwrap_or((path, ""));
        if is_conditional || ARCHIVES.iter().any(|end| path.ends_with(end)) {
            let name = dependency.trim_end().trim_end_matches('@').trim_end();
            return self.needs_lock.push(if name.is_empty() { path } else { name }.to_owned());
        }
        let extras = dependency.split_once('[').and_then(|(_, rest)| rest.split_once(']'));
        let extras = extras.map(|(extras, _)| extras.split(',')).into_iter().flatten();
        let extras = extras.map(|extra| extra.trim().to_owned()).filter(|extra| !extra.is_empty());
        let pyproject = folder.join(path).join(below).join("pyproject.toml");
        self.projects.push(LocalProject { pyproject, extras: extras.collect() });
    }

    /// A setting of uv; false where it is not followed.
    fn setting(&mut self, key: &str, value: &Value) -> bool {
        let mut option = |name: &str, values: &[&str]| {
            for value in values {
                self.arguments.extend([name.to_owned(), (*value).to_owned()]);
            }
            !values.is_empty()
        };
        let words: Vec<&str> = match value {
            Value::Array(all) => all.iter().filter_map(Value::as_str).collect(),
            one => one.as_str().into_iter().collect(),
        };
        match (key, value) {
            (_, Value::Boolean(false)) => true,
            ("index", Value::Array(all)) => {
                all.iter().for_each(|index| self.index(index));
                true
            }
            ("index-url", Value::String(url)) => {
                self.index.get_or_insert_with(|| url.clone());
                true
            }
            ("extra-index-url", Value::Array(_)) => {
                self.extra_indexes.extend(words.into_iter().map(str::to_owned));
                true
            }
            ("prerelease", Value::String(which)) => {
                self.pre |= which == "allow";
                ["allow", "if-necessary", "if-necessary-or-explicit"].contains(&which.as_str())
            }
            ("exclude-newer", Value::String(_)) => option("--exclude-newer", &words),
            ("exclude-newer", Value::Datetime(date)) => {
                option("--exclude-newer", &[&date.to_string()])
            }
            ("resolution" | "index-strategy" | "keyring-provider", Value::String(_)) => {
                option(&format!("--{key}"), &words)
            }
            // Folders are not: uv would look for them where it runs, which may be an image.
            ("find-links", Value::Array(_)) if words.iter().all(|word| is_remote(word)) => {
                option("--find-links", &words)
            }
            ("no-build", Value::Boolean(true)) => option("--only-binary", &[":all:"]),
            ("no-binary", Value::Boolean(true)) => option("--no-binary", &[":all:"]),
            ("no-build-package", Value::Array(_)) => option("--only-binary", &words),
            ("no-binary-package", Value::Array(_)) => option("--no-binary", &words),
            ("no-index", Value::Boolean(true)) => {
                self.arguments.push("--no-index".to_owned());
                true
            }
            ("exclude-newer-package", Value::Table(all)) => {
                for (package, date) in all {
                    let date = date.as_str().map_or_else(|| date.to_string(), str::to_owned);
                    self.arguments.push(format!("--exclude-newer-package={package}={date}"));
                }
                true
            }
            ("config-settings", Value::Table(all)) => {
                for (name, value) in all {
                    let Some(value) = value.as_str() else { return false };
                    self.arguments.push(format!("--config-setting={name}={value}"));
                }
                true
            }
            _ => false,
        }
    }

    fn index(&mut self, index: &Value) {
        let flag = |name: &str| index.get(name).and_then(Value::as_bool).unwrap_or(false);
        let Some(url) = index.get("url").and_then(Value::as_str) else { return };
        // It is for those that name it as their source, and for nothing else.
        if flag("explicit") {
            return;
        }
        match flag("default") && self.index.is_none() {
            true => self.index = Some(url.to_owned()),
            false => self.extra_indexes.push(url.to_owned()),
        }
    }
}

/// What a manifest says that its project depends on, with no extras and the default groups; `None`
/// where only its build backend knows.
pub(super) fn of_manifest(pyproject: &Path, texts: &Texts) -> Option<Declared> {
    let manifest: Table = texts.get(pyproject)?.parse().ok()?;
    let project = manifest.get("project")?;
    let strings = |value: Option<&Value>| -> Option<Vec<String>> {
        let Some(value) = value else { return Some(vec![]) };
        value.as_array()?.iter().map(|item| item.as_str().map(str::to_owned)).collect()
    };
    let dynamic = strings(project.get("dynamic"))?;
    if dynamic.iter().any(|field| field == "dependencies") {
        return None;
    }
    let uv = manifest.get("tool").and_then(|tool| tool.get("uv"));
    let mut dependencies = strings(project.get("dependencies"))?;
    let groups = manifest.get("dependency-groups").and_then(Value::as_table);
    let defaults = match uv.and_then(|uv| uv.get("default-groups")) {
        None => vec!["dev".to_owned()],
        Some(Value::String(all)) if all == "all" => {
            groups.into_iter().flat_map(|groups| groups.keys().cloned()).collect()
        }
        Some(named) => strings(Some(named))?,
    };
    for group in defaults {
        dependencies.extend(group_of(groups, &group, 0)?);
        if group == "dev" {
            dependencies.extend(strings(uv.and_then(|uv| uv.get("dev-dependencies")))?);
        }
    }
    Some(Declared::of(pyproject.parent().unwrap_or(Path::new("")), &dependencies, uv))
}

/// The requirements of a dependency group (PEP 735), with those of the groups that it includes.
fn group_of(groups: Option<&Table>, name: &str, depth: usize) -> Option<Vec<String>> {
    const DEEPEST: usize = 32;
    let items = groups.into_iter().flatten().find(|(key, _)| normal(key) == normal(name));
    let Some((_, items)) = items else { return Some(vec![]) };
    let mut all = vec![];
    for item in items.as_array()? {
        match (item.as_str(), item.get("include-group").and_then(Value::as_str)) {
            (Some(requirement), _) => all.push(requirement.to_owned()),
            (None, Some(other)) if depth < DEEPEST => {
                all.extend(group_of(groups, other, depth + 1)?);
            }
            (None, _) => return None,
        }
    }
    Some(all)
}

fn is_remote(place: &str) -> bool {
    place.contains("://") && !place.starts_with("file:")
}

/// What is said of where a dependency comes from. Names are compared as indexes do.
fn source_of<'a>(sources: &'a Table, dependency: &str) -> Option<&'a Value> {
    let name = normal(dependency);
    sources.iter().find(|(key, _)| normal(key) == name).map(|(_, source)| source)
}

/// The name that a requirement starts with, in its normal form (PEP 503).
fn normal(requirement: &str) -> String {
    let is_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let end = requirement.find(|c| !is_word(c)).unwrap_or(requirement.len());
    let parts = requirement[..end].split(['-', '_', '.']).filter(|part| !part.is_empty());
    parts.map(str::to_ascii_lowercase).collect::<Vec<_>>().join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn declared(dependencies: &[&str], uv: &str) -> Declared {
        let dependencies: Vec<String> = dependencies.iter().map(|d| (*d).to_owned()).collect();
        let uv: Table = uv.parse().unwrap();
        Declared::of(Path::new("s"), &dependencies, Some(&Value::Table(uv)))
    }

    #[test]
    fn sources_become_requirements() {
        for (dependency, source, expected) in [
            ("a>=1", "a = { url = 'https://h/a.whl' }", "a @ https://h/a.whl"),
            ("A_b[x]", "a-b = { git = 'https://h/a', rev = '1' }", "A_b[x] @ git+https://h/a@1"),
            (
                "a; os_name == 'x'",
                "a = { git = 'https://h/a', subdirectory = 'd' }",
                "a @ git+https://h/a#subdirectory=d ; os_name == 'x'",
            ),
            ("a>=1", "", "a>=1"),
        ] {
            let found = declared(&[dependency], &format!("[sources]\n{source}\n"));
            assert_eq!((found.packages, found.unheeded), (vec![expected.to_owned()], vec![]));
        }
        for source in [
            "a = { workspace = true }",
            "a = { index = 'x' }",
            "a = [{ url = 'https://h/1', marker = 'm' }, { url = 'https://h/2' }]",
        ] {
            let found = declared(&["a>=1"], &format!("[sources]\n{source}\n"));
            assert_eq!(
                (found.packages, found.needs_lock),
                (vec![], vec!["a".to_owned()]),
                "{source}"
            );
        }
        let dependencies = ["a[x, y]>=1", "file:///p", "b @ file:///q#subdirectory=d"];
        let found = declared(&dependencies, "[sources]\na = { path = '../a' }\n");
        let local = |path: &str, extras: &[&str]| LocalProject {
            pyproject: path.into(),
            extras: extras.iter().map(|extra| (*extra).to_owned()).collect(),
        };
        assert_eq!(
            found.projects,
            [
                local("s/../a/pyproject.toml", &["x", "y"]),
                local("/p/pyproject.toml", &[]),
                local("/q/d/pyproject.toml", &[]),
            ]
        );
        let dependencies = ["a ; os_name == 'nt'", "b @ file:///q ; os_name == 'nt'", "c"];
        let sources = "[sources]\na = { path = '../a' }\nc = { path = 'dist/c.whl' }\n";
        let found = declared(&dependencies, sources);
        assert_eq!((found.projects, found.needs_lock.join(" ")), (vec![], "a b c".to_owned()));
    }

    #[test]
    fn settings_become_options() {
        let found = declared(
            &[],
            "prerelease = 'allow'
resolution = 'lowest'
exclude-newer = '2025-01-01T00:00:00Z'
no-binary-package = ['x']
no-build = true
no-index = false
link-mode = 'copy'
constraint-dependencies = ['idna<4']
find-links = ['dist']
[[index]]
url = 'https://first/simple'
[[index]]
url = 'https://all/simple'
default = true
[[index]]
name = 'own'
url = 'https://own/simple'
explicit = true
",
        );
        let arguments = [
            "--exclude-newer 2025-01-01T00:00:00Z",
            "--no-binary x",
            "--only-binary :all:",
            "--resolution lowest",
        ];
        assert_eq!(found.arguments.join(" "), arguments.join(" "));
        assert_eq!(found.index.as_deref(), Some("https://all/simple"));
        assert_eq!(found.extra_indexes, ["https://first/simple"]);
        assert!(found.pre);
        assert_eq!(found.unheeded, ["tool.uv.constraint-dependencies", "tool.uv.find-links"]);
    }

    #[test]
    fn manifests_say_what_their_projects_depend_on() {
        let of = |text: &str| {
            let texts = Texts::from([(PathBuf::from("p/pyproject.toml"), text.to_owned())]);
            of_manifest(Path::new("p/pyproject.toml"), &texts).map(|found| found.packages)
        };
        let project = "[project]\nname = 'p'\ndependencies = ['a']\n";
        for (text, expected) in [
            (String::new(), vec!["a"]),
            (
                "[dependency-groups]\ndev = ['b', { include-group = 'c' }]\nc = ['d']\n".into(),
                vec!["a", "b", "d"],
            ),
            ("[tool.uv]\ndev-dependencies = ['b']\n".into(), vec!["a", "b"]),
            (
                "[dependency-groups]\ndev = ['b']\nc = ['d']\n[tool.uv]\ndefault-groups = ['c']\n"
                    .into(),
                vec!["a", "d"],
            ),
            (
                "[dependency-groups]\nb = ['b']\n[tool.uv]\ndefault-groups = 'all'\n".into(),
                vec!["a", "b"],
            ),
        ] {
            let expected: Vec<String> = expected.into_iter().map(str::to_owned).collect();
            assert_eq!(of(&format!("{project}{text}")), Some(expected), "{text}");
        }
        for text in [
            "[project]\nname = 'p'\ndynamic = ['dependencies']\n",
            "[tool.poetry]\nname = 'p'\n",
            "[project]\ndependencies = 1\n",
            "not toml",
            "[project]\nname = 'p'\n[dependency-groups]\ndev = [{ include-group = 'dev' }]\n",
        ] {
            assert_eq!(of(text), None, "{text}");
        }
    }
}
