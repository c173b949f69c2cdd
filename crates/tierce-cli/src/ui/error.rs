//! An error as a user reads it: what, why, where, and what next.

use std::fmt::Write;
use std::io::IsTerminal;
use tierce::Diagnostic;

/// Writes `error` to standard error and gives the exit code for its kind.
pub fn report(error: &dyn Diagnostic) -> u8 {
    let color = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    eprint!("{}", render(error, color));
    error.kind().exit_code()
}

fn render(error: &dyn Diagnostic, color: bool) -> String {
    let (red, cyan, off) = if color { ("\x1b[1;31m", "\x1b[36m", "\x1b[0m") } else { ("", "", "") };
    let mut text = String::new();
    let _ = writeln!(text, "{red}error{off}[{}]: {error}", error.code());
    let mut cause = error.source();
    let mut said = error.to_string();
    while let Some(error) = cause {
        let line = error.to_string();
        // A transparent wrapper says what its cause says.
        if line != said {
            let _ = writeln!(text, "  because {}", line.trim_end().replace('\n', "\n    "));
        }
        said = line;
        cause = error.source();
    }
    if let Some(hint) = error.hint() {
        let _ = writeln!(text, "{cyan}hint{off}: {hint}");
    }
    text
}
