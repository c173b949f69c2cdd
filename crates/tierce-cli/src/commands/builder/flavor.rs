//! `tierce builder flavor`

use super::error::BuilderCommandError;
use super::place::Place;
use super::{show, with_tierce};
use crate::args::{FlavorCommand, Format};
use crate::commands::failure::Failure;
use crate::commands::{Done, print_json, print_line};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tierce::plugin::{ExternalBuilder, ExternalSettings, Limits, PROGRAM_PREFIX, valid_name};

pub fn run(command: FlavorCommand) -> Done {
    match command {
        FlavorCommand::List { format } => list(format),
        FlavorCommand::Describe { name, format } => describe(name, format),
        FlavorCommand::Register { program, name } => register(program, name),
        FlavorCommand::Delete { name } => delete(&name),
    }
}

fn list(format: Format) -> Done {
    with_tierce(async move |tierce, _| {
        let flavors = tierce.builders().flavors().list();
        match format {
            Format::Json => print_json(&flavors),
            Format::Text => print_line(&show::flavors(&flavors)),
        }
    })
}

fn describe(name: String, format: Format) -> Done {
    with_tierce(async move |tierce, _| {
        let flavor = tierce.builders().flavors().find(&name)?;
        let described = flavor.describe().await.map_err(Failure)?;
        match format {
            Format::Json => print_json(&serde_json::json!({
                "name": name,
                "summary": described.summary,
                "version": described.version,
                "origin": flavor.origin(),
                "config": described.schema.to_json(),
            })),
            Format::Text => print_line(&format!(
                "{}\nversion   {}\norigin    {}\nkeys\n{}",
                show::title(&name, &described.summary),
                described.version,
                flavor.origin(),
                show::keys(&described.schema)
            )),
        }
    })
}

/// A program is asked what it is, so that one that does not work is never registered.
fn register(program: PathBuf, name: Option<String>) -> Done {
    with_tierce(async move |tierce, settings| {
        let program = std::path::absolute(&program).unwrap_or(program);
        let file = name.clone().unwrap_or_else(|| own_name(&program));
        let limits = Limits { describe: Duration::from_secs(10), ..Limits::default() };
        let external = ExternalSettings::new(std::env::temp_dir()).with_limits(limits);
        let builder = ExternalBuilder::open(&file, program.clone(), external).await?;
        let name = name.unwrap_or_else(|| builder.described().name.clone());
        if !valid_name(&name) {
            return Err(BuilderCommandError::Name(name).into());
        }
        if tierce.builders().flavors().is_built_in(&name) {
            return Err(BuilderCommandError::BuiltIn(name).into());
        }
        let mut document = Place::new(&settings, false)?.open()?;
        document.set_flavor(&name, &program)?;
        document.save()?;
        print_line(&format!("registered {name} in {}", document.path().display()))
    })
}

/// What a program is called, for messages.
fn own_name(program: &Path) -> String {
    let name = program.file_name().unwrap_or_default().to_string_lossy();
    name.strip_prefix(PROGRAM_PREFIX).unwrap_or(&name).to_owned()
}

fn delete(name: &str) -> Done {
    with_tierce(async move |tierce, settings| {
        let mut document = Place::new(&settings, false)?.open()?;
        if !document.has_flavor(name) {
            return Err(BuilderCommandError::FlavorNotRegistered(name.to_owned()).into());
        }
        let builders: Vec<String> = tierce.builders().of_flavor(name).map(str::to_owned).collect();
        if !builders.is_empty() {
            let name = name.to_owned();
            return Err(BuilderCommandError::FlavorInUse { name, builders }.into());
        }
        document.remove_flavor(name)?;
        document.save()?;
        print_line(&format!("removed {name} from {}", document.path().display()))
    })
}
