//! From podman's storage to where the image should be.

use super::PodmanBuilder;
use super::engine::Engine;
use crate::delivery::AuthFile;
use crate::error::DockerError;
use crate::partial::Partial;
use crate::process::argument;
use std::path::Path;
use tierce_checkers::client_for;
use tierce_engine::{BuildRequest, Events, Export, Outcome, StepKind};
use tierce_frontend::{Found, credential_chain, lookup};
use tierce_oci::{Digest, Reference};

impl PodmanBuilder {
    /// Refuses what podman can't do, before anything is built.
    pub(super) fn refuse(&self, request: &BuildRequest) -> Result<(), DockerError> {
        let archive = request.exports.iter().find(|e| matches!(e, Export::DockerArchive(_)));
        match archive {
            Some(export) if request.platforms.len() > 1 => {
                let export = export.kind();
                Err(DockerError::SeveralPlatforms { builder: "podman", export })
            }
            _ => Ok(()),
        }
    }

    pub(super) async fn export(
        &self,
        request: &BuildRequest,
        engine: &Engine,
        name: &Reference,
        export: &Export,
        events: &Events,
    ) -> Result<Option<Found>, DockerError> {
        let several = request.platforms.len() > 1;
        let name = name.to_string();
        let (path, format) = match export {
            // It is there already.
            Export::Load => return Ok(None),
            Export::Push(to) => return self.push(request, engine, &name, to, events).await,
            Export::OciLayout(path) => (path, if several { "oci" } else { "oci-dir" }),
            Export::OciArchive(path) => (path, "oci-archive"),
            Export::DockerArchive(path) => (path, "docker-archive"),
        };
        let step = events.step(StepKind::Export, format!("write {}", path.display()));
        let partial = Partial::beside(path)?;
        let to = argument(partial.path());
        match several {
            // The name after the path is the image's in the layout.
            true => {
                let to = format!("{format}:{to}:{}", tag(&request.uri));
                engine.output(&["manifest", "push", "--all", &name, &to]).await?;
            }
            false => {
                engine.output(&["save", "--format", format, "--output", &to, &name]).await?;
            }
        }
        let platforms = &request.platforms;
        let found = match export {
            Export::OciLayout(_) => Found::in_layout(partial.path(), platforms),
            Export::OciArchive(_) => Found::in_archive(partial.path(), platforms),
            _ => None,
        };
        partial.finish()?;
        step.finish(Outcome::Made, None);
        Ok(found)
    }

    async fn push(
        &self,
        request: &BuildRequest,
        engine: &Engine,
        name: &str,
        to: &Reference,
        events: &Events,
    ) -> Result<Option<Found>, DockerError> {
        let step = events.step(StepKind::Export, format!("push {to}"));
        let work = tempfile::Builder::new()
            .prefix("tierce-push")
            .tempdir_in(self.settings.temporary())
            .map_err(DockerError::Temporary)?;
        let digest_file = work.path().join("digest");
        let auth = self.auth_file(request, [to.registry()].into_iter()).await?;
        let mut arguments: Vec<String> = match request.platforms.len() {
            1 => vec!["push".to_owned()],
            _ => ["manifest", "push", "--all"].map(str::to_owned).to_vec(),
        };
        arguments.extend(["--digestfile".to_owned(), argument(&digest_file)]);
        if self.settings.insecure.is_plain(to.registry()) {
            arguments.push("--tls-verify=false".to_owned());
        }
        arguments.extend(auth.iter().flat_map(AuthFile::arguments));
        arguments.extend([name.to_owned(), format!("docker://{to}")]);
        let output = engine.program.output(&arguments).await;
        let output = output.map_err(|source| engine.not_run(source))?;
        output.map_err(|said| {
            let message = said.lines().rev().find(|line| line.starts_with("Error: "));
            let message = message.or(said.lines().last()).unwrap_or_default();
            let message = message.strip_prefix("Error: ").unwrap_or(message).to_owned();
            crate::push_error(to, message)
        })?;
        let digest: Digest = read_digest(&digest_file).ok_or_else(|| engine.no_result())?;
        let client = client_for(&self.registry, request.login.as_ref())?;
        let found = Found::in_registry(&client, to, digest, &request.platforms).await?;
        step.finish(Outcome::Made, None);
        found.map(Some).ok_or_else(|| engine.no_result())
    }

    /// Credentials that podman would not find by itself, in a file in memory; `None` where nothing
    /// but podman's own is needed.
    pub(super) async fn auth_file(
        &self,
        request: &BuildRequest,
        registries: impl Iterator<Item = &str>,
    ) -> Result<Option<AuthFile>, DockerError> {
        let credentials = credential_chain(request.login.as_ref(), &self.credentials)?;
        let mut found = vec![];
        for registry in registries {
            if let Some(credential) = lookup(&credentials, registry).await? {
                found.push((registry.to_owned(), credential));
            }
        }
        Ok(AuthFile::write(&found, self.settings.runtime_dir.as_deref())?)
    }
}

fn read_digest(file: &Path) -> Option<Digest> {
    std::fs::read_to_string(file).ok()?.trim().parse().ok()
}

/// A layout names its images by tag.
fn tag(uri: &str) -> &str {
    uri.rsplit_once(':').map_or("latest", |(_, tag)| tag)
}
