//! What an image starts from.

use crate::assembled::COMPRESSION;
use crate::context::Context;
use crate::draft::{DEFAULT_PATH, Draft};
use crate::error::NativeError;
use crate::execute::Job;
use crate::key::{KeyEncoder, LayerKey};
use crate::layer::{Layer, LayerOutcome, LayerRecord};
use crate::lock::base::{LockedDebian, with_mirrors};
use crate::lock::debs::LockedDebs;
use crate::plan::{Node, PlanBuilder};
use crate::python::Interpreter;
use crate::secret::StepSecrets;
use crate::work::{Omit, Work};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;
use tierce_debian::{
    Archive, ArchiveSettings, BaseKey, ConfigurePlan, Documentation, Keyring, Package, PackageSpec,
    Request, RootOptions, configure_plan, fetch_packages, interpreter, unpack_packages,
    write_root_layer,
};
use tierce_engine::{Events, Outcome, StepHandle, StepKind};
use tierce_layer::LayerWriter;
use tierce_oci::{
    BlobLocation, Descriptor, ImageConfig, MAX_MANIFEST_SIZE, Manifest, MediaType, Platform,
    Reference,
};
use tierce_sandbox::Process;
use tierce_spec::Base;
use tierce_store::RecordKind;
use tierce_wheel::Libc;

/// Manifests of registry bases, by digest and platform.
const BASE: RecordKind = RecordKind::new("base");

/// How many packages are downloaded at once.
const DOWNLOADS: usize = 8;

/// Links that Debian has in the root directory (the merged /usr) and in /var.
const DEBIAN_LINKS: [(&str, &str); 6] = [
    ("bin", "usr/bin"),
    ("sbin", "usr/sbin"),
    ("lib", "usr/lib"),
    ("lib64", "usr/lib64"),
    ("var/run", "run"),
    ("var/lock", "run/lock"),
];

/// A Debian base: its packages, and how they become a root file system.
pub struct DebianBase {
    packages: Vec<Package>,
    options: RootOptions,
    configure: ConfigurePlan,
    /// Where the packages are kept, where they are locked.
    locked: Option<LockedDebs>,
}

/// A resolved base: a plan with nothing on top of it yet.
pub struct ResolvedBase {
    /// The plan.
    pub plan: PlanBuilder,
    /// Directories of the base that are links, and where they lead: a layer that lists one as a
    /// directory would hide the link.
    pub links: &'static [(&'static str, &'static str)],
    /// The base's Python, if that is known without looking inside.
    pub interpreter: Option<Interpreter>,
    /// The base's C library, as far as it is known.
    pub libc: Libc,
}

/// What is kept of a registry base that was looked up: everything but the layers themselves.
#[derive(Serialize, Deserialize)]
struct BaseRecord {
    manifest: String,
    media_type: MediaType,
    config: String,
}

impl Context {
    /// Finds out what exactly `base` is for `platform`.
    pub async fn resolve_base(
        &self,
        base: &Base,
        platform: &Platform,
        events: &Events,
    ) -> Result<ResolvedBase, NativeError> {
        match base {
            Base::Scratch => Ok(ResolvedBase {
                plan: PlanBuilder::new(platform.clone(), Draft::scratch(platform.clone())),
                links: &[],
                interpreter: None,
                libc: Libc::DEFAULT,
            }),
            Base::Registry(reference) => self.registry_base(reference, platform, events).await,
            Base::Debian(debian) => self.debian_base(debian, platform, events).await,
            Base::Dockerfile(_) => Err(NativeError::ForeignBase("a Dockerfile")),
            // An image of ours is a base only when it is built, and names were looked up before.
            Base::Image(_) | Base::Named(_) => Err(NativeError::ForeignBase("an image")),
        }
    }

    async fn debian_base(
        &self,
        base: &tierce_spec::DebianBase,
        platform: &Platform,
        events: &Events,
    ) -> Result<ResolvedBase, NativeError> {
        if !self.is_recording() {
            self.require_execution(platform, "a Debian base")?;
        }
        let step = events.step(StepKind::Resolve, format!("resolve debian {}", base.suite));
        let settings = self.archive_settings(base, platform)?;
        if let Some(locked) = self.locked_debian(&base.suite, platform)? {
            step.finish(Outcome::Cached, format!("{} packages", locked.packages.len()));
            return self.locked_debian_base(base, platform, &settings, locked);
        }
        let archive =
            Archive::open(&settings, &self.fetcher, &self.store, SystemTime::now()).await?;
        let mut request = Request::base();
        if base.python {
            request = request.with_python();
        }
        let names: Result<Vec<PackageSpec>, _> =
            base.packages.iter().map(|name| name.parse()).collect();
        let packages = archive.resolve(&request.with_names(names?))?;
        step.finish(Outcome::Made, format!("{} packages", packages.len()));
        let snapshot = crate::lock::base::newest(archive.releases());
        self.record_debian_base(&base.suite, platform, &packages, snapshot, &settings);

        let options = root_options(&settings);
        let found = interpreter(&packages);
        let interpreter = found.map(|found| -> Result<_, NativeError> {
            Ok(Interpreter {
                version: found.version.parse()?,
                path: found.path,
                libc: glibc(&packages),
            })
        });
        let libc = glibc(&packages);
        let plan = self.debian_plan(base, platform, packages, options, None);
        let interpreter = interpreter.transpose()?;
        Ok(ResolvedBase { plan, links: &DEBIAN_LINKS, interpreter, libc })
    }

