//! From what is asked for to exact packages, and these in the store.

use super::error::CondaError;
use super::wanted::Wanted;
use crate::context::Context;
use crate::error::NativeError;
use crate::key::KeyEncoder;
use crate::planner::Planner;
use crate::secret::{StepSecrets, key_parts};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use tierce_conda::{
    Channel, ChannelAlias, ChannelCredentials, CondaEvent, CondaLock, CondaPackage, CondaRequest,
    CondaTarget, FetchSettings, ForeignLock, RepodataSettings, StoredPackage, fetch_packages,
    solve,
};
use tierce_engine::{Events, Locking, Outcome, StepKind};
use tierce_lock::{LockedConda, LockedCondaPackage};
use tierce_oci::Digest;
use tierce_store::RecordKind;

/// What requests were solved to. The name changes with the form of [`CondaLock`].
const LOCK: RecordKind = RecordKind::new("conda-lock-1");

#[derive(Serialize, Deserialize)]
struct LockRecord {
    lock: CondaLock,
}

/// What is to be solved.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// What is asked for.
    pub wanted: &'a Wanted,
    /// What it is for.
    pub target: &'a CondaTarget,
    /// Where the environment is.
    pub prefix: &'a str,
    /// Ask channels anew.
    pub refresh: bool,
}

/// Where packages come from.
pub struct Sources {
    channels: Vec<Channel>,
    alias: ChannelAlias,
    fetch: FetchSettings,
}

impl Planner<'_> {
    /// The secrets that solving and fetching see.
    pub(super) fn conda_secrets(&self, wanted: &Wanted) -> Result<StepSecrets, NativeError> {
        let (wanted, all) = (&wanted.secrets, &self.context.secrets);
        match self.mode.is_show() {
            true => Ok(StepSecrets::of_those_there(wanted, all)),
            false => StepSecrets::new(wanted, all),
        }
    }
}

impl Context {
    /// The channels, and who asks them: variables in their URLs are those of secrets.
    pub(super) fn conda_sources(
        &self,
        wanted: &Wanted,
        seen: &StepSecrets,
    ) -> Result<Sources, NativeError> {
        let mut credentials = ChannelCredentials::new().with_basic(self.channel_credentials(seen)?);
        let alias = match &self.settings.conda_channel_alias {
            Some(url) => {
                credentials = credentials.with_channel(url.as_str())?;
                ChannelAlias::new(url.as_str())?
            }
            None => ChannelAlias::default(),
        };
        let variables = seen.variables();
        let mut channels = vec![];
        for text in &wanted.channels {
            let text = expanded(text, &variables)?;
            credentials = credentials.with_channel(&text)?;
            for channel in Channel::parse(&text, &alias)? {
                if !channels.contains(&channel) {
                    channels.push(channel);
                }
            }
        }
        let fetch = FetchSettings { credentials, ..FetchSettings::default() };
        Ok(Sources { channels, alias, fetch })
    }

