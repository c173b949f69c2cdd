//! Bytecode: how to have an image's interpreter compile wheels, and the layer of the result.
//!
//! Compiled files depend on the interpreter, so they can't be in the wheels' own layers, and
//! they are not listed in RECORD; pip finds and removes them by the modules' names.

use crate::install::{InstallPlan, InstallTarget};
use crate::write::{LayerError, Tree, layer_path};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use tierce_layer::LayerWriter;

/// The program that compiles, for the image's interpreter.
pub const SCRIPT: &str = include_str!("compile.py");

/// A program run in the image that compiles the modules of some wheels. Plain data: whoever runs
/// it provides the image with the wheels' layers mounted and a writable directory `out`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompileJob {
    /// The program and its arguments.
    pub argv: Vec<String>,
    /// The whole environment.
    pub env: Vec<(String, String)>,
    /// What it reads from its standard input.
    pub stdin: Vec<u8>,
}

impl CompileJob {
    /// Compiles the modules of `plans` with `interpreter` into `out`, both paths in the image.
    ///
    /// The files are the same on every run: one process in a fixed order, hash seed 0, no site
    /// packages. Modules that don't compile are skipped, as pip does.
    pub fn new(plans: &[&InstallPlan], interpreter: &str, out: &str) -> Self {
        let mut modules: Vec<String> = plans.iter().flat_map(|plan| plan.modules()).collect();
        modules.sort();
        modules.dedup();
        let stdin = modules.iter().flat_map(|m| [m.as_bytes(), b"\n"].concat()).collect();
        let flags = ["-B", "-s", "-S", "-W", "ignore", "-c"].map(str::to_owned);
        CompileJob {
            argv: std::iter::once(interpreter.to_owned())
                .chain(flags)
                .chain([SCRIPT.to_owned(), out.to_owned()])
                .collect(),
            // -I would make Python ignore the hash seed, on which the order of sets depends.
            env: vec![
                ("PYTHONHASHSEED".to_owned(), "0".to_owned()),
                ("LC_ALL".to_owned(), "C.UTF-8".to_owned()),
            ],
            stdin,
        }
    }
}

/// Writes the layer of what a [`CompileJob`] left in `out` (here a path on the host): only
/// `__pycache__/*.pyc` files below the environment's modules are taken, anything else is an
/// error, since what ran there is not trusted.
pub fn write_bytecode_layer<W: Write>(
    out: &Path,
    target: &InstallTarget,
    writer: &mut LayerWriter<W>,
) -> Result<(), LayerError> {
    let mut files = BTreeMap::new();
    collect(out, "", &mut files)?;
    let site = format!("{}/{}/", &target.prefix()[1..], target.site_packages());
    let mut tree = Tree::new(writer);
    for (path, (host, size)) in files {
        let inside = path.strip_prefix(&site).filter(|inside| is_pyc(inside));
        let inside = inside.ok_or_else(|| LayerError::Foreign(path.clone()))?;
        let place = layer_path(target, &format!("{}/{inside}", target.site_packages()))?;
        let file = open(&host)?;
        tree.stream(place, 0o644, size, file)?;
    }
    Ok(())
}

fn is_pyc(path: &str) -> bool {
    path.ends_with(".pyc") && path.rsplit('/').nth(1) == Some("__pycache__")
}

fn open(path: &Path) -> Result<File, LayerError> {
    File::open(path).map_err(|source| LayerError::Read { path: path.display().to_string(), source })
}

fn collect(
    directory: &Path,
    prefix: &str,
    files: &mut BTreeMap<String, (PathBuf, u64)>,
) -> Result<(), LayerError> {
    let read = |source| LayerError::Read { path: directory.display().to_string(), source };
    for entry in fs::read_dir(directory).map_err(read)? {
        let entry = entry.map_err(read)?;
        let name = entry.file_name();
        let name = name
            .to_str()
            .ok_or_else(|| LayerError::Foreign(entry.path().to_string_lossy().into_owned()))?;
        let path = format!("{prefix}{name}");
        // Of the link itself: a link planted by the step must not lead out of the directory.
        let metadata = entry.metadata().map_err(read)?;
        if metadata.is_dir() {
            collect(&entry.path(), &format!("{path}/"), files)?;
        } else if metadata.is_file() {
            files.insert(path, (entry.path(), metadata.len()));
        } else {
            return Err(LayerError::Foreign(path));
        }
    }
    Ok(())
}
