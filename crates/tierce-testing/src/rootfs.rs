//! The smallest base that has a shell: nothing is pulled from anywhere.

use crate::program;
use std::io;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

/// Fills `root` with a root file system made of the machine's static busybox, every applet a
/// symbolic link; `false` (and a printed reason) where there is no busybox.
pub fn busybox_rootfs(root: &Path) -> io::Result<bool> {
    let Some(busybox) = program("busybox") else {
        crate::skip("busybox", "busybox-static is not installed");
        return Ok(false);
    };
    for directory in ["bin", "etc", "tmp", "root", "usr/bin", "usr/local/bin", "var/tmp"] {
        std::fs::create_dir_all(root.join(directory))?;
    }
    std::fs::copy(&busybox, root.join("bin/busybox"))?;
    let applets = Command::new(&busybox).arg("--list").output()?;
    for applet in String::from_utf8_lossy(&applets.stdout).lines() {
        if applet != "busybox" {
            symlink("busybox", root.join("bin").join(applet))?;
        }
    }
    std::fs::write(root.join("etc/passwd"), "root:x:0:0:root:/root:/bin/sh\n")?;
    std::fs::write(root.join("etc/group"), "root:x:0:\n")?;
    Ok(true)
}

/// [`busybox_rootfs`] as an uncompressed tar file, for `docker import` and `podman import`.
pub fn busybox_tar(file: &Path) -> io::Result<bool> {
    let root = tempfile::tempdir()?;
    if !busybox_rootfs(root.path())? {
        return Ok(false);
    }
    let status = Command::new("tar")
        .arg("-C")
        .arg(root.path())
        .args(["--sort=name", "--owner=0", "--group=0", "--mtime=@315532800", "-cf"])
        .arg(file)
        .arg(".")
        .status()?;
    Ok(status.success())
}