    /// The exact packages: those that are locked, those that were solved before, or what the
    /// channels have now.
    pub(super) async fn conda_lock(
        &self,
        request: &Request<'_>,
        sources: &Sources,
        locking: &Locking,
        seen: &StepSecrets,
        events: &Events,
    ) -> Result<CondaLock, NativeError> {
        let Request { wanted, target, prefix, refresh } = *request;
        let platform = target.platform();
        if let Some(ledger) = locking.ledger()
            && let Some(locked) = ledger.conda(platform, prefix)
        {
            let step = events.step(StepKind::Resolve, "conda packages");
            let lock = self.of_ledger(&locked, sources).await?;
            step.finish(Outcome::Cached, format!("{} locked packages", lock.packages.len()));
            return Ok(lock);
        }
        if locking.locked().is_some() {
            let what = format!("conda environment {prefix}");
            return Err(crate::lock::base::missing(&what, platform).into());
        }
        // A lock that is made says what there is now.
        let refresh = refresh || locking.record().is_some();
        let pinned = match locking.ledger().and_then(|l| l.conda_preferences(platform, prefix)) {
            Some(before) => self.of_ledger(&before, sources).await?.packages,
            None => vec![],
        };
        let step = events.step(StepKind::Resolve, "solve conda packages");
        let key = key(request, sources, &pinned);
        let known = || self.store.record::<LockRecord>(LOCK, &key);
        let (lock, outcome) = match (refresh, known()) {
            (false, Some(LockRecord { lock })) => (lock, Outcome::Cached),
            _ => (self.solve_conda(wanted, target, prefix, sources, pinned).await?, Outcome::Made),
        };
        if outcome == Outcome::Made {
            seen.search_text(&lock.to_bytes(), "what the conda packages were solved to")?;
            self.store.put_record(LOCK, &key, &LockRecord { lock: lock.clone() })?;
        }
        step.finish(outcome, format!("{} packages", lock.packages.len()));
        if let Some(ledger) = locking.record() {
            ledger.record_conda(platform, to_ledger(prefix, &lock));
        }
        Ok(lock)
    }

    async fn solve_conda(
        &self,
        wanted: &Wanted,
        target: &CondaTarget,
        prefix: &str,
        sources: &Sources,
        pinned: Vec<CondaPackage>,
    ) -> Result<CondaLock, NativeError> {
        let locked = together(prefix, &wanted.locks)?;
        let exact = self.exact(&locked, sources).await?;
        if wanted.specs.is_empty() {
            return Ok(exact);
        }
        let mut channels = sources.channels.clone();
        let alias = &sources.alias;
        for package in &exact.packages {
            for channel in Channel::parse(&package.channel, alias)? {
                if !channels.contains(&channel) {
                    channels.push(channel);
                }
            }
        }
        let pin = |p: &CondaPackage| {
            format!("{}[version=\"=={}\",build=\"{}\"]", p.name, p.version, p.build)
        };
        let specs = wanted.specs.iter().cloned().chain(exact.packages.iter().map(pin)).collect();
        let pinned = exact.packages.into_iter().chain(pinned).collect();
        let mut request = CondaRequest { specs, channels, target: target.clone(), pinned };
        for name in request.missing_channels() {
            request.channels.extend(Channel::parse(&name, alias)?);
        }
        let (fetcher, store) = (&self.fetcher, &self.store);
        let (credentials, settings) = (&sources.fetch.credentials, RepodataSettings::default());
        Ok(solve(&request, fetcher, store, credentials, &settings, &|_| ()).await?)
    }

    async fn exact(&self, lock: &ForeignLock, sources: &Sources) -> Result<CondaLock, NativeError> {
        Ok(lock.exact(&self.fetcher, &self.store, &sources.fetch, &|_| ()).await?)
    }

    async fn of_ledger(
        &self,
        locked: &LockedConda,
        sources: &Sources,
    ) -> Result<CondaLock, NativeError> {
        let files = locked.packages.iter().map(|package| {
            let LockedCondaPackage { url, sha256, size, .. } = package;
            (url.as_str(), *sha256, *size)
        });
        self.exact(&ForeignLock::of_files(files)?, sources).await
    }

    /// Brings the packages into the store.
    pub(super) async fn conda_packages(
        &self,
        lock: &CondaLock,
        sources: &Sources,
        events: &Events,
    ) -> Result<Vec<StoredPackage>, NativeError> {
        let missing = lock.packages.iter().filter(|p| self.store.has(&p.sha256).is_none()).count();
        let step = events.step(StepKind::Fetch, "fetch conda packages");
        let so_far: Mutex<BTreeMap<String, u64>> = Mutex::default();
        let observe = |event: CondaEvent<'_>| {
            if let CondaEvent::Progress { filename, bytes } = event {
                let mut so_far = so_far.lock().unwrap_or_else(PoisonError::into_inner);
                so_far.insert(filename.to_owned(), bytes);
                step.reporter().progress(so_far.values().sum(), None);
            }
        };
        let (fetcher, store) = (&self.fetcher, &self.store);
        let stored = fetch_packages(lock, fetcher, store, &sources.fetch, &observe).await?;
        match missing {
            0 => step.finish(Outcome::Cached, None),
            n => step.finish(Outcome::Made, format!("{n} packages")),
        }
        Ok(stored)
    }
}

