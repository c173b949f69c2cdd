//! A root file system made of busybox, and runs of one scenario with every mapping.
#![allow(dead_code)]

use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};
use tierce_layer::{Compression, Entry, EntryKind, LayerInfo, LayerPath, LayerReader, LayerWriter};
use tierce_sandbox::{
    Cancel, DiffOptions, Exit, Helper, IdMapping, Process, Sandbox, SecretFile, SecretVariable,
    Stream,
};

pub fn helper() -> Helper {
    Helper::new(env!("CARGO_BIN_EXE_tierce-sandbox-helper"))
}

pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// The mapping that this user can have without any preparation.
pub fn sandbox() -> Sandbox {
    let mapping = if is_root() { IdMapping::Root } else { IdMapping::Single };
    Sandbox::with_mapping(helper(), mapping)
}

/// Every mapping that can be had as the current user.
pub fn sandboxes() -> Vec<Sandbox> {
    let root = is_root().then_some(IdMapping::Root);
    let subordinate = IdMapping::subordinate().ok().filter(|_| !is_root());
    let mappings = root.into_iter().chain(subordinate).chain([IdMapping::Single]);
    mappings.map(|mapping| Sandbox::with_mapping(helper(), mapping)).collect()
}

pub fn path(path: &str) -> LayerPath {
    LayerPath::new(path).unwrap()
}

/// The statically linked busybox of the host.
pub fn busybox() -> Option<PathBuf> {
    let found = ["/bin/busybox", "/usr/bin/busybox"].map(PathBuf::from);
    let found = found.into_iter().find(|path| path.exists());
    if found.is_none() {
        eprintln!("skipped: no busybox on this machine (apt-get install busybox-static)");
    }
    found
}

/// Writes a layer. Entries with names of whiteouts become such.
pub fn write_layer(to: &Path, entries: &[(Entry, &[u8])]) -> LayerInfo {
    let mut writer = LayerWriter::new(File::create(to).unwrap(), Compression::Gzip);
    for (entry, content) in entries {
        match entry.path.whiteout().unwrap() {
            Some(whiteout) => writer.whiteout(&whiteout).unwrap(),
            None => writer.append(entry, *content).unwrap(),
        }
    }
    writer.finish().unwrap().1
}

/// A tar as a hostile author would write it: entries of GNU-free ustar, unchecked.
pub struct RawTar(Vec<u8>);

impl RawTar {
    pub fn new() -> Self {
        RawTar(Vec::new())
    }

    pub fn add(mut self, name: &str, flag: u8, link: &str, content: &[u8]) -> Self {
        let mut header = [0u8; 512];
        header[..name.len()].copy_from_slice(name.as_bytes());
        header[100..108].copy_from_slice(b"0000755\0");
        header[108..116].copy_from_slice(b"0000000\0");
        header[116..124].copy_from_slice(b"0000000\0");
        header[124..136].copy_from_slice(format!("{:011o}\0", content.len()).as_bytes());
        header[136..148].copy_from_slice(b"00000000000\0");
        header[148..156].copy_from_slice(b"        ");
        header[156] = flag;
        header[157..157 + link.len()].copy_from_slice(link.as_bytes());
        header[257..265].copy_from_slice(b"ustar\x0000");
        let sum: u32 = header.iter().map(|&b| u32::from(b)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        self.0.extend_from_slice(&header);
        self.0.extend_from_slice(content);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    pub fn write(mut self, to: &Path) {
        self.0.resize(self.0.len() + 1024, 0);
        fs::write(to, self.0).unwrap();
    }
}

/// A base layer with busybox, users, and usual directories.
pub fn base_layer(to: &Path, busybox: &Path) {
    let program = fs::read(busybox).unwrap();
    let mut writer = LayerWriter::new(File::create(to).unwrap(), Compression::Gzip);
    let mut add = |entry: Entry, content: &[u8]| writer.append(&entry, content).unwrap();
    let directories = [
        ("bin", 0o755),
        ("dev", 0o755),
        ("etc", 0o755),
        ("home", 0o755),
        ("proc", 0o555),
        ("root", 0o700),
        ("sys", 0o555),
        ("tmp", 0o1777),
        ("usr", 0o755),
        ("usr/bin", 0o755),
        ("usr/share", 0o755),
        ("usr/share/old", 0o755),
        ("var", 0o755),
        ("var/mail", 0o2775),
    ];
    add(Entry::directory(LayerPath::ROOT), b"");
    for (name, mode) in directories {
        let owner = if name == "var/mail" { (0, 8) } else { (0, 0) };
        let entry = Entry::directory(path(name)).with_mode(mode).with_owner(owner.0, owner.1);
        add(entry, b"");
    }
    add(Entry::file(path("bin/busybox"), program.len() as u64).with_mode(0o755), &program);
    let list = Command::new(busybox).arg("--list").output().unwrap();
    for applet in String::from_utf8(list.stdout).unwrap().lines() {
        if applet != "busybox" {
            add(Entry::symlink(path(&format!("bin/{applet}")), "busybox"), b"");
        }
    }
    let passwd = b"root:x:0:0:root:/root:/bin/sh\napp:x:1000:1001::/home:/bin/sh\n";
    let group = b"root:x:0:\nmail:x:8:\nvideo:x:44:app\napp:x:1001:\n";
    for (name, content) in [("etc/passwd", passwd.as_slice()), ("etc/group", group.as_slice())] {
        add(Entry::file(path(name), content.len() as u64), content);
    }
    for name in ["a", "b", "c"] {
        let entry = Entry::file(path(&format!("usr/share/old/{name}")), 2);
        add(entry.with_owner(1000, 1001), b"x\n");
    }
    let link = Entry::symlink(path("usr/share/link"), "old/a").with_owner(1000, 1001);
    add(link, b"");
    add(Entry::hard_link(path("usr/share/hard"), path("usr/share/old/c")), b"");
    writer.finish().unwrap();
}

pub fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64
}

/// What a run gives.
#[derive(Debug)]
pub struct Outcome {
    pub exit: Exit,
    pub stdout: String,
    pub stderr: String,
}

/// Runs a process and collects its output.
pub fn run(sandbox: &Sandbox, process: &Process) -> Outcome {
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    let mut output = |stream: Stream, bytes: &[u8]| match stream {
        Stream::Stdout => stdout.extend_from_slice(bytes),
        Stream::Stderr => stderr.extend_from_slice(bytes),
    };
    let exit = sandbox
        .run(process, &mut output, &Cancel::new())
        .unwrap_or_else(|error| panic!("{}", chain(&error)));
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Outcome { exit, stdout: text(stdout), stderr: text(stderr) }
}

/// An error with its causes.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text += &format!(": {cause}");
        next = cause.source();
    }
    text
}

