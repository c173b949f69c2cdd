//! What is installed in a base's Python environment, and what that means for what is added.

mod read;

use crate::context::Context;
use crate::error::NativeError;
use crate::key::KeyEncoder;
use crate::layer::Layer;
use crate::probe::Question;
use std::collections::BTreeMap;
use std::fmt;
use tierce_engine::{Events, Outcome, StepKind};
use tierce_store::RecordKind;
use tierce_wheel::{Lock, LockedPackage, PackageName};

/// What environments said of themselves, by the layers they are in.
const INSTALLED: RecordKind = RecordKind::new("installed");

/// Prints what is installed, one a line, as [`Installed`] has it.
const QUESTION: &str = include_str!("list.py");

/// Removes distributions.
const REMOVE: &str = include_str!("remove.py");

/// The distributions in an environment, by name.
///
/// As text: `name==version` for one that an index has, `name@version` for one that came from
/// elsewhere, sorted, separated by spaces.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Installed(BTreeMap<PackageName, Version>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Version {
    text: String,
    /// Whether an index is where it comes from, so that one can be asked for it.
    indexed: bool,
}

impl Installed {
    /// Reads the text; what makes no sense in it is left out.
    pub fn parse(text: &str) -> Self {
        let entry = |word: &str| {
            let (name, text, indexed) = match word.split_once("==") {
                Some((name, version)) => (name, version, true),
                None => word.split_once('@').map(|(name, version)| (name, version, false))?,
            };
            Some((PackageName::new(name).ok()?, Version { text: text.to_owned(), indexed }))
        };
        Installed(text.split_whitespace().filter_map(entry).collect())
    }

    /// What there is after the packages of `lock` were installed as well.
    pub fn with(&self, lock: &Lock) -> Self {
        let entry = |package: &LockedPackage| {
            let text = package.version.as_ref().map(ToString::to_string).unwrap_or_default();
            (package.name.clone(), Version { text, indexed: !package.source.is_direct() })
        };
        let mut all = self.clone();
        all.0.extend(lock.packages().iter().map(entry));
        all
    }

    /// Whether this very package is installed.
    pub fn has(&self, package: &LockedPackage) -> bool {
        self.0.get(&package.name).is_some_and(|there| {
            let version = package.version.as_ref().map(ToString::to_string);
            there.indexed && !package.source.is_direct() && version.as_ref() == Some(&there.text)
        })
    }

    /// The packages that have to go, since the lock has others of their name.
    pub fn replaced_by(&self, lock: &Lock) -> Vec<&PackageName> {
        let others = lock.packages().iter().filter(|package| !self.has(package));
        others.filter_map(|package| Some(self.0.get_key_value(&package.name)?.0)).collect()
    }

    /// Requirements to resolve together with `wanted`, which is added; the first that have a
    /// solution count: all stays as it is; only what is asked for by name changes its version;
    /// other versions change, but all still fits together; nothing that is there matters.
    pub fn attempts(&self, wanted: &[&str]) -> Vec<Vec<String>> {
        let indexed = || self.0.iter().filter(|(_, version)| version.indexed);
        let pin = |(name, version): (&PackageName, &Version)| format!("{name}=={}", version.text);
        let wanted: Vec<PackageName> = wanted.iter().filter_map(|r| name_of(r)).collect();
        let mut attempts: Vec<Vec<String>> = vec![
            indexed().map(pin).collect(),
            indexed().filter(|(name, _)| !wanted.contains(name)).map(pin).collect(),
            indexed().map(|(name, _)| name.to_string()).collect(),
            vec![],
        ];
        attempts.dedup();
        attempts
    }
}

impl Installed {
    /// The packages and their versions.
    pub fn versions(&self) -> impl Iterator<Item = (&PackageName, &str)> {
        self.0.iter().map(|(name, version)| (name, version.text.as_str()))
    }
}

