//! From settings to a client of registries.

use crate::open::OpenError;
use std::collections::BTreeMap;
use std::sync::Arc;
use tierce_config::{RegistrySettings, Settings};
use tierce_fetch::{ClientIdentity, HttpSettings, Verification};
use tierce_registry::{
    Client, ClientSettings, CredentialChain, Credentials, DockerConfigCredentials, InsecurePolicy,
    Route, Routing,
};

/// A client of registries, made of what the settings say about each of them and the HTTP client
/// for all others.
pub(crate) fn registry_client(
    settings: &Settings,
    mut client: ClientSettings,
) -> Result<Client, OpenError> {
    client.credentials = credentials(settings);
    client.insecure = insecure(settings);
    client.routing = routing(settings);
    let mut own = BTreeMap::new();
    for (path, registry) in settings.registries.iter().filter(|(_, r)| r.has_own_tls()) {
        own.insert(path.host().to_owned(), tierce_fetch::client(&http(registry))?);
    }
    client.http_by_registry = own;
    Ok(Client::new(client))
}

/// Which registries are spoken to in plain HTTP.
pub(crate) fn insecure(settings: &Settings) -> InsecurePolicy {
    let owned = |hosts: &mut dyn Iterator<Item = &str>| hosts.map(str::to_owned).collect();
    InsecurePolicy {
        hosts: owned(&mut settings.insecure_registries()),
        encrypted: owned(&mut settings.encrypted_registries()),
        ..InsecurePolicy::default()
    }
}

fn routing(settings: &Settings) -> Routing {
    Routing::new(settings.registries.iter().map(|(path, registry)| Route {
        of: path.clone(),
        mirrors: registry.mirrors.clone(),
        fallback: registry.fallback,
        rewrite: registry.rewrite.clone(),
    }))
}

fn http(registry: &RegistrySettings) -> HttpSettings {
    let identity = registry
        .identity
        .as_ref()
        .map(|identity| ClientIdentity { cert: identity.cert.clone(), key: identity.key.clone() });
    let verification = match registry.skip_tls_verify {
        true => Verification::Nothing,
        false => Verification::Full,
    };
    let ca_files = registry.ca.iter().cloned().collect();
    HttpSettings { ca_files, identity, verification, ..HttpSettings::default() }
}

/// Who pulls and pushes: what Docker and podman know.
pub(crate) fn credentials(settings: &Settings) -> Arc<dyn Credentials> {
    let places = settings
        .registry_auth_files
        .iter()
        .filter(|path| path.is_file())
        .map(|path| {
            let dirs = settings.search_path.clone();
            Arc::new(DockerConfigCredentials::at(path, dirs)) as Arc<dyn Credentials>
        })
        .collect();
    Arc::new(CredentialChain(places))
}
