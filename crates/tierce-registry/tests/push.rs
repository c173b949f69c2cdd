//! Pushing: what is sent, what is not, and what happens when it breaks.

mod support;

use std::collections::BTreeSet;
use support::*;
use tierce_oci::{Blob, BlobLocation, Descriptor, Diagnostic, Digest, MediaType};
use tierce_registry::testing::{Auth, Effect, FakeRegistry, Options, Reply};
use tierce_registry::{
    BlobEvent, BlobOutcome, Client, ClientSettings, PushOptions, PushReport, RegistryError, Silent,
};

async fn registry(options: Options) -> FakeRegistry {
    FakeRegistry::start(options).await.unwrap()
}

async fn push(
    client: &Client,
    image: &TestImage,
    registry: &FakeRegistry,
    to: &str,
) -> Result<PushReport, RegistryError> {
    let options = PushOptions::default();
    client.push(&image.artifact, &registry.reference(to), &[], &options, &Silent).await
}

fn outcomes(report: &PushReport) -> Vec<BlobOutcome> {
    report.blobs.iter().map(|b| b.outcome.clone()).collect()
}

fn count(registry: &FakeRegistry, method: &str) -> usize {
    registry.requests().iter().filter(|r| r.method == method).count()
}

/// All sizes around the limits: empty, one request, exact chunks, a rest.
const SIZES: [usize; 6] = [0, 10, 1000, 1001, 1200, 5000];

#[tokio::test]
async fn everything_arrives() {
    let dir = tempfile::tempdir().unwrap();
    for auth in [Auth::Open, Auth::Basic, Auth::Bearer, Auth::PrivateBearer] {
        for absolute_locations in [false, true] {
            let options = Options { auth, absolute_locations, ..Options::default() };
            let registry = registry(options).await;
            let layers: Vec<_> = SIZES.iter().map(|&n| content(4, n)).collect();
            let files: Vec<_> = layers.iter().map(|l| file_layer(dir.path(), l)).collect();
            let image = image("linux/amd64", &files);
            let to = registry.reference("a/b:v1");
            let (ear, tags) = (Ear::default(), ["v1".to_owned(), "latest".to_owned()]);
            let report = alice()
                .push(&image.artifact, &to, &tags, &PushOptions::default(), &ear)
                .await
                .unwrap();
            assert_eq!(report.digest, image.artifact.root.digest);
            for layer in &layers {
                let stored = registry.blob("a/b", &Digest::of(layer));
                assert_eq!(stored.as_ref(), Some(layer), "{auth:?}, {} bytes", layer.len());
            }
            for tag in ["v1", "latest"] {
                assert_eq!(registry.manifest("a/b", tag), Some(image.manifest.clone()));
            }
            // Each tag once.
            assert_eq!(registry.lines().iter().filter(|l| l.ends_with("manifests/v1")).count(), 1);
            let all = SIZES.iter().sum::<usize>() + image.config.len() + image.manifest.len();
            assert_eq!(report.bytes_uploaded, all as u64);
            assert_eq!(report.requests, registry.requests().len() as u64);
            let sizes: Vec<_> = report.blobs.iter().map(|b| b.descriptor.size).collect();
            assert!(sizes.is_sorted_by(|a, b| a >= b));

            let heard = ear.0.lock().unwrap();
            for blob in &report.blobs {
                let of_blob: Vec<_> = heard
                    .iter()
                    .filter(|(d, _)| *d == blob.descriptor.digest)
                    .map(|(_, e)| e)
                    .collect();
                assert_eq!(of_blob[0], &BlobEvent::Started);
                assert_eq!(of_blob.last(), Some(&&BlobEvent::Done(BlobOutcome::Uploaded)));
                if blob.descriptor.size > 0 {
                    assert!(of_blob.contains(&&BlobEvent::Progress(blob.descriptor.size)));
                }
            }
        }
    }
}

