//! The docker builder with a real daemon.

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use support::{CANARY, Record, registry_client, request, runs, until};
use tierce_docker::{DockerBuilder, DockerSettings};
use tierce_engine::{Events, Export, ImageBuilder, Outcome, Presence, Question, TagKind};
use tierce_frontend::Frontend;
use tierce_oci::{ErrorKind, Platform, Reference};
use tierce_registry::Anonymous;
use tierce_spec::{Image, Network, Secret, SourceOptions};
use tierce_testing::{Dockerd, Registry};

fn builder(host: String, change: impl FnOnce(&mut DockerSettings)) -> DockerBuilder {
    let mut settings = DockerSettings {
        host: Some(host),
        extra_args: vec![format!("--network={}", Dockerd::NETWORK)],
        ..DockerSettings::default()
    };
    change(&mut settings);
    let frontend = Frontend::default();
    DockerBuilder::new(settings, frontend, registry_client(), Arc::new(Anonymous))
}

fn for_dockerd(dockerd: &Dockerd) -> DockerBuilder {
    builder(dockerd.host(), |_| {})
}

fn output(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// What `script` prints in the image `name`.
fn run_in(dockerd: &Dockerd, name: &str, script: &str) -> String {
    let mut command = dockerd.docker();
    command.args(["run", "--rm", "--network=host", "--entrypoint=/bin/sh", name, "-c", script]);
    output(&mut command)
}

fn base() -> Image {
    Image::from_base("base:1").unwrap()
}

/// A daemon with an image that has a shell.
fn dockerd() -> Option<Dockerd> {
    let dockerd = Dockerd::start()?;
    dockerd.import_busybox("base:1")?;
    Some(dockerd)
}

#[tokio::test(flavor = "multi_thread")]
async fn images_have_what_they_say_and_no_secret() {
    let Some(dockerd) = dockerd() else { return };
    let docker = for_dockerd(&dockerd);
    let root = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(root.path().join("src/deep")).unwrap();
    std::fs::write(root.path().join("src/deep/a b.txt"), "hello").unwrap();
    let image = base()
        .with_source_folder("src", "/app/src", SourceOptions::default())
        .with_env_vars([("GREETING", "it's \"$HOME\" \\ here")])
        .with_workdir("/app");
    let command = "printf %s \"$TOKEN\" | wc -c > /length; echo \"got $TOKEN\"; \
                   cat /run/t | wc -c > /file";
    let secrets = [Secret::new("token"), Secret::new("file").with_mount("/run/t")];
    let image =
        support::with_secrets(&image, command, secrets).with_entrypoint(["/bin/echo", "started"]);
    let record = Arc::new(Record::default());
    let wanted = request(&image, root.path(), "report:t1", vec![Export::Load]);
    let build = docker.build(&wanted, &record.events()).await.unwrap();
    let script = "cat '/app/src/deep/a b.txt' /length /file; echo \"$GREETING $PWD\"; ls /run/t /run/secrets 2>&1 | wc -l";
    let printed = run_in(&dockerd, "report:t1", script);
    let length = CANARY.len();
    assert!(
        printed.starts_with(&format!("hello{length}\n{length}\nit's \"$HOME\" \\ here /app\n")),
        "{printed}"
    );
    let mut start = dockerd.docker();
    start.args(["run", "--rm", "--network=host", "report:t1"]);
    assert_eq!(output(&mut start), "started\n");
    let id = output(dockerd.docker().args(["inspect", "-f", "{{.Id}}", "report:t1"]));
    assert_eq!(build.digest.unwrap().to_string(), id.trim());

    // Nobody was told the value, and the image does not have it.
    assert!(!record.text().contains(CANARY), "{}", record.text());
    assert!(record.has_line("got ***") || record.text().contains("got "), "{}", record.text());
    let saved = dockerd.docker().args(["save", "report:t1"]).output().unwrap().stdout;
    assert!(!saved.windows(CANARY.len()).any(|window| window == CANARY.as_bytes()));

    // Once more: every step is there.
    let record = Arc::new(Record::default());
    docker.build(&wanted, &record.events()).await.unwrap();
    assert_eq!(record.outcomes("RUN"), [Outcome::Cached], "{}", record.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn results_go_to_registries_and_archives() {
    let (Some(dockerd), Some(registry)) = (dockerd(), Registry::start()) else { return };
    let docker = for_dockerd(&dockerd);
    let root = tempfile::tempdir().unwrap();
    let reference: Reference = format!("{}/team/report:t1", registry.host()).parse().unwrap();
    let archive = root.path().join("image.tar");
    let image = base().with_commands(["echo x > /x"], Network::Host);
    let exports = vec![Export::Push(reference.clone()), Export::DockerArchive(archive.clone())];
    let wanted = request(&image, root.path(), &reference.to_string(), exports.clone());
    let build = docker.build(&wanted, &Events::none()).await.unwrap();
    let found = registry_client().head_manifest(&reference).await.unwrap().unwrap();
    assert_eq!(build.digest, Some(found.digest));
    assert_eq!(build.root.as_ref().map(|r| r.digest), Some(found.digest));
    assert_eq!(build.platforms[0].digest, found.digest);
    let listed = output(Command::new("tar").arg("-tf").arg(&archive));
    assert!(listed.contains("manifest.json"), "{listed}");
    let left: Vec<_> = std::fs::read_dir(root.path()).unwrap().flatten().collect();
    assert_eq!(left.len(), 1, "{left:?}");

    let tag = TagKind::of(reference.tag().unwrap(), &wanted.gathered.resolved.key());
    let question = Question { reference: &reference, platforms: &wanted.platforms, tag };
    let answer = docker.checkers(&exports, None)[0].check(question).await;
    assert!(matches!(answer, Presence::Present(_)), "{answer:?}");

    // On top of it: by its digest, wherever that is to be had.
    let mut above = request(
        &Image::from_base("scratch").unwrap().with_commands(["cat /x > /y"], Network::Host),
        root.path(),
        "above:t1",
        vec![],
    );
    above.base = Some(Arc::new(build));
    docker.build(&above, &Events::none()).await.unwrap();
    assert_eq!(run_in(&dockerd, "above:t1", "cat /y"), "x\n");
    let untag = output(dockerd.docker().args(["rmi", "-f", &reference.to_string()]));
    assert!(!untag.is_empty());
    above.refresh = true;
    docker.build(&above, &Events::none()).await.unwrap();
    assert_eq!(run_in(&dockerd, "above:t1", "cat /y"), "x\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn several_platforms_are_pushed_as_an_index() {
    let (Some(dockerd), Some(registry)) = (dockerd(), Registry::start()) else { return };
    let docker = for_dockerd(&dockerd);
    let root = tempfile::tempdir().unwrap();
    std::fs::write(root.path().join("file"), "content").unwrap();
    let platforms = [Platform::linux("amd64"), support::arm()];
    let image = Image::from_scratch().with_source_file("file", "/file").with_platforms(platforms);
    let reference: Reference = format!("{}/report:t1", registry.host()).parse().unwrap();
    let wanted = |exports| request(&image, root.path(), &reference.to_string(), exports);
    let pushed = wanted(vec![Export::Push(reference.clone())]);
    let build = docker.build(&pushed, &Events::none()).await.unwrap();
    for (platform, fact) in [Platform::linux("amd64"), support::arm()].iter().zip(&build.platforms)
    {
        let found = registry_client().resolve(&reference, platform).await.unwrap();
        assert_eq!(found.config.platform.architecture, platform.architecture);
        assert_eq!(fact.platform, *platform);
    }
    let kept = docker.build(&wanted(vec![Export::Load]), &Events::none()).await.unwrap_err();
    assert_eq!(kept.0.code(), "docker/no-buildx");
}

#[tokio::test(flavor = "multi_thread")]
async fn dockerfiles_are_built_as_they_are() {
    let Some(dockerd) = dockerd() else { return };
    let docker = for_dockerd(&dockerd);
    let root = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = root.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    write("app/keep", "kept");
    write("app/drop", "dropped");
    write("app/.dockerignore", "drop\n");
    write(
        "app/Dockerfile",
        "FROM base:1 AS first\nARG WORD=none\nCOPY . /app\nRUN echo $WORD > /word\n\
         FROM first AS second\nRUN echo never > /second\n",
    );
    let mut dockerfile = tierce_spec::DockerfileBase::new("app/Dockerfile");
    dockerfile.build_args.insert("WORD".into(), "two words".into());
    dockerfile.target = Some("first".into());
    let image = Image::from_dockerfile(dockerfile);
    let wanted = request(&image, root.path(), "own:t1", vec![]);
    docker.build(&wanted, &Events::none()).await.unwrap();
    let printed =
        run_in(&dockerd, "own:t1", "cat /word /app/keep; ls -A /app /second 2>&1 || true");
    assert!(printed.starts_with("two words\nkept"), "{printed}");
    assert!(!printed.contains("drop\n"), "{printed}");
    assert!(printed.contains("/second: No such file"), "{printed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_say_what_and_where() {
    let Some(dockerd) = dockerd() else { return };
    let docker = for_dockerd(&dockerd);
    let root = tempfile::tempdir().unwrap();
    let failing = base().with_commands(["echo the reason >&2; exit 7"], Network::Host);
    let error = docker
        .build(&request(&failing, root.path(), "x:t1", vec![]), &Events::none())
        .await
        .unwrap_err()
        .0;
    assert_eq!((error.code(), error.kind()), ("step/failed", ErrorKind::Step));
    assert!(error.to_string().contains("exit code: 7"), "{error}");
    assert!(error.hint().unwrap().contains("the reason"), "{:?}", error.hint());

    // Nothing listens on port 1.
    let nowhere: Reference = "localhost:1/x:t1".parse().unwrap();
    let exports = vec![Export::Push(nowhere)];
    let plain = base().with_env_vars([("A", "b")]);
    let wanted = request(&plain, root.path(), "localhost:1/x:t1", exports);
    let error = docker.build(&wanted, &Events::none()).await.unwrap_err().0;
    assert_eq!(error.code(), "builder/push-failed", "{error}");

    let mut orphan = request(&plain, root.path(), "y:t1", vec![]);
    let base = tierce_engine::ImageBuild::new("gone:t1", tierce_engine::Status::Built);
    orphan.base = Some(Arc::new(base));
    let error = docker.build(&orphan, &Events::none()).await.unwrap_err().0;
    assert_eq!(error.code(), "builder/no-base", "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_refuses_is_named() {
    let (Some(dockerd), Some(registry)) = (dockerd(), Registry::with_password("me", "p+/?w"))
    else {
        return;
    };
    let docker = for_dockerd(&dockerd);
    let root = tempfile::tempdir().unwrap();
    let reference: Reference = format!("{}/x:t1", registry.host()).parse().unwrap();
    let image = base().with_env_vars([("A", "b")]);
    let exports = vec![Export::Push(reference.clone())];
    let mut wanted = request(&image, root.path(), &reference.to_string(), exports);
    let error = docker.build(&wanted, &Events::none()).await.unwrap_err().0;
    assert_eq!(error.code(), "registry/denied", "{error}");
    wanted.login = Some(tierce_engine::RegistryLogin {
        registry: registry.host(),
        value: tierce_secret::SecretValue::new("me:p+/?w"),
    });
    docker.build(&wanted, &Events::none()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_that_is_dropped_leaves_nothing_running() {
    let Some(dockerd) = dockerd() else { return };
    let docker = for_dockerd(&dockerd);
    let root = tempfile::tempdir().unwrap();
    let image = base().with_commands(["sleep 73519"], Network::Host);
    let wanted = request(&image, root.path(), "x:t1", vec![]);
    let task = tokio::spawn(async move {
        let _ = docker.build(&wanted, &Events::none()).await;
    });
    until("the step to start", || runs("73519")).await;
    task.abort();
    until("the step to end", || !runs("73519")).await;
}

#[tokio::test]
async fn without_a_daemon_the_error_says_what_to_do() {
    let root = tempfile::tempdir().unwrap();
    let image = base().with_env_vars([("A", "b")]);
    let wanted = request(&image, root.path(), "x:t1", vec![]);
    let docker = builder("unix:///nowhere/docker.sock".into(), |_| {});
    let error = docker.build(&wanted, &Events::none()).await.unwrap_err().0;
    assert_eq!(error.code(), "docker/not-running");
    assert!(error.hint().unwrap().contains("DOCKER_HOST"));
    // What would be built can be shown all the same.
    let rendering = docker.render(&wanted, &Events::none()).await.unwrap();
    assert!(rendering.dockerfile.unwrap().starts_with("FROM docker.io/library/base:1"));
    assert!(rendering.command.unwrap().starts_with("docker "));

    let docker = builder("ftp://x".into(), |_| {});
    let error = docker.build(&wanted, &Events::none()).await.unwrap_err().0;
    assert_eq!((error.code(), error.kind()), ("docker/invalid-host", ErrorKind::User));
}

/// Debian's own command, which has BuildKit inside; other machines may have a newer one first.
fn old_command() -> Option<PathBuf> {
    let path = Path::new("/usr/bin/docker");
    let version = Command::new(path).arg("--version").output().ok()?;
    let version = String::from_utf8_lossy(&version.stdout).into_owned();
    let is_old =
        ["18.", "19.", "20."].iter().any(|v| version.starts_with(&format!("Docker version {v}")));
    if !is_old {
        eprintln!("skipped: /usr/bin/docker is not one with BuildKit inside");
    }
    is_old.then(|| PathBuf::from("/usr/bin"))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_is_the_way_out() {
    let (Some(directory), Some(dockerd), Some(registry)) =
        (old_command(), dockerd(), Registry::start())
    else {
        return;
    };
    let docker = builder(dockerd.host(), |settings| {
        settings.search_path = vec![directory];
        // The API has no such thing.
        settings.extra_args.push("--force-rm".to_owned());
    });
    let root = tempfile::tempdir().unwrap();
    let reference: Reference = format!("{}/report:t1", registry.host()).parse().unwrap();
    let command = "printf %s \"$TOKEN\" | wc -c > /length; echo said";
    let image = support::with_secrets(&base(), command, [Secret::new("token")]);
    let archive = root.path().join("image.tar");
    let exports = vec![Export::Push(reference.clone()), Export::DockerArchive(archive.clone())];
    let wanted = request(&image, root.path(), &reference.to_string(), exports);
    let record = Arc::new(Record::default());
    let build = docker.build(&wanted, &record.events()).await.unwrap();
    assert!(record.has_line("said"), "{}", record.text());
    assert!(!record.text().contains(CANARY));
    let found = registry_client().head_manifest(&reference).await.unwrap().unwrap();
    assert_eq!(build.digest, Some(found.digest));
    assert!(archive.is_file());
    let length = run_in(&dockerd, &reference.to_string(), "cat /length");
    assert_eq!(length.trim(), CANARY.len().to_string());

    let failing = base().with_commands(["echo the reason; exit 7"], Network::Host);
    let wanted = request(&failing, root.path(), "x:t1", vec![]);
    let error = docker.build(&wanted, &Events::none()).await.unwrap_err().0;
    assert_eq!(error.code(), "step/failed", "{error}");
    assert!(error.hint().unwrap().contains("the reason"), "{:?}", error.hint());
}

#[tokio::test(flavor = "multi_thread")]
async fn build_arguments_are_on_no_command_line() {
    let (Some(directory), Some(dockerd)) = (old_command(), dockerd()) else { return };
    let docker = builder(dockerd.host(), |settings| {
        settings.search_path = vec![directory];
        // The API has no such thing.
        settings.extra_args.push("--force-rm".to_owned());
    });
    let root = tempfile::tempdir().unwrap();
    let image = support::with_arguments(root.path(), "base:1", "WORD");
    let wanted = request(&image, root.path(), "word:t1", vec![]);
    let command = docker.render(&wanted, &Events::none()).await.unwrap().command.unwrap();
    assert!(command.contains("--build-arg WORD ") && !command.contains(CANARY), "{command}");
    docker.build(&wanted, &Events::none()).await.unwrap();
    let built = run_in(&dockerd, "word:t1", "cat /word /empty");
    assert_eq!(built, format!("<{CANARY} word\nline>\n<>\n"));

    let image = support::with_arguments(root.path(), "base:1", "DOCKER_HOST");
    let wanted = request(&image, root.path(), "word:t2", vec![]);
    let error = docker.build(&wanted, &Events::none()).await.unwrap_err().0;
    assert_eq!((error.code(), error.kind()), ("builder/build-argument", ErrorKind::User));
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_without_a_network_have_none() {
    let Some(dockerd) = dockerd() else { return };
    let docker = for_dockerd(&dockerd);
    let root = tempfile::tempdir().unwrap();
    let image = base().with_commands(["ls /sys/class/net > /seen"], Network::None);
    let record = Arc::new(Record::default());
    let wanted = request(&image, root.path(), "quiet:t1", vec![]);
    docker.build(&wanted, &record.events()).await.unwrap();
    let seen = run_in(&dockerd, "quiet:t1", "cat /seen");
    assert!(!seen.contains("eth"), "{seen}");
    assert!(!record.text().contains("run.network"), "{}", record.text());

    // Where another step has one, and the frontend can't tell them apart, that is said.
    let mixed = image.with_commands(["true"], Network::Host);
    let record = Arc::new(Record::default());
    let wanted = request(&mixed, root.path(), "mixed:t1", vec![]);
    docker.build(&wanted, &record.events()).await.unwrap();
    let warned = record.text().contains("run.network");
    let seen = run_in(&dockerd, "mixed:t1", "cat /seen");
    assert!(warned || !seen.contains("eth"), "{seen}");
}
