//! The podman builder with a real podman.

mod support;

use std::process::Command;
use std::sync::Arc;
use support::{CANARY, Record, registry_client, request, runs, until};
use tierce_docker::{PodmanBuilder, PodmanSettings};
use tierce_engine::{Events, Export, ImageBuilder, Outcome, Presence, Question, TagKind};
use tierce_frontend::Frontend;
use tierce_oci::{ErrorKind, Platform, Reference};
use tierce_registry::Anonymous;
use tierce_spec::{Image, Network, Secret, SourceOptions};
use tierce_testing::{Podman, Registry};

fn builder(podman: &Podman) -> PodmanBuilder {
    let settings = PodmanSettings {
        variables: podman.variables(),
        search_path: vec![podman.program().parent().unwrap().to_owned()],
        extra_args: vec!["--network=host".to_owned()],
        ..PodmanSettings::default()
    };
    PodmanBuilder::new(settings, Frontend::default(), registry_client(), Arc::new(Anonymous))
}

/// A podman with an image that has a shell.
fn podman() -> Option<Podman> {
    let podman = Podman::isolated()?;
    podman.import_busybox("localhost/base:1")?;
    Some(podman)
}

fn base() -> Image {
    Image::from_base("localhost/base:1").unwrap()
}

fn output(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// What `script` prints in the image `name`.
fn run_in(podman: &Podman, name: &str, script: &str) -> String {
    let mut command = podman.podman();
    command.args(["run", "--rm"]).args(Podman::RUN_ARGUMENTS);
    command.args(["--entrypoint=/bin/sh", name, "-c", script]);
    output(&mut command)
}

#[tokio::test(flavor = "multi_thread")]
async fn images_have_what_they_say_and_no_secret() {
    let Some(podman) = podman() else { return };
    let builder = builder(&podman);
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
    let image = support::with_secrets(&image, command, secrets);
    let record = Arc::new(Record::default());
    let wanted = request(&image, root.path(), "report:t1", vec![]);
    let build = builder.build(&wanted, &record.events()).await.unwrap();
    let script = "cat '/app/src/deep/a b.txt' /length /file; echo \"$GREETING $PWD\"";
    let length = CANARY.len();
    assert_eq!(
        run_in(&podman, "localhost/report:t1", script),
        format!("hello{length}\n{length}\nit's \"$HOME\" \\ here /app\n")
    );
    let mut inspect = podman.podman();
    inspect.args(["inspect", "-f", "{{.Digest}}", "localhost/report:t1"]);
    assert_eq!(build.digest.unwrap().to_string(), output(&mut inspect).trim());
    assert!(!record.text().contains(CANARY), "{}", record.text());

    let record = Arc::new(Record::default());
    let archive = root.path().join("image.tar");
    let wanted =
        request(&image, root.path(), "report:t1", vec![Export::OciArchive(archive.clone())]);
    builder.build(&wanted, &record.events()).await.unwrap();
    assert!(record.outcomes("ENV").contains(&Outcome::Cached), "{}", record.text());
    let layers = output(Command::new("sh").args([
        "-c",
        "mkdir $1/x && tar -C $1/x -xf $2 && for b in $1/x/blobs/sha256/*; do \
         (gzip -dc $b 2>/dev/null || cat $b); done | grep -c canary || true",
        "sh",
        root.path().to_str().unwrap(),
        archive.to_str().unwrap(),
    ]));
    assert_eq!(layers.trim(), "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn results_go_to_registries_archives_and_layouts() {
    let (Some(podman), Some(registry)) = (podman(), Registry::with_password("me", "p+/?w")) else {
        return;
    };
    let builder = builder(&podman);
    let root = tempfile::tempdir().unwrap();
    let reference: Reference = format!("{}/team/report:t1", registry.host()).parse().unwrap();
    let path = |name: &str| root.path().join(name);
    let exports = vec![
        Export::Push(reference.clone()),
        Export::DockerArchive(path("docker.tar")),
        Export::OciArchive(path("oci.tar")),
        Export::OciLayout(path("oci")),
    ];
    let image = base().with_commands(["echo x > /x"], Network::Host);
    let mut wanted = request(&image, root.path(), &reference.to_string(), exports);
    let error = builder.build(&wanted, &Events::none()).await.unwrap_err().0;
    assert_eq!(error.code(), "registry/denied", "{error}");
    let login = tierce_engine::RegistryLogin {
        registry: registry.host(),
        value: tierce_secret::SecretValue::new("me:p+/?w"),
    };
    wanted.login = Some(login.clone());
    let build = builder.build(&wanted, &Events::none()).await.unwrap();
    assert!(build.root.is_some());
    assert_eq!(build.root.as_ref().map(|r| r.digest), build.digest);
    for source in ["docker-archive:docker.tar", "oci-archive:oci.tar", "oci:oci"] {
        let mut skopeo = Command::new("skopeo");
        skopeo.current_dir(root.path()).args(["inspect", "--config", source]);
        assert!(output(&mut skopeo).contains("echo x"), "{source}");
    }
    let checker = &builder.checkers(&wanted.exports, Some(&login))[0];
    let tag = TagKind::of(reference.tag().unwrap(), &wanted.gathered.resolved.key());
    let question = Question { reference: &reference, platforms: &wanted.platforms, tag };
    let answer = checker.check(question).await;
    assert!(matches!(answer, Presence::Present(_)), "{answer:?}");

    // On top of it, once here and once from the registry.
    let above = Image::from_scratch().with_commands(["cat /x > /y"], Network::Host);
    let mut above = request(&above, root.path(), "above:t1", vec![]);
    above.base = Some(Arc::new(build));
    above.login = Some(login);
    builder.build(&above, &Events::none()).await.unwrap();
    output(podman.podman().args(["rmi", "-f", &reference.to_string()]));
    above.uri = "above:t2".to_owned();
    builder.build(&above, &Events::none()).await.unwrap();
    assert_eq!(run_in(&podman, "localhost/above:t2", "cat /y"), "x\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn several_platforms_are_a_list() {
    let (Some(podman), Some(registry)) = (podman(), Registry::start()) else { return };
    let builder = builder(&podman);
    let root = tempfile::tempdir().unwrap();
    std::fs::write(root.path().join("file"), "content").unwrap();
    let platforms = [Platform::linux("amd64"), support::arm()];
    let image = Image::from_scratch().with_source_file("file", "/file").with_platforms(platforms);
    let reference: Reference = format!("{}/report:t1", registry.host()).parse().unwrap();
    let layout = root.path().join("layout");
    let exports = vec![Export::Push(reference.clone()), Export::OciLayout(layout.clone())];
    let wanted = request(&image, root.path(), &reference.to_string(), exports);
    for _ in 0..2 {
        let build = builder.build(&wanted, &Events::none()).await.unwrap();
        assert!(build.root.unwrap().media_type.is_index());
    }
    // One after the other, too: podman's cache takes the one for the other.
    for platform in [support::arm(), Platform::linux("amd64")] {
        let single = image.with_platforms([platform.clone()]);
        let wanted = request(&single, root.path(), "single:t1", vec![]);
        builder.build(&wanted, &Events::none()).await.unwrap();
        let mut inspect = podman.podman();
        inspect.args(["inspect", "-f", "{{.Architecture}}", "localhost/single:t1"]);
        assert_eq!(output(&mut inspect).trim(), platform.architecture);
    }
    for platform in [Platform::linux("amd64"), support::arm()] {
        let found = registry_client().resolve(&reference, &platform).await.unwrap();
        assert_eq!(found.config.platform.architecture, platform.architecture);
    }
    assert!(layout.join("index.json").is_file());
    let archive = vec![Export::DockerArchive(root.path().join("x.tar"))];
    let refused = request(&image, root.path(), "x:t1", archive);
    let error = builder.build(&refused, &Events::none()).await.unwrap_err().0;
    assert_eq!((error.code(), error.kind()), ("builder/several-platforms", ErrorKind::User));
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_say_what_and_where() {
    let Some(podman) = podman() else { return };
    let builder = builder(&podman);
    let root = tempfile::tempdir().unwrap();
    let failing = base().with_commands(["echo the reason >&2; exit 7"], Network::Host);
    let wanted = request(&failing, root.path(), "x:t1", vec![]);
    let error = builder.build(&wanted, &Events::none()).await.unwrap_err().0;
    assert_eq!((error.code(), error.kind()), ("step/failed", ErrorKind::Step), "{error}");
    assert!(error.to_string().contains("exit status 7"), "{error}");
    assert!(error.hint().unwrap().contains("the reason"), "{:?}", error.hint());

    let none = PodmanBuilder::new(
        PodmanSettings { search_path: vec![root.path().into()], ..PodmanSettings::default() },
        Frontend::default(),
        registry_client(),
        Arc::new(Anonymous),
    );
    let error = none.build(&wanted, &Events::none()).await.unwrap_err().0;
    assert_eq!(error.code(), "builder/not-installed");
    // What would be built can be shown all the same.
    let rendering = none.render(&wanted, &Events::none()).await.unwrap();
    assert!(rendering.dockerfile.unwrap().starts_with("FROM localhost/base:1"));
    assert!(rendering.command.unwrap().starts_with("podman build"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_that_is_dropped_leaves_nothing_running() {
    let Some(podman) = podman() else { return };
    let builder = builder(&podman);
    let root = tempfile::tempdir().unwrap();
    let image = base().with_commands(["sleep 91573"], Network::Host);
    let wanted = request(&image, root.path(), "x:t1", vec![]);
    let task = tokio::spawn(async move {
        let _ = builder.build(&wanted, &Events::none()).await;
    });
    until("the step to start", || runs("91573")).await;
    task.abort();
    until("the step to end", || !runs("91573")).await;
    let id = || output(podman.podman().args(["ps", "--all", "--external", "--quiet"]));
    until("the container to go", || id().is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn build_arguments_are_on_no_command_line() {
    let Some(podman) = podman() else { return };
    let builder = builder(&podman);
    let root = tempfile::tempdir().unwrap();
    let image = support::with_arguments(root.path(), "localhost/base:1", "WORD");
    let wanted = request(&image, root.path(), "word:t1", vec![]);
    let command = builder.render(&wanted, &Events::none()).await.unwrap().command.unwrap();
    assert!(command.contains("--build-arg WORD ") && !command.contains(CANARY), "{command}");
    builder.build(&wanted, &Events::none()).await.unwrap();
    let built = run_in(&podman, "localhost/word:t1", "cat /word /empty");
    assert_eq!(built, format!("<{CANARY} word\nline>\n<>\n"));

    let image = support::with_arguments(root.path(), "localhost/base:1", "PATH");
    let wanted = request(&image, root.path(), "word:t2", vec![]);
    let error = builder.build(&wanted, &Events::none()).await.unwrap_err().0;
    assert_eq!((error.code(), error.kind()), ("builder/build-argument", ErrorKind::User));
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_without_a_network_have_none() {
    let Some(podman) = podman() else { return };
    let builder = builder(&podman);
    let root = tempfile::tempdir().unwrap();
    let image = base().with_commands(["ls /sys/class/net > /seen"], Network::None);
    let record = Arc::new(Record::default());
    let wanted = request(&image, root.path(), "quiet:t1", vec![]);
    builder.build(&wanted, &record.events()).await.unwrap();
    let seen = run_in(&podman, "localhost/quiet:t1", "cat /seen");
    assert!(!seen.contains("eth"), "{seen}");
    assert!(!record.text().contains("run.network"), "{}", record.text());

    // Where another step has one, and the frontend can't tell them apart, that is said.
    let mixed = image.with_commands(["true"], Network::Host);
    let record = Arc::new(Record::default());
    let wanted = request(&mixed, root.path(), "mixed:t1", vec![]);
    builder.build(&wanted, &record.events()).await.unwrap();
    let warned = record.text().contains("run.network");
    let seen = run_in(&podman, "localhost/mixed:t1", "cat /seen");
    assert!(warned || !seen.contains("eth"), "{seen}");
}
