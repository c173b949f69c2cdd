//! `conda-meta/*.json`: what conda, mamba and pixi read to know what is installed.

use crate::fetch::StoredPackage;
use crate::info::PathKind;
use crate::install::{CondaPrefix, Target};
use crate::lock::Noarch;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use tierce_oci::Digest;

/// What was written for a path.
#[derive(Clone, Debug)]
pub(crate) struct Written {
    /// Of the installed file; of a link, of its target's text.
    pub(crate) sha256: Option<Digest>,
    /// Of the installed file.
    pub(crate) size: u64,
}

/// The record of an installed package: what its `index.json` says, corrected by the channel's
/// index, and every path that was installed.
pub(crate) fn record(
    package: &StoredPackage,
    prefix: &CondaPrefix,
    targets: &[(String, Target<'_>)],
    written: &BTreeMap<String, Written>,
) -> Vec<u8> {
    let found = &package.package;
    let mut record: BTreeMap<&str, Value> =
        package.info.index.iter().map(|(key, value)| (key.as_str(), value.clone())).collect();
    record.insert("name", json!(found.name));
    record.insert("version", json!(found.version));
    record.insert("build", json!(found.build));
    record.insert("build_number", json!(found.build_number));
    record.insert("subdir", json!(found.subdir));
    record.insert("channel", json!(channel_of(&found.channel, &found.subdir)));
    record.insert("url", json!(found.url));
    record.insert("fn", json!(found.filename()));
    record.insert("sha256", json!(found.sha256.hex()));
    record.insert("size", json!(package.size));
    record.insert("depends", json!(found.depends));
    record.insert("constrains", json!(found.constrains));
    if let Some(md5) = &found.md5 {
        record.insert("md5", json!(md5));
    }
    match found.noarch {
        Some(Noarch::Python) => drop(record.insert("noarch", json!("python"))),
        Some(Noarch::Generic) => drop(record.insert("noarch", json!("generic"))),
        None => drop(record.remove("noarch")),
    }
    if let Some(path) = &found.python_site_packages_path {
        record.insert("python_site_packages_path", json!(path));
    }
    // Where other installers keep what they unpacked; tierce unpacks nothing.
    let cache = format!("{}/pkgs/{}", prefix.prefix(), found.stem());
    record.insert("link", json!({ "source": cache, "type": 1 }));
    record.insert("extracted_package_dir", json!(cache));
    let file = format!("{}/pkgs/{}", prefix.prefix(), found.filename());
    record.insert("package_tarball_full_path", json!(file));
    let installed: Vec<&(String, Target<'_>)> =
        targets.iter().filter(|(_, target)| !matches!(target, Target::Record)).collect();
    let files: Vec<&str> = installed.iter().map(|(path, _)| path.as_str()).collect();
    record.insert("files", json!(files));
    let paths: Vec<Value> = installed.iter().map(|(path, t)| entry(path, t, written)).collect();
    record.insert("paths_data", json!({ "paths": paths, "paths_version": 1 }));
    let mut bytes =
        serde_json::to_vec_pretty(&record).unwrap_or_else(|_| unreachable!("it is plain data"));
    bytes.push(b'\n');
    bytes
}

fn channel_of(channel: &str, subdir: &str) -> String {
    format!("{}/{subdir}", channel.trim_end_matches('/'))
}

fn entry(path: &str, target: &Target<'_>, written: &BTreeMap<String, Written>) -> Value {
    let mut out = Map::new();
    out.insert("_path".to_owned(), json!(path));
    let now = written.get(path);
    match target {
        Target::Path(source) => {
            let kind = match source.kind {
                PathKind::File => "hardlink",
                PathKind::Symlink => "softlink",
                PathKind::Directory => "directory",
            };
            out.insert("path_type".to_owned(), json!(kind));
            if source.no_link {
                out.insert("no_link".to_owned(), json!(true));
            }
            if let Some(placeholder) = &source.placeholder {
                out.insert("prefix_placeholder".to_owned(), json!(placeholder.prefix));
                out.insert("file_mode".to_owned(), json!(placeholder.mode));
            }
            if let Some(sha256) = source.sha256 {
                out.insert("sha256".to_owned(), json!(sha256.hex()));
            }
        }
        Target::EntryPoint(_) => {
            out.insert("path_type".to_owned(), json!("unix_python_entry_point"));
        }
        Target::Record => {}
    }
    if let Some(now) = now {
        if let Some(sha256) = now.sha256 {
            out.insert("sha256_in_prefix".to_owned(), json!(sha256.hex()));
        }
        out.insert("size_in_bytes".to_owned(), json!(now.size));
    }
    Value::Object(out)
}
