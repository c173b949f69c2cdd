//! What `docker save` writes.

use super::layout::content;
use super::unpack::Unpacked;
use super::{ReadError, ReadImage, ReadPlatform, Search};
use crate::filesystem::FileSystem;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use tierce_oci::ImageConfig;
use tierce_secret::Secrets;

/// An entry of `manifest.json`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    config: String,
    layers: Vec<String>,
}

pub(crate) fn read_docker_archive(
    file: &Path,
    scratch: &Path,
    secrets: &Secrets,
) -> Result<ReadImage, ReadError> {
    let unpacked = Unpacked::read(file, scratch)?;
    let json = |what: &str, source| ReadError::Json { what: what.to_owned(), source };
    let entries = content(unpacked.path("manifest.json")?)?;
    let entries: Vec<Entry> =
        serde_json::from_slice(&entries).map_err(|e| json("manifest.json", e))?;
    let mut platforms = BTreeMap::new();
    for entry in entries {
        let mut search = Search { secrets, leaks: vec![] };
        let config = content(unpacked.path(&entry.config)?)?;
        search.document("the configuration", &config);
        let config = ImageConfig::parse(&config).map_err(|e| json("the configuration", e))?;
        let mut files = FileSystem::default();
        for layer in &entry.layers {
            let path = unpacked.path(layer)?;
            let file = File::open(path)
                .map_err(|source| ReadError::File { path: path.to_owned(), source })?;
            let found = files
                .apply(BufReader::new(file), secrets)
                .map_err(|source| ReadError::Layer { layer: layer.clone(), source })?;
            search.leaks.extend(found);
        }
        let platform = config.platform.clone();
        let read = ReadPlatform { digest: None, config, files, leaks: search.leaks };
        platforms.insert(platform, read);
    }
    Ok(ReadImage { digest: None, platforms })
}
