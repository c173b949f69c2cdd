//! Who is told what, and when.

mod support;

use std::sync::Arc;
use support::*;
use tierce_fetch::testing::{Request, Server};
use tierce_oci::{Diagnostic, ErrorKind};
use tierce_registry::testing::{
    Auth, Effect, FakeRegistry, IDENTITY_TOKEN, Options, PASSWORD, Reply, USER,
};
use tierce_registry::{
    Client, ClientSettings, Credential, CredentialChain, PushOptions, Secret, Silent,
};

async fn registry(auth: Auth) -> FakeRegistry {
    FakeRegistry::start(Options { auth, ..Options::default() }).await.unwrap()
}

#[tokio::test]
async fn tokens_are_fetched_once_for_each_scope() {
    let registry = registry(Auth::Bearer).await;
    let client = client();
    for _ in 0..3 {
        client.head_manifest(&registry.reference("a:v1")).await.unwrap();
    }
    assert_eq!(
        registry.lines(),
        [
            "HEAD /v2/a/manifests/v1",
            "GET /token",
            "HEAD /v2/a/manifests/v1",
            "HEAD /v2/a/manifests/v1",
            "HEAD /v2/a/manifests/v1",
        ]
    );
    // It is known by now that the registry wants a token.
    client.head_manifest(&registry.reference("b:v1")).await.unwrap();
    assert_eq!(registry.lines()[5..], ["GET /token", "HEAD /v2/b/manifests/v1"]);
    assert_eq!(client.requests(), registry.requests().len() as u64);
    let asked = &registry.requests()[1];
    assert_eq!(asked.param("service").as_deref(), Some("fake"));
    assert_eq!(asked.params("scope"), ["repository:a:pull"]);
}

#[tokio::test]
async fn requests_in_parallel_share_a_token() {
    let registry = registry(Auth::Bearer).await;
    let client = client();
    let reference = registry.reference("a:v1");
    client.head_manifest(&reference).await.unwrap();
    registry.fault("HEAD", 1, Effect::ExpireTokens);
    let all = (0..8).map(|_| client.head_manifest(&reference));
    for result in futures::future::join_all(all).await {
        result.unwrap();
    }
    assert_eq!(registry.lines().iter().filter(|l| *l == "GET /token").count(), 2);
}

#[tokio::test]
async fn every_kind_of_credential_opens_a_private_registry() {
    let token = Credential::IdentityToken(Secret::new(IDENTITY_TOKEN));
    for (auth, credential) in [
        (Auth::PrivateBearer, basic(USER, PASSWORD)),
        (Auth::PrivateBearer, token),
        (Auth::Basic, basic(USER, PASSWORD)),
    ] {
        let registry = registry(auth).await;
        let found = fixed(credential);
        let settings = ClientSettings { credentials: found.clone(), ..settings() };
        let client = Client::new(settings);
        let image = image("linux/amd64", &[]);
        let to = registry.reference("a:v1");
        let options = PushOptions::default();
        client.push(&image.artifact, &to, &[], &options, &Silent).await.unwrap();
        assert!(client.head_manifest(&to).await.unwrap().is_some());
        assert_eq!(*found.asked.lock().unwrap(), [registry.authority()]);
    }
    // A token for the registry itself is no business of the token server.
    let server = Server::start(|request: &Request| match request.header("authorization") {
        Some("Bearer direct") => Reply::new(404),
        _ => {
            Reply::new(401).header("WWW-Authenticate", r#"Bearer realm="http://localhost:1/token""#)
        }
    })
    .await
    .unwrap();
    let client = client_with(Credential::BearerToken(Secret::new("direct")));
    let reference = format!("{}/a:v1", server.authority()).parse().unwrap();
    assert_eq!(client.head_manifest(&reference).await.unwrap(), None);
}

#[tokio::test]
async fn refusals_say_who_was_refused_and_nothing_secret() {
    let wrong = "not-the-password";
    for auth in [Auth::Basic, Auth::PrivateBearer] {
        let registry = registry(auth).await;
        let reference = registry.reference("team/app:v1");
        for (client, words, hint) in [
            (client(), "anonymously", "Log in first"),
            (client_with(basic("bob", wrong)), "as user bob", "log in as another"),
            (
                client_with(Credential::IdentityToken(Secret::new(wrong))),
                "with a token",
                "docker login",
            ),
        ] {
            let error = client.head_manifest(&reference).await.unwrap_err();
            assert_eq!(error.code(), "registry/denied", "{error}");
            assert_eq!(error.kind(), ErrorKind::Upstream);
            let shown = error.to_string();
            assert!(shown.contains(words) && shown.contains("team/app"), "{shown}");
            assert!(shown.contains(&registry.authority()), "{shown}");
            let hint_given = error.hint().unwrap();
            assert!(hint_given.contains(hint), "{hint_given}");
            assert!(hint_given.contains(&format!("docker login {}", registry.authority())));
            let all = format!("{error} {error:?} {client:?}");
            assert!(!all.contains(wrong), "{all}");
        }
    }
    // Anonymous pulls work, pushes do not.
    let registry = registry(Auth::Bearer).await;
    let image = image("linux/amd64", &[]);
    let to = registry.reference("a:v1");
    let options = PushOptions::default();
    let error = client().push(&image.artifact, &to, &[], &options, &Silent).await.unwrap_err();
    assert_eq!(error.code(), "registry/denied");
}

#[tokio::test]
async fn credentials_do_not_follow_a_redirect_or_a_foreign_challenge() {
    let stranger = Server::start(|_: &Request| {
        Reply::new(401).header("WWW-Authenticate", r#"Basic realm="give it to me""#)
    })
    .await
    .unwrap();
    let registry = registry(Auth::Basic).await;
    let client = alice();
    let reference = registry.reference("a:v1");
    client.head_manifest(&reference).await.unwrap();
    let moved = Reply::new(307).header("Location", stranger.url("/v2/a/manifests/v1"));
    registry.fault("HEAD", 10, Effect::Answer(moved));
    let error = client.head_manifest(&reference).await.unwrap_err();
    assert_eq!(error.code(), "registry/denied");
    assert_eq!(stranger.requests().len(), 1);
    assert!(stranger.requests().iter().all(|r| r.header("authorization").is_none()));
}

#[tokio::test]
async fn credentials_are_not_sent_unencrypted_to_a_foreign_token_server() {
    let realm = r#"Bearer realm="http://tokens.example/token",service="x""#;
    let server =
        Server::start(move |_: &Request| Reply::new(401).header("WWW-Authenticate", realm))
            .await
            .unwrap();
    let reference = format!("{}/a:v1", server.authority()).parse().unwrap();
    let error = alice().head_manifest(&reference).await.unwrap_err();
    assert_eq!(error.code(), "registry/insecure");
    assert!(error.to_string().contains("http://tokens.example/token"), "{error}");
}

#[tokio::test]
async fn nobody_is_looked_up_for_a_registry_that_does_not_ask() {
    let registry = registry(Auth::Open).await;
    let found = fixed(basic(USER, PASSWORD));
    let chain = CredentialChain(vec![Arc::new(tierce_registry::Anonymous), found.clone()]);
    let client = Client::new(ClientSettings { credentials: Arc::new(chain), ..settings() });
    client.head_manifest(&registry.reference("a:v1")).await.unwrap();
    assert!(found.asked.lock().unwrap().is_empty());
    assert_eq!(client.requests(), 1);
}
