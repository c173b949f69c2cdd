//! The order of work and the policies, with a builder that only remembers what it was asked.

mod support;

use std::collections::BTreeMap;
use std::sync::Arc;
use support::{Answer, World, build, build_with, builder, engine, image, pushing, root, world};
use tierce_engine::{
    Ability, BuildError, BuildOptions, CodeSource, Events, Execution, Existence, ExportKind,
    NotChecked, Status, UnknownPolicy,
};
use tierce_oci::{Diagnostic, Platform};
use tierce_spec::{CopyStyle, DockerfileBase, Image, Network, Secret};

#[tokio::test]
async fn what_is_there_is_not_built() {
    let w = world(&[Answer::Present]);
    assert_eq!(build(&w, &image(), &pushing()).await, Ok(Status::Present));
    assert_eq!(w.log(), ["check app"]);
}

#[tokio::test]
async fn the_first_checker_that_knows_decides() {
    let w = world(&[Answer::Unknown, Answer::Absent, Answer::Present]);
    assert_eq!(build(&w, &image(), &pushing()).await, Ok(Status::Built));
    assert_eq!(w.log(), ["check app", "check app", "build app by high"]);
}

#[tokio::test]
async fn force_and_latest_are_not_checked() {
    for (image, force) in [(image(), true), (image().with_tag("latest"), false)] {
        let w = world(&[Answer::Present]);
        let options = BuildOptions { force, ..pushing() };
        assert_eq!(build(&w, &image, &options).await, Ok(Status::Built));
        assert_eq!(w.log(), ["build app by high"]);
    }
}

#[tokio::test]
async fn a_dry_run_checks_and_builds_nothing() {
    let w = world(&[Answer::Absent]);
    let options = BuildOptions { dry_run: true, ..pushing() };
    assert_eq!(build(&w, &image(), &options).await, Ok(Status::WouldBuild));
    assert_eq!(w.log(), ["check app", "render app by high"]);
    let w = world(&[Answer::Present]);
    assert_eq!(build(&w, &image(), &options).await, Ok(Status::Present));
}

#[tokio::test]
async fn the_policy_decides_when_nobody_knows() {
    for (unknown, expected, built) in [
        (UnknownPolicy::Build, Ok(Status::Built), true),
        (UnknownPolicy::AssumePresent, Ok(Status::AssumedPresent), false),
        (UnknownPolicy::Fail, Err("engine/unknown-presence".to_owned()), false),
    ] {
        let w = world(&[Answer::Unknown]);
        let options = BuildOptions { unknown, ..pushing() };
        assert_eq!(build(&w, &image(), &options).await, expected);
        let log = w.log();
        // A policy that goes on says why it had to.
        let warned = log.iter().any(|l| l.contains("test cannot tell: the registry is asleep"));
        assert_eq!(warned, expected.is_ok(), "{log:?}");
        assert_eq!(log.contains(&"build app by high".to_owned()), built);
    }
}

#[tokio::test]
async fn a_wrong_image_fails_before_anything_is_asked() {
    let w = world(&[Answer::Present]);
    let wrong = image().with_workdir("relative");
    assert!(build(&w, &wrong, &pushing()).await.is_err());
    assert!(w.log().is_empty());
}

#[tokio::test]
async fn builders_are_chosen_by_name_then_priority() {
    let w = world(&[]);
    let options = BuildOptions { builder: Some("low".into()), ..pushing() };
    assert_eq!(build(&w, &image(), &options).await, Ok(Status::Built));
    assert_eq!(w.log(), ["build app by low"]);
    let options = BuildOptions { builder: Some("none".into()), ..pushing() };
    assert_eq!(build(&w, &image(), &options).await, Err("engine/unknown-builder".into()));
}

#[tokio::test]
async fn only_images_with_a_registry_are_pushed() {
    let w = world(&[]);
    let nameless = Image::from_scratch().with_name("app");
    assert_eq!(build(&w, &nameless, &pushing()).await, Err("engine/no-registry".into()));
}

#[tokio::test]
async fn files_are_always_written() {
    let w = world(&[Answer::Present]);
    let exports = vec!["oci:out".parse().unwrap()];
    let options = BuildOptions { push: false, exports, ..pushing() };
    assert_eq!(build(&w, &image(), &options).await, Ok(Status::Built));
    assert_eq!(w.log(), ["build app by high"]);
}

