//! Authentication: which `Authorization` header goes with a request.
//!
//! Follows the distribution project's "Token Authentication Specification" and its OAuth2
//! variant for identity tokens.

use crate::challenge::Challenge;
use crate::client::Client;
use crate::error::Complaint;
use crate::manifest::read;
use crate::request::Repository;
use crate::scope::Scopes;
use crate::{Credential, Identity, RegistryError, Secret};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{RequestBuilder, StatusCode};
use serde::Deserialize;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use url::{Url, form_urlencoded};

/// How long a token lives where its server does not say ("Token Response Fields").
const DEFAULT_LIFETIME: Duration = Duration::from_secs(60);

/// A token is renewed this long before its end.
const MARGIN: Duration = Duration::from_secs(10);

/// No token is larger.
const MAX_TOKEN: usize = 1024 * 1024;

/// What is known of each registry's wishes.
#[derive(Default)]
pub(crate) struct Authenticator {
    registries: Mutex<HashMap<String, Arc<tokio::sync::Mutex<State>>>>,
}

/// The lock is held while a token is fetched, so that requests in parallel fetch it once.
#[derive(Default)]
struct State {
    challenge: Option<Challenge>,
    credential: Option<Option<Credential>>,
    tokens: HashMap<Scopes, Token>,
}

struct Token {
    header: HeaderValue,
    /// `None` for what does not expire.
    renew_at: Option<Instant>,
}

impl Token {
    fn is_fresh(&self) -> bool {
        self.renew_at.is_none_or(|at| Instant::now() < at)
    }
}

impl Authenticator {
    fn state(&self, registry: &str) -> Arc<tokio::sync::Mutex<State>> {
        let mut registries = self.registries.lock().unwrap_or_else(PoisonError::into_inner);
        registries.entry(registry.to_owned()).or_default().clone()
    }
}

impl Client {
    /// The header for a request, as far as the registry has said that it wants one.
    pub(crate) async fn authorization(
        &self,
        repository: &Repository,
        scopes: &Scopes,
    ) -> Result<Option<HeaderValue>, RegistryError> {
        let state = self.authenticator().state(repository.registry());
        let mut state = state.lock().await;
        match &state.challenge {
            None => Ok(None),
            Some(_) => self.header(&mut state, repository, scopes).await,
        }
    }

    /// The header after `challenge`, `rejected` being the one it was the answer to. `None` where
    /// there is no other to try.
    pub(crate) async fn authenticate(
        &self,
        repository: &Repository,
        scopes: &Scopes,
        challenge: Challenge,
        rejected: Option<&HeaderValue>,
    ) -> Result<Option<HeaderValue>, RegistryError> {
        let state = self.authenticator().state(repository.registry());
        let mut state = state.lock().await;
        if rejected.is_some() && state.tokens.get(scopes).map(|t| &t.header) == rejected {
            state.tokens.remove(scopes);
        }
        state.challenge = Some(challenge);
        let header = self.header(&mut state, repository, scopes).await?;
        Ok(header.filter(|header| Some(header) != rejected))
    }

    /// Who the registry is told asks.
    pub(crate) async fn identity(&self, repository: &Repository) -> Identity {
        let state = self.authenticator().state(repository.registry());
        let state = state.lock().await;
        identity(state.credential.as_ref().and_then(Option::as_ref))
    }

    async fn header(
        &self,
        state: &mut State,
        repository: &Repository,
        scopes: &Scopes,
    ) -> Result<Option<HeaderValue>, RegistryError> {
        if let Some(token) = state.tokens.get(scopes).filter(|t| t.is_fresh()) {
            return Ok(Some(token.header.clone()));
        }
        let credential = match &state.credential {
            Some(known) => known.clone(),
            None => {
                let found = self.look_up(repository.registry()).await?;
                state.credential = Some(found.clone());
                found
            }
        };
        let token = match (&state.challenge, credential) {
            (_, Some(Credential::BearerToken(token))) => {
                Some(Token::lasting(bearer(token.expose())))
            }
            (Some(Challenge::Basic), Some(Credential::Basic { user, password })) => {
                Some(Token::lasting(basic(&user, &password)))
            }
            (None | Some(Challenge::Basic), _) => None,
            (Some(Challenge::Bearer { realm, service, scope }), credential) => {
                let realm = self.realm(repository, realm, credential.is_some())?;
                let query = TokenQuery {
                    client: self,
                    repository,
                    realm,
                    service: service.as_deref(),
                    scopes: scopes.requested(scope.as_deref()),
                    credential: credential.as_ref(),
                };
                Some(self.retrying(|| query.fetch()).await?)
            }
        };
        let header = token.as_ref().map(|t| t.header.clone());
        if let Some(token) = token {
            state.tokens.insert(scopes.clone(), token);
        }
        Ok(header)
    }

    async fn look_up(&self, registry: &str) -> Result<Option<Credential>, RegistryError> {
        let credentials = self.settings().credentials.clone();
        let name = registry.to_owned();
        // Helpers are programs that may ask the user.
        let found = tokio::task::spawn_blocking(move || credentials.lookup(&name)).await;
        match found {
            Ok(found) => found.map_err(|source| RegistryError::Credentials {
                registry: registry.to_owned(),
                source: Box::new(source),
            }),
            Err(stopped) => std::panic::resume_unwind(stopped.into_panic()),
        }
    }

