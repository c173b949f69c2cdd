//! Who pulls and pushes.

use std::sync::Arc;
use tierce_engine::RegistryLogin;
use tierce_registry::{
    Credential, CredentialChain, CredentialError, Credentials, InlineCredentials,
};

/// What the image brings for its registry, then what the machine has.
pub fn credential_chain(
    login: Option<&RegistryLogin>,
    machine: &Arc<dyn Credentials>,
) -> Result<Arc<dyn Credentials>, CredentialError> {
    let Some(RegistryLogin { registry, value }) = login else { return Ok(machine.clone()) };
    let text = String::from_utf8_lossy(value.expose());
    let own: Arc<dyn Credentials> = Arc::new(InlineCredentials::parse(registry, text.trim())?);
    Ok(Arc::new(CredentialChain(vec![own, machine.clone()])))
}

/// The credential for `registry`. A helper program is waited for on a thread of its own.
pub async fn lookup(
    credentials: &Arc<dyn Credentials>,
    registry: &str,
) -> Result<Option<Credential>, CredentialError> {
    let (credentials, registry) = (credentials.clone(), registry.to_owned());
    // A helper that panics has no credential for us.
    tokio::task::spawn_blocking(move || credentials.lookup(&registry)).await.unwrap_or(Ok(None))
}
