//! Python for images whose base has none: of an archive laid out as python-build-standalone's are,
//! made of Debian's Python, from a mirror on this machine.

mod support;

use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use support::{Index, Project, Tierce, crun, run, shared_store, tool, unpack};
use tierce::Digest;

/// Where the project's releases are.
const RELEASES: &str = "https://github.com/astral-sh/python-build-standalone/releases/download";

/// What the base has besides Debian's essentials: libraries of Debian's Python.
const BASE: &str = "base = { debian = 'bookworm', packages = ['libexpat1', 'zlib1g'] }";

/// Makes `python/` of a root file system with Debian's Python, as builds are laid out.
const STAGE: &str = r#"
    mkdir -p python/bin python/lib
    cp "$1/usr/bin/python3.11" python/bin/
    ln -s python3.11 python/bin/python3
    cp -a "$1/usr/lib/python3.11" python/lib/
    find python -type l -lname '/*' -delete
    find python -type f -name '_sysconfigdata_*' -exec sed -i "s|'/usr|'/install|" {} +
    tar -cf - --sort=name --owner=0 --group=0 python | gzip -1 >python.tar.gz
"#;

fn store() -> PathBuf {
    shared_store("online-debian-store")
}

/// Takes turns: two builds of a Debian base at once take longer than one after the other.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn can_run(project: &Project) -> bool {
    let doctor = project.tierce(["doctor"]).run();
    if doctor.code != 0 {
        eprintln!("skipped: nothing can be run in a sandbox here: {doctor}");
    }
    doctor.code == 0
}

/// An archive with CPython 3.11; `None`, with a printed reason, where it can't be made.
fn archive() -> Option<&'static Vec<u8>> {
    static ARCHIVE: LazyLock<Option<Vec<u8>>> = LazyLock::new(|| {
        let project =
            Project::new("name = 'python'\nbase = { debian = 'bookworm', python = true }\n");
        if !can_run(&project) {
            return None;
        }
        tool("umoci")?;
        let build = ["build", "--format", "json", "--output", "oci:out"];
        let built = project.tierce(build).env("TIERCE_STORE", store()).ok().json();
        let unpacked = unpack(&project.path("out"), tag(&built))?;
        let (root, stage) = (unpacked.file(""), project.beside("stage"));
        fs::create_dir(&stage).expect("a new directory");
        let script = format!("set -e; cd {}; {STAGE}", stage.display());
        run("sh", ["-c", &script, "sh", root.to_str().expect("UTF-8")])?;
        Some(fs::read(stage.join("python.tar.gz")).expect("an archive"))
    });
    ARCHIVE.as_ref()
}

fn tag(built: &Value) -> &str {
    built["uri"].as_str().unwrap().rsplit_once(':').unwrap().1
}

/// The processor, as builds call it.
const PROCESSORS: [(&str, &str); 2] = [("x86_64", "linux/amd64"), ("aarch64", "linux/arm64")];

/// A list of builds as uv has it, all of them of this content, and a directory with them.
struct Mirror {
    directory: PathBuf,
    list: PathBuf,
}

impl Mirror {
    fn new(project: &Project, content: &[u8]) -> Self {
        let mirror =
            Mirror { directory: project.beside("mirror"), list: project.beside("list.json") };
        fs::create_dir_all(mirror.directory.join("20260101")).expect("directories");
        let mut entries = BTreeMap::new();
        for patch in [1, 2] {
            for (machine, _) in PROCESSORS {
                let name = |plus: &str| {
                    let kind = "unknown-linux-gnu-install_only_stripped.tar.gz";
                    format!("cpython-3.11.{patch}{plus}20260101-{machine}-{kind}")
                };
                // As a path of a URL has it, and as files are called.
                for name in [name("%2B"), name("+")] {
                    mirror.put(&name, content);
                }
                let entry = json!({
                    "name": "cpython", "os": "linux", "libc": "gnu",
                    "arch": { "family": machine, "variant": null },
                    "major": 3, "minor": 11, "patch": patch, "prerelease": "",
                    "variant": null, "build": "20260101",
                    "url": format!("{RELEASES}/20260101/{}", name("%2B")),
                    "sha256": Digest::of(content).hex(),
                });
                entries.insert(format!("cpython-3.11.{patch}-linux-{machine}-gnu"), entry);
            }
        }
        fs::write(&mirror.list, json!(entries).to_string()).expect("a file");
        mirror
    }

