//! Docker's build options, as ZenML hands them over: by the names of Docker's Python SDK, by
//! those of `docker build`, or by its own.

use super::OptionError;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::path::PathBuf;
use tierce_oci::Platform;

/// How a context is built.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DockerBuildOptions {
    /// Look for newer images to start from.
    pub pull: bool,
    /// Make every layer again.
    pub no_cache: bool,
    /// The size of `/dev/shm` of build steps, in bytes.
    pub shm_size: Option<u64>,
    /// Labels of the image.
    pub labels: BTreeMap<String, String>,
    /// The values of `ARG`s.
    pub build_args: BTreeMap<String, String>,
    /// Caches to read.
    pub cache_from: Vec<String>,
    /// Caches to write.
    pub cache_to: Vec<String>,
    /// The platforms to build for; this machine's unless given.
    pub platforms: Vec<Platform>,
    /// The stage to build.
    pub target: Option<String>,
    /// The network of build steps.
    pub network: Option<StepNetwork>,
    /// Addresses of hosts in build steps.
    pub add_hosts: BTreeMap<String, String>,
    /// Limits of build steps: `nofile=1024:1024`.
    pub ulimits: Vec<String>,
    /// The control group of build steps.
    pub cgroup_parent: Option<String>,
    /// The Dockerfile in the context.
    pub dockerfile: Option<PathBuf>,
    /// What was asked for and has no effect.
    pub ignored: Vec<IgnoredOption>,
}

/// The network of build steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepNetwork {
    /// The builder's own.
    Default,
    /// The machine's.
    Host,
    /// None.
    None,
}

/// An option that has no effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IgnoredOption {
    /// The option, as it was written.
    pub name: String,
    /// Why.
    pub reason: String,
}

impl DockerBuildOptions {
    /// Takes what `said` says over what is there: lists and tables grow, anything else is
    /// replaced. `null` says nothing.
    pub fn take(&mut self, said: &Map<String, Value>) -> Result<(), OptionError> {
        said.iter()
            .filter(|(_, value)| !value.is_null())
            .try_for_each(|(name, value)| self.take_one(&Said { name, value }))
    }

    fn take_one(&mut self, said: &Said<'_>) -> Result<(), OptionError> {
        match said.name.to_lowercase().replace('-', "_").as_str() {
            "pull" => self.pull = said.flag()?,
            "no_cache" | "nocache" => self.no_cache = said.flag()?,
            "shm_size" | "shmsize" => self.shm_size = Some(said.size()?),
            "labels" | "label" => self.labels.extend(said.table('=')?),
            "build_args" | "buildargs" | "build_arg" => self.build_args.extend(said.table('=')?),
            "cache_from" | "cachefrom" => self.cache_from.extend(said.list()?),
            "cache_to" => self.cache_to.extend(said.list()?),
            "platform" | "platforms" => self.platforms = said.platforms()?,
            "target" => self.target = Some(said.text()?),
            "network" | "network_mode" => self.take_network(said)?,
            "add_host" | "add_hosts" | "extra_hosts" => self.add_hosts.extend(said.table(':')?),
            "ulimit" | "ulimits" => self.ulimits.extend(said.list()?),
            "cgroup_parent" => self.cgroup_parent = Some(said.text()?),
            "dockerfile" | "file" => self.dockerfile = Some(said.text()?.into()),
            // Containers of build steps never stay, whatever is said.
            "rm" | "forcerm" | "force_rm" => {}
            _ => self.ignore(said, "it has no meaning here".to_owned()),
        }
        Ok(())
    }

    fn take_network(&mut self, said: &Said<'_>) -> Result<(), OptionError> {
        let text = said.text()?;
        self.network = Some(match text.as_str() {
            "default" | "bridge" => StepNetwork::Default,
            "host" => StepNetwork::Host,
            "none" => StepNetwork::None,
            _ => {
                self.ignore(said, format!("{text:?} is none of default, host, none"));
                return Ok(());
            }
        });
        Ok(())
    }

    fn ignore(&mut self, said: &Said<'_>, reason: String) {
        self.ignored.push(IgnoredOption { name: said.name.to_owned(), reason });
    }

