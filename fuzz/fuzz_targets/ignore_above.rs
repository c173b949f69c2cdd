//! `.dockerignore` above a folder that is copied: its rules leave out of the folder what they
//! leave out of the whole. The first line of the input is the folder's own rule, the rest are
//! those from above.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;
use tempfile::TempDir;
use tierce_layer::LayerPath;
use tierce_tree::{DefaultExcludes, IgnoreRules, RulesAbove, ScanOptions, scan};

const FOLDERS: [&str; 3] = ["", "a", "a/b"];
const FILES: [&str; 8] =
    ["a/b/c/d", "a/b/c/.e", "a/b/a/b/c", "a/b/[x]", "a/b/b", "a/c/d", "a/d", "b/c"];

static ROOT: LazyLock<TempDir> = LazyLock::new(|| {
    let root = TempDir::new().expect("a temporary directory can be made");
    for file in FILES {
        let path = root.path().join(file);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("folders can be made");
        std::fs::write(path, file).expect("a file can be written");
    }
    root
});

/// The files below `folder` that ship, as paths from the root of all.
fn shipped(folder: &str, options: &ScanOptions) -> Vec<String> {
    let tree = scan(&ROOT.path().join(folder), options, None).expect("the folder can be read");
    let paths = tree.entries().iter().map(|entry| entry.path.to_string());
    let files = paths.map(|path| match folder {
        "" => path,
        folder => format!("{folder}/{path}"),
    });
    files.filter(|path| FILES.contains(&path.as_str())).collect()
}

fuzz_target!(|text: &str| {
    let (own, above) = text.split_once('\n').unwrap_or_default();
    let (Ok(own), Ok(rules)) = (IgnoreRules::parse(own), IgnoreRules::parse(above)) else { return };
    let options = ScanOptions { defaults: DefaultExcludes::Off, ..ScanOptions::default() };
    let whole = shipped("", &ScanOptions { ignore: rules.clone(), ..options.clone() });
    for folder in FOLDERS {
        let tree = LayerPath::new(folder).unwrap_or(LayerPath::ROOT);
        let above = Some(RulesAbove { rules: rules.clone(), tree });
        let alone = shipped(folder, &ScanOptions { above: above.clone(), ..options.clone() });
        let mut expected = whole.clone();
        expected.retain(|path| folder.is_empty() || path.starts_with(&format!("{folder}/")));
        assert_eq!(alone, expected, "{folder:?}");
        let both = shipped(folder, &ScanOptions { above, ignore: own.clone(), ..options.clone() });
        if own.is_empty() {
            assert_eq!(both, alone);
        }
    }
});
