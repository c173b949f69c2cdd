//! Packages that want more than to be installed.

use crate::common::*;
use serde_json::{Map, Value, json};
use tierce_conda::*;
use tierce_layer::{Compression, LayerWriter};
use tierce_testing::{CONDA_PLACEHOLDER, CondaChannel, CondaFile, CondaFormat, CondaPackageSpec};

/// How far a package gets: the code of what stops it.
fn stopped(package: &CondaPackageSpec) -> (&'static str, String) {
    let mut channel = CondaChannel::new();
    channel.add(package);
    channel.add(&CondaPackageSpec::new("python", "3.12.0"));
    let bench = Bench::new();
    let lock = bench.solve(&[&channel.url()], &["bad", "python"]).unwrap();
    let packages = match bench.fetch(&lock) {
        Ok(packages) => packages,
        Err(error) => return (code(&error), whole(&error)),
    };
    let plans = plan_layers(&packages, &BucketPolicy::default());
    let prefix = CondaPrefix::new("/opt/conda", &lock).unwrap();
    for plan in &plans {
        if let Err(error) = layer(plan, &prefix) {
            return (code(&error), whole(&error));
        }
    }
    ("", String::new())
}

fn bad(files: Vec<CondaFile>) -> CondaPackageSpec {
    CondaPackageSpec::new("bad", "1").files(files)
}

fn paths(entries: Value) -> Vec<(String, Vec<u8>)> {
    let text = json!({ "paths": entries, "paths_version": 1 }).to_string();
    vec![("paths.json".to_owned(), text.into_bytes())]
}

#[test]
fn nothing_leads_out_of_the_environment() {
    let file = |path| CondaFile::new(path, "x");
    for (files, expected) in [
        (vec![file("../outside")], "leads out"),
        (vec![file("a/../../outside")], "leads out"),
        (vec![file("/etc/passwd")], "leads out"),
        (vec![CondaFile::symlink("a", "share"), file("a/b")], "has files below"),
        (vec![CondaFile::symlink("a", "/etc"), file("a/passwd")], "has files below"),
        (vec![CondaFile::symlink("lib/a", "../../.."), file("lib/a/b/c")], "has files below"),
        (vec![CondaFile::symlink("conda-meta", "/etc")], "has files below"),
        (vec![file("a"), file("a/b")], "has files below"),
        (vec![CondaFile::device("dev")], "device"),
        (vec![file("conda-meta/other-1-0.json")], "installer's records"),
        (vec![file("a\nb")], "control character"),
    ] {
        for format in [CondaFormat::Conda, CondaFormat::TarBz2] {
            let (code, text) = stopped(&bad(files.clone()).format(format));
            assert_eq!(code, "conda/bad-package", "{files:?}: {text}");
            let parent = text.contains("`..`") && expected == "leads out";
            assert!(text.contains(expected) || parent, "{expected}: {text}");
            assert!(text.contains("bad-1-h0_0"), "{text}");
        }
    }
}

#[test]
fn links_are_data_wherever_they_lead() {
    let links = [
        ("inside", "share/x", false),
        ("lib/inside", "../share/x", false),
        ("up", "../outside", true),
        ("lib/up", "../../opt", true),
        ("absolute", "/etc/ssl/certs", true),
        ("own", "/opt/conda/share/x", true),
    ];
    let files: Vec<CondaFile> =
        links.iter().map(|(path, target, _)| CondaFile::symlink(path, target)).collect();
    for format in [CondaFormat::Conda, CondaFormat::TarBz2] {
        let mut channel = CondaChannel::new();
        channel.add(&bad(files.clone()).format(format));
        let bench = Bench::new();
        let lock = bench.solve(&[&channel.url()], &["bad"]).unwrap();
        let plans = plan_layers(&bench.fetch(&lock).unwrap(), &BucketPolicy::default());
        let prefix = CondaPrefix::new("/opt/conda", &lock).unwrap();
        let mut writer = LayerWriter::new(Vec::new(), Compression::Gzip);
        let outside = write_layer(&plans[0], &prefix, &mut writer).unwrap();
        let told: Vec<(&str, &str)> =
            outside.iter().map(|link| (link.path.as_str(), link.target.as_str())).collect();
        let mut expected: Vec<(&str, &str)> =
            links.iter().filter(|link| link.2).map(|link| (link.0, link.1)).collect();
        let mut sorted = told.clone();
        sorted.sort();
        expected.sort();
        assert_eq!(sorted, expected);
        assert!(outside[0].to_string().starts_with("bad-1-h0_0"), "{}", outside[0]);
        let entries = entries(&writer.finish().unwrap().0);
        for (path, target, _) in &links {
            assert_eq!(link_of(&entries[&format!("opt/conda/{path}")].0), *target);
        }
    }
}

