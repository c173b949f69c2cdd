//! Where requirements come from, as manifests (`tool.uv.sources`) and locks say it.

use super::stale::list;
use pep508_rs::{MarkerEnvironment, MarkerTree};
use std::collections::BTreeSet;
use std::str::FromStr;
use toml::{Table, Value};
use url::Url;

/// What may be asked for of a repository.
const ASKED: [&str; 4] = ["rev", "tag", "branch", "subdirectory"];

/// Where a requirement comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// Nothing says so.
    Any,
    /// Something that is not compared.
    Unknown,
    /// An index, by its address.
    Index(String),
    /// A repository: its address, and what is asked for of it.
    Git(String, BTreeSet<(String, String)>),
    /// An archive on a server.
    Archive(String),
    /// A place on this machine.
    Local,
}

impl Origin {
    /// Whether both may be the same. A lock that names no index may be of an older release.
    pub(super) fn is(&self, locked: &Origin) -> bool {
        match (self, locked) {
            (Origin::Unknown, _) | (_, Origin::Unknown) | (Origin::Index(_), Origin::Any) => true,
            (one, other) => one == other,
        }
    }

    pub(super) fn text(&self) -> String {
        match self {
            Origin::Any | Origin::Unknown => String::new(),
            Origin::Index(url) | Origin::Archive(url) => format!(" from {url}"),
            Origin::Git(url, asked) => {
                let asked: Vec<String> = asked.iter().map(|(k, v)| format!("{k} {v}")).collect();
                format!(" from {} {}", url, asked.join(", ")).trim_end().to_owned()
            }
            Origin::Local => " from this machine".to_owned(),
        }
    }

    /// That of an entry of a lock's metadata.
    pub(super) fn locked(item: &Table) -> Self {
        let text = |key: &str| item.get(key).and_then(Value::as_str);
        if ["editable", "directory", "virtual", "path"].iter().any(|key| text(key).is_some()) {
            return Origin::Local;
        }
        match (text("git"), text("url"), text("index")) {
            (Some(git), _, _) => {
                let Ok(url) = Url::parse(git) else { return Origin::Unknown };
                let pairs = url.query_pairs().into_owned();
                let asked = pairs.filter(|(key, _)| ASKED.contains(&key.as_str())).collect();
                Origin::Git(address(git), asked)
            }
            (_, Some(url), _) => Origin::Archive(address(url)),
            (_, _, Some(index)) => Origin::Index(address(index)),
            (None, None, None) => Origin::Any,
        }
    }

    /// That which a manifest's `tool.uv.sources` says of a name; `None` where it says nothing.
    pub(super) fn of_manifest(
        manifest: &Table,
        name: &str,
        environment: &MarkerEnvironment,
    ) -> Option<Self> {
        let uv = manifest.get("tool")?.get("uv")?;
        let sources = uv.get("sources")?.as_table()?;
        let (_, value) = sources.iter().find(|(known, _)| super::stale::normal(known) == name)?;
        let entries: Vec<&Table> = match value {
            Value::Table(table) => vec![table],
            other => other.as_array()?.iter().filter_map(Value::as_table).collect(),
        };
        // Of one that is for an extra or a group, it is not known here whether it counts.
        if entries.iter().any(|e| e.contains_key("extra") || e.contains_key("group")) {
            return Some(Origin::Unknown);
        }
        let applies = |entry: &&&Table| {
            let marker = entry.get("marker").and_then(Value::as_str);
            marker
                .and_then(|marker| MarkerTree::from_str(marker).ok())
                .is_none_or(|marker| marker.evaluate(environment, &[]))
        };
        let Some(entry) = entries.iter().find(applies) else { return Some(Origin::Unknown) };
        let text = |key: &str| entry.get(key).and_then(Value::as_str);
        let asked = || {
            let keys = ASKED.into_iter();
            keys.filter_map(|key| Some((key.to_owned(), text(key)?.to_owned()))).collect()
        };
        let index = |name: &str| {
            let mut known = list(uv.get("index")).into_iter();
            let own = known.find(|index| index.get("name").and_then(Value::as_str) == Some(name));
            own.and_then(|index| index.get("url")?.as_str())
        };
        Some(match (text("git"), text("url"), text("index")) {
            (Some(git), _, _) => Origin::Git(address(git), asked()),
            (_, Some(url), _) => Origin::Archive(address(url)),
            (_, _, Some(name)) => match index(name).filter(|url| is_remote(url)) {
                Some(url) => Origin::Index(address(url)),
                None => Origin::Unknown,
            },
            _ => Origin::Local,
        })
    }
}

/// Whether it is no folder, which locks have as a path.
fn is_remote(url: &str) -> bool {
    Url::parse(url).is_ok_and(|url| matches!(url.scheme(), "https" | "http"))
}

/// An address without credentials, query and fragment, and without a slash at its end.
fn address(text: &str) -> String {
    let text = text.strip_prefix("git+").unwrap_or(text);
    let Ok(mut url) = Url::parse(text) else { return text.to_owned() };
    // Fail for URLs that can't have any.
    let _ = url.set_password(None);
    let _ = url.set_username("");
    url.set_query(None);
    url.set_fragment(None);
    url.as_str().trim_end_matches('/').to_owned()
}
