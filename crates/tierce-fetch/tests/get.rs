//! Documents into memory, from a server that misbehaves.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};
use tierce_fetch::testing::{Reply, Request, Server};
use tierce_fetch::{FetchError, Fetched, Fetcher, HttpSettings, RetryPolicy, Validators, client};
use tierce_oci::Diagnostic;

const QUICK: RetryPolicy = RetryPolicy {
    attempts: 3,
    base_delay: Duration::from_millis(1),
    max_delay: Duration::from_secs(5),
    idle_timeout: Duration::from_secs(60),
};

fn fetcher() -> Fetcher {
    Fetcher::new(client(&HttpSettings::default()).unwrap()).with_retry(QUICK)
}

/// Answers the first requests with `first`, in order, and all others with `then`.
async fn sequence(first: Vec<Reply>, then: Reply) -> Server {
    let next = AtomicUsize::new(0);
    Server::start(move |_: &Request| {
        let index = next.fetch_add(1, Ordering::SeqCst);
        first.get(index).cloned().unwrap_or_else(|| then.clone())
    })
    .await
    .unwrap()
}

#[tokio::test]
async fn passing_failures_are_retried() {
    let past = "Sun, 06 Nov 1994 08:49:37 GMT";
    for failure in [
        Reply::new(429).header("Retry-After", 0),
        Reply::new(429).header("Retry-After", past),
        Reply::new(503),
        Reply::new(500),
        Reply::new(408),
        Reply::ok("hello").cut_after(2),
    ] {
        let server = sequence(vec![failure.clone(), failure.clone()], Reply::ok("hello")).await;
        let body = fetcher().get(&server.url("/a"), 100).await.unwrap();
        assert_eq!(&body[..], b"hello", "{failure:?}");
        assert_eq!(server.requests().len(), 3, "{failure:?}");
    }
}

#[tokio::test]
async fn lasting_failures_are_not() {
    for (reply, code, requests) in [
        (Reply::new(404), "fetch/not-found", 1),
        (Reply::new(410), "fetch/not-found", 1),
        (Reply::new(401), "fetch/denied", 1),
        (Reply::new(403), "fetch/denied", 1),
        (Reply::new(400), "fetch/status", 1),
        (Reply::new(502), "fetch/status", 3),
        (Reply::new(429), "fetch/rate-limited", 3),
        (Reply::new(429).header("Retry-After", 3600), "fetch/rate-limited", 1),
        (Reply::ok("hello").cut_after(2), "fetch/unreachable", 3),
        (Reply::ok(vec![0; 101]), "fetch/too-large", 1),
    ] {
        let server = sequence(vec![], reply.clone()).await;
        let error = fetcher().get(&server.url("/a"), 100).await.unwrap_err();
        assert_eq!(error.code(), code, "{reply:?}");
        assert_eq!(server.requests().len(), requests, "{reply:?}");
    }
    let circle = sequence(vec![], Reply::new(302).header("Location", "/a")).await;
    let error = fetcher().get(&circle.url("/a"), 100).await.unwrap_err();
    assert_eq!(error.code(), "fetch/protocol");
}

#[tokio::test]
async fn nobody_listens() {
    // Bound and dropped: a port that was free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("http://127.0.0.1:{port}/").parse().unwrap();
    let error = fetcher().get(&url, 100).await.unwrap_err();
    assert_eq!(error.code(), "fetch/unreachable");
    assert!(error.hint().is_some());
    assert_eq!(causes(&error), ["the connection was refused"]);
    let url = "http://nowhere.invalid/".parse().unwrap();
    let causes = causes(&fetcher().get(&url, 100).await.unwrap_err());
    // Where there is no network, nobody answers.
    let either = ["there is no host of that name", "no name server answers"];
    assert!(causes.len() == 1 && either.contains(&causes[0].as_str()), "{causes:?}");
    let half = sequence(vec![], Reply::ok("hello").cut_after(2)).await;
    let causes = self::causes(&fetcher().get(&half.url("/a"), 100).await.unwrap_err());
    assert!(causes.len() == 1 && causes[0].starts_with("the connection broke: "), "{causes:?}");
}

/// What an error says below its first line.
fn causes(error: &dyn std::error::Error) -> Vec<String> {
    std::iter::successors(error.source(), |e| e.source()).map(ToString::to_string).collect()
}

