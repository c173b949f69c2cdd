//! Manifests that are valid, and what they mean.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};
use tierce_oci::Platform;
use tierce_spec::manifest::{Manifest, ManifestFiles, SourceKind};
use tierce_spec::{
    Base, Bytecode, CodeBundle, Command, CopyStyle, DockerfileBase, Image, Network, PipOptions,
    PythonRequest, Secret, SourceOptions, Step,
};

fn read(name: &str) -> Manifest {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/manifests").join(name);
    let text = std::fs::read_to_string(file).unwrap();
    let manifest = Manifest::parse(&text, name).unwrap();
    manifest.validate(&manifest.image()).unwrap();
    manifest
}

fn strings(items: &[&str]) -> Vec<String> {
    items.iter().map(|s| (*s).to_owned()).collect()
}

#[test]
fn the_short_form_is_the_fluent_api_in_canonical_order() {
    let fluent = Image::from_debian("bookworm")
        .with_debian_python(true)
        .with_name("quickstart")
        .with_apt_packages(["git"])
        .with_pip_packages(["fastapi", "uvicorn"], PipOptions::new())
        .with_env_vars([("APP_ENV", "prod")])
        .with_workdir("/app")
        .with_source_folder("app", "/app", SourceOptions::new())
        .with_commands(["python -m app --check"], Network::Host)
        .with_cmd(["python", "-m", "app"]);
    assert_eq!(read("quickstart.toml").image(), fluent);
}

#[test]
fn every_key_of_the_short_form_arrives() {
    let manifest = read("everything.toml");
    let is_file = |path: &Path| path.extension().is_some();
    let image = manifest
        .image_with(|path| if is_file(path) { SourceKind::File } else { SourceKind::Folder });
    image.validate().unwrap();
    assert_eq!(image.name(), Some("team/report"));
    assert_eq!(image.registry(), Some("ghcr.io/acme"));
    assert_eq!(image.tag(), Some("2025.1"));
    assert_eq!(image.platforms(), [Platform::linux("amd64"), Platform::linux("arm64")]);
    assert_eq!(image.bytecode(), Bytecode::Skip);
    assert_eq!(image.python().unwrap().version, PythonRequest::new("3.11").unwrap().version);
    let Base::Debian(debian) = image.base() else { panic!("{:?}", image.base()) };
    assert_eq!(debian.components, ["main", "contrib"]);
    assert_eq!(debian.packages, ["ca-certificates"]);

    let kinds: Vec<&str> = image
        .steps()
        .iter()
        .map(|step| match step {
            Step::Apt(_) => "apt",
            Step::Pip(_) => "pip",
            Step::Requirements(_) => "requirements",
            Step::Wheels(_) => "wheels",
            Step::Project(_) => "project",
            Step::Conda(_) => "conda",
            Step::CodeBundle(_) => "code",
            Step::SourceFolder(_) => "folder",
            Step::SourceFile(_) => "file",
            Step::Env(_) => "env",
            Step::Commands(_) => "run",
            Step::Workdir(_) => "workdir",
            Step::User(_) => "user",
            Step::Entrypoint(_) => "entrypoint",
            Step::Cmd(_) => "cmd",
            Step::Labels(_) => "labels",
        })
        .collect();
    let order = "apt pip requirements requirements requirements env workdir folder folder file \
                 run run run user entrypoint cmd labels";
    assert_eq!(kinds.join(" "), order);

    let python = image.python_environment().unwrap();
    assert_eq!(python.position, 1);
    assert_eq!(python.packages[0], "numpy>=2");
    let files: Vec<_> = python.requirements.iter().map(|(_, f)| f.to_str().unwrap()).collect();
    assert_eq!(files, ["gpu.txt", "requirements.txt", "extra.txt"]);
    assert!(python.options.pre);
    assert_eq!(python.options.extra_args, ["--exclude-newer=2025-01-01"]);
    let index = python.options.index.unwrap();
    assert_eq!(index.as_url().password(), Some("secret"));
    assert_eq!(index.to_string(), "https://pypi.example.com/simple");

    let runs: Vec<_> = image
        .steps()
        .iter()
        .filter_map(|step| match step {
            Step::Commands(c) => Some((c.commands.clone(), c.network)),
            _ => None,
        })
        .collect();
    let line = |s: &str| Command::from(s);
    assert_eq!(runs[0], (vec![line("make all"), line("make check")], Network::None));
    assert_eq!(runs[1].1, Network::Host);
    let install = Command::Exec(strings(&["make", "install"]));
    assert_eq!(runs[2], (vec![install], Network::None));

    let dst = |index: usize| match &image.steps()[index] {
        Step::SourceFolder(folder) => folder.image_path("/srv/app"),
        Step::SourceFile(file) => file.image_path("/srv/app"),
        other => panic!("{other:?}"),
    };
    assert_eq!(dst(7), "/srv/app/app");
    assert_eq!(dst(8), "/data");
    assert_eq!(dst(9), "/srv/app/pyproject.toml");
}

