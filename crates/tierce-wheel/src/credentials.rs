//! Who asks package indexes: the credentials that a user has, by where they are for.

use crate::location::percent_decode;
use crate::netrc;
use serde::Deserialize;
use std::cmp::Reverse;
use std::fmt;
use tierce_secret::{SecretId, SecretValue};
use url::Url;
use zeroize::Zeroizing;

/// Credentials of package indexes and file servers, the more specific ones first: those in the
/// URL of an index, of an index by its name (uv's `UV_INDEX_NAME_PASSWORD`), of a netrc file, of
/// uv's own credentials file (`uv auth login`).
///
/// They are for exactly the server that they were given for, and are added to no other's URL.
/// `Debug` shows none of them.
#[derive(Clone, Default)]
pub struct IndexCredentials {
    known: Vec<Known>,
}

#[derive(Clone)]
struct Known {
    rank: Rank,
    scope: Scope,
    /// As in a URL, percent-encoded.
    user: Zeroizing<String>,
    /// As in a URL, percent-encoded.
    password: Zeroizing<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Url,
    Name,
    Netrc,
    UvFile,
}

#[derive(Clone)]
enum Scope {
    /// Everything on this URL's server; of several such, the one with the longest common path.
    Server(Url),
    /// What is below this URL.
    Below(Url),
    /// A host, with a port if there is one.
    Host(String),
}

impl Scope {
    /// How well it fits `url`, by components of the path; `None` if not at all.
    fn fit(&self, url: &Url) -> Option<usize> {
        let same_server = |own: &Url| own.origin().is_tuple() && own.origin() == url.origin();
        match self {
            Scope::Server(own) => same_server(own).then(|| common(own, url)),
            Scope::Below(own) => {
                let common = common(own, url);
                (same_server(own) && common == components(own).count()).then_some(common)
            }
            Scope::Host(own) => {
                let host = url.host_str()?;
                let port = url.port_or_known_default();
                let with_port = port.is_some_and(|port| *own == format!("{host}:{port}"));
                (own == host || with_port).then_some(0)
            }
        }
    }
}

fn components(url: &Url) -> impl Iterator<Item = &str> {
    url.path().split('/').filter(|component| !component.is_empty())
}

fn common(one: &Url, other: &Url) -> usize {
    components(one).zip(components(other)).take_while(|(a, b)| a == b).count()
}

/// uv's `credentials.toml`.
#[derive(Deserialize)]
struct UvFile {
    #[serde(default, rename = "credential")]
    credentials: Vec<UvCredential>,
}

#[derive(Deserialize)]
struct UvCredential {
    service: String,
    #[serde(default)]
    username: Option<String>,
    #[serde(default)]
    scheme: Option<String>,
    #[serde(default)]
    password: Option<String>,
}

impl IndexCredentials {
    /// None.
    pub fn new() -> Self {
        Self::default()
    }

    /// With those in `url` itself, for all of its server.
    pub fn with_url(mut self, url: &Url) -> Self {
        if !url.username().is_empty() || url.password().is_some() {
            self.known.push(Known {
                rank: Rank::Url,
                scope: Scope::Server(url.clone()),
                user: Zeroizing::new(url.username().to_owned()),
                password: Zeroizing::new(url.password().unwrap_or_default().to_owned()),
            });
        }
        self
    }

    /// With those in the URLs of a text: of a requirement, a requirements file, a list of indexes.
    /// `${NAME}` stands for a variable, as in requirements files.
    pub fn with_text(self, text: &str, variable: &dyn Fn(&str) -> Option<String>) -> Self {
        let words = text.split(|c: char| c.is_whitespace() || "\"',;<>".contains(c));
        words.fold(self, |all, word| {
            let Some(scheme) = ["https://", "http://"].iter().find_map(|s| word.find(s)) else {
                return all;
            };
            let url = expand(&word[scheme..], variable);
            match Url::parse(&url) {
                Ok(url) => all.with_url(&url),
                Err(_) => all,
            }
        })
    }

    /// With those of an index called `name` at `url`, from uv's variables `UV_INDEX_NAME_USERNAME`
    /// and `UV_INDEX_NAME_PASSWORD`.
    pub fn with_name(
        self,
        name: &str,
        url: &Url,
        variable: &dyn Fn(&str) -> Option<String>,
    ) -> Self {
        self.with_variables("UV_INDEX", name, url, variable)
    }

    /// With those of a source called `name` at `url`, from Poetry's variables
    /// `POETRY_HTTP_BASIC_NAME_USERNAME` and `POETRY_HTTP_BASIC_NAME_PASSWORD`.
    pub fn with_poetry_name(
        self,
        name: &str,
        url: &Url,
        variable: &dyn Fn(&str) -> Option<String>,
    ) -> Self {
        self.with_variables("POETRY_HTTP_BASIC", name, url, variable)
    }

