//! Flyte's `config.yaml`: found where Flyte finds it, and read as far as it is about images.

mod support;

use support::World;

fn yaml(registry: &str) -> String {
    format!("admin:\n  endpoint: dns:///x\nimage:\n  registry: {registry}\n")
}

#[test]
fn it_is_found_where_flytes_sdk_finds_it() {
    let mut world = World::new();
    // From the last place to look to the first.
    for (file, registry) in [
        ("home/.flyte/config.yaml", "a.example/home-flyte"),
        ("home/.union/config.yaml", "b.example/home-union"),
        ("named-flytectl.yaml", "c.example/flytectl"),
        ("named-uctl.yaml", "d.example/uctl"),
        ("work/.flyte/config.yaml", "e.example/git-root"),
        ("work/project/.flyte/config.yaml", "f.example/here"),
        ("work/project/config.yaml", "g.example/plain"),
    ] {
        world = world.file(file, &yaml(registry));
        let path = world.path(file).to_str().unwrap().to_owned();
        match file {
            "named-flytectl.yaml" => world = world.variable("FLYTECTL_CONFIG", &path),
            "named-uctl.yaml" => world = world.variable("UCTL_CONFIG", &path),
            "work/.flyte/config.yaml" => world = world.file("work/.git/HEAD", ""),
            _ => {}
        }
        assert_eq!(world.settings().registry.as_deref(), Some(registry), "{file}");
        assert_eq!(world.entry("registry"), format!("\"{registry}\" from {file}:4"));
    }
}

#[test]
fn a_config_yaml_of_another_program_is_left_alone() {
    for text in ["image:\n  registry: x.example/y\n", "[not yaml", "- a\n", "", "image: nginx\n"] {
        let world = World::new()
            .file("work/project/config.yaml", text)
            .file("home/.flyte/config.yaml", &yaml("ghcr.io/flyte"));
        let settings = world.settings();
        assert_eq!(settings.registry.as_deref(), Some("ghcr.io/flyte"), "{text:?}");
        assert!(settings.warnings.is_empty(), "{:?}", settings.warnings);
    }
}

#[test]
fn flytes_builders_have_their_names_here() {
    for (flyte, builder) in
        [("local", "native"), ("local-podman", "podman"), ("remote", "remote"), ("corp", "corp")]
    {
        let text = format!("image:\n  builder: {flyte}\n");
        let world = World::new().file("home/.flyte/config.yaml", &text);
        assert_eq!(world.settings().builder.as_deref(), Some(builder));
        let world = World::new().variable("FLYTE_IMAGE_BUILDER", flyte);
        assert_eq!(world.settings().builder.as_deref(), Some(builder));
        assert_eq!(world.entry("builder"), format!("\"{builder}\" from FLYTE_IMAGE_BUILDER"));
        // Those who know tierce say what they mean.
        let world = World::new().variable("TIERCE_IMAGE_BUILDER", flyte);
        assert_eq!(world.settings().builder.as_deref(), Some(flyte));
    }
}

#[test]
fn whose_word_the_builder_is_can_be_told() {
    let flytes = World::new().file("home/.flyte/config.yaml", "image:\n  builder: remote\n");
    assert!(flytes.settings().has_builder_of_flytes());
    assert!(flytes.variable("FLYTE_IMAGE_BUILDER", "local").settings().has_builder_of_flytes());
    let own = World::new().file("home/.config/tierce/config.toml", "builder = \"docker\"\n");
    assert!(!own.settings().has_builder_of_flytes());
    assert!(!World::new().settings().has_builder_of_flytes());
}

#[test]
fn the_name_of_tierce_in_flytes_words_chooses_none_of_its_builders() {
    for text in ["image:\n  builder: tierce\n", ""] {
        let world = World::new().file("home/.flyte/config.yaml", text);
        assert_eq!(world.settings().builder, None);
        let world = world.variable("FLYTE_IMAGE_BUILDER", "tierce");
        assert_eq!(world.settings().builder, None);
        let world = world.file("home/.config/tierce/config.toml", "builder = \"docker\"\n");
        assert_eq!(world.settings().builder.as_deref(), Some("docker"));
    }
}

#[test]
fn what_makes_no_sense_in_it_is_ignored_with_a_warning() {
    for (text, warnings) in [
        ("image: [", 1),
        ("image:\n  registry: https://ghcr.io\n  builder: local\n", 1),
        ("image:\n  image_refs:\n    a: 'Not An Image'\n    b: ghcr.io/x/y\n", 1),
        ("", 0),
        ("image:\n", 0),
        ("admin: {endpoint: x, insecure: true}\nlogger: {level: 1}\nimage: {}\n", 0),
        ("image:\n  builder: ''\n  registry: null\n", 0),
    ] {
        let world = World::new().file("home/.flyte/config.yaml", text);
        let settings = world.settings();
        assert_eq!(settings.warnings.len(), warnings, "{text}: {:?}", settings.warnings);
        assert!(settings.warnings.iter().all(|w| w.contains("/home/.flyte/config.yaml:")));
        assert_eq!(settings.registry, None);
    }
    // A file that expands itself without end, or is anything but Flyte's, ends nothing.
    let bomb = "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\n\
                c: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\n\
                e: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: &f [*e,*e,*e,*e,*e,*e,*e,*e,*e]\n\
                admin: *f\n";
    World::new().file("home/.flyte/config.yaml", bomb).settings();
}
