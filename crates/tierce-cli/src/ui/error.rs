//! An error as a user reads it: what, why, where, and what next.

use super::text;
use std::fmt::Write;
use std::io::IsTerminal;
use tierce::Diagnostic;
use tierce::runs::RunFailure;

/// Writes `error` to standard error and gives the exit code for its kind.
pub fn report(error: &dyn Diagnostic) -> u8 {
    report_failure(&RunFailure::of(error));
    error.kind().exit_code()
}

/// Writes an error, of this process or of another one, to standard error.
pub fn report_failure(failure: &RunFailure) {
    let color = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    eprint!("{}", render(failure, color));
}

fn render(failure: &RunFailure, color: bool) -> String {
    let (red, cyan, off) = if color { ("\x1b[1;31m", "\x1b[36m", "\x1b[0m") } else { ("", "", "") };
    let RunFailure { code, message, causes, hint } = failure;
    let mut out = String::new();
    let (code, shown) = (text::line(code), text::lines(message));
    let _ = writeln!(out, "{red}error{off}[{code}]: {shown}");
    let mut said = message;
    for cause in causes {
        // A transparent wrapper says what its cause says.
        if cause != said {
            let cause = text::lines(cause.trim_end());
            let _ = writeln!(out, "  because {}", cause.replace('\n', "\n    "));
        }
        said = cause;
    }
    if let Some(hint) = hint {
        let _ = writeln!(out, "{cyan}hint{off}: {}", text::lines(hint));
    }
    out
}
