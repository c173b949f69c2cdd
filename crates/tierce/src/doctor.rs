//! What this machine can do.

use crate::open::{OpenError, helper};
use serde::Serialize;
use tierce_config::Settings;
use tierce_oci::Platform;
use tierce_store::Store;

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What.
    pub name: String,
    /// Whether it is as it should be.
    pub ok: bool,
    /// What was found.
    pub detail: String,
    /// What to do about it.
    pub hint: Option<String>,
}

/// What this machine can do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct DoctorReport {
    /// Whether build steps can run here. Images that run nothing can be built in any case.
    pub can_execute: bool,
    /// All that was looked at.
    pub findings: Vec<Finding>,
}

/// Tries out what this machine can do.
pub fn doctor(settings: &Settings) -> Result<DoctorReport, OpenError> {
    let store = Store::open(&settings.store)?;
    let report = tierce_sandbox::probe(&helper()?, &store.root().join("tmp"));
    let mut findings = vec![
        found("store", store.root().display().to_string()),
        match &settings.ca_bundle {
            Some(path) => found("certificates", path.display().to_string()),
            None => Finding {
                ok: false,
                hint: Some("Install ca-certificates, or set SSL_CERT_FILE.".into()),
                ..found("certificates", "no bundle of trusted certificates".into())
            },
        },
    ];
    findings.extend(report.checks.into_iter().map(|check| Finding {
        name: check.name.to_owned(),
        ok: check.result.is_ok(),
        detail: check.result.unwrap_or_else(|reason| reason),
        hint: check.hint,
    }));
    findings.push(found("platforms that run here", platforms().join(", ")));
    let credentials = settings.registry_auth_files.iter().filter(|p| p.is_file());
    let credentials: Vec<String> = credentials.map(|p| p.display().to_string()).collect();
    findings.push(match credentials.as_slice() {
        [] => found("registry credentials", "none: registries are asked anonymously".into()),
        some => found("registry credentials", some.join(", ")),
    });
    Ok(DoctorReport { can_execute: report.mapping.is_some(), findings })
}

fn found(name: &str, detail: String) -> Finding {
    Finding { name: name.to_owned(), ok: true, detail, hint: None }
}

fn platforms() -> Vec<String> {
    ["amd64", "arm64", "386", "arm", "ppc64le", "riscv64", "s390x"]
        .iter()
        .map(|architecture| Platform::linux(architecture))
        .filter(tierce_native::runs_here)
        .map(|platform| platform.to_string())
        .collect()
}
