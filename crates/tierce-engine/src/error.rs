//! Why a build did not come to an image.

use crate::checker::{AnyDiagnostic, CheckFailures};
use crate::gather::GatherError;
use crate::lock::LockError;
use crate::select::KnownBuilder;
use std::fmt;
use std::sync::Arc;
use tierce_oci::{Diagnostic, ErrorKind};
use tierce_secret::SecretError;
use tierce_spec::{NameError, ResolveError, UnknownImageName, ValidationErrors};

/// Why a build did not come to an image.
#[derive(Clone, Debug, thiserror::Error)]
pub enum BuildError {
    /// The specification is wrong.
    #[error(transparent)]
    Invalid(#[from] ValidationErrors),
    /// A name that the image starts from stands for nothing.
    #[error(transparent)]
    UnknownName(#[from] UnknownImageName),
    /// The specification could not be pinned to what was read.
    #[error(transparent)]
    Resolve(#[from] ResolveError),
    /// The image's name is missing or malformed.
    #[error(transparent)]
    Name(#[from] NameError),
    /// A source could not be read.
    #[error(transparent)]
    Gather(#[from] Arc<GatherError>),
    /// A lock is not for this image, or could not be made.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// No builder of that name.
    #[error("there is no builder called {name:?}; there are: {}", names(known))]
    UnknownBuilder {
        /// The name asked for.
        name: String,
        /// The builders that exist.
        known: Vec<KnownBuilder>,
        /// Where others were looked for.
        looked_at: Vec<String>,
    },
    /// The builder is there, and can't be used.
    #[error("cannot use the builder {name}")]
    Load {
        /// Its name.
        name: String,
        /// Why.
        source: AnyDiagnostic,
    },
    /// The builder can't do what is asked for.
    #[error("the builder {builder} cannot {}", list(wanted))]
    Unable {
        /// The builder.
        builder: String,
        /// What it can't do.
        wanted: Vec<Ability>,
        /// Builders that can.
        able: Vec<String>,
        /// Builders that may be able to: what they can do is known once they are loaded.
        perhaps: Vec<String>,
    },
    /// The builder does not take this image.
    #[error(transparent)]
    Refused(AnyDiagnostic),
    /// The base is made by another builder, and is not where this one finds it.
    #[error("{builder} cannot build on {base}, which {base_builder} makes and does not push")]
    BaseElsewhere {
        /// The builder of the image.
        builder: String,
        /// The image that is the base.
        base: String,
        /// The builder of that.
        base_builder: String,
    },
    /// A push was asked for, but the image has no registry.
    #[error("cannot push {name}: it has no registry")]
    NoRegistry {
        /// The image's name.
        name: String,
    },
    /// No checker could tell whether the image exists, and the policy is to give up.
    #[error("cannot tell whether {reference} exists: {failures}")]
    Unknown {
        /// The image.
        reference: String,
        /// Each checker's reason.
        failures: CheckFailures,
    },
    /// A secret could not be had.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The image that is the base could not be built.
    #[error("cannot build the base image {name}")]
    Base {
        /// The image that is the base.
        name: String,
        /// Why.
        source: Box<BuildError>,
    },
    /// The builder failed.
    #[error(transparent)]
    Builder(AnyDiagnostic),
}

/// Something that not every builder can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ability {
    /// Keeping an image that is delivered nowhere.
    Keep,
    /// Pushing.
    Push,
    /// Writing an OCI layout.
    OciLayout,
    /// Writing an OCI layout as a tar file.
    OciArchive,
    /// Writing what `docker load` reads.
    DockerArchive,
    /// Loading into an engine.
    Load,
    /// Building for several platforms at once.
    SeveralPlatforms,
    /// Giving secrets to steps.
    Secrets,
    /// Building from a Dockerfile.
    Dockerfiles,
}

impl fmt::Display for Ability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Ability::Keep => "keep images: they must be pushed or written somewhere",
            Ability::Push => "push",
            Ability::OciLayout => "write OCI layouts",
            Ability::OciArchive => "write OCI archives",
            Ability::DockerArchive => "write docker archives",
            Ability::Load => "load into a container engine",
            Ability::SeveralPlatforms => "build for several platforms at once",
            Ability::Secrets => "give secrets to steps",
            Ability::Dockerfiles => "build from a Dockerfile",
        })
    }
}

