//! Whom the client trusts, with OpenSSL's server at the other end.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use tierce_fetch::testing::{Reply, Request, Server};
use tierce_fetch::{Fetcher, HttpSettings, RetryPolicy, Url, client};
use tierce_oci::Diagnostic;

struct TlsServer {
    child: Child,
    url: Url,
}

impl Drop for TlsServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn openssl(args: &[&str]) -> Command {
    let mut command = Command::new("openssl");
    command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    command
}

/// A certificate for localhost that signs itself.
fn certificate(dir: &Path) -> (PathBuf, PathBuf) {
    let (key, cert) = (dir.join("key.pem"), dir.join("cert.pem"));
    let made = openssl(&["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"])
        .args(["-nodes", "-days", "30", "-subj", "/CN=localhost"])
        .args(["-addext", "subjectAltName=DNS:localhost", "-addext", "basicConstraints=CA:FALSE"])
        .arg("-keyout")
        .arg(&key)
        .arg("-out")
        .arg(&cert)
        .status()
        .unwrap();
    assert!(made.success());
    (key, cert)
}

fn serve(key: &Path, cert: &Path) -> TlsServer {
    let mut child = openssl(&["s_server", "-accept", "0", "-www"])
        .arg("-key")
        .arg(key)
        .arg("-cert")
        .arg(cert)
        .spawn()
        .unwrap();
    // It says `ACCEPT [::]:PORT` when it listens.
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let port = lines
        .map_while(Result::ok)
        .find_map(|line| {
            line.strip_prefix("ACCEPT")?.rsplit(':').next()?.trim().parse::<u16>().ok()
        })
        .unwrap();
    TlsServer { child, url: format!("https://localhost:{port}/").parse().unwrap() }
}

#[tokio::test]
async fn extra_authorities_are_trusted_and_strangers_are_not() {
    if Command::new("openssl").arg("version").output().is_err() {
        eprintln!("skipped: openssl is not installed");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (key, cert) = certificate(dir.path());
    let server = serve(&key, &cert);
    let fetcher = |ca_files| {
        let settings = HttpSettings { ca_files, ..HttpSettings::default() };
        Fetcher::new(client(&settings).unwrap()).with_retry(RetryPolicy::never())
    };
    let error = fetcher(vec![]).get(&server.url, 1 << 20).await.unwrap_err();
    assert_eq!(error.code(), "fetch/tls", "{error:?}");
    assert!(error.hint().unwrap().contains("SSL_CERT_FILE"));
    let cause = std::error::Error::source(&error).unwrap();
    assert!(cause.to_string().contains("certificate"), "{cause}");
    assert!(cause.source().is_none(), "one cause says it");
    let plain = Server::start(|_: &Request| Reply::ok("")).await.unwrap();
    let port = plain.url("/").port().unwrap();
    let url = format!("https://127.0.0.1:{port}/").parse().unwrap();
    let error = fetcher(vec![]).get(&url, 1 << 20).await.unwrap_err();
    let cause = std::error::Error::source(&error).unwrap();
    assert_eq!(cause.to_string(), "it does not speak TLS");
    let page = fetcher(vec![cert]).get(&server.url, 1 << 20).await.unwrap();
    assert!(!page.is_empty());
}
