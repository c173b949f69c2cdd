//! What to resolve, and the uv command that does it.

use crate::name::PackageName;
use crate::target::Target;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use tierce_secret::Secrets;
use url::Url;

/// Whether packages without a fitting wheel may be chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SourcePolicy {
    /// Wheels only: nothing has to be built.
    #[default]
    WheelsOnly,
    /// Source distributions where there is no wheel. Their metadata is read if they declare it;
    /// where it takes running the package to know it, resolving fails with
    /// [`LockError::NeedsBuild`](crate::LockError::NeedsBuild) unless there is an interpreter.
    /// So it does for all that has no wheel with another than the pinned version of uv.
    Allow,
}

/// Which releases count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Prereleases {
    /// Pre-releases only where a requirement names one or there is nothing else.
    #[default]
    IfNecessary,
    /// All.
    Allow,
}

/// Whether uv may use the network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Connection {
    /// It may.
    #[default]
    Online,
    /// Only what is in its cache.
    Offline,
}

/// Which interpreter uv asks and builds with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum LockInterpreter {
    /// A stand-in, so that the host's Python neither matters nor runs anything.
    #[default]
    Auto,
    /// This one, wherever the command runs. Needed where packages must be built to know what
    /// they require; their code then runs there too, so not on a machine that it can harm.
    At(PathBuf),
}

/// What to resolve. `Debug` leaves out the environment and the indexes, which may hold
/// credentials.
#[derive(Clone)]
pub struct LockRequest {
    /// Requirements (dependency specifiers, PEP 508), one each.
    pub requirements: Vec<String>,
    /// Requirements files or `pyproject.toml`s, relative to `root` or absolute.
    pub requirement_files: Vec<PathBuf>,
    /// Constraints files, relative to `root` or absolute.
    pub constraint_files: Vec<PathBuf>,
    /// A `pylock.toml` whose versions are taken where they fit: what it has not, and what does
    /// not fit, is chosen anew.
    pub preferences: Option<String>,
    /// The directory that relative paths refer to.
    pub root: PathBuf,
    /// The index instead of PyPI; may hold credentials.
    pub index: Option<String>,
    /// More indexes, asked first; may hold credentials.
    pub extra_indexes: Vec<String>,
    /// Which releases count.
    pub prereleases: Prereleases,
    /// More arguments for `uv pip compile`.
    pub extra_args: Vec<String>,
    /// What to resolve for.
    pub target: Target,
    /// Whether packages may have to be built.
    pub sources: SourcePolicy,
    /// Ignore what was published after this date (RFC 3339 or a date).
    pub exclude_newer: Option<String>,
    /// Where uv keeps what it fetched, and the stand-in.
    pub cache_dir: PathBuf,
    /// Whether uv may use the network.
    pub connection: Connection,
    /// uv's whole environment: proxies, certificates, credentials.
    pub env: Vec<(String, String)>,
    /// What must not be in the words of uv that errors repeat.
    pub secrets: Secrets,
    /// Which interpreter uv asks.
    pub interpreter: LockInterpreter,
}

impl LockRequest {
    /// A request for `requirements` from PyPI, with paths relative to `root`.
    pub fn new(target: Target, requirements: Vec<String>, root: &Path, cache_dir: &Path) -> Self {
        LockRequest {
            requirements,
            requirement_files: Vec::new(),
            constraint_files: Vec::new(),
            preferences: None,
            root: root.to_owned(),
            index: None,
            extra_indexes: Vec::new(),
            prereleases: Prereleases::default(),
            extra_args: Vec::new(),
            target,
            sources: SourcePolicy::default(),
            exclude_newer: None,
            cache_dir: cache_dir.to_owned(),
            connection: Connection::default(),
            env: Vec::new(),
            secrets: Secrets::default(),
            interpreter: LockInterpreter::default(),
        }
    }

    /// The indexes as URLs; those that are none are left out.
    pub fn indexes(&self) -> Vec<Url> {
        self.extra_indexes.iter().chain(&self.index).filter_map(|i| Url::parse(i).ok()).collect()
    }
}

impl std::fmt::Debug for LockRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LockRequest")
            .field("requirements", &self.requirements.len())
            .field("requirement_files", &self.requirement_files)
            .field("root", &self.root)
            .field("target", &self.target)
            .field("interpreter", &self.interpreter)
            .finish_non_exhaustive()
    }
}

