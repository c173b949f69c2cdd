//! `tierce plan`

use super::{Done, print_json, print_line, project};
use crate::args::{Format, PlanArgs};

pub fn run(args: PlanArgs) -> Done {
    let registry = args.naming.registry.as_deref();
    let mut settings = project::settings(&args.spec, &args.settings, registry)?;
    let project = project::load(&args.spec, &args.naming, &args.settings, &mut settings)?;
    let plan = project::drive(settings, args.progress, async move |tierce, events| {
        project.announce(&events);
        Ok(tierce.plan(&project.image, &project.options, &events).await?)
    })?;
    match args.format {
        Format::Json => print_json(&plan),
        Format::Text => print_line(tierce_ui::plan::table(&plan).trim_end()),
    }
}
