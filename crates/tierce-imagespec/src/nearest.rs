//! The field that a key was meant for.

use crate::Field;

/// What other formats call some fields.
const OTHER_WORDS: &[(&str, Field)] = &[
    ("apt", Field::AptPackages),
    ("base", Field::BaseImage),
    ("channels", Field::CondaChannels),
    ("conda", Field::CondaPackages),
    ("dependencies", Field::Packages),
    ("environment", Field::Env),
    ("env_vars", Field::Env),
    ("extra_index_url", Field::PipExtraIndexUrl),
    ("from", Field::BaseImage),
    ("image", Field::BaseImage),
    ("index_url", Field::PipIndex),
    ("pip", Field::Packages),
    ("pip_packages", Field::Packages),
    ("platforms", Field::Platform),
    ("python", Field::PythonVersion),
    ("python_packages", Field::Packages),
    ("run", Field::Commands),
    ("secret_mounts", Field::PipSecretMounts),
    ("source", Field::SourceRoot),
    ("tag", Field::TagFormat),
];

/// The field that `key` was meant for, if it is near enough to one.
pub(crate) fn nearest(key: &str) -> Option<Field> {
    let plain = key.to_lowercase().replace('-', "_");
    if let Some(field) = Field::of_name(&plain) {
        return Some(field);
    }
    if let Some((_, field)) = OTHER_WORDS.iter().find(|(word, _)| *word == plain) {
        return Some(*field);
    }
    Field::ALL
        .into_iter()
        .map(|field| (strsim::damerau_levenshtein(&plain, field.name()), field))
        .filter(|(distance, field)| *distance <= 1 + plain.len().min(field.name().len()) / 4)
        .min()
        .map(|(_, field)| field)
}
