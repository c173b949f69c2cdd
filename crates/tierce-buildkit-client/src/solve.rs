//! One build: a request, its session, its progress.

use crate::auth::SessionCredentials;
use crate::cache::CacheEntry;
use crate::client::Client;
use crate::error::SolveError;
use crate::progress::Progress;
use crate::session::{ContextSource, Services, Session, SessionSecrets};
use bollard_buildkit_proto::moby::buildkit::v1::{
    CacheOptions, SolveRequest, StatusRequest, StatusResponse,
};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tierce_engine::Events;
use tierce_registry::Credentials;
use tonic::{Status, Streaming};

/// How long the rest of the progress is waited for when the result is there.
const LAST_WORDS: Duration = Duration::from_secs(10);

/// What a daemon does with what it built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exporter {
    /// `image`, `oci`, `docker`, `moby`, ...
    pub kind: String,
    /// The exporter's attributes.
    pub attributes: BTreeMap<String, String>,
    /// Where the file goes that `oci` and `docker` send back; written in place, so name one that
    /// nobody sees yet.
    pub destination: Option<PathBuf>,
}

/// One build for the `dockerfile.v0` frontend.
#[derive(Clone)]
pub struct Solve {
    /// The Dockerfile.
    pub dockerfile: Arc<[u8]>,
    /// Everything that it copies, in one archive.
    pub context: Arc<dyn ContextSource>,
    /// The frontend's attributes: `platform`, `target`, `build-arg:NAME`, ...
    pub attributes: BTreeMap<String, String>,
    /// The values that steps may ask for.
    pub secrets: SessionSecrets,
    /// Who pulls and pushes.
    pub credentials: Arc<dyn Credentials>,
    /// The registries that this build has to do with, as references name them. The daemon gets
    /// the credentials of no other one, whatever it asks for.
    pub registries: BTreeSet<String>,
    /// What becomes of the result; `None` to leave it in the daemon's cache.
    pub exporter: Option<Exporter>,
    /// Caches to read.
    pub cache_from: Vec<CacheEntry>,
    /// Caches to write.
    pub cache_to: Vec<CacheEntry>,
    /// What the build is allowed besides the ordinary (`network.host`).
    pub entitlements: Vec<String>,
}

/// What a daemon says of what it built.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SolveResult {
    /// The exporter's answer: `containerimage.digest`, `containerimage.config.digest`, ...
    pub response: BTreeMap<String, String>,
}

impl Client {
    /// Builds. Steps and their output go to `events`. Dropping the future ends the build: the
    /// daemon stops what runs.
    pub async fn solve(&self, solve: Solve, events: &Events) -> Result<SolveResult, SolveError> {
        let mut control = self.control();
        let mut progress = Progress::new(events, solve.secrets.hidden.clone());
        let upload = random_id();
        let services = Services {
            dockerfile: solve.dockerfile.clone(),
            context: (format!("/{upload}"), solve.context.clone()),
            secrets: solve.secrets.clone(),
            credentials: SessionCredentials {
                source: solve.credentials.clone(),
                registries: solve.registries.clone(),
            },
            destination: solve.exporter.as_ref().and_then(|e| e.destination.clone()),
        };
        let session = Session::start(&mut control, random_id(), services).await;
        let session = session.map_err(|status| progress.error(&status))?;
        let request = request(&solve, &session.id, &upload);
        let status = StatusRequest { r#ref: request.r#ref.clone() };
        let mut watched = self.control();
        let watch = async {
            let mut stream = watched.status(status).await?.into_inner();
            progress.follow(&mut stream).await
        };
        let result = race(control.solve(request), watch).await;
        session.end().await;
        match result {
            Ok(answer) => {
                progress.finish();
                let response = answer.into_inner().exporter_response.into_iter().collect();
                Ok(SolveResult { response })
            }
            Err(status) => Err(progress.error(&status)),
        }
    }
}

/// Waits for the result, and lets the progress end by itself for a while: the last lines of a
/// step that failed come after the failure.
async fn race<T>(
    result: impl Future<Output = Result<T, Status>>,
    watch: impl Future<Output = Result<(), Status>>,
) -> Result<T, Status> {
    tokio::pin!(result, watch);
    let result = tokio::select! {
        result = &mut result => {
            let _ = tokio::time::timeout(LAST_WORDS, watch).await;
            result
        }
        watched = &mut watch => {
            if let Err(status) = watched {
                tracing::debug!(%status, "the daemon gives no progress");
            }
            result.await
        }
    };
    result
}

impl Progress<'_> {
    async fn follow(&mut self, stream: &mut Streaming<StatusResponse>) -> Result<(), Status> {
        while let Some(status) = stream.message().await? {
            self.update(status);
        }
        Ok(())
    }
}

fn request(solve: &Solve, session: &str, upload: &str) -> SolveRequest {
    let mut attributes = solve.attributes.clone();
    // Not an address: the daemon reads this host's answers over the session.
    attributes.insert("context".to_owned(), format!("http://buildkit-session/{upload}"));
    attributes.insert("dockerfilekey".to_owned(), crate::filesync::DIRECTORY.to_owned());
    attributes.insert("filename".to_owned(), crate::filesync::FILE.to_owned());
    let messages = |entries: &[CacheEntry]| entries.iter().map(CacheEntry::to_message).collect();
    let (kind, exporter) = match &solve.exporter {
        Some(exporter) => (exporter.kind.clone(), exporter.attributes.clone()),
        None => Default::default(),
    };
    SolveRequest {
        r#ref: random_id(),
        // The fields that every version understands: `exporters` is BuildKit 0.13's.
        exporter_deprecated: kind,
        exporter_attrs_deprecated: exporter.into_iter().collect(),
        session: session.to_owned(),
        frontend: "dockerfile.v0".to_owned(),
        frontend_attrs: attributes.into_iter().collect(),
        cache: Some(CacheOptions {
            exports: messages(&solve.cache_to),
            imports: messages(&solve.cache_from),
            ..CacheOptions::default()
        }),
        entitlements: solve.entitlements.clone(),
        ..SolveRequest::default()
    }
}

/// A name that nobody else uses: it is no secret, and must not be guessed by accident only.
fn random_id() -> String {
    std::iter::repeat_with(fastrand::alphanumeric)
        .map(|c| c.to_ascii_lowercase())
        .take(25)
        .collect()
}
