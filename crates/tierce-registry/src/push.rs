//! Pushing an artifact: all blobs, then manifests, then the root under its tags, so that nothing
//! half-pushed ever has a name.

use crate::RegistryError;
use crate::client::Client;
use crate::error::ImageProblem;
use crate::payload::BlobSource;
use crate::request::Repository;
use crate::scope::Scopes;
use crate::upload::{Mount, Session, Upload};
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use std::cmp::Reverse;
use std::collections::BTreeSet;
use tierce_oci::{Artifact, Blob, BlobLocation, Descriptor, Digest, Index, Reference, Selector};

/// What a push may take for granted.
#[derive(Clone, Debug, Default)]
pub struct PushOptions {
    /// Blobs that the repository is known to have: nothing is asked or sent for them. If the
    /// registry then misses one, all of them are looked for after all.
    pub present: BTreeSet<Digest>,
    /// Blobs that the repository is known not to have: sent without looking.
    pub absent: BTreeSet<Digest>,
}

/// What became of a blob.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BlobOutcome {
    /// The caller said that it is there.
    Known,
    /// It was there.
    Exists,
    /// The registry took it from another of its repositories.
    Mounted {
        /// That repository.
        from: String,
    },
    /// It was sent.
    Uploaded,
    /// It was sent, as it came from another repository.
    Copied {
        /// That repository, with its registry.
        from: String,
    },
}

/// What became of each blob.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlobReport {
    /// The blob.
    pub descriptor: Descriptor,
    /// What became of it.
    pub outcome: BlobOutcome,
}

/// What a push did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PushReport {
    /// The root's digest.
    pub digest: Digest,
    /// The size of all blobs and manifests that were sent.
    pub bytes_uploaded: u64,
    /// How many requests it took, those to token servers included (and those of pushes with the
    /// same client that ran meanwhile).
    pub requests: u64,
    /// The blobs, largest first.
    pub blobs: Vec<BlobReport>,
}

/// Something that happens to a blob while it is pushed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BlobEvent {
    /// Its turn has come.
    Started,
    /// So many of its bytes are on their way or there. Falls when an upload starts over.
    Progress(u64),
    /// It is there.
    Done(BlobOutcome),
}

/// Hears of a push.
pub trait PushObserver: Send + Sync {
    /// Something happened to a blob. Must not block.
    fn blob(&self, descriptor: &Descriptor, event: BlobEvent);
}

/// Hears nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl PushObserver for Silent {
    fn blob(&self, _descriptor: &Descriptor, _event: BlobEvent) {}
}

impl Client {
    /// Pushes `artifact` to `to` and gives it `extra_tags` besides: blobs that the registry has
    /// are not sent, those that another of its repositories has are mounted.
    pub async fn push(
        &self,
        artifact: &Artifact,
        to: &Reference,
        extra_tags: &[String],
        options: &PushOptions,
        observer: &dyn PushObserver,
    ) -> Result<PushReport, RegistryError> {
        if let Some(expected) = to.digest()
            && *expected != artifact.root.digest
        {
            let (expected, actual) = (*expected, artifact.root.digest);
            return Err(RegistryError::WrongDigest { expected, actual });
        }
        let requests = self.requests();
        let documents = self.documents(artifact, to).await?;
        let push = Push { client: self, target: self.repository(to)?, options, observer };
        let mut blobs = push.blobs(artifact, true).await?;
        let mut manifests = push.manifests(&documents, to, extra_tags).await;
        if let Err(error) = &manifests
            && error.is_blob_unknown()
            && blobs.iter().any(|b| b.outcome == BlobOutcome::Known)
        {
            tracing::debug!(%error, "what was known of the registry is wrong: looking again");
            blobs = push.blobs(artifact, false).await?;
            manifests = push.manifests(&documents, to, extra_tags).await;
        }
        manifests?;
        let sent = |outcome: &BlobOutcome| {
            matches!(outcome, BlobOutcome::Uploaded | BlobOutcome::Copied { .. })
        };
        let blob_bytes: u64 =
            blobs.iter().filter(|b| sent(&b.outcome)).map(|b| b.descriptor.size).sum();
        let document_bytes: u64 = documents.iter().map(|d| d.descriptor.size).sum();
        Ok(PushReport {
            digest: artifact.root.digest,
            bytes_uploaded: blob_bytes + document_bytes,
            requests: self.requests() - requests,
            blobs,
        })
    }

