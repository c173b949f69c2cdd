//! Why requirements could not be resolved, as far as uv's words tell.

use crate::pylock::PylockError;
use std::io;
use std::path::PathBuf;
use tierce_oci::{Diagnostic, ErrorKind};

/// uv's words where a requirement is a repository, and no git on its `PATH`.
const NO_GIT: &str = "Git executable not found";

/// Why there is no lock. `explanation` is what uv said, whole.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Something is not a requirement.
    #[error("a python requirement is invalid: {explanation}")]
    InvalidRequirement {
        /// What uv said, or the requirement.
        explanation: String,
    },
    /// No set of versions satisfies all requirements.
    #[error("the python requirements can't be satisfied together:\n{explanation}")]
    Unsatisfiable {
        /// What uv said.
        explanation: String,
    },
    /// There are versions, but no files for the target.
    #[error("a required python package has no wheel for {target}:\n{explanation}")]
    NoWheel {
        /// The target.
        target: String,
        /// What uv said.
        explanation: String,
    },
    /// An index could not be reached.
    #[error("a python package index can't be reached:\n{explanation}")]
    IndexUnreachable {
        /// What uv said.
        explanation: String,
    },
    /// An index asks for other credentials.
    #[error("a python package index refused the credentials:\n{explanation}")]
    IndexDenied {
        /// What uv said.
        explanation: String,
    },
    /// Something is not in the cache, and the network is not to be used.
    #[error("offline, and a python package is not in uv's cache:\n{explanation}")]
    Offline {
        /// What uv said.
        explanation: String,
    },
    /// A package has to be run to know what it requires.
    #[error("a python package must be built to know what it requires:\n{explanation}")]
    NeedsBuild {
        /// What uv said.
        explanation: String,
    },
    /// There is no interpreter at the path that was named, or this uv, which is not the pinned
    /// version, does not understand the stand-in for one.
    #[error("uv found no python interpreter that it can use:\n{explanation}")]
    NoInterpreter {
        /// What uv said.
        explanation: String,
    },
    /// uv failed in a way of its own.
    #[error("uv could not resolve the python requirements:\n{explanation}")]
    Failed {
        /// What uv said.
        explanation: String,
    },
    /// uv could not be started.
    #[error("{} can't be run", .program.display())]
    Run {
        /// uv.
        program: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The stand-in for an interpreter could not be written.
    #[error("{} can't be written to", .directory.display())]
    StandIn {
        /// Where.
        directory: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// What uv wrote is not a lock that can be used.
    #[error("uv's lock can't be used")]
    Pylock(#[from] PylockError),
}

impl LockError {
    /// Sorts out a failure of uv by what it wrote to its standard error.
    ///
    /// For callers that run a [`LockCommand`](crate::LockCommand) themselves.
    pub fn from_uv(stderr: &str, target: &str) -> Self {
        let explanation = stderr.trim().strip_prefix("error: ").unwrap_or(stderr.trim()).to_owned();
        let text = one_line(&explanation);
        let says = |phrases: &[&str]| phrases.iter().any(|p| text.contains(p));
        // Where building is possible there may be a git, too.
        if says(&["no interpreter to build with", "Building source distributions for", NO_GIT]) {
            return LockError::NeedsBuild { explanation };
        }
        if says(&["No interpreter found", "Failed to inspect Python interpreter"]) {
            return LockError::NoInterpreter { explanation };
        }
        if says(&[
            "network was disabled",
            "network connectivity is disabled",
            "Network connectivity is disabled",
        ]) {
            return LockError::Offline { explanation };
        }
        if says(&["401 Unauthorized", "403 Forbidden", "407 Proxy Authentication"]) {
            return LockError::IndexDenied { explanation };
        }
        if says(&["Failed to fetch", "error sending request", "Could not connect", "dns error"]) {
            return LockError::IndexUnreachable { explanation };
        }
        if says(&["No solution found"]) {
            return match says(&["no usable wheels", "no wheels with a matching"]) {
                true => LockError::NoWheel { target: target.to_owned(), explanation },
                false => LockError::Unsatisfiable { explanation },
            };
        }
        let invalid = [
            "Couldn't parse requirement",
            "Distribution not found at",
            "is invalid: ",
            "Unsupported editable requirement",
            "File not found",
            "Error parsing included file",
            "Failed to parse",
        ];
        if says(&invalid) {
            return LockError::InvalidRequirement { explanation };
        }
        LockError::Failed { explanation }
    }

    /// Whether there was no git for a repository.
    pub fn is_without_git(&self) -> bool {
        matches!(self, LockError::NeedsBuild { explanation } if one_line(explanation).contains(NO_GIT))
    }

    /// The failure as it is where building is allowed, but not to the program that failed: what
    /// it found no wheel for may well have a source.
    pub(crate) fn with_builds_off(self) -> Self {
        match self {
            LockError::NoWheel { explanation, .. }
                if one_line(&explanation).contains("building from source is disabled") =>
            {
                LockError::NeedsBuild { explanation }
            }
            other => other,
        }
    }
}

/// uv's words without the lines and boxes: older versions break lines at 80 columns.
fn one_line(explanation: &str) -> String {
    let blank = |c: char| c.is_whitespace() || matches!(c, '│' | '├' | '╰' | '─' | '▶');
    let words: Vec<&str> = explanation.split(blank).filter(|w| !w.is_empty()).collect();
    words.join(" ")
}

impl Diagnostic for LockError {
    fn code(&self) -> &'static str {
        match self {
            LockError::InvalidRequirement { .. } => "python/invalid-requirement",
            LockError::Unsatisfiable { .. } => "python/unsatisfiable",
            LockError::NoWheel { .. } => "python/no-wheel",
            LockError::IndexUnreachable { .. } => "python/index-unreachable",
            LockError::IndexDenied { .. } => "python/index-denied",
            LockError::Offline { .. } => "python/offline",
            LockError::NeedsBuild { .. } => "python/needs-build",
            LockError::NoInterpreter { .. } => "python/no-interpreter",
            LockError::Failed { .. } => "python/uv-failed",
            LockError::Run { .. } => "python/uv-not-runnable",
            LockError::StandIn { .. } => "python/cache-unwritable",
            LockError::Pylock(source) => source.code(),
        }
    }

    fn kind(&self) -> ErrorKind {
        match self {
            LockError::InvalidRequirement { .. }
            | LockError::Unsatisfiable { .. }
            | LockError::NoWheel { .. }
            | LockError::NeedsBuild { .. }
            | LockError::Failed { .. } => ErrorKind::User,
            LockError::IndexUnreachable { .. } | LockError::IndexDenied { .. } => {
                ErrorKind::Upstream
            }
            LockError::Offline { .. }
            | LockError::NoInterpreter { .. }
            | LockError::Run { .. }
            | LockError::StandIn { .. } => ErrorKind::Environment,
            LockError::Pylock(source) => source.kind(),
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            LockError::InvalidRequirement { .. } => {
                "Write requirements as on pip's command line, for instance \"requests>=2.31\"."
            }
            LockError::Unsatisfiable { .. } => {
                "Loosen one of the requirements that are named above, or check their spelling. Those \
                 of all layers of an image are resolved together."
            }
            LockError::NoWheel { .. } => {
                "Choose a version with a wheel for this platform and interpreter, or allow source \
                 distributions to be built."
            }
            LockError::IndexUnreachable { .. } => {
                "Check the index's URL, the network and HTTPS_PROXY, and try again."
            }
            LockError::IndexDenied { .. } => {
                "Put the index's credentials into its URL, as https://user:password@host/simple."
            }
            LockError::Offline { .. } => "Run once with the network, or provide a mirror.",
            LockError::NeedsBuild { .. } => {
                "Builds run inside the image only, where nothing (as `--no-build`) rules them \
                 out. Otherwise, require a version with a wheel."
            }
            LockError::NoInterpreter { .. } => {
                "Let tierce use the version of uv that it fetches itself, or name an interpreter \
                 that exists."
            }
            LockError::Run { .. } => "Check that the program is executable on this machine.",
            LockError::StandIn { .. } => "Check the cache directory's permissions and free space.",
            LockError::Pylock(source) => return source.hint(),
            LockError::Failed { .. } => return None,
        };
        Some(hint.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_sorted_out() {
        for (stderr, code) in [
            (
                "error: No solution found when resolving dependencies\n  cause: Because only requests<=2 is available and you require requests>=99",
                "python/unsatisfiable",
            ),
            (
                "error: No solution found\n  cause: Because x has no wheels with a matching platform tag",
                "python/no-wheel",
            ),
            (
                "error: No solution found\nhint: An index URL (http://x) could not be queried due to a lack of valid authentication credentials (401 Unauthorized)",
                "python/index-denied",
            ),
            (
                "error: Request failed after 3 retries in 5.6s\n  cause: Failed to fetch: http://127.0.0.1:1/simple/six/",
                "python/index-unreachable",
            ),
            (
                "error: Couldn't parse requirement in `-` at position 0",
                "python/invalid-requirement",
            ),
            ("error: Distribution not found at: file:///x", "python/invalid-requirement"),
            (
                "error: No solution found\nhint: Packages were unavailable because the network was disabled.",
                "python/offline",
            ),
            (
                "error: Failed to build `docopt==0.6.2`\n no interpreter to build with",
                "python/needs-build",
            ),
            (
                "  × Failed to download and build `docopt @\n  │ https://x/docopt-0.6.2.tar.gz`\n  ╰─▶ Building source distributions for `docopt` is\n      disabled",
                "python/needs-build",
            ),
            ("error: No interpreter found in virtual environments", "python/no-interpreter"),
            (
                "error: Failed to inspect Python interpreter from provided path at `x`\n  Caused by: Querying Python at `x` returned an invalid response: missing field `y`",
                "python/no-interpreter",
            ),
            (
                "  × No solution found when resolving dependencies:\n  ╰─▶ Because x has no wheels with\n  │   a matching platform tag",
                "python/no-wheel",
            ),
            ("error: something new", "python/uv-failed"),
        ] {
            let error = LockError::from_uv(stderr, "x");
            assert_eq!(error.code(), code, "{stderr}");
            assert!(error.to_string().contains(stderr.trim().trim_start_matches("error: ")));
        }
    }

    #[test]
    fn what_has_no_wheel_may_be_built_elsewhere() {
        for (stderr, code) in [
            (
                "  × No solution found when resolving dependencies:\n  ╰─▶ Because docopt==0.6.2 has no usable wheels\n\n      hint: Wheels are required for `docopt` because building from source is\n      disabled for all packages (i.e., with `--no-build`)",
                "python/needs-build",
            ),
            (
                "error: No solution found\n  cause: Because x has no wheels with a matching platform tag",
                "python/no-wheel",
            ),
            ("error: No solution found\n  cause: Because you require x<1", "python/unsatisfiable"),
        ] {
            assert_eq!(LockError::from_uv(stderr, "x").with_builds_off().code(), code, "{stderr}");
        }
    }
}
