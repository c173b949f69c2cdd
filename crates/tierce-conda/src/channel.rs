//! Channels: where packages come from.

use serde::{Deserialize, Serialize};
use std::fmt;
use tierce_oci::{Diagnostic, ErrorKind};
use url::Url;

/// A channel, without any credentials (CEP 26, "Channels").
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Channel {
    /// Where its subdirectories are; ends in `/`.
    pub url: Url,
    /// What people call it: its path below the alias, else its URL.
    pub name: String,
}

/// Where a channel is that is given by name alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelAlias(Url);

/// Why a text is not a channel.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{channel:?} is not a conda channel: {problem}")]
pub struct ChannelError {
    /// The text, without credentials.
    pub channel: String,
    /// What is wrong with it.
    pub problem: &'static str,
}

impl Diagnostic for ChannelError {
    fn code(&self) -> &'static str {
        "conda/bad-channel"
    }

    fn kind(&self) -> ErrorKind {
        ErrorKind::User
    }

    fn hint(&self) -> Option<String> {
        Some("Name a channel, as conda-forge, or give its https:// or file:// URL.".to_owned())
    }
}

impl Default for ChannelAlias {
    /// `https://conda.anaconda.org/`
    fn default() -> Self {
        ChannelAlias(known("https://conda.anaconda.org/"))
    }
}

fn known(url: &str) -> Url {
    Url::parse(url).unwrap_or_else(|_| unreachable!("{url} is a URL"))
}

impl ChannelAlias {
    /// An alias of one's own: a mirror or a private server.
    pub fn new(url: &str) -> Result<Self, ChannelError> {
        let (url, _) = parse_url(url)?;
        Ok(ChannelAlias(url))
    }

    /// The URL; ends in `/`.
    pub fn url(&self) -> &Url {
        &self.0
    }
}

/// The URL of a channel without credentials, and its token if it has one.
///
/// Tokens of anaconda.org, Quetz and the like are a `/t/<token>/` in the path.
pub(crate) fn parse_url(text: &str) -> Result<(Url, Option<(String, String)>), ChannelError> {
    let bad = |problem| ChannelError { channel: without_secrets(text), problem };
    let mut url = Url::parse(text).map_err(|_| bad("its URL is malformed"))?;
    if !matches!(url.scheme(), "https" | "http" | "file") {
        return Err(bad("its URL is neither https, http nor file"));
    }
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.set_query(None);
    url.set_fragment(None);
    let mut token = None;
    let path = url.path().to_owned();
    if url.scheme() != "file"
        && let Some((before, after)) = split_token(&path)
    {
        let (secret, rest) = after.split_once('/').unwrap_or((after, ""));
        token = Some((before.to_owned(), secret.to_owned()));
        url.set_path(&format!("{before}{rest}"));
    }
    if !url.path().ends_with('/') {
        let path = format!("{}/", url.path());
        url.set_path(&path);
    }
    Ok((url, token))
}

/// What is before `t/<token>` in a path, with its slash, and what begins with the token.
fn split_token(path: &str) -> Option<(&str, &str)> {
    let at = path.find("/t/")?;
    let after = &path[at + 3..];
    (!after.is_empty() && !after.starts_with('/')).then(|| (&path[..=at], after))
}

fn without_secrets(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let host = host.rsplit('@').next().unwrap_or(host);
    let path = format!("/{path}");
    let path = match split_token(&path) {
        Some((before, after)) => {
            format!("{before}t/…/{}", after.split_once('/').map_or("", |(_, rest)| rest))
        }
        None => path,
    };
    format!("{scheme}://{host}{path}")
}

