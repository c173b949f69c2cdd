//! What settings say about each build.

use tierce_config::{Settings, UnknownImage};
use tierce_engine::{BuildOptions, Execution, UnknownPolicy};

/// The options of a build that the settings say something about; the others have their defaults.
pub fn build_options(settings: &Settings) -> BuildOptions {
    BuildOptions {
        default_registry: settings.registry.clone(),
        names: settings.images.clone(),
        unknown: policy(settings.unknown),
        ..BuildOptions::default()
    }
}

fn policy(unknown: UnknownImage) -> UnknownPolicy {
    match unknown {
        UnknownImage::AssumePresent => UnknownPolicy::AssumePresent,
        UnknownImage::Build => UnknownPolicy::Build,
        UnknownImage::Fail => UnknownPolicy::Fail,
    }
}

/// Where this program runs.
pub(crate) fn execution(settings: &Settings) -> Execution {
    match settings.execution.is_inside() {
        // Some put a hash of the specification there, which is no name of an image.
        true => Execution::Inside {
            image: settings.execution.image_id.clone().filter(|id| is_image(id)),
        },
        false => Execution::Local,
    }
}

fn is_image(text: &str) -> bool {
    text.contains([':', '/']) && text.parse::<tierce_oci::Reference>().is_ok()
}
