//! Reading what happens in a run.

use super::record::EVENTS;
use super::{PAUSE, lock};
use std::fs::File;
use std::io::Read;
use std::path::PathBuf;
use tierce_engine::BuildEvent;

/// The events of a run, from the first one on. Blocks the thread while it waits for one.
#[derive(Debug)]
pub struct Follow {
    directory: PathBuf,
    wait: bool,
    file: Option<File>,
    /// What was read and is not a whole line yet.
    rest: Vec<u8>,
}

impl Follow {
    pub(super) fn new(directory: PathBuf, wait: bool) -> Self {
        Follow { directory, wait, file: None, rest: vec![] }
    }

    /// The next line: one event as JSON.
    pub fn next_line(&mut self) -> Option<String> {
        loop {
            // Before the file is read: what was written until now is found then.
            let more = self.wait && lock::is_held(&self.directory);
            if let Some(line) = self.read() {
                return Some(line);
            }
            if !more {
                return None;
            }
            std::thread::sleep(PAUSE);
        }
    }

    fn read(&mut self) -> Option<String> {
        if let Some(line) = self.line() {
            return Some(line);
        }
        if self.file.is_none() {
            self.file = File::open(self.directory.join(EVENTS)).ok();
        }
        let mut buffer = [0; 64 << 10];
        loop {
            let count = self.file.as_mut()?.read(&mut buffer).ok().filter(|count| *count > 0)?;
            self.rest.extend_from_slice(&buffer[..count]);
            if let Some(line) = self.line() {
                return Some(line);
            }
        }
    }

    fn line(&mut self) -> Option<String> {
        let end = self.rest.iter().position(|b| *b == b'\n')?;
        let line: Vec<u8> = self.rest.drain(..=end).collect();
        Some(String::from_utf8_lossy(&line[..end]).into_owned())
    }
}

impl Iterator for Follow {
    type Item = BuildEvent;

    fn next(&mut self) -> Option<BuildEvent> {
        loop {
            // A later release may have events that are not known here.
            if let Ok(event) = serde_json::from_str(&self.next_line()?) {
                return Some(event);
            }
        }
    }
}