/// The names that requirements start with.
pub fn names_of(requirements: &[&str]) -> Vec<PackageName> {
    requirements.iter().filter_map(|requirement| name_of(requirement)).collect()
}

/// The name that a requirement (PEP 508) starts with.
fn name_of(requirement: &str) -> Option<PackageName> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let text = requirement.trim_start();
    let end = text.find(|c| !is_part(c)).unwrap_or(text.len());
    PackageName::new(&text[..end]).ok()
}

impl fmt::Display for Installed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (name, version)) in self.0.iter().enumerate() {
            let space = if index == 0 { "" } else { " " };
            let separator = if version.indexed { "==" } else { "@" };
            write!(f, "{space}{name}{separator}{}", version.text)?;
        }
        Ok(())
    }
}

/// The command that removes packages from the environment.
pub fn removal(prefix: &str, packages: &[&PackageName]) -> Vec<String> {
    let argv = [&python(prefix), "-I", "-c", REMOVE].map(str::to_owned);
    argv.into_iter().chain(packages.iter().map(ToString::to_string)).collect()
}

fn python(prefix: &str) -> String {
    format!("{prefix}/bin/python")
}

impl Context {
    /// Asks the environment in an image of these layers what is installed in it; `None` where
    /// there is none that answers. Where nothing of it runs here, its files are looked at; `foreign`
    /// is the failure where they do not tell.
    pub async fn probe_installed(
        &self,
        prefix: &str,
        layers: &[Layer],
        foreign: Option<NativeError>,
        events: &Events,
    ) -> Result<Option<Installed>, NativeError> {
        let key = KeyEncoder::new("installed")
            .text("prefix", prefix)
            .list("layers", layers.iter().map(|l| *l.record.diff_id.0.as_bytes()))
            .finish();
        let step = events.step(StepKind::Execute, "look for the base's Python packages");
        if let Some(answer) = self.store.record::<String>(INSTALLED, &key.0) {
            step.finish(Outcome::Cached, None);
            return Ok(Some(Installed::parse(&answer)));
        }
        let found = match foreign {
            Some(error) => self.read_installed(prefix, layers, &step).await?.ok_or(error)?,
            None => {
                let argv = [&python(prefix), "-I", "-c", QUESTION].map(str::to_owned).to_vec();
                let question = Question { argv, env: vec![], longest: 4 << 20 };
                let answer = self.ask(question, layers, &step).await?;
                answer.map(|answer| Installed::parse(&answer))
            }
        };
        let Some(installed) = found else {
            step.finish(Outcome::Made, "there are none".to_owned());
            return Ok(None);
        };
        self.store.put_record(INSTALLED, &key.0, &installed.to_string())?;
        step.finish(Outcome::Made, format!("{} packages", installed.0.len()));
        Ok(Some(installed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_read_back() {
        let text = "attrs==23.1 mine@0.1 torch==2.1+cpu";
        let installed = Installed::parse(text);
        assert_eq!(installed.to_string(), text);
        assert_eq!(Installed::parse("torch==2.1+cpu\nMine@0.1\n- junk\nAttrs==23.1\n"), installed);
    }

    #[test]
    fn as_little_changes_as_may_be() {
        let installed = Installed::parse("attrs==23.1 mine@0.1 torch==2.1+cpu");
        let texts = |all: &[&str]| all.iter().map(|t| (*t).to_owned()).collect::<Vec<_>>();
        let names = texts(&["attrs", "torch"]);
        let pins = texts(&["attrs==23.1", "torch==2.1+cpu"]);
        let but_torch = texts(&["attrs==23.1"]);
        assert_eq!(
            installed.attempts(&["Torch[opt]>=2.2 ; python_version > '3'", "numpy"]),
            [pins.clone(), but_torch, names.clone(), vec![]]
        );
        assert_eq!(installed.attempts(&["numpy"]), [pins, names, vec![]]);
        assert_eq!(Installed::parse("mine@0.1").attempts(&[]), [Vec::<String>::new()]);
    }
}
