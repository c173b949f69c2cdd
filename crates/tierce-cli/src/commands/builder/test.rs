//! `tierce builder test`

use super::error::BuilderCommandError;
use super::show::table;
use crate::args::{Format, Progress, TestArgs};
use crate::commands::{Done, print_json, print_line, project};
use tierce::{ErrorKind, Settings};
use tierce_conformance::{CaseReport, Outcome, SuiteOptions, SuiteReport};

pub fn run(args: TestArgs) -> Done {
    let report = project::drive(Settings::load()?, args.progress, async move |tierce, _| {
        let builder = tierce.builders().open(&args.name).await?;
        let scratch = match args.scratch {
            Some(scratch) => tempfile::tempdir_in(scratch),
            None => tempfile::tempdir(),
        };
        let scratch = scratch.map_err(BuilderCommandError::Scratch)?;
        let mut options = SuiteOptions::new(scratch.path().to_owned());
        options.base = args.base;
        options.only = args.case;
        if let Some(registry) = args.registry {
            let client = tierce.native().context().registry.clone();
            options = options.with_registry(registry, client);
        }
        let quiet = args.progress == Progress::Quiet;
        let mut on = |case: &CaseReport| {
            if !quiet {
                eprintln!("{}", line(case).join("  "));
            }
        };
        Ok((tierce_conformance::run(builder, &options, &mut on).await?, args.format))
    });
    let (report, format) = report?;
    match format {
        Format::Json => print_json(&report)?,
        Format::Text => print_line(&text(&report))?,
    };
    if report.failures().next().is_some() {
        return Ok(ErrorKind::Step.exit_code());
    }
    match report.passed() {
        // A builder about which nothing was found out must not look like one that was tested.
        0 => Err(BuilderCommandError::NothingTested { name: report.builder }.into()),
        _ => Ok(0),
    }
}

fn line(case: &CaseReport) -> Vec<String> {
    let (outcome, remark) = match &case.outcome {
        Outcome::Passed => ("passed", String::new()),
        Outcome::Skipped { why } => ("skipped", why.clone()),
        Outcome::Failed { what } => ("FAILED", what.clone()),
    };
    vec![case.name.to_owned(), outcome.to_owned(), case.about.to_owned(), remark]
}

fn text(report: &SuiteReport) -> String {
    let rows: Vec<Vec<String>> = report.cases.iter().map(line).collect();
    let failed = report.failures().count();
    let skipped = report.cases.len() - failed - report.passed();
    format!(
        "{}\n{}: {} passed, {failed} failed, {skipped} skipped",
        table(&rows),
        report.builder,
        report.passed()
    )
}
