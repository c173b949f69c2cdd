//! What an image starts from, and what it is called.

use super::Lowering;
use super::name::{TargetName, split};
use crate::{DefaultBase, FlyteError, FlyteImage, InstallMode, Layer, Prelude, Surroundings};
use tierce_oci::{Platform, Reference};
use tierce_spec::{
    Base, DebianBase, DockerfileBase, Image, PythonProvider, PythonRequest, PythonVersion,
};

/// The image with nothing on it.
pub(super) fn start(
    image: &FlyteImage,
    python: PythonVersion,
    surroundings: &Surroundings,
) -> Result<Image, FlyteError> {
    if let Some(file) = &image.dockerfile {
        return Ok(Image::from_dockerfile(DockerfileBase::new(file)));
    }
    if let Some(name) = &image.ref_name
        && image.base_image.is_none()
    {
        return Ok(Image::from_ref(name));
    }
    match &image.base_image {
        // Which Python a base has is its own business: that of an image which names one is that
        // of the host.
        Some(text) => Ok(Image::from_reference(reference(text)?)),
        None => {
            let base = default_base(&surroundings.default_base, python)?;
            let python = PythonRequest {
                version: Some(python),
                interpreter: None,
                provider: PythonProvider::Auto,
            };
            Ok(Image::from_scratch().with_base(base).with_python(python))
        }
    }
}

/// The image under its name, unless it is its base and nothing else.
pub(super) fn named(
    source: &FlyteImage,
    image: Image,
    surroundings: &Surroundings,
) -> Result<Image, FlyteError> {
    if source.is_unmodified() {
        return Ok(image.with_platforms(source.platform.iter().cloned()));
    }
    let TargetName { registry, name, tag } = match &source.uri {
        Some(uri) => {
            let name = split(uri, source.registry.as_deref())?;
            let registry = name.registry.or_else(|| surroundings.registry.clone());
            TargetName { registry, ..name }
        }
        None => {
            TargetName { registry: source.registry.clone(), name: source.name.clone(), tag: None }
        }
    };
    let mut image = image.with_platforms(source.platform.iter().cloned());
    if let Some(name) = name {
        image = image.with_name(name);
    }
    if let Some(registry) = registry {
        image = image.with_registry(registry);
    }
    if let Some(tag) = tag {
        image = image.with_tag(tag);
    }
    // Flyte's own is a secret of its cluster, where images are pulled.
    if let (Some(secret), None) = (&source.registry_secret, &source.uri) {
        image = image.with_registry_secret(secret.clone());
    }
    Ok(image)
}

fn reference(text: &str) -> Result<Reference, FlyteError> {
    text.parse().map_err(|source| FlyteError::Reference { text: text.to_owned(), source })
}

/// What images start from that only say which Python they want: what `tierce-imagespec` has for
/// specs that do.
fn default_base(base: &DefaultBase, python: PythonVersion) -> Result<Base, FlyteError> {
    let image = match base {
        DefaultBase::Suite(suite) if is_python_of(suite, python) => {
            let debian = DebianBase::new(suite).with_python(true);
            return Ok(Base::Debian(debian.with_packages(["ca-certificates"])));
        }
        DefaultBase::Suite(suite) => format!("python:{python}-slim-{suite}"),
        DefaultBase::Image(image) => image.replace("{python}", &python.to_string()),
    };
    Ok(Base::Registry(reference(&image)?))
}

/// Whether the suite's own Python is one of `version`. Which release of the series it is depends
/// on the day, so nothing more exact is.
fn is_python_of(suite: &str, version: PythonVersion) -> bool {
    let minor = match suite {
        "bullseye" => 9,
        "bookworm" => 11,
        "trixie" => 13,
        _ => return false,
    };
    version == PythonVersion { major: 3, minor, patch: None }
}

/// What Flyte's images are for where nobody says what they are for.
fn flyte_default() -> [Platform; 2] {
    [Platform::linux("amd64"), Platform::linux("arm64")]
}

impl FlyteImage {
    /// Whether the image starts from what Flyte's `from_debian_base` gives.
    fn is_on_flytes(&self) -> bool {
        if self.prelude() != Prelude::Flyte {
            return false;
        }
        let released =
            self.base_image.as_deref().is_some_and(|base| base.contains("flyteorg/flyte:"));
        released || self.makes_user()
    }

    /// Whether making a layer of it runs a program in the image.
    fn runs_programs(&self) -> bool {
        self.layers.iter().any(|layer| match layer {
            Layer::Commands { commands, .. } => !commands.is_empty(),
            Layer::AptPackages { packages, .. } => !packages.is_empty(),
            // What is built from its sources is built by programs.
            Layer::UvProject { mode, .. } | Layer::PoetryProject { mode, .. } => {
                *mode == InstallMode::InstallProject
            }
            Layer::LocalPackages { .. } | Layer::PixiProject { .. } | Layer::PixiScript { .. } => {
                true
            }
            Layer::PipPackages { .. }
            | Layer::Requirements { .. }
            | Layer::Wheels { .. }
            | Layer::UvScript { .. }
            | Layer::Env { .. }
            | Layer::Workdir { .. }
            | Layer::Source { .. }
            | Layer::CodeBundle { .. }
            | Layer::Dockerignore { .. }
            | Layer::DockerLines { .. } => false,
        })
    }
}

impl Lowering<'_> {
    /// Images of Flyte's `from_debian_base` are for two platforms unless their users name some, and
    /// few machines can run the programs of both. Where others are for two, somebody said so; and
    /// where nothing runs, both are made.
    pub(super) fn platforms(&mut self) {
        let wanted = self.image.platforms();
        let default = flyte_default();
        let is_default =
            wanted.len() == default.len() && default.iter().all(|p| wanted.contains(p));
        if !(is_default && self.source.is_on_flytes() && self.source.runs_programs()) {
            return;
        }
        let Some(runnable) = &self.surroundings.runnable else { return };
        let (here, elsewhere): (Vec<Platform>, Vec<Platform>) =
            default.into_iter().partition(|p| runnable.contains(p));
        let Some(kept) = here.first().filter(|_| !elsewhere.is_empty()).cloned() else { return };
        self.image = self.image.with_platforms(here);
        let left_out = elsewhere.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        self.warn(
            "flyte/default-platforms",
            format!(
                "the image is built for {kept} only: Flyte's default is {left_out} too, whose programs don't run on this machine"
            ),
        );
    }
}
