//! Packages to layers.

use crate::common::*;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use tierce_conda::*;
use tierce_layer::{Compression, EPOCH};
use tierce_testing::{CONDA_PLACEHOLDER, CondaChannel, CondaFile, CondaFormat, CondaPackageSpec};

const MTIME: i64 = 1_704_067_200;

fn tool() -> CondaPackageSpec {
    let place = CONDA_PLACEHOLDER;
    let binary = format!("\x7fELF\0{place}/lib:{place}/bin\0behind\0");
    CondaPackageSpec::new("tool", "1.0").files(vec![
        CondaFile::text("bin/tool", format!("#!{place}/bin/sh -e\necho {place}/share\n"))
            .mode(0o775),
        CondaFile::binary("lib/libtool.so.1", binary).mode(0o755),
        CondaFile::symlink("lib/libtool.so", "libtool.so.1"),
        CondaFile::new("share/tool/data", "plain").mode(0o664),
        CondaFile::hard_link("share/tool/again", "share/tool/data"),
        CondaFile::new(&format!("share/tool/{}/file", "long".repeat(30)), "deep"),
        CondaFile::directory("var/empty"),
        CondaFile::new("bin/.tool-post-link.sh", "echo done > \"$PREFIX/linked\"\n"),
    ])
}

fn solved(packages: &[CondaPackageSpec], specs: &[&str]) -> (Bench, CondaChannel, CondaLock) {
    let mut channel = CondaChannel::new();
    for package in packages {
        channel.add(package);
    }
    let bench = Bench::new();
    let lock = bench.solve(&[&channel.url()], specs).unwrap();
    (bench, channel, lock)
}

fn prefix(lock: &CondaLock) -> CondaPrefix {
    CondaPrefix::new(CondaPrefix::DEFAULT, lock).unwrap()
}

#[test]
fn every_format_is_installed_alike() {
    let mut layers = Vec::new();
    for format in [CondaFormat::Conda, CondaFormat::TarBz2, CondaFormat::Legacy] {
        let (bench, _channel, lock) = solved(&[tool().format(format)], &["tool"]);
        let found = bench.layers(&lock, &prefix(&lock));
        let mut found = entries(&found[0]);
        found.retain(|path, _| !path.contains("conda-meta/") && !path.contains("var"));
        layers.push(found);
    }
    let found = &layers[0];
    let file = |path: &str| &found[&format!("opt/conda/{path}")];
    assert_eq!(file("bin/tool").1, b"#!/opt/conda/bin/sh -e\necho /opt/conda/share\n");
    let binary = &file("lib/libtool.so.1").1;
    assert!(binary.starts_with(b"\x7fELF\0/opt/conda/lib:/opt/conda/bin\0\0"));
    assert!(binary.ends_with(b"\0behind\0"));
    assert_eq!(binary.len(), 5 + 2 * CONDA_PLACEHOLDER.len() + 9 + 8);
    assert_eq!(link_of(&file("lib/libtool.so").0), "libtool.so.1");
    assert_eq!(file("share/tool/again").1, b"plain");
    let modes = ["bin/tool", "lib/libtool.so.1", "share/tool/data"].map(|p| file(p).0.mode);
    assert_eq!(modes, [0o775, 0o755, 0o664]);
    assert!(found.values().all(|(entry, _)| entry.uid == 0 && entry.gid == 0));
    assert_eq!((file("bin/tool").0.mtime, file("share/tool/data").0.mtime), (MTIME, MTIME));
    assert_eq!(found["opt/conda"].0.mtime, EPOCH);
    assert!(layers.iter().all(|one| one == found));
}

