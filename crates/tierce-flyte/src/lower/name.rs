//! The name that Flyte's SDK gave an image, in its parts.

use crate::FlyteError;

/// Where an image goes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TargetName {
    pub registry: Option<String>,
    pub name: Option<String>,
    pub tag: Option<String>,
}

/// `<registry>/<name>:<tag>`, or `<name>:<tag>`, in its parts. `registry` is what the image says
/// that its registry is.
pub(super) fn split(uri: &str, registry: Option<&str>) -> Result<TargetName, FlyteError> {
    let no_tag = || FlyteError::NoTag { uri: uri.to_owned() };
    let (repository, tag) = uri.rsplit_once(':').ok_or_else(no_tag)?;
    if tag.is_empty() || tag.contains('/') || repository.contains('@') {
        return Err(no_tag());
    }
    let below =
        |registry: &str| repository.strip_prefix(registry.trim_end_matches('/'))?.strip_prefix('/');
    // As Docker tells hosts from names.
    let is_host = |part: &str| part.contains(['.', ':']) || part == "localhost";
    let (registry, name) = match registry.and_then(|r| Some((r.trim_end_matches('/'), below(r)?))) {
        Some((registry, name)) => (Some(registry), name),
        None => match repository.split_once('/') {
            Some((host, name)) if is_host(host) => (Some(host), name),
            Some(_) | None => (None, repository),
        },
    };
    Ok(TargetName {
        registry: registry.map(str::to_owned),
        name: Some(name.to_owned()),
        tag: Some(tag.to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uris_are_cut_where_flyte_put_them_together() {
        for (uri, registry, expected) in [
            ("ghcr.io/me/app:abc", Some("ghcr.io/me"), Some((Some("ghcr.io/me"), "app", "abc"))),
            ("ghcr.io/me/a/b:x", Some("ghcr.io"), Some((Some("ghcr.io"), "me/a/b", "x"))),
            (
                "localhost:5000/app:abc",
                Some("localhost:5000"),
                Some((Some("localhost:5000"), "app", "abc")),
            ),
            ("localhost:5000/app:abc", None, Some((Some("localhost:5000"), "app", "abc"))),
            ("app:py3.12-v2", None, Some((None, "app", "py3.12-v2"))),
            ("me/app:x", None, Some((None, "me/app", "x"))),
            // A registry that only begins like the name's is another one.
            ("ghcr.io/foobar:x", Some("ghcr.io/foo"), Some((Some("ghcr.io"), "foobar", "x"))),
            ("localhost:5000/app", None, None),
            ("app@sha256:00", None, None),
            ("app", None, None),
        ] {
            let found = split(uri, registry).ok();
            let expected = expected.map(|(registry, name, tag)| TargetName {
                registry: registry.map(str::to_owned),
                name: Some(name.to_owned()),
                tag: Some(tag.to_owned()),
            });
            assert_eq!(found, expected, "{uri}");
        }
    }
}
