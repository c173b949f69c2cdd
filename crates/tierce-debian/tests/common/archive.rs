//! Archives of one's own: packages built by dpkg-deb, releases signed by GnuPG.

use super::{has, run, write};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};
use tierce_debian::{Architecture, ArchiveSettings, Keyring, Pocket};
use tierce_oci::{Digest, Platform};
use url::Url;

/// When the tests' releases are made.
pub fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_783_764_997)
}

pub const DATE: &str = "Sat, 11 Jul 2026 10:16:37 UTC";

/// A GnuPG home of one's own. Its clock stands at [`now`].
pub struct Gpg {
    home: tempfile::TempDir,
}

impl Gpg {
    /// `None`, with a reason printed, where there is no gpg.
    pub fn new() -> Option<Self> {
        if !has("gpg") {
            return None;
        }
        let home = tempfile::Builder::new().prefix("gpg").tempdir_in("/tmp").unwrap();
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(home.path(), fs::Permissions::from_mode(0o700)).unwrap();
        Some(Gpg { home })
    }

    fn command(&self) -> Command {
        let mut command = Command::new("gpg");
        command.args(["--batch", "--quiet", "--no-tty", "--passphrase", "", "--pinentry-mode"]);
        command.args(["loopback", "--faked-system-time", "1783764997!", "--homedir"]);
        command.arg(self.home.path());
        command
    }

    /// Makes a signing key that is valid for this long (`1y`, `never`).
    pub fn key(&self, name: &str, algorithm: &str, expires: &str) {
        run(self.command().args(["--quick-generate-key", name, algorithm, "sign", expires]));
    }

    /// Adds a signing subkey, as Debian's archive keys have.
    pub fn subkey(&self, name: &str, algorithm: &str, expires: &str) {
        let list = run(self.command().args(["--with-colons", "--list-keys", name])).stdout;
        let list = String::from_utf8(list).unwrap();
        let fingerprint = list.lines().find_map(|l| l.strip_prefix("fpr:::::::::")).unwrap();
        let fingerprint = fingerprint.trim_end_matches(':');
        run(self.command().args(["--quick-add-key", fingerprint, algorithm, "sign", expires]));
    }

    pub fn export(&self, name: &str, options: &[&str]) -> Vec<u8> {
        run(self.command().args(options).args(["--export", name])).stdout
    }

    pub fn keyring(&self, name: &str) -> Keyring {
        Keyring::parse(&self.export(name, &[])).unwrap()
    }

    /// Signs with all of these keys.
    pub fn sign(&self, text: &str, how: &[&str], names: &[&str]) -> Vec<u8> {
        let mut command = self.command();
        command.arg("--armor").args(how);
        for name in names {
            command.args(["--local-user", name]);
        }
        let input = self.home.path().join("input");
        write(&input, text);
        run(command.stdin(Stdio::from(fs::File::open(&input).unwrap()))).stdout
    }

    pub fn clearsign(&self, text: &str, names: &[&str]) -> Vec<u8> {
        self.sign(text, &["--clearsign"], names)
    }
}

impl Drop for Gpg {
    fn drop(&mut self) {
        let mut command = Command::new("gpgconf");
        let _ = command.arg("--homedir").arg(self.home.path()).args(["--kill", "all"]).output();
    }
}

/// A package to build.
#[derive(Clone, Default)]
pub struct Source<'a> {
    pub name: &'a str,
    pub version: &'a str,
    /// Lines of `control` besides the ones that must be there.
    pub fields: &'a str,
    /// Paths and contents; `-> target` makes a symbolic link, a path ending in `/` a directory.
    pub files: &'a [(&'a str, &'a str)],
    pub control: &'a [(&'a str, &'a str)],
    /// Options for dpkg-deb.
    pub options: &'a [&'a str],
}