pub fn shell(lowers: &[PathBuf], scratch: PathBuf, script: &str) -> Process {
    let argv = ["/bin/sh", "-euc", script].map(str::to_owned).to_vec();
    Process::new(lowers.to_vec(), scratch, argv)
}

/// A base, unpacked.
pub struct Base {
    pub sandbox: Sandbox,
    pub dir: PathBuf,
    pub lowers: Vec<PathBuf>,
}

impl Base {
    /// `None`, with a word on why, where it can't be had.
    pub fn new(sandbox: Sandbox, dir: &Path) -> Option<Self> {
        let busybox = busybox()?;
        let (blob, base) = (dir.join("base.tar.gz"), dir.join("base"));
        base_layer(&blob, &busybox);
        sandbox.unpack(&blob, &base).unwrap_or_else(|error| panic!("{}", chain(&error)));
        Some(Base { sandbox, dir: dir.to_owned(), lowers: vec![base] })
    }

    pub fn shell(&self, script: &str) -> Process {
        shell(&self.lowers, self.dir.join("scratch"), script)
    }

    pub fn run(&self, script: &str) -> Outcome {
        run(&self.sandbox, &self.shell(script))
    }

    /// Runs a script that must succeed, and gives its layer's entries as lines.
    pub fn layer_of(&self, script: &str) -> (Option<LayerInfo>, Vec<String>) {
        self.layer_of_process(&self.shell(script))
    }

    /// The same for any process.
    pub fn layer_of_process(&self, process: &Process) -> (Option<LayerInfo>, Vec<String>) {
        let started = now();
        let outcome = run(&self.sandbox, process);
        let (script, Outcome { exit, stdout, stderr }) = (&process.argv, outcome);
        assert_eq!(exit, Exit::Code(0), "{script:?}: {stdout}{stderr}");
        self.diff(&DiffOptions::new(self.lowers.clone(), started))
    }

    pub fn diff(&self, options: &DiffOptions) -> (Option<LayerInfo>, Vec<String>) {
        let blob = self.dir.join("layer.tar.gz");
        let scratch = self.dir.join("scratch");
        let info = self
            .sandbox
            .diff(&scratch, options, File::create(&blob).unwrap())
            .unwrap_or_else(|error| panic!("{}", chain(&error)));
        let lines = if info.is_some() { list(&blob) } else { Vec::new() };
        self.sandbox.remove(&scratch).unwrap();
        (info, lines)
    }
}

impl Drop for Base {
    fn drop(&mut self) {
        for name in ["scratch", "base"] {
            let _ = self.sandbox.remove(&self.dir.join(name));
        }
    }
}

