//! The `tierce` program: arguments in, results on standard output, everything else on standard
//! error. All the work is done in the `tierce` library.

mod args;
mod commands;
mod ui;

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    // The sandbox re-executes this program inside its namespaces: nothing may run before this.
    if std::env::args_os().nth(1).is_some_and(|a| a == tierce::SANDBOX_HELPER_ARGUMENT) {
        tierce::sandbox_helper_main();
    }
    // A build in the background is this program, too, with a run to be.
    if std::env::args_os().nth(1).is_some_and(|a| a == tierce::runs::RUN_ARGUMENT) {
        return commands::run_in_background(std::env::args_os().skip(2));
    }
    match args::Cli::try_parse() {
        Ok(cli) => commands::run(cli),
        Err(error) => commands::refuse(error),
    }
}
