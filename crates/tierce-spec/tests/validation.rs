//! Problems of images made by the fluent API.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use tierce_oci::{Diagnostic, Platform};
use tierce_spec::{
    Apt, Commands, CopyStyle, DockerfileBase, Image, Network, PipOptions, Secret, SourceOptions,
    Step,
};

fn problems(image: &Image) -> Vec<String> {
    match image.validate() {
        Ok(()) => vec![],
        Err(errors) => {
            errors.problems().iter().map(|p| format!("{} {}", p.code, p.field)).collect()
        }
    }
}

fn slim() -> Image {
    Image::from_base("python:3.12-slim").unwrap()
}

#[test]
fn all_problems_are_reported_in_order_with_their_fields() {
    let image = slim()
        .with_name("Bad")
        .with_platforms([Platform::linux("amd64"), Platform::linux("amd64")])
        .with_pip_packages(["numpy", "=x", "pandas", "!"], PipOptions::new())
        .with_apt_packages(["x y"])
        .with_commands([""], Network::Host)
        .with_commands(["ok", "\0"], Network::Host);
    assert_eq!(
        problems(&image),
        [
            "spec/invalid-name name",
            "spec/duplicate-platform platforms[1]",
            "spec/invalid-requirement pip[1]",
            "spec/invalid-requirement pip[3]",
            "spec/invalid-apt-package apt[0]",
            "spec/invalid-command steps[2].run[0]",
            "spec/invalid-command steps[3].run[1]",
        ]
    );
    assert_eq!(image.validate().unwrap_err().code(), "spec/invalid");
}

#[test]
fn an_invalid_requirement_is_shown_with_a_caret() {
    let image = slim().with_pip_packages(["uvicorn[standard>=0.30"], PipOptions::new());
    let error = image.validate().unwrap_err();
    assert_eq!(error.code(), "spec/invalid-requirement");
    let lines: Vec<String> = error.to_string().lines().map(str::to_owned).collect();
    assert_eq!(lines[1], "  uvicorn[standard>=0.30");
    assert_eq!(lines[2].trim_start(), "^");
}

#[test]
fn a_name_with_a_separator_at_its_end_is_shown() {
    for (text, caret) in [("fast-{", 4), ("a- >=1", 1), ("a[b.]", 3), ("a[b, c_ , d]", 6)] {
        let error = slim().with_pip_packages([text], PipOptions::new()).validate().unwrap_err();
        let last = error.to_string().lines().last().unwrap().to_owned();
        assert_eq!(last, format!("  {}^", " ".repeat(caret)), "{error}");
    }
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(20_000))]

    #[test]
    fn no_requirement_makes_the_parser_panic(
        text in "[ab0é._-]{0,4}[ \\[\\](),;@<>=!~'\"a0.*é-]{0,12}(; ?(extra|os_name|python_version) ?(==|in|<|~=) ?['\"]?[a0.é*-]{0,3}['\"]?[ )and]{0,4})?",
        url in "( ?@ ?(https?|git\\+ssh|file):/{1,3}[a@:/.#é ;$\\{\\}]{0,6})?",
    ) {
        let text = format!("{text}{url}");
        let _ = slim().with_pip_packages([text], PipOptions::new()).validate();
    }
}

#[test]
fn any_text_as_a_requirement_is_judged_without_a_panic() {
    for text in [
        "",
        " ",
        "é",
        "a é",
        "a[é",
        "a==é",
        "a @ é",
        "a;é",
        "a @ https://é é",
        "a\n b",
        "日本",
        "a (",
        "a>=1,",
        "a @ https://u:p@h/ ;",
        "a; python_version",
    ] {
        let _ = slim().with_pip_packages([text], PipOptions::new()).validate();
    }
}

#[test]
fn users_paths_and_names_have_their_forms() {
    for user in ["app", "1000", "app:app", "1000:1000", "_apt", "a.b-c", "0:0"] {
        assert_eq!(problems(&slim().with_user(user)), [""; 0], "{user:?}");
    }
    for user in ["", "me and you", "app:", ":app", "a:b:c", "-x", "4294967295", "99999999999"] {
        assert_eq!(problems(&slim().with_user(user)), ["spec/invalid-user user"], "{user:?}");
    }
    for path in ["", "app", "./app", "/app/../etc", "/a\0b", "/a\nb"] {
        let image = slim().with_workdir(path);
        assert_eq!(problems(&image), ["spec/invalid-workdir workdir"], "{path:?}");
    }
    for dst in ["/app", "app", ".", "./", "/", "a/b/"] {
        let image = slim().with_source_folder("src", dst, SourceOptions::new());
        assert_eq!(problems(&image), [""; 0], "{dst:?}");
    }
    for dst in ["", "..", "../app", "/app/..", "a/../b"] {
        let image = slim().with_source_folder("src", dst, SourceOptions::new());
        assert_eq!(problems(&image), ["spec/invalid-destination copy.dst"], "{dst:?}");
    }
    for name in ["", "1A", "A B", "A=B", "É", "A\0"] {
        let image = slim().with_env_vars([(name, "x")]);
        assert_eq!(problems(&image), [format!("spec/invalid-env-name env.{name:?}")]);
    }
}

