//! What is asked for.

use crate::channel::Channel;
use crate::lock::CondaPackage;
use crate::target::CondaTarget;
use rattler_conda_types::{MatchSpec, PackageName, ParseMatchSpecOptions};
use std::sync::Arc;
use tierce_oci::{Diagnostic, ErrorKind};

/// A request for packages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CondaRequest {
    /// Match specs: `numpy`, `numpy>=2,<3`, `python=3.11.*=*_cpython`, `conda-forge::pytorch`.
    pub specs: Vec<String>,
    /// The channels in the order of their priority, which is strict: a package comes from the
    /// first channel that has any build of it.
    pub channels: Vec<Channel>,
    /// What packages are for.
    pub target: CondaTarget,
    /// Packages to be kept as they are where the specs let them: those of a lock of which only
    /// others are to be updated.
    pub pinned: Vec<CondaPackage>,
}

/// Why a match spec can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{spec:?} is not a conda match spec: {problem}")]
pub struct SpecError {
    /// The spec.
    pub spec: String,
    /// What is wrong with it.
    pub problem: String,
}

impl Diagnostic for SpecError {
    fn code(&self) -> &'static str {
        "conda/bad-spec"
    }

    fn kind(&self) -> ErrorKind {
        ErrorKind::User
    }

    fn hint(&self) -> Option<String> {
        Some("Write a name and, behind it, a version: numpy, numpy=2.1, 'numpy>=2,<3', conda-forge::numpy.".to_owned())
    }
}

impl CondaRequest {
    /// The specs as the solver knows them.
    pub(crate) fn parse(&self) -> Result<Vec<(MatchSpec, PackageName)>, SpecError> {
        self.specs.iter().map(|spec| self.parse_one(spec)).collect()
    }

    fn parse_one(&self, text: &str) -> Result<(MatchSpec, PackageName), SpecError> {
        let bad = |problem: String| SpecError { spec: shown(text), problem };
        let mut spec = MatchSpec::from_str(text, ParseMatchSpecOptions::lenient())
            .map_err(|error| bad(error.to_string()))?;
        let Some(name) = spec.name.as_exact().cloned() else {
            return Err(bad("it names no single package".to_owned()));
        };
        if spec.url.is_some() {
            return Err(bad("it is a URL: name the package and its channel".to_owned()));
        }
        if let Some(wanted) = channel_of(text) {
            let Some(channel) = self.channels.iter().find(|c| c.is_called(&wanted)) else {
                let known: Vec<&str> = self.channels.iter().map(|c| c.name.as_str()).collect();
                return Err(bad(format!(
                    "its channel {wanted} is not among the channels ({})",
                    known.join(", ")
                )));
            };
            spec.channel = Some(Arc::new(solver_channel(channel)));
        }
        Ok((spec, name))
    }

    /// Names of channels that specs ask for and that are not among the request's channels: to be
    /// added at the end by who makes the request.
    pub fn missing_channels(&self) -> Vec<String> {
        let mut missing: Vec<String> = Vec::new();
        for wanted in self.specs.iter().filter_map(|spec| channel_of(spec)) {
            if !self.channels.iter().any(|c| c.is_called(&wanted)) && !missing.contains(&wanted) {
                missing.push(wanted);
            }
        }
        missing
    }
}

/// The channel as the solver compares it.
pub(crate) fn solver_channel(channel: &Channel) -> rattler_conda_types::Channel {
    rattler_conda_types::Channel::from_url(channel.url.clone())
}

/// What stands before `::`, with a subdirectory dropped; or the bracketed `channel=`.
fn channel_of(text: &str) -> Option<String> {
    let (before, inside) = text.split_once('[').unwrap_or((text, ""));
    if let Some((channel, _)) = before.split_once("::") {
        let channel = channel.trim();
        let bare = ["/linux-64", "/linux-aarch64", "/noarch"]
            .iter()
            .find_map(|subdir| channel.strip_suffix(subdir))
            .unwrap_or(channel);
        return (!bare.is_empty()).then(|| bare.to_owned());
    }
    let inside = inside.strip_suffix(']')?;
    let value = inside.split(',').find_map(|part| part.trim().strip_prefix("channel="))?;
    Some(value.trim_matches(['"', '\'']).to_owned())
}

/// A spec may be a URL with credentials.
fn shown(text: &str) -> String {
    match text.split_once("://") {
        Some((scheme, rest)) if rest.contains('@') => {
            format!("{scheme}://{}", rest.split_once('@').map_or(rest, |(_, rest)| rest))
        }
        _ => text.to_owned(),
    }
}