    /// A base of the packages that a lock says.
    fn locked_debian_base(
        &self,
        base: &tierce_spec::DebianBase,
        platform: &Platform,
        settings: &ArchiveSettings,
        locked: LockedDebian,
    ) -> Result<ResolvedBase, NativeError> {
        let LockedDebian { packages, debs, mirrors, interpreter } = locked;
        let settings = &with_mirrors(settings, mirrors.as_ref())?;
        let snapshot = debs.snapshot.clone();
        self.record_debian_base(&base.suite, platform, &packages, snapshot, settings);
        let libc = glibc(&packages);
        let interpreter = match interpreter {
            Some((path, version)) => Some(Interpreter { version: version.parse()?, path, libc }),
            None => None,
        };
        let options = root_options(settings);
        let plan = self.debian_plan(base, platform, packages, options, Some(debs));
        Ok(ResolvedBase { plan, links: &DEBIAN_LINKS, interpreter, libc })
    }

    fn debian_plan(
        &self,
        base: &tierce_spec::DebianBase,
        platform: &Platform,
        packages: Vec<Package>,
        options: RootOptions,
        locked: Option<LockedDebs>,
    ) -> PlanBuilder {
        let count = packages.len();
        let key = KeyEncoder::new("debian-root")
            .digest("packages", BaseKey::of(&packages, &options).digest())
            .text("compression", COMPRESSION.media_type().as_str())
            .finish();
        let configure = configure_plan(&packages);
        let debian = Arc::new(DebianBase { packages, options, configure, locked });
        let mut config = ImageConfig::scratch(platform.clone());
        config.set_env("PATH", DEFAULT_PATH);
        config.config.cmd = Some(vec!["bash".to_owned()]);
        let mut plan = PlanBuilder::new(platform.clone(), Draft::new(config, vec![]));
        plan.layer(Node {
            key,
            title: format!("debian {}: unpack {count} packages", base.suite),
            created_by: format!("debian {}: {count} packages", base.suite),
            work: Work::DebianRoot(debian.clone()),
        });
        let configure = configure_key(&debian.configure, &plan.stack().0);
        plan.layer(Node {
            key: configure,
            title: format!("debian {}: configure", base.suite),
            created_by: format!("debian {}: configure", base.suite),
            work: Work::DebianConfigure(debian),
        });
        plan
    }

    fn archive_settings(
        &self,
        base: &tierce_spec::DebianBase,
        platform: &Platform,
    ) -> Result<ArchiveSettings, NativeError> {
        let mut settings = ArchiveSettings::debian(&base.suite, platform)?;
        let mirror = base.mirror.as_ref().map(|m| m.as_url().clone());
        if let Some(mirror) = mirror.or_else(|| self.settings.debian_mirror.clone()) {
            settings.mirror = mirror;
        }
        let security = base.security_mirror.as_ref().map(|m| m.as_url().clone());
        if let Some(mirror) = security.or_else(|| self.settings.debian_security_mirror.clone()) {
            settings.security_mirror = mirror;
        }
        if !base.components.is_empty() {
            settings.components.clone_from(&base.components);
        }
        if let Some(path) = &self.settings.debian_keyring {
            let bytes = std::fs::read(path).map_err(NativeError::io(path))?;
            settings.keyring = Keyring::parse(&bytes)
                .map_err(|source| NativeError::Keyring { path: path.clone(), source })?;
        }
        Ok(settings)
    }

