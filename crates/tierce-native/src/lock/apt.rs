//! `apt` steps of a locked image: found out by the base's own apt, and installed by it from files
//! that tierce fetched, without the network.

use super::LockedError;
use super::base::missing;
use super::debs::{LockedDebs, name};
use crate::apt;
use crate::context::Context;
use crate::error::NativeError;
use crate::key::{KeyEncoder, LayerKey};
use crate::layer::{Layer, LayerOutcome, Stack};
use crate::plan::Node;
use crate::planner::{Planner, environment};
use crate::work::{Execution, Work};
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use tierce_debian::{Paragraph, read_deb_control, release_date, snapshot_date};
use tierce_engine::{Outcome, StepHandle, StepKind};
use tierce_lock::{LockedApt, LockedDeb};
use tierce_oci::{Digest, hide_credentials};
use tierce_sandbox::Mount;
use tierce_spec::{Apt, Network, Step};
use url::Url;

/// Where files for apt are while it runs.
const PLACE: &str = "/run/tierce/apt";

/// What apt prints is not longer than this, in bytes.
const LONGEST: u64 = 16 << 20;

/// apt's own program with the settings of every run, for when it only looks.
const LOOK: [&str; 2] = [
    "Acquire::ForceHash=SHA256",
    // Nothing is there, so that nothing is left out of what it prints.
    "Dir::Cache::archives=/run/tierce/apt/archives",
];

/// An apt step of which every file is known.
#[derive(Clone, Debug)]
pub struct LockedInstall {
    /// What is run.
    pub execution: Execution,
    /// What it installs.
    pub debs: LockedDebs,
}

impl LockedInstall {
    /// A step that installs `packages` from `debs`.
    fn new(step: &Apt, locked: LockedApt, env: Vec<(String, String)>, stack: &Stack) -> Self {
        let packages: Vec<String> =
            step.packages.iter().map(|package| exact(package, &locked.debs)).collect();
        let unlocked = apt::execution(&packages, &step.secrets, env, stack);
        let here = [
            format!("Dir::Etc::sourcelist={PLACE}/sources.list"),
            "Dir::Etc::sourceparts=/dev/null".to_owned(),
            format!("Dir::State::lists={PLACE}/lists"),
            format!("Dir::Cache::archives={PLACE}/archives"),
        ];
        let commands = unlocked.commands.into_iter().map(|argv| with_options(argv, &here));
        let execution = Execution {
            commands: commands.collect(),
            network: Network::None,
            caches: vec![],
            ..unlocked
        };
        let LockedApt { packages: _, snapshot, debs } = locked;
        LockedInstall { execution, debs: LockedDebs { debs, snapshot } }
    }

    fn key(&self, stack: &Stack) -> LayerKey {
        let execution = apt::execution_key("apt-locked", &self.execution, stack);
        KeyEncoder::new("apt-locked")
            .digest("execution", &execution.0)
            .list("debs", self.debs.key_parts())
            .finish()
    }
}

/// `apt-get` with further options, after those that it has.
fn with_options(mut argv: Vec<String>, options: &[String]) -> Vec<String> {
    let all = options.iter().flat_map(|option| ["-o".to_owned(), option.clone()]);
    let verb = argv.iter().position(|arg| arg == "update" || arg == "install");
    let at = verb.unwrap_or(argv.len());
    argv.splice(at..at, all);
    argv
}

/// What is asked for, as a repository of only the locked files knows it: it has no releases.
fn exact(package: &str, debs: &[LockedDeb]) -> String {
    let Some((name, _release)) = package.split_once('/') else { return package.to_owned() };
    let bare = name.split(':').next().unwrap_or(name);
    match debs.iter().find(|deb| deb.name == bare) {
        Some(deb) => format!("{name}={}", deb.version),
        None => name.to_owned(),
    }
}

