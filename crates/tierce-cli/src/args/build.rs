//! `tierce build`

use super::{CodeArgs, Format, NamingArgs, Progress, PythonArgs, SettingArgs};
use clap::Args;
use std::path::PathBuf;
use tierce::{Export, Platform};

#[derive(Debug, Args)]
pub struct BuildArgs {
    /// A tierce.toml, the directory that holds it, an ImageSpec as YAML, or a Python file (which is
    /// run) or a directory of some, and after these the names of single images in them. Several
    /// specifications are built together, with the settings of the first one's workspace
    #[arg(value_name = "SPEC")]
    specs: Vec<PathBuf>,
    /// The registry to name and push the images to, as ghcr.io/me
    #[arg(long)]
    registry: Option<String>,
    /// `--registry REGISTRY`; or, as in Flyte, without a value or with that of a file or directory
    /// that is there, `--recursive`
    #[arg(short = 'r', value_name = "REGISTRY|DIR", conflicts_with = "registry")]
    r: Option<Option<PathBuf>>,
    /// Tag the image so instead of by its key; `latest` is always built
    #[arg(short, long)]
    tag: Option<String>,
    /// Build for this platform; may be repeated or a list: linux/amd64,linux/arm64
    #[arg(long, value_delimiter = ',')]
    platform: Vec<Platform>,
    #[command(flatten)]
    pub settings: SettingArgs,
    #[command(flatten)]
    pub python: PythonArgs,
    #[command(flatten)]
    pub code: CodeArgs,
    /// Look for Python files in the directories below, too
    #[arg(long)]
    recursive: bool,
    /// Build all images of Python files, with those of environments in modules they import
    #[arg(long)]
    pub all: bool,
    /// Push the image to its registry
    #[arg(long)]
    pub push: bool,
    /// Write the image: oci:DIR, oci-archive:FILE or docker-archive:FILE; may be repeated
    #[arg(short, long, value_name = "FORMAT:PATH")]
    pub output: Vec<Export>,
    /// Load the image into the local Docker or podman
    #[arg(long)]
    pub load: bool,
    /// Build even if the tag exists, look up base tags and package versions anew, and make
    /// every layer again
    #[arg(long)]
    pub force: bool,
    /// Say whether the image would be built, and how, but make nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Ask the registry even if the image was seen there not long ago
    #[arg(long)]
    pub no_check_cache: bool,
    /// Build in the background and print the run's id; see `tierce runs`
    #[arg(long, conflicts_with = "dry_run")]
    pub detach: bool,
    /// How to show progress on standard error
    #[arg(long, value_enum, default_value_t, env = "TIERCE_PROGRESS")]
    pub progress: Progress,
    /// How to print the result on standard output
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// What `-r` means: it is tierce's for the registry, and Flyte's for recursion.
enum R {
    Absent,
    Registry(String),
    Recursive(Option<PathBuf>),
}

impl BuildArgs {
    fn r(&self) -> R {
        match &self.r {
            None => R::Absent,
            Some(None) => R::Recursive(None),
            Some(Some(value)) if value.exists() => R::Recursive(Some(value.clone())),
            Some(Some(value)) => R::Registry(value.to_string_lossy().into_owned()),
        }
    }

    /// Specifications, and names of images in them, in the order of the command line; empty where
    /// it has none.
    pub fn specs(&self) -> Vec<PathBuf> {
        let first = match self.r() {
            R::Recursive(Some(path)) => Some(path),
            R::Recursive(None) | R::Registry(_) | R::Absent => None,
        };
        first.into_iter().chain(self.specs.iter().cloned()).collect()
    }

    /// What is said about names and platforms.
    pub fn naming(&self) -> NamingArgs {
        let registry = match self.r() {
            R::Registry(registry) => Some(registry),
            R::Recursive(_) | R::Absent => self.registry.clone(),
        };
        NamingArgs { registry, tag: self.tag.clone(), platform: self.platform.clone() }
    }

    /// Whether directories are searched with all that is below them.
    pub fn is_recursive(&self) -> bool {
        self.recursive || matches!(self.r(), R::Recursive(_))
    }
}
