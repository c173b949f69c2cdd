//! Against the BuildKit inside a real Docker daemon.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::process::Command;
use std::sync::Arc;
use tierce_buildkit_client::{
    Client, ContextSource, Endpoint, Exporter, SessionSecrets, Solve, SolveFailure,
};
use tierce_engine::Events;
use tierce_oci::Diagnostic;
use tierce_registry::Anonymous;
use tierce_secret::{SecretValue, Secrets};
use tierce_spec::Secret;
use tierce_testing::{BuildkitBridge, Dockerd};

/// A directory, archived by GNU tar.
struct Directory(tempfile::TempDir);

impl ContextSource for Directory {
    fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let output = Command::new("tar").arg("-C").arg(self.0.path()).args(["-c", "."]).output()?;
        out.write_all(&output.stdout)
    }
}

fn context(files: &[(&str, &[u8])]) -> Arc<Directory> {
    let directory = tempfile::tempdir().unwrap();
    for (name, content) in files {
        std::fs::write(directory.path().join(name), content).unwrap();
    }
    Arc::new(Directory(directory))
}

fn solve(dockerfile: &str, context: Arc<Directory>, name: &str) -> Solve {
    let attributes = [("force-network-mode", Dockerd::NETWORK)];
    let text = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    };
    Solve {
        dockerfile: dockerfile.as_bytes().into(),
        context,
        attributes: text(&attributes),
        secrets: SessionSecrets::default(),
        credentials: Arc::new(Anonymous),
        registries: Default::default(),
        exporter: Some(Exporter {
            kind: "moby".into(),
            attributes: text(&[("name", name)]),
            destination: None,
        }),
        cache_from: vec![],
        cache_to: vec![],
        entitlements: vec!["network.host".into()],
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn builds_with_context_and_secrets_and_says_what_failed() {
    let Some(dockerd) = Dockerd::start() else { return };
    let Some(bridge) = BuildkitBridge::start(&dockerd) else { return };
    dockerd.import_busybox("base:1").expect("an image");
    let endpoint = Endpoint::parse(&bridge.address(), None, None).unwrap();
    let client = Client::connect(Arc::new(endpoint)).await.unwrap();
    let workers = client.workers().await.unwrap();
    assert!(workers[0].platforms.contains(&tierce_oci::Platform::host()), "{workers:?}");

    // Several megabytes: more than one message, and more than any buffer on the way.
    let big = vec![7_u8; 3_000_001];
    let text = "FROM base:1\nCOPY . /all\nRUN ls /all > /names\nCOPY big /big\n\
        RUN --mount=type=secret,id=token,target=/run/t,required \\\n\
          wc -c < /big > /size && wc -c < /run/t > /length && cat /run/t\n";
    let secret = Secret::new("token");
    let mut build = solve(text, context(&[("big", &big)]), "built:1");
    build.secrets = SessionSecrets {
        values: BTreeMap::from([("token".to_owned(), SecretValue::new("a-long-canary"))]),
        hidden: Secrets::new([(secret.id(), SecretValue::new("a-long-canary"))]),
    };
    let result = client.solve(build, &Events::none()).await.unwrap();
    assert!(result.response.values().any(|v| v.starts_with("sha256:")), "{result:?}");
    let output = dockerd
        .docker()
        .args(["run", "--rm", "--network=host", "built:1", "cat", "/names", "/size", "/length"])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "big\n3000001\n13\n", "{output:?}");

    let failing = "FROM base:1\nRUN echo before; echo the reason >&2; exit 7\n";
    let failed = client.solve(solve(failing, context(&[]), "x:1"), &Events::none()).await;
    let error = failed.unwrap_err();
    assert_eq!(error.failure, SolveFailure::Step, "{error:?}");
    assert_eq!(error.code(), "step/failed");
    assert!(error.to_string().contains("exit code: 7"), "{error}");
    assert!(error.hint().unwrap().contains("the reason"), "{error:?}");

    for (dockerfile, expected) in [
        ("FROM base:1\nNONSENSE\n", SolveFailure::Dockerfile),
        ("FROM localhost:1/none:1\n", SolveFailure::Failed),
        ("FROM base:1\nRUN --mount=type=secret,id=other,required true\n", SolveFailure::Secret),
    ] {
        let failed = client.solve(solve(dockerfile, context(&[]), "x:1"), &Events::none()).await;
        let error = failed.unwrap_err();
        assert_eq!(error.failure, expected, "{dockerfile}: {error:?}");
    }
}

#[tokio::test]
async fn says_why_there_is_no_connection() {
    let endpoint = Endpoint::parse("unix:///nowhere/buildkitd.sock", None, None).unwrap();
    let Err(error) = Client::connect(Arc::new(endpoint)).await else { panic!("connected") };
    assert_eq!(error.code(), "buildkit/unreachable");
    assert!(error.hint().unwrap().contains("/nowhere/buildkitd.sock"));
}
