//! Where values are found, and what is said when they are not.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;
use std::time::Duration;
use tierce_oci::{Diagnostic, ErrorKind};
use tierce_secret::{
    CommandProvider, DirectoryProvider, EnvironmentProvider, FileProvider, MAX_SIZE, SecretError,
    SecretProvider, SecretResolver, Secrets,
};
use tierce_spec::Secret;

struct Places {
    dir: tempfile::TempDir,
    variables: BTreeMap<String, Vec<u8>>,
    commands: BTreeMap<String, Vec<String>>,
}

impl Places {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Places { dir, variables: BTreeMap::new(), commands: BTreeMap::new() }
    }

    fn file(&self, name: &str, content: &[u8]) {
        let path = self.dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    fn command(&mut self, variable: &str, script: &str) {
        let argv = ["sh", "-c", script].map(str::to_owned).to_vec();
        self.commands.insert(variable.to_owned(), argv);
    }

    async fn resolve(&self, wanted: &[&Secret]) -> Result<Secrets, SecretError> {
        let variables = self.variables.clone();
        let named = |name: &str| (name.to_owned(), self.dir.path().join(format!("{name}.txt")));
        let files = BTreeMap::from([named("FILE_ONLY"), named("group/named")]);
        let directories = vec![self.dir.path().join("first"), self.dir.path().join("second")];
        let limit = Duration::from_secs(5);
        let providers: Vec<Arc<dyn SecretProvider>> = vec![
            Arc::new(EnvironmentProvider::new(move |name| variables.get(name).cloned())),
            Arc::new(FileProvider::new(files)),
            Arc::new(CommandProvider::new(self.commands.clone()).with_time_limit(limit)),
            Arc::new(DirectoryProvider::new(directories)),
        ];
        SecretResolver::new(providers).resolve(wanted).await
    }

    async fn value(&self, secret: &Secret) -> Option<String> {
        match self.resolve(&[secret]).await {
            Ok(found) => Some(String::from_utf8_lossy(found.get(&secret.id())?.expose()).into()),
            Err(SecretError::Missing(_)) => None,
            Err(error) => panic!("{error}"),
        }
    }
}

#[tokio::test]
async fn the_first_place_that_has_a_value_wins() {
    let mut places = Places::new();
    let token = Secret::new("token").with_group("pypi");
    assert_eq!(places.value(&token).await, None);
    for (file, value) in [
        ("second/pypi/token", "by name\n"),
        ("second/PYPI_TOKEN", "by variable"),
        ("first/pypi/token", "first directory"),
    ] {
        places.file(file, value.as_bytes());
        assert_eq!(places.value(&token).await.as_deref(), Some(value), "byte for byte");
    }
    places.command("PYPI_TOKEN", "echo 'by program'; echo not this >&2");
    assert_eq!(places.value(&token).await.as_deref(), Some("by program\n"));
    places.variables.insert("PYPI_TOKEN".into(), b"by environment".to_vec());
    assert_eq!(places.value(&token).await.as_deref(), Some("by environment"));
    // As in pipelines whose secret is not set for forks.
    places.variables.insert("PYPI_TOKEN".into(), b"".to_vec());
    assert_eq!(places.value(&token).await.as_deref(), Some("by program\n"), "empty is none");

    places.file("FILE_ONLY.txt", b"\xff\x00binary");
    let found = places.resolve(&[&Secret::new("file-only")]).await.unwrap();
    assert_eq!(found.get(&Secret::new("file-only").id()).unwrap().expose(), b"\xff\x00binary");
    places.file("group/named.txt", b"x");
    assert!(places.value(&Secret::new("named").with_group("group")).await.is_some());
}

#[tokio::test]
async fn all_that_is_missing_is_said_at_once_with_every_place() {
    let mut places = Places::new();
    places.variables.insert("THERE".into(), b"hunter2-hunter2".to_vec());
    places.command("B", "true");
    let (there, a) = (Secret::new("there"), Secret::new("a").with_group("g"));
    let b = Secret::new("b").with_mount("/x");
    let error = places.resolve(&[&there, &b, &a, &a]).await.unwrap_err();
    let at = |name: &str| places.dir.path().join(name).display().to_string();
    let expected = [
        format!(
            "the secret b is not in the variable B, nor in the output of sh, nor in {}, nor in \
             {}, nor in {}, nor in {}",
            at("first/B"),
            at("first/b"),
            at("second/B"),
            at("second/b")
        ),
        format!(
            "the secret g/a is not in the variable G_A, nor in {}, nor in {}, nor in {}, nor in {}",
            at("first/G_A"),
            at("first/g/a"),
            at("second/G_A"),
            at("second/g/a")
        ),
    ];
    assert_eq!(error.to_string(), expected.join("\n"));
    assert_eq!((error.code(), error.kind()), ("secret/missing", ErrorKind::User));
    let hint = error.hint().unwrap();
    for way in
        ["Set B in the environment", "/etc/secrets/B", "[secrets.files]", "[secrets.commands]"]
    {
        assert!(hint.contains(way), "{hint}");
    }
}

