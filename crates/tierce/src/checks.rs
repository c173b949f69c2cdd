//! Where images were seen, in the store.

use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tierce_engine::CheckRecords;
use tierce_oci::{Descriptor, Digest, Platform, Reference};
use tierce_store::{RecordKind, Store};

/// Images that were seen in their registry, by reference.
const CHECK: RecordKind = RecordKind::new("check");

/// Remembers in a store, for a while, where images were seen.
pub struct StoredChecks {
    store: Store,
    time_to_live: Duration,
}

#[derive(Serialize, Deserialize)]
struct Seen {
    root: Descriptor,
    platforms: BTreeSet<Platform>,
    /// When, in seconds since 1970.
    at: u64,
}

impl StoredChecks {
    /// Remembers for `time_to_live`.
    pub fn new(store: Store, time_to_live: Duration) -> Self {
        StoredChecks { store, time_to_live }
    }

    fn fresh(&self, reference: &Reference) -> Option<Seen> {
        let seen: Seen = self.store.record(CHECK, &key(reference))?;
        // A clock that was set back makes a record of the future: of no known age.
        let age = now().checked_sub(seen.at)?;
        (age < self.time_to_live.as_secs()).then_some(seen)
    }
}

impl CheckRecords for StoredChecks {
    fn get(&self, reference: &Reference, platforms: &[Platform]) -> Option<Descriptor> {
        let seen = self.fresh(reference)?;
        platforms.iter().all(|p| seen.platforms.contains(p)).then_some(seen.root)
    }

    fn put(&self, reference: &Reference, platforms: &[Platform], root: &Descriptor) {
        // What was seen of the same image for other platforms still holds, but is no younger.
        let known = self.fresh(reference).filter(|seen| seen.root.digest == root.digest);
        let mut seen = Seen { root: root.clone(), platforms: BTreeSet::new(), at: now() };
        if let Some(known) = known {
            seen.platforms.extend(known.platforms);
            seen.at = known.at;
        }
        seen.platforms.extend(platforms.iter().cloned());
        if let Err(error) = self.store.put_record(CHECK, &key(reference), &seen) {
            // It will be asked for again: that costs a request.
            tracing::debug!(%error, %reference, "cannot remember that an image was seen");
        }
    }

    fn forget(&self, reference: &Reference) {
        if let Err(error) = self.store.remove_record(CHECK, &key(reference)) {
            tracing::warn!(%error, %reference, "cannot forget that an image was seen");
        }
    }
}

fn key(reference: &Reference) -> Digest {
    Digest::of(reference.to_string())
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tierce_oci::MediaType;

    fn checks(time_to_live: u64) -> (tempfile::TempDir, StoredChecks) {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path()).unwrap();
        (directory, StoredChecks::new(store, Duration::from_secs(time_to_live)))
    }

    fn image(content: &str) -> Descriptor {
        Descriptor::of(MediaType::OciIndex, content.as_bytes())
    }

    #[test]
    fn what_was_seen_is_known_for_its_platforms_until_it_is_forgotten() {
        let (_directory, checks) = checks(3600);
        let (app, other): (Reference, Reference) =
            ("r.example/app:1".parse().unwrap(), "r.example/app:2".parse().unwrap());
        let (amd64, arm64) = (Platform::linux("amd64"), Platform::linux("arm64"));
        assert_eq!(checks.get(&app, std::slice::from_ref(&amd64)), None);
        checks.put(&app, std::slice::from_ref(&amd64), &image("a"));
        assert_eq!(checks.get(&app, std::slice::from_ref(&amd64)), Some(image("a")));
        assert_eq!(checks.get(&other, std::slice::from_ref(&amd64)), None);
        let both = [arm64.clone(), amd64.clone()];
        assert_eq!(checks.get(&app, &both), None);
        checks.put(&app, &[arm64], &image("a"));
        assert_eq!(checks.get(&app, &both), Some(image("a")));
        // Another image under the same name was looked at for one platform only.
        checks.put(&app, std::slice::from_ref(&amd64), &image("b"));
        assert_eq!(checks.get(&app, &both), None);
        checks.forget(&app);
        assert_eq!(checks.get(&app, &[amd64]), None);
        checks.forget(&other);
    }

    #[test]
    fn nothing_is_known_without_a_time_to_live() {
        let (_directory, checks) = checks(0);
        let app: Reference = "r.example/app:1".parse().unwrap();
        checks.put(&app, &[Platform::host()], &image("a"));
        assert_eq!(checks.get(&app, &[Platform::host()]), None);
    }
}
