//! Whether a `uv.lock` is that of its manifests.

use super::origin::Origin;
use crate::name::PackageName;
use crate::pylock::marker_environment;
use crate::target::Target;
use pep440_rs::{Version, VersionSpecifiers};
use pep508_rs::{ExtraName, MarkerEnvironment, MarkerTree, Requirement, VersionOrUrl};
use std::collections::BTreeSet;
use std::str::FromStr;
use toml::{Table, Value};
use url::Url;

/// A requirement as both sides have it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Wanted {
    name: PackageName,
    extras: BTreeSet<String>,
    /// Sorted; empty for any version.
    specifiers: BTreeSet<String>,
    /// Whether it comes from a place, so that no version says anything.
    is_placed: bool,
    origin: Origin,
}

impl Wanted {
    fn text(&self) -> String {
        let Wanted { name, extras, specifiers, origin, .. } = self;
        let join = |all: &BTreeSet<String>| all.iter().cloned().collect::<Vec<_>>().join(",");
        let extras = match extras.is_empty() {
            true => String::new(),
            false => format!("[{}]", join(extras)),
        };
        format!("{name}{extras}{}{}", join(specifiers), origin.text())
    }

    /// Whether a requirement of the lock stands for this one of the manifest. One that comes from
    /// a place that `tool.uv.sources` says has no version there.
    fn is(&self, locked: &Wanted) -> bool {
        self.name == locked.name
            && self.extras == locked.extras
            && (locked.is_placed || self.specifiers == locked.specifiers)
            && self.origin.is(&locked.origin)
    }
}

/// What a manifest has that the lock has not, and the other way around, as messages.
pub(super) fn differences(
    lock: &Table,
    manifest: &Table,
    target: &Target,
    is_root: bool,
) -> Vec<String> {
    let Some(environment) = marker_environment(target) else { return vec![] };
    let mut found = vec![];
    if is_root {
        let uv = manifest.get("tool").and_then(|tool| tool.get("uv"));
        let of_lock = lock.get("manifest");
        for (theirs, ours) in
            [("constraint-dependencies", "constraints"), ("override-dependencies", "overrides")]
        {
            let wanted = strings(uv.and_then(|uv| uv.get(theirs)));
            let locked = list(of_lock.and_then(|manifest| manifest.get(ours)));
            let wanted = parsed(wanted.iter().map(String::as_str), &environment, None);
            let locked = locked_in(locked, &environment, None);
            compare(&format!("tool.uv.{theirs}"), &wanted, &locked, &mut found);
        }
    }
    let Some(project) = manifest.get("project").and_then(Value::as_table) else { return found };
    let Some(name) = project.get("name").and_then(Value::as_str) else { return found };
    let Ok(name) = PackageName::new(name) else { return found };
    let Some(package) = package(lock, &name) else {
        found.push(format!("{name} is not in the lock"));
        return found;
    };
    let dynamic = strings(project.get("dynamic"));
    found.extend(version(&name, project, package, &dynamic));
    let metadata = package.get("metadata").and_then(Value::as_table);
    let locked = |key: &str| list(metadata.and_then(|metadata| metadata.get(key)));
    if !dynamic.iter().any(|field| field == "dependencies") {
        let wanted = strings(project.get("dependencies"));
        let mut wanted = parsed(wanted.iter().map(String::as_str), &environment, None);
        for one in &mut wanted {
            // Of others, those of the workspace's root count.
            if let Some(origin) = Origin::of_manifest(manifest, one.name.as_str(), &environment) {
                one.origin = origin;
            } else if is_root && !one.is_placed {
                one.origin = Origin::Any;
            }
        }
        let locked = locked_in(locked("requires-dist"), &environment, None);
        compare(&format!("the dependencies of {name}"), &wanted, &locked, &mut found);
    }
    if !dynamic.iter().any(|field| field == "optional-dependencies") {
        extras(&name, project, metadata, &environment, &mut found);
    }
    groups(&name, manifest, metadata, &environment, &mut found);
    found
}

/// The same of the project's own version. One that its backend finds is not in locks.
fn version(
    name: &PackageName,
    project: &Table,
    package: &Table,
    dynamic: &[String],
) -> Option<String> {
    let own = project.get("version").and_then(Value::as_str);
    let locked = package.get("version").and_then(Value::as_str);
    let is_dynamic = dynamic.iter().any(|field| field == "version");
    match (own, locked) {
        (Some(own), Some(locked)) => {
            let is_same = match (Version::from_str(own), Version::from_str(locked)) {
                (Ok(own), Ok(locked)) => own == locked,
                _ => own == locked,
            };
            (!is_same).then(|| format!("the version of {name} is {own}, {locked} in the lock"))
        }
        (Some(own), None) => {
            Some(format!("the version of {name} is {own}, and dynamic in the lock"))
        }
        (None, Some(locked)) if is_dynamic => {
            Some(format!("the version of {name} is dynamic, {locked} in the lock"))
        }
        (None, _) => None,
    }
}

