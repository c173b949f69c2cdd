//! Mirrors and rewritten registries.

mod support;

use std::sync::Arc;
use support::*;
use tierce_oci::{Descriptor, Diagnostic, MediaType, Platform, Reference, RegistryPath};
use tierce_registry::testing::{Auth, Effect, FakeRegistry, Options, PASSWORD, Reply, USER};
use tierce_registry::{
    BlobOutcome, Client, ClientSettings, PushOptions, RegistryError, Route, Routing, Silent,
};

const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

async fn registry() -> FakeRegistry {
    FakeRegistry::start(Options::default()).await.unwrap()
}

fn store(registry: &FakeRegistry, repository: &str, tag: &str, image: &TestImage) {
    registry.put_blob(repository, &image.config);
    registry.put_manifest(repository, tag, OCI_MANIFEST, &image.manifest);
}

fn path(registry: &FakeRegistry, rest: &str) -> RegistryPath {
    format!("{}{rest}", registry.authority()).parse().unwrap()
}

fn routed(routes: impl IntoIterator<Item = Route>) -> Client {
    Client::new(ClientSettings { routing: Routing::new(routes), ..settings() })
}

/// A route to these mirrors.
fn mirrored(of: RegistryPath, mirrors: impl IntoIterator<Item = RegistryPath>) -> Route {
    Route { mirrors: mirrors.into_iter().collect(), ..Route::new(of) }
}

/// An address where nobody is.
fn nobody() -> RegistryPath {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    format!("127.0.0.1:{}", listener.local_addr().unwrap().port()).parse().unwrap()
}

fn linux() -> Platform {
    "linux/amd64".parse().unwrap()
}

#[tokio::test]
async fn mirrors_are_asked_in_order_and_then_the_registry() {
    let (hub, first, second) = (registry().await, registry().await, registry().await);
    let images = [1, 2, 3].map(|n| {
        let mut image = image("linux/amd64", &[]);
        image.manifest.extend(std::iter::repeat_n(b' ', n));
        image
    });
    store(&first, "cache/a", "v1", &images[0]);
    store(&second, "a", "v1", &images[1]);
    store(&second, "b", "v1", &images[1]);
    store(&hub, "c", "v1", &images[2]);
    let mirrors = [path(&first, "/cache"), path(&second, "")];
    let client = routed([mirrored(path(&hub, ""), mirrors)]);
    for (reference, image) in [("a:v1", &images[0]), ("b:v1", &images[1]), ("c:v1", &images[2])] {
        let found = client.resolve(&hub.reference(reference), &linux()).await.unwrap();
        assert_eq!(found.manifest_bytes, image.manifest, "{reference}");
        let descriptor = client.locate_manifest(&hub.reference(reference)).await.unwrap();
        assert_eq!(descriptor.unwrap().digest, found.root.digest);
    }
    assert_eq!(client.locate_manifest(&hub.reference("d:v1")).await.unwrap(), None);
    assert!(hub.lines().iter().all(|line| !line.contains("/v2/a/") && !line.contains("/v2/b/")));
    assert!(second.lines().iter().all(|line| !line.contains("/v2/a/")));
}

#[tokio::test]
async fn only_the_registry_itself_knows_whether_an_image_is_there() {
    let (hub, mirror) = (registry().await, registry().await);
    store(&mirror, "a", "stale", &image("linux/amd64", &[]));
    let client = routed([mirrored(path(&hub, ""), [path(&mirror, "")])]);
    let stale = hub.reference("a:stale");
    assert_eq!(client.head_manifest(&stale).await.unwrap(), None);
    assert!(client.locate_manifest(&stale).await.unwrap().is_some());
}

#[tokio::test]
async fn a_mirror_out_of_reach_is_asked_once() {
    let hub = registry().await;
    let image = image("linux/amd64", &[]);
    store(&hub, "a", "v1", &image);
    let client = routed([mirrored(path(&hub, ""), [nobody()])]);
    for _ in 0..3 {
        client.manifest(&hub.reference("a:v1")).await.unwrap();
    }
    // One at the mirror, and three answers of the registry.
    assert_eq!(client.requests(), 4);
}

#[tokio::test]
async fn what_a_mirror_sends_is_checked() {
    let (hub, mirror) = (registry().await, registry().await);
    let image = image("linux/amd64", &[]);
    let layer = content(7, 5000);
    for registry in [&hub, &mirror] {
        store(registry, "a", "v1", &image);
        registry.put_blob("a", &layer);
    }
    let client = routed([mirrored(path(&hub, ""), [path(&mirror, "")])]);
    mirror.fault("GET", 1000, Effect::Corrupt);
    let pinned = hub.reference("a").with_digest(image.artifact.root.digest);
    let (_, bytes) = client.manifest(&pinned).await.unwrap();
    assert_eq!(bytes, image.manifest);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("layer");
    let descriptor = Descriptor::of(MediaType::OciLayer, &layer);
    client.download_blob(&pinned, &descriptor, &file, &|_| ()).await.unwrap();
    assert_eq!(std::fs::read(&file).unwrap(), layer);
    assert!(mirror.lines().iter().any(|line| line.contains("/blobs/")));
}

