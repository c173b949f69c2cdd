//! Building by the `docker` command, where the API is not enough.

use super::DockerBuilder;
use crate::build_args;
use crate::error::DockerError;
use crate::partial::Partial;
use crate::plain::BuildkitPlain;
use crate::process::{Program, argument};
use crate::{delivery::SecretFiles, run_build};
use serde_json::Value;
use std::path::Path;
use tierce_dockerfile::Dialect;
use tierce_engine::{
    BuildRequest, Events, Export, ImageBuild, Outcome, PlatformBuild, Status, StepKind,
};
use tierce_frontend::{Input, InputError};
use tierce_oci::{Digest, Reference};

/// The last release of the command that has BuildKit without any plug-in.
const BUILDKIT_INSIDE: u32 = 22;

impl DockerBuilder {
    pub(super) async fn build_with_command(
        &self,
        request: &BuildRequest,
        program: &Program,
        events: &Events,
    ) -> Result<ImageBuild, DockerError> {
        let base = self.base(request, None).await?;
        let dialect = match self.buildx {
            true => Dialect { secret_env: false, ..Dialect::BUILDKIT },
            false => Dialect::DOCKER_20,
        };
        let input = self.frontend.input("docker", request, base, dialect, events).await?;
        let work = Work::prepare(self, &input)?;
        request.verify().await.map_err(InputError::from)?;
        match self.buildx {
            true => self.with_buildx(request, program, &input, &work, events).await,
            false => self.with_plain_command(request, program, &input, &work, events).await,
        }
    }

    /// One run for each destination: every build but the first is from the cache.
    async fn with_buildx(
        &self,
        request: &BuildRequest,
        program: &Program,
        input: &Input,
        work: &Work,
        events: &Events,
    ) -> Result<ImageBuild, DockerError> {
        let program = build_args::with_values(program.clone(), &input.rendered.build_args)?;
        let mut result = ImageBuild::new(&request.uri, Status::Built);
        let exports: Vec<&Export> = match request.exports.as_slice() {
            [] => vec![&Export::Load],
            exports => exports.iter().collect(),
        };
        for export in exports {
            let mut partial = None;
            let output = match export {
                Export::Push(to) => format!("type=image,name={to},push=true"),
                Export::Load if request.platforms.len() > 1 => {
                    let export = export.kind();
                    return Err(DockerError::SeveralPlatforms { builder: "docker", export });
                }
                Export::Load => format!("type=docker,name={}", request.uri),
                Export::OciLayout(path) => {
                    let dest = partial.insert(Partial::beside(path)?).path();
                    format!("type=oci,tar=false,dest={}", argument(dest))
                }
                Export::OciArchive(path) => {
                    let dest = partial.insert(Partial::beside(path)?).path();
                    format!("type=oci,dest={}", argument(dest))
                }
                Export::DockerArchive(path) => {
                    let dest = partial.insert(Partial::beside(path)?).path();
                    format!("type=docker,name={},dest={}", request.uri, argument(dest))
                }
            };
            let metadata = work.directory.path().join("metadata.json");
            let mut arguments = vec!["buildx".to_owned(), "build".to_owned()];
            arguments.extend(self.build_arguments(request, input));
            arguments.extend(["--output".to_owned(), output]);
            arguments.extend(["--metadata-file".to_owned(), argument(&metadata)]);
            arguments.extend(work.arguments(input));
            let mut progress = BuildkitPlain::new(events, &request.secrets);
            run_build(&program, &arguments, &mut progress).await?;
            if let Some(partial) = partial {
                partial.finish()?;
            }
            let digest = digest_of(&metadata).ok_or_else(no_result)?;
            result.digest = Some(digest);
            if let Export::Push(to) = export {
                let client = tierce_checkers::client_for(&self.registry, request.login.as_ref())?;
                result.root = client.head_manifest(&to.with_digest(digest)).await?;
            }
        }
        if let ([platform], Some(digest)) = (request.platforms.as_slice(), result.digest) {
            let platform = platform.clone();
            result.platforms = vec![PlatformBuild { platform, digest, layers: vec![] }];
        }
        Ok(result)
    }

    /// `docker build` of a release that has BuildKit inside, and `docker push` and `save`.
    async fn with_plain_command(
        &self,
        request: &BuildRequest,
        program: &Program,
        input: &Input,
        work: &Work,
        events: &Events,
    ) -> Result<ImageBuild, DockerError> {
        let version = program.output(&words(&["version", "--format", "{{.Client.Version}}"])).await;
        let version = version.ok().and_then(Result::ok).unwrap_or_default();
        let major = version.split('.').next().and_then(|m| m.trim().parse::<u32>().ok());
        if major.is_none_or(|major| major > BUILDKIT_INSIDE) {
            let what = "`docker.extra-args`, or a daemon behind ssh,".to_owned();
            return Err(DockerError::NoBuildx { what });
        }
        let [platform] = request.platforms.as_slice() else {
            return Err(DockerError::NoBuildx { what: "an image of several platforms".into() });
        };
        let mut program = program.clone();
        program.variables.push(("DOCKER_BUILDKIT".to_owned(), "1".to_owned()));
        let id_file = work.directory.path().join("id");
        let mut arguments = words(&["build", "--tag", &request.uri]);
        arguments.extend(self.build_arguments(request, input));
        arguments.extend(["--iidfile".to_owned(), argument(&id_file)]);
        arguments.extend(work.arguments(input));
        let mut progress = BuildkitPlain::new(events, &request.secrets);
        let building = build_args::with_values(program.clone(), &input.rendered.build_args)?;
        run_build(&building, &arguments, &mut progress).await?;
        let id = std::fs::read_to_string(&id_file).ok().and_then(|id| id.trim().parse().ok());
        let id: Digest = id.ok_or_else(no_result)?;
        let mut result = ImageBuild::new(&request.uri, Status::Built);
        result.digest = Some(id);
        for export in &request.exports {
            match export {
                Export::Load => {}
                Export::Push(to) => {
                    let digest = self.push_with_command(request, &program, to, events).await?;
                    let client =
                        tierce_checkers::client_for(&self.registry, request.login.as_ref())?;
                    result.root = client.head_manifest(&to.with_digest(digest)).await?;
                    result.digest = Some(digest);
                }
                Export::DockerArchive(path) => {
                    let partial = Partial::beside(path)?;
                    let output = argument(partial.path());
                    command(&program, &["save", "--output", &output, &request.uri]).await?;
                    partial.finish()?;
                }
                Export::OciArchive(_) | Export::OciLayout(_) => {
                    return Err(DockerError::NoBuildx { what: "an OCI layout".into() });
                }
            }
        }
        let digest = result.digest.unwrap_or(id);
        let platform = platform.clone();
        result.platforms = vec![PlatformBuild { platform, digest, layers: vec![] }];
        Ok(result)
    }

