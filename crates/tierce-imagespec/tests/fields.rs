//! Every field: its default, its rule, and what it becomes.

use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use tierce_imagespec::{
    BaseImage, BuilderRules, DefaultBase, Field, Fields, ImageSpec, ImageSpecError, Lowered,
    SecretMount, SourceCopyMode, Surroundings,
};
use tierce_oci::{Diagnostic, Platform};
use tierce_spec::{
    Base, Command, Conda, CondaSource, Groups, Image, ProjectInstall, ProjectKind, Step,
};

/// A spec with a base, without flytekit.
fn fields() -> Fields {
    Fields {
        base_image: Some("python:3.12-slim".into()),
        builder_options: BTreeMap::from([("flytekit".into(), json!(false))]),
        ..Fields::default()
    }
}

fn spec(fields: Fields) -> ImageSpec {
    ImageSpec::new(fields).unwrap_or_else(|error| panic!("{error}"))
}

fn lower_in(fields: Fields, surroundings: &Surroundings) -> Lowered {
    let lowered = spec(fields).lower(surroundings).unwrap_or_else(|error| panic!("{error}"));
    lowered.image.validate().unwrap_or_else(|error| panic!("{error}"));
    lowered
}

fn lower(fields: Fields) -> Lowered {
    lower_in(fields, &Surroundings::default())
}

fn image(fields: Fields) -> Image {
    lower(fields).image
}

/// The codes of what is wrong.
fn codes(fields: Fields) -> Vec<String> {
    match ImageSpec::new(fields) {
        Ok(spec) => match spec.lower(&Surroundings::default()) {
            Ok(_) => vec![],
            Err(error) => vec![error.code().to_owned()],
        },
        Err(ImageSpecError::Invalid(problems)) => {
            problems.all().iter().map(|p| format!("{} {}", p.field(), p.code())).collect()
        }
        Err(error) => vec![error.code().to_owned()],
    }
}

fn warnings(lowered: &Lowered) -> Vec<&str> {
    lowered.warnings.iter().map(|w| w.code).collect()
}

/// All variables that the image sets, the last one of a name.
fn env(image: &Image) -> BTreeMap<String, String> {
    let envs = image.steps().iter().filter_map(|step| match step {
        Step::Env(env) => Some(env.vars.clone()),
        _ => None,
    });
    envs.flatten().collect()
}

fn commands(image: &Image) -> Vec<String> {
    let lines = image.steps().iter().filter_map(|step| match step {
        Step::Commands(commands) => Some(&commands.commands),
        _ => None,
    });
    lines
        .flatten()
        .map(|command| match command {
            Command::Shell(line) => line.clone(),
            Command::Exec(argv) => argv.join(" "),
        })
        .collect()
}

#[test]
fn defaults() {
    let fields = ImageSpec::new(Fields::default()).unwrap().fields().clone();
    assert_eq!(fields.name, "flytekit");
    assert!(Field::ALL.into_iter().filter(|f| *f != Field::Name).all(|f| !fields.says(f)));
    let image = image(Fields::default());
    assert_eq!((image.name(), image.registry(), image.tag()), (Some("flytekit"), None, None));
    assert_eq!(image.platforms(), [Platform::linux("amd64")]);
    assert_eq!(image.builder(), None);
    let Base::Debian(debian) = image.base() else { panic!("{:?}", image.base()) };
    assert_eq!((debian.suite.as_str(), debian.python), ("bookworm", true));
    // Flytekit itself is installed unless it is asked for, or refused.
    let pip = |image: &Image| {
        image.steps().iter().find_map(|step| match step {
            Step::Pip(pip) => Some(pip.packages.clone()),
            _ => None,
        })
    };
    assert_eq!(pip(&image), Some(vec!["flytekit".to_owned()]));
    let with = |packages: &[&str], pinned: Option<&str>| {
        let surroundings = Surroundings {
            flytekit: pinned.map(str::to_owned),
            requirements: BTreeMap::from([("own.txt".into(), "a\n flytekit~=1.9\n".into())]),
            ..Surroundings::default()
        };
        let requirements = packages.is_empty().then(|| "own.txt".into());
        let packages = packages.iter().map(|p| (*p).to_owned()).collect();
        pip(&lower_in(Fields { packages, requirements, ..Fields::default() }, &surroundings).image)
    };
    let some = |packages: &[&str]| Some(packages.iter().map(|p| (*p).to_owned()).collect());
    assert_eq!(with(&["a"], Some("flytekit==1.16.0")), some(&["a", "flytekit==1.16.0"]));
    assert_eq!(with(&["flytekit==1.9"], Some("flytekit")), some(&["flytekit==1.9"]));
    assert_eq!(
        with(&["flytekitplugins-envd"], Some("flytekit")),
        some(&["flytekitplugins-envd", "flytekit"])
    );
    assert_eq!(with(&["a"], None), some(&["a"]));
    assert_eq!(with(&[], Some("flytekit")), None);
}

