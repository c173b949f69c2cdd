//! Images of two builders, taken apart and compared.

use super::{Project, Registry, Tierce, copy, inspect, is_root, run, tool, unpack};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;
use tierce_testing::{Dockerd, skip};

/// Where differences that are meant are listed, each path in backquotes.
const DOCUMENT: &str = include_str!("../../../../docs/rendering.md");

/// The search path that some builders set where an image has none.
const DEFAULT_PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Another builder.
pub enum Other {
    Buildah(TempDir),
    Docker { dockerd: Dockerd, buildkit: bool },
}

impl Other {
    /// buildah; `None` where it does not work.
    pub fn buildah() -> Option<Self> {
        tool("buildah")?;
        if !is_root() {
            skip(
                "buildah",
                "buildah without root needs more of the machine than tests may ask for",
            );
            return None;
        }
        Some(Other::Buildah(tempfile::tempdir().expect("a directory")))
    }

    /// Docker, with BuildKit or without; `None` where it does not start.
    pub fn docker(buildkit: bool) -> Option<Self> {
        Some(Other::Docker { dockerd: Dockerd::start()?, buildkit })
    }

    fn dialect(&self) -> &'static str {
        match self {
            Other::Buildah(_) => "podman",
            Other::Docker { buildkit: true, .. } => "docker-20",
            Other::Docker { buildkit: false, .. } => "classic",
        }
    }

    /// Builds the context and puts the image into the layout.
    fn build(&self, context: &Path, arguments: &[String], layout: &str, scratch: &Path) {
        const NAME: &str = "localhost/tierce-test/other:1";
        let context_text = context.display().to_string();
        match self {
            Other::Buildah(directory) => {
                let path = |name: &str| directory.path().join(name).display().to_string();
                let storage = ["--root", &path("root"), "--runroot", &path("run")]
                    .map(str::to_owned)
                    .to_vec();
                let buildah = |arguments: &[&str]| {
                    let mut command = Command::new("buildah");
                    command.args(&storage).args(["--storage-driver", "vfs"]).args(arguments);
                    command
                };
                let mut build = buildah(&["bud", "--isolation", "chroot", "--layers=false"]);
                build.args(["--tls-verify=false", "-t", NAME]).args(arguments).arg(&context_text);
                check(&mut build);
                check(&mut buildah(&["push", "-q", NAME, layout]));
            }
            Other::Docker { dockerd, buildkit } => {
                let mut build = dockerd.docker();
                build.env("DOCKER_BUILDKIT", if *buildkit { "1" } else { "0" });
                build.args(["build", "--network", Dockerd::NETWORK, "--no-cache", "-t", NAME]);
                check(build.args(arguments).arg(&context_text));
                let file = scratch.join("docker.tar").display().to_string();
                check(dockerd.docker().args(["save", "-o", &file, NAME]));
                copy(&format!("docker-archive:{file}"), layout).expect("skopeo");
                std::fs::remove_file(file).expect("removed");
            }
        }
    }
}

fn check(command: &mut Command) {
    let output = command.output().expect("a program");
    assert!(
        output.status.success(),
        "{command:?}\n{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Pushes a base with a shell, made by the native builder; its reference.
pub fn base(registry: &Registry) -> Option<String> {
    let project = Project::shell("")?;
    std::fs::create_dir_all(project.path("root/old/sub/deep")).expect("a directory");
    project.write("root/old/sub/file", "old\n");
    for name in ["tmp", "root", "var/tmp", "dev", "proc", "sys", "home"] {
        std::fs::create_dir_all(project.path("root").join(name)).expect("a directory");
    }
    let address = registry.address();
    let pushed = project.tierce(["build", "--push", "--registry", address]).ok();
    Some(pushed.line().to_owned())
}

/// Where images are taken apart.
pub struct Place {
    scratch: TempDir,
}

/// An image, taken apart.
pub struct Parts {
    /// By path.
    pub files: BTreeMap<String, Fact>,
    /// The container's configuration.
    pub config: Value,
}

/// One thing of a file system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fact {
    kind: &'static str,
    mode: u32,
    owner: (u32, u32),
    links: u64,
    xattrs: BTreeMap<String, Vec<u8>>,
    content: Vec<u8>,
}

impl std::fmt::Display for Fact {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Fact { kind, mode, owner: (uid, gid), links, xattrs, content } = self;
        write!(f, "{kind} {mode:o} {uid}:{gid} links {links} {} bytes", content.len())?;
        if content.len() < 200 {
            write!(f, " {:?}", String::from_utf8_lossy(content))?;
        }
        if !xattrs.is_empty() {
            write!(f, " {xattrs:?}")?;
        }
        Ok(())
    }
}

impl Place {
    /// `None`, with a printed reason, where images can't be taken apart with their owners.
    pub fn new() -> Option<Self> {
        if !is_root() {
            skip("umoci", "owners are unpacked by root alone");
            return None;
        }
        for name in ["umoci", "skopeo"] {
            tool(name)?;
        }
        Some(Place { scratch: tempfile::tempdir().expect("a directory") })
    }

