//! The Python environment as one `RUN` instruction.

use crate::context::BuildContext;
use crate::error::RenderError;
use crate::projects::Tools;
use crate::quote;
use crate::render::{RenderOptions, Renderer};
use crate::run::Run;
use crate::secret::{CREDENTIALS, RenderedSecret, SecretSource};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use tierce_engine::{Gathered, LocalWheel};
use tierce_oci::{Digest, Platform, Reference};
use tierce_secret::SecretValue;
use tierce_spec::requirements::{IncludedAs, LineKind, RequirementsFile};
use tierce_spec::{Bytecode, PythonEnvironment, PythonRequest, SearchPath, without_credentials};
use url::Url;

/// Where the environment is in every image.
const PREFIX: &str = "/opt/venv";

/// Where what the instruction needs is while it runs.
const PLACE: &str = "/run/tierce";

/// Prints an interpreter's own path, as the native builder asks for it.
const INTERPRETER: &str = "import os, sys; print(os.path.realpath(sys.executable))";

/// What the file with certificate authorities is called.
const AUTHORITIES: &str = "ca.crt";

/// How Python packages are installed.
#[derive(Clone, Debug, Default)]
pub struct PythonText {
    /// The `uv` program.
    pub uv: Option<UvSource>,
    /// The lock (`pylock.toml`, PEP 751) that is installed. Without one the packages are resolved
    /// when the text is built.
    pub lock: Option<Vec<u8>>,
    /// The index of images that name none.
    pub index: Option<Url>,
    /// Certificate authorities (PEM) of the machine, for the network that the packages come
    /// through. `uv` sees them, and they are not in the image; without any it has its own.
    pub ca_bundle: Option<PathBuf>,
}

/// Where the `uv` program comes from. It is seen by one instruction, and not in the image.
#[derive(Clone, Debug)]
pub enum UvSource {
    /// From the context: these static programs, each for one platform.
    Files(BTreeMap<Platform, PathBuf>),
    /// From an image that has it as `/uv`.
    Image(Reference),
}

/// The requirements as files, and the credentials that were in them.
#[derive(Default)]
struct Inputs {
    /// By name.
    files: BTreeMap<String, Vec<u8>>,
    /// By name.
    wheels: BTreeMap<String, LocalWheel>,
    /// The files that are named on the command line, and how.
    arguments: Vec<String>,
    credentials: Netrc,
}