/// A run of uv, as plain data: it can be run here or, where packages must be built to know what
/// they require, inside an image (uv's pinned program is statically linked). Its standard output
/// is a `pylock.toml` for [`Lock::parse`](crate::Lock::parse).
#[derive(Clone, PartialEq, Eq)]
pub struct LockCommand {
    /// uv's arguments, without the program.
    pub args: Vec<String>,
    /// The whole environment. Holds credentials of indexes.
    pub env: Vec<(String, String)>,
    /// What uv reads from its standard input.
    pub stdin: String,
    /// The working directory.
    pub cwd: PathBuf,
}

impl std::fmt::Debug for LockCommand {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The environment may hold secrets.
        f.debug_struct("LockCommand").field("args", &self.args).field("cwd", &self.cwd).finish()
    }
}

/// A requirement that can't be handed to uv.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BadRequirement(pub String);

/// Whether uv may build packages to know what they require.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Builds {
    Allowed,
    Off,
}

impl LockCommand {
    /// The command for `request`, asking the interpreter at `python` and no other.
    pub(crate) fn new(
        request: &LockRequest,
        python: &Path,
        builds: Builds,
    ) -> Result<Self, BadRequirement> {
        let mut args: Vec<String> = ["pip", "compile", "--format", "pylock.toml"]
            .into_iter()
            .chain(["--no-header", "--no-config", "--no-python-downloads", "--no-progress"])
            .chain(["--color", "never", "--python-platform"])
            .map(str::to_owned)
            .collect();
        args.push(request.target.uv_platform());
        args.extend(["--python-version".to_owned(), request.target.python().to_string()]);
        args.extend(["--cache-dir".to_owned(), path(&request.cache_dir.join("uv"))]);
        args.extend(["--python".to_owned(), path(python)]);
        if request.prereleases == Prereleases::Allow {
            args.push("--prerelease=allow".to_owned());
        }
        if request.connection == Connection::Offline {
            args.push("--offline".to_owned());
        }
        if let Some(date) = &request.exclude_newer {
            args.push(format!("--exclude-newer={date}"));
        }
        for file in &request.constraint_files {
            args.push(format!("--constraints={}", path(file)));
        }
        args.extend(request.extra_args.iter().cloned());
        if builds == Builds::Off {
            // After the others: the last of `--build` and `--no-build` counts.
            args.push("--no-build".to_owned());
        }
        args.push("--".to_owned());
        args.push("-".to_owned());
        args.extend(request.requirement_files.iter().map(|file| path(file)));
        let mut env = request.env.clone();
        // Not as arguments: those can be read by every user of the machine.
        env.extend(request.index.iter().map(|i| ("UV_DEFAULT_INDEX".to_owned(), i.clone())));
        if !request.extra_indexes.is_empty() {
            env.push(("UV_INDEX".to_owned(), request.extra_indexes.join(" ")));
        }
        let stdin = stdin(&request.requirements)?;
        Ok(LockCommand { args, env, stdin, cwd: request.root.clone() })
    }
}

impl LockCommand {
    /// The same with files in place of its standard input and output, for whoever runs it where
    /// those are not at hand: `input` has to hold [`LockCommand::stdin`], and the lock will be in
    /// `output`.
    pub fn with_files(mut self, input: &str, output: &str) -> Self {
        let end = self.args.iter().position(|arg| arg == "--");
        if let Some(stdin) = end.and_then(|end| self.args.get_mut(end + 1)) {
            *stdin = input.to_owned();
        }
        self.with_output(output)
    }

    /// The same with the lock in a file. Versions that the file has are kept where they fit.
    pub(crate) fn with_output(mut self, output: &str) -> Self {
        if let Some(end) = self.args.iter().position(|arg| arg == "--") {
            let output = ["--output-file".to_owned(), output.to_owned()];
            self.args.splice(end..end, output);
        }
        self
    }
}

