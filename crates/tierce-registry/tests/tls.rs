//! Registries with authorities of their own, and ones that want to know who asks: Debian's
//! `docker-registry` behind certificates that OpenSSL makes.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use support::{image, settings};
use tempfile::TempDir;
use tierce_fetch::{ClientIdentity, HttpSettings, Verification};
use tierce_oci::{Diagnostic, Reference};
use tierce_registry::{Client, ClientSettings, InsecurePolicy, PushOptions, Silent};

/// Certificates: an authority, a server and a client of its, and a stranger.
struct Certificates {
    dir: TempDir,
}

impl Certificates {
    /// `None`, and a line that says so, where this machine has no OpenSSL.
    fn make() -> Option<Self> {
        if Command::new("openssl").arg("version").output().is_err() {
            eprintln!("skipped: openssl is not installed");
            return None;
        }
        let made = Certificates { dir: tempfile::tempdir().unwrap() };
        made.request("ca", &["-addext", "basicConstraints=critical,CA:TRUE"]);
        made.request("stranger", &["-addext", "basicConstraints=CA:FALSE"]);
        let issuer = [made.path("ca.pem"), made.path("ca.key")];
        let issued = ["-CA", issuer[0].to_str().unwrap(), "-CAkey", issuer[1].to_str().unwrap()];
        let leaf =
            ["-addext", "basicConstraints=CA:FALSE", "-addext", "subjectAltName=DNS:localhost"];
        made.request("server", &[&leaf[..], &issued].concat());
        made.request("client", &[&leaf[..], &issued].concat());
        Some(made)
    }