/// Builds a package; the path to it.
pub fn build(source: &Source<'_>, directory: &Path) -> PathBuf {
    let tree = directory.join(format!("{}.tree", source.name));
    let control = format!(
        "Package: {}\nVersion: {}\nArchitecture: all\nMaintainer: T <t@example.org>\n{}\
         Description: a test\n",
        source.name, source.version, source.fields
    );
    write(&tree.join("DEBIAN/control"), control);
    for (name, content) in source.control {
        write(&tree.join("DEBIAN").join(name), content);
        if !matches!(*name, "conffiles" | "md5sums" | "triggers") {
            run(Command::new("chmod").arg("755").arg(tree.join("DEBIAN").join(name)));
        }
    }
    for (path, content) in source.files {
        let place = tree.join(path);
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        if path.ends_with('/') {
            fs::create_dir_all(&place).unwrap();
        } else if let Some(target) = content.strip_prefix("-> ") {
            std::os::unix::fs::symlink(target, &place).unwrap();
        } else if let Some(target) = content.strip_prefix("= ") {
            fs::hard_link(tree.join(target), &place).unwrap();
        } else {
            write(&place, content);
        }
    }
    run(Command::new("chmod").args(["-R", "u=rwX,go=rX"]).arg(&tree));
    let deb = directory.join(format!("{}_{}.deb", source.name, source.version));
    let mut command = Command::new("dpkg-deb");
    command.env("SOURCE_DATE_EPOCH", "1700000000").args(source.options);
    run(command.args(["--root-owner-group", "--build"]).arg(&tree).arg(&deb));
    deb
}

/// An archive with one suite, `test`, on disk.
pub struct LocalArchive {
    pub directory: tempfile::TempDir,
    pub gpg: Gpg,
    /// Further lines of the release file.
    pub release_fields: String,
}

pub const KEY: &str = "archive@example.org";

impl LocalArchive {
    /// `None`, with a reason printed, where the tools are missing.
    pub fn new() -> Option<Self> {
        if !has("dpkg-deb") || !has("xz") {
            return None;
        }
        let gpg = Gpg::new()?;
        gpg.key(KEY, "ed25519", "1y");
        let directory = tempfile::tempdir().unwrap();
        Some(LocalArchive { directory, gpg, release_fields: String::new() })
    }

    pub fn add(&self, source: &Source<'_>) -> PathBuf {
        let pool = self.directory.path().join("pool");
        fs::create_dir_all(&pool).unwrap();
        build(source, &pool)
    }

    pub fn dists(&self) -> PathBuf {
        self.directory.path().join("dists/test")
    }

    /// Writes Packages and a signed release file over all that is in the pool.
    pub fn publish(&self) {
        let mut packages = String::new();
        let mut debs: Vec<PathBuf> = fs::read_dir(self.directory.path().join("pool"))
            .into_iter()
            .flatten()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|e| e == "deb"))
            .collect();
        debs.sort();
        for deb in debs {
            let control = run(Command::new("dpkg-deb").arg("--field").arg(&deb)).stdout;
            let bytes = fs::read(&deb).unwrap();
            packages += &String::from_utf8(control).unwrap();
            packages += &format!(
                "Filename: pool/{}\nSize: {}\nSHA256: {}\n\n",
                deb.file_name().unwrap().to_string_lossy(),
                bytes.len(),
                Digest::of(&bytes).hex()
            );
        }
        let index = self.dists().join("main/binary-amd64/Packages");
        write(&index, &packages);
        run(Command::new("xz").args(["--keep", "--force"]).arg(&index));
        self.sign_release();
    }

    pub fn release(&self) -> String {
        let mut text = format!(
            "Origin: Test\nSuite: test\nCodename: test\nDate: {DATE}\nArchitectures: amd64\n\
             Components: main\n{}SHA256:\n",
            self.release_fields
        );
        for name in ["main/binary-amd64/Packages", "main/binary-amd64/Packages.xz"] {
            let bytes = fs::read(self.dists().join(name)).unwrap();
            text += &format!(" {} {:>8} {name}\n", Digest::of(&bytes).hex(), bytes.len());
        }
        text
    }

    pub fn sign_release(&self) {
        write(&self.dists().join("InRelease"), self.gpg.clearsign(&self.release(), &[KEY]));
    }

    pub fn settings(&self) -> ArchiveSettings {
        let mirror = Url::from_directory_path(self.directory.path()).unwrap();
        ArchiveSettings {
            suite: "test".to_owned(),
            security_mirror: mirror.clone(),
            mirror,
            pockets: vec![Pocket::Release],
            components: vec!["main".to_owned()],
            architecture: Architecture::of(&Platform::linux("amd64")).unwrap(),
            keyring: self.gpg.keyring(KEY),
        }
    }
}
