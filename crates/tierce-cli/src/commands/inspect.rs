//! `tierce inspect`

use super::{Done, print_json, print_line, project};
use crate::args::{Format, InspectArgs, Progress};
use crate::ui::units;
use std::fmt::Write;
use tierce::{ImageReport, PlatformReport, Settings};

pub fn run(args: InspectArgs) -> Done {
    let report =
        project::drive(Settings::load()?, Progress::Quiet, async move |tierce, events| {
            Ok(tierce.inspect(&args.image, &events).await?)
        })?;
    match args.format {
        Format::Json => print_json(&report),
        Format::Text => print_line(text(&report).trim_end()),
    }
}

fn text(report: &ImageReport) -> String {
    let mut text = format!("{}\n{}\n", report.name, report.digest);
    report.platforms.iter().for_each(|platform| write_platform(&mut text, platform));
    text
}

fn write_platform(text: &mut String, platform: &PlatformReport) {
    let total = platform.layers.iter().map(|l| l.size).sum();
    let _ = writeln!(text, "\n{}  {}", platform.platform, units::bytes(total));
    for (name, value) in [
        ("user", platform.config.user.clone()),
        ("workdir", platform.config.working_dir.clone()),
        ("entrypoint", platform.config.entrypoint.as_ref().map(|a| a.join(" "))),
        ("cmd", platform.config.cmd.as_ref().map(|a| a.join(" "))),
    ] {
        if let Some(value) = value {
            let _ = writeln!(text, "  {name:<10} {value}");
        }
    }
    for entry in platform.config.env.iter().flatten() {
        let _ = writeln!(text, "  env        {entry}");
    }
    for layer in &platform.layers {
        let _ = writeln!(
            text,
            "  {} {:>8}  {}",
            layer.digest.short(),
            units::bytes(layer.size),
            layer.created_by
        );
    }
}