impl Planner<'_> {
    /// Plans an apt step from what a lock says, or from what is found out for one.
    pub async fn locked_apt(&mut self, index: usize, step: &Apt) -> Result<(), NativeError> {
        let context = self.context;
        let Some(ledger) = context.locking.ledger() else { return Ok(()) };
        let title = format!("apt {}", step.packages.join(" "));
        let platform = self.builder.platform().clone();
        context.require_execution(&platform, &title)?;
        let is_apt = |step: &Step| matches!(step, Step::Apt(apt) if !apt.packages.is_empty());
        let earlier = self.gathered.resolved.steps().take(index);
        let number = earlier.filter(|earlier| is_apt(earlier.step)).count();
        let env = environment(self.builder.config());
        let locked = match ledger.apt(&platform, number, &step.packages) {
            Some(locked) => locked,
            None if ledger.is_locked() => return Err(missing(&title, &platform).into()),
            None => {
                let below = self.make_below().await?;
                let handle = self.events.step(StepKind::Resolve, format!("resolve {title}"));
                let stack = self.builder.stack();
                let execution = apt::execution(&step.packages, &step.secrets, env.clone(), &stack);
                let locked = context.look_at_apt(step, execution, &below, &handle).await?;
                handle.finish(Outcome::Made, format!("{} packages", locked.debs.len()));
                locked
            }
        };
        ledger.record_apt(&platform, number, locked.clone());
        let stack = self.builder.stack();
        let install = LockedInstall::new(step, locked, env, &stack);
        let key = install.key(&stack);
        let created_by = title;
        let title = hide_credentials(&created_by);
        let work = Work::LockedApt(Arc::new(install));
        self.builder.layer(Node { key, title, created_by, work });
        Ok(())
    }
}

impl Context {
    /// Asks the image's own apt what it would install.
    async fn look_at_apt(
        &self,
        step: &Apt,
        execution: Execution,
        below: &[Layer],
        handle: &StepHandle,
    ) -> Result<LockedApt, NativeError> {
        let host = self.store.scratch_dir("apt-lock")?;
        let out = host.path().join("out");
        for folder in ["out", "out/archives/partial"] {
            let folder = host.path().join(folder);
            std::fs::create_dir_all(&folder).map_err(NativeError::io(&folder))?;
        }
        let options: Vec<String> = LOOK.iter().map(|option| (*option).to_owned()).collect();
        let mut commands = execution.commands.clone();
        if let Some(install) = commands.pop() {
            let mut install = with_options(install, &options);
            let verb = install.iter().position(|arg| arg == "install").unwrap_or(install.len());
            install.insert(verb, "--print-uris".to_owned());
            let script = format!("exec \"$@\" > {PLACE}/uris");
            let shell = ["/bin/sh", "-c", &script, "sh"].map(str::to_owned);
            commands.push(shell.into_iter().chain(install).collect());
            let script = format!(
                "cat /var/lib/apt/lists/*Release 2>/dev/null | grep '^Date:' > {PLACE}/dates; true"
            );
            commands.push(["/bin/sh", "-c", &script].map(str::to_owned).to_vec());
        }
        let execution = Execution { commands, ..execution };
        let mounts = vec![Mount::Cache { source: out.clone(), target: PLACE.to_owned() }];
        let title = format!("apt {}", step.packages.join(" "));
        self.run_commands(&execution, &title, below.to_vec(), mounts, handle).await?;
        let debs = parse_uris(&read(&out.join("uris"))?)?;
        let dates = read(&out.join("dates"))?;
        let newest = dates.lines().filter_map(release_date).max();
        let packages = step.packages.clone();
        Ok(LockedApt { packages, snapshot: newest.map(snapshot_date), debs })
    }

    /// Installs locked packages.
    pub async fn install_locked(
        &self,
        install: &LockedInstall,
        title: &str,
        lowers: Vec<Layer>,
        step: &StepHandle,
    ) -> Result<LayerOutcome, NativeError> {
        self.fetch_locked_debs(&install.debs, step).await?;
        let host = self.store.scratch_dir("apt-locked")?;
        let (store, debs) = (self.store.clone(), install.debs.debs.clone());
        let root = host.path().to_owned();
        tokio::task::spawn_blocking(move || write_repository(&store, &debs, &root)).await??;
        let bind = |name: &str| Mount::Bind {
            source: host.path().join(name),
            target: format!("{PLACE}/{name}"),
            read_only: true,
        };
        let cache = |name: &str| Mount::Cache {
            source: host.path().join(name),
            target: format!("{PLACE}/{name}"),
        };
        let mounts = vec![bind("debs"), bind("sources.list"), cache("lists"), cache("archives")];
        self.execute_with(&install.execution, title, lowers, mounts, step).await
    }