/// `https://$USER:${PASSWORD}@host/channel` with the values of variables, as conda has it.
fn expanded(text: &str, variables: &[(String, String)]) -> Result<String, CondaError> {
    let mut all = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        all.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        let (name, tail) = match after.strip_prefix('{').and_then(|after| after.split_once('}')) {
            Some(found) => found,
            None => {
                let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
                after.split_at(after.find(|c| !is_word(c)).unwrap_or(after.len()))
            }
        };
        let value = variables.iter().find(|(known, _)| known == name).map(|(_, value)| value);
        let value = value.ok_or_else(|| CondaError::Variable {
            channel: tierce_oci::hide_credentials(text),
            variable: name.to_owned(),
        })?;
        all.push_str(value);
        rest = tail;
    }
    all.push_str(rest);
    Ok(all)
}

/// All that the answer depends on but the state of the channels.
fn key(request: &Request<'_>, sources: &Sources, pinned: &[CondaPackage]) -> Digest {
    let Request { wanted, target, .. } = request;
    let lock = |lock: &ForeignLock| {
        lock.packages
            .iter()
            .map(|p| {
                let sha256 = p.sha256.map(|digest| digest.to_string()).unwrap_or_default();
                format!("{} {sha256} {}", p.url, p.md5.as_deref().unwrap_or_default())
            })
            .collect::<Vec<_>>()
    };
    KeyEncoder::new("conda-lock")
        .list("specs", &wanted.specs)
        .list("channels", sources.channels.iter().map(|channel| channel.url.as_str()))
        .text("subdir", target.subdir())
        .list("virtual-packages", target.describe())
        .list("locked", wanted.locks.iter().flat_map(lock))
        .list("pinned", pinned.iter().map(|package| package.url.as_str()))
        .list("secrets", key_parts(&wanted.secrets))
        .finish()
        .0
}

/// Several locks as one.
fn together(prefix: &str, locks: &[ForeignLock]) -> Result<ForeignLock, CondaError> {
    let mut all = ForeignLock::default();
    for package in locks.iter().flat_map(|lock| &lock.packages) {
        match all.packages.iter().find(|known| known.name == package.name) {
            None => all.packages.push(package.clone()),
            Some(known) if known.url == package.url => {}
            Some(known) => {
                let (one, other) = (known.url.to_string(), package.url.to_string());
                let (prefix, package) = (prefix.to_owned(), package.name.clone());
                return Err(CondaError::Disagree { prefix, package, one, other });
            }
        }
    }
    Ok(all)
}

fn to_ledger(prefix: &str, lock: &CondaLock) -> LockedConda {
    let package = |package: &CondaPackage| LockedCondaPackage {
        name: package.name.clone(),
        version: package.version.clone(),
        build: package.build.clone(),
        subdir: package.subdir.clone(),
        channel: package.channel.clone(),
        url: package.url.to_string(),
        size: package.size,
        sha256: package.sha256,
    };
    let packages = lock.packages.iter().map(package).collect();
    LockedConda { prefix: prefix.to_owned(), packages }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_of_channels_are_those_of_secrets() {
        let variables = [("USER", "me"), ("PW", "s3")].map(|(n, v)| (n.to_owned(), v.to_owned()));
        let found = expanded("https://$USER:${PW}@h/c", &variables).unwrap();
        assert_eq!(found, "https://me:s3@h/c");
        assert_eq!(expanded("conda-forge", &[]).unwrap(), "conda-forge");
        let error = expanded("https://me:${NO}@h/c", &variables).unwrap_err();
        assert!(matches!(error, CondaError::Variable { variable, .. } if variable == "NO"));
    }
}
