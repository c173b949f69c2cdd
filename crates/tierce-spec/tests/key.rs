//! What the key of an image depends on, and what it does not.

use proptest::prelude::*;
use serde_json::{Value, json};
use std::path::Path;
use tierce_oci::{Digest, Platform};
use tierce_spec::manifest::{Manifest, ManifestFiles, SourceKind};
use tierce_spec::{
    Apt, Base, Command, Commands, Conda, CondaSource, DebianBase, DockerfileBase, Groups, Image,
    ImageKey, Input, Inputs, Network, PipOptions, PixiEnvironment, Project, ProjectInstall,
    ProjectKind, PythonRequest, ResolveError, ResolvedImage, SearchPath, Secret, Selection,
    SourceOptions, Step,
};

/// Resolves `image` with digests that `content` makes from the paths.
fn resolve(image: &Image, content: &dyn Fn(&Path) -> String) -> ResolvedImage {
    let mut inputs = Inputs::new(Platform::linux("amd64"));
    for input in image.inputs() {
        let digest = match input {
            Input::Image(base) => resolve(base, &content).key().digest(),
            input => Digest::of(content(input.path().unwrap())),
        };
        inputs.insert(input.slot(), digest);
    }
    image.resolve(&inputs).unwrap_or_else(|error| panic!("{error}"))
}

fn key(image: &Image) -> ImageKey {
    resolve(image, &|path| path.display().to_string()).key()
}

fn slim() -> Image {
    Image::from_base("python:3.12-slim").unwrap()
}

/// A command that sees secrets.
fn secrets(secrets: Vec<Secret>) -> Image {
    let (commands, network) = (vec!["a b".into()], Network::Host);
    slim().with_step(Step::Commands(Commands { commands, network, secrets }))
}

fn pip(packages: &[&str]) -> Image {
    slim().with_pip_packages(packages.iter().copied(), PipOptions::new())
}

fn one(name: &str) -> Vec<String> {
    vec![name.to_owned()]
}

fn project(kind: ProjectKind, selection: Selection) -> Image {
    slim().with_project(Project::new(kind, "a").with_selection(selection))
}

#[test]
fn a_lock_is_part_of_the_key() {
    let resolved = resolve(&slim(), &|path| path.display().to_string());
    let locked = |what: &str| resolved.clone().with_lock(Digest::of(what)).key();
    assert_ne!(locked("a"), resolved.key());
    assert_ne!(locked("a"), locked("b"));
    assert_eq!(locked("a"), locked("a"));
}