    /// Runs the commands on top of `lowers`, and keeps nothing of what they changed there.
    async fn run_commands(
        &self,
        execution: &Execution,
        title: &str,
        lowers: Vec<Layer>,
        mounts: Vec<Mount>,
        step: &StepHandle,
    ) -> Result<(), NativeError> {
        self.run_all(execution, title, lowers, mounts, step).await.map(|_| ())
    }
}

fn read(path: &Path) -> Result<String, NativeError> {
    // Programs of the image wrote it: a link may lead anywhere on the host.
    let sound = |m: std::fs::Metadata| m.is_file() && m.len() <= LONGEST;
    match std::fs::symlink_metadata(path).is_ok_and(sound) {
        true => {
            let bytes = std::fs::read(path).map_err(NativeError::io(path))?;
            Ok(String::from_utf8_lossy(&bytes).into_owned())
        }
        false => Ok(String::new()),
    }
}

/// Reads what `apt-get --print-uris` prints (apt-get(8)): `'URI' file size SHA256:hex`.
fn parse_uris(text: &str) -> Result<Vec<LockedDeb>, LockedError> {
    let mut debs = vec![];
    for line in text.lines().filter(|line| line.starts_with('\'')) {
        debs.push(
            parse_uri(line).ok_or_else(|| {
                LockedError::Apt(format!("it says {:?}", hide_credentials(line)))
            })??,
        );
    }
    debs.sort();
    Ok(debs)
}

fn parse_uri(line: &str) -> Option<Result<LockedDeb, LockedError>> {
    let (uri, rest) = line.strip_prefix('\'')?.split_once("' ")?;
    let mut words = rest.split_whitespace();
    let (file, size, hash) = (words.next()?, words.next()?, words.next()?);
    let mut parts = file.strip_suffix(".deb")?.splitn(3, '_').map(percent_decoded);
    let (name, version, architecture) = (parts.next()?, parts.next()?, parts.next()?);
    let mut url = Url::parse(uri).ok()?;
    let _ = url.set_username("");
    let _ = url.set_password(None);
    if !matches!(url.scheme(), "http" | "https") {
        let why = format!("{name} {version} comes from {url}");
        return Some(Err(LockedError::Apt(why)));
    }
    let Some(sha256) = hash.strip_prefix("SHA256:").and_then(|h| Digest::from_hex(h).ok()) else {
        let why = format!("its source has no SHA256 of {name} {version}");
        return Some(Err(LockedError::Apt(why)));
    };
    Some(Ok(LockedDeb {
        name,
        version,
        architecture,
        multi_arch_same: false,
        url: url.to_string(),
        size: size.parse().ok()?,
        sha256,
    }))
}

/// apt writes `:` and `_` of versions as `%3a` and `%5f` in names of files.
fn percent_decoded(text: &str) -> String {
    let mut decoded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('%') {
        decoded.push_str(&rest[..at]);
        let byte = rest.get(at + 1..at + 3).and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match byte.filter(u8::is_ascii) {
            Some(byte) => {
                decoded.push(char::from(byte));
                rest = &rest[at + 3..];
            }
            None => {
                decoded.push('%');
                rest = &rest[at + 1..];
            }
        }
    }
    decoded.push_str(rest);
    decoded
}

