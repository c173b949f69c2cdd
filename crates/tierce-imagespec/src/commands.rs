//! The commands of a spec as one command line.

use crate::Warning;

/// The commands as one shell line: each runs only if those before it succeeded, and sees the
/// directory and the variables that they left. `None` where there are none.
pub(crate) fn join(commands: &[String], warnings: &mut Vec<Warning>) -> Option<String> {
    let commands: Vec<&str> = commands.iter().map(|c| instruction(c, warnings)).collect();
    // Where the end of one might swallow the start of the next, as a comment would, each gets
    // lines of its own.
    let delicate =
        |c: &&str| c.contains(['#', '\n']) || c.contains("<<") || c.ends_with([';', '&']);
    match commands.as_slice() {
        [] => None,
        [only] => Some((*only).to_owned()),
        all if all.iter().any(delicate) => {
            let groups: Vec<String> = all.iter().map(|c| format!("{{ {c}\n}}")).collect();
            Some(groups.join(" && "))
        }
        all => Some(all.join(" && ")),
    }
}

/// The command, without the `RUN` that flytekit's documentation writes before it, and that would
/// be run as a program of that name.
fn instruction<'a>(command: &'a str, warnings: &mut Vec<Warning>) -> &'a str {
    let command = match command.split_once(char::is_whitespace) {
        Some(("RUN", rest)) => {
            let rest = rest.trim_start();
            warnings.push(Warning::new(
                "imagespec/run-prefix",
                format!(
                    "commands are not instructions of a Dockerfile: {rest:?} is run, without RUN"
                ),
            ));
            rest
        }
        _ => command,
    };
    if command.split_whitespace().next() == Some("uv") {
        warnings.push(Warning::new(
            "imagespec/uv-in-commands",
            format!(
                "the command {command:?} needs uv: add it to packages, or use a base that has it"
            ),
        ));
    }
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_become_one_line_that_stops_at_the_first_failure() {
        for (commands, line) in [
            (vec![], None),
            (vec!["a"], Some("a")),
            (vec!["cd /a", "b || c"], Some("cd /a && b || c")),
            (vec!["a # why", "b"], Some("{ a # why\n} && { b\n}")),
            (vec!["a &", "b"], Some("{ a &\n} && { b\n}")),
            (vec!["RUN echo 'a'"], Some("echo 'a'")),
            (vec!["RUNNER x"], Some("RUNNER x")),
        ] {
            let owned: Vec<String> = commands.iter().map(|c| (*c).to_owned()).collect();
            assert_eq!(join(&owned, &mut vec![]).as_deref(), line, "{commands:?}");
        }
    }

    #[test]
    fn what_is_not_a_shell_command_is_warned_of() {
        let mut warnings = vec![];
        join(&["RUN echo a".into(), "uv pip install b".into()], &mut warnings);
        let codes: Vec<_> = warnings.iter().map(|w| w.code).collect();
        assert_eq!(codes, ["imagespec/run-prefix", "imagespec/uv-in-commands"]);
    }
}