    /// The artifact's manifests and indexes, each after those that it leads to; the root last.
    async fn documents(
        &self,
        artifact: &Artifact,
        to: &Reference,
    ) -> Result<Vec<Document>, RegistryError> {
        let unusable = |source| RegistryError::Image { reference: to.to_string(), source };
        let mut seen = BTreeSet::new();
        let mut ordered = vec![];
        let mut stack = vec![Visit::Enter(artifact.root.digest)];
        while let Some(visit) = stack.pop() {
            let digest = match visit {
                Visit::Enter(digest) => digest,
                Visit::Leave(document) => {
                    ordered.push(document);
                    continue;
                }
            };
            if !seen.insert(digest) {
                continue;
            }
            let blob = artifact.blobs.get(&digest).ok_or(RegistryError::Incomplete { digest })?;
            let descriptor = blob.descriptor.clone();
            let bytes = self.document_bytes(blob).await?;
            let mut below = vec![];
            if descriptor.media_type.is_index() {
                let index = Index::parse(&bytes, &descriptor.media_type)
                    .map_err(|e| unusable(ImageProblem::Manifest(e)))?;
                below.extend(index.manifests.iter().rev().map(|m| Visit::Enter(m.digest)));
            }
            stack.push(Visit::Leave(Document { descriptor, bytes }));
            stack.append(&mut below);
        }
        Ok(ordered)
    }

    async fn document_bytes(&self, blob: &Blob) -> Result<Bytes, RegistryError> {
        let expected = blob.descriptor.digest;
        let bytes = match &blob.location {
            BlobLocation::Memory(bytes) => Bytes::from_owner(bytes.clone()),
            BlobLocation::File(path) => {
                let failed = |source| RegistryError::File { path: path.clone(), source };
                tokio::fs::read(path).await.map_err(failed)?.into()
            }
            BlobLocation::Registry(from) => self.manifest(&from.with_digest(expected)).await?.1,
        };
        match Digest::of(&bytes) {
            actual if actual == expected => Ok(bytes),
            actual => {
                let object = format!("manifest {expected}");
                Err(RegistryError::DigestMismatch { object, expected, actual })
            }
        }
    }
}

/// A manifest or an index.
struct Document {
    descriptor: Descriptor,
    bytes: Bytes,
}

/// Orders the largest first.
fn by_size(descriptor: &Descriptor) -> (Reverse<u64>, Digest) {
    (Reverse(descriptor.size), descriptor.digest)
}

/// A step of a depth-first walk.
enum Visit {
    Enter(Digest),
    Leave(Document),
}

struct Push<'a> {
    client: &'a Client,
    target: Repository,
    options: &'a PushOptions,
    observer: &'a dyn PushObserver,
}

