//! Files onto disk, from a server that misbehaves.

use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;
use tierce_fetch::testing::{Reply, Request, Server};
use tierce_fetch::{Download, Fetcher, HttpSettings, RetryPolicy, client};
use tierce_oci::{Diagnostic, Digest};

const QUICK: RetryPolicy = RetryPolicy {
    attempts: 3,
    base_delay: Duration::from_millis(1),
    max_delay: Duration::from_secs(1),
    idle_timeout: Duration::from_secs(60),
};

fn fetcher() -> Fetcher {
    Fetcher::new(client(&HttpSettings::default()).unwrap()).with_retry(QUICK)
}

/// Bytes that repeat at no round distance.
fn content(length: usize) -> Vec<u8> {
    (0..length).map(|i| (i % 251) as u8 ^ (i >> 8) as u8).collect()
}

fn range_start(request: &Request) -> Option<usize> {
    let range = request.header("range")?.strip_prefix("bytes=")?;
    range.strip_suffix('-')?.parse().ok()
}

/// A file server whose `n`th answer `fault` may change.
async fn server(
    body: Vec<u8>,
    fault: impl Fn(usize, Reply) -> Reply + Send + Sync + 'static,
) -> Server {
    let count = AtomicUsize::new(0);
    Server::start(move |request: &Request| {
        let reply = match range_start(request) {
            Some(start) if start >= body.len() => Reply::new(416),
            Some(start) if request.header("if-range").is_none_or(|tag| tag == "\"v1\"") => {
                let range = format!("bytes {start}-{}/{}", body.len() - 1, body.len());
                Reply::new(206).header("Content-Range", range).body(&body[start..])
            }
            _ => Reply::ok(body.clone()),
        };
        fault(count.fetch_add(1, Ordering::SeqCst), reply.header("ETag", "\"v1\""))
    })
    .await
    .unwrap()
}

fn item(server: &Server, body: &[u8]) -> Download {
    Download {
        url: server.url("/file"),
        digest: Some(Digest::of(body)),
        size: Some(body.len() as u64),
    }
}

struct Dest {
    _dir: tempfile::TempDir,
    path: PathBuf,
}

fn dest() -> Dest {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    Dest { _dir: dir, path }
}

fn ignore(_: u64) {}

#[tokio::test]
async fn a_whole_file() {
    for length in [0, 1, 700_000, 2_000_000] {
        let body = content(length);
        let server = server(body.clone(), |_, reply| reply).await;
        let dest = dest();
        let last = AtomicU64::new(0);
        let seen = |bytes| last.store(bytes, Ordering::SeqCst);
        fetcher().download(&item(&server, &body), &dest.path, &seen).await.unwrap();
        assert_eq!(std::fs::read(&dest.path).unwrap(), body);
        assert_eq!(last.load(Ordering::SeqCst), length as u64);
    }
}

#[tokio::test]
async fn a_cut_file_is_resumed() {
    let body = content(100_000);
    let server = server(body.clone(), |n, reply| match n {
        0 => reply.cut_after(40_000),
        1 => reply.cut_after(20_000),
        _ => reply,
    })
    .await;
    let dest = dest();
    fetcher().download(&item(&server, &body), &dest.path, &ignore).await.unwrap();
    assert_eq!(std::fs::read(&dest.path).unwrap(), body);
    let asked: Vec<_> = server.requests().iter().map(range_start).collect();
    assert_eq!(asked, [None, Some(40_000), Some(60_000)]);
    assert!(server.requests()[1..].iter().all(|r| r.header("if-range") == Some("\"v1\"")));
}

#[tokio::test]
async fn progress_is_not_failure() {
    let body = content(9 << 20);
    let server = server(body.clone(), |_, reply| reply.cut_after(3 << 19)).await;
    let dest = dest();
    fetcher().download(&item(&server, &body), &dest.path, &ignore).await.unwrap();
    assert_eq!(std::fs::read(&dest.path).unwrap(), body);
    assert_eq!(server.requests().len(), 6);
}

#[tokio::test]
async fn a_server_without_ranges_starts_over() {
    let body = content(50_000);
    let whole = body.clone();
    let server = server(body.clone(), move |n, reply| match n {
        0 => reply.cut_after(40_000),
        _ => Reply::ok(whole.clone()),
    })
    .await;
    let dest = dest();
    let heard = Mutex::new(vec![]);
    let hear = |bytes| heard.lock().unwrap().push(bytes);
    fetcher().download(&item(&server, &body), &dest.path, &hear).await.unwrap();
    assert_eq!(std::fs::read(&dest.path).unwrap(), body);
    assert_eq!(server.requests().len(), 2);
    assert_eq!(heard.lock().unwrap().last(), Some(&50_000));
}

#[tokio::test]
async fn a_file_replaced_meanwhile_is_not_patched_together() {
    let (old, new) = (content(50_000), vec![7; 50_000]);
    let current = new.clone();
    // After the cut the server has another version, and takes If-Range for what it is.
    let server = server(old, move |n, reply| match n {
        0 => reply.cut_after(40_000),
        _ => Reply::ok(current.clone()).header("ETag", "\"v2\""),
    })
    .await;
    let dest = dest();
    let download = Download { digest: None, size: None, ..item(&server, &new) };
    fetcher().download(&download, &dest.path, &ignore).await.unwrap();
    assert_eq!(std::fs::read(&dest.path).unwrap(), new);
}