fn path(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// The requirements as the text of a requirements file. A line that such a file would take for
/// an option, or for several lines, is not a requirement.
fn stdin(requirements: &[String]) -> Result<String, BadRequirement> {
    let mut text = String::new();
    for requirement in requirements {
        let trimmed = requirement.trim();
        if trimmed.is_empty() || trimmed.starts_with(['-', '#']) || trimmed.contains(['\n', '\r']) {
            return Err(BadRequirement(requirement.clone()));
        }
        text.push_str(trimmed);
        text.push('\n');
    }
    Ok(text)
}

/// The packages that a request names itself: from its list, its requirements files and the files
/// they include, and `[project].dependencies` of a `pyproject.toml`. Requirements that are only
/// a path or URL have no name here.
pub(crate) fn requested_names(request: &LockRequest) -> BTreeSet<PackageName> {
    let mut names: BTreeSet<PackageName> =
        request.requirements.iter().filter_map(|r| requirement_name(r)).collect();
    let mut seen = BTreeSet::new();
    for file in &request.requirement_files {
        collect_file(&request.root.join(file), &mut names, &mut seen);
    }
    names
}

fn collect_file(path: &Path, names: &mut BTreeSet<PackageName>, seen: &mut BTreeSet<PathBuf>) {
    if !seen.insert(path.to_owned()) {
        return;
    }
    // uv has read the file and reported what is wrong with it.
    let Ok(text) = std::fs::read_to_string(path) else { return };
    if path.extension().is_some_and(|e| e == "toml") {
        let Ok(table) = text.parse::<toml::Table>() else { return };
        let dependencies = table.get("project").and_then(|p| p.get("dependencies"));
        let items = dependencies.and_then(|d| d.as_array()).into_iter().flatten();
        names.extend(items.filter_map(|item| requirement_name(item.as_str()?)));
        return;
    }
    for line in text.replace("\\\r\n", " ").replace("\\\n", " ").lines() {
        let line = line.trim();
        let include = ["-r", "--requirement"].iter().find_map(|option| {
            let rest = line.strip_prefix(option)?;
            let value = rest.trim_start_matches([' ', '\t', '=']);
            (!value.is_empty()).then_some(value)
        });
        match include {
            Some(file) => {
                let directory = path.parent().unwrap_or(Path::new("."));
                collect_file(&directory.join(file), names, seen);
            }
            None if line.starts_with(['-', '#']) => {}
            None => names.extend(requirement_name(line)),
        }
    }
}

/// The name at the beginning of a requirement, unless it is a path, URL or file name.
fn requirement_name(requirement: &str) -> Option<PackageName> {
    let text = requirement.trim();
    let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let end = text.find(|c| !inner(c)).unwrap_or(text.len());
    let rest = text[end..].trim_start();
    let is_name = rest.is_empty()
        || rest.starts_with(['[', '(', '<', '>', '=', '!', '~', ';', '@', '#', ',']);
    let name = &text[..end];
    let is_file = [".whl", ".zip", ".tar.gz", ".txt"].iter().any(|s| name.ends_with(s));
    (is_name && !is_file).then(|| PackageName::new(name).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::Libc;
    use tierce_oci::Platform;

    fn request(requirements: &[&str]) -> LockRequest {
        let python = "3.11".parse().unwrap();
        let target = Target::new(python, &Platform::linux("amd64"), Libc::DEFAULT).unwrap();
        let requirements = requirements.iter().map(|r| (*r).to_owned()).collect();
        LockRequest::new(target, requirements, Path::new("."), Path::new("cache"))
    }

    fn command(request: &LockRequest) -> Result<LockCommand, BadRequirement> {
        LockCommand::new(request, Path::new("python"), Builds::Off)
    }

    #[test]
    fn options_are_not_requirements() {
        for bad in ["-e .", "--index-url x", "a\nb", "", "  ", "# a"] {
            assert!(command(&request(&[bad])).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn credentials_are_not_arguments() {
        let mut request = request(&["six"]);
        request.index = Some("https://u:secret@x/simple".to_owned());
        request.extra_indexes = vec!["https://v:secret@y/simple".to_owned()];
        let command = command(&request).unwrap();
        assert!(!format!("{command:?}").contains("secret"));
        assert!(command.env.iter().any(|(k, v)| k == "UV_DEFAULT_INDEX" && v.contains("secret")));
    }

    #[test]
    fn requested_packages_are_known() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
        write(
            "a.txt",
            "-r b.txt\n-c c.txt\n--index-url https://x\nFlask>=1 \\\n  --hash=sha256:1\n",
        );
        write("b.txt", "# no\nrich ; python_version > '3'\n./local\nhttps://x/y.whl\n-r a.txt\n");
        write("c.txt", "constrained\n");
        write("pyproject.toml", "[project]\nname='x'\ndependencies=['httpx[http2]~=1.0']\n");
        let mut request =
            request(&["Uvicorn[standard]", "pip @ https://x/pip.whl", "./six-1.whl", "a/b"]);
        request.root = dir.path().to_owned();
        request.requirement_files = vec!["a.txt".into(), "pyproject.toml".into()];
        let names: Vec<_> = requested_names(&request).into_iter().map(|n| n.to_string()).collect();
        assert_eq!(names, ["flask", "httpx", "pip", "rich", "uvicorn"]);
    }
}