    fn put(&self, name: &str, content: &[u8]) {
        for directory in [self.directory.join("20260101"), self.directory.clone()] {
            fs::write(directory.join(name), content).expect("a file");
        }
    }

    /// The directory itself.
    fn file_url(&self) -> String {
        format!("file://{}", self.directory.display())
    }
}

fn build(project: &Project, mirror: &Mirror, at: &str, args: &[&str]) -> Tierce {
    let build = ["build", "--format", "json", "--output", "oci:out"];
    project
        .tierce(build.into_iter().chain(args.iter().copied()))
        .env("TIERCE_STORE", store())
        .env("UV_PYTHON_INSTALL_MIRROR", at)
        .env("UV_PYTHON_DOWNLOADS_JSON_URL", &mirror.list)
}

fn layers(built: &Value) -> Vec<(&str, &str)> {
    let layers = built["platforms"][0]["layers"].as_array().expect("layers");
    layers
        .iter()
        .map(|l| (l["created-by"].as_str().unwrap(), l["digest"].as_str().unwrap()))
        .collect()
}

/// Says who the interpreter is, where its things are, and that compiled packages are of use.
const QUESTION: &str = "
import importlib.metadata as m, os, pathlib, six, sys, sysconfig
import markupsafe._speedups
print(sys.prefix, sys.base_prefix, sys.executable, '%d.%d' % sys.version_info[:2])
print(sysconfig.get_config_var('BINDIR'), sysconfig.get_config_var('PYTHON_BUILD_STANDALONE'))
print(m.version('six'), m.version('markupsafe'), os.path.exists(six.__cached__))
print(pathlib.Path(sysconfig.get_path('stdlib'), 'EXTERNALLY-MANAGED').read_text().split()[0])
";

const ANSWER: &str = "/opt/venv /opt/python /opt/venv/bin/python 3.11\n\
    /opt/python/bin 1\n\
    1.16.0 3.0.2 True\n\
    [externally-managed]\n";

/// What `sysconfig` tells, with `prefix` by another name, and white space as uv leaves it.
fn variables(prefix: &Path, shown: &str) -> BTreeMap<String, Value> {
    let library = fs::read_dir(prefix.join("lib/python3.11")).unwrap().flatten();
    let files = library.filter(|entry| {
        let is_file = entry.file_type().unwrap().is_file();
        is_file && entry.file_name().to_string_lossy().starts_with("_sysconfigdata_")
    });
    let text = fs::read_to_string(files.last().expect("a file").path()).unwrap();
    let (_, dictionary) = text.split_once("build_time_vars = ").expect("an assignment");
    let all: BTreeMap<String, Value> = serde_json::from_str(dictionary).expect("JSON");
    let plain = |text: &str| {
        let words: Vec<&str> = text.split_whitespace().collect();
        words.join(" ").replace(shown, "PREFIX")
    };
    all.into_iter()
        .map(|(name, value)| match value.as_str() {
            Some(text) => (name, json!(plain(text))),
            None => (name, value),
        })
        .collect()
}

