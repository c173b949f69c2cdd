//! What people are told: each `errors/NAME.toml` against the text in `errors/NAME.txt`.
//!
//! `UPDATE_EXPECTED=1 cargo test -p tierce-spec --test manifest_errors` writes the texts anew.

use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};
use tierce_oci::{Diagnostic, ErrorKind};
use tierce_spec::manifest::{Manifest, ManifestError, ManifestFiles};

/// The manifests next to the one that is read, which people are shown as `tierce.toml`.
struct Files {
    folder: PathBuf,
    read: PathBuf,
}

impl ManifestFiles for Files {
    fn read(&self, file: &Path) -> io::Result<String> {
        let missing = |_| io::Error::from(io::ErrorKind::NotFound);
        std::fs::read_to_string(self.folder.join(file)).map_err(missing)
    }

    fn identity(&self, file: &Path) -> PathBuf {
        let file = if file == "tierce.toml" { &self.read } else { &self.folder.join(file) };
        file.canonicalize().unwrap_or_else(|_| file.clone())
    }
}

fn outcome(text: &str, file: &Path) -> Result<(), ManifestError> {
    let folder = file.parent().unwrap().to_owned();
    let files = Files { folder, read: file.to_owned() };
    let manifest = Manifest::parse_with(text, Path::new("tierce.toml"), &files)?;
    manifest.validate(&manifest.image())
}

#[test]
fn every_mistake_is_explained() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/errors");
    let update = std::env::var_os("UPDATE_EXPECTED").is_some();
    let mut failures = String::new();
    let mut files: Vec<_> =
        std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|e| e == "toml"));
    files.sort();
    assert!(files.len() > 20, "only {} cases in {}", files.len(), folder.display());
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let error = match outcome(&text, &file) {
            Err(error) => error,
            Ok(()) => panic!("{} is valid", file.display()),
        };
        assert_eq!(error.kind(), ErrorKind::User);
        let mut shown = format!("[{}] {error}\n", error.code());
        if let Some(hint) = error.hint() {
            let _ = writeln!(shown, "hint: {hint}");
        }
        assert!(!shown.contains("hunter2"), "{} tells a password: {shown}", file.display());
        let expected_file = file.with_extension("txt");
        if update {
            std::fs::write(&expected_file, &shown).unwrap();
        }
        let expected = std::fs::read_to_string(&expected_file).unwrap_or_default();
        if shown != expected {
            let name = file.file_name().unwrap().display();
            let _ = writeln!(failures, "{name}\n--- expected\n{expected}--- is\n{shown}");
        }
    }
    assert!(failures.is_empty(), "\n{failures}");
}