    fn with_variables(
        mut self,
        start: &str,
        name: &str,
        url: &Url,
        variable: &dyn Fn(&str) -> Option<String>,
    ) -> Self {
        let word = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
        let name: String = name.chars().map(word).collect();
        let user = variable(&format!("{start}_{name}_USERNAME"));
        let password = variable(&format!("{start}_{name}_PASSWORD"));
        if user.is_some() || password.is_some() {
            self.push(
                Rank::Name,
                Scope::Server(url.clone()),
                &user.unwrap_or_default(),
                &password.unwrap_or_default(),
            );
        }
        self
    }

    /// With those of a netrc file's machines. Its `default` is for every server there is, and so
    /// for none here.
    pub fn with_netrc(mut self, text: &str) -> Self {
        for machine in netrc::machines(text) {
            let (user, password) = (&machine.login, &machine.password);
            self.push(Rank::Netrc, Scope::Host(machine.host.clone()), user, password);
        }
        self
    }

    /// With those of uv's credentials file. Tokens that are no passwords (`bearer`) are left out,
    /// and a file that is none has none.
    pub fn with_uv_file(mut self, text: &str) -> Self {
        let file: UvFile = match toml::from_str(text) {
            Ok(file) => file,
            Err(_) => {
                // Not the parser's words: they quote the file.
                tracing::warn!("uv's credentials file can't be read");
                return self;
            }
        };
        for UvCredential { service, username, scheme, password } in file.credentials {
            let basic = scheme.is_none_or(|scheme| scheme == "basic");
            if let (true, Ok(url), Some(password)) = (basic, Url::parse(&service), password) {
                let user = username.unwrap_or_default();
                self.push(Rank::UvFile, Scope::Below(url), &user, &password);
            }
        }
        self
    }

    fn push(&mut self, rank: Rank, scope: Scope, user: &str, password: &str) {
        let encoded = |text: &str| Zeroizing::new(percent_encode(text));
        let (user, password) = (encoded(user), encoded(password));
        self.known.push(Known { rank, scope, user, password });
    }

    /// `url` with the best credentials for it. Those that it has are kept, and a user that it
    /// names is given that user's password only.
    pub fn apply(&self, url: &Url) -> Url {
        let mut url = url.clone();
        if url.password().is_some() {
            return url;
        }
        let asked = url.username().to_owned();
        let fits =
            |known: &&Known| asked.is_empty() || known.user.is_empty() || *known.user == asked;
        let candidates = self.known.iter().filter(fits).filter_map(|known| {
            let fit = known.scope.fit(&url)?;
            Some(((known.rank, Reverse(fit)), known))
        });
        // Of equals, the first.
        if let Some((_, known)) = candidates.min_by_key(|(order, _)| *order) {
            // Both fail only for URLs that can't have credentials.
            if asked.is_empty() {
                let _ = url.set_username(&known.user);
            }
            let password = (!known.password.is_empty()).then_some(known.password.as_str());
            let _ = url.set_password(password);
        }
        url
    }

    /// The user and password for `url`, as they are and not as in URLs. None where one of them
    /// can't be told to programs that read lines.
    pub fn login(&self, url: &Url) -> Option<(Zeroizing<String>, Zeroizing<String>)> {
        let url = self.apply(url);
        let user = Zeroizing::new(percent_decode(url.username()));
        let password = Zeroizing::new(percent_decode(url.password().unwrap_or_default()));
        let is_line = |text: &str| !text.contains(['\n', '\r', '\0']);
        let is_there = !(user.is_empty() && password.is_empty());
        (is_there && is_line(&user) && is_line(&password)).then_some((user, password))
    }

    /// What must be shown nowhere: each password, or user that stands for one, called after the
    /// server that it is for.
    pub fn secrets(&self) -> impl Iterator<Item = (SecretId, SecretValue)> + '_ {
        self.known.iter().filter_map(|known| {
            let server = match &known.scope {
                Scope::Server(url) | Scope::Below(url) => url.host_str().unwrap_or_default(),
                Scope::Host(host) => host,
            };
            let secret = match known.password.is_empty() {
                true => &known.user,
                false => &known.password,
            };
            let id = SecretId { group: Some("index".to_owned()), key: server.to_owned() };
            (!secret.is_empty()).then(|| (id, SecretValue::new(percent_decode(secret))))
        })
    }
}

impl fmt::Debug for IndexCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IndexCredentials").field("known", &self.known.len()).finish()
    }
}

/// An index and its name, as uv's variables with indexes give them: `NAME=URL`.
pub fn named_index(text: &str) -> Option<(String, Url)> {
    let (name, url) = text.split_once('=')?;
    let is_name = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let url = Url::parse(url).ok().filter(|_| !name.is_empty() && name.chars().all(is_name))?;
    Some((name.to_owned(), url))
}

