//! Secrets, credentials, and what was seen a while ago.

mod support;

use async_trait::async_trait;
use std::collections::BTreeMap;
use std::error::Error;
use std::sync::{Arc, Mutex};
use support::{Answer, World, build_with, engine, image, pushing, root, world};
use tierce_engine::{BuildOptions, CheckCache, CheckRecords, Events, ImageBuildEngine, Status};
use tierce_oci::{Descriptor, Diagnostic, Platform, Reference};
use tierce_secret::{ProviderError, SecretProvider, SecretResolver, SecretValue};
use tierce_spec::{Commands, Image, Network, Secret, SecretId, Step};

const VALUE: &str = "correct horse battery";

/// Knows some values, and remembers who was asked for.
struct Vault(Arc<World>, BTreeMap<&'static str, &'static str>);

#[async_trait]
impl SecretProvider for Vault {
    fn places(&self, id: &SecretId) -> Vec<String> {
        vec![format!("the vault's {id}")]
    }

    async fn find(&self, id: &SecretId) -> Result<Option<SecretValue>, ProviderError> {
        self.0.note(format!("secret {id}"));
        Ok(self.1.get(id.key.as_str()).map(|value| SecretValue::new(*value)))
    }
}

fn with_vault(world: &Arc<World>, values: &[(&'static str, &'static str)]) -> ImageBuildEngine {
    let mut engine = engine(world);
    let vault = Vault(world.clone(), values.iter().copied().collect());
    engine.set_secrets(SecretResolver::new(vec![Arc::new(vault)]));
    engine
}

fn needing(image: &Image, key: &str) -> Image {
    image.with_step(Step::Commands(Commands {
        commands: vec!["true".into()],
        network: Network::Host,
        secrets: vec![Secret::new(key)],
    }))
}

#[tokio::test]
async fn a_missing_secret_fails_before_anything_is_built() {
    let base = needing(&image().with_name("base"), "known");
    let top = Image::from_image(base).with_name("top").with_registry("r.example");
    let top = needing(&top, "unknown");
    let w = world(&[Answer::Absent]);
    let engine = with_vault(&w, &[("known", VALUE)]);
    let error = engine.build(&top, &pushing(), &Events::none()).await.unwrap_err();
    assert_eq!(error.code(), "secret/missing");
    assert!(error.to_string().contains("the vault's unknown"), "{error}");
    assert_eq!(w.count("build"), 0);
    // An image that is there needs none, and neither does one that is only looked at.
    let w = world(&[Answer::Present]);
    assert_eq!(build_with(&with_vault(&w, &[]), &w, &top, &pushing()).await, Ok(Status::Present));
    let w = world(&[Answer::Absent]);
    let dry = BuildOptions { dry_run: true, ..pushing() };
    assert_eq!(build_with(&with_vault(&w, &[]), &w, &top, &dry).await, Ok(Status::WouldBuild));
    assert_eq!(w.count("secret"), 0);
}

#[tokio::test]
async fn what_builders_say_is_without_the_values() {
    for failing in [vec![], vec!["app"]] {
        let w =
            Arc::new(World { says: Some("<{secret}>"), failing, ..World::new(&[Answer::Absent]) });
        let engine = with_vault(&w, &[("token", VALUE)]);
        let events = Events::new(w.clone());
        let result = engine.build(&needing(&image(), "token"), &pushing(), &events).await;
        let mut said = w.log();
        if let Err(error) = result {
            assert_eq!(error.code(), "test/broken");
            said.push(format!("{error}\n{error:?}\n{:?}", error.hint()));
            let mut cause = error.source();
            while let Some(error) = cause {
                said.push(format!("cause {error} {error:?}"));
                cause = error.source();
            }
            assert!(said.iter().any(|line| line.starts_with("cause it said <****>")), "{said:?}");
        }
        for line in ["step title <****>", "output line <****>", "warning test/said: <****>"] {
            assert!(said.iter().any(|l| l == line), "{line} {said:?}");
        }
        assert!(!said.iter().any(|line| line.contains("horse")), "{said:?}");
    }
}

