//! Which builder builds an image.

mod support;

use async_trait::async_trait;
use std::sync::Arc;
use support::{Answer, World, build_with, builder, engine, image, pushing, world};
use tierce_engine::{
    AnyDiagnostic, BuildOptions, BuilderSource, Events, ImageBuilder, KnownBuilder, NoopBuilder,
    Status,
};
use tierce_oci::Diagnostic;
use tierce_spec::Image;

/// Builders that are made when somebody asks for them.
struct Lazy(Arc<World>);

#[async_trait]
impl BuilderSource for Lazy {
    async fn find(&self, name: &str) -> Result<Option<Arc<dyn ImageBuilder>>, AnyDiagnostic> {
        self.0.note(format!("find {name}"));
        match name {
            "lazy" => Ok(Some(Arc::new(builder(&self.0, "its-own-name")))),
            "broken" => Err(Arc::new(support::Asleep)),
            _ => Ok(None),
        }
    }

    fn known(&self) -> Vec<KnownBuilder> {
        let known = |name: &str| KnownBuilder {
            name: name.to_owned(),
            origin: "registered in config.toml".to_owned(),
        };
        vec![known("lazy"), known("broken"), known("high")]
    }

    fn places(&self) -> Vec<String> {
        vec!["/usr/bin".to_owned(), "/opt/bin".to_owned()]
    }
}

#[tokio::test]
async fn arguments_come_before_images_before_settings_before_priorities() {
    for (argument, own, setting, expected) in [
        (Some("low"), Some("high"), Some("high"), "low"),
        (None, Some("low"), Some("high"), "low"),
        (None, None, Some("low"), "low"),
        (None, None, None, "high"),
    ] {
        let w = world(&[]);
        let mut engine = engine(&w);
        engine.set_default(setting.map(str::to_owned));
        let image = match own {
            Some(own) => image().with_builder(own),
            None => image(),
        };
        let options = BuildOptions { builder: argument.map(str::to_owned), ..pushing() };
        assert_eq!(build_with(&engine, &w, &image, &options).await, Ok(Status::Built));
        assert_eq!(w.log(), [format!("build app by {expected}")]);
    }
}

#[tokio::test]
async fn builders_of_sources_are_loaded_once_and_only_when_they_are_chosen() {
    let w = world(&[]);
    let mut engine = engine(&w);
    engine.add_source(Arc::new(Lazy(w.clone())));
    assert_eq!(build_with(&engine, &w, &image(), &pushing()).await, Ok(Status::Built));
    assert_eq!(w.count("find"), 0);
    let options = BuildOptions { builder: Some("lazy".into()), ..pushing() };
    for _ in 0..2 {
        assert_eq!(build_with(&engine, &w, &image(), &options).await, Ok(Status::Built));
    }
    assert_eq!(w.count("find lazy"), 1);
    assert_eq!(w.count("build app by its-own-name"), 2);
    let options = BuildOptions { builder: Some("broken".into()), ..pushing() };
    let error = engine.build(&image(), &options, &Events::none()).await.unwrap_err();
    assert_eq!(
        (error.to_string().as_str(), error.code()),
        ("cannot use the builder broken", "test/asleep")
    );
}

#[tokio::test]
async fn an_unknown_builder_is_reported_with_those_there_are_and_where_others_would_be() {
    let w = world(&[]);
    let mut engine = engine(&w);
    engine.add_source(Arc::new(Lazy(w.clone())));
    let options = BuildOptions { builder: Some("nope".into()), ..pushing() };
    let error = engine.build(&image(), &options, &Events::none()).await.unwrap_err();
    assert_eq!(error.code(), "engine/unknown-builder");
    assert_eq!(
        error.to_string(),
        "there is no builder called \"nope\"; there are: high (built in), low (built in), \
         lazy (registered in config.toml), broken (registered in config.toml)"
    );
    let hint = error.hint().unwrap();
    assert_eq!(hint, "Others come from: /usr/bin, /opt/bin.");
    let slip = BuildOptions { builder: Some("Hihg".into()), ..pushing() };
    let error = engine.build(&image(), &slip, &Events::none()).await.unwrap_err();
    assert_eq!(error.hint().unwrap(), "Did you mean high? Others come from: /usr/bin, /opt/bin.");
    // A bad specification fails first, and always for the same reason.
    let wrong = image().with_workdir("relative");
    let error = engine.build(&wrong, &options, &Events::none()).await.unwrap_err();
    assert_ne!(error.code(), "engine/unknown-builder");
}

#[tokio::test]
async fn a_builder_can_be_registered_under_another_name_and_replaced() {
    let w = world(&[]);
    let mut engine = engine(&w);
    engine.register_as("mine", Arc::new(builder(&w, "first")), 9);
    assert_eq!(engine.builder(None).await.unwrap().name, "mine");
    engine.register_as("mine", Arc::new(builder(&w, "second")), -1);
    assert_eq!(engine.builder(None).await.unwrap().name, "high");
    assert_eq!(engine.builder(Some("mine")).await.unwrap().builder.name(), "second");
    assert_eq!(engine.known_builders().len(), 3);
}

#[tokio::test]
async fn noop_gives_back_the_base_and_refuses_what_has_no_reference() {
    let w = world(&[Answer::Present]);
    let mut engine = engine(&w);
    engine.register(Arc::new(NoopBuilder), -1);
    let options = BuildOptions { builder: Some("noop".into()), ..pushing() };
    let on_debian = Image::from_base("debian:12")
        .unwrap()
        .with_name("app")
        .with_registry("r.example")
        .with_apt_packages(["git"]);
    let events = Events::new(w.clone());
    let build = engine.build(&on_debian, &options, &events).await.unwrap();
    assert_eq!(build.uri, "docker.io/library/debian:12");
    assert_eq!(w.count("warning builder/unsupported-parameter: noop leaves out"), 2);
    w.forget();
    let above = Image::from_image(image()).with_name("above").with_registry("r.example");
    for refused in [image(), Image::from_debian("bookworm").with_name("d"), above] {
        let refused = refused.with_registry("r.example");
        let error = engine.build(&refused, &options, &events).await.unwrap_err();
        assert_eq!(error.code(), "noop/no-reference", "{error}");
    }
    assert_eq!(w.count("build"), 0, "{:?}", w.log());
}

#[tokio::test]
async fn builders_that_were_not_loaded_are_named_where_one_is_unable() {
    let w = world(&[Answer::Absent]);
    let mut weak = builder(&w, "weak");
    weak.able = false;
    let mut engine = engine(&w);
    engine.register(Arc::new(weak), 9);
    engine.add_source(Arc::new(Lazy(w.clone())));
    let both = ["linux/amd64", "linux/arm64"].map(|p| p.parse().unwrap());
    let image = image().with_platforms(both);
    let error = engine.build(&image, &pushing(), &Events::none()).await.unwrap_err();
    assert_eq!(error.code(), "engine/unsupported-by-builder", "{error}");
    let hint = error.hint().unwrap();
    assert!(hint.contains("--builder: high, low."), "{hint}");
    assert!(
        hint.contains("describe` tells what others can do: ") && hint.contains("lazy"),
        "{hint}"
    );
    assert_eq!(w.count("find"), 0);
}