#[tokio::test]
async fn without_fallback_the_registry_is_not_asked() {
    let (hub, mirror) = (registry().await, registry().await);
    store(&hub, "a", "v1", &image("linux/amd64", &[]));
    let route =
        |mirrors: Vec<RegistryPath>| Route { fallback: false, ..mirrored(path(&hub, ""), mirrors) };
    let client = routed([route(vec![path(&mirror, "")])]);
    let reference = hub.reference("a:v1");
    let error = client.manifest(&reference).await.unwrap_err();
    assert!(matches!(error, RegistryError::NotFound { .. }), "{error:?}");
    assert_eq!(client.locate_manifest(&reference).await.unwrap(), None);
    // What one does not have another may have had.
    let dead = nobody();
    let client = routed([route(vec![dead.clone(), path(&mirror, "")])]);
    let error = client.manifest(&reference).await.unwrap_err();
    assert_eq!(error.code(), "registry/not-found");
    assert!(error.to_string().contains(&dead.to_string()), "{error}");
    assert!(client.locate_manifest(&reference).await.is_err());
    assert_eq!(hub.lines(), [""; 0]);
}

#[tokio::test]
async fn all_that_failed_is_told() {
    let (hub, mirror) = (registry().await, registry().await);
    mirror.fault("GET", 1000, Effect::Answer(Reply::new(403)));
    hub.fault("GET", 1000, Effect::Answer(Reply::new(503)));
    let client = routed([mirrored(path(&hub, ""), [path(&mirror, "/x")])]);
    let error = client.manifest(&hub.reference("a:v1")).await.unwrap_err();
    assert_eq!(error.code(), "registry/unreachable");
    assert!(error.to_string().contains(&format!("{}/x/a", mirror.authority())), "{error}");
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains(&hub.authority()) && cause.contains("503"), "{cause}");
    // The registry's own no is the answer, whatever mirrors say.
    hub.forgive();
    let error = client.manifest(&hub.reference("a:v1")).await.unwrap_err();
    assert!(matches!(error, RegistryError::NotFound { .. }), "{error:?}");
}

#[tokio::test]
async fn a_rewritten_registry_is_read_and_written_elsewhere() {
    let (hub, there) = (registry().await, registry().await);
    let rewrite = Some(path(&there, "/hub"));
    let client = routed([Route { rewrite, ..Route::new(path(&hub, "/team")) }]);
    let image = image("linux/amd64", &[]);
    let push = async |to: &Reference| {
        client.push(&image.artifact, to, &[], &PushOptions::default(), &Silent).await.unwrap()
    };
    push(&hub.reference("team/app:v1")).await;
    assert_eq!(there.manifest("hub/app", "v1"), Some(image.manifest.clone()));
    assert_eq!(hub.lines(), [""; 0]);
    assert!(client.head_manifest(&hub.reference("team/app:v1")).await.unwrap().is_some());
    client.resolve(&hub.reference("team/app:v1"), &linux()).await.unwrap();
    assert_eq!(hub.lines(), [""; 0]);
    // A name that only starts alike is another.
    push(&hub.reference("teams/app:v1")).await;
    assert_eq!(hub.manifest("teams/app", "v1"), Some(image.manifest.clone()));
}

#[tokio::test]
async fn each_registry_gets_its_own_credentials() {
    let private = Options { auth: Auth::Basic, ..Options::default() };
    let (hub, mirror) = (
        FakeRegistry::start(private.clone()).await.unwrap(),
        FakeRegistry::start(private).await.unwrap(),
    );
    store(&hub, "a", "v1", &image("linux/amd64", &[]));
    let credentials = fixed(basic(USER, PASSWORD));
    let client = Client::new(ClientSettings {
        routing: Routing::new([mirrored(path(&hub, ""), [path(&mirror, "")])]),
        credentials: credentials.clone() as Arc<dyn tierce_registry::Credentials>,
        ..settings()
    });
    client.manifest(&hub.reference("a:v1")).await.unwrap();
    assert_eq!(*credentials.asked.lock().unwrap(), [mirror.authority(), hub.authority()]);
}

#[tokio::test]
async fn layers_of_a_mirror_are_copied_and_mounted() {
    let (hub, mirror, target) = (registry().await, registry().await, registry().await);
    let layer = content(3, 2000);
    mirror.put_blob("cache/base", &layer);
    let descriptor = Descriptor::of(MediaType::OciLayer, &layer);
    let from = tierce_oci::BlobLocation::Registry(hub.reference("base"));
    let image = image("linux/amd64", &[(descriptor.clone(), from)]);
    let client = routed([mirrored(path(&hub, ""), [path(&mirror, "/cache")])]);
    let outcome = async |to: &Reference| {
        let options = PushOptions::default();
        let report = client.push(&image.artifact, to, &[], &options, &Silent).await.unwrap();
        report.blobs.into_iter().find(|b| b.descriptor == descriptor).unwrap().outcome
    };
    let copied = outcome(&target.reference("app:v1")).await;
    assert_eq!(copied, BlobOutcome::Copied { from: hub.reference("base").name() });
    assert_eq!(target.blob("app", &descriptor.digest), Some(layer.clone()));
    let mounted = outcome(&mirror.reference("app:v1")).await;
    assert_eq!(mounted, BlobOutcome::Mounted { from: "cache/base".into() });
    assert_eq!(hub.lines(), [""; 0]);
}
