//! Secrets of steps: given to the processes that need them, and searched for in what those made.

use crate::error::NativeError;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use tierce_layer::{EntryKind, LayerReader};
use tierce_sandbox::{Process, SecretFile, SecretVariable};
use tierce_secret::{Scanner, SecretId, SecretValue, Secrets};
use tierce_spec::Secret;
use tierce_wheel::zip::Archive;

/// The secrets that one step sees.
#[derive(Clone, Debug, Default)]
pub struct StepSecrets {
    wanted: Vec<Secret>,
    /// The values that the step can write somewhere.
    seen: Secrets,
    /// The values that it must not be heard saying, whoever told it.
    hidden: Secrets,
}

impl StepSecrets {
    /// Those of `wanted`, out of all of a build.
    ///
    /// # Errors
    /// A value is not there.
    pub fn new(wanted: &[Secret], all: &Secrets) -> Result<Self, NativeError> {
        let ids: Vec<SecretId> = wanted.iter().map(Secret::id).collect();
        if let Some(missing) = ids.iter().find(|id| all.get(id).is_none()) {
            return Err(NativeError::NoSecretValue(missing.clone()));
        }
        Ok(StepSecrets::of_those_there(wanted, all))
    }

    /// Those of `wanted` that have a value: for plans that are only shown, no value is looked up.
    pub fn of_those_there(wanted: &[Secret], all: &Secrets) -> Self {
        let wanted: Vec<Secret> =
            wanted.iter().filter(|secret| all.get(&secret.id()).is_some()).cloned().collect();
        let ids: Vec<SecretId> = wanted.iter().map(Secret::id).collect();
        StepSecrets { wanted, seen: all.only(&ids), hidden: all.clone() }
    }

    /// These and what else the step sees, in ways that are not theirs: passwords in URLs.
    pub fn and(&self, others: impl IntoIterator<Item = (SecretId, SecretValue)>) -> Self {
        let others: Vec<_> = others.into_iter().collect();
        let seen = self.seen.and(others.clone());
        let hidden = self.hidden.and(others);
        StepSecrets { wanted: self.wanted.clone(), seen, hidden }
    }

    /// Whether the step sees any.
    pub fn is_empty(&self) -> bool {
        self.seen.is_empty()
    }

    /// Everything that must not be shown.
    pub fn hidden(&self) -> &Secrets {
        &self.hidden
    }

    /// Gives them to a process.
    pub fn give(&self, process: &mut Process) {
        for (secret, value) in self.each() {
            if let Some(name) = secret.env_name() {
                process.secret_env.push(SecretVariable::new(name, value.expose_text()));
            }
            if let Some(mount) = &secret.mount {
                process.secret_files.push(SecretFile::new(mount, value.expose()));
            }
        }
    }

    /// The variables, for a program of the host's. Those that decide which code runs there are
    /// left out: an image may not say that. So are values that are no text.
    pub fn variables(&self) -> Vec<(String, String)> {
        let of_the_host = |name: &str| {
            name.starts_with("LD_") || name.starts_with("GIT_") || ["PATH", "HOME"].contains(&name)
        };
        self.each()
            .filter_map(|(secret, value)| {
                let name = secret.env_name().filter(|name| !of_the_host(name))?;
                Some((name, String::from_utf8(value.expose_text().to_vec()).ok()?))
            })
            .collect()
    }

    /// The contents of the files that are seen under this name, wherever.
    pub fn files_named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = String> + 'a {
        let is_named = move |mount: &str| mount.rsplit('/').next() == Some(name);
        self.each()
            .filter(move |(secret, _)| secret.mount.as_deref().is_some_and(is_named))
            .filter_map(|(_, value)| String::from_utf8(value.expose().to_vec()).ok())
    }

    fn each(&self) -> impl Iterator<Item = (&Secret, &SecretValue)> {
        self.wanted.iter().filter_map(|s| Some((s, self.seen.get(&s.id())?)))
    }

    /// Searches a layer for them: names of files, what links lead to, extended attributes, and
    /// every file's content.
    pub fn search_layer(&self, blob: &Path) -> Result<(), NativeError> {
        if self.is_empty() {
            return Ok(());
        }
        let file = File::open(blob).map_err(NativeError::io(blob))?;
        let unreadable =
            |error: tierce_layer::ReadError| NativeError::io(blob)(std::io::Error::other(error));
        let mut reader = LayerReader::new(file).map_err(unreadable)?;
        let mut scanner = self.seen.scanner();
        while let Some((entry, content)) = reader.next_entry().map_err(unreadable)? {
            let path = format!("/{}", entry.path);
            let mut about: Vec<(&str, &[u8])> = vec![("the name of", entry.path.as_bytes())];
            if let EntryKind::Symlink { target } = &entry.kind {
                about.push(("the target of the link", target));
            }
            for (name, value) in &entry.xattrs {
                about.push(("an extended attribute's name of", name.as_bytes()));
                about.push(("an extended attribute of", value));
            }
            for (what, bytes) in about {
                self.must_not(scanner.search(bytes), || format!("{what} {path}"))?;
            }
            let found = search(&mut scanner, content).map_err(NativeError::io(blob))?;
            self.must_not(found, || path)?;
        }
        Ok(())
    }

    /// Searches a wheel for them.
    pub fn search_wheel(&self, wheel: &Path) -> Result<(), NativeError> {
        if self.is_empty() {
            return Ok(());
        }
        let file = File::open(wheel).map_err(NativeError::io(wheel))?;
        let archive = Archive::open(file, tierce_wheel::DEFAULT_UNPACKED_LIMIT)
            .map_err(|error| NativeError::io(wheel)(std::io::Error::other(error)))?;
        let name = wheel.file_name().unwrap_or_default().to_string_lossy();
        let mut scanner = self.seen.scanner();
        for entry in archive.entries() {
            let path = format!("{} of {name}", entry.name());
            self.must_not(scanner.search(entry.name().as_bytes()), || {
                format!("the name of {path}")
            })?;
            let found =
                search(&mut scanner, archive.reader(entry)).map_err(NativeError::io(wheel))?;
            self.must_not(found, || path)?;
        }
        Ok(())
    }

    /// Searches a text for them.
    pub fn search_text(&self, text: &[u8], what: &str) -> Result<(), NativeError> {
        self.must_not(self.seen.scanner().search(text), || what.to_owned())
    }

    /// The place is named without the value, which it may be a part of.
    fn must_not(
        &self,
        found: Option<&SecretId>,
        place: impl FnOnce() -> String,
    ) -> Result<(), NativeError> {
        match found {
            None => Ok(()),
            Some(id) => Err(NativeError::SecretLeaked {
                secret: id.clone(),
                place: self.hidden.redact(&place()).into_owned(),
            }),
        }
    }
}

fn search<'a>(
    scanner: &mut Scanner<'a>,
    mut content: impl Read,
) -> std::io::Result<Option<&'a SecretId>> {
    scanner.reset();
    let mut buffer = vec![0; 64 << 10];
    loop {
        let read = match content.read(&mut buffer) {
            Ok(0) => return Ok(None),
            Ok(read) => read,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        if let Some(found) = scanner.feed(&buffer[..read]) {
            return Ok(Some(found));
        }
    }
}

/// What a key has of secrets: how they are seen, and nothing of what they are.
pub fn key_parts(secrets: &[Secret]) -> Vec<String> {
    let mut parts = vec![];
    for secret in secrets {
        parts.extend(secret.env_name().map(|name| format!("env={name}")));
        parts.extend(secret.mount.as_ref().map(|mount| format!("file={mount}")));
    }
    parts
}
