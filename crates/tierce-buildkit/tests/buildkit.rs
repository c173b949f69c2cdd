//! The buildkit builder: with the BuildKit inside a real Docker daemon as far as that goes, and
//! with a daemon of the tests' own for the rest.

mod support;

use futures::StreamExt;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use support::Fake;
use tierce_buildkit::{BuildkitBuilder, BuildkitSettings};
use tierce_buildkit_client::TlsFiles;
use tierce_engine::{
    BuildRequest, Events, Export, GatherCache, ImageBuild, ImageBuilder, Status, gather,
};
use tierce_fetch::HttpSettings;
use tierce_frontend::{BuildNetwork, Frontend};
use tierce_oci::{Digest, ErrorKind};
use tierce_registry::{
    Client, ClientSettings, Credential, CredentialError, Credentials, Secret as Hidden,
};
use tierce_secret::{SecretValue, Secrets};
use tierce_spec::{Commands, Image, Network, Secret, Step};
use tierce_testing::{BuildkitBridge, Dockerd, Registry};
use tokio::net::{TcpListener, UnixListener};

struct Me;

impl Credentials for Me {
    fn lookup(&self, registry: &str) -> Result<Option<Credential>, CredentialError> {
        let password = Hidden::new("password");
        Ok((registry == "registry.example")
            .then(|| Credential::Basic { user: "me".into(), password }))
    }
}

fn registry_client() -> Client {
    Client::new(ClientSettings::new(tierce_fetch::client(&HttpSettings::default()).unwrap()))
}

fn builder(settings: BuildkitSettings) -> BuildkitBuilder {
    BuildkitBuilder::new(settings, Frontend::default(), registry_client(), Arc::new(Me))
}

fn request(image: &Image, root: &Path, uri: &str, exports: Vec<Export>) -> BuildRequest {
    let gathered = gather(image, root, &GatherCache::none()).unwrap();
    let secrets = gathered.resolved.image().secrets();
    let values: Vec<_> =
        secrets.into_iter().map(|s| (s.id(), SecretValue::new("a-canary-value"))).collect();
    BuildRequest {
        platforms: gathered.resolved.platforms().to_vec(),
        gathered,
        uri: uri.to_owned(),
        exports,
        refresh: false,
        base: None,
        secrets: Secrets::new(values),
        login: None,
        cache: GatherCache::none(),
    }
}

fn output(command: &mut Command) -> Vec<u8> {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {output:?}");
    output.stdout
}

fn image() -> Image {
    Image::from_base("registry.example/base:1")
        .unwrap()
        .with_source_file("file", "/file")
        .with_step(Step::Commands(Commands {
            commands: vec!["make".into()],
            network: Network::Host,
            secrets: vec![Secret::new("token").with_mount("/run/t")],
        }))
}

