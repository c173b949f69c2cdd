//! From an image's Python steps to the layers that make its environment.

use crate::assembled::COMPRESSION;
use crate::conda::{CondaError, Provided};
use crate::draft::DEFAULT_PATH;
use crate::error::NativeError;
use crate::installed::{Installed, removal};
use crate::key::{KeyEncoder, LayerKey};
use crate::layer::Layer;
use crate::make::Maker;
use crate::pip::PipRequest;
use crate::plan::Node;
use crate::planner::{Foundation, Planner, environment};
use crate::projects::Pinned;
use crate::python::{Interpreter, PREFIX, PythonLayers, Together};
use crate::secret::StepSecrets;
use crate::standalone::fits;
use crate::work::{Execution, Omit, Work};
use std::sync::Arc;
use tierce_oci::{Diagnostic, Platform};
use tierce_spec::{Bytecode, Network, PythonEnvironment, PythonRequest};
use tierce_wheel::{BucketPolicy, LayerKind, Lock, LockedPackage, PackageName, Target};

/// The code of the error that there is no solution.
const UNSATISFIABLE: &str = "python/unsatisfiable";

/// The codes of errors that are none where other packages of conda's may make way.
const NO_FIT: [&str; 2] = [UNSATISFIABLE, "python/projects-disagree"];

/// What an environment is made for.
#[derive(Clone, Copy)]
struct Found<'a> {
    interpreter: &'a Interpreter,
    platform: &'a Platform,
    /// Where it goes.
    prefix: &'a str,
    /// What conda installs there.
    provided: Option<&'a Provided>,
    /// Whether something else is asked for where there is no solution.
    is_attempt: bool,
}

/// How an environment comes into an image.
struct Placement {
    /// How many packages were asked for.
    requested: usize,
    /// What the interpreter runs on that compiles the modules; `None` where none are compiled.
    compile: Option<Foundation>,
    /// Whether there is no environment yet.
    is_new: bool,
}

