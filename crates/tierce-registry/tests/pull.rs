//! Looking and reading.

mod support;

use support::*;
use tierce_fetch::testing::{Request, Server};
use tierce_oci::{Descriptor, Diagnostic, Digest, MediaType, Platform};
use tierce_registry::testing::{Auth, Effect, FakeRegistry, Options, Reply, ranged};
use tierce_registry::{Client, ClientSettings, InsecurePolicy, RegistryError};

const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";

async fn registry(options: Options) -> FakeRegistry {
    FakeRegistry::start(options).await.unwrap()
}

fn store(registry: &FakeRegistry, repository: &str, tag: &str, image: &TestImage) {
    registry.put_blob(repository, &image.config);
    registry.put_manifest(repository, tag, OCI_MANIFEST, &image.manifest);
}

#[tokio::test]
async fn looking_at_a_public_image_is_one_request() {
    let registry = registry(Options::default()).await;
    let image = image("linux/amd64", &[]);
    store(&registry, "a/b", "v1", &image);
    let client = client();
    let found = client.head_manifest(&registry.reference("a/b:v1")).await.unwrap().unwrap();
    assert_eq!(found, Descriptor::of(MediaType::OciManifest, &image.manifest));
    assert_eq!(client.requests(), 1);
    assert_eq!(registry.lines(), ["HEAD /v2/a/b/manifests/v1"]);
    assert_eq!(client.head_manifest(&registry.reference("a/b:v2")).await.unwrap(), None);
    assert_eq!(client.requests(), 2);
}

#[tokio::test]
async fn a_registry_that_says_too_little_is_read() {
    let registry = registry(Options::default()).await;
    let image = image("linux/amd64", &[]);
    store(&registry, "a", "v1", &image);
    let expected = Descriptor::of(MediaType::OciManifest, &image.manifest);
    for poor in [
        Reply::new(405),
        Reply::new(200).header("Content-Type", OCI_MANIFEST),
        Reply::new(200).header("Docker-Content-Digest", expected.digest),
    ] {
        registry.fault("HEAD", 1, Effect::Answer(poor));
        let found = client().head_manifest(&registry.reference("a:v1")).await.unwrap();
        assert_eq!(found.as_ref(), Some(&expected));
    }
    // Served as plain JSON, the document's own type counts.
    let plain = Reply::ok(image.manifest.clone()).header("Content-Type", "application/json");
    registry.fault("GET", 1, Effect::Answer(plain));
    let (found, _) = client().manifest(&registry.reference("a:v1")).await.unwrap();
    assert_eq!(found, expected);
}

#[tokio::test]
async fn an_index_leads_to_the_platform() {
    let registry = registry(Options::default()).await;
    let images = ["linux/amd64", "linux/arm64"].map(|p| image(p, &[]));
    for image in &images {
        store(&registry, "a", &image.artifact.root.digest.to_string(), image);
    }
    let all = index(&[&images[0], &images[1]]);
    registry.put_manifest("a", "v1", OCI_INDEX, all.document(&all.root.digest).unwrap());
    let reference = registry.reference("a:v1");
    for image in &images {
        let platform = image.artifact.root.platform.clone().unwrap();
        let found = client().resolve(&reference, &platform).await.unwrap();
        assert_eq!(found.root.digest, all.root.digest);
        assert!(found.index.is_some());
        assert_eq!(found.manifest_bytes, image.manifest);
        assert_eq!(found.config_bytes, image.config);
        assert_eq!(found.config.platform, platform);
    }
    let error = client().resolve(&reference, &Platform::linux("s390x")).await.unwrap_err();
    assert_eq!(error.code(), "registry/no-platform");
    assert!(error.to_string().contains("linux/amd64, linux/arm64"), "{error}");
    // A single manifest must be for the platform too.
    let single = reference.with_digest(images[0].artifact.root.digest);
    let error = client().resolve(&single, &Platform::linux("arm64")).await.unwrap_err();
    assert_eq!(error.code(), "registry/no-platform");
    assert!(client().resolve(&single, &Platform::linux("amd64")).await.is_ok());
}