/// Serves `fake` on a Unix socket in `directory`; gives the address.
fn on_socket(fake: Fake, directory: &Path) -> String {
    let path = directory.join("buildkitd.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let connections = futures::stream::unfold(listener, |listener| async move {
        Some((listener.accept().await.map(|(stream, _)| stream), listener))
    });
    tokio::spawn(fake.serve(connections.boxed()));
    format!("unix://{}", path.display())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_daemon_gets_what_it_asks_for_and_its_archives_arrive() {
    let root = tempfile::tempdir().unwrap();
    std::fs::write(root.path().join("file"), "x".repeat(200_000)).unwrap();
    // Any layout will do as what the daemon sends.
    let layout = root.path().join("sent");
    std::fs::create_dir_all(layout.join("blobs/sha256")).unwrap();
    std::fs::write(layout.join("index.json"), "{}").unwrap();
    std::fs::write(layout.join("blobs/sha256/00"), "blob").unwrap();
    let archive =
        output(Command::new("tar").arg("-C").arg(&layout).args(["-c", "index.json", "blobs"]));
    let digest = Digest::of(b"image");
    let fake =
        Fake { archive: Arc::new(archive.clone()), digest: digest.to_string(), ..Fake::default() };
    let buildkit = builder(BuildkitSettings {
        address: Some(on_socket(fake.clone(), root.path())),
        cache_from: vec!["localhost:5000/cache".into()],
        network: BuildNetwork::Host,
        ..BuildkitSettings::default()
    });
    let path = |name: &str| root.path().join(name);
    let exports = vec![
        Export::Push("localhost:5000/report:t1".parse().unwrap()),
        Export::OciArchive(path("oci.tar")),
        Export::OciLayout(path("oci")),
        Export::DockerArchive(path("docker.tar")),
    ];
    let wanted = request(&image(), root.path(), "localhost:5000/report:t1", exports);
    let build = buildkit.build(&wanted, &Events::none()).await.unwrap();
    assert_eq!(build.digest, Some(digest));

    let seen = fake.seen.lock().unwrap();
    let kinds: Vec<_> = seen.iter().map(|s| s.exporter.as_str()).collect();
    // First for nobody, until it is sure that no source has changed meanwhile.
    assert_eq!(kinds, ["", "image", "oci", "oci", "docker"]);
    let first = &seen[1];
    assert_eq!(first.exporter_attributes["push"], "true");
    assert_eq!(first.exporter_attributes["registry.insecure"], "true");
    assert_eq!(first.attributes["platform"], wanted.platforms[0].to_string());
    assert_eq!(first.attributes["force-network-mode"], "host");
    assert_eq!(first.entitlements, ["network.host"]);
    assert!(first.cache_imports[0].contains("localhost:5000/cache"), "{first:?}");
    assert!(first.dockerfile.starts_with("FROM registry.example/base:1"), "{first:?}");
    assert_eq!(first.secret.as_deref(), Some(b"a-canary-value".as_slice()));
    assert_eq!(first.user, "me");
    assert!(
        !first.dockerfile.contains("canary")
            && !format!("{:?}", first.attributes).contains("canary")
    );
    std::fs::write(path("context.tar"), &first.context).unwrap();
    let listed = output(Command::new("tar").arg("-tf").arg(path("context.tar")));
    assert!(String::from_utf8(listed).unwrap().contains("file"));

    assert_eq!(std::fs::read(path("oci.tar")).unwrap(), archive);
    assert_eq!(std::fs::read(path("docker.tar")).unwrap(), archive);
    assert_eq!(std::fs::read(path("oci/blobs/sha256/00")).unwrap(), b"blob");
    let left = std::fs::read_dir(root.path()).unwrap().flatten();
    let left: Vec<_> = left.filter(|e| e.file_name().to_string_lossy().starts_with('.')).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_say_what_and_leave_no_file() {
    let root = tempfile::tempdir().unwrap();
    std::fs::write(root.path().join("file"), "x").unwrap();
    let message =
        "failed to push localhost:1/x: insufficient_scope: authorization failed a-canary-value";
    let fake = Fake { failure: Some(message.into()), ..Fake::default() };
    let address = Some(on_socket(fake, root.path()));
    let buildkit = builder(BuildkitSettings { address, ..BuildkitSettings::default() });
    let archive = root.path().join("oci.tar");
    let exports = vec![Export::OciArchive(archive.clone())];
    let wanted = request(&image(), root.path(), "x:t1", exports);
    let error = buildkit.build(&wanted, &Events::none()).await.unwrap_err().0;
    assert_eq!((error.code(), error.kind()), ("registry/denied", ErrorKind::Upstream));
    assert!(!error.to_string().contains("canary"), "{error}");
    assert!(!archive.exists());

    let nothing = request(&image(), root.path(), "x:t1", vec![]);
    let error = buildkit.build(&nothing, &Events::none()).await.unwrap_err().0;
    assert_eq!((error.code(), error.kind()), ("buildkit/no-destination", ErrorKind::User));

    let mut orphan = wanted.clone();
    orphan.base = Some(Arc::new(ImageBuild::new("report:t0", Status::Built)));
    let error = buildkit.build(&orphan, &Events::none()).await.unwrap_err().0;
    assert_eq!(error.code(), "builder/no-base");

    let nowhere = BuildkitSettings {
        address: Some("tcp://localhost:1".into()),
        ..BuildkitSettings::default()
    };
    let error = builder(nowhere.clone()).build(&wanted, &Events::none()).await.unwrap_err().0;
    assert_eq!(error.code(), "buildkit/unreachable");
    let shown = builder(nowhere).render(&wanted, &Events::none()).await.unwrap();
    assert!(shown.command.unwrap().contains("export oci"));
}

/// An authority, and certificates of a daemon and a client that it signed.
fn certificates(directory: &Path) -> Option<()> {
    let script = r#"
        set -e; cd "$1"
        openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 \
            -keyout ca.key -out ca.pem -subj /CN=authority
        for name in daemon client stranger; do
            openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
                -keyout $name.key -out $name.csr -subj /CN=$name
            printf 'subjectAltName=DNS:build.example\n' > ext
            openssl x509 -req -in $name.csr -CA ca.pem -CAkey ca.key -CAcreateserial \
                -days 2 -extfile ext -out $name.pem
        done
        openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 \
            -keyout stranger.key -out stranger.pem -subj /CN=stranger
    "#;
    let run = Command::new("sh").args(["-c", script, "sh"]).arg(directory).output();
    match run {
        Ok(output) if output.status.success() => Some(()),
        other => {
            eprintln!("skipped: openssl makes no certificates: {other:?}");
            None
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tcp_is_authenticated_both_ways() {
    let root = tempfile::tempdir().unwrap();
    if certificates(root.path()).is_none() {
        return;
    }
    std::fs::write(root.path().join("file"), "x").unwrap();
    let path = |name: &str| root.path().join(name);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let certificate = |name: &str| CertificateDer::from_pem_file(path(name)).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificate("ca.pem")).unwrap();
    let verifier = rustls::server::WebPkiClientVerifier::builder_with_provider(
        Arc::new(roots),
        provider.clone(),
    );
    let key = PrivateKeyDer::from_pem_file(path("daemon.key")).unwrap();
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier.build().unwrap())
        .with_single_cert(vec![certificate("daemon.pem")], key)
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let connections = futures::stream::unfold((listener, acceptor), |(listener, acceptor)| async {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            // Who is not let in is not served.
            if let Ok(stream) = acceptor.accept(stream).await {
                return Some((Ok(stream), (listener, acceptor)));
            }
        }
    });
    let fake = Fake { digest: Digest::of(b"image").to_string(), ..Fake::default() };
    tokio::spawn(fake.serve(connections.boxed()));

    let tls = |client: &str, server_name: Option<&str>| TlsFiles {
        ca: Some(path("ca.pem")),
        certificate: Some(path(&format!("{client}.pem"))),
        key: Some(path(&format!("{client}.key"))),
        server_name: server_name.map(str::to_owned),
    };
    let with = |tls: Option<TlsFiles>| {
        let address = Some(format!("tcp://127.0.0.1:{port}"));
        builder(BuildkitSettings { address, tls, ..BuildkitSettings::default() })
    };
    let exports = vec![Export::Push("registry.example/x:t1".parse().unwrap())];
    let wanted = request(&image(), root.path(), "registry.example/x:t1", exports);
    let good = with(Some(tls("client", Some("build.example"))));
    good.build(&wanted, &Events::none()).await.unwrap();
    for (what, tls) in [
        ("another name", Some(tls("client", None))),
        ("a stranger", Some(tls("stranger", Some("build.example")))),
        ("in the clear", None),
    ] {
        let error = with(tls).build(&wanted, &Events::none()).await;
        assert_eq!(error.unwrap_err().0.code(), "buildkit/unreachable", "{what}");
    }
    let missing = TlsFiles { ca: Some(path("none.pem")), ..TlsFiles::default() };
    let error = with(Some(missing)).build(&wanted, &Events::none()).await.unwrap_err().0;
    assert_eq!((error.code(), error.kind()), ("buildkit/tls", ErrorKind::User));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_buildkit_reads_what_is_rendered() {
    let (Some(dockerd), Some(registry)) = (Dockerd::start(), Registry::start()) else { return };
    let Some(bridge) = BuildkitBridge::start(&dockerd) else { return };
    let buildkit = builder(BuildkitSettings {
        address: Some(bridge.address()),
        network: BuildNetwork::Host,
        ..BuildkitSettings::default()
    });
    let root = tempfile::tempdir().unwrap();
    std::fs::write(root.path().join("file"), "x").unwrap();
    let reference = format!("{}/x:t1", registry.host());
    let exports = vec![Export::Push(reference.parse().unwrap())];
    let image = Image::from_scratch().with_source_file("file", "/file");
    let wanted = request(&image, root.path(), &reference, exports);
    // Docker's BuildKit of that age has no exporter `image`: it says so, and nothing else is wrong.
    let error = buildkit.build(&wanted, &Events::none()).await.unwrap_err().0;
    assert!(error.to_string().contains("exporter \"image\""), "{error}");
}
