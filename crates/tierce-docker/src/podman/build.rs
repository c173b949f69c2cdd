//! `podman build`.

use super::PodmanBuilder;
use super::engine::{Engine, local_name};
use crate::build_args;
use crate::delivery::SecretFiles;
use crate::error::DockerError;
use crate::plain::Podman;
use crate::process::{Program, argument};
use crate::run_build;
use std::collections::BTreeSet;
use tierce_checkers::client_for;
use tierce_dockerfile::BaseText;
use tierce_engine::{BuildRequest, Events, Export, ImageBuild, PlatformBuild, Status};
use tierce_frontend::{Input, InputError, dockerfile_registries, registry_base};
use tierce_oci::Reference;

/// Whether steps are cached, each by itself.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Layers {
    /// As Docker does.
    Cached,
    /// Not at all. buildah takes what was made for one platform for another's, where both start
    /// from nothing or from the same layers.
    Apart,
}

impl Layers {
    fn of(request: &BuildRequest) -> Self {
        match request.platforms.as_slice() {
            [_] => Layers::Cached,
            _ => Layers::Apart,
        }
    }
}

impl PodmanBuilder {
    pub(super) async fn deliver(
        &self,
        request: &BuildRequest,
        events: &Events,
    ) -> Result<ImageBuild, DockerError> {
        let engine = Engine::find(&self.settings)?.hiding(&request.secrets);
        let dialect = engine.dialect().await?;
        let base = self.base(request, &engine).await?;
        let input = self.frontend.input("podman", request, base, dialect, events);
        let input = input.await?;
        self.refuse(request)?;
        let name = local_name(&request.uri).ok_or_else(|| engine.no_result())?;
        self.run(request, &engine, &input, &name, Layers::of(request), events).await?;
        let mut result = ImageBuild::new(&request.uri, Status::Built);
        if let [platform] = request.platforms.as_slice() {
            let mut image = engine.inspect(&name.to_string()).await?;
            if image.as_ref().is_some_and(|image| !image.platform().serves(platform)) {
                self.run(request, &engine, &input, &name, Layers::Apart, events).await?;
                image = engine.inspect(&name.to_string()).await?;
            }
            let digest = image.ok_or_else(|| engine.no_result())?.digest;
            let platform = platform.clone();
            result.platforms = vec![PlatformBuild { platform, digest, layers: vec![] }];
            result.digest = Some(digest);
        }
        if request.platforms.len() > 1 {
            result.platforms = engine.manifests(&name.to_string(), &request.platforms).await?;
        }
        // What a registry has counts most, then what a layout has: podman compresses layers when
        // it delivers them, so its own digest is of something that nobody else sees.
        let is_push = |export: &&Export| matches!(export, Export::Push(_));
        let pushes = request.exports.iter().filter(is_push);
        for export in request.exports.iter().filter(|e| !is_push(e)).chain(pushes) {
            let found = self.export(request, &engine, &name, export, events).await?;
            if let Some(found) = found {
                found.tell(&mut result);
            }
        }
        Ok(result)
    }

    /// What `FROM` says: for an image of ours, the name that podman has it under, else where a
    /// registry has it. One that is in tierce's own store only is neither.
    async fn base(&self, request: &BuildRequest, engine: &Engine) -> Result<BaseText, DockerError> {
        let Some(build) = request.base.as_deref() else { return Ok(BaseText::Own) };
        let local = local_name(&build.uri);
        if let Some(name) = &local
            && let Some(image) = engine.inspect(&name.to_string()).await?
            && build.digest.is_none_or(|digest| image.is(&digest))
        {
            return Ok(BaseText::reference(name.clone()));
        }
        let client = client_for(&self.registry, request.login.as_ref())?;
        let found = registry_base(request, &client).await?;
        let missing = || DockerError::NoBase { engine: "podman", reference: build.uri.clone() };
        found.map(BaseText::reference).ok_or_else(missing)
    }

