//! What cases work with: a directory, the builder, and ways to read what it delivers.

use crate::read::{self, ReadImage, ReadPlatform};
use crate::recorder::Recorder;
use crate::suite::SuiteOptions;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use tempfile::TempDir;
use tierce_engine::{
    AnyDiagnostic, BuildRequest, Export, ExportKind, GatherCache, ImageBuild, ImageBuilder, gather,
};
use tierce_oci::{Platform, Reference};
use tierce_secret::Secrets;
use tierce_spec::{Image, ImageName};

/// Why a case ends early.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// It cannot be run: the reason.
    Skip(String),
    /// It failed: what is wrong.
    Fail(String),
}

pub(crate) type Checked = Result<(), Stop>;

/// Fails with what is wrong.
pub(crate) fn fail<T>(what: impl Into<String>) -> Result<T, Stop> {
    Err(Stop::Fail(what.into()))
}

/// Skips with the reason.
pub(crate) fn skip<T>(why: impl Into<String>) -> Result<T, Stop> {
    Err(Stop::Skip(why.into()))
}

/// Fails unless the two are equal.
pub(crate) fn same<T: PartialEq + std::fmt::Debug>(what: &str, found: T, expected: T) -> Checked {
    match found == expected {
        true => Ok(()),
        false => fail(format!("{what}: found {found:?}, expected {expected:?}")),
    }
}

/// What one case works with.
pub(crate) struct Bench<'a> {
    pub builder: &'a Arc<dyn ImageBuilder>,
    pub options: &'a SuiteOptions,
    case: &'static str,
    run: &'a str,
    directory: TempDir,
    builds: AtomicU32,
}

/// What is said about a build besides the image.
#[derive(Clone, Default)]
pub(crate) struct Ask {
    pub force: bool,
    pub secrets: Secrets,
    pub base: Option<Arc<ImageBuild>>,
}

/// A build that went well, and its result.
pub(crate) struct Built {
    pub build: ImageBuild,
    pub image: ReadImage,
    /// What the builder said.
    pub events: String,
}

impl Built {
    /// The only platform.
    pub(crate) fn only(&self) -> Result<&ReadPlatform, Stop> {
        match self.image.platforms.values().collect::<Vec<_>>().as_slice() {
            [one] => Ok(one),
            several => fail(format!("the image has {} platforms and not one", several.len())),
        }
    }

    /// A small file's content as text.
    pub(crate) fn text(&self, path: &str) -> Result<String, Stop> {
        match self.only()?.files.content(path) {
            Some(bytes) => Ok(String::from_utf8_lossy(bytes).into_owned()),
            None => fail(format!("the image has no file /{path}")),
        }
    }
}

/// A build that failed.
pub(crate) struct Failed {
    pub error: AnyDiagnostic,
    /// What the builder said.
    pub events: String,
}

impl Failed {
    /// The error as users read it.
    pub(crate) fn told(&self) -> String {
        told(&self.error)
    }
}

