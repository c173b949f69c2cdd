//! A Debian base, an apt step and Python packages, locked and built again when the archive and the
//! index have moved on.

use crate::archive::Archive;
use crate::support::{
    ORDINARY, Project, crun, give_away, is_root, ordinary_user, run, shared_store, unpack,
};
use std::fs;
use std::path::PathBuf;
use tierce_testing::{PackageIndex, ProjectSpec, WheelSpec};

/// The files of a Debian base with Python, fetched once; `None` where there is no network.
fn base_debs() -> Option<Vec<PathBuf>> {
    let kept = shared_store("online-lock-debs");
    let project = Project::new("name = 'base'\nbase = { debian = 'bookworm', python = true }\n");
    let locked = project.tierce(["lock"]).env("TIERCE_STORE", shared_store("online-lock-store"));
    locked.ok();
    let lock = fs::read_to_string(project.path("tierce.lock")).expect("a lock");
    assert!(lock.contains("base = { debian = \"bookworm\", snapshot = \""), "{lock}");
    fs::create_dir_all(&kept).expect("a directory");
    let (mut list, mut files) = (String::new(), vec![]);
    for line in lock.lines().filter(|line| line.contains(".deb\"")) {
        let url = line.split("url = \"").nth(1).and_then(|rest| rest.split('"').next());
        let url = url.expect("a URL");
        let file = kept.join(url.rsplit('/').next().expect("a name").replace("%2b", "+"));
        if !file.exists() {
            list.push_str(&format!("url = \"{url}\"\noutput = \"{}\"\n", file.display()));
        }
        files.push(file);
    }
    if !list.is_empty() {
        let config = project.path("curl");
        fs::write(&config, list).expect("a file");
        run("curl", ["--parallel", "--fail", "-sSK", config.to_str().expect("UTF-8")])?;
    }
    Some(files)
}

fn spec(archive: &Archive, index: &PackageIndex) -> String {
    let mirror = archive.url("/debian");
    format!(
        "name = 'locked'\n\
         base = {{ debian = 'sid', python = true, mirror = '{mirror}', \
         security-mirror = '{mirror}' }}\n\
         [[steps]]\n\
         run = [\"sed -i 's/^Signed-By.*/Trusted: yes/' /etc/apt/sources.list.d/debian.sources\"]\n\
         [[steps]]\napt = ['greeting']\n\
         [[steps]]\n[steps.pip]\npackages = ['alpha', 'delta']\nindex = '{}'\n",
        index.url()
    )
}

fn project(archive: &Archive, spec: &str) -> Project {
    let project = Project::new(spec);
    let config = format!(
        "[debian]\nkeyring = \"{}\"\nsnapshot = \"{}\"\n",
        archive.keyring().display(),
        archive.url("/")
    );
    let path = project.beside("home/.config/tierce/config.toml");
    fs::create_dir_all(path.parent().expect("a parent")).expect("directories");
    fs::write(path, config).expect("a file");
    project
}

fn digest(built: &serde_json::Value) -> String {
    built["digest"].as_str().expect("a digest").to_owned()
}

