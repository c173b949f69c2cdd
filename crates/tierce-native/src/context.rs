//! What every part of a build works with.

use crate::error::NativeError;
use crate::run::Foreground;
use crate::turns::Turns;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use tierce_engine::Locking;
use tierce_fetch::Fetcher;
use tierce_oci::{Descriptor, Platform, Reference};
use tierce_registry::Client;
use tierce_sandbox::{Cancel, Helper, IdMapping, ProbeError, Sandbox};
use tierce_secret::Secrets;
use tierce_store::{Lock, LockMode, ScratchDir, Store};
use tierce_wheel::{StandaloneSettings, Uv, UvSettings};
use tokio::sync::{OnceCell, Semaphore};
use url::Url;

/// What the native builder takes from its surroundings. `Debug` shows little: there may be
/// credentials in variables and addresses.
#[derive(Clone)]
pub struct NativeSettings {
    /// How the sandbox re-executes this program.
    pub helper: Helper,
    /// The machine's certificates, shown to build steps.
    pub ca_bundle: Option<PathBuf>,
    /// Proxy variables, shown to build steps.
    pub network_variables: Vec<(String, String)>,
    /// Where uv is looked for.
    pub uv: UvSettings,
    /// The environment uv runs with.
    pub uv_variables: Vec<(String, String)>,
    /// The package index of images that name none.
    pub index: Option<Url>,
    /// Where the user's credentials for package indexes are.
    pub index_credentials: IndexCredentialFiles,
    /// Where Python comes from for bases that have none.
    pub standalone: StandaloneSettings,
    /// Where conda channels are that are given by name alone, where not at their usual server.
    pub conda_channel_alias: Option<Url>,
    /// The Debian mirror of bases that name none.
    pub debian_mirror: Option<Url>,
    /// The mirror of Debian's security archive.
    pub debian_security_mirror: Option<Url>,
    /// Where what Debian's archives had is kept, instead of snapshot.debian.org.
    pub debian_snapshot: Option<Url>,
    /// A keyring for Debian archives, instead of Debian's own keys.
    pub debian_keyring: Option<PathBuf>,
    /// Directories with programs, to find `docker` and `podman` in.
    pub search_path: Vec<PathBuf>,
}

impl fmt::Debug for NativeSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NativeSettings").field("helper", &self.helper).finish_non_exhaustive()
    }
}

/// Where the user's credentials for package indexes are, besides their URLs.
#[derive(Clone, Default)]
pub struct IndexCredentialFiles {
    /// A netrc file.
    pub netrc: Option<PathBuf>,
    /// uv's credentials file, which `uv auth login` writes.
    pub uv: Option<PathBuf>,
    /// Indexes by the names that uv's variables `UV_INDEX_NAME_PASSWORD` call them.
    pub names: Vec<(String, Url)>,
}

/// The sandbox that this machine offers.
pub struct Chosen {
    /// The sandbox.
    pub sandbox: Sandbox,
    /// How owners are represented in its directories: directories of different variants are not
    /// exchangeable.
    pub variant: String,
}

/// What every part of a build works with.
#[derive(Clone)]
pub struct Context {
    /// What the builder was told of its surroundings.
    pub settings: NativeSettings,
    /// Everything that was fetched or made.
    pub store: Store,
    /// Downloads.
    pub fetcher: Fetcher,
    /// Registries.
    pub registry: Client,
    /// Stops whatever runs in a sandbox.
    pub cancel: Cancel,
    /// Whether a program of an image's has the terminal.
    pub foreground: Foreground,
    /// One permit a core, for work that keeps a core busy.
    pub cores: Arc<Semaphore>,
    /// The same for unpacking: what is unpacked for one step must not hold up the layers of
    /// others.
    pub unpacks: Arc<Semaphore>,
    /// Which layers are being made in this process.
    pub turns: Turns,
    /// The values of the secrets of a build.
    pub secrets: Secrets,
    /// What a build's lock says, or what one is made from.
    pub locking: Locking,
    chosen: Arc<OnceLock<Result<Chosen, Arc<ProbeError>>>>,
    uv: Arc<OnceCell<Uv>>,
}

