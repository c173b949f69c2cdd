//! `tierce run`

use super::failure::CliError;
use super::{Done, project};
use crate::args::{NamingArgs, RunArgs, SpecArgs};
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
    // What exists as a path is a specification; everything else names an image.
    let is_spec = Path::new(&args.image).exists();
    let spec = SpecArgs { spec: if is_spec { args.image.clone().into() } else { ".".into() } };
    let mut settings = project::settings(&spec, &args.settings, None)?;
    let project = match is_spec {
        false => None,
        true => {
            let naming = NamingArgs { registry: None, tag: None, platform: vec![] };
            Some(project::load(&spec, &naming, &args.settings, &mut settings)?)
        }
    };
    let image = args.image;
    project::drive(settings, args.progress, async move |tierce, events| {
        Ok(match &project {
            Some(p) => {
                p.announce(&events);
                tierce.run_spec(&p.image, &p.options, &options, &events).await?
            }
            None => tierce.run_image(&image, &options, &events).await?,
        })
    })
}
