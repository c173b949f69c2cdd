//! The Python interpreter among packages.

use crate::package::Package;

/// An interpreter that packages bring.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Interpreter {
    /// Its path in the image: `/usr/bin/python3.11`.
    pub path: String,
    /// Its version: `3.11.2`.
    pub version: String,
}

/// The interpreter that `/usr/bin/python3` is once these packages are installed; `None` without
/// the package `python3`.
pub fn interpreter(packages: &[Package]) -> Option<Interpreter> {
    let named = |name: &str| packages.iter().find(|package| package.name.as_str() == name);
    let default = named("python3")?;
    let real =
        default.depends.iter().flat_map(|alternatives| &alternatives.0).find(|relation| {
            let minor = relation.name.as_str().strip_prefix("python3.");
            minor
                .is_some_and(|minor| !minor.is_empty() && minor.bytes().all(|b| b.is_ascii_digit()))
        })?;
    let package = named(real.name.as_str())?;
    // 3.13.0~rc2 and 3.11.2+dfsg are 3.13.0 and 3.11.2 for all that markers and tags ask.
    let upstream = package.version.upstream();
    let end = upstream.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(upstream.len());
    Some(Interpreter {
        path: format!("/usr/bin/{}", package.name),
        version: upstream[..end].to_owned(),
    })
}
