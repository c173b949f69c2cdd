//! From unpacked to installed: what a sandbox must run.

use crate::package::{MultiArch, Package};
use tierce_layer::EPOCH;

/// What is to be run in the unpacked root, as plain data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigurePlan {
    /// The whole environment of every step.
    pub env: Vec<(String, String)>,
    /// The steps, each after the one before has succeeded; in `/`, as root.
    pub steps: Vec<ConfigureStep>,
}

/// A program to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigureStep {
    /// For people.
    pub name: &'static str,
    /// The program and its arguments.
    pub argv: Vec<String>,
}

/// Patterns of what package scripts leave behind that differs from run to run and that nothing
/// needs: logs, backups, locks, caches. Relative to the root, `*` standing for any part of a
/// name; layers are made without them. Other steps that use apt or dpkg need the same.
pub const NONDETERMINISTIC_PATHS: &[&str] = &[
    // Logs, with times.
    "var/log/alternatives.log",
    "var/log/apt/*",
    "var/log/bootstrap.log",
    "var/log/dpkg.log",
    "var/log/fontconfig.log",
    // Caches with inode numbers or times in them, made anew when needed.
    "var/cache/apt/*.bin",
    "var/cache/ldconfig/aux-cache",
    "var/cache/debconf/*-old",
    // Downloaded lists and packages.
    "var/cache/apt/archives/*.deb",
    "var/cache/apt/archives/lock",
    "var/cache/apt/archives/partial/*",
    "var/lib/apt/lists/*",
    // The state before the last change.
    "etc/group-",
    "etc/gshadow-",
    "etc/passwd-",
    "etc/shadow-",
    "etc/subgid-",
    "etc/subuid-",
    "var/lib/dpkg/*-old",
    "var/lib/dpkg/triggers/Lock",
    "var/lib/dpkg/lock",
    "var/lib/dpkg/lock-frontend",
    "etc/.pwd.lock",
    // What makes a machine that one machine.
    "var/lib/dbus/machine-id",
    "var/lib/systemd/random-seed",
];

/// The environment for dpkg and for package scripts: never asking, the same on every machine.
/// `SOURCE_DATE_EPOCH` is what shadow's tools take for the date in `/etc/shadow`.
pub fn package_environment() -> Vec<(String, String)> {
    [
        ("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
        ("HOME", "/root"),
        ("LC_ALL", "C.UTF-8"),
        ("DEBIAN_FRONTEND", "noninteractive"),
        ("DEBCONF_NONINTERACTIVE_SEEN", "true"),
        ("SOURCE_DATE_EPOCH", &EPOCH.to_string()),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into()
}

/// dpkg runs `preinst install` before it unpacks (Debian policy section 6.5); here it runs
/// after, with the environment that dpkg gives it. `$@` are package, architecture and the name
/// of its records, three by three.
const PREINST: &str = r#"set -e
running=$1
shift
while [ $# -gt 0 ]; do
    script=/var/lib/dpkg/info/$3.preinst
    if [ -x "$script" ]; then
        echo "Running the preinst script of $1 ..."
        env DPKG_MAINTSCRIPT_PACKAGE="$1" DPKG_MAINTSCRIPT_ARCH="$2" \
            DPKG_MAINTSCRIPT_NAME=preinst DPKG_MAINTSCRIPT_PACKAGE_REFCOUNT=1 \
            DPKG_MAINTSCRIPT_DEBUG=0 DPKG_RUNNING_VERSION="$running" \
            DPKG_ADMINDIR=/var/lib/dpkg DPKG_ROOT= "$script" install
    fi
    shift 3
done
"#;

/// The steps that make an unpacked root ([`crate::write_root_layer`]) a working system.
///
/// `packages` in the order that [`crate::resolve`] gave: scripts that run before dpkg does run
/// in it, but that of base-passwd, which makes `/etc/passwd`, first.
pub fn configure_plan(packages: &[Package]) -> ConfigurePlan {
    let named = |name: &str| packages.iter().find(|package| package.name.as_str() == name);
    let mut preinst: Vec<String> = ["/bin/sh", "-c", PREINST, "preinst"].map(String::from).into();
    preinst.push(named("dpkg").map_or("1", |dpkg| dpkg.version.upstream()).to_owned());
    let (first, rest): (Vec<&Package>, Vec<&Package>) =
        packages.iter().partition(|package| package.name.as_str() == "base-passwd");
    for package in first.into_iter().chain(rest) {
        let name = package.name.to_string();
        let info = match package.multi_arch {
            MultiArch::Same => format!("{name}:{}", package.architecture),
            _ => name.clone(),
        };
        preinst.extend([name, package.architecture.clone(), info]);
    }
    let mut steps = vec![ConfigureStep { name: "prepare packages", argv: preinst }];

    // Every package may take users and the directory tree for granted without saying so.
    let foundation = ["base-passwd", "base-files"].into_iter().filter(|name| named(name).is_some());
    let foundation: Vec<&str> = foundation.collect();
    if !foundation.is_empty() {
        let argv = dpkg(&[&["--force-depends", "--configure"], foundation.as_slice()].concat());
        steps.push(ConfigureStep { name: "configure the foundation", argv });
    }
    let argv = dpkg(&["--configure", "--pending"]);
    steps.push(ConfigureStep { name: "configure packages", argv });
    ConfigurePlan { env: package_environment(), steps }
}

/// dpkg that keeps what is there, asks nothing, keeps no log and trusts the disk: what it writes
/// becomes a layer or nothing.
fn dpkg(arguments: &[&str]) -> Vec<String> {
    let options = ["dpkg", "--force-unsafe-io,confdef,confold", "--log=/dev/null"];
    options.iter().chain(arguments).map(|s| (*s).to_owned()).collect()
}
