//! `tierce run`

use super::failure::CliError;
use super::lock::LockCommandError;
use super::project::Ask;
use super::python::{Handover, PythonError, files};
use super::{Done, lock, project};
use crate::args::{NamingArgs, RunArgs};
use std::path::Path;
use tierce::RunOptions;

pub fn run(args: RunArgs) -> Done {
    let mut env = vec![];
    for entry in &args.env {
        let (name, value) = entry.split_once('=').ok_or_else(|| CliError::Env(entry.clone()))?;
        env.push((name.to_owned(), value.to_owned()));
    }
    let options = RunOptions {
        command: args.command,
        env,
        user: args.user,
        workdir: args.workdir,
        network: !args.no_network,
    };
    let naming = NamingArgs { registry: None, tag: None, platform: vec![] };
    let python = (&args.python, args.code);
    // What exists as a path is a specification; everything else names an image.
    let image = args.image.clone().unwrap_or_else(|| ".".to_owned());
    let of_file = files::with_name(Path::new(&image)).is_some_and(|(file, _)| file.exists());
    let (settings, mut project) = if of_file || Path::new(&image).exists() {
        let spec = args.image.as_deref().map(Path::new);
        let ask = Ask::one(spec, &args.name, &naming, &args.settings, python);
        let mut loaded = project::load(&ask)?;
        if let Some(Handover { builder, .. }) = loaded.handover {
            let option = "`tierce run`: build the image, and run it by its name";
            return Err(PythonError::PythonBuilder { builder, option }.into());
        }
        (loaded.settings, loaded.projects.pop())
    } else if let Some(name) = &args.name.name {
        let text = format!("{name:?} after {image}: only Python files have several images");
        return Err(CliError::Usage(text).into());
    } else {
        let ask = Ask::one(None, &args.name, &naming, &args.settings, python);
        (project::settings(Path::new("."), &ask)?, None)
    };
    match &mut project {
        Some(project) => lock::pin(std::slice::from_mut(project), &args.locked)?,
        None if args.locked.locked || args.locked.lock.is_some() => {
            return Err(LockCommandError::NoSpec(image).into());
        }
        None => {}
    }
    project::drive(settings, args.progress, async move |tierce, events| {
        Ok(match &project {
            Some(p) => {
                p.announce(&events);
                let run = tierce.run_spec(&p.image, &p.options, &options, &events).await;
                run.map_err(|error| p.failed(error))?
            }
            None => tierce.run_image(&image, &options, &events).await?,
        })
    })
}
