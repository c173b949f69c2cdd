//! Looking values up.

use crate::provider::{ProviderError, SecretProvider};
use crate::value::{SecretValue, Secrets};
use std::sync::Arc;
use tierce_oci::{Diagnostic, ErrorKind};
use tierce_spec::{Secret, SecretId};

/// A secret that no place has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissingSecret {
    /// Which.
    pub id: SecretId,
    /// Where it was looked for, in this order.
    pub looked_at: Vec<String>,
}

/// Why there are no secrets.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SecretError {
    /// Some are nowhere.
    #[error("{}", missing(.0))]
    Missing(Vec<MissingSecret>),
    /// A place could not be looked at.
    #[error("cannot look up the secret {id}")]
    Provider {
        /// The secret.
        id: SecretId,
        /// Why.
        source: Arc<ProviderError>,
    },
}

fn missing(all: &[MissingSecret]) -> String {
    let line = |one: &MissingSecret| match one.looked_at.as_slice() {
        [] => format!("the secret {} is nowhere: there is no place to look in", one.id),
        places => format!("the secret {} is not in {}", one.id, places.join(", nor in ")),
    };
    all.iter().map(line).collect::<Vec<_>>().join("\n")
}

impl Diagnostic for SecretError {
    fn code(&self) -> &'static str {
        match self {
            SecretError::Missing(_) => "secret/missing",
            SecretError::Provider { source, .. } => source.code(),
        }
    }

    fn kind(&self) -> ErrorKind {
        match self {
            SecretError::Missing(_) => ErrorKind::User,
            SecretError::Provider { source, .. } => source.kind(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            SecretError::Missing(all) => {
                let name = all.first()?.id.variable();
                Some(format!(
                    "Set {name} in the environment, or write the value to /etc/secrets/{name}; or \
                     say in config.toml where it is: `{name} = \"FILE\"` below [secrets.files], \
                     or `{name} = [\"PROGRAM\", \"ARGUMENT\"]` below [secrets.commands]."
                ))
            }
            SecretError::Provider { source, .. } => source.hint(),
        }
    }
}

/// Looks values up in several places, the first one that has a value wins.
#[derive(Clone, Default)]
pub struct SecretResolver {
    providers: Vec<Arc<dyn SecretProvider>>,
}

impl SecretResolver {
    /// Looks in `providers`, in this order.
    pub fn new(providers: Vec<Arc<dyn SecretProvider>>) -> Self {
        SecretResolver { providers }
    }

    /// The values of all of `wanted`.
    ///
    /// # Errors
    /// Every secret that is missing, at once, with every place that was looked at.
    pub async fn resolve(&self, wanted: &[&Secret]) -> Result<Secrets, SecretError> {
        let mut ids: Vec<SecretId> = wanted.iter().map(|secret| secret.id()).collect();
        ids.sort();
        ids.dedup();
        let mut values = vec![];
        let mut missing = vec![];
        let hidden: Vec<String> = ids.iter().map(SecretId::variable).collect();
        for id in ids {
            match self.find(&id, &hidden).await? {
                Some(value) => values.push((id, value)),
                None => {
                    let looked_at = self.providers.iter().flat_map(|p| p.places(&id)).collect();
                    missing.push(MissingSecret { id, looked_at });
                }
            }
        }
        match missing.is_empty() {
            true => Ok(Secrets::new(values)),
            false => Err(SecretError::Missing(missing)),
        }
    }

    async fn find(
        &self,
        id: &SecretId,
        hidden: &[String],
    ) -> Result<Option<SecretValue>, SecretError> {
        for provider in &self.providers {
            let found = provider.find_hiding(id, hidden).await.map_err(|source| {
                SecretError::Provider { id: id.clone(), source: Arc::new(source) }
            })?;
            if found.is_some() {
                tracing::debug!(secret = %id, places = ?provider.places(id), "secret found");
                return Ok(found);
            }
        }
        Ok(None)
    }
}
