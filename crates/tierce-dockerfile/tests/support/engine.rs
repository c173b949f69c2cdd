//! Real builders, and what comes out of them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;
use tierce_dockerfile::{Dialect, Rendered};
use tierce_layer::{EntryKind, LayerReader};
use tierce_secret::SecretValue;
use tierce_testing::{Dockerd, program, skip};

/// The image that is in every engine: busybox, with a shell.
pub const BASE: &str = "localhost/tierce-test/busybox:1";

/// A builder that takes Dockerfiles.
pub enum Engine {
    Buildah(TempDir),
    Docker { dockerd: Dockerd, buildkit: bool },
}

/// What came of a build.
pub struct Built {
    /// The container's configuration, with the names of the image specification.
    pub config: serde_json::Value,
    /// By path without a slash at the beginning.
    pub files: BTreeMap<String, File>,
}

/// One thing in an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    pub kind: &'static str,
    pub mode: u32,
    pub owner: (u32, u32),
    /// A file's content, a link's target.
    pub content: Vec<u8>,
}

impl Engine {
    /// buildah; `None` where it does not work.
    pub fn buildah() -> Option<Self> {
        program("buildah").or_else(|| {
            skip("buildah", "buildah is not installed");
            None
        })?;
        if !rustix::process::geteuid().is_root() {
            skip(
                "buildah",
                "buildah without root needs more of the machine than tests may ask for",
            );
            return None;
        }
        let engine = Engine::Buildah(TempDir::with_prefix("buildah").ok()?);
        let root = tempfile::tempdir().ok()?;
        if !tierce_testing::busybox_rootfs(root.path()).ok()? {
            return None;
        }
        set_mode(&root.path().join("tmp"), 0o1777);
        set_mode(&root.path().join("root"), 0o700);
        let container = engine.output(&["from", "scratch"])?;
        engine.output(&["add", &container, &root.path().display().to_string(), "/"])?;
        engine.output(&["config", "--env", "PATH=/usr/local/bin:/usr/bin:/bin", &container])?;
        engine.output(&["config", "--cmd", "/bin/sh", &container])?;
        engine.output(&["commit", "--rm", "-q", &container, BASE])?;
        Some(engine)
    }

    /// Docker, with BuildKit or without.
    pub fn docker(buildkit: bool) -> Option<Self> {
        let dockerd = Dockerd::start()?;
        dockerd.import_busybox(BASE).or_else(|| {
            skip("docker", "it imports no image");
            None
        })?;
        Some(Engine::Docker { dockerd, buildkit })
    }

    pub fn dialect(&self) -> Dialect {
        match self {
            Engine::Buildah(_) => Dialect::PODMAN,
            Engine::Docker { buildkit: true, .. } => Dialect::DOCKER_20,
            Engine::Docker { buildkit: false, .. } => Dialect::CLASSIC,
        }
    }

