//! Requests, and what builders say of them.
#![allow(dead_code)]

use std::path::Path;
use std::sync::{Arc, Mutex};
use tierce_engine::{
    BuildEvent, BuildRequest, EventSink, Events, Export, GatherCache, Outcome, gather,
};
use tierce_fetch::HttpSettings;
use tierce_oci::Platform;
use tierce_registry::{Client, ClientSettings};
use tierce_secret::{SecretValue, Secrets};
use tierce_spec::{Commands, Image, Network, Secret, Step};

/// A value that must not be seen anywhere.
pub const CANARY: &str = "canary-5b1f0e-value";

/// What a builder said.
#[derive(Default)]
pub struct Record(Mutex<Vec<BuildEvent>>);

impl EventSink for Record {
    fn emit(&self, event: &BuildEvent) {
        self.0.lock().unwrap().push(event.clone());
    }
}

impl Record {
    pub fn events(self: &Arc<Self>) -> Events {
        Events::new(self.clone())
    }

    pub fn text(&self) -> String {
        format!("{:?}", self.0.lock().unwrap())
    }

    /// How steps ended whose titles have `part` in them.
    pub fn outcomes(&self, part: &str) -> Vec<Outcome> {
        let events = self.0.lock().unwrap();
        let steps = events.iter().filter_map(|event| match event {
            BuildEvent::StepStarted { step, title, .. } if title.contains(part) => Some(*step),
            _ => None,
        });
        let end = |wanted| {
            events.iter().find_map(|event| match event {
                BuildEvent::StepFinished { step, outcome, .. } if *step == wanted => Some(*outcome),
                _ => None,
            })
        };
        steps.filter_map(end).collect()
    }

    pub fn has_line(&self, wanted: &str) -> bool {
        self.0
            .lock()
            .unwrap()
            .iter()
            .any(|event| matches!(event, BuildEvent::StepOutput { line, .. } if line == wanted))
    }
}

/// A request to build `image`, whose sources are below `root`, as `uri`.
pub fn request(image: &Image, root: &Path, uri: &str, exports: Vec<Export>) -> BuildRequest {
    let gathered = gather(image, root, &GatherCache::none()).unwrap();
    let values: Vec<_> = gathered
        .resolved
        .image()
        .secrets()
        .into_iter()
        .map(|secret: &Secret| (secret.id(), SecretValue::new(CANARY)))
        .collect();
    BuildRequest {
        platforms: gathered.resolved.platforms().to_vec(),
        gathered,
        uri: uri.to_owned(),
        exports,
        refresh: false,
        base: None,
        secrets: Secrets::new(values),
        login: None,
        cache: GatherCache::none(),
    }
}

/// `image` with commands that see secrets.
pub fn with_secrets<const N: usize>(image: &Image, command: &str, secrets: [Secret; N]) -> Image {
    image.with_step(Step::Commands(Commands {
        commands: vec![command.into()],
        network: Network::Host,
        secrets: secrets.into(),
    }))
}

/// An image of a Dockerfile in `root` that writes down the values of its arguments: `name`, which
/// has a canary, and one that is empty.
pub fn with_arguments(root: &Path, base: &str, name: &str) -> Image {
    let text = format!(
        "FROM {base}\nARG {name}=none\nARG EMPTY=none\n\
         RUN echo \"<${name}>\" > /word; echo \"<$EMPTY>\" > /empty\n"
    );
    std::fs::write(root.join("Dockerfile"), text).unwrap();
    let mut dockerfile = tierce_spec::DockerfileBase::new("Dockerfile");
    dockerfile.build_args.insert(name.to_owned(), format!("{CANARY} word\nline"));
    dockerfile.build_args.insert("EMPTY".to_owned(), String::new());
    Image::from_dockerfile(dockerfile)
}

/// A registry client that speaks to registries on this machine.
pub fn registry_client() -> Client {
    Client::new(ClientSettings::new(tierce_fetch::client(&HttpSettings::default()).unwrap()))
}

pub fn arm() -> Platform {
    Platform::linux("arm64")
}

/// Whether some process of this machine has `word` among its arguments.
pub fn runs(word: &str) -> bool {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    processes
        .filter_map(|process| std::fs::read(process.path().join("cmdline")).ok())
        .any(|line| line.split(|b| *b == 0).any(|argument| argument == word.as_bytes()))
}

pub async fn until(what: &str, mut done: impl FnMut() -> bool) {
    for _ in 0..600 {
        if done() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("waited in vain: {what}");
}
