//! Specs to locks.

use crate::common::*;
use tierce_conda::*;
use tierce_oci::Diagnostic;
use tierce_testing::{CondaChannel, CondaFormat, CondaPackageSpec};

fn spec(name: &str, version: &str) -> CondaPackageSpec {
    CondaPackageSpec::new(name, version)
}

fn channel(packages: &[CondaPackageSpec]) -> CondaChannel {
    let mut channel = CondaChannel::new();
    for package in packages {
        channel.add(package);
    }
    channel
}

#[test]
fn the_newest_that_fit_are_found() {
    let channel = channel(&[
        spec("a", "1.0").depends(&["b >=1"]),
        spec("a", "2.0").depends(&["b <2", "c"]),
        spec("b", "1.5"),
        spec("b", "2.1"),
        spec("c", "1").subdir("noarch"),
        spec("unrelated", "1"),
    ]);
    let bench = Bench::new();
    let lock = bench.solve(&[&channel.url()], &["a"]).unwrap();
    assert_eq!(names(&lock), ["a=2.0=h0_0", "b=1.5=h0_0", "c=1=h0_0"]);
    let asked: Vec<bool> = lock.packages.iter().map(|p| p.requested).collect();
    assert_eq!(asked, [true, false, false]);
    assert_eq!(lock.packages[2].subdir, "noarch");
    assert_eq!(CondaLock::from_bytes(&lock.to_bytes()).unwrap(), lock);
    let order: Vec<&str> = lock.in_link_order().iter().map(|p| p.name.as_str()).collect();
    assert_eq!(order, ["b", "c", "a"]);
    let lock = bench.solve(&[&channel.url()], &["a", "b=2"]).unwrap();
    assert_eq!(names(&lock), ["a=1.0=h0_0", "b=2.1=h0_0"]);
}

#[test]
fn conda_files_and_featureless_builds_are_preferred() {
    let mut tracked = spec("m", "1");
    tracked.build = "tracked_1".to_owned();
    tracked.build_number = 1;
    tracked.track_features = "nomkl".to_owned();
    let channel = channel(&[
        spec("p", "1").format(CondaFormat::TarBz2),
        spec("p", "1"),
        spec("m", "1"),
        tracked,
    ]);
    let lock = Bench::new().solve(&[&channel.url()], &["p", "m"]).unwrap();
    assert_eq!(lock.package("p").unwrap().filename(), "p-1-h0_0.conda");
    assert_eq!(lock.package("m").unwrap().build, "h0_0");
}

#[test]
fn channels_are_asked_in_order_and_by_name() {
    let first = channel(&[spec("a", "1")]);
    let second = channel(&[spec("a", "2"), spec("b", "1").depends(&["a"])]);
    let bench = Bench::new();
    let (one, two) = (first.url(), second.url());
    let lock = bench.solve(&[&one, &two], &["b"]).unwrap();
    assert_eq!(lock.package("a").unwrap().version, "1");
    assert_eq!(lock.package("a").unwrap().channel, one);
    let error = bench.solve(&[&one, &two], &["a >=2"]).unwrap_err();
    assert_eq!(error.code(), "conda/unsatisfiable");
    assert!(error.to_string().contains("strict channel priority"), "{error}");
    let called = format!("{}::a", two.trim_end_matches('/').rsplit('/').next().unwrap());
    let error = bench.solve(&[&one], &[&called]).unwrap_err();
    assert_eq!(error.code(), "conda/bad-spec", "{error}");
    assert_eq!(bench.request(&[&one], &[&called]).missing_channels().len(), 1);
    let lock = bench.solve(&[&two, &one], &[&called]).unwrap();
    assert_eq!(lock.package("a").unwrap().version, "2");
}

