//! The base, where it is an image of ours.

use tierce_engine::BuildRequest;
use tierce_oci::Reference;
use tierce_registry::{Client, RegistryError};

/// Where a registry has the base of `request`, pinned to what was built; `None` where no registry
/// has it, or the base is no image of ours.
pub async fn registry_base(
    request: &BuildRequest,
    client: &Client,
) -> Result<Option<Reference>, RegistryError> {
    let Some(build) = request.base.as_deref() else { return Ok(None) };
    let Some(reference) = registry_reference(&build.uri) else { return Ok(None) };
    let reference = match build.digest {
        Some(digest) => reference.with_digest(digest),
        None => reference,
    };
    let found = client.head_manifest(&reference).await?;
    Ok(found.map(|root| reference.with_digest(root.digest)))
}

/// The reference that `uri` is, if it names a registry: one without is a name in a store or an
/// engine, and not Docker Hub's.
pub fn registry_reference(uri: &str) -> Option<Reference> {
    let reference: Reference = uri.parse().ok()?;
    let is_local = reference.registry() == "docker.io" && !uri.starts_with("docker.io/");
    (!is_local && reference.registry() != "localhost").then_some(reference)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_with_a_registry_are_asked_for() {
        for (uri, expected) in [
            ("report:t1", None),
            ("team/report:t1", None),
            ("localhost/report:t1", None),
            ("localhost:5000/report:t1", Some("localhost:5000/report:t1")),
            ("ghcr.io/me/report:t1", Some("ghcr.io/me/report:t1")),
            ("docker.io/me/report:t1", Some("docker.io/me/report:t1")),
        ] {
            let found = registry_reference(uri).map(|r| r.to_string());
            assert_eq!(found.as_deref(), expected, "{uri}");
        }
    }
}