#[tokio::test]
async fn a_failing_program_is_an_error_that_hides_the_value() {
    let wanted = Secret::new("token");
    for (script, code, says) in [
        (
            "echo s3cret-value; echo cannot use s3cret-value >&2; exit 3",
            "secret/command-failed",
            Some("cannot use ****"),
        ),
        ("sleep 1000", "secret/command-failed", None),
        ("yes s3cret-value", "secret/too-large", None),
    ] {
        let mut places = Places::new();
        places.command("TOKEN", script);
        let error = places.resolve(&[&wanted]).await.unwrap_err();
        assert_eq!(error.code(), code, "{script}");
        let source = std::error::Error::source(&error).unwrap().to_string();
        assert!(says.is_none_or(|says| source.contains(says)), "{source}");
        assert!(!format!("{error} {error:?} {source} {:?}", error.hint()).contains("s3cret"));
    }
    let mut places = Places::new();
    places.commands.insert("TOKEN".into(), vec!["/nonexistent/program".into(), "s3cret".into()]);
    let error = places.resolve(&[&wanted]).await.unwrap_err();
    let text = format!("{error} {error:?}");
    assert!(text.contains("/nonexistent/program") && !text.contains("s3cret"), "{text}");
}

#[tokio::test]
async fn what_is_too_large_or_no_file_is_no_secret() {
    let places = Places::new();
    places.file("first/LARGE", &vec![b'x'; MAX_SIZE + 1]);
    let error = places.resolve(&[&Secret::new("large")]).await.unwrap_err();
    assert_eq!(error.code(), "secret/too-large");
    fs::create_dir_all(places.dir.path().join("first/DIR")).unwrap();
    assert_eq!(places.value(&Secret::new("dir")).await, None);
    // A file where the group's directory would be.
    places.file("first/g", b"");
    assert_eq!(places.value(&Secret::new("k").with_group("g")).await, None);
}

/// Whether a process with this number does anything.
fn alive(pid: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
    !stat.is_empty() && !stat.contains(") Z ")
}

#[tokio::test]
async fn a_program_that_is_given_up_leaves_nothing_behind() {
    let mut places = Places::new();
    let pids = places.dir.path().join("pids");
    let script = format!(
        "sleep 559 & echo $! $$ > '{0}.new'; mv '{0}.new' '{0}'; sleep 558",
        pids.display()
    );
    places.command("TOKEN", &script);
    let started = || async {
        while !pids.exists() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let id = Secret::new("token").id();
    let provider = CommandProvider::new(places.commands.clone());
    // Whatever ends the lookup drops its future, as a time limit does.
    tokio::select! {
        found = provider.find(&id) => panic!("{:?}", found.err()),
        () = started() => {}
    }
    let text = fs::read_to_string(&pids).unwrap();
    for _ in 0..200 {
        if !text.split_whitespace().any(alive) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("still there: {text}");
}

/// Variables that shells set themselves, or can't do without.
const SHELLS: [&str; 5] = ["PATH", "PWD", "OLDPWD", "SHLVL", "_"];

#[tokio::test]
async fn programs_do_not_see_the_variables_of_secrets() {
    // Set in this process before it is looked up, whatever else it is.
    let (name, value) = std::env::vars()
        .find(|(name, value)| {
            let plain = |c: char| c.is_ascii_uppercase() || c == '_';
            !value.trim().is_empty() && name.chars().all(plain) && !SHELLS.contains(&name.as_str())
        })
        .expect("a variable");
    let mut places = Places::new();
    places.command("TOKEN", &format!("echo \"got ${{{name}-nothing}}\""));
    places.command(&name, "echo other");
    let (token, other) = (Secret::new("token"), Secret::new(name.to_lowercase()));
    let alone = places.value(&token).await.unwrap();
    assert_eq!(alone, format!("got {value}\n"));
    let found = places.resolve(&[&token, &other]).await.unwrap();
    assert_eq!(found.get(&token.id()).unwrap().expose(), b"got nothing\n");
}