/// Writes a repository of the packages that apt takes files from where they are: nothing but
/// them is there to be chosen, so apt chooses them, and marks what it was asked for as ever.
fn write_repository(
    store: &tierce_store::Store,
    debs: &[LockedDeb],
    root: &Path,
) -> Result<(), NativeError> {
    for folder in ["debs", "lists/partial", "archives/partial"] {
        let folder = root.join(folder);
        std::fs::create_dir_all(&folder).map_err(NativeError::io(&folder))?;
    }
    let mut packages = String::new();
    for deb in debs {
        let control = read_deb_control(store.open_blob(&deb.sha256)?)
            .map_err(|source| LockedError::Deb { file: name(deb), source })?;
        check(deb, &control)?;
        let file = format!("{}.deb", deb.sha256.hex());
        let target = root.join("debs").join(&file);
        let blob = store.blob_path(&deb.sha256);
        if std::fs::hard_link(&blob, &target).is_err() {
            std::fs::copy(&blob, &target).map_err(NativeError::io(&target))?;
        }
        packages.push_str(&paragraph(deb, &control, &file));
    }
    let release = format!(
        "Date: Thu, 01 Jan 1970 00:00:00 UTC\nSHA256:\n {} {} Packages\n",
        Digest::of(&packages).hex(),
        packages.len()
    );
    let sources = format!("deb [trusted=yes] file:{PLACE}/debs ./\n");
    for (file, text) in
        [("debs/Packages", packages), ("debs/Release", release), ("sources.list", sources)]
    {
        let file = root.join(file);
        std::fs::write(&file, text).map_err(NativeError::io(&file))?;
    }
    Ok(())
}

/// A hash says that a file is the one that was locked, not that it is what the lock calls it.
fn check(deb: &LockedDeb, control: &Paragraph) -> Result<(), LockedError> {
    let said = |field| control.get(field).unwrap_or_default();
    let found = (said("Package"), said("Version"), said("Architecture"));
    match found == (deb.name.as_str(), deb.version.as_str(), deb.architecture.as_str()) {
        true => Ok(()),
        false => Err(LockedError::OtherPackage {
            file: name(deb),
            found: format!("{} {} ({})", found.0, found.1, found.2),
        }),
    }
}

/// What a Packages file says of a package.
fn paragraph(deb: &LockedDeb, control: &Paragraph, file: &str) -> String {
    let mut text = String::new();
    let own = ["filename", "size", "sha256", "status"];
    for (field, value) in control.fields() {
        if !own.contains(&field.to_ascii_lowercase().as_str()) {
            let _ = writeln!(text, "{field}: {value}");
        }
    }
    let _ =
        writeln!(text, "Filename: ./{file}\nSize: {}\nSHA256: {}\n", deb.size, deb.sha256.hex());
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_apt_prints_is_read() {
        let hex = Digest::of("git").hex();
        let text = format!(
            "Reading package lists...\n'http://u:p@d.example/debian/pool/g/git_2.39%2b1_amd64.deb' \
             git_1%3a2.39+1_amd64.deb 72 SHA256:{hex}\n"
        );
        let debs = parse_uris(&text).unwrap();
        let [deb] = debs.as_slice() else { panic!("{debs:?}") };
        assert_eq!((&*deb.name, &*deb.version, &*deb.architecture), ("git", "1:2.39+1", "amd64"));
        assert_eq!(deb.url, "http://d.example/debian/pool/g/git_2.39%2b1_amd64.deb");
        assert_eq!((deb.size, deb.sha256), (72, Digest::of("git")));
        for (bad, part) in [
            (format!("'file:/a/git_1_all.deb' git_1_all.deb 7 SHA256:{hex}"), "comes from file:"),
            ("'http://x/git_1_all.deb' git_1_all.deb 7 MD5Sum:00".to_owned(), "no SHA256"),
            ("'http://x/git_1_all.deb' git_1_all.deb".to_owned(), "it says"),
        ] {
            let error = parse_uris(&bad).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn releases_become_versions() {
        let deb = parse_uris(&format!(
            "'http://x/git_2_all.deb' git_2_all.deb 7 SHA256:{}",
            Digest::of("").hex()
        ))
        .unwrap();
        assert_eq!(exact("git/bookworm-backports", &deb), "git=2");
        assert_eq!(exact("git:amd64/stable", &deb), "git:amd64=2");
        assert_eq!(exact("curl/stable", &deb), "curl");
        assert_eq!(exact("git=2", &deb), "git=2");
    }
}