fn told(error: &AnyDiagnostic) -> String {
    let mut text = format!("[{}] {error}", error.code());
    let mut source = std::error::Error::source(&**error);
    while let Some(cause) = source {
        text.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    text
}

impl<'a> Bench<'a> {
    pub(crate) fn new(
        builder: &'a Arc<dyn ImageBuilder>,
        options: &'a SuiteOptions,
        case: &'static str,
        run: &'a str,
    ) -> std::io::Result<Self> {
        let directory = tempfile::Builder::new().prefix(case).tempdir_in(&options.scratch)?;
        Ok(Bench { builder, options, case, run, directory, builds: AtomicU32::new(0) })
    }

    /// The case's own directory; image sources are relative to it.
    pub(crate) fn root(&self) -> &Path {
        self.directory.path()
    }

    /// Writes a source file.
    pub(crate) fn write(&self, path: &str, content: impl AsRef<[u8]>, mode: u32) -> Checked {
        let path = self.root().join(path);
        let written = path
            .parent()
            .map_or(Ok(()), fs::create_dir_all)
            .and_then(|()| fs::write(&path, content))
            .and_then(|()| fs::set_permissions(&path, fs::Permissions::from_mode(mode)));
        written.or_else(|e| fail(format!("the suite cannot write {}: {e}", path.display())))
    }

    /// An image with the case's own name.
    pub(crate) fn named(&self, image: Image) -> Image {
        image.with_name(format!("conformance-{}/{}", self.run, self.case))
    }

    /// An image that starts from nothing.
    pub(crate) fn scratch(&self) -> Image {
        self.named(Image::from_scratch())
    }

    /// An image on the base with a shell.
    pub(crate) fn on_base(&self) -> Result<Image, Stop> {
        match &self.options.base {
            Some(base) => Ok(self.named(Image::from_reference(base.clone()))),
            None => skip("no base with a shell was given"),
        }
    }

    /// An image on another image.
    pub(crate) fn on_image(&self, base: Image) -> Image {
        Image::from_image(base).with_name(format!("conformance-{}/{}-above", self.run, self.case))
    }

    /// The registry to push to.
    pub(crate) fn registry(&self) -> Result<&(String, tierce_registry::Client), Stop> {
        match &self.options.registry {
            Some(registry) if self.can(ExportKind::Push) => Ok(registry),
            Some(_) => skip("the builder pushes nothing"),
            None => skip("no registry was given"),
        }
    }

    pub(crate) fn can(&self, kind: ExportKind) -> bool {
        self.builder.capabilities().exports.contains(&kind)
    }

    /// The platforms of an image: its own, or this machine's.
    fn platforms(image: &Image) -> Vec<Platform> {
        match image.platforms() {
            [] => vec![Platform::host()],
            some => some.to_vec(),
        }
    }

    /// The kind of export that results are read from.
    pub(crate) fn readable(&self, platforms: usize) -> Result<ExportKind, Stop> {
        let kinds = [
            ExportKind::OciLayout,
            ExportKind::OciArchive,
            ExportKind::DockerArchive,
            ExportKind::Push,
        ];
        let usable = |kind: &ExportKind| match kind {
            ExportKind::Push => self.registry().is_ok(),
            ExportKind::DockerArchive => platforms == 1 && self.can(*kind),
            kind => self.can(*kind),
        };
        match kinds.into_iter().find(usable) {
            Some(kind) => Ok(kind),
            None => skip("the builder delivers images to no place that the suite can read"),
        }
    }

    /// The name of an image, and the export of one kind.
    pub(crate) fn export(
        &self,
        image: &Image,
        kind: ExportKind,
    ) -> Result<(ImageName, Export), Stop> {
        let number = self.builds.fetch_add(1, Ordering::Relaxed);
        let path = |end: &str| self.root().join(format!("out-{number}{end}"));
        let name = self.name(image)?;
        let export = match kind {
            ExportKind::OciLayout => Export::OciLayout(path("")),
            ExportKind::OciArchive => Export::OciArchive(path(".tar")),
            ExportKind::DockerArchive => Export::DockerArchive(path(".docker.tar")),
            ExportKind::Push => match name.reference() {
                Some(reference) => Export::Push(reference.clone()),
                None => return skip("no registry was given"),
            },
            ExportKind::Local | ExportKind::Load => return skip("there is nothing to read"),
        };
        Ok((name, export))
    }

    /// What an image is called.
    pub(crate) fn name(&self, image: &Image) -> Result<ImageName, Stop> {
        let gathered = self.gather(image)?;
        let registry = self.options.registry.as_ref().map(|(registry, _)| registry.as_str());
        image
            .reference(&gathered.resolved.key(), registry)
            .or_else(|e| fail(format!("the suite cannot name its image: {e}")))
    }

    fn gather(&self, image: &Image) -> Result<tierce_engine::Gathered, Stop> {
        gather(image, self.root(), &GatherCache::none())
            .or_else(|e| fail(format!("the suite cannot read its own sources: {e}")))
    }

    /// The request for an image.
    pub(crate) fn request(
        &self,
        image: &Image,
        exports: Vec<Export>,
        ask: &Ask,
    ) -> Result<BuildRequest, Stop> {
        if !ask.secrets.is_empty() && !self.builder.capabilities().secrets {
            return skip("the builder takes no secrets");
        }
        let platforms = Self::platforms(image);
        if platforms.len() > 1 && !self.builder.capabilities().multi_platform {
            return skip("the builder builds for one platform at a time");
        }
        if let Some(refusal) = self.builder.refuses(image) {
            return skip(format!("the builder refuses: {}", told(&refusal)));
        }
        let request = self.request_for(image, platforms, exports, ask)?;
        // Every case asks for what it is about, and for nothing else.
        match self.builder.unsupported(&request).first() {
            Some(left) => {
                skip(format!("the builder leaves out {}: {}", left.parameter, left.reason))
            }
            None => Ok(request),
        }
    }

    /// The request for an image of which the builder leaves something out, and delivers the rest
    /// nowhere.
    pub(crate) fn request_with_rest_left_out(&self, image: &Image) -> Result<BuildRequest, Stop> {
        let request = self.request_for(image, Self::platforms(image), vec![], &Ask::default())?;
        match self.builder.unsupported(&request).is_empty() {
            true => skip("the builder leaves out nothing"),
            false => Ok(request),
        }
    }

    /// The request for an image that the builder says that it refuses, and what it says.
    pub(crate) fn refused(
        &self,
        image: &Image,
    ) -> Result<Option<(BuildRequest, AnyDiagnostic)>, Stop> {
        let Some(refusal) = self.builder.refuses(image) else { return Ok(None) };
        let platforms = Self::platforms(image);
        let request = self.request_for(image, platforms, vec![], &Ask::default())?;
        Ok(Some((request, refusal)))
    }

    fn request_for(
        &self,
        image: &Image,
        platforms: Vec<Platform>,
        exports: Vec<Export>,
        ask: &Ask,
    ) -> Result<BuildRequest, Stop> {
        Ok(BuildRequest {
            gathered: self.gather(image)?,
            platforms,
            uri: self.name(image)?.to_string(),
            exports,
            refresh: ask.force,
            base: ask.base.clone(),
            secrets: ask.secrets.clone(),
            login: None,
            cache: GatherCache::none(),
        })
    }

    /// Builds a request.
    pub(crate) async fn run(&self, request: &BuildRequest) -> Result<(ImageBuild, String), Failed> {
        let recorder = Recorder::default();
        match self.builder.build(request, &recorder.events()).await {
            Ok(build) => Ok((build, recorder.text())),
            Err(error) => Err(Failed { error: error.0, events: recorder.text() }),
        }
    }

    /// Builds an image, which must succeed, and reads it back.
    pub(crate) async fn build(&self, image: &Image) -> Result<Built, Stop> {
        self.build_with(image, &Ask::default()).await
    }

    /// The same, with more said.
    pub(crate) async fn build_with(&self, image: &Image, ask: &Ask) -> Result<Built, Stop> {
        let kind = self.readable(Self::platforms(image).len())?;
        self.build_as(image, ask, kind).await
    }

    /// The same, read back from one kind of export.
    pub(crate) async fn build_as(
        &self,
        image: &Image,
        ask: &Ask,
        kind: ExportKind,
    ) -> Result<Built, Stop> {
        let (_, export) = self.export(image, kind)?;
        let request = self.request(image, vec![export.clone()], ask)?;
        let (build, events) = match self.run(&request).await {
            Ok(built) => built,
            Err(failed) => return fail(format!("the build failed: {}", failed.told())),
        };
        same("the uri of the answer", build.uri.as_str(), request.uri.as_str())?;
        let image = self.read(&export, &ask.secrets).await?;
        if let (Some(said), Some(found)) = (build.digest, image.digest) {
            same("the digest of the answer", said, found)?;
        }
        if matches!(export, Export::Push(_)) && build.digest.is_none() {
            return fail("the answer to a push has no digest");
        }
        self.check_platforms(&build, &image, &request.platforms)?;
        Ok(Built { build, image, events })
    }

    fn check_platforms(
        &self,
        build: &ImageBuild,
        image: &ReadImage,
        wanted: &[Platform],
    ) -> Checked {
        for platform in wanted {
            let Some((_, read)) = image.platforms.iter().find(|(p, _)| p.serves(platform)) else {
                return fail(format!("the image is not for {platform}"));
            };
            let said = build.platforms.iter().find(|p| p.platform.serves(platform));
            if let (Some(said), Some(found)) = (said.map(|p| p.digest), read.digest) {
                same(&format!("the digest of the answer for {platform}"), said, found)?;
            }
        }
        same("the number of platforms", image.platforms.len(), wanted.len())
    }

    /// Reads what was delivered.
    async fn read(&self, export: &Export, secrets: &Secrets) -> Result<ReadImage, Stop> {
        let read = match export {
            Export::OciLayout(dir) => read::read_oci_layout(dir, secrets),
            Export::OciArchive(file) => read::read_oci_archive(file, self.root(), secrets),
            Export::DockerArchive(file) => read::read_docker_archive(file, self.root(), secrets),
            Export::Push(reference) => {
                let (_, client) = self.registry()?;
                read::read_registry(client, reference, self.root(), secrets).await
            }
            Export::Load => return skip("there is nothing to read"),
        };
        read.or_else(|error| {
            let mut text = error.to_string();
            let mut source = std::error::Error::source(&error);
            while let Some(cause) = source {
                text.push_str(&format!(": {cause}"));
                source = cause.source();
            }
            fail(format!("what was delivered cannot be read: {text}"))
        })
    }

    /// Builds an image, which must fail.
    pub(crate) async fn build_fails(&self, image: &Image, ask: &Ask) -> Result<Failed, Stop> {
        let kind = self.readable(1)?;
        let (_, export) = self.export(image, kind)?;
        let request = self.request(image, vec![export], ask)?;
        match self.run(&request).await {
            Ok(_) => fail("the build succeeded, and should have failed"),
            Err(failed) => Ok(failed),
        }
    }

    /// A reference to an image that nobody ever pushed.
    pub(crate) fn never_pushed(&self, registry: &str) -> Result<Reference, Stop> {
        let text = format!("{registry}/conformance-{}/never-pushed:1", self.run);
        text.parse().or_else(|e| fail(format!("the suite cannot name an image: {e}")))
    }
}
