//! What images come to: of tierce's users, and of Flyte's.

mod projects;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use tierce_flyte::{
    CloneOptions, DebianOptions, DefaultBase, FlyteImage, Host, InstallMode, InstallOptions, Layer,
    Lowered, PixiOptions, ScriptOptions, Surroundings,
};
use tierce_oci::{Diagnostic, Platform};
use tierce_spec::{
    Base, Command, Conda, CondaSource, CopyStyle, Groups, Image, PixiEnvironment, Project,
    ProjectInstall, ProjectKind, Secret, Selection, Step,
};

fn host() -> Host {
    Host::new("3.11".parse().unwrap())
}

/// An image of a user of tierce.
fn own() -> FlyteImage {
    FlyteImage::from_debian_base(DebianOptions::new().with_name("app"), &host())
}

/// An image that Flyte named, with these layers.
fn flytes(layers: Vec<Layer>) -> FlyteImage {
    FlyteImage {
        base_image: Some("python:3.11-slim-bookworm".to_owned()),
        registry: Some("ghcr.io/me".to_owned()),
        name: Some("app".to_owned()),
        is_cloned: true,
        layers,
        uri: Some("ghcr.io/me/app:0123".to_owned()),
        ..own()
    }
}

fn surroundings() -> Surroundings {
    Surroundings { uv: Some("/host/uv".into()), ..Surroundings::default() }
}

fn with_texts(texts: &[(&str, &str)]) -> Surroundings {
    let texts = texts.iter().map(|(path, text)| (PathBuf::from(path), (*text).to_owned()));
    Surroundings { texts: texts.collect(), ..surroundings() }
}

#[track_caller]
fn lower(image: &FlyteImage) -> Lowered {
    lower_in(image, &surroundings())
}

#[track_caller]
fn lower_in(image: &FlyteImage, surroundings: &Surroundings) -> Lowered {
    let lowered = image.lower(surroundings).unwrap();
    lowered.image.validate().unwrap();
    lowered
}

/// The steps in a few words.
fn lines(image: &Image) -> Vec<String> {
    image.steps().iter().map(line).collect()
}

fn line(step: &Step) -> String {
    match step {
        Step::Apt(apt) => format!("apt {}", apt.packages.join(" ")),
        Step::Pip(pip) => format!("pip {}", pip.packages.join(" ")),
        Step::Requirements(r) => format!("requirements {}", r.file.display()),
        Step::Wheels(w) => format!("wheels {} of {}", w.packages.join(" "), w.dir.display()),
        Step::Project(p) => format!("project {} {}", p.kind.name(), p.manifest.display()),
        Step::Conda(c) => format!("conda {:?}", c.source),
        Step::SourceFolder(f) => format!("folder {} {}", f.src.display(), f.dst),
        Step::SourceFile(f) => format!("file {} {}", f.src.display(), f.dst),
        Step::CodeBundle(c) => format!("code {}", c.dst),
        Step::Env(env) => {
            let vars = env.vars.iter().map(|(name, value)| format!("{name}={value}"));
            let paths = env
                .paths
                .iter()
                .map(|(name, path)| format!("{name}={}", path.around(Some(&format!("${name}")))));
            format!("env {}", vars.chain(paths).collect::<Vec<_>>().join(" "))
        }
        Step::Commands(c) => {
            let all: Vec<String> = c.commands.iter().map(Command::to_string).collect();
            format!("run {}", all.join(" | "))
        }
        Step::Workdir(w) => format!("workdir {}", w.path),
        Step::User(u) => format!("user {}", u.user),
        Step::Labels(l) => format!("labels {:?}", l.labels),
        Step::Entrypoint(_) | Step::Cmd(_) => "other".to_owned(),
    }
}

fn codes(lowered: &Lowered) -> Vec<&str> {
    lowered.warnings.iter().map(|warning| warning.code).collect()
}

fn env(vars: &[(&str, &str)]) -> Layer {
    Layer::Env { vars: vars.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect() }
}

