//! Match specs to exact packages.

use crate::channel::Channel;
use crate::credentials::ChannelCredentials;
use crate::error::SolveError;
use crate::lock::{CondaLock, CondaPackage, Noarch};
use crate::repodata::cache::Documents;
use crate::repodata::{RepodataSettings, Subdir};
use crate::request::{CondaRequest, solver_channel};
use futures::{StreamExt, TryStreamExt, stream};
use rattler_conda_types::{MatchSpec, NoArchKind, PackageName, RepoDataRecord};
use rattler_solve::{ChannelPriority, RepoDataIter, SolverImpl, SolverTask, resolvo};
use std::collections::{BTreeMap, BTreeSet};
use tierce_fetch::Fetcher;
use tierce_oci::Digest;
use tierce_store::Store;

/// What happens while packages are solved and fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CondaEvent<'a> {
    /// The index of a channel's directory is read.
    Index {
        /// The channel.
        channel: &'a str,
        /// The directory.
        subdir: &'a str,
    },
    /// The solver runs over so many packages.
    Solving {
        /// How many packages could be part of the answer.
        candidates: usize,
    },
    /// The file was in the store.
    Cached {
        /// The file's name.
        filename: &'a str,
    },
    /// The download begins.
    Started {
        /// The file's name.
        filename: &'a str,
        /// Its size, where it is known.
        size: Option<u64>,
    },
    /// So many bytes are there by now.
    Progress {
        /// The file's name.
        filename: &'a str,
        /// Bytes so far.
        bytes: u64,
    },
    /// The file is in the store.
    Finished {
        /// The file's name.
        filename: &'a str,
    },
}

