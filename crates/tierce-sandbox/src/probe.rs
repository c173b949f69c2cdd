//! What a machine offers.

use crate::protocol::{Job, Reply};
use crate::{Helper, HelperError, IdMapping, ProbeError, Sandbox};
use std::path::Path;

/// One thing that a sandbox needs or can use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// What it is.
    pub name: &'static str,
    /// `Ok` with what was found, or why it can't be used.
    pub result: Result<String, String>,
    /// What to do about it, where it can't be used.
    pub hint: Option<String>,
}

/// All that was found out about a machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The mapping that [`Sandbox::new`] would choose; `None` if there can be no sandbox.
    pub mapping: Option<IdMapping>,
    /// What was tried.
    pub checks: Vec<Check>,
}

/// Tries what the machine offers, with an overlay mount in `scratch`.
pub fn probe(_helper: &Helper, _scratch: &Path) -> Report {
    Report { mapping: None, checks: Vec::new() }
}

/// Whether a sandbox can run programs with an overlay in `scratch`.
pub(crate) fn usable(sandbox: &Sandbox, _scratch: &Path) -> Result<(), ProbeError> {
    match sandbox.ask(&Job::Nothing, &[]).map_err(ProbeError::Namespace)? {
        Reply::Nothing => Ok(()),
        _ => Err(ProbeError::Namespace(HelperError::Died)),
    }
}
