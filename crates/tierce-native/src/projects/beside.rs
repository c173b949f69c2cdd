//! What projects lock, where conda installs packages of the same names.

use super::locks::ProjectPackages;
use crate::conda::CondaError;
use crate::pip::PipRequest;
use std::str::FromStr;
use tierce_wheel::Version;

impl ProjectPackages {
    /// Leaves those to conda that it installs in the very version that is locked.
    ///
    /// # Errors
    /// [`CondaError::ProjectDisagrees`] where conda has another version: its files would have to
    /// be uninstalled, which is only done for who asks for another version by its name.
    pub fn beside_conda(&mut self, request: &PipRequest<'_>) -> Result<(), CondaError> {
        let Some(provided) = request.provided else { return Ok(()) };
        for (name, (package, project)) in &self.0 {
            let Some(there) = provided.version(name) else { continue };
            let locked = package.version.as_ref();
            if locked.is_some() && locked == Version::from_str(there).ok().as_ref() {
                continue;
            }
            return Err(CondaError::ProjectDisagrees {
                package: name.to_string(),
                project: project.clone(),
                locked: locked.map_or_else(|| "one of the host".to_owned(), ToString::to_string),
                prefix: request.prefix.to_owned(),
                there: there.to_owned(),
            });
        }
        self.0.retain(|name, _| !provided.has(name));
        Ok(())
    }
}
