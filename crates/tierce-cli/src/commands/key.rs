//! `tierce key`

use super::{Done, print_json, print_line, project};
use crate::args::{Format, KeyArgs, Progress};
use crate::ui;
use serde_json::json;
use tierce::{Events, offline};

pub fn run(args: KeyArgs) -> Done {
    let registry = args.naming.registry.as_deref();
    let mut settings = project::settings(&args.spec, &args.settings, registry)?;
    let project = project::load(&args.spec, &args.naming, &args.settings, &mut settings)?;
    project.warn(&Events::new(ui::sink(Progress::Plain)));
    let prepared = offline(&settings).prepare(&project.image, &project.options)?;
    match args.format {
        Format::Text => print_line(&prepared.name.to_string()),
        Format::Json => print_json(&json!({
            "uri": prepared.name.to_string(),
            "tag": prepared.name.tag(),
            "key": prepared.key.digest().to_string(),
            "platforms": prepared.gathered.resolved.platforms().iter()
                .map(ToString::to_string).collect::<Vec<_>>(),
            "image": prepared.gathered.resolved.image(),
        })),
    }
}
