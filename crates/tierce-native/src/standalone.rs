//! Python for images whose base has none that fits: a build of python-build-standalone's, as a
//! layer of its own.

use crate::assembled::COMPRESSION;
use crate::conda::CondaError;
use crate::context::Context;
use crate::error::NativeError;
use crate::key::{KeyEncoder, LayerKey};
use crate::layer::{Layer, LayerOutcome};
use crate::plan::Node;
use crate::planner::{Foundation, Planner};
use crate::python::{Interpreter, PREFIX};
use crate::work::Work;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use std::sync::Arc;
use tierce_engine::{Outcome, StepHandle, StepKind};
use tierce_oci::Platform;
use tierce_spec::{Base, Env, Labels, PythonProvider, PythonRequest, SearchPath, Step};
use tierce_store::LockMode;
use tierce_wheel::{
    Libc, PROGRAM_DIRECTORY, PythonVersion, STANDALONE_PREFIX, STANDALONE_VERSION, StandaloneBuild,
    fetch_standalone, standalone_program, write_standalone_layer,
};

/// The loaders of musl's that images have, by the directories that distributions keep them in.
const MUSL_LOADERS: [&str; 2] = ["lib/ld-musl-", "usr/lib/ld-musl-"];

/// Whether an interpreter is the one asked for, or of its series.
pub fn fits(found: PythonVersion, wanted: Option<tierce_spec::PythonVersion>) -> bool {
    let (found, wanted) = (found.to_string(), wanted.map(|wanted| wanted.to_string()));
    wanted.is_none_or(|w| found == w || found.starts_with(&format!("{w}.")))
}

impl Planner<'_> {
    /// Plans the image's own Python right above its base, where it is known before anything runs
    /// that the base has none that fits.
    pub async fn standalone_first(&mut self) -> Result<(), NativeError> {
        let resolved = &self.gathered.resolved;
        let Some(request) = resolved.image().python() else { return Ok(()) };
        if resolved.image().steps().iter().any(|step| matches!(step, Step::Conda(_))) {
            // Conda may bring it, which is known once its environments are.
            return match request.provider {
                PythonProvider::Standalone => self.standalone_beside_conda(request).await,
                PythonProvider::Auto | PythonProvider::Base => Ok(()),
            };
        }
        let platform = self.builder.platform().clone();
        let needed = match request.provider {
            PythonProvider::Base => false,
            PythonProvider::Standalone => self.lacks_standalone(request),
            PythonProvider::Auto => {
                let is_open = request.interpreter.is_none() && request.version.is_some();
                is_open && resolved.python_environment().is_some() && self.lacks(request, &platform)
            }
        };
        if needed {
            let libc = self.interpreter.as_ref().map_or(self.libc, |known| known.libc);
            self.standalone(request, &platform, libc).await?;
        }
        Ok(())
    }

    /// The same where conda installs something, and a build of python-build-standalone's is asked
    /// for: conda's environments are planned before it, and none may bring another Python.
    async fn standalone_beside_conda(
        &mut self,
        request: &PythonRequest,
    ) -> Result<(), NativeError> {
        self.conda_ahead().await?;
        if self.open_end.is_some() {
            return Ok(());
        }
        if let Some(conda) = &self.conda.python {
            return Err(CondaError::OtherProvider { prefix: conda.prefix.clone() }.into());
        }
        if self.lacks_standalone(request) {
            let platform = self.builder.platform().clone();
            let libc = self.interpreter.as_ref().map_or(self.libc, |known| known.libc);
            self.standalone(request, &platform, libc).await?;
        }
        Ok(())
    }

    /// Whether the base has no build of python-build-standalone's that fits.
    fn lacks_standalone(&self, request: &PythonRequest) -> bool {
        let there = self.interpreter.as_ref();
        !there.is_some_and(|i| is_standalone(i) && fits(i.version, request.version))
    }

    /// Whether the base is known to have no Python that fits, or nobody will ever know.
    fn lacks(&self, request: &PythonRequest, platform: &Platform) -> bool {
        match &self.interpreter {
            Some(known) => !fits(known.version, request.version),
            None => self.context.require_execution(platform, "looking for Python").is_err(),
        }
    }

    /// The same where something was looked for Python in, and it has none that fits; `None` where
    /// another one is not to be put there.
    pub async fn standalone_instead(
        &mut self,
        request: Option<&PythonRequest>,
        platform: &Platform,
    ) -> Result<Option<(Interpreter, Foundation)>, NativeError> {
        let is_open = |request: &&PythonRequest| {
            request.provider == PythonProvider::Auto
                && request.interpreter.is_none()
                && request.version.is_some()
        };
        let Some(request) = request.filter(is_open) else { return Ok(None) };
        let libc = match self.libc {
            // What a registry's image is made of need not say that it is musl.
            Libc::DEFAULT => self.libc_inside().await?,
            known => known,
        };
        self.standalone(request, platform, libc).await.map(Some)
    }

    /// Plans a layer with the image's own Python, which it has from here on.
    async fn standalone(
        &mut self,
        request: &PythonRequest,
        platform: &Platform,
        libc: Libc,
    ) -> Result<(Interpreter, Foundation), NativeError> {
        let version = request.version.map(|v| v.to_string().parse()).transpose()?;
        self.refuse_other_environment(version)?;
        let context = self.context;
        let build = match context.locked_standalone(platform, libc)? {
            Some(build) => build,
            None => {
                let catalog = context.settings.standalone.catalog(&context.fetcher).await?;
                catalog.choose(version, platform, libc)?.clone()
            }
        };
        context.record_standalone(platform, &build);
        let build = Arc::new(build);
        let path = standalone_program(build.version);
        let interpreter = Interpreter { path, version: build.version, libc };
        self.builder.layer(Node {
            key: layer_key(&build),
            title: format!("python {}", build.version),
            created_by: format!("python {} ({})", build.version, build.filename()),
            work: Work::Standalone(build),
        });
        if matches!(self.gathered.resolved.image().base(), Base::Scratch) {
            self.events.warn(
                "python/no-libc",
                "Python runs on the C library of the image, and scratch has none: it has to come \
                 with a source, or Python does not start",
            );
        }
        let paths = BTreeMap::from([(
            "PATH".to_owned(),
            SearchPath { before: vec![PROGRAM_DIRECTORY.to_owned()], ..SearchPath::default() },
        )]);
        self.builder.configure(&Step::Env(Env { vars: BTreeMap::new(), paths }));
        let labels = [(crate::PYTHON_LABEL.to_owned(), interpreter.label())].into();
        self.builder.configure(&Step::Labels(Labels { labels }));
        let foundation = Foundation { nodes: self.builder.len(), stack: self.builder.stack() };
        self.interpreter = Some(interpreter.clone());
        self.found = Some((interpreter.clone(), foundation));
        Ok((interpreter, foundation))
    }

    /// An environment of the base's is for the base's Python, and so are an earlier build's files
    /// at the place of this one.
    fn refuse_other_environment(&self, version: Option<PythonVersion>) -> Result<(), NativeError> {
        let has_environment = self.builder.config().env("VIRTUAL_ENV").as_deref() == Some(PREFIX);
        match (&self.interpreter, version) {
            (Some(found), Some(wanted)) if has_environment || is_standalone(found) => {
                let (found, wanted) = (found.version.to_string(), wanted.to_string());
                Err(NativeError::WrongPython { wanted, found })
            }
            _ => Ok(()),
        }
    }

    /// The C library that the image has at this point.
    async fn libc_inside(&self) -> Result<Libc, NativeError> {
        let layers = self.make_below().await?;
        let step = self.events.step(StepKind::Resolve, "look for the base's C library");
        let is_musl = self.context.has_musl(&layers, &step).await?;
        let libc = if is_musl { Libc::Musl { minor: 2 } } else { Libc::DEFAULT };
        step.finish(Outcome::Made, libc.to_string());
        Ok(libc)
    }
}

