//! URLs as they may be shown.

use std::fmt;
use url::Url;

/// Displays a URL without what may be secret in it: user information, the fragment, and the
/// query, where object storages put their signatures.
pub struct Redacted<'a>(pub &'a Url);

impl fmt::Display for Redacted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = self.0;
        match url.host_str() {
            Some(host) => {
                write!(f, "{}://{host}", url.scheme())?;
                if let Some(port) = url.port() {
                    write!(f, ":{port}")?;
                }
                f.write_str(url.path())?;
            }
            None => write!(f, "{}:{}{}", url.scheme(), prefix(url), url.path())?,
        }
        if url.query().is_some() {
            f.write_str("?…")?;
        }
        Ok(())
    }
}

/// `file:///a` has an empty host between its slashes, `data:x` has no slashes at all.
fn prefix(url: &Url) -> &'static str {
    if url.cannot_be_a_base() { "" } else { "//" }
}

impl fmt::Debug for Redacted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_secret_is_shown() {
        for (url, shown) in [
            ("https://user:pw@host/a/b", "https://host/a/b"),
            ("https://token@host:8443/", "https://host:8443/"),
            ("https://host/x?X-Signature=abc#frag", "https://host/x?…"),
            ("http://[::1]:5000/v2/", "http://[::1]:5000/v2/"),
            ("file:///tmp/a.whl", "file:///tmp/a.whl"),
        ] {
            assert_eq!(Redacted(&url.parse().unwrap()).to_string(), shown);
        }
    }
}