    /// What the native builder makes.
    pub fn native(&self, project: &Project, name: &str) -> Option<Parts> {
        self.native_with(project, name, |tierce| tierce)
    }

    /// The same with other settings.
    pub fn native_with(
        &self,
        project: &Project,
        name: &str,
        settings: impl Fn(Tierce) -> Tierce,
    ) -> Option<Parts> {
        let layout = self.scratch.path().join(format!("{name}-native"));
        let output = format!("oci:{}", layout.display());
        settings(project.tierce(["build", "--output", &output, "-t", "x"])).ok();
        self.take(&layout, "x")
    }

    /// What another builder makes of the rendered text. `more` are arguments for `render`.
    pub fn other(&self, project: &Project, name: &str, other: &Other, more: &[&str]) -> Parts {
        let context = self.scratch.path().join(format!("{name}-context"));
        let output = context.display().to_string();
        let render = ["render", "--dialect", other.dialect(), "--output", &output];
        let render = render.into_iter().chain(["--format", "json"]).chain(more.iter().copied());
        let said = project.tierce(render).ok().json();
        let mut arguments: Vec<String> = vec![];
        for (name, value) in said["build-args"].as_object().into_iter().flatten() {
            let value = value.as_str().unwrap_or_default();
            arguments.extend(["--build-arg".to_owned(), format!("{name}={value}")]);
        }
        let layout = self.scratch.path().join(format!("{name}-other"));
        other.build(
            &context,
            &arguments,
            &format!("oci:{}:x", layout.display()),
            self.scratch.path(),
        );
        self.take(&layout, "x").expect("umoci")
    }

    fn take(&self, layout: &Path, tag: &str) -> Option<Parts> {
        let unpacked = unpack(layout, tag)?;
        let root = unpacked.file("");
        let mut files = BTreeMap::new();
        files.insert("/".to_owned(), fact(&root));
        walk(&root, &root, &mut files);
        let image = format!("oci:{}:{tag}", layout.display());
        let config = inspect(["--config", &image])?;
        Some(Parts { files, config: config["config"].clone() })
    }
}

fn walk(root: &Path, directory: &Path, files: &mut BTreeMap<String, Fact>) {
    for entry in std::fs::read_dir(directory).expect("a directory") {
        let path: PathBuf = entry.expect("an entry").path();
        let name = path.strip_prefix(root).expect("below the root").display().to_string();
        files.insert(format!("/{name}"), fact(&path));
        if path.symlink_metadata().expect("metadata").is_dir() {
            walk(root, &path, files);
        }
    }
}

fn fact(path: &Path) -> Fact {
    let metadata = path.symlink_metadata().expect("metadata");
    let kind = metadata.file_type();
    let (kind, content) = match () {
        () if kind.is_dir() => ("directory", vec![]),
        () if kind.is_symlink() => {
            ("link", std::fs::read_link(path).expect("a link").as_os_str().as_bytes().to_vec())
        }
        () if kind.is_fifo() => ("fifo", vec![]),
        () if kind.is_char_device() => ("device", vec![]),
        () => ("file", std::fs::read(path).expect("a file")),
    };
    let links = if kind == "directory" { 0 } else { metadata.nlink() };
    let owner = (metadata.uid(), metadata.gid());
    let mode = metadata.mode() & 0o7777;
    Fact { kind, mode, owner, links, xattrs: xattrs(path), content }
}

fn xattrs(path: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut list = vec![0; 1 << 16];
    let Ok(length) = rustix::fs::llistxattr(path, &mut list) else { return BTreeMap::new() };
    let names = list[..length].split(|byte| *byte == 0).filter(|name| !name.is_empty());
    let value = |name: &[u8]| {
        let name = String::from_utf8_lossy(name).into_owned();
        let mut value = vec![0; 1 << 16];
        let length = rustix::fs::lgetxattr(path, name.as_str(), &mut value).unwrap_or(0);
        value.truncate(length);
        // What umoci itself records when it unpacks.
        (!name.starts_with("user.rootlesscontainers")).then_some((name, value))
    };
    names.filter_map(value).collect()
}

/// A difference that is meant.
struct Allowed {
    /// The path, or the path and `/**` for all below it, too.
    path: &'static str,
    /// Only by name: what it is like in both is of no account.
    whole: bool,
}

/// Every difference that is meant: a line of the document each.
const ALLOWED: &[Allowed] = &[
    // Where things are mounted while steps run.
    Allowed { path: "/dev", whole: true },
    Allowed { path: "/proc", whole: true },
    Allowed { path: "/sys", whole: true },
    Allowed { path: "/run", whole: true },
    Allowed { path: "/run/secrets", whole: true },
    Allowed { path: "/run/tierce/**", whole: true },
    Allowed { path: "/var/cache/tierce/**", whole: true },
    Allowed { path: "/etc/hosts", whole: true },
    Allowed { path: "/etc/resolv.conf", whole: true },
    Allowed { path: "/etc/hostname", whole: true },
    Allowed { path: "/", whole: false },
];