#[tokio::test]
async fn documents_are_fetched_again_only_if_changed() {
    let server = Server::start(|request: &Request| {
        match request.header("if-none-match") == Some("\"v2\"") {
            true => Reply::new(304),
            false => Reply::ok("v2").header("ETag", "\"v2\"").header("Last-Modified", "today"),
        }
    })
    .await
    .unwrap();
    let url = server.url("/doc");
    let old = Validators { etag: Some("\"v1\"".into()), last_modified: None };
    let Fetched::Body { bytes, validators } =
        fetcher().get_if_changed(&url, &old, 100).await.unwrap()
    else {
        panic!("changed documents come with a body")
    };
    assert_eq!(&bytes[..], b"v2");
    // What is kept between runs is kept as JSON.
    let stored = serde_json::to_string(&validators).unwrap();
    let validators: Validators = serde_json::from_str(&stored).unwrap();
    let again = fetcher().get_if_changed(&url, &validators, 100).await.unwrap();
    assert_eq!(again, Fetched::NotModified);
}

#[tokio::test]
async fn local_files_too() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a b.txt");
    let url = tierce_fetch::Url::from_file_path(&path).unwrap();
    let error = fetcher().get(&url, 100).await.unwrap_err();
    assert!(error.is_not_found() && error.code() == "fetch/not-found");
    std::fs::write(&path, "one").unwrap();
    let first = fetcher().get_if_changed(&url, &Validators::default(), 3).await.unwrap();
    let Fetched::Body { bytes, validators } = first else { panic!("nothing was known") };
    assert_eq!(&bytes[..], b"one");
    let again = fetcher().get_if_changed(&url, &validators, 3).await.unwrap();
    assert_eq!(again, Fetched::NotModified);
    std::fs::write(&path, "longer").unwrap();
    let error = fetcher().get_if_changed(&url, &validators, 3).await.unwrap_err();
    assert_eq!(error.code(), "fetch/too-large");
    let other = "ftp://host/x".parse().unwrap();
    let error = fetcher().get(&other, 3).await.unwrap_err();
    assert!(matches!(error, FetchError::Scheme { .. }));
}

#[tokio::test]
async fn credentials_stay_with_their_host() {
    let other = Server::start(|_: &Request| Reply::ok("there")).await.unwrap();
    let target = other.url("/there");
    let server = Server::start(move |request: &Request| match request.path.as_str() {
        "/elsewhere" => Reply::new(302).header("Location", &target),
        "/here" => Reply::new(302).header("Location", "/end"),
        "/end" => Reply::ok("here"),
        _ => Reply::new(500),
    })
    .await
    .unwrap();
    let url = |path: &str| {
        let mut url = server.url(path);
        url.set_username("user").unwrap();
        url.set_password(Some("hunter2")).unwrap();
        url
    };
    fetcher().get(&url("/elsewhere"), 100).await.unwrap();
    fetcher().get(&url("/here"), 100).await.unwrap();
    assert_eq!(other.requests()[0].header("authorization"), None);
    // base64 of user:hunter2
    let expected = Some("Basic dXNlcjpodW50ZXIy");
    for request in server.requests() {
        assert_eq!(request.header("authorization"), expected, "{}", request.path);
    }
    let error = fetcher().get(&url("/broken"), 100).await.unwrap_err();
    let shown = format!("{error} {error:?}");
    assert!(!shown.contains("hunter2") && !shown.contains("user"), "{shown}");
}

#[tokio::test]
async fn a_server_can_ask_for_patience() {
    let soon = SystemTime::now() + Duration::from_secs(1);
    let date = httpdate::fmt_http_date(soon);
    let server = sequence(vec![Reply::new(503).header("Retry-After", date)], Reply::ok("x")).await;
    assert_eq!(&fetcher().get(&server.url("/"), 9).await.unwrap()[..], b"x");
}

#[test]
fn certificate_authorities_that_are_none_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let empty = dir.path().join("empty.pem");
    std::fs::write(&empty, "").unwrap();
    let invalid = dir.path().join("invalid.pem");
    std::fs::write(&invalid, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
        .unwrap();
    for path in [empty, invalid, dir.path().join("missing.pem")] {
        let settings = HttpSettings { ca_files: vec![path.clone()], ..HttpSettings::default() };
        let error = client(&settings).unwrap_err();
        assert_eq!(error.code(), "fetch/ca-file");
        assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
    }
}
