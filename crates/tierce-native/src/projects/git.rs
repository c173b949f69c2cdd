//! The git of this machine, run so that nothing of what is in a repository runs: no hooks, no
//! filters, and no submodules but those that are fetched here, one by one.

use super::error::ProjectError;
use crate::error::NativeError;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tierce_secret::Secrets;
use tierce_wheel::IndexCredentials;
use tokio::process::Command;
use url::Url;

/// Settings that keep a repository from having programs run, whatever the user's own say.
const SETTINGS: [&str; 7] = [
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.askPass=",
    "fetch.recurseSubmodules=false",
    "gc.auto=0",
    "maintenance.auto=false",
    "protocol.ext.allow=never",
];

/// Says the user and password that are in its environment: arguments are seen by everybody.
const HELPER: &str = "!f() { test \"$1\" = get || exit 0; printf 'username=%s\\npassword=%s\\n' \
                      \"$TIERCE_GIT_USERNAME\" \"$TIERCE_GIT_PASSWORD\"; }; f";

/// A repository's place, as git takes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remote {
    /// A URL without credentials, `user@host:path`, or an absolute path.
    pub address: String,
    /// Whether it may be on this machine: a submodule may not.
    pub may_be_local: bool,
}

/// The program, and what it is run with.
pub struct Git {
    /// The program.
    pub program: PathBuf,
    /// What reaches servers: the user's own environment, as uv has it.
    pub env: Vec<(String, String)>,
    /// Where its own helpers are.
    pub path: String,
    /// The certificates of this machine.
    pub ca_bundle: Option<PathBuf>,
    /// Who asks.
    pub credentials: IndexCredentials,
    /// What is to be shown nowhere.
    pub hidden: Secrets,
    /// The package that it is run for.
    pub package: String,
}

impl Git {
    /// A command in a repository, without any settings of the user's: what it makes is the same
    /// for everybody.
    fn plain(&self, repository: &Path) -> Command {
        let mut command = Command::new(&self.program);
        command
            .arg("--git-dir")
            .arg(repository)
            .args(SETTINGS.iter().flat_map(|setting| ["-c", setting]))
            .env_clear()
            .env("PATH", &self.path)
            .env("LC_ALL", "C")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_ATTR_NOSYSTEM", "1")
            .env("GIT_LFS_SKIP_SMUDGE", "1")
            .env("GIT_TERMINAL_PROMPT", "0")
            .current_dir("/")
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }

    /// A command that reaches a server: with the settings that the user has for that.
    fn reaching(&self, repository: &Path, remote: &Remote) -> Command {
        let mut command = self.plain(repository);
        command.env_remove("GIT_CONFIG_NOSYSTEM").env_remove("GIT_CONFIG_GLOBAL");
        command.envs(self.env.iter().filter(|(name, _)| !name.starts_with("UV_")).cloned());
        let protocols = match remote.may_be_local {
            true => "file:git:http:https:ssh",
            false => "git:http:https:ssh",
        };
        command.env("PATH", &self.path).env("GIT_ALLOW_PROTOCOL", protocols);
        if let Some(bundle) = &self.ca_bundle {
            command.env("GIT_SSL_CAINFO", bundle);
        }
        let url = Url::parse(&remote.address).ok();
        let is_http = |url: &&Url| matches!(url.scheme(), "http" | "https");
        if let Some(url) = url.as_ref().filter(is_http)
            && let Some((user, password)) = self.credentials.login(url)
        {
            // For this server alone: not for those that it may lead to.
            let origin = url.origin().ascii_serialization();
            command
                .args(["-c", "credential.helper="])
                .args(["-c", &format!("credential.{origin}.helper={HELPER}")])
                .env("TIERCE_GIT_USERNAME", user.as_str())
                .env("TIERCE_GIT_PASSWORD", password.as_str());
        }
        command
    }

    /// Runs it; what it wrote.
    async fn run(&self, mut command: Command) -> Result<Vec<u8>, NativeError> {
        let output = command.output().await.map_err(NativeError::io(&self.program))?;
        if output.status.success() {
            return Ok(output.stdout);
        }
        let said = String::from_utf8_lossy(&output.stderr);
        let said = self.hidden.redact(said.trim()).into_owned();
        Err(ProjectError::Git { package: self.package.clone(), said }.into())
    }