#[tokio::test]
async fn an_image_brings_its_registrys_credentials_to_checkers() {
    let w = world(&[Answer::Present]);
    let engine = with_vault(&w, &[("login", "me:secret")]);
    let private = image().with_registry_secret(Secret::new("login"));
    assert_eq!(build_with(&engine, &w, &private, &pushing()).await, Ok(Status::Present));
    assert!(w.log().contains(&"login r.example me:secret".to_owned()), "{:?}", w.log());
    // Who does not push needs no credentials.
    w.forget();
    let keep = BuildOptions { push: false, ..pushing() };
    assert_eq!(build_with(&engine, &w, &private, &keep).await, Ok(Status::Present));
    assert_eq!(w.count("secret"), 0);
    let engine = with_vault(&w, &[]);
    let missing = build_with(&engine, &w, &private, &pushing()).await;
    assert_eq!(missing, Err("secret/missing".to_owned()));
}

/// Records in memory.
#[derive(Default)]
struct Records(Mutex<BTreeMap<String, Descriptor>>);

impl CheckRecords for Records {
    fn get(&self, reference: &Reference, _: &[Platform]) -> Option<Descriptor> {
        self.0.lock().unwrap().get(&reference.to_string()).cloned()
    }

    fn put(&self, reference: &Reference, _: &[Platform], root: &Descriptor) {
        self.0.lock().unwrap().insert(reference.to_string(), root.clone());
    }

    fn forget(&self, reference: &Reference) {
        self.0.lock().unwrap().remove(&reference.to_string());
    }
}

fn remembering(world: &Arc<World>) -> (ImageBuildEngine, Arc<Records>) {
    let mut engine = engine(world);
    let records = Arc::new(Records::default());
    engine.set_check_records(Some(records.clone()));
    (engine, records)
}

#[tokio::test]
async fn an_image_that_was_seen_is_not_looked_for_again() {
    let w = world(&[Answer::Present]);
    let (engine, _) = remembering(&w);
    for _ in 0..2 {
        let build = engine.build(&image(), &pushing(), &Events::none()).await.unwrap();
        assert_eq!((build.status, build.digest), (Status::Present, Some(root().digest)));
    }
    assert_eq!(w.log(), ["check app"]);
    let bypassing = BuildOptions { check_cache: CheckCache::Bypass, ..pushing() };
    assert_eq!(build_with(&engine, &w, &image(), &bypassing).await, Ok(Status::Present));
    assert_eq!(w.log(), ["check app", "check app"]);
    // Not by its tag alone, nor when it is to be built in any case.
    w.forget();
    let latest = image().with_tag("latest");
    assert_eq!(build_with(&engine, &w, &latest, &pushing()).await, Ok(Status::Built));
    let forced = BuildOptions { force: true, ..pushing() };
    assert_eq!(build_with(&engine, &w, &image(), &forced).await, Ok(Status::Built));
    let rebuilding = BuildOptions { check_cache: CheckCache::Rebuild, ..pushing() };
    assert_eq!(build_with(&engine, &w, &image(), &rebuilding).await, Ok(Status::Built));
    // And what was pushed since is looked at anew.
    assert_eq!(build_with(&engine, &w, &image(), &pushing()).await, Ok(Status::Present));
    let built = "build app by high";
    assert_eq!(w.log(), [built, built, built, "check app"]);
}

#[tokio::test]
async fn only_what_was_seen_is_remembered() {
    for answers in [[Answer::Absent], [Answer::Unknown]] {
        let w = world(&answers);
        let (engine, records) = remembering(&w);
        let options = BuildOptions { dry_run: true, ..pushing() };
        assert_eq!(build_with(&engine, &w, &image(), &options).await, Ok(Status::WouldBuild));
        assert!(records.0.lock().unwrap().is_empty());
    }
    // A dry run changes nothing, and what has no registry is not asked for over a network.
    let w = world(&[Answer::Present]);
    let (engine, records) = remembering(&w);
    let dry = BuildOptions { dry_run: true, ..pushing() };
    let keep = BuildOptions { push: false, ..pushing() };
    for options in [dry, keep] {
        assert_eq!(build_with(&engine, &w, &image(), &options).await, Ok(Status::Present));
        assert!(records.0.lock().unwrap().is_empty());
    }
    // A base is looked for itself: something is about to be built on it.
    let (engine, _) = remembering(&w);
    let top = Image::from_image(image()).with_name("top").with_registry("r.example");
    assert_eq!(build_with(&engine, &w, &image(), &pushing()).await, Ok(Status::Present));
    w.forget();
    let shown = engine.render(&top, &pushing(), &Events::none()).await.unwrap();
    assert_eq!(shown.base.unwrap().status, Status::Present);
    assert_eq!(w.log(), ["check app", "render top by high"]);
}
