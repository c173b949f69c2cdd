//! The Python that scripts ask for (`requires-python`, PEP 723).

use super::script::header;
use crate::{FlyteError, FlyteImage, Layer, Surroundings};
use pep440_rs::{Version, VersionSpecifiers};
use std::path::Path;
use tierce_spec::PythonVersion;

/// The series that there may be: none is older that packages are installed for, and those that are
/// not there yet are an error when the image is built.
const SERIES: std::ops::RangeInclusive<u32> = 9..=30;

/// The third numbers that a release may have.
const PATCHES: std::ops::RangeInclusive<u32> = 0..=60;

/// What one script asks for.
struct Required<'a> {
    script: &'a Path,
    text: String,
    specifiers: VersionSpecifiers,
}

/// The image's Python: the one that it has, where that is one that its scripts ask for. Where the
/// user did not say which one it is, and it is none of these, it is of the oldest series that is:
/// what a script has certainly been tried with.
pub(super) fn python(
    image: &FlyteImage,
    surroundings: &Surroundings,
) -> Result<PythonVersion, FlyteError> {
    let said = image.python_version;
    // Which Python a base has is its own business.
    if image.base_image.is_some() || image.dockerfile.is_some() {
        return Ok(said);
    }
    let mut required = vec![];
    for layer in &image.layers {
        if let Layer::UvScript { script, .. } = layer {
            required.extend(of_script(script, surroundings)?);
        }
    }
    let [first, ..] = required.as_slice() else { return Ok(said) };
    let all: Vec<&VersionSpecifiers> = required.iter().map(|r| &r.specifiers).collect();
    if let Some(fitting) = within(said, &all) {
        return Ok(fitting);
    }
    if image.python_is_given {
        let unmet = required.iter().find(|r| within(said, &[&r.specifiers]).is_none());
        let Required { script, text, .. } = unmet.unwrap_or(first);
        let (script, requires) = ((*script).to_owned(), text.clone());
        return Err(FlyteError::ScriptPython { script, requires, python: said });
    }
    let series = |minor| PythonVersion { major: 3, minor, patch: None };
    let none = || FlyteError::Header {
        script: first.script.to_owned(),
        reason: format!("no Python from 3.9 on is one of requires-python = {:?}", first.text),
    };
    SERIES.map(series).find_map(|s| within(s, &all)).ok_or_else(none)
}

fn of_script<'a>(
    script: &'a Path,
    surroundings: &Surroundings,
) -> Result<Option<Required<'a>>, FlyteError> {
    let header = header(script, &surroundings.texts)?;
    let Some(value) = header.get("requires-python") else { return Ok(None) };
    let wrong = |reason| FlyteError::Header { script: script.to_owned(), reason };
    let text = value.as_str().ok_or_else(|| wrong("requires-python is no string".to_owned()))?;
    let specifiers = text.parse().map_err(|error| wrong(format!("requires-python: {error}")))?;
    Ok(Some(Required { script, text: text.to_owned(), specifiers }))
}

/// The version as far as these allow it: the series itself where its newest releases are allowed,
/// else the newest one that is; `None` where none is.
fn within(version: PythonVersion, all: &[&VersionSpecifiers]) -> Option<PythonVersion> {
    let allowed = |patch: u32| {
        let numbers = [version.major, version.minor, patch].map(u64::from);
        let exact = Version::new(numbers);
        all.iter().all(|specifiers| specifiers.contains(&exact))
    };
    match version.patch {
        Some(patch) => allowed(patch).then_some(version),
        None if allowed(*PATCHES.end()) => Some(version),
        None => {
            let newest = PATCHES.rev().find(|patch| allowed(*patch))?;
            Some(PythonVersion { patch: Some(newest), ..version })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_narrowed_as_far_as_they_have_to_be() {
        for (version, requires, expected) in [
            ("3.12", ">=3.12", Some("3.12")),
            ("3.12", ">=3.10,<3.13", Some("3.12")),
            ("3.12", ">=3.12.4", Some("3.12")),
            ("3.12", "==3.12.*", Some("3.12")),
            ("3.12", "~=3.11", Some("3.12")),
            ("3.12", "==3.12.4", Some("3.12.4")),
            ("3.12", "<3.12.3", Some("3.12.2")),
            ("3.12.4", ">=3.12", Some("3.12.4")),
            ("3.12.4", ">=3.12.5", None),
            ("3.12", ">=3.13", None),
            ("3.12", "<3.12", None),
        ] {
            let specifiers = requires.parse().unwrap();
            let found = within(version.parse().unwrap(), &[&specifiers]);
            let found = found.map(|version| version.to_string());
            assert_eq!(found.as_deref(), expected, "{version} {requires}");
        }
    }
}