    /// The packages, unpacked as one layer.
    pub async fn debian_root(
        &self,
        base: &Arc<DebianBase>,
        step: &StepHandle,
    ) -> Result<LayerOutcome, NativeError> {
        if let Some(locked) = &base.locked {
            self.fetch_locked_debs(locked, step).await?;
        }
        let total = base.packages.iter().map(|p| p.size).sum();
        // Progress comes per package as the bytes so far; people want the sum.
        let so_far: Mutex<BTreeMap<String, u64>> = Mutex::default();
        fetch_packages(&base.packages, &self.fetcher, &self.store, DOWNLOADS, &|package, bytes| {
            let mut so_far = so_far.lock().unwrap_or_else(PoisonError::into_inner);
            so_far.insert(package.name.to_string(), bytes);
            step.reporter().progress(so_far.values().sum(), Some(total));
        })
        .await?;
        let _turn = self.cores.acquire().await.expect("it is never closed");
        let (store, base) = (self.store.clone(), base.clone());
        tokio::task::spawn_blocking(move || {
            let debs = unpack_packages(&base.packages, &store)?;
            let staged = std::io::BufWriter::with_capacity(256 * 1024, store.stage()?);
            let writer = LayerWriter::new(staged, COMPRESSION);
            let (staged, info) = write_root_layer(&debs, &base.options, writer)?;
            let staged =
                staged.into_inner().map_err(|e| NativeError::io(store.root())(e.into_error()))?;
            staged.commit(&info.descriptor.digest)?;
            Ok(info.into())
        })
        .await?
    }

    /// What the packages' scripts change.
    pub async fn debian_configure(
        &self,
        base: &DebianBase,
        lowers: Vec<Layer>,
        step: &StepHandle,
    ) -> Result<LayerOutcome, NativeError> {
        let roots = self.materialise(&lowers, step).await?;
        let scratch = self.scratch("configure")?;
        let started = crate::execute::now();
        for part in &base.configure.steps {
            let mut process = Process::new(roots.clone(), scratch.path.clone(), part.argv.clone());
            process.env = base.configure.env.clone();
            // Scripts of packages have no business on the network.
            process.network = tierce_sandbox::Network::None;
            process.time_limit = Some(crate::execute::TIME_LIMIT);
            let (title, secrets) = (part.name.to_owned(), StepSecrets::default());
            self.run(Job { process, title, secrets }, step).await?;
        }
        let secrets = StepSecrets::default();
        self.diff(roots, scratch.path.clone(), started, Omit::PackageLeavings, secrets).await
    }

    /// An image in a registry.
    pub async fn registry_base(
        &self,
        reference: &Reference,
        platform: &Platform,
        events: &Events,
    ) -> Result<ResolvedBase, NativeError> {
        let step = events.step(StepKind::Resolve, format!("resolve {}", reference.familiar()));
        let (digest, record, cached) = self.look_up(reference, platform).await?;
        let of_platform = tierce_oci::Digest::of(&record.manifest);
        self.record_registry_base(reference, platform, digest, of_platform);
        let manifest = parse_manifest(&record, reference)?;
        let config = ImageConfig::parse(record.config.as_bytes())
            .map_err(|_| NativeError::InconsistentBase(reference.familiar()))?;
        let layers = base_layers(reference, &manifest, &config)?;
        let outcome = if cached { Outcome::Cached } else { Outcome::Made };
        step.finish(outcome, digest.short());
        let interpreter = interpreter_of(&config)?;
        let libc = libc_of(&config);
        let mut draft = Draft::new(config, layers);
        draft.annotate("org.opencontainers.image.base.digest", digest.to_string());
        draft.annotate("org.opencontainers.image.base.name", reference.to_string());
        let plan = PlanBuilder::new(platform.clone(), draft);
        // What is a link in a registry's base is known only to who unpacks it.
        Ok(ResolvedBase { plan, links: &[], interpreter, libc })
    }

    /// The base's manifest and configuration for the platform. A tag is asked for its digest;
    /// what a digest stands for is asked only once.
    async fn look_up(
        &self,
        reference: &Reference,
        platform: &Platform,
    ) -> Result<(tierce_oci::Digest, BaseRecord, bool), NativeError> {
        let root = match (reference.digest(), self.locked_digest(reference, platform)?) {
            (Some(digest), _) => *digest,
            (None, Some(locked)) => locked,
            (None, None) => {
                let found = self.registry.locate_manifest(reference).await?;
                found.ok_or_else(|| no_base(reference))?.digest
            }
        };
        let key = KeyEncoder::new("base")
            .digest("root", &root)
            .text("platform", &platform.to_string())
            .finish();
        if let Some(record) = self.store.record::<BaseRecord>(BASE, &key.0) {
            return Ok((root, record, true));
        }
        let resolved = self.registry.resolve(&reference.with_digest(root), platform).await?;
        let record = BaseRecord {
            manifest: String::from_utf8_lossy(&resolved.manifest_bytes).into_owned(),
            media_type: resolved.manifest_descriptor.media_type.clone(),
            config: String::from_utf8_lossy(&resolved.config_bytes).into_owned(),
        };
        self.store.put_record(BASE, &key.0, &record)?;
        Ok((root, record, false))
    }
}

