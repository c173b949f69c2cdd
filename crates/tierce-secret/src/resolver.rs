//! Looking values up.

use crate::provider::{ProviderError, SecretProvider};
use crate::value::Secrets;
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
    let line = |one: &MissingSecret| {
        format!("the secret {} is not in {}", one.id, one.looked_at.join(", nor in "))
    };
    all.iter().map(line).collect::<Vec<_>>().join("\n")
}

impl Diagnostic for SecretError {
    fn code(&self) -> &'static str {
        match self {
            SecretError::Missing(_) => "secret/missing",
            SecretError::Provider { .. } => "secret/unreadable",
        }
    }

    fn kind(&self) -> ErrorKind {
        ErrorKind::User
    }

    fn hint(&self) -> Option<String> {
        match self {
            SecretError::Missing(all) => {
                let first = all.first()?;
                Some(format!("Set {} in the environment.", first.id.variable()))
            }
            SecretError::Provider { .. } => None,
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
        for id in ids {
            match self.find(&id).await? {
                Some(value) => values.push((id, value)),
                None => {
                    let looked_at = self.providers.iter().map(|p| p.describe(&id)).collect();
                    missing.push(MissingSecret { id, looked_at });
                }
            }
        }
        match missing.is_empty() {
            true => Ok(Secrets::new(values)),
            false => Err(SecretError::Missing(missing)),
        }
    }

    async fn find(&self, id: &SecretId) -> Result<Option<crate::value::SecretValue>, SecretError> {
        for provider in &self.providers {
            let found = provider.find(id).await.map_err(|source| SecretError::Provider {
                id: id.clone(),
                source: Arc::new(source),
            })?;
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }
}