/// Is told what happens.
pub type CondaObserver<'a> = &'a (dyn Fn(CondaEvent<'_>) + Send + Sync);

/// Where `noarch` packages are.
const NOARCH: &str = "noarch";
/// Where else packages may be, to say so when there are none for the platform.
const OTHERS: [&str; 9] = [
    "linux-64",
    "linux-aarch64",
    "linux-ppc64le",
    "linux-32",
    "linux-armv7l",
    "osx-64",
    "osx-arm64",
    "win-64",
    "win-arm64",
];

/// Finds packages that satisfy the request: the newest ones that fit together, by strict channel
/// priority.
pub async fn solve(
    request: &CondaRequest,
    fetcher: &Fetcher,
    store: &Store,
    credentials: &ChannelCredentials,
    settings: &RepodataSettings,
    observer: CondaObserver<'_>,
) -> Result<CondaLock, SolveError> {
    let specs = request.parse()?;
    if request.channels.is_empty() {
        return Err(SolveError::NoChannels);
    }
    let documents = Documents { fetcher, store, credentials, settings };
    let universe = Universe::open(request, &documents, observer).await?;
    let wanted: Vec<PackageName> = specs.iter().map(|(_, name)| name.clone()).collect();
    universe.expect_known(&specs, request, &documents).await?;
    let pinned: Vec<RepoDataRecord> =
        request.pinned.iter().filter_map(|package| pinned_record(package, request)).collect();
    let records = universe.gather(&wanted, &pinned, &documents).await?;
    observer(CondaEvent::Solving { candidates: records.iter().map(Vec::len).sum() });
    let virtual_packages = request.target.virtual_packages().to_vec();
    let match_specs: Vec<MatchSpec> = specs.into_iter().map(|(spec, _)| spec).collect();
    let solved = tokio::task::spawn_blocking(move || {
        let mut task: SolverTask<'_, Vec<RepoDataIter<std::slice::Iter<'_, RepoDataRecord>>>> =
            records.iter().map(|records| records.iter()).collect();
        task.locked_packages = pinned.iter().collect();
        task.virtual_packages = virtual_packages;
        task.specs = match_specs;
        task.channel_priority = ChannelPriority::Strict;
        resolvo::Solver.solve(task).map(|result| result.records)
    });
    let solved = match solved.await {
        Ok(solved) => solved.map_err(|error| unsatisfiable(error, request))?,
        Err(error) => return Err(SolveError::Crashed(error.to_string())),
    };
    let requested: BTreeSet<&str> = wanted.iter().map(PackageName::as_normalized).collect();
    let mut packages = Vec::with_capacity(solved.len());
    for record in solved {
        let mut package = to_package(record, request)?;
        package.0.requested = requested.contains(package.0.name.as_str());
        packages.push(match package {
            (package, None) => package,
            (package, Some(md5)) => {
                crate::fetch::complete(package, &md5, fetcher, store, credentials).await?
            }
        });
    }
    Ok(CondaLock::new(packages)?)
}

fn unsatisfiable(error: rattler_solve::SolveError, request: &CondaRequest) -> SolveError {
    match error {
        rattler_solve::SolveError::Unsolvable(reasons) => SolveError::Unsatisfiable {
            explanation: reasons.join("\n").trim_end().to_owned(),
            platform: request.target.platform().clone(),
            virtual_packages: request.target.describe(),
        },
        other => SolveError::Solver(other),
    }
}

fn pinned_record(package: &CondaPackage, request: &CondaRequest) -> Option<RepoDataRecord> {
    let channel = request.channels.iter().find(|c| c.url.as_str() == package.channel)?;
    package.to_record(solver_channel(channel).canonical_name())
}

/// The lock's entry; the MD5 to check against where the channel gives no SHA-256.
fn to_package(
    record: RepoDataRecord,
    request: &CondaRequest,
) -> Result<(CondaPackage, Option<String>), SolveError> {
    let found = record.package_record;
    let name = found.name.as_normalized().to_owned();
    let md5 = found.md5.map(|hash| hex(&hash));
    let sha256 = found.sha256.map(|hash| Digest::from_bytes(hash.into()));
    let to_check = match (&sha256, &md5) {
        (Some(_), _) => None,
        (None, Some(md5)) => Some(md5.clone()),
        (None, None) => return Err(SolveError::NoDigest { package: name }),
    };
    let channel = request
        .channels
        .iter()
        .find(|c| Some(solver_channel(c).canonical_name()) == record.channel)
        .map_or_else(|| record.channel.clone().unwrap_or_default(), |c| c.url.to_string());
    let package = CondaPackage {
        name,
        version: found.version.as_str().into_owned(),
        build: found.build.to_string(),
        build_number: found.build_number,
        subdir: found.subdir,
        channel,
        url: record.url,
        sha256: sha256.unwrap_or_else(|| Digest::from_bytes([0; 32])),
        md5,
        size: found.size,
        depends: found.depends,
        constrains: found.constrains,
        noarch: found.noarch.kind().map(|kind| match kind {
            NoArchKind::Python => Noarch::Python,
            NoArchKind::Generic => Noarch::Generic,
        }),
        python_site_packages_path: found.python_site_packages_path,
        requested: false,
    };
    Ok((package, to_check))
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The directories of all channels, by priority.
struct Universe {
    subdirs: Vec<Subdir>,
}

impl Universe {
    async fn open(
        request: &CondaRequest,
        documents: &Documents<'_>,
        observer: CondaObserver<'_>,
    ) -> Result<Self, SolveError> {
        let wanted: Vec<(&Channel, &str)> = request
            .channels
            .iter()
            .flat_map(|channel| [request.target.subdir(), NOARCH].map(|subdir| (channel, subdir)))
            .collect();
        let opened: Vec<Subdir> = stream::iter(wanted.clone())
            .map(|(channel, subdir)| async move {
                observer(CondaEvent::Index { channel: &channel.name, subdir });
                Subdir::open(channel, subdir, documents).await
            })
            .buffered(documents.settings.concurrency.max(1))
            .try_collect()
            .await?;
        for (channel, pair) in request.channels.iter().zip(opened.chunks(2)) {
            if !pair.iter().any(Subdir::exists) {
                return Err(SolveError::NoSuchChannel {
                    channel: channel.name.clone(),
                    url: channel.url.clone(),
                });
            }
        }
        Ok(Universe { subdirs: opened })
    }

    /// All records that can be part of an answer: those of the wanted packages, of all that any
    /// of them depends on, and so on.
    async fn gather(
        &self,
        wanted: &[PackageName],
        pinned: &[RepoDataRecord],
        documents: &Documents<'_>,
    ) -> Result<Vec<Vec<RepoDataRecord>>, SolveError> {
        let mut records: Vec<Vec<RepoDataRecord>> =
            self.subdirs.iter().map(|_| Vec::new()).collect();
        let mut seen: BTreeSet<String> =
            wanted.iter().map(|name| name.as_normalized().to_owned()).collect();
        let mut front: Vec<String> = seen.iter().cloned().collect();
        for record in pinned {
            add_dependencies(record, &mut seen, &mut front);
        }
        while !front.is_empty() {
            let round: Vec<(usize, String)> = front
                .drain(..)
                .flat_map(|name| (0..self.subdirs.len()).map(move |at| (at, name.clone())))
                .filter(|(at, name)| self.subdirs[*at].contains(name))
                .collect();
            let found: Vec<(usize, Vec<RepoDataRecord>)> = stream::iter(round)
                .map(|(at, name)| async move {
                    Ok::<_, SolveError>((at, self.subdirs[at].records(&name, documents).await?))
                })
                .buffered(documents.settings.concurrency.max(1))
                .try_collect()
                .await?;
            for (at, found) in found {
                for record in &found {
                    add_dependencies(record, &mut seen, &mut front);
                }
                records[at].extend(found);
            }
            front.sort();
        }
        Ok(records)
    }

    /// A package that is asked for and that no channel has is a plain mistake, for which a
    /// solver's explanation is too much.
    async fn expect_known(
        &self,
        specs: &[(MatchSpec, PackageName)],
        request: &CondaRequest,
        documents: &Documents<'_>,
    ) -> Result<(), SolveError> {
        for (spec, name) in specs {
            let name = name.as_normalized();
            let is_virtual = name.starts_with("__");
            if is_virtual || self.subdirs.iter().any(|subdir| subdir.contains(name)) {
                continue;
            }
            let elsewhere = elsewhere(name, request, documents).await?;
            if elsewhere.is_empty() {
                let channels = request.channels.iter().map(|c| c.name.clone()).collect();
                let near = self.near(name);
                return Err(SolveError::UnknownPackage { name: name.to_owned(), channels, near });
            }
            return Err(SolveError::NoBuild {
                spec: spec.to_string(),
                name: name.to_owned(),
                platform: request.target.subdir(),
                elsewhere,
            });
        }
        Ok(())
    }

    /// Names that are spelled alike, the nearest first.
    fn near(&self, name: &str) -> Vec<String> {
        let names: BTreeSet<&str> = self.subdirs.iter().flat_map(Subdir::names).collect();
        let mut near: Vec<(usize, &str)> = names
            .into_iter()
            .filter(|known| known.len().abs_diff(name.len()) <= 2)
            .map(|known| (strsim::damerau_levenshtein(name, known), known))
            .filter(|(distance, _)| *distance <= 2 && *distance * 3 <= name.len())
            .collect();
        near.sort();
        near.into_iter().take(3).map(|(_, name)| name.to_owned()).collect()
    }
}

fn add_dependencies(record: &RepoDataRecord, seen: &mut BTreeSet<String>, front: &mut Vec<String>) {
    for spec in &record.package_record.depends {
        let name = PackageName::normalized_name_from_matchspec_str(spec);
        if !name.starts_with("__") && !seen.contains(name.as_ref()) {
            seen.insert(name.to_string());
            front.push(name.into_owned());
        }
    }
}

/// The other platforms that the channels have a package for.
async fn elsewhere(
    name: &str,
    request: &CondaRequest,
    documents: &Documents<'_>,
) -> Result<Vec<String>, SolveError> {
    let mut found = BTreeMap::new();
    for (order, subdir) in OTHERS.iter().enumerate().filter(|(_, s)| **s != request.target.subdir())
    {
        for channel in &request.channels {
            // Only for a better message: what fails here is no reason to fail.
            match Subdir::open(channel, subdir, documents).await {
                Ok(opened) if opened.contains(name) => drop(found.insert(order, *subdir)),
                Ok(_) => {}
                Err(error) => tracing::debug!(%error, subdir, "can't look for other platforms"),
            }
        }
    }
    Ok(found.into_values().map(str::to_owned).collect())
}
