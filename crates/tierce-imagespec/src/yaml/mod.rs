//! `imageSpec.yaml`: a spec as a file.

mod error;
mod node;
mod read;

pub use error::{YamlError, YamlProblem};

use crate::ImageSpec;

impl ImageSpec {
    /// Reads a YAML file of the fields; `file_name` is what messages call it. A `base_image` may
    /// be a mapping of fields, too.
    ///
    /// Versions and variables may be written as numbers: they are taken as they are spelled, so
    /// that `python_version: 3.10` is 3.10.
    ///
    /// # Errors
    /// Everything that is wrong with the file, each with its line and column.
    ///
    /// ```
    /// use tierce_imagespec::ImageSpec;
    ///
    /// let spec = ImageSpec::from_yaml("packages:\n  - pandas\npython_version: 3.11\n", "a.yaml")?;
    /// assert_eq!(spec.fields().packages, ["pandas"]);
    ///
    /// let error = ImageSpec::from_yaml("package: [pandas]\n", "a.yaml").unwrap_err();
    /// assert_eq!(error.to_string(), "a.yaml:1:1: unknown key `package`, did you mean `packages`?");
    /// # Ok::<(), tierce_imagespec::YamlError>(())
    /// ```
    pub fn from_yaml(text: &str, file_name: &str) -> Result<Self, YamlError> {
        read::spec(text).map_err(|problems| YamlError::new(file_name, problems))
    }
}