impl Renderer<'_> {
    /// Renders the environment that all Python steps make.
    pub(crate) fn python(
        &mut self,
        environment: &PythonEnvironment<'_>,
    ) -> Result<(), RenderError> {
        let mut inputs = inputs(environment, self.gathered, self.options)?;
        let mut run = Run::default();
        let directory = self.add_inputs(&inputs)?;
        let uv = self.add_uv()?;
        let authorities = self.add_authorities()?;
        let options = self.options;
        let dialect = &options.dialect;
        let reader = crate::secret::Reader::Root;
        crate::secret::mount(&mut run, &environment.options.secrets, &self.ids, dialect, reader)?;
        let credentials = std::mem::take(&mut inputs.credentials);
        let netrc = self.add_credentials(&mut run, credentials)?;
        let mut commands = vec![settings(environment, self.options, netrc.as_deref())];
        if authorities.is_some() {
            commands.push(format!("export SSL_CERT_FILE={PLACE}/ca/{AUTHORITIES}"));
        }
        let tools = Tools {
            uv: &uv.program,
            prefix: PREFIX,
            place: &format!("{PLACE}/projects"),
            compile: compiles(self.gathered),
        };
        let projects = self.projects(environment, &tools)?;
        let installed = projects.as_ref().map(|projects| projects.commands.as_slice());
        let installed = installed.unwrap_or_default();
        commands.extend(install(
            environment,
            self.gathered,
            self.options,
            &inputs,
            &uv.program,
            installed,
        ));
        self.as_root(|renderer| {
            // An environment with nothing in it is made from nothing.
            let has_inputs = has_more(environment);
            if dialect.mounts {
                if has_inputs {
                    run.mounts.push(format!("type=bind,source={directory},target={PLACE}/python"));
                }
                if let Some(projects) = &projects {
                    let directory = &projects.directory;
                    run.mounts
                        .push(format!("type=bind,source={directory},target={PLACE}/projects"));
                }
                run.mounts.push(uv.mount);
                if let Some(directory) = authorities {
                    run.mounts.push(format!("type=bind,source={directory},target={PLACE}/ca"));
                }
                run.mounts.push(format!("type=cache,id=tierce-uv,target={PLACE}/cache"));
            } else {
                if has_inputs {
                    renderer.copy(&directory, &format!("{PLACE}/python/"));
                }
                if let Some(projects) = &projects {
                    renderer.copy(&projects.directory, &format!("{PLACE}/projects/"));
                }
                renderer.copy_from(uv.from.as_deref(), &uv.source, &uv.target);
                if let Some(directory) = authorities {
                    renderer.copy(&directory, &format!("{PLACE}/ca/"));
                }
                commands.push(format!("rm -rf {PLACE}"));
            }
            let instruction = run.shell(&commands);
            renderer.text.push(&instruction);
        });
        if environment.skeleton.is_some() {
            // Said where it was made.
            return Ok(());
        }
        let bin = SearchPath { before: vec![format!("{PREFIX}/bin")], after: vec![] };
        let path = self.state.set_search_path("PATH", &bin);
        self.state.set_variable("VIRTUAL_ENV", PREFIX);
        self.text.push(&format!("ENV PATH={path} \\\n    VIRTUAL_ENV={}", quote::word(PREFIX)));
        Ok(())
    }

    /// Puts the requirements into the context, in a directory that has their digest in its name.
    fn add_inputs(&mut self, inputs: &Inputs) -> Result<String, RenderError> {
        let mut all = BuildContext::new();
        for (name, content) in &inputs.files {
            all.add_content(name, content.clone())?;
        }
        for (name, wheel) in &inputs.wheels {
            all.add_known_file(&format!("wheels/{name}"), &wheel.path, wheel.digest)?;
        }
        let directory = format!("python-{}", all.digest().short());
        let at = self.at(&directory);
        for (name, content) in &inputs.files {
            self.context.add_content(&format!("{at}/{name}"), content.clone())?;
        }
        for (name, wheel) in &inputs.wheels {
            let at = format!("{at}/wheels/{name}");
            self.context.add_known_file(&at, &wheel.path, wheel.digest)?;
        }
        Ok(directory)
    }

    /// Puts `uv` into the context.
    fn add_uv(&mut self) -> Result<UvMount, RenderError> {
        let target = format!("{PLACE}/uv");
        match self.options.python.uv.as_ref().ok_or(RenderError::NoUv)? {
            UvSource::Image(reference) => Ok(UvMount {
                mount: format!("type=bind,from={reference},source=/uv,target={target}"),
                program: target.clone(),
                from: Some(reference.to_string()),
                source: "/uv".to_owned(),
                target,
            }),
            UvSource::Files(programs) => {
                let mut tools = BuildContext::new();
                for (platform, program) in programs {
                    tools.add_file(machine(platform), program)?;
                }
                let directory = format!("uv-{}", tools.digest().short());
                let at = self.at(&directory);
                for (platform, program) in programs {
                    self.add_once(&format!("{at}/{}", machine(platform)), program)?;
                }
                let program = match programs.keys().next() {
                    Some(only) if programs.len() == 1 => format!("{target}/{}", machine(only)),
                    _ => format!("\"{target}/$(uname -m)\""),
                };
                Ok(UvMount {
                    mount: format!("type=bind,source={directory},target={target}"),
                    program,
                    from: None,
                    source: directory,
                    target: format!("{target}/"),
                })
            }
        }
    }

    /// Puts the certificate authorities into the context.
    fn add_authorities(&mut self) -> Result<Option<String>, RenderError> {
        let Some(file) = &self.options.python.ca_bundle else { return Ok(None) };
        let mut alone = BuildContext::new();
        alone.add_file(AUTHORITIES, file)?;
        let directory = format!("ca-{}", alone.digest().short());
        let at = self.at(&directory);
        self.add_once(&format!("{at}/{AUTHORITIES}"), file)?;
        Ok(Some(directory))
    }

    /// Puts a file into the context whose path has its digest in it: what is there is the same.
    fn add_once(&mut self, at: &str, file: &Path) -> Result<(), RenderError> {
        if self.context.get(at).is_none() {
            self.context.add_file(at, file)?;
        }
        Ok(())
    }

    /// Hands over credentials as a netrc file; gives its path.
    fn add_credentials(
        &mut self,
        run: &mut Run,
        credentials: Netrc,
    ) -> Result<Option<String>, RenderError> {
        let Some((host, _)) = credentials.hosts.first_key_value() else { return Ok(None) };
        if !self.options.dialect.mounts {
            return Err(RenderError::Credentials { url: host.clone() });
        }
        let path = format!("/run/secrets/{CREDENTIALS}");
        run.mounts
            .push(format!("type=secret,id={CREDENTIALS},target={path},mode=0400,required=true"));
        self.secrets.push(RenderedSecret {
            id: CREDENTIALS.to_owned(),
            source: SecretSource::Credentials(SecretValue::new(credentials.text())),
        });
        Ok(Some(path))
    }
}

