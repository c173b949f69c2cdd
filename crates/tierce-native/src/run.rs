//! Runs an image, without any engine.

use crate::context::Context;
use crate::draft::DEFAULT_PATH;
use crate::error::NativeError;
use crate::layer::{Layer, LayerRecord};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tierce_engine::{Events, Outcome, StepKind};
use tierce_oci::{Artifact, ImageConfig, Index, Manifest, Platform};
use tierce_sandbox::{Exit, Network, Process, Stdio};

/// How to run an image, where not as it says itself.
#[derive(Clone, Debug)]
pub struct RunOptions {
    /// The command; empty for the image's own.
    pub command: Vec<String>,
    /// Further variables.
    pub env: Vec<(String, String)>,
    /// The user.
    pub user: Option<String>,
    /// The working directory.
    pub workdir: Option<String>,
    /// Whether the host's network is there.
    pub network: bool,
}

/// Whether a program of the image's has the terminal right now. Ctrl-C is its business then.
#[derive(Clone, Debug, Default)]
pub struct Foreground(Arc<AtomicBool>);

impl Foreground {
    /// Whether one has.
    pub fn is_taken(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }

    fn set(&self, taken: bool) {
        self.0.store(taken, Ordering::SeqCst);
    }
}

/// One platform's part of an image.
pub struct PlatformImage {
    /// The manifest.
    pub manifest: Manifest,
    /// The configuration.
    pub config: ImageConfig,
}

/// The part of `image` for `platform`.
pub fn platform_image(image: &Artifact, platform: &Platform) -> Option<PlatformImage> {
    let root = &image.root;
    let descriptor = match root.media_type.is_index() {
        true => Index::parse(image.document(&root.digest)?, &root.media_type)
            .ok()?
            .select(platform)?
            .clone(),
        false => root.clone(),
    };
    let bytes = image.document(&descriptor.digest)?;
    let manifest = Manifest::parse(bytes, &descriptor.media_type).ok()?;
    let config = ImageConfig::parse(image.document(&manifest.config.digest)?).ok()?;
    Some(PlatformImage { manifest, config })
}

impl Context {
    /// Runs the image on the caller's own input and output; gives the exit code.
    pub async fn run_image(
        &self,
        image: &Artifact,
        name: &str,
        options: &RunOptions,
        events: &Events,
    ) -> Result<u8, NativeError> {
        let _session = self.store.session()?;
        let PlatformImage { manifest, config } = platform_image(image, &Platform::host())
            .ok_or_else(|| NativeError::NoImage(format!("{name} for {}", Platform::host())))?;
        let argv = command(&config, &options.command)?;
        let layers = layers(image, &manifest, &config, name)?;
        let step = events.step(StepKind::Unpack, "unpack layers");
        let roots = self.materialise(&layers, &step).await?;
        step.finish(Outcome::Made, None);
        let scratch = self.scratch("run")?;
        let mut process = Process::new(roots, scratch.path.clone(), argv);
        process.env = environment(&config, &options.env);
        process.cwd = options
            .workdir
            .clone()
            .or_else(|| config.config.working_dir.clone().filter(|d| !d.is_empty()))
            .unwrap_or_else(|| "/".to_owned());
        process.user = options.user.clone().or(config.config.user.clone()).unwrap_or_default();
        process.network = if options.network { Network::Host } else { Network::None };
        process.stdio = Stdio::Inherit;
        let sandbox = self.sandbox()?.sandbox.clone();
        let cancel = self.cancel.clone();
        self.foreground.set(true);
        let exit =
            tokio::task::spawn_blocking(move || sandbox.run(&process, &mut |_, _| {}, &cancel))
                .await;
        self.foreground.set(false);
        let exit = exit??;
        match exit {
            Exit::Code(code) => Ok(u8::try_from(code).unwrap_or(1)),
            // As a shell reports it.
            Exit::Signal(signal) => Ok(u8::try_from(128 + signal).unwrap_or(1)),
            Exit::TimedOut | Exit::Cancelled => Err(NativeError::Interrupted),
        }
    }
}

fn command(config: &ImageConfig, own: &[String]) -> Result<Vec<String>, NativeError> {
    let entrypoint = config.config.entrypoint.iter().flatten();
    let arguments = match own {
        [] => config.config.cmd.iter().flatten().cloned().collect(),
        own => own.to_vec(),
    };
    let argv: Vec<String> = entrypoint.cloned().chain(arguments).collect();
    if argv.is_empty() { Err(NativeError::NoCommand) } else { Ok(argv) }
}

fn environment(config: &ImageConfig, own: &[(String, String)]) -> Vec<(String, String)> {
    let mut env = config.env();
    for (name, value) in own {
        env.retain(|(n, _)| n != name);
        env.push((name.clone(), value.clone()));
    }
    // HOME is that of the user, which the sandbox looks up.
    for (name, value) in [("PATH", DEFAULT_PATH), ("TERM", "xterm")] {
        if !env.iter().any(|(n, _)| n == name) {
            env.push((name.to_owned(), value.to_owned()));
        }
    }
    env
}

/// The layers of one platform's part of `image`.
pub fn layers(
    image: &Artifact,
    manifest: &Manifest,
    config: &ImageConfig,
    name: &str,
) -> Result<Vec<Layer>, NativeError> {
    let inconsistent = || NativeError::InconsistentBase(name.to_owned());
    if manifest.layers.len() != config.rootfs.diff_ids.len() {
        return Err(inconsistent());
    }
    let layer = |(descriptor, diff_id): (&tierce_oci::Descriptor, &tierce_oci::DiffId)| {
        let blob = image.blobs.get(&descriptor.digest).ok_or_else(inconsistent)?;
        Ok(Layer {
            record: LayerRecord { descriptor: descriptor.clone(), diff_id: *diff_id },
            location: blob.location.clone(),
            created_by: String::new(),
            cached: true,
        })
    };
    manifest.layers.iter().zip(&config.rootfs.diff_ids).map(layer).collect()
}
