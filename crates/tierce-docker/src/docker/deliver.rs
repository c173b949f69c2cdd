//! From the daemon's store to where the image should be.

use super::DockerBuilder;
use super::api::{Api, PushLine};
use super::build::Built;
use crate::error::{ApiError, DockerError};
use futures::StreamExt;
use std::collections::BTreeMap;
use std::path::Path;
use std::pin::pin;
use tierce_checkers::client_for;
use tierce_engine::{BuildRequest, Events, ImageBuild, Outcome, StepKind};
use tierce_frontend::{credential_chain, lookup};
use tierce_oci::{Artifact, BlobLocation, Descriptor, Digest, Index, MediaType, Reference};
use tierce_registry::{Client, Credential, PushOptions, Silent};

impl DockerBuilder {
    /// Pushes what was built to `to`: one image, or one for each platform and an index of them.
    pub(super) async fn push_with_api(
        &self,
        request: &BuildRequest,
        api: &Api,
        built: &[Built],
        to: &Reference,
        result: &mut ImageBuild,
        events: &Events,
    ) -> Result<(), DockerError> {
        let credentials = credential_chain(request.login.as_ref(), &self.credentials)?;
        let credential = lookup(&credentials, to.registry()).await?;
        let client = client_for(&self.registry, request.login.as_ref())?;
        let mut children = vec![];
        for (one, fact) in built.iter().zip(&mut result.platforms) {
            let target = match built {
                [_] => to.clone(),
                _ => tag_for(to, one)?,
            };
            api.tag(&one.name, &target).await?;
            let (digest, sent) = push(api, &target, credential.as_ref(), events).await?;
            result.bytes_uploaded += sent;
            fact.digest = digest;
            let root = client.head_manifest(&target.with_digest(digest)).await?;
            let root = root.ok_or_else(|| DockerError::NoResult { program: "docker".into() })?;
            children.push(root.with_platform(one.platform.clone()));
        }
        let root = match children.as_slice() {
            [one] => Descriptor { platform: None, ..one.clone() },
            _ => push_index(&client, to, children, events).await?,
        };
        result.digest = Some(root.digest);
        result.root = Some(root);
        Ok(())
    }

    /// Writes the image `name` as `docker save` does, and names the file when it is whole.
    pub(super) async fn save_with_api(
        &self,
        api: &Api,
        name: &str,
        path: &Path,
        events: &Events,
    ) -> Result<(), DockerError> {
        let step = events.step(StepKind::Export, format!("write {}", path.display()));
        let partial = crate::partial::Partial::beside(path)?;
        let size = api.save(name, partial.path()).await?;
        partial.finish()?;
        step.finish(Outcome::Made, format!("{size} bytes"));
        Ok(())
    }
}

/// The tag that one platform of several has beside its index.
fn tag_for(to: &Reference, one: &Built) -> Result<Reference, DockerError> {
    let tag = to.tag().unwrap_or("latest");
    let tag = super::build::name_for(tag, &one.platform);
    to.with_tag(&tag).map_err(|_| DockerError::NoResult { program: "docker".into() })
}

/// Pushes one image by the daemon; its manifest's digest, and the bytes that were sent.
async fn push(
    api: &Api,
    to: &Reference,
    credential: Option<&Credential>,
    events: &Events,
) -> Result<(Digest, u64), DockerError> {
    let step = events.step(StepKind::Export, format!("push {to}"));
    let reporter = step.reporter();
    let refused = |error: ApiError| match error {
        ApiError::Refused { message, .. } => crate::push_error(to, message),
        other => other.into(),
    };
    let mut lines = pin!(api.push(to, credential).await.map_err(refused)?);
    let mut digest = None;
    let mut sizes: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    while let Some(line) = lines.next().await {
        let PushLine { id, status, progress_detail, error, aux } = line?;
        if let Some(message) = error {
            return Err(crate::push_error(to, message));
        }
        if let Some(progress) = progress_detail.filter(|p| p.current > 0 && status == "Pushing") {
            sizes.insert(id, (progress.current, progress.total));
            let (done, total) =
                sizes.values().fold((0, 0), |(d, t), (done, total)| (d + done, t + total));
            reporter.progress(done, Some(total).filter(|total| *total >= done));
        }
        digest = aux.and_then(|aux| aux.digest).or(digest);
    }
    let digest = digest.ok_or_else(|| DockerError::NoResult { program: "docker".into() })?;
    step.finish(Outcome::Made, None);
    Ok((digest, sizes.values().map(|(done, _)| done).sum()))
}

/// Pushes an index of what was pushed before.
async fn push_index(
    client: &Client,
    to: &Reference,
    children: Vec<Descriptor>,
    events: &Events,
) -> Result<Descriptor, DockerError> {
    let step = events.step(StepKind::Export, format!("push {to}"));
    let bytes = Index::new(children.clone()).to_bytes();
    let root = Descriptor::of(MediaType::OciIndex, &bytes);
    let mut artifact = Artifact::new(root.clone(), bytes);
    for child in children {
        artifact.insert(child, BlobLocation::Registry(to.clone()));
    }
    client.push(&artifact, to, &[], &PushOptions::default(), &Silent).await?;
    step.finish(Outcome::Made, None);
    Ok(root)
}
