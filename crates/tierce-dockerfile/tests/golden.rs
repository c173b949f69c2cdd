//! The texts of a corpus of images, in every dialect, byte for byte.
//!
//! After a change that is meant: `UPDATE_GOLDEN=1 cargo test -p tierce-dockerfile --test golden`,
//! and look at the difference.

mod support;

use std::fmt::Write;
use std::path::{Path, PathBuf};
use tierce_dockerfile::{Dialect, PythonText, RenderOptions, SecretSource, render};
use tierce_oci::Diagnostic;

const DIALECTS: [&str; 4] = ["buildkit", "docker-20", "podman", "classic"];

#[test]
fn texts_are_what_they_were() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let mut files: Vec<PathBuf> = std::fs::read_dir(tests.join("corpus"))
        .expect("a corpus")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.is_file())
        .collect();
    files.sort();
    assert!(files.len() > 5, "the corpus is there");
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    let directory = tempfile::tempdir().expect("a directory");
    let mut wrong = vec![];
    for file in &files {
        let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        for dialect in DIALECTS {
            let text = describe(file, dialect, directory.path());
            let golden = tests.join(format!("golden/{name}.{dialect}.txt"));
            if update {
                std::fs::write(&golden, &text).expect("a golden file");
            } else if std::fs::read_to_string(&golden).ok().as_deref() != Some(&text) {
                wrong.push(format!("{}:\n{text}", golden.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// All that rendering gives, as text.
fn describe(file: &Path, dialect: &str, directory: &Path) -> String {
    let image = support::load(file);
    let gathered = support::gather(&image, file.parent().expect("a directory"));
    let options = RenderOptions {
        dialect: Dialect::named(dialect).expect("a dialect"),
        python: PythonText { uv: Some(support::uv(directory)), ..PythonText::default() },
        ..RenderOptions::default()
    };
    let rendered = match render(&gathered, &options) {
        Ok(rendered) => rendered,
        Err(error) => return format!("{}: {error}\n", error.code()),
    };
    for (name, text) in
        [("text", rendered.dockerfile.as_str()), ("debug", &format!("{rendered:?}"))]
    {
        assert!(!text.contains("hunter2"), "a secret in the {name} of {}", file.display());
    }
    let mut out = format!("{}\n", rendered.dockerfile);
    for (path, entry) in rendered.context.entries() {
        let _ = writeln!(out, "# context: {:o} {:>5} {path}", entry.mode, entry.size());
    }
    for secret in &rendered.secrets {
        let from = match &secret.source {
            SecretSource::Declared(id) => id.to_string(),
            SecretSource::Credentials(_) => "credentials".to_owned(),
        };
        let _ = writeln!(out, "# secret: {} from {from}", secret.id);
    }
    for (name, value) in &rendered.build_args {
        let _ = writeln!(out, "# argument: {name}={value:?}");
    }
    for warning in &rendered.warnings {
        let _ = writeln!(out, "# unsupported: {}: {}", warning.parameter, warning.reason);
    }
    out
}
