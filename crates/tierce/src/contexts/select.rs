//! Who builds a context.

use super::ContextError;
use crate::open::Tierce;
use std::str::FromStr;
use tierce_config::Settings;
use tierce_engine::{ExportKind, Question, Selected, TagKind, first_answer};
use tierce_oci::Reference;

/// Who is to build a context.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BuilderWish {
    /// The builder of this name.
    Named(String),
    /// The one that the settings name, where it builds Dockerfiles; a `buildkitd` whose address
    /// they have; Docker, if its daemon answers; podman.
    Automatic {
        /// The only one of Docker and podman that may be taken.
        engine: Option<ContainerEngine>,
    },
}

/// A container engine of this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContainerEngine {
    /// Docker.
    Docker,
    /// podman.
    Podman,
}

/// Not a container engine's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no container engine: expected docker or podman")]
pub struct ContainerEngineError(String);

impl FromStr for ContainerEngine {
    type Err = ContainerEngineError;

    fn from_str(text: &str) -> Result<Self, ContainerEngineError> {
        match text {
            "docker" => Ok(ContainerEngine::Docker),
            "podman" => Ok(ContainerEngine::Podman),
            other => Err(ContainerEngineError(other.to_owned())),
        }
    }
}

impl ContainerEngine {
    /// The name of its builder.
    pub fn builder(self) -> &'static str {
        match self {
            ContainerEngine::Docker => "docker",
            ContainerEngine::Podman => "podman",
        }
    }
}

/// Who builds a context.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContextBuilder {
    /// The builder's name.
    pub name: String,
    /// Whether it has an image after it built it, so that one that is not pushed is of use.
    pub keeps: bool,
}

/// A builder that was looked at, and why it is not the one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Looked {
    /// The builder's name.
    pub name: String,
    /// What is wrong with it.
    pub why: String,
}

pub(super) async fn choose(
    tierce: &Tierce,
    settings: &Settings,
    wish: &BuilderWish,
) -> Result<ContextBuilder, ContextError> {
    let engine = match wish {
        BuilderWish::Named(name) => {
            let selected = tierce.engine().builder(Some(name)).await?;
            let name = selected.name.clone();
            return able(&selected).ok_or(ContextError::NoDockerfiles { name });
        }
        BuilderWish::Automatic { engine } => *engine,
    };
    if let Some(name) = &settings.builder {
        // Those who only build what tierce describes itself are for that, and not for this.
        let selected = tierce.engine().builder(Some(name)).await.ok();
        if let Some(able) = selected.as_ref().and_then(able) {
            return Ok(able);
        }
    }
    if settings.buildkit.address.is_some() {
        let selected = tierce.engine().builder(Some("buildkit")).await?;
        let name = selected.name.clone();
        return able(&selected).ok_or(ContextError::NoDockerfiles { name });
    }
    let mut looked = vec![];
    for engine in [ContainerEngine::Docker, ContainerEngine::Podman]
        .into_iter()
        .filter(|one| engine.is_none_or(|only| *one == only))
    {
        let name = engine.builder();
        let selected = tierce.engine().builder(Some(name)).await?;
        match (answers(&selected).await, able(&selected)) {
            (Ok(()), Some(able)) => return Ok(able),
            (Ok(()), None) => {}
            (Err(why), _) => looked.push(Looked { name: name.to_owned(), why }),
        }
    }
    Err(ContextError::NoBuilder(looked))
}

/// What the builder does with contexts, if it builds them.
fn able(selected: &Selected) -> Option<ContextBuilder> {
    let able = selected.builder.capabilities();
    able.dockerfiles.then(|| ContextBuilder {
        name: selected.name.clone(),
        keeps: able.exports.contains(&ExportKind::Local),
    })
}

/// Whether the builder's engine is there: it is asked for an image that nobody has.
async fn answers(selected: &Selected) -> Result<(), String> {
    let reference =
        Reference::new("localhost", "tierce/nobody-has-this", None).expect("it is a reference");
    let checkers = selected.builder.checkers(&[], None);
    let question = Question { reference: &reference, platforms: &[], tag: TagKind::OfKey };
    match first_answer(&checkers, question).await {
        Ok(_) => Ok(()),
        Err(failures) if failures.0.is_empty() => Ok(()),
        Err(failures) => {
            let said = |error: &dyn std::error::Error| error.to_string();
            Err(failures.0.iter().map(|(_, error)| said(error)).collect::<Vec<_>>().join(", "))
        }
    }
}