#[test]
fn nothing_is_written_through_a_link_of_another_package() {
    let mut channel = CondaChannel::new();
    // In layers of their own, and in one.
    channel.add(&bad(vec![CondaFile::symlink("share/a", "/etc")]));
    let other = vec![CondaFile::new("share/a/passwd", "x".repeat(1000))];
    channel.add(&CondaPackageSpec::new("other", "1").files(other));
    let bench = Bench::new();
    let lock = bench.solve(&[&channel.url()], &["bad", "other"]).unwrap();
    let packages = bench.fetch(&lock).unwrap();
    let prefix = CondaPrefix::new("/opt/conda", &lock).unwrap();
    for own_layer_from in [0, u64::MAX] {
        let policy = BucketPolicy { own_layer_from, buckets: 1, ..BucketPolicy::default() };
        let plans = plan_layers(&packages, &policy);
        assert_eq!(plans.len(), if own_layer_from == 0 { 2 } else { 1 });
        let error = clobbers(&plans, &prefix).unwrap_err();
        assert_eq!(code(&error), "conda/bad-package");
        assert!(whole(&error).contains("share/a"), "{}", whole(&error));
    }
}

#[test]
fn packages_must_be_what_they_say() {
    let entry = |more: Value| {
        let mut entry = json!({ "_path": "a", "path_type": "hardlink" });
        entry.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap_or_default());
        entry
    };
    let plain = entry(json!({}));
    for (entries, expected) in [
        (json!([entry(json!({ "sha256": "0".repeat(64) }))]), "conda/package-mismatch"),
        (json!([entry(json!({ "size_in_bytes": 7 }))]), "conda/bad-package"),
        (json!([entry(json!({ "path_type": "softlink" }))]), "conda/bad-package"),
        (json!([plain, { "_path": "b", "path_type": "hardlink" }]), "conda/bad-package"),
        (json!([plain, plain]), "conda/bad-package"),
        (json!("nonsense"), "conda/bad-package"),
        (json!([plain]), ""),
    ] {
        let mut package = bad(vec![CondaFile::new("a", "x")]);
        package.info = paths(entries.clone());
        let (code, text) = stopped(&package);
        assert_eq!(code, expected, "{entries}: {text}");
    }
    for missing in ["index.json", "paths.json"] {
        let mut package = bad(vec![CondaFile::new("a", "x")]);
        package.info = vec![(missing.to_owned(), b"{".to_vec())];
        assert_eq!(stopped(&package).0, "conda/bad-package");
    }
    // Twice in the archive: which of the two would it be?
    let twice = vec![CondaFile::new("a", "x"), CondaFile::new("a", "x")];
    let mut package = bad(twice);
    package.info = paths(json!([plain]));
    assert!(stopped(&package).1.contains("there twice"));
    // What is not listed is not installed.
    let mut package = bad(vec![CondaFile::new("a", "x"), CondaFile::new("unlisted", "x")]);
    package.info = paths(json!([plain]));
    assert_eq!(stopped(&package).0, "");
}

#[test]
fn entry_points_are_names_and_not_code() {
    for point in [
        "../x = m:f",
        "a/b = m:f",
        "x = m; import os:f",
        "x = m:f()",
        "x = m",
        "x y = m:f",
        "x = m:f\nimport os",
    ] {
        let mut package = CondaPackageSpec::python_module("bad", "1");
        package.entry_points = vec![point.to_owned()];
        let (code, text) = stopped(&package);
        assert_eq!(code, "conda/bad-package", "{point:?} {text}");
    }
}

#[test]
fn a_prefix_that_does_not_fit_is_an_error() {
    let mut channel = CondaChannel::new();
    let file = CondaFile::binary("lib/x", format!("{CONDA_PLACEHOLDER}\0"));
    channel.add(&CondaPackageSpec::new("x", "1").files(vec![file]));
    let bench = Bench::new();
    let lock = bench.solve(&[&channel.url()], &["x"]).unwrap();
    let plans = plan_layers(&bench.fetch(&lock).unwrap(), &BucketPolicy::default());
    let long = format!("/{}", "x/".repeat(CONDA_PLACEHOLDER.len()));
    let prefix = CondaPrefix::new(&long, &lock).unwrap();
    let error = layer(&plans[0], &prefix).unwrap_err();
    assert_eq!(code(&error), "conda/prefix-too-long");
    for bad in ["opt/conda", "/", "/a b", "/a/../b", "", "/a\n"] {
        assert!(CondaPrefix::new(bad, &lock).is_err(), "{bad:?}");
    }
}

#[test]
fn files_must_have_their_digest_and_size() {
    let mut channel = CondaChannel::new();
    let package = CondaPackageSpec::new("a", "1");
    let mut expect = |record: Value, expected: &str| {
        let mut package = package.clone();
        package.record = record.as_object().cloned().unwrap_or_else(Map::new);
        channel.add(&package);
        let bench = Bench::new();
        let lock = bench.solve(&[&channel.url()], &["a"]).unwrap();
        let error = bench.fetch(&lock).unwrap_err();
        assert_eq!(code(&error), expected);
        assert!(bench.store.has(&lock.packages[0].sha256).is_none());
    };
    expect(json!({ "sha256": "0".repeat(64) }), "fetch/digest-mismatch");
    expect(json!({ "size": 3 }), "fetch/size-mismatch");
}

