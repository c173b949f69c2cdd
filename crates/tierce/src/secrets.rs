//! Where the values of secrets are found.

use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;
use tierce_config::Settings;
use tierce_secret::{
    CommandProvider, DirectoryProvider, EnvironmentProvider, FileProvider, SecretProvider,
    SecretResolver,
};

/// Looks in `first`, then in the environment, then in single files and programs of the configuration, then in
/// directories.
pub(crate) fn secret_resolver(
    settings: &Settings,
    first: impl IntoIterator<Item = Arc<dyn SecretProvider>>,
) -> SecretResolver {
    let environment = settings.environment.clone();
    let variable = move |name: &str| environment.raw(name).map(|value| value.as_bytes().to_vec());
    let secrets = &settings.secrets;
    let others: [Arc<dyn SecretProvider>; 4] = [
        Arc::new(EnvironmentProvider::new(variable)),
        Arc::new(FileProvider::new(secrets.files.clone())),
        Arc::new(CommandProvider::new(secrets.commands.clone())),
        Arc::new(DirectoryProvider::new(secrets.directories.clone())),
    ];
    SecretResolver::new(first.into_iter().chain(others).collect())
}