#[test]
fn names_and_registries() {
    let named =
        spec(Fields { name: "Report".into(), registry: Some("GHCR.io/Team".into()), ..fields() });
    assert_eq!(named.fields().name, "report");
    assert_eq!(named.fields().registry.as_deref(), Some("ghcr.io/team"));
    for (registry, valid) in [
        ("localhost:30000", true),
        ("ghcr.io/username", true),
        ("docker.io/username", true),
        ("pingsutw", true),
        ("123456789.dkr.ecr.us-east-1.amazonaws.com", true),
        ("host:5000/a/b-c_d.e", true),
        ("localhost:123456", false),
        ("https://ghcr.io/team", false),
        ("ghcr.io/", false),
        ("host:port", false),
        ("a b", false),
        ("ghcr.io/team:tag", false),
    ] {
        let registry = Some(registry.to_owned());
        let found = codes(Fields { registry: registry.clone(), ..fields() });
        let expected: &[&str] = if valid { &[] } else { &["registry imagespec/invalid-registry"] };
        assert_eq!(found, expected, "{registry:?}");
    }
    // None at all.
    assert_eq!(image(Fields { registry: Some(String::new()), ..fields() }).registry(), None);
    assert_eq!(codes(Fields { name: String::new(), ..fields() }), ["name imagespec/invalid-name"]);
}

#[test]
fn builders() {
    let of = |builder: &str| image(Fields { builder: Some(builder.into()), ..fields() });
    assert_eq!(of("default").builder(), None);
    assert_eq!(of("buildkit").builder(), Some("buildkit"));

    // The one that builds nothing gives the base as it is.
    let noop = Fields { builder: Some("noop".into()), packages: vec!["a".into()], ..fields() };
    let noop = lower(Fields { runtime_packages: vec!["numpy".into(), "b".into()], ..noop });
    assert!(noop.image.is_unmodified());
    assert_eq!(noop.image.builder(), Some("noop"));
    assert_eq!(noop.container_env["_F_RUNTIME_PACKAGES"], "numpy b");
    assert_eq!(warnings(&noop), ["imagespec/unsupported-parameter"]);
    assert!(noop.warnings[0].message.ends_with("ignored: packages, builder_options"), "{noop:?}");
    for base_image in [None, Some(spec(fields()).into())] {
        let fields = Fields { builder: Some("noop".into()), base_image, ..Fields::default() };
        assert_eq!(codes(fields), ["imagespec/noop-base"]);
    }
}

#[test]
fn platforms() {
    let arm = Surroundings { host: Platform::linux("arm64"), ..Surroundings::default() };
    let of = |registry: Option<&str>, platform: &[&str], surroundings: &Surroundings| {
        let fields = Fields {
            registry: registry.map(str::to_owned),
            platform: platform.iter().map(|p| p.parse().unwrap()).collect(),
            ..fields()
        };
        let all = lower_in(fields, surroundings).image.platforms().to_vec();
        all.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
    };
    let amd = Surroundings::default();
    assert_eq!(of(Some("localhost:30000"), &[], &arm), "linux/arm64");
    assert_eq!(of(Some("localhost:30000"), &[], &amd), "linux/amd64");
    assert_eq!(of(Some("ghcr.io/team"), &[], &arm), "linux/amd64");
    assert_eq!(of(None, &[], &arm), "linux/amd64");
    assert_eq!(of(Some("localhost:30000"), &["linux/amd64"], &arm), "linux/amd64");
    assert_eq!(of(None, &["linux/amd64", "linux/arm64"], &amd), "linux/amd64 linux/arm64");
}

