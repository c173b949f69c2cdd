//! Where a repository's images are really read and written: mirrors and rewritten names.

use crate::RegistryError;
use crate::client::Client;
use crate::endpoint::Endpoint;
use crate::request::Repository;
use std::cmp::Reverse;
use tierce_oci::{Reference, RegistryPath};

/// How often a mirror is tried: there is somebody else to ask.
const MIRROR_ATTEMPTS: u32 = 2;

/// What is done instead of asking a registry, or a part of it, itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// What this is about.
    pub of: RegistryPath,
    /// Where to pull from first, in this order.
    pub mirrors: Vec<RegistryPath>,
    /// Whether the registry itself is asked for what no mirror has.
    pub fallback: bool,
    /// Where everything is read and written instead.
    pub rewrite: Option<RegistryPath>,
}

impl Route {
    /// A route that changes nothing.
    pub fn new(of: RegistryPath) -> Self {
        Route { of, mirrors: vec![], fallback: true, rewrite: None }
    }
}

/// Routes by what they are about. The longest path that has a repository decides alone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Routing {
    /// The longest path first.
    routes: Vec<Route>,
}

/// Where a repository may be.
#[derive(Debug, PartialEq, Eq)]
struct Place {
    registry: String,
    repository: String,
}

impl Routing {
    /// These routes.
    pub fn new(routes: impl IntoIterator<Item = Route>) -> Self {
        let mut routes: Vec<Route> = routes.into_iter().collect();
        routes.sort_by_key(|route| Reverse(route.of.path().len()));
        Routing { routes }
    }

    fn route<'a, 'b>(&'a self, reference: &'b Reference) -> Option<(&'a Route, &'b str)> {
        self.routes.iter().find_map(|route| {
            let below = route.of.below(reference.registry(), reference.repository())?;
            Some((route, below))
        })
    }

    /// Where the repository is read and written, mirrors aside.
    fn own(&self, reference: &Reference) -> Place {
        match self.route(reference) {
            Some((Route { rewrite: Some(rewrite), .. }, below)) => Place::below(rewrite, below),
            _ => Place {
                registry: reference.registry().to_owned(),
                repository: reference.repository().to_owned(),
            },
        }
    }

    /// Where the repository may be pulled from, in the order to ask.
    fn places(&self, reference: &Reference) -> Vec<Place> {
        let mut places = vec![];
        let mut fallback = true;
        if let Some((route, below)) = self.route(reference) {
            places.extend(route.mirrors.iter().map(|mirror| Place::below(mirror, below)));
            fallback = route.fallback || route.mirrors.is_empty();
        }
        if fallback {
            places.push(self.own(reference));
        }
        places
    }
}

impl Place {
    fn below(path: &RegistryPath, below: &str) -> Self {
        Place { registry: path.host().to_owned(), repository: path.join(below) }
    }
}

/// The places to pull from that are still to be asked; there is always a current one.
pub(crate) struct Places {
    /// In the order to ask, from the current one on.
    ahead: std::vec::IntoIter<Repository>,
    current: Repository,
    client: Client,
    patient: Client,
    reference: String,
    /// Whether the last place is the registry itself, which knows what there is.
    authoritative: bool,
    /// The mirrors that could not say, with the reason.
    failures: Vec<String>,
}

impl Client {
    /// The repository itself: where it is pushed, and what knows what is in it.
    pub(crate) fn repository(&self, reference: &Reference) -> Result<Repository, RegistryError> {
        self.at(self.settings().routing.own(reference))
    }

    fn at(&self, place: Place) -> Result<Repository, RegistryError> {
        let endpoint = Endpoint::of(&place.registry, &self.settings().insecure)?;
        Ok(Repository { endpoint, name: place.repository })
    }

    /// The repositories that `reference` may be pulled from, in the order to ask.
    pub(crate) fn sources(&self, reference: &Reference) -> Result<Vec<Repository>, RegistryError> {
        let places = self.settings().routing.places(reference);
        places.into_iter().map(|place| self.at(place)).collect()
    }

