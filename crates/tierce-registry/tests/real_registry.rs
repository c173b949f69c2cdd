//! Against Debian's `docker-registry`, with skopeo as the judge.

mod support;

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use support::{TestImage, alice, basic, client_with, content, image, index, settings};
use tierce_oci::{
    BlobLocation, Descriptor, Diagnostic, DiffId, Digest, MediaType, Platform, Reference,
};
use tierce_registry::testing::{PASSWORD, USER};
use tierce_registry::{BlobOutcome, Client, ClientSettings, PushOptions, Silent, UploadLimits};

/// What `htpasswd -bnB alice "correct horse"` prints.
const HTPASSWD: &str = "alice:$2y$05$abcdefghijklmnopqrstuuHNbAKRhpaujgo33bRWs.NLUTJO3lOy2\n";

struct Registry {
    child: Child,
    authority: String,
    dir: tempfile::TempDir,
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The limits that users have; a real registry takes its time for thousands of small chunks.
fn client() -> Client {
    Client::new(ClientSettings { upload: UploadLimits::default(), ..settings() })
}

#[derive(PartialEq)]
enum Access {
    Open,
    Password,
}

impl Registry {
    /// `None`, and a line that says so, where this machine has none.
    fn start(access: Access) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let storage = dir.path().join("storage");
        let mut config = format!(
            "version: 0.1\nlog: {{level: info, formatter: text}}\nhttp: {{addr: 127.0.0.1:0}}\n\
             storage:\n  filesystem: {{rootdirectory: {storage:?}}}\n  delete: {{enabled: true}}\n"
        );
        if access == Access::Password {
            let htpasswd = dir.path().join("htpasswd");
            std::fs::write(&htpasswd, HTPASSWD).unwrap();
            config += &format!("auth: {{htpasswd: {{realm: test, path: {htpasswd:?}}}}}\n");
        }
        let path = dir.path().join("config.yml");
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
        // It says `listening on 127.0.0.1:PORT`; whatever it says then must be read, or it stops.
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        let authority = lines
            .find_map(|line| {
                let rest = line.split_once("listening on ")?.1;
                Some(rest.split(['"', ' ']).next()?.to_owned())
            })
            .expect("docker-registry says where it listens");
        std::thread::spawn(move || lines.for_each(drop));
        Some(Registry { child, authority, dir })
    }

    fn reference(&self, rest: &str) -> Reference {
        format!("{}/{rest}", self.authority).parse().unwrap()
    }
}

/// A layer that is a real one: skopeo unpacks none, but hashes what is in it.
fn tar_layer(dir: &Path, bytes: &[u8]) -> (Descriptor, BlobLocation) {
    let root = dir.join("root");
    std::fs::create_dir_all(&root).unwrap();
    std::fs::write(root.join("data"), bytes).unwrap();
    let tar = dir.join(format!("{}.tar", Digest::of(bytes).short()));
    let made = Command::new("tar").arg("-cf").arg(&tar).arg("-C").arg(&root).arg(".").status();
    assert!(made.unwrap().success());
    let bytes = std::fs::read(&tar).unwrap();
    (Descriptor::of(MediaType::OciLayer, &bytes), BlobLocation::File(tar))
}

/// What skopeo says, or `None`, and a line that says so, where this machine has none.
fn skopeo(args: &[&str]) -> Option<String> {
    match Command::new("skopeo").args(args).output() {
        Ok(output) => {
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            Some(String::from_utf8(output.stdout).unwrap())
        }
        Err(_) => {
            eprintln!("skipped: skopeo is not installed");
            None
        }
    }
}

async fn push(client: &Client, image: &TestImage, to: &Reference) -> tierce_registry::PushReport {
    client.push(&image.artifact, to, &[], &PushOptions::default(), &Silent).await.unwrap()
}

#[tokio::test]
async fn skopeo_takes_what_was_pushed() {
    let Some(registry) = Registry::start(Access::Open) else { return };
    let dir = tempfile::tempdir().unwrap();
    // 5 MiB in chunks of 1 MiB, a small one, and the config.
    let layers = [tar_layer(dir.path(), &content(1, 5 << 20)), tar_layer(dir.path(), b"small")];
    let image = image("linux/amd64", &layers);
    let upload = UploadLimits { monolithic: 1 << 20, chunk: 1 << 20 };
    let client = Client::new(ClientSettings { upload, ..settings() });
    let to = registry.reference("team/app:v1");
    let report = push(&client, &image, &to).await;
    assert!(report.blobs.iter().all(|b| b.outcome == BlobOutcome::Uploaded));

    let remote = format!("docker://{to}");
    let Some(raw) = skopeo(&["inspect", "--raw", "--tls-verify=false", &remote]) else { return };
    assert_eq!(raw.as_bytes(), image.manifest);
    let copy = format!("oci:{}:v1", dir.path().join("copy").display());
    skopeo(&["copy", "--preserve-digests", "--src-tls-verify=false", &remote, &copy]);
    let blobs = dir.path().join("copy/blobs/sha256");
    for (descriptor, _) in &layers {
        let bytes = std::fs::read(blobs.join(descriptor.digest.hex())).unwrap();
        assert_eq!(Digest::of(&bytes), descriptor.digest);
    }

    // And back, with our own eyes.
    let fresh = Client::new(settings());
    let found = fresh.head_manifest(&to).await.unwrap().unwrap();
    assert_eq!((found.digest, fresh.requests()), (report.digest, 1));
    let resolved = fresh.resolve(&to, &Platform::linux("amd64")).await.unwrap();
    assert_eq!(resolved.config.rootfs.diff_ids[1], DiffId(layers[1].0.digest));
    let dest = dir.path().join("layer");
    fresh.download_blob(&to, &layers[0].0, &dest, &|_| {}).await.unwrap();
    assert_eq!(fresh.tags(&to).await.unwrap(), ["v1"]);
    let by_digest = to.with_digest(report.digest);
    fresh.delete_manifest(&by_digest).await.unwrap();
    assert_eq!(fresh.head_manifest(&to).await.unwrap(), None);
}