    async fn push_with_command(
        &self,
        request: &BuildRequest,
        program: &Program,
        to: &Reference,
        events: &Events,
    ) -> Result<Digest, DockerError> {
        let step = events.step(StepKind::Export, format!("push {to}"));
        let to_text = to.to_string();
        command(program, &["tag", &request.uri, &to_text]).await?;
        let output = program.output(&words(&["push", &to_text])).await;
        let output = output.map_err(|source| not_run(program, source))?;
        let output = output.map_err(|said| {
            crate::push_error(to, said.lines().last().unwrap_or_default().trim().to_owned())
        })?;
        // "t1: digest: sha256:... size: 528"
        let digest = output.split_whitespace().filter_map(|word| word.parse().ok()).next_back();
        step.finish(Outcome::Made, None);
        digest.ok_or_else(no_result)
    }

    /// The arguments that say what to build, without those that name files of one run.
    fn build_arguments(&self, request: &BuildRequest, input: &Input) -> Vec<String> {
        let mut all = vec!["--progress=plain".to_owned()];
        let mut option = |name: &str, value: String| all.extend([name.to_owned(), value]);
        if let Some(builder) = &self.settings.builder {
            option("--builder", builder.clone());
        }
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
        if request.refresh {
            all.extend(words(&["--no-cache", "--pull"]));
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
        let mut arguments = words(match self.settings.builder.is_some() || self.buildx {
            true => &["buildx", "build"],
            false => &["build"],
        });
        arguments.extend(self.build_arguments(request, input));
        for id in input.secrets.keys() {
            arguments.extend(["--secret".to_owned(), format!("id={id},src=...")]);
        }
        arguments.extend(["--tag".to_owned(), request.uri.clone()]);
        arguments.extend(["--file".to_owned(), input.rendered.dockerfile_path.clone()]);
        arguments.push(".".to_owned());
        let program = self.program.clone().unwrap_or_else(|| Program {
            path: "docker".into(),
            arguments: vec![],
            variables: vec![],
            hidden: vec![],
        });
        // Where the configuration is and which daemon is meant is no part of the build.
        Program { arguments: vec![], ..program }.display(&arguments)
    }
}

/// The files of one build.
struct Work {
    /// Gone when this is dropped.
    directory: tempfile::TempDir,
    secrets: SecretFiles,
}

impl Work {
    fn prepare(builder: &DockerBuilder, input: &Input) -> Result<Self, DockerError> {
        let settings = &builder.settings;
        let directory = tempfile::Builder::new()
            .prefix("tierce-build")
            .tempdir_in(settings.temporary())
            .map_err(DockerError::Temporary)?;
        let context = directory.path().join("context");
        std::fs::create_dir(&context).map_err(DockerError::Temporary)?;
        input.write_to(&context)?;
        let secrets = SecretFiles::write(&input.secrets, settings.runtime_dir.as_deref())?;
        Ok(Work { directory, secrets })
    }

    fn context(&self) -> std::path::PathBuf {
        self.directory.path().join("context")
    }

    /// The arguments that name this run's files.
    fn arguments(&self, input: &Input) -> Vec<String> {
        let mut all = self.secrets.arguments();
        let dockerfile = self.context().join(&input.rendered.dockerfile_path);
        all.extend(["--file".to_owned(), argument(&dockerfile), argument(&self.context())]);
        all
    }
}

/// Runs a command whose output does not matter unless it fails.
async fn command(program: &Program, arguments: &[&str]) -> Result<(), DockerError> {
    let output = program.output(&words(arguments)).await;
    let output = output.map_err(|source| not_run(program, source))?;
    output.map(|_| ()).map_err(|said| {
        let tail: Vec<String> = said.lines().map(str::to_owned).collect();
        let message = tail.last().cloned().unwrap_or_default();
        DockerError::Program { program: program.name(), message, tail: vec![] }
    })
}

fn not_run(program: &Program, source: std::io::Error) -> DockerError {
    DockerError::Run { program: program.name(), source }
}

fn no_result() -> DockerError {
    DockerError::NoResult { program: "docker".into() }
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// The digest that buildx wrote down: of the manifest or index, else of the configuration.
fn digest_of(metadata: &Path) -> Option<Digest> {
    let metadata: Value = serde_json::from_slice(&std::fs::read(metadata).ok()?).ok()?;
    let names = ["containerimage.digest", "containerimage.config.digest"];
    names.iter().find_map(|name| metadata.get(name)?.as_str()?.parse().ok())
}
