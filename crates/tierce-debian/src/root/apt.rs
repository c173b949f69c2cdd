//! What apt and dpkg of the image are told: sources, and settings that suit images.

use super::tree::Tree;
use super::{Documentation, RootError, RootOptions};
use std::fmt::Write as _;
use tierce_layer::{Entry, LayerPath};
use url::Url;

/// A paragraph of the image's apt sources (`sources.list(5)`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AptSource {
    /// Where the archive is, without credentials.
    pub uri: Url,
    /// Its suites to use.
    pub suites: Vec<String>,
    /// Its components to use.
    pub components: Vec<String>,
}

/// The settings of Debian's own container images (`debuerreotype-minimizing-config`), but
/// without its hooks that delete downloaded packages: a cache that is mounted over
/// `/var/cache/apt/archives` must survive an installation.
const APT_SETTINGS: &str = r#"// Settings that keep images small; written by tierce.

// Packages are deleted once they are installed; -o APT::Keep-Downloaded-Packages=true keeps them.
APT::Keep-Downloaded-Packages "false";

// The binary caches are quickly made anew.
Dir::Cache::pkgcache "";
Dir::Cache::srcpkgcache "";

// No translated package descriptions, and indices stay compressed.
Acquire::Languages "none";
Acquire::GzipIndexes "true";

// What is only suggested does not keep a package from being removed.
APT::AutoRemove::SuggestsImportant "false";
"#;

/// Services are not started in a container that is being built.
const POLICY: &str = "#!/bin/sh\n# Written by tierce: no services are started while an image is \
                      built.\nexit 101\n";

/// The keyrings that packages bring, best first, and the name of the sources that they are for.
const KEYRINGS: &[(&str, &str)] = &[
    ("usr/share/keyrings/debian-archive-keyring.pgp", "debian"),
    ("usr/share/keyrings/debian-archive-keyring.gpg", "debian"),
    ("usr/share/keyrings/ubuntu-archive-keyring.gpg", "ubuntu"),
];

/// What slim images leave out, as `debuerreotype-slimify` does.
const OMITTED: &[&str] = &[
    "usr/share/doc",
    "usr/share/groff",
    "usr/share/info",
    "usr/share/linda",
    "usr/share/lintian",
    "usr/share/locale",
    "usr/share/man",
];

/// Whether slim images leave an entry out. Directories stay: some scripts expect them.
pub(super) fn is_omitted(path: &LayerPath, entry: &Entry) -> bool {
    let text = path.as_bytes();
    let below = OMITTED.iter().any(|directory| {
        text.strip_prefix(directory.as_bytes()).is_some_and(|rest| rest.starts_with(b"/"))
    });
    let kept = path.file_name() == Some(b"copyright") || text == b"usr/share/locale/locale.alias";
    below && !kept && !entry.is_directory()
}

pub(super) fn add(tree: &mut Tree, options: &RootOptions) -> Result<(), RootError> {
    let keyring = KEYRINGS.iter().find(|(path, _)| tree.has(path));
    let name = keyring.map_or("debian", |(_, name)| name);
    if !options.apt_sources.is_empty() {
        let text = sources(&options.apt_sources, keyring.map(|(path, _)| *path));
        put(tree, &format!("etc/apt/sources.list.d/{name}.sources"), 0o644, text)?;
    }
    put(tree, "etc/apt/apt.conf.d/90tierce", 0o644, APT_SETTINGS.to_owned())?;
    put(tree, "usr/sbin/policy-rc.d", 0o755, POLICY.to_owned())?;
    if options.documentation == Documentation::Omit {
        put(tree, "etc/dpkg/dpkg.cfg.d/tierce", 0o644, exclusions())?;
    }
    Ok(())
}

fn put(tree: &mut Tree, path: &str, mode: u32, text: String) -> Result<(), RootError> {
    let path = LayerPath::new(path).expect("a constant path");
    tree.add_file(Entry::file(path, 0).with_mode(mode), text.into_bytes())
}

fn sources(sources: &[AptSource], keyring: Option<&str>) -> String {
    let mut text = String::new();
    for (n, source) in sources.iter().enumerate() {
        let separator = if n == 0 { "" } else { "\n" };
        let uri = source.uri.as_str().trim_end_matches('/');
        let _ = write!(
            text,
            "{separator}Types: deb\nURIs: {uri}\nSuites: {}\nComponents: {}\n",
            source.suites.join(" "),
            source.components.join(" ")
        );
        if let Some(keyring) = keyring {
            let _ = writeln!(text, "Signed-By: /{keyring}");
        }
    }
    text
}

/// `dpkg.cfg(5)`; the last pattern that fits decides.
fn exclusions() -> String {
    let mut text = String::from("# Written by tierce: documentation is left out of this image.\n");
    for directory in OMITTED {
        let _ = writeln!(text, "path-exclude /{directory}/*");
    }
    text.push_str("path-include /usr/share/doc/*/copyright\n");
    text.push_str("path-include /usr/share/locale/locale.alias\n");
    text
}
