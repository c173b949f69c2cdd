//! What a build would do, as a table.

use crate::text;
use std::fmt::Write;
use tierce_engine::{PlanReport, PlatformPlan};

/// How wide the column of titles may get.
const TITLE: usize = 60;

/// The whole plan: the image's name, and a table for each platform.
pub fn table(plan: &PlanReport) -> String {
    let mut out = format!("{}\n", text::line(&plan.uri));
    plan.platforms.iter().for_each(|platform| write_platform(&mut out, platform));
    out
}

/// The table of one platform.
pub fn write_platform(out: &mut String, plan: &PlatformPlan) {
    let _ = writeln!(out, "\n{}", plan.platform);
    let width = plan.layers.iter().map(|l| l.title.chars().count()).max().unwrap_or(0).min(TITLE);
    for layer in &plan.layers {
        let (title, why) = (text::line(&layer.title), text::line(&layer.why));
        let _ = writeln!(out, "  {:<9} {title:<width$}  {why}", layer.action);
    }
}