#[test]
fn bases() {
    let base = |base_image: Option<BaseImage>, python: Option<&str>| {
        let python_version = python.map(|v| v.parse().unwrap());
        image(Fields { base_image, python_version, ..fields() }).base().clone()
    };
    // Without one: Debian bookworm, with the Python that is asked for.
    assert!(matches!(base(None, None), Base::Debian(d) if d.suite == "bookworm" && d.python));
    assert!(matches!(base(None, Some("3.11")), Base::Debian(_)));
    for version in ["3.12", "3.11.9"] {
        let expected = format!("docker.io/library/python:{version}-slim-bookworm");
        assert_eq!(base(None, Some(version)), Base::Registry(expected.parse().unwrap()));
    }
    // Another default, as configured.
    for (default_base, python, expected) in [
        (DefaultBase::Image("ghcr.io/a/b:1".into()), None, "ghcr.io/a/b:1"),
        (DefaultBase::Image("a.io/py:{python}-s".into()), Some("3.13"), "a.io/py:3.13-s"),
        (DefaultBase::Image("a.io/py:{python}-s".into()), None, "a.io/py:3.12-s"),
        (DefaultBase::Suite("trixie".into()), Some("3.12"), "python:3.12-slim-trixie"),
    ] {
        let surroundings = Surroundings { default_base, ..Surroundings::default() };
        let python_version = python.map(|v| v.parse().unwrap());
        let fields = Fields { base_image: None, python_version, ..fields() };
        let given = lower_in(fields, &surroundings).image;
        assert_eq!(*given.base(), Base::Registry(expected.parse().unwrap()));
    }
    assert_eq!(
        codes(Fields { base_image: Some("a b".into()), ..fields() }),
        ["imagespec/invalid-base"]
    );

    // Another spec, with its own base, warnings and secrets.
    let mounts = vec![SecretMount { src: "key".into(), dst: "/key".into() }];
    let below = Fields {
        name: "below".into(),
        packages: vec!["a".into()],
        pip_secret_mounts: mounts,
        registry_config: Some("r.json".into()),
        ..fields()
    };
    let nested = lower(Fields { base_image: Some(spec(below).into()), ..fields() });
    let Base::Image(inner) = nested.image.base() else { panic!("{nested:?}") };
    assert_eq!(inner.name(), Some("below"));
    assert_eq!(nested.secret_files.values().collect::<Vec<_>>(), [Path::new("key")]);
    assert!(nested.warnings[0].message.starts_with("base_image \"below\": "), "{nested:?}");
    let broken = spec(Fields { cuda: Some("12".into()), ..fields() });
    let error = spec(Fields { base_image: Some(broken.into()), ..fields() })
        .lower(&Surroundings::default())
        .unwrap_err();
    assert_eq!(error.code(), "imagespec/cuda-unsupported");
    assert!(matches!(error, ImageSpecError::BaseSpec { .. }));

    // Bases that flytekit would bring a Python to.
    let bare = |apt: &[&str]| {
        let apt_packages = apt.iter().map(|p| (*p).to_owned()).collect();
        let packages = vec!["a".into()];
        codes(Fields {
            base_image: Some("ubuntu:22.04".into()),
            packages,
            apt_packages,
            ..fields()
        })
    };
    assert_eq!(bare(&["git"]), ["imagespec/conda-unsupported"]);
    assert_eq!(bare(&["python3"]), [""; 0]);
}

#[test]
fn pythons() {
    let of = |version: Option<&str>, exec: Option<&str>| {
        let fields = Fields {
            python_version: version.map(|v| v.parse().unwrap()),
            python_exec: exec.map(str::to_owned),
            packages: vec!["a".into()],
            ..fields()
        };
        image(fields)
    };
    assert_eq!(of(None, None).python(), None);
    let request = of(Some("3.12"), None).python().cloned().unwrap();
    assert_eq!(
        (request.version.map(|v| v.to_string()), request.interpreter),
        (Some("3.12".into()), None)
    );
    let exec = of(None, Some("/usr/bin/python3"));
    let request = exec.python().cloned().unwrap();
    assert_eq!((request.version, request.interpreter.as_deref()), (None, Some("/usr/bin/python3")));
    // The environment sees the packages of the base.
    assert!(commands(&exec).iter().any(|c| c.contains("include-system-site-packages = true")));
    assert!(!commands(&of(None, None)).iter().any(|c| c.contains("pyvenv.cfg")));

    let exec = || Fields { python_exec: Some("/usr/bin/python3".into()), ..fields() };
    let conda = ["conda_packages", "conda_channels"]
        .map(|field| format!("{field} imagespec/conda-with-python-exec"));
    let a = || vec!["a".to_owned()];
    assert_eq!(codes(Fields { conda_packages: a(), ..exec() }), conda[..1]);
    assert_eq!(codes(Fields { conda_channels: a(), ..exec() }), conda[1..]);
    let relative = Fields { python_exec: Some("python3".into()), ..fields() };
    assert_eq!(codes(relative), ["python_exec imagespec/invalid-python-exec"]);
}

