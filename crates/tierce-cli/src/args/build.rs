//! `tierce build`

use super::{CodeArgs, Format, LockedArgs, NamingArgs, Progress, PythonArgs, SettingArgs};
use clap::Args;
use std::path::PathBuf;
use tierce::Export;

#[derive(Debug, Args)]
pub struct BuildArgs {
    /// A tierce.toml, the directory that holds it, an ImageSpec as YAML, or a Python file (which is
    /// run) or a directory of some, and after these the names of single images in them. Several
    /// specifications are built together, with the settings of the first one's workspace
    #[arg(value_name = "SPEC")]
    pub specs: Vec<PathBuf>,
    #[command(flatten)]
    pub naming: NamingArgs,
    #[command(flatten)]
    pub settings: SettingArgs,
    #[command(flatten)]
    pub python: PythonArgs,
    #[command(flatten)]
    pub code: CodeArgs,
    #[command(flatten)]
    pub locked: LockedArgs,
    /// Make or refresh the lock first, and build what it says: look for a newer version of this
    /// package, or without one of everything; may be repeated. See `tierce lock`
    #[arg(long, value_name = "PACKAGE", num_args = 0..=1, default_missing_value = "",
          conflicts_with_all = ["detach", "dry_run"])]
    pub update: Vec<String>,
    /// Look for Python files in the directories below, too
    #[arg(short, long)]
    pub recursive: bool,
    /// Build all images of Python files, with those of environments in modules they import
    #[arg(long)]
    pub all: bool,
    /// Push the image to its registry. Images of Python files and ImageSpecs are pushed without it
    /// where they have a registry, of their own, by --registry or by the configuration
    #[arg(long)]
    pub push: bool,
    /// Push nothing: the image is in the local store, and where --output and --load say
    #[arg(long, conflicts_with = "push")]
    pub no_push: bool,
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
