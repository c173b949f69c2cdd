//! What projects may not set.
//!
//! A project that was downloaded must not decide where things of the user's are kept and read,
//! what runs on the host, who gets the user's credentials, and how safe connections are.

use crate::ConfigFile;
use crate::file::{BuildkitConfig, DockerConfig, PodmanConfig, RegistryConfig, SecretsConfig};

/// A key, part by part.
type Key = Vec<String>;

fn key(parts: &[&str]) -> Key {
    parts.iter().map(|part| (*part).to_owned()).collect()
}

/// The first key of `file` that only the user's own file may have.
pub(crate) fn user_only(file: &ConfigFile) -> Option<Key> {
    // A new field must be looked at here.
    let ConfigFile {
        registry: _,
        builder: _,
        store,
        index: _,
        python_install_mirror: _,
        python_downloads_json_url: _,
        conda_channel_alias: _,
        unknown: _,
        debian_base: _,
        images: _,
        registries,
        check_cache: _,
        python,
        debian: _,
        secrets,
        image_spec: _,
        docker,
        podman,
        buildkit,
        builders,
        flavors,
    } = file;
    if store.is_some() {
        return Some(key(&["store"]));
    }
    if python.is_some() {
        return Some(key(&["python"]));
    }
    if *secrets != SecretsConfig::default() {
        return Some(key(&["secrets"]));
    }
    if !flavors.is_empty() {
        return Some(key(&["flavors"]));
    }
    // Whatever its flavor: some key of some flavor runs a program or names a daemon.
    if let Some(name) = builders.keys().next() {
        return Some(key(&["builders", name]));
    }
    let registry = registries.iter().find_map(|(name, registry)| {
        Some(key(&["registries", &name.0.to_string(), of_registry(registry)?]))
    });
    registry
        .or_else(|| Some(key(&["docker", of_docker(docker)?])))
        .or_else(|| Some(key(&["podman", of_podman(podman)?])))
        .or_else(|| Some(key(&["buildkit", of_buildkit(buildkit)?])))
}

fn first(found: &[(bool, &'static str)]) -> Option<&'static str> {
    found.iter().find(|(found, _)| *found).map(|(_, name)| *name)
}

fn of_registry(registry: &RegistryConfig) -> Option<&'static str> {
    let RegistryConfig {
        mirrors,
        fallback: _,
        rewrite,
        ca,
        client_cert,
        client_key,
        insecure,
        skip_tls_verify,
    } = registry;
    first(&[
        // A tag means whatever the mirror says.
        (mirrors.is_some(), "mirrors"),
        (rewrite.is_some(), "rewrite"),
        (ca.is_some(), "ca"),
        (client_cert.is_some(), "client-cert"),
        (client_key.is_some(), "client-key"),
        (insecure.is_some(), "insecure"),
        (skip_tls_verify.is_some(), "skip-tls-verify"),
    ])
}

/// Daemons get credentials and secrets; caches are written with the user's credentials, whether
/// anything is pushed or not.
fn of_docker(docker: &DockerConfig) -> Option<&'static str> {
    let DockerConfig {
        host,
        context,
        cert_path,
        tls_verify,
        builder,
        cache_from: _,
        cache_to,
        extra_args,
    } = docker;
    first(&[
        (host.is_some(), "host"),
        (context.is_some(), "context"),
        (cert_path.is_some(), "cert-path"),
        (tls_verify.is_some(), "tls-verify"),
        (builder.is_some(), "builder"),
        (cache_to.is_some(), "cache-to"),
        (extra_args.is_some(), "extra-args"),
    ])
}

fn of_podman(podman: &PodmanConfig) -> Option<&'static str> {
    let PodmanConfig { host, cache_from: _, cache_to, extra_args } = podman;
    first(&[
        (host.is_some(), "host"),
        (cache_to.is_some(), "cache-to"),
        (extra_args.is_some(), "extra-args"),
    ])
}

fn of_buildkit(buildkit: &BuildkitConfig) -> Option<&'static str> {
    let BuildkitConfig {
        address,
        ca,
        client_cert,
        client_key,
        server_name,
        cache_from: _,
        cache_to,
    } = buildkit;
    first(&[
        (address.is_some(), "address"),
        (ca.is_some(), "ca"),
        (client_cert.is_some(), "client-cert"),
        (client_key.is_some(), "client-key"),
        (server_name.is_some(), "server-name"),
        (cache_to.is_some(), "cache-to"),
    ])
}

/// The first key of `file` with a cache that is not in a registry: others are folders of this
/// machine, or get at credentials that are in the environment.
pub(crate) fn foreign_cache(file: &ConfigFile) -> Option<Key> {
    let ConfigFile { docker, podman, buildkit, .. } = file;
    let lists = [
        ("docker", &docker.cache_from),
        ("podman", &podman.cache_from),
        ("buildkit", &buildkit.cache_from),
    ];
    let (table, _) = lists.into_iter().find(|(table, caches)| {
        let is_fine = |cache: &String| match *table {
            "podman" => is_repository(cache) && has_host(cache),
            _ => is_repository(cache) || is_registry_cache(cache),
        };
        !caches.iter().flatten().all(is_fine)
    })?;
    Some(key(&[table, "cache-from"]))
}

fn is_repository(text: &str) -> bool {
    text.parse::<tierce_oci::Reference>().is_ok()
}

/// Whether a repository starts with a host. What does not may be one of podman's transports:
/// `dir:cache` is a repository with a tag, or a folder.
fn has_host(repository: &str) -> bool {
    let Some((host, _)) = repository.split_once('/') else { return false };
    let name = host.split(':').next().unwrap_or_default();
    name.contains('.') || name == "localhost"
}

/// Whether a cache is `type=registry` with keys that say nothing but how it is written. Quotes,
/// spaces and repeated keys, which others may read differently, are refused with the rest.
fn is_registry_cache(text: &str) -> bool {
    let mut seen = std::collections::BTreeSet::new();
    let fine = text.split(',').all(|part| {
        let Some((name, value)) = part.split_once('=') else { return false };
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
        seen.insert(name)
            && match name {
                "type" => value == "registry",
                "ref" => is_repository(value),
                "mode" | "compression" | "compression-level" | "force-compression"
                | "oci-mediatypes" | "image-manifest" | "ignore-error" => {
                    value.chars().all(is_plain)
                }
                _ => false,
            }
    });
    fine && seen.contains("type") && seen.contains("ref")
}