/// How the instruction gets at `uv`.
struct UvMount {
    mount: String,
    program: String,
    from: Option<String>,
    source: String,
    target: String,
}

/// What `uname -m` says on a platform.
fn machine(platform: &Platform) -> &'static str {
    match platform.architecture.as_str() {
        "amd64" => "x86_64",
        "arm64" => "aarch64",
        "386" => "i686",
        "arm" => "armv7l",
        "ppc64le" => "ppc64le",
        "riscv64" => "riscv64",
        _ => "s390x",
    }
}

/// The variables that `uv` reads.
fn settings(
    environment: &PythonEnvironment<'_>,
    options: &RenderOptions,
    netrc: Option<&str>,
) -> String {
    let mut all = vec![
        // Read by the program that compiles: checked never, so that no time is in the files.
        ("PYC_INVALIDATION_MODE", "UNCHECKED_HASH".to_owned()),
        ("UV_CACHE_DIR", format!("{PLACE}/cache")),
        ("UV_LINK_MODE", "copy".to_owned()),
        ("UV_NO_CONFIG", "1".to_owned()),
        ("UV_NO_PROGRESS", "1".to_owned()),
        ("UV_PYTHON_DOWNLOADS", "never".to_owned()),
    ];
    let of_image = environment.options.index.as_ref().map(ToString::to_string);
    let default = || options.python.index.as_ref().map(|index| without_credentials(index.as_str()));
    if let Some(index) = of_image.or_else(default) {
        all.push(("UV_DEFAULT_INDEX", index));
    }
    if !environment.options.extra_indexes.is_empty() {
        let indexes = environment.options.extra_indexes.iter().map(ToString::to_string);
        all.push(("UV_INDEX", indexes.collect::<Vec<_>>().join(" ")));
    }
    if let Some(netrc) = netrc {
        all.push(("NETRC", netrc.to_owned()));
    }
    let all: Vec<String> =
        all.iter().map(|(name, value)| format!("{name}={}", quote::shell(value))).collect();
    format!("export {}", all.join(" "))
}

/// The commands that make the environment.
fn install(
    environment: &PythonEnvironment<'_>,
    gathered: &Gathered,
    options: &RenderOptions,
    inputs: &Inputs,
    uv: &str,
    projects: &[String],
) -> Vec<String> {
    let image = gathered.resolved.image();
    let found = |name: &str| format!("\"$({name} -I -S -c '{INTERPRETER}')\"");
    let interpreter = match image.python() {
        Some(PythonRequest { interpreter: Some(path), .. }) => quote::shell(path),
        Some(PythonRequest { version: Some(v), .. }) => {
            found(&format!("python{}.{}", v.major, v.minor))
        }
        Some(PythonRequest { version: None, interpreter: None, .. }) | None => found("python3"),
    };
    let python = format!("{PREFIX}/bin/python");
    let make = format!("{uv} venv --quiet --allow-existing --python {interpreter} {PREFIX}");
    if environment.is_empty() {
        // One that is there has what it has.
        return vec![format!("[ -e {python} ] || {make}")];
    }
    let mut commands = vec![make];
    commands.extend(projects.iter().cloned());
    if !has_more(environment) {
        return commands;
    }
    let lock = match options.python.lock {
        Some(_) => format!("{PLACE}/python/pylock.toml"),
        None => {
            let lock = format!("{PREFIX}/pylock.toml");
            let words = ["--quiet", "--format", "pylock.toml", "--python", python.as_str()];
            let mut words: Vec<String> = words.map(str::to_owned).to_vec();
            if environment.options.pre {
                words.push("--prerelease=allow".to_owned());
            }
            words.extend(environment.options.extra_args.iter().map(|arg| without_credentials(arg)));
            if !projects.is_empty() {
                // What projects lock stays as it is.
                let known = format!("{PREFIX}/locked.txt");
                let list = format!("{uv} pip list --quiet --format freeze --python {python}");
                commands.push(format!("{list} > {known}"));
                words.extend(["--constraints".to_owned(), known]);
            }
            words.extend(["--output-file".to_owned(), lock.clone(), "--".to_owned()]);
            words.extend(inputs.arguments.iter().map(|name| format!("{PLACE}/python/{name}")));
            let words: Vec<String> = words.iter().map(|word| quote::shell(word)).collect();
            commands.push(format!("{uv} pip compile {}", words.join(" ")));
            lock
        }
    };
    let compile = if compiles(gathered) { " --compile-bytecode" } else { "" };
    commands.push(format!("{uv} pip install --python {python}{compile} --requirements {lock}"));
    if options.python.lock.is_none() {
        let known = if projects.is_empty() { "" } else { " /opt/venv/locked.txt" };
        commands.push(format!("rm {lock}{known}"));
    }
    commands
}

