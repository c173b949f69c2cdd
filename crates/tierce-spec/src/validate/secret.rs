//! What steps say of secrets.

use super::problem::{Fault, Reporter};
use super::{Item, ValidationErrors, values};
use crate::{Secret, join_image_path};

impl Secret {
    /// Checks it as [`Image::validate`](crate::Image::validate) does, before any image has it.
    pub fn validate(&self) -> Result<(), ValidationErrors> {
        let mut problems = vec![];
        let name = "secret";
        check(
            &mut Reporter { problems: &mut problems, step: None, name, ambiguous: false },
            &[],
            self,
        );
        ValidationErrors::of(problems).map_or(Ok(()), Err)
    }
}

const NAME_THE_VARIABLE: &str = "Name the variable with env (Python: as_env_var).";

/// Checks every secret of a list.
pub(super) fn check_all(r: &mut Reporter<'_>, secrets: &[Secret]) {
    for (index, secret) in secrets.iter().enumerate() {
        check(r, &[Item::Part("secrets"), Item::Index(index)], secret);
        let same = |other: &Secret| {
            (secret.mount.is_some() && other.mount == secret.mount)
                || (secret.env_name().is_some() && other.env_name() == secret.env_name())
        };
        if secrets[..index].iter().any(|other| other != secret && same(other)) {
            let fault = Fault::new(
                "spec/duplicate-secret",
                format!("another secret than {secret} is seen in the same place already"),
            );
            r.report([Item::Part("secrets"), Item::Index(index)], fault);
        }
    }
}

/// Checks one secret at `at`.
pub(super) fn check(r: &mut Reporter<'_>, at: &[Item], secret: &Secret) {
    let Secret { key, group, mount, env } = secret;
    let part = |name: &'static str| at.iter().cloned().chain([Item::Part(name)]);
    r.check(part("key"), check_word(key));
    if let Some(group) = group {
        r.check(part("group"), check_word(group));
    }
    if let Some(mount) = mount {
        r.check(part("mount"), check_mount(mount));
    }
    if let Some(env) = env {
        let named = values::env_name(env);
        r.check(part("env"), named.map_err(|fault| fault.hint(NAME_THE_VARIABLE)));
    }
    // A name that was given is checked above.
    let own = secret.env_name().filter(|_| env.is_none());
    if own.is_some_and(|name| name.starts_with(|c: char| c.is_ascii_digit())) {
        let fault = Fault::new(
            "spec/invalid-secret",
            format!("{secret} can't be a variable: its name would start with a digit"),
        );
        r.report(at.iter().cloned(), fault.hint(NAME_THE_VARIABLE));
    }
}

/// A secret that no step sees is not put anywhere.
pub(super) fn check_unseen(secret: &Secret) -> Result<(), Fault> {
    match secret.mount.is_none() && secret.env.is_none() {
        true => Ok(()),
        false => Err(Fault::new(
            "spec/invalid-secret",
            "no step sees it: it can have neither a variable nor a path",
        )),
    }
}

/// Where no file can be put: what the kernel shows there is not the image's, and the last is what
/// builders show steps themselves.
const RESERVED: [&str; 4] = ["/proc", "/sys", "/dev", "/run/tierce"];

fn check_mount(path: &str) -> Result<(), Fault> {
    const CODE: &str = "spec/invalid-secret";
    values::absolute_path(CODE, path)?;
    let normal = join_image_path("/", path);
    if normal == "/" || path.ends_with('/') || path.ends_with("/.") {
        return Err(Fault::new(CODE, format!("{path:?} is not a file's path"))
            .hint("Name the file that is to hold the value: \"/run/secrets/token\"."));
    }
    let below = |reserved: &&&str| {
        normal.strip_prefix(**reserved).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    match RESERVED.iter().find(below) {
        None => Ok(()),
        Some(reserved) => Err(Fault::new(CODE, format!("no file can be put below {reserved}"))
            .hint("Choose another path: \"/run/secrets/token\".")),
    }
}

/// Keys and groups are names of files and of variables.
fn check_word(word: &str) -> Result<(), Fault> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    if word.is_empty() || word.starts_with('.') || !word.chars().all(fits) {
        return Err(Fault::new(
            "spec/invalid-secret",
            format!("{word:?} is not a secret's name: expected letters, digits, _ - and ."),
        ));
    }
    Ok(())
}