impl Push<'_> {
    /// Sees to it that every blob is in the repository, several at a time.
    async fn blobs(
        &self,
        artifact: &Artifact,
        trusting: bool,
    ) -> Result<Vec<BlobReport>, RegistryError> {
        let is_document = |d: &Descriptor| d.media_type.is_index() || d.media_type.is_manifest();
        let mut blobs: Vec<&Blob> =
            artifact.blobs.values().filter(|b| !is_document(&b.descriptor)).collect();
        // The largest first: started last, it would be uploaded alone.
        blobs.sort_by_key(|blob| by_size(&blob.descriptor));
        // Collected, because a stream over borrowed blobs is not `Send` by the compiler's lights.
        let pushes: Vec<_> = blobs
            .into_iter()
            .map(|blob| async move {
                let descriptor = blob.descriptor.clone();
                self.observer.blob(&descriptor, BlobEvent::Started);
                let outcome = self.blob(blob, trusting).await?;
                self.observer.blob(&descriptor, BlobEvent::Done(outcome.clone()));
                Ok(BlobReport { descriptor, outcome })
            })
            .collect();
        let mut reports: Vec<BlobReport> = stream::iter(pushes)
            .buffer_unordered(self.client.settings().parallelism.max(1))
            .try_collect()
            .await?;
        reports.sort_by_key(|report| by_size(&report.descriptor));
        Ok(reports)
    }

    async fn blob(&self, blob: &Blob, trusting: bool) -> Result<BlobOutcome, RegistryError> {
        let digest = &blob.descriptor.digest;
        if trusting && self.options.present.contains(digest) {
            return Ok(BlobOutcome::Known);
        }
        let scopes = Scopes::push(&self.target.name);
        let on_bytes = |bytes| self.observer.blob(&blob.descriptor, BlobEvent::Progress(bytes));
        let upload = Upload {
            client: self.client,
            repository: &self.target,
            scopes: &scopes,
            descriptor: &blob.descriptor,
            on_bytes: &on_bytes,
        };
        let mut session = None;
        // Mounting costs one request whether the repository has the blob or not.
        if let BlobLocation::Registry(from) = &blob.location
            && let Some(from) = self.neighbour(from)?
        {
            match upload.mount(&from).await? {
                Mount::Mounted => return Ok(BlobOutcome::Mounted { from: from.name }),
                Mount::Session(open) => session = Some(open),
                Mount::Refused => {}
            }
        }
        let absent = trusting && self.options.absent.contains(digest);
        if !absent && self.client.look_for_blob(&self.target, &scopes, digest).await?.is_some() {
            return Ok(BlobOutcome::Exists);
        }
        self.send(blob, &upload, session).await
    }

    /// Another repository of the target's registry that has what `from` has.
    fn neighbour(&self, from: &Reference) -> Result<Option<Repository>, RegistryError> {
        let sources = self.client.sources(from)?;
        let mut same = sources.into_iter().filter(|s| s.registry() == self.target.registry());
        Ok(same.find(|source| source.name != self.target.name))
    }

    async fn send(
        &self,
        blob: &Blob,
        upload: &Upload<'_>,
        session: Option<Session>,
    ) -> Result<BlobOutcome, RegistryError> {
        let (source, outcome) = match &blob.location {
            BlobLocation::Memory(bytes) => {
                (BlobSource::Memory(Bytes::from_owner(bytes.clone())), BlobOutcome::Uploaded)
            }
            BlobLocation::File(path) => {
                (BlobSource::File(path.as_path().into()), BlobOutcome::Uploaded)
            }
            BlobLocation::Registry(from) => {
                (BlobSource::Registry(from.clone()), BlobOutcome::Copied { from: from.name() })
            }
        };
        upload.run(&source, session).await?;
        Ok(outcome)
    }

    /// The documents by digest, and the root by each of its tags.
    async fn manifests(
        &self,
        documents: &[Document],
        to: &Reference,
        extra_tags: &[String],
    ) -> Result<(), RegistryError> {
        let Some((root, below)) = documents.split_last() else { return Ok(()) };
        for document in below {
            self.put(document, Selector::Digest(&document.descriptor.digest)).await?;
        }
        // A tag outranks the digest here: the digest comes with it.
        let first = to.tag().map_or_else(|| to.selector(), Selector::Tag);
        self.put(root, first).await?;
        for tag in extra_tags.iter().filter(|tag| first != Selector::Tag(tag.as_str())) {
            self.put(root, Selector::Tag(tag)).await?;
        }
        Ok(())
    }

    async fn put(&self, document: &Document, selector: Selector<'_>) -> Result<(), RegistryError> {
        let Document { descriptor, bytes } = document;
        self.client.put_manifest(&self.target, selector, descriptor, bytes).await
    }
}
