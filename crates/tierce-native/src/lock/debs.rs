//! Locked Debian packages: by URL and hash, and from a snapshot of the archive where they are gone.

use super::LockedError;
use crate::context::Context;
use crate::error::NativeError;
use futures::{StreamExt, TryStreamExt, stream};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tierce_debian::{Package, parse_snapshot_date, snapshot_date};
use tierce_engine::StepHandle;
use tierce_fetch::{Download, FetchError};
use tierce_lock::LockedDeb;
use url::Url;

/// Debian's archive of all that its archives ever had.
const SNAPSHOT: &str = "https://snapshot.debian.org";

/// How many packages are downloaded at once.
const DOWNLOADS: usize = 8;

/// Snapshots are made every few hours: what a release has that was just made is in a later one.
/// Archives keep what they replace for longer than that.
const LATER: Duration = Duration::from_secs(24 * 60 * 60);

/// Packages, and when they were those of the archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockedDebs {
    /// The packages.
    pub debs: Vec<LockedDeb>,
    /// The date of the archive's newest release then.
    pub snapshot: Option<String>,
}

impl LockedDebs {
    /// Their digests, for keys.
    pub fn key_parts(&self) -> impl Iterator<Item = [u8; 32]> {
        self.debs.iter().map(|deb| *deb.sha256.as_bytes())
    }

    /// Where a package may be, the first place first.
    fn places(&self, deb: &LockedDeb, snapshot: &Url) -> Result<Vec<Url>, LockedError> {
        let url = Url::parse(&deb.url).map_err(|error| LockedError::Impossible {
            what: format!("the URL {:?} of {}", deb.url, deb.name),
            why: error.to_string(),
        })?;
        let mut places = vec![url.clone()];
        if let Some(date) = &self.snapshot
            && let Some((archive, path)) = in_archive(&url)
        {
            let later = parse_snapshot_date(date).map(|time| snapshot_date(time + LATER));
            let base = snapshot.as_str().trim_end_matches('/');
            let at = |date: String| Url::parse(&format!("{base}/archive/{archive}/{date}/{path}"));
            let dates = std::iter::once(date.clone()).chain(later);
            places.extend(dates.filter_map(|date| at(date).ok()));
        }
        Ok(places)
    }
}

/// The archive's name at snapshot.debian.org, and the path below it: mirrors have the archive
/// `debian-security` in a folder of that name.
fn in_archive(url: &Url) -> Option<(&str, &str)> {
    let path = url.path();
    let pool = path.find("/pool/")?;
    let archive = path[..pool].rsplit('/').next().filter(|name| !name.is_empty());
    Some((archive.unwrap_or("debian"), &path[pool + 1..]))
}

/// What a package is called in messages.
pub fn name(deb: &LockedDeb) -> String {
    format!("{} {} ({})", deb.name, deb.version, deb.architecture)
}

/// A package as a lock has it.
pub fn locked(package: &Package) -> LockedDeb {
    let mut url = package.url.clone();
    // Both only fail for URLs that can't have either.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    LockedDeb {
        name: package.name.to_string(),
        version: package.version.to_string(),
        architecture: package.architecture.clone(),
        multi_arch_same: package.multi_arch == tierce_debian::MultiArch::Same,
        url: url.to_string(),
        size: package.size,
        sha256: package.sha256,
    }
}

impl Context {
    /// Brings the packages into the store.
    pub async fn fetch_locked_debs(
        &self,
        debs: &LockedDebs,
        step: &StepHandle,
    ) -> Result<(), NativeError> {
        let snapshot = self.settings.debian_snapshot.clone();
        let snapshot = snapshot.unwrap_or_else(|| Url::parse(SNAPSHOT).expect("a valid URL"));
        let total = debs.debs.iter().map(|deb| deb.size).sum();
        let so_far: Mutex<BTreeMap<String, u64>> = Mutex::default();
        let on_bytes = |deb: &LockedDeb, bytes: u64| {
            let mut so_far = so_far.lock().unwrap_or_else(PoisonError::into_inner);
            so_far.insert(deb.name.clone(), bytes);
            step.reporter().progress(so_far.values().sum(), Some(total));
        };
        let mut missing = vec![];
        for deb in &debs.debs {
            if self.store.has(&deb.sha256) != Some(deb.size) {
                missing.push(self.fetch_deb(deb, debs.places(deb, &snapshot)?, &on_bytes));
            }
        }
        stream::iter(missing).buffer_unordered(DOWNLOADS).try_collect().await
    }

    async fn fetch_deb(
        &self,
        deb: &LockedDeb,
        places: Vec<Url>,
        on_bytes: &(dyn Fn(&LockedDeb, u64) + Send + Sync),
    ) -> Result<(), NativeError> {
        let mut first: Option<FetchError> = None;
        let mut tried = vec![];
        for url in places {
            let staged = self.store.stage()?;
            tried.push(tierce_fetch::Redacted(&url).to_string());
            let (digest, size) = (Some(deb.sha256), Some(deb.size));
            let item = Download { url, digest, size };
            let fetched = self.fetcher.download(&item, staged.path(), &|b| on_bytes(deb, b)).await;
            match fetched {
                Ok(()) => {
                    staged.commit(&deb.sha256)?;
                    return Ok(());
                }
                Err(error @ FetchError::Write { .. }) => return Err(error.into()),
                // Somewhere else it may be the right one; if not, this says the most.
                Err(
                    error @ (FetchError::DigestMismatch { .. } | FetchError::SizeMismatch { .. }),
                ) => first = Some(error),
                Err(error) => {
                    first.get_or_insert(error);
                }
            }
        }
        let source = first.expect("there is one place at least");
        Err(LockedError::of_fetch(name(deb), tried, source).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tierce_oci::Digest;

    fn places(url: &str, snapshot: Option<&str>) -> Vec<String> {
        let deb = LockedDeb {
            name: "git".into(),
            version: "1".into(),
            architecture: "amd64".into(),
            multi_arch_same: false,
            url: url.into(),
            size: 1,
            sha256: Digest::of(""),
        };
        let debs = LockedDebs { debs: vec![deb.clone()], snapshot: snapshot.map(str::to_owned) };
        let base = Url::parse("https://snapshot.example/").unwrap();
        debs.places(&deb, &base).unwrap().iter().map(Url::to_string).collect()
    }

    #[test]
    fn the_snapshot_has_the_archive_under_its_name() {
        let date = Some("20251231T203412Z");
        let url = "http://deb.debian.org/debian/pool/main/g/git/git_1%2b2_amd64.deb";
        let at = |archive: &str, date: &str| {
            let pool = "pool/main/g/git/git_1%2b2_amd64.deb";
            format!("https://snapshot.example/archive/{archive}/{date}/{pool}")
        };
        let expected =
            [url.to_owned(), at("debian", "20251231T203412Z"), at("debian", "20260101T203412Z")];
        assert_eq!(places(url, date), expected);
        let security = url.replace("/debian/", "/debian-security/");
        assert_eq!(places(&security, date)[1], at("debian-security", "20251231T203412Z"));
        assert_eq!(places(url, None), [url]);
        assert_eq!(places("https://x/flat/git.deb", date), ["https://x/flat/git.deb"]);
    }
}
