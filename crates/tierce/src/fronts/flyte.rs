//! An `Image` of Flyte's words as an image.

use super::{Front, FrontError, FrontWarning};
use crate::flyte::{DefaultBase, FlyteImage, Lowered, Surroundings, Tools, ToolsWanted};
use crate::{Settings, Tierce};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tierce_config::DebianBase;
use tierce_oci::Platform;
use tierce_sandbox::Cancel;

/// The image that `image` describes, whose paths are relative to `root`. Programs that steps in
/// it run are looked for on this machine, and uv is fetched where it is missing; what its scripts
/// and projects say is read.
pub fn flyte(image: &FlyteImage, root: &Path, settings: &Settings) -> Result<Front, FrontError> {
    let texts = texts(image, root);
    let tools = tools(image.wanted_tools(&texts), settings)?;
    let default_base = match &settings.debian_base {
        DebianBase::Suite(suite) => DefaultBase::Suite(suite.clone()),
        DebianBase::Image(template) => DefaultBase::Image(template.to_string()),
    };
    let surroundings = Surroundings { default_base, texts, tools, runnable: Some(runnable()) };
    let Lowered { image, warnings } = image.lower(&surroundings)?;
    let warnings = warnings.into_iter().map(|w| FrontWarning { code: w.code, message: w.message });
    // As Flyte does; where Flyte has no registry it gives up.
    let pushes = image.registry().is_some() || settings.registry.is_some();
    Ok(Front { warnings: warnings.collect(), pushes, ..Front::of(image) })
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

fn tools(wanted: ToolsWanted, settings: &Settings) -> Result<Tools, FrontError> {
    let uv = match uv(wanted, settings) {
        Ok(found) => found,
        // Commands do without, if they must.
        Err(_) if !wanted.uv_to_install => None,
        Err(error) => return Err(error),
    };
    let pixi = settings.search_path.iter().map(|directory| directory.join("pixi"));
    let pixi = pixi.filter(|program| program.is_file());
    Ok(Tools { uv, pixi: pixi.into_iter().next().filter(|_| wanted.pixi) })
}

/// uv, as the native builder finds it: the one version that it uses, which is a static program.
fn uv(wanted: ToolsWanted, settings: &Settings) -> Result<Option<PathBuf>, FrontError> {
    if !(wanted.uv_to_install || wanted.uv_for_commands) {
        return Ok(None);
    }
    let tierce = Tierce::open(settings.clone(), &Cancel::new())?;
    let find = async { Ok(tierce.uv().await?.to_owned()) };
    // Whoever asks may be driven by a runtime of its own, in which no other can run.
    let runtime = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.map_err(|error| FrontError::Runtime(Arc::new(error)))?.block_on(find)
    };
    std::thread::scope(|scope| {
        scope.spawn(runtime).join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
    .map(Some)
}
