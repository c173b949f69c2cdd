//! What the program that reads a Dockerfile understands.

/// What the program that reads a Dockerfile understands (Dockerfile reference; the versions are
/// those of the frontend `docker/dockerfile`). No dialect names a frontend in the text: what the
/// daemon has is used, and nothing is pulled to read the text with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dialect {
    /// `RUN --mount=type=bind`, `type=cache` and `type=secret` (1.2).
    pub mounts: bool,
    /// `env=` of secret mounts (1.10): the value in a variable, without a file.
    pub secret_env: bool,
    /// `RUN --network=none` (1.3).
    pub run_network: bool,
}

impl Dialect {
    /// BuildKit with a frontend of 1.10 or later: Docker 27.1, buildx, buildkitd 0.15.
    pub const BUILDKIT: Dialect = Dialect { mounts: true, secret_env: true, run_network: true };

    /// The BuildKit inside Docker 20.10, with a frontend of 1.2: mounts, but secrets are files.
    pub const DOCKER_20: Dialect = Dialect { mounts: true, secret_env: false, run_network: false };

    /// buildah 1.28 and podman 4.3, whose `RUN` has no flag but `--mount`.
    pub const PODMAN: Dialect = Dialect { mounts: true, secret_env: false, run_network: false };

    /// Docker's builder from before BuildKit, and tools of its time: no mounts, so no secrets.
    pub const CLASSIC: Dialect = Dialect { mounts: false, secret_env: false, run_network: false };

    /// The dialect that `tierce render --dialect` calls `name`.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "buildkit" => Some(Self::BUILDKIT),
            "docker-20" => Some(Self::DOCKER_20),
            "podman" => Some(Self::PODMAN),
            "classic" => Some(Self::CLASSIC),
            _ => None,
        }
    }
}

impl Default for Dialect {
    fn default() -> Self {
        Self::BUILDKIT
    }
}