    /// The token server's address. It may be on any host, as the specification has it, but must
    /// be encrypted if it is to see a credential, unless the user said that the host need not be.
    fn realm(
        &self,
        repository: &Repository,
        realm: &str,
        with_credential: bool,
    ) -> Result<Url, RegistryError> {
        let url = Url::parse(realm).ok().filter(|u| matches!(u.scheme(), "https" | "http"));
        let Some(url) = url else {
            return Err(RegistryError::Protocol {
                action: format!("authenticate for {}", repository.name),
                registry: repository.registry().to_owned(),
                problem: "the address of its token server is not a URL",
            });
        };
        let host = url.host_str().unwrap_or_default();
        let authority = match url.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        };
        if url.scheme() == "http"
            && with_credential
            && !self.settings().insecure.is_plain(&authority)
        {
            return Err(RegistryError::InsecureRealm {
                registry: repository.registry().to_owned(),
                realm: tierce_fetch::Redacted(&url).to_string(),
            });
        }
        Ok(url)
    }
}

impl Token {
    fn lasting(header: HeaderValue) -> Self {
        Token { header, renew_at: None }
    }
}

fn identity(credential: Option<&Credential>) -> Identity {
    match credential {
        None => Identity::Anonymous,
        Some(Credential::Basic { user, .. }) => Identity::User(user.clone()),
        Some(Credential::IdentityToken(_) | Credential::BearerToken(_)) => Identity::Token,
    }
}

fn bearer(token: &str) -> HeaderValue {
    sensitive(format!("Bearer {token}"))
}

fn basic(user: &str, password: &Secret) -> HeaderValue {
    let pair = format!("{user}:{}", password.expose());
    sensitive(format!("Basic {}", BASE64_STANDARD.encode(pair)))
}

/// A header that is not shown. What is no header value at all (a token with a line break) is
/// sent empty, and the registry refuses it.
fn sensitive(text: String) -> HeaderValue {
    let mut value = HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static(""));
    value.set_sensitive(true);
    value
}

/// A request for a token.
struct TokenQuery<'a> {
    client: &'a Client,
    repository: &'a Repository,
    realm: Url,
    service: Option<&'a str>,
    scopes: Vec<&'a str>,
    credential: Option<&'a Credential>,
}

#[derive(Deserialize)]
struct TokenAnswer {
    token: Option<String>,
    access_token: Option<String>,
    expires_in: Option<u64>,
}

impl TokenQuery<'_> {
    async fn fetch(&self) -> Result<Token, RegistryError> {
        self.client.count();
        let asked = Instant::now();
        let retry = &self.client.retry();
        let unreachable = |source| RegistryError::Unreachable {
            registry: self.realm.host_str().unwrap_or_default().to_owned(),
            source,
        };
        let response = retry.timely(self.request().send()).await.map_err(unreachable)?;
        let status = response.status();
        if status != StatusCode::OK {
            return Err(self.refused(status, Complaint::of(response).await));
        }
        let answer = read(response, MAX_TOKEN, retry).await.map_err(unreachable)?;
        let answer = answer.ok().and_then(|a| serde_json::from_slice::<TokenAnswer>(&a).ok());
        let lifetime = answer.as_ref().and_then(|a| a.expires_in).map(Duration::from_secs);
        let text = answer
            .and_then(|a| a.token.filter(|t| !t.is_empty()).or(a.access_token))
            .filter(|t| !t.is_empty());
        let Some(text) = text else {
            return Err(RegistryError::Protocol {
                action: self.action(),
                registry: self.repository.registry().to_owned(),
                problem: "its token server sends no token",
            });
        };
        let lifetime = lifetime.unwrap_or(DEFAULT_LIFETIME);
        let renew_at = asked.checked_add(lifetime.saturating_sub(MARGIN).max(lifetime / 2));
        Ok(Token { header: bearer(&text), renew_at })
    }

    fn request(&self) -> RequestBuilder {
        let http = self.client.http(self.repository.registry());
        let mut form = form_urlencoded::Serializer::new(String::new());
        if let Some(service) = self.service {
            form.append_pair("service", service);
        }
        if let Some(Credential::IdentityToken(token)) = self.credential {
            form.append_pair("grant_type", "refresh_token")
                .append_pair("client_id", "tierce")
                .append_pair("scope", &self.scopes.join(" "))
                .append_pair("refresh_token", token.expose());
            return http
                .post(self.realm.clone())
                .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
                .body(form.finish());
        }
        for scope in &self.scopes {
            form.append_pair("scope", scope);
        }
        let mut authorization = None;
        if let Some(Credential::Basic { user, password }) = self.credential {
            form.append_pair("account", user);
            authorization = Some(basic(user, password));
        }
        let mut url = self.realm.clone();
        let query = match url.query() {
            Some(given) if !given.is_empty() => format!("{given}&{}", form.finish()),
            _ => form.finish(),
        };
        url.set_query(Some(&query));
        let request = http.get(url);
        match authorization {
            Some(header) => request.header(AUTHORIZATION, header),
            None => request,
        }
    }

    fn action(&self) -> String {
        format!("authenticate for {}", self.repository.full_name())
    }

    fn refused(&self, status: StatusCode, complaint: Complaint) -> RegistryError {
        let Complaint { code, message, retry_after } = complaint;
        let registry = self.repository.registry().to_owned();
        match status.as_u16() {
            400 | 401 | 403 | 404 => self.repository.denied(identity(self.credential), message),
            429 => RegistryError::RateLimited { registry, retry_after, message },
            _ => {
                let action = self.action();
                RegistryError::Answer { action, registry, status, code, message, retry_after }
            }
        }
    }
}