#[test]
fn files_that_would_overwrite_each_other_are_refused() {
    let copies = |copies: &[(&str, &str)]| {
        let image = copies.iter().fold(slim(), |i, (src, dst)| i.with_source_file(*src, *dst));
        problems(&image)
    };
    assert_eq!(copies(&[("a/x.py", "."), ("b/y.py", ".")]), [""; 0]);
    let twice = ["spec/duplicate-source steps[1].copy.dst"];
    assert_eq!(copies(&[("a/x.py", "."), ("b/x.py", "./")]), twice);
    assert_eq!(copies(&[("a/x.py", "/etc/x"), ("b/y.py", "/etc/./x")]), twice);
    assert_eq!(copies(&[("..", "/x")]), ["spec/invalid-source copy.src"]);
    // The same name below another working directory is another file.
    let image = slim().with_source_file("a/x", ".").with_workdir("/b").with_source_file("b/x", ".");
    assert_eq!(problems(&image), [""; 0]);
    let latin1 = Path::new(OsStr::from_bytes(b"caf\xe9"));
    let image = slim().with_source_folder(latin1, "/x", SourceOptions::new());
    assert_eq!(problems(&image), ["spec/invalid-source copy.src"]);
}

#[test]
fn python_packages_make_one_environment() {
    let index = |url: &str| PipOptions::new().with_index(url.parse().unwrap());
    let image = slim()
        .with_pip_packages(["a"], PipOptions::new().with_extra_args(["--no-build"]))
        .with_apt_packages(["git"])
        .with_requirements("r.txt", index("https://me:1@one.example/simple").with_pre(true))
        .with_pip_packages(
            ["b"],
            index("https://one.example/simple").with_extra_args(["--no-build"]),
        );
    assert_eq!(problems(&image), [""; 0]);
    let all = image.python_environment().unwrap();
    assert_eq!((all.position, all.packages), (0, vec!["a", "b"]));
    assert_eq!(all.requirements, [(2, Path::new("r.txt"))]);
    assert_eq!(all.options.extra_args, ["--no-build"]);
    assert!(all.options.pre);
    // The index with credentials is the one that works.
    assert!(all.options.index.unwrap().has_credentials());
    assert_eq!(slim().python_environment(), None);

    let image = image.with_pip_packages(["c"], index("https://two.example/simple"));
    assert_eq!(problems(&image), ["spec/conflicting-index steps[4].pip.index"]);
}

#[test]
fn an_environment_stands_where_something_is_installed_and_may_be_there_before() {
    let none = || slim().with_pip_packages([""; 0], PipOptions::new());
    let some = |image: Image| image.with_pip_packages(["a"], PipOptions::new());
    for (image, skeleton, position) in [
        (none(), None, 0),
        (some(slim()), None, 0),
        (some(none()), Some(0), 1),
        (some(none().with_apt_packages(["git"])), Some(0), 2),
        (some(none().with_pip_packages([""; 0], PipOptions::new())), Some(0), 2),
        (none().with_requirements("r.txt", PipOptions::new()), Some(0), 1),
        (some(slim()).with_pip_packages([""; 0], PipOptions::new()), None, 0),
    ] {
        let environment = image.python_environment().unwrap();
        assert_eq!((environment.skeleton, environment.position), (skeleton, position), "{image:?}");
        assert!(environment.emptied().is_empty());
    }
}

#[test]
fn packages_need_a_python_that_something_brings() {
    let bookworm = Image::from_debian("bookworm");
    let pip = |image: &Image| problems(&image.with_pip_packages(["six"], PipOptions::new()));
    assert_eq!(pip(&bookworm), ["spec/no-python pip"]);
    assert_eq!(pip(&bookworm.with_debian_python(true)), [""; 0]);
    assert_eq!(pip(&bookworm.with_apt_packages(["python3"])), [""; 0]);
    assert_eq!(pip(&Image::from_scratch()), ["spec/no-python pip"]);
}

