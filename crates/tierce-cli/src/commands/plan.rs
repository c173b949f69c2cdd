//! `tierce plan`

use super::project::Ask;
use super::{Done, lock, print_json, print_line, project};
use crate::args::{Format, PlanArgs};

pub fn run(args: PlanArgs) -> Done {
    let (settings, mut project) = project::load_one(&Ask::one(
        args.spec.spec.as_deref(),
        &args.name,
        &args.naming,
        &args.settings,
        (&args.python, args.code),
    ))?;
    lock::pin(std::slice::from_mut(&mut project), &args.locked)?;
    let plan = project::drive(settings, args.progress, async move |tierce, events| {
        project.announce(&events);
        let plan = tierce.plan(&project.image, &project.options, &events).await;
        plan.map_err(|error| project.failed(error))
    })?;
    match args.format {
        Format::Json => print_json(&plan),
        Format::Text => print_line(tierce_ui::plan::table(&plan).trim_end()),
    }
}
