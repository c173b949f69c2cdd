//! `tierce runs`

use super::{Done, print_json, print_line};
use crate::args::{Format, RunsCommand};
use crate::ui::{self, units};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tierce::runs::{Cancelled, Run, RunFailure, RunResult, RunState, RunStatus, Runs};
use tierce::{Diagnostic, Effect, Settings};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

pub fn run(command: RunsCommand) -> Done {
    let runs = Runs::open(&Settings::load()?.store);
    match command {
        RunsCommand::List { format } => list(&runs, format),
        RunsCommand::Logs { id, follow, format } => logs(&runs.find(&id)?, follow, format),
        RunsCommand::Wait { ids, format } => wait(&find(&runs, &ids)?, format),
        RunsCommand::Cancel { ids, patience } => {
            cancel(&find(&runs, &ids)?, Duration::from_secs(patience.into()))
        }
        RunsCommand::Prune { older_than, dry_run } => {
            let effect = if dry_run { Effect::DryRun } else { Effect::Remove };
            for (id, _) in runs.prune(DAY * older_than, effect)? {
                print_line(id.as_str())?;
            }
            Ok(0)
        }
    }
}

/// All of them, or none: a slip is found before anything is done.
fn find(runs: &Runs, ids: &[String]) -> Result<Vec<Run>, tierce::runs::RunError> {
    ids.iter().map(|id| runs.find(id)).collect()
}

fn list(runs: &Runs, format: Format) -> Done {
    let all = runs.list()?;
    if format == Format::Json {
        return print_json(&all);
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    for RunStatus { id, state, uri, started, result, .. } in &all {
        let age = units::age(now.saturating_sub(*started));
        let uri = built(result.as_ref()).unwrap_or(uri);
        print_line(&format!("{id}  {state:<9}  {age:>8}  {uri}"))?;
    }
    Ok(0)
}

/// The name of what was built: sources may have changed since the run was started.
fn built(result: Option<&RunResult>) -> Option<&str> {
    result?.build.as_ref()?.get("uri")?.as_str()
}

fn logs(run: &Run, follow: bool, format: Format) -> Done {
    let mut events = run.follow(follow);
    match format {
        Format::Json => {
            while let Some(line) = events.next_line() {
                print_line(&line)?;
            }
        }
        Format::Text => {
            let plain = ui::Plain::default();
            for event in events {
                if let Some(line) = plain.line(&event) {
                    print_line(&line)?;
                }
            }
        }
    }
    let status = run.status()?;
    if let Some(failure) = status.result.as_ref().and_then(|result| result.error.as_ref()) {
        ui::report_failure(failure);
    }
    if status.state == RunState::Lost {
        // What it said last is all there is.
        eprint!("{}", run.output());
    }
    Ok(0)
}

fn wait(runs: &[Run], format: Format) -> Done {
    let mut code = 0;
    for run in runs {
        let exit_code = match run.wait() {
            Ok(result) => {
                match format {
                    Format::Json => print_json_line(&run.status()?)?,
                    Format::Text => print_result(run, &result)?,
                };
                result.exit_code
            }
            Err(error) => {
                if format == Format::Json
                    && let Ok(status) = run.status()
                {
                    print_json_line(&status)?;
                }
                ui::report(&error)
            }
        };
        if code == 0 {
            code = exit_code;
        }
    }
    Ok(code)
}

fn print_json_line(status: &RunStatus) -> Done {
    print_line(&serde_json::to_string(status).expect("results have only string keys"))
}

fn print_result(run: &Run, result: &RunResult) -> Done {
    match (built(Some(result)), &result.error) {
        (Some(uri), _) => return print_line(uri),
        (None, Some(failure)) => ui::report_failure(failure),
        (None, None) => ui::report_failure(&RunFailure {
            code: "cli/interrupted".to_owned(),
            message: format!("the run {} was killed", run.id()),
            causes: vec![],
            hint: None,
        }),
    }
    Ok(0)
}

fn cancel(runs: &[Run], patience: Duration) -> Done {
    let mut code = 0;
    for run in runs {
        match run.cancel(patience) {
            Ok(Cancelled::Ended) => eprintln!("{} has ended already", run.id()),
            Ok(Cancelled::Stopped) => eprintln!("{} has stopped", run.id()),
            Ok(Cancelled::Killed) => eprintln!("{} was killed", run.id()),
            Err(error) => {
                ui::report(&error);
                code = error.kind().exit_code();
            }
        }
    }
    Ok(code)
}