#[test]
fn different_images_have_different_keys() {
    let folder = |src: &str, dst: &str| slim().with_source_folder(src, dst, SourceOptions::new());
    let debian = |base: DebianBase| Image::from_debian(base);
    let url = |text: &str| text.parse().unwrap();
    let images = [
        Image::from_scratch(),
        slim(),
        Image::from_base("python:3.12").unwrap(),
        debian(DebianBase::new("bookworm")),
        debian(DebianBase::new("bookworm").with_python(true)),
        debian(DebianBase::new("bookworm").with_packages(["git"])),
        debian(DebianBase::new("bookworm").with_components(["git"])),
        debian(DebianBase::new("bookworm").with_mirror(url("https://mirror.example.com/"))),
        debian(
            DebianBase::new("bookworm").with_security_mirror(url("https://mirror.example.com/")),
        ),
        debian(DebianBase::new("trixie")),
        slim().with_apt_packages(["git"]),
        Image::from_base("debian:bookworm").unwrap().with_apt_packages(["git"]),
        // What the systems before us got wrong: unseparated input, and kinds that look alike.
        pip(&["ab", "c"]),
        pip(&["a", "bc"]),
        pip(&["abc"]),
        pip(&["c", "ab"]),
        pip(&["ab"]).with_pip_packages(["c"], PipOptions::new()),
        pip(&["curl"]),
        slim().with_apt_packages(["curl"]),
        folder("a/b", "a/b"),
        folder("ab", "ab"),
        folder("a/b", "ab"),
        folder("ab", "a/b"),
        slim().with_source_file("a/b", "a/b"),
        slim().with_source_file("ab", "ab"),
        // A folder as a destination: the file's name counts.
        slim().with_source_file("ab", "a/"),
        slim().with_env_vars([("A", "BC")]),
        slim().with_env_vars([("AB", "C")]),
        slim().with_env_vars([("A", "thkteorhwvaccr6gudzjt25zy"), ("C", "D")]),
        slim().with_env_vars([("A", "B")]).with_env_vars([("C", "D")]),
        slim().with_env_vars([("C", "D")]).with_env_vars([("A", "B")]),
        slim().with_labels([("A", "BC")]),
        slim().with_commands(["a b"], Network::Host),
        slim().with_commands(["a b"], Network::None),
        slim().with_commands([Command::Exec(vec!["a b".into()])], Network::Host),
        slim().with_commands([Command::Exec(vec!["a".into(), "b".into()])], Network::Host),
        slim().with_commands(["a", "b"], Network::Host),
        slim().with_entrypoint(["a"]),
        slim().with_cmd(["a"]),
        slim().with_user("a"),
        slim().with_workdir("/a"),
        slim().with_requirements("a", PipOptions::new()),
        slim().with_requirements("a", PipOptions::new().with_pre(true)),
        slim().with_requirements("b", PipOptions::new()),
        slim().with_pip_packages(["a"], PipOptions::new().with_pre(true)),
        slim().with_pip_packages(["a"], PipOptions::new().with_extra_args(["--no-deps"])),
        slim().with_pip_packages(["a"], PipOptions::new().with_index(url("https://a.example/"))),
        slim().with_pip_packages(
            ["a"],
            PipOptions::new().with_extra_index(url("https://a.example/")),
        ),
        slim().with_platforms([Platform::linux("arm64")]),
        slim().with_platforms([Platform::linux("arm64"), Platform::linux("amd64")]),
        slim().with_python(PythonRequest::new("3.12").unwrap()),
        slim().with_python(PythonRequest::new("3.12.1").unwrap()),
        slim().with_python(PythonRequest::new("3.12").unwrap().with_interpreter("/bin/python")),
        slim().with_python(PythonRequest::at("/bin/python")),
        slim().with_search_path("A", SearchPath { before: vec!["/b".into()], after: vec![] }),
        slim().with_search_path("A", SearchPath { before: vec![], after: vec!["/b".into()] }),
        slim().with_env_vars([("A", "/b")]),
        slim().with_bytecode(true),
        slim().with_bytecode(false),
        // Images below, Dockerfiles, wheels, and what is seen of secrets.
        Image::from_image(slim()),
        Image::from_image(Image::from_scratch()),
        Image::from_image(Image::from_image(slim())),
        Image::from_image(pip(&["a"])),
        Image::from_image(slim()).with_pip_packages(["a"], PipOptions::new()),
        Image::from_dockerfile(DockerfileBase::new("a")),
        Image::from_dockerfile(DockerfileBase::new("b")),
        Image::from_dockerfile(DockerfileBase {
            build_args: [("A".into(), "1".into())].into(),
            ..DockerfileBase::new("a")
        }),
        Image::from_dockerfile(DockerfileBase {
            target: Some("a".into()),
            ..DockerfileBase::new("a")
        }),
        slim().with_wheels("a", PipOptions::new()),
        slim().with_wheels("b", PipOptions::new()),
        slim().with_wheels("a", PipOptions::new().with_pre(true)),
        secrets(vec![Secret::new("a")]),
        secrets(vec![Secret::new("b")]),
        secrets(vec![Secret::new("a"), Secret::new("b")]),
        secrets(vec![Secret::new("a").with_mount("/a")]),
        secrets(vec![Secret::new("a").with_mount("/a").with_env("A")]),
        slim().with_pip_packages(["a"], PipOptions::new().with_secrets([Secret::new("a")])),
        slim().with_step(Step::Apt(Apt {
            packages: vec!["git".into()],
            secrets: vec![Secret::new("a")],
        })),
        // Projects and conda environments.
        project(ProjectKind::Uv, Selection::default()),
        project(ProjectKind::Poetry, Selection::default()),
        project(ProjectKind::Pylock, Selection::default()),
        project(ProjectKind::Uv, Selection { groups: Groups::All, ..Selection::default() }),
        project(ProjectKind::Uv, Selection { with_groups: one("a"), ..Selection::default() }),
        project(ProjectKind::Uv, Selection { without_groups: one("a"), ..Selection::default() }),
        project(ProjectKind::Uv, Selection { with_extras: one("a"), ..Selection::default() }),
        project(ProjectKind::Uv, Selection { packages: one("a"), ..Selection::default() }),
        slim().with_project(
            Project::new(ProjectKind::Uv, "a").with_install(ProjectInstall::InstallProject),
        ),
        slim().with_conda(Conda::new(CondaSource::Packages(one("a")))),
        slim().with_conda(Conda::new(CondaSource::Packages(one("a"))).with_channels(["c"])),
        slim().with_conda(Conda::new(CondaSource::Packages(one("a"))).with_prefix("/c")),
        slim().with_conda(Conda::new(CondaSource::Environment { file: "a".into() })),
        slim().with_conda(Conda::new(CondaSource::Lock { file: "a".into() })),
        slim().with_conda(Conda::new(CondaSource::Pixi(PixiEnvironment::new("a")))),
    ];
    for (index, one) in images.iter().enumerate() {
        for other in &images[index + 1..] {
            assert_ne!(key(one), key(other), "{one:?}\n{other:?}");
        }
    }
}