#[test]
fn packages() {
    let all = Fields {
        packages: vec!["pandas".into(), "numpy<2".into()],
        requirements: Some("requirements.txt".into()),
        pip_index: Some("https://pypi.example.com/simple".parse().unwrap()),
        pip_extra_index_url: vec!["https://extra.example.com/".parse().unwrap()],
        pip_extra_args: Some("--pre --exclude-newer '2025-01-01' --no-deps".into()),
        pip_secret_mounts: vec![SecretMount { src: ".netrc".into(), dst: "/root/.netrc".into() }],
        ..fields()
    };
    let lowered = lower(all);
    let steps: Vec<_> = lowered
        .image
        .steps()
        .iter()
        .filter_map(|step| match step {
            Step::Requirements(r) => Some((r.file.display().to_string(), &r.options)),
            Step::Pip(p) => Some((p.packages.join(" "), &p.options)),
            _ => None,
        })
        .collect();
    assert_eq!(
        steps.iter().map(|(what, _)| what.as_str()).collect::<Vec<_>>(),
        ["requirements.txt", "pandas numpy<2"]
    );
    for (_, options) in &steps {
        assert_eq!(options.index.as_ref().unwrap().to_string(), "https://pypi.example.com/simple");
        assert_eq!(options.extra_indexes.len(), 1);
        assert!(options.pre);
        assert_eq!(options.extra_args, ["--exclude-newer", "2025-01-01", "--no-deps"]);
        let [secret] = options.secrets.as_slice() else { panic!("{options:?}") };
        assert_eq!(secret.mount.as_deref(), Some("/root/.netrc"));
        assert_eq!(secret.env_name(), None);
        assert_eq!(lowered.secret_files[&secret.id()], PathBuf::from(".netrc"));
    }
    let unbalanced = Fields { pip_extra_args: Some("'a".into()), ..fields() };
    assert_eq!(codes(unbalanced), ["pip_extra_args imagespec/invalid-pip-extra-args"]);

    for lock in ["uv.lock", "project/poetry.lock"] {
        let requirements = Some(lock.into());
        let both = Fields { requirements, packages: vec!["a".into()], ..fields() };
        assert_eq!(codes(both), ["packages imagespec/lock-with-packages"]);
    }
}

#[test]
fn what_conda_and_cuda_would_bring() {
    let a = || Some("12".to_owned());
    let conda = Fields {
        conda_packages: vec!["gdal >=3".into()],
        conda_channels: vec!["nvidia".into(), "conda-forge".into()],
        python_version: Some("3.12".parse().unwrap()),
        packages: vec!["a".into()],
        base_image: None,
        ..fields()
    };
    let lowered = lower(conda);
    assert!(lowered.warnings.is_empty(), "{lowered:?}");
    assert!(matches!(lowered.image.base(), Base::Debian(debian) if !debian.python));
    let found = lowered.image.steps().iter().find_map(|step| match step {
        Step::Conda(conda) => Some(conda.clone()),
        _ => None,
    });
    let wanted = ["python=3.12", "gdal >=3"].map(str::to_owned).to_vec();
    let expected = Conda::new(CondaSource::Packages(wanted))
        .with_channels(["conda-forge", "nvidia"])
        .with_prefix("/opt/micromamba/envs/runtime");
    assert_eq!(found, Some(expected));
    let channels = lower(Fields { conda_channels: vec!["nvidia".into()], ..fields() });
    assert!(channels.warnings[0].message.ends_with("ignored: conda_channels"), "{channels:?}");
    for (cuda, cudnn, named) in [
        (a(), None, "cuda cannot"),
        (None, a(), "cudnn cannot"),
        (a(), a(), "cuda and cudnn cannot"),
    ] {
        let spec = spec(Fields { cuda, cudnn, ..fields() });
        let error = spec.lower(&Surroundings::default()).unwrap_err();
        assert_eq!(error.code(), "imagespec/cuda-unsupported");
        assert!(error.to_string().starts_with(named), "{error}");
        // A builder that says it can is believed.
        let builder = BuilderRules { cuda: true, ..BuilderRules::default() };
        spec.lower(&Surroundings { builder, ..Surroundings::default() }).unwrap();
    }
}

