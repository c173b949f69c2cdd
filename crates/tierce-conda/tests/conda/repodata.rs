//! How indexes come.

use crate::common::*;
use serde_json::Value;
use tierce_conda::*;
use tierce_oci::Diagnostic;
use tierce_testing::{CondaChannel, CondaIndex, CondaPackageSpec};

fn filled(indexes: &[CondaIndex]) -> CondaChannel {
    let mut channel = CondaChannel::new().with_indexes(indexes);
    channel.add(&CondaPackageSpec::new("a", "1").depends(&["b"]));
    channel.add(&CondaPackageSpec::new("b", "1").subdir("noarch"));
    channel.add(&CondaPackageSpec::new("b", "2").subdir("noarch"));
    channel.mark_removed("noarch", "b-2-h0_0.conda");
    channel
}

#[test]
fn every_form_of_index_gives_the_same() {
    use CondaIndex::{Bzip2, Json, Shards, Zstd};
    let mut found = Vec::new();
    for indexes in [&[Json][..], &[Bzip2], &[Zstd], &[Shards], &[Json, Zstd, Shards]] {
        let channel = filled(indexes);
        let served = channel.serve();
        for url in [channel.url(), served.url()] {
            let lock = Bench::new().solve(&[&url], &["a"]).unwrap();
            let packages = lock.packages.iter();
            found.push(
                packages.map(|p| (p.to_string(), p.sha256, p.depends.clone())).collect::<Vec<_>>(),
            );
        }
        let asked = served.requests();
        let hit = |name: &str| asked.iter().any(|r| r.starts_with("200") && r.ends_with(name));
        assert_eq!(hit("repodata_shards.msgpack.zst"), indexes.contains(&Shards), "{asked:?}");
        assert_eq!(hit("repodata.json"), indexes == [Json], "{asked:?}");
    }
    assert_eq!(found[0].len(), 2);
    assert_eq!(found[0][1].0, "b=1=h0_0");
    assert!(found.iter().all(|one| *one == found[0]));
}

#[test]
fn an_index_is_fetched_once_until_it_changes() {
    for kind in [CondaIndex::Zstd, CondaIndex::Shards] {
        let mut channel = filled(&[kind]);
        let served = channel.serve();
        let bench = Bench::new();
        bench.solve(&[&served.url()], &["a"]).unwrap();
        let before = served.requests().len();
        bench.solve(&[&served.url()], &["a"]).unwrap();
        let again = served.requests().split_off(before);
        assert!(again.iter().all(|r| !r.starts_with("200")), "{again:?}");
        assert!(again.iter().any(|r| r.starts_with("304")), "{again:?}");
        assert!(!again.iter().any(|r| r.contains("/shards/")), "{again:?}");
        channel.add(&CondaPackageSpec::new("b", "3").subdir("noarch"));
        let lock = bench.solve(&[&served.url()], &["a"]).unwrap();
        assert_eq!(lock.package("b").unwrap().version, "3");
    }
}

#[test]
fn credentials_are_used_and_shown_nowhere() {
    let channel = filled(&[CondaIndex::Shards]);
    let basic = channel.serve().with_basic_auth("me", "s3cret");
    let token = channel.serve().with_token("tk-0123456789");
    for (plain, private, secret) in [
        (basic.url(), basic.url_as("me:s3cret"), "s3cret"),
        (token.url(), token.url_with_token("tk-0123456789"), "tk-0123456789"),
    ] {
        let mut bench = Bench::new();
        let error = bench.solve(&[&plain], &["a"]).unwrap_err();
        assert_eq!(error.code(), "fetch/denied");
        bench.credentials = ChannelCredentials::new().with_channel(&private).unwrap();
        let lock = bench.solve(&[&private], &["a"]).unwrap();
        let text = String::from_utf8(lock.to_bytes()).unwrap();
        assert!(!text.contains(secret) && text.contains(&plain), "{text}");
        assert_eq!(bench.fetch(&lock).unwrap().len(), 2);
        assert!(!format!("{:?}", bench.credentials).contains(secret));
        let mut kept = Vec::new();
        all_files(bench.store.root(), &mut kept);
        for file in kept {
            let bytes = std::fs::read(&file).unwrap_or_default();
            let found = bytes.windows(secret.len()).any(|w| w == secret.as_bytes());
            assert!(!found, "{} has the secret", file.display());
        }
    }
    // A wrong token in what is said of the failure.
    let mut bench = Bench::new();
    let wrong = token.url_with_token("tk-wrong-0000000");
    bench.credentials = ChannelCredentials::new().with_channel(&wrong).unwrap();
    let error = bench.solve(&[&wrong], &["a"]).unwrap_err();
    assert!(!whole(&error).contains("tk-wrong"), "{}", whole(&error));
}

