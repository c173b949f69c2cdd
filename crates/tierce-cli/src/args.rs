//! The command line.

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use std::path::PathBuf;
use tierce::{Export, Platform};

const EXAMPLES: &str = "\
Examples:
  tierce build                          build ./tierce.toml into the local store
  tierce build --push -r ghcr.io/me     build it and push it
  tierce build --output oci:out         build it into an OCI layout
  tierce run -- python -c 'print(1)'    build it if need be and run a command in it
  tierce plan                           show what a build would do, and why

Exit codes: 0 done; 2 the specification or the command line is wrong; 3 this machine lacks
something; 4 a registry, index or archive failed; 5 a build step failed; 130 interrupted.";

/// Container images for Python, data and ML code: no Docker, no daemon, no root.
#[derive(Debug, Parser)]
#[command(name = "tierce", version, after_help = EXAMPLES, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Build an image; push it or write it where asked
    Build(BuildArgs),
    /// Print an image's key, tag and URI; nothing is built
    Key(KeyArgs),
    /// Show what a build would make, take from the cache and execute, and why
    Plan(PlanArgs),
    /// Run a command in an image, without any container engine
    Run(RunArgs),
    /// Show an image's platforms, layers and settings
    Inspect(InspectArgs),
    /// Show or clean the local store
    #[command(subcommand)]
    Cache(CacheCommand),
    /// Find out what this machine can do, and what to do where it can't
    Doctor(DoctorArgs),
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Print the JSON Schema of tierce.toml
    Schema,
}

/// Which image: a tierce.toml, a directory that holds one.
#[derive(Debug, Args)]
pub struct SpecArgs {
    /// A tierce.toml, or the directory that holds it
    #[arg(value_name = "SPEC", default_value = ".")]
    pub spec: PathBuf,
}

#[derive(Debug, Args)]
pub struct NamingArgs {
    /// The registry to name and push the image to, as ghcr.io/me
    #[arg(short, long)]
    pub registry: Option<String>,
    /// Tag the image so instead of by its key; `latest` is always built
    #[arg(short, long)]
    pub tag: Option<String>,
    /// Build for this platform; may be repeated or a list: linux/amd64,linux/arm64
    #[arg(long, value_delimiter = ',')]
    pub platform: Vec<Platform>,
}

#[derive(Debug, Args)]
pub struct BuildArgs {
    #[command(flatten)]
    pub spec: SpecArgs,
    #[command(flatten)]
    pub naming: NamingArgs,
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
    /// Say whether the image would be built, but make nothing
    #[arg(long)]
    pub dry_run: bool,
    /// How to show progress on standard error
    #[arg(long, value_enum, default_value_t, env = "TIERCE_PROGRESS")]
    pub progress: Progress,
    /// How to print the result on standard output
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

#[derive(Debug, Args)]
pub struct KeyArgs {
    #[command(flatten)]
    pub spec: SpecArgs,
    #[command(flatten)]
    pub naming: NamingArgs,
    /// How to print the result on standard output
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

#[derive(Debug, Args)]
pub struct PlanArgs {
    #[command(flatten)]
    pub spec: SpecArgs,
    #[command(flatten)]
    pub naming: NamingArgs,
    /// How to show progress on standard error
    #[arg(long, value_enum, default_value_t, env = "TIERCE_PROGRESS")]
    pub progress: Progress,
    /// How to print the plan on standard output
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

#[derive(Debug, Args)]
pub struct RunArgs {
    /// A tierce.toml or its directory, oci:DIR[:NAME], oci-archive:FILE, or an image reference
    #[arg(value_name = "IMAGE-OR-SPEC", default_value = ".")]
    pub image: String,
    /// The command to run instead of the image's own
    #[arg(last = true, value_name = "CMD")]
    pub command: Vec<String>,
    /// Set a variable in the container; may be repeated
    #[arg(short, long, value_name = "NAME=VALUE")]
    pub env: Vec<String>,
    /// Run as this user instead of the image's
    #[arg(short, long)]
    pub user: Option<String>,
    /// Start in this directory instead of the image's
    #[arg(short, long)]
    pub workdir: Option<String>,
    /// Give the container no network
    #[arg(long)]
    pub no_network: bool,
    /// How to show the build's progress on standard error
    #[arg(long, value_enum, default_value_t, env = "TIERCE_PROGRESS")]
    pub progress: Progress,
}

#[derive(Debug, Args)]
pub struct InspectArgs {
    /// oci:DIR[:NAME], oci-archive:FILE, or an image reference
    pub image: String,
    /// How to print the result on standard output
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

#[derive(Debug, Subcommand)]
pub enum CacheCommand {
    /// Show where the store is and what it holds
    Info {
        /// How to print the result on standard output
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Remove what was not used for long
    Prune {
        /// Remove what was not used for this many days
        #[arg(long, value_name = "DAYS", default_value_t = 30)]
        older_than: u32,
        /// Remove everything that is not in use right now
        #[arg(long, conflicts_with = "older_than")]
        all: bool,
        /// Only say what would be removed
        #[arg(long)]
        dry_run: bool,
    },
}

#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// How to print the report on standard output
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// How progress is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Progress {
    /// Live lines on a terminal, plain lines elsewhere
    #[default]
    Auto,
    /// One line an event
    Plain,
    /// One JSON object an event
    Json,
    /// Nothing but warnings and errors
    Quiet,
}

/// How results are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people and shell scripts
    #[default]
    Text,
    /// For programs
    Json,
}