#[test]
fn what_does_not_make_another_image_does_not_change_the_key() {
    let base = slim();
    for same in [
        base.with_name("report"),
        base.with_registry("ghcr.io/team"),
        base.with_tag("latest"),
        base.with_root("../elsewhere"),
        base.with_dockerignore("rules"),
        base.with_registry_secret(Secret::new("login")),
        base.with_builder("docker"),
        base.with_platforms([Platform::linux("amd64")]),
    ] {
        assert_eq!(key(&same), key(&base), "{same:?}");
    }
    let both = |first, second| base.with_platforms([first, second]);
    let (amd64, arm64) = (Platform::linux("amd64"), Platform::linux("arm64"));
    assert_eq!(key(&both(amd64.clone(), arm64.clone())), key(&both(arm64, amd64)));
    let env = |vars: [(&str, &str); 2]| key(&base.with_env_vars(vars));
    assert_eq!(env([("A", "1"), ("B", "2")]), env([("B", "2"), ("A", "1")]));

    // Where a source lies does not count, nor the rules that made its digest.
    let from = |src: &str, options| base.with_source_folder(src, "/app", options);
    let here = resolve(&from("/home/me/app", SourceOptions::new()), &|_| "tree".into());
    let there = from("../app", SourceOptions::new().with_ignore(["x"]).with_keep_defaults(true));
    assert_eq!(here.key(), resolve(&there, &|_| "tree".into()).key());
    assert_ne!(here.key(), resolve(&there, &|_| "another tree".into()).key());
}

#[test]
fn where_secrets_come_from_does_not_change_the_key() {
    let see = |secret: Secret| key(&secrets(vec![secret]));
    let token = see(Secret::new("token").with_group("pypi"));
    assert_eq!(token, see(Secret::new("pypi_token")));
    assert_eq!(token, see(Secret::new("mine").with_env("PYPI_TOKEN")));
    assert_ne!(token, see(Secret::new("token")));
    let mounted = |key: &str| see(Secret::new(key).with_mount("/run/token"));
    assert_eq!(mounted("a"), mounted("b"));
}

#[test]
fn an_image_below_counts_by_what_it_holds() {
    let above = |below: Image| key(&Image::from_image(below).with_cmd(["a"]));
    assert_eq!(above(slim()), above(slim().with_name("base").with_tag("1").with_root("base")));
    assert_ne!(above(slim()), above(slim().with_cmd(["b"])));
    // What Dockerfiles lie where is of no account, what they say is.
    let dockerfile = |context: Option<&str>| {
        let context = context.map(Into::into);
        let base = DockerfileBase { context, ..DockerfileBase::new("Dockerfile") };
        resolve(&Image::from_dockerfile(base), &|_| "content".into()).key()
    };
    assert_eq!(dockerfile(None), dockerfile(Some("..")));
}

#[test]
fn credentials_do_not_change_the_key() {
    let index = |credentials: &str| {
        let index = format!("https://{credentials}pypi.example.com/simple").parse().unwrap();
        let package = format!("x @ git+https://{credentials}git.example.com/x.git@v1");
        let find_links = format!("--find-links=https://{credentials}example.com/");
        let options = PipOptions::new()
            .with_index(index)
            .with_extra_index(format!("https://{credentials}a.example.com/").parse().unwrap())
            .with_extra_args([find_links]);
        key(&slim().with_pip_packages([package], options))
    };
    assert_eq!(index("me:secret@"), index("you:other@"));
    assert_eq!(index("token@"), index(""));
    let ssh = |user: &str| key(&pip(&[&format!("x @ git+ssh://{user}@example.com/x.git")]));
    assert_ne!(ssh("git"), ssh("other"));
}