fn commands(lines: &[&str]) -> Layer {
    Layer::Commands { commands: lines.iter().map(|l| (*l).to_owned()).collect(), secrets: vec![] }
}

fn pip(packages: &[&str], options: InstallOptions) -> Layer {
    Layer::PipPackages { packages: packages.iter().map(|p| (*p).to_owned()).collect(), options }
}

const MAKE_USER: &str = "id flyte || useradd --create-home flyte && mkdir -p /home/flyte";

#[test]
fn what_was_not_changed_is_its_base() {
    let released = FlyteImage::from_debian_base(DebianOptions::new(), &host().with_flyte("2.12.1"));
    let named = FlyteImage { uri: released.base_image.clone(), ..released.clone() };
    for image in [&released, &named] {
        let image = lower(image).image;
        assert!(image.is_unmodified());
        assert_eq!(
            image.base().clone(),
            Image::from_base("ghcr.io/flyteorg/flyte:py3.11-v2.12.1").unwrap().base().clone()
        );
    }
    let digest = format!("ghcr.io/me/app@sha256:{}", "0".repeat(64));
    let image = FlyteImage::from_base(&digest, &host()).unwrap();
    assert!(lower(&image).image.is_unmodified());
    let image = lower(&FlyteImage::from_ref_name("gpu", &host())).image;
    assert_eq!(image.base(), &Base::Named("gpu".to_owned()));
}

