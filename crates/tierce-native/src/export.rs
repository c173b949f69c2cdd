//! Delivers a finished image.

use crate::context::Context;
use crate::error::NativeError;
use crate::execute::now;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Mutex;
use std::sync::PoisonError;
use tierce_engine::{Events, Export, Outcome, StepHandle, StepKind};
use tierce_oci::{Artifact, Descriptor, Digest, Reference};
use tierce_registry::{BlobEvent, PushObserver, PushOptions};
use tierce_store::{RecordKind, docker_archive, oci_archive, oci_layout};
use tokio::process::Command;

/// What was pushed last, by repository.
const PUSH: RecordKind = RecordKind::new("push");

/// How long a push is remembered, in seconds: registries collect what no tag reaches.
const TRUST: i64 = 24 * 60 * 60;

#[derive(Serialize, Deserialize)]
struct PushRecord {
    /// When, in seconds since 1970.
    pushed: i64,
    blobs: BTreeSet<Digest>,
}

impl Context {
    /// Delivers `image`; gives the number of bytes that went to a registry.
    pub async fn export(
        &self,
        image: &mut Artifact,
        to: &Export,
        name: &str,
        events: &Events,
    ) -> Result<u64, NativeError> {
        if !matches!(to, Export::Push(_)) {
            self.localise(image).await?;
        }
        match to {
            Export::Push(reference) => return self.push(image, reference, events).await,
            Export::OciLayout(path) => {
                let (name, image) = (tag(name), image.clone());
                write(path, events, move |path| oci_layout::write(path, &image, Some(&name)))
                    .await?;
            }
            Export::OciArchive(path) => {
                let (name, image) = (tag(name), image.clone());
                write(path, events, move |path| oci_archive::write(path, &image, Some(&name)))
                    .await?;
            }
            Export::DockerArchive(path) => {
                let (name, image) = (crate::local_name(name), image.clone());
                write(path, events, move |path| docker_archive::write(path, &image, Some(&name)))
                    .await?;
            }
            Export::Load => self.load(image, name, events).await?,
        }
        Ok(0)
    }

    async fn push(
        &self,
        image: &Artifact,
        to: &Reference,
        events: &Events,
    ) -> Result<u64, NativeError> {
        let step = events.step(StepKind::Export, format!("push {to}"));
        let observer = Progress { step: &step, sent: Mutex::default() };
        let options = PushOptions { present: self.pushed(to), ..PushOptions::default() };
        let report = self.registry.push(image, to, &[], &options, &observer).await?;
        self.remember_push(to, image)?;
        step.finish(Outcome::Made, format!("{} uploaded", crate::size(report.bytes_uploaded)));
        Ok(report.bytes_uploaded)
    }

    /// The blobs that the repository was seen to have not long ago. Should it have lost one since,
    /// it refuses the manifest, and all are looked for.
    fn pushed(&self, to: &Reference) -> BTreeSet<Digest> {
        let record: Option<PushRecord> = self.store.record(PUSH, &Digest::of(to.name()));
        let fresh = record.filter(|r| now().saturating_sub(r.pushed) < TRUST);
        fresh.map(|r| r.blobs).unwrap_or_default()
    }

    fn remember_push(&self, to: &Reference, image: &Artifact) -> Result<(), NativeError> {
        // The last image's blobs: the next one's are mostly the same.
        let blobs = image.blobs.keys().copied().collect();
        let record = PushRecord { pushed: now(), blobs };
        Ok(self.store.put_record(PUSH, &Digest::of(to.name()), &record)?)
    }

    /// Loads the image into Docker or podman, whichever answers first.
    async fn load(&self, image: &Artifact, name: &str, events: &Events) -> Result<(), NativeError> {
        for engine in ["docker", "podman"] {
            let Some(program) = self.program(engine) else { continue };
            if !answers(&program).await {
                continue;
            }
            let step = events.step(StepKind::Export, format!("load into {engine}"));
            let scratch = self.store.scratch_dir("load")?;
            let archive = scratch.path().join("image.tar");
            docker_archive::write(&archive, image, Some(&crate::local_name(name)))?;
            let output = Command::new(&program)
                .args(["load", "-i"])
                .arg(&archive)
                .stdin(Stdio::null())
                .kill_on_drop(true)
                .output()
                .await
                .map_err(NativeError::io(program.as_path()))?;
            if !output.status.success() {
                let message = String::from_utf8_lossy(&output.stderr).trim().to_owned();
                return Err(NativeError::Load { engine: engine.to_owned(), message });
            }
            step.finish(Outcome::Made, name.to_owned());
            return Ok(());
        }
        Err(NativeError::NoEngine)
    }

    fn program(&self, name: &str) -> Option<PathBuf> {
        self.settings.search_path.iter().map(|d| d.join(name)).find(|p| p.is_file())
    }
}

/// Whether the engine behind the client is there: `docker` is installed on many machines where
/// no daemon runs.
async fn answers(program: &Path) -> bool {
    let info = Command::new(program)
        .arg("info")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .status();
    matches!(info.await, Ok(status) if status.success())
}

async fn write<F>(path: &Path, events: &Events, write: F) -> Result<(), NativeError>
where
    F: FnOnce(&Path) -> Result<(), tierce_store::ExportError> + Send + 'static,
{
    let step = events.step(StepKind::Export, format!("write {}", path.display()));
    let path = path.to_owned();
    tokio::task::spawn_blocking(move || write(&path)).await??;
    step.finish(Outcome::Made, None);
    Ok(())
}

/// A layout names its images by tag.
fn tag(name: &str) -> String {
    name.rsplit_once(':').map_or("latest", |(_, tag)| tag).to_owned()
}

/// Adds up what is being uploaded.
struct Progress<'a> {
    step: &'a StepHandle,
    sent: Mutex<std::collections::BTreeMap<Digest, u64>>,
}

impl PushObserver for Progress<'_> {
    fn blob(&self, descriptor: &Descriptor, event: BlobEvent) {
        if let BlobEvent::Progress(sent) = event {
            let mut all = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
            all.insert(descriptor.digest, sent);
            self.step.reporter().progress(all.values().sum(), None);
        }
    }
}
