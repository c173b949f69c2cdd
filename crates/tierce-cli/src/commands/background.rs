//! A build in the background, from inside.

use super::failure::{CliError, Failure};
use super::{build, project};
use crate::args::{Cli, Command};
use crate::ui;
use clap::Parser;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use tierce::config::Overrides;
use tierce::runs::{ActiveRun, RunRequest};
use tierce::{Events, Settings};

/// Builds what a `tierce build --detach` asked for, or a program that uses the library. `args` are
/// the run's directory and then those of the command.
pub fn run(mut args: impl Iterator<Item = OsString>) -> ExitCode {
    let directory = PathBuf::from(args.next().unwrap_or_default());
    let mut run = match ActiveRun::adopt(&directory) {
        Ok(run) => run,
        Err(error) => return ExitCode::from(ui::report(&error)),
    };
    let built = match run.take_request() {
        Some(request) => serve(&run, request),
        None => work(&run, args),
    };
    let result = built.as_ref().map_err(|failure| &*failure.0 as _);
    match run.finish(result) {
        Ok(code) => ExitCode::from(code),
        // The run is lost, and this is what it leaves in its output.
        Err(error) => ExitCode::from(ui::report(&error)),
    }
}

/// Builds what another program described.
fn serve(run: &ActiveRun, request: RunRequest) -> Result<tierce::ImageBuild, Failure> {
    let sink = run.sink().map_err(CliError::Stdout)?;
    let mut settings = Settings::load_for(request.root(), Overrides::default())?;
    request.announce(&Events::new(sink.clone()));
    let (image, options) = request.unfold(&mut settings);
    project::drive_with(settings, Events::new(sink), async move |tierce, events| {
        Ok(tierce.build(&image, &options, &events).await?)
    })
}

fn work(
    run: &ActiveRun,
    args: impl Iterator<Item = OsString>,
) -> Result<tierce::ImageBuild, Failure> {
    let args = std::iter::once(OsString::from("tierce")).chain(args);
    let cli = Cli::try_parse_from(args).map_err(|e| CliError::Usage(e.to_string()))?;
    let Command::Build(args) = cli.command else {
        return Err(CliError::Usage("only builds run in the background".to_owned()).into());
    };
    let sink = run.sink().map_err(CliError::Stdout)?;
    let build::Prepared { settings, projects, .. } = build::prepare(&args)?;
    project::drive_with(settings, Events::new(sink), async move |tierce, events| {
        build::build_one(&tierce, &projects, &events).await
    })
}
