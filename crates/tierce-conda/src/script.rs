//! What packages want to have run after they were installed.

use crate::fetch::StoredPackage;
use crate::install::CondaPrefix;
use crate::lock::CondaLock;
use std::collections::BTreeMap;

/// A post-link script (conda's "Adding pre-link, post-link, and pre-unlink scripts"): to be run
/// in the image, as root, when all layers of packages are there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PostLinkScript {
    /// The package, as `name=version=build`.
    pub package: String,
    /// Its name.
    pub name: String,
    /// The script's absolute path.
    pub path: String,
    /// The command: the script itself is not executable. bash where the image or the environment
    /// has it, else the system's shell, as scripts are mostly plain.
    pub argv: Vec<String>,
    /// What the script expects in its environment.
    pub env: BTreeMap<String, String>,
    /// Where a script leaves what it has to say, to be shown and removed.
    pub messages: String,
}

/// The post-link scripts of an environment, in the order in which they have to run: those of
/// dependencies first. Most environments have none.
///
/// Scripts for other moments (`pre-link`, `pre-unlink`) are not run: the first are deprecated, and
/// nothing is ever unlinked in an image.
pub fn post_link_scripts(
    lock: &CondaLock,
    packages: &[StoredPackage],
    prefix: &CondaPrefix,
) -> Vec<PostLinkScript> {
    let stored: BTreeMap<&str, &StoredPackage> =
        packages.iter().map(|stored| (stored.package.name.as_str(), stored)).collect();
    let mut scripts = Vec::new();
    for package in lock.in_link_order() {
        let script = format!("bin/.{}-post-link.sh", package.name);
        let has_one = stored.get(package.name.as_str()).is_some_and(|stored| {
            stored.info.paths.binary_search_by(|p| p.path.as_str().cmp(&script)).is_ok()
        });
        if !has_one {
            continue;
        }
        let root = prefix.prefix();
        let path = format!("{root}/{script}");
        let env = [
            ("PREFIX", root.to_owned()),
            ("ROOT_PREFIX", root.to_owned()),
            ("CONDA_PREFIX", root.to_owned()),
            ("PKG_NAME", package.name.clone()),
            ("PKG_VERSION", package.version.clone()),
            ("PKG_BUILDNUM", package.build_number.to_string()),
            (
                "PATH",
                format!("{root}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
            ),
        ];
        let choose =
            "if command -v bash >/dev/null 2>&1; then exec bash \"$1\"; else exec sh \"$1\"; fi";
        scripts.push(PostLinkScript {
            package: package.to_string(),
            name: package.name.clone(),
            argv: ["/bin/sh", "-c", choose, "sh", &path].map(str::to_owned).to_vec(),
            path,
            env: env.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
            messages: format!("{root}/.messages.txt"),
        });
    }
    scripts
}