    /// Builds what was rendered.
    pub fn build(&self, rendered: &Rendered, secrets: &BTreeMap<String, SecretValue>) -> Built {
        let directory = tempfile::tempdir().expect("a directory");
        let context = directory.path().join("context");
        rendered.context.write_dir(&context).unwrap_or_else(|e| panic!("{e}: {e:?}"));
        let mut arguments: Vec<String> = vec![];
        for secret in &rendered.secrets {
            let file = directory.path().join(&secret.id);
            std::fs::write(&file, secrets[&secret.id].expose()).expect("a file");
            arguments.push("--secret".to_owned());
            arguments.push(format!("id={},src={}", secret.id, file.display()));
        }
        for (name, value) in &rendered.build_args {
            arguments.extend(["--build-arg".to_owned(), format!("{name}={value}")]);
        }
        if let Some(target) = &rendered.target {
            arguments.extend(["--target".to_owned(), target.clone()]);
        }
        let dockerfile = context.join(&rendered.dockerfile_path);
        arguments.extend(["-t".to_owned(), "localhost/tierce-test/built:1".to_owned()]);
        arguments.extend(["-f".to_owned(), dockerfile.display().to_string()]);
        arguments.push(context.display().to_string());
        let mut command = match self {
            Engine::Buildah(_) => {
                let mut command = self.command();
                command.args(["bud", "--isolation", "chroot", "--layers=false", "--pull-never"]);
                command
            }
            Engine::Docker { buildkit, .. } => {
                let mut command = self.command();
                command.env("DOCKER_BUILDKIT", if *buildkit { "1" } else { "0" });
                command.args(["build", "--network", Dockerd::NETWORK, "--no-cache"]);
                command
            }
        };
        command.args(&arguments);
        let mut output = command.output().expect("a builder");
        for _ in 0..3 {
            // Debian 12's buildah copies itself into memory for each step, and sometimes finds
            // the copy in use when it seals it.
            if !String::from_utf8_lossy(&output.stderr).contains("sealing memfd copy") {
                break;
            }
            output = command.output().expect("a builder");
        }
        assert!(
            output.status.success(),
            "{}\n{}{}",
            rendered.dockerfile,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        self.take("localhost/tierce-test/built:1", directory.path())
    }

    fn take(&self, image: &str, directory: &Path) -> Built {
        let tar: PathBuf = directory.join("rootfs.tar");
        let config = match self {
            Engine::Buildah(_) => {
                let said = self.output(&["inspect", "--type", "image", image]).expect("an image");
                let said: serde_json::Value = serde_json::from_str(&said).expect("JSON");
                let container = self.output(&["from", "--pull-never", image]).expect("a container");
                let mounted = self.output(&["mount", &container]).expect("a mount");
                let status = Command::new("tar")
                    .args(["-C", &mounted, "--xattrs", "--sort=name", "-cf"])
                    .arg(&tar)
                    .arg(".")
                    .status();
                assert!(status.expect("tar").success());
                self.output(&["rm", &container]).expect("removed");
                said["OCIv1"]["config"].clone()
            }
            Engine::Docker { .. } => {
                let said = self.output(&["image", "inspect", image]).expect("an image");
                let said: serde_json::Value = serde_json::from_str(&said).expect("JSON");
                let container = self.output(&["create", image, "x"]).expect("a container");
                let tar = tar.display().to_string();
                self.output(&["export", "-o", &tar, &container]).expect("exported");
                self.output(&["rm", &container]).expect("removed");
                said[0]["Config"].clone()
            }
        };
        Built { config, files: read(&tar) }
    }

    fn command(&self) -> Command {
        match self {
            Engine::Buildah(directory) => {
                let path = |name: &str| directory.path().join(name).display().to_string();
                let mut command = Command::new("buildah");
                command.args(["--root", &path("root"), "--runroot", &path("run")]);
                command.args(["--storage-driver", "vfs"]);
                command
            }
            Engine::Docker { dockerd, .. } => dockerd.docker(),
        }
    }

    fn output(&self, arguments: &[&str]) -> Option<String> {
        let output = self.command().args(arguments).output().ok()?;
        if !output.status.success() {
            let what = match self {
                Engine::Buildah(_) => "buildah",
                Engine::Docker { .. } => "docker",
            };
            skip(
                what,
                format!("{arguments:?}: {}", String::from_utf8_lossy(&output.stderr).trim()),
            );
            return None;
        }
        Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }
}

impl Built {
    /// The content of a file, as text.
    pub fn text(&self, path: &str) -> String {
        let file = self.files.get(path).unwrap_or_else(|| panic!("there is no {path:?}"));
        String::from_utf8_lossy(&file.content).into_owned()
    }

    /// A list of the configuration.
    pub fn list(&self, field: &str) -> Vec<String> {
        let items = self.config[field].as_array().cloned().unwrap_or_default();
        items.iter().filter_map(|item| item.as_str().map(str::to_owned)).collect()
    }

    /// A variable of the configuration.
    pub fn variable(&self, name: &str) -> Option<String> {
        let prefix = format!("{name}=");
        self.list("Env").iter().find_map(|e| e.strip_prefix(&prefix).map(str::to_owned))
    }
}

fn read(tar: &Path) -> BTreeMap<String, File> {
    let mut reader = LayerReader::new(std::fs::File::open(tar).expect("a tar")).expect("a tar");
    let mut files = BTreeMap::new();
    while let Some((entry, mut content)) = reader.next_entry().expect("an entry") {
        let mut bytes = vec![];
        std::io::Read::read_to_end(&mut content, &mut bytes).expect("content");
        let (kind, content) = match &entry.kind {
            EntryKind::File { .. } => ("file", bytes),
            EntryKind::Directory => ("directory", vec![]),
            EntryKind::Symlink { target } => ("link", target.clone()),
            EntryKind::HardLink { target } => ("hard link", target.as_bytes().to_vec()),
            _ => ("other", vec![]),
        };
        let owner = (entry.uid, entry.gid);
        let path = String::from_utf8_lossy(entry.path.as_bytes()).into_owned();
        files.insert(path, File { kind, mode: entry.mode, owner, content });
    }
    files
}

fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("a mode");
}
