//! Which wheels share a layer.

use crate::install::InstallTarget;
use crate::name::{PackageName, WheelFilename};
use std::cmp::Reverse;
use std::collections::BTreeMap;
use tierce_layer::Compression;
use tierce_oci::{Digest, Hasher};

/// The version of what is installed for a wheel: grows whenever the same wheel and target would
/// give other files. Part of every [`LayerPlan::key`].
pub const INSTALL_VERSION: u32 = 1;

/// A wheel as far as laying it out into layers is concerned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WheelInfo {
    /// Its file name.
    pub filename: WheelFilename,
    /// Its digest.
    pub digest: Digest,
    /// The size of its file.
    pub size: u64,
}

impl WheelInfo {
    /// The package.
    pub fn name(&self) -> &PackageName {
        self.filename.name()
    }
}

/// How wheels are spread over layers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BucketPolicy {
    /// Wheels of at least this size have a layer of their own.
    pub own_layer_from: u64,
    /// How many layers the other wheels share.
    pub buckets: u8,
    /// At most so many layers in all.
    pub max_layers: u8,
}

impl Default for BucketPolicy {
    /// 20 MB, 8 buckets, 40 layers: image runtimes allow ~120, and some mounts fail above 70.
    fn default() -> Self {
        BucketPolicy { own_layer_from: 20_000_000, buckets: 8, max_layers: 40 }
    }
}

/// The layer that something shares with others, or has for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Share<'n> {
    /// That of the names that hash to this bucket.
    Bucket(u8),
    /// Its own, by its name.
    Own(&'n str),
}

impl BucketPolicy {
    /// Spreads what `of` gives the name and the size of over layers: buckets first, then those
    /// that are alone, by name.
    ///
    /// A bucket depends on the name alone, so that one changed item changes one layer, and images
    /// with different items still share layers. Above [`BucketPolicy::max_layers`] the smallest of
    /// the large items go to their buckets.
    pub fn spread<'i, T>(
        &self,
        items: &'i [T],
        of: impl Fn(&'i T) -> (&'i str, u64),
    ) -> BTreeMap<Share<'i>, Vec<&'i T>> {
        let buckets = self.buckets.max(1);
        let mut large: Vec<(&str, u64)> =
            items.iter().map(&of).filter(|(_, size)| *size >= self.own_layer_from).collect();
        large.sort_by_key(|(name, size)| (Reverse(*size), *name));
        large.truncate(usize::from(self.max_layers.saturating_sub(buckets)));
        let mut layers: BTreeMap<Share<'i>, Vec<&'i T>> = BTreeMap::new();
        for item in items {
            let (name, _) = of(item);
            let share = match large.iter().any(|(large, _)| *large == name) {
                true => Share::Own(name),
                false => Share::Bucket(bucket(name, buckets)),
            };
            layers.entry(share).or_default().push(item);
        }
        layers
    }
}

fn bucket(name: &str, buckets: u8) -> u8 {
    let hash = Digest::of(name);
    let [a, b, c, d, ..] = *hash.as_bytes();
    (u32::from_be_bytes([a, b, c, d]) % u32::from(buckets)) as u8
}

/// What a layer of wheels is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LayerKind {
    /// Small wheels whose names hash to this bucket.
    Bucket(u8),
    /// One large wheel.
    Own(PackageName),
}

/// A layer of wheels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerPlan {
    /// Bucket or single wheel.
    pub kind: LayerKind,
    /// The wheels, sorted by name; never empty.
    pub wheels: Vec<WheelInfo>,
}

impl LayerPlan {
    /// What the layer's bytes depend on: its own wheels, the environment's prefix and Python
    /// version, the compression and the format versions.
    pub fn key(&self, target: &InstallTarget, compression: Compression) -> Digest {
        let mut hasher = KeyHasher::new("tierce-wheel/layer", target);
        hasher.field(compression.media_type().as_str());
        for wheel in &self.wheels {
            hasher.field(wheel.filename.as_str());
            hasher.field(&wheel.digest.to_string());
        }
        hasher.finish()
    }

    /// What the layer's bytecode depends on besides the interpreter that compiles it.
    pub fn bytecode_key(&self, target: &InstallTarget, interpreter: &Digest) -> Digest {
        let mut hasher = KeyHasher::new("tierce-wheel/bytecode", target);
        hasher.field(crate::bytecode::SCRIPT);
        hasher.field(&interpreter.to_string());
        for wheel in &self.wheels {
            hasher.field(wheel.filename.as_str());
            hasher.field(&wheel.digest.to_string());
        }
        hasher.finish()
    }
}

