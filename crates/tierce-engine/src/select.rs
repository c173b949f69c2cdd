//! Which builders there are, and which one builds an image.

use crate::builder::ImageBuilder;
use crate::checker::AnyDiagnostic;
use crate::error::BuildError;
use async_trait::async_trait;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Where builders come from that the program registers itself.
const BUILT_IN: &str = "built in";

/// A builder that could be chosen.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct KnownBuilder {
    /// The name to choose it by.
    pub name: String,
    /// Where it comes from: `built in`, or a place as [`BuilderSource::known`] gives it.
    pub origin: String,
}

/// Builders that are loaded when they are chosen: programs on the search path, those that users
/// registered.
#[async_trait]
pub trait BuilderSource: Send + Sync {
    /// The builder called `name`; `None` where there is none.
    async fn find(&self, name: &str) -> Result<Option<Arc<dyn ImageBuilder>>, AnyDiagnostic>;

    /// The builders that it would find, without loading any.
    fn known(&self) -> Vec<KnownBuilder>;

    /// Where it looks, for the message that says that a builder is nowhere.
    fn places(&self) -> Vec<String>;
}

/// A builder under the name that it was chosen by.
#[derive(Clone)]
pub struct Selected {
    /// The name; not always the builder's own.
    pub name: String,
    /// The builder.
    pub builder: Arc<dyn ImageBuilder>,
}

/// The builders of sources, but for some.
#[derive(Clone)]
pub struct Loadable {
    sources: Vec<Arc<dyn BuilderSource>>,
    others: Vec<String>,
}

impl Loadable {
    /// Their names. Sources look at directories and the like for that.
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = vec![];
        for KnownBuilder { name, .. } in self.sources.iter().flat_map(|source| source.known()) {
            if !self.others.contains(&name) && !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }
}

struct Registered {
    priority: i32,
    selected: Selected,
}

/// All builders.
#[derive(Default)]
pub struct Builders {
    /// The highest priority first.
    registered: Vec<Registered>,
    sources: Vec<Arc<dyn BuilderSource>>,
    /// What sources gave, so that each is loaded once.
    loaded: Mutex<BTreeMap<String, Arc<dyn ImageBuilder>>>,
}

impl Builders {
    /// Adds a builder, in place of one of the same name.
    pub fn register(&mut self, name: String, builder: Arc<dyn ImageBuilder>, priority: i32) {
        self.registered.retain(|r| r.selected.name != name);
        self.registered.push(Registered { priority, selected: Selected { name, builder } });
        // Stable: of equals, the first registered.
        self.registered.sort_by_key(|r| Reverse(r.priority));
    }

    /// Adds builders that are looked for after those that are registered.
    pub fn add_source(&mut self, source: Arc<dyn BuilderSource>) {
        self.sources.push(source);
    }

    /// Those that are registered, the highest priority first.
    pub fn registered(&self) -> impl Iterator<Item = &Selected> {
        self.registered.iter().map(|r| &r.selected)
    }

    /// Every builder that could be chosen, registered ones first.
    pub fn known(&self) -> Vec<KnownBuilder> {
        let registered = self
            .registered()
            .map(|s| KnownBuilder { name: s.name.clone(), origin: BUILT_IN.to_owned() });
        let mut known: Vec<KnownBuilder> = registered.collect();
        for builder in self.sources.iter().flat_map(|source| source.known()) {
            // What comes first is what the name stands for.
            if !known.iter().any(|k| k.name == builder.name) {
                known.push(builder);
            }
        }
        known
    }

    /// Those that would have to be loaded, but for `chosen`. Nobody is asked yet who they are.
    pub fn loadable(&self, chosen: &str) -> Loadable {
        let mut others: Vec<String> = self.registered().map(|r| r.name.clone()).collect();
        others.push(chosen.to_owned());
        Loadable { sources: self.sources.clone(), others }
    }

    /// The builder of this name, or the one with the highest priority.
    pub async fn select(&self, name: Option<&str>) -> Result<Selected, BuildError> {
        let Some(name) = name else {
            let first = self.registered().next().cloned();
            return first.ok_or_else(|| self.unknown("native"));
        };
        if let Some(found) = self.registered().find(|s| s.name == name) {
            return Ok(found.clone());
        }
        match self.load(name).await? {
            Some(builder) => Ok(Selected { name: name.to_owned(), builder }),
            None => Err(self.unknown(name)),
        }
    }

    async fn load(&self, name: &str) -> Result<Option<Arc<dyn ImageBuilder>>, BuildError> {
        let loaded = || self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(builder) = loaded().get(name) {
            return Ok(Some(builder.clone()));
        }
        for source in &self.sources {
            let found = source.find(name).await;
            let found =
                found.map_err(|source| BuildError::Load { name: name.to_owned(), source })?;
            if let Some(builder) = found {
                loaded().insert(name.to_owned(), builder.clone());
                return Ok(Some(builder));
            }
        }
        Ok(None)
    }

    fn unknown(&self, name: &str) -> BuildError {
        BuildError::UnknownBuilder {
            name: name.to_owned(),
            known: self.known(),
            looked_at: self.sources.iter().flat_map(|source| source.places()).collect(),
        }
    }
}