#[test]
fn a_locked_image_is_built_again_when_all_has_moved_on() {
    let Some(archive) = Archive::start() else { return };
    let Some(debs) = base_debs() else { return };
    debs.iter().for_each(|deb| archive.add(deb));
    archive.make("hello-data", "1.0", "");
    archive.make("greeting", "1:1.0", "Depends: hello-data\n");
    archive.publish();
    let index = PackageIndex::start();
    index.add_wheel(&WheelSpec::new("alpha", "1.0").requires(&["beta"]));
    index.add_wheel(&WheelSpec::new("beta", "1.0"));
    index.add_sdist(&ProjectSpec::new("delta", "1.0"));
    let spec = spec(&archive, &index);
    let mine = project(&archive, &spec);
    let doctor = mine.tierce(["doctor"]).run();
    if doctor.code != 0 {
        eprintln!("skipped: nothing can be run in a sandbox here: {doctor}");
        return;
    }

    let made = mine.tierce(["lock"]).ok();
    let lock = fs::read_to_string(mine.path("tierce.lock")).expect("a lock");
    for part in [
        "packages = [\"greeting\"]",
        "version = \"1:1.0\"",
        "name = \"hello-data\"",
        "sdist = \"delta-1.0.tar.gz\"",
        "provider = \"debian\"",
    ] {
        assert!(lock.contains(part), "{part}: {made}{lock}");
    }
    let build = ["build", "--locked", "--format", "json", "--output", "oci:out"];
    let first = mine.tierce(build).ok().json();

    // What apt knows of what it installed is what it would know without a lock.
    let script = "dpkg-query -W -f '${Package} ${Version}\\n' greeting hello-data; \
                  apt-mark showauto greeting hello-data; apt-mark showmanual greeting; greeting; \
                  python -c 'import importlib.metadata as m; \
                  print([m.version(n) for n in (\"alpha\", \"beta\", \"delta\")])'; \
                  find /var/lib/apt/lists -type f; dpkg --audit";
    let says = "greeting 1:1.0\nhello-data 1.0\nhello-data\ngreeting\n1:1.0\n\
                ['1.0', '1.0', '1.0']\n";
    let args = ["run", "--progress", "quiet", "oci:out", "--", "sh", "-ec", script];
    assert_eq!(mine.tierce(args).ok().stdout, says);

    archive.retire("greeting");
    archive.retire("hello-data");
    archive.retire("libssl3");
    archive.make("hello-data", "2.0", "");
    archive.make("greeting", "1:2.0", "Depends: hello-data\n");
    archive.publish();
    index.add_wheel(&WheelSpec::new("alpha", "1.1").requires(&["beta"]));
    index.add_wheel(&WheelSpec::new("beta", "1.1"));
    index.add_sdist(&ProjectSpec::new("delta", "1.1"));

    // By somebody else, who has nothing but the specification and the lock.
    let theirs = project(&archive, &spec);
    theirs.write("tierce.lock", &lock);
    let launcher = ordinary_user().filter(|_| is_root()).unwrap_or_else(|| vec!["env"]);
    for directory in ["project", "home"] {
        give_away(&theirs.beside(directory), ORDINARY);
    }
    fs::create_dir(theirs.store()).expect("a directory");
    give_away(&theirs.store(), ORDINARY);
    let second = theirs.tierce(build).env("TZ", "Asia/Tokyo").behind(&launcher).ok().json();
    assert_eq!(digest(&second), digest(&first), "{first}\n{second}");
    let tag = second["uri"].as_str().and_then(|uri| uri.rsplit(':').next()).expect("a tag");
    if let Some(unpacked) = unpack(&theirs.path("out"), tag) {
        let state = tempfile::tempdir().expect("a scratch directory");
        if let Some(ran) = crun(&unpacked, state.path(), &["sh", "-ec", script]) {
            assert_eq!((ran.code, ran.stdout.as_str()), (0, says), "{ran}");
        }
    }
    theirs.tierce(["cache", "prune", "--all"]).behind(&launcher).ok();

    // One package is updated, and with it what is installed with it.
    let updated = mine.tierce(["lock", "--update", "greeting"]).ok();
    let expected = "  - apt greeting 1:1.0\n  + apt greeting 1:2.0\n  - apt hello-data 1.0\n  \
                    + apt hello-data 2.0\n";
    assert_eq!(updated.stdout, expected, "{updated}");
    let third = mine.tierce(build).ok().json();
    assert_ne!(digest(&third), digest(&first));

    // A hash that was edited, and a file that is nowhere.
    let hash = lock.lines().find(|line| line.contains("/greeting_")).expect("a package");
    let hash = hash.rsplit("sha256 = \"").next().and_then(|h| h.get(..64)).expect("a hash");
    mine.write("tierce.lock", lock.replace(hash, &"0".repeat(64)));
    let wrong = mine.tierce(["build", "--locked"]).fails(4, "lock/wrong-hash");
    for part in ["greeting 1:1.0", "/archive/debian/", "expected sha256:0000", "hint: "] {
        assert!(wrong.stderr.contains(part), "{part}: {wrong}");
    }
    let gone = lock.replace(hash, &"0".repeat(64)).replace("/greeting_", "/gone_");
    mine.write("tierce.lock", gone);
    let gone = mine.tierce(["build", "--locked"]).fails(4, "lock/file-gone");
    assert!(gone.stderr.contains("greeting 1:1.0") && gone.stderr.contains(" and "), "{gone}");
}
