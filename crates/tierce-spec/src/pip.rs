//! Options of Python package steps.

use crate::step::redacted;
use crate::{Secret, ServiceUrl};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Where Python packages come from, and how they are chosen.
///
/// All Python package steps of an image make **one** environment that is resolved together, so
/// their options are merged ([`crate::PythonEnvironment`]): steps may not name different indexes,
/// extra indexes and arguments add up, and `pre` holds for all once one step asks for it.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct PipOptions {
    /// The package index (PEP 503); `None` for PyPI.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<ServiceUrl>,
    /// Further indexes, looked at before `index`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub extra_indexes: Vec<ServiceUrl>,
    /// Whether pre-releases may be chosen.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub pre: bool,
    /// Further arguments to the resolver, as `--exclude-newer=2025-01-01`. JSON and Debug leave
    /// out the credentials of URLs in them.
    #[serde(skip_serializing_if = "Vec::is_empty", serialize_with = "redacted::serialize")]
    pub extra_args: Vec<String>,
    /// What resolving and installing need to see: passwords of indexes, keys of repositories.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<Secret>,
}

impl fmt::Debug for PipOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let PipOptions { index, extra_indexes, pre, extra_args, secrets } = self;
        f.debug_struct("PipOptions")
            .field("index", index)
            .field("extra_indexes", extra_indexes)
            .field("pre", pre)
            .field("extra_args", &redacted::texts(extra_args))
            .field("secrets", secrets)
            .finish()
    }
}

impl PipOptions {
    /// Packages from PyPI, no pre-releases.
    pub fn new() -> Self {
        Self::default()
    }

    /// Packages from `index` instead of PyPI.
    pub fn with_index(self, index: ServiceUrl) -> Self {
        PipOptions { index: Some(index), ..self }
    }

    /// Packages from `index` too.
    pub fn with_extra_index(mut self, index: ServiceUrl) -> Self {
        self.extra_indexes.push(index);
        self
    }

    /// With pre-releases, or without.
    pub fn with_pre(self, pre: bool) -> Self {
        PipOptions { pre, ..self }
    }

    /// With further arguments to the resolver.
    pub fn with_extra_args(mut self, args: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.extra_args.extend(args.into_iter().map(Into::into));
        self
    }

    /// With what resolving and installing need to see.
    pub fn with_secrets(mut self, secrets: impl IntoIterator<Item = Secret>) -> Self {
        self.secrets.extend(secrets);
        self
    }
}