fn expand(text: &str, variable: &dyn Fn(&str) -> Option<String>) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        out.push_str(before);
        match after.split_once('}') {
            Some((name, after)) => {
                match variable(name) {
                    Some(value) => out.push_str(&value),
                    None => out.push_str(&format!("${{{name}}}")),
                }
                rest = after;
            }
            None => {
                out.push_str("${");
                rest = after;
            }
        }
    }
    out + rest
}

/// RFC 3986: everything but unreserved characters.
fn percent_encode(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b if b.is_ascii_alphanumeric() || b"-._~".contains(&b) => char::from(b).to_string(),
        b => format!("%{b:02X}"),
    };
    text.bytes().map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    fn all() -> IndexCredentials {
        let variable = |name: &str| match name {
            "UV_INDEX_MY_OWN_USERNAME" => Some("n".to_owned()),
            "UV_INDEX_MY_OWN_PASSWORD" => Some("by name".to_owned()),
            "POETRY_HTTP_BASIC_MY_OWN_USERNAME" => Some("p".to_owned()),
            "POETRY_HTTP_BASIC_MY_OWN_PASSWORD" => Some("of poetry".to_owned()),
            "TOKEN" => Some("tok".to_owned()),
            _ => None,
        };
        IndexCredentials::new()
            .with_uv_file(
                "[[credential]]\nservice = \"https://uv.example/a/\"\nusername = \"u\"\n\
                 scheme = \"basic\"\npassword = \"of uv\"\n[[credential]]\n\
                 service = \"https://bearer.example/\"\nscheme = \"bearer\"\ntoken = \"x\"\n",
            )
            .with_netrc(
                "machine netrc.example login u password p%41\nmachine url.example login o \
                 password lower\nmachine port.example:8443 login u password p\ndefault login d \
                 password d\nmachine user.example login a password pa\nmachine user.example \
                 login b password pb\n",
            )
            .with_name("my-own", &url("https://name.example/simple"), &variable)
            .with_poetry_name("My.own", &url("https://poetry.example/simple"), &variable)
            .with_url(&url("https://u:p@url.example/one/simple"))
            .with_url(&url("https://v:q@url.example/two/simple"))
            .with_text(
                "demo @ https://${TOKEN}@text.example/x.whl ; python_version > '3'",
                &variable,
            )
    }

    #[test]
    fn each_server_gets_its_own_and_no_other() {
        let all = all();
        for (asked, expected) in [
            ("https://url.example/one/files/a.whl", "https://u:p@url.example/one/files/a.whl"),
            ("https://url.example/two/files/a.whl", "https://v:q@url.example/two/files/a.whl"),
            ("https://x:y@url.example/", "https://x:y@url.example/"),
            ("https://v@url.example/one/", "https://v:q@url.example/one/"),
            ("https://name.example/b", "https://n:by%20name@name.example/b"),
            ("https://poetry.example/b", "https://p:of%20poetry@poetry.example/b"),
            ("https://netrc.example/", "https://u:p%2541@netrc.example/"),
            ("http://netrc.example:81/", "http://u:p%2541@netrc.example:81/"),
            ("https://port.example:8443/", "https://u:p@port.example:8443/"),
            ("https://port.example/", "https://port.example/"),
            ("https://b@user.example/", "https://b:pb@user.example/"),
            ("https://uv.example/a/b", "https://u:of%20uv@uv.example/a/b"),
            ("https://uv.example/ab", "https://uv.example/ab"),
            ("https://bearer.example/", "https://bearer.example/"),
            ("https://text.example/y.whl", "https://tok@text.example/y.whl"),
            ("http://url.example/one/", "http://o:lower@url.example/one/"),
            ("https://url.example.evil/", "https://url.example.evil/"),
            ("https://other.example/", "https://other.example/"),
            ("file:///a", "file:///a"),
        ] {
            assert_eq!(all.apply(&url(asked)).as_str(), expected, "{asked}");
        }
    }

    #[test]
    fn what_is_secret_is_known_and_not_shown() {
        let all = all();
        let secrets: Vec<(String, Vec<u8>)> =
            all.secrets().map(|(id, value)| (id.to_string(), value.expose().to_vec())).collect();
        for (host, secret) in [
            ("index/netrc.example", "p%41"),
            ("index/name.example", "by name"),
            ("index/text.example", "tok"),
        ] {
            assert!(secrets.contains(&(host.to_owned(), secret.into())), "{secrets:?}");
        }
        assert_eq!(format!("{all:?}"), "IndexCredentials { known: 11 }");
    }

    #[test]
    fn indexes_have_names() {
        let named = named_index("b.c=https://b/?y=z").map(|(name, url)| (name, url.to_string()));
        assert_eq!(named, Some(("b.c".to_owned(), "https://b/?y=z".to_owned())));
        assert_eq!(named_index("https://a/?x=https://b"), None);
    }
}