    fn request(&self, name: &str, more: &[&str]) {
        let output = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"])
            .args(["-nodes", "-days", "30", "-subj"])
            .arg(format!("/CN={name}"))
            .arg("-keyout")
            .arg(self.path(&format!("{name}.key")))
            .arg("-out")
            .arg(self.path(&format!("{name}.pem")))
            .args(more)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn identity(&self, name: &str) -> Option<ClientIdentity> {
        let [cert, key] = ["pem", "key"].map(|kind| self.path(&format!("{name}.{kind}")));
        Some(ClientIdentity { cert, key })
    }
}

struct Registry {
    child: Child,
    authority: String,
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Registry {
    /// `None`, and a line that says so, where this machine has none.
    fn start(dir: &Path, certificates: &Certificates, wants_certificates: bool) -> Option<Self> {
        let (cert, key) = (certificates.path("server.pem"), certificates.path("server.key"));
        let mut tls = format!("certificate: {cert:?}, key: {key:?}");
        if wants_certificates {
            tls += &format!(", clientcas: [{:?}]", certificates.path("ca.pem"));
        }
        let config = format!(
            "version: 0.1\nlog: {{level: info, formatter: text}}\n\
             http: {{addr: 127.0.0.1:0, tls: {{{tls}}}}}\n\
             storage: {{filesystem: {{rootdirectory: {:?}}}}}\n",
            dir.join("storage")
        );
        let path = dir.join("config.yml");
        std::fs::write(&path, config).unwrap();
        let started = Command::new("docker-registry")
            .arg("serve")
            .arg(&path)
            .env_clear()
            .env("OTEL_TRACES_EXPORTER", "none")
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn();
        let Ok(mut child) = started else {
            eprintln!("skipped: docker-registry is not installed");
            return None;
        };
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        let port = lines
            .find_map(|line| {
                let rest = line.split_once("listening on ")?.1;
                Some(rest.split([',', '"', ' ']).next()?.rsplit(':').next()?.to_owned())
            })
            .expect("docker-registry says where it listens");
        std::thread::spawn(move || lines.for_each(drop));
        Some(Registry { child, authority: format!("localhost:{port}") })
    }

    fn reference(&self) -> Reference {
        format!("{}/team/app:v1", self.authority).parse().unwrap()
    }

    /// A client with a client of its own for this registry.
    fn client(&self, http: HttpSettings) -> Client {
        let http = tierce_fetch::client(&http).unwrap();
        Client::new(ClientSettings {
            http_by_registry: BTreeMap::from([(self.authority.clone(), http)]),
            insecure: InsecurePolicy {
                encrypted: BTreeSet::from([self.authority.clone()]),
                ..InsecurePolicy::default()
            },
            ..settings()
        })
    }

    /// Pushes an image and looks for it; the code of the error if there is one.
    async fn push(&self, http: HttpSettings) -> Result<(), &'static str> {
        let client = self.client(http);
        let (image, options) = (image("linux/amd64", &[]), PushOptions::default());
        let pushed = client.push(&image.artifact, &self.reference(), &[], &options, &Silent).await;
        let report = pushed.map_err(|error| error.code())?;
        let found = client.head_manifest(&self.reference()).await.unwrap().unwrap();
        assert_eq!(found.digest, report.digest);
        Ok(())
    }
}

#[tokio::test]
async fn an_authority_is_trusted_for_its_registry_alone() {
    let Some(certificates) = Certificates::make() else { return };
    let dir = tempfile::tempdir().unwrap();
    let Some(registry) = Registry::start(dir.path(), &certificates, false) else { return };
    let trusting = |file: &str| HttpSettings {
        ca_files: vec![certificates.path(file)],
        ..HttpSettings::default()
    };
    assert_eq!(registry.push(trusting("ca.pem")).await, Ok(()));
    assert_eq!(registry.push(trusting("stranger.pem")).await, Err("registry/tls"));
    assert_eq!(registry.push(HttpSettings::default()).await, Err("registry/tls"));
    let careless = HttpSettings { verification: Verification::Nothing, ..HttpSettings::default() };
    assert_eq!(registry.push(careless.clone()).await, Ok(()));
    // Others than this registry are not asked with its client.
    let elsewhere = registry.authority.replace("localhost", "127.0.0.1");
    let encrypted = BTreeSet::from([elsewhere.clone(), registry.authority.clone()]);
    let http = tierce_fetch::client(&trusting("ca.pem")).unwrap();
    let client = Client::new(ClientSettings {
        http_by_registry: BTreeMap::from([(registry.authority.clone(), http)]),
        insecure: InsecurePolicy { encrypted, ..InsecurePolicy::default() },
        ..settings()
    });
    let other: Reference = format!("{elsewhere}/team/app:v1").parse().unwrap();
    assert_eq!(client.head_manifest(&other).await.unwrap_err().code(), "registry/tls");
    assert!(client.head_manifest(&registry.reference()).await.unwrap().is_some());
}

#[tokio::test]
async fn a_certificate_is_shown_to_who_wants_one() {
    let Some(certificates) = Certificates::make() else { return };
    let dir = tempfile::tempdir().unwrap();
    let Some(registry) = Registry::start(dir.path(), &certificates, true) else { return };
    let shown = |identity| HttpSettings {
        ca_files: vec![certificates.path("ca.pem")],
        identity,
        ..HttpSettings::default()
    };
    assert_eq!(registry.push(shown(certificates.identity("client"))).await, Ok(()));
    for identity in [None, certificates.identity("stranger")] {
        let code = registry.push(shown(identity)).await.unwrap_err();
        assert!(matches!(code, "registry/tls" | "registry/unreachable"), "{code}");
    }
}

#[test]
fn identities_that_make_no_sense_are_told() {
    let Some(certificates) = Certificates::make() else { return };
    let error = |cert: &str, key: &str| {
        let identity =
            Some(ClientIdentity { cert: certificates.path(cert), key: certificates.path(key) });
        let error = tierce_fetch::client(&HttpSettings { identity, ..HttpSettings::default() })
            .unwrap_err();
        assert_eq!(error.code(), "fetch/client-cert");
        assert!(error.hint().is_some());
        error.to_string()
    };
    assert!(error("client.pem", "server.key").contains("of no use together"));
    assert!(error("missing.pem", "client.key").contains("missing.pem"));
    assert!(error("client.key", "client.key").contains("certificate"));
    assert!(error("client.pem", "client.pem").contains("key"));
}
