//! The command line.

mod build;
mod builder;
mod lock;
mod python;
mod render;

pub use build::BuildArgs;
pub use builder::{BuilderCommand, FlavorCommand, RegisterArgs, TestArgs, UpdateArgs};
pub use lock::{LockArgs, LockedArgs, UpdateArgs as LockUpdateArgs};
pub use python::{CodeArgs, CopyStyle, NameArgs, PythonArgs};
pub use render::RenderArgs;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use std::path::PathBuf;
use std::str::FromStr;
use tierce::config::UnknownImage;
use tierce::{Platform, Reference, ReferenceError};

const EXAMPLES: &str = "\
Examples:
  tierce build                          build ./tierce.toml into the local store
  tierce build --push --registry ghcr.io/me
                                        build it and push it
  tierce build --output oci:out         build it into an OCI layout
  tierce build app.py                   build the images of a Python file
  tierce build app.py train             build one of them, by its name
  tierce run -- python -c 'print(1)'    build it if need be and run a command in it
  tierce plan                           show what a build would do, and why
  tierce lock                           write tierce.lock: exactly what it is built from
  tierce build --locked                 build exactly that, anywhere, next year too

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
    /// Write down exactly what an image is built from, for builds with --locked
    Lock(LockArgs),
    /// Print the Dockerfile and the build context that other builders would get
    Render(RenderArgs),
    /// Run a command in an image, without any container engine
    Run(RunArgs),
    /// Show an image's platforms, layers and settings
    Inspect(InspectArgs),
    /// Show the settings, and where each comes from
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Show, follow, wait for or stop builds in the background
    #[command(subcommand)]
    Runs(RunsCommand),
    /// Choose, configure and test builders
    #[command(subcommand)]
    Builder(BuilderCommand),
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

/// Which image: a tierce.toml, a directory that holds one, an imageSpec.yaml, or Python files.
#[derive(Debug, Args)]
pub struct SpecArgs {
    /// A tierce.toml, the directory that holds it, an ImageSpec as YAML, or a Python file (which
    /// is run) or a directory of some; the current directory unless given
    #[arg(value_name = "SPEC")]
    pub spec: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct NamingArgs {
    /// The registry to name and push the image to, as ghcr.io/me
    #[arg(long)]
    pub registry: Option<String>,
    /// Tag the image so instead of by its key; `latest` is always built
    #[arg(short, long)]
    pub tag: Option<String>,
    /// Build for this platform; may be repeated or a list: linux/amd64,linux/arm64
    #[arg(long, value_delimiter = ',')]
    pub platform: Vec<Platform>,
}

/// What the command line says instead of the configuration.
#[derive(Clone, Debug, Default, Args)]
pub struct SettingArgs {
    /// Build with this builder, whatever the image and the configuration say
    #[arg(long, value_name = "NAME")]
    pub builder: Option<String>,
    /// What to do when nobody can tell whether the image exists: assume-present, build or fail
    #[arg(long, value_name = "POLICY")]
    pub unknown: Option<UnknownImage>,
    /// What image a name stands for; without a name it is `default`. May be repeated
    #[arg(long = "image", id = "named-image", value_name = "[NAME=]URI")]
    pub image: Vec<NamedImage>,
}

/// `NAME=URI`, or `URI` for the image named `default`.
#[derive(Clone, Debug)]
pub struct NamedImage {
    pub name: String,
    pub image: Reference,
}

impl FromStr for NamedImage {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        let (name, image) = text.split_once('=').unwrap_or(("default", text));
        Ok(NamedImage { name: name.to_owned(), image: image.parse()? })
    }
}

#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Print every setting, as config.toml would have it
    Show(ConfigShowArgs),
    /// Print one setting's value
    Get {
        /// The setting, as `config show` prints it: registry, check-cache.ttl
        key: String,
        #[command(flatten)]
        args: ConfigShowArgs,
    },
    /// Print the files with settings: the workspace's, the user's, Flyte's
    Path {
        #[command(flatten)]
        spec: SpecArgs,
        /// How to print the result on standard output
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Print the JSON Schema of config.toml
    Schema,
}

