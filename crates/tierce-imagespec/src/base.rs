//! What images start from.

use crate::DefaultBase;
use crate::error::ImageSpecError;
use tierce_oci::Reference;
use tierce_spec::{Base, DebianBase, PythonVersion};

/// The image that `base_image` names.
pub(crate) fn reference(text: &str) -> Result<Reference, ImageSpecError> {
    text.parse().map_err(|source| ImageSpecError::Base { text: text.to_owned(), source })
}

/// What specs start from that name no base.
pub(crate) fn default_base(
    base: &DefaultBase,
    python: Option<PythonVersion>,
) -> Result<Base, ImageSpecError> {
    let image = match (base, python) {
        (DefaultBase::Suite(suite), Some(version)) if !is_python_of(suite, version) => {
            format!("python:{version}-slim-{suite}")
        }
        (DefaultBase::Suite(suite), _) => {
            let debian = DebianBase::new(suite).with_python(true);
            return Ok(Base::Debian(debian.with_packages(["ca-certificates"])));
        }
        (DefaultBase::Image(image), Some(version)) => {
            image.replace("{python}", &version.to_string())
        }
        (DefaultBase::Image(image), None) => image.replace("{python}", "3.12"),
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

/// Whether this is the plain image of a distribution, which has no Python.
pub(crate) fn is_bare(reference: &Reference) -> bool {
    const BARE: [&str; 2] = ["library/debian", "library/ubuntu"];
    reference.registry() == "docker.io" && BARE.contains(&reference.repository())
}