#[tokio::test]
async fn what_is_there_is_not_sent() {
    let dir = tempfile::tempdir().unwrap();
    let registry = registry(Options::default()).await;
    let image = image("linux/amd64", &[file_layer(dir.path(), &content(5, 5000))]);
    push(&client(), &image, &registry, "a:v1").await.unwrap();
    let report = push(&client(), &image, &registry, "a:v2").await.unwrap();
    assert_eq!(outcomes(&report), [BlobOutcome::Exists, BlobOutcome::Exists]);
    assert_eq!(report.bytes_uploaded, image.manifest.len() as u64);
    // Two HEADs and the manifest.
    assert_eq!(report.requests, 3);

    let present = image.artifact.blobs.keys().copied().collect();
    let options = PushOptions { present, absent: BTreeSet::new() };
    let to = registry.reference("a:v3");
    let report = client().push(&image.artifact, &to, &[], &options, &Silent).await.unwrap();
    assert_eq!(outcomes(&report), [BlobOutcome::Known, BlobOutcome::Known]);
    assert_eq!(report.requests, 1);
    // What is taken for granted and is wrong is found out.
    let to = registry.reference("other:v1");
    let report = client().push(&image.artifact, &to, &[], &options, &Silent).await.unwrap();
    assert_eq!(outcomes(&report), [BlobOutcome::Uploaded, BlobOutcome::Uploaded]);
    let absent = PushOptions { present: BTreeSet::new(), absent: options.present };
    let to = registry.reference("third:v1");
    let report = client().push(&image.artifact, &to, &[], &absent, &Silent).await.unwrap();
    assert_eq!(report.blobs.len(), 2);
    assert!(!registry.lines().iter().any(|l| l.starts_with("HEAD /v2/third/")));
}

#[tokio::test]
async fn an_index_comes_after_its_manifests() {
    let dir = tempfile::tempdir().unwrap();
    let registry = registry(Options::default()).await;
    let images =
        ["linux/amd64", "linux/arm64"].map(|p| image(p, &[file_layer(dir.path(), p.as_bytes())]));
    let all = index(&[&images[0], &images[1]]);
    let to = registry.reference("a:v1");
    let report = client().push(&all, &to, &[], &PushOptions::default(), &Silent).await.unwrap();
    assert_eq!(report.digest, all.root.digest);
    let puts: Vec<_> =
        registry.lines().into_iter().filter(|l| l.starts_with("PUT /v2/a/manifests/")).collect();
    let expected = [
        images[0].artifact.root.digest.to_string(),
        images[1].artifact.root.digest.to_string(),
        "v1".to_owned(),
    ];
    assert_eq!(puts, expected.map(|name| format!("PUT /v2/a/manifests/{name}")));
}

#[tokio::test]
async fn blobs_of_the_registry_are_mounted() {
    let layer = content(6, 700);
    for auth in [Auth::Open, Auth::Basic, Auth::Bearer, Auth::PrivateBearer] {
        let registry = registry(Options { auth, ..Options::default() }).await;
        registry.put_blob("base/image", &layer);
        let from = BlobLocation::Registry(registry.reference("base/image:v1"));
        let image = image("linux/amd64", &[(Descriptor::of(MediaType::OciLayer, &layer), from)]);
        let report = push(&alice(), &image, &registry, "app:v1").await.unwrap();
        let mounted = BlobOutcome::Mounted { from: "base/image".into() };
        assert_eq!(outcomes(&report)[0], mounted, "{auth:?}");
        let sent = image.config.len() + image.manifest.len();
        assert_eq!(report.bytes_uploaded, sent as u64, "{auth:?}");
        assert_eq!(registry.blob("app", &Digest::of(&layer)), Some(layer.clone()));
        let bytes: usize = registry.requests().iter().map(|r| r.body.len()).sum();
        assert_eq!(bytes, sent);
    }
}

#[tokio::test]
async fn without_mounting_the_open_session_is_used() {
    for length in [700, 3000] {
        let layer = content(7, length);
        let registry = registry(Options { mounts: false, ..Options::default() }).await;
        registry.put_blob("base", &layer);
        let from = BlobLocation::Registry(registry.reference("base"));
        let image = image("linux/amd64", &[(Descriptor::of(MediaType::OciLayer, &layer), from)]);
        let report = push(&client(), &image, &registry, "app:v1").await.unwrap();
        let copied = BlobOutcome::Copied { from: format!("{}/base", registry.authority()) };
        assert_eq!(outcomes(&report)[0], copied);
        assert_eq!(registry.blob("app", &Digest::of(&layer)), Some(layer));
        // One session for the layer, one for the config.
        assert_eq!(count(&registry, "POST"), 2);
        // Where the blob is there already, it is not sent although the mount failed.
        let report = push(&client(), &image, &registry, "app:v2").await.unwrap();
        assert_eq!(outcomes(&report)[0], BlobOutcome::Exists);
    }
}

