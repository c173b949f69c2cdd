//! `tierce plan`

use super::project::Ask;
use super::{Done, print_json, print_line, project};
use crate::args::{Format, PlanArgs};

pub fn run(args: PlanArgs) -> Done {
    let (settings, project) = project::load_one(&Ask::one(
        args.spec.spec.as_deref(),
        &args.name,
        &args.naming,
        &args.settings,
        (&args.python, args.code),
    ))?;
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
