//! URLs as they may be shown.

use std::fmt;
use url::Url;

/// Displays a URL without what may be secret in it: user information, the fragment, the query,
/// where object storages put their signatures, and the `/t/<token>/` of conda's channels.
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
                match token(url.path()) {
                    Some((before, after)) => write!(f, "{before}…{after}")?,
                    None => f.write_str(url.path())?,
                }
            }
            None => write!(f, "{}:{}{}", url.scheme(), prefix(url), url.path())?,
        }
        if url.query().is_some() {
            f.write_str("?…")?;
        }
        Ok(())
    }
}

/// What is before and behind a token in a path. One that is not at the path's start is known by its
/// length: `/t/` is a directory of many archives, too.
fn token(path: &str) -> Option<(&str, &str)> {
    let at = path.find("/t/")?;
    let start = at + "/t/".len();
    let end = path[start..].find('/').map_or(path.len(), |length| start + length);
    let secret = end > start && (at == 0 || end - start >= 24);
    secret.then(|| (&path[..start], &path[end..]))
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
            ("https://host/t/tk-1/c/noarch/x", "https://host/t/…/c/noarch/x"),
            (
                "https://host/get/t/xy-12345678-90ab-cdef-1234-567890abcdef/c",
                "https://host/get/t/…/c",
            ),
            ("https://host/pool/main/t/tar/tar.deb", "https://host/pool/main/t/tar/tar.deb"),
        ] {
            assert_eq!(Redacted(&url.parse().unwrap()).to_string(), shown);
        }
    }
}
