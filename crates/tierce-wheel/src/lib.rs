//! From requirements to locks to wheels to layers; knows no builder and no sandbox.
//!
//! The way: [`Uv`] resolves a [`LockRequest`] into a [`Lock`]; [`fetch_wheels`] gets its wheels
//! into the store; [`Wheel`] and [`InstallPlan`] say where each file goes; [`plan_layers`] says
//! which wheels share a layer, and [`write_wheel_layer`], [`Venv`], [`TopLayer`] and
//! [`write_bytecode_layer`] write the layers. What has to run inside an image (source
//! distributions, bytecode) is described as plain data for a builder to run.

mod build;
mod bytecode;
mod credentials;
mod entry_points;
mod fetch;
mod index;
mod install;
mod layers;
mod location;
mod lock;
mod lock_error;
mod name;
mod netrc;
pub mod poetry;
mod program;
mod pylock;
mod pylock_selection;
mod record;
mod request;
mod script;
mod standalone;
mod standin;
mod target;
mod top;
mod uv;
mod uv_project;
mod venv;
mod wheel;
mod write;
pub mod zip;

pub use build::{BuildIndexes, BuildJob, BuildPaths};
pub use bytecode::{CompileJob, write_bytecode_layer};
pub use credentials::{IndexCredentials, named_index};
pub use entry_points::{EntryPoint, EntryPointError};
pub use fetch::{
    FetchEvent, FetchObserver, FetchSettings, FetchWheelError, StoredArchive, StoredWheel,
    fetch_sources, fetch_wheels,
};
pub use index::IndexError;
pub use install::{Content, InstallPlan, InstallTarget, PlannedFile, PrefixError};
pub use layers::{
    BucketPolicy, INSTALL_VERSION, LayerKind, LayerPlan, Share, WheelInfo, plan_layers,
};
pub use location::{Location, LocationError};
pub use lock::{ArchiveFile, Lock, LockedPackage, Source, VcsSource, WheelFile};
pub use lock_error::LockError;
pub use name::{FilenameError, NameError, PackageName, WheelFilename};
pub use pylock::{PylockError, required_python};
pub use pylock_selection::{PylockGroups, PylockSelection};
pub use record::{RecordError, RecordHash, RecordRow};
pub use request::{
    Connection, LockCommand, LockInterpreter, LockRequest, Prereleases, SourcePolicy,
};
pub use standalone::{
    ArchiveLayout, ArchiveProblem, BuildLibc, Catalog, PROGRAM_DIRECTORY, STANDALONE_PREFIX,
    STANDALONE_VERSION, StandaloneBuild, StandaloneError, StandaloneSettings, StoredBuild,
    fetch_standalone, standalone_program, write_standalone_layer,
};
pub use target::{Libc, PythonVersion, PythonVersionError, Tags, Target, UnsupportedPlatform};
pub use top::{Conflict, FileConflict, TopLayer};
pub use uv::{MINIMUM_VERSION, PINNED_VERSION, Uv, UvError, UvSettings};
pub use uv_project::{ExportSettings, UvProject, UvProjectError, UvScript};
pub use venv::{InterpreterError, Venv};
pub use wheel::{DEFAULT_UNPACKED_LIMIT, Root, Wheel, WheelError, WheelProblem, WheelWarning};
pub use write::{LayerError, write_wheel_layer};

pub use pep440_rs::Version;