/// Compares what is in an image with what uv makes of the same archive.
fn as_uv_does(project: &Project, mirror: &Mirror, ours: &Path) {
    let programs = fs::read_dir(store().join("caches/uv-program")).unwrap().flatten();
    let uv = programs.map(|entry| entry.path()).find(|path| path.is_file()).expect("uv");
    let place = project.beside("uv");
    let output = std::process::Command::new(uv)
        .args(["--no-config", "python", "install", "3.11.2", "--no-bin", "--install-dir"])
        .arg(&place)
        .args(["--mirror", &mirror.file_url(), "--python-downloads-json-url"])
        .arg(&mirror.list)
        .env_clear()
        .env("HOME", project.beside("home"))
        .output()
        .expect("uv starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let machine = std::env::consts::ARCH;
    let theirs = place.join(format!("cpython-3.11.2-linux-{machine}-gnu"));
    let expected = variables(&theirs, theirs.to_str().unwrap());
    assert_eq!(variables(ours, "/opt/python"), expected);
    let listing = |root: &Path| {
        let args = [root.to_str().unwrap(), "-mindepth", "1", "-printf", "%P %y %l\n"];
        let all = run("find", args).unwrap();
        let is_made = |line: &str| line.contains("__pycache__") || line.starts_with("BUILD ");
        all.lines().filter(|l| !is_made(l)).map(str::to_owned).collect::<BTreeSet<_>>()
    };
    assert_eq!(listing(ours), listing(&theirs));
}

#[test]
fn an_image_on_a_base_without_python_gets_one() {
    let _turn = turn();
    let Some(content) = archive() else { return };
    let spec = format!("name = 'own'\n{BASE}\npip = ['six==1.16.0', 'markupsafe==3.0.2']\n");
    let project = Project::new(&format!("{spec}python = '3.11'\n"));
    let mirror = Mirror::new(&project, content);
    let server = Index::with_archive("me", "hunter2", &mirror.directory);
    let at = format!("http://me:hunter2@{}/apt", server.address());
    let built = build(&project, &mirror, &at, &[]).ok();
    assert!(!format!("{built}").contains("hunter2"), "{built}");
    let built = built.json();
    // The newest of the series, and nothing else.
    let asked: Vec<String> = server.requests().into_iter().map(|r| r.path).collect();
    let processor = std::env::consts::ARCH;
    assert!(asked.iter().all(|path| path.contains(&format!("3.11.2%2B20260101-{processor}"))));

    let args = ["run", "--progress", "quiet", "oci:out", "--", "python", "-c", QUESTION];
    let answer = project.tierce(args).env("TIERCE_STORE", store()).ok();
    assert_eq!(answer.stdout, ANSWER);
    if let Some(unpacked) = unpack(&project.path("out"), tag(&built)) {
        let argv = ["python", "-c", QUESTION];
        if let Some(outcome) = crun(&unpacked, &project.beside("crun"), &argv) {
            assert_eq!((outcome.code, outcome.stdout.as_str()), (0, ANSWER), "{outcome}");
        }
        as_uv_does(&project, &mirror, &unpacked.file("opt/python"));
    }

    // What is in the store is not fetched again.
    project.write("tierce.toml", format!("{spec}python = '3.11'\nenv = {{ A = '1' }}\n"));
    let again = build(&project, &mirror, "http://127.0.0.1:1/", &[]).ok().json();
    assert_eq!(layers(&again), layers(&built));

    // An image that is built on it knows its Python without looking.
    let child = format!(
        "name = 'child'\nbase = {{ spec = '{}' }}\npip = ['idna==3.7']\n",
        project.path("tierce.toml").display()
    );
    let child = Project::new(&child);
    let above = build(&child, &mirror, "http://127.0.0.1:1/", &[]).run();
    assert_eq!(above.code, 0, "{above}");
    let import = "import idna, six, sys; print(sys.base_prefix)";
    let args = ["run", "--progress", "quiet", "oci:out", "--", "python", "-c", import];
    let answer = child.tierce(args).env("TIERCE_STORE", store()).ok();
    assert_eq!(answer.stdout, "/opt/python\n");
}

#[test]
fn another_version_than_the_bases_and_one_that_is_asked_for() {
    let _turn = turn();
    let Some(content) = archive() else { return };
    // Debian has 3.11.2: where that fits it is taken, unless another is asked for.
    for (python, prefix) in [
        ("python = '3.11'", "/usr"),
        ("python = { version = '3.11', provider = 'standalone' }", "/opt/python"),
        ("python = '3.11.1'", "/opt/python"),
    ] {
        let project = Project::new(&format!(
            "name = 'other'\nbase = {{ debian = 'bookworm', python = true }}\n{python}\n\
             pip = ['six']\nbytecode = false\n"
        ));
        let mirror = Mirror::new(&project, content);
        build(&project, &mirror, &mirror.file_url(), &[]).ok();
        let print = "import six, sys; print(sys.base_prefix)";
        let args = ["run", "--progress", "quiet", "oci:out", "--", "python", "-c", print];
        let answer = project.tierce(args).env("TIERCE_STORE", store()).ok();
        assert_eq!(answer.stdout.trim_end(), prefix, "{python}");
    }
}

#[test]
fn nothing_is_run_for_it() {
    let _turn = turn();
    let Some(content) = archive() else { return };
    let spec = "name = 'anywhere'\nbase = 'scratch'\npython = '3.11'\npip = ['markupsafe==3.0.2']\n\
                bytecode = false\n";
    let spec = spec.replace("'3.11'", "{ version = '3.11', provider = 'standalone' }");
    let project = Project::new(&spec);
    let mirror = Mirror::new(&project, content);
    for (machine, platform) in PROCESSORS {
        let args = ["--platform", platform];
        let outcome = build(&project, &mirror, &mirror.file_url(), &args).ok();
        assert!(outcome.stderr.contains("python/no-libc"), "{outcome}");
        let built = outcome.json();
        let theirs = build(&project, &mirror, &mirror.file_url(), &args);
        let theirs = theirs.env("TIERCE_STORE", project.store()).ok().json();
        assert_eq!(layers(&theirs), layers(&built), "in another store");
        let Some(unpacked) = unpack(&project.path("out"), tag(&built)) else { return };
        let link = fs::read_link(unpacked.file("opt/venv/bin/python")).unwrap();
        assert_eq!(link, Path::new("/opt/python/bin/python3.11"));
        let site = unpacked.file("opt/venv/lib/python3.11/site-packages/markupsafe");
        let native = fs::read_dir(site).unwrap().flatten().any(|entry| {
            entry.file_name().to_string_lossy().contains(&format!("{machine}-linux-gnu.so"))
        });
        assert!(native, "{platform}");
    }
}

#[test]
fn what_can_go_wrong_is_said() {
    let _turn = turn();
    let Some(content) = archive() else { return };
    let hostile = |project: &Project| {
        let stage = project.beside("hostile");
        fs::create_dir_all(stage.join("python/bin")).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", stage.join("python/bin/python3.11")).unwrap();
        let script = format!("cd {}; tar -czf out.tar.gz python", stage.display());
        run("sh", ["-c", &script]).unwrap();
        fs::read(stage.join("out.tar.gz")).unwrap()
    };
    let own = "{ version = 'V', provider = 'standalone' }";
    // (the version, what the mirror has, exit code, error, what is said)
    let table: &[(&str, &str, i32, &str, &[&str])] = &[
        ("3.11", "other", 4, "fetch/digest-mismatch", &["Python 3.11.2", "expected", "hint: "]),
        ("3.11", "nothing", 4, "fetch/not-found", &["python-install-mirror", "hint: "]),
        ("3.11", "down", 4, "fetch/unreachable", &["127.0.0.1:1", "python-install-mirror"]),
        ("3.11.7", "python", 2, "python/no-build", &["3.11.7", "hint: There are 3.11.1, 3.11.2"]),
        ("3.12", "python", 2, "python/no-build", &["Python 3.12", "hint: There are 3.11.2"]),
        ("3.11", "hostile", 4, "python/bad-build", &["python/bin/python3.11", "leads out"]),
        ("3.11", "page", 4, "python/bad-build", &["can't be unpacked", "hint: "]),
        ("3.11", "no list", 2, "python/bad-build-list", &["list.json", "hint: "]),
    ];
    for (version, has, code, error, parts) in table {
        let python = own.replace('V', version);
        let spec =
            format!("base = 'scratch'\npython = {python}\npip = ['six']\nbytecode = false\n");
        let project = Project::new(&spec);
        let whole = match *has {
            "hostile" => hostile(&project),
            "page" => b"<html>\n".to_vec(),
            _ => content.clone(),
        };
        let mirror = Mirror::new(&project, &whole);
        let mut at = mirror.file_url();
        let server = Index::with_archive("me", "hunter2", &mirror.directory);
        match *has {
            "other" => fs::remove_dir_all(&mirror.directory)
                .and_then(|()| fs::create_dir_all(mirror.directory.join("20260101")))
                .map(|()| {
                    for (machine, _) in PROCESSORS {
                        let kind = "unknown-linux-gnu-install_only_stripped.tar.gz";
                        mirror.put(&format!("cpython-3.11.2+20260101-{machine}-{kind}"), b"x");
                    }
                })
                .unwrap(),
            "nothing" => {
                fs::remove_dir_all(&mirror.directory).unwrap();
                at = format!("http://me:hunter2@{}/apt", server.address());
            }
            "down" => at = "http://127.0.0.1:1/".to_owned(),
            "no list" => fs::write(&mirror.list, "[]").unwrap(),
            _ => {}
        }
        let outcome = build(&project, &mirror, &at, &[]).env("TIERCE_STORE", project.store());
        let outcome = outcome.fails(*code, error);
        for part in *parts {
            assert!(outcome.stderr.contains(part), "{part:?} is not in {outcome}");
        }
        assert!(!outcome.stderr.contains("hunter2"), "{outcome}");
        assert!(!project.path("out").exists());
    }
}

#[test]
fn the_base_alone_is_asked_where_that_is_wanted() {
    let _turn = turn();
    for (base, error, code) in [
        (BASE, "python/no-interpreter", 2),
        ("base = { debian = 'bookworm', python = true }", "python/wrong-version", 2),
    ] {
        let spec = "python = { version = '3.12', provider = 'base' }\npip = ['six']\n";
        let project = Project::new(&format!("{base}\n{spec}"));
        if !can_run(&project) {
            return;
        }
        let build = project.tierce(["build", "--output", "oci:out"]).env("TIERCE_STORE", store());
        assert!(build.fails(code, error).hint().is_some());
    }
}

#[test]
fn a_locked_build_is_taken_whatever_there_is_by_then() {
    let _turn = turn();
    let Some(content) = archive() else { return };
    let python = "python = { version = '3.11', provider = 'standalone' }";
    let spec = format!("base = 'scratch'\n{python}\npip = ['six==1.16.0']\nbytecode = false\n");
    let project = Project::new(&spec);
    let mirror = Mirror::new(&project, content);
    let tierce = |args: &[&'static str], mirror: &Mirror| {
        let tierce = project.tierce(args.iter().copied()).env("TIERCE_STORE", store());
        tierce
            .env("UV_PYTHON_INSTALL_MIRROR", mirror.file_url())
            .env("UV_PYTHON_DOWNLOADS_JSON_URL", &mirror.list)
    };
    tierce(&["lock"], &mirror).ok();
    let lock = fs::read_to_string(project.path("tierce.lock")).expect("a lock");
    let interpreter = lock.lines().find(|line| line.starts_with("interpreter = ")).expect("one");
    let sha256 = Digest::of(content).hex();
    for part in ["\"standalone\"", "3.11.2", RELEASES, &sha256] {
        assert!(interpreter.contains(part), "{part}: {interpreter}");
    }
    let locked = ["build", "--locked", "--format", "json", "--output", "oci:out"];
    let first = tierce(&locked, &mirror).ok().json();

    // Nobody asks what builds there are, and only the file itself is wanted.
    fs::write(&mirror.list, "[]").expect("a file");
    let other = project.beside("other-store");
    let again = tierce(&locked, &mirror).env("TIERCE_STORE", &other).ok().json();
    assert_eq!(again["digest"], first["digest"]);

    project.write("tierce.lock", lock.replace(&sha256, &"0".repeat(64)));
    let wrong = tierce(&locked, &mirror).env("TIERCE_STORE", &other).fails(4, "lock/wrong-hash");
    assert!(wrong.stderr.contains("cpython-3.11.2"), "{wrong}");
    let kept = lock.lines().filter(|line| !line.starts_with("interpreter = "));
    project.write("tierce.lock", kept.map(|line| format!("{line}\n")).collect::<String>());
    let lacking = tierce(&locked, &mirror).fails(2, "lock/incomplete");
    assert!(lacking.stderr.contains("standalone interpreter"), "{lacking}");
}
