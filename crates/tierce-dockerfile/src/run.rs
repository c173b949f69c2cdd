//! `RUN` instructions.

use crate::quote;

/// A `RUN` instruction.
#[derive(Default)]
pub(crate) struct Run {
    /// The values of `--mount`.
    pub mounts: Vec<String>,
    /// Whether it has no network.
    pub offline: bool,
    /// Variables whose values are in files: what a shell does before anything else.
    prelude: Vec<String>,
}

impl Run {
    /// Sets `variable` to what is in `file`, to the byte: a command substitution alone would drop
    /// line feeds from the end.
    pub fn export_from(&mut self, variable: &str, file: &str) {
        let file = quote::shell(file);
        self.prelude.push(format!("{variable}=\"$(cat {file} && printf x)\""));
        self.prelude.push(format!("{variable}=\"${{{variable}%x}}\""));
        self.prelude.push(format!("export {variable}"));
    }

    /// A program and its arguments, without a shell unless variables have to be set first.
    pub fn exec(&self, argv: &[String]) -> String {
        let body = match self.prelude.as_slice() {
            [] => quote::exec(argv),
            prelude => {
                let script = format!("{} && exec \"$@\"", prelude.join(" && "));
                let shell = ["/bin/sh".to_owned(), "-c".to_owned(), script, "sh".to_owned()];
                let all: Vec<String> = shell.iter().chain(argv).cloned().collect();
                quote::exec(&all)
            }
        };
        self.instruction(&body)
    }

    /// Commands of ours for the shell, each after the success of the one before.
    pub fn shell(&self, commands: &[String]) -> String {
        let all: Vec<&str> = self.prelude.iter().chain(commands).map(String::as_str).collect();
        self.instruction(&all.join(" && \\\n    "))
    }

    fn instruction(&self, body: &str) -> String {
        let mut flags: Vec<String> = self.mounts.iter().map(|m| format!("--mount={m}")).collect();
        if self.offline {
            flags.push("--network=none".to_owned());
        }
        match flags.as_slice() {
            [] => format!("RUN {body}"),
            flags => format!("RUN {} \\\n    {body}", flags.join(" \\\n    ")),
        }
    }
}
