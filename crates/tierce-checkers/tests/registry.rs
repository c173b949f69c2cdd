//! What registries say, and what that means.

use std::sync::Arc;
use std::time::Duration;
use tierce_checkers::RegistryChecker;
use tierce_engine::{ImageChecker, Presence, Question, RegistryLogin, TagKind};
use tierce_fetch::{HttpSettings, RetryPolicy};
use tierce_oci::{Descriptor, ImageConfig, Index, Manifest, MediaType, Platform};
use tierce_registry::testing::{Auth, Effect, FakeRegistry, Options, PASSWORD, Reply, USER};
use tierce_registry::{Client, ClientSettings};
use tierce_secret::SecretValue;

/// A tag as keys make them.
const KEY: &str = "tabcdefghijklmnopqrstuvwx";

fn client() -> Client {
    let http = tierce_fetch::client(&HttpSettings::default()).unwrap();
    let retry =
        RetryPolicy { attempts: 2, base_delay: Duration::from_millis(1), ..RetryPolicy::default() };
    Client::new(ClientSettings { retry, ..ClientSettings::new(http) })
}

fn platforms(names: &[&str]) -> Vec<Platform> {
    names.iter().map(|name| name.parse().unwrap()).collect()
}

/// An image without layers for each platform; an index of them where there are several.
fn put(registry: &FakeRegistry, tag: &str, names: &[&str]) -> Descriptor {
    let image = |platform: &Platform| {
        let config = ImageConfig::scratch(platform.clone()).to_bytes();
        registry.put_blob("app", &config);
        let manifest = Manifest::new(Descriptor::of(MediaType::OciConfig, &config), vec![]);
        manifest.to_bytes()
    };
    let (root, bytes) = match platforms(names).as_slice() {
        [one] => {
            let bytes = image(one);
            (Descriptor::of(MediaType::OciManifest, &bytes), bytes)
        }
        several => {
            let entry = |platform: &Platform| {
                let bytes = image(platform);
                let descriptor = Descriptor::of(MediaType::OciManifest, &bytes);
                let media_type = MediaType::OciManifest;
                let tag = descriptor.digest.to_string();
                registry.put_manifest("app", &tag, media_type.as_str(), &bytes);
                descriptor.with_platform(platform.clone())
            };
            let index = Index::new(several.iter().map(entry).collect());
            let bytes = index.to_bytes();
            (Descriptor::of(MediaType::OciIndex, &bytes), bytes)
        }
    };
    registry.put_manifest("app", tag, root.media_type.as_str(), &bytes);
    root
}

/// What the checker says of the tag, in one word, and how many requests that took.
async fn check(registry: &FakeRegistry, tag: &str, wanted: &[&str]) -> (&'static str, u64) {
    check_tag(registry, tag, TagKind::Chosen, wanted).await
}

/// The same, for one kind of tag.
async fn check_tag(
    registry: &FakeRegistry,
    name: &str,
    tag: TagKind,
    wanted: &[&str],
) -> (&'static str, u64) {
    let client = client();
    let checker = RegistryChecker::new(client.clone());
    let reference = registry.reference(&format!("app:{name}"));
    let question = Question { reference: &reference, platforms: &platforms(wanted), tag };
    let word = match checker.check(question).await {
        Presence::Present(_) => "present",
        Presence::Vouched(_) => "vouched for",
        Presence::Absent => "absent",
        Presence::Unknown(_) => "unknown",
    };
    (word, client.requests())
}

#[tokio::test]
async fn an_image_is_there_for_the_platforms_it_is_for() {
    let registry = FakeRegistry::start(Options::default()).await.unwrap();
    put(&registry, "one", &["linux/amd64"]);
    put(&registry, "two", &["linux/amd64", "linux/arm64"]);
    for (tag, wanted, expected) in [
        ("one", &["linux/amd64"][..], "present"),
        // A single manifest says in its own configuration what it is for.
        ("one", &["linux/arm64"], "absent"),
        ("one", &["linux/amd64", "linux/arm64"], "absent"),
        ("two", &["linux/arm64"], "present"),
        ("two", &["linux/amd64", "linux/arm64"], "present"),
        ("two", &["linux/amd64", "linux/s390x"], "absent"),
        ("none", &["linux/amd64"], "absent"),
    ] {
        assert_eq!(check(&registry, tag, wanted).await.0, expected, "{tag} {wanted:?}");
    }
}