    /// Those that an engine must be told, as opposed to what every builder is asked for.
    pub(super) fn names_for_engines(&self) -> Vec<&'static str> {
        [
            (self.shm_size.is_some(), "shm_size"),
            (!self.labels.is_empty(), "labels"),
            (!self.cache_from.is_empty(), "cache_from"),
            (!self.cache_to.is_empty(), "cache_to"),
            (self.network.is_some_and(|n| n != StepNetwork::Default), "network"),
            (!self.add_hosts.is_empty(), "add_hosts"),
            (!self.ulimits.is_empty(), "ulimits"),
            (self.cgroup_parent.is_some(), "cgroup_parent"),
        ]
        .into_iter()
        .filter_map(|(said, name)| said.then_some(name))
        .collect()
    }
}

/// One option, as it was written.
struct Said<'a> {
    name: &'a str,
    value: &'a Value,
}

impl Said<'_> {
    fn wrong(&self, expected: &'static str) -> OptionError {
        let got = match self.value {
            Value::Null => "nothing",
            Value::Bool(_) => "true or false",
            Value::Number(_) => "a number",
            Value::String(_) => "a text",
            Value::Array(_) => "a list",
            Value::Object(_) => "a table",
        };
        // Values may be secrets.
        OptionError { name: self.name.to_owned(), expected, got: got.to_owned() }
    }

    fn flag(&self) -> Result<bool, OptionError> {
        self.value.as_bool().ok_or_else(|| self.wrong("true or false"))
    }

    fn text(&self) -> Result<String, OptionError> {
        self.value.as_str().map(str::to_owned).ok_or_else(|| self.wrong("a text"))
    }

    /// A list of texts, or one of them.
    fn list(&self) -> Result<Vec<String>, OptionError> {
        const EXPECTED: &str = "a list of texts";
        match self.value {
            Value::String(text) => Ok(vec![text.clone()]),
            Value::Array(items) => {
                let text = |item: &Value| item.as_str().map(str::to_owned);
                items.iter().map(text).collect::<Option<_>>().ok_or_else(|| self.wrong(EXPECTED))
            }
            _ => Err(self.wrong(EXPECTED)),
        }
    }

    /// A table, or a list of names and values with `separator` between them. Names without a
    /// value have what the Dockerfile says.
    fn table(&self, separator: char) -> Result<BTreeMap<String, String>, OptionError> {
        const EXPECTED: &str = "a table of texts and numbers, or a list of names with values";
        if let Value::Object(table) = self.value {
            let entries = table.iter().filter(|(_, value)| !value.is_null());
            let entries = entries.map(|(name, value)| Some((name.clone(), plain(value)?)));
            return entries.collect::<Option<_>>().ok_or_else(|| self.wrong(EXPECTED));
        }
        let split = |text: &String| {
            let (name, value) = text.split_once(separator)?;
            Some((name.to_owned(), value.to_owned()))
        };
        let pairs: Option<_> = self.list()?.iter().map(split).collect();
        pairs.ok_or_else(|| self.wrong(EXPECTED))
    }

    fn platforms(&self) -> Result<Vec<Platform>, OptionError> {
        let all = self.list()?;
        let words = all.iter().flat_map(|text| text.split(','));
        let parsed: Result<_, _> = words.map(|word| word.trim().parse()).collect();
        parsed.map_err(|_| self.wrong("platforms as linux/amd64"))
    }

    /// Bytes: a number, or a text as `64m`.
    fn size(&self) -> Result<u64, OptionError> {
        let size = match self.value {
            Value::Number(number) => number.as_u64(),
            Value::String(text) => bytes(text),
            _ => None,
        };
        size.ok_or_else(|| self.wrong("a number of bytes, or a text as 64m"))
    }
}

/// A text, or what Python would write for it.
fn plain(value: &Value) -> Option<String> {
    Some(match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::Null | Value::Array(_) | Value::Object(_) => return None,
    })
}

