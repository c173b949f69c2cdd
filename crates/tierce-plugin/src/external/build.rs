//! `build` as an [`ImageBuilder`].

use super::ExternalBuilder;
use super::call::Prepared;
use super::checker::ProgramChecker;
use super::steps::Steps;
use crate::error::{AnswerError, PluginError};
use crate::process::Phase;
use crate::protocol::{BuildAnswer, BuildCall, Call};
use async_trait::async_trait;
use std::collections::BTreeSet;
use std::sync::Arc;
use tierce_engine::{
    BuildRequest, BuilderError, Capabilities, Events, Export, ExportKind, ImageBuild, ImageBuilder,
    ImageChecker, PlatformBuild, RegistryLogin, Rendering, Status, Unsupported,
};
use tierce_oci::{Descriptor, MediaType, Platform};

#[async_trait]
impl ImageBuilder for ExternalBuilder {
    fn name(&self) -> &str {
        &self.program.builder
    }

    fn capabilities(&self) -> Capabilities {
        let described = &self.described.capabilities;
        Capabilities {
            exports: described.exports.iter().filter_map(|word| export_kind(word)).collect(),
            multi_platform: described.multi_platform,
            secrets: described.secrets,
            dockerfiles: described.dockerfiles,
            reproducible: described.reproducible,
        }
    }

    fn unsupported(&self, request: &BuildRequest) -> Vec<Unsupported> {
        self.left_out(request)
    }

    async fn render(&self, request: &BuildRequest, _: &Events) -> Result<Rendering, BuilderError> {
        self.preview(request).await.map_err(|error| BuilderError(Arc::new(error)))
    }

    async fn build(
        &self,
        request: &BuildRequest,
        events: &Events,
    ) -> Result<ImageBuild, BuilderError> {
        let build = self.build_image(request, events).await;
        build.map_err(|error| BuilderError(Arc::new(error)))
    }

    fn checkers(
        &self,
        exports: &[Export],
        login: Option<&RegistryLogin>,
    ) -> Vec<Arc<dyn ImageChecker>> {
        let mut checkers: Vec<Arc<dyn ImageChecker>> = vec![];
        if self.described.capabilities.check {
            checkers.push(Arc::new(ProgramChecker(self.clone())));
        }
        if exports.iter().any(|export| matches!(export, Export::Push(_))) {
            checkers.extend(self.settings.registries.as_ref().map(|checker| checker(login)));
        }
        checkers
    }
}

/// A kind of export by its word in the protocol; the same word as in tierce's own JSON.
fn export_kind(word: &str) -> Option<ExportKind> {
    Some(match word {
        "local" => ExportKind::Local,
        "push" => ExportKind::Push,
        "oci-layout" => ExportKind::OciLayout,
        "oci-archive" => ExportKind::OciArchive,
        "docker-archive" => ExportKind::DockerArchive,
        "load" => ExportKind::Load,
        _ => return None,
    })
}

impl ExternalBuilder {
    async fn build_image(
        &self,
        request: &BuildRequest,
        events: &Events,
    ) -> Result<ImageBuild, PluginError> {
        self.refuse_foreign_platforms(request)?;
        // The directory with the context lives as long as the build.
        let Prepared { call, scratch: _scratch } = self.prepare(request, events).await?;
        self.verify(request).await?;
        let title = format!("{} builds {}", self.program.builder, request.uri);
        let mut steps = Steps::start(events, &self.program.builder, title);
        let call = Call::Build(Box::new(call));
        let mut take = |said| steps.take(said);
        let answer = self.program.ask(&call, &request.secrets, &mut take).await?;
        let Call::Build(call) = &call else { unreachable!("it was made two lines above") };
        let build = self
            .accept(call, request, answer)
            .map_err(|source| self.wrong_answer(Phase::Build, source))?;
        if call.context.is_none() {
            // The program has read the sources itself.
            self.verify(request).await?;
        }
        steps.finish();
        Ok(build)
    }

    fn refuse_foreign_platforms(&self, request: &BuildRequest) -> Result<(), PluginError> {
        let able = &self.described.capabilities.platforms;
        let unable = |wanted: &&Platform| !able.iter().any(|p| p.serves(wanted));
        match request.platforms.iter().find(unable) {
            Some(platform) if !able.is_empty() => Err(PluginError::Platform {
                builder: self.program.builder.clone(),
                platform: platform.clone(),
                able: list(able),
            }),
            _ => Ok(()),
        }
    }

    async fn verify(&self, request: &BuildRequest) -> Result<(), PluginError> {
        request.verify().await.map_err(|error| PluginError::Changed(Arc::new(error)))
    }

    pub(super) fn wrong_answer(&self, phase: Phase, source: AnswerError) -> PluginError {
        PluginError::Answer { builder: self.program.builder.clone(), phase, source }
    }

    /// The answer as a result, if it is one to this call.
    fn accept(
        &self,
        call: &BuildCall,
        request: &BuildRequest,
        answer: serde_json::Value,
    ) -> Result<ImageBuild, AnswerError> {
        let answer: BuildAnswer = serde_json::from_value(answer)
            .map_err(|source| AnswerError::Shape(Arc::new(source)))?;
        for (field, found, expected) in
            [("uri", &answer.uri, &call.uri), ("key", &answer.key, &call.key)]
        {
            if found != expected {
                let (found, expected) = (found.clone(), expected.clone());
                return Err(AnswerError::OtherImage { field, found, expected });
            }
        }
        let platforms = platforms(&answer, &call.platforms)?;
        let pushes = request.exports.iter().any(|e| e.kind() == ExportKind::Push);
        if pushes && answer.digest.is_none() {
            return Err(AnswerError::NoDigest);
        }
        if let Some(path) = call.exports.iter().filter_map(|e| e.path()).find(|path| !path.exists())
        {
            return Err(AnswerError::NoOutput(path.to_owned()));
        }
        let media_type = match call.platforms.len() {
            1 => MediaType::OciManifest,
            _ => MediaType::OciIndex,
        };
        Ok(ImageBuild {
            digest: answer.digest,
            platforms,
            root: answer.digest.map(|digest| Descriptor::new(media_type, digest, 0)),
            ..ImageBuild::new(&request.uri, Status::Built)
        })
    }
}

/// One result for each platform asked for. A builder for one platform need not name it.
fn platforms(answer: &BuildAnswer, wanted: &[Platform]) -> Result<Vec<PlatformBuild>, AnswerError> {
    let built = |platform: &Platform, digest| PlatformBuild {
        platform: platform.clone(),
        digest,
        layers: vec![],
    };
    if let (true, [one]) = (answer.platforms.is_empty(), wanted) {
        return Ok(answer.digest.map(|digest| built(one, digest)).into_iter().collect());
    }
    let found: BTreeSet<&Platform> = answer.platforms.iter().map(|p| &p.platform).collect();
    let same = found.len() == wanted.len()
        && wanted.iter().all(|wanted| found.iter().any(|found| found.serves(wanted)));
    if !same {
        return Err(AnswerError::Platforms { found: list(found), expected: list(wanted) });
    }
    let of = |wanted: &Platform| {
        let entry = answer.platforms.iter().find(|p| p.platform.serves(wanted))?;
        Some(built(wanted, entry.digest))
    };
    Ok(wanted.iter().filter_map(of).collect())
}

fn list<'a>(platforms: impl IntoIterator<Item = &'a Platform>) -> String {
    let texts: Vec<String> = platforms.into_iter().map(Platform::to_string).collect();
    if texts.is_empty() { "no platform".into() } else { texts.join(", ") }
}
