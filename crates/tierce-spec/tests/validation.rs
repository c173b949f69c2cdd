//! Problems of images made by the fluent API.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use tierce_oci::{Diagnostic, Platform};
use tierce_spec::{Image, Network, PipOptions, SourceOptions};

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