    /// The same, one after the other; without mirrors that were out of reach before.
    pub(crate) fn places(&self, reference: &Reference) -> Result<Places, RegistryError> {
        let mut sources = self.sources(reference)?;
        let own = self.repository(reference)?;
        let authoritative = sources.last().is_some_and(|last| last.full_name() == own.full_name());
        let last = sources.pop().unwrap_or(own);
        let mut failures = vec![];
        sources.retain(|mirror| {
            let skipped = self.is_out_of_reach(mirror.registry());
            if skipped {
                failures.push(format!("{}: out of reach before", mirror.full_name()));
            }
            !skipped
        });
        sources.push(last);
        let mut ahead = sources.into_iter();
        let current = ahead.next().expect("the last one is there");
        let mut places = Places {
            ahead,
            current,
            client: self.clone(),
            patient: self.clone(),
            reference: reference.to_string(),
            authoritative,
            failures,
        };
        places.choose_client();
        Ok(places)
    }
}

impl Places {
    /// Where to ask now, and the client to ask with.
    pub(crate) fn current(&self) -> (&Client, &Repository) {
        (&self.client, &self.current)
    }

    /// Goes on to the next place after `error`, or gives the error that is to be reported.
    pub(crate) fn failed(&mut self, error: RegistryError) -> Result<(), RegistryError> {
        // This machine's troubles are the same wherever the bytes come from.
        if matches!(error, RegistryError::File { .. }) {
            return Err(error);
        }
        let Some(next) = self.ahead.next() else { return Err(self.verdict(error)) };
        let place = self.current.full_name();
        tracing::warn!(mirror = place, image = self.reference, %error, "mirror passed over");
        if matches!(error, RegistryError::Unreachable { .. } | RegistryError::RateLimited { .. }) {
            self.patient.mark_out_of_reach(self.current.registry());
        }
        if !matches!(error, RegistryError::NotFound { .. }) {
            self.failures.push(format!("{place}: {error}"));
        }
        self.current = next;
        self.choose_client();
        Ok(())
    }

    fn choose_client(&mut self) {
        self.client = match self.ahead.len() {
            0 => self.patient.clone(),
            _ => self.patient.with_attempts(MIRROR_ATTEMPTS),
        };
    }

    fn verdict(&self, error: RegistryError) -> RegistryError {
        let is_answer = self.authoritative && matches!(error, RegistryError::NotFound { .. });
        if self.failures.is_empty() || is_answer {
            return error;
        }
        RegistryError::Mirrors {
            reference: self.reference.clone(),
            mirrors: self.failures.join("; "),
            source: Box::new(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> RegistryPath {
        text.parse().unwrap()
    }

    fn routing() -> Routing {
        Routing::new([
            Route {
                mirrors: vec![path("mirror.example:5000/hub"), path("other.example")],
                ..Route::new(path("docker.io"))
            },
            Route { rewrite: Some(path("r.example/ghcr")), ..Route::new(path("ghcr.io")) },
            Route {
                mirrors: vec![path("only.example")],
                fallback: false,
                ..Route::new(path("ghcr.io/team"))
            },
            Route {
                mirrors: vec![path("near.example")],
                rewrite: Some(path("far.example/x")),
                ..Route::new(path("quay.io/one"))
            },
        ])
    }

    #[test]
    fn the_longest_path_decides_where_to_go() {
        for (reference, own, places) in [
            (
                "python:3.12",
                "docker.io/library/python",
                &[
                    "mirror.example:5000/hub/library/python",
                    "other.example/library/python",
                    "docker.io/library/python",
                ][..],
            ),
            ("ghcr.io/x/y", "r.example/ghcr/x/y", &["r.example/ghcr/x/y"]),
            ("ghcr.io/team/y", "ghcr.io/team/y", &["only.example/y"]),
            ("ghcr.io/teams/y", "r.example/ghcr/teams/y", &["r.example/ghcr/teams/y"]),
            ("quay.io/one/a", "far.example/x/a", &["near.example/a", "far.example/x/a"]),
            ("quay.io/one", "far.example/x", &["near.example/", "far.example/x"]),
            ("quay.io/two", "quay.io/two", &["quay.io/two"]),
            ("gcr.io/x", "gcr.io/x", &["gcr.io/x"]),
        ] {
            let name = |place: Place| format!("{}/{}", place.registry, place.repository);
            let parsed: Reference = reference.parse().unwrap();
            assert_eq!(name(routing().own(&parsed)), own, "{reference}");
            let found: Vec<String> = routing().places(&parsed).into_iter().map(name).collect();
            assert_eq!(found, places, "{reference}");
        }
    }
}