#[test]
fn a_missing_source_is_named() {
    let missing = image().with_source_file("no-such-file", "/f");
    let error = engine(&world(&[])).prepare(&missing, &pushing()).err().unwrap();
    assert_eq!(error.code(), "source/missing");
    assert!(error.to_string().contains("no-such-file"), "{error}");
}

#[tokio::test]
async fn a_failing_policy_says_what_each_checker_said() {
    let w = world(&[Answer::Unknown, Answer::Unknown]);
    let options = BuildOptions { unknown: UnknownPolicy::Fail, ..pushing() };
    let error = engine(&w).build(&image(), &options, &Events::none()).await.unwrap_err();
    let text = error.to_string();
    assert_eq!(text.matches("test cannot tell: the registry is asleep").count(), 2, "{text}");
}

#[tokio::test]
async fn existence_is_told_apart_from_ignorance() {
    let forced = BuildOptions { force: true, ..pushing() };
    let assuming = BuildOptions { unknown: UnknownPolicy::AssumePresent, ..pushing() };
    let written = BuildOptions { exports: vec!["oci:out".parse().unwrap()], ..pushing() };
    let plain = Image::from_base("debian:bookworm").unwrap();
    let cases: [(&[Answer], Image, BuildOptions, &str); 10] = [
        (&[Answer::Present], image(), pushing(), "present"),
        (&[Answer::Vouched], image(), pushing(), "vouched for: r.example/app:its"),
        (&[Answer::Absent], image(), pushing(), "absent"),
        (&[Answer::Unknown], image(), pushing(), "unknown"),
        (&[Answer::Unknown], image(), assuming, "assumed"),
        (&[Answer::Present], image(), forced, "Forced"),
        (&[Answer::Present], image(), written, "Written"),
        (&[Answer::Present], image().with_tag("latest"), pushing(), "Latest"),
        (&[], image(), pushing(), "NoCheckers"),
        (&[Answer::Absent], plain, pushing(), "Unmodified"),
    ];
    for (answers, image, options, expected) in cases {
        let w = world(answers);
        let found = engine(&w).image_exists(&image, &options, &Events::none()).await.unwrap();
        let found = match found {
            Existence::Present(found) => {
                assert_eq!(found, root());
                "present".to_owned()
            }
            Existence::Vouched(uri) => format!("vouched for: {uri}"),
            Existence::Absent => "absent".to_owned(),
            Existence::Unknown(_) => "unknown".to_owned(),
            Existence::Assumed(_) => "assumed".to_owned(),
            Existence::NotChecked(why) => format!("{why:?}"),
        };
        assert_eq!(found, expected);
        assert_eq!(w.count("build"), 0);
    }
}

#[tokio::test]
async fn an_image_that_somebody_vouches_for_is_there_and_nothing_is_remembered_of_it() {
    let w = world(&[Answer::Vouched]);
    for checks in 1..3 {
        let built = engine(&w).build(&image(), &pushing(), &Events::none()).await.unwrap();
        assert_eq!((built.status, built.uri.as_str()), (Status::Present, "r.example/app:its"));
        assert_eq!(built.digest, None);
        assert_eq!((w.count("check"), w.count("build")), (checks, 0));
    }
}

#[tokio::test]
async fn an_image_that_nothing_was_done_to_is_its_own_reference() {
    let w = world(&[Answer::Absent]);
    let plain = Image::from_base("debian:bookworm").unwrap();
    let build = engine(&w).build(&plain, &pushing(), &Events::none()).await.unwrap();
    assert_eq!(build.uri, "docker.io/library/debian:bookworm");
    assert_eq!(build.status, Status::Unmodified);
    assert!(w.log().is_empty(), "{:?}", w.log());
    // As soon as it is named, there is something to do.
    let named = plain.with_name("mine").with_registry("r.example");
    assert_eq!(self::build(&w, &named, &pushing()).await, Ok(Status::Built));
}

