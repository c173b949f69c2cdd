//! Who asks package indexes, on this machine and inside images.

use crate::context::{Context, SandboxScratch, pypi};
use crate::error::NativeError;
use crate::key::KeyEncoder;
use crate::layer::Layer;
use crate::pip::PipRequest;
use crate::secret::StepSecrets;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use tierce_engine::Gathered;
use tierce_secret::{SecretId, SecretValue};
use tierce_spec::PythonEnvironment;
use tierce_wheel::{IndexCredentials, named_index};
use url::Url;

/// uv's variables with addresses of indexes, which a secret may be the value of.
const INDEX_VARIABLES: [&str; 4] =
    ["UV_DEFAULT_INDEX", "UV_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL"];

impl Context {
    /// All credentials that an environment's indexes and files may need: from URLs, from secrets
    /// in uv's variables or in netrc files, and from the user's own.
    pub fn index_credentials(
        &self,
        environment: &PythonEnvironment<'_>,
        gathered: &Gathered,
        secrets: &StepSecrets,
    ) -> Result<IndexCredentials, NativeError> {
        let options = &environment.options;
        let own = secrets.variables();
        let users = &self.settings.uv_variables;
        let variable = |name: &str| {
            let found = own.iter().chain(users).find(|(known, _)| known == name);
            found.map(|(_, value)| value.clone())
        };
        let indexes = options.index.iter().chain(&options.extra_indexes).map(|url| url.as_url());
        let mut all = indexes
            .chain(&self.settings.index)
            .fold(IndexCredentials::new(), IndexCredentials::with_url);
        let arguments = options.extra_args.iter().map(String::as_str);
        for text in environment.packages.iter().copied().chain(arguments) {
            all = all.with_text(text, &variable);
        }
        for (step, _) in &environment.requirements {
            let text = gathered.requirements.get(step).map(std::fs::read_to_string);
            // Whoever resolves the file says what is wrong with it.
            all = text.and_then(Result::ok).iter().fold(all, |all, t| all.with_text(t, &variable));
        }
        let indexes = options.index.iter().chain(&options.extra_indexes);
        let named = indexes.filter_map(|i| Some((i.name()?.to_owned(), i.as_url().clone())));
        let mut names: Vec<(String, Url)> = named.collect();
        names.extend(self.settings.index_credentials.names.iter().cloned());
        for (step, _) in &environment.projects {
            let Some(project) = gathered.projects.get(step) else { continue };
            names.extend(crate::projects::named_indexes(project));
            let addresses = crate::projects::addresses(project);
            all = addresses.iter().fold(all, IndexCredentials::with_url);
        }
        for (name, value) in &own {
            if INDEX_VARIABLES.contains(&name.as_str()) {
                all = all.with_text(value, &variable);
                names.extend(value.split_whitespace().filter_map(named_index));
            }
        }
        for (name, url) in &names {
            all = all.with_name(name, url, &variable).with_poetry_name(name, url, &variable);
        }
        for text in secrets.files_named(".netrc") {
            all = all.with_netrc(&text);
        }
        self.user_credentials(all)
    }

    /// The credentials for conda channels: from secrets in netrc files, and from the user's own.
    pub fn channel_credentials(
        &self,
        secrets: &StepSecrets,
    ) -> Result<IndexCredentials, NativeError> {
        let own = secrets.files_named(".netrc");
        self.user_credentials(own.fold(IndexCredentials::new(), |all, text| all.with_netrc(&text)))
    }

    /// The credentials for builds of Python: those of the list of builds, and the user's own.
    pub fn standalone_credentials(&self) -> Result<IndexCredentials, NativeError> {
        let list = self.settings.standalone.list.iter();
        self.user_credentials(list.fold(IndexCredentials::new(), IndexCredentials::with_url))
    }

    /// With those of the user's own files.
    fn user_credentials(&self, all: IndexCredentials) -> Result<IndexCredentials, NativeError> {
        let files = &self.settings.index_credentials;
        let all = match read(files.netrc.as_deref())? {
            Some(text) => all.with_netrc(&text),
            None => all,
        };
        Ok(match read(files.uv.as_deref())? {
            Some(text) => all.with_uv_file(&text),
            None => all,
        })
    }

