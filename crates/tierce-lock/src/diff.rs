//! What changed between two locks.

use crate::model::{
    LockFile, LockedApt, LockedBase, LockedDeb, LockedImage, LockedPackage, LockedPlatform,
    LockedSource,
};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use tierce_oci::Digest;

/// A difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// What has it: an image and a platform; empty where that is clear.
    pub place: String,
    /// What happened.
    pub kind: ChangeKind,
    /// To what, as `requests 2.32.0`.
    pub what: String,
}

/// What happened to something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ChangeKind {
    /// It is gone.
    Removed,
    /// It is new.
    Added,
    /// It is another one.
    Changed,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = match self.kind {
            ChangeKind::Removed => '-',
            ChangeKind::Added => '+',
            ChangeKind::Changed => '~',
        };
        write!(f, "{sign} {}", self.what)
    }
}

/// The changes, one a line, under the names of what has them.
pub fn listing(changes: &[Change]) -> String {
    let mut lines = vec![];
    let mut place = "";
    for change in changes {
        if change.place != place {
            place = &change.place;
            lines.push(format!("{place}:"));
        }
        lines.push(format!("  {change}"));
    }
    lines.join("\n")
}

/// What is different in `after`.
pub fn diff(before: &LockFile, after: &LockFile) -> Vec<Change> {
    let names: BTreeSet<&str> =
        before.images.iter().chain(&after.images).map(|i| i.name.as_str()).collect();
    let several = names.len() > 1;
    let mut changes = vec![];
    for name in names {
        let place = if several { name } else { "" };
        match (before.image(name), after.image(name)) {
            (Some(before), Some(after)) => changes.extend(image(before, after, place)),
            (Some(_), None) => {
                changes.push(change("", ChangeKind::Removed, format!("image {name}")))
            }
            (None, _) => changes.push(change("", ChangeKind::Added, format!("image {name}"))),
        }
    }
    changes
}

/// What is asked for now and was not when an image was locked, and the other way round.
pub fn declaration_changes(before: &[String], after: &[String]) -> Vec<Change> {
    let (old, new): (BTreeSet<&String>, BTreeSet<&String>) =
        (before.iter().collect(), after.iter().collect());
    let gone = before.iter().filter(|line| !new.contains(line));
    let added = after.iter().filter(|line| !old.contains(line));
    let mut changes: Vec<Change> = gone
        .map(|line| change("", ChangeKind::Removed, line.clone()))
        .chain(added.map(|line| change("", ChangeKind::Added, line.clone())))
        .collect();
    if changes.is_empty() && before != after {
        changes.push(change("", ChangeKind::Changed, "the order of steps".to_owned()));
    }
    changes
}

fn change(place: &str, kind: ChangeKind, what: String) -> Change {
    Change { place: place.to_owned(), kind, what }
}

fn image(before: &LockedImage, after: &LockedImage, place: &str) -> Vec<Change> {
    let platforms: BTreeSet<_> =
        before.platforms.iter().chain(&after.platforms).map(|p| p.platform.clone()).collect();
    let several = platforms.len() > 1;
    let mut changes = vec![];
    for wanted in platforms {
        let name = wanted.to_string();
        match (before.platform(&wanted), after.platform(&wanted)) {
            (Some(before), Some(after)) => {
                let parts = [place, if several { &name } else { "" }];
                let parts: Vec<&str> = parts.into_iter().filter(|p| !p.is_empty()).collect();
                platform(before, after, &parts.join(" "), &mut changes);
            }
            (Some(_), None) => {
                changes.push(change(place, ChangeKind::Removed, format!("platform {name}")));
            }
            (None, _) => {
                changes.push(change(place, ChangeKind::Added, format!("platform {name}")));
            }
        }
    }
    changes
}