#[test]
fn records_are_as_other_installers_read_them() {
    let (bench, _channel, lock) = solved(&[tool()], &["tool"]);
    let root = bench.install(&lock, &prefix(&lock));
    let meta = root.join("opt/conda/conda-meta");
    let text = std::fs::read_to_string(meta.join("tool-1.0-h0_0.json")).unwrap();
    let record: rattler_conda_types::PrefixRecord = serde_json::from_str(&text).unwrap();
    assert_eq!(record.repodata_record.package_record.name.as_normalized(), "tool");
    assert_eq!(record.files.len(), 8);
    let json: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(json["license"], "MIT");
    assert_eq!(json["channel"], format!("{}linux-64", lock.packages[0].channel));
    assert_eq!(json["url"], json!(lock.packages[0].url));
    for path in json["paths_data"]["paths"].as_array().unwrap() {
        let place = root.join("opt/conda").join(path["_path"].as_str().unwrap());
        if path["path_type"] == "hardlink" {
            let digest = tierce_oci::Digest::of(std::fs::read(&place).unwrap()).hex();
            assert_eq!(path["sha256_in_prefix"], digest, "{}", place.display());
            let size = std::fs::metadata(&place).unwrap().len();
            assert_eq!(path["size_in_bytes"], size);
        }
    }
    let history = std::fs::read_to_string(meta.join("history")).unwrap();
    assert!(
        history.contains("linux-64::tool-1.0-h0_0\n# update specs: ['python=3']\n"),
        "{history}"
    );
    assert!(root.join("opt/conda/var/empty").is_dir());
    let mode = std::fs::metadata(meta).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o755);
}

#[test]
fn python_packages_go_where_the_interpreter_wants_them() {
    let mut python = CondaPackageSpec::new("python", "3.13.1");
    python.site_packages = Some("lib/python3.13t/site-packages".to_owned());
    let mut module = CondaPackageSpec::python_module("demo-tool", "2.0");
    module
        .files
        .push(CondaFile::text("python-scripts/old", format!("#!{CONDA_PLACEHOLDER}/bin/python\n")));
    module.files.push(CondaFile::new("etc/demo.conf", "x"));
    let (bench, _channel, lock) = solved(&[python, module.clone()], &["demo-tool"]);
    let layers = bench.layers(&lock, &prefix(&lock));
    let paths: BTreeSet<String> = layers.iter().flat_map(|l| entries(l).into_keys()).collect();
    for path in [
        "lib/python3.13t/site-packages/demo_tool/__init__.py",
        "bin/old",
        "bin/demo-tool",
        "etc/demo.conf",
    ] {
        assert!(paths.contains(&format!("opt/conda/{path}")), "{path}: {paths:?}");
    }
    let script = layers.iter().find_map(|l| entries(l).remove("opt/conda/bin/demo-tool")).unwrap();
    let text = String::from_utf8(script.1).unwrap();
    assert!(text.starts_with("#!/opt/conda/bin/python3.13\n# -*- coding"), "{text}");
    assert!(text.contains("from demo_tool import main\n") && text.contains("sys.exit(main())"));
    assert_eq!(script.0.mode, 0o755);
    // Without an interpreter there is no place for it.
    module.depends.clear();
    let (bench, _channel, lock) = solved(&[module], &["demo-tool"]);
    let plans = plan_layers(&bench.fetch(&lock).unwrap(), &BucketPolicy::default());
    let error = layer(&plans[0], &prefix(&lock)).unwrap_err();
    assert_eq!(code(&error), "conda/no-python");
}

#[test]
fn one_changed_package_changes_one_layer() {
    let packages: Vec<CondaPackageSpec> = (0..30)
        .map(|i| {
            let name = format!("p{i}");
            let file = CondaFile::new(&format!("share/{name}"), name.clone());
            CondaPackageSpec::new(&name, "1").files(vec![file])
        })
        .collect();
    let names: Vec<&str> = packages.iter().map(|p| p.name.as_str()).collect();
    let mut channel = CondaChannel::new();
    packages.iter().for_each(|p| drop(channel.add(p)));
    let (bench, url) = (Bench::new(), channel.url());
    let keys = || {
        let lock = bench.solve(&[&url], &names).unwrap();
        let plans = plan_layers(&bench.fetch(&lock).unwrap(), &BucketPolicy::default());
        let target = prefix(&lock);
        plans.iter().map(|p| p.key(&target, Compression::Gzip)).collect::<BTreeSet<_>>()
    };
    let before = keys();
    assert_eq!(before.len(), 8);
    let mut changed = packages[7].clone();
    changed.version = "2".to_owned();
    channel.add(&changed);
    let after = keys();
    assert_eq!(before.difference(&after).count(), 1);
    assert_eq!(keys(), after);
}