#[test]
fn environment_and_entrypoint() {
    let plain = env(&image(fields()));
    for (name, value) in [
        ("PYTHONPATH", "/root"),
        ("FLYTE_SDK_RICH_TRACEBACKS", "0"),
        ("SSL_CERT_DIR", "/etc/ssl/certs"),
    ] {
        assert_eq!(plain[name], value);
    }
    let own = BTreeMap::from([("PYTHONPATH".into(), "/a b".into()), ("X".into(), "$HOME".into())]);
    let own = env(&image(Fields { env: own, ..fields() }));
    assert_eq!((own["PYTHONPATH"].as_str(), own["X"].as_str()), ("/a b", "$HOME"));

    let entrypoint = |entrypoint: Option<&[&str]>| {
        let entrypoint = entrypoint.map(|argv| argv.iter().map(|a| (*a).to_owned()).collect());
        let image = image(Fields { entrypoint, ..fields() });
        image.steps().iter().find_map(|step| match step {
            Step::Entrypoint(entrypoint) => Some(entrypoint.argv.clone()),
            _ => None,
        })
    };
    assert_eq!(entrypoint(None), None);
    assert_eq!(entrypoint(Some(&[])), Some(vec![]));
    assert_eq!(entrypoint(Some(&["a", "b"])), Some(vec!["a".into(), "b".into()]));
}

#[test]
fn commands_are_one_line() {
    let of = |all: &[&str]| {
        let all = all.iter().map(|c| (*c).to_owned()).collect();
        let lowered = lower(Fields { commands: all, ..fields() });
        let line = commands(&lowered.image).last().cloned().unwrap();
        (line, warnings(&lowered).join(" "))
    };
    assert_eq!(of(&["mkdir /a", "cd /a"]), ("mkdir /a && cd /a".into(), String::new()));
    let run = of(&["RUN echo 'Hello'"]);
    assert_eq!(run, ("echo 'Hello'".into(), "imagespec/run-prefix".into()));
}

#[test]
fn sources() {
    let folders = |image: &Image| -> Vec<(String, String, Option<Vec<PathBuf>>)> {
        let folder = |step: &Step| match step {
            Step::SourceFolder(f) => {
                Some((f.src.display().to_string(), f.dst.clone(), f.options.only.clone()))
            }
            Step::SourceFile(f) => Some((f.src.display().to_string(), f.dst.clone(), None)),
            _ => None,
        };
        image.steps().iter().filter_map(folder).collect()
    };
    let root =
        |mode| Fields { source_root: Some("src".into()), source_copy_mode: mode, ..fields() };
    // A source root alone means the loaded modules.
    assert_eq!(spec(root(None)).fields().source_copy_mode, Some(SourceCopyMode::LoadedModules));
    let loaded = Surroundings {
        loaded_modules: Some([("src".into(), vec!["a.py".into(), "b/c.py".into()])].into()),
        ..Surroundings::default()
    };
    let modules = lower_in(root(None), &loaded);
    let only = Some(vec!["a.py".into(), "b/c.py".into()]);
    assert_eq!(folders(&modules.image), [("src".into(), "/root".into(), only)]);
    // Where nothing is loaded, everything is copied, and that is said.
    let everything = lower(root(None));
    assert_eq!(folders(&everything.image), [("src".into(), "/root".into(), None)]);
    assert_eq!(warnings(&everything), ["imagespec/no-loaded-modules"]);
    let all = lower_in(root(Some(SourceCopyMode::All)), &loaded);
    assert_eq!(folders(&all.image), [("src".into(), "/root".into(), None)]);
    assert_eq!(warnings(&all), [""; 0]);
    assert_eq!(folders(&image(root(Some(SourceCopyMode::NoCopy)))), []);
    for mode in [SourceCopyMode::All, SourceCopyMode::LoadedModules] {
        let rootless = Fields { source_copy_mode: Some(mode), ..fields() };
        assert_eq!(codes(rootless), ["source_copy_mode imagespec/no-source-root"]);
    }
    let none = Fields { source_copy_mode: Some(SourceCopyMode::NoCopy), ..fields() };
    assert_eq!(codes(none), [""; 0]);

    // Further files and folders lie under /root as they lie here.
    let surroundings =
        Surroundings { folders: BTreeSet::from(["./assets".into()]), ..Surroundings::default() };
    let copy = vec!["./assets".into(), "conf/app.yaml".into()];
    let copied = lower_in(Fields { copy, ..fields() }, &surroundings).image;
    let expected = [("./assets", "/root/assets"), ("conf/app.yaml", "/root/conf/app.yaml")];
    let expected = expected.map(|(src, dst)| (src.to_owned(), dst.to_owned(), None));
    assert_eq!(folders(&copied), expected);
    for path in ["/etc/passwd", "../a", "a/../../b", ""] {
        assert_eq!(
            codes(Fields { copy: vec![path.into()], ..fields() }),
            ["copy imagespec/invalid-copy"]
        );
    }
}

