//! Whether a lock still says what the manifest asks for.

use super::PixiRequirements;
use crate::foreign::{ForeignLock, ForeignPackage, normalized, without_credentials};
use rattler_conda_types::package::BuildString;
use rattler_conda_types::{
    MatchSpec, PackageName, ParseMatchSpecOptions, Version, VersionWithSource,
};
use rattler_conda_types::{Matches, PackageRecord};
use std::collections::BTreeSet;
use std::str::FromStr;
use tierce_oci::{Diagnostic, ErrorKind};

/// A lock that does not say what the manifest asks for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the pixi lock file is not up to date for the environment {environment:?}: {}", differences.join("; "))]
pub struct StaleLock {
    /// The environment.
    pub environment: String,
    /// What differs, one each.
    pub differences: Vec<String>,
}

impl Diagnostic for StaleLock {
    fn code(&self) -> &'static str {
        "conda/stale-lock"
    }

    fn kind(&self) -> ErrorKind {
        ErrorKind::User
    }

    fn hint(&self) -> Option<String> {
        Some("Bring it up to date: pixi lock".to_owned())
    }
}

impl ForeignLock {
    /// Whether this, which was read for the environment, satisfies what the manifest asks for and
    /// has nothing that nobody asks for.
    pub fn check(&self, environment: &str, wanted: &PixiRequirements) -> Result<(), StaleLock> {
        let mut differences = vec![];
        self.compare_channels(wanted, &mut differences);
        for spec in &wanted.specs {
            differences.extend(self.unsatisfied(spec));
        }
        self.compare_pypi(wanted, &mut differences);
        // What packages of the host depend on is not in the manifest.
        if differences.is_empty() && wanted.dev.is_empty() {
            differences.extend(self.superfluous(wanted));
        }
        match differences.is_empty() {
            true => Ok(()),
            false => Err(StaleLock { environment: environment.to_owned(), differences }),
        }
    }

    /// A channel by name is the same as the one with that name at the end of its URL.
    fn compare_channels(&self, wanted: &PixiRequirements, differences: &mut Vec<String>) {
        let bare = |channel: &str| {
            let channel = without_credentials(channel.trim_end_matches('/'));
            let path = channel.split_once("://").map(|(_, rest)| rest.to_owned());
            path.unwrap_or(channel).trim_end_matches('/').to_owned()
        };
        let locked: Vec<String> = self.channels.iter().map(|c| bare(c)).collect();
        let asked: Vec<String> = wanted.channels.iter().map(|c| bare(c)).collect();
        let same = |(locked, asked): (&String, &String)| {
            locked == asked
                || locked.ends_with(&format!("/{asked}"))
                || asked.ends_with(&format!("/{locked}"))
        };
        if locked.len() != asked.len() || !locked.iter().zip(&asked).all(same) {
            let shown = |all: &[String]| all.join(", ");
            differences.push(format!(
                "its channels are {}, and the manifest's {}",
                shown(&locked),
                shown(&asked)
            ));
        }
    }

    fn unsatisfied(&self, text: &str) -> Option<String> {
        let spec = MatchSpec::from_str(text, ParseMatchSpecOptions::lenient()).ok()?;
        let name = spec.name.as_exact()?.as_normalized().to_owned();
        if name.starts_with("__") {
            return None;
        }
        let Some(package) = self.packages.iter().find(|package| package.name == name) else {
            return Some(format!("{text} is not in it"));
        };
        let channel = text.split_once("::").map(|(channel, _)| channel);
        let other = channel.is_some_and(|wanted| {
            let wanted = wanted.trim_end_matches('/');
            let there = package.channel.trim_end_matches('/');
            there != wanted && !there.ends_with(&format!("/{wanted}"))
        });
        // The channel was compared here: the solver compares those that it was given itself.
        let mut spec = spec;
        spec.channel = None;
        let fits = record(package).is_some_and(|record| spec.matches(&record));
        (other || !fits).then(|| {
            let ForeignPackage { name, version, build, .. } = package;
            format!("{text} is asked for, and it has {name}={version}={build}")
        })
    }

    /// What nothing that is asked for leads to.
    fn superfluous(&self, wanted: &PixiRequirements) -> Vec<String> {
        let mut open: Vec<String> = wanted.specs.iter().filter_map(|spec| name_of(spec)).collect();
        let mut seen: BTreeSet<String> = BTreeSet::new();
        let mut open_pypi: Vec<String> = wanted.pypi_names().map(normalized).collect();
        let mut seen_pypi: BTreeSet<String> = BTreeSet::new();
        while let Some(name) = open.pop() {
            if let Some(package) = self.packages.iter().find(|p| p.name == name)
                && seen.insert(name)
            {
                let depends = package.depends.iter().flatten();
                open.extend(depends.filter_map(|spec| name_of(spec)));
            }
        }
        while let Some(name) = open_pypi.pop() {
            if let Some(package) = self.pypi.iter().find(|p| normalized(&p.name) == name)
                && seen_pypi.insert(name)
            {
                open_pypi.extend(package.requires.iter().map(|name| normalized(name)));
            }
        }
        let conda = self.packages.iter().map(|p| &p.name).filter(|name| !seen.contains(*name));
        let pypi = self.pypi.iter().map(|p| &p.name);
        let pypi = pypi.filter(|name| !seen_pypi.contains(&normalized(name)));
        conda.chain(pypi).map(|name| format!("it has {name}, which nothing asks for")).collect()
    }
}

fn name_of(spec: &str) -> Option<String> {
    let spec = MatchSpec::from_str(spec, ParseMatchSpecOptions::lenient()).ok()?;
    Some(spec.name.as_exact()?.as_normalized().to_owned())
}

fn record(package: &ForeignPackage) -> Option<PackageRecord> {
    let version = Version::from_str(&package.version).ok()?;
    let mut record = PackageRecord::new(
        PackageName::new_unchecked(package.name.clone()),
        VersionWithSource::new(version, &package.version),
        BuildString::new_unchecked(package.build.clone()),
    );
    record.build_number = package.build_number;
    record.subdir.clone_from(&package.subdir);
    record.sha256 = package.sha256.map(|digest| (*digest.as_bytes()).into());
    Some(record)
}
