//! What the tests have in common.

#![allow(dead_code)]

pub mod engine;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use tierce_dockerfile::{RenderOptions, Rendered, UvSource, render};
use tierce_engine::{GatherCache, Gathered};
use tierce_oci::Platform;
use tierce_spec::Image;
use tierce_spec::manifest::{Manifest, SourceKind};

/// The image with its inputs below `root`.
pub fn gather(image: &Image, root: &Path) -> Gathered {
    tierce_engine::gather(image, root, &GatherCache::none())
        .unwrap_or_else(|error| panic!("{error}"))
}

/// The image of a file of the corpus: a tierce.toml, or the image itself as JSON.
pub fn load(file: &Path) -> Image {
    let text = std::fs::read_to_string(file).expect("a file of the corpus");
    let image = match file.extension().is_some_and(|e| e == "json") {
        true => serde_json::from_str(&text).expect("an image"),
        false => {
            let root = file.parent().expect("a directory").to_owned();
            let manifest = Manifest::parse(&text, &file.display().to_string());
            manifest.unwrap_or_else(|e| panic!("{e}")).image_with(|src| {
                match root.join(src).is_dir() {
                    true => SourceKind::Folder,
                    false => SourceKind::File,
                }
            })
        }
    };
    // One machine is as good as another.
    match image.platforms() {
        [] => image.with_platforms([Platform::linux("amd64")]),
        _ => image,
    }
}

/// Renders what should render.
pub fn rendered(gathered: &Gathered, options: &RenderOptions) -> Rendered {
    render(gathered, options).unwrap_or_else(|error| panic!("{error}"))
}

/// A program that stands for uv.
pub fn uv(directory: &Path) -> UvSource {
    let file: PathBuf = directory.join("uv");
    std::fs::write(&file, "uv").expect("a file");
    let amd64 = (Platform::linux("amd64"), file.clone());
    UvSource::Files(BTreeMap::from([amd64]))
}
