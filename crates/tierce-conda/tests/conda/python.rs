//! An environment with a Python that runs.

use crate::common::*;
use std::path::Path;
use std::process::Command;
use tierce_conda::*;
use tierce_testing::{CondaChannel, CondaPackageSpec, conda_python, debian_python_version};

#[test]
fn python_and_its_packages_run_in_their_prefix() {
    let root = Path::new("/");
    let Some(short) = debian_python_version(root) else {
        return eprintln!("skipped: /usr has no Python of Debian's");
    };
    let version = format!("{short}.0");
    let mut channel = CondaChannel::new();
    channel.add(&conda_python(root, &version));
    channel.add(&CondaPackageSpec::python_module("demo", "1.2.3"));
    let mut bench = Bench::new();
    bench.platform = tierce_oci::Platform::host();
    let lock = bench.solve(&[&channel.url()], &["demo"]).unwrap();
    let place = bench.directory.path().join("env");
    let prefix = CondaPrefix::new(place.to_str().unwrap(), &lock).unwrap();
    for layer in bench.layers(&lock, &prefix) {
        unpack(&layer, Path::new("/"));
    }
    let run = |program: &str, args: &[&str]| {
        let output = Command::new(place.join(program)).args(args).env_clear().output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{program}: {text}");
        String::from_utf8(output.stdout).unwrap()
    };
    let said = run("bin/demo", &[]);
    let module = format!("{}/lib/python{short}/site-packages/demo/__init__.py", place.display());
    assert_eq!(said, format!("demo 1.2.3 {module}\n"));
    let script = "import sys, sysconfig, importlib.metadata as m; \
                  print(sys.prefix, sysconfig.get_path('purelib'), m.version('demo'))";
    let said = run("bin/python", &["-c", script]);
    let prefix = place.display();
    assert_eq!(said, format!("{prefix} {prefix}/lib/python{short}/site-packages 1.2.3\n"));
    let maps = run("bin/python3", &["-c", "print(open('/proc/self/maps').read())"]);
    assert!(maps.contains(&format!("{prefix}/lib/libexpat.so.1")), "{maps}");
}
