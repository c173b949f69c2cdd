//! The Python of a locked image.

use super::LockedError;
use super::base::missing;
use super::python::{place, url_of};
use crate::context::Context;
use crate::error::NativeError;
use crate::planner::Planner;
use crate::python::Interpreter;
use std::path::Path;
use tierce_lock::{InterpreterProvider, LockedFile, LockedInterpreter, Place};
use tierce_oci::Platform;
use tierce_spec::{Base, Step};
use tierce_wheel::{
    BuildLibc, Libc, Location, STANDALONE_PREFIX, StandaloneBuild, StandaloneError,
};
use url::Url;

impl Context {
    /// The build of python-build-standalone that a lock says; `None` where one is to be chosen.
    pub fn locked_standalone(
        &self,
        platform: &Platform,
        libc: Libc,
    ) -> Result<Option<StandaloneBuild>, NativeError> {
        let Some(ledger) = self.locking.ledger() else { return Ok(None) };
        let file = match ledger.interpreter(platform) {
            Some(LockedInterpreter {
                provider: InterpreterProvider::Standalone,
                file: Some(LockedFile { place: Place::Url(url), sha256, .. }),
                version,
                ..
            }) => (url, sha256, version),
            _ if ledger.is_locked() => {
                return Err(missing("standalone interpreter", platform).into());
            }
            _ => return Ok(None),
        };
        let (url, digest, version) = file;
        let impossible = |why: String| LockedError::Impossible {
            what: format!("the interpreter {version} from {url}"),
            why,
        };
        let machine = match platform.architecture.as_str() {
            "amd64" => "x86_64",
            "arm64" => "aarch64",
            other => other,
        };
        let mut place = Url::parse(&url).map_err(|e| impossible(e.to_string()))?;
        // The project's own releases are everybody's, and known by their address.
        if place.host_str() != Some("github.com") {
            place = self.standalone_credentials()?.apply(&place);
        }
        Ok(Some(StandaloneBuild {
            version: version
                .parse()
                .map_err(|e: tierce_wheel::PythonVersionError| impossible(e.to_string()))?,
            machine: machine.to_owned(),
            libc: BuildLibc::from(libc),
            url: place,
            digest,
        }))
    }

    /// What it means that a build can't be had: where it is locked, there is no other.
    pub fn unfetched_standalone(
        &self,
        build: &StandaloneBuild,
        error: StandaloneError,
    ) -> NativeError {
        match (self.locking.locked(), error) {
            (Some(_), StandaloneError::Download { source, .. }) => {
                let tried = url_of(&source).into_iter().collect();
                LockedError::of_fetch(build.filename(), tried, source).into()
            }
            (_, error) => error.into(),
        }
    }

    /// Records a build of python-build-standalone's.
    pub fn record_standalone(&self, platform: &Platform, build: &StandaloneBuild) {
        let Some(ledger) = self.locking.record() else { return };
        let file = LockedFile {
            filename: build.filename(),
            place: place(&Location::Url(build.url.clone())),
            size: None,
            sha256: build.digest,
        };
        let file = Some(file);
        let provider = InterpreterProvider::Standalone;
        ledger.record_interpreter(platform, locked(build.version.to_string(), provider, file));
    }

    /// Records an interpreter that comes with something else that is locked.
    pub fn record_interpreter(
        &self,
        platform: &Platform,
        found: &Interpreter,
        provider: InterpreterProvider,
    ) {
        let Some(ledger) = self.locking.record() else { return };
        ledger.record_interpreter(platform, locked(found.version.to_string(), provider, None));
    }
}

impl Planner<'_> {
    /// Records the Python that packages are installed for, where that is not done by who brought
    /// it: by its archive, or with a conda environment.
    pub fn record_python_of_base(&self, found: &Interpreter) {
        let base = self.gathered.resolved.image().base();
        let is_conda = |step: &Step| match step {
            Step::Conda(conda) => Path::new(&found.path).starts_with(conda.prefix()),
            _ => false,
        };
        let provider = match base {
            _ if self.gathered.resolved.steps().any(|step| is_conda(step.step)) => {
                InterpreterProvider::Conda
            }
            Base::Debian(_) if found.path.starts_with("/usr/bin/") => InterpreterProvider::Debian,
            _ => InterpreterProvider::Base,
        };
        if !found.path.starts_with(STANDALONE_PREFIX) {
            self.context.record_interpreter(self.builder.platform(), found, provider);
        }
    }

    /// Whether nothing after the step `index` has to be found out for a lock: what installs
    /// packages by other means than Python's needs to be looked at on top of what is below it.
    pub fn is_last_to_lock(&self, index: usize) -> bool {
        let more = |step: &Step| match step {
            Step::Apt(apt) => !apt.packages.is_empty(),
            Step::Conda(_) => true,
            _ => false,
        };
        let mut later = self.gathered.resolved.steps().skip(index + 1);
        self.context.is_recording() && !later.any(|later| more(later.step))
    }
}

fn locked(
    version: String,
    provider: InterpreterProvider,
    file: Option<LockedFile>,
) -> LockedInterpreter {
    LockedInterpreter { implementation: "cpython".to_owned(), version, provider, file }
}
