//! Programs of the host that steps in the image run.

use super::Lowering;
use crate::FlyteError;
use std::path::PathBuf;

/// Where scratch directories are.
const SCRATCH: &str = "/var/tmp/tierce";

impl Lowering<'_> {
    /// Makes sure that uv is in the image.
    pub(super) fn uv(&mut self, layer: &'static str) -> Result<(), FlyteError> {
        let uv = self.surroundings.tools.uv.clone();
        self.tool(layer, "uv", uv, "/usr/bin/uv")
    }

    /// Copies a program of the host, once.
    pub(super) fn tool(
        &mut self,
        layer: &'static str,
        tool: &'static str,
        program: Option<PathBuf>,
        at: &str,
    ) -> Result<(), FlyteError> {
        let program = program.ok_or(FlyteError::NoTool { layer, tool })?;
        if self.tools.insert(tool) {
            self.image = self.image.with_source_file(program, at);
        }
        Ok(())
    }

    /// A new scratch directory.
    pub(super) fn scratch(&mut self) -> String {
        self.scratches += 1;
        format!("{SCRATCH}/{}", self.scratches)
    }
}

/// A command whose first line, which is what people see of it, says what it is for.
pub(super) fn titled(title: &str, command: &str) -> String {
    format!("# {}\n{command}", title.replace(char::is_control, " "))
}
