//! From conda specs to exact packages to layers; knows no builder and no sandbox.
//!
//! The way: [`solve`] turns a [`CondaRequest`] into a [`CondaLock`]; [`fetch_packages`] gets its
//! packages into the store; [`plan_layers`] says which packages share a layer, and
//! [`write_layer`] and [`write_history`] write the layers. What has to run inside an image (post-link
//! scripts) is described as plain data for a builder to run: [`post_link_scripts`].
//!
//! Version comparison, match specs and the solver are those of the `rattler` crates; reading
//! repodata and packages, and writing what an installer would, is done here, because layers are
//! written without unpacking anything to disk.

mod archive;
mod channel;
mod conda_lock;
mod credentials;
mod environment;
mod error;
mod exact;
mod fetch;
mod foreign;
mod info;
mod install;
mod layers;
mod lock;
mod pixi;
mod prefix;
mod record;
mod repodata;
mod request;
mod script;
mod solve;
mod target;
mod text;
mod write;

pub use archive::{ArchiveKind, Package, PackageLimits};
pub use channel::{Channel, ChannelAlias, ChannelError};
pub use conda_lock::CondaLockError;
pub use credentials::ChannelCredentials;
pub use environment::{
    EnvironmentError, EnvironmentFile, PipLineError, PipLineProblem, PipRequirements,
};
pub use error::{FetchPackageError, PackageError, PackageProblem, SolveError};
pub use exact::ExactError;
pub use fetch::{FetchSettings, StoredPackage, fetch_packages};
pub use foreign::{ForeignLock, ForeignPackage, PypiFile, PypiPlace, UrlError};
pub use info::{EntryPointScript, PackageInfo, PackagePath, PathKind, Placeholder, PrefixMode};
pub use install::{CondaPrefix, PrefixError, PythonInfo};
pub use layers::{BucketPolicy, CondaLayerKind, CondaLayerPlan, INSTALL_VERSION, plan_layers};
pub use lock::{CondaLock, CondaPackage, LockFormatError, Noarch};
pub use pixi::{
    HeaderError, PixiError, PixiFile, PixiLockError, PixiManifest, PixiRequirements, PypiOptions,
    PypiRequirement, StaleLock, script_header,
};
pub use repodata::RepodataSettings;
pub use request::{CondaRequest, SpecError};
pub use script::{PostLinkScript, post_link_scripts};
pub use solve::{CondaEvent, CondaObserver, solve};
pub use target::{CondaTarget, UnsupportedSubdir, VirtualPackageError};
pub use text::TextError;
pub use write::{Clobber, LayerError, OutsideLink, clobbers, write_history, write_layer};

pub use rattler_conda_types::GenericVirtualPackage;
