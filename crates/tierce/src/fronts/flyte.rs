//! An `Image` of Flyte's words as an image.

use super::{Front, FrontError, FrontWarning};
use crate::flyte::{DefaultBase, FlyteImage, Lowered, Surroundings};
use crate::{OpenError, Settings, Tierce};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tierce_config::DebianBase;
use tierce_engine::{Events, Outcome, StepKind};
use tierce_oci::Platform;
use tierce_sandbox::Cancel;
use tierce_store::Store;
use tierce_wheel::{PINNED_VERSION, Uv};

/// The image that `image` describes, whose paths are relative to `root`. Programs that steps in
/// it run are fetched where they are missing; what its scripts and projects say is read.
pub fn flyte(image: &FlyteImage, root: &Path, settings: &Settings) -> Result<Front, FrontError> {
    let front = flyte_unfetched(image, root, settings)?;
    if front.wants_uv {
        fetch_uv(settings)?;
    }
    Ok(front)
}

/// The same, without the network: where the front says so, the image is complete once
/// [`Tierce::fetch_uv`] was awaited.
pub fn flyte_unfetched(
    image: &FlyteImage,
    root: &Path,
    settings: &Settings,
) -> Result<Front, FrontError> {
    let texts = texts(image, root);
    let uv = uv(image, settings)?;
    let wants_uv = uv.as_ref().is_some_and(|program| !program.is_file());
    let default_base = match &settings.debian_base {
        DebianBase::Suite(suite) => DefaultBase::Suite(suite.clone()),
        DebianBase::Image(template) => DefaultBase::Image(template.to_string()),
    };
    let surroundings = Surroundings {
        default_base,
        texts,
        written: write(image, settings)?,
        registry: settings.registry.clone(),
        uv,
        runnable: Some(runnable()),
    };
    let Lowered { image, warnings } = image.lower(&surroundings)?;
    let warnings = warnings.into_iter().map(|w| FrontWarning { code: w.code, message: w.message });
    // As Flyte does; where Flyte has no registry it gives up.
    let pushes = image.registry().is_some() || settings.registry.is_some();
    Ok(Front { warnings: warnings.collect(), pushes, wants_uv, ..Front::of(image) })
}

/// The texts that the image wants, and those that these lead to. Files that can't be read are
/// reported by whoever needs them.
fn texts(image: &FlyteImage, root: &Path) -> BTreeMap<PathBuf, String> {
    let mut asked = BTreeSet::new();
    let mut texts = BTreeMap::new();
    loop {
        let wanted: Vec<PathBuf> =
            image.wanted(&texts).into_iter().filter(|path| !asked.contains(path)).collect();
        if wanted.is_empty() {
            return texts;
        }
        for path in wanted {
            if let Ok(text) = std::fs::read_to_string(root.join(&path)) {
                texts.insert(path.clone(), text);
            }
            asked.insert(path);
        }
    }
}

/// Writes the files that the image is lowered with; the folder that they are in. Their names say
/// what is in them, so that those that are there need not be written again.
fn write(image: &FlyteImage, settings: &Settings) -> Result<PathBuf, FrontError> {
    let files = image.written();
    if files.is_empty() {
        return Ok(PathBuf::new());
    }
    let store = Store::open(&settings.store).map_err(OpenError::from)?;
    let folder = store.cache_dir("environments")?;
    for (name, text) in files {
        let file = folder.join(name);
        if !std::fs::read(&file).is_ok_and(|there| there == text.as_bytes()) {
            let unwritten =
                |source| FrontError::Write { file: file.clone(), source: Arc::new(source) };
            std::fs::write(&file, text).map_err(unwritten)?;
        }
    }
    Ok(folder)
}

/// The platforms whose programs run here, this machine's own first.
fn runnable() -> Vec<Platform> {
    let others = ["amd64", "arm64"].map(Platform::linux);
    let mut all = vec![Platform::host()];
    for platform in others {
        if tierce_native::runs_here(&platform) && !all.contains(&platform) {
            all.push(platform);
        }
    }
    all
}

/// The uv that commands of the image run: always the pinned one, at its place in the store. What
/// is in an image must not depend on what is installed on the machine that makes it.
fn uv(image: &FlyteImage, settings: &Settings) -> Result<Option<PathBuf>, FrontError> {
    if !image.wants_uv() || !Uv::is_pinned_here() {
        return Ok(None);
    }
    let store = Store::open(&settings.store).map_err(OpenError::from)?;
    Ok(Some(Uv::place(&store)?))
}

fn fetch_uv(settings: &Settings) -> Result<(), FrontError> {
    let tierce = Tierce::open(settings.clone(), &Cancel::new())?;
    // Whoever asks may be driven by a runtime of its own, in which no other can run.
    let fetch = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| FrontError::Runtime(Arc::new(error)))?;
        runtime.block_on(tierce.fetch_uv(&Events::none()))
    };
    std::thread::scope(|scope| {
        scope.spawn(fetch).join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

impl Tierce {
    /// Fetches the uv that steps in images run, unless it is there.
    pub async fn fetch_uv(&self, events: &Events) -> Result<(), FrontError> {
        let context = self.native().context();
        if Uv::place(&context.store)?.is_file() {
            return Ok(());
        }
        let step = events.step(StepKind::Fetch, format!("uv {PINNED_VERSION}, for the image"));
        let reporter = step.reporter();
        context.static_uv(&|bytes| reporter.progress(bytes, None)).await?;
        step.finish(Outcome::Made, None);
        Ok(())
    }
}
