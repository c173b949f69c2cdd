//! How to build a package's source into a wheel inside an image.

use crate::lock::{LockedPackage, Source, VcsSource};
use std::fmt;
use tierce_layer::EPOCH;

/// A program run in the image that builds a wheel. Plain data: whoever runs it puts uv, the
/// source and a writable directory where the paths say, and brings the one wheel that then lies
/// in `out` into the store with [`StoredWheel::import`](crate::StoredWheel::import).
#[derive(Clone, PartialEq, Eq)]
pub struct BuildJob {
    /// Commands, one after the other.
    pub commands: Vec<Vec<String>>,
    /// Additions to the environment. Holds credentials of indexes.
    pub env: Vec<(String, String)>,
}

impl fmt::Debug for BuildJob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The environment may hold secrets.
        f.debug_struct("BuildJob").field("commands", &self.commands).finish_non_exhaustive()
    }
}

/// Where the packages that a build requires itself (PEP 518) come from: the same places as the
/// image's packages.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct BuildIndexes<'a> {
    /// The index instead of PyPI; may hold credentials.
    pub index: Option<&'a str>,
    /// More indexes, asked first; may hold credentials.
    pub extra: &'a [String],
    /// Ignore what was published after this date (RFC 3339 or a date).
    pub exclude_newer: Option<&'a str>,
}

impl BuildIndexes<'_> {
    /// Not as arguments: those can be read by every user of the machine.
    fn env(&self) -> impl Iterator<Item = (String, String)> {
        let extra = (!self.extra.is_empty()).then(|| self.extra.join(" "));
        let variables = [
            ("UV_DEFAULT_INDEX", self.index.map(str::to_owned)),
            ("UV_INDEX", extra),
            ("UV_EXCLUDE_NEWER", self.exclude_newer.map(str::to_owned)),
        ];
        variables.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)))
    }
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
    /// Archives are built as a whole; one with the project in a subdirectory is unpacked there
    /// first: what is in it can do no more than its build, which runs there too.
    pub fn new(
        package: &LockedPackage,
        paths: &BuildPaths<'_>,
        indexes: &BuildIndexes<'_>,
    ) -> Option<Self> {
        let (mut commands, root, subdirectory) = match &package.source {
            Source::Wheel { .. } => return None,
            Source::Sdist { subdirectory: subdirectory @ Some(_), .. } => {
                (vec![unpack(paths)], UNPACKED, subdirectory)
            }
            Source::Sdist { subdirectory, .. } | Source::Directory { subdirectory, .. } => {
                (Vec::new(), paths.source, subdirectory)
            }
            Source::Vcs(vcs) if vcs.kind == "git" => {
                (checkout(vcs, paths.source), paths.source, &vcs.subdirectory)
            }
            Source::Vcs(_) => return None,
        };
        let source = match subdirectory {
            Some(subdirectory) => format!("{root}/{subdirectory}"),
            None => root.to_owned(),
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
        let env = env.into_iter().map(|(name, value)| (name.to_owned(), value));
        Some(BuildJob { commands, env: env.chain(indexes.env()).collect() })
    }
}

/// Where an archive is unpacked that has the project in a subdirectory.
const UNPACKED: &str = "/tmp/tierce-unpacked";

/// Unpacks a source archive, a tar or zip file. Subdirectories start in the one folder that it
/// has at its top, if it has one. Not with shutil: that goes by the file's name.
const UNPACK: &str = "\
import os, sys, tarfile, zipfile
source, target = sys.argv[1:]
os.mkdir(target + '.part')
if tarfile.is_tarfile(source):
    with tarfile.open(source) as archive:
        safe = {'filter': 'data'} if hasattr(tarfile, 'data_filter') else {}
        archive.extractall(target + '.part', **safe)
else:
    with zipfile.ZipFile(source) as archive:
        archive.extractall(target + '.part')
top = [e for e in os.scandir(target + '.part') if e.name != 'pax_global_header']
is_one = len(top) == 1 and top[0].is_dir(follow_symlinks=False)
os.rename(top[0].path if is_one else target + '.part', target)
";

fn unpack(paths: &BuildPaths<'_>) -> Vec<String> {
    let command = [paths.python, "-I", "-c", UNPACK, paths.source, UNPACKED];
    command.map(str::to_owned).to_vec()
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
