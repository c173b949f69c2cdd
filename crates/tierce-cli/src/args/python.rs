//! What the commands that take Python files have in common.

use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// Which of a Python file's images.
#[derive(Clone, Debug, Default, Args)]
pub struct NameArgs {
    /// Which image of a Python file: a variable, an environment, a task or an image's own name
    #[arg(value_name = "NAME")]
    pub name: Option<String>,
}

/// How Python files are loaded.
#[derive(Clone, Debug, Default, Args)]
pub struct PythonArgs {
    /// Load Python files with this Python, or that of this environment; see `tierce config get
    /// python`
    #[arg(long, value_name = "PYTHON")]
    pub python: Option<PathBuf>,
    /// The folder that Python files import from and that their images' paths are relative to
    #[arg(long, value_name = "DIR")]
    pub root_dir: Option<PathBuf>,
    /// Go on without the Python files that can't be loaded
    #[arg(short, long)]
    pub ignore_load_errors: bool,
}

/// Who brings the code that runs in an image.
#[derive(Clone, Copy, Debug, Default, Args)]
pub struct CodeArgs {
    /// How whoever runs the image brings its code: with anything but `none` the image's code
    /// bundle is left out of it
    #[arg(long, value_enum, value_name = "STYLE")]
    pub copy_style: Option<CopyStyle>,
    /// Leave the sources of Python files out of their images: whoever runs them brings the code
    #[arg(long, conflicts_with = "copy_style")]
    pub fast: bool,
}

impl CodeArgs {
    /// The copy style, where the command line says anything about it.
    pub fn style(self) -> Option<CopyStyle> {
        self.copy_style.or(self.fast.then_some(CopyStyle::LoadedModules))
    }
}

/// How whoever runs an image brings its code there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum CopyStyle {
    /// The modules that the program has imported are copied when it runs
    #[value(alias = "loaded_modules")]
    LoadedModules,
    /// Everything is copied when it runs
    All,
    /// Nothing is copied: the code is in the image
    None,
}
