//! Where the result of a build goes by name.

use crate::{Image, ImageKey};
use serde::{Serialize, Serializer};
use std::fmt;
use tierce_oci::{Diagnostic, ErrorKind, Reference, ReferenceError};

/// What stands for the key's own tag in the tag that an image asks for, as in `{key}-dev`.
pub const KEY_PLACEHOLDER: &str = "{key}";

/// `<registry>/<name>:<tag>`, or `<name>:<tag>` for an image that has no registry.
///
/// An image without a registry can't be pushed, so only one with a registry has a
/// [`Reference`]: `report:t…` would otherwise be normalised into Docker Hub.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ImageName {
    name: String,
    tag: String,
    reference: Option<Reference>,
}

/// Why an image has no name to go by.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// The image was never named.
    #[error("the image has no name")]
    Unnamed,
    /// The name, the tag or the registry break the grammar of references.
    #[error("{text:?} is not an image name")]
    Invalid {
        /// What the name would be.
        text: String,
        /// What is wrong with it.
        source: ReferenceError,
    },
}

impl Diagnostic for NameError {
    fn code(&self) -> &'static str {
        match self {
            NameError::Unnamed => "spec/no-name",
            NameError::Invalid { .. } => "spec/invalid-name",
        }
    }

    fn kind(&self) -> ErrorKind {
        ErrorKind::User
    }

    fn hint(&self) -> Option<String> {
        match self {
            NameError::Unnamed => {
                Some("Name it: `name = \"report\"` in tierce.toml, `with_name` in code.".into())
            }
            NameError::Invalid { .. } => None,
        }
    }
}

impl ImageName {
    /// What an image that names itself nothing is called: by the folder that it is made from, in
    /// lower case, with `-` for everything that names of repositories can't hold. `None` where
    /// nothing is left.
    pub fn of_folder(folder: &str) -> Option<String> {
        of_folder(folder)
    }

    /// The repository's path below the registry.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The tag.
    pub fn tag(&self) -> &str {
        &self.tag
    }

    /// Where to push the image; `None` where it has no registry.
    pub fn reference(&self) -> Option<&Reference> {
        self.reference.as_ref()
    }
}

impl fmt::Display for ImageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.reference {
            Some(reference) => reference.fmt(f),
            None => write!(f, "{}:{}", self.name, self.tag),
        }
    }
}

impl Serialize for ImageName {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl Image {
    /// The name that the image goes by: its own tag if it has one, else the key's; its own
    /// registry if it has one, else `default_registry`.
    pub fn reference(
        &self,
        key: &ImageKey,
        default_registry: Option<&str>,
    ) -> Result<ImageName, NameError> {
        let name = self.name.as_deref().ok_or(NameError::Unnamed)?;
        let tag = match &self.tag {
            Some(tag) => tag.replace(KEY_PLACEHOLDER, &key.tag()),
            None => key.tag(),
        };
        let local = format!("{name}:{tag}");
        let parse = |text: String| {
            text.parse::<Reference>().map_err(|source| NameError::Invalid { text, source })
        };
        let reference = match self.registry.as_deref().or(default_registry) {
            Some(registry) => Some(parse(format!("{}/{local}", registry.trim_end_matches('/')))?),
            None => {
                parse(format!("localhost/{local}"))?;
                None
            }
        };
        Ok(ImageName { name: name.to_owned(), tag, reference })
    }
}

/// A folder's name as the name of an image: in lower case, with `-` for everything that names of
/// repositories can't hold. `None` where nothing is left.
pub(crate) fn of_folder(folder: &str) -> Option<String> {
    let word = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
    let name: String = folder.to_lowercase().chars().map(word).collect();
    let name = name.trim_matches('-');
    (!name.is_empty()).then(|| name.to_owned())
}