impl Planner<'_> {
    /// Plans the image's Python environment, at the place of the first of the steps that install
    /// something into it; and before that, where a step asks for it, with nothing in it.
    pub async fn python(&mut self, index: usize) -> Result<(), NativeError> {
        let resolved = &self.gathered.resolved;
        let Some(environment) = resolved.python_environment() else { return Ok(()) };
        self.conda_ahead().await?;
        if self.open_end.is_some() {
            return Ok(());
        }
        let is_here = environment.position == index;
        if environment.skeleton == Some(index) || (is_here && environment.is_empty()) {
            return self.skeleton().await;
        }
        // All steps make one environment, at the place of the first of them.
        if !is_here {
            return Ok(());
        }
        self.install_python(&environment).await
    }

    /// Plans what an environment has, and what conda's files want to have in it.
    pub(crate) async fn install_python(
        &mut self,
        environment: &PythonEnvironment<'_>,
    ) -> Result<(), NativeError> {
        let resolved = &self.gathered.resolved;
        let conda = self.conda.python.clone();
        let environment = match &conda {
            Some(conda) => conda.join(environment),
            None => environment.clone(),
        };
        let (index, prefix) = (environment.position, self.prefix());
        let compile = compiles(resolved.image().bytecode(), resolved.platforms().len());
        let platform = self.builder.platform().clone();
        if compile && !self.context.is_recording() {
            self.context.require_execution(&platform, "compiling Python modules")?;
        }
        let found = self.interpreter(resolved.image().python(), &platform).await?;
        let Some((interpreter, foundation)) = found else { return Ok(()) };
        let installed = self.installed(&platform).await?;
        if self.open_end.is_some() {
            return Ok(());
        }
        let (provided, is_attempt) = (None, false);
        let found = Found {
            interpreter: &interpreter,
            platform: &platform,
            prefix: &prefix,
            provided,
            is_attempt,
        };
        let Some((lock, below)) = self.lock(&environment, installed.as_ref(), found).await? else {
            return Ok(());
        };
        self.context.record_python(&platform, &lock);
        self.record_python_of_base(&interpreter);
        if self.is_last_to_lock(index) {
            self.open_end = Some("all that is locked is known".to_owned());
            return Ok(());
        }
        let there = installed.clone().unwrap_or_default();
        self.remove(&there.replaced_by(&lock), &platform)?;
        let added = lock.without(&|package| there.has(package));
        let packages = there.with(&added).to_string();
        if !added.packages().is_empty() || installed.is_none() {
            // Each group has two layers when it is compiled: half as many groups, then.
            let max_layers = if compile { 20 } else { 40 };
            let policy = BucketPolicy { max_layers, ..BucketPolicy::default() };
            let request = self.request(&environment, found)?;
            let (context, events) = (self.context, self.events);
            let layers = context.python_layers(added, &policy, &request, &below, events).await?;
            let placement = Placement {
                requested: environment.packages.len(),
                compile: compile.then_some(foundation),
                is_new: installed.is_none(),
            };
            self.place(&layers.0, &layers.1, placement);
        }
        self.builder.installed(Some(packages));
        Ok(())
    }

    /// Plans an environment with nothing in it, where there is none.
    async fn skeleton(&mut self) -> Result<(), NativeError> {
        let platform = self.builder.platform().clone();
        let python = self.gathered.resolved.image().python();
        let Some(found) = self.interpreter(python, &platform).await? else { return Ok(()) };
        let installed = self.installed(&platform).await?;
        if self.open_end.is_some() {
            return Ok(());
        }
        if installed.is_none() {
            let empty = PythonLayers::empty(found.0.clone(), &platform, &self.prefix())?;
            let placement = Placement { requested: 0, compile: None, is_new: true };
            self.place(&Arc::new(empty), &Together::default(), placement);
        }
        self.builder.installed(Some(installed.unwrap_or_default().to_string()));
        // What is installed later is for the same interpreter, whatever happens in between.
        self.found = Some(found);
        Ok(())
    }

    /// What is installed where the environment goes; `None` where there is none, or where the
    /// plan has to end because of it.
    async fn installed(&mut self, platform: &Platform) -> Result<Option<Installed>, NativeError> {
        let config = self.builder.config();
        let is_venv = config.env("VIRTUAL_ENV").as_deref() == Some(PREFIX);
        if self.conda.python.is_none() && !is_venv {
            return Ok(None);
        }
        if let Some(known) = config.labelled(crate::PACKAGES_LABEL) {
            return Ok(Some(Installed::parse(known)));
        }
        let runs =
            self.context.require_execution(platform, "looking at the base's Python packages");
        if self.mode.is_show() {
            let why = "the base is asked for its Python packages first; what follows depends on it";
            self.open_end = Some(why.to_owned());
            return Ok(None);
        }
        let below = self.make_below().await?;
        let prefix = self.prefix();
        self.context.probe_installed(&prefix, &below, runs.err(), self.events).await
    }

    /// Where the environment goes.
    fn prefix(&self) -> String {
        self.conda.python.as_ref().map_or(PREFIX, |conda| conda.prefix.as_str()).to_owned()
    }

    fn request<'b>(
        &self,
        environment: &'b PythonEnvironment<'b>,
        found: Found<'b>,
    ) -> Result<PipRequest<'b>, NativeError>
    where
        Self: 'b,
    {
        let wanted = &environment.options.secrets;
        let secrets = match self.mode.is_show() {
            true => StepSecrets::of_those_there(wanted, &self.context.secrets),
            false => StepSecrets::new(wanted, &self.context.secrets)?,
        };
        Ok(PipRequest {
            credentials: self.context.index_credentials(environment, self.gathered, &secrets)?,
            secrets,
            environment,
            gathered: self.gathered,
            interpreter: found.interpreter,
            platform: found.platform,
            refresh: self.mode.refresh().is_wanted(),
            is_attempt: found.is_attempt,
            pinned: Pinned::default(),
            prefix: found.prefix,
            provided: found.provided,
        })
    }

    /// What the environment resolves to, together with what is installed already, and the layers
    /// below where something has to be built on them. `None` where the plan has to end.
    async fn lock(
        &mut self,
        environment: &PythonEnvironment<'_>,
        installed: Option<&Installed>,
        found: Found<'_>,
    ) -> Result<Option<(Lock, Vec<Layer>)>, NativeError> {
        if self.conda.python.is_some() {
            return self.lock_beside_conda(environment, installed, found).await;
        }
        let wanted = &environment.packages;
        let mut attempts = installed.map_or_else(|| vec![vec![]], |i| i.attempts(wanted));
        loop {
            let more = attempts.remove(0);
            let mut whole = environment.clone();
            whole.packages.extend(more.iter().map(String::as_str));
            let is_attempt = !attempts.is_empty();
            match self.lock_once(&whole, installed, Found { is_attempt, ..found }, &[]).await {
                Err(error) if error.code() == UNSATISFIABLE && !attempts.is_empty() => {}
                result => return result,
            }
        }
    }

    /// The same where conda's packages are there: they stay as they are, unless another version of
    /// one is asked for by its name.
    async fn lock_beside_conda(
        &mut self,
        environment: &PythonEnvironment<'_>,
        installed: Option<&Installed>,
        found: Found<'_>,
    ) -> Result<Option<(Lock, Vec<Layer>)>, NativeError> {
        let Some(conda) = self.conda.python.clone() else { return Ok(None) };
        let nothing = Installed::default();
        let there = installed.unwrap_or(&nothing);
        let Interpreter { version, libc, .. } = *found.interpreter;
        let target = Target::new(version, found.platform, libc)?;
        let exact = conda.exact(&target)?;
        let mut attempts = conda.attempts(there, &environment.packages, &exact);
        loop {
            let provided = attempts.remove(0);
            let is_attempt = !attempts.is_empty();
            let found = Found { is_attempt, provided: Some(&provided), ..found };
            let result = match environment.is_empty() {
                true => self.with_below(Lock::of(&target, exact.clone()), installed, None).await,
                false => self.lock_once(environment, installed, found, &exact).await,
            };
            match result {
                Err(error) if is_attempt && NO_FIT.contains(&error.code()) => {}
                Err(error) if error.code() == UNSATISFIABLE => {
                    return Err(CondaError::Conflict(Arc::new(error)).into());
                }
                result => return result,
            }
        }
    }

    async fn lock_once(
        &mut self,
        environment: &PythonEnvironment<'_>,
        installed: Option<&Installed>,
        found: Found<'_>,
        exact: &[LockedPackage],
    ) -> Result<Option<(Lock, Vec<Layer>)>, NativeError> {
        let mut request = self.request(environment, found)?;
        let mut below = None;
        let Some(lock) = self.resolve(&mut request, &mut below).await? else { return Ok(None) };
        let lock = match found.provided {
            None => lock,
            Some(provided) => {
                let is_exact = |p: &&LockedPackage| exact.iter().any(|e| e.name == p.name);
                let added = lock.packages().iter().filter(|p| !provided.has(&p.name));
                let added = added.filter(|p| !is_exact(p)).cloned();
                Lock::of(lock.target(), exact.iter().cloned().chain(added).collect())
            }
        };
        self.with_below(lock, installed, below).await
    }

    /// A lock, and the layers that what has to be built is built on, made already or not.
    async fn with_below(
        &mut self,
        lock: Lock,
        installed: Option<&Installed>,
        below: Option<Vec<Layer>>,
    ) -> Result<Option<(Lock, Vec<Layer>)>, NativeError> {
        let is_there = |p: &&LockedPackage| installed.is_some_and(|installed| installed.has(p));
        let to_build: Vec<&str> =
            lock.to_build().filter(|p| !is_there(p)).map(|p| p.name.as_str()).collect();
        let below = match to_build.as_slice() {
            [] => vec![],
            names if self.mode.is_show() => {
                self.open_end = Some(format!(
                    "{} will be built from source first; what follows depends on the result",
                    names.join(", ")
                ));
                return Ok(None);
            }
            _ => match below {
                Some(below) => below,
                None => self.make_below().await?,
            },
        };
        Ok(Some((lock, below)))
    }

    /// Removes packages of the base that others of their name come in place of.
    fn remove(
        &mut self,
        packages: &[&PackageName],
        platform: &Platform,
    ) -> Result<(), NativeError> {
        if packages.is_empty() {
            return Ok(());
        }
        let names = packages.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(" ");
        let prefix = self.prefix();
        let title = format!("remove {names} from {prefix}");
        self.context.require_execution(platform, &title)?;
        let execution = Execution {
            commands: vec![removal(&prefix, packages)],
            env: environment(self.builder.config()),
            cwd: "/".to_owned(),
            user: String::new(),
            network: Network::None,
            caches: vec![],
            omit: Omit::Logs,
            secrets: vec![],
        };
        self.execute("python-remove", title, execution);
        Ok(())
    }

    /// Adds the environment's layers.
    fn place(&mut self, python: &Arc<PythonLayers>, together: &Together, placement: Placement) {
        let Placement { requested, compile, is_new } = placement;
        let made = is_new.then(|| {
            self.builder.layer(Node {
                key: LayerKey(python.venv().key(COMPRESSION)),
                title: format!("venv {PREFIX}"),
                created_by: format!("venv {PREFIX} on {}", python.interpreter.path),
                work: Work::Venv(python.clone()),
            })
        });
        // It may have been made before anything was to be installed.
        self.venv = made.or(self.venv);
        let venv = self.venv;
        let mut wheels = vec![];
        for (group, plan) in python.groups.iter().enumerate() {
            let names = group_names(&python.lock, plan);
            wheels.push(self.builder.layer(Node {
                key: LayerKey(plan.key(&python.target, COMPRESSION)),
                title: format!("wheels {}", group_title(&plan.kind, &names)),
                created_by: format!("pip {}", names.join(" ")),
                work: Work::Wheels(python.clone(), group),
            }));
        }
        if let Some(foundation) = compile {
            // Not what an interpreter is said to be, but what it is: its path, and every layer
            // that it runs on. Bytecode is never checked against its source, so one image's
            // interpreter must not be able to write what another image ships.
            let interpreter = KeyEncoder::new("interpreter")
                .digest("foundation", &foundation.stack.0.0)
                .text("path", &python.interpreter.path)
                .finish();
            let disputed = &together.disputed;
            for (group, plan) in python.groups.iter().enumerate() {
                let names = group_names(&python.lock, plan);
                let needs = (0..foundation.nodes).chain(venv).chain([wheels[group]]).collect();
                let key = plan.bytecode_key(&python.target, &interpreter.0);
                let key = match disputed.is_empty() {
                    true => LayerKey(key),
                    false => KeyEncoder::new("bytecode")
                        .digest("group", &key)
                        .list("without", disputed)
                        .finish(),
                };
                self.builder.layer(Node {
                    key,
                    title: format!("compile {}", group_title(&plan.kind, &names)),
                    created_by: format!("compile {}", names.join(" ")),
                    work: Work::Bytecode { python: python.clone(), group, needs },
                });
            }
        }
        if let Some(key) = together.top {
            self.builder.layer(Node {
                key: LayerKey(key),
                title: "environment".to_owned(),
                created_by: format!("pip: {requested} requested"),
                work: Work::Environment(python.clone()),
            });
        }
        // Conda's is in the search path by itself.
        if self.conda.python.is_none() {
            self.builder.activate_venv(PREFIX);
        }
    }

    /// Makes everything planned so far, since something has to run on it now.
    pub(crate) async fn make_below(&self) -> Result<Vec<Layer>, NativeError> {
        let plan = Arc::new(self.builder.snapshot());
        let refresh = self.mode.refresh();
        let maker = Maker::new(self.context.clone(), plan.clone(), self.events.clone(), refresh);
        let made = maker.run().await.map_err(|e| NativeError::Part(e))?;
        Ok(plan.base.layers().iter().cloned().chain(made.into_iter().flatten()).collect())
    }

    /// The image's Python, checked against what the image asks for, and what it runs on. `None`
    /// where the plan has to end because of it.
    async fn interpreter(
        &mut self,
        request: Option<&PythonRequest>,
        platform: &Platform,
    ) -> Result<Option<(Interpreter, Foundation)>, NativeError> {
        let here = Foundation { nodes: self.builder.len(), stack: self.builder.stack() };
        if let Some(found) = &self.found {
            return Ok(Some(found.clone()));
        }
        let (known, foundation) = match (&self.interpreter, request) {
            (Some(known), _) => (known.clone(), self.base),
            (None, Some(PythonRequest { version: Some(version), interpreter: Some(path), .. })) => {
                let version = version.to_string().parse()?;
                let libc = tierce_wheel::Libc::DEFAULT;
                (Interpreter { path: path.clone(), version, libc }, here)
            }
            (None, request) => {
                let name = match request {
                    Some(PythonRequest { interpreter: Some(path), .. }) => path.clone(),
                    Some(PythonRequest { version: Some(version), interpreter: None, .. }) => {
                        format!("python{}.{}", version.major, version.minor)
                    }
                    Some(PythonRequest { version: None, interpreter: None, .. }) | None => {
                        "python3".to_owned()
                    }
                };
                match self.probe(&name, platform).await {
                    Ok(Some(found)) => (found, here),
                    Ok(None) => return Ok(None),
                    Err(NativeError::NoInterpreter) => {
                        let instead = self.standalone_instead(request, platform).await?;
                        return instead.ok_or(NativeError::NoInterpreter).map(Some);
                    }
                    Err(error) => return Err(error),
                }
            }
        };
        let Some(request) = request else { return Ok(Some((known, foundation))) };
        let PythonRequest { version, interpreter, .. } = request;
        if let Some(version) = version
            && !fits(known.version, Some(*version))
        {
            let (found, wanted) = (known.version.to_string(), version.to_string());
            let instead = self.standalone_instead(Some(request), platform).await?;
            return instead.ok_or(NativeError::WrongPython { wanted, found }).map(Some);
        }
        let path = interpreter.clone().unwrap_or(known.path);
        Ok(Some((Interpreter { path, ..known }, foundation)))
    }

    /// Asks the image's own interpreter, as it is at this point, who it is.
    async fn probe(
        &mut self,
        name: &str,
        platform: &Platform,
    ) -> Result<Option<Interpreter>, NativeError> {
        if self.context.require_execution(platform, "looking for Python").is_err() {
            return Err(NativeError::NoInterpreter);
        }
        if self.mode.is_show() {
            self.open_end =
                Some("the image is asked for its Python first; what follows depends on it".into());
            return Ok(None);
        }
        let below = self.make_below().await?;
        if below.is_empty() {
            return Err(NativeError::NoInterpreter);
        }
        let path = self.builder.config().env("PATH").unwrap_or_else(|| DEFAULT_PATH.to_owned());
        Ok(Some(self.context.probe_python(name, &below, path, self.events).await?))
    }
}

/// Whether modules are compiled. Said by the image alone, never by the machine: the same
/// specification must not name two images. Images for several platforms are not compiled unless
/// they say so, since few machines could.
fn compiles(bytecode: Bytecode, platforms: usize) -> bool {
    match bytecode {
        Bytecode::Compile => true,
        Bytecode::Skip => false,
        Bytecode::Auto => platforms == 1,
    }
}

fn group_names(lock: &Lock, plan: &tierce_wheel::LayerPlan) -> Vec<String> {
    plan.wheels
        .iter()
        .map(|wheel| {
            let package = lock.packages().iter().find(|p| p.name == *wheel.name());
            match package.and_then(|p| p.version.as_ref()) {
                Some(version) => format!("{}=={version}", wheel.name()),
                None => wheel.name().to_string(),
            }
        })
        .collect()
}

fn group_title(kind: &LayerKind, names: &[String]) -> String {
    match (kind, names) {
        (LayerKind::Own(_), [name]) => name.clone(),
        (_, names) if names.len() <= 3 => names.join(" "),
        (_, names) => format!("{} and {} more", names[..2].join(" "), names.len() - 2),
    }
}