/// How packages become a root file system.
fn root_options(settings: &ArchiveSettings) -> RootOptions {
    RootOptions {
        architecture: settings.architecture.clone(),
        apt_sources: settings.apt_sources(),
        documentation: Documentation::Omit,
    }
}

fn parse_manifest(record: &BaseRecord, reference: &Reference) -> Result<Manifest, NativeError> {
    debug_assert!(record.manifest.len() <= MAX_MANIFEST_SIZE);
    Manifest::parse(record.manifest.as_bytes(), &record.media_type)
        .map_err(|_| NativeError::InconsistentBase(reference.familiar()))
}

fn no_base(reference: &Reference) -> NativeError {
    let full = reference.to_string();
    let (registry, image) = full.split_once('/').unwrap_or_default();
    NativeError::NoBase { registry: registry.to_owned(), image: image.to_owned() }
}

fn base_layers(
    reference: &Reference,
    manifest: &Manifest,
    config: &ImageConfig,
) -> Result<Vec<Layer>, NativeError> {
    let diff_ids = &config.rootfs.diff_ids;
    if diff_ids.len() != manifest.layers.len() {
        return Err(NativeError::InconsistentBase(reference.familiar()));
    }
    let mut made_by =
        config.history.iter().filter(|h| !h.empty_layer).map(|h| h.created_by.clone());
    let layer = |(descriptor, diff_id): (&Descriptor, &tierce_oci::DiffId)| {
        if !descriptor.media_type.is_layer() {
            return Err(NativeError::UnsupportedLayer {
                base: reference.familiar(),
                media_type: descriptor.media_type.to_string(),
            });
        }
        Ok(Layer {
            record: LayerRecord { descriptor: descriptor.clone(), diff_id: *diff_id },
            location: BlobLocation::Registry(reference.clone()),
            created_by: made_by.next().flatten().unwrap_or_else(|| "base".to_owned()),
            cached: true,
        })
    };
    manifest.layers.iter().zip(diff_ids).map(layer).collect()
}

/// What official Python images and their kin say of themselves: their configuration has the
/// version, and they build Python into `/usr/local`.
pub fn interpreter_of(config: &ImageConfig) -> Result<Option<Interpreter>, NativeError> {
    let env = config.env();
    let value = |name: &str| env.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str());
    // Images that tierce itself makes say it in a label.
    let label = config.config.labels.as_ref().and_then(|l| l.get(crate::PYTHON_LABEL));
    if let Some(interpreter) = label.and_then(|label| Interpreter::from_label(label)) {
        return Ok(Some(interpreter));
    }
    let (path, version) = match value("PYTHON_VERSION") {
        Some(version) => {
            let mut parts = version.split('.');
            let (major, minor) = (parts.next().unwrap_or("3"), parts.next().unwrap_or("0"));
            (format!("/usr/local/bin/python{major}.{minor}"), version)
        }
        None => return Ok(None),
    };
    // A pre-release (3.14.0rc2) is its release for all that markers and tags ask.
    let end = version.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(version.len());
    let version = version[..end].parse()?;
    Ok(Some(Interpreter { path, version, libc: libc_of(config) }))
}

/// Images made with Alpine's package manager have musl; all else is taken for glibc.
pub fn libc_of(config: &ImageConfig) -> Libc {
    let made_by = config.history.iter().filter_map(|h| h.created_by.as_deref());
    let is_alpine = |step: &str| step.contains("apk add") || step.contains("alpine-minirootfs");
    match made_by.into_iter().any(is_alpine) {
        true => Libc::Musl { minor: 2 },
        false => Libc::DEFAULT,
    }
}

/// The C library that the packages bring.
fn glibc(packages: &[Package]) -> Libc {
    let libc = packages.iter().find(|p| p.name.as_str() == "libc6");
    let minor = libc.and_then(|p| {
        p.version.upstream().strip_prefix("2.")?.split(['.', '-']).next()?.parse().ok()
    });
    minor.map_or(Libc::DEFAULT, |minor| Libc::Glibc { minor })
}

fn configure_key(plan: &ConfigurePlan, below: &LayerKey) -> LayerKey {
    let mut key = KeyEncoder::new("debian-configure")
        .digest("stack", &below.0)
        .list("env", plan.env.iter().flat_map(|(name, value)| [name, value]));
    for step in &plan.steps {
        key = key.list("step", &step.argv);
    }
    key.finish()
}
