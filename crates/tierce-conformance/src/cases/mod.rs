//! The cases.

mod commands;
mod failures;
mod files;
mod results;
mod secrets;
mod settings;

use crate::bench::{Bench, Checked};
use futures::future::BoxFuture;

/// One thing that a builder must do.
pub struct Case {
    /// Its name.
    pub name: &'static str,
    /// What it is about, in one sentence.
    pub about: &'static str,
    pub(crate) run: for<'a> fn(&'a Bench<'a>) -> BoxFuture<'a, Checked>,
}

/// All cases, from the simplest on.
pub fn cases() -> Vec<Case> {
    macro_rules! case {
        ($name:literal, $about:literal, $run:path) => {
            Case { name: $name, about: $about, run: |bench| Box::pin($run(bench)) }
        };
    }
    vec![
        case!("folder", "files, modes, links and empty folders of a source folder", files::folder),
        case!("file", "a source file, as itself and into a folder", files::file),
        case!("names", "names in any script, with spaces and quotes", files::names),
        case!("ignored", "what the ignore file leaves out", files::ignored),
        case!("large", "a file of several megabytes", files::large),
        case!("later-wins", "a later step's file instead of an earlier one's", files::later_wins),
        case!("env", "variables with quotes, dollars and new lines", settings::env),
        case!("labels", "labels with quotes, dollars and new lines", settings::labels),
        case!("start", "entry point, command, directory and user", settings::start),
        case!("inherits", "the base's settings where the image has none", settings::inherits),
        case!("shell", "commands for the shell, one after the other", commands::shell),
        case!("exec", "commands without a shell", commands::exec),
        case!("sees", "variables, directory and user that commands see", commands::sees),
        case!("workdir", "a working directory that is there already", commands::workdir),
        case!("removes", "files that a command removes", commands::removes),
        case!("order", "commands that see what came before and nothing else", commands::order),
        case!("no-network", "commands without a network", commands::no_network),
        case!("secret-variable", "a secret in a variable, in its step only", secrets::variable),
        case!("secret-file", "a secret in a file, in its step only", secrets::file),
        case!("secret-log", "a secret that a command prints", secrets::log),
        case!("kept", "an image that stays with the builder", results::kept),
        case!("gives-back", "the base, where steps are left out", results::gives_back),
        case!("platforms", "one image for two platforms", results::platforms),
        case!("base-image", "a base that is an image of tierce's", results::base_image),
        case!("exports", "the same image, wherever it goes", results::exports),
        case!("reproducible", "the same image twice, the same digest", results::reproducible),
        case!("force", "commands that run again when that is asked for", results::force),
        case!("check-present", "what was pushed is present", results::check_present),
        case!("check-absent", "what was never pushed is absent", results::check_absent),
        case!("failing-command", "a command that fails, with its output", failures::command),
        case!("missing-program", "a program that is not there", failures::missing_program),
        case!("refused", "what the builder says that it refuses", failures::refused),
        case!("unknown-base", "a base that does not exist", failures::unknown_base),
        case!("cancel", "a build that is given up", failures::cancel),
    ]
}
