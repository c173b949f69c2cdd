//! Which Python an image runs, and what is installed for it.

use crate::{Image, PipOptions, Project, Step};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::path::Path;
use std::str::FromStr;

/// A Python release, or a series of them: `3.12` or `3.12.4`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PythonVersion {
    /// The `3` of `3.12`.
    pub major: u32,
    /// The `12` of `3.12`.
    pub minor: u32,
    /// The `4` of `3.12.4`; `None` for any.
    pub patch: Option<u32>,
}

/// Why a string is not a Python version.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PythonVersionError {
    /// Not two or three numbers.
    #[error("{0:?} is not a python version: expected one as 3.12 or 3.12.4")]
    Malformed(String),
    /// Older than every Python that wheels are made for.
    #[error("python {0} is not supported: expected 3.7 or later")]
    TooOld(PythonVersion),
}

impl FromStr for PythonVersion {
    type Err = PythonVersionError;

    fn from_str(s: &str) -> Result<Self, PythonVersionError> {
        let malformed = || PythonVersionError::Malformed(s.to_owned());
        let number = |part: &str| match part {
            "" => Err(malformed()),
            // "3.08" would be another spelling of the same version.
            p if p.len() > 1 && p.starts_with('0') => Err(malformed()),
            p if p.bytes().all(|b| b.is_ascii_digit()) => p.parse::<u32>().map_err(|_| malformed()),
            _ => Err(malformed()),
        };
        let parts: Vec<u32> = s.split('.').map(number).collect::<Result<_, _>>()?;
        let version = match parts[..] {
            [major, minor] => PythonVersion { major, minor, patch: None },
            [major, minor, patch] => PythonVersion { major, minor, patch: Some(patch) },
            _ => return Err(malformed()),
        };
        match (version.major, version.minor) {
            (0..=2, _) | (3, 0..=6) => Err(PythonVersionError::TooOld(version)),
            _ => Ok(version),
        }
    }
}

impl fmt::Display for PythonVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)?;
        match self.patch {
            Some(patch) => write!(f, ".{patch}"),
            None => Ok(()),
        }
    }
}

impl Serialize for PythonVersion {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PythonVersion {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

/// The Python of an image: what is installed there is chosen for it and run by it.
///
/// It describes the base, and what stands in for it where the base has none that fits.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct PythonRequest {
    /// The version; `None` for whatever `interpreter` says that it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<PythonVersion>,
    /// The interpreter's absolute path in the image; `None` for the first `python3` on the
    /// image's `PATH`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interpreter: Option<String>,
    /// Where it comes from.
    #[serde(default, skip_serializing_if = "PythonProvider::is_auto")]
    pub provider: PythonProvider,
}

/// Where an image's Python comes from.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum PythonProvider {
    /// The base where it has one that fits, else python-build-standalone.
    #[default]
    Auto,
    /// The base, and nothing else: an error where it has none that fits.
    Base,
    /// python-build-standalone, whatever the base has.
    Standalone,
}

impl PythonProvider {
    fn is_auto(&self) -> bool {
        *self == PythonProvider::Auto
    }
}

impl PythonRequest {
    /// Python of `version`, as `3.12`.
    pub fn new(version: &str) -> Result<Self, PythonVersionError> {
        let provider = PythonProvider::Auto;
        Ok(PythonRequest { version: Some(version.parse()?), interpreter: None, provider })
    }

    /// The Python at this path in the image, which is asked for its version.
    pub fn at(path: impl Into<String>) -> Self {
        let provider = PythonProvider::Auto;
        PythonRequest { version: None, interpreter: Some(path.into()), provider }
    }

    /// From there.
    pub fn with_provider(self, provider: PythonProvider) -> Self {
        PythonRequest { provider, ..self }
    }

    /// At this path in the image.
    pub fn with_interpreter(self, path: impl Into<String>) -> Self {
        PythonRequest { interpreter: Some(path.into()), ..self }
    }
}

