//! Where a registry is.

use crate::RegistryError;
use crate::settings::InsecurePolicy;
use url::Url;

/// A registry's address.
#[derive(Clone, Debug)]
pub(crate) struct Endpoint {
    /// As references name it.
    pub(crate) registry: String,
    base: Url,
}

impl Endpoint {
    pub(crate) fn of(registry: &str, insecure: &InsecurePolicy) -> Result<Self, RegistryError> {
        // Docker Hub's registry is not where its name says.
        let host = if registry == "docker.io" { "registry-1.docker.io" } else { registry };
        let scheme = if insecure.is_plain(registry) { "http" } else { "https" };
        let base = Url::parse(&format!("{scheme}://{host}/v2/"))
            .map_err(|_| RegistryError::BadAddress { registry: registry.to_owned() })?;
        Ok(Endpoint { registry: registry.to_owned(), base })
    }

    /// `/v2/<repository>/<rest>`; both are made of checked names, digests and tags.
    pub(crate) fn url(&self, repository: &str, rest: &str) -> Url {
        let mut url = self.base.clone();
        url.set_path(&format!("/v2/{repository}/{rest}"));
        url
    }

    /// Whether `url` is on this very registry: same scheme, host and port. Nothing else may see
    /// the registry's credentials.
    pub(crate) fn owns(&self, url: &Url) -> bool {
        url.origin() == self.base.origin()
    }

    /// Resolves the `Location` that a request to `requested` was answered with.
    pub(crate) fn location(&self, requested: &Url, location: &str) -> Option<Url> {
        let mut url = requested.join(location).ok()?;
        // A registry that does not know of the TLS proxy before it sends clients to plain HTTP.
        let downgraded = self.base.scheme() == "https"
            && url.scheme() == "http"
            && url.host() == self.base.host()
            && url.port().is_none_or(|port| Some(port) == self.base.port());
        if downgraded {
            url.set_scheme("https").ok()?;
        }
        matches!(url.scheme(), "https" | "http").then_some(url)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(registry: &str) -> Endpoint {
        Endpoint::of(registry, &InsecurePolicy::default()).unwrap()
    }

    #[test]
    fn urls() {
        for (registry, url) in [
            ("docker.io", "https://registry-1.docker.io/v2/library/x/tags/list"),
            ("ghcr.io", "https://ghcr.io/v2/library/x/tags/list"),
            ("localhost:5000", "http://localhost:5000/v2/library/x/tags/list"),
            ("[::1]:5000", "http://[::1]:5000/v2/library/x/tags/list"),
        ] {
            assert_eq!(endpoint(registry).url("library/x", "tags/list").as_str(), url);
        }
    }

    #[test]
    fn only_the_very_registry_is_its_own() {
        let registry = endpoint("registry.example");
        for (url, owned) in [
            ("https://registry.example/v2/x", true),
            ("https://registry.example:443/x", true),
            ("http://registry.example/x", false),
            ("https://registry.example:8443/x", false),
            ("https://registry.example.evil/x", false),
            ("https://evil-registry.example/x", false),
            ("https://registry.example@evil/x", false),
        ] {
            assert_eq!(registry.owns(&url.parse().unwrap()), owned, "{url}");
        }
    }

    #[test]
    fn locations() {
        let registry = endpoint("registry.example");
        let asked = registry.url("a", "blobs/uploads/");
        for (location, url) in [
            (
                "/v2/a/blobs/uploads/1?_state=x",
                "https://registry.example/v2/a/blobs/uploads/1?_state=x",
            ),
            ("1?x=y", "https://registry.example/v2/a/blobs/uploads/1?x=y"),
            ("https://storage.example/u/1", "https://storage.example/u/1"),
            ("http://registry.example/v2/a/1", "https://registry.example/v2/a/1"),
            ("http://other.example/v2/a/1", "http://other.example/v2/a/1"),
        ] {
            assert_eq!(registry.location(&asked, location).unwrap().as_str(), url);
        }
        assert!(registry.location(&asked, "file:///etc/passwd").is_none());
    }
}