/// A layer's entries, one line each.
pub fn list(blob: &Path) -> Vec<String> {
    let mut reader = LayerReader::new(File::open(blob).unwrap()).unwrap();
    let mut lines = Vec::new();
    while let Some((entry, mut content)) = reader.next_entry().unwrap() {
        let mut body = Vec::new();
        io::Read::read_to_end(&mut content, &mut body).unwrap();
        let kind = match &entry.kind {
            EntryKind::File { .. } => format!("file {:?}", String::from_utf8_lossy(&body)),
            EntryKind::Directory => "dir".to_owned(),
            EntryKind::Symlink { target } => {
                format!("link {}", String::from_utf8_lossy(target))
            }
            EntryKind::HardLink { target } => format!("hard {target}"),
            other => format!("{other:?}"),
        };
        let xattrs: Vec<&String> = entry.xattrs.keys().collect();
        let xattrs = if xattrs.is_empty() { String::new() } else { format!(" {xattrs:?}") };
        lines.push(format!(
            "{} {:o} {}:{} @{} {kind}{xattrs}",
            entry.path, entry.mode, entry.uid, entry.gid, entry.mtime
        ));
    }
    lines
}

/// A script whose layer is to be the same with every mapping.
#[derive(Debug, Serialize, Deserialize)]
pub struct Scenario {
    pub script: String,
    pub single: bool,
    /// Whether it is given some.
    pub secrets: bool,
}

/// What became of it: the layer's digest and its entries.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layer {
    pub digest: Option<String>,
    pub lines: Vec<String>,
}

/// Makes the layers of scenarios, as the current user.
pub fn play(scenarios: &[Scenario], sandbox: Sandbox) -> Vec<Layer> {
    let dir = tempfile::tempdir().unwrap();
    let base = Base::new(sandbox, dir.path()).unwrap();
    let play = |scenario: &Scenario| {
        let mut process = base.shell(&scenario.script);
        if scenario.secrets {
            process.secret_files = ["/run/secrets/token", "/etc/group"]
                .map(|target| SecretFile::new(target, b"s3cret\n"))
                .into();
            process.env.push(("TOKEN".into(), "of the image".into()));
            process.secret_env = vec![SecretVariable::new("TOKEN", b"s3cret")];
        }
        let (info, lines) = base.layer_of_process(&process);
        Layer { digest: info.map(|info| info.descriptor.digest.to_string()), lines }
    };
    scenarios.iter().map(play).collect()
}

/// Where the driver finds what it is given.
pub const SCENARIOS: &str = "TIERCE_TEST_SCENARIOS";

/// The other side of [`as_user`]: what it was given, and where the answer goes.
pub fn given<T: serde::de::DeserializeOwned, R: Serialize>(work: impl FnOnce(T) -> R) {
    let Some(file) = std::env::var_os(SCENARIOS) else { return };
    let answer = work(serde_json::from_slice(&fs::read(&file).unwrap()).unwrap());
    let mut out = File::create(Path::new(&file).with_extension("out")).unwrap();
    out.write_all(&serde_json::to_vec(&answer).unwrap()).unwrap();
}

/// The mapping for an ordinary user.
pub fn ordinary_mapping(single: bool) -> IdMapping {
    match single {
        true => IdMapping::Single,
        false => IdMapping::subordinate().unwrap(),
    }
}

/// An ordinary user of this machine, made if need be; `None`, with a word on why, if there can't
/// be one.
pub fn ordinary_user(name: &str, subordinate: bool) -> Option<u32> {
    if !is_root() {
        eprintln!("skipped: making users needs root");
        return None;
    }
    let made = Command::new("useradd").args(["--create-home", name]).output();
    if made.is_err() {
        eprintln!("skipped: no useradd on this machine");
        return None;
    }
    for file in ["/etc/subuid", "/etc/subgid"] {
        let text = fs::read_to_string(file).unwrap_or_default();
        let mut lines: Vec<&str> =
            text.lines().filter(|line| !line.starts_with(&format!("{name}:"))).collect();
        let own = format!("{name}:500000000:65536");
        if subordinate {
            lines.push(&own);
        }
        let new = lines.join("\n") + "\n";
        if new != text {
            fs::write(file, new).unwrap();
        }
    }
    let id = Command::new("id").args(["-u", name]).output().ok()?;
    String::from_utf8(id.stdout).ok()?.trim().parse().ok()
}

/// Runs the test `driver` of this test program as another user, with something given.
pub fn as_user<R: serde::de::DeserializeOwned>(user: &str, uid: u32, given: &impl Serialize) -> R {
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let home = dir.path().join("home");
    fs::create_dir(&home).unwrap();
    let file = home.join("scenarios");
    fs::write(&file, serde_json::to_vec(given).unwrap()).unwrap();
    std::os::unix::fs::chown(&home, Some(uid), Some(uid)).unwrap();
    let id = uid.to_string();
    let output = Command::new("setpriv")
        .args(["--reuid", &id, "--regid", &id, "--init-groups"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "driver", "--nocapture", "--ignored"])
        .env(SCENARIOS, &file)
        .env("TMPDIR", &home)
        .env("USER", user)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "as {user}: {text}");
    serde_json::from_slice(&fs::read(file.with_extension("out")).unwrap()).unwrap()
}
