//! How to build a package's source into a wheel inside an image.

use crate::lock::{LockedPackage, Source, VcsSource};
use tierce_layer::EPOCH;

/// A program run in the image that builds a wheel. Plain data: whoever runs it puts uv, the
/// source and a writable directory where the paths say, and brings the one wheel that then lies
/// in `out` into the store with [`StoredWheel::import`](crate::StoredWheel::import).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuildJob {
    /// Commands, one after the other.
    pub commands: Vec<Vec<String>>,
    /// Additions to the environment.
    pub env: Vec<(String, String)>,
}

/// Where things are in the image that builds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BuildPaths<'a> {
    /// uv's program.
    pub uv: &'a str,
    /// The interpreter to build for.
    pub python: &'a str,
    /// The source: an archive under its real file name, or a directory. For repositories, a
    /// directory that does not exist yet.
    pub source: &'a str,
    /// An empty writable directory for the wheel.
    pub out: &'a str,
    /// A writable directory for uv's cache.
    pub cache: &'a str,
}

impl BuildJob {
    /// How to build `package`; `None` if it is a wheel already, or comes from a version control
    /// system other than git. Repositories need git in the image.
    ///
    /// Archives are built as a whole: a project in a subdirectory of an archive needs the
    /// archive unpacked, with `source` being its directory.
    pub fn new(package: &LockedPackage, paths: &BuildPaths<'_>) -> Option<Self> {
        let (mut commands, subdirectory) = match &package.source {
            Source::Wheel { .. } => return None,
            Source::Sdist { subdirectory, .. } | Source::Directory { subdirectory, .. } => {
                (Vec::new(), subdirectory)
            }
            Source::Vcs(vcs) if vcs.kind == "git" => {
                (checkout(vcs, paths.source), &vcs.subdirectory)
            }
            Source::Vcs(_) => return None,
        };
        let source = match subdirectory {
            Some(subdirectory) => format!("{}/{subdirectory}", paths.source),
            None => paths.source.to_owned(),
        };
        let build = [
            paths.uv,
            "build",
            "--wheel",
            "--no-config",
            "--no-progress",
            "--color",
            "never",
            "--no-python-downloads",
            "--no-create-gitignore",
            "--python",
            paths.python,
            "--cache-dir",
            paths.cache,
            "--out-dir",
            paths.out,
            "--",
            &source,
        ];
        commands.push(build.map(str::to_owned).to_vec());
        let env = [
            // Build backends take it for the times in the wheel.
            ("SOURCE_DATE_EPOCH", EPOCH.to_string()),
            ("PYTHONHASHSEED", "0".to_owned()),
            ("GIT_TERMINAL_PROMPT", "0".to_owned()),
        ];
        Some(BuildJob { commands, env: env.map(|(name, value)| (name.to_owned(), value)).to_vec() })
    }
}

fn checkout(vcs: &VcsSource, directory: &str) -> Vec<Vec<String>> {
    let url = vcs.location.without_credentials();
    let git = |arguments: &[&str]| {
        let command = ["git", "-C", directory].into_iter().chain(arguments.iter().copied());
        command.map(str::to_owned).collect::<Vec<_>>()
    };
    let init = ["git", "init", "--quiet", "--", directory].map(str::to_owned).to_vec();
    vec![
        init,
        git(&["fetch", "--quiet", "--depth=1", "--", &url, &vcs.commit]),
        git(&["checkout", "--quiet", "--detach", "FETCH_HEAD"]),
        git(&["submodule", "update", "--quiet", "--init", "--recursive", "--depth=1"]),
    ]
}
