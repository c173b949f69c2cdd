//! The builder that builds nothing.

use crate::builder::{
    BuildRequest, BuilderError, Capabilities, ImageBuild, ImageBuilder, RegistryLogin, Status,
    Unsupported,
};
use crate::checker::{AnyDiagnostic, ImageChecker};
use crate::event::Events;
use crate::export::{Export, ExportKind};
use async_trait::async_trait;
use std::sync::Arc;
use tierce_oci::{Diagnostic, ErrorKind, Reference};
use tierce_spec::{Base, Image};

/// Builds nothing: what an image starts from is taken for the image itself.
///
/// For places where somebody else sees to the images, and the steps are there for others to read.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoopBuilder;

/// The base is no image of a registry, so there is nothing to give back.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the noop builder gives back the base, and {base} has no reference")]
pub struct NoReference {
    base: String,
}

impl Diagnostic for NoReference {
    fn code(&self) -> &'static str {
        "noop/no-reference"
    }

    fn kind(&self) -> ErrorKind {
        ErrorKind::User
    }

    fn hint(&self) -> Option<String> {
        Some("Start from an image of a registry, or choose another builder.".into())
    }
}

fn reference(image: &Image) -> Result<&Reference, NoReference> {
    let base = match image.base() {
        Base::Registry(reference) => return Ok(reference),
        Base::Image(below) => match below.name() {
            Some(name) => format!("the image {name:?}"),
            None => "another image".to_owned(),
        },
        Base::Debian(debian) => format!("debian {}", debian.suite),
        Base::Scratch => "scratch".to_owned(),
        Base::Dockerfile(dockerfile) => dockerfile.file.display().to_string(),
        Base::Named(name) => format!("the name {name:?}"),
    };
    Err(NoReference { base })
}

#[async_trait]
impl ImageBuilder for NoopBuilder {
    fn name(&self) -> &str {
        "noop"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            exports: [ExportKind::Local, ExportKind::Push].into(),
            multi_platform: true,
            secrets: true,
            dockerfiles: false,
            reproducible: true,
        }
    }

    fn refuses(&self, image: &Image) -> Option<AnyDiagnostic> {
        reference(image).err().map(|error| Arc::new(error) as AnyDiagnostic)
    }

    fn unsupported(&self, request: &BuildRequest) -> Vec<Unsupported> {
        let steps = request.gathered.resolved.image().steps().len();
        let left_out =
            |parameter: String, reason: &str| Unsupported { parameter, reason: reason.to_owned() };
        let mut all = vec![];
        if steps > 0 {
            all.push(left_out(format!("its {steps} steps"), "nothing is built"));
        }
        if !request.exports.is_empty() {
            all.push(left_out("push".to_owned(), "the base is where it is"));
        }
        all
    }

    async fn build(&self, request: &BuildRequest, _: &Events) -> Result<ImageBuild, BuilderError> {
        match reference(request.gathered.resolved.image()) {
            Ok(reference) => Ok(ImageBuild::new(reference.to_string(), Status::Unmodified)),
            Err(error) => Err(BuilderError(Arc::new(error))),
        }
    }

    fn checkers(&self, _: &[Export], _: Option<&RegistryLogin>) -> Vec<Arc<dyn ImageChecker>> {
        vec![]
    }
}
