//! Which packages share a layer.

use crate::fetch::StoredPackage;
use crate::install::CondaPrefix;
use crate::lock::CondaPackage;
use tierce_layer::Compression;
use tierce_oci::{Digest, Hasher};
pub use tierce_wheel::BucketPolicy;
use tierce_wheel::Share;

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

/// Spreads packages over layers, as wheels are spread: buckets first, then single packages by
/// name. See [`BucketPolicy::spread`].
pub fn plan_layers(packages: &[StoredPackage], policy: &BucketPolicy) -> Vec<CondaLayerPlan> {
    let layers = policy.spread(packages, |stored| (stored.package.name.as_str(), stored.size));
    let plan = |(share, packages): (Share<'_>, Vec<&StoredPackage>)| {
        let mut packages: Vec<StoredPackage> = packages.into_iter().cloned().collect();
        packages.sort_by(|a, b| a.package.name.cmp(&b.package.name));
        let kind = match share {
            Share::Bucket(bucket) => CondaLayerKind::Bucket(bucket),
            Share::Own(name) => CondaLayerKind::Own(name.to_owned()),
        };
        CondaLayerPlan { kind, packages }
    };
    layers.into_iter().map(plan).collect()
}
