//! Several images at once, and images that are the base of others.

mod support;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use support::{Answer, World, build, build_with, engine, image, pushing, world};
use tierce_engine::{BuildOptions, Events, Status};
use tierce_oci::Diagnostic;
use tierce_spec::Image;

fn named(name: &str) -> Image {
    image().with_name(name)
}

/// `name` on `below`.
fn on(below: &Image, name: &str) -> Image {
    Image::from_image(below.clone()).with_name(name).with_registry("r.example")
}

fn builds(world: &World) -> Vec<String> {
    world.log().into_iter().filter(|line| line.starts_with("build")).collect()
}

#[tokio::test]
async fn bases_are_built_first_and_only_if_need_be() {
    let chain = on(&on(&named("bottom"), "middle"), "top");
    let w = world(&[Answer::Absent]);
    assert_eq!(build(&w, &chain, &pushing()).await, Ok(Status::Built));
    assert_eq!(
        w.log(),
        [
            "check top",
            "check middle",
            "check bottom",
            "build bottom by high",
            "build middle by high on bottom",
            "build top by high on middle"
        ]
    );
    let w = Arc::new(World { present: vec!["middle"], ..World::new(&[Answer::Absent]) });
    assert_eq!(build(&w, &chain, &pushing()).await, Ok(Status::Built));
    assert_eq!(w.log(), ["check top", "check middle", "build top by high on middle"]);
    let w = world(&[Answer::Present]);
    assert_eq!(build(&w, &chain, &pushing()).await, Ok(Status::Present));
    assert_eq!(w.log(), ["check top"]);
}

#[tokio::test]
async fn a_base_without_name_or_registry_has_those_of_the_image_on_top() {
    let nameless = Image::from_scratch().with_env_vars([("A", "1")]);
    let chain = Image::from_image(nameless).with_name("group/app").with_registry("r.example/team");
    let w = world(&[Answer::Absent]);
    let build = engine(&w).build(&chain, &pushing(), &Events::none()).await.unwrap();
    let base = build.base.unwrap();
    assert!(base.uri.starts_with("r.example/team/group/app-base:t"), "{}", base.uri);
    assert_eq!(base.status, Status::Built);
    // A base that is an image of a registry is nothing to build.
    let plain = Image::from_base("debian:12").unwrap();
    let w = world(&[Answer::Absent]);
    let build = engine(&w).build(&on(&plain, "top"), &pushing(), &Events::none()).await.unwrap();
    assert_eq!(build.base.unwrap().status, Status::Unmodified);
    assert_eq!(builds(&w), ["build top by high on debian"]);
}

#[tokio::test]
async fn bases_go_where_the_image_on_top_goes_and_to_its_builder() {
    let chain = on(&named("base").with_builder("low"), "top");
    // Both are pushed: the builder on top finds what the other one made.
    let w = world(&[Answer::Absent]);
    assert_eq!(build(&w, &chain, &pushing()).await, Ok(Status::Built));
    assert_eq!(builds(&w), ["build base by low", "build top by high on base"]);
    let keep = BuildOptions { push: false, ..pushing() };
    assert_eq!(build(&w, &chain, &keep).await, Err("engine/base-elsewhere".into()));
    // An argument is for all of them.
    let w = world(&[Answer::Absent]);
    let options = BuildOptions { builder: Some("high".into()), ..keep };
    assert_eq!(build(&w, &chain, &options).await, Ok(Status::Built));
    assert_eq!(builds(&w), ["build base by high", "build top by high on base"]);
}

#[tokio::test]
async fn a_base_that_fails_is_named() {
    let w = Arc::new(World { failing: vec!["base"], ..World::new(&[Answer::Absent]) });
    let error = engine(&w)
        .build(&on(&named("base"), "top"), &pushing(), &Events::none())
        .await
        .unwrap_err();
    assert!(error.to_string().starts_with("cannot build the base image r.example/base:t"));
    assert_eq!(error.code(), "test/broken");
    assert_eq!(builds(&w), ["build base by high"]);
}