fn all_files(directory: &std::path::Path, out: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(directory).unwrap().flatten() {
        match entry.path() {
            path if path.is_dir() => all_files(&path, out),
            path => out.push(path),
        }
    }
}

#[test]
fn bad_indexes_are_refused_by_name() {
    let channel = filled(&[CondaIndex::Json]);
    let index = channel.path().join("linux-64/repodata.json");
    for bad in ["", "<html>", "{\"packages\": []}", "{\"packages.conda\": {\"a-1-0.conda\""] {
        std::fs::write(&index, bad).unwrap();
        let error = Bench::new().solve(&[&channel.url()], &["a"]).unwrap_err();
        assert_eq!(error.code(), "conda/bad-index", "{bad:?}");
        assert!(error.to_string().contains("linux-64/repodata.json"), "{error}");
    }
    std::fs::remove_file(&index).unwrap();
    std::fs::write(index.with_extension("json.zst"), b"(\xb5/\xfdnonsense").unwrap();
    let error = Bench::new().solve(&[&channel.url()], &["a"]).unwrap_err();
    assert_eq!(error.code(), "conda/bad-index");
}

#[test]
fn what_is_unpacked_is_limited() {
    let channel = filled(&[CondaIndex::Zstd]);
    let bench = Bench::new();
    let request = bench.request(&[&channel.url()], &["a"]);
    let settings = RepodataSettings { unpacked_limit: 100, ..RepodataSettings::default() };
    let solving =
        solve(&request, &bench.fetcher, &bench.store, &bench.credentials, &settings, &silent);
    let error = block_on(solving).unwrap_err();
    assert!(error.to_string().contains("more than the 100 bytes"), "{error}");
}

#[test]
fn a_record_that_is_no_record_harms_no_other() {
    let mut channel = filled(&[CondaIndex::Json]);
    let mut bad = CondaPackageSpec::new("a", "9");
    bad.record.insert("depends".to_owned(), Value::from(7));
    channel.add(&bad);
    let lock = Bench::new().solve(&[&channel.url()], &["a"]).unwrap();
    assert_eq!(lock.package("a").unwrap().version, "1");
}

#[test]
fn a_missing_sha256_is_computed_and_a_wrong_md5_refused() {
    let mut channel = CondaChannel::new();
    let mut old = CondaPackageSpec::new("old", "1");
    old.record.insert("sha256".to_owned(), Value::Null);
    let added = channel.add(&old);
    let bench = Bench::new();
    let lock = bench.solve(&[&channel.url()], &["old"]).unwrap();
    assert_eq!(lock.packages[0].sha256.hex(), added.sha256);
    old.record.insert("md5".to_owned(), Value::from("0".repeat(32)));
    channel.add(&old);
    let error = bench.solve(&[&channel.url()], &["old"]).unwrap_err();
    assert_eq!(error.code(), "fetch/digest-mismatch");
    old.record.insert("md5".to_owned(), Value::Null);
    channel.add(&old);
    assert_eq!(bench.solve(&[&channel.url()], &["old"]).unwrap_err().code(), "conda/bad-index");
}
