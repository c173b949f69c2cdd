//! A git repository on this machine.

use crate::require::or_skip;
use crate::{GitServer, ProjectSpec, program, skip};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// A bare repository with a Python project in it, at a `file://` URL, made by the `git` program
/// with a fixed author and time: the same content has the same commit.
pub struct GitRepository {
    directory: TempDir,
    git: PathBuf,
}

impl GitRepository {
    /// A repository whose branch `main` has a project, in a directory of it where that is named;
    /// `None` (and a printed reason) where there is no git.
    pub fn with_project(project: &ProjectSpec<'_>, subdirectory: Option<&str>) -> Option<Self> {
        let Some(git) = program("git") else {
            skip("git", "git is not installed");
            return None;
        };
        let directory = or_skip("git", TempDir::with_prefix("repository"))?;
        let repository = GitRepository { directory, git };
        or_skip("git", repository.create(project, subdirectory))?;
        Some(repository)
    }

    fn create(&self, project: &ProjectSpec<'_>, subdirectory: Option<&str>) -> io::Result<()> {
        let bare = self.bare();
        std::fs::create_dir_all(self.work())?;
        std::fs::create_dir_all(&bare)?;
        run(self.git(&bare).args(["init", "--quiet", "--bare", "--initial-branch=main"]))?;
        // As forges do: a commit can be fetched by its hash.
        run(self.git(&bare).args(["config", "uploadpack.allowAnySHA1InWant", "true"]))?;
        run(self.git(&self.work()).args(["init", "--quiet", "--initial-branch=main"]))?;
        project.write_to(&self.work().join(subdirectory.unwrap_or(".")))?;
        self.record("first")
    }

    /// Writes files to the branch `main`; the new commit.
    ///
    /// # Panics
    ///
    /// Where git fails.
    pub fn commit(&self, files: &[(&str, &str)]) -> String {
        for (path, content) in files {
            let file = self.work().join(path);
            std::fs::create_dir_all(file.parent().unwrap_or(Path::new("/"))).expect("a directory");
            std::fs::write(file, content).expect("a file");
        }
        self.record("next").expect("a commit");
        self.head()
    }

    /// Names the newest commit.
    ///
    /// # Panics
    ///
    /// Where git fails.
    pub fn tag(&self, name: &str) {
        run(self.git(&self.bare()).args(["tag", name, "main"])).expect("a tag");
        run(self.git(&self.bare()).arg("update-server-info")).expect("a list of what is there");
    }

    /// The newest commit.
    ///
    /// # Panics
    ///
    /// Where git fails.
    pub fn head(&self) -> String {
        run(self.git(&self.bare()).args(["rev-parse", "main"])).expect("a commit")
    }

    /// Where it is: `file:///…/project.git`.
    pub fn url(&self) -> String {
        format!("file://{}", self.bare().display())
    }

    /// The repository on a loopback port, for everybody or for one user with a password.
    pub fn serve(&self, known: Option<(&str, &str)>) -> GitServer {
        GitServer::start(self.directory.path().to_owned(), known)
    }

    /// Puts a commit of another repository into this one as a submodule; the new commit.
    ///
    /// # Panics
    ///
    /// Where git fails.
    pub fn add_submodule(&self, path: &str, url: &str, commit: &str) -> String {
        let module = format!("[submodule \"{path}\"]\n\tpath = {path}\n\turl = {url}\n");
        let file = self.work().join(".gitmodules");
        let before = std::fs::read_to_string(&file).unwrap_or_default();
        std::fs::write(&file, before + &module).expect("a file");
        let entry = format!("160000,{commit},{path}");
        let mut add = self.git(&self.work());
        run(add.args(["update-index", "--add", "--cacheinfo", &entry])).expect("an entry");
        run(self.git(&self.work()).args(["add", ".gitmodules"])).expect("an entry");
        self.push("a submodule").expect("a commit");
        self.head()
    }

    fn record(&self, message: &str) -> io::Result<()> {
        run(self.git(&self.work()).args(["add", "--all"]))?;
        self.push(message)
    }

    fn push(&self, message: &str) -> io::Result<()> {
        run(self.git(&self.work()).args(["commit", "--quiet", "--allow-empty", "-m", message]))?;
        run(self.git(&self.work()).arg("push").arg("--quiet").arg(self.bare()).arg("main"))?;
        run(self.git(&self.bare()).arg("update-server-info"))?;
        Ok(())
    }

    fn bare(&self) -> PathBuf {
        self.directory.path().join("project.git")
    }

    fn work(&self) -> PathBuf {
        self.directory.path().join("work")
    }

    fn git(&self, directory: &Path) -> Command {
        let mut command = Command::new(&self.git);
        command.current_dir(directory);
        for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"] {
            command.env_remove(name);
        }
        command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_SYSTEM", "/dev/null");
        for role in ["AUTHOR", "COMMITTER"] {
            command.env(format!("GIT_{role}_NAME"), "Test");
            command.env(format!("GIT_{role}_EMAIL"), "test@example.org");
            command.env(format!("GIT_{role}_DATE"), "2024-01-01T00:00:00Z");
        }
        command
    }
}

fn run(command: &mut Command) -> io::Result<String> {
    let output = command.output()?;
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(io::Error::other(format!("{command:?}: {stderr}")));
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