/// The same of interpreters, for projects that are alone in their lock.
pub(super) fn python(lock: &Table, manifest: &Table) -> Option<String> {
    let wanted = manifest.get("project")?.get("requires-python")?.as_str()?;
    let locked = lock.get("requires-python")?.as_str()?;
    let set = |text: &str| Some(specifiers(&VersionSpecifiers::from_str(text).ok()?));
    (set(wanted)? != set(locked)?)
        .then(|| format!("requires-python is {wanted}, the lock is for {locked}"))
}

/// The names of what a manifest asks for, with any extra and group, and of the project.
pub(super) fn named(manifest: &Table) -> Vec<PackageName> {
    let project = manifest.get("project");
    let mut texts = strings(project.and_then(|project| project.get("dependencies")));
    let tables = [
        project.and_then(|project| project.get("optional-dependencies")),
        manifest.get("dependency-groups"),
    ];
    for table in tables.into_iter().flatten().filter_map(Value::as_table) {
        texts.extend(table.values().flat_map(|items| strings(Some(items))));
    }
    let own = project.and_then(|project| project.get("name")?.as_str());
    let own = own.and_then(|name| PackageName::new(name).ok());
    texts
        .iter()
        .filter_map(|text| requirement(text))
        .filter_map(|r| name_of(&r))
        .chain(own)
        .collect()
}

fn extras(
    name: &PackageName,
    project: &Table,
    metadata: Option<&Table>,
    environment: &MarkerEnvironment,
    found: &mut Vec<String>,
) {
    let wanted = project.get("optional-dependencies").and_then(Value::as_table);
    let wanted: Vec<(&String, &Value)> = wanted.into_iter().flatten().collect();
    let provided = strings(metadata.and_then(|metadata| metadata.get("provides-extras")));
    for (extra, items) in &wanted {
        let Ok(extra) = ExtraName::from_str(extra) else { continue };
        if !provided.is_empty() && !provided.contains(&extra.to_string()) {
            found.push(format!("the extra {extra} of {name} is not in the lock"));
            continue;
        }
        let texts = strings(Some(items));
        let wanted = parsed(texts.iter().map(String::as_str), environment, None);
        let locked = list(metadata.and_then(|metadata| metadata.get("requires-dist")));
        let locked = locked_in(locked, environment, Some(&extra));
        compare(&format!("the extra {extra} of {name}"), &wanted, &locked, found);
    }
    for extra in provided {
        let same = |(name, _): &(&String, &Value)| {
            ExtraName::from_str(name).is_ok_and(|name| name.to_string() == extra)
        };
        if !wanted.iter().any(same) {
            found.push(format!("the lock has the extra {extra}, and {name} has not"));
        }
    }
}

fn groups(
    name: &PackageName,
    manifest: &Table,
    metadata: Option<&Table>,
    environment: &MarkerEnvironment,
    found: &mut Vec<String>,
) {
    let table = manifest.get("dependency-groups").and_then(Value::as_table);
    let uv = manifest.get("tool").and_then(|tool| tool.get("uv"));
    let legacy = strings(uv.and_then(|uv| uv.get("dev-dependencies")));
    let mut names: BTreeSet<String> = table.into_iter().flatten().map(|(n, _)| n.clone()).collect();
    if !legacy.is_empty() {
        names.insert("dev".to_owned());
    }
    let locked = metadata.and_then(|metadata| metadata.get("requires-dev")?.as_table());
    for group in &names {
        let mut texts = group_texts(table, group, 0);
        if group == "dev" {
            texts.extend(legacy.iter().cloned());
        }
        let wanted = parsed(texts.iter().map(String::as_str), environment, None);
        let of_group = locked.and_then(|locked| {
            locked.iter().find(|(name, _)| normal(name) == normal(group)).map(|(_, items)| items)
        });
        let locked = locked_in(list(of_group), environment, None);
        compare(&format!("the group {group} of {name}"), &wanted, &locked, found);
    }
}

/// The requirements of a group with those of the groups that it includes (PEP 735).
fn group_texts(table: Option<&Table>, group: &str, depth: usize) -> Vec<String> {
    if depth > 32 {
        return vec![];
    }
    let items = table.and_then(|table| {
        table.iter().find(|(name, _)| normal(name) == normal(group)).map(|(_, items)| items)
    });
    let items = items.and_then(Value::as_array).into_iter().flatten();
    let texts = items.flat_map(|item| match item {
        Value::String(text) => vec![text.clone()],
        other => match other.get("include-group").and_then(Value::as_str) {
            Some(included) => group_texts(table, included, depth + 1),
            None => vec![],
        },
    });
    texts.collect()
}

