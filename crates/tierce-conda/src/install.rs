//! Where what a package has goes.

use crate::error::PackageProblem;
use crate::fetch::StoredPackage;
use crate::info::{EntryPointScript, PackagePath};
use crate::lock::{CondaLock, CondaPackage, is_relative};
use std::borrow::Cow;
use tierce_layer::LayerPath;
use tierce_oci::{Diagnostic, ErrorKind};

/// The environment that packages are installed into.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CondaPrefix {
    prefix: String,
    python: Option<PythonInfo>,
}

/// The interpreter of an environment.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PythonInfo {
    /// `major.minor`.
    pub version: String,
    /// Its path below the prefix: `bin/python3.12`.
    pub path: String,
    /// Where modules go, below the prefix: `lib/python3.12/site-packages`.
    pub site_packages: String,
}

/// Why a path can't be an environment's prefix.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} can't hold a conda environment: expected an absolute path of letters, digits and . _ - + /"
)]
pub struct PrefixError(pub String);

impl Diagnostic for PrefixError {
    fn code(&self) -> &'static str {
        "conda/bad-prefix"
    }

    fn kind(&self) -> ErrorKind {
        ErrorKind::User
    }
}

impl PythonInfo {
    /// What is to know of an environment's `python` package (CEP 17).
    pub fn of(package: &CondaPackage) -> Option<Self> {
        let mut parts = package.version.split('.');
        let number = |part: Option<&str>| {
            part.filter(|p| !p.is_empty() && p.bytes().all(|b| b.is_ascii_digit()))
                .map(str::to_owned)
        };
        let (major, minor) = (number(parts.next())?, number(parts.next())?);
        let version = format!("{major}.{minor}");
        let site_packages = package
            .python_site_packages_path
            .clone()
            .unwrap_or_else(|| format!("lib/python{version}/site-packages"));
        Some(PythonInfo { path: format!("bin/python{version}"), site_packages, version })
    }
}

impl CondaPrefix {
    /// Where environments are unless told otherwise.
    pub const DEFAULT: &str = "/opt/conda";

    /// An environment at `prefix`, with the interpreter that the lock brings, if it brings one.
    ///
    /// The prefix has no white space: it becomes part of scripts' first lines.
    pub fn new(prefix: &str, lock: &CondaLock) -> Result<Self, PrefixError> {
        let bad = || PrefixError(prefix.to_owned());
        let relative = prefix.strip_prefix('/').ok_or_else(bad)?.trim_end_matches('/');
        let plain = |c: char| c.is_ascii_alphanumeric() || "._-+/".contains(c);
        if !is_relative(relative) || !relative.chars().all(plain) {
            return Err(bad());
        }
        let python = lock.python().and_then(PythonInfo::of);
        Ok(CondaPrefix { prefix: format!("/{relative}"), python })
    }

    /// The prefix, absolute, without a trailing slash.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The interpreter.
    pub fn python(&self) -> Option<&PythonInfo> {
        self.python.as_ref()
    }

    /// The interpreter's absolute path.
    pub fn interpreter(&self) -> Option<String> {
        self.python.as_ref().map(|python| format!("{}/{}", self.prefix, python.path))
    }

    /// A path below the prefix as a layer has it.
    pub(crate) fn layer_path(&self, path: &str) -> Result<LayerPath, tierce_layer::PathError> {
        LayerPath::new(&self.prefix)?.join(path)
    }

    /// Where a path of a package goes, below the prefix: modules and scripts of noarch Python
    /// packages go where the interpreter wants them.
    pub(crate) fn place<'p>(
        &self,
        package: &StoredPackage,
        path: &'p str,
    ) -> Result<Cow<'p, str>, PackageProblem> {
        if !package.package.is_noarch_python() {
            return Ok(path.into());
        }
        let python = self.python.as_ref().ok_or(PackageProblem::NoPython)?;
        Ok(if let Some(rest) = path.strip_prefix("site-packages/") {
            format!("{}/{rest}", python.site_packages).into()
        } else if let Some(rest) = path.strip_prefix("python-scripts/") {
            format!("bin/{rest}").into()
        } else {
            path.into()
        })
    }

    /// Everything that a package installs, below the prefix, with what it comes from.
    pub(crate) fn targets<'p>(
        &self,
        package: &'p StoredPackage,
    ) -> Result<Vec<(String, Target<'p>)>, PackageProblem> {
        let mut out = Vec::new();
        for path in &package.info.paths {
            out.push((self.place(package, &path.path)?.into_owned(), Target::Path(path)));
        }
        if package.package.is_noarch_python() {
            for point in &package.info.entry_points {
                out.push((format!("bin/{}", point.name), Target::EntryPoint(point)));
            }
        }
        out.push((format!("conda-meta/{}.json", package.package.stem()), Target::Record));
        Ok(out)
    }

    /// The program that runs an entry point, as conda writes it.
    pub(crate) fn entry_point(&self, point: &EntryPointScript) -> Result<String, PackageProblem> {
        let interpreter = self.interpreter().ok_or(PackageProblem::NoPython)?;
        let EntryPointScript { module, function, .. } = point;
        let import = function.split('.').next().unwrap_or(function);
        let shebang = shebang(&interpreter);
        Ok(format!(
            "{shebang}# -*- coding: utf-8 -*-\n\
             import re\n\
             import sys\n\
             \n\
             from {module} import {import}\n\
             \n\
             if __name__ == '__main__':\n    \
                 sys.argv[0] = re.sub(r'(-script\\.pyw?|\\.exe)?$', '', sys.argv[0])\n    \
                 sys.exit({function}())\n"
        ))
    }
}

/// The first line(s) that run a file by `interpreter`, however long its path is.
fn shebang(interpreter: &str) -> String {
    match interpreter.len() + 2 <= crate::prefix::MAX_SHEBANG {
        true => format!("#!{interpreter}\n"),
        false => format!("#!/bin/sh\n'''exec' \"{interpreter}\" \"$0\" \"$@\" #'''\n"),
    }
}

/// What something that is installed comes from.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Target<'p> {
    /// The package's archive.
    Path(&'p PackagePath),
    /// An entry point.
    EntryPoint(&'p EntryPointScript),
    /// The installer: `conda-meta/*.json`.
    Record,
}
