//! Texts that people read, without what may be a password in them.

/// What stands for a user name and a password that no scheme marks as such.
const HIDDEN: &str = "***@";

/// `text` without the credentials of the URLs in it (RFC 3986, section 3.2.1).
///
/// The user name of an `ssh` URL stays: it is part of the address (`git@`), and never the secret.
pub fn without_credentials(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        out.push_str(before);
        let end = after
            .find(|c: char| matches!(c, '/' | '?' | '#' | '\\' | '"' | '\'') || c.is_whitespace())
            .unwrap_or(after.len());
        let (authority, tail) = after.split_at(end);
        match authority.rsplit_once('@') {
            Some((user_info, host)) => {
                if before[..before.len() - 3].ends_with("ssh") {
                    let user = user_info.split(':').next().unwrap_or_default();
                    out.push_str(user);
                    out.push('@');
                }
                out.push_str(host);
            }
            None => out.push_str(authority),
        }
        rest = tail;
    }
    out.push_str(rest);
    out
}

/// A text for people: as [`without_credentials`], and `***@` for all that looks like credentials
/// without a scheme before them (`user:password@host/x`). `name:tag@sha256:...` and
/// `git@host:path` are none.
///
/// For messages alone: what a word means can only be guessed here, so nothing that is built, and
/// no key, may be made of this.
pub fn hide_credentials(text: &str) -> String {
    let text = without_credentials(text);
    let is_edge = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '/');
    // What a slash is before is a path.
    let (mut out, mut before) = (String::with_capacity(text.len()), None);
    for part in text.split_inclusive(is_edge) {
        let after_slash = before == Some('/');
        match user_info(part).filter(|_| !after_slash) {
            Some((start, end)) => {
                out.push_str(&part[..start]);
                out.push_str(HIDDEN);
                out.push_str(&part[end..]);
            }
            None => out.push_str(part),
        }
        before = part.chars().next_back();
    }
    out
}

/// An address or a reference for people: of one that is not as it should be, all that may have
/// been meant for credentials is `***@`, slashes and all.
///
/// For messages alone, as [`hide_credentials`].
pub fn hide_address(text: &str) -> String {
    let text = without_credentials(text);
    let (scheme, address) = match text.split_once("://") {
        Some((scheme, address)) => (Some(scheme), address),
        None => (None, text.as_str()),
    };
    let shown = match user_end(scheme.is_some(), address) {
        None => address.to_owned(),
        Some(end) => format!("{HIDDEN}{}", &address[end..]),
    };
    match scheme {
        Some(scheme) => format!("{scheme}://{shown}"),
        None => shown,
    }
}

/// Where the host of an address begins whose scheme is gone, if it has credentials.
fn user_end(has_scheme: bool, address: &str) -> Option<usize> {
    let with_user = match address.rsplit_once('@') {
        Some((before, digest)) if is_digest(digest) => before,
        _ => address,
    };
    let last = with_user.rfind('@')?;
    let authority_end = with_user.find('/').unwrap_or(with_user.len());
    let authority = &with_user[..authority_end];
    match authority.rfind('@') {
        // A user alone may be a token; `python@3.12` has none.
        Some(at) => {
            let is_address = has_scheme || authority[..at].contains(':') || with_user.contains('/');
            is_address.then_some(at + 1)
        }
        // A path may have an @ in it, unless what is before it is no host: `user:pass/word@host`.
        None => match authority.rsplit_once(':') {
            Some((_, port)) if port.parse::<u16>().is_err() => Some(last + 1),
            _ => None,
        },
    }
}

/// Where `user:password@` begins and ends in a word, if it has it.
fn user_info(word: &str) -> Option<(usize, usize)> {
    let with_user = match word.rsplit_once('@') {
        Some((before, digest)) if is_digest(digest) => before,
        _ => word,
    };
    let at = with_user.rfind('@')?;
    let colon = with_user[..at].find(':')?;
    let user = &with_user[..colon];
    // An option's name stands before its value: `--index-url=user:password@host`.
    let start = user.rfind(['=', '(', '[', '{', ',', ';']).map_or(0, |at| at + 1);
    (start < colon && colon + 1 < at && !user.contains('@')).then_some((start, at + 1))
}

/// Whether a text begins as a digest does, right or not.
fn is_digest(text: &str) -> bool {
    text.split_once(':').is_some_and(|(algorithm, _)| {
        matches!(algorithm, "sha256" | "sha384" | "sha512" | "blake3" | "md5")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_looks_like_credentials_is_hidden() {
        for (text, shown) in [
            ("pip install -i https://u:p@h/simple x", "pip install -i https://h/simple x"),
            ("u:p@h/simple", "***@h/simple"),
            ("u:p@ss@h/simple", "***@h/simple"),
            ("u:p:q@h:5000/simple", "***@h:5000/simple"),
            ("u:p==@h", "***@h"),
            ("u:p,q;(r@h", "***@h"),
            ("a=b,u:p@h", "a=b,***@h"),
            ("--index-url=u:p@h/simple --pre", "--index-url=***@h/simple --pre"),
            ("-i u:p@h/s 'v:q@h'", "-i ***@h/s '***@h'"),
            ("[\"u:p@h\", (v:q@h)]", "[\"***@h\", (***@h)]"),
            ("u:p@h/x:1@sha256:ab", "***@h/x:1@sha256:ab"),
            // These are something else.
            ("python:3.11@sha256:ab", "python:3.11@sha256:ab"),
            ("FROM localhost:5000/x@sha256:ab AS y", "FROM localhost:5000/x@sha256:ab AS y"),
            ("localhost:5000/x:1@sha256:ab", "localhost:5000/x:1@sha256:ab"),
            ("git clone git@host:team/x", "git clone git@host:team/x"),
            ("git+ssh://git@h/x@v1", "git+ssh://git@h/x@v1"),
            ("https://h/x:y@z", "https://h/x:y@z"),
            ("x @ https://h/@scope/x", "x @ https://h/@scope/x"),
            ("me@h.example", "me@h.example"),
            ("a: b@c", "a: b@c"),
            (":p@h", ":p@h"),
            ("u:@h", "u:@h"),
            ("", ""),
        ] {
            assert_eq!(hide_credentials(text), shown, "{text}");
        }
    }

    #[test]
    fn addresses_that_are_none_show_no_credentials() {
        for (text, shown) in [
            ("https://u:p@h/x", "https://h/x"),
            ("https://u:p/q@h/x", "https://***@h/x"),
            ("https://token@h/x", "https://h/x"),
            ("u:p@h/x:1", "***@h/x:1"),
            ("u:p@q@h/x", "***@h/x"),
            ("u:p/q@h/x", "***@h/x"),
            ("u:p@h/x@sha256:ab", "***@h/x@sha256:ab"),
            ("token@h/x", "***@h/x"),
            ("u:p@h", "***@h"),
            ("localhost:5000/x@sha256:ab", "localhost:5000/x@sha256:ab"),
            ("python:3.11@sha256:ab", "python:3.11@sha256:ab"),
            ("python@3.12", "python@3.12"),
            ("https://h:80/@scope/x", "https://h:80/@scope/x"),
            ("h:80/x@y", "h:80/x@y"),
            ("h/x", "h/x"),
            ("", ""),
        ] {
            assert_eq!(hide_address(text), shown, "{text}");
        }
    }
}
