//! `apt` steps: Debian packages through the image's own apt.

use crate::key::{KeyEncoder, LayerKey};
use crate::layer::Stack;
use crate::secret::key_parts;
use crate::work::{CacheMount, Execution, Omit};
use tierce_spec::{Network, Secret};

/// Where packages are downloaded to. Not apt's own directory: images of Docker's kind have a hook
/// that empties that one after every run, and with it the cache.
const ARCHIVES: &str = "/var/cache/tierce/apt-archives";

/// The settings of every run.
const OPTIONS: [&str; 7] = [
    "APT::Sandbox::User=root",
    "APT::Keep-Downloaded-Packages=true",
    "Dir::Cache::archives=/var/cache/tierce/apt-archives",
    // Binary caches of the lists: never the same bytes twice, and made anew in a second.
    "Dir::Cache::pkgcache=",
    "Dir::Cache::srcpkgcache=",
    "Dpkg::Use-Pty=0",
    // The overlay is thrown away or read at once: syncing it to disk serves nobody.
    "Dpkg::Options::=--force-unsafe-io",
];

/// What a step that installs `packages` runs.
///
/// The lists and the downloaded packages are in caches that outlive the step, so no clean-up is
/// needed and nothing is downloaded twice. apt does not drop to its own user for downloads: where
/// only one id is mapped it could not, and every mapping must give the same layer.
pub fn execution(
    packages: &[String],
    secrets: &[Secret],
    mut env: Vec<(String, String)>,
    stack: &Stack,
) -> Execution {
    let apt = |args: &[&str]| -> Vec<String> {
        let options = OPTIONS.iter().flat_map(|option| ["-o", option]);
        ["apt-get"]
            .into_iter()
            .chain(options)
            .chain(args.iter().copied())
            .map(str::to_owned)
            .collect()
    };
    let mut install = apt(&["install", "-y", "--no-install-recommends", "--"]);
    install.extend(packages.iter().cloned());
    for (name, value) in [("DEBIAN_FRONTEND", "noninteractive"), ("LC_ALL", "C.UTF-8")] {
        if !env.iter().any(|(n, _)| n == name) {
            env.push((name.to_owned(), value.to_owned()));
        }
    }
    Execution {
        commands: vec![apt(&["update"]), install],
        env,
        cwd: "/".to_owned(),
        user: String::new(),
        network: Network::Host,
        caches: vec![
            // Lists belong to the base's sources; `apt-get update` deletes those of others.
            CacheMount {
                name: format!("apt-lists-{}", stack.0),
                target: "/var/lib/apt/lists".to_owned(),
            },
            // apt takes a file of the right size for the right file: one image must not be able to
            // leave any to another.
            CacheMount { name: format!("apt-archives-{}", stack.0), target: ARCHIVES.to_owned() },
        ],
        omit: Omit::PackageLeavings,
        secrets: secrets.to_vec(),
    }
}

/// The key of an executed layer: what runs, as whom, where, with what, on top of what.
pub fn execution_key(kind: &str, execution: &Execution, stack: &Stack) -> LayerKey {
    let Execution { commands, env, cwd, user, network, caches, omit, secrets } = execution;
    let mut key = KeyEncoder::new(kind).digest("stack", &stack.0.0);
    for command in commands {
        key = key.list("command", command);
    }
    // Not for steps without any: their keys are what they always were.
    if !secrets.is_empty() {
        key = key.list("secrets", key_parts(secrets));
    }
    key.list("env", env.iter().flat_map(|(name, value)| [name, value]))
        .text("cwd", cwd)
        .text("user", user)
        .text(
            "network",
            match network {
                Network::Host => "host",
                Network::None => "none",
            },
        )
        .list("caches", caches.iter().map(|c| &c.target))
        .list("omit", omit.patterns())
        .finish()
}