/// `64m`, as Docker reads it.
fn bytes(text: &str) -> Option<u64> {
    let text = text.trim().to_lowercase();
    let text = text.strip_suffix('b').unwrap_or(&text);
    let (digits, power) = match text.as_bytes().last()? {
        b'k' => (&text[..text.len() - 1], 1),
        b'm' => (&text[..text.len() - 1], 2),
        b'g' => (&text[..text.len() - 1], 3),
        _ => (text, 0),
    };
    digits.parse::<u64>().ok()?.checked_mul(1024_u64.pow(power))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(said: Value) -> Result<DockerBuildOptions, OptionError> {
        let mut options = DockerBuildOptions::default();
        options.take(said.as_object().unwrap())?;
        Ok(options)
    }

    #[test]
    fn every_name_of_an_option() {
        let table = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
        };
        let none = DockerBuildOptions::default;
        for (said, expected) in [
            (json!({"pull": true, "rm": false}), DockerBuildOptions { pull: true, ..none() }),
            (json!({"nocache": true}), DockerBuildOptions { no_cache: true, ..none() }),
            (json!({"no-cache": true}), DockerBuildOptions { no_cache: true, ..none() }),
            (json!({"shm_size": 7}), DockerBuildOptions { shm_size: Some(7), ..none() }),
            (json!({"shmsize": "2k"}), DockerBuildOptions { shm_size: Some(2048), ..none() }),
            (
                json!({"labels": {"a": 1, "b": "x=y", "c": true}}),
                DockerBuildOptions {
                    labels: table(&[("a", "1"), ("b", "x=y"), ("c", "True")]),
                    ..none()
                },
            ),
            (
                json!({"buildargs": {"A": "1", "B": null}}),
                DockerBuildOptions { build_args: table(&[("A", "1")]), ..none() },
            ),
            (
                json!({"build_arg": ["A=1=2"]}),
                DockerBuildOptions { build_args: table(&[("A", "1=2")]), ..none() },
            ),
            (
                json!({"cache_from": ["r/a"], "cachefrom": "r/b"}),
                DockerBuildOptions { cache_from: vec!["r/a".into(), "r/b".into()], ..none() },
            ),
            (
                json!({"platform": "linux/amd64,linux/arm64"}),
                DockerBuildOptions {
                    platforms: vec![Platform::linux("amd64"), Platform::linux("arm64")],
                    ..none()
                },
            ),
            (
                json!({"network_mode": "host"}),
                DockerBuildOptions { network: Some(StepNetwork::Host), ..none() },
            ),
            (
                json!({"extra_hosts": {"h": "::1"}, "add_host": ["i:1.2.3.4"]}),
                DockerBuildOptions {
                    add_hosts: table(&[("h", "::1"), ("i", "1.2.3.4")]),
                    ..none()
                },
            ),
            (
                json!({"dockerfile": "d/Dockerfile", "target": "run"}),
                DockerBuildOptions {
                    dockerfile: Some("d/Dockerfile".into()),
                    target: Some("run".into()),
                    ..none()
                },
            ),
        ] {
            assert_eq!(read(said.clone()), Ok(expected), "{said}");
        }
    }

    #[test]
    fn what_has_no_effect_is_named() {
        let options = read(json!({"squash": true, "network": "container:x", "gzip": null}));
        let names = |options: DockerBuildOptions| -> Vec<String> {
            let mut names: Vec<_> = options.ignored.into_iter().map(|one| one.name).collect();
            names.sort();
            names
        };
        assert_eq!(options.map(names), Ok(vec!["network".to_owned(), "squash".to_owned()]));
    }

    #[test]
    fn what_makes_no_sense_is_refused_and_not_shown() {
        for (said, expected) in [
            (json!({"pull": "hunter2"}), "build option pull: expected true or false, got a text"),
            (
                json!({"shm_size": "hunter2"}),
                "build option shm_size: expected a number of bytes, or a text as 64m, got a text",
            ),
            (
                json!({"build_args": {"A": ["hunter2"]}}),
                "build option build_args: expected a table of texts and numbers, or a list of \
                 names with values, got a table",
            ),
            (
                json!({"platform": "hunter2"}),
                "build option platform: expected platforms as linux/amd64, got a text",
            ),
        ] {
            assert_eq!(read(said).unwrap_err().to_string(), expected);
        }
    }
}