#[test]
fn requirements_that_are_locks() {
    let spec = |lock: &str, arguments: Option<&str>| Fields {
        requirements: Some(lock.into()),
        pip_extra_args: arguments.map(str::to_owned),
        pip_index: Some("https://pypi.example.com/simple".parse().unwrap()),
        pip_secret_mounts: vec![SecretMount { src: ".netrc".into(), dst: "/root/.netrc".into() }],
        builder_options: BTreeMap::new(),
        ..fields()
    };
    let lock = "[manifest]\nmembers = ['a', 'b']\n".to_owned();
    let surroundings = Surroundings {
        requirements: BTreeMap::from([("project/uv.lock".into(), lock)]),
        ..Surroundings::default()
    };
    let project = |lock, arguments| {
        let image = lower_in(spec(lock, arguments), &surroundings).image;
        let installs: Vec<&Step> = image
            .steps()
            .iter()
            .filter(|s| matches!(s, Step::Project(_) | Step::Pip(_) | Step::Requirements(_)))
            .collect();
        // The lock says all: flytekit is not added.
        let [Step::Project(project)] = installs[..] else { panic!("{installs:?}") };
        project.clone()
    };
    let uv = project("project/uv.lock", None);
    assert_eq!(
        (uv.kind, uv.manifest.as_path()),
        (ProjectKind::Uv, Path::new("project/pyproject.toml"))
    );
    assert_eq!((uv.lock.as_ref(), uv.install), (None, ProjectInstall::DependenciesOnly));
    assert_eq!(uv.selection.without_groups, ["dev"]);
    assert_eq!(uv.options.index.unwrap().to_string(), "https://pypi.example.com/simple");
    assert_eq!(uv.options.secrets.len(), 1);
    let uv = project("project/uv.lock", Some("--no-dev --all-packages --extra gpu"));
    assert_eq!(uv.selection.packages, ["a", "b"]);
    assert_eq!(uv.selection.with_extras, ["gpu"]);
    assert_eq!(uv.selection.without_groups, ["dev"]);
    let poetry = project("poetry.lock", Some("--only main"));
    assert_eq!(
        (poetry.kind, poetry.manifest.as_path()),
        (ProjectKind::Poetry, Path::new("pyproject.toml"))
    );
    assert_eq!(poetry.selection.groups, Groups::None);
    assert_eq!(codes(spec("uv.lock", Some("--upgrade"))), ["imagespec/extra-args"]);
}

#[test]
fn runtime_packages() {
    let of = |packages: &[&str], entrypoint: Option<&[&str]>| {
        let strings = |all: &[&str]| all.iter().map(|p| (*p).to_owned()).collect::<Vec<_>>();
        lower(Fields {
            packages: strings(packages),
            runtime_packages: vec!["a".into(), "b==1".into()],
            entrypoint: entrypoint.map(strings),
            ..fields()
        })
    };
    let entrypoint = |image: &Image| {
        let found = image.steps().iter().find_map(|step| match step {
            Step::Entrypoint(entrypoint) => Some(entrypoint.argv.clone()),
            _ => None,
        });
        found.unwrap_or_default()
    };
    let with_pip = of(&["pip"], Some(&["tini", "--"]));
    assert_eq!(env(&with_pip.image)["_F_RUNTIME_PACKAGES"], "a b==1");
    assert_eq!(warnings(&with_pip), [""; 0]);
    assert_eq!(entrypoint(&with_pip.image), ["/opt/tierce/entry", "tini", "--"]);
    let [.., own, write] = &commands(&with_pip.image)[..] else { panic!() };
    assert!(own.contains("chown 'flytekit'"), "{own}");
    assert!(write.contains("cat > /opt/tierce/entry"), "{write}");
    let bare = of(&["pipx"], None);
    assert_eq!(entrypoint(&bare.image), ["/opt/tierce/entry"]);
    assert_eq!(
        warnings(&bare),
        ["imagespec/runtime-packages-without-pip", "imagespec/runtime-packages-entrypoint"]
    );
    // They are not what the spec is.
    let plain = spec(Fields { packages: vec!["pip".into()], ..fields() });
    assert_eq!(plain.with_runtime_packages(["a"]).id(), plain.id());
    assert_eq!(entrypoint(&image(plain.fields().clone())), [""; 0]);
}

