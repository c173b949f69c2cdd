//! The empty virtual environment that wheels are installed into (PEP 405).

use crate::install::InstallTarget;
use crate::layers::KeyHasher;
use crate::write::{LayerError, Tree, layer_path};
use std::io::Write;
use tierce_layer::{Compression, LayerWriter};
use tierce_oci::Digest;

/// An environment on an interpreter of the image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Venv {
    target: InstallTarget,
    base_python: String,
}

/// Why a path can't be the interpreter of an environment.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} can't be an environment's interpreter: expected an absolute path to a program")]
pub struct InterpreterError(pub String);

impl Venv {
    /// The environment of `target` on `base_python`, the absolute path in the image of an
    /// interpreter that is not itself in an environment, as `/usr/bin/python3.11`.
    pub fn new(target: &InstallTarget, base_python: &str) -> Result<Self, InterpreterError> {
        let relative = base_python.strip_prefix('/').unwrap_or_default();
        if crate::zip::check_path(relative).is_err() || base_python.ends_with('/') {
            return Err(InterpreterError(base_python.to_owned()));
        }
        Ok(Venv { target: target.clone(), base_python: base_python.to_owned() })
    }

    /// What the layer's bytes depend on.
    pub fn key(&self, compression: Compression) -> Digest {
        let mut hasher = KeyHasher::new("tierce-wheel/venv", &self.target);
        hasher.field(compression.media_type().as_str());
        hasher.field(&self.configuration());
        hasher.field(&self.base_python);
        hasher.finish()
    }

    /// `pyvenv.cfg`. `version_info` is only as exact as the target's version is.
    fn configuration(&self) -> String {
        let home = match self.base_python.rsplit_once('/') {
            Some(("", _)) | None => "/",
            Some((directory, _)) => directory,
        };
        let version = self.target.python();
        format!(
            "home = {home}\n\
             implementation = CPython\n\
             version = {version}\n\
             version_info = {version}\n\
             include-system-site-packages = false\n"
        )
    }

    /// A POSIX shell's `activate`: people who open a shell in the image expect one.
    fn activate(&self) -> String {
        let prefix = self.target.prefix().replace('\'', "'\\''");
        format!(
            "# Source this file from a POSIX shell.\n\
             VIRTUAL_ENV='{prefix}'\n\
             export VIRTUAL_ENV\n\
             _tierce_old_path=$PATH\n\
             PATH=\"$VIRTUAL_ENV/bin:$PATH\"\n\
             export PATH\n\
             unset PYTHONHOME\n\
             deactivate() {{\n    \
                 PATH=$_tierce_old_path\n    \
                 export PATH\n    \
                 unset VIRTUAL_ENV _tierce_old_path\n    \
                 unset -f deactivate\n\
             }}\n"
        )
    }

    /// Writes the environment: `pyvenv.cfg`, the interpreter's links, `lib64` and the empty
    /// directory of modules.
    pub fn write_layer<W: Write>(&self, writer: &mut LayerWriter<W>) -> Result<(), LayerError> {
        let path = |relative: &str| layer_path(&self.target, relative);
        let versioned = format!("bin/python{}", self.target.python().short());
        let mut tree = Tree::new(writer);
        tree.bytes(path("bin/activate")?, 0o644, self.activate().as_bytes())?;
        tree.symlink(path("bin/python")?, &self.base_python)?;
        tree.symlink(path("bin/python3")?, "python")?;
        tree.symlink(path(&versioned)?, "python")?;
        tree.directory(&path(&self.target.site_packages())?)?;
        tree.symlink(path("lib64")?, "lib")?;
        tree.bytes(path("pyvenv.cfg")?, 0o644, self.configuration().as_bytes())?;
        Ok(())
    }
}