#[tokio::test]
async fn a_bad_join_is_repaired_from_the_start() {
    let (old, new) = (content(50_000), vec![7; 50_000]);
    let current = new.clone();
    // A mirror that serves ranges of whatever it has now.
    let server = server(old, move |n, reply| match n {
        0 => reply.cut_after(40_000),
        1 => Reply::new(206)
            .header("Content-Range", "bytes 40000-49999/50000")
            .body(&current[..10_000]),
        _ => Reply::ok(current.clone()),
    })
    .await;
    let dest = dest();
    fetcher().download(&item(&server, &new), &dest.path, &ignore).await.unwrap();
    assert_eq!(std::fs::read(&dest.path).unwrap(), new);
    assert_eq!(server.requests().len(), 3);
}

#[tokio::test]
async fn what_is_not_as_promised_leaves_nothing() {
    let body = content(1000);
    let server = server(body.clone(), |_, reply| reply).await;
    let good = item(&server, &body);
    for (bad, code) in [
        (Download { digest: Some(Digest::of("x")), ..good.clone() }, "fetch/digest-mismatch"),
        (Download { size: Some(999), ..good.clone() }, "fetch/size-mismatch"),
        (Download { size: Some(1001), ..good.clone() }, "fetch/size-mismatch"),
    ] {
        let dest = dest();
        let error = fetcher().download(&bad, &dest.path, &ignore).await.unwrap_err();
        assert_eq!(error.code(), code);
        assert!(!dest.path.exists());
        // A file that was there before is emptied, not removed: it may be open elsewhere.
        std::fs::write(&dest.path, "before").unwrap();
        fetcher().download(&bad, &dest.path, &ignore).await.unwrap_err();
        assert_eq!(std::fs::read(&dest.path).unwrap(), b"");
    }
    let error = fetcher().download(&good, "/nowhere/file".as_ref(), &ignore).await.unwrap_err();
    assert_eq!(error.code(), "fetch/write");
}

#[tokio::test]
async fn a_download_that_keeps_failing_leaves_nothing() {
    let body = content(1000);
    let server = server(body.clone(), |_, reply| reply.cut_after(1)).await;
    let dest = dest();
    let error = fetcher().download(&item(&server, &body), &dest.path, &ignore).await.unwrap_err();
    assert_eq!(error.code(), "fetch/unreachable");
    assert!(!dest.path.exists());
    assert_eq!(server.requests().len(), 3);
}

#[tokio::test]
async fn a_server_that_falls_silent_is_left() {
    let body = content(100_000);
    let server = server(body.clone(), |n, reply| match n {
        0 => reply.stall_after(40_000),
        _ => reply,
    })
    .await;
    let dest = dest();
    let retry = RetryPolicy { idle_timeout: Duration::from_millis(300), attempts: 20, ..QUICK };
    let impatient = fetcher().with_retry(retry);
    impatient.download(&item(&server, &body), &dest.path, &ignore).await.unwrap();
    assert_eq!(std::fs::read(&dest.path).unwrap(), body);
}

#[tokio::test]
async fn local_files_are_copied_and_verified() {
    let source = dest();
    let body = content(1_300_000);
    std::fs::write(&source.path, &body).unwrap();
    let url = tierce_fetch::Url::from_file_path(&source.path).unwrap();
    let good = Download { url, digest: Some(Digest::of(&body)), size: None };
    let copy = dest();
    fetcher().download(&good, &copy.path, &ignore).await.unwrap();
    assert_eq!(std::fs::read(&copy.path).unwrap(), body);
    let bad = Download { digest: Some(Digest::of("x")), ..good };
    let error = fetcher().download(&bad, &copy.path, &ignore).await.unwrap_err();
    assert_eq!(error.code(), "fetch/digest-mismatch");
}

#[tokio::test]
async fn many_files_at_once() {
    let body = content(10_000);
    let server = server(body.clone(), |n, reply| match n % 3 {
        0 => Reply::new(503),
        _ => reply,
    })
    .await;
    let dir = tempfile::tempdir().unwrap();
    let mut items: Vec<_> =
        (0..20).map(|n| (item(&server, &body), dir.path().join(n.to_string()))).collect();
    let total = Mutex::new(vec![0; items.len()]);
    let heard = |index: usize, bytes| total.lock().unwrap()[index] = bytes;
    let patient = fetcher().with_retry(RetryPolicy { attempts: 30, ..QUICK });
    patient.download_all(&items, 4, &heard).await.unwrap();
    assert!(items.iter().all(|(_, path)| std::fs::read(path).unwrap() == body));
    assert!(total.lock().unwrap().iter().all(|&bytes| bytes == 10_000));

    items[7].0.digest = Some(Digest::of("x"));
    let error = patient.download_all(&items, 4, &|_, _| {}).await.unwrap_err();
    assert_eq!(error.code(), "fetch/digest-mismatch");
}

/// Callers run downloads as tasks of their own.
#[allow(dead_code)]
fn downloads_are_send(fetcher: &Fetcher, item: &Download) {
    fn send(_: impl Send) {}
    send(fetcher.download(item, "x".as_ref(), &ignore));
    send(fetcher.download_all(&[], 4, &|_, _| {}));
    send(fetcher.get(&item.url, 1));
}