/// Whether modules are compiled.
fn compiles(gathered: &Gathered) -> bool {
    match gathered.resolved.image().bytecode() {
        Bytecode::Compile => true,
        Bytecode::Skip => false,
        Bytecode::Auto => gathered.resolved.platforms().len() == 1,
    }
}

/// Whether anything is installed beside what projects lock.
fn has_more(environment: &PythonEnvironment<'_>) -> bool {
    let PythonEnvironment { packages, requirements, wheels, .. } = environment;
    !packages.is_empty() || !requirements.is_empty() || !wheels.is_empty()
}

/// What the environment is made from, without credentials.
fn inputs(
    environment: &PythonEnvironment<'_>,
    gathered: &Gathered,
    options: &RenderOptions,
) -> Result<Inputs, RenderError> {
    let mut inputs = Inputs::default();
    if !has_more(environment) {
        return Ok(inputs);
    }
    let pip = &environment.options;
    let default = options.python.index.iter().filter(|_| pip.index.is_none());
    for index in pip.index.iter().chain(&pip.extra_indexes).map(|i| i.as_url()).chain(default) {
        inputs.credentials.take(index)?;
    }
    for text in &pip.extra_args {
        inputs.credentials.take_all(text)?;
    }
    wheels(environment, gathered, &mut inputs);
    if let Some(lock) = &options.python.lock {
        let text = String::from_utf8_lossy(lock);
        inputs.credentials.take_all(&text)?;
        inputs.files.insert("pylock.toml".to_owned(), without_credentials(&text).into_bytes());
        return Ok(inputs);
    }
    let mut packages = String::new();
    for package in &environment.packages {
        inputs.credentials.take_all(package)?;
        packages.push_str(&without_credentials(package.trim()));
        packages.push('\n');
    }
    for name in inputs.wheels.keys() {
        packages.push_str(&format!("{PLACE}/python/wheels/{name}\n"));
    }
    if !packages.is_empty() {
        inputs.files.insert("packages.txt".to_owned(), packages.into_bytes());
        inputs.arguments.push("packages.txt".to_owned());
    }
    for (step, _) in &environment.requirements {
        requirements(*step, gathered, &mut inputs)?;
    }
    Ok(inputs)
}

/// The requirements file of a step and those that it includes, written anew from what was
/// digested: flat, without comments and credentials.
fn requirements(step: usize, gathered: &Gathered, inputs: &mut Inputs) -> Result<(), RenderError> {
    let Some(root) = gathered.requirements.get(&step) else { return Ok(()) };
    if gathered.locals.get(&step).is_some_and(|locals| !locals.is_empty()) {
        let what = "a requirements file that installs from this machine";
        return Err(RenderError::Step { what });
    }
    let read = tierce_spec::requirements::gather(root, |file| std::fs::read(file))?;
    check(gathered, step, read.digest, root)?;
    let mut names: BTreeMap<(PathBuf, bool), String> = BTreeMap::new();
    for RequirementsFile { path, included_as, .. } in &read.files {
        let constraint = *included_as == IncludedAs::Constraints;
        let kind = if constraint { "constraints" } else { "requirements" };
        let number = names.len();
        names
            .entry((path.clone(), constraint))
            .or_insert_with(|| format!("{kind}-{step}-{number}.txt"));
    }
    for RequirementsFile { path, included_as, lines } in &read.files {
        let mut text = String::new();
        for line in lines {
            let include = |option: &str, name: &str, constraint: bool| {
                let path = tierce_spec::requirements::included_path(path, name);
                let name = names.get(&(path, constraint)).cloned().unwrap_or_default();
                format!("{option} {name}")
            };
            let line = match &line.kind {
                LineKind::Include(name) => include("-r", name, false),
                LineKind::Constraint(name) => include("-c", name, true),
                LineKind::Requirement(text)
                | LineKind::Url(text)
                | LineKind::Option(text)
                | LineKind::Editable(text)
                | LineKind::LocalPath(text) => {
                    inputs.credentials.take_all(text)?;
                    without_credentials(text)
                }
            };
            text.push_str(&line);
            text.push('\n');
        }
        let constraint = *included_as == IncludedAs::Constraints;
        let name = names.get(&(path.clone(), constraint)).cloned().unwrap_or_default();
        inputs.files.insert(name, text.into_bytes());
    }
    if let Some(name) = names.get(&(root.clone(), false)) {
        inputs.arguments.push(name.clone());
    }
    Ok(())
}