fn platform(before: &LockedPlatform, after: &LockedPlatform, at: &str, to: &mut Vec<Change>) {
    base(before.base.as_ref(), after.base.as_ref(), at, to);
    if before.interpreter != after.interpreter {
        let name = |p: &LockedPlatform| {
            p.interpreter.as_ref().map_or("none".to_owned(), |i| {
                format!("{} {} ({})", i.implementation, i.version, i.provider.as_str())
            })
        };
        let what = format!("interpreter {} -> {}", name(before), name(after));
        to.push(change(at, ChangeKind::Changed, what));
    }
    let packages = |p: &LockedPlatform| -> Items {
        p.python.iter().flat_map(|python| &python.packages).map(item).collect()
    };
    items("", &packages(before), &packages(after), at, to);
    let conda = |p: &LockedPlatform| -> Items {
        let environments = p.conda.iter().flat_map(|c| c.packages.iter().map(move |p| (c, p)));
        environments
            .map(|(c, p)| {
                let id = format!("{} {}", c.prefix, p.name);
                (id, (format!("{} {} {}", p.name, p.version, p.build), p.sha256.short()))
            })
            .collect()
    };
    items("conda ", &conda(before), &conda(after), at, to);
    let apt = |p: &LockedPlatform| debs(p.apt.iter().flat_map(|a: &LockedApt| &a.debs));
    items("apt ", &apt(before), &apt(after), at, to);
}

fn base(before: Option<&LockedBase>, after: Option<&LockedBase>, at: &str, to: &mut Vec<Change>) {
    match (before, after) {
        (before, after) if before == after => {}
        (
            Some(LockedBase::Debian { suite: old, packages: before, .. }),
            Some(LockedBase::Debian { suite: new, packages: after, .. }),
        ) => {
            if old != new {
                let what = format!("base debian {old} -> debian {new}");
                to.push(change(at, ChangeKind::Changed, what));
            }
            items("base ", &debs(before.iter()), &debs(after.iter()), at, to);
        }
        (before, after) => {
            let what = format!("base {} -> {}", base_name(before), base_name(after));
            to.push(change(at, ChangeKind::Changed, what));
        }
    }
}

fn base_name(base: Option<&LockedBase>) -> String {
    match base {
        None => "none".to_owned(),
        Some(LockedBase::Registry { reference, digest, .. }) => {
            format!("{reference} sha256:{}", digest.short())
        }
        Some(LockedBase::Debian { suite, .. }) => format!("debian {suite}"),
    }
}

/// By name: what it is, and the short digest of its bytes.
type Items = BTreeMap<String, (String, String)>;

fn debs<'a>(debs: impl Iterator<Item = &'a LockedDeb>) -> Items {
    debs.map(|deb| {
        let what = format!("{} {}", deb.name, deb.version);
        (format!("{}:{}", deb.name, deb.architecture), (what, deb.sha256.short()))
    })
    .collect()
}

fn item(package: &LockedPackage) -> (String, (String, String)) {
    let short = |digest: &Digest| digest.short();
    let (origin, digest) = match &package.source {
        LockedSource::Wheel { file, .. } => (String::new(), short(&file.sha256)),
        LockedSource::Sdist { file, .. } => (" (sdist)".to_owned(), short(&file.sha256)),
        LockedSource::Vcs { commit, .. } => (String::new(), commit.chars().take(12).collect()),
        LockedSource::Directory { path, .. } => (format!(" ({path})"), String::new()),
    };
    let version = package.version.as_deref().unwrap_or("(no version)");
    (package.name.clone(), (format!("{} {version}{origin}", package.name), digest))
}

fn items(prefix: &str, before: &Items, after: &Items, at: &str, to: &mut Vec<Change>) {
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    for name in names {
        match (before.get(name), after.get(name)) {
            (Some(old), Some(new)) if old == new => {}
            (Some((old, was)), Some((new, is))) if old == new => {
                let what = format!("{prefix}{old}: {was} -> {is}");
                to.push(change(at, ChangeKind::Changed, what));
            }
            (old, new) => {
                let removed = old.map(|(old, _)| (ChangeKind::Removed, old));
                let added = new.map(|(new, _)| (ChangeKind::Added, new));
                for (kind, what) in removed.into_iter().chain(added) {
                    to.push(change(at, kind, format!("{prefix}{what}")));
                }
            }
        }
    }
}
