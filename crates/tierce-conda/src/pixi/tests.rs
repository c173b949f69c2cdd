use super::*;
use crate::foreign::ForeignLock;

const MANIFEST: &str = r#"
[workspace]
name = "x"
channels = ["conda-forge", { channel = "https://h/own", priority = 1 }]
platforms = ["linux-64", "osx-arm64"]

[dependencies]
python = "3.12.*"
numpy = { version = ">=2", channel = "conda-forge", build = "py*" }
anything = "*"

[host-dependencies]
python = "3.11.*"

[pypi-dependencies]
httpx = { version = ">=0.2", extras = ["http2"] }
mine = { path = ".", editable = true }
repo = { git = "https://h/r.git", tag = "v1" }

[pypi-options]
index-url = "https://index/simple"

[target.linux-64.dependencies]
anything = ">=3"
[target.unix.dependencies]
unixy = "*"
[target.win.dependencies]
windowsy = "*"

[feature.cuda]
system-requirements = { cuda = "12.4" }
channels = ["nvidia"]
[feature.cuda.dependencies]
pytorch-gpu = "*"
[feature.test.dependencies]
pytest = "*"
[feature.linux]
platforms = ["linux-64"]

[activation.env]
A = "1"

[environments]
cuda = { features = ["cuda"], solve-group = "default" }
test = { features = ["test"], no-default-feature = true }
broken = ["nothing"]
"#;

fn manifest() -> PixiManifest {
    PixiManifest::parse(MANIFEST.as_bytes(), PixiFile::Pixi).unwrap()
}

#[test]
fn environments_are_put_together() {
    let default = manifest().environment("default", "linux-64").unwrap();
    assert_eq!(default.channels, ["https://h/own", "conda-forge"]);
    assert_eq!(
        default.specs,
        [
            "anything[version=\">=3\"]",
            "conda-forge::numpy[version=\">=2\",build=\"py*\"]",
            "python[version=\"3.12.*\"]",
            "unixy"
        ]
    );
    assert_eq!(
        default.pypi,
        [
            PypiRequirement::Requirement("httpx[http2]>=0.2".into()),
            PypiRequirement::Folder { name: "mine".into(), path: ".".into() },
            PypiRequirement::Requirement("repo @ git+https://h/r.git@v1".into()),
        ]
    );
    assert_eq!(default.pypi_options.index_url.as_deref(), Some("https://index/simple"));
    assert_eq!(default.variables["A"], "1");

    let cuda = manifest().environment("cuda", "linux-64").unwrap();
    assert_eq!(cuda.channels, ["https://h/own", "nvidia", "conda-forge"]);
    assert_eq!(cuda.virtual_packages["__cuda"], "12.4");
    assert!(cuda.specs.contains(&"pytorch-gpu".to_owned()));
    assert_eq!(manifest().environment("test", "linux-64").unwrap().specs, ["pytest"]);
}

