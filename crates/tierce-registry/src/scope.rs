//! What a token is asked to allow (distribution project, "Token Scope Documentation").

use std::fmt;

/// One or more `repository:NAME:ACTIONS` scopes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Scopes(Vec<String>);

impl Scopes {
    pub(crate) fn pull(repository: &str) -> Self {
        Scopes(vec![format!("repository:{repository}:pull")])
    }

    pub(crate) fn push(repository: &str) -> Self {
        Scopes(vec![format!("repository:{repository}:pull,push")])
    }

    pub(crate) fn delete(repository: &str) -> Self {
        Scopes(vec![format!("repository:{repository}:delete,pull")])
    }

    /// Mounting needs to read the source: a registry whose token does not allow that answers as
    /// if it could not mount at all.
    pub(crate) fn mount(repository: &str, source: &str) -> Self {
        Scopes(vec![
            format!("repository:{repository}:pull,push"),
            format!("repository:{source}:pull"),
        ])
    }

    /// The scopes to ask for after a challenge that names some itself: registries know best what
    /// their resources are called, but ask for less than mounting needs.
    pub(crate) fn requested<'a>(&'a self, challenge: Option<&'a str>) -> Vec<&'a str> {
        let resource = |scope: &'a str| scope.rsplit_once(':').map_or(scope, |(r, _)| r);
        let mut all: Vec<&str> = self.0.iter().map(String::as_str).collect();
        for scope in challenge.unwrap_or_default().split_ascii_whitespace() {
            if !all.iter().any(|known| resource(known) == resource(scope)) {
                all.push(scope);
            }
        }
        all
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_challenge_adds_only_unknown_resources() {
        let scopes = Scopes::mount("a/b", "c/d");
        assert_eq!(
            scopes.requested(Some("repository:a/b:pull registry:catalog:*")),
            ["repository:a/b:pull,push", "repository:c/d:pull", "registry:catalog:*"]
        );
        assert_eq!(Scopes::pull("x").requested(None), ["repository:x:pull"]);
    }
}
