//! A build request in the words of the protocol.

use super::{ExternalBuilder, ScratchDirectory};
use crate::error::PluginError;
use crate::protocol::{BaseImage, BuildCall, Context, Login, Need, Output, SecretValue};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use std::sync::Arc;
use tierce_dockerfile::{BaseText, Dialect, RenderOptions, Rendered};
use tierce_engine::{AnyDiagnostic, BuildRequest, Events, ImageBuild, Rendering, Unsupported};

/// A call, and the directory of its context, which is removed with this value.
pub(super) struct Prepared {
    pub call: BuildCall,
    pub scratch: Option<Box<dyn ScratchDirectory>>,
}

impl ExternalBuilder {
    pub(super) fn needs_context(&self) -> bool {
        self.described.needs.contains(&Need::Dockerfile)
    }

    fn context_error(&self, source: AnyDiagnostic) -> PluginError {
        PluginError::Context { builder: self.program.builder.clone(), source }
    }

    /// How images are rendered for this builder.
    fn options(&self, request: &BuildRequest) -> Result<RenderOptions, PluginError> {
        let name = self.described.dialect.as_deref().unwrap_or("buildkit");
        let Some(dialect) = Dialect::named(name) else {
            let (builder, dialect) = (self.program.builder.clone(), name.to_owned());
            return Err(PluginError::Dialect { builder, dialect });
        };
        let base = match &request.base {
            Some(base) if request.has_base() => {
                base_text(base).ok_or_else(|| PluginError::Base { uri: base.uri.clone() })?
            }
            // A dry run shows the name that the base will have.
            Some(base) => base.uri.parse().map_or(BaseText::Own, BaseText::reference),
            None => BaseText::Own,
        };
        let python = self.settings.python.clone();
        Ok(RenderOptions { dialect, base, python, ..RenderOptions::default() })
    }

    /// What of the image its Dockerfile does not say. Where it can't be rendered, the build says
    /// why.
    pub(super) fn left_out(&self, request: &BuildRequest) -> Vec<Unsupported> {
        if !self.needs_context() {
            return vec![];
        }
        let Ok(options) = self.options(request) else { return vec![] };
        tierce_dockerfile::render(&request.gathered, &options)
            .map(|rendered| rendered.warnings)
            .unwrap_or_default()
    }

    /// The image as a Dockerfile with its context.
    async fn rendered(&self, request: &BuildRequest) -> Result<Rendered, PluginError> {
        let options = self.options(request)?;
        let gathered = request.gathered.clone();
        // Files are digested.
        tokio::task::spawn_blocking(move || tierce_dockerfile::render(&gathered, &options))
            .await
            .unwrap_or_else(|panicked| std::panic::resume_unwind(panicked.into_panic()))
            .map_err(|error| self.context_error(Arc::new(error)))
    }

    /// What a dry run shows.
    pub(super) async fn preview(&self, request: &BuildRequest) -> Result<Rendering, PluginError> {
        let command = Some(format!("{} < build request", self.program.path.display()));
        if !self.needs_context() {
            return Ok(Rendering { command, ..Rendering::default() });
        }
        let rendered = self.rendered(request).await?;
        let context = rendered.context.entries().map(|(path, _)| path.to_string()).collect();
        let dockerfile = Some(rendered.dockerfile);
        Ok(Rendering { dockerfile, context, command, ..Rendering::default() })
    }

