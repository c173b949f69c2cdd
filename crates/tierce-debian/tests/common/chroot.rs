//! A root layer unpacked by GNU tar and configured with chroot: what a sandbox does, with the
//! plainest of tools.

use super::run;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tierce_debian::{ConfigurePlan, NONDETERMINISTIC_PATHS};
use tierce_oci::Digest;

pub struct Root {
    directory: tempfile::TempDir,
    mounted: bool,
}

impl Root {
    /// Unpacks a layer. `None`, with a reason printed, where that takes rights that this process
    /// does not have.
    pub fn unpack(layer: &Path) -> Option<Self> {
        let uid = run(Command::new("id").arg("-u")).stdout;
        if uid != b"0\n" {
            eprintln!("skipped: only root can chroot");
            return None;
        }
        let directory = tempfile::tempdir().unwrap();
        let root = Root { directory, mounted: false };
        run(Command::new("tar")
            .arg("-xpf")
            .arg(layer)
            .args(["--numeric-owner", "-C"])
            .arg(root.path()));
        for (name, minor) in [("null", "3"), ("zero", "5"), ("random", "8"), ("urandom", "9")] {
            let node = root.path().join("dev").join(name);
            let made = Command::new("mknod")
                .args(["-m", "666"])
                .arg(node)
                .args(["c", "1", minor])
                .output();
            if !made.is_ok_and(|output| output.status.success()) {
                eprintln!("skipped: device nodes cannot be made here");
                return None;
            }
        }
        let mut root = root;
        let proc = root.path().join("proc");
        let mount = Command::new("mount").args(["-t", "proc", "proc"]).arg(proc).output();
        root.mounted = mount.is_ok_and(|output| output.status.success());
        if !root.mounted {
            eprintln!("skipped: /proc cannot be mounted here");
            return None;
        }
        Some(root)
    }

    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    pub fn configure(&self, plan: &ConfigurePlan) {
        for step in &plan.steps {
            run(&mut self.command(plan, &step.argv));
        }
    }

    /// Runs a program inside; it must succeed.
    pub fn run(&self, plan: &ConfigurePlan, argv: &[&str]) -> String {
        let argv: Vec<String> = argv.iter().map(|s| (*s).to_owned()).collect();
        let Output { stdout, stderr, .. } = run(&mut self.command(plan, &argv));
        String::from_utf8_lossy(&stdout).into_owned() + &String::from_utf8_lossy(&stderr)
    }

    fn command(&self, plan: &ConfigurePlan, argv: &[String]) -> Command {
        let mut command = Command::new("chroot");
        command.arg(self.path()).args(argv).env_clear().envs(plan.env.iter().cloned());
        command
    }

    /// Every path with all that a layer would say of it but times, without what is known to
    /// differ.
    pub fn snapshot(&self) -> BTreeMap<PathBuf, String> {
        let mut found = BTreeMap::new();
        let mut pending = vec![PathBuf::new()];
        while let Some(directory) = pending.pop() {
            for entry in fs::read_dir(self.path().join(&directory)).unwrap() {
                let path = directory.join(entry.unwrap().file_name());
                if path == Path::new("proc") || path == Path::new("dev") || is_left_out(&path) {
                    continue;
                }
                let full = self.path().join(&path);
                let metadata = fs::symlink_metadata(&full).unwrap();
                let content = if metadata.is_dir() {
                    pending.push(path.clone());
                    "directory".to_owned()
                } else if metadata.is_symlink() {
                    fs::read_link(&full).unwrap().display().to_string()
                } else {
                    Digest::of(fs::read(&full).unwrap()).to_string()
                };
                let (mode, uid, gid) = (metadata.mode(), metadata.uid(), metadata.gid());
                found.insert(path, format!("{mode:o} {uid}:{gid} {content}"));
            }
        }
        found
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        if self.mounted {
            let _ = Command::new("umount").arg(self.path().join("proc")).output();
        }
    }
}

fn is_left_out(path: &Path) -> bool {
    NONDETERMINISTIC_PATHS.iter().any(|pattern| {
        let pattern = Path::new(pattern);
        pattern.components().count() == path.components().count()
            && pattern.iter().zip(path).all(|(pattern, name)| fits(pattern, name))
    })
}

fn fits(pattern: &OsStr, name: &OsStr) -> bool {
    let (pattern, name) = (pattern.to_string_lossy(), name.to_string_lossy());
    match pattern.split_once('*') {
        Some((start, end)) => {
            name.len() >= start.len() + end.len() && name.starts_with(start) && name.ends_with(end)
        }
        None => pattern == name,
    }
}