#[tokio::test]
async fn a_dry_run_shows_bases_and_the_image_on_top() {
    let options = BuildOptions { dry_run: true, ..pushing() };
    let w = world(&[Answer::Absent]);
    let top = on(&named("base"), "top");
    let shown = engine(&w).build(&top, &options, &Events::none()).await.unwrap();
    assert_eq!(shown.status, Status::WouldBuild);
    assert_eq!(shown.rendering.unwrap().command.as_deref(), Some("make top"));
    let base = shown.base.unwrap();
    assert_eq!(base.rendering.as_ref().unwrap().command.as_deref(), Some("make base"));
    assert_eq!(builds(&w), [""; 0]);
    // To be shown an image need not be absent.
    let w = world(&[Answer::Present]);
    let shown = engine(&w).render(&top, &pushing(), &Events::none()).await.unwrap();
    assert_eq!(shown.status, Status::WouldBuild);
    assert_eq!(w.log(), ["check base", "render top by high"]);
}

#[tokio::test]
async fn what_images_have_in_common_is_built_once() {
    let w = world(&[Answer::Absent]);
    let base = named("base");
    let same = on(&base, "a");
    let images = [&same, &on(&base, "b"), &same, &base];
    let images: Vec<_> = images.into_iter().map(|i| (i.clone(), pushing())).collect();
    let results = engine(&w).build_all(&images, &Events::new(w.clone())).await;
    let uris: Vec<String> = results.into_iter().map(|r| r.unwrap().uri).collect();
    let starts = ["r.example/a:t", "r.example/b:t", "r.example/a:t", "r.example/base:t"];
    assert!(uris.iter().zip(starts).all(|(uri, start)| uri.starts_with(start)), "{uris:?}");
    let mut built = builds(&w);
    assert_eq!(built.remove(0), "build base by high");
    built.sort();
    assert_eq!(built, ["build a by high on base", "build b by high on base"]);
    assert_eq!(w.count("check base"), 1);
}

#[tokio::test]
async fn the_same_image_for_another_place_is_another_build() {
    let w = world(&[Answer::Absent]);
    let options = |dir: &str| BuildOptions {
        exports: vec![format!("oci:{dir}").parse().unwrap()],
        push: false,
        ..pushing()
    };
    let images = [(image(), options("x")), (image(), options("y")), (image(), options("x"))];
    let results = engine(&w).build_all(&images, &Events::none()).await;
    assert!(results.iter().all(Result::is_ok));
    assert_eq!(builds(&w).len(), 2);
}

#[tokio::test]
async fn as_many_are_built_at_once_as_may_be() {
    let images: Vec<_> = ('a'..='f').map(|c| (named(&c.to_string()), pushing())).collect();
    for limit in [1, 3] {
        let w = world(&[Answer::Absent]);
        let mut engine = engine(&w);
        engine.set_parallelism(limit);
        let results = engine.build_all(&images, &Events::none()).await;
        assert_eq!(results.len(), 6);
        assert_eq!(w.most_at_once.load(Ordering::SeqCst), limit);
    }
}

#[tokio::test]
async fn one_failure_stops_nothing_that_does_not_need_it() {
    let w = Arc::new(World { failing: vec!["bad"], ..World::new(&[Answer::Absent]) });
    let bad = named("bad");
    let wrong = named("wrong").with_workdir("relative");
    let images = [named("a"), bad.clone(), on(&bad, "above-bad"), wrong, named("z")];
    let images: Vec<_> = images.into_iter().map(|i| (i, pushing())).collect();
    let results = engine(&w).build_all(&images, &Events::none()).await;
    let codes: Vec<_> =
        results.iter().map(|r| r.as_ref().map(|b| b.status).map_err(|e| e.code())).collect();
    assert_eq!(codes[0], Ok(Status::Built));
    assert_eq!(codes[1], Err("test/broken"));
    assert_eq!(codes[2], Err("test/broken"));
    assert!(codes[3].is_err_and(|code| code.starts_with("spec/")), "{codes:?}");
    assert_eq!(codes[4], Ok(Status::Built));
    assert_eq!(w.count("build bad"), 1);
}

#[tokio::test]
async fn the_same_image_twice_in_a_row_is_asked_for_twice() {
    // What one call found out is no answer for the next.
    let w = world(&[Answer::Absent]);
    let engine = engine(&w);
    for _ in 0..2 {
        assert_eq!(build_with(&engine, &w, &image(), &pushing()).await, Ok(Status::Built));
    }
    assert_eq!(builds(&w).len(), 2);
}
