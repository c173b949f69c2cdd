//! `repodata.json`, whole (CEP 36).

use rattler_conda_types::PackageRecord;
use rattler_conda_types::package::DistArchiveIdentifier;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Range;

/// An index of which only the records that are asked for are ever parsed: conda-forge has
/// 700,000 records, a solve needs some ten thousand.
pub(crate) struct Monolithic {
    json: Vec<u8>,
    /// The places of the packages' records by package name.
    packages: BTreeMap<String, Vec<Place>>,
    removed: BTreeSet<String>,
    pub(crate) base_url: Option<String>,
}

struct Place {
    filename: String,
    record: Range<usize>,
}

#[derive(Deserialize)]
struct Document<'a> {
    #[serde(default)]
    info: Info,
    #[serde(borrow, default)]
    packages: Records<'a>,
    #[serde(borrow, default, rename = "packages.conda")]
    conda: Records<'a>,
    #[serde(default)]
    removed: Vec<String>,
}

#[derive(Default, Deserialize)]
struct Info {
    #[serde(default)]
    base_url: Option<String>,
}

/// The map of a document as a list, its values unread.
#[derive(Default)]
struct Records<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Records<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Map;
        impl<'de> Visitor<'de> for Map {
            type Value = Vec<(Cow<'de, str>, &'de RawValue)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of package records")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
                let mut out = Vec::new();
                while let Some((Name(name), record)) = map.next_entry()? {
                    out.push((name, record));
                }
                Ok(out)
            }
        }
        deserializer.deserialize_map(Map).map(Records)
    }
}

impl Monolithic {
    pub(crate) fn parse(json: Vec<u8>) -> Result<Self, serde_json::Error> {
        let document: Document<'_> = serde_json::from_slice(&json)?;
        let start = json.as_ptr() as usize;
        let mut packages: BTreeMap<String, Vec<Place>> = BTreeMap::new();
        for (filename, record) in document.packages.0.into_iter().chain(document.conda.0) {
            let Some(name) = package_name(&filename) else { continue };
            let text = record.get();
            let at = text.as_ptr() as usize - start;
            let place = Place { filename: filename.to_string(), record: at..at + text.len() };
            match packages.get_mut(name) {
                Some(places) => places.push(place),
                None => drop(packages.insert(name.to_owned(), vec![place])),
            }
        }
        let removed = document.removed.into_iter().collect();
        let base_url = document.info.base_url;
        Ok(Monolithic { packages, removed, base_url, json })
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.packages.keys().map(String::as_str)
    }

    pub(crate) fn contains(&self, name: &str) -> bool {
        self.packages.contains_key(name)
    }

    /// The records of a package. A record that is malformed is passed by: it must not keep all
    /// others from being used.
    pub(crate) fn records(&self, name: &str) -> Vec<(DistArchiveIdentifier, PackageRecord)> {
        let places = self.packages.get(name).map_or(&[][..], Vec::as_slice);
        let usable = places.iter().filter(|place| !self.removed.contains(&place.filename));
        usable
            .filter_map(|place| {
                let identifier = DistArchiveIdentifier::try_from_filename(&place.filename)?;
                match serde_json::from_slice(&self.json[place.record.clone()]) {
                    Ok(record) => Some((identifier, record)),
                    Err(error) => {
                        tracing::warn!(filename = place.filename, %error, "ignoring a malformed record");
                        None
                    }
                }
            })
            .collect()
    }
}

/// `numpy` of `numpy-2.1.0-py311_0.conda`.
fn package_name(filename: &str) -> Option<&str> {
    let stem = filename.strip_suffix(".conda").or_else(|| filename.strip_suffix(".tar.bz2"))?;
    let mut parts = stem.rsplitn(3, '-');
    parts.nth(2).filter(|name| !name.is_empty())
}
