//! `tierce config`

use super::failure::{CliError, Failure};
use super::project::Ask;
use super::{Done, print_json, print_line, project};
use crate::args::{CodeArgs, ConfigCommand, ConfigShowArgs, Format, NameArgs, NamingArgs};
use crate::args::{PythonArgs, SettingArgs, SpecArgs};
use serde_json::{Value, json};
use std::path::Path;
use tierce::Settings;
use tierce::config::Entry;

pub fn run(command: ConfigCommand) -> Done {
    match command {
        ConfigCommand::Show(args) => show(&args),
        ConfigCommand::Get { key, args } => get(&key, &args),
        ConfigCommand::Path { spec, format } => {
            paths(&settings(&spec, &SettingArgs::default(), None)?, format)
        }
        ConfigCommand::Schema => print_json(&tierce::config::schema()),
    }
}

fn settings(
    spec: &SpecArgs,
    wishes: &SettingArgs,
    registry: Option<String>,
) -> Result<Settings, Failure> {
    let naming = NamingArgs { registry, tag: None, platform: vec![] };
    let (name, python) = (NameArgs::default(), PythonArgs::default());
    let spec = spec.spec.as_deref();
    let ask = Ask::one(spec, &name, &naming, wishes, (&python, CodeArgs::default()));
    project::settings(spec.unwrap_or(Path::new(".")), &ask)
}

fn load(args: &ConfigShowArgs) -> Result<Settings, Failure> {
    let settings = settings(&args.spec, &args.settings, args.registry.clone())?;
    settings.warnings.iter().for_each(|warning| eprintln!("warning: {warning}"));
    Ok(settings)
}

fn show(args: &ConfigShowArgs) -> Done {
    let entries = load(args)?.entries();
    match args.format {
        Format::Json => print_json(&entries.iter().map(object).collect::<Vec<_>>()),
        Format::Text => {
            let lines = entries.iter().map(|entry| line(entry, args.origin));
            print_line(&lines.collect::<Vec<_>>().join("\n"))
        }
    }
}

fn get(key: &str, args: &ConfigShowArgs) -> Done {
    let settings = load(args)?;
    let entries = settings.entries();
    let Some(entry) = entries.iter().find(|entry| entry.key == key) else {
        return Err(CliError::NoSetting { key: key.to_owned() }.into());
    };
    match args.format {
        Format::Json => print_json(&object(entry)),
        Format::Text => {
            let value = entry.plain();
            print_line(&match args.origin {
                true => format!("{value}  # {}", entry.origin),
                false => value,
            })
        }
    }
}

fn paths(settings: &Settings, format: Format) -> Done {
    if format == Format::Json {
        let files = settings
            .files
            .iter()
            .map(|file| json!({ "kind": file.kind, "path": file.path, "exists": file.exists }));
        return print_json(&files.collect::<Vec<_>>());
    }
    let lines = settings.files.iter().map(|file| {
        let missing = if file.exists { "" } else { " (not there)" };
        format!("{:<10} {}{missing}", file.kind.to_string(), file.path.display())
    });
    print_line(&lines.collect::<Vec<_>>().join("\n"))
}

fn object(entry: &Entry) -> Value {
    json!({ "key": entry.key, "value": entry.value, "origin": entry.origin })
}

fn line(entry: &Entry, with_origin: bool) -> String {
    match with_origin {
        true if entry.value.is_some() => format!("{}  # {}", entry.line(), entry.origin),
        _ => entry.line(),
    }
}