impl Context {
    /// A context over these.
    pub fn new(
        settings: NativeSettings,
        store: Store,
        fetcher: Fetcher,
        registry: Client,
        cancel: Cancel,
    ) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Context {
            settings,
            store,
            fetcher,
            registry,
            cancel,
            foreground: Foreground::default(),
            cores: Arc::new(Semaphore::new(cores)),
            unpacks: Arc::new(Semaphore::new(cores)),
            turns: Turns::default(),
            secrets: Secrets::default(),
            locking: Locking::Off,
            chosen: Arc::default(),
            uv: Arc::default(),
        }
    }

    /// The same, with registries as `client` sees them.
    pub fn with_registry(&self, client: Client) -> Self {
        Context { registry: client, ..self.clone() }
    }

    /// The same, for a build with these secrets.
    pub fn with_secrets(&self, secrets: Secrets) -> Self {
        Context { secrets, ..self.clone() }
    }

    /// The same, for a build from a lock, or for making one.
    pub fn with_locking(self, locking: Locking) -> Self {
        Context { locking, ..self }
    }

    /// The sandbox. What the machine offers is tried out once, when something first has to run.
    pub fn sandbox(&self) -> Result<&Chosen, NativeError> {
        let chosen = self.chosen.get_or_init(|| {
            let scratch = self.store.root().join("tmp");
            let sandbox = Sandbox::new(self.settings.helper.clone(), &scratch).map_err(Arc::new)?;
            let variant = match sandbox.mapping() {
                IdMapping::Root => "root".to_owned(),
                IdMapping::Single => "single".to_owned(),
                IdMapping::Subordinate { uids, .. } => format!("sub-{}", uids.start),
            };
            Ok(Chosen { sandbox, variant })
        });
        chosen.as_ref().map_err(|e| NativeError::NoExecution(e.clone()))
    }

    /// Fails unless programs for `platform` run on this machine.
    pub fn require_execution(&self, platform: &Platform, what: &str) -> Result<(), NativeError> {
        if !runs_here(platform) {
            let (platform, what) = (platform.clone(), what.to_owned());
            return Err(NativeError::ForeignPlatform { platform, what });
        }
        self.sandbox().map(|_| ())
    }

    /// uv, found or fetched once.
    pub async fn uv(&self) -> Result<&Uv, NativeError> {
        let index = self.uv_index();
        let get = || Uv::locate_or_fetch(&self.settings.uv, &self.fetcher, &self.store, &index);
        Ok(self.uv.get_or_try_init(get).await?)
    }

    /// The pinned, static uv for use inside images: the one on this machine may be linked against
    /// its libraries, and would make images of the same input differ.
    pub async fn static_uv(
        &self,
        on_bytes: &(dyn Fn(u64) + Send + Sync),
    ) -> Result<Uv, NativeError> {
        let index = self.uv_index();
        Ok(Uv::fetch_reporting(&self.fetcher, &self.store, &index, on_bytes).await?)
    }

    /// Removes what killed builds left behind. What can't be removed is left for later.
    pub fn sweep(&self) {
        let dead = self.store.dead_scratch_dirs();
        if dead.is_empty() {
            return;
        }
        let Ok(chosen) = self.sandbox().map(|c| &c.sandbox) else { return };
        for directory in dead {
            if let Err(error) = chosen.remove(&directory) {
                tracing::debug!(%error, path = %directory.display(), "cannot remove");
            }
        }
    }

    /// Waits for a lock between processes, off the threads that drive the build.
    pub async fn lock(&self, name: String, mode: LockMode) -> Result<Lock, NativeError> {
        let store = self.store.clone();
        Ok(tokio::task::spawn_blocking(move || store.lock(&name, mode)).await??)
    }

    /// A scratch directory that the sandbox may fill.
    pub fn scratch(&self, prefix: &str) -> Result<SandboxScratch, NativeError> {
        let guard = self.store.scratch_dir(prefix)?;
        let path = guard.path().to_owned();
        Ok(SandboxScratch { path, sandbox: self.sandbox()?.sandbox.clone(), _guard: guard })
    }

    /// The blob as a file of the store, downloaded if it is not there.
    pub async fn fetch_blob(
        &self,
        repository: &Reference,
        descriptor: &Descriptor,
        on_bytes: &(dyn Fn(u64) + Send + Sync),
    ) -> Result<PathBuf, NativeError> {
        let digest = descriptor.digest;
        let here = self.store.blob_path(&digest);
        if self.store.has(&digest) == Some(descriptor.size) {
            return Ok(here);
        }
        let _lock = self.lock(format!("blob-{}", digest.hex()), LockMode::Exclusive).await?;
        if self.store.has(&digest) == Some(descriptor.size) {
            return Ok(here);
        }
        let staged = self.store.stage()?;
        self.registry.download_blob(repository, descriptor, staged.path(), on_bytes).await?;
        Ok(staged.commit(&digest)?)
    }
}

/// The index of the Python Package Index.
pub fn pypi() -> Url {
    Url::parse("https://pypi.org/simple").expect("a valid URL")
}

/// Whether this machine runs programs for `platform`: its own, or one with a registered emulator
/// (binfmt_misc(5)).
pub fn runs_here(platform: &Platform) -> bool {
    let host = Platform::host();
    if host.serves(platform) {
        return true;
    }
    let emulator = match platform.architecture.as_str() {
        "arm64" => "qemu-aarch64",
        "amd64" => "qemu-x86_64",
        "arm" => "qemu-arm",
        "386" => return host.architecture == "amd64",
        "ppc64le" => "qemu-ppc64le",
        "riscv64" => "qemu-riscv64",
        "s390x" => "qemu-s390x",
        _ => return false,
    };
    let registered = format!("/proc/sys/fs/binfmt_misc/{emulator}");
    // Only an emulator that the kernel holds open (flag F) works inside another root.
    std::fs::read_to_string(registered).is_ok_and(|entry| {
        let flags = entry.lines().find_map(|line| line.strip_prefix("flags:"));
        entry.starts_with("enabled") && flags.is_some_and(|flags| flags.contains('F'))
    })
}

/// A scratch directory with files that may belong to ids only the sandbox can act for.
pub struct SandboxScratch {
    /// The directory.
    pub path: PathBuf,
    sandbox: Sandbox,
    // Released after the directory is gone: until then it is not dead to others.
    _guard: ScratchDir,
}

impl Drop for SandboxScratch {
    fn drop(&mut self) {
        if let Err(error) = self.sandbox.remove(&self.path) {
            tracing::debug!(%error, path = %self.path.display(), "cannot remove scratch directory");
        }
    }
}
