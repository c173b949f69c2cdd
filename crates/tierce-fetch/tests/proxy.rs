//! Proxies, as the environment names them: the client is made in a process of its own.

use std::process::Command;
use tierce_fetch::testing::{Reply, Request, Server};
use tierce_fetch::{Fetcher, HttpSettings, RetryPolicy, Url, client};

/// Names the URLs that the child is to fetch; without it the child is nobody's.
const URLS: &str = "TIERCE_TEST_URLS";

#[tokio::test(flavor = "multi_thread")]
async fn the_environment_names_the_proxy() {
    let proxy = Server::start(|_: &Request| Reply::ok("proxied")).await.unwrap();
    let direct = Server::start(|_: &Request| Reply::ok("direct")).await.unwrap();
    // Nothing resolves .invalid names, and nothing proxies this machine's own.
    let urls = format!("http://far.invalid/x {}", direct.url("/y"));
    let mut child = Command::new(std::env::current_exe().unwrap());
    child
        .args(["--exact", "the_child_fetches", "--nocapture"])
        .env("http_proxy", format!("http://me:hunter2@{}", proxy.authority()))
        .env_remove("no_proxy")
        .env_remove("NO_PROXY")
        .env(URLS, urls);
    let output = tokio::task::spawn_blocking(move || child.output().unwrap()).await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let seen = proxy.requests();
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].line(), "GET http://far.invalid/x");
    // base64 of me:hunter2
    assert_eq!(seen[0].header("proxy-authorization"), Some("Basic bWU6aHVudGVyMg=="));
    assert_eq!(direct.requests().len(), 1);
}

#[tokio::test]
async fn the_child_fetches() {
    let Ok(urls) = std::env::var(URLS) else { return };
    let fetcher = Fetcher::new(client(&HttpSettings::default()).unwrap());
    let fetcher = fetcher.with_retry(RetryPolicy::never());
    for url in urls.split(' ') {
        let url: Url = url.parse().unwrap();
        let body = fetcher.get(&url, 100).await.unwrap();
        let expected: &[u8] = if url.path() == "/x" { b"proxied" } else { b"direct" };
        assert_eq!(&body[..], expected, "{url}");
    }
}
