//! `apt` steps as `RUN` instructions.

use crate::dialect::Dialect;
use crate::quote;
use crate::run::Run;
use tierce_oci::Digest;

/// Where packages are downloaded to. Not apt's own directory: Docker's Debian images have a hook
/// that empties that one after every run, and with it the cache.
const ARCHIVES: &str = "/var/cache/tierce/apt-archives";

/// Where lists go. Not apt's own directory: buildah (1.28) removes a directory of the base's that
/// was empty and had something mounted on it.
const LISTS: &str = "/var/cache/tierce/apt-lists";

/// The settings of every run, those of the native builder.
const OPTIONS: [&str; 5] = [
    "APT::Sandbox::User=root",
    "Dir::Cache::pkgcache=",
    "Dir::Cache::srcpkgcache=",
    "Dpkg::Use-Pty=0",
    "Dpkg::Options::=--force-unsafe-io",
];

/// What package tools leave behind that differs from run to run and that nobody needs: the
/// native builder makes layers without it.
pub(crate) const LEAVINGS: [&str; 24] = [
    "/var/log/alternatives.log",
    "/var/log/apt/*",
    "/var/log/bootstrap.log",
    "/var/log/dpkg.log",
    "/var/log/fontconfig.log",
    "/var/cache/apt/*.bin",
    "/var/cache/ldconfig/aux-cache",
    "/var/cache/debconf/*-old",
    "/var/cache/apt/archives/*.deb",
    "/var/cache/apt/archives/lock",
    "/var/cache/apt/archives/partial/*",
    "/etc/group-",
    "/etc/gshadow-",
    "/etc/passwd-",
    "/etc/shadow-",
    "/etc/subgid-",
    "/etc/subuid-",
    "/var/lib/dpkg/*-old",
    "/var/lib/dpkg/triggers/Lock",
    "/var/lib/dpkg/lock",
    "/var/lib/dpkg/lock-frontend",
    "/etc/.pwd.lock",
    "/var/lib/dbus/machine-id",
    "/var/lib/systemd/random-seed",
];

/// The commands that install `packages`. Lists and packages are in caches where the dialect has
/// such; otherwise they are removed again.
pub(crate) fn commands(
    run: &mut Run,
    packages: &[String],
    dialect: &Dialect,
    from: &str,
) -> Vec<String> {
    let mut options: Vec<String> = OPTIONS.map(str::to_owned).to_vec();
    options.push(format!("Dir::Cache::archives={ARCHIVES}"));
    options.push(format!("Dir::State::lists={LISTS}"));
    if dialect.mounts {
        // Lists belong to the base's sources, and packages of one image are not for another.
        let of = Digest::of(from).short();
        for (name, target) in [("lists", LISTS), ("archives", ARCHIVES)] {
            run.mounts.push(format!(
                "type=cache,id=tierce-apt-{name}-{of},target={target},sharing=locked"
            ));
        }
        options.push("APT::Keep-Downloaded-Packages=true".to_owned());
    }
    let options: Vec<String> = options.iter().map(|o| format!("-o {}", quote::shell(o))).collect();
    let words: Vec<String> = packages.iter().map(|p| quote::shell(p)).collect();
    let mut commands = vec![
        "export DEBIAN_FRONTEND=\"${DEBIAN_FRONTEND-noninteractive}\" LC_ALL=\"${LC_ALL-C.UTF-8}\""
            .to_owned(),
        format!("set -- {}", lines(&options, 1)),
    ];
    if !dialect.mounts {
        commands.push(format!("mkdir -p {LISTS}/partial {ARCHIVES}/partial"));
    }
    commands.push("apt-get \"$@\" update".to_owned());
    commands
        .push(format!("apt-get \"$@\" install -y --no-install-recommends -- {}", lines(&words, 8)));
    let own: &[&str] = if dialect.mounts { &[] } else { &["/var/cache/tierce"] };
    let leavings: Vec<String> = LEAVINGS.iter().chain(own).map(|path| path.to_string()).collect();
    commands.push(format!("rm -rf {}", lines(&leavings, 4)));
    commands
}

/// Words, so many on a line.
fn lines(words: &[String], on_one: usize) -> String {
    let lines: Vec<String> = words.chunks(on_one).map(|words| words.join(" ")).collect();
    lines.join(" \\\n        ")
}
