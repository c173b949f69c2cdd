//! Programs of other people that read, check and run what tierce makes.

use super::Outcome;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// Whether the tests run as root.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Where a program is; `None`, with a printed reason, where it is not installed.
pub fn tool(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/sbin".into()])
        .map(|directory| directory.join(name))
        .find(|path| path.is_file());
    if found.is_none() {
        eprintln!("skipped: {name} is not installed");
    }
    found
}

/// Runs a program; `None` where it is not installed. It must succeed.
#[track_caller]
pub fn run<'a>(name: &str, args: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let output = Command::new(tool(name)?).args(args).output().expect("it starts");
    let outcome = Outcome::of(output);
    assert_eq!(outcome.code, 0, "{name}: {outcome}");
    Some(outcome.stdout)
}

/// `skopeo inspect ARGS...` as JSON.
#[track_caller]
pub fn inspect<'a>(args: impl IntoIterator<Item = &'a str>) -> Option<Value> {
    let text = run("skopeo", ["inspect", "--tls-verify=false"].into_iter().chain(args))?;
    Some(serde_json::from_str(&text).expect("JSON of skopeo"))
}

/// `skopeo copy`, which reads every byte and compares every digest.
#[track_caller]
pub fn copy(from: &str, to: &str) -> Option<()> {
    let insecure = ["--insecure-policy", "copy", "--all"];
    let tls = ["--src-tls-verify=false", "--dest-tls-verify=false"];
    run("skopeo", insecure.into_iter().chain(tls).chain([from, to])).map(drop)
}

/// An image unpacked by umoci.
pub struct Unpacked {
    /// The OCI bundle: `config.json` and `rootfs`.
    pub bundle: TempDir,
}

/// `umoci unpack` of the image that `layout` calls `tag`; `None` without umoci.
#[track_caller]
pub fn unpack(layout: &Path, tag: &str) -> Option<Unpacked> {
    let bundle = tempfile::tempdir().expect("a scratch directory");
    let image = format!("{}:{tag}", layout.display());
    let target = bundle.path().join("bundle");
    let mut args = vec!["unpack", "--image", &image];
    if !is_root() {
        args.push("--rootless");
    }
    run("umoci", args.into_iter().chain([target.to_str().expect("UTF-8")]))?;
    Some(Unpacked { bundle })
}

impl Unpacked {
    /// The OCI bundle.
    pub fn path(&self) -> PathBuf {
        self.bundle.path().join("bundle")
    }

    /// A path of the image.
    pub fn file(&self, path: &str) -> PathBuf {
        self.path().join("rootfs").join(path)
    }

    /// Everything in it: path to type, mode and content.
    pub fn listing(&self) -> BTreeMap<String, String> {
        let root = self.path().join("rootfs");
        let mut all = BTreeMap::new();
        list(&root, &root, &mut all);
        all
    }
}

/// What crun makes of an image: its own command, or `argv`. `None`, with a printed reason, where it
/// does not run; `state` is a directory of its own.
#[track_caller]
pub fn crun(unpacked: &Unpacked, state: &Path, argv: &[&str]) -> Option<Outcome> {
    let crun = tool("crun")?;
    // umoci asks for a terminal, which tests have none of.
    let config = unpacked.path().join("config.json");
    let text = fs::read(&config).expect("a configuration");
    let mut spec: Value = serde_json::from_slice(&text).expect("JSON of umoci");
    spec["process"]["terminal"] = json!(false);
    if !argv.is_empty() {
        spec["process"]["args"] = json!(argv);
    }
    // Control groups are the machine's affair: crun does not know every kind.
    spec["mounts"].as_array_mut().expect("mounts").retain(|mount| mount["type"] != "cgroup");
    spec["linux"].as_object_mut().expect("an object").remove("resources");
    let namespaces = spec["linux"]["namespaces"].as_array_mut().expect("namespaces");
    namespaces.retain(|namespace| namespace["type"] != "cgroup");
    fs::write(&config, spec.to_string()).expect("a file");
    // crun refuses machines with control groups of both versions, even where it uses none: it is
    // shown none.
    let hide = "mount -t tmpfs none /sys/fs/cgroup; exec \"$0\" \"$@\"";
    let mut command = match is_root() {
        true => Command::new("unshare"),
        false => Command::new("env"),
    };
    if is_root() {
        command.args(["--mount", "sh", "-c", hide]);
    }
    command.arg(crun).args(["--cgroup-manager=disabled", "--root"]).arg(state);
    command.args(["run", "--bundle"]).arg(unpacked.path());
    command.arg(format!("tierce-test-{}", std::process::id())).stdin(Stdio::null());
    let outcome = Outcome::of(command.output().expect("it starts"));
    if !is_root() && outcome.stderr.contains("cgroups in hybrid mode not supported") {
        eprintln!("skipped: crun does not run beside control groups of both versions");
        return None;
    }
    Some(outcome)
}

fn list(root: &Path, directory: &Path, all: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        let metadata = fs::symlink_metadata(&path).expect("metadata");
        let mode = metadata.permissions().mode() & 0o7777;
        let name = path.strip_prefix(root).expect("below the root").display().to_string();
        let text = if metadata.is_symlink() {
            format!("-> {}", fs::read_link(&path).expect("a link").display())
        } else if metadata.is_dir() {
            list(root, &path, all);
            format!("directory {mode:o}")
        } else {
            let content = fs::read(&path).expect("a file");
            format!("file {mode:o} @{} {}", metadata.mtime(), String::from_utf8_lossy(&content))
        };
        all.insert(name, text);
    }
}

/// Debian's `busybox-static`; `None`, with a printed reason, where there is none that runs by
/// itself.
pub fn busybox() -> Option<Vec<u8>> {
    let program = fs::read(tool("busybox")?).expect("a file");
    let interpreter = b"/ld-linux";
    if program.windows(interpreter.len()).any(|bytes| bytes == interpreter) {
        eprintln!("skipped: busybox needs shared libraries (apt-get install busybox-static)");
        return None;
    }
    Some(program)
}

/// Whether what is at `path` may be executed.
pub fn executable(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|m| m.permissions().mode() & 0o111 != 0)
}
