//! What an image starts from.

use super::problem::{Fault, Reporter};
use super::{Item, apt, check_word, values};
use crate::{Base, DebianBase, DockerfileBase, Image};

pub(super) fn check(r: &mut Reporter<'_>, image: &Image) {
    match image.base() {
        Base::Debian(base) => debian(r, base),
        Base::Dockerfile(base) => dockerfile(r, base, image),
        Base::Named(name) => {
            r.check([Item::Part("ref")], check_word("spec/invalid-image-name", name));
        }
        // References are checked when they are read, an image below with its own fields.
        Base::Registry(_) | Base::Scratch | Base::Image(_) => {}
    }
}

fn debian(r: &mut Reporter<'_>, base: &DebianBase) {
    let DebianBase { suite, python: _, mirror: _, security_mirror: _, components, packages } = base;
    if !values::archive_word(suite) {
        let fault = Fault::new(
            "spec/invalid-suite",
            format!("{suite:?} is not a debian suite: expected a code name, as bookworm"),
        );
        r.report([Item::Part("debian")], fault);
    }
    for (index, component) in components.iter().enumerate() {
        if !values::archive_word(component) {
            let fault = Fault::new(
                "spec/invalid-component",
                format!("{component:?} is not an archive component: expected one as main"),
            );
            r.report([Item::Part("components"), Item::Index(index)], fault);
        }
    }
    for (index, package) in packages.iter().enumerate() {
        r.check([Item::Part("packages"), Item::Index(index)], apt::check_base_package(package));
    }
}

fn dockerfile(r: &mut Reporter<'_>, base: &DockerfileBase, image: &Image) {
    let DockerfileBase { file, context, build_args, target } = base;
    r.check([Item::Part("dockerfile")], values::host_path(file));
    if file.file_name().is_none() && !file.as_os_str().is_empty() {
        let message = format!("{} is not a file's path", file.display());
        r.report([Item::Part("dockerfile")], Fault::new("spec/invalid-source", message));
    }
    if let Some(context) = context {
        r.check([Item::Part("context")], values::host_path(context));
    }
    for (name, value) in build_args {
        let at = || [Item::Part("build-args"), Item::Key(name.clone())];
        r.check(at(), build_arg(name));
        r.check(at(), values::process_text("spec/invalid-build-arg", value));
    }
    if let Some(target) = target {
        r.check([Item::Part("target")], check_word("spec/invalid-target", target));
    }
    if !image.steps().is_empty() {
        let fault = Fault::new(
            "spec/not-extendable",
            "nothing can be added to an image from a Dockerfile: what is in it is not known",
        );
        let hint = "Add it in the Dockerfile, or in an image that has this one as its base: \
                    base = { spec = \"...\" }.";
        r.report([], fault.hint(hint));
    }
}

/// The name of an `ARG`: what a Dockerfile can refer to.
fn build_arg(name: &str) -> Result<(), Fault> {
    let valid = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    match valid {
        true => Ok(()),
        false => Err(Fault::new(
            "spec/invalid-build-arg",
            format!(
                "{name:?} is not a build argument's name: expected letters, digits and _, not starting with a digit"
            ),
        )),
    }
}
