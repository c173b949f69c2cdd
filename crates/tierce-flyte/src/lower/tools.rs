//! Programs of the host that steps in the image run.

use super::Lowering;
use crate::FlyteError;
use std::path::PathBuf;

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
}