#[test]
fn bases_are_those_that_are_asked_for() {
    let python = |text: &str| DebianOptions::new().with_python_version(text.parse().unwrap());
    for (options, base, expected) in [
        (python("3.11"), DefaultBase::default(), None),
        (python("3.13"), DefaultBase::Suite("trixie".into()), None),
        (
            python("3.12"),
            DefaultBase::default(),
            Some("docker.io/library/python:3.12-slim-bookworm"),
        ),
        (
            python("3.12"),
            DefaultBase::Image("own/python:{python}".into()),
            Some("docker.io/own/python:3.12"),
        ),
    ] {
        let image = FlyteImage::from_debian_base(options, &host());
        let image = lower_in(&image, &Surroundings { default_base: base, ..surroundings() }).image;
        match (image.base(), expected) {
            (Base::Debian(debian), None) => assert!(debian.python),
            (Base::Registry(reference), Some(expected)) => {
                assert_eq!(reference.to_string(), expected);
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(image.name(), Some("tierce"));
    }
    let file = FlyteImage::from_dockerfile("d/Dockerfile", "ghcr.io/me", "own", [], &host());
    let image = lower(&FlyteImage { uri: Some("ghcr.io/me/own:1".into()), ..file }).image;
    assert!(matches!(image.base(), Base::Dockerfile(d) if d.file == Path::new("d/Dockerfile")));
    assert_eq!(
        (image.registry(), image.name(), image.tag()),
        (Some("ghcr.io/me"), Some("own"), Some("1"))
    );
    assert!(image.steps().is_empty());
}

#[test]
fn images_of_tierces_users_get_what_is_said_and_nothing_else() {
    let image = own()
        .with_apt_packages(["git curl"], [])
        .and_then(|i| i.with_pip_packages(["six"], InstallOptions::default()))
        .and_then(|i| i.with_requirements("requirements.txt", InstallOptions::default()))
        .and_then(|i| i.with_env_vars([("A", "literal $PATH")]))
        .and_then(|i| i.with_workdir("/app"))
        .and_then(|i| i.with_source_folder("src", ".", false))
        .and_then(|i| i.with_code_bundle(CopyStyle::All, "."))
        .and_then(|i| i.with_source_file("a.py", "/app"))
        .and_then(|i| i.with_commands(["a", "RUN b"], []))
        .and_then(|i| i.with_dockerignore("x.ignore"))
        .unwrap();
    let lowered = lower(&image);
    assert_eq!(
        lines(&lowered.image),
        [
            "apt git curl",
            "pip six",
            "requirements requirements.txt",
            "env A=literal $PATH",
            "workdir /app",
            "folder src ./src",
            "file a.py /app/",
            "run a | b",
            "code .",
        ]
    );
    assert_eq!(lowered.image.dockerignore(), Some(Path::new("x.ignore")));
    assert_eq!((lowered.image.name(), lowered.image.tag()), (Some("app"), None));
    assert_eq!(codes(&lowered), ["flyte/literal-variable", "flyte/run-prefix"]);
}

#[test]
fn values_are_literal_but_for_search_paths() {
    let literal = ["flyte/literal-variable"];
    for (vars, expected, warnings) in [
        (&[("PATH", "/x/bin:$PATH")][..], &["env PATH=/x/bin:$PATH"][..], &[][..]),
        (&[("PATH", "${PATH}:/x:/y")], &["env PATH=$PATH:/x:/y"], &[]),
        (&[("PYTHONPATH", "/a:$PYTHONPATH:/b")], &["env PYTHONPATH=/a:$PYTHONPATH:/b"], &[]),
        (&[("PATH", "/a"), ("PATH", "/b:$PATH")], &["env PATH=/a", "env PATH=/b:$PATH"], &[]),
        (&[("PATH", "$PATH")], &[], &[]),
        (&[("PATH", "$HOME/bin:$PATH")], &["env PATH=$HOME/bin:$PATH"], &literal),
        (&[("A", "/x:$PATH")], &["env A=/x:$PATH"], &literal),
        (&[("A", "x$B")], &["env A=x$B"], &literal),
        (&[("A", "${B:-c}")], &["env A=${B:-c}"], &literal),
        (&[("A", "5$")], &["env A=5$"], &[]),
        (&[("A", "'$5'")], &["env A='$5'"], &[]),
    ] {
        let image = own().with_env_vars(vars.iter().copied()).unwrap();
        let lowered = lower(&image);
        assert_eq!(lines(&lowered.image), expected, "{vars:?}");
        assert_eq!(codes(&lowered), warnings, "{vars:?}");
    }
    let secret = lower(&own().with_env_vars([("TOKEN", "a$hunter2")]).unwrap());
    assert!(!secret.warnings[0].message.contains("hunter2"), "{:?}", secret.warnings);
    // What looks like one is none where it does not lead to directories.
    let lowered = lower(&own().with_env_vars([("A", "x:$A")]).unwrap());
    assert_eq!(lines(&lowered.image), ["env A=x:$A"]);
}

#[test]
fn images_of_flyte_get_its_prelude_and_its_name() {
    let image = flytes(vec![pip(&["six"], InstallOptions::default())]);
    let lowered = lower(&image).image;
    assert_eq!(
        lines(&lowered),
        [
            "user root",
            "env UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy UV_PYTHON=/opt/venv/bin/python VIRTUALENV=/opt/venv",
            "pip ",
            "env PATH=$PATH:/usr/local/nvidia/bin:/usr/local/cuda/bin",
            "env LD_LIBRARY_PATH=/usr/local/nvidia/lib64:$LD_LIBRARY_PATH",
            "pip six",
            "env _F_IMG_ID=ghcr.io/me/app:0123",
        ]
    );
    assert_eq!(
        (lowered.registry(), lowered.name(), lowered.tag()),
        (Some("ghcr.io/me"), Some("app"), Some("0123"))
    );
    let environment = lowered.python_environment().unwrap();
    assert_eq!((environment.skeleton, environment.position), (Some(2), 5));
    assert_eq!(lowered.python(), None, "which Python a base has is its own business");
}

#[test]
fn the_user_that_flyte_makes_is_the_one_that_runs() {
    for (layers, user, workdir) in [
        (vec![commands(&["true"])], "root", None),
        (vec![commands(&[MAKE_USER])], "flyte", Some("/home/flyte")),
        (
            vec![commands(&[MAKE_USER]), Layer::Workdir { workdir: "/app".into() }],
            "flyte",
            Some("/app"),
        ),
        (
            vec![
                commands(&[MAKE_USER]),
                Layer::Workdir { workdir: "/app".into() },
                Layer::Workdir { workdir: "sub".into() },
            ],
            "flyte",
            Some("/app/sub"),
        ),
    ] {
        let image = lower(&flytes(layers)).image;
        let last = |find: &dyn Fn(&Step) -> Option<String>| {
            image.steps().iter().filter_map(find).next_back()
        };
        let found = last(&|step| match step {
            Step::User(user) => Some(user.user.clone()),
            _ => None,
        });
        assert_eq!(found.as_deref(), Some(user));
        let found = last(&|step| match step {
            Step::Workdir(workdir) => Some(workdir.path.clone()),
            _ => None,
        });
        assert_eq!(found.as_deref(), workdir);
        assert!(lines(&image).last().unwrap().starts_with("env _F_IMG_ID="));
    }
}

#[test]
fn what_flyte_named_without_a_registry_goes_to_everyones() {
    let with_registry = |registry: Option<&str>| Surroundings {
        registry: registry.map(str::to_owned),
        ..surroundings()
    };
    for (own, uri, everyones, expected) in [
        (None, "app:0123", Some("r.example/team"), "r.example/team/app:0123"),
        (None, "me/app:0123", Some("r.example"), "r.example/me/app:0123"),
        (None, "app:0123", None, "app:0123"),
        (Some("ghcr.io/me"), "ghcr.io/me/app:0123", Some("r.example"), "ghcr.io/me/app:0123"),
        (Some("me"), "me/app:0123", Some("r.example"), "me/app:0123"),
        (None, "localhost:5000/app:0123", Some("r.example"), "localhost:5000/app:0123"),
    ] {
        let image = FlyteImage {
            registry: own.map(str::to_owned),
            uri: Some(uri.to_owned()),
            ..flytes(vec![env(&[("A", "1")])])
        };
        let image = lower_in(&image, &with_registry(everyones)).image;
        let [registry, name, tag] = [image.registry(), image.name(), image.tag()];
        let named = format!("{}:{}", name.unwrap(), tag.unwrap());
        let built = registry.map_or(named.clone(), |registry| format!("{registry}/{named}"));
        assert_eq!(built, expected);
        assert_eq!(lines(&image).last().unwrap(), &format!("env _F_IMG_ID={expected}"));
    }
}

#[test]
fn uv_is_where_commands_may_call_it() {
    let has_uv = |image: &Image| lines(image).contains(&"file /host/uv /usr/bin/uv".to_owned());
    let bare = Surroundings { uv: None, ..surroundings() };
    for (layers, expected) in [
        (vec![commands(&["uv --version"])], true),
        (vec![commands(&[MAKE_USER])], false),
        (vec![pip(&["six"], InstallOptions::default())], false),
    ] {
        let image = flytes(layers);
        assert_eq!(has_uv(&lower(&image).image), expected);
        assert_eq!(image.wants_uv(), expected);
        let without = lower_in(&image, &bare);
        assert_eq!(codes(&without).contains(&"flyte/no-uv"), expected);
    }
    assert!(!has_uv(&lower(&own().with_commands(["uv"], []).unwrap()).image));
}

#[test]
fn values_name_variables_where_flyte_wrote_them() {
    type Row<'a> = (&'a [(&'a str, &'a str)], &'a [&'a str], usize);
    // (variables, what is set, what is warned of)
    let table: &[Row<'_>] = &[
        (&[("PATH", "/opt/venv/bin:$PATH")], &[], 0),
        (&[("PATH", "/a:/b:${PATH}:/c")], &["env PATH=/a:/b:$PATH:/c"], 0),
        (&[("PATH", "/only")], &["env PATH=/only"], 0),
        (&[("PATH", "/only"), ("PATH", "/x:$PATH")], &["env PATH=/only", "env PATH=/x:/only"], 0),
        (&[("PYTHONPATH", "/root:$PYTHONPATH")], &["env PYTHONPATH=/root:$PYTHONPATH"], 0),
        (
            &[("A", "$VIRTUALENV/lib"), ("B", "${A}/x")],
            &["env A=/opt/venv/lib B=/opt/venv/lib/x"],
            0,
        ),
        (&[("A", "x$NOWHERE")], &["env A=x"], 1),
        (&[("A", "$A -x")], &["env A= -x"], 1),
        (&[("A", "'$HOME'")], &["env A=$HOME"], 0),
        (&[("A", "\"a b\"")], &["env A=a b"], 0),
        // As Docker has it, where it would take it.
        (&[("A", r#"{"json":"yes"}"#)], &["env A={json:yes}"], 0),
        (&[("A", r#"{"json": "yes"}"#)], &[r#"env A={"json": "yes"}"#], 0),
        (&[("A", r#"a"b c"d"#)], &["env A=ab cd"], 0),
        (&[("A", r"C:\x\y"), ("B", r"'\'")], &[r"env A=C:xy B=\"], 0),
        (&[("A", "it's")], &["env A=it's"], 0),
        (&[("PATH", "\"/a:$PATH\"")], &["env PATH=/a:$PATH"], 0),
        (&[("A", "a b")], &["env A=a b"], 0),
    ];
    for (vars, expected, warnings) in table {
        let lowered = lower(&flytes(vec![env(vars)]));
        let all = lines(&lowered.image);
        assert_eq!(&all[5..all.len() - 1], *expected, "{vars:?}");
        assert_eq!(lowered.warnings.len(), *warnings, "{vars:?}: {:?}", lowered.warnings);
    }
}

#[test]
fn lines_of_dockerfiles_are_labels_and_variables() {
    let lines_of = |text: &[&str]| Layer::DockerLines {
        lines: text.iter().map(|l| (*l).to_owned()).collect(),
    };
    let lowered = lower(&flytes(vec![lines_of(&[
        "LABEL org.opencontainers.image.authors='Some One <one@example.org>'",
        "label a=1 b=\"2 3\"",
        "ENV X=$VIRTUALENV Y='a b'",
        "# nothing",
    ])]));
    let all = lines(&lowered.image);
    assert_eq!(
        all[5..8],
        [
            "labels {\"org.opencontainers.image.authors\": \"Some One <one@example.org>\"}",
            "labels {\"a\": \"1\", \"b\": \"2 3\"}",
            "env X=/opt/venv Y=a b",
        ]
    );
    let error = flytes(vec![lines_of(&["RUN true"])]).lower(&surroundings()).unwrap_err();
    assert_eq!(error.code(), "flyte/docker-line");
}

#[test]
fn flytes_default_platforms_are_those_whose_programs_run_here() {
    let both = || vec![Platform::linux("amd64"), Platform::linux("arm64")];
    for (runnable, platform, expected, warned) in [
        (Some(vec![Platform::linux("amd64")]), both(), vec![Platform::linux("amd64")], true),
        (Some(vec![Platform::linux("arm64")]), both(), vec![Platform::linux("arm64")], true),
        (Some(both()), both(), both(), false),
        (None, both(), both(), false),
        (
            Some(vec![Platform::linux("amd64")]),
            vec![Platform::linux("arm64")],
            vec![Platform::linux("arm64")],
            false,
        ),
    ] {
        let image = FlyteImage { platform, ..flytes(vec![commands(&[MAKE_USER])]) };
        let lowered = lower_in(&image, &Surroundings { runnable, ..surroundings() });
        assert_eq!(lowered.image.platforms(), expected);
        assert_eq!(codes(&lowered).contains(&"flyte/default-platforms"), warned);
    }
    let here = Surroundings { runnable: Some(vec![Platform::linux("amd64")]), ..surroundings() };
    let released = Some("ghcr.io/flyteorg/flyte:py3.11-v2.12.1".to_owned());
    let some = || vec![pip(&["six"], InstallOptions::default())];
    for image in [
        // Of other bases, somebody has named both.
        FlyteImage { platform: both(), ..flytes(vec![commands(&["true"])]) },
        // Where nothing runs, nothing has to.
        FlyteImage { platform: both(), base_image: released, ..flytes(some()) },
    ] {
        assert_eq!(lower_in(&image, &here).image.platforms(), both());
    }
}

fn options(index: Option<&str>, args: Option<&str>) -> InstallOptions {
    InstallOptions {
        index_url: index.map(str::to_owned),
        extra_args: args.map(str::to_owned),
        ..InstallOptions::default()
    }
}

#[test]
fn packages_of_several_indexes_are_resolved_together() {
    let torch = "https://download.example/whl/cpu";
    let one = lower(&flytes(vec![pip(&["torch"], options(Some(torch), None))]));
    let environment = one.image.python_environment().unwrap();
    assert_eq!(environment.options.index.unwrap().to_string(), torch);
    assert!(one.warnings.is_empty());
    let two = lower(&flytes(vec![
        pip(&["torch"], options(Some(torch), None)),
        pip(&["six"], options(None, None)),
    ]));
    let environment = two.image.python_environment().unwrap();
    assert_eq!(environment.options.index, None);
    assert_eq!(environment.options.extra_indexes[0].to_string(), torch);
    assert_eq!(codes(&two), ["flyte/indexes-together"]);
}

#[test]
fn arguments_of_the_installer_are_understood() {
    let args = "--pre --no-cache-dir --exclude-newer 2025-01-01";
    let lowered = lower(&flytes(vec![pip(&["six"], options(None, Some(args)))]));
    let options_of = lowered.image.python_environment().unwrap().options;
    assert!(options_of.pre);
    assert_eq!(options_of.extra_args, ["--exclude-newer", "2025-01-01"]);
    assert_eq!(codes(&lowered), ["flyte/extra-arg-left-out"]);
    for (options, code) in [
        (options(None, Some("'open")), "flyte/invalid-extra-args"),
        (options(Some("nowhere"), None), "flyte/invalid-index"),
    ] {
        let error = flytes(vec![pip(&["six"], options)]).lower(&surroundings()).unwrap_err();
        assert_eq!(error.code(), code);
    }
}

#[test]
fn wheels_are_those_of_the_package() {
    let lowered = lower(&own().with_wheels("dist", "flyte", InstallOptions::default()).unwrap());
    assert_eq!(lines(&lowered.image), ["wheels flyte of dist"]);
}

#[test]
fn code_comes_last() {
    let bundle = |root: Option<&str>| Layer::CodeBundle {
        style: CopyStyle::LoadedModules,
        dst: ".".into(),
        root: root.map(PathBuf::from),
        loaded: vec!["/p/a.py".into(), "b/c.py".into()],
    };
    let undecided = lower(&flytes(vec![bundle(None), commands(&["a"])])).image;
    assert_eq!(lines(&undecided).iter().rev().nth(1).unwrap(), "code .");
    let decided = lower(&flytes(vec![bundle(Some("/p")), commands(&["a"])])).image;
    let folder = decided.steps().iter().rev().nth(1).unwrap();
    let Step::SourceFolder(folder) = folder else { panic!("{folder:?}") };
    assert_eq!(folder.options.only.as_deref(), Some(&[PathBuf::from("a.py"), "b/c.py".into()][..]));
}

#[test]
fn names_without_a_tag_can_not_be_built() {
    let digest = format!("ghcr.io/me/app@sha256:{}", "0".repeat(64));
    let image = FlyteImage { uri: Some(digest), ..flytes(vec![]) };
    assert_eq!(image.lower(&surroundings()).unwrap_err().code(), "flyte/no-tag");
    let clone =
        own().clone_with(CloneOptions { base_image: Some("UPPER".into()), ..CloneOptions::new() });
    let error = clone.unwrap().lower(&surroundings()).unwrap_err();
    assert_eq!(error.code(), "flyte/invalid-reference");
}
