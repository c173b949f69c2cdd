//! Conda environments.

use super::problem::{Fault, Reporter};
use super::{Item, values};
use crate::service_url::redact;
use crate::{Conda, CondaSource};

/// Checks what can be checked without knowing conda's language.
pub(super) fn check(r: &mut Reporter<'_>, conda: &Conda) {
    let Conda { source, channels, prefix, virtual_packages, secrets: _ } = conda;
    match source {
        CondaSource::Packages(packages) => {
            for (index, package) in packages.iter().enumerate() {
                r.check([Item::Part("packages"), Item::Index(index)], check_spec(package));
            }
        }
        CondaSource::Environment { file } | CondaSource::Lock { file } => {
            r.check([], values::host_path(file));
        }
        CondaSource::Pixi(pixi) => {
            r.check([], values::host_path(&pixi.manifest));
            if let Some(lock) = &pixi.lock {
                r.check([Item::Part("lock")], values::host_path(lock));
            }
            r.check([Item::Part("environment")], check_word("environment", &pixi.environment));
        }
    }
    for (index, channel) in channels.iter().enumerate() {
        let at = [Item::Part("channels"), Item::Index(index)];
        r.check(at, check_word("channel", channel));
    }
    if let Some(prefix) = prefix {
        let at = [Item::Part("prefix")];
        r.check(at, values::absolute_path("spec/invalid-prefix", prefix));
    }
    for name in virtual_packages.keys() {
        if !name.starts_with("__") {
            let message = format!("{name:?} is not a virtual package");
            let fault = Fault::new("spec/invalid-virtual-package", message)
                .hint("Their names begin with two underscores: __cuda.");
            r.report([Item::Part("virtual-packages"), Item::Key(name.clone())], fault);
        }
    }
}

fn check_spec(text: &str) -> Result<(), Fault> {
    let shown = redact(text);
    let invalid = |message: String| Fault::new("spec/invalid-conda-spec", message);
    match text.trim() {
        "" => Err(invalid("a conda package has no name".to_owned())),
        option if option.starts_with('-') => {
            Err(invalid(format!("{shown:?} is an option, not a conda package")))
        }
        text if text.contains(['\n', '\r', '\0']) => {
            Err(invalid(format!("{shown:?} is not one conda package")))
        }
        _ => Ok(()),
    }
}

fn check_word(what: &str, text: &str) -> Result<(), Fault> {
    let is_bad = |c: char| c.is_control() || c.is_whitespace();
    match text.is_empty() || text.starts_with('-') || text.contains(is_bad) {
        true => Err(Fault::new(
            "spec/invalid-conda-name",
            format!("{:?} is not the name of a conda {what}", redact(text)),
        )),
        false => Ok(()),
    }
}
