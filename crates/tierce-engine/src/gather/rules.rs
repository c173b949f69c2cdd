//! Which ignore rules hold for a source.

use super::error::GatherError;
use super::place::Place;
use std::path::{Component, Path, PathBuf};
use tierce_layer::LayerPath;
use tierce_spec::{Image, Input, SourceOptions};
use tierce_tree::{DefaultExcludes, IgnoreRules, RulesAbove, ScanOptions};

/// The name that ignore files have, as docker looks for it.
pub(super) const IGNORE_FILE: &str = ".dockerignore";

/// The rules that hold for every source below the project's folder: those of the ignore file that
/// the image names, or of the folder's own. Patterns are relative to that folder, as they are to
/// docker's build context.
pub(super) struct ProjectRules {
    file: PathBuf,
    rules: IgnoreRules,
}

impl ProjectRules {
    /// A file that the image names must be there.
    pub(super) fn read(image: &Image, place: &Place) -> Result<Option<Self>, GatherError> {
        let named = image.dockerignore();
        let file = place.at(named.unwrap_or(Path::new(IGNORE_FILE)));
        let text = match named {
            Some(named) if !file.exists() => {
                let what = format!("ignore file {}", place.shown(named).display());
                return Err(GatherError::Missing { what, path: file });
            }
            Some(_) => Some(read(&file)?),
            None => read_optional(&file)?,
        };
        let Some(text) = text else { return Ok(None) };
        let rules = parse(&text, &file)?;
        Ok(Some(ProjectRules { file, rules }))
    }

    /// What was left of a source is nothing: an error where these rules leave out the very folder
    /// that was to be copied. Docker does not find such a folder either.
    pub(super) fn check_rest(
        &self,
        what: &str,
        path: &Path,
        above: &RulesAbove,
    ) -> Result<(), GatherError> {
        match self.rules.is_ignored(&above.tree) {
            false => Ok(()),
            true => Err(GatherError::Ignored {
                what: what.to_owned(),
                path: path.to_owned(),
                file: self.file.clone(),
            }),
        }
    }
}

/// How a folder is scanned: the rules of the project, then those of the folder's own ignore file,
/// then the step's.
pub(super) fn scan_options(
    project: Option<&ProjectRules>,
    place: &Place,
    src: &Path,
    input: &Input<'_>,
    options: &SourceOptions,
) -> Result<ScanOptions, GatherError> {
    let folder = place.at(src);
    let tree = way_to(place, src);
    let above = project
        .zip(tree.clone())
        .map(|(project, tree)| RulesAbove { rules: project.rules.clone(), tree });
    let own_file = folder.join(IGNORE_FILE);
    // The project's own file was read already, or another one counts in its stead.
    let is_projects = tree.is_some_and(|tree| tree.is_root())
        || project.is_some_and(|project| is_same(&project.file, &own_file));
    let own = match is_projects {
        true => IgnoreRules::default(),
        false => match read_optional(&own_file)? {
            Some(text) => parse(&text, &own_file)?,
            None => IgnoreRules::default(),
        },
    };
    let of_step = IgnoreRules::parse(&options.ignore.join("\n"))
        .map_err(|source| GatherError::Ignore { file: place.describe(input), source })?;
    let defaults = if options.keep_defaults { DefaultExcludes::Off } else { DefaultExcludes::On };
    let only = options.only.clone();
    Ok(ScanOptions { ignore: own.then(of_step), above, defaults, only })
}

/// The way from the project's folder to `src`, where `src` is below it.
fn way_to(place: &Place, src: &Path) -> Option<LayerPath> {
    use std::os::unix::ffi::OsStrExt;
    // As it is written where that is plain: a link in the project is where its name says.
    let plain = src.components().all(|c| matches!(c, Component::Normal(_) | Component::CurDir));
    if plain {
        return LayerPath::new(src.as_os_str().as_bytes()).ok();
    }
    let root = place.at(Path::new(".")).canonicalize().ok()?;
    let folder = place.at(src).canonicalize().ok()?;
    match folder.strip_prefix(&root).ok()?.as_os_str().as_bytes() {
        b"" => Some(LayerPath::ROOT),
        way => LayerPath::new(way).ok(),
    }
}

fn is_same(one: &Path, other: &Path) -> bool {
    match (one.canonicalize(), other.canonicalize()) {
        (Ok(one), Ok(other)) => one == other,
        _ => false,
    }
}

pub(super) fn parse(text: &str, file: &Path) -> Result<IgnoreRules, GatherError> {
    IgnoreRules::parse(text)
        .map_err(|source| GatherError::Ignore { file: file.display().to_string(), source })
}

pub(super) fn read(file: &Path) -> Result<String, GatherError> {
    std::fs::read_to_string(file)
        .map_err(|source| GatherError::Read { path: file.to_owned(), source })
}

fn read_optional(file: &Path) -> Result<Option<String>, GatherError> {
    match std::fs::read_to_string(file) {
        Ok(text) => Ok(Some(text)),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(GatherError::Read { path: file.to_owned(), source }),
    }
}