#[test]
fn options_that_would_read_this_machine_are_refused() {
    for arg in [
        "-rmore.txt",
        "--requirement=x",
        "-e.",
        "--index-url",
        "-c",
        "--python=3.12",
        "",
        "--find-links=wheels",
        "-f",
    ] {
        let options = PipOptions::new().with_extra_args([arg]);
        let found = problems(&slim().with_pip_packages(["a"], options));
        assert_eq!(found, ["spec/invalid-extra-arg pip.extra-args[0]"], "{arg:?}");
    }
    for arg in [
        "--no-build",
        "--exclude-newer=2025-01-01",
        "--resolution",
        "--find-links=https://a.example/",
    ] {
        let options = PipOptions::new().with_extra_args([arg]);
        assert_eq!(problems(&slim().with_pip_packages(["a"], options)), [""; 0], "{arg:?}");
    }
}

/// A command that sees these.
fn seeing(secrets: impl IntoIterator<Item = Secret>) -> Image {
    let (commands, secrets) = (vec!["make".into()], secrets.into_iter().collect());
    slim().with_step(Step::Commands(Commands { commands, network: Network::Host, secrets }))
}

#[test]
fn secrets_have_names_and_places() {
    let at = |path: &str| problems(&seeing([Secret::new("token").with_mount(path)]));
    for path in
        ["/root/.netrc", "/run/secrets/token", "/etc/./x", "/device", "/run/tiercel", "/procs/a"]
    {
        assert_eq!(at(path), [""; 0], "{path:?}");
    }
    for path in [
        "",
        "token",
        "./token",
        "/",
        "//",
        "/.",
        "/run/",
        "/run/.",
        "/a/../b",
        "/a\0",
        "/proc",
        "/proc/1",
        "//proc//self",
        "/./sys/x",
        "/dev/shm/x",
        "/run/tierce/x",
    ] {
        assert_eq!(at(path), ["spec/invalid-secret run.secrets[0].mount"], "{path:?}");
    }
    for name in ["token", "PYPI_TOKEN", "a.b-c", "x509"] {
        assert_eq!(problems(&seeing([Secret::new(name).with_group(name)])), [""; 0], "{name:?}");
    }
    for name in ["", ".hidden", "a b", "a/b", "..", "é", "a=b"] {
        let found = problems(&seeing([Secret::new(name).with_group("g")]));
        assert_eq!(found, ["spec/invalid-secret run.secrets[0].key"], "{name:?}");
        let found = problems(&seeing([Secret::new("k").with_group(name)]));
        assert_eq!(found, ["spec/invalid-secret run.secrets[0].group"], "{name:?}");
    }
    // A variable needs a name that is one, a file does not.
    assert_eq!(problems(&seeing([Secret::new("2fa")])), ["spec/invalid-secret run.secrets[0]"]);
    assert_eq!(problems(&seeing([Secret::new("2fa").with_mount("/x")])), [""; 0]);
    assert_eq!(problems(&seeing([Secret::new("2fa").with_env("CODE")])), [""; 0]);
    let bad = Secret::new("a").with_env("A B");
    assert_eq!(problems(&seeing([bad])), ["spec/invalid-env-name run.secrets[0].env"]);
}

#[test]
fn hints_name_parameters_and_no_file_format() {
    let hint = |image: Image| image.validate().unwrap_err().hint().unwrap();
    let listed = hint(slim().with_pip_packages(["-r r.txt"], PipOptions::new()));
    assert_eq!(listed, "List files with requirements (Python: with_requirements).");
    for secret in [Secret::new("2fa"), Secret::new("a").with_env("1x")] {
        let errors = secret.validate().unwrap_err();
        assert_eq!(errors.problems().len(), 1, "{errors}");
        let hint = errors.hint().unwrap();
        assert!(hint.contains("as_env_var"), "{hint}");
    }
    let name = tierce_spec::UnknownImageName { name: "foo".to_owned() };
    let hint = name.hint().unwrap();
    assert!(hint.contains("--image foo=REFERENCE") && hint.contains("Python"), "{hint}");
}

#[test]
fn two_secrets_are_not_seen_in_one_place() {
    let duplicate = ["spec/duplicate-secret run.secrets[1]"];
    let pair = |a: Secret, b: Secret| problems(&seeing([a, b]));
    let (a, b) = (|| Secret::new("a"), || Secret::new("b"));
    assert_eq!(pair(a(), b()), [""; 0]);
    assert_eq!(pair(a(), a()), [""; 0], "the same twice is one");
    assert_eq!(pair(a(), b().with_env("A")), duplicate);
    assert_eq!(pair(a().with_mount("/x"), b().with_mount("/x")), duplicate);
    // Steps have nothing to do with each other.
    let image = seeing([a()]).with_step(Step::Apt(Apt {
        packages: vec!["git".into()],
        secrets: vec![b().with_env("A")],
    }));
    assert_eq!(problems(&image), [""; 0]);
    assert_eq!(image.secrets().len(), 2);
    let login = slim().with_registry_secret(a().with_mount("/x"));
    assert_eq!(problems(&login), ["spec/invalid-secret registry-secret"]);
}