    /// The index instead of PyPI and those asked before it, with credentials: uv gets them in the
    /// URLs, so that it has the same ones here and inside of images.
    pub fn index_urls(&self, request: &PipRequest<'_>) -> (Option<String>, Vec<String>) {
        let options = &request.environment.options;
        let url = |url: &Url| request.credentials.apply(url).to_string();
        let index = options.index.as_ref().map(|index| index.as_url());
        let index = index.or(self.settings.index.as_ref()).map(url);
        (index, options.extra_indexes.iter().map(|index| url(index.as_url())).collect())
    }

    /// The index that uv itself is fetched from.
    pub fn uv_index(&self) -> Url {
        let index = self.settings.index.clone().unwrap_or_else(pypi);
        let files = &self.settings.index_credentials;
        let users = &self.settings.uv_variables;
        let variable = |name: &str| {
            users.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
        };
        let names = files.names.iter();
        let all = names.fold(IndexCredentials::new(), |all, (n, u)| all.with_name(n, u, &variable));
        match self.user_credentials(all) {
            Ok(all) => all.apply(&index),
            // Said where the image's own packages are asked for.
            Err(_) => index,
        }
    }

    /// uv's environment on this machine: the user's, and the secrets that are variables.
    pub fn uv_environment(&self, request: &PipRequest<'_>) -> Vec<(String, String)> {
        let own = request.secrets.variables();
        let users = self.settings.uv_variables.iter();
        let mut env: Vec<_> =
            users.filter(|(name, _)| !own.iter().any(|(n, _)| n == name)).cloned().collect();
        env.extend(own);
        // Where git is, for requirements that are repositories.
        if let Ok(path) = std::env::join_paths(&self.settings.search_path)
            && !env.iter().any(|(name, _)| name == "PATH")
        {
            env.push(("PATH".to_owned(), path.to_string_lossy().into_owned()));
        }
        env
    }

    /// What uv sees: the secrets, the passwords in the addresses of indexes, and those in the
    /// user's variables.
    pub fn seen_by_uv(&self, request: &PipRequest<'_>) -> StepSecrets {
        let (index, extra) = self.index_urls(request);
        let urls = index.iter().chain(&extra).filter_map(|url| Url::parse(url).ok());
        let given = urls.fold(IndexCredentials::new(), |all, url| all.with_url(&url));
        let users = self.settings.uv_variables.iter();
        let passwords =
            users.filter(|(name, _)| name.ends_with("_PASSWORD")).map(|(name, value)| {
                let id = SecretId { group: None, key: name.clone() };
                (id, SecretValue::new(value.as_bytes()))
            });
        request.secrets.and(given.secrets().chain(passwords))
    }

    /// A cache for builds that see secrets. What they leave in a cache is seen by other builds,
    /// and stays: this one ends with the step.
    pub fn own_cache(&self, seen: &StepSecrets) -> Result<Option<SandboxScratch>, NativeError> {
        match seen.is_empty() {
            true => Ok(None),
            false => self.scratch("uv-cache").map(Some),
        }
    }

    /// The cache of builds on these layers. What a build leaves in it runs in later builds, so it
    /// is not shared with other images.
    pub fn build_cache(
        &self,
        own: Option<&SandboxScratch>,
        below: &[Layer],
    ) -> Result<PathBuf, NativeError> {
        if let Some(own) = own {
            return Ok(own.path.join("uv"));
        }
        let layers = below.iter().map(|l| *l.record.diff_id.0.as_bytes());
        let key = KeyEncoder::new("uv-cache").list("below", layers).finish();
        Ok(self.store.cache_dir(&format!("{}-uv-{key}", self.sandbox()?.variant))?)
    }
}

/// A file of the user's; `None` where there is none.
fn read(path: Option<&Path>) -> Result<Option<String>, NativeError> {
    let Some(path) = path else { return Ok(None) };
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
        Err(error) => Err(NativeError::io(path)(error)),
    }
}

/// An index without its credentials, which are no part of what a request asks for.
pub fn without_credentials(url: &str) -> String {
    tierce_spec::without_credentials(url)
}
