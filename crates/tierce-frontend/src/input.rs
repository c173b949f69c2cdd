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
use tierce_engine::{AnyDiagnostic, BuildRequest, Events, Rendering, Unsupported};
use tierce_secret::SecretValue;

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
        let options = RenderOptions { dialect, base, python, ..RenderOptions::default() };
        let rendered = render(&request.gathered, &options)?;
        for Unsupported { parameter, reason } in &rendered.warnings {
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
        Ok(Input { rendered, secrets })
    }
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
