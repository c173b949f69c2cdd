//! What steps say of secrets.

use super::problem::{Fault, Reporter};
use super::{Item, values};
use crate::Secret;

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
        r.check(part("mount"), values::absolute_path("spec/invalid-secret", mount));
    }
    if let Some(env) = env {
        r.check(part("env"), values::env_name(env));
    }
    if secret.env_name().is_some_and(|name| name.starts_with(|c: char| c.is_ascii_digit())) {
        let fault = Fault::new(
            "spec/invalid-secret",
            format!("{secret} can't be a variable: its name would start with a digit"),
        );
        r.report(at.iter().cloned(), fault.hint("Name the variable: env = \"...\"."));
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
