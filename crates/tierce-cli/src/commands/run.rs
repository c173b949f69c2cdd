//! `tierce run`

use super::failure::CliError;
use super::{Done, project};
use crate::args::{NamingArgs, RunArgs, SpecArgs};
use std::path::Path;
use tierce::{RunOptions, Settings};

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
    let project = match Path::new(&args.image).exists() {
        false => None,
        true => {
            let spec = SpecArgs { spec: args.image.clone().into() };
            let naming = NamingArgs { registry: None, tag: None, platform: vec![] };
            Some(project::load(&spec, &naming, &Settings::load()?)?)
        }
    };
    let image = args.image;
    project::drive(args.progress, async move |tierce, events| {
        Ok(match &project {
            Some(p) => tierce.run_spec(&p.image, &p.options, &options, &events).await?,
            None => tierce.run_image(&image, &options, &events).await?,
        })
    })
}