#[test]
fn steps_apply_in_the_order_of_the_file() {
    let image = read("steps.toml").image();
    let fluent = Image::from_base("python:3.12-slim")
        .unwrap()
        .with_name("ordered")
        .with_workdir("/app")
        .with_commands(["useradd app"], Network::Host)
        .with_source_folder("app", "./app", SourceOptions::new())
        .with_user("app")
        .with_requirements("requirements.txt", PipOptions::new())
        .with_env_vars([("A", "1")])
        .with_commands(["./configure"], Network::Host)
        .with_commands(["make"], Network::None)
        .with_cmd(["app"]);
    assert_eq!(image, fluent);
}

#[test]
fn the_smallest_manifest_is_a_base() {
    let image = read("scratch.toml").image();
    assert_eq!(image, Image::from_scratch());
    assert_eq!(*read("pinned.toml").image().base(), {
        let digest = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        let text = format!("registry.example.com:5000/team/base@{digest}");
        Base::Registry(text.parse().unwrap())
    });
}

#[test]
fn neither_json_nor_debug_tells_a_password() {
    let manifest = read("everything.toml");
    let image = manifest.image().with_pip_packages(
        ["x @ https://me:secret@example.com/x-1-py3-none-any.whl"],
        PipOptions::new().with_extra_args(["--find-links=https://me:secret@example.com/"]),
    );
    image.validate().unwrap();
    for text in [
        serde_json::to_string(&image).unwrap(),
        format!("{image:?}"),
        format!("{manifest:?}"),
        format!("{:#?}", image.python_environment().unwrap().options),
    ] {
        assert!(!text.contains("secret@"), "{text}");
    }
}

#[test]
fn json_is_stable_and_reads_back() {
    for name in ["quickstart.toml", "steps.toml", "scratch.toml", "pinned.toml"] {
        let image = read(name).image();
        let json = serde_json::to_string(&image).unwrap();
        assert_eq!(serde_json::from_str::<Image>(&json).unwrap(), image, "{json}");
    }
    let json = serde_json::to_value(read("quickstart.toml").image()).unwrap();
    assert_eq!(
        json,
        serde_json::json!({
            "name": "quickstart",
            "base": { "debian": { "suite": "bookworm", "python": true } },
            "bytecode": "auto",
            "steps": [
                { "apt": { "packages": ["git"] } },
                { "pip": { "packages": ["fastapi", "uvicorn"], "options": {} } },
                { "env": { "vars": { "APP_ENV": "prod" } } },
                { "workdir": { "path": "/app" } },
                { "source-folder": { "src": "app", "dst": "/app", "options": {} } },
                { "commands": { "commands": ["python -m app --check"], "network": "host" } },
                { "cmd": { "argv": ["python", "-m", "app"] } },
            ],
        })
    );
}

#[test]
fn what_was_added_to_the_image_is_reported_too() {
    let manifest = read("scratch.toml");
    let image = manifest.image().with_registry("https://x").with_workdir("app");
    let error = manifest.validate(&image).unwrap_err();
    let messages: Vec<_> =
        error.problems().iter().map(|p| (p.location(), p.message().to_owned())).collect();
    assert_eq!(messages[0].0, "scratch.toml");
    assert!(messages[0].1.starts_with("registry: "), "{messages:?}");
    assert!(messages[1].1.starts_with("workdir: "), "{messages:?}");
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(1000))]

    #[test]
    fn damaged_manifests_are_errors_and_never_panics(
        at in 0.0..1.0f64,
        cut in 0usize..12,
        put in "[\\[\\]{}\"'=.,é\n a-c0-9\t#:@-]{0,6}",
        file in 0usize..3,
    ) {
        let name = ["everything.toml", "steps.toml", "quickstart.toml"][file];
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/manifests").join(name);
        let text = std::fs::read_to_string(path).unwrap();
        let start = (text.len() as f64 * at) as usize;
        let end = (start + cut).min(text.len());
        let damaged = format!("{}{put}{}", &text[..start], &text[end..]);
        let outcome = Manifest::parse(&damaged, name)
            .and_then(|manifest| manifest.validate(&manifest.image()));
        if let Err(error) = outcome {
            assert!(error.problems().iter().all(|p| p.location().starts_with(name)));
            assert!(!error.to_string().is_empty());
        }
    }
}