#[tokio::test]
async fn an_index_is_taken_too() {
    let Some(registry) = Registry::start(Access::Open) else { return };
    let dir = tempfile::tempdir().unwrap();
    let images = ["linux/amd64", "linux/arm64"]
        .map(|platform| image(platform, &[tar_layer(dir.path(), platform.as_bytes())]));
    let all = index(&[&images[0], &images[1]]);
    let (to, tags) = (registry.reference("app:v1"), ["latest".to_owned()]);
    client().push(&all, &to, &tags, &PushOptions::default(), &Silent).await.unwrap();
    for tag in ["v1", "latest"] {
        let found = client().head_manifest(&registry.reference(&format!("app:{tag}"))).await;
        assert_eq!(found.unwrap().unwrap().digest, all.root.digest);
    }
    let arm64 = Platform::linux("arm64");
    let resolved = client().resolve(&to, &arm64).await.unwrap();
    assert_eq!(resolved.config.platform, arm64);
    let remote = format!("docker://{to}");
    let Some(config) = skopeo(&[
        "--override-arch=arm64",
        "inspect",
        "--config",
        "--raw",
        "--tls-verify=false",
        &remote,
    ]) else {
        return;
    };
    assert_eq!(config.as_bytes(), images[1].config);
}

#[tokio::test]
async fn a_mounted_layer_is_not_sent() {
    let Some(registry) = Registry::start(Access::Open) else { return };
    let dir = tempfile::tempdir().unwrap();
    let layer = tar_layer(dir.path(), &content(2, 3 << 20));
    let base = image("linux/amd64", std::slice::from_ref(&layer));
    push(&client(), &base, &registry.reference("base:v1")).await;
    let from = BlobLocation::Registry(registry.reference("base:v1"));
    let own = tar_layer(dir.path(), b"mine");
    let app = image("linux/amd64", &[(layer.0.clone(), from), own.clone()]);
    let report = push(&client(), &app, &registry.reference("app:v1")).await;
    let outcome = |digest: Digest| {
        report.blobs.iter().find(|b| b.descriptor.digest == digest).map(|b| b.outcome.clone())
    };
    assert_eq!(outcome(layer.0.digest), Some(BlobOutcome::Mounted { from: "base".into() }));
    assert_eq!(outcome(own.0.digest), Some(BlobOutcome::Uploaded));
    let sent = own.0.size as usize + app.config.len() + app.manifest.len();
    assert_eq!(report.bytes_uploaded, sent as u64);
    let stored = registry.dir.path().join("storage/docker/registry/v2/repositories/app/_layers");
    assert!(stored.join("sha256").join(layer.0.digest.hex()).is_dir());
}

#[tokio::test]
async fn passwords_are_asked_for() {
    let Some(registry) = Registry::start(Access::Password) else { return };
    let dir = tempfile::tempdir().unwrap();
    let image = image("linux/amd64", &[tar_layer(dir.path(), b"private")]);
    let to = registry.reference("private:v1");
    for (client, words) in
        [(client(), "anonymously"), (client_with(basic(USER, "wrong")), "as user alice")]
    {
        let options = PushOptions::default();
        let error = client.push(&image.artifact, &to, &[], &options, &Silent).await.unwrap_err();
        assert_eq!(error.code(), "registry/denied");
        assert!(error.to_string().contains(words), "{error}");
    }
    push(&alice(), &image, &to).await;
    let remote = format!("docker://{to}");
    let credentials = format!("--creds={USER}:{PASSWORD}");
    skopeo(&["inspect", "--tls-verify=false", &credentials, &remote]);
}

/// A layer of a size that counts, in a process whose memory is looked at.
#[tokio::test]
async fn large_layers_flow_through_little_memory() {
    let Some(registry) = Registry::start(Access::Open) else { return };
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("large");
    let mut file = std::fs::File::create(&path).unwrap();
    let mut hasher = tierce_oci::Hasher::new();
    for n in 0..200u8 {
        let block = content(n, 1 << 20);
        file.write_all(&block).unwrap();
        hasher.update(&block);
    }
    let descriptor = Descriptor::new(MediaType::OciLayer, hasher.finish(), 200 << 20);
    let layers = [(descriptor.clone(), BlobLocation::File(path))];
    let image = image("linux/amd64", &layers);
    let whole = UploadLimits { monolithic: u64::MAX, ..UploadLimits::default() };
    let before = memory();
    for (n, upload) in [UploadLimits::default(), whole].into_iter().enumerate() {
        let client = Client::new(ClientSettings { upload, ..settings() });
        let to = registry.reference(&format!("large{n}:v1"));
        push(&client, &image, &to).await;
        let dest = dir.path().join("back");
        client.download_blob(&to, &descriptor, &dest, &|_| {}).await.unwrap();
    }
    let grown = memory() - before;
    assert!(grown < 64 << 10, "{grown} KiB more at the peak");
}

/// This process's peak memory, in KiB.
fn memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|l| l.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