#[test]
fn damaged_files_are_refused() {
    for format in [CondaFormat::Conda, CondaFormat::TarBz2] {
        let package = bad(vec![CondaFile::new("a", "x".repeat(100_000))]).format(format);
        let whole_file = package.build();
        let record = |bytes: &[u8]| {
            let mut record = Map::new();
            for (key, value) in [
                ("name", json!("bad")),
                ("version", json!("1")),
                ("build", json!("h0_0")),
                ("build_number", json!(0)),
                ("depends", json!([])),
                ("subdir", json!("linux-64")),
                ("sha256", json!(tierce_oci::Digest::of(bytes).hex())),
            ] {
                record.insert(key.to_owned(), value);
            }
            record
        };
        let mut variants =
            vec![Vec::new(), b"PK".to_vec(), whole_file[..whole_file.len() / 2].to_vec()];
        for at in (0..whole_file.len()).step_by(whole_file.len() / 40 + 1) {
            let mut flipped = whole_file.clone();
            flipped[at] ^= 0x55;
            variants.push(flipped);
        }
        for bytes in variants {
            let mut channel = CondaChannel::new();
            channel.add_file("linux-64", &package.filename(), &bytes, record(&bytes));
            let bench = Bench::new();
            let lock = bench.solve(&[&channel.url()], &["bad"]).unwrap();
            let stored = match bench.fetch(&lock) {
                Ok(stored) => stored,
                Err(error) => {
                    assert_eq!(code(&error), "conda/bad-package", "{}", whole(&error));
                    continue;
                }
            };
            let prefix = CondaPrefix::new("/opt/conda", &lock).unwrap();
            let plans = plan_layers(&stored, &BucketPolicy::default());
            match layer(&plans[0], &prefix) {
                Ok(layer) => assert_eq!(entries(&layer)["opt/conda/a"].1.len(), 100_000),
                Err(error) => {
                    assert!(code(&error).starts_with("conda/"), "{}", whole(&error));
                    assert_ne!(code(&error), "conda/layer-write", "{}", whole(&error));
                }
            }
        }
    }
}

#[test]
fn what_unpacks_to_too_much_is_refused() {
    let mut channel = CondaChannel::new();
    for format in [CondaFormat::Conda, CondaFormat::TarBz2] {
        channel.add(&bad(vec![CondaFile::new("a", vec![0; 1 << 20])]).format(format));
    }
    let bench = Bench::new();
    let limits = PackageLimits { unpacked: 1 << 19, ..PackageLimits::default() };
    let settings = FetchSettings { limits, ..FetchSettings::default() };
    for file in ["bad-1-h0_0.conda", "bad-1-h0_0.tar.bz2"] {
        let mut lock = bench.solve(&[&channel.url()], &["bad"]).unwrap();
        let bytes = std::fs::read(channel.path().join("linux-64").join(file)).unwrap();
        let package = &mut lock.packages[0];
        package.url = package.url.join(file).unwrap();
        package.sha256 = tierce_oci::Digest::of(&bytes);
        package.size = None;
        let fetching = fetch_packages(&lock, &bench.fetcher, &bench.store, &settings, &silent);
        let prefix = CondaPrefix::new("/opt/conda", &lock).unwrap();
        let error = match block_on(fetching) {
            Ok(stored) => {
                let plans = plan_layers(&stored, &BucketPolicy::default());
                code(&layer(&plans[0], &prefix).unwrap_err())
            }
            Err(error) => code(&error),
        };
        assert_eq!(error, "conda/package-too-large", "{file}");
    }
}

#[test]
fn locks_are_checked() {
    let mut channel = CondaChannel::new();
    channel.add(&CondaPackageSpec::new("a", "1"));
    let lock = Bench::new().solve(&[&channel.url()], &["a"]).unwrap();
    let good: Value = serde_json::from_slice(&lock.to_bytes()).unwrap();
    for (field, value) in [
        ("name", json!("../a")),
        ("name", json!("")),
        ("version", json!("1/../2")),
        ("build", json!("a/b")),
        ("subdir", json!("..")),
        ("url", json!("https://me:pw@host/a-1-0.conda")),
        ("url", json!("ftp://host/a-1-0.conda")),
        ("url", json!("https://host/a-1-0.zip")),
        ("sha256", json!("sha256:12")),
        ("python_site_packages_path", json!("../x")),
    ] {
        let mut bad = good.clone();
        bad["packages"][0][field] = value.clone();
        let error = CondaLock::from_bytes(&serde_json::to_vec(&bad).unwrap()).unwrap_err();
        assert_eq!(code(&error), "conda/bad-lock", "{field} {value}");
    }
    let mut twice = good.clone();
    twice["packages"].as_array_mut().unwrap().push(good["packages"][0].clone());
    assert!(CondaLock::from_bytes(&serde_json::to_vec(&twice).unwrap()).is_err());
}
