//! What a spec asks for and does not get, or gets in another way.

use std::fmt;

/// Something that a spec asks for and does not get, or gets in another way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// A stable code, as `imagespec/unsupported-parameter`.
    pub code: &'static str,
    /// What, and what to do about it.
    pub message: String,
}

impl Warning {
    pub(crate) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Warning { code, message: message.into() }
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}