fn is_standalone(interpreter: &Interpreter) -> bool {
    Path::new(&interpreter.path).starts_with(STANDALONE_PREFIX)
}

/// What the layer of a build depends on.
fn layer_key(build: &StandaloneBuild) -> LayerKey {
    KeyEncoder::new("standalone-python")
        .digest("archive", &build.digest)
        .text("name", &build.filename())
        .text("prefix", STANDALONE_PREFIX)
        .text("version", &STANDALONE_VERSION.to_string())
        .text("compression", COMPRESSION.media_type().as_str())
        .text("format", &tierce_layer::FORMAT_VERSION.to_string())
        .finish()
}

impl Context {
    /// The layer of a build, which is fetched if it is not there.
    pub async fn standalone(
        &self,
        build: &Arc<StandaloneBuild>,
        step: &StepHandle,
    ) -> Result<LayerOutcome, NativeError> {
        let stored = {
            let name = format!("blob-{}", build.digest.hex());
            let _lock = self.lock(name, LockMode::Exclusive).await?;
            let mirror = self.settings.standalone.mirror.as_ref();
            let progress = |bytes| step.reporter().progress(bytes, None);
            fetch_standalone(build, mirror, &self.fetcher, &self.store, &progress)
                .await
                .map_err(|error| self.unfetched_standalone(build, error))?
        };
        let build = build.clone();
        self.assemble(move |writer| {
            let file = File::open(&stored.path).map_err(NativeError::io(&stored.path))?;
            Ok(write_standalone_layer(BufReader::new(file), &build, writer)?)
        })
        .await
    }

    /// Whether the loader of musl's is in an image of these layers.
    async fn has_musl(&self, layers: &[Layer], step: &StepHandle) -> Result<bool, NativeError> {
        let roots = self.materialise(layers, step).await?;
        let found = tokio::task::spawn_blocking(move || {
            let is_there = |root: &Path, loader: &str| {
                let (directory, start) = loader.rsplit_once('/').unwrap_or(("", loader));
                // Only names are read: whatever the links of an image lead to is not looked at.
                let names = std::fs::read_dir(root.join(directory)).into_iter().flatten();
                names.flatten().any(|n| n.file_name().to_string_lossy().starts_with(start))
            };
            roots.iter().any(|root| MUSL_LOADERS.iter().any(|loader| is_there(root, loader)))
        });
        Ok(found.await?)
    }
}
