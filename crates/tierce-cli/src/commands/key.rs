//! `tierce key`

use super::project::Ask;
use super::{Done, lock, print_json, print_line, project};
use crate::args::{Format, KeyArgs, Progress};
use crate::ui;
use serde_json::json;
use tierce::spec::Base;
use tierce::{Events, Reference, offline};

pub fn run(args: KeyArgs) -> Done {
    let (settings, mut project) = project::load_one(&Ask::one(
        args.spec.spec.as_deref(),
        &args.name,
        &args.naming,
        &args.settings,
        (&args.python, args.code),
    ))?;
    lock::pin(std::slice::from_mut(&mut project), &args.locked)?;
    project.warn(&Events::new(ui::sink(Progress::Plain)));
    if let (Base::Registry(reference), true) = (project.image.base(), project.image.is_unmodified())
    {
        return show_unmodified(reference, &args);
    }
    let prepared = project::interruptible(move || {
        let prepared = offline(&settings).prepare(&project.image, &project.options);
        prepared.map_err(|error| project.failed(error))
    })?;
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

/// An image to which nothing is added is its own result, and has no key.
fn show_unmodified(reference: &Reference, args: &KeyArgs) -> Done {
    match args.format {
        Format::Text => print_line(&reference.to_string()),
        Format::Json => print_json(&json!({
            "uri": reference.to_string(),
            "tag": reference.tag(),
            "key": null,
            "platforms": [],
            "image": null,
        })),
    }
}