#[tokio::test]
async fn a_tag_made_of_the_key_says_what_it_is_for() {
    let registry = FakeRegistry::start(Options::default()).await.unwrap();
    let root = put(&registry, KEY, &["linux/amd64"]);
    let answer = check_tag(&registry, KEY, TagKind::OfKey, &["linux/amd64"]).await;
    assert_eq!(answer, ("present", 1));
    let checker = RegistryChecker::new(client());
    let reference = registry.reference(&format!("app:{KEY}"));
    let platforms = platforms(&["linux/amd64"]);
    let question = Question { reference: &reference, platforms: &platforms, tag: TagKind::OfKey };
    let found = checker.check(question).await;
    assert!(matches!(found, Presence::Present(found) if found == root));
}

#[tokio::test]
async fn a_tag_that_only_looks_like_a_key_says_nothing() {
    let registry = FakeRegistry::start(Options::default()).await.unwrap();
    put(&registry, KEY, &["linux/amd64"]);
    assert_eq!(check(&registry, KEY, &["linux/arm64"]).await.0, "absent");
    assert_eq!(check(&registry, KEY, &["linux/amd64", "linux/arm64"]).await.0, "absent");
    assert_eq!(check(&registry, KEY, &["linux/amd64"]).await.0, "present");
}

#[tokio::test]
async fn what_is_no_image_is_absent_and_what_cannot_be_asked_is_unknown() {
    let registry = FakeRegistry::start(Options::default()).await.unwrap();
    registry.put_manifest("app", "junk", MediaType::OciManifest.as_str(), b"{}");
    assert_eq!(check(&registry, "junk", &["linux/amd64"]).await.0, "absent");
    // The manifest is there, and its configuration is gone.
    let config = Descriptor::of(MediaType::OciConfig, b"gone");
    let manifest = Manifest::new(config, vec![]).to_bytes();
    registry.put_manifest("app", "hollow", MediaType::OciManifest.as_str(), &manifest);
    assert_eq!(check(&registry, "hollow", &["linux/amd64"]).await.0, "absent");
    put(&registry, "one", &["linux/amd64"]);
    registry.fault("HEAD", 9, Effect::Answer(Reply::new(503)));
    assert_eq!(check(&registry, "one", &["linux/amd64"]).await.0, "unknown");
    registry.forgive();
    registry.fault("GET", 9, Effect::Answer(Reply::new(503)));
    assert_eq!(check(&registry, "one", &["linux/amd64"]).await.0, "unknown");
}

#[tokio::test]
async fn an_image_brings_its_own_credentials() {
    let options = Options { auth: Auth::PrivateBearer, ..Options::default() };
    let registry = FakeRegistry::start(options).await.unwrap();
    put(&registry, KEY, &["linux/amd64"]);
    let login = |registry: &str, value: &str| RegistryLogin {
        registry: registry.to_owned(),
        value: SecretValue::new(value),
    };
    let reference = registry.reference(&format!("app:{KEY}"));
    let host = registry.authority();
    let pair = format!("{USER}:{PASSWORD}\n");
    for (login, expected) in [
        (None, false),
        (Some(login(&host, &pair)), true),
        (Some(login("elsewhere.example", &pair)), false),
        (Some(login(&host, "hunter2")), false),
    ] {
        let checker = RegistryChecker::with_login(client(), login.as_ref());
        let checker: Arc<dyn ImageChecker> = Arc::new(checker);
        let platforms = platforms(&["linux/amd64"]);
        let tag = TagKind::OfKey;
        match checker.check(Question { reference: &reference, platforms: &platforms, tag }).await {
            Presence::Present(_) => assert!(expected, "{login:?}"),
            Presence::Unknown(error) => {
                assert!(!expected, "{error}");
                assert!(!format!("{error:?} {error}").contains("hunter2"));
            }
            other @ (Presence::Absent | Presence::Vouched(_)) => panic!("{other:?} with {login:?}"),
        }
    }
}
