//! `tierce render`

use super::{CodeArgs, Format, NameArgs, NamingArgs, PythonArgs, SettingArgs, SpecArgs};
use clap::{Args, ValueEnum};
use std::path::PathBuf;
use tierce::dockerfile::Dialect;

#[derive(Debug, Args)]
pub struct RenderArgs {
    #[command(flatten)]
    pub spec: SpecArgs,
    #[command(flatten)]
    pub name: NameArgs,
    #[command(flatten)]
    pub naming: NamingArgs,
    /// Nothing that a Dockerfile is built by knows locks: an error that says so
    #[arg(long, hide = true)]
    pub locked: bool,
    #[command(flatten)]
    pub settings: SettingArgs,
    #[command(flatten)]
    pub python: PythonArgs,
    #[command(flatten)]
    pub code: CodeArgs,
    /// Write for this builder
    #[arg(long, value_enum, default_value_t)]
    pub dialect: DialectArg,
    /// Ship this static uv for this machine's platform, instead of taking it from its image
    #[arg(long, value_name = "FILE")]
    pub uv: Option<PathBuf>,
    /// Let uv see these certificate authorities (PEM); they are not in the image
    #[arg(long, value_name = "FILE")]
    pub ca_bundle: Option<PathBuf>,
    /// Write the build context, the Dockerfile in it, into a new or empty directory
    #[arg(short, long, value_name = "DIR")]
    pub output: Option<PathBuf>,
    /// Write the build context as FILE.tar, FILE.tar.gz or FILE.zip
    #[arg(long, value_name = "FILE")]
    pub archive: Option<PathBuf>,
    /// Print what is in the build context instead of the Dockerfile
    #[arg(long)]
    pub context: bool,
    /// How to print the result on standard output
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// Whose Dockerfile it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum DialectArg {
    /// BuildKit since 2024: Docker 27, buildx, buildkitd
    #[default]
    Buildkit,
    /// The BuildKit inside Docker 20.10
    #[value(name = "docker-20")]
    Docker20,
    /// buildah 1.28, podman 4.3
    Podman,
    /// Docker's builder from before BuildKit
    Classic,
}

impl From<DialectArg> for Dialect {
    fn from(dialect: DialectArg) -> Self {
        match dialect {
            DialectArg::Buildkit => Dialect::BUILDKIT,
            DialectArg::Docker20 => Dialect::DOCKER_20,
            DialectArg::Podman => Dialect::PODMAN,
            DialectArg::Classic => Dialect::CLASSIC,
        }
    }
}