#[test]
fn secrets_belong_to_the_steps_that_see_them() {
    let image = read("secrets.toml").image();
    let token = || Secret::new("token");
    let netrc =
        Secret::new("netrc").with_group("pypi").with_mount("/root/.netrc").with_env("NETRC_TEXT");
    let seen: Vec<_> = image.steps().iter().map(|step| step.secrets().to_vec()).collect();
    let expected = [
        vec![Secret::new("password").with_group("mirror")],
        vec![netrc.clone()],
        vec![netrc],
        // Wheels, three groups of commands, the user, the code.
        vec![],
        vec![token()],
        vec![token(), Secret::new("other")],
        vec![],
        vec![],
        vec![],
    ];
    assert_eq!(seen, expected);
    let Step::Commands(commands) = &image.steps()[4] else { panic!("{:?}", image.steps()[4]) };
    assert_eq!(commands.commands.len(), 2, "neighbours that see the same are one step");
    assert_eq!(image.registry_secret(), Some(&Secret::new("login").with_group("ghcr")));
    assert_eq!(image.dockerignore(), Some(Path::new("build/ignore")));
    assert_eq!(image.builder(), Some("docker"));
    let bundle = CodeBundle { style: CopyStyle::All, dst: ".".into() };
    assert_eq!(image.steps().last(), Some(&Step::CodeBundle(bundle)));
    assert_eq!(image.python_environment().unwrap().wheels, [(3, Path::new("dist"))]);
}

#[test]
fn every_kind_of_base_and_step_has_a_form() {
    let image = read("steps-with-all.toml").image();
    let fluent = Image::from_ref("team-base")
        .with_wheels("dist", PipOptions::new())
        .with_code_bundle(CopyStyle::LoadedModules, "/srv")
        .with_apt_packages(["git"]);
    assert_eq!(image, fluent);
    let Base::Dockerfile(dockerfile) = read("dockerfile.toml").image().base().clone() else {
        panic!("not a dockerfile")
    };
    let args = [("VERSION", "1"), ("EMPTY", "")];
    let args = args.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(
        dockerfile,
        DockerfileBase {
            file: "docker/Dockerfile".into(),
            context: Some(".".into()),
            build_args: args.into(),
            target: Some("runtime".into()),
        }
    );
}

/// Manifests by their path; `..` is taken as it is spelled.
struct Files(BTreeMap<&'static str, &'static str>);

impl ManifestFiles for Files {
    fn read(&self, file: &Path) -> std::io::Result<String> {
        let text = self.0.get(self.identity(file).to_str().unwrap());
        text.map(|text| (*text).to_owned()).ok_or_else(|| std::io::ErrorKind::NotFound.into())
    }

    fn identity(&self, file: &Path) -> PathBuf {
        let mut out = PathBuf::new();
        for component in file.components() {
            match component {
                Component::ParentDir => drop(out.pop()),
                other => out.push(other),
            }
        }
        out
    }
}

#[test]
fn images_below_have_paths_and_names_of_their_own() {
    let files = Files(BTreeMap::from([
        ("/p/app/tierce.toml", "base = { spec = '../base/tierce.toml' }\ncopy = [{ src = 'src' }]"),
        (
            "/p/base/tierce.toml",
            "base = { spec = 'os/os.toml' }\ncopy = [{ src = 'lib' }, { src = 'a.ini' }]",
        ),
        ("/p/base/os/os.toml", "name = 'os'\nbase = 'scratch'\ncopy = [{ src = 'etc' }]"),
    ]));
    let app = Path::new("/p/app/tierce.toml");
    let manifest = Manifest::parse_with(&files.read(app).unwrap(), app, &files).unwrap();
    let asked = std::cell::RefCell::new(vec![]);
    let image = manifest.image_with(|src| {
        asked.borrow_mut().push(src.display().to_string());
        if src.extension().is_some() { SourceKind::File } else { SourceKind::Folder }
    });
    manifest.validate(&image).unwrap();
    let mut asked = asked.into_inner();
    asked.sort();
    assert_eq!(asked, ["../base/a.ini", "../base/lib", "../base/os/etc", "src"]);
    let Base::Image(base) = image.base() else { panic!("{:?}", image.base()) };
    assert_eq!((base.name(), base.root()), (Some("base"), Some(Path::new("../base"))));
    assert!(matches!(base.steps()[1], Step::SourceFile(_)));
    let Base::Image(os) = base.base() else { panic!("{:?}", base.base()) };
    assert_eq!((os.name(), os.root()), (Some("os"), Some(Path::new("os"))));
    // Without anybody to read it, an image below is an error and not another image.
    let error = Manifest::parse("base = { spec = 'x.toml' }", "tierce.toml").unwrap_err();
    assert_eq!(error.problems()[0].code(), "spec/unreadable-base");
}

#[test]
fn stacks_of_images_have_an_end() {
    struct Endless;
    impl ManifestFiles for Endless {
        fn read(&self, _: &Path) -> std::io::Result<String> {
            Ok("base = { spec = 'x/tierce.toml' }".into())
        }
    }
    let error = Manifest::parse_with("base = { spec = 'x/tierce.toml' }", Path::new("t"), &Endless);
    assert_eq!(error.unwrap_err().problems()[0].code(), "spec/nested-bases");
}
