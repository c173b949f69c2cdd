//! Secrets of apt and of Python packages that are built in the image, with real apt, uv and
//! Debian: they are seen where they are needed, and are nowhere else.

mod support;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use support::{Canaries, Index, Outcome, Project, Tierce, canary, shared_store, tool, unpack};

const STORE: &str = "online-secrets-store";

/// Takes turns: two builds of a Debian base at once take longer than one after the other.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A project on Debian with its Python; `None` where nothing can be run.
fn project(steps: &str) -> Option<Project> {
    let project = Project::new(&format!(
        "name = 'secrets'\nbase = {{ debian = 'bookworm', python = true }}\nbytecode = false\n{steps}\n"
    ));
    let doctor = project.tierce(["doctor"]).run();
    if doctor.code != 0 {
        eprintln!("skipped: nothing can be run in a sandbox here: {doctor}");
        return None;
    }
    Some(project)
}

fn tierce<'a>(project: &Project, args: impl IntoIterator<Item = &'a str>) -> Tierce {
    project
        .tierce(args)
        .env("TIERCE_STORE", shared_store(STORE))
        .env("TIERCE_LOG", "trace")
        .env("TIERCE_PROGRESS", "plain")
}

/// Searches what was said, the store, and what was written.
#[track_caller]
fn search(canaries: &Canaries, project: &Project, outcome: &Outcome) {
    canaries.absent("standard output", outcome.stdout.as_bytes());
    canaries.absent("standard error", outcome.stderr.as_bytes());
    let own = project.path("");
    canaries.absent_below(own.parent().expect("a scratch directory"), &[]);
    canaries.absent_below(&shared_store(STORE), &[]);
}

#[test]
fn packages_that_are_built_in_the_image_see_secrets_and_must_not_keep_them() {
    let _turn = turn();
    let [password, token, file] = ["index", "token", "file"].map(|n| canary(n).replace('/', "_"));
    let index = Index::start("alice", &password, None);
    let canaries = Canaries::new(&[
        ("the index's password", &password),
        ("the token", &token),
        ("the file", &file),
    ]);
    let pip = |package: &str| {
        format!(
            "[pip]\npackages = ['{package}']\nindex = '{}'\nsecrets = [\
             {{ key = 'token', env = 'BUILD_TOKEN' }}, \
             {{ key = 'file', mount = '/run/secrets/build' }}, \
             {{ key = 'netrc', group = 'pypi', mount = '/root/.netrc' }}]",
            index.url()
        )
    };
    let netrc = format!("machine {} login alice password {password}\n", index.address());
    let build = |project: &Project| {
        tierce(project, ["build", "--output", "oci:out"])
            .env("TOKEN", &token)
            .env("FILE", &file)
            .env("PYPI_NETRC", &netrc)
    };
    let own = format!("built-well-{}", std::process::id());
    let Some(project) = project(&pip(&own)) else { return };
    let outcome = build(&project).ok();
    assert!(outcome.stderr.contains("the backend saw **** ****"), "it ran: {outcome}");
    search(&canaries, &project, &outcome);

    let leaks = format!("built-leaks-{}", std::process::id());
    let Some(project) = self::project(&pip(&leaks)) else { return };
    let outcome = build(&project).fails(5, "secret/leaked");
    assert!(outcome.stderr.contains("/settings.py of built_leaks_"), "{outcome}");
    assert!(outcome.stderr.contains("the secret token"), "{outcome}");
    search(&canaries, &project, &outcome);
}

/// A Debian package in `archive`, whose script runs `postinst`.
fn package(archive: &Path, name: &str, postinst: &str) -> Option<()> {
    tool("dpkg-deb")?;
    let root = archive.join(format!("{name}-root"));
    fs::create_dir_all(root.join("DEBIAN")).unwrap();
    fs::create_dir_all(root.join("usr/share").join(name)).unwrap();
    fs::write(root.join("usr/share").join(name).join("here"), "yes\n").unwrap();
    let control = format!(
        "Package: {name}\nVersion: 1.0\nArchitecture: all\nMaintainer: nobody <n@example.org>\n\
         Description: a test\n"
    );
    fs::write(root.join("DEBIAN/control"), &control).unwrap();
    let script = root.join("DEBIAN/postinst");
    fs::write(&script, format!("#!/bin/sh\nset -e\n{postinst}\n")).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(&script, mode).unwrap();
    let file = archive.join(format!("{name}.deb"));
    let build = Command::new("dpkg-deb")
        .args(["--root-owner-group", "-Zgzip", "--build"])
        .args([&root, &file])
        .output()
        .unwrap();
    assert!(build.status.success(), "{build:?}");
    let bytes = fs::read(&file).unwrap();
    let entry = format!(
        "{control}Filename: ./{name}.deb\nSize: {}\nSHA256: {}\n\n",
        bytes.len(),
        tierce::Digest::of(&bytes).hex()
    );
    let mut packages = fs::read_to_string(archive.join("Packages")).unwrap_or_default();
    packages += &entry;
    fs::write(archive.join("Packages"), packages).unwrap();
    Some(())
}

#[test]
fn apt_sees_secrets_and_must_not_keep_them() {
    let _turn = turn();
    let archive = tempfile::tempdir().unwrap();
    let says = "echo \"the script saw $APT_TOKEN\"";
    let well = package(archive.path(), "private-well", says);
    let leaks = "echo \"password=$APT_TOKEN\" >/etc/private.conf";
    if well.is_none() || package(archive.path(), "private-leaks", leaks).is_none() {
        return;
    }
    let [password, token] = ["apt", "token"].map(|n| canary(n).replace(['/', '&', '%'], "_"));
    let server = Index::with_archive("alice", &password, archive.path());
    let canaries = Canaries::new(&[("the archive's password", &password), ("the token", &token)]);
    let auth = format!("machine http://{}/ login alice password {password}\n", server.address());
    for (name, leak) in [("private-well", false), ("private-leaks", true)] {
        let source = format!("deb [trusted=yes] http://{}/apt ./", server.address());
        let steps = format!(
            "steps = [{{ run = [\"echo '{source}' >/etc/apt/sources.list.d/private.list\"] }}, \
             {{ apt = {{ packages = ['{name}'], secrets = [\
             {{ key = 'auth', mount = '/etc/apt/auth.conf.d/private.conf' }}, \
             {{ key = 'token', env = 'APT_TOKEN' }}] }} }}]"
        );
        let Some(project) = project(&steps) else { return };
        let build = tierce(&project, ["build", "--format", "json", "--output", "oci:out"]);
        let build = build.env("AUTH", &auth).env("TOKEN", &token);
        if leak {
            let outcome = build.fails(5, "secret/leaked");
            assert!(outcome.stderr.contains("secret token is in /etc/private.conf"), "{outcome}");
            search(&canaries, &project, &outcome);
            continue;
        }
        let outcome = build.ok();
        assert!(outcome.stderr.contains("the script saw ****"), "it ran: {outcome}");
        search(&canaries, &project, &outcome);
        let uri = outcome.json()["uri"].as_str().unwrap().to_owned();
        let tag = uri.rsplit_once(':').unwrap().1.to_owned();
        let Some(unpacked) = unpack(&project.path("out"), &tag) else { continue };
        assert!(unpacked.file("usr/share/private-well/here").exists());
        assert!(!unpacked.file("etc/apt/auth.conf.d/private.conf").exists());
    }
}
