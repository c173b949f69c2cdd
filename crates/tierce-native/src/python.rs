//! The Python environment of an image: from requirements to wheels to layers.

use crate::assembled::COMPRESSION;
use crate::conda::CondaError;
use crate::error::NativeError;
use crate::key::KeyEncoder;
use serde::{Deserialize, Serialize};
use std::sync::OnceLock;
use tierce_oci::{Digest, Platform};
use tierce_wheel::{
    BucketPolicy, DEFAULT_UNPACKED_LIMIT, InstallPlan, InstallTarget, LayerPlan, Libc, Lock,
    StoredWheel, Target, TopLayer, Venv, WheelInfo, plan_layers,
};

/// Where the environment is in every image whose Python is not conda's.
pub const PREFIX: &str = "/opt/venv";

/// A lock with no packages (PEP 751).
const EMPTY_LOCK: &str = "lock-version = \"1.0\"\ncreated-by = \"tierce\"\npackages = []\n";

/// The interpreter of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interpreter {
    /// Its absolute path in the image.
    pub path: String,
    /// Its version, as exactly as it is known.
    pub version: tierce_wheel::PythonVersion,
    /// The image's C library.
    pub libc: tierce_wheel::Libc,
}

impl Interpreter {
    /// The text of the label that says what an image's Python is: `<version>@<path>@<libc>`.
    pub fn label(&self) -> String {
        let libc = match self.libc {
            Libc::Glibc { minor } => format!("glibc-2.{minor}"),
            Libc::Musl { minor } => format!("musl-1.{minor}"),
        };
        format!("{}@{}@{libc}", self.version, self.path)
    }

    /// Reads [`Interpreter::label`].
    pub fn from_label(label: &str) -> Option<Self> {
        let mut parts = label.split('@');
        let (version, path) = (parts.next()?.parse().ok()?, parts.next()?.to_owned());
        let libc = parts.next()?;
        let libc = match (libc.strip_prefix("glibc-2."), libc.strip_prefix("musl-1.")) {
            (Some(minor), _) => Libc::Glibc { minor: minor.parse().ok()? },
            (_, Some(minor)) => Libc::Musl { minor: minor.parse().ok()? },
            (None, None) => return None,
        };
        Some(Interpreter { path, version, libc })
    }
}

/// What the wheels of an environment come to together. Kept by lock, so that wheels whose layers
/// are there need not be opened.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Together {
    /// The key of the layer on top of all groups; `None` where there is none.
    pub top: Option<Digest>,
    /// Files that wheels disagree about: each is worth a warning.
    pub conflicts: Vec<String>,
    /// Modules among them, as paths in the image. They are not compiled: bytecode that is never
    /// checked against its source must not be that of a wheel whose module is not in the image.
    pub disputed: Vec<String>,
}

/// An environment with its wheels in the store, grouped into layers.
pub struct PythonLayers {
    /// What is installed.
    pub lock: Lock,
    /// The interpreter it is for.
    pub interpreter: Interpreter,
    /// Where it goes.
    pub target: InstallTarget,
    /// The groups that become layers.
    pub groups: Vec<LayerPlan>,
    wheels: Vec<StoredWheel>,
    venv: Venv,
    opened: OnceLock<Vec<InstallPlan>>,
}

impl PythonLayers {
    /// Groups `wheels` into layers.
    pub fn new(
        lock: Lock,
        interpreter: Interpreter,
        target: InstallTarget,
        wheels: Vec<StoredWheel>,
        policy: &BucketPolicy,
    ) -> Result<Self, NativeError> {
        let infos: Vec<WheelInfo> = wheels.iter().map(StoredWheel::info).collect();
        let groups = plan_layers(&infos, policy);
        let venv = Venv::new(&target, &interpreter.path)?;
        let opened = OnceLock::new();
        Ok(PythonLayers { lock, interpreter, target, groups, wheels, venv, opened })
    }

    /// An environment with nothing in it.
    pub fn empty(
        interpreter: Interpreter,
        platform: &Platform,
        prefix: &str,
    ) -> Result<Self, NativeError> {
        let target = Target::new(interpreter.version, platform, interpreter.libc)?;
        let lock = Lock::parse(EMPTY_LOCK.as_bytes(), &target).expect("a valid lock");
        let target = InstallTarget::new(prefix, interpreter.version).map_err(CondaError::from)?;
        PythonLayers::new(lock, interpreter, target, vec![], &BucketPolicy::default())
    }

    /// The skeleton of the environment.
    pub fn venv(&self) -> &Venv {
        &self.venv
    }

    /// All that [`Together`] depends on.
    pub fn key(&self) -> Digest {
        KeyEncoder::new("environment")
            .digest("lock", &Digest::of(self.lock.bytes()))
            .list("wheels", self.wheels.iter().map(|w| *w.digest.as_bytes()))
            .text("prefix", self.target.prefix())
            .text("python", &self.target.python().short())
            .text("version", &tierce_wheel::INSTALL_VERSION.to_string())
            .finish()
            .0
    }

    /// The wheels, opened. Costly: every file of every wheel is looked at.
    fn plans(&self) -> Result<&[InstallPlan], NativeError> {
        if let Some(plans) = self.opened.get() {
            return Ok(plans);
        }
        let open = |wheel: &StoredWheel| -> Result<InstallPlan, NativeError> {
            Ok(InstallPlan::new(wheel.open(DEFAULT_UNPACKED_LIMIT)?, &self.target)?)
        };
        let plans: Result<Vec<InstallPlan>, NativeError> = self.wheels.iter().map(open).collect();
        // Another thread may have been quicker: both have the same.
        let _ = self.opened.set(plans?);
        Ok(self.opened.get().map_or(&[], Vec::as_slice))
    }

    /// The wheels of a group.
    pub fn group(&self, group: usize) -> Result<Vec<InstallPlan>, NativeError> {
        let wanted = &self.groups[group].wheels;
        self.wheels
            .iter()
            .filter(|wheel| wanted.iter().any(|w| w.filename == wheel.filename))
            .map(|wheel| Ok(InstallPlan::new(wheel.open(DEFAULT_UNPACKED_LIMIT)?, &self.target)?))
            .collect()
    }

    /// The layer on top of all groups.
    pub fn top(&self) -> Result<TopLayer<'_>, NativeError> {
        let plans: Vec<&InstallPlan> = self.plans()?.iter().collect();
        Ok(TopLayer::new(&self.target, &plans, self.lock.packages())?)
    }

    /// What the wheels come to together.
    pub fn together(&self) -> Result<Together, NativeError> {
        let top = self.top()?;
        let modules = top.conflicts().iter().filter(|c| c.path.ends_with(".py"));
        Ok(Together {
            top: (!top.is_empty()).then(|| top.key(COMPRESSION)),
            conflicts: top.conflicts().iter().map(ToString::to_string).collect(),
            disputed: modules.map(|c| format!("{}/{}", self.target.prefix(), c.path)).collect(),
        })
    }
}
