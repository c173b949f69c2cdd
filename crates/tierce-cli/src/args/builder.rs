//! `tierce builder ...`

use super::{Format, Progress};
use clap::{Args, Subcommand};
use std::path::PathBuf;
use tierce::Reference;

#[derive(Debug, Subcommand)]
pub enum BuilderCommand {
    /// List the builders there are
    List {
        /// How to print the list on standard output
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Show a builder's flavor, configuration and capabilities
    Describe {
        /// The builder
        name: String,
        /// How to print the result on standard output
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Register a builder: a flavor with a configuration, under a name of its own
    Register(RegisterArgs),
    /// Change the configuration of a registered builder
    Update(UpdateArgs),
    /// Remove a registered builder
    Delete {
        /// The builder
        name: String,
    },
    /// Use a builder wherever no other is asked for
    SetDefault {
        /// The builder
        name: String,
        /// For this project only, in its tierce.toml
        #[arg(long)]
        project: bool,
    },
    /// Run tierce's builder suite against a builder; exit code 5 if a case fails
    Test(TestArgs),
    /// Kinds of builders: what can be configured, and programs of other people
    #[command(subcommand)]
    Flavor(FlavorCommand),
}

#[derive(Debug, Args)]
pub struct RegisterArgs {
    /// The new builder's name
    pub name: String,
    /// Its flavor, as `tierce builder flavor list` shows them
    #[arg(long)]
    pub flavor: Option<String>,
    /// Refused: projects name builders and define none
    #[arg(long, hide = true)]
    pub project: bool,
    /// The configuration, after all other options: --key value, --key=value; repeat a key for a
    /// list, write NAME=VALUE for a table
    #[arg(value_name = "--KEY VALUE", trailing_var_arg = true, allow_hyphen_values = true)]
    pub config: Vec<String>,
}

#[derive(Debug, Args)]
pub struct UpdateArgs {
    /// The builder
    pub name: String,
    /// Go back to the default of this key; may be repeated
    #[arg(long, value_name = "KEY")]
    pub unset: Vec<String>,
    /// What changes in the configuration, after all other options: --key value
    #[arg(value_name = "--KEY VALUE", trailing_var_arg = true, allow_hyphen_values = true)]
    pub config: Vec<String>,
}

#[derive(Debug, Args)]
pub struct TestArgs {
    /// The builder
    pub name: String,
    /// An image with a shell that the builder can reach, for the cases that run commands
    #[arg(long, value_name = "REFERENCE")]
    pub base: Option<Reference>,
    /// A registry that the builder can push to, with the leading path of repositories if any
    #[arg(long, value_name = "HOST[/PATH]")]
    pub registry: Option<String>,
    /// Only the cases with this in their names
    #[arg(long, value_name = "TEXT")]
    pub case: Option<String>,
    /// Where sources and results of the cases are written
    #[arg(long, value_name = "DIR")]
    pub scratch: Option<PathBuf>,
    /// How to print the report on standard output
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
    /// How to show progress on standard error
    #[arg(long, value_enum, default_value_t, env = "TIERCE_PROGRESS")]
    pub progress: Progress,
}

#[derive(Debug, Subcommand)]
pub enum FlavorCommand {
    /// List the flavors there are
    List {
        /// How to print the list on standard output
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Show what a flavor is and what its builders can be configured with
    Describe {
        /// The flavor
        name: String,
        /// How to print the result on standard output
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Register a program as a flavor; those called tierce-builder-NAME on PATH need not be
    Register {
        /// The program
        program: PathBuf,
        /// The flavor's name; what the program calls itself unless given
        #[arg(long)]
        name: Option<String>,
    },
    /// Remove a registered flavor
    Delete {
        /// The flavor
        name: String,
    },
}