/// Length-prefixed fields, so that no two lists of fields hash alike.
pub(crate) struct KeyHasher(Hasher);

impl KeyHasher {
    pub(crate) fn new(domain: &str, target: &InstallTarget) -> Self {
        let mut hasher = KeyHasher(Hasher::new());
        hasher.field(domain);
        hasher.field(&format!("{INSTALL_VERSION}.{}", tierce_layer::FORMAT_VERSION));
        hasher.field(target.prefix());
        hasher.field(&target.python().short());
        hasher
    }

    pub(crate) fn field(&mut self, value: &str) {
        self.0.update(&(value.len() as u64).to_be_bytes());
        self.0.update(value.as_bytes());
    }

    pub(crate) fn finish(self) -> Digest {
        self.0.finish()
    }
}

/// Spreads wheels over layers: buckets first, then single wheels by name. See
/// [`BucketPolicy::spread`].
pub fn plan_layers(wheels: &[WheelInfo], policy: &BucketPolicy) -> Vec<LayerPlan> {
    let layers = policy.spread(wheels, |wheel| (wheel.name().as_str(), wheel.size));
    let plan = |(share, wheels): (Share<'_>, Vec<&WheelInfo>)| {
        let mut wheels: Vec<WheelInfo> = wheels.into_iter().cloned().collect();
        wheels
            .sort_by(|a, b| (a.name(), a.filename.as_str()).cmp(&(b.name(), b.filename.as_str())));
        let kind = match share {
            Share::Bucket(bucket) => LayerKind::Bucket(bucket),
            // No layer is empty.
            Share::Own(_) => LayerKind::Own(wheels[0].name().clone()),
        };
        LayerPlan { kind, wheels }
    };
    layers.into_iter().map(plan).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wheel(name: &str, version: &str, size: u64) -> WheelInfo {
        WheelInfo {
            filename: format!("{name}-{version}-py3-none-any.whl").parse().unwrap(),
            digest: Digest::of(format!("{name} {version}")),
            size,
        }
    }

    fn keys(plans: &[LayerPlan]) -> BTreeMap<LayerKind, Digest> {
        let target = InstallTarget::new("/opt/venv", "3.11".parse().unwrap()).unwrap();
        plans.iter().map(|p| (p.kind.clone(), p.key(&target, Compression::Gzip))).collect()
    }

    #[test]
    fn one_changed_wheel_changes_one_layer() {
        let names: Vec<String> = (0..40).map(|i| format!("package-{i}")).collect();
        let mut wheels: Vec<_> =
            names.iter().map(|n| wheel(&n.replace('-', "_"), "1", 1000)).collect();
        wheels.push(wheel("torch", "2", 900_000_000));
        let before = plan_layers(&wheels, &BucketPolicy::default());
        assert_eq!(before.len(), 9);
        assert_eq!(before.last().unwrap().kind, LayerKind::Own("torch".parse().unwrap()));
        wheels[7] = wheel("package_7", "2", 1000);
        wheels.reverse();
        let after = plan_layers(&wheels, &BucketPolicy::default());
        let (before, after) = (keys(&before), keys(&after));
        assert_eq!(before.iter().filter(|(kind, key)| after[kind] != **key).count(), 1);
    }

    #[test]
    fn layers_are_capped() {
        let wheels: Vec<_> =
            (0..100).map(|i| wheel(&format!("big{i}"), "1", 20_000_000 + i)).collect();
        let plans = plan_layers(&wheels, &BucketPolicy::default());
        assert_eq!(plans.len(), 40);
        assert!(plans.iter().any(|p| p.kind == LayerKind::Own("big99".parse().unwrap())));
        assert!(!plans.iter().any(|p| p.kind == LayerKind::Own("big0".parse().unwrap())));
        assert_eq!(plans.iter().map(|p| p.wheels.len()).sum::<usize>(), 100);
    }

    #[test]
    fn keys_depend_on_everything_that_bytes_depend_on() {
        let plan = &plan_layers(&[wheel("a", "1", 1)], &BucketPolicy::default())[0];
        let target =
            |prefix, python: &str| InstallTarget::new(prefix, python.parse().unwrap()).unwrap();
        let base = plan.key(&target("/opt/venv", "3.11.2"), Compression::Gzip);
        assert_eq!(base, plan.key(&target("/opt/venv/", "3.11.9"), Compression::Gzip));
        assert_ne!(base, plan.key(&target("/opt/venv", "3.12"), Compression::Gzip));
        assert_ne!(base, plan.key(&target("/opt/other", "3.11"), Compression::Gzip));
        assert_ne!(base, plan.key(&target("/opt/venv", "3.11"), Compression::Zstd));
    }
}
