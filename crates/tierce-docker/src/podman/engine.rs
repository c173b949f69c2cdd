//! podman as a program.

use super::PodmanSettings;
use crate::error::DockerError;
use crate::process::Program;
use serde::Deserialize;
use tierce_dockerfile::Dialect;
use tierce_engine::PlatformBuild;
use tierce_oci::{Digest, Platform, Reference};
use tierce_secret::Secrets;

/// What every podman that is still in use understands: the one of Debian 12 is 4.3.
pub(super) const OLDEST: Dialect = Dialect { run_network: false, ..Dialect::PODMAN };

/// The first podman whose buildah (1.29) has `RUN --network`.
const RUN_NETWORK: (u32, u32) = (4, 4);

/// A podman that is installed.
pub(super) struct Engine {
    pub(super) program: Program,
}

/// An image in podman's storage.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Inspected {
    /// The digest of its manifest.
    pub(super) digest: Digest,
    #[serde(default)]
    pub(super) repo_digests: Vec<String>,
    #[serde(default)]
    architecture: String,
    #[serde(default)]
    os: String,
    #[serde(default)]
    pub(super) size: u64,
}

impl Inspected {
    pub(super) fn platform(&self) -> Platform {
        Platform { os: self.os.clone(), architecture: self.architecture.clone(), variant: None }
    }

    /// Whether this is the image that has this digest somewhere.
    pub(super) fn is(&self, digest: &Digest) -> bool {
        let text = format!("@{digest}");
        self.digest == *digest || self.repo_digests.iter().any(|name| name.ends_with(&text))
    }
}

impl Engine {
    pub(super) fn find(settings: &PodmanSettings) -> Result<Self, DockerError> {
        let missing = || DockerError::NotInstalled { program: "podman".into() };
        let mut program = Program::find("podman", &settings.search_path).ok_or_else(missing)?;
        if let Some(host) = &settings.host {
            program.arguments.extend(["--url".to_owned(), host.clone()]);
        }
        program.variables = settings.variables.clone();
        Ok(Engine { program })
    }

    /// The same, without the variables that `secrets` may be in.
    pub(super) fn hiding(self, secrets: &Secrets) -> Self {
        Engine { program: self.program.hiding(secrets) }
    }

    /// What its buildah understands.
    pub(super) async fn dialect(&self) -> Result<Dialect, DockerError> {
        let version = self.output(&["version", "--format", "{{.Client.Version}}"]).await?;
        let mut numbers = version.trim().split(['.', '-']).map(|n| n.parse::<u32>().unwrap_or(0));
        let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
        Ok(Dialect { run_network: version >= RUN_NETWORK, ..Dialect::PODMAN })
    }

    /// The image `name`; `None` where there is none.
    pub(super) async fn inspect(&self, name: &str) -> Result<Option<Inspected>, DockerError> {
        let arguments = ["image", "inspect", name].map(str::to_owned);
        let output = self.program.output(&arguments).await;
        match output.map_err(|source| self.not_run(source))? {
            Ok(text) => {
                let found: Result<Vec<Inspected>, _> = serde_json::from_str(&text);
                Ok(found.map_err(|_| self.no_result())?.into_iter().next())
            }
            Err(said) if said.contains("no such") || said.contains("not known") => Ok(None),
            Err(said) => Err(self.failed(&said)),
        }
    }

    /// The manifests of a list in podman's storage.
    pub(super) async fn manifests(
        &self,
        name: &str,
        wanted: &[Platform],
    ) -> Result<Vec<PlatformBuild>, DockerError> {
        #[derive(Deserialize)]
        struct List {
            manifests: Vec<Listed>,
        }
        #[derive(Deserialize)]
        struct Listed {
            digest: Digest,
            platform: Platform,
        }
        let text = self.output(&["manifest", "inspect", name]).await?;
        let list: List = serde_json::from_str(&text).map_err(|_| self.no_result())?;
        let fact = |platform: &Platform| {
            let found = list.manifests.iter().find(|one| one.platform.serves(platform))?;
            let (platform, digest) = (platform.clone(), found.digest);
            Some(PlatformBuild { platform, digest, layers: vec![] })
        };
        Ok(wanted.iter().filter_map(fact).collect())
    }

    /// What a command prints.
    pub(super) async fn output(&self, arguments: &[&str]) -> Result<String, DockerError> {
        let arguments: Vec<String> = arguments.iter().map(|a| (*a).to_owned()).collect();
        let output = self.program.output(&arguments).await;
        output.map_err(|source| self.not_run(source))?.map_err(|said| self.failed(&said))
    }

    pub(super) fn not_run(&self, source: std::io::Error) -> DockerError {
        DockerError::Run { program: self.program.name(), source }
    }

    pub(super) fn no_result(&self) -> DockerError {
        DockerError::NoResult { program: self.program.name() }
    }

    fn failed(&self, said: &str) -> DockerError {
        let tail: Vec<String> = said.lines().map(str::to_owned).collect();
        let message = tail.last().map(String::as_str).unwrap_or("it said nothing");
        let message = message.strip_prefix("Error: ").unwrap_or(message).to_owned();
        DockerError::Program { program: self.program.name(), message, tail: vec![] }
    }
}

/// What podman calls an image: those without a registry are under `localhost`.
pub(super) fn local_name(uri: &str) -> Option<Reference> {
    let reference: Reference = uri.parse().ok()?;
    match reference.registry() == "docker.io" && !uri.starts_with("docker.io/") {
        true => format!("localhost/{uri}").parse().ok(),
        false => Some(reference),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for (uri, name) in [
            ("report:t1", "localhost/report:t1"),
            ("team/report:t1", "localhost/team/report:t1"),
            ("localhost:5000/report:t1", "localhost:5000/report:t1"),
            ("docker.io/me/report:t1", "docker.io/me/report:t1"),
        ] {
            assert_eq!(local_name(uri).unwrap().to_string(), name);
        }
    }
}
