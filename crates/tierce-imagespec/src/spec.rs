//! The spec, and what can be done with it.

use crate::error::{ImageSpecError, Problems};
use crate::{BaseImage, Fields, ImageSpecId, SourceCopyMode, TagFormat, Wanted, validate};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::path::PathBuf;
use tierce_oci::Platform;
use tierce_spec::ImageKey;

/// What an image is, in flytekit's words: a value that never changes.
///
/// Each `with_*` method returns a new spec; a forced one stays forced.
///
/// Its JSON form is for another process of the same release: it has all that the spec says, the
/// credentials of its URLs included.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageSpec {
    pub(crate) fields: Fields,
    #[serde(default)]
    pub(crate) force: bool,
    #[serde(default)]
    pub(crate) known_as: Option<KnownAs>,
}

/// What another program calls a spec and its image: one that has computed both in its own way,
/// and looks for them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KnownAs {
    /// What its containers have as `_F_IMG_ID`.
    pub id: String,
    /// The image's tag.
    pub tag: String,
}

/// What is known of the container that the program runs in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Running<'a> {
    /// Whether a task is being executed, and not only a program on somebody's machine.
    pub in_execution: bool,
    /// The value of `_F_IMG_ID`.
    pub image_id: Option<&'a str>,
}

impl ImageSpec {
    /// The spec that `fields` make.
    ///
    /// # Errors
    /// [`ImageSpecError::Invalid`] with everything that is wrong with them.
    pub fn new(fields: Fields) -> Result<Self, ImageSpecError> {
        let spec = ImageSpec { fields: normalised(fields), force: false, known_as: None };
        spec.validate()?;
        Ok(spec)
    }

    /// What it says; name and registry in lower case, a copy mode wherever there is a source root.
    pub fn fields(&self) -> &Fields {
        &self.fields
    }

    /// Checks everything that can be checked without looking at anything; for those that were
    /// changed since they were made.
    pub fn validate(&self) -> Result<(), ImageSpecError> {
        match validate::problems(&self.fields) {
            problems if problems.is_empty() => Ok(()),
            problems => Err(ImageSpecError::Invalid(Problems(problems))),
        }
    }

    /// What identifies the spec: in flytekit's image configuration, and in the containers made
    /// from it, as `_F_IMG_ID`.
    pub fn id(&self) -> ImageSpecId {
        ImageSpecId::of(&self.fields)
    }

    /// The tag of the image whose key is `key`: its hash, in the spec's `tag_format`.
    ///
    /// # Errors
    /// A `tag_format` that is none, in a spec that was never valid.
    pub fn tag(&self, key: &ImageKey) -> Result<String, ImageSpecError> {
        let format = TagFormat::parse_or_hash(self.fields.tag_format.as_deref())
            .map_err(|error| ImageSpecError::Invalid(Problems(vec![error.into()])))?;
        Ok(format.apply(&key.tag()))
    }

    /// `registry/name:tag`, or `name:tag`, of the image whose key is `key`.
    ///
    /// # Errors
    /// As [`ImageSpec::tag`].
    pub fn image_name(&self, key: &ImageKey) -> Result<String, ImageSpecError> {
        let local = format!("{}:{}", self.fields.name, self.tag(key)?);
        Ok(match &self.fields.registry {
            Some(registry) => format!("{}/{local}", registry.trim_end_matches('/')),
            None => local,
        })
    }

    /// Whether the running container was made from this spec. Outside of an execution the answer
    /// is yes: nobody knows yet what the code will run in.
    pub fn is_container(&self, running: Running<'_>) -> bool {
        !running.in_execution || running.image_id.is_some_and(|id| id == self.container_id())
    }

    /// The platforms that the image is for, where `host` builds it.
    pub fn platforms(&self, host: &Platform) -> Vec<Platform> {
        if !self.fields.platform.is_empty() {
            return self.fields.platform.clone();
        }
        let local = self.fields.registry.as_deref().is_some_and(|r| r.starts_with("localhost:"));
        let arm = host.architecture == "arm64";
        vec![Platform::linux(if local && arm { "arm64" } else { "amd64" })]
    }

    /// What has to be looked at on the host before the spec is lowered; of its base, too.
    pub fn wanted(&self) -> Wanted<'_> {
        let mut wanted = match &self.fields.base_image {
            Some(BaseImage::Spec(base)) => base.wanted(),
            Some(BaseImage::Reference(_)) | None => Wanted::default(),
        };
        wanted.requirements.extend(self.fields.requirements.as_deref());
        wanted.copy.extend(self.fields.copy.iter().map(PathBuf::as_path));
        if self.fields.source_copy_mode == Some(SourceCopyMode::LoadedModules) {
            wanted.source_roots.extend(self.fields.source_root.as_deref());
        }
        wanted
    }

    /// Whether it is built whatever is there.
    pub fn is_forced(&self) -> bool {
        self.force
    }

    /// The same spec, built whatever is there.
    pub fn force_push(&self) -> Self {
        ImageSpec { force: true, ..self.clone() }
    }

    /// The same spec, its container and its image under names that another program has for them.
    /// A spec that is made of it has its own again.
    pub fn known_as(&self, names: KnownAs) -> Self {
        ImageSpec { known_as: Some(names), ..self.clone() }
    }

    /// What a container knows the spec by.
    pub(crate) fn container_id(&self) -> String {
        match &self.known_as {
            Some(known) => known.id.clone(),
            None => self.id().to_string(),
        }
    }

    /// With further commands.
    pub fn with_commands(&self, commands: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.with(|fields| extend(&mut fields.commands, commands))
    }

    /// With further Python packages.
    pub fn with_packages(&self, packages: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.with(|fields| extend(&mut fields.packages, packages))
    }

    /// With further Debian packages.
    pub fn with_apt_packages(&self, packages: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.with(|fields| extend(&mut fields.apt_packages, packages))
    }

    /// With further files and folders of the host.
    pub fn with_copy(&self, paths: impl IntoIterator<Item = impl Into<PathBuf>>) -> Self {
        self.with(|fields| fields.copy.extend(paths.into_iter().map(Into::into)))
    }

    /// With further packages that are installed when a container starts.
    pub fn with_runtime_packages(
        &self,
        packages: impl IntoIterator<Item = impl Into<String>>,
    ) -> Self {
        self.with(|fields| extend(&mut fields.runtime_packages, packages))
    }

    /// With these options of the builder; those that it has already are replaced.
    pub fn with_builder_options(
        &self,
        options: impl IntoIterator<Item = (impl Into<String>, Value)>,
    ) -> Self {
        let options = options.into_iter().map(|(name, value)| (name.into(), value));
        self.with(|fields| fields.builder_options.extend(options))
    }

    fn with(&self, change: impl FnOnce(&mut Fields)) -> Self {
        let mut changed = ImageSpec { known_as: None, ..self.clone() };
        change(&mut changed.fields);
        changed
    }
}

fn extend(list: &mut Vec<String>, items: impl IntoIterator<Item = impl Into<String>>) {
    list.extend(items.into_iter().map(Into::into));
}

/// What flytekit makes of the fields before it looks at them.
fn normalised(fields: Fields) -> Fields {
    use crate::SourceCopyMode::LoadedModules;
    let source_copy_mode = match (fields.source_copy_mode, &fields.source_root) {
        (None, Some(_)) => Some(LoadedModules),
        (mode, _) => mode,
    };
    Fields {
        name: fields.name.to_lowercase(),
        registry: fields.registry.filter(|r| !r.is_empty()).map(|r| r.to_lowercase()),
        source_copy_mode,
        ..fields
    }
}