#[tokio::test]
async fn nothing_is_built_inside_an_execution() {
    let w = world(&[Answer::Absent]);
    let mut engine = engine(&w);
    engine.set_execution(Execution::Inside { image: Some("r.example/running:1".into()) });
    let built = engine.build(&image(), &pushing(), &Events::none()).await.unwrap();
    assert_eq!(built.status, Status::Skipped);
    assert!(built.uri.starts_with("r.example/app:t"), "{}", built.uri);
    // Sources need not be there; a specification that makes no sense is none, all the same.
    let elsewhere = image().with_source_file("not-here", "/f");
    let built = engine.build(&elsewhere, &pushing(), &Events::none()).await.unwrap();
    assert_eq!((built.status, built.uri.as_str()), (Status::Skipped, "r.example/running:1"));
    assert!(engine.build(&image().with_workdir("no"), &pushing(), &Events::none()).await.is_err());
    let why = engine.image_exists(&image(), &pushing(), &Events::none()).await.unwrap();
    assert!(matches!(why, Existence::NotChecked(NotChecked::Inside)));
    assert!(w.log().is_empty(), "{:?}", w.log());
}

#[tokio::test]
async fn names_are_looked_up_before_anything_is_read() {
    let w = world(&[Answer::Absent]);
    let image = Image::from_ref("team-base").with_name("app").with_registry("r.example");
    assert_eq!(build(&w, &image, &pushing()).await, Err("spec/unknown-image-name".into()));
    let names = BTreeMap::from([("team-base".to_owned(), "debian:12".parse().unwrap())]);
    let options = BuildOptions { names, ..pushing() };
    let named = engine(&w).prepare(&image, &options).unwrap();
    let plain = Image::from_base("debian:12").unwrap().with_name("app").with_registry("r.example");
    assert_eq!(named.key, engine(&w).prepare(&plain, &pushing()).unwrap().key);
    // Below another image, too.
    let above = Image::from_image(image).with_name("above").with_registry("r.example");
    assert!(engine(&w).prepare(&above, &options).is_ok());
}

#[test]
fn code_is_brought_by_whoever_is_to_bring_it() {
    let code = tempfile::tempdir().unwrap();
    std::fs::create_dir(code.path().join("src")).unwrap();
    std::fs::write(code.path().join("src/main.py"), "print()\n").unwrap();
    std::fs::write(code.path().join("src/other.py"), "print()\n").unwrap();
    let root = code.path().to_owned();
    let engine = engine(&world(&[]));
    let key = |image: &Image, code: CodeSource| {
        let options = BuildOptions { code, root: root.clone(), ..pushing() };
        engine.prepare(image, &options).unwrap().key
    };
    let copied = |loaded: &[&str]| CodeSource::Image {
        root: "src".into(),
        loaded: Some(loaded.iter().map(Into::into).collect()),
    };
    let bundled = image().with_code_bundle(CopyStyle::LoadedModules, "/srv");
    assert_eq!(key(&bundled, CodeSource::Runner), key(&image(), CodeSource::Runner));
    let one = key(&bundled, copied(&["main.py"]));
    assert_ne!(one, key(&bundled, CodeSource::Runner));
    assert_ne!(one, key(&bundled, copied(&["main.py", "other.py"])));
    let whole = image().with_code_bundle(CopyStyle::All, "/srv");
    let both = key(&whole, copied(&[]));
    assert_eq!(both, key(&bundled, copied(&["main.py", "other.py"])));
    let unknown = CodeSource::Image { root: "src".into(), loaded: None };
    assert_eq!(both, key(&bundled, unknown));
    // The code of an image below is decided about as well.
    let above = |below: Image| Image::from_image(below).with_name("above");
    assert_eq!(
        key(&above(bundled.clone()), CodeSource::Runner),
        key(&above(image()), CodeSource::Runner)
    );
}

#[tokio::test]
async fn what_a_builder_cannot_do_is_refused_with_those_that_can() {
    let secret = Secret::new("token");
    let secretly = image().with_step(tierce_spec::Step::Commands(tierce_spec::Commands {
        commands: vec!["true".into()],
        network: Network::Host,
        secrets: vec![secret],
    }));
    let both = ["linux/amd64", "linux/arm64"].map(|p| p.parse::<Platform>().unwrap());
    let here = tempfile::tempdir().unwrap();
    std::fs::write(here.path().join("Dockerfile"), "FROM scratch\n").unwrap();
    let dockerfile = Image::from_dockerfile(DockerfileBase::new("Dockerfile"));
    let dockerfile = dockerfile.with_name("app").with_registry("r.example");
    let keep = BuildOptions { push: false, ..pushing() };
    for (image, options, wanted) in [
        (secretly, pushing(), Ability::Secrets),
        (image().with_platforms(both), pushing(), Ability::SeveralPlatforms),
        (dockerfile, pushing(), Ability::Dockerfiles),
        (image(), keep, Ability::Keep),
    ] {
        let w = world(&[Answer::Absent]);
        let mut weak = builder(&w, "weak");
        weak.able = false;
        weak.exports = [ExportKind::Push].into();
        let mut engine = engine(&w);
        engine.register(Arc::new(weak), 9);
        let options = BuildOptions { root: here.path().to_owned(), ..options };
        let error = engine.build(&image, &options, &Events::none()).await.unwrap_err();
        assert_eq!(error.code(), "engine/unsupported-by-builder", "{error}");
        assert!(
            matches!(&error, BuildError::Unable { wanted: w, .. } if *w == [wanted]),
            "{error}"
        );
        assert!(error.hint().unwrap().ends_with("high, low."), "{:?}", error.hint());
        assert_eq!(w.count("build"), 0);
    }
}

