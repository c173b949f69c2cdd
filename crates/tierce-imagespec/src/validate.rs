//! What is wrong with the fields of a spec, all of it at once.

use crate::error::Problem;
use crate::{Field, Fields, SourceCopyMode, TagFormat, locked, options, words};
use std::path::{Component, Path};
use tierce_spec::ProjectKind;

/// Everything that is wrong with `fields`, in their order.
pub(crate) fn problems(fields: &Fields) -> Vec<Problem> {
    let mut all = vec![];
    if fields.name.is_empty() {
        all.push(Problem::new("imagespec/invalid-name", Field::Name, "the name is empty"));
    }
    if let Some(registry) = &fields.registry
        && !is_registry(registry)
    {
        let shown = tierce_spec::hide_address(registry);
        all.push(
            Problem::new(
                "imagespec/invalid-registry",
                Field::Registry,
                format!("{shown:?} is not a registry"),
            )
            .hint("Expected a host, with a port or the leading path of its repositories if any: \"ghcr.io/team\", \"localhost:30000\"."),
        );
    }
    if let Some(python) = &fields.python_exec {
        if !python.starts_with('/') {
            all.push(Problem::new(
                "imagespec/invalid-python-exec",
                Field::PythonExec,
                format!("{python:?} is not an absolute path of the image"),
            ));
        }
        for field in [Field::CondaPackages, Field::CondaChannels] {
            if fields.says(field) {
                let message = "not supported together with python_exec";
                all.push(Problem::new("imagespec/conda-with-python-exec", field, message));
            }
        }
    }
    if let Some(lock) =
        fields.requirements.as_deref().and_then(locked::kind).and_then(ProjectKind::lock_name)
        && fields.says(Field::Packages)
    {
        all.push(Problem::new(
            "imagespec/lock-with-packages",
            Field::Packages,
            format!("not supported together with a {lock}, which says all that is installed"),
        ));
    }
    if let Some(Err(error)) = fields.pip_extra_args.as_deref().map(words::split) {
        all.push(Problem::new(
            "imagespec/invalid-pip-extra-args",
            Field::PipExtraArgs,
            error.to_string(),
        ));
    }
    let copies = matches!(
        fields.source_copy_mode,
        Some(SourceCopyMode::All | SourceCopyMode::LoadedModules)
    );
    if copies && fields.source_root.is_none() {
        all.push(
            Problem::new(
                "imagespec/no-source-root",
                Field::SourceCopyMode,
                "there is no source_root to copy from",
            )
            .hint(
                "Set source_root to the folder with the sources, or source_copy_mode to NO_COPY.",
            ),
        );
    }
    for (index, path) in fields.copy.iter().enumerate() {
        if let Some(message) = outside(path) {
            all.push(Problem::new("imagespec/invalid-copy", Field::Copy, message).at(index));
        }
    }
    if let Some(Err(error)) = fields.tag_format.as_deref().map(TagFormat::parse) {
        all.push(error.into());
    }
    all.extend(options::problems(&fields.builder_options));
    all
}

/// Why a path to copy does not lie below the project.
fn outside(path: &Path) -> Option<String> {
    let shown = path.display();
    if path.as_os_str().is_empty() {
        return Some("the path is empty".to_owned());
    }
    if path.is_absolute() {
        return Some(format!("{shown} is an absolute path: expected one below the project"));
    }
    let leaves = path.components().any(|part| part == Component::ParentDir);
    leaves.then(|| format!("{shown} has a \"..\" in it: expected a path below the project"))
}

/// Flytekit's rule: a host of lower-case letters, digits, `.`, `_` and `-`, with a port of one to
/// five digits if any; then path components of word characters, `.` and `-`.
fn is_registry(text: &str) -> bool {
    let mut parts = text.split('/');
    let (host, port) = match parts.next().unwrap_or_default().split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (text.split('/').next().unwrap_or_default(), None),
    };
    let of = |text: &str, also: fn(char) -> bool| {
        !text.is_empty() && text.chars().all(|c| also(c) || matches!(c, '.' | '_' | '-'))
    };
    of(host, |c| c.is_ascii_lowercase() || c.is_ascii_digit())
        && port.is_none_or(|p| (1..=5).contains(&p.len()) && p.bytes().all(|b| b.is_ascii_digit()))
        && parts.all(|part| of(part, |c| c.is_ascii_alphanumeric()))
}