/// The one Python environment that all package steps of an image make together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PythonEnvironment<'a> {
    /// The index of the first step that installs something, or of the first that takes part where
    /// none does: where the environment stands among the steps.
    pub position: usize,
    /// The index of a step before that which installs nothing: steps from there on find an
    /// environment, though it is empty.
    pub skeleton: Option<usize>,
    /// All requirements (PEP 508), in the order of the steps.
    pub packages: Vec<&'a str>,
    /// All requirements files, in the order of the steps, each with its step's index.
    pub requirements: Vec<(usize, &'a Path)>,
    /// All folders of wheels, in the order of the steps, each with its step's index.
    pub wheels: Vec<(usize, &'a Path)>,
    /// All projects, in the order of the steps, each with its step's index.
    pub projects: Vec<(usize, &'a Project)>,
    /// The options of all steps together.
    pub options: PipOptions,
}

impl<'a> PythonEnvironment<'a> {
    /// The environment of `image`; `None` where no step installs Python packages.
    ///
    /// Steps with different indexes are a problem that [`Image::validate`] reports; here the
    /// first index counts.
    pub fn of(image: &'a Image) -> Option<Self> {
        let mut all: Option<Self> = None;
        for (index, step) in image.steps().iter().enumerate() {
            let options = match step {
                Step::Pip(pip) => &pip.options,
                Step::Requirements(requirements) => &requirements.options,
                Step::Wheels(wheels) => &wheels.options,
                Step::Project(project) => &project.options,
                _ => continue,
            };
            let installs = !matches!(step, Step::Pip(pip) if pip.packages.is_empty());
            let all = all.get_or_insert_with(|| PythonEnvironment {
                position: index,
                skeleton: None,
                packages: vec![],
                requirements: vec![],
                wheels: vec![],
                projects: vec![],
                options: PipOptions::default(),
            });
            if installs && all.is_empty() && all.position != index {
                all.skeleton = Some(all.position);
                all.position = index;
            }
            match step {
                Step::Pip(pip) => all.packages.extend(pip.packages.iter().map(String::as_str)),
                Step::Requirements(r) => all.requirements.push((index, &r.file)),
                Step::Wheels(wheels) => all.wheels.push((index, &wheels.dir)),
                Step::Project(project) => all.projects.push((index, project)),
                _ => {}
            }
            merge(&mut all.options, options);
        }
        all
    }

    /// Whether it has nothing in it.
    pub fn is_empty(&self) -> bool {
        let PythonEnvironment { packages, requirements, wheels, projects, .. } = self;
        packages.is_empty() && requirements.is_empty() && wheels.is_empty() && projects.is_empty()
    }

    /// The same environment with nothing in it.
    pub fn emptied(&self) -> PythonEnvironment<'static> {
        PythonEnvironment {
            position: self.skeleton.unwrap_or(self.position),
            skeleton: None,
            packages: vec![],
            requirements: vec![],
            wheels: vec![],
            projects: vec![],
            options: PipOptions::default(),
        }
    }
}

/// Adds what `other` asks for to `all`.
fn merge(all: &mut PipOptions, other: &PipOptions) {
    let PipOptions { index, extra_indexes, pre, extra_args, secrets } = other;
    if all.index.is_none() {
        all.index.clone_from(index);
    }
    for extra in extra_indexes {
        if !all.extra_indexes.contains(extra) {
            all.extra_indexes.push(extra.clone());
        }
    }
    all.pre |= pre;
    for secret in secrets {
        if !all.secrets.contains(secret) {
            all.secrets.push(secret.clone());
        }
    }
    // Steps that repeat the same arguments mean them once; taking single arguments out would
    // tear options from their values.
    if !extra_args.is_empty() && !contains_run(&all.extra_args, extra_args) {
        all.extra_args.extend(extra_args.iter().cloned());
    }
}

fn contains_run(all: &[String], run: &[String]) -> bool {
    all.windows(run.len()).any(|window| window == run)
}