#[tokio::test]
async fn blobs_of_another_registry_are_copied() {
    for length in [700, 3000] {
        let layer = content(8, length);
        let source = registry(Options { auth: Auth::Bearer, ..Options::default() }).await;
        let target = registry(Options { auth: Auth::Basic, ..Options::default() }).await;
        source.put_blob("base", &layer);
        let from = BlobLocation::Registry(source.reference("base:v1"));
        let image = image("linux/amd64", &[(Descriptor::of(MediaType::OciLayer, &layer), from)]);
        let report = push(&alice(), &image, &target, "app:v1").await.unwrap();
        assert!(matches!(outcomes(&report)[0], BlobOutcome::Copied { .. }));
        assert_eq!(target.blob("app", &Digest::of(&layer)), Some(layer));
    }
}

#[tokio::test]
async fn breaks_are_survived() {
    let dir = tempfile::tempdir().unwrap();
    for (on, effect) in [
        ("POST", Effect::Answer(Reply::new(503))),
        ("POST", Effect::Answer(Reply::new(429).header("Retry-After", 0))),
        ("PUT /v2/a/blobs", Effect::CutRequest(100)),
        ("PUT /v2/a/blobs", Effect::Answer(Reply::new(500))),
        ("PUT /v2/a/blobs", Effect::ExpireTokens),
        ("PUT /v2/a/manifests", Effect::Answer(Reply::new(502))),
        ("PUT /v2/a/manifests", Effect::ExpireTokens),
        ("PATCH", Effect::CutRequest(123)),
        ("PATCH", Effect::Answer(Reply::new(500))),
        ("PATCH", Effect::Answer(Reply::new(404))),
        ("PATCH", Effect::ExpireTokens),
        ("HEAD", Effect::Answer(Reply::new(504))),
        ("/token", Effect::Answer(Reply::new(503))),
    ] {
        let registry = registry(Options { auth: Auth::Bearer, ..Options::default() }).await;
        let layers = [content(9, 900), content(9, 5000)];
        let files: Vec<_> = layers.iter().map(|l| file_layer(dir.path(), l)).collect();
        let image = image("linux/amd64", &files);
        // A token that has expired is renewed once for each request.
        let times = if matches!(effect, Effect::ExpireTokens) { 1 } else { 2 };
        registry.fault(on, times, effect.clone());
        push(&alice(), &image, &registry, "a:v1")
            .await
            .unwrap_or_else(|e| panic!("{on} {effect:?}: {e}"));
        for layer in &layers {
            assert_eq!(registry.blob("a", &Digest::of(layer)).as_ref(), Some(layer), "{on}");
        }
    }
}

#[tokio::test]
async fn a_cut_chunk_is_resumed_where_it_broke() {
    let dir = tempfile::tempdir().unwrap();
    let registry = registry(Options::default()).await;
    let layer = content(10, 4000);
    let image = image("linux/amd64", &[file_layer(dir.path(), &layer)]);
    registry.fault("PATCH", 1, Effect::CutRequest(250));
    push(&client(), &image, &registry, "a:v1").await.unwrap();
    assert_eq!(registry.blob("a", &Digest::of(&layer)), Some(layer.clone()));
    let patched: usize =
        registry.requests().iter().filter(|r| r.method == "PATCH").map(|r| r.body.len()).sum();
    assert_eq!(patched, layer.len(), "nothing is sent twice");
}

#[tokio::test]
async fn chunks_are_as_the_registry_wants_them() {
    let dir = tempfile::tempdir().unwrap();
    let layer = content(11, 4000);
    let image = image("linux/amd64", &[file_layer(dir.path(), &layer)]);
    // As large as it says...
    let picky = registry(Options { min_chunk: Some(1500), ..Options::default() }).await;
    push(&client(), &image, &picky, "a:v1").await.unwrap();
    let sizes: Vec<_> =
        picky.requests().iter().filter(|r| r.method == "PATCH").map(|r| r.body.len()).collect();
    assert_eq!(sizes, [1500, 1500, 1000]);
    // ... or none at all.
    let whole = registry(Options { chunks: false, ..Options::default() }).await;
    push(&client(), &image, &whole, "a:v1").await.unwrap();
    assert_eq!(whole.blob("a", &Digest::of(&layer)), Some(layer));
}

