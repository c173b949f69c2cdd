//! `tierce plan`

use super::{Done, print_json, print_line, project};
use crate::args::{Format, PlanArgs};
use std::fmt::Write;
use tierce::PlatformPlan;

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
        Format::Text => {
            let mut text = format!("{}\n", plan.uri);
            plan.platforms.iter().for_each(|platform| write_platform(&mut text, platform));
            print_line(text.trim_end())
        }
    }
}

/// A plan for people.
pub fn write_platform(text: &mut String, plan: &PlatformPlan) {
    let _ = writeln!(text, "\n{}", plan.platform);
    let title = plan.layers.iter().map(|l| l.title.chars().count()).max().unwrap_or(0).min(60);
    for layer in &plan.layers {
        let _ = writeln!(text, "  {:<9} {:<title$}  {}", layer.action, layer.title, layer.why);
    }
}
