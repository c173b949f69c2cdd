//! What is built in the background for a program that is not the command: it says so in a
//! document, not in arguments.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use tierce_config::Settings;
use tierce_engine::{BuildOptions, CheckCache, CodeSource, Events, Export, LockUse, UnknownPolicy};
use tierce_lock::{LockFile, LockFileError};
use tierce_oci::{Platform, Reference};
use tierce_spec::Image;

/// A build, as one process hands it to another. Both have the same machine, directory, variables
/// and version of tierce; values of secrets are not in it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct RunRequest {
    image: Image,
    root: PathBuf,
    default_registry: Option<String>,
    platforms: Vec<Platform>,
    names: BTreeMap<String, Reference>,
    code: Code,
    push: bool,
    exports: Vec<Output>,
    force: bool,
    unknown: Unknown,
    check_cache: Checks,
    builder: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    lock: Option<Lock>,
    settings: CallersSettings,
    /// The files with values of secrets, by the secrets' variables.
    secret_files: BTreeMap<String, PathBuf>,
    /// What was to be said about the image: codes and messages.
    warnings: Vec<(String, String)>,
}

/// What the calling program says itself, and no file or variable: another process would not know.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct CallersSettings {
    /// A program may know of places that are not on `PATH`.
    search_path: Vec<PathBuf>,
    registry: Option<String>,
    builder: Option<String>,
}

/// The lock that is built from.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "LockText", into = "LockText")]
struct Lock(LockUse);

/// A lock as its file has it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct LockText {
    image: String,
    text: String,
}

impl From<Lock> for LockText {
    fn from(Lock(LockUse { file, image }): Lock) -> Self {
        LockText { image, text: file.text() }
    }
}

impl TryFrom<LockText> for Lock {
    type Error = LockFileError;