fn list(wanted: &[Ability]) -> String {
    wanted.iter().map(ToString::to_string).collect::<Vec<_>>().join(", nor ")
}

/// Which builders to choose instead.
fn choice(able: &[String], perhaps: &[String]) -> Option<String> {
    let able = match able {
        [] => None,
        able => Some(format!("Choose one that can, with --builder: {}.", able.join(", "))),
    };
    let perhaps = match perhaps {
        [] => None,
        perhaps => Some(format!(
            "`tierce builder describe` tells what others can do: {}.",
            perhaps.join(", ")
        )),
    };
    match (able, perhaps) {
        (Some(able), Some(perhaps)) => Some(format!("{able} {perhaps}")),
        (able, perhaps) => able.or(perhaps),
    }
}

fn names(known: &[KnownBuilder]) -> String {
    let name = |b: &KnownBuilder| format!("{} ({})", b.name, b.origin);
    match known {
        [] => "none".to_owned(),
        known => known.iter().map(name).collect::<Vec<_>>().join(", "),
    }
}

/// The name that was meant, if one is much like what was written.
fn nearest<'a>(name: &str, known: &'a [KnownBuilder]) -> Option<&'a str> {
    let wanted = name.to_lowercase();
    known
        .iter()
        .map(|k| (strsim::damerau_levenshtein(&wanted, &k.name), k.name.as_str()))
        .filter(|(distance, k)| *distance <= 1 + wanted.len().min(k.len()) / 4)
        .min()
        .map(|(_, k)| k)
}

impl BuildError {
    fn inner(&self) -> Option<&dyn Diagnostic> {
        match self {
            BuildError::Invalid(e) => Some(e),
            BuildError::UnknownName(e) => Some(e),
            BuildError::Resolve(e) => Some(e),
            BuildError::Name(e) => Some(e),
            BuildError::Gather(e) => Some(&**e),
            BuildError::Lock(e) => Some(e),
            BuildError::Secret(e) => Some(e),
            BuildError::Load { source, .. } => Some(&**source),
            BuildError::Base { source, .. } => Some(&**source),
            BuildError::Builder(e) | BuildError::Refused(e) => Some(&**e),
            BuildError::Unknown { failures, .. } => failures.0.first().map(|(_, e)| &**e as _),
            BuildError::UnknownBuilder { .. }
            | BuildError::Unable { .. }
            | BuildError::BaseElsewhere { .. }
            | BuildError::NoRegistry { .. } => None,
        }
    }
}

impl Diagnostic for BuildError {
    fn code(&self) -> &'static str {
        match self {
            BuildError::UnknownBuilder { .. } => "engine/unknown-builder",
            BuildError::Unable { .. } => "engine/unsupported-by-builder",
            BuildError::BaseElsewhere { .. } => "engine/base-elsewhere",
            BuildError::NoRegistry { .. } => "engine/no-registry",
            BuildError::Unknown { .. } => "engine/unknown-presence",
            _ => self.inner().map_or("engine/bug", Diagnostic::code),
        }
    }

    fn kind(&self) -> ErrorKind {
        match self {
            BuildError::UnknownBuilder { .. }
            | BuildError::Unable { .. }
            | BuildError::BaseElsewhere { .. }
            | BuildError::NoRegistry { .. } => ErrorKind::User,
            _ => self.inner().map_or(ErrorKind::Bug, Diagnostic::kind),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            BuildError::UnknownBuilder { name, known, looked_at } => {
                let meant = nearest(name, known).map(|near| format!("Did you mean {near}?"));
                let looked = match looked_at.as_slice() {
                    [] => None,
                    places => Some(format!("Others come from: {}.", places.join(", "))),
                };
                let all: Vec<String> = meant.into_iter().chain(looked).collect();
                (!all.is_empty()).then(|| all.join(" "))
            }
            BuildError::Unable { able, perhaps, .. } => choice(able, perhaps),
            BuildError::BaseElsewhere { .. } => {
                Some("Push them (--push), or build both with the same builder.".into())
            }
            BuildError::NoRegistry { .. } => Some(
                "Give one with --registry, `registry = ...` in tierce.toml, TIERCE_REGISTRY, or \
                 the config file."
                    .into(),
            ),
            _ => self.inner().and_then(Diagnostic::hint),
        }
    }
}
