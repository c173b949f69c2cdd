//! A channel and a package index, and what is in them.

use crate::support::Project;
use serde_json::Value;
use std::path::Path;
use std::process::Command;
use tierce_testing::{
    AddedPackage, CONDA_PLACEHOLDER, CondaChannel, CondaFile, CondaPackageSpec, PackageIndex,
    ServedChannel, WheelSpec, conda_python, debian_python_version,
};

/// A channel and a package index.
pub struct World {
    /// The channel on disk.
    pub channel: CondaChannel,
    /// The same over HTTP.
    pub served: ServedChannel,
    /// The index.
    pub index: PackageIndex,
    /// What is in the channel.
    pub packages: Vec<AddedPackage>,
}

impl World {
    /// `None`, with a printed reason, where there is no Python to make a package of.
    pub fn new() -> Option<Self> {
        let root = Path::new("/");
        let short = debian_python_version(root).filter(|short| short == "3.11");
        let Some(short) = short else {
            eprintln!("skipped: there is no python3.11 of Debian's here");
            return None;
        };
        let said =
            Command::new(format!("/usr/bin/python{short}")).arg("--version").output().ok()?;
        let said = String::from_utf8_lossy(&said.stdout).into_owned();
        let version = said.split_whitespace().nth(1)?.to_owned();
        let mut channel = CondaChannel::new();
        let mut packages = vec![channel.add(&conda_python(root, &version))];
        for spec in [
            CondaPackageSpec::python_module("greet", "1.0"),
            tool("1.0"),
            linked(),
            CondaPackageSpec::new("wants-old", "1.0").depends(&["tool <1"]),
            CondaPackageSpec::new("elsewhere", "1.0").subdir("osx-arm64"),
        ] {
            packages.push(channel.add(&spec));
        }
        let index = PackageIndex::start();
        index.add_wheel(&WheelSpec::new("addon", "2.0").requires(&["greet>=1"]));
        index.add_wheel(&WheelSpec::new("picky", "1.0").requires(&["greet>=9"]));
        let served = channel.serve();
        Some(World { channel, served, index, packages })
    }

    /// A conda step from this channel.
    pub fn conda(&self, what: &str) -> String {
        format!("conda = {{ {what}, channels = ['{}'] }}", self.served.url())
    }

    /// A package of the channel.
    pub fn package(&self, name: &str) -> &AddedPackage {
        let is_it = |p: &&AddedPackage| p.filename.starts_with(&format!("{name}-"));
        self.packages.iter().find(is_it).expect("a package")
    }

    /// Where it is.
    pub fn url(&self, name: &str) -> String {
        let AddedPackage { subdir, filename, .. } = self.package(name);
        format!("{}{subdir}/{filename}", self.served.url())
    }
}

/// A program that says where it is, and a binary file that knows where it is.
pub fn tool(version: &str) -> CondaPackageSpec {
    let script = format!("#!/bin/sh\necho tool at {CONDA_PLACEHOLDER}\n");
    let binary = format!("prefix={CONDA_PLACEHOLDER}/share\0\0");
    CondaPackageSpec::new("tool", version).files(vec![
        CondaFile::text("bin/tool", script).mode(0o755),
        CondaFile::binary("share/tool.bin", binary),
    ])
}

/// A package that wants to be linked.
fn linked() -> CondaPackageSpec {
    let script = "echo $PKG_NAME $PKG_VERSION into $PREFIX > $PREFIX/linked\n";
    let files = vec![CondaFile::new("bin/.linked-post-link.sh", script).mode(0o755)];
    CondaPackageSpec::new("linked", "1.0").files(files)
}

/// Builds the project.
#[track_caller]
pub fn build(project: &Project) -> Value {
    project.tierce(["build", "--format", "json", "--output", "oci:out"]).ok().json()
}

/// The digest of what was built.
pub fn digest(built: &Value) -> &str {
    built["digest"].as_str().expect("a digest")
}
