//! `tierce build`

use super::{Done, print_json, print_line, project};
use crate::args::{BuildArgs, Format};
use tierce::{Export, Settings, Status};

pub fn run(args: BuildArgs) -> Done {
    let mut project = project::load(&args.spec, &args.naming, &Settings::load()?)?;
    project.options.push = args.push;
    project.options.exports = args.output;
    if args.load {
        project.options.exports.push(Export::Load);
    }
    project.options.force = args.force;
    project.options.dry_run = args.dry_run;
    let build = project::drive(args.progress, async move |tierce, events| {
        Ok(tierce.build(&project.image, &project.options, &events).await?)
    })?;
    match args.format {
        Format::Json => print_json(&build),
        Format::Text => {
            match build.status {
                Status::Present => eprintln!("{} is there already", build.uri),
                Status::WouldBuild => eprintln!("{} would be built", build.uri),
                Status::Built | Status::AssumedPresent => {}
            }
            print_line(&build.uri)
        }
    }
}