    fn try_from(LockText { image, text }: LockText) -> Result<Self, LockFileError> {
        Ok(Lock(LockUse { file: Arc::new(LockFile::parse(&text)?), image }))
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Code {
    Runner,
    Image { root: PathBuf, loaded: Option<Vec<PathBuf>> },
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Output {
    Push(Reference),
    OciLayout(PathBuf),
    OciArchive(PathBuf),
    DockerArchive(PathBuf),
    Load,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Unknown {
    AssumePresent,
    Build,
    Fail,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Checks {
    Use,
    Bypass,
    Rebuild,
}

impl RunRequest {
    /// The build of `image` as `options` and the caller's own `settings` say; it is no dry run.
    pub fn new(image: Image, options: &BuildOptions, settings: &Settings) -> Self {
        let BuildOptions {
            root,
            default_registry,
            platforms,
            names,
            code,
            push,
            exports,
            force,
            dry_run: _,
            unknown,
            check_cache,
            builder,
            lock,
        } = options.clone();
        RunRequest {
            image,
            root,
            default_registry,
            platforms,
            names,
            code: match code {
                CodeSource::Runner => Code::Runner,
                CodeSource::Image { root, loaded } => Code::Image { root, loaded },
            },
            push,
            exports: exports.into_iter().map(Output::of).collect(),
            force,
            unknown: match unknown {
                UnknownPolicy::AssumePresent => Unknown::AssumePresent,
                UnknownPolicy::Build => Unknown::Build,
                UnknownPolicy::Fail => Unknown::Fail,
            },
            check_cache: match check_cache {
                CheckCache::Use => Checks::Use,
                CheckCache::Bypass => Checks::Bypass,
                CheckCache::Rebuild => Checks::Rebuild,
            },
            builder,
            lock: lock.map(Lock),
            settings: CallersSettings {
                search_path: settings.search_path.clone(),
                registry: settings.registry.clone(),
                builder: settings.builder.clone(),
            },
            secret_files: settings.secrets.files.clone(),
            warnings: vec![],
        }
    }

    /// With something to say about the image, by codes.
    pub fn with_warnings(self, warnings: Vec<(String, String)>) -> Self {
        RunRequest { warnings, ..self }
    }

    /// The folder of the project.
    pub fn root(&self) -> &std::path::Path {
        &self.root
    }

    /// Says what is to be said about the image.
    pub fn announce(&self, events: &Events) {
        self.warnings.iter().for_each(|(code, message)| events.warn(code, message));
    }

    /// What is built, and how. `settings` become the caller's.
    pub fn unfold(self, settings: &mut Settings) -> (Image, BuildOptions) {
        let CallersSettings { search_path, registry, builder } = self.settings;
        (settings.search_path, settings.registry, settings.builder) =
            (search_path, registry, builder);
        settings.secrets.files.extend(self.secret_files);
        let options = BuildOptions {
            root: self.root,
            default_registry: self.default_registry,
            platforms: self.platforms,
            names: self.names,
            code: match self.code {
                Code::Runner => CodeSource::Runner,
                Code::Image { root, loaded } => CodeSource::Image { root, loaded },
            },
            push: self.push,
            exports: self.exports.into_iter().map(Output::export).collect(),
            force: self.force,
            dry_run: false,
            unknown: match self.unknown {
                Unknown::AssumePresent => UnknownPolicy::AssumePresent,
                Unknown::Build => UnknownPolicy::Build,
                Unknown::Fail => UnknownPolicy::Fail,
            },
            check_cache: match self.check_cache {
                Checks::Use => CheckCache::Use,
                Checks::Bypass => CheckCache::Bypass,
                Checks::Rebuild => CheckCache::Rebuild,
            },
            builder: self.builder,
            lock: self.lock.map(|Lock(lock)| lock),
        };
        (self.image, options)
    }
}

impl Output {
    fn of(export: Export) -> Self {
        match export {
            Export::Push(reference) => Output::Push(reference),
            Export::OciLayout(path) => Output::OciLayout(path),
            Export::OciArchive(path) => Output::OciArchive(path),
            Export::DockerArchive(path) => Output::DockerArchive(path),
            Export::Load => Output::Load,
        }
    }

    fn export(self) -> Export {
        match self {
            Output::Push(reference) => Export::Push(reference),
            Output::OciLayout(path) => Export::OciLayout(path),
            Output::OciArchive(path) => Export::OciArchive(path),
            Output::DockerArchive(path) => Export::DockerArchive(path),
            Output::Load => Export::Load,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_is_the_same_in_the_other_process() {
        let image = Image::from_debian("bookworm")
            .with_name("app")
            .with_pip_packages(["idna"], Default::default())
            .with_env_vars([("A", "1")]);
        let options = BuildOptions {
            root: "/project".into(),
            default_registry: Some("r.example/team".into()),
            platforms: vec![Platform::linux("arm64")],
            names: [("default".to_owned(), "r.example/base:1".parse().unwrap())].into(),
            code: CodeSource::Image { root: ".".into(), loaded: Some(vec!["a.py".into()]) },
            push: true,
            exports: vec![Export::Load, "oci:out".parse().unwrap()],
            force: true,
            dry_run: false,
            unknown: UnknownPolicy::Fail,
            check_cache: CheckCache::Rebuild,
            builder: Some("native".into()),
            lock: Some(LockUse { file: Arc::default(), image: "image".into() }),
        };
        let files: BTreeMap<_, _> = [("PYPI_TOKEN".to_owned(), PathBuf::from("/token"))].into();
        let sources = tierce_config::Sources::default();
        let mut callers = Settings::resolve(&sources).unwrap();
        callers.search_path = vec!["/venv/bin".into(), "/usr/bin".into()];
        callers.registry = Some("r.example/init".to_owned());
        callers.builder = Some("depot".to_owned());
        callers.secrets.files.clone_from(&files);
        let request = RunRequest::new(image.clone(), &options, &callers);
        let text = serde_json::to_string(&request).unwrap();
        let request: RunRequest = serde_json::from_str(&text).unwrap();
        assert_eq!(request.root(), "/project");
        let mut settings = Settings::resolve(&sources).unwrap();
        let (same, unfolded) = request.unfold(&mut settings);
        assert_eq!(same, image);
        assert_eq!(format!("{unfolded:?}"), format!("{options:?}"));
        assert_eq!(settings.secrets.files, files);
        assert_eq!(settings.search_path, callers.search_path);
        assert_eq!(settings.registry, callers.registry);
        assert_eq!(settings.builder, callers.builder);
    }
}
