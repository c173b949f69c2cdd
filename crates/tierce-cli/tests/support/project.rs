//! A directory with a `tierce.toml` and sources, and places of its own for everything else.

use super::Tierce;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Once;
use tempfile::TempDir;

/// The programs of a shell project.
const APPLETS: [&str; 28] = [
    "cat", "chmod", "chown", "cp", "cut", "date", "echo", "env", "false", "grep", "head", "id",
    "ln", "ls", "mkdir", "mknod", "mv", "nc", "pwd", "rm", "sh", "sleep", "stat", "touch", "true",
    "umask", "wc", "wget",
];

/// A project in a scratch directory, with a store and a home directory beside it.
pub struct Project {
    scratch: TempDir,
}

impl Project {
    /// A project whose `tierce.toml` is `spec`.
    pub fn new(spec: &str) -> Self {
        let project = Project { scratch: tempfile::tempdir().expect("a scratch directory") };
        // Other users' tests read it, too.
        set_mode(project.scratch.path(), 0o755);
        for name in ["project", "home"] {
            fs::create_dir(project.scratch.path().join(name)).expect("a new directory");
        }
        project.file("tierce.toml", spec)
    }

    /// A project of one folder, `app`, on `scratch`, that sets everything that needs no
    /// execution.
    pub fn assembled() -> Self {
        Project::new(
            r#"
            name = "hello"
            base = "scratch"
            env = { B = "2", A = "one two" }
            workdir = "/srv"
            copy = [{ src = "app", dst = "/srv/app" }, { src = "tool", dst = "/usr/bin/" }]
            user = "1000:1000"
            entrypoint = ["/usr/bin/tool", "--serve"]
            cmd = ["now"]
            labels = { "org.example.kind" = "test" }
            "#,
        )
        .file("app/main.py", "print('hello')\n")
        .file("app/data/empty", "")
        .file("app/data/zwölf.txt", "12\n")
        .executable("app/start", "#!/bin/sh\n")
        .link("app/current", "data/empty")
        .executable("tool", "#!/bin/sh\necho tool\n")
    }

    /// A project on `scratch` with a shell and its tools, and `more` in its `tierce.toml`; `None`
    /// where there is no busybox, or nothing can be run in a sandbox.
    pub fn shell(more: &str) -> Option<Self> {
        let spec = format!(
            "name = 'shell'\nbase = 'scratch'\nenv = {{ PATH = '/bin' }}\n\
             copy = [{{ src = 'root', dst = '/' }}]\n{more}\n"
        );
        let mut project = Project::new(&spec).executable("root/bin/busybox", super::busybox()?);
        for applet in APPLETS {
            project = project.link(&format!("root/bin/{applet}"), "busybox");
        }
        let passwd = "root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000::/home:/bin/sh\n";
        project = project
            .file("root/etc/passwd", passwd)
            .file("root/etc/group", "root:x:0:\napp:x:1000:\n")
            .file("root/old/a", "a\n")
            .file("root/old/b", "b\n");
        let doctor = project.tierce(["doctor"]).run();
        if doctor.code != 0 {
            eprintln!("skipped: nothing can be run in a sandbox here: {doctor}");
            return None;
        }
        Some(project)
    }

    /// With a file.
    pub fn file(self, name: &str, content: impl AsRef<[u8]>) -> Self {
        self.write(name, content);
        self
    }

    /// Writes a file.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("directories");
        fs::write(&path, content).expect("a file");
    }

    /// With a file that may be executed.
    pub fn executable(self, name: &str, content: impl AsRef<[u8]>) -> Self {
        self.write(name, content);
        set_mode(&self.path(name), 0o755);
        self
    }

    /// With a symbolic link.
    pub fn link(self, name: &str, target: &str) -> Self {
        std::os::unix::fs::symlink(target, self.path(name)).expect("a link");
        self
    }

    /// A path in the project.
    pub fn path(&self, name: &str) -> PathBuf {
        self.scratch.path().join("project").join(name)
    }

    /// A path beside the project.
    pub fn beside(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    /// The store that the project's builds use unless told otherwise.
    pub fn store(&self) -> PathBuf {
        self.beside("store")
    }

    /// The program, started in the project, with a store and a home of the project's own.
    pub fn tierce<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Tierce {
        Tierce::new(args)
            .current_dir(self.path(""))
            .env("TIERCE_STORE", self.store())
            .env("HOME", self.beside("home"))
    }
}

/// A store for all tests of one file, kept from run to run for its downloads. What was made of
/// them is forgotten once a run: it may be another release's work.
pub fn shared_store(name: &str) -> PathBuf {
    static FORGOTTEN: Once = Once::new();
    let store = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    FORGOTTEN.call_once(|| match fs::remove_dir_all(store.join("records")) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => panic!("{error}"),
        _ => {}
    });
    store
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("a mode");
}
