//! Scripts that packages want to have run once they are there.

use super::layers::CondaLayers;
use crate::error::NativeError;
use crate::planner::{Planner, environment};
use crate::work::{Execution, Omit};
use std::sync::Arc;
use tierce_conda::PostLinkScript;
use tierce_spec::Network;

impl Planner<'_> {
    /// Runs the post-link scripts of an environment, if there are any, as one layer: in the image,
    /// never here.
    pub(super) fn post_link(&mut self, layers: &Arc<CondaLayers>) -> Result<(), NativeError> {
        let [first, ..] = layers.scripts() else { return Ok(()) };
        let names: Vec<&str> = layers.scripts().iter().map(|script| script.name.as_str()).collect();
        let title = format!("conda post-link {}", names.join(" "));
        self.context.require_execution(self.builder.platform(), &title)?;
        let mut commands: Vec<Vec<String>> = layers.scripts().iter().map(command).collect();
        let say = "if [ -s \"$1\" ]; then cat \"$1\"; fi; rm -f \"$1\"";
        commands.push(["/bin/sh", "-c", say, "sh", &first.messages].map(str::to_owned).to_vec());
        let execution = Execution {
            commands,
            env: environment(self.builder.config()),
            cwd: "/".to_owned(),
            user: String::new(),
            network: Network::None,
            caches: vec![],
            omit: Omit::Logs,
            secrets: vec![],
        };
        self.execute("conda-post-link", title, execution);
        Ok(())
    }
}

/// The command of a script with the variables that are its own.
fn command(script: &PostLinkScript) -> Vec<String> {
    let quoted = |text: &str| format!("'{}'", text.replace('\'', "'\\''"));
    let exports: Vec<String> =
        script.env.iter().map(|(name, value)| format!("{name}={}", quoted(value))).collect();
    let argv: Vec<String> = script.argv.iter().map(|word| quoted(word)).collect();
    let line = format!("export {}; exec {}", exports.join(" "), argv.join(" "));
    vec!["/bin/sh".to_owned(), "-c".to_owned(), line]
}