    /// Makes the call, and writes the context that belongs to it.
    pub(super) async fn prepare(
        &self,
        request: &BuildRequest,
        events: &Events,
    ) -> Result<Prepared, PluginError> {
        let mut call = self.call(request);
        let takes_secrets = self.described.capabilities.secrets;
        if !self.needs_context() {
            if takes_secrets {
                call.secrets = declared(request);
            }
            return Ok(Prepared { call, scratch: None });
        }
        let rendered = self.rendered(request).await?;
        if let Some(large) = rendered.context.large() {
            events.warn("builder/large-context", large.to_string());
        }
        if let (false, Some(secret)) = (takes_secrets, rendered.secrets.first()) {
            let (builder, id) = (self.program.builder.clone(), secret.id.clone());
            return Err(PluginError::Secrets { builder, id });
        }
        call.secrets = rendered
            .secrets
            .iter()
            .filter_map(|secret| {
                let value = secret.value(&request.secrets)?;
                Some(SecretValue { id: secret.id.clone(), value: BASE64.encode(value.expose()) })
            })
            .collect();
        let scratch = self.write_context(&rendered).await?;
        call.context = Some(Context {
            dir: scratch.path().join(CONTEXT),
            dockerfile: rendered.dockerfile_path.clone(),
            build_args: rendered.build_args.clone(),
            target: rendered.target.clone(),
        });
        Ok(Prepared { call, scratch: Some(scratch) })
    }

    fn call(&self, request: &BuildRequest) -> BuildCall {
        let resolved = &request.gathered.resolved;
        let root = &request.gathered.root;
        let base = request.base.as_ref().map(|base| BaseImage {
            uri: base.uri.clone(),
            digest: base.digest.map(|digest| digest.to_string()),
        });
        let takes_secrets = self.described.capabilities.secrets;
        let login = request.login.as_ref().filter(|_| takes_secrets).map(|login| Login {
            registry: login.registry.clone(),
            value: BASE64.encode(login.value.expose()),
        });
        BuildCall {
            uri: request.uri.clone(),
            key: resolved.key().to_string(),
            platforms: request.platforms.clone(),
            image: serde_json::to_value(resolved.image()).expect("images have only string keys"),
            root: std::path::absolute(root).unwrap_or_else(|_| root.clone()),
            base,
            context: None,
            exports: request.exports.iter().map(Output::of).collect(),
            force: request.refresh,
            config: self.config.clone(),
            login,
            secrets: vec![],
        }
    }

    /// Writes the context into a new directory.
    async fn write_context(
        &self,
        rendered: &Rendered,
    ) -> Result<Box<dyn ScratchDirectory>, PluginError> {
        let make = self.settings.scratch.clone();
        let context = rendered.context.clone();
        let written = tokio::task::spawn_blocking(move || {
            let directory = make().map_err(Unwritten::Scratch)?;
            context.write_dir(&directory.path().join(CONTEXT)).map_err(Unwritten::Context)?;
            Ok(directory)
        });
        let written = written.await.unwrap_or_else(|e| std::panic::resume_unwind(e.into_panic()));
        written.map_err(|unwritten| match unwritten {
            Unwritten::Scratch(source) => PluginError::Scratch(Arc::new(source)),
            Unwritten::Context(source) => self.context_error(Arc::new(source)),
        })
    }
}

/// The context below its scratch directory.
const CONTEXT: &str = "context";

enum Unwritten {
    Scratch(std::io::Error),
    Context(tierce_dockerfile::ContextError),
}

/// The image that is the base, by its digest where that is known.
fn base_text(base: &ImageBuild) -> Option<BaseText> {
    let reference: tierce_oci::Reference = base.uri.parse().ok()?;
    // What has no registry is known to the builder by its name only.
    let local = reference.registry() == "localhost";
    Some(BaseText::reference(match base.digest {
        Some(digest) if !local => reference.with_digest(digest),
        _ => reference,
    }))
}

/// The secrets that the image names, for builders that read the image itself.
fn declared(request: &BuildRequest) -> Vec<SecretValue> {
    let mut ids: Vec<_> =
        request.gathered.resolved.image().secrets().into_iter().map(|s| s.id()).collect();
    ids.sort();
    ids.dedup();
    let value = |id: &tierce_spec::SecretId| {
        let value = BASE64.encode(request.secrets.get(id)?.expose());
        Some(SecretValue { id: id.to_string(), value })
    };
    ids.iter().filter_map(value).collect()
}