#[test]
fn every_digest_is_demanded_and_no_other_is_taken() {
    let image = slim()
        .with_source_folder("app", "/app", SourceOptions::new())
        .with_cmd(["app"])
        .with_requirements("deep/requirements.txt", PipOptions::new());
    let mut inputs = Inputs::new(Platform::linux("amd64"));
    inputs.insert(0, Digest::of("app"));
    let error = image.resolve(&inputs).unwrap_err();
    assert!(error.to_string().contains("deep/requirements.txt"), "{error}");
    inputs.insert(2, Digest::of("requirements"));
    let resolved = image.resolve(&inputs).unwrap();
    let digests: Vec<_> = resolved.steps().map(|step| step.digest.is_some()).collect();
    assert_eq!(digests, [true, false, true]);
    inputs.insert(1, Digest::of("cmd"));
    assert_eq!(
        image.resolve(&inputs),
        Err(ResolveError::Unexpected { slot: tierce_spec::Slot::Step(1) })
    );
    let invalid = image.with_workdir("app").resolve(&inputs);
    assert!(matches!(invalid, Err(ResolveError::Invalid(_))), "{invalid:?}");
}

#[test]
fn steps_know_where_they_apply() {
    let image = Image::from_scratch()
        .with_source_folder("a", "a", SourceOptions::new())
        .with_workdir("/srv")
        .with_source_folder("b", "./b/", SourceOptions::new())
        .with_user("app")
        .with_source_file("dir/c.txt", ".")
        .with_source_file("d.txt", "/etc/d");
    let resolved = resolve(&image, &|_| String::new());
    let seen: Vec<_> = resolved
        .steps()
        .filter_map(|s| Some((s.image_path(Some("/base"))?, s.user.unwrap_or("").to_owned())))
        .collect();
    let expected = [("/base/a", ""), ("/srv/b", ""), ("/srv/c.txt", "app"), ("/etc/d", "app")];
    assert_eq!(seen, expected.map(|(path, user)| (path.to_owned(), user.to_owned())));
}

#[test]
fn names_are_a_registry_a_name_and_a_tag() {
    let image = slim();
    let k = key(&image);
    let name = |image: &Image, default| image.reference(&k, default).map(|n| n.to_string());
    assert_eq!(name(&image, None).unwrap_err().to_string(), "the image has no name");
    let image = image.with_name("team/report");
    let local = image.reference(&k, None).unwrap();
    assert_eq!(local.to_string(), format!("team/report:{}", k.tag()));
    assert_eq!(local.reference(), None);
    let named = name(&image, Some("localhost:5000")).unwrap();
    assert_eq!(named, format!("localhost:5000/team/report:{}", k.tag()));
    let image = image.with_registry("ghcr.io/acme").with_tag("v1");
    let pushed = image.reference(&k, Some("localhost:5000")).unwrap();
    assert_eq!(pushed.to_string(), "ghcr.io/acme/team/report:v1");
    assert_eq!(pushed.reference().unwrap().repository(), "acme/team/report");
    assert!(name(&image.with_name("A B"), None).is_err());
}

// ---- Golden vectors ----

/// The manifests of images below.
struct Files;

impl ManifestFiles for Files {
    fn read(&self, file: &Path) -> std::io::Result<String> {
        std::fs::read_to_string(file)
    }
}

/// `golden/KEYS` is append-only: a line that changes means that every image of the field is built
/// anew, under another tag. Raise `FORMAT_VERSION` and add vectors instead.
#[test]
fn golden_vectors_hold() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let keys = std::fs::read_to_string(folder.join("KEYS")).unwrap();
    let mut seen = 0;
    for line in keys.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let [name, digest, tag] = line.split_whitespace().collect::<Vec<_>>()[..] else {
            panic!("{line:?} is not a name, a digest and a tag");
        };
        let text = std::fs::read_to_string(folder.join(name).with_extension("toml")).unwrap();
        let is_file = |path: &Path| path.extension().is_some();
        let file = folder.join(name).with_extension("toml");
        let image = Manifest::parse_with(&text, &file, &Files)
            .unwrap_or_else(|error| panic!("{error}"))
            .image_with(|p| if is_file(p) { SourceKind::File } else { SourceKind::Folder })
            .with_code(Some(Path::new(".")), &["app.py".into()]);
        let k = key(&image);
        assert_eq!(format!("{} {}", k.digest(), k.tag()), format!("{digest} {tag}"), "{name}");
        seen += 1;
    }
    let files = std::fs::read_dir(&folder).unwrap().count();
    assert_eq!(seen, files - 1, "each manifest in golden/ has a line in KEYS");
}

