//! Who asks channels: basic authentication and tokens.

use crate::channel::{ChannelError, parse_url};
use std::fmt;
use tierce_secret::{SecretId, SecretValue};
use tierce_wheel::IndexCredentials;
use url::Url;
use zeroize::Zeroizing;

/// Credentials of channels. They are for exactly the server that they were given for; `Debug`
/// shows none of them.
#[derive(Clone, Default)]
pub struct ChannelCredentials {
    basic: IndexCredentials,
    tokens: Vec<Token>,
}

#[derive(Clone)]
struct Token {
    /// The part of the URL before `t/<token>/`, with its slash.
    below: Url,
    secret: Zeroizing<String>,
}

impl ChannelCredentials {
    /// None.
    pub fn new() -> Self {
        Self::default()
    }

    /// With those of a netrc file and what else is known of servers.
    pub fn with_basic(mut self, basic: IndexCredentials) -> Self {
        self.basic = basic;
        self
    }

    /// With those in a channel's URL: `https://user:password@host/channel`,
    /// `https://host/t/<token>/channel`. A channel that is a name has none.
    pub fn with_channel(mut self, text: &str) -> Result<Self, ChannelError> {
        if !text.contains("://") {
            return Ok(self);
        }
        let (mut url, token) = parse_url(text)?;
        if let Ok(full) = Url::parse(text) {
            self.basic = self.basic.with_url(&full);
        }
        if let Some((below, secret)) = token {
            url.set_path(&below);
            self.tokens.push(Token { below: url, secret: Zeroizing::new(secret) });
        }
        Ok(self)
    }

    /// With a token for the channels below a URL, as `anaconda login` keeps it for
    /// `https://conda.anaconda.org/`.
    pub fn with_token(mut self, below: &str, token: &str) -> Result<Self, ChannelError> {
        let (below, _) = parse_url(below)?;
        self.tokens.push(Token { below, secret: Zeroizing::new(token.to_owned()) });
        Ok(self)
    }

    /// `url` with the credentials for it.
    pub(crate) fn apply(&self, url: &Url) -> Url {
        let mut url = self.basic.apply(url);
        let fits = |token: &&Token| {
            token.below.origin() == url.origin() && url.path().starts_with(token.below.path())
        };
        if let Some(token) = self.tokens.iter().find(fits) {
            let (before, after) = url.path().split_at(token.below.path().len());
            let path = Zeroizing::new(format!("{before}t/{}/{after}", token.secret.as_str()));
            url.set_path(&path);
        }
        url
    }

    /// `text` without any token.
    pub(crate) fn hide(&self, text: &str) -> String {
        self.tokens.iter().fold(text.to_owned(), |text, t| text.replace(t.secret.as_str(), "…"))
    }

    /// What must be shown nowhere.
    pub fn secrets(&self) -> impl Iterator<Item = (SecretId, SecretValue)> + '_ {
        let tokens = self.tokens.iter().map(|token| {
            let server = token.below.host_str().unwrap_or_default().to_owned();
            let id = SecretId { group: Some("channel".to_owned()), key: server };
            (id, SecretValue::new(token.secret.as_bytes().to_vec()))
        });
        self.basic.secrets().chain(tokens)
    }
}

impl fmt::Debug for ChannelCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChannelCredentials").field("tokens", &self.tokens.len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_server_gets_its_own() {
        let all = ChannelCredentials::new()
            .with_channel("https://user:pw@basic.example/c")
            .and_then(|c| c.with_channel("https://host.example/get/t/tk-1/c"))
            .and_then(|c| c.with_channel("conda-forge"))
            .and_then(|c| c.with_token("https://conda.anaconda.org", "ab-2"))
            .unwrap();
        for (url, expected) in [
            ("https://basic.example/c/noarch/x", "https://user:pw@basic.example/c/noarch/x"),
            ("https://host.example/get/c/x", "https://host.example/get/t/tk-1/c/x"),
            ("https://host.example/other/x", "https://host.example/other/x"),
            ("https://conda.anaconda.org/a/b", "https://conda.anaconda.org/t/ab-2/a/b"),
        ] {
            assert_eq!(all.apply(&Url::parse(url).unwrap()).as_str(), expected);
        }
        assert_eq!(all.hide("https://host.example/get/t/tk-1/c"), "https://host.example/get/t/…/c");
        assert_eq!(format!("{all:?}"), "ChannelCredentials { tokens: 2 }");
    }
}