fn compare(what: &str, wanted: &[Wanted], locked: &[Wanted], found: &mut Vec<String>) {
    for one in wanted {
        if locked.iter().any(|other| one.is(other)) {
            continue;
        }
        let same = locked.iter().find(|other| other.name == one.name);
        found.push(match same {
            Some(other) => format!("{what}: {} is {} in the lock", one.text(), other.text()),
            None => format!("{what}: {} is not in the lock", one.text()),
        });
    }
    for other in locked {
        if !wanted.iter().any(|one| one.name == other.name) {
            found.push(format!("{what}: the lock has {}, which is gone", other.text()));
        }
    }
}

/// Requirements as they are written, of those that apply.
fn parsed<'a>(
    texts: impl Iterator<Item = &'a str>,
    environment: &MarkerEnvironment,
    extra: Option<&ExtraName>,
) -> Vec<Wanted> {
    let extras: Vec<ExtraName> = extra.into_iter().cloned().collect();
    let wanted = |requirement: Requirement<Url>| {
        if !requirement.marker.evaluate(environment, &extras) {
            return None;
        }
        let (set, is_placed) = match &requirement.version_or_url {
            Some(VersionOrUrl::VersionSpecifier(all)) => (specifiers(all), false),
            Some(VersionOrUrl::Url(_)) => (BTreeSet::new(), true),
            None => (BTreeSet::new(), false),
        };
        Some(Wanted {
            name: name_of(&requirement)?,
            extras: requirement.extras.iter().map(ToString::to_string).collect(),
            specifiers: set,
            is_placed,
            origin: Origin::Unknown,
        })
    };
    texts.filter_map(requirement).filter_map(wanted).collect()
}

/// Requirements of the lock that apply: those of an extra, or those of none.
fn locked_in(
    items: Vec<&Table>,
    environment: &MarkerEnvironment,
    extra: Option<&ExtraName>,
) -> Vec<Wanted> {
    let applies = |item: &Table| {
        let Some(marker) = item.get("marker").and_then(Value::as_str) else {
            return extra.is_none();
        };
        let Ok(marker) = MarkerTree::from_str(marker) else { return false };
        let without = marker.evaluate(environment, &[]);
        match extra {
            None => without,
            Some(extra) => !without && marker.evaluate(environment, std::slice::from_ref(extra)),
        }
    };
    let wanted = |item: &Table| {
        let text = |key: &str| item.get(key).and_then(Value::as_str);
        let set = text("specifier").and_then(|text| VersionSpecifiers::from_str(text).ok());
        let placed = ["editable", "directory", "virtual", "path", "url", "git"];
        let extras = strings(item.get("extras").or_else(|| item.get("extra")));
        Some(Wanted {
            name: PackageName::new(text("name")?).ok()?,
            extras: extras.iter().map(|extra| normal(extra)).collect(),
            specifiers: set.as_ref().map(specifiers).unwrap_or_default(),
            is_placed: placed.iter().any(|key| item.contains_key(*key)),
            origin: Origin::locked(item),
        })
    };
    items.into_iter().filter(|item| applies(item)).filter_map(wanted).collect()
}

/// A requirement (PEP 508); what is none, uv itself will say.
fn requirement(text: &str) -> Option<Requirement<Url>> {
    // The parser panics over some text that is far from any requirement.
    std::panic::catch_unwind(|| text.parse::<Requirement<Url>>()).ok()?.ok()
}

fn name_of(requirement: &Requirement<Url>) -> Option<PackageName> {
    PackageName::new(requirement.name.as_ref()).ok()
}

fn specifiers(all: &VersionSpecifiers) -> BTreeSet<String> {
    all.iter().map(ToString::to_string).collect()
}

fn package<'a>(lock: &'a Table, name: &PackageName) -> Option<&'a Table> {
    let is_local = |package: &Table| {
        let source = package.get("source").and_then(Value::as_table);
        source.is_some_and(|s| {
            ["editable", "virtual", "directory"].iter().any(|k| s.contains_key(*k))
        })
    };
    let named = |package: &&Table| {
        package.get("name").and_then(Value::as_str) == Some(name.as_str()) && is_local(package)
    };
    list(lock.get("package")).into_iter().find(named)
}

pub(super) fn list(value: Option<&Value>) -> Vec<&Table> {
    let items = value.and_then(Value::as_array).into_iter().flatten();
    items.filter_map(Value::as_table).collect()
}

fn strings(value: Option<&Value>) -> Vec<String> {
    let items = value.and_then(Value::as_array).into_iter().flatten();
    items.filter_map(Value::as_str).map(str::to_owned).collect()
}

/// A name as it is compared (PEP 503, PEP 685, PEP 735).
pub(super) fn normal(name: &str) -> String {
    let parts = name.split(['-', '_', '.']).filter(|part| !part.is_empty());
    parts.map(str::to_ascii_lowercase).collect::<Vec<_>>().join("-")
}
