//! What is wrong with an image, all of it at once and in a fixed order.

mod apt;
mod base;
mod conda;
mod pip;
mod problem;
mod project;
mod secret;
mod steps;
mod values;

use crate::service_url::redact_address;
use crate::{Base, Image, KEY_PLACEHOLDER, Step};
use problem::{Fault, Reporter};
use tierce_oci::{Platform, Reference, hide_address};

pub use apt::{AptPackage, AptPackageError, AptSelector};
use problem::field_name;
pub(crate) use problem::shared;
pub use problem::{FieldPath, Item, Problem, ValidationErrors};

impl Image {
    /// Checks everything that can be checked without reading anything.
    pub fn validate(&self) -> Result<(), ValidationErrors> {
        let mut problems = vec![];
        let mut field = |name: &'static str, check: &mut dyn FnMut(&mut Reporter<'_>)| {
            check(&mut Reporter { problems: &mut problems, step: None, name, ambiguous: false });
        };
        field("name", &mut |r| r.check([], self.name().map_or(Ok(()), check_name)));
        field("registry", &mut |r| r.check([], self.registry().map_or(Ok(()), check_registry)));
        field("tag", &mut |r| r.check([], self.tag().map_or(Ok(()), check_tag)));
        field("base", &mut |r| base::check(r, self));
        field("builder", &mut |r| {
            r.check(
                [],
                self.builder().map_or(Ok(()), |name| check_word("spec/invalid-builder", name)),
            );
        });
        field("root", &mut |r| r.check([], self.root().map_or(Ok(()), values::host_path)));
        field("dockerignore", &mut |r| {
            r.check([], self.dockerignore().map_or(Ok(()), values::host_path));
        });
        field("registry-secret", &mut |r| {
            if let Some(secret) = self.registry_secret() {
                secret::check(r, &[], secret);
                r.check([], secret::check_unseen(secret));
            }
        });
        field("platforms", &mut |r| check_platforms(r, self.platforms()));
        field("python", &mut |r| {
            if let Some(interpreter) = self.python().and_then(|p| p.interpreter.as_deref()) {
                let path = values::absolute_path("spec/invalid-interpreter", interpreter);
                r.check([Item::Part("interpreter")], path);
            }
        });
        check_steps(self, &mut problems);
        // What is wrong with the image below is said with its own fields.
        if let Base::Image(image) = self.base()
            && let Err(below) = image.validate()
        {
            problems.extend(below.problems().iter().map(|problem| {
                let mut problem = problem.clone();
                problem.field.below += 1;
                problem
            }));
        }
        ValidationErrors::of(problems).map_or(Ok(()), Err)
    }
}

fn check_steps(image: &Image, problems: &mut Vec<Problem>) {
    let mut checker = steps::Checker::new(image);
    for (index, step) in image.steps().iter().enumerate() {
        let name = field_name(step);
        let ambiguous = image.steps().iter().filter(|s| field_name(s) == name).count() > 1;
        let reporter = &mut Reporter { problems, step: Some(index), name, ambiguous };
        checker.check(reporter, step);
    }
}

fn check_name(name: &str) -> Result<(), Fault> {
    match format!("localhost/{name}:tag").parse::<Reference>() {
        Ok(_) => Ok(()),
        Err(_) => {
            let fault = Fault::new(
                "spec/invalid-name",
                format!(
                    "{name:?} is not an image name: expected lower-case letters and digits, with single . _ - or / between them"
                ),
            );
            let lower = name.to_lowercase();
            match format!("localhost/{lower}:tag").parse::<Reference>() {
                Ok(_) => Err(fault.hint(format!("Registries take lower case only: {lower:?}."))),
                Err(_) => Err(fault),
            }
        }
    }
}

fn check_registry(registry: &str) -> Result<(), Fault> {
    let fault = || {
        Fault::new(
            "spec/invalid-registry",
            format!("{:?} is not a registry", redact_address(registry)),
        )
    };
    if let Some((_, rest)) = registry.split_once("://") {
        let rest = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
        return Err(fault().hint(format!("Leave the scheme out: {rest:?}.")));
    }
    match format!("{registry}/name:tag").parse::<Reference>() {
        Ok(_) if !registry.is_empty() => Ok(()),
        _ => Err(fault().hint(
            "Expected a host, with a port or the leading path of its repositories if any: \"ghcr.io/team\", \"localhost:5000\".",
        )),
    }
}

fn check_tag(tag: &str) -> Result<(), Fault> {
    // Any tag of a key's length will do.
    let filled = tag.replace(KEY_PLACEHOLDER, &"t".repeat(25));
    match format!("localhost/name:{filled}").parse::<Reference>() {
        Ok(_) => Ok(()),
        Err(_) => Err(Fault::new(
            "spec/invalid-tag",
            format!(
                "{tag:?} is not a tag: expected at most 128 letters, digits, _ . and -, not starting with . or -"
            ),
        )),
    }
}

/// A name that stands in command lines and in configuration files.
fn check_word(code: &'static str, name: &str) -> Result<(), Fault> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    // A dash at the beginning makes an option of it.
    let begins = name.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
    match begins && name.chars().all(fits) {
        true => Ok(()),
        false => Err(Fault::new(
            code,
            format!(
                "{:?} is not a name: expected letters, digits, _ - and ., starting with a letter or digit",
                hide_address(name)
            ),
        )),
    }
}

fn check_platforms(r: &mut Reporter<'_>, platforms: &[Platform]) {
    for (index, platform) in platforms.iter().enumerate() {
        let at = [Item::Index(index)];
        if platform.os != "linux" {
            let fault = Fault::new(
                "spec/unsupported-platform",
                format!("{platform} is not supported: only linux images are built"),
            );
            r.report(at, fault);
        } else if let Some(same) = platforms[..index].iter().find(|p| p.serves(platform)) {
            let message = match same == platform {
                true => format!("{platform} is named twice"),
                false => format!("{platform} is the same platform as {same}"),
            };
            r.report(at, Fault::new("spec/duplicate-platform", message));
        }
    }
}

/// Whether anything in the image brings a Python, as far as can be told without looking.
fn may_have_python(image: &Image) -> bool {
    let is_python = |p: &String| p.starts_with("python") || p.starts_with("pypy");
    let in_base = match image.base() {
        Base::Registry(_) => true,
        Base::Debian(debian) => debian.python || debian.packages.iter().any(is_python),
        Base::Image(image) => may_have_python(image),
        // Nothing is known of these.
        Base::Dockerfile(_) | Base::Named(_) => true,
        Base::Scratch => false,
    };
    in_base
        || image.python().is_some()
        || image.steps().iter().any(|step| match step {
            Step::Apt(apt) => apt.packages.iter().any(is_python),
            // Most of its packages need one.
            Step::Conda(_) => true,
            _ => false,
        })
}