#[test]
fn what_is_not_there_is_said_with_what_is() {
    for (environment, subdir, expected) in [
        ("prod", "linux-64", "there are broken, cuda, default, test"),
        ("broken", "linux-64", "which is not there: there are cuda, linux, test"),
        ("default", "linux-aarch64", "it is for linux-64, osx-arm64"),
    ] {
        let error = manifest().environment(environment, subdir).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    let source = "[workspace]\nchannels = []\n[dependencies]\na = { path = \"x\" }\n";
    let source = PixiManifest::parse(source.as_bytes(), PixiFile::Pixi).unwrap();
    let error = source.environment("default", "linux-64").unwrap_err();
    assert!(error.to_string().contains("from source"), "{error}");
}

#[test]
fn pyprojects_and_scripts_are_read() {
    let text = r#"
[project]
name = "My.Project"
requires-python = ">=3.11"
dependencies = ["httpx>=0.2", "attrs ; python_version < '3'"]
[project.optional-dependencies]
all = ["my-project[docs]", "b"]
docs = ["sphinx"]
[dependency-groups]
dev = ["pytest", { include-group = "lint" }]
lint = ["ruff"]
[tool.pixi.workspace]
channels = ["conda-forge"]
platforms = ["linux-64"]
[tool.pixi.pypi-dependencies]
my-project = { path = "." }
[tool.pixi.environments]
dev = ["dev"]
all = { features = ["all"] }
"#;
    let manifest = PixiManifest::parse(text.as_bytes(), PixiFile::Pyproject).unwrap();
    let names = |environment: &str| {
        let found = manifest.environment(environment, "linux-64").unwrap();
        found.pypi_names().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(names("default"), ["my-project", "httpx", "attrs"]);
    assert_eq!(names("dev"), ["pytest", "ruff", "my-project", "httpx", "attrs"]);
    assert_eq!(names("all")[..2], ["sphinx", "b"]);
    let default = manifest.environment("default", "linux-64").unwrap();
    assert_eq!(default.specs, ["python[version=\">=3.11\"]"]);

    let script = "#!/usr/bin/env python\n# /// script\n# dependencies = [\"httpx\"]\n#\n# [tool.pixi.workspace]\n# channels = [\"c\"]\n# [tool.pixi.dependencies]\n# python = \"3.12.*\"\n# ///\nprint()\n";
    let script = PixiManifest::parse(script.as_bytes(), PixiFile::Script).unwrap();
    let found = script.environment("default", "linux-64").unwrap();
    assert_eq!((found.channels.as_slice(), found.pypi.len()), (&["c".to_owned()][..], 1));
    assert!(PixiManifest::parse(b"print()\n", PixiFile::Script).is_err());
    let error = PixiManifest::parse(b"[project]\n", PixiFile::Pyproject).unwrap_err();
    assert!(matches!(error, PixiError::NotPixi));
}

const LOCK: &str = "
version: 6
environments:
  default:
    channels:
    - url: https://conda.anaconda.org/conda-forge/
    indexes:
    - https://pypi.org/simple
    packages:
      linux-64:
      - conda: https://conda.anaconda.org/conda-forge/linux-64/python-3.12.1-h1_0_cpython.conda
      - conda: https://conda.anaconda.org/conda-forge/noarch/tzdata-2025c-hc9c84f9_1.conda
      - pypi: https://f/httpx-0.27-py3-none-any.whl
      - pypi: ./
packages:
- conda: https://conda.anaconda.org/conda-forge/linux-64/python-3.12.1-h1_0_cpython.conda
  sha256: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
  md5: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
  depends:
  - tzdata
  - __glibc >=2.17
  size: 12
  timestamp: 1
- conda: https://conda.anaconda.org/conda-forge/noarch/tzdata-2025c-hc9c84f9_1.conda
  sha256: bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb
- pypi: https://f/httpx-0.27-py3-none-any.whl
  name: httpx
  version: '0.27'
  requires_dist:
  - h2>=3 ; extra == 'http2'
  sha256: cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc
- pypi: ./
  name: mine
  version: 0.1.0
  sha256: cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc
";

const LOCKED: &str = "[workspace]\nchannels = [\"conda-forge\"]\nplatforms = [\"linux-64\"]\n[dependencies]\npython = \"3.12.*\"\n[pypi-dependencies]\nhttpx = \"*\"\nmine = { path = \".\" }\n";

#[test]
fn locks_are_read_and_compared() {
    let lock = ForeignLock::parse_pixi(LOCK.as_bytes(), "default", "linux-64").unwrap();
    assert_eq!(lock.packages.len(), 2);
    assert_eq!(lock.packages[0].channel, "https://conda.anaconda.org/conda-forge/");
    assert_eq!(lock.folders().collect::<Vec<_>>(), [("mine", "./")]);
    let pylock = lock.pylock().unwrap();
    assert!(pylock.contains("https://f/httpx-0.27-py3-none-any.whl"), "{pylock}");
    let check = |text: &str| {
        let manifest = PixiManifest::parse(text.as_bytes(), PixiFile::Pixi).unwrap();
        lock.check("default", &manifest.environment("default", "linux-64").unwrap())
    };
    check(LOCKED).unwrap();
    for (from, to, expected) in [
        ("3.12.*", "3.13.*", "is asked for, and it has python=3.12.1"),
        ("httpx = \"*\"", "httpx = \">=1\"", "and it has httpx==0.27"),
        ("httpx = \"*\"\n", "", "it has httpx, which nothing asks for"),
        ("httpx = \"*\"", "httpx = \"*\"\nrich = \"*\"", "rich is not in it"),
        ("\"conda-forge\"", "\"other\"", "channels"),
        ("path = \".\"", "path = \"lib\"", "mine is asked for from lib, and it has it from ./"),
        ("httpx = \"*\"", "httpx = { url = \"https://g/httpx.whl\" }", "has it from https://f/"),
        ("httpx = \"*\"", "httpx = { git = \"https://g/httpx\" }", "has it from https://f/"),
        ("httpx = \"*\"", "httpx = { version = \"*\", extras = [\"http2\"] }", "h2, which that"),
        (
            "mine =",
            "rich = { version = \"*\", env-markers = \"os_name == 'posix'\" }\nmine =",
            "rich",
        ),
        (
            "[dependencies]",
            "[pypi-options]\nextra-index-urls = [\"https://i\"]\n[dependencies]",
            "indexes",
        ),
    ] {
        let error = check(&LOCKED.replace(from, to)).unwrap_err().to_string();
        assert!(error.contains(expected), "{from}: {error}");
    }
    for (from, to) in [
        ("path = \".\"", "path = \"././\""),
        ("httpx = \"*\"", "httpx = { url = \"https://me:secret@f/httpx-0.27-py3-none-any.whl\" }"),
        ("httpx = \"*\"", "httpx = { version = \"*\", index = \"https://i\" }"),
        ("mine =", "rich = { version = \"*\", env-markers = \"os_name == 'nt'\" }\nmine ="),
    ] {
        check(&LOCKED.replace(from, to)).unwrap_or_else(|error| panic!("{from}: {error}"));
    }
    // What a package of the host depends on is in the lock alone.
    let dev = LOCKED.replace("httpx = \"*\"\n", "") + "[dev]\nmine = { path = \".\" }\n";
    check(&dev).unwrap();
    let dev = PixiManifest::parse(dev.as_bytes(), PixiFile::Pixi).unwrap();
    assert!(dev.environment("default", "linux-64").unwrap().check_solvable().is_err());
    let error = ForeignLock::parse_pixi(LOCK.as_bytes(), "x", "linux-64").unwrap_err();
    assert!(error.to_string().ends_with("it has default"), "{error}");
    assert!(ForeignLock::parse_pixi(LOCK.as_bytes(), "default", "osx-64").is_err());
    assert!(ForeignLock::parse_pixi(b"version: 99\n", "default", "osx-64").is_err());
}

#[test]
fn addresses_of_python_packages_stay_what_they_are() {
    let repository =
        "git+ssh://git:secret@h/t/team/r.git?tag=v1#0123456789012345678901234567890123456789";
    let lock = LOCK
        .replace("https://f/httpx-0.27", "https://me:secret@f/t/team/httpx-0.27")
        .replace("any.whl\n", "any.whl?v=1\n")
        .replace("      - pypi: ./\n", &format!("      - pypi: {repository}\n"))
        .replace("- pypi: ./\n", &format!("- pypi: {repository}\n"));
    let lock = ForeignLock::parse_pixi(lock.as_bytes(), "default", "linux-64").unwrap();
    let pylock = lock.pylock().unwrap();
    for part in ["https://f/t/team/httpx-0.27-py3-none-any.whl?v=1", "ssh://git@h/t/team/r.git"] {
        assert!(pylock.contains(part), "{pylock}");
    }
    assert!(!pylock.contains("secret"), "{pylock}");
    let check = |git: &str| {
        let mine = format!("mine = {{ git = \"ssh://git@h/t/team/r\"{git} }}");
        let manifest = LOCKED.replace("mine = { path = \".\" }", &mine);
        let manifest = PixiManifest::parse(manifest.as_bytes(), PixiFile::Pixi).unwrap();
        lock.check("default", &manifest.environment("default", "linux-64").unwrap())
    };
    check(", tag = \"v1\"").unwrap();
    check(", rev = \"0123456\"").unwrap();
    for other in ["", ", tag = \"v2\"", ", tag = \"v1\", subdirectory = \"d\""] {
        assert!(check(other).is_err(), "{other}");
    }
}
