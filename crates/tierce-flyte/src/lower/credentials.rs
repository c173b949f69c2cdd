//! Credentials in files that steps in the image read. Flyte mounts such files; here they are in a
//! layer, which everybody gets who gets the image, whatever a later step removes.

use super::Lowering;
use crate::FlyteError;
use std::path::Path;

impl Lowering<'_> {
    /// Fails if a file has credentials, as far as it was read.
    pub(super) fn refuse_credentials(&self, file: &Path) -> Result<(), FlyteError> {
        match self.surroundings.texts.get(file).is_some_and(|text| has_credentials(text)) {
            true => Err(FlyteError::CredentialsIn { file: file.to_owned() }),
            false => Ok(()),
        }
    }
}

/// Whether a URL in `text` has credentials (RFC 3986, section 3.2.1): a password, or a user alone,
/// which may be a token. Names of variables are none, and no user of SSH's is, nor `git`.
pub(super) fn has_credentials(text: &str) -> bool {
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (scheme, after) = (&rest[..at], &rest[at + 3..]);
        let is_end = |c: char| "/?#\\\"'`<>,".contains(c) || c.is_whitespace();
        let authority = &after[..after.find(is_end).unwrap_or(after.len())];
        if let Some((user_info, _)) = authority.rsplit_once('@') {
            let is_secret = match split_user(user_info) {
                (_, Some(password)) => !is_variables(password),
                (user, None) => !(scheme.ends_with("ssh") || user == "git" || is_variables(user)),
            };
            if is_secret {
                return true;
            }
        }
        rest = after;
    }
    false
}

/// The user and the password; a colon may be in a variable's own default.
fn split_user(user_info: &str) -> (&str, Option<&str>) {
    let after_variable = match user_info.starts_with("${") {
        true => user_info.find('}').map_or(0, |at| at + 1),
        false => 0,
    };
    match user_info[after_variable..].find(':') {
        Some(at) => {
            let colon = after_variable + at;
            (&user_info[..colon], Some(&user_info[colon + 1..]))
        }
        None => (user_info, None),
    }
}

/// Whether a text is nothing, or variables that are filled in when it is read: `${TOKEN}`.
fn is_variables(text: &str) -> bool {
    let mut rest = text;
    while let Some(variable) = rest.strip_prefix("${") {
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let Some((name, after)) = variable.split_once('}') else { return false };
        if !name.chars().all(is_word) {
            return false;
        }
        rest = after;
    }
    rest.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_and_tokens_are_credentials() {
        for (text, expected) in [
            ("url = \"https://me:pw@h/simple\"", true),
            ("a @ https://ghp_x@github.com/a/b.zip", true),
            ("--index-url https://:pw@h/simple", true),
            ("ssh://git:pw@h/x", true),
            ("https://me:${A}x@h", true),
            ("https://one.example/ https://me:p@ss@h", true),
            ("https://me:${TOKEN:-pw}@h", true),
            ("https://h/simple", false),
            ("https://${USER}:${TOKEN}@h/simple", false),
            ("https://oauth2:${TOKEN}@h/simple", false),
            ("https://${TOKEN}@h/simple", false),
            ("git+ssh://git@h/x@v1", false),
            ("git+https://git@h/x@v1", false),
            ("https://h/a@b:c", false),
            ("authors = [\"Me <me@h.example>\"] # see https://h.example, me@h.example", false),
            ("", false),
        ] {
            assert_eq!(has_credentials(text), expected, "{text}");
        }
    }
}
