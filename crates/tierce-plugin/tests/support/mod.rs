//! Programs that speak the protocol, well or badly, as shell scripts.
#![allow(dead_code)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;
use tierce_engine::{BuildEvent, BuildRequest, EventSink, Events, GatherCache, gather};
use tierce_oci::Platform;
use tierce_plugin::{ExternalBuilder, ExternalSettings, Limits, PluginError};
use tierce_secret::Secrets;
use tierce_spec::Image;

/// Answers `describe` as a builder that can do everything; `$request` is the request and
/// `$method` its method.
const PRELUDE: &str = r#"#!/bin/sh
IFS= read -r request
method=$(expr "$request" : '.*"method":"\([a-z]*\)"')
result() { printf '{"result":%s}\n' "$1"; }
about() { expr "$request" : ".*\"$1\":\"\([^\"]*\)\""; }
built() { result "{\"uri\":\"$(about uri)\",\"key\":\"$(about key)\"}"; }
if [ "$method" = describe ]; then
  result '{"name":"x","version":"1","protocol":[1],"capabilities":{"exports":["local","push","oci-layout"],"multi-platform":true,"secrets":true,"check":true}}'
  exit
fi
"#;

/// A directory with programs.
pub struct Programs {
    pub directory: TempDir,
    /// How long those that are given up have to end.
    pub grace: Duration,
}

impl Programs {
    pub fn new() -> Self {
        Programs { directory: tempfile::tempdir().unwrap(), grace: Duration::from_millis(500) }
    }

    /// A program `tierce-builder-NAME` that is all of `text`.
    pub fn raw(&self, name: &str, text: &str) -> PathBuf {
        let path = self.directory.path().join(format!("tierce-builder-{name}"));
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    /// A program that describes itself, and does `body` for everything else.
    pub fn program(&self, name: &str, body: &str) -> PathBuf {
        self.raw(name, &format!("{PRELUDE}{body}\n"))
    }

    pub fn settings(&self) -> ExternalSettings {
        let limits = Limits {
            describe: Duration::from_secs(20),
            check: Duration::from_secs(20),
            idle: Duration::from_secs(20),
            build: None,
            grace: self.grace,
        };
        ExternalSettings::new(self.directory.path().to_owned()).with_limits(limits)
    }

    pub async fn open(&self, path: &Path) -> Result<ExternalBuilder, PluginError> {
        ExternalBuilder::open("x", path.to_owned(), self.settings()).await
    }

    /// A builder whose program does `body` when it is asked anything but what it is.
    pub async fn builder(&self, body: &str) -> ExternalBuilder {
        self.open(&self.program("x", body)).await.unwrap()
    }
}

pub fn image() -> Image {
    Image::from_scratch().with_name("report").with_env_vars([("A", "1")])
}

pub fn request(image: &Image) -> BuildRequest {
    let gathered = gather(image, Path::new("."), &GatherCache::none()).unwrap();
    let tag = gathered.resolved.key().tag();
    BuildRequest {
        platforms: vec![Platform::linux("amd64")],
        uri: format!("localhost/report:{tag}"),
        gathered,
        exports: vec![],
        refresh: false,
        base: None,
        secrets: Secrets::default(),
        login: None,
        cache: GatherCache::none(),
    }
}

/// Keeps events.
#[derive(Clone, Default)]
pub struct Recorder(Arc<Mutex<Vec<BuildEvent>>>);

impl EventSink for Recorder {
    fn emit(&self, event: &BuildEvent) {
        self.0.lock().unwrap().push(event.clone());
    }
}

impl Recorder {
    pub fn events(&self) -> Events {
        Events::new(Arc::new(self.clone()))
    }

    /// Each event as JSON, without times.
    pub fn lines(&self) -> Vec<String> {
        let events = self.0.lock().unwrap();
        let line = |event: &BuildEvent| {
            let mut json = serde_json::to_value(event).unwrap();
            json.as_object_mut().unwrap().remove("millis");
            json.to_string()
        };
        events.iter().map(line).collect()
    }
}

/// Whether a process is there and no zombie.
pub fn alive(pid: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
    let state = stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().next());
    !matches!(state, None | Some("Z" | "X"))
}

/// Waits until `done`, for as long as a busy machine may take.
#[track_caller]
pub fn until(what: &str, mut done: impl FnMut() -> bool) {
    let started = std::time::Instant::now();
    while !done() {
        assert!(started.elapsed() < Duration::from_secs(30), "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
