//! A Debian base, an apt step and Python packages, locked and built again when the archive, the
//! registry and the index have moved on.

use crate::archive::Archive;
use crate::support::{
    ORDINARY, Project, Registry, Tierce, crun, give_away, is_root, ordinary_user, run,
    shared_store, unpack,
};
use std::fs;
use std::path::PathBuf;
use tierce_testing::{PackageIndex, WheelSpec};

/// The files of a Debian base, fetched once; `None` where there is no network.
fn base_debs() -> Option<Vec<PathBuf>> {
    let kept = shared_store("online-lock-debs");
    let project = Project::new("name = 'base'\nbase = { debian = 'bookworm' }\n");
    let locked = project.tierce(["lock"]).env("TIERCE_STORE", shared_store("online-lock-store"));
    locked.ok();
    let lock = fs::read_to_string(project.path("tierce.lock")).expect("a lock");
    for part in ["base = { debian = \"bookworm\", ", "snapshot = \""] {
        assert!(lock.contains(part), "{part}: {lock}");
    }
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

/// A Debian base that trusts the archive, whose key it does not know.
fn base(archive: &Archive) -> String {
    let mirror = archive.url("/debian");
    format!(
        "name = 'base'\n\
         base = {{ debian = 'sid', mirror = '{mirror}', security-mirror = '{mirror}' }}\n\
         run = [\"sed -i 's/^Signed-By.*/Trusted: yes/' /etc/apt/sources.list.d/debian.sources\"]\n"
    )
}

/// Packages of apt's and an index's on that base.
fn spec(base: &str, index: &PackageIndex) -> String {
    format!(
        "name = 'locked'\nbase = '{base}'\nbytecode = false\n\
         python = {{ version = '3.12', interpreter = '/usr/bin/python3.12' }}\n\
         [[steps]]\napt = ['greeting']\n\
         [[steps]]\n[steps.pip]\npackages = ['alpha']\nindex = '{}'\n",
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

/// What apt knows of what it installed is what it would know without a lock.
const LOOK: &str = "dpkg-query -W -f '${Package} ${Version}\\n' greeting hello-data; \
    apt-mark showauto greeting hello-data; apt-mark showmanual greeting; greeting; \
    ls -d /opt/venv/lib/python3.12/site-packages/*.dist-info; \
    find /var/lib/apt/lists -type f; dpkg --audit";

const SAYS: &str = "greeting 1:1.0\nhello-data 1.0\nhello-data\ngreeting\n1:1.0\n\
    /opt/venv/lib/python3.12/site-packages/alpha-1.0.dist-info\n\
    /opt/venv/lib/python3.12/site-packages/beta-1.0.dist-info\n";

const BUILD: [&str; 6] = ["build", "--locked", "--format", "json", "--output", "oci:out"];

/// An archive with a Debian base, and packages that are to be installed on it.
fn archive() -> Option<Archive> {
    let archive = Archive::start()?;
    base_debs()?.iter().for_each(|deb| archive.add(deb));
    archive.make("hello-data", "1.0", "");
    archive.make("greeting", "1:1.0", "Depends: hello-data\n");
    archive.publish();
    Some(archive)
}

/// Builds the base from a lock, with a package that only the snapshots have, and pushes it;
/// `None`, with a printed reason, where nothing can be run.
fn push_base(archive: &Archive, registry: &Registry) -> Option<(Project, String)> {
    let project = project(archive, &base(archive));
    let doctor = project.tierce(["doctor"]).run();
    if doctor.code != 0 {
        eprintln!("skipped: nothing can be run in a sandbox here: {doctor}");
        return None;
    }
    project.tierce(["lock"]).ok();
    archive.retire("gzip");
    let push = ["build", "--locked", "--push", "--tag", "latest", "--registry", registry.address()];
    let uri = project.tierce(push).ok().line().to_owned();
    Some((project, uri))
}

#[test]
fn a_locked_image_is_built_again_when_all_has_moved_on() {
    let Some(registry) = Registry::start() else { return };
    let Some(archive) = archive() else { return };
    let Some((below, base)) = push_base(&archive, &registry) else { return };
    let index = PackageIndex::start();
    index.add_wheel(&WheelSpec::new("alpha", "1.0").requires(&["beta"]));
    index.add_wheel(&WheelSpec::new("beta", "1.0"));
    let spec = spec(&base, &index);
    let mine = project(&archive, &spec);
    // The base is there already.
    let tierce = |args: &[&'static str]| -> Tierce {
        mine.tierce(args.iter().copied()).env("TIERCE_STORE", below.store())
    };

    let made = tierce(&["lock"]).ok();
    let lock = fs::read_to_string(mine.path("tierce.lock")).expect("a lock");
    for part in [
        "packages = [\"greeting\"]",
        "version = \"1:1.0\"",
        "name = \"hello-data\"",
        "wheel = \"beta-1.0-py3-none-any.whl\"",
        &format!("base = {{ registry = \"{base}\", digest = \""),
    ] {
        assert!(lock.contains(part), "{part}: {made}{lock}");
    }
    let first = tierce(&BUILD).ok().json();
    let args = ["run", "--progress", "quiet", "--locked", "--", "sh", "-ec", LOOK];
    assert_eq!(tierce(&args).ok().stdout, SAYS);

    archive.retire("greeting");
    archive.retire("hello-data");
    archive.make("hello-data", "2.0", "");
    archive.make("greeting", "1:2.0", "Depends: hello-data\n");
    archive.publish();
    index.add_wheel(&WheelSpec::new("alpha", "1.1").requires(&["beta"]));
    index.add_wheel(&WheelSpec::new("beta", "1.1"));
    below.write("tierce.toml", format!("{}env = {{ A = '1' }}\n", self::base(&archive)));
    let push = ["build", "--locked", "--push", "--tag", "latest", "--registry", registry.address()];
    assert_eq!(below.tierce(push).ok().line(), base);

    // By somebody else, who has nothing but the specification and the lock.
    let theirs = project(&archive, &spec);
    theirs.write("tierce.lock", &lock);
    let launcher = ordinary_user().filter(|_| is_root()).unwrap_or_else(|| vec!["env"]);
    for directory in ["project", "home"] {
        give_away(&theirs.beside(directory), ORDINARY);
    }
    fs::create_dir(theirs.store()).expect("a directory");
    give_away(&theirs.store(), ORDINARY);
    let second = theirs.tierce(BUILD).env("TZ", "Asia/Tokyo").behind(&launcher).ok().json();
    assert_eq!(digest(&second), digest(&first), "{first}\n{second}");
    let tag = second["uri"].as_str().and_then(|uri| uri.rsplit(':').next()).expect("a tag");
    if let Some(unpacked) = unpack(&theirs.path("out"), tag) {
        let state = tempfile::tempdir().expect("a scratch directory");
        if let Some(ran) = crun(&unpacked, state.path(), &["sh", "-ec", LOOK]) {
            assert_eq!((ran.code, ran.stdout.as_str()), (0, SAYS), "{ran}");
        }
    }
    theirs.tierce(["cache", "prune", "--all"]).behind(&launcher).ok();

    // One package is updated, and with it what is installed with it.
    let updated = tierce(&["lock", "--update", "greeting"]).ok();
    let expected = "  - apt greeting 1:1.0\n  + apt greeting 1:2.0\n  - apt hello-data 1.0\n  \
                    + apt hello-data 2.0\n";
    assert_eq!(updated.stdout, expected, "{updated}");
    let third = tierce(&BUILD).ok().json();
    assert_ne!(digest(&third), digest(&first));

    // A hash that was edited, and a file that is nowhere.
    let hash = lock.lines().find(|line| line.contains("/greeting_")).expect("a package");
    let hash = hash.rsplit("sha256 = \"").next().and_then(|h| h.get(..64)).expect("a hash");
    mine.write("tierce.lock", lock.replace(hash, &"0".repeat(64)));
    let wrong = tierce(&["build", "--locked"]).fails(4, "lock/wrong-hash");
    for part in ["greeting 1:1.0", "/archive/debian/", "expected sha256:0000", "hint: "] {
        assert!(wrong.stderr.contains(part), "{part}: {wrong}");
    }
    let gone = lock.replace(hash, &"0".repeat(64)).replace("/greeting_", "/gone_");
    mine.write("tierce.lock", gone);
    let gone = tierce(&["build", "--locked"]).fails(4, "lock/file-gone");
    assert!(gone.stderr.contains("greeting 1:1.0") && gone.stderr.contains(" and "), "{gone}");
}

#[test]
fn what_nothing_can_be_run_for_is_locked_all_the_same() {
    let index = PackageIndex::start();
    index.add_wheel(&WheelSpec::new("alpha", "1.0"));
    let project = Project::new(&format!(
        "name = 'both'\nbase = {{ debian = 'bookworm', python = true }}\n\
         platforms = ['linux/amd64', 'linux/arm64']\n\
         pip = {{ packages = ['alpha'], index = '{}' }}\n",
        index.url()
    ));
    let tierce = |args: &[&'static str]| -> Tierce {
        let tierce = project.tierce(args.iter().copied());
        tierce.env("TIERCE_STORE", shared_store("online-lock-store"))
    };
    let made = tierce(&["lock"]).ok();
    assert!(made.stderr.contains("1 image, 2 platforms, 2 Python packages"), "{made}");
    let lock = fs::read_to_string(project.path("tierce.lock")).expect("a lock");
    let parts = lock.split("platform = \"linux/").skip(1).zip(["amd64", "arm64"]);
    for (part, architecture) in parts {
        for expected in [
            format!("{architecture}\""),
            format!("_{architecture}.deb\""),
            "provider = \"debian\"".to_owned(),
            "version = \"3.11.2\"".to_owned(),
            "alpha-1.0-py3-none-any.whl".to_owned(),
        ] {
            assert!(part.contains(&expected), "{expected}: {part}");
        }
    }
    tierce(&["lock", "--check"]).ok();
    // What nothing can be run for is not built from a lock either, and that is said.
    let plan = tierce(&["plan", "--locked"]).run();
    if plan.code != 0 {
        assert_eq!(plan.error_code(), Some("build/foreign-platform"), "{plan}");
    }
    index.remove("alpha", "1.0");
    let key = tierce(&["key", "--locked", "--format", "json"]).ok().json();
    assert_eq!(key["platforms"], serde_json::json!(["linux/amd64", "linux/arm64"]));
}
