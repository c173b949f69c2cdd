//! The Python environment of an image: from requirements to wheels to layers.

use crate::error::NativeError;
use tierce_wheel::{
    BucketPolicy, InstallPlan, InstallTarget, LayerPlan, Libc, Lock, TopLayer, Venv, WheelInfo,
    plan_layers,
};

/// Where the environment is in every image.
pub const PREFIX: &str = "/opt/venv";

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

/// An environment with its wheels at hand, grouped into layers.
pub struct PythonLayers {
    /// What is installed.
    pub lock: Lock,
    /// The interpreter it is for.
    pub interpreter: Interpreter,
    /// Where it goes.
    pub target: InstallTarget,
    /// The wheels, in the lock's order.
    pub plans: Vec<InstallPlan>,
    /// The groups that become layers.
    pub groups: Vec<LayerPlan>,
    venv: Venv,
}

impl PythonLayers {
    /// Groups `plans` into layers.
    pub fn new(
        lock: Lock,
        interpreter: Interpreter,
        target: InstallTarget,
        plans: Vec<InstallPlan>,
        policy: &BucketPolicy,
    ) -> Result<Self, NativeError> {
        let wheels: Vec<WheelInfo> = plans
            .iter()
            .map(|plan| WheelInfo {
                filename: plan.wheel().filename().clone(),
                digest: plan.wheel().digest(),
                size: plan.wheel().file_size(),
            })
            .collect();
        let groups = plan_layers(&wheels, policy);
        let venv = Venv::new(&target, &interpreter.path)?;
        Ok(PythonLayers { lock, interpreter, target, plans, groups, venv })
    }

    /// The skeleton of the environment.
    pub fn venv(&self) -> &Venv {
        &self.venv
    }

    /// The wheels of a group.
    pub fn group(&self, group: usize) -> Vec<&InstallPlan> {
        let wanted = &self.groups[group].wheels;
        let is_wanted = |plan: &&InstallPlan| {
            wanted.iter().any(|wheel| wheel.filename == *plan.wheel().filename())
        };
        self.plans.iter().filter(is_wanted).collect()
    }

    /// Modules that several wheels have, and not with the same content, as paths in the image.
    /// They are not compiled: bytecode that is never checked against its source must not be that
    /// of a wheel whose module is not the one in the image.
    pub fn disputed_modules(&self) -> Result<Vec<String>, NativeError> {
        let top = self.top()?;
        let modules = top.conflicts().iter().filter(|c| c.path.ends_with(".py"));
        Ok(modules.map(|c| format!("{}/{}", self.target.prefix(), c.path)).collect())
    }

    /// The layer on top of all groups.
    pub fn top(&self) -> Result<TopLayer<'_>, NativeError> {
        let plans: Vec<&InstallPlan> = self.plans.iter().collect();
        Ok(TopLayer::new(&self.target, &plans, self.lock.packages())?)
    }
}