#[test]
fn bases_are_checked_as_what_they_are() {
    let dockerfile = |change: fn(&mut DockerfileBase)| {
        let mut base = DockerfileBase::new("Dockerfile");
        change(&mut base);
        problems(&Image::from_dockerfile(base))
    };
    assert_eq!(dockerfile(|_| ()), [""; 0]);
    assert_eq!(dockerfile(|b| b.file = "".into()), ["spec/invalid-source base.dockerfile"]);
    assert_eq!(dockerfile(|b| b.file = "..".into()), ["spec/invalid-source base.dockerfile"]);
    assert_eq!(dockerfile(|b| b.context = Some("".into())), ["spec/invalid-source base.context"]);
    assert_eq!(dockerfile(|b| b.target = Some("a b".into())), ["spec/invalid-target base.target"]);
    for name in ["", "A-B", "A.B", "1A", "A B", "A="] {
        let base = DockerfileBase {
            build_args: [(name.to_owned(), "x".to_owned())].into(),
            ..DockerfileBase::new("Dockerfile")
        };
        let expected = [format!("spec/invalid-build-arg base.build-args.{name:?}")];
        assert_eq!(problems(&Image::from_dockerfile(base)), expected);
    }
    // Nothing is added to what a Dockerfile makes, but to an image on top of it.
    let legacy = Image::from_dockerfile(DockerfileBase::new("Dockerfile"));
    assert_eq!(problems(&legacy.with_cmd(["a"])), ["spec/not-extendable base"]);
    let above = Image::from_image(legacy.with_name("legacy")).with_cmd(["a"]);
    assert_eq!(problems(&above), [""; 0]);
    for name in ["", "a b", "a/b", "a=b"] {
        let found = problems(&Image::from_ref(name));
        assert_eq!(found, ["spec/invalid-image-name base.ref"], "{name:?}");
    }
    // What is wrong below is said with how far below.
    let below = slim().with_workdir("x").with_user("a b");
    let found = problems(&Image::from_image(Image::from_image(below)).with_user("a b"));
    let expected = [
        "spec/invalid-user user",
        "spec/invalid-workdir base.base.workdir",
        "spec/invalid-user base.base.user",
    ];
    assert_eq!(found, expected);
}

#[test]
fn single_files_bundles_and_builders() {
    let only = |file: &str| {
        let options = SourceOptions::new().with_only(["ok/m.py", file]);
        problems(&slim().with_source_folder("src", "/src", options))
    };
    for file in ["m.py", "./pkg/m.py", "pkg//m.py"] {
        assert_eq!(only(file), [""; 0], "{file:?}");
    }
    for file in ["", ".", "..", "../m.py", "a/../b", "/m.py"] {
        assert_eq!(only(file), ["spec/invalid-source copy.only[1]"], "{file:?}");
    }
    let bundle = |dst: &str| problems(&slim().with_code_bundle(CopyStyle::All, dst));
    assert_eq!(bundle("."), [""; 0]);
    assert_eq!(bundle("../x"), ["spec/invalid-destination code.dst"]);
    for name in ["", "my builder", "a/b", "-x", ".x"] {
        assert_eq!(problems(&slim().with_builder(name)), ["spec/invalid-builder builder"]);
    }
    assert_eq!(problems(&slim().with_builder("buildkit.eu-1_a")), [""; 0]);
    assert_eq!(
        problems(&slim().with_wheels("", PipOptions::new())),
        ["spec/invalid-source wheels"]
    );
    let ignore = slim().with_dockerignore("");
    assert_eq!(problems(&ignore), ["spec/invalid-source dockerignore"]);
    for registry in
        ["ghcr.io/team", "localhost:5000", "[::1]:5000/a", "registry.example.com:443/a/b"]
    {
        assert_eq!(problems(&slim().with_registry(registry)), [""; 0], "{registry:?}");
    }
    for registry in [
        "",
        "https://ghcr.io",
        "ghcr.io/Team",
        "ghcr.io/team:1",
        "ghcr.io/team@sha256",
        "ghcr.io//a",
        "a b",
        "ghcr.io/team?x",
    ] {
        let found = problems(&slim().with_registry(registry));
        assert_eq!(found, ["spec/invalid-registry registry"], "{registry:?}");
    }
}