#[test]
fn what_a_builder_does_not_know_is_named() {
    let all = Fields {
        registry_config: Some("r.json".into()),
        builder_config: BTreeMap::from([("uv_image".into(), json!("uv"))]),
        builder_options: BTreeMap::from([
            ("flytekit".into(), json!(false)),
            ("level".into(), json!(3)),
        ]),
        ..fields()
    };
    let lowered = lower(all.clone());
    let messages: Vec<_> = lowered.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(
        messages,
        [
            "these parameters are unsupported by the builder native and ignored: registry_config, builder_config",
            "these builder_options are unsupported and ignored: level",
        ]
    );
    let builder = BuilderRules {
        name: "mine".into(),
        unsupported: BTreeSet::from([Field::Commands, Field::BuilderConfig]),
        cuda: false,
    };
    let lowered = lower_in(all, &Surroundings { builder, ..Surroundings::default() });
    assert!(lowered.warnings[0].message.ends_with("builder mine and ignored: builder_config"));
    for (name, value) in [("flytekit", json!(1)), ("user", json!("")), ("user", json!(1000))] {
        let builder_options = BTreeMap::from([(name.to_owned(), value)]);
        let expected = ["builder_options imagespec/invalid-builder-option"];
        assert_eq!(codes(Fields { builder_options, ..fields() }), expected);
    }
}

#[test]
fn the_order_is_that_of_flytekits_dockerfile() {
    let all = Fields {
        apt_packages: vec!["git".into()],
        packages: vec!["a".into()],
        requirements: Some("r.txt".into()),
        entrypoint: Some(vec!["e".into()]),
        source_root: Some(".".into()),
        source_copy_mode: Some(SourceCopyMode::All),
        copy: vec!["c".into()],
        commands: vec!["last".into()],
        ..fields()
    };
    let image = image(all);
    let names: Vec<_> = image
        .steps()
        .iter()
        .map(|step| match step {
            Step::Workdir(w) => format!("workdir {}", w.path),
            Step::User(u) => format!("user {}", u.user),
            Step::Apt(_) => "apt".into(),
            Step::Env(e) if e.vars.is_empty() => {
                format!("paths {}", e.paths.keys().cloned().collect::<Vec<_>>().join(" "))
            }
            Step::Env(e) if e.vars.contains_key("_F_IMG_ID") => "id".into(),
            Step::Env(_) => "env".into(),
            Step::Requirements(_) => "requirements".into(),
            Step::Pip(_) => "pip".into(),
            Step::Entrypoint(_) => "entrypoint".into(),
            Step::SourceFolder(_) => "sources".into(),
            Step::SourceFile(_) => "copy".into(),
            Step::Commands(c) if c.commands[0] == Command::from("last") => "commands".into(),
            Step::Commands(_) => "make the user".into(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(
        names,
        [
            "workdir /",
            "user root",
            "apt",
            "make the user",
            "env",
            "requirements",
            "pip",
            "paths PATH",
            "paths LD_LIBRARY_PATH",
            "entrypoint",
            "sources",
            "copy",
            "commands",
            "workdir /root",
            "user flytekit",
            "id",
        ]
    );
    // Another user is taken as it is, and nobody is made.
    let other =
        BTreeMap::from([("user".into(), json!("1000:1000")), ("flytekit".into(), json!(false))]);
    let other = lower(Fields { builder_options: other, ..fields() });
    assert_eq!(commands(&other.image), [""; 0]);
}