#[test]
fn the_image_decides_and_not_this_machine() {
    let channel = channel(&[
        spec("new", "2").depends(&["__glibc >=2.38"]),
        spec("new", "1").depends(&["__glibc >=2.17"]),
        spec("gpu", "1").depends(&["__cuda >=12"]),
        spec("arm", "1").subdir("linux-aarch64"),
        spec("mac", "1").subdir("osx-arm64"),
        spec("mac", "1").subdir("win-64"),
    ]);
    let url = channel.url();
    let mut bench = Bench::new();
    assert_eq!(names(&bench.solve(&[&url], &["new"]).unwrap()), ["new=1=h0_0"]);
    let error = bench.solve(&[&url], &["gpu"]).unwrap_err();
    assert_eq!(error.code(), "conda/unsatisfiable");
    assert!(error.to_string().contains("__cuda"), "{error}");
    assert!(error.hint().unwrap().contains("__glibc=2.36"), "{:?}", error.hint());
    bench.overrides.insert("__cuda".to_owned(), "12.4".to_owned());
    bench.overrides.insert("__glibc".to_owned(), "2.39".to_owned());
    assert_eq!(
        names(&bench.solve(&[&url], &["gpu", "new"]).unwrap()),
        ["gpu=1=h0_0", "new=2=h0_0"]
    );
    let error = bench.solve(&[&url], &["mac"]).unwrap_err();
    assert_eq!(error.code(), "conda/no-build");
    assert_eq!(
        error.to_string(),
        "conda package mac has no build for linux-64, only for osx-arm64, win-64"
    );
    bench.platform = "linux/arm64".parse().unwrap();
    assert_eq!(names(&bench.solve(&[&url], &["arm"]).unwrap()), ["arm=1=h0_0"]);
}

#[test]
fn mistakes_are_explained() {
    let channel = channel(&[
        spec("numpy", "1").depends(&["python 3.11.*"]),
        spec("other", "1").depends(&["python 3.12.*"]),
        spec("python", "3.11.1"),
        spec("python", "3.12.1"),
    ]);
    let (bench, url) = (Bench::new(), channel.url());
    let error = bench.solve(&[&url], &["nunpy"]).unwrap_err();
    assert_eq!(
        (error.code(), error.hint().unwrap().as_str()),
        ("conda/unknown-package", "Did you mean numpy?")
    );
    let error = bench.solve(&[&url], &["numpy", "other"]).unwrap_err();
    let text = error.to_string();
    for part in ["linux/amd64", "numpy", "other", "3.11", "3.12"] {
        assert!(text.contains(part), "{text}");
    }
    for bad in ["numpy >=", "num py nonsense [", "*", "numpy[channel="] {
        let error = bench.solve(&[&url], &[bad]).unwrap_err();
        assert_eq!(error.code(), "conda/bad-spec", "{bad:?}: {error}");
    }
    let gone = format!("{url}gone/");
    let error = bench.solve(&[&gone], &["numpy"]).unwrap_err();
    assert_eq!(error.code(), "conda/no-such-channel");
    assert_eq!(bench.solve(&[], &["numpy"]).unwrap_err().code(), "conda/no-channels");
}

#[test]
fn pinned_packages_stay_while_they_can() {
    let mut channel = channel(&[spec("a", "1").depends(&["b"]), spec("b", "1")]);
    let mut bench = Bench::new();
    let before = bench.solve(&[&channel.url()], &["a"]).unwrap();
    channel.add(&spec("a", "2").depends(&["b"]));
    channel.add(&spec("b", "2"));
    bench.pinned = vec![before.package("b").unwrap().clone()];
    let lock = bench.solve(&[&channel.url()], &["a"]).unwrap();
    assert_eq!(names(&lock), ["a=2=h0_0", "b=1=h0_0"]);
    // What the index no longer has can be kept, too.
    channel.remove("linux-64", "b-1-h0_0.conda");
    let lock = bench.solve(&[&channel.url()], &["a"]).unwrap();
    assert_eq!(names(&lock), ["a=2=h0_0", "b=1=h0_0"]);
    assert_eq!(lock.package("b").unwrap().sha256, before.package("b").unwrap().sha256);
    let lock = bench.solve(&[&channel.url()], &["a", "b>=2"]).unwrap();
    assert_eq!(names(&lock), ["a=2=h0_0", "b=2=h0_0"]);
}
