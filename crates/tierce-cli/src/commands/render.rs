//! `tierce render`

use super::failure::{CliError, Failure};
use super::lock::LockCommandError;
use super::project::Ask;
use super::{Done, print_json, print_line, project};
use crate::args::{Format, Progress, RenderArgs};
use crate::ui;
use serde_json::{Value, json};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use tierce::dockerfile::{Archive, ContextEntry, ContextSource, Rendered, SecretSource};
use tierce::{Events, RenderWishes, offline};

pub fn run(args: RenderArgs) -> Done {
    if args.locked {
        return Err(LockCommandError::Rendered.into());
    }
    let (settings, project) = project::load_one(&Ask::one(
        args.spec.spec.as_deref(),
        &args.name,
        &args.naming,
        &args.settings,
        (&args.python, args.code),
    ))?;
    let events = Events::new(ui::sink(Progress::Plain));
    project.warn(&events);
    let (settings, prepared) = project::interruptible(move || {
        let prepared = offline(&settings).prepare(&project.image, &project.options);
        Ok((settings, prepared.map_err(|error| project.failed(error))?))
    })?;
    let wishes =
        RenderWishes { dialect: args.dialect.into(), uv: args.uv, ca_bundle: args.ca_bundle };
    let rendered = tierce::render(&prepared, &settings, &wishes)?;
    for warning in &rendered.warnings {
        let message = format!("{}: {}", warning.parameter, warning.reason);
        events.warn("render/unsupported", message);
    }
    if let Some(large) = rendered.context.large() {
        events.warn("render/large-context", large.to_string());
    }
    if let Some(directory) = &args.output {
        rendered.context.write_dir(directory)?;
    }
    if let Some(file) = &args.archive {
        pack(&rendered, file)?;
    }
    match (args.format, args.context) {
        (Format::Json, _) => print_json(&description(&rendered)),
        (Format::Text, true) => {
            let lines = rendered
                .context
                .entries()
                .map(|(path, entry)| format!("{:04o} {:>10} {path}", entry.mode, entry.size()));
            print_line(&lines.collect::<Vec<_>>().join("\n"))
        }
        (Format::Text, false) => print_line(rendered.dockerfile.trim_end_matches('\n')),
    }
}

/// Writes the context as an archive; one that can't be written whole is not left behind.
fn pack(rendered: &Rendered, file: &Path) -> Result<(), Failure> {
    let name = file.to_string_lossy().into_owned();
    let archive = Archive::of_file_name(&name).ok_or_else(|| {
        CliError::Usage(format!("--archive {name:?} is not a .tar, .tar.gz or .zip"))
    })?;
    let failed = |source| CliError::Write { path: name.clone(), source };
    let out = BufWriter::new(File::create(file).map_err(failed)?);
    let done = rendered.context.write_archive(archive, out).map_err(Failure::from);
    let done = done.and_then(|mut out| Ok(out.flush().map_err(failed)?));
    if done.is_err() {
        let _ = std::fs::remove_file(file);
    }
    done
}

fn description(rendered: &Rendered) -> Value {
    let context = rendered.context.entries();
    let context: Vec<Value> =
        context.map(|(path, entry)| describe(&path.to_string(), entry)).collect();
    let secrets = rendered.secrets.iter().map(|secret| {
        let from = match &secret.source {
            SecretSource::Declared(id) => id.to_string(),
            SecretSource::Credentials(_) => "credentials of the image's URLs".to_owned(),
        };
        json!({ "id": secret.id, "from": from })
    });
    let warnings = rendered.warnings.iter();
    json!({
        "dockerfile": rendered.dockerfile,
        "dockerfile-path": rendered.dockerfile_path,
        "context": context,
        "archive": rendered.archive.to_string(),
        "secrets": secrets.collect::<Vec<_>>(),
        "build-args": rendered.build_args,
        "target": rendered.target,
        "unsupported": warnings
            .map(|w| json!({ "parameter": w.parameter, "reason": w.reason }))
            .collect::<Vec<_>>(),
    })
}

fn describe(path: &str, entry: &ContextEntry) -> Value {
    let kind = match &entry.source {
        ContextSource::File { .. } | ContextSource::Bytes(_) => "file",
        ContextSource::Symlink(_) => "link",
        ContextSource::Directory => "directory",
    };
    json!({
        "path": path,
        "kind": kind,
        "mode": format!("{:04o}", entry.mode),
        "size": entry.size(),
    })
}
