//! From what Python says of an image to the image.

use super::error::PythonError;
use super::protocol::{File, Found, Kind};
use crate::args::CopyStyle;
use crate::commands::failure::Failure;
use crate::commands::project::{Ask, Project};
use serde::Deserialize;
use serde_json::Value;
use std::path::PathBuf;
use tierce::flyte::FlyteImage;
use tierce::fronts::{self, Front, Program, below};
use tierce::imagespec::ImageSpec;
use tierce::{BuildOptions, CodeSource, Settings, build_options};

/// What decides about an image besides itself.
pub struct Context<'a> {
    pub ask: &'a Ask<'a>,
    /// Those of the image's file.
    pub settings: &'a Settings,
    /// The folder that paths start from.
    pub root: PathBuf,
    pub file: &'a File,
    /// The version of the Python package.
    pub package: &'a str,
}

/// An `ImageSpec`, as Python says it.
#[derive(Deserialize)]
struct SpecDocument {
    spec: ImageSpec,
    /// The requirement of flytekit that it gets if it has none.
    #[serde(default)]
    flytekit: Option<String>,
}

/// What is built for `found`, which `label` names.
pub fn project(context: &Context<'_>, found: &Found, label: String) -> Result<Project, Failure> {
    if let Some(problem) = &found.problem {
        return Err(PythonError::Problem(Box::new(problem.clone())).into());
    }
    let document = found.document.clone().unwrap_or_default();
    let front = match found.kind {
        Kind::Image => flyte(context, document)?,
        Kind::ImageSpec => image_spec(context, document)?,
    };
    let Context { ask, settings, root, .. } = context;
    // Only what the image itself says comes between the command line and `tierce.init`.
    let inits = || context.file.init.builder.clone().filter(|_| front.image.builder().is_none());
    let options = BuildOptions {
        root: root.clone(),
        platforms: ask.naming.platform.clone(),
        builder: ask.settings.builder.clone().or_else(inits),
        code: code(context, found),
        ..build_options(settings)
    };
    let mut project = Project::of(label, front, options);
    project.of_python = true;
    // What is nothing but its base keeps that name: there is nothing to push.
    if !project.image.is_unmodified() {
        project.rename(ask.naming);
    }
    Ok(project)
}

fn flyte(context: &Context<'_>, document: Value) -> Result<Front, Failure> {
    let image: FlyteImage = serde_json::from_value(document).map_err(|e| other(context, e))?;
    Ok(fronts::flyte(&image, &context.root, context.settings)?)
}

fn image_spec(context: &Context<'_>, document: Value) -> Result<Front, Failure> {
    let document: SpecDocument = serde_json::from_value(document).map_err(|e| other(context, e))?;
    let SpecDocument { spec, flytekit } = document;
    spec.validate()?;
    let program = Program { loaded: Some(context.file.loaded.clone()), flytekit };
    Ok(fronts::image_spec_of(&spec, &context.root, context.settings, &program)?)
}

fn other(context: &Context<'_>, source: serde_json::Error) -> PythonError {
    PythonError::Document { package: context.package.to_owned(), source }
}

/// Who brings the image's code.
fn code(context: &Context<'_>, found: &Found) -> CodeSource {
    let image = || CodeSource::Image {
        root: PathBuf::from("."),
        loaded: Some(below(&context.root, &context.file.loaded)),
    };
    match context.ask.code.style() {
        // Flyte's images have no bundle left that somebody else brings.
        _ if found.decided => image(),
        // Nobody else does, unless somebody says so.
        None | Some(CopyStyle::None) => image(),
        Some(CopyStyle::LoadedModules | CopyStyle::All) => CodeSource::Runner,
    }
}
