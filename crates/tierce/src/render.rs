//! Images as the texts that other builders take. Nothing is built, and nothing is asked of anybody.

use crate::error::Error;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use tierce_config::Settings;
use tierce_dockerfile::{BaseText, Dialect, PythonText, RenderOptions, Rendered, UvSource};
use tierce_engine::{BuildError, GatheredBase, Prepared, reference_of};
use tierce_oci::Platform;
use tierce_spec::Base;

/// How an image is rendered.
#[derive(Clone, Debug, Default)]
pub struct RenderWishes {
    /// What the builder's frontend understands.
    pub dialect: Dialect,
    /// A static `uv` for this machine's platform, to ship in the context; without one the text
    /// takes it from Astral's image.
    pub uv: Option<PathBuf>,
    /// Certificate authorities that `uv` is to see in the build.
    pub ca_bundle: Option<PathBuf>,
}

/// Renders an image as a Dockerfile with its context. A base that is an image of ours is named as
/// it will be when it is built.
pub fn render(
    prepared: &Prepared,
    settings: &Settings,
    wishes: &RenderWishes,
) -> Result<Rendered, Error> {
    let uv = match &wishes.uv {
        Some(file) => UvSource::Files(BTreeMap::from([(Platform::host(), file.clone())])),
        None => UvSource::Image(crate::engines::uv_image()),
    };
    let options = RenderOptions {
        dialect: wishes.dialect,
        base: base(prepared, settings)?,
        python: PythonText {
            uv: Some(uv),
            lock: None,
            index: settings.index.clone(),
            ca_bundle: wishes.ca_bundle.clone(),
        },
        ..RenderOptions::default()
    };
    tierce_dockerfile::render(&prepared.gathered, &options)
        .map_err(|error| Error::Render(Arc::new(error)))
}

fn base(prepared: &Prepared, settings: &Settings) -> Result<BaseText, BuildError> {
    let Some(GatheredBase::Image(below)) = &prepared.gathered.base else {
        return Ok(BaseText::Own);
    };
    let image = below.resolved.image();
    if let (Base::Registry(reference), true) = (image.base(), image.is_unmodified()) {
        return Ok(BaseText::reference(reference.clone()));
    }
    // As the engine names it.
    let image = match image.name() {
        Some(_) => image.clone(),
        None => image.with_name(format!("{}-base", prepared.name.name())),
    };
    let above = prepared.name.reference().and_then(|reference| {
        let registry = reference.name().strip_suffix(prepared.name.name())?.to_owned();
        Some(registry.trim_end_matches('/').to_owned())
    });
    let default = settings.registry.clone();
    let name = image.reference(&below.resolved.key(), above.or(default).as_deref())?;
    Ok(BaseText::reference(reference_of(&name)))
}
