//! One module a command.

mod background;
mod build;
mod builder;
mod cache;
mod config;
mod doctor;
mod failure;
mod imagespec;
mod inspect;
mod key;
mod lock;
mod lock_file;
mod plan;
mod project;
mod python;
mod render;
mod run;
mod runs;
mod trust;

use crate::args::{Cli, Command};
use crate::ui;
use clap::CommandFactory;
use failure::Failure;
use std::io::Write;
use std::process::ExitCode;

/// What a command that went well exits with; `run` passes on its program's code.
type Done = Result<u8, Failure>;

pub use background::run as run_in_background;

/// Runs the command and turns what came of it into an exit code.
pub fn run(cli: Cli) -> ExitCode {
    let done = match cli.command {
        Command::Build(args) => build::run(args),
        Command::Key(args) => key::run(args),
        Command::Plan(args) => plan::run(args),
        Command::Lock(args) => lock::run(args),
        Command::Render(args) => render::run(args),
        Command::Run(args) => run::run(args),
        Command::Inspect(args) => inspect::run(args),
        Command::Config(args) => config::run(args),
        Command::Runs(args) => runs::run(args),
        Command::Builder(command) => builder::run(command),
        Command::Cache(args) => cache::run(args),
        Command::Doctor(args) => doctor::run(args),
        Command::Completions { shell } => completions(shell),
        Command::Schema => print_json(&tierce::manifest::schema()),
    };
    ExitCode::from(done.unwrap_or_else(|failure| ui::report(&*failure.0)))
}

/// Reports a command line that makes no sense, or prints the help that was asked for.
pub fn refuse(error: clap::Error) -> ExitCode {
    let failure = match Failure::of_usage(&error) {
        Some(failure) => failure,
        None => error.exit(),
    };
    ExitCode::from(ui::report(&*failure.0))
}

fn completions(shell: clap_complete::Shell) -> Done {
    clap_complete::generate(shell, &mut Cli::command(), "tierce", &mut std::io::stdout());
    Ok(0)
}

/// Prints a result for programs.
fn print_json(value: &impl serde::Serialize) -> Done {
    let text = serde_json::to_string_pretty(value).expect("results have only string keys");
    print_line(&text)
}

/// Prints a result. A reader that went away (`| head`) is no failure.
fn print_line(text: &str) -> Done {
    match writeln!(std::io::stdout(), "{text}") {
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => Err(Failure::stdout(e)),
        _ => Ok(0),
    }
}