    /// Makes an empty repository.
    async fn init(&self, repository: &Path, commit: &str) -> Result<(), NativeError> {
        let mut command = self.plain(repository);
        command.args(["init", "--quiet", "--bare", "--template="]);
        if commit.len() == 64 {
            command.arg("--object-format=sha256");
        }
        self.run(command).await.map(drop)
    }

    /// Fetches a commit into a new bare repository: that alone, or all there is where the server
    /// does not give single ones.
    pub async fn fetch(
        &self,
        repository: &Path,
        remote: &Remote,
        commit: &str,
    ) -> Result<(), NativeError> {
        self.init(repository, commit).await?;
        let fetch = |options: &[&str], what: &[&str]| {
            let mut command = self.reaching(repository, remote);
            command.args(["fetch", "--quiet", "--force", "--no-write-fetch-head"]);
            command.args(options).args(["--", &remote.address]).args(what);
            command
        };
        let exact = format!("+{commit}:refs/tierce/commit");
        let alone = self.run(fetch(&["--no-tags", "--depth=1"], &[&exact])).await;
        if alone.is_err() {
            let all = ["+refs/*:refs/remotes/*", "+HEAD:refs/remotes/HEAD"];
            self.run(fetch(&["--no-tags"], &all)).await?;
        }
        let mut verify = self.plain(repository);
        verify.args(["rev-parse", "--verify", "--quiet", &format!("{commit}^{{commit}}")]);
        let found = self.run(verify).await.unwrap_or_default();
        match found.trim_ascii() == commit.as_bytes() {
            true => Ok(()),
            false => Err(ProjectError::NoCommit {
                package: self.package.clone(),
                repository: remote.address.clone(),
                commit: commit.to_owned(),
            }
            .into()),
        }
    }

    /// Writes the files of a commit into an empty folder.
    pub async fn unpack(
        &self,
        repository: &Path,
        commit: &str,
        folder: &Path,
        index: &Path,
    ) -> Result<(), NativeError> {
        std::fs::create_dir_all(folder).map_err(NativeError::io(folder))?;
        let steps: [&[&str]; 2] = [&["read-tree", commit], &["checkout-index", "--all", "--force"]];
        for arguments in steps {
            let mut command = self.plain(repository);
            command.arg("--work-tree").arg(folder).env("GIT_INDEX_FILE", index);
            command.args(arguments).current_dir(folder);
            self.run(command).await?;
        }
        Ok(())
    }

    /// The submodules of a commit: where they are in it, with the commits of theirs.
    pub async fn links(
        &self,
        repository: &Path,
        commit: &str,
    ) -> Result<Vec<(String, String)>, NativeError> {
        let mut command = self.plain(repository);
        command.args(["ls-tree", "-r", "-z", "--full-tree", commit]);
        let listed = self.run(command).await?;
        let entry = |line: &[u8]| {
            let line = String::from_utf8(line.strip_prefix(b"160000 commit ")?.to_vec()).ok()?;
            let (commit, path) = line.split_once('\t')?;
            Some((path.to_owned(), commit.to_owned()))
        };
        Ok(listed.split(|byte| *byte == 0).filter_map(entry).collect())
    }

    /// What `.gitmodules` says, as `submodule.NAME.KEY` with values.
    pub async fn modules(
        &self,
        repository: &Path,
        commit: &str,
    ) -> Result<Vec<(String, String)>, NativeError> {
        let mut command = self.plain(repository);
        let blob = format!("{commit}:.gitmodules");
        command.args(["config", "--no-includes", "-z", "--list", "--blob", &blob]);
        let listed = String::from_utf8_lossy(&self.run(command).await?).into_owned();
        let entry = |line: &str| {
            let (key, value) = line.split_once('\n')?;
            Some((key.to_owned(), value.to_owned()))
        };
        Ok(listed.split('\0').filter_map(entry).collect())
    }
}