impl Channel {
    /// A channel by its name below the alias (`conda-forge`, `pytorch/label/nightly`), by its URL,
    /// or by its directory's absolute path. Credentials in it are left out: see
    /// [`ChannelCredentials`](crate::ChannelCredentials).
    ///
    /// `defaults` stands for several channels, so there are several answers.
    pub fn parse(text: &str, alias: &ChannelAlias) -> Result<Vec<Channel>, ChannelError> {
        let bad = |problem| ChannelError { channel: without_secrets(text), problem };
        let anaconda = |name: &str| Channel {
            url: known(&format!("https://repo.anaconda.com/pkgs/{name}/")),
            name: format!("pkgs/{name}"),
        };
        let text = text.trim();
        if text == "defaults" {
            return Ok(["main", "r"].map(anaconda).to_vec());
        }
        if let Some(name @ ("main" | "r" | "free" | "pro")) = text.strip_prefix("pkgs/") {
            return Ok(vec![anaconda(name)]);
        }
        if text.contains("://") {
            return Ok(vec![Channel::at(parse_url(text)?.0, alias)]);
        }
        if text.starts_with('/') {
            let url = Url::from_directory_path(text).map_err(|()| bad("it is no path"))?;
            return Ok(vec![Channel::at(url, alias)]);
        }
        let name = text.trim_end_matches('/');
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
        let fine = |part: &str| !part.is_empty() && part != "." && part != "..";
        if name.is_empty() || !name.chars().all(plain) || !name.split('/').all(fine) {
            return Err(bad("it is neither a name nor a URL"));
        }
        let url = alias.0.join(&format!("{name}/")).map_err(|_| bad("it is no name"))?;
        Ok(vec![Channel { url, name: name.to_owned() }])
    }

    /// The channel at a URL that has no credentials.
    pub(crate) fn at(url: Url, alias: &ChannelAlias) -> Self {
        let below = url.as_str().strip_prefix(alias.0.as_str());
        let name = match below.map(|name| name.trim_end_matches('/')) {
            Some(name) if !name.is_empty() => name.to_owned(),
            _ => url.as_str().trim_end_matches('/').to_owned(),
        };
        Channel { url, name }
    }

    /// The directory of one platform: `https://conda.anaconda.org/conda-forge/linux-64/`.
    pub fn subdir_url(&self, subdir: &str) -> Url {
        self.url.join(&format!("{subdir}/")).unwrap_or_else(|_| self.url.clone())
    }

    /// Whether a spec's `channel::` means this channel.
    pub(crate) fn is_called(&self, name: &str) -> bool {
        let name = name.trim_end_matches('/');
        self.name == name
            || self.url.as_str().trim_end_matches('/') == name
            || (name == "defaults" && self.name.starts_with("pkgs/"))
            || self.url.path().trim_end_matches('/').rsplit('/').next() == Some(name)
    }
}

impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_are_found() {
        let alias = ChannelAlias::default();
        for (text, url, name) in [
            ("conda-forge", "https://conda.anaconda.org/conda-forge/", "conda-forge"),
            ("a/label/b", "https://conda.anaconda.org/a/label/b/", "a/label/b"),
            ("https://conda.anaconda.org/x", "https://conda.anaconda.org/x/", "x"),
            ("https://u:p@h/t/tk-1/x/", "https://h/x/", "https://h/x"),
            ("https://h/get/t/tk/x?y#z", "https://h/get/x/", "https://h/get/x"),
            ("file:///srv/t/c", "file:///srv/t/c/", "file:///srv/t/c"),
            ("/srv/c", "file:///srv/c/", "file:///srv/c"),
            ("pkgs/main", "https://repo.anaconda.com/pkgs/main/", "pkgs/main"),
        ] {
            let found = Channel::parse(text, &alias).unwrap();
            assert_eq!((found[0].url.as_str(), found[0].name.as_str()), (url, name), "{text}");
        }
        assert_eq!(Channel::parse("defaults", &alias).unwrap().len(), 2);
        for bad in ["", "a b", "../x", "a//b", "ftp://x/y"] {
            assert!(Channel::parse(bad, &alias).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn errors_show_no_credentials() {
        let alias = ChannelAlias::default();
        let error = Channel::parse("ftp://user:secret@host/t/token/x", &alias).unwrap_err();
        assert_eq!(error.channel, "ftp://host/t/…/x");
    }
}
