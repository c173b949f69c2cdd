//! The kinds of work that make a layer.

use crate::base::DebianBase;
use crate::conda::CondaLayers;
use crate::lock::apt::LockedInstall;
use crate::python::PythonLayers;
use std::sync::Arc;
use tierce_engine::Source;
use tierce_layer::LayerPath;
use tierce_spec::{Network, Secret};
use tierce_wheel::StandaloneBuild;

/// What makes a layer.
#[derive(Clone)]
pub enum Work {
    /// Unpacks Debian packages. Assembled.
    DebianRoot(Arc<DebianBase>),
    /// Runs their maintainer scripts. Executed.
    DebianConfigure(Arc<DebianBase>),
    /// Runs commands. Executed.
    Execute(Execution),
    /// Installs locked Debian packages. Executed.
    LockedApt(Arc<LockedInstall>),
    /// A Python of the image's own. Assembled.
    Standalone(Arc<StandaloneBuild>),
    /// Conda packages. Assembled.
    Conda(Arc<CondaLayers>, usize),
    /// What makes a conda environment one for conda. Assembled.
    CondaHistory(Arc<CondaLayers>),
    /// The skeleton of the Python environment. Assembled.
    Venv(Arc<PythonLayers>),
    /// The wheels of one group. Assembled.
    Wheels(Arc<PythonLayers>, usize),
    /// What belongs to the environment as a whole. Assembled.
    Environment(Arc<PythonLayers>),
    /// The bytecode of one group's modules. Executed, but needs no layer besides those that the
    /// interpreter is in, the environment's skeleton and that group.
    Bytecode {
        /// The environment.
        python: Arc<PythonLayers>,
        /// The group.
        group: usize,
        /// The nodes that the interpreter runs on, of the skeleton and of the group's wheels.
        needs: Vec<usize>,
    },
    /// A folder or file of the host. Assembled.
    Source {
        /// The source.
        source: Source,
        /// Where it goes.
        destination: LayerPath,
    },
    /// Makes a directory. Assembled.
    Directory(LayerPath),
}

impl Work {
    /// Whether something is run in the image.
    pub fn is_executed(&self) -> bool {
        matches!(
            self,
            Work::DebianConfigure(_)
                | Work::Execute(_)
                | Work::LockedApt(_)
                | Work::Bytecode { .. }
        )
    }
}

/// Commands that run in the image, one after the other, as one layer.
#[derive(Clone, Debug)]
pub struct Execution {
    /// The commands.
    pub commands: Vec<Vec<String>>,
    /// Their environment.
    pub env: Vec<(String, String)>,
    /// Their working directory.
    pub cwd: String,
    /// The user they run as; empty for root.
    pub user: String,
    /// What they reach.
    pub network: Network,
    /// Directories that outlive the step and stay out of the layer.
    pub caches: Vec<CacheMount>,
    /// What is left out of the layer.
    pub omit: Omit,
    /// What the commands see and must not write anywhere.
    pub secrets: Vec<Secret>,
}

/// What is left out of a layer since it differs from run to run and nobody needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Omit {
    /// All that package tools leave behind: logs, backups, locks, lists, caches.
    PackageLeavings,
    /// Logs with times in them and caches of inode numbers: what a user's own command leaves is
    /// otherwise theirs to keep.
    Logs,
}

impl Omit {
    /// The patterns, relative to the root.
    pub fn patterns(self) -> Vec<String> {
        const LOGS: [&str; 5] = [
            "var/log/alternatives.log",
            "var/log/apt/*",
            "var/log/dpkg.log",
            "var/cache/apt/*.bin",
            "var/cache/ldconfig/aux-cache",
        ];
        let patterns: &[&str] = match self {
            Omit::PackageLeavings => tierce_debian::NONDETERMINISTIC_PATHS,
            Omit::Logs => &LOGS,
        };
        patterns.iter().map(|p| (*p).to_owned()).collect()
    }
}

/// A directory of the store that steps share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheMount {
    /// The cache's name in the store.
    pub name: String,
    /// Where it is mounted.
    pub target: String,
}