#[tokio::test]
async fn wrong_bytes_are_never_returned() {
    let registry = registry(Options::default()).await;
    let layer = content(1, 5000);
    let image = image("linux/amd64", &[]);
    store(&registry, "a", "v1", &image);
    registry.put_blob("a", &layer);
    let tagged = registry.reference("a:v1");
    let by_digest = tagged.with_digest(image.artifact.root.digest);
    for reference in [&tagged, &by_digest] {
        registry.fault("/manifests/", 1, Effect::Corrupt);
        let error = client().manifest(reference).await.unwrap_err();
        assert_eq!(error.code(), "registry/digest-mismatch", "{error}");
    }
    // The digest that was asked for counts, whatever the registry says.
    let other = Reply::ok("{}").header("Docker-Content-Digest", image.artifact.root.digest);
    registry.fault("/manifests/", 2, Effect::Answer(other));
    assert!(client().manifest(&by_digest).await.is_err());
    let lie = Reply::new(200).header("Docker-Content-Digest", Digest::of("other"));
    registry.fault("/manifests/", 1, Effect::Answer(lie));
    assert!(client().manifest(&by_digest).await.is_err());

    let dir = tempfile::tempdir().unwrap();
    let dest = dir.path().join("blob");
    let descriptor = Descriptor::of(MediaType::OciLayer, &layer);
    registry.fault("/blobs/", 1, Effect::Corrupt);
    let error = client().download_blob(&tagged, &descriptor, &dest, &|_| {}).await.unwrap_err();
    assert_eq!(error.code(), "registry/digest-mismatch");
    assert!(!dest.exists());
    registry.fault("/blobs/", 1, Effect::Corrupt);
    let error = client().resolve(&tagged, &Platform::linux("amd64")).await.unwrap_err();
    assert_eq!(error.code(), "registry/digest-mismatch");
}

