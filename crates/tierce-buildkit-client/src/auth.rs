//! Credentials of registries, for a daemon that pulls and pushes.

use async_trait::async_trait;
use bollard_buildkit_proto::moby::filesync::v1::auth_server::Auth;
use bollard_buildkit_proto::moby::filesync::v1::{
    CredentialsRequest, CredentialsResponse, FetchTokenRequest, FetchTokenResponse,
    GetTokenAuthorityRequest, GetTokenAuthorityResponse, VerifyTokenAuthorityRequest,
    VerifyTokenAuthorityResponse,
};
use std::collections::BTreeSet;
use std::sync::Arc;
use tierce_registry::{Credential, CredentialError, Credentials};
use tonic::{Request, Response, Status};

/// The credentials that one build may ask for.
#[derive(Clone)]
pub(crate) struct SessionCredentials {
    pub(crate) source: Arc<dyn Credentials>,
    /// The registries of the build.
    pub(crate) registries: BTreeSet<String>,
}

impl SessionCredentials {
    /// What there is for `host`, as a daemon calls it. A daemon is not ours alone: of a registry
    /// that the build has nothing to do with it learns nothing, and no helper is run.
    fn lookup(&self, host: &str) -> Result<Option<Credential>, CredentialError> {
        let registry = registry(host);
        match self.registries.iter().any(|known| known.eq_ignore_ascii_case(registry)) {
            true => self.source.lookup(registry),
            false => {
                tracing::warn!(
                    host,
                    "the daemon asked for the credentials of a registry that this build does not \
                     name; it got none"
                );
                Ok(None)
            }
        }
    }
}

/// What references call the registry `host`.
fn registry(host: &str) -> &str {
    match host {
        "registry-1.docker.io" | "index.docker.io" | "https://index.docker.io/v1/" => "docker.io",
        host => host,
    }
}

/// Hands out credentials of registries.
pub(crate) struct AuthService {
    pub(crate) credentials: SessionCredentials,
}

#[async_trait]
impl Auth for AuthService {
    async fn credentials(
        &self,
        request: Request<CredentialsRequest>,
    ) -> Result<Response<CredentialsResponse>, Status> {
        let host = request.into_inner().host;
        let credentials = self.credentials.clone();
        // A credential helper is a program, and is waited for.
        let found = tokio::task::spawn_blocking(move || credentials.lookup(&host))
            .await
            .map_err(|_| Status::internal("looking up credentials failed"))?
            .map_err(|error| Status::unavailable(error.to_string()))?;
        Ok(Response::new(match found {
            Some(Credential::Basic { user, password }) => {
                CredentialsResponse { username: user, secret: password.expose().to_owned() }
            }
            // BuildKit takes a secret without a user for a refresh token.
            Some(Credential::IdentityToken(token)) => {
                CredentialsResponse { username: String::new(), secret: token.expose().to_owned() }
            }
            // The protocol has no way to hand out a ready access token.
            Some(Credential::BearerToken(_)) | None => CredentialsResponse::default(),
        }))
    }

    async fn fetch_token(
        &self,
        _: Request<FetchTokenRequest>,
    ) -> Result<Response<FetchTokenResponse>, Status> {
        Err(Status::unimplemented("tokens are fetched by the daemon"))
    }

    async fn get_token_authority(
        &self,
        _: Request<GetTokenAuthorityRequest>,
    ) -> Result<Response<GetTokenAuthorityResponse>, Status> {
        Err(Status::unimplemented("tokens are fetched by the daemon"))
    }

    async fn verify_token_authority(
        &self,
        _: Request<VerifyTokenAuthorityRequest>,
    ) -> Result<Response<VerifyTokenAuthorityResponse>, Status> {
        Err(Status::unimplemented("tokens are fetched by the daemon"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Has a credential for everything.
    #[derive(Debug)]
    struct Rich;

    impl Credentials for Rich {
        fn lookup(&self, registry: &str) -> Result<Option<Credential>, CredentialError> {
            let password = tierce_registry::Secret::new(format!("for {registry}"));
            Ok(Some(Credential::Basic { user: "me".into(), password }))
        }
    }

    #[tokio::test]
    async fn a_daemon_learns_the_credentials_of_the_build_alone() {
        let registries = ["docker.io", "localhost:5000", "ghcr.io"].map(str::to_owned).into();
        let credentials = SessionCredentials { source: Arc::new(Rich), registries };
        let service = AuthService { credentials };
        for (host, expected) in [
            ("registry-1.docker.io", "for docker.io"),
            ("https://index.docker.io/v1/", "for docker.io"),
            ("localhost:5000", "for localhost:5000"),
            ("GHCR.io", "for GHCR.io"),
            ("localhost:5001", ""),
            ("localhost", ""),
            ("other.example", ""),
            ("ghcr.io.other.example", ""),
            ("", ""),
        ] {
            let request = CredentialsRequest { host: host.to_owned() };
            let answer = service.credentials(Request::new(request)).await.unwrap().into_inner();
            assert_eq!(answer.secret, expected, "{host}");
        }
    }
}