#[test]
fn layers_depend_on_their_packages_alone() {
    let (bench, _channel, lock) = solved(&[tool()], &["tool"]);
    let again = Bench::new();
    assert_eq!(bench.layers(&lock, &prefix(&lock)), again.layers(&lock, &prefix(&lock)));
    let packages = bench.fetch(&lock).unwrap();
    let plan = &plan_layers(&packages, &BucketPolicy::default())[0];
    let key = |prefix: &str, compression| {
        plan.key(&CondaPrefix::new(prefix, &lock).unwrap(), compression)
    };
    let one = key("/opt/conda", Compression::Gzip);
    assert_eq!(one, key("/opt/conda/", Compression::Gzip));
    assert_ne!(one, key("/opt/other", Compression::Gzip));
    assert_ne!(one, key("/opt/conda", Compression::Zstd));
    let large = BucketPolicy { own_layer_from: 1, ..BucketPolicy::default() };
    assert_eq!(plan_layers(&packages, &large)[0].kind, CondaLayerKind::Own("tool".to_owned()));
}

#[test]
fn a_file_of_two_packages_is_that_of_one_with_a_warning() {
    let with = |name: &str| {
        let file = CondaFile::new("share/both", name);
        CondaPackageSpec::new(name, "1").files(vec![file])
    };
    let (bench, _channel, lock) = solved(&[with("a"), with("b")], &["a", "b"]);
    let target = prefix(&lock);
    let packages = bench.fetch(&lock).unwrap();
    for buckets in [1, 8] {
        let policy = BucketPolicy { buckets, ..BucketPolicy::default() };
        let plans = plan_layers(&packages, &policy);
        let found = clobbers(&plans, &target).unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].path, "share/both");
        let layers: Vec<Vec<u8>> = plans.iter().map(|p| layer(p, &target).unwrap()).collect();
        let last =
            layers.iter().filter_map(|l| entries(l).remove("opt/conda/share/both")).next_back();
        assert_eq!(last.unwrap().1, found[0].winner.as_bytes());
    }
}

#[test]
fn post_link_scripts_come_in_order_and_run() {
    let mut other = tool();
    other.name = "a-first".to_owned();
    other.depends = vec!["tool".to_owned()];
    other.files = vec![CondaFile::new(
        "bin/.a-first-post-link.sh",
        "cat \"$PREFIX/linked\" > \"$PREFIX/.messages.txt\"; echo $PKG_NAME $PKG_VERSION $PKG_BUILDNUM >> \"$PREFIX/.messages.txt\"\n",
    )];
    let (bench, _channel, lock) = solved(&[tool(), other], &["a-first"]);
    let root = bench.directory.path().join("env");
    let target = CondaPrefix::new(root.join("opt/conda").to_str().unwrap(), &lock).unwrap();
    for layer in bench.layers(&lock, &target) {
        unpack(&layer, std::path::Path::new("/"));
    }
    let scripts = post_link_scripts(&lock, &bench.fetch(&lock).unwrap(), &target);
    let names: Vec<&str> = scripts.iter().map(|s| s.name.as_str()).collect();
    assert_eq!(names, ["tool", "a-first"]);
    for script in &scripts {
        let mut command = std::process::Command::new(&script.argv[0]);
        let status = command.args(&script.argv[1..]).env_clear().envs(&script.env).status();
        assert!(status.unwrap().success());
    }
    let messages = std::fs::read_to_string(&scripts[1].messages).unwrap();
    assert_eq!(messages, "done\na-first 1.0 0\n");
}