    async fn run(
        &self,
        request: &BuildRequest,
        engine: &Engine,
        input: &Input,
        name: &Reference,
        layers: Layers,
        events: &Events,
    ) -> Result<(), DockerError> {
        let settings = &self.settings;
        let work = tempfile::Builder::new()
            .prefix("tierce-build")
            .tempdir_in(settings.temporary())
            .map_err(DockerError::Temporary)?;
        let context = work.path().join("context");
        std::fs::create_dir(&context).map_err(DockerError::Temporary)?;
        input.write_to(&context)?;
        request.verify().await.map_err(InputError::from)?;
        let secrets = SecretFiles::write(&input.secrets, settings.runtime_dir.as_deref())?;
        let registries = registries(input);
        let auth = self.auth_file(request, registries.iter().map(String::as_str)).await?;
        if request.platforms.len() > 1 {
            // A list of the same name would be added to.
            let _ = engine.output(&["manifest", "rm", &name.to_string()]).await;
        }
        let mut arguments = vec!["build".to_owned()];
        arguments.extend(self.build_arguments(request, input, name, layers));
        arguments.extend(secrets.arguments());
        arguments.extend(auth.iter().flat_map(|auth| auth.arguments()));
        let dockerfile = context.join(&input.rendered.dockerfile_path);
        arguments.extend(["--file".to_owned(), argument(&dockerfile), argument(&context)]);
        let mut program = engine.program.clone();
        // What podman makes while it builds stays on the same disk.
        program.variables.push(("TMPDIR".to_owned(), argument(settings.temporary())));
        let program = build_args::with_values(program, &input.rendered.build_args)?;
        run_build(&program, &arguments, &mut Podman::new(events, &request.secrets)).await
    }

    /// The arguments that say what to build, without those that name files of one run.
    fn build_arguments(
        &self,
        request: &BuildRequest,
        input: &Input,
        name: &Reference,
        layers: Layers,
    ) -> Vec<String> {
        let mut all = vec![];
        let mut option = |name: &str, value: String| all.extend([name.to_owned(), value]);
        let several = request.platforms.len() > 1;
        option(if several { "--manifest" } else { "--tag" }, name.to_string());
        let platforms: Vec<String> = request.platforms.iter().map(|p| p.to_string()).collect();
        option("--platform", platforms.join(","));
        if let Some(target) = &input.rendered.target {
            option("--target", target.clone());
        }
        all.extend(build_args::arguments(&input.rendered.build_args));
        let mut option = |name: &str, value: String| all.extend([name.to_owned(), value]);
        for cache in &self.settings.cache_from {
            option("--cache-from", cache.clone());
        }
        for cache in &self.settings.cache_to {
            option("--cache-to", cache.clone());
        }
        all.push(match layers {
            Layers::Cached => "--layers".to_owned(),
            Layers::Apart => "--layers=false".to_owned(),
        });
        if request.refresh {
            all.push("--no-cache".to_owned());
            if request.base.is_none() {
                all.push("--pull=always".to_owned());
            }
        }
        if registries(input).iter().any(|host| self.settings.insecure.is_plain(host)) {
            all.push("--tls-verify=false".to_owned());
        }
        all.extend(self.settings.extra_args.iter().cloned());
        if input.offline {
            // The last one counts.
            all.push("--network=none".to_owned());
        }
        all
    }

    /// What would be typed for `request`, for a dry run: files of a run are `...`.
    pub(super) fn command_line(&self, request: &BuildRequest, input: &Input) -> String {
        let mut arguments = vec!["build".to_owned()];
        if let Some(name) = local_name(&request.uri) {
            arguments.extend(self.build_arguments(request, input, &name, Layers::of(request)));
        }
        for id in input.secrets.keys() {
            arguments.extend(["--secret".to_owned(), format!("id={id},src=...")]);
        }
        arguments.extend(["--file".to_owned(), input.rendered.dockerfile_path.clone()]);
        arguments.push(".".to_owned());
        let program =
            Program { path: "podman".into(), arguments: vec![], variables: vec![], hidden: vec![] };
        program.display(&arguments)
    }
}

/// The registries that the text's images are from.
fn registries(input: &Input) -> BTreeSet<String> {
    let arguments = input.rendered.build_args.iter().map(|(k, v)| (k.clone(), v.clone()));
    dockerfile_registries(&input.rendered.dockerfile, &arguments.collect())
}
