//! What a specification takes from the machine, so that whoever builds it can see it: secrets,
//! and files outside of the project.

use super::failure::CliError;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use tierce::Settings;
use tierce::config::FileKind;
use tierce::fronts::FrontWarning;
use tierce::spec::{Base, Image, SecretId, Step};

/// A line for each secret: which, from where, and what for. Never its value.
pub fn secret_lines(image: &Image, settings: &Settings) -> Vec<String> {
    let mut uses: Vec<(SecretId, Vec<String>)> = vec![];
    let mut add = |id: SecretId, use_: String| match uses.iter_mut().find(|(known, _)| *known == id)
    {
        Some((_, all)) => all.push(use_),
        None => uses.push((id, vec![use_])),
    };
    for (depth, image) in images(image).into_iter().enumerate() {
        let whose = if depth == 0 { "" } else { " of the base" };
        if let Some(secret) = image.registry_secret() {
            add(secret.id(), format!("the registry{whose}"));
        }
        for (index, step) in image.steps().iter().enumerate() {
            let ids: std::collections::BTreeSet<SecretId> =
                step.secrets().iter().map(tierce::spec::Secret::id).collect();
            for id in ids {
                add(id, format!("step {} ({}){whose}", index + 1, kind(step)));
            }
        }
    }
    let line = |(id, uses): &(SecretId, Vec<String>)| {
        format!("secret {id}: {}, for {}", origin(id, settings), uses.join(" and "))
    };
    uses.iter().map(line).collect()
}

/// The image, and those of this machine that it starts from.
fn images(image: &Image) -> Vec<&Image> {
    let mut all = vec![image];
    let mut next = image.base();
    while let Base::Image(below) = next {
        all.push(below);
        next = below.base();
    }
    all
}

fn kind(step: &Step) -> &'static str {
    match step {
        Step::Apt(_) => "apt",
        Step::Pip(_) => "pip",
        Step::Requirements(_) => "requirements",
        Step::Wheels(_) => "wheels",
        Step::Project(_) => "project",
        Step::Conda(_) => "conda",
        Step::Commands(_) => "run",
        _ => "other",
    }
}

/// Where a value would be found, in the order in which places are asked. No value is read.
fn origin(id: &SecretId, settings: &Settings) -> String {
    let variable = id.variable();
    if settings.environment.raw(&variable).is_some_and(|value| !value.is_empty()) {
        return format!("from the variable {variable}");
    }
    let secrets = &settings.secrets;
    let name = id.to_string();
    fn named<'a, T>(map: &'a BTreeMap<String, T>, variable: &str, name: &str) -> Option<&'a T> {
        map.get(variable).or_else(|| map.get(name))
    }
    if let Some(file) = named(&secrets.files, &variable, &name) {
        return format!("from the file {}", file.display());
    }
    if let Some(program) = named(&secrets.commands, &variable, &name).and_then(|argv| argv.first())
    {
        return format!("from the program {program}");
    }
    let places = secrets.directories.iter().flat_map(|d| [d.join(&variable), d.join(&name)]);
    match places.into_iter().find(|place| place.is_file()) {
        Some(file) => format!("from the file {}", file.display()),
        None => format!("not found (the variable {variable} would be the first place)"),
    }
}

/// A warning for everything of this machine that the image is made from and that is outside of
/// the project, however it is named: absolutely, with `..`, by a link.
pub fn outside(image: &Image, root: &Path, settings: &Settings) -> Vec<FrontWarning> {
    let Some(project) = project_folder(root, settings) else { return vec![] };
    let mut warnings = vec![];
    for image in images(image) {
        let root = image.root().map_or(root.to_owned(), |own| root.join(own));
        for path in host_paths(image) {
            // What is not there is for those to say who read it.
            let Ok(real) = root.join(path).canonicalize() else { continue };
            if real.starts_with(&project) || is_tool(path, settings) {
                continue;
            }
            let message = format!(
                "{} is outside of the project: {} goes into the image",
                path.display(),
                real.display()
            );
            warnings.push(FrontWarning { code: "source/outside-project", message });
        }
    }
    warnings.dedup_by(|a, b| a.message == b.message);
    warnings
}

/// Whether this is a program of the user's that steps of images in Flyte's words run: uv, pixi.
fn is_tool(path: &Path, settings: &Settings) -> bool {
    let is_one = path.file_name().is_some_and(|name| name == "uv" || name == "pixi");
    let folder = path.parent().unwrap_or(path);
    is_one
        && (settings.search_path.iter().any(|known| known == folder)
            || path.starts_with(&settings.store))
}

fn host_paths(image: &Image) -> Vec<&Path> {
    let of_base = match image.base() {
        Base::Dockerfile(base) => vec![Some(base.file.as_path()), base.context.as_deref()],
        _ => vec![],
    };
    let of_steps = image.steps().iter().map(|step| match step {
        Step::SourceFolder(folder) => Some(folder.src.as_path()),
        Step::SourceFile(file) => Some(file.src.as_path()),
        Step::Requirements(requirements) => Some(requirements.file.as_path()),
        Step::Wheels(wheels) => Some(wheels.dir.as_path()),
        Step::Project(project) => Some(project.manifest.as_path()),
        Step::Conda(conda) => conda.source.files().map(|(file, _)| file),
        _ => None,
    });
    of_base.into_iter().chain(of_steps).flatten().collect()
}

/// The folder whose files are the project's own: that of the workspace that it is part of, else
/// that of the specification.
fn project_folder(root: &Path, settings: &Settings) -> Option<PathBuf> {
    let root = root.canonicalize().ok()?;
    let workspace = settings.files.iter().find(|file| file.kind == FileKind::Workspace);
    let above = workspace.and_then(|file| file.path.parent()).and_then(|p| p.canonicalize().ok());
    Some(above.filter(|above| root.starts_with(above)).unwrap_or(root))
}

/// Refuses files that a specification names as secrets and that are not its own, unless the user
/// has named them, or their folder, for secrets: whoever wrote it could have any file of the user
/// sent anywhere.
pub fn check_secret_files<'a>(
    files: impl IntoIterator<Item = &'a PathBuf>,
    root: &Path,
    settings: &Settings,
) -> Result<(), CliError> {
    let real = |path: &Path| path.canonicalize().ok();
    let secrets = &settings.secrets;
    let folders = project_folder(root, settings).into_iter();
    let folders: Vec<PathBuf> =
        folders.chain(secrets.directories.iter().filter_map(|d| real(d))).collect();
    let named: Vec<PathBuf> = secrets.files.values().filter_map(|file| real(file)).collect();
    for file in files {
        // One that is not there is reported with all other places where the secret is not.
        let Some(found) = real(file) else { continue };
        if !named.contains(&found) && !folders.iter().any(|folder| found.starts_with(folder)) {
            return Err(CliError::SecretFile { path: file.display().to_string() });
        }
    }
    Ok(())
}
