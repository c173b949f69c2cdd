//! A request as a Dockerfile, its context and its secrets.

use crate::error::InputError;
use async_trait::async_trait;
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use tierce_buildkit_client::ContextSource;
use tierce_dockerfile::{
    Archive, BaseText, BuildContext, Dialect, PythonText, RenderError, RenderOptions, Rendered,
    render,
};
use tierce_engine::{AnyDiagnostic, BuildRequest, Events, Gathered, Rendering, Unsupported};
use tierce_secret::SecretValue;
use tierce_spec::{Base, Network, Step};

/// Says how the Python packages of an image are installed by a Dockerfile.
#[async_trait]
pub trait PythonSource: Send + Sync {
    /// Finds `uv`, and makes the lock, for `request`; called only for images with Python packages.
    async fn python(
        &self,
        request: &BuildRequest,
        events: &Events,
    ) -> Result<PythonText, AnyDiagnostic>;
}

/// Renders requests.
#[derive(Clone, Default)]
pub struct Frontend {
    /// How Python packages are installed; without it, images that have some are refused.
    pub python: Option<Arc<dyn PythonSource>>,
}

/// A request as a Dockerfile, its context and its secrets.
#[derive(Clone, Debug)]
pub struct Input {
    /// The text, the context, and what goes with them.
    pub rendered: Rendered,
    /// The values of the secrets that the text names, by id. Where it names one that has no value,
    /// it is not here, and the step that wants it fails.
    pub secrets: BTreeMap<String, SecretValue>,
    /// Whether the build as a whole is to have no network: nothing that it runs may have one, and
    /// the frontend can't say so of single steps.
    pub offline: bool,
}

impl Frontend {
    /// Renders `request` on `base` for the builder `name`. What the text can't say, and a context
    /// larger than was meant, are warnings.
    pub async fn input(
        &self,
        name: &str,
        request: &BuildRequest,
        base: BaseText,
        dialect: Dialect,
        events: &Events,
    ) -> Result<Input, InputError> {
        let wants_python = request.gathered.resolved.python_environment().is_some();
        let python = match &self.python {
            Some(source) if wants_python => source.python(request, events).await?,
            _ => PythonText::default(),
        };
        let offline = !dialect.run_network && runs_offline(&request.gathered);
        let options = RenderOptions { dialect, base, python, ..RenderOptions::default() };
        let rendered = render(&request.gathered, &options)?;
        for Unsupported { parameter, reason } in &rendered.warnings {
            if offline && parameter == "run.network" {
                continue;
            }
            let message = format!("{name} leaves out {parameter}: {reason}");
            events.warn("builder/unsupported-parameter", message);
        }
        if let Some(large) = rendered.context.large() {
            events.warn("builder/large-context", large.to_string());
        }
        let value = |secret: &tierce_dockerfile::RenderedSecret| {
            Some((secret.id.clone(), secret.value(&request.secrets)?.clone()))
        };
        let secrets = rendered.secrets.iter().filter_map(value).collect();
        Ok(Input { rendered, secrets, offline })
    }
}

/// Whether the image runs commands without a network, and nothing else.
fn runs_offline(gathered: &Gathered) -> bool {
    let image = gathered.resolved.image();
    let fetches = match image.base() {
        // What makes Docker Hub's image more like the one that is asked for.
        Base::Debian(debian) => debian.python || !debian.packages.is_empty(),
        Base::Dockerfile(_) => true,
        Base::Registry(_) | Base::Scratch | Base::Image(_) | Base::Named(_) => false,
    };
    let offline = |step: &Step| match step {
        Step::Commands(commands) => Some(commands.network == Network::None),
        Step::Apt(_) | Step::Pip(_) | Step::Requirements(_) | Step::Wheels(_) => Some(false),
        Step::Project(_) | Step::Conda(_) => Some(false),
        _ => None,
    };
    let runs: Vec<bool> = image.steps().iter().filter_map(offline).collect();
    !fetches && !runs.is_empty() && runs.iter().all(|offline| *offline)
}

impl Input {
    /// What a dry run shows.
    pub fn rendering(&self, command: String) -> Rendering {
        let Rendered { dockerfile, context, .. } = &self.rendered;
        Rendering {
            dockerfile: Some(dockerfile.clone()),
            context: context.entries().map(|(path, _)| path.to_string()).collect(),
            command: Some(command),
            plan: None,
        }
    }

    /// The context, to be sent when it is asked for.
    pub fn context(&self) -> Arc<dyn ContextSource> {
        Arc::new(Upload(self.rendered.context.clone()))
    }

    /// Writes the context into `directory`.
    pub fn write_to(&self, directory: &Path) -> Result<(), InputError> {
        Ok(self.rendered.context.write_dir(directory).map_err(RenderError::from)?)
    }
}

/// A context that is archived while it is sent.
struct Upload(BuildContext);

impl ContextSource for Upload {
    fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        self.0.write_archive(Archive::Tar, out).map(|_| ()).map_err(io::Error::other)
    }
}
