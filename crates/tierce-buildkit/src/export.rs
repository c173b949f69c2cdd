//! Where results go, as the daemon's exporters.

use crate::error::BuildkitError;
use base64::Engine as _;
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use tierce_buildkit_client::{Exporter, SolveResult};
use tierce_engine::{BuildRequest, Events, Export, Outcome, StepKind};
use tierce_layer::{EntryKind, LayerReader};
use tierce_oci::{Descriptor, Digest, MediaType};
use tierce_registry::InsecurePolicy;

/// One destination of a build.
pub(crate) struct Delivery {
    pub(crate) export: Export,
    /// The image's name.
    name: String,
    /// Whether the registry is spoken to in plain HTTP.
    plain: bool,
    /// Where the daemon's archive goes until it is whole, beside its place.
    partial: Option<tempfile::TempDir>,
}

impl Delivery {
    /// The destinations of `request`; what can't be delivered is refused.
    pub(crate) fn all(
        request: &BuildRequest,
        insecure: &InsecurePolicy,
    ) -> Result<Vec<Self>, BuildkitError> {
        if request.exports.is_empty() {
            return Err(BuildkitError::NoDestination);
        }
        let one = |export: &Export| {
            let (plain, path) = match export {
                Export::Push(to) => (insecure.is_plain(to.registry()), None),
                Export::OciLayout(path) | Export::OciArchive(path) => (false, Some(path)),
                Export::DockerArchive(_) if request.platforms.len() > 1 => {
                    return Err(BuildkitError::SeveralPlatforms);
                }
                Export::DockerArchive(path) => (false, Some(path)),
                Export::Load => return Err(BuildkitError::NoDestination),
            };
            let partial = path.map(|path| beside(path)).transpose()?;
            let (export, name) = (export.clone(), request.uri.clone());
            Ok(Delivery { export, name, plain, partial })
        };
        request.exports.iter().map(one).collect()
    }

    /// What the daemon is told.
    pub(crate) fn exporter(&self) -> Exporter {
        let mut attributes = BTreeMap::new();
        let mut set = |name: &str, value: &str| {
            attributes.insert(name.to_owned(), value.to_owned());
        };
        let kind = match &self.export {
            Export::Push(to) => {
                set("name", &to.to_string());
                set("push", "true");
                if self.plain {
                    set("registry.insecure", "true");
                }
                "image"
            }
            Export::DockerArchive(_) => {
                set("name", &self.name);
                "docker"
            }
            Export::OciLayout(_) | Export::OciArchive(_) | Export::Load => {
                set("name", &self.name);
                "oci"
            }
        };
        Exporter { kind: kind.to_owned(), attributes, destination: self.archive() }
    }

    fn archive(&self) -> Option<PathBuf> {
        self.partial.as_ref().map(|partial| partial.path().join("archive.tar"))
    }

    /// Gives the archive its place, unpacked where that is a layout.
    pub(crate) async fn finish(&self, events: &Events) -> Result<(), BuildkitError> {
        let Some(archive) = self.archive() else { return Ok(()) };
        match &self.export {
            Export::OciArchive(path) | Export::DockerArchive(path) => {
                let step = events.step(StepKind::Export, format!("write {}", path.display()));
                std::fs::rename(&archive, path).map_err(of_file(path))?;
                step.finish(Outcome::Made, None);
            }
            Export::OciLayout(path) => {
                let step = events.step(StepKind::Export, format!("write {}", path.display()));
                let layout = archive.with_file_name("layout");
                let (from, to, place) = (archive.clone(), layout.clone(), path.clone());
                let unpacked = tokio::task::spawn_blocking(move || unpack(&from, &to, &place));
                unpacked.await.unwrap_or(Err(BuildkitError::NoResult))?;
                if path.is_dir() {
                    std::fs::remove_dir_all(path).map_err(of_file(path))?;
                }
                std::fs::rename(&layout, path).map_err(of_file(path))?;
                step.finish(Outcome::Made, None);
            }
            Export::Push(_) | Export::Load => {}
        }
        Ok(())
    }
}

fn of_file(path: &Path) -> impl Fn(io::Error) -> BuildkitError + use<> {
    let path = path.to_owned();
    move |source| BuildkitError::File { path: path.clone(), source }
}

/// A directory on the same file system as `path`.
fn beside(path: &Path) -> Result<tempfile::TempDir, BuildkitError> {
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    tempfile::Builder::new().prefix(".tierce").tempdir_in(parent).map_err(of_file(path))
}

/// Unpacks the files of a layout: nothing else is in it, and paths are relative without `..`.
fn unpack(archive: &Path, to: &Path, place: &Path) -> Result<(), BuildkitError> {
    let of_place = of_file(place);
    let malformed = |source| BuildkitError::Archive { path: place.to_owned(), source };
    std::fs::create_dir(to).map_err(&of_place)?;
    let file = File::open(archive).map_err(&of_place)?;
    let mut reader = LayerReader::new(io::BufReader::new(file)).map_err(malformed)?;
    while let Some((entry, mut content)) = reader.next_entry().map_err(malformed)? {
        let path = to.join(entry.path.as_path());
        match entry.kind {
            EntryKind::Directory => std::fs::create_dir_all(&path).map_err(&of_place)?,
            EntryKind::File { .. } => {
                if let Some(parent) = path.parent() {
                    std::fs::create_dir_all(parent).map_err(&of_place)?;
                }
                let mut out = File::create(&path).map_err(&of_place)?;
                io::copy(&mut content, &mut out).map_err(&of_place)?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// The manifest or index that was built. Daemons before BuildKit 0.10 say its digest only.
pub(crate) fn root_of(solved: &SolveResult) -> Option<Descriptor> {
    let descriptor = solved.response.get("containerimage.descriptor").and_then(|text| {
        let bytes = base64::engine::general_purpose::STANDARD.decode(text).ok()?;
        serde_json::from_slice(&bytes).ok()
    });
    descriptor.or_else(|| {
        let digest: Digest = solved.response.get("containerimage.digest")?.parse().ok()?;
        Some(Descriptor::new(MediaType::OciManifest, digest, 0))
    })
}