#[derive(Debug, Args)]
pub struct ConfigShowArgs {
    #[command(flatten)]
    pub spec: SpecArgs,
    /// Say of each setting where it comes from
    #[arg(long)]
    pub origin: bool,
    /// The registry of images that name none, as ghcr.io/me
    #[arg(long)]
    pub registry: Option<String>,
    #[command(flatten)]
    pub settings: SettingArgs,
    /// How to print the result on standard output
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

#[derive(Debug, Args)]
pub struct KeyArgs {
    #[command(flatten)]
    pub spec: SpecArgs,
    #[command(flatten)]
    pub name: NameArgs,
    #[command(flatten)]
    pub naming: NamingArgs,
    #[command(flatten)]
    pub locked: LockedArgs,
    #[command(flatten)]
    pub settings: SettingArgs,
    #[command(flatten)]
    pub python: PythonArgs,
    #[command(flatten)]
    pub code: CodeArgs,
    /// How to print the result on standard output
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

#[derive(Debug, Args)]
pub struct PlanArgs {
    #[command(flatten)]
    pub spec: SpecArgs,
    #[command(flatten)]
    pub name: NameArgs,
    #[command(flatten)]
    pub naming: NamingArgs,
    #[command(flatten)]
    pub locked: LockedArgs,
    #[command(flatten)]
    pub settings: SettingArgs,
    #[command(flatten)]
    pub python: PythonArgs,
    #[command(flatten)]
    pub code: CodeArgs,
    /// How to show progress on standard error
    #[arg(long, value_enum, default_value_t, env = "TIERCE_PROGRESS")]
    pub progress: Progress,
    /// How to print the plan on standard output
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

#[derive(Debug, Args)]
pub struct RunArgs {
    /// A tierce.toml or its directory, a Python file, oci:DIR[:NAME], oci-archive:FILE, or an image
    /// reference
    #[arg(value_name = "IMAGE-OR-SPEC")]
    pub image: Option<String>,
    #[command(flatten)]
    pub name: NameArgs,
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
    #[command(flatten)]
    pub locked: LockedArgs,
    #[command(flatten)]
    pub settings: SettingArgs,
    #[command(flatten)]
    pub python: PythonArgs,
    #[command(flatten)]
    pub code: CodeArgs,
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
pub enum RunsCommand {
    /// Show the runs, the newest first
    List {
        /// How to print them on standard output
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Print what happened in a run
    Logs {
        /// The run's id, or the beginning of it
        id: String,
        /// Go on until the run ends
        #[arg(short, long)]
        follow: bool,
        /// How to print it: lines, or one JSON object an event
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Wait for runs to end; exits as the first build that failed would have
    Wait {
        /// The runs' ids, or the beginnings of them
        #[arg(required = true, value_name = "ID")]
        ids: Vec<String>,
        /// How to print the results: URIs, or one JSON object a run
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Stop runs
    Cancel {
        /// The runs' ids, or the beginnings of them
        #[arg(required = true, value_name = "ID")]
        ids: Vec<String>,
        /// Kill a run that has not stopped after so many seconds
        #[arg(long, value_name = "SECONDS", default_value_t = 10)]
        patience: u32,
    },
    /// Forget runs that have ended
    Prune {
        /// Those that ended so many days ago
        #[arg(long, value_name = "DAYS", default_value_t = 0)]
        older_than: u32,
        /// Only say which
        #[arg(long)]
        dry_run: bool,
    },
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_are_what_they_say() {
        let examples = EXAMPLES.lines().map(str::trim).filter(|line| line.starts_with("tierce "));
        let mut registries = vec![];
        for line in examples {
            let words = line.split("  ").next().unwrap_or(line).split(' ');
            let cli = Cli::try_parse_from(words).unwrap_or_else(|e| panic!("{line}: {e}"));
            if let Command::Build(BuildArgs { push: true, naming, specs, .. }) = cli.command {
                assert!(specs.is_empty(), "{line}");
                registries.push(naming.registry);
            }
        }
        assert_eq!(registries, [Some("ghcr.io/me".to_owned())]);
    }
}