#[tokio::test]
async fn hostile_manifests_are_refused() {
    let registry = registry(Options::default()).await;
    let amd64 = Platform::linux("amd64");
    let image = image("linux/amd64", &[]);
    let manifest = String::from_utf8(image.manifest.clone()).unwrap();
    store(&registry, "a", "good", &image);
    let both = manifest.replacen('{', r#"{"manifests":[],"#, 1);
    let retyped = manifest.replacen(OCI_MANIFEST, OCI_INDEX, 1);
    let more_layers = manifest.replace(
        r#""layers":[]"#,
        &format!(r#""layers":[{{"mediaType":"x","digest":"{}","size":1}}]"#, Digest::of("x")),
    );
    let huge_config =
        manifest.replace(&format!(r#""size":{}"#, image.config.len()), r#""size":99999999"#);
    let schema_1 = manifest.replace(r#""schemaVersion":2"#, r#""schemaVersion":1"#);
    let large = format!("{manifest}{}", " ".repeat(tierce_oci::MAX_MANIFEST_SIZE));
    for (name, bytes) in [
        ("both", &both),
        ("retyped", &retyped),
        ("more-layers", &more_layers),
        ("huge-config", &huge_config),
        ("schema-1", &schema_1),
        ("large", &large),
    ] {
        registry.put_manifest("a", name, OCI_MANIFEST, bytes.as_bytes());
        let reference = registry.reference(&format!("a:{name}"));
        let error = client().resolve(&reference, &amd64).await.unwrap_err();
        assert_eq!(error.code(), "registry/image", "{name}: {error}");
    }
}

#[tokio::test]
async fn blobs_are_downloaded_and_resumed() {
    let registry = registry(Options { auth: Auth::Bearer, ..Options::default() }).await;
    let layer = content(2, 3_000_000);
    registry.put_blob("a", &layer);
    let descriptor = Descriptor::of(MediaType::OciLayer, &layer);
    let reference = registry.reference("a");
    let client = client();
    let size = client.blob_exists(&reference, &descriptor.digest).await.unwrap();
    assert_eq!(size, Some(3_000_000));
    assert_eq!(client.blob_exists(&reference, &Digest::of("no")).await.unwrap(), None);

    let dir = tempfile::tempdir().unwrap();
    let dest = dir.path().join("blob");
    let get = format!("GET /v2/a/blobs/{}", descriptor.digest);
    registry.fault(&get, 1, Effect::CutAnswer(1_700_000));
    // What comes after the cut finds its token expired.
    registry.fault(&get, 1, Effect::ExpireTokens);
    registry.fault(&get, 1, Effect::Answer(Reply::new(503)));
    client.download_blob(&reference, &descriptor, &dest, &|_| {}).await.unwrap();
    assert_eq!(std::fs::read(&dest).unwrap(), layer);
    let ranges: Vec<_> = registry
        .requests()
        .iter()
        .filter(|r| r.line() == get)
        .map(|r| r.header("range").map(str::to_owned))
        .collect();
    assert_eq!(ranges.first(), Some(&None));
    assert_eq!(ranges.last().unwrap().as_deref(), Some("bytes=1700000-"));

    let missing = Descriptor::of(MediaType::OciLayer, b"missing");
    let error = client.download_blob(&reference, &missing, &dest, &|_| {}).await.unwrap_err();
    assert_eq!(error.code(), "registry/not-found");
}

#[tokio::test]
async fn object_storage_sees_no_credential() {
    let layer = content(3, 2_000_000);
    let stored = layer.clone();
    let storage = Server::start(move |request: &Request| match request.header("authorization") {
        Some(_) => Reply::new(400),
        None => ranged(request, &stored),
    })
    .await
    .unwrap();
    let options = Options {
        auth: Auth::PrivateBearer,
        storage: Some(format!("http://{}/bucket", storage.authority())),
        ..Options::default()
    };
    let registry = registry(options).await;
    registry.put_blob("a", &layer);
    let descriptor = Descriptor::of(MediaType::OciLayer, &layer);
    let dir = tempfile::tempdir().unwrap();
    let dest = dir.path().join("blob");
    let reference = registry.reference("a");
    alice().download_blob(&reference, &descriptor, &dest, &|_| {}).await.unwrap();
    assert_eq!(std::fs::read(&dest).unwrap(), layer);
    assert_eq!(storage.requests().len(), 1);
}

#[tokio::test]
async fn trouble_has_codes() {
    let registry = registry(Options::default()).await;
    let reference = registry.reference("a:v1");
    let body = r#"{"errors":[{"code":"TOOMANYREQUESTS","message":"slow down"}]}"#;
    for (answer, code, words) in [
        (
            Reply::new(429).header("Retry-After", 9000).body(body),
            "registry/rate-limited",
            "slow down",
        ),
        (Reply::new(503).body("<html>"), "registry/unreachable", "503"),
        (Reply::new(403).body(body), "registry/denied", "anonymously"),
        (Reply::new(400).body("what?"), "registry/protocol", "what?"),
        (Reply::new(404), "registry/not-found", "a:v1"),
    ] {
        registry.fault("GET", 10, Effect::Answer(answer));
        let error = client().manifest(&reference).await.unwrap_err();
        assert_eq!(error.code(), code);
        assert!(error.to_string().contains(words), "{error}");
        assert!(error.to_string().contains(&registry.authority()), "{error}");
        registry.forgive();
    }
    registry.fault("HEAD", 2, Effect::Answer(Reply::new(502)));
    assert_eq!(client().head_manifest(&reference).await.unwrap(), None);

    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let nobody = format!("127.0.0.1:{port}/a:v1").parse().unwrap();
    let error = client().head_manifest(&nobody).await.unwrap_err();
    assert_eq!(error.code(), "registry/unreachable");

    // TLS asked of a server that speaks plain HTTP.
    let insecure = InsecurePolicy { loopback: false, ..InsecurePolicy::default() };
    let strict = Client::new(ClientSettings { insecure, ..settings() });
    let error = strict.head_manifest(&reference).await.unwrap_err();
    assert!(matches!(error, RegistryError::Unreachable { .. }), "{error:?}");
    assert_eq!(error.code(), "registry/tls");
    assert!(error.hint().unwrap().contains("insecure = true"));
}

#[tokio::test]
async fn tags_are_listed_over_pages_and_manifests_deleted() {
    let registry = registry(Options::default()).await;
    let tags = ["a", "b", "c", "d", "e"];
    for tag in tags {
        registry.put_manifest("r", tag, OCI_MANIFEST, tag.as_bytes());
    }
    let reference = registry.reference("r");
    assert_eq!(client().tags(&reference).await.unwrap(), tags);
    client().delete_manifest(&registry.reference("r:c")).await.unwrap();
    assert_eq!(client().tags(&reference).await.unwrap(), ["a", "b", "d", "e"]);
    let error = client().delete_manifest(&registry.reference("r:c")).await.unwrap_err();
    assert_eq!(error.code(), "registry/not-found");
}