#[tokio::test]
async fn nothing_half_pushed_is_tagged() {
    let dir = tempfile::tempdir().unwrap();
    let good = file_layer(dir.path(), &content(12, 900));
    let gone = (Descriptor::of(MediaType::OciLayer, b"gone"), BlobLocation::File("/gone".into()));
    let longer = file_layer(dir.path(), &content(13, 900));
    std::fs::write(dir.path().join(longer.0.digest.hex()), content(13, 901)).unwrap();
    let changed = file_layer(dir.path(), &content(14, 900));
    std::fs::write(dir.path().join(changed.0.digest.hex()), content(15, 900)).unwrap();
    for (bad, code) in [
        (gone, "registry/file"),
        (longer, "registry/digest-mismatch"),
        (changed, "registry/digest-mismatch"),
    ] {
        let registry = registry(Options::default()).await;
        let image = image("linux/amd64", &[good.clone(), bad]);
        let error = push(&client(), &image, &registry, "a:v1").await.unwrap_err();
        assert_eq!(error.code(), code, "{error}");
        assert_eq!(registry.manifest("a", "v1"), None);
        assert!(!registry.lines().iter().any(|l| l.contains("/manifests/")));
    }
}

#[tokio::test]
async fn what_can_not_be_pushed_is_said_before_anything_is_sent() {
    let registry = registry(Options::default()).await;
    let image = image("linux/amd64", &[]);
    let to = registry.reference("a").with_digest(Digest::of("other"));
    let options = PushOptions::default();
    let error = client().push(&image.artifact, &to, &[], &options, &Silent).await.unwrap_err();
    assert_eq!(error.code(), "registry/wrong-digest");
    let mut partial = index(&[&image]);
    partial.blobs.remove(&image.artifact.root.digest);
    let to = registry.reference("a");
    let error = client().push(&partial, &to, &[], &options, &Silent).await.unwrap_err();
    assert_eq!(error.code(), "registry/incomplete");
    assert_eq!(registry.requests().len(), 0);
    // By digest alone, no tag is made.
    let to = to.with_digest(image.artifact.root.digest);
    client().push(&image.artifact, &to, &[], &options, &Silent).await.unwrap();
    assert_eq!(client().tags(&to).await.unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn uploads_elsewhere_see_no_credential() {
    let dir = tempfile::tempdir().unwrap();
    let storage = registry(Options::default()).await;
    let registry = registry(Options { auth: Auth::Basic, ..Options::default() }).await;
    let image = image("linux/amd64", &[file_layer(dir.path(), &content(16, 500))]);
    let elsewhere = format!("http://{}/v2/bucket/blobs/uploads/1?_state=x", storage.authority());
    let located = Effect::Answer(Reply::new(202).header("Location", elsewhere));
    registry.fault("POST", 100, located);
    let error = push(&alice(), &image, &registry, "a:v1").await.unwrap_err();
    // There is no such session there; what matters is what was sent.
    assert!(matches!(error, RegistryError::Answer { .. }), "{error:?}");
    assert!(!storage.requests().is_empty());
    assert!(storage.requests().iter().all(|r| r.header("authorization").is_none()));
}

#[tokio::test]
async fn a_document_may_be_in_a_file_or_a_registry() {
    let dir = tempfile::tempdir().unwrap();
    let (source, target) = (registry(Options::default()).await, registry(Options::default()).await);
    let mut image = image("linux/amd64", &[]);
    push(&client(), &image, &source, "a:v1").await.unwrap();
    let root = image.artifact.root.clone();
    let path = dir.path().join("manifest");
    std::fs::write(&path, &image.manifest).unwrap();
    for location in [BlobLocation::File(path), BlobLocation::Registry(source.reference("a:v1"))] {
        let blob = Blob { descriptor: root.clone(), location };
        image.artifact.blobs.insert(root.digest, blob);
        push(&client(), &image, &target, "b:v1").await.unwrap();
        assert_eq!(target.manifest("b", "v1"), Some(image.manifest.clone()));
    }
}

/// Callers run pushes as tasks of their own.
#[allow(dead_code)]
fn futures_are_send(client: &Client, image: &TestImage) {
    fn send(_: impl Send) {}
    let to = "localhost/a".parse().unwrap();
    let (root, platform) = (&image.artifact.root, "linux/amd64".parse().unwrap());
    send(client.push(&image.artifact, &to, &[], &PushOptions::default(), &Silent));
    send(client.resolve(&to, &platform));
    send(client.head_manifest(&to));
    send(client.download_blob(&to, root, "x".as_ref(), &|_| {}));
    let _ = ClientSettings::clone;
}
