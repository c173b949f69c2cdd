//! Build contexts of others: files with a Dockerfile among them, as ZenML makes them, built by
//! whoever can on this machine.

mod engine;
mod error;
mod login;
mod options;
mod select;
mod stage;

pub use error::{ContextError, OptionError, StageError};
pub use options::{DockerBuildOptions, IgnoredOption, StepNetwork};
pub use select::{BuilderWish, ContainerEngine, ContainerEngineError, ContextBuilder, Looked};

use crate::open::Tierce;
use login::Login;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use tierce_config::Settings;
use tierce_engine::{BuildOptions, CheckCache, Events, GatherCache, ImageBuild};
use tierce_oci::Reference;
use tierce_sandbox::Cancel;
use tierce_secret::SecretValue;
use tierce_spec::{DockerfileBase, Image};

/// The Dockerfile of a context whose options name none.
const DOCKERFILE: &str = "Dockerfile";
/// The context, in a folder of its own.
const CONTEXT: &str = "context";
/// An ignore file that leaves nothing out, beside it.
const IGNORED: &str = "ignored";

/// The files of a context, by their paths in it.
#[derive(Clone, Debug, Default)]
pub struct ContextFiles {
    /// Files, folders and symbolic links of this machine; of folders, only they themselves.
    pub files: BTreeMap<String, PathBuf>,
    /// Texts; where both have a path, it is the text.
    pub contents: BTreeMap<String, String>,
    /// Whether an ignore file has said what is left out.
    pub ignored: bool,
}

/// A context to be built.
#[derive(Clone, Debug)]
pub struct ContextBuild {
    /// The image's name with its tag; with its registry, where it is pushed.
    pub image: String,
    /// What is built.
    pub files: ContextFiles,
    /// How it is built.
    pub options: DockerBuildOptions,
    /// Who builds it.
    pub builder: BuilderWish,
    /// Where it goes.
    pub delivery: Delivery,
}

/// Where an image that was made of a context goes.
#[derive(Clone, Debug)]
pub enum Delivery {
    /// The engine that built it has it.
    Keep,
    /// To the registry in its name.
    Push(Option<RegistryUser>),
}

/// Who pushes, in memory alone.
#[derive(Clone, Debug)]
pub struct RegistryUser {
    /// The user's name.
    pub user: String,
    /// The password, or a token.
    pub password: SecretValue,
}

impl RegistryUser {
    /// A user with a password.
    pub fn new(user: impl Into<String>, password: impl Into<Vec<u8>>) -> Self {
        RegistryUser { user: user.into(), password: SecretValue::new(password) }
    }
}

impl Tierce {
    /// Builds a context, whether its tag is there or not, from what is cached.
    pub async fn build_context(
        settings: Settings,
        cancel: &Cancel,
        program: &Path,
        build: ContextBuild,
        events: &Events,
    ) -> Result<ImageBuild, ContextError> {
        for IgnoredOption { name, reason } in &build.options.ignored {
            events.warn("context/ignored-option", format!("build option {name}: {reason}"));
        }
        // The folder is another one each time: what is remembered of it would help nobody.
        let mut tierce =
            Tierce::open_remembering(settings.clone(), cancel, program, GatherCache::none())?;
        let chosen = select::choose(&tierce, &settings, &build.builder).await?;
        let folder = tierce.native().context().store.scratch_dir("context")?;
        stage(&build.files, folder.path()).await?;
        let image = image(&build)?;
        let login = Login::of(&build.delivery);
        let image = login.iter().fold(image, |image, login| login.image(image));
        tierce.look_for_secrets_in(&settings, login.into_iter().map(Login::provider));
        let told = engine::tell(&mut tierce, &settings, &chosen.name, &build.options, events);
        let told = told.await?;
        let options = BuildOptions {
            root: folder.path().to_owned(),
            platforms: build.options.platforms.clone(),
            push: matches!(build.delivery, Delivery::Push(_)),
            builder: Some(chosen.name),
            // Whoever names tags moves them.
            check_cache: CheckCache::Rebuild,
            force: told.refresh,
            default_registry: None,
            ..crate::build_options(&settings)
        };
        Ok(tierce.build(&image, &options, events).await?)
    }

    /// Who would build a context.
    pub async fn context_builder(
        settings: &Settings,
        cancel: &Cancel,
        program: &Path,
        wish: &BuilderWish,
    ) -> Result<ContextBuilder, ContextError> {
        let tierce = Tierce::open_with(settings.clone(), cancel, program)?;
        select::choose(&tierce, settings, wish).await
    }
}

async fn stage(files: &ContextFiles, folder: &Path) -> Result<(), StageError> {
    let (files, folder) = (files.clone(), folder.to_owned());
    let write = move || {
        let context = folder.join(CONTEXT);
        stage::make(&context)?;
        if files.ignored {
            stage::make_file(&folder.join(IGNORED))?;
        }
        stage::write(&files, &context)
    };
    match tokio::task::spawn_blocking(write).await {
        Ok(written) => written,
        Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
    }
}

/// What the Dockerfile makes, under exactly the name that was asked for.
fn image(build: &ContextBuild) -> Result<Image, ContextError> {
    let options = &build.options;
    let dockerfile = options.dockerfile.clone().unwrap_or_else(|| DOCKERFILE.into());
    let made = Image::from_dockerfile(DockerfileBase {
        file: Path::new(CONTEXT).join(dockerfile),
        context: Some(CONTEXT.into()),
        build_args: options.build_args.clone(),
        target: options.target.clone(),
    });
    let image = match build.files.ignored {
        true => made.with_dockerignore(IGNORED),
        false => made,
    };
    let text = &build.image;
    let invalid = |source| ContextError::Name { text: text.clone(), source };
    let reference = |text: &str| text.parse::<Reference>().map_err(invalid);
    let tag = |reference: &Reference| reference.tag().unwrap_or("latest").to_owned();
    if let Delivery::Push(_) = build.delivery {
        let reference = reference(text)?;
        let (registry, repository) = (reference.registry(), reference.repository());
        return Ok(image.with_registry(registry).with_name(repository).with_tag(tag(&reference)));
    }
    // What is not pushed is nobody's: with a registry in front it is read as it stands.
    let below = reference(&format!("localhost/{text}"))?;
    Ok(image.with_name(below.repository()).with_tag(tag(&below)))
}
