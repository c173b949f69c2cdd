//! What is installed in a base's Python environment, and what that means for what is added.

use crate::context::Context;
use crate::error::NativeError;
use crate::key::KeyEncoder;
use crate::layer::Layer;
use crate::probe::Question;
use crate::python::PREFIX;
use std::collections::BTreeMap;
use std::fmt;
use tierce_engine::{Events, Outcome, StepKind};
use tierce_store::RecordKind;
use tierce_wheel::{Lock, LockedPackage, PackageName};

/// What environments said of themselves, by the layers they are in.
const INSTALLED: RecordKind = RecordKind::new("installed");

/// Prints what is installed, one a line, as [`Installed`] has it.
const QUESTION: &str = "import importlib.metadata\n\
    for d in importlib.metadata.distributions():\n    \
    sep = '@' if d.read_text('direct_url.json') else '=='\n    \
    print(d.metadata['Name'] + sep + d.version)\n";

/// Removes distributions (PEP 376): what their RECORD lists, the bytecode that is not listed
/// there, and directories that are empty then.
const REMOVE: &str = "import importlib.metadata, importlib.util, os, sys\n\
    for name in sys.argv[1:]:\n    \
    d = importlib.metadata.distribution(name)\n    \
    parents = set()\n    \
    for f in d.files or ():\n        \
    p = os.path.realpath(str(d.locate_file(f)))\n        \
    if not p.startswith(sys.prefix + os.sep):\n            \
    continue\n        \
    compiled = [importlib.util.cache_from_source(p)] if p.endswith('.py') else []\n        \
    for q in [p] + compiled:\n            \
    try:\n                \
    os.unlink(q)\n            \
    except FileNotFoundError:\n                \
    pass\n            \
    parents.add(os.path.dirname(q))\n    \
    for parent in sorted(parents, key=len, reverse=True):\n        \
    try:\n            \
    os.removedirs(parent)\n        \
    except OSError:\n            \
    pass\n";

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

    /// Requirements to resolve together with what is added, the first that have a solution
    /// counting: all stays as it is; versions change, but all still fits together; only what is
    /// added and what it requires is looked at.
    pub fn attempts(&self) -> Vec<Vec<String>> {
        let indexed = || self.0.iter().filter(|(_, version)| version.indexed);
        let pins: Vec<String> =
            indexed().map(|(name, version)| format!("{name}=={}", version.text)).collect();
        if pins.is_empty() {
            return vec![vec![]];
        }
        let names = indexed().map(|(name, _)| name.to_string()).collect();
        vec![pins, names, vec![]]
    }
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
pub fn removal(packages: &[&PackageName]) -> Vec<String> {
    let argv = [&python(), "-I", "-c", REMOVE].map(str::to_owned);
    argv.into_iter().chain(packages.iter().map(ToString::to_string)).collect()
}

fn python() -> String {
    format!("{PREFIX}/bin/python")
}

impl Context {
    /// Asks the environment in an image of these layers what is installed in it; `None` where
    /// there is none that answers.
    pub async fn probe_installed(
        &self,
        layers: &[Layer],
        events: &Events,
    ) -> Result<Option<Installed>, NativeError> {
        let key = KeyEncoder::new("installed")
            .list("layers", layers.iter().map(|l| *l.record.diff_id.0.as_bytes()))
            .finish();
        let step = events.step(StepKind::Execute, "look for the base's Python packages");
        if let Some(answer) = self.store.record::<String>(INSTALLED, &key.0) {
            step.finish(Outcome::Cached, None);
            return Ok(Some(Installed::parse(&answer)));
        }
        let argv = [&python(), "-I", "-c", QUESTION].map(str::to_owned).to_vec();
        let question = Question { argv, env: vec![], longest: 4 << 20 };
        let Some(answer) = self.ask(question, layers, &step).await? else {
            step.finish(Outcome::Made, "there are none".to_owned());
            return Ok(None);
        };
        let installed = Installed::parse(&answer);
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
        let pins = vec!["attrs==23.1".to_owned(), "torch==2.1+cpu".to_owned()];
        let names = vec!["attrs".to_owned(), "torch".to_owned()];
        assert_eq!(installed.attempts(), [pins, names, vec![]]);
        assert_eq!(Installed::parse("mine@0.1").attempts(), [Vec::<String>::new()]);
    }
}
