//! Building by the BuildKit inside the daemon.

use super::api::Api;
use super::{ApiMethod, DockerBuilder, dialect};
use crate::error::DockerError;
use std::collections::BTreeMap;
use tierce_buildkit_client::{CacheEntry, Exporter};
use tierce_engine::{BuildRequest, Events, Export, ImageBuild, PlatformBuild, Status};
use tierce_frontend::{InputError, SolveSettings, credential_chain};
use tierce_oci::{Digest, Platform};

/// What the daemon has of a request, for one platform.
pub(super) struct Built {
    pub(super) platform: Platform,
    /// What it is called there.
    pub(super) name: String,
    /// What it is there: an image's ID.
    pub(super) id: Digest,
}

impl DockerBuilder {
    pub(super) async fn build_with_api(
        &self,
        request: &BuildRequest,
        method: ApiMethod,
        events: &Events,
    ) -> Result<ImageBuild, DockerError> {
        let ApiMethod { api, version, buildkit, extra } = method;
        let base = self.base(request, Some(&api)).await?;
        let input = self.frontend.input("docker", request, base, dialect(&version), events);
        let input = input.await?;
        let settings = SolveSettings {
            credentials: credential_chain(request.login.as_ref(), &self.credentials)?,
            cache_from: Self::caches(&self.settings.cache_from)?,
            cache_to: Self::caches(&self.settings.cache_to)?,
            network: extra.network,
            attributes: extra.attributes,
        };
        if version.numbers().0 < 23 {
            for name in ["shm-size", "ulimit", "cgroup-parent"] {
                if settings.attributes.contains_key(name) {
                    let message =
                        format!("docker leaves out {name}: it is there from Docker 23 on");
                    events.warn("builder/unsupported-parameter", message);
                }
            }
        }
        let mut built = vec![];
        for platform in &request.platforms {
            let name = match request.platforms.as_slice() {
                [_] => request.uri.clone(),
                _ => name_for(&request.uri, platform),
            };
            let exporter = Exporter {
                kind: "moby".to_owned(),
                attributes: BTreeMap::from([("name".to_owned(), name.clone())]),
                destination: None,
            };
            let platforms = std::slice::from_ref(platform);
            let solve = input.solve(request, platforms, Some(exporter), &settings);
            buildkit.solve(solve, events).await?;
            let image = api.inspect(&name).await?;
            let id = image
                .map(|image| image.id)
                .ok_or_else(|| DockerError::NoResult { program: "docker".into() })?;
            built.push(Built { platform: platform.clone(), name, id });
        }
        // The daemon has asked for all of the context by now, and nobody has seen the result.
        request.verify().await.map_err(InputError::from)?;
        self.export_with_api(request, &api, built, events).await
    }

    async fn export_with_api(
        &self,
        request: &BuildRequest,
        api: &Api,
        built: Vec<Built>,
        events: &Events,
    ) -> Result<ImageBuild, DockerError> {
        let mut result = ImageBuild::new(&request.uri, Status::Built);
        result.platforms = built
            .iter()
            .map(|b| PlatformBuild { platform: b.platform.clone(), digest: b.id, layers: vec![] })
            .collect();
        if let [one] = built.as_slice() {
            result.digest = Some(one.id);
        }
        for export in &request.exports {
            match (export, built.as_slice()) {
                (Export::Push(to), _) => {
                    self.push_with_api(request, api, &built, to, &mut result, events).await?;
                }
                // It is there already, under this name.
                (Export::Load, [_]) => {}
                (Export::DockerArchive(path), [one]) => {
                    self.save_with_api(api, &one.name, path, events).await?;
                }
                // Refused before anything was built.
                (export, _) => {
                    let export = export.kind();
                    return Err(DockerError::SeveralPlatforms { builder: "docker", export });
                }
            }
        }
        // What has no other name than one of ours is taken away again.
        if built.len() > 1 {
            for one in &built {
                let _ = api.untag(&one.name).await;
            }
        }
        Ok(result)
    }
}

/// A name for one platform of several: `uri-linux-arm64`.
pub(super) fn name_for(uri: &str, platform: &Platform) -> String {
    format!("{uri}-{}", platform.to_string().replace('/', "-"))
}

impl DockerBuilder {
    /// Descriptions of caches, read.
    pub(super) fn caches(texts: &[String]) -> Result<Vec<CacheEntry>, DockerError> {
        Ok(texts.iter().map(|text| text.parse()).collect::<Result<_, _>>()?)
    }
}
