//! What the builder is told.

use crate::process::Program;
use std::path::{Path, PathBuf};

/// Where the command looks for its plug-ins, besides the user's own directory.
const PLUGINS: [&str; 4] = [
    "/usr/local/lib/docker/cli-plugins",
    "/usr/local/libexec/docker/cli-plugins",
    "/usr/lib/docker/cli-plugins",
    "/usr/libexec/docker/cli-plugins",
];

/// What the builder `docker` is told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DockerSettings {
    /// The daemon's address: `unix:///path`, `tcp://host:port`, `ssh://host`.
    pub host: Option<String>,
    /// The context to use, where no address is given; the current one unless set.
    pub context: Option<String>,
    /// A directory with `ca.pem`, `cert.pem` and `key.pem`, for a daemon that speaks TLS. Its
    /// certificate is always checked.
    pub cert_path: Option<PathBuf>,
    /// Docker's own configuration, `~/.docker`.
    pub config_dir: Option<PathBuf>,
    /// The user's runtime directory, where rootless Docker's socket is.
    pub runtime_dir: Option<PathBuf>,
    /// Where temporary files go.
    pub temporary: PathBuf,
    /// The directories with programs.
    pub search_path: Vec<PathBuf>,
    /// The builder of buildx's to use; the daemon's own BuildKit unless set.
    pub builder: Option<String>,
    /// Caches to read, as `--cache-from` takes them.
    pub cache_from: Vec<String>,
    /// Caches to write, as `--cache-to` takes them.
    pub cache_to: Vec<String>,
    /// Further arguments of `docker build`.
    pub extra_args: Vec<String>,
}

impl DockerSettings {
    /// The `docker` command, speaking to the daemon that is meant.
    pub(crate) fn program(&self) -> Option<Program> {
        let mut program = Program::find("docker", &self.search_path)?;
        let mut option = |name: &str, value: Option<String>| {
            program.arguments.extend(value.into_iter().flat_map(|v| [name.to_owned(), v]));
        };
        option("--config", self.config_dir.as_deref().map(crate::process::argument));
        option("--host", self.host.clone());
        if self.host.is_none() {
            option("--context", self.context.clone());
        }
        if let (Some(directory), Some(_)) = (&self.cert_path, &self.host) {
            program.arguments.push("--tlsverify".to_owned());
            for (option, file) in
                [("--tlscacert", "ca.pem"), ("--tlscert", "cert.pem"), ("--tlskey", "key.pem")]
            {
                program.arguments.push(option.to_owned());
                program.arguments.push(crate::process::argument(&directory.join(file)));
            }
        }
        Some(program)
    }

    /// Whether the command has its buildx plug-in.
    pub(crate) fn has_buildx(&self) -> bool {
        let own = self.config_dir.as_ref().map(|dir| dir.join("cli-plugins"));
        own.into_iter()
            .chain(PLUGINS.map(PathBuf::from))
            .any(|directory| directory.join("docker-buildx").is_file())
    }

    /// Where temporary files go: `/tmp` unless set.
    pub(crate) fn temporary(&self) -> &Path {
        match self.temporary.as_os_str().is_empty() {
            true => Path::new("/tmp"),
            false => &self.temporary,
        }
    }
}
