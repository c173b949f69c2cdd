//! Which packages share a layer.

use crate::fetch::StoredPackage;
use crate::install::CondaPrefix;
use crate::lock::CondaPackage;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use tierce_layer::Compression;
use tierce_oci::{Digest, Hasher};
pub use tierce_wheel::BucketPolicy;

/// The version of what is installed for a package: grows whenever the same package and prefix
/// would give other files. Part of every [`CondaLayerPlan::key`].
pub const INSTALL_VERSION: u32 = 1;

/// What a layer of packages is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CondaLayerKind {
    /// Small packages whose names hash to this bucket.
    Bucket(u8),
    /// One large package, by name.
    Own(String),
}

/// A layer of packages.
#[derive(Clone, Debug)]
pub struct CondaLayerPlan {
    /// Bucket or single package.
    pub kind: CondaLayerKind,
    /// The packages, sorted by name; never empty.
    pub packages: Vec<StoredPackage>,
}

impl CondaLayerPlan {
    /// What the layer's bytes depend on: its own packages, the environment's prefix, the
    /// interpreter where one of them is a noarch Python package, the compression and the format
    /// versions.
    pub fn key(&self, prefix: &CondaPrefix, compression: Compression) -> Digest {
        let mut hasher = Hasher::new();
        let mut field = |value: &str| {
            hasher.update(&(value.len() as u64).to_be_bytes());
            hasher.update(value.as_bytes());
        };
        field("tierce-conda/layer");
        field(&format!("{INSTALL_VERSION}.{}", tierce_layer::FORMAT_VERSION));
        field(compression.media_type().as_str());
        field(prefix.prefix());
        let noarch = self.packages.iter().any(|p| p.package.is_noarch_python());
        match prefix.python().filter(|_| noarch) {
            Some(python) => [&python.version, &python.path, &python.site_packages]
                .into_iter()
                .for_each(|value| field(value)),
            None => field(""),
        }
        for stored in &self.packages {
            // Who asked for a package is in no layer of packages.
            let package = CondaPackage { requested: false, ..stored.package.clone() };
            field(&serde_json::to_string(&package).unwrap_or_default());
        }
        hasher.finish()
    }

    /// What people read of the layer: `numpy 2.1.0`, `12 conda packages`.
    pub fn title(&self) -> String {
        match self.packages.as_slice() {
            [one] => format!("{} {}", one.package.name, one.package.version),
            many => format!("{} conda packages", many.len()),
        }
    }
}

/// Spreads packages over layers: buckets first, then single packages by name.
///
/// As with wheels: a package's bucket depends on its name alone, so one changed package changes
/// one layer, and images with different packages still share layers. Above
/// [`BucketPolicy::max_layers`] the smallest of the large packages go to their buckets.
pub fn plan_layers(packages: &[StoredPackage], policy: &BucketPolicy) -> Vec<CondaLayerPlan> {
    let buckets = policy.buckets.max(1);
    let mut large: Vec<&StoredPackage> =
        packages.iter().filter(|p| p.size >= policy.own_layer_from).collect();
    large.sort_by_key(|p| (Reverse(p.size), &p.package.name));
    large.truncate(usize::from(policy.max_layers.saturating_sub(buckets)));
    let mut layers: BTreeMap<CondaLayerKind, Vec<StoredPackage>> = BTreeMap::new();
    for stored in packages {
        let name = &stored.package.name;
        let kind = match large.iter().any(|l| l.package.name == *name) {
            true => CondaLayerKind::Own(name.clone()),
            false => CondaLayerKind::Bucket(bucket(name, buckets)),
        };
        layers.entry(kind).or_default().push(stored.clone());
    }
    layers
        .into_iter()
        .map(|(kind, mut packages)| {
            packages.sort_by(|a, b| a.package.name.cmp(&b.package.name));
            CondaLayerPlan { kind, packages }
        })
        .collect()
}

fn bucket(name: &str, buckets: u8) -> u8 {
    let hash = Digest::of(name);
    let [a, b, c, d, ..] = *hash.as_bytes();
    (u32::from_be_bytes([a, b, c, d]) % u32::from(buckets)) as u8
}
