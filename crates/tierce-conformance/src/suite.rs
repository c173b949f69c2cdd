//! Runs the cases.

use crate::bench::{Bench, Stop};
use crate::cases::{Case, cases};
use serde::Serialize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tierce_engine::ImageBuilder;
use tierce_oci::{Diagnostic, ErrorKind, Reference};

/// What the suite works with.
#[derive(Clone)]
pub struct SuiteOptions {
    /// An image with `/bin/sh` and the usual small tools (busybox, Debian, Alpine) that the builder
    /// can reach. Without it, what runs commands is skipped.
    pub base: Option<Reference>,
    /// A registry, with the leading path of its repositories if any, that the builder can push to,
    /// and a client that reads from it. Without it, what pushes is skipped.
    pub registry: Option<(String, tierce_registry::Client)>,
    /// A directory for sources and results.
    pub scratch: PathBuf,
    /// How long one case may take.
    pub limit: Duration,
    /// Only cases whose names contain this.
    pub only: Option<String>,
}

impl SuiteOptions {
    /// All cases that need neither a base nor a registry.
    pub fn new(scratch: PathBuf) -> Self {
        let limit = Duration::from_secs(15 * 60);
        SuiteOptions { base: None, registry: None, scratch, limit, only: None }
    }

    /// With a base that has a shell.
    pub fn with_base(self, base: Reference) -> Self {
        SuiteOptions { base: Some(base), ..self }
    }

    /// With a registry, and a client that reads from it.
    pub fn with_registry(self, registry: String, client: tierce_registry::Client) -> Self {
        SuiteOptions { registry: Some((registry, client)), ..self }
    }

    /// Only cases whose names contain `only`.
    pub fn with_only(self, only: impl Into<String>) -> Self {
        SuiteOptions { only: Some(only.into()), ..self }
    }
}

/// What came of the suite.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct SuiteReport {
    /// The builder.
    pub builder: String,
    /// The cases, in order.
    pub cases: Vec<CaseReport>,
}

impl SuiteReport {
    /// The cases that failed.
    pub fn failures(&self) -> impl Iterator<Item = &CaseReport> {
        self.cases.iter().filter(|case| matches!(case.outcome, Outcome::Failed { .. }))
    }

    /// How many cases passed.
    pub fn passed(&self) -> usize {
        self.cases.iter().filter(|case| case.outcome == Outcome::Passed).count()
    }
}

/// What came of one case.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct CaseReport {
    /// The case.
    #[serde(rename = "case")]
    pub name: &'static str,
    /// What it is about.
    pub about: &'static str,
    /// What came of it.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// How long it took.
    pub millis: u64,
}

/// What came of a case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub enum Outcome {
    /// The builder does what it should.
    Passed,
    /// It could not be tried.
    Skipped {
        /// Why.
        why: String,
    },
    /// The builder does something else.
    Failed {
        /// What.
        what: String,
    },
}

/// Why the suite could not be run at all.
#[derive(Debug, thiserror::Error)]
pub enum SuiteError {
    /// There is no place for sources and results.
    #[error("cannot write to {}", path.display())]
    Scratch {
        /// Where.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// No case has such a name.
    #[error("no case has {only:?} in its name; there are: {known}")]
    NoCase {
        /// What was asked for.
        only: String,
        /// The names that exist.
        known: String,
    },
}

impl Diagnostic for SuiteError {
    fn code(&self) -> &'static str {
        match self {
            SuiteError::Scratch { .. } => "conformance/scratch",
            SuiteError::NoCase { .. } => "conformance/unknown-case",
        }
    }

    fn kind(&self) -> ErrorKind {
        match self {
            SuiteError::Scratch { .. } => ErrorKind::Environment,
            SuiteError::NoCase { .. } => ErrorKind::User,
        }
    }
}

/// Runs the suite, one case after the other, and tells `on` of each as soon as it is done.
pub async fn run(
    builder: Arc<dyn ImageBuilder>,
    options: &SuiteOptions,
    on: &mut (dyn FnMut(&CaseReport) + Send),
) -> Result<SuiteReport, SuiteError> {
    let wanted = |case: &Case| options.only.as_ref().is_none_or(|only| case.name.contains(only));
    let chosen: Vec<Case> = cases().into_iter().filter(wanted).collect();
    if let (true, Some(only)) = (chosen.is_empty(), &options.only) {
        let known = cases().iter().map(|case| case.name).collect::<Vec<_>>().join(", ");
        return Err(SuiteError::NoCase { only: only.clone(), known });
    }
    // Names of images differ from run to run: a registry remembers earlier ones.
    let id: String = std::iter::repeat_with(fastrand::lowercase).take(8).collect();
    let mut report = SuiteReport { builder: builder.name().to_owned(), cases: vec![] };
    for case in chosen {
        let done = run_case(&case, &builder, options, &id).await?;
        on(&done);
        report.cases.push(done);
    }
    Ok(report)
}

async fn run_case(
    case: &Case,
    builder: &Arc<dyn ImageBuilder>,
    options: &SuiteOptions,
    id: &str,
) -> Result<CaseReport, SuiteError> {
    let bench = Bench::new(builder, options, case.name, id)
        .map_err(|source| SuiteError::Scratch { path: options.scratch.clone(), source })?;
    let started = Instant::now();
    tracing::debug!(case = case.name, "runs");
    let outcome = match tokio::time::timeout(options.limit, (case.run)(&bench)).await {
        Ok(Ok(())) => Outcome::Passed,
        Ok(Err(Stop::Skip(why))) => Outcome::Skipped { why },
        Ok(Err(Stop::Fail(what))) => Outcome::Failed { what },
        Err(_) => {
            Outcome::Failed { what: format!("it took longer than {} s", options.limit.as_secs()) }
        }
    };
    let millis = started.elapsed().as_millis().try_into().unwrap_or(u64::MAX);
    Ok(CaseReport { name: case.name, about: case.about, outcome, millis })
}
