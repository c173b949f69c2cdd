//! Values that must be nowhere, and a search for them everywhere.

use super::tools::tool;
use aho_corasick::AhoCorasick;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use flate2::read::MultiGzDecoder;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

/// Values that no two runs of the tests share.
pub struct Canaries {
    names: Vec<String>,
    finder: AhoCorasick,
    owners: Vec<usize>,
}

/// A value with characters that every encoding changes.
pub fn canary(name: &str) -> String {
    let mut bytes = [0; 18];
    File::open("/dev/urandom").and_then(|mut f| f.read_exact(&mut bytes)).expect("random bytes");
    format!("{name}/{}+%&", URL_SAFE_NO_PAD.encode(bytes))
}

/// A key of several lines, as ssh and TLS have them.
pub fn key_file() -> String {
    let line = || {
        let mut bytes = [0; 48];
        File::open("/dev/urandom").and_then(|mut f| f.read_exact(&mut bytes)).expect("random");
        STANDARD_NO_PAD.encode(bytes)
    };
    let lines = [line(), line(), line(), line()].join("\n");
    format!("-----BEGIN PRIVATE KEY-----\n{lines}\n-----END PRIVATE KEY-----\n")
}

impl Canaries {
    /// These values, each with a name for the case that it is found.
    pub fn new(values: &[(&str, &str)]) -> Self {
        let (mut patterns, mut owners) = (vec![], vec![]);
        for (index, (_, value)) in values.iter().enumerate() {
            // Each line of a key is one.
            let lines = value.lines().filter(|line| !line.starts_with("-----"));
            for line in lines {
                for form in forms(line) {
                    patterns.push(form);
                    owners.push(index);
                }
            }
        }
        let names = values.iter().map(|(name, _)| (*name).to_owned()).collect();
        Canaries { names, finder: AhoCorasick::new(&patterns).expect("an automaton"), owners }
    }

    /// The value that is in these bytes, if any.
    pub fn found(&self, bytes: &[u8]) -> Option<&str> {
        let found = self.finder.find(bytes)?;
        Some(&self.names[self.owners[found.pattern().as_usize()]])
    }

    /// Panics if a value is in these bytes.
    #[track_caller]
    pub fn absent(&self, what: &str, bytes: &[u8]) {
        if let Some(name) = self.found(bytes) {
            panic!("{name} is in {what}: {}", String::from_utf8_lossy(bytes));
        }
    }

    /// Panics if a value is in a name or a content below `directory`, archives and compressed
    /// files unpacked; `except` are files and directories that the test itself wrote. Gives how
    /// many files were searched.
    #[track_caller]
    pub fn absent_below(&self, directory: &Path, except: &[PathBuf]) -> usize {
        let mut count = 0;
        for entry in fs::read_dir(directory).into_iter().flatten() {
            let path = entry.expect("an entry").path();
            if except.contains(&path) {
                continue;
            }
            self.absent(&path.display().to_string(), path.as_os_str().as_bytes());
            // Other tests may be at work in the same store.
            let Ok(metadata) = fs::symlink_metadata(&path) else { continue };
            if metadata.is_symlink() {
                let target = fs::read_link(&path).unwrap_or_default();
                self.absent(&path.display().to_string(), target.as_os_str().as_bytes());
            } else if metadata.is_dir() {
                count += self.absent_below(&path, except);
            } else if metadata.is_file() {
                count += self.absent_in(&path);
            }
        }
        count
    }

    #[track_caller]
    fn absent_in(&self, path: &Path) -> usize {
        let bytes = match fs::read(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return 0,
            bytes => bytes.expect("a file"),
        };
        if let Some(name) = self.found(&bytes) {
            panic!("{name} is in {}", path.display());
        }
        if bytes.starts_with(&[0x1f, 0x8b]) {
            let mut inflated = vec![];
            // What else starts so is no gzip.
            let _ = MultiGzDecoder::new(bytes.as_slice()).read_to_end(&mut inflated);
            if let Some(name) = self.found(&inflated) {
                panic!("{name} is in {}, compressed", path.display());
            }
        }
        let is_tar = bytes.get(257..262) == Some(b"ustar");
        if is_tar && bytes.windows(3).any(|b| b == [0x1f, 0x8b, 8]) && tool("tar").is_some() {
            let scratch = tempfile::tempdir().expect("a scratch directory");
            let mut tar = Command::new("tar");
            tar.arg("-xf").arg(path).arg("-C").arg(scratch.path());
            tar.status().expect("tar runs");
            return 1 + self.absent_below(scratch.path(), &[]);
        }
        1
    }
}

/// The ways in which a value may be written, in code of the tests' own.
fn forms(value: &str) -> BTreeSet<Vec<u8>> {
    let mut forms = BTreeSet::from([value.as_bytes().to_vec()]);
    for shift in 0..3 {
        let padded = [&vec![b'x'; shift], value.as_bytes()].concat();
        for text in [STANDARD_NO_PAD.encode(&padded), URL_SAFE_NO_PAD.encode(&padded)] {
            // Without the characters that what is before and behind has a share in.
            forms.insert(text.as_bytes()[4 * usize::from(shift > 0)..text.len() - 3].to_vec());
        }
    }
    for lower in [false, true] {
        let escaped: String = value
            .bytes()
            .map(|b| match b {
                b if b.is_ascii_alphanumeric() || b"-._~".contains(&b) => char::from(b).to_string(),
                b if lower => format!("%{b:02x}"),
                b => format!("%{b:02X}"),
            })
            .collect();
        forms.insert(escaped.into_bytes());
    }
    let hex: String = value.bytes().map(|b| format!("{b:02x}")).collect();
    forms.insert(hex.into_bytes());
    forms
}

/// Watches the command lines of all processes while it lives.
pub struct Watch {
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<BTreeSet<Vec<u8>>>>,
}

impl Watch {
    /// Starts watching.
    pub fn start() -> Self {
        let ended = Arc::new(AtomicBool::new(false));
        let end = ended.clone();
        let thread = std::thread::spawn(move || {
            let mut seen = BTreeSet::new();
            while !end.load(Ordering::Relaxed) {
                for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
                    // Processes come and go.
                    seen.extend(fs::read(entry.path().join("cmdline")));
                }
                std::thread::sleep(std::time::Duration::from_millis(2));
            }
            seen
        });
        Watch { ended, thread: Some(thread) }
    }

    /// All command lines that were seen.
    pub fn finish(mut self) -> BTreeSet<Vec<u8>> {
        self.ended.store(true, Ordering::Relaxed);
        self.thread.take().and_then(|thread| thread.join().ok()).unwrap_or_default()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
    }
}