/// Parts of the environment that uv writes otherwise.
const ALLOWED_IN_VENV: &[&str] = &[
    "/opt/venv/bin/activate*",
    "/opt/venv/bin/deactivate.bat",
    "/opt/venv/bin/pydoc.bat",
    "/opt/venv/.gitignore",
    "/opt/venv/.lock",
    "/opt/venv/CACHEDIR.TAG",
    "/opt/venv/pyvenv.cfg",
    "_virtualenv.*",
    "*.pyc",
    "*.libs",
    "*.dist-info/INSTALLER",
    "*.dist-info/RECORD",
    "*.dist-info/REQUESTED",
    "*.dist-info/uv_cache.json",
];

/// What differs and should not.
pub struct Differences {
    venv: bool,
    found: Vec<String>,
    compared: usize,
    allowed: BTreeSet<String>,
}

impl Differences {
    /// Against the list of the document.
    pub fn documented() -> Self {
        for Allowed { path, .. } in ALLOWED {
            assert!(DOCUMENT.contains(&format!("`{path}`")), "{path} is not in the document");
        }
        Differences { venv: false, found: vec![], compared: 0, allowed: BTreeSet::new() }
    }

    /// The same for images with Python environments.
    pub fn with_environments() -> Self {
        for path in ALLOWED_IN_VENV {
            assert!(DOCUMENT.contains(&format!("`{path}`")), "{path} is not in the document");
        }
        Differences { venv: true, ..Self::documented() }
    }

    /// Compares two images.
    pub fn compare(&mut self, name: &str, native: &Parts, other: &Parts) {
        let paths: BTreeSet<&String> = native.files.keys().chain(other.files.keys()).collect();
        for path in paths {
            let (left, right) = (native.files.get(path), other.files.get(path));
            let allowed = || self.allows(path, left.is_some() && right.is_some());
            if left != right && allowed() {
                self.allowed.insert(path.clone());
            } else if left != right {
                let show = |fact: Option<&Fact>| fact.map_or("nothing".to_owned(), Fact::to_string);
                let (left, right) = (show(left), show(right));
                self.found.push(format!("{name}: {path}: native {left}; other {right}"));
            }
            self.compared += 1;
        }
        let (left, mut right) = (settings(&native.config), settings(&other.config));
        // Docker's own for images that say none.
        if left.get("Env").is_none() && right["Env"] == json!([DEFAULT_PATH]) {
            right.as_object_mut().expect("an object").remove("Env");
        }
        if left != right {
            self.found.push(format!("{name}: settings: native {left:#}; other {right:#}"));
        }
    }

    fn allows(&self, path: &str, both: bool) -> bool {
        let fits = |allowed: &Allowed| match allowed.path.strip_suffix("/**") {
            Some(above) => path == above || path.starts_with(&format!("{above}/")),
            None => path == allowed.path && (allowed.whole || both),
        };
        let in_venv = |pattern: &&str| {
            let name = match pattern.starts_with('/') {
                true => path,
                false => path.rsplit_once("/site-packages/").map_or("", |(_, below)| below),
            };
            matches(pattern, name)
        };
        ALLOWED.iter().any(fits) || (self.venv && ALLOWED_IN_VENV.iter().any(in_venv))
    }

    /// Fails if anything differs.
    pub fn finish(self) {
        assert!(self.compared > 0, "nothing was compared");
        assert!(self.found.is_empty(), "{}", self.found.join("\n"));
        eprintln!("{} paths compared, different as listed: {:?}", self.compared, self.allowed);
    }
}

/// A pattern with one `*` at most.
fn matches(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((start, end)) => {
            name.len() >= start.len() + end.len() && name.starts_with(start) && name.ends_with(end)
        }
    }
}

/// What of a configuration counts: the order of variables and how nothing is said does not, nor
/// do the labels that builders sign with.
fn settings(config: &Value) -> Value {
    let mut all = Map::new();
    for (name, value) in config.as_object().into_iter().flatten() {
        let value = match (name.as_str(), value) {
            ("Env", Value::Array(list)) => {
                let mut list = list.clone();
                list.sort_by_key(Value::to_string);
                Value::Array(list)
            }
            ("Labels", Value::Object(labels)) => {
                let own =
                    |name: &str| name == "io.buildah.version" || name.starts_with("dev.tierce.");
                let labels: Map<String, Value> = labels.clone();
                Value::Object(labels.into_iter().filter(|(name, _)| !own(name)).collect())
            }
            // Nothing, in the words of several programs.
            ("WorkingDir", value) if *value == json!("/") => Value::Null,
            ("ArgsEscaped", _) => Value::Null,
            (_, value) => value.clone(),
        };
        let empty = match &value {
            Value::Null => true,
            Value::Array(list) => list.is_empty(),
            Value::Object(map) => map.is_empty(),
            Value::String(text) => text.is_empty(),
            _ => false,
        };
        if !empty {
            all.insert(name.clone(), value);
        }
    }
    Value::Object(all)
}