/// The same for what no `tierce.toml` says, append-only too.
#[test]
fn vectors_of_the_api_hold() {
    let search = SearchPath { before: vec!["/a".into()], after: vec!["/b".into(), "/c".into()] };
    let mounted = Secret::new("token").with_mount("/run/token");
    let vectors = [
        (slim().with_search_path("PATH", search), "thu45b3wzhheqhta63whswqaw"),
        (slim().with_python(PythonRequest::at("/opt/bin/python3")), "thkteorhwvaccr6gudzjt25zy"),
        (
            slim().with_wheels("dist", PipOptions::new().with_secrets([mounted])),
            "tbs3fddz5qb2ikwoebbdix3bc",
        ),
        (
            slim().with_source_folder("src", "/x", SourceOptions::new().with_only(["a", "b/c"])),
            "tpijoz4ope6urgtp4thqo2dyc",
        ),
    ];
    let found: Vec<String> = vectors.iter().map(|(image, _)| key(image).tag()).collect();
    let expected: Vec<&str> = vectors.iter().map(|(_, tag)| *tag).collect();
    assert_eq!(found, expected);
}

// ---- Properties ----

fn words() -> impl Strategy<Value = Vec<String>> {
    // Few, short and made of each other, so that bad separators would show.
    let word = prop::sample::select(vec!["aa", "ab", "aab", "aaab", "b0", "b0aa"]);
    prop::collection::vec(word.prop_map(str::to_owned), 0..3)
}

fn options() -> impl Strategy<Value = PipOptions> {
    let url = prop::sample::select(vec!["https://a.example/", "https://me:pw@b.example/x"]);
    let some = (prop::option::of(url.clone()), prop::option::of(url), any::<bool>());
    (some, words(), seen_secrets()).prop_map(|((index, extra, pre), args, secrets)| {
        let mut options = PipOptions::new().with_pre(pre).with_extra_args(args);
        options.secrets = secrets;
        options.index = index.map(|url| url.parse().unwrap());
        options.extra_indexes.extend(extra.map(|url| url.parse().unwrap()));
        options
    })
}

fn seen_secrets() -> impl Strategy<Value = Vec<Secret>> {
    let name = || prop::sample::select(vec!["a", "a_b", "b"]);
    let group = prop::option::of(name());
    let env = prop::option::of(prop::sample::select(vec!["A", "A_B"]));
    let mount = prop::option::of(prop::sample::select(vec!["/a", "/a/b"]));
    let secret = (name(), group, env, mount).prop_map(|(key, group, env, mount)| Secret {
        key: key.into(),
        group: group.map(Into::into),
        env: env.map(Into::into),
        mount: mount.map(Into::into),
    });
    prop::collection::vec(secret, 0..3)
}

fn step() -> impl Strategy<Value = Step> {
    let start = Image::from_scratch;
    let path = || prop::sample::select(vec!["/a", "/aa", "/a/b", "b", "b/", "."]);
    let network = prop::sample::select(vec![Network::Host, Network::None]);
    let image = prop_oneof![
        (words(), seen_secrets()).prop_map(move |(packages, secrets)| {
            start().with_step(Step::Apt(Apt { packages, secrets }))
        }),
        options().prop_map(move |o| start().with_wheels("dist", o)),
        (words(), options()).prop_map(move |(w, o)| start().with_pip_packages(w, o)),
        options().prop_map(move |o| start().with_requirements("r.txt", o)),
        (path(), words()).prop_map(move |(dst, ignore)| {
            start().with_source_folder("src", dst, SourceOptions::new().with_ignore(ignore))
        }),
        (path(), "[a-c]{1,2}").prop_map(move |(dst, src)| start().with_source_file(src, dst)),
        words().prop_map(move |w| start().with_env_vars(pairs_of(w))),
        words().prop_map(move |w| start().with_labels(pairs_of(w))),
        (words(), network, seen_secrets()).prop_map(move |(words, network, secrets)| {
            let commands = words.into_iter().map(Command::from).collect();
            start().with_step(Step::Commands(Commands { commands, network, secrets }))
        }),
        words().prop_map(move |w| start().with_entrypoint(w)),
        words().prop_map(move |w| start().with_cmd(w)),
        path().prop_map(move |p| start().with_workdir(p)),
        words().prop_map(move |w| start().with_user(w.concat())),
    ];
    image.prop_map(|image| image.steps()[0].clone())
}

