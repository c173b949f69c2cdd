//! `config.toml`, the `[workspace]` of a `tierce.toml`, and Flyte's `config.yaml`: the first byte
//! of the input says which it is.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::path::PathBuf;
use std::sync::LazyLock;
use tempfile::TempDir;
use tierce_config::{Environment, Settings, Sources};

static DIRECTORY: LazyLock<TempDir> =
    LazyLock::new(|| TempDir::new().expect("a temporary directory can be made"));

fuzz_target!(|data: &[u8]| {
    let Some((&which, text)) = data.split_first() else { return };
    let directory: PathBuf = DIRECTORY.path().into();
    let (name, variable) = match which {
        b'f' => ("flyte.yaml", Some("FLYTECTL_CONFIG")),
        b'w' => ("tierce.toml", None),
        _ => ("config.toml", Some("TIERCE_CONFIG")),
    };
    let file = directory.join(name);
    std::fs::write(&file, text).expect("a temporary file can be written");
    let variables = variable.map(|variable| (variable, file.clone()));
    let sources = Sources {
        environment: Environment::from_variables(variables),
        directory: (name == "tierce.toml").then_some(directory),
        ..Sources::default()
    };
    match Settings::resolve(&sources) {
        Ok(settings) => {
            for entry in settings.entries() {
                // A line that could stand in a file.
                let line = entry.line();
                let table = line.parse::<toml::Table>();
                let table = table.unwrap_or_else(|error| panic!("{line:?}: {error}"));
                assert_eq!(table.is_empty(), entry.value.is_none(), "{line:?}");
            }
            drop(format!("{settings:?}"));
        }
        // Nothing of Flyte's file is an error: it is not ours.
        Err(error) => assert!(which != b'f', "{error}"),
    }
    std::fs::remove_file(file).expect("a temporary file can be removed");
});