#[tokio::test]
async fn what_a_builder_leaves_out_is_a_warning() {
    let w = world(&[Answer::Absent]);
    let mut careless = builder(&w, "careless");
    careless.leaves_out = vec!["bytecode"];
    let mut engine = engine(&w);
    engine.register(Arc::new(careless), 9);
    assert_eq!(build_with(&engine, &w, &image(), &pushing()).await, Ok(Status::Built));
    let warning =
        "warning builder/unsupported-parameter: careless leaves out bytecode: it never does";
    assert_eq!(w.log(), ["check app", warning, "build app by careless"]);
}

#[tokio::test]
async fn a_source_that_changes_meanwhile_aborts_the_build() {
    let sources = tempfile::tempdir().unwrap();
    let file = sources.path().join("code.py");
    std::fs::write(&file, "before\n").unwrap();
    let changed = file.clone();
    let w = Arc::new(World {
        meanwhile: Some(Box::new(move || std::fs::write(&changed, "after, and longer\n").unwrap())),
        ..World::new(&[Answer::Absent])
    });
    let image = image().with_source_file("code.py", "/code.py");
    let options = BuildOptions { root: sources.path().to_owned(), ..pushing() };
    let error = engine(&w).build(&image, &options, &Events::none()).await.unwrap_err();
    assert_eq!(error.code(), "source/changed");
    assert!(error.to_string().contains(file.to_str().unwrap()), "{error}");
}

#[tokio::test]
async fn checkers_are_told_whose_tag_it_is() {
    let w = world(&[Answer::Absent]);
    let key = engine(&w).prepare(&image(), &pushing()).unwrap().key.tag();
    let other = engine(&w).prepare(&image().with_labels([("a", "b")]), &pushing()).unwrap();
    for (tag, note) in [
        (key, "check app"),
        ("mine".to_owned(), "check app by a chosen tag"),
        // It looks like one of a key, and it is of the key of another image.
        (other.key.tag(), "check app by a chosen tag"),
    ] {
        w.forget();
        assert_eq!(build(&w, &image().with_tag(&tag), &pushing()).await, Ok(Status::Built));
        assert_eq!(w.log()[0], note, "{tag}");
    }
}

#[tokio::test]
async fn what_would_fail_before_anything_is_built_is_told_without_building() {
    let here = tempfile::tempdir().unwrap();
    let secretly = image().with_step(tierce_spec::Step::Commands(tierce_spec::Commands {
        commands: vec!["true".into()],
        network: Network::None,
        secrets: vec![Secret::new("none")],
    }));
    let (nope, push) = (Some("nope".to_owned()), pushing());
    for (image, options, expected) in [
        (image(), push.clone(), Ok("r.example/app")),
        (image(), BuildOptions { builder: nope, ..push.clone() }, Err("engine/unknown-builder")),
        (secretly, push.clone(), Err("secret/missing")),
        (image().with_source_file("nothing", "/a"), push, Err("source/missing")),
    ] {
        let w = world(&[Answer::Absent]);
        let options = BuildOptions { root: here.path().to_owned(), ..options };
        let ready = engine(&w).check_ready(&image, &options, &Events::none()).await;
        match (&ready, expected) {
            (Ok(uri), Ok(start)) => assert!(uri.starts_with(start), "{uri}"),
            (Err(error), Err(code)) => assert_eq!(error.code(), code, "{error}"),
            _ => panic!("{ready:?}, expected {expected:?}"),
        }
        assert_eq!(w.count("build"), 0);
    }
}