fn pairs_of(words: Vec<String>) -> impl Iterator<Item = (String, String)> {
    words.into_iter().map(|w| (format!("N{w}"), w))
}

fn image() -> impl Strategy<Value = Image> {
    plain_image().prop_recursive(2, 8, 1, |below| {
        (plain_image(), below, any::<bool>()).prop_map(|(image, below, stacked)| match stacked {
            true => image.with_base(Base::Image(Box::new(below))),
            false => image,
        })
    })
}

fn plain_image() -> impl Strategy<Value = Image> {
    let base = prop::sample::select(vec!["python:3", "python:3.1"]);
    let steps = prop::collection::vec(step(), 0..3);
    (base, steps, prop::option::of(any::<bool>()), prop::option::of("[a-c]")).prop_map(
        |(base, steps, bytecode, name)| {
            let mut image = Image::from_base(base).unwrap();
            image = bytecode.map_or(image.clone(), |compile| image.with_bytecode(compile));
            image = name.map_or(image.clone(), |name| image.with_name(name));
            steps.into_iter().fold(image, |image, step| image.with_step(step))
        },
    )
}

/// What should decide the key, made from the JSON form and not from the encoding.
fn essence(image: &Image) -> Value {
    let mut value = serde_json::to_value(image).unwrap();
    let object = value.as_object_mut().unwrap();
    for key in ["name", "registry", "tag"] {
        object.remove(key);
    }
    if let Base::Image(below) = image.base() {
        object["base"]["image"] = essence(below);
    }
    for (json, step) in object["steps"].as_array_mut().unwrap().iter_mut().zip(image.steps()) {
        // What is seen of secrets, not where they come from.
        let seen: Vec<_> = step.secrets().iter().map(|s| (s.env_name(), s.mount.clone())).collect();
        for holder in
            ["/apt", "/commands", "/pip/options", "/requirements/options", "/wheels/options"]
        {
            if let Some(secrets) = json.pointer_mut(&format!("{holder}/secrets")) {
                *secrets = json!(seen);
            }
        }
        match step {
            Step::SourceFolder(folder) => {
                *json = json!({ "folder": folder.src.to_str(), "dst": folder.dst });
            }
            Step::SourceFile(file) => {
                *json = json!({ "file": file.src.to_str(), "dst": file.target() });
            }
            _ => {}
        }
    }
    value
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn keys_are_equal_exactly_where_images_are(one in image(), other in image()) {
        // Some of these are not valid (the same file twice, say): they have no key.
        let key = |image: &Image| image.validate().is_ok().then(|| key(image));
        if let (Some(a), Some(b)) = (key(&one), key(&other)) {
            prop_assert_eq!(a == b, essence(&one) == essence(&other), "{:?}\n{:?}", one, other);
        }
    }

    #[test]
    fn the_order_of_different_steps_counts(first in step(), second in step()) {
        let base = slim();
        let ab = base.with_step(first.clone()).with_step(second.clone());
        let ba = base.with_step(second).with_step(first);
        if ab.validate().is_ok() && ba.validate().is_ok() {
            prop_assert_eq!(key(&ab) == key(&ba), essence(&ab) == essence(&ba));
        }
    }

    #[test]
    fn tags_are_words_that_registries_take(seed in any::<u64>()) {
        let k = key(&slim().with_labels([("seed", seed.to_string())]));
        let tag = k.tag();
        prop_assert_eq!(tag.len(), 25);
        prop_assert!(tag.starts_with('t'));
        let reference = tierce_oci::Reference::new("localhost", "x", Some(&tag));
        prop_assert!(reference.is_ok());
    }

    #[test]
    fn images_survive_json(image in image()) {
        // Credentials do not, by design: what is left reads back as it was written.
        let json = serde_json::to_string(&image).unwrap();
        let back: Image = serde_json::from_str(&json).unwrap();
        prop_assert_eq!(serde_json::to_string(&back).unwrap(), json);
    }
}

#[test]
fn a_base_is_what_it_says() {
    assert_eq!(*Image::from_scratch().base(), Base::Scratch);
    assert!(Image::from_base("Not A Reference").is_err());
}