/// The wheels of all folders.
fn wheels(environment: &PythonEnvironment<'_>, gathered: &Gathered, inputs: &mut Inputs) {
    for (step, _) in &environment.wheels {
        for wheel in gathered.wheels.get(step).into_iter().flatten() {
            let name = wheel.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            inputs.wheels.insert(name, wheel.clone());
        }
    }
}

/// Whether what a step reads is still what the image's key says.
fn check(
    gathered: &Gathered,
    step: usize,
    digest: Digest,
    path: &std::path::Path,
) -> Result<(), RenderError> {
    let known = gathered.resolved.steps().find(|s| s.index == step).and_then(|s| s.digest);
    match known == Some(digest) {
        true => Ok(()),
        false => Err(RenderError::Changed { path: path.to_owned() }),
    }
}

/// Credentials by host, as `uv` reads them from a netrc file.
#[derive(Default)]
struct Netrc {
    hosts: BTreeMap<String, (String, zeroize::Zeroizing<String>)>,
}

impl Netrc {
    /// Takes the credentials of every URL in `text`.
    fn take_all(&mut self, text: &str) -> Result<(), RenderError> {
        for (at, _) in text.match_indices("://") {
            let start = text[..at]
                .rfind(|c: char| !c.is_ascii_alphanumeric() && !"+-.".contains(c))
                .map_or(0, |before| before + 1);
            let end = text[at + 3..]
                .find(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '\\'))
                .map_or(text.len(), |end| at + 3 + end);
            if let Ok(url) = Url::parse(&text[start..end]) {
                self.take(&url)?;
            }
        }
        Ok(())
    }

    fn take(&mut self, url: &Url) -> Result<(), RenderError> {
        let has_password = url.password().is_some();
        // The user of an ssh URL is part of the address.
        if !has_password && (url.username().is_empty() || url.scheme().ends_with("ssh")) {
            return Ok(());
        }
        let refused = || RenderError::Credentials { url: without_credentials(url.as_str()) };
        let user = percent_decoded(url.username()).ok_or_else(refused)?;
        let password = percent_decoded(url.password().unwrap_or_default()).ok_or_else(refused)?;
        let word =
            |text: &str| !text.contains(|c: char| c.is_whitespace() || c == '"' || c == '\\');
        // Git and ssh read no such file, and one host has one entry.
        let fits = matches!(url.scheme(), "http" | "https") && word(&user) && word(&password);
        let host = url.host_str().filter(|_| fits).ok_or_else(refused)?;
        let entry = (user, zeroize::Zeroizing::new(password));
        match self.hosts.get(host) {
            Some(known) if *known != entry => Err(refused()),
            _ => {
                self.hosts.insert(host.to_owned(), entry);
                Ok(())
            }
        }
    }

    fn text(&self) -> String {
        let line = |(host, (user, password)): (&String, &(String, zeroize::Zeroizing<String>))| {
            format!("machine {host} login {user} password {}\n", password.as_str())
        };
        self.hosts.iter().map(line).collect()
    }
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        match (first, tail) {
            (b'%', [a, b, tail @ ..]) => {
                let digits = [*a, *b];
                let digits = std::str::from_utf8(&digits).ok()?;
                out.push(u8::from_str_radix(digits, 16).ok()?);
                rest = tail;
            }
            _ => {
                out.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8(out).ok()
}
