//! What `FROM` says.

use tierce_oci::{ImageConfig, Platform, Reference};
use tierce_spec::{Base, DebianBase};

/// What `FROM` says.
#[derive(Clone, Debug, Default)]
pub enum BaseText {
    /// What the image says. A Debian base is Docker Hub's `debian` image then, with the packages
    /// that make up the difference: near to what tierce assembles, but another image.
    #[default]
    Own,
    /// This image: the base, already built or assembled.
    Image {
        /// Where it is.
        reference: Reference,
        /// Its configuration. Without it, it is not known which user, directory and variables the
        /// base has, and the text is written so that it need not be.
        config: Option<Box<ImageConfig>>,
    },
}

impl BaseText {
    /// The image at `reference`, of which nothing more is known.
    pub fn reference(reference: Reference) -> Self {
        BaseText::Image { reference, config: None }
    }

    /// The image at `reference` with this configuration.
    pub fn known(reference: Reference, config: ImageConfig) -> Self {
        BaseText::Image { reference, config: Some(Box::new(config)) }
    }
}

/// The search path that Docker sets where an image has none.
pub(crate) const DEFAULT_PATH: &str =
    "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// `FROM`, and what is known of the base.
pub(crate) struct From {
    pub text: String,
    pub config: Option<ImageConfig>,
    /// The packages that Docker Hub's image lacks.
    pub packages: Vec<String>,
}

/// `FROM` for `base`; `None` where the caller has to say which image it is.
pub(crate) fn from(base: &Base, text: &BaseText) -> Option<From> {
    let plain = |text: String, config| From { text, config, packages: vec![] };
    Some(match (text, base) {
        (BaseText::Image { reference, config }, _) => {
            plain(reference.to_string(), config.as_deref().cloned())
        }
        (BaseText::Own, Base::Scratch) => {
            plain("scratch".to_owned(), Some(ImageConfig::scratch(Platform::host())))
        }
        (BaseText::Own, Base::Registry(reference)) => plain(reference.to_string(), None),
        (BaseText::Own, Base::Debian(debian)) => debian_from(debian),
        (BaseText::Own, Base::Image(_) | Base::Named(_) | Base::Dockerfile(_)) => return None,
    })
}

fn debian_from(debian: &DebianBase) -> From {
    // Docker Hub's image: a search path, `bash`, and nothing else.
    let mut config = ImageConfig::scratch(Platform::host());
    config.set_env("PATH", DEFAULT_PATH);
    config.config.cmd = Some(vec!["bash".to_owned()]);
    let python = debian.python.then(|| "python3".to_owned());
    From {
        text: format!("docker.io/library/debian:{}-slim", debian.suite),
        config: Some(config),
        packages: python.into_iter().chain(debian.packages.iter().cloned()).collect(),
    }
}
