//! YAML files: what is read, and what is said of the others.

use tierce_imagespec::{BaseImage, ImageSpec};
use tierce_oci::Diagnostic;

fn read(text: &str) -> ImageSpec {
    ImageSpec::from_yaml(text, "imageSpec.yaml").unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn every_field_arrives() {
    let text = include_str!("golden/everything.yaml");
    let spec = read(text);
    let f = spec.fields();
    assert_eq!(f.name, "everything");
    assert_eq!(f.registry.as_deref(), Some("localhost:30000"));
    assert_eq!(f.builder.as_deref(), Some("default"));
    assert_eq!(f.platform.len(), 2);
    assert_eq!(f.python_version.unwrap().to_string(), "3.12");
    assert_eq!(f.python_exec.as_deref(), Some("/usr/bin/python3"));
    assert_eq!(f.base_image, Some("nvcr.io/nvidia/tensorrt:24.01-py3".into()));
    assert_eq!(f.packages, ["torch==2.4.0", "einops"]);
    assert_eq!(f.apt_packages, ["git", "curl"]);
    assert_eq!((f.cuda.as_deref(), f.cudnn.as_deref()), (Some("12.4"), Some("9")));
    assert_eq!(f.pip_secret_mounts[0].dst, "/root/.netrc");
    assert_eq!(f.env["PORT"], "8080");
    assert_eq!(f.env["DEBUG"], "True");
    assert_eq!(f.builder_options["list"], serde_json::json!([1, "1", null]));
    assert_eq!(f.builder_options["flytekit"], false);
    assert_eq!(f.tag_format.as_deref(), Some("{spec_hash}-dev"));

    let nested = read(include_str!("golden/nested.yaml"));
    let Some(BaseImage::Spec(base)) = &nested.fields().base_image else { panic!("{nested:?}") };
    assert_eq!((base.fields().name.as_str(), base.fields().apt_packages.len()), ("base", 1));
    let conda = read(include_str!("golden/conda.yaml"));
    assert_eq!(conda.fields().entrypoint, Some(vec![]));
}

#[test]
fn scalars_are_what_they_were_written_as() {
    for (text, version) in
        [("3.10", "3.10"), ("'3.10'", "3.10"), ("3.9", "3.9"), ("3.12.1", "3.12.1")]
    {
        let spec = read(&format!("python_version: {text}\n"));
        assert_eq!(spec.fields().python_version.unwrap().to_string(), version);
    }
    assert_eq!(read("env: {A: 0o17, B: 1e3, C: 1_0, D: ''}").fields().env["A"], "0o17");
    assert_eq!(read("packages: !!seq [!!str 3, \"4\"]").fields().packages, ["3", "4"]);
    // Nothing said is nothing said.
    assert_eq!(read("name: a\npackages:\nregistry: ~\nentrypoint: null\n"), read("name: a"));
    let alias = read("packages: &p [a, b]\nruntime_packages: *p\n");
    assert_eq!(alias.fields().runtime_packages, ["a", "b"]);
    let block = read("commands:\n  - |\n    echo a\n    echo b\n");
    assert_eq!(block.fields().commands, ["echo a\necho b\n"]);
}

#[test]
fn every_mistake_is_shown_where_it_is() {
    for (text, code, expected) in [
        (
            "packges: [a]\n",
            "imagespec/unknown-key",
            "1:1: unknown key `packges`, did you mean `packages`?",
        ),
        (
            "name: a\npip-packages: [a]\n",
            "imagespec/unknown-key",
            "2:1: unknown key `pip-packages`, did you mean `packages`?",
        ),
        (
            "python: 3.12\n",
            "imagespec/unknown-key",
            "1:1: unknown key `python`, did you mean `python_version`?",
        ),
        ("quux: 1\n", "imagespec/unknown-key", "1:1: unknown key `quux`"),
        (
            "packages: a\n",
            "imagespec/wrong-type",
            "1:11: packages: expected a list of strings, found a string",
        ),
        (
            "packages:\n  - a\n  - 1.5\n",
            "imagespec/wrong-type",
            "3:5: packages[1]: expected a string, found a number",
        ),
        (
            "commands: [true]\n",
            "imagespec/wrong-type",
            "1:12: commands[0]: expected a string, found a boolean",
        ),
        (
            "apt_packages: [[a]]\n",
            "imagespec/wrong-type",
            "1:16: apt_packages[0]: expected a string, found a list",
        ),
        (
            "conda_packages: {a: b}\n",
            "imagespec/wrong-type",
            "1:17: conda_packages: expected a list of strings, found a mapping",
        ),
        (
            "conda_channels: [~]\n",
            "imagespec/wrong-type",
            "1:18: conda_channels[0]: expected a string, found nothing",
        ),
        (
            "pip_extra_index_url: https://a\n",
            "imagespec/wrong-type",
            "1:22: pip_extra_index_url: expected a list of strings, found a string",
        ),
        (
            "entrypoint: sh\n",
            "imagespec/wrong-type",
            "1:13: entrypoint: expected a list of strings, found a string",
        ),
        (
            "runtime_packages: 3\n",
            "imagespec/wrong-type",
            "1:19: runtime_packages: expected a list of strings, found a number",
        ),
        (
            "pip_secret_mounts: [a]\n",
            "imagespec/wrong-type",
            "1:21: pip_secret_mounts[0]: expected a pair of strings, as [\".netrc\", \"/root/.netrc\"], found a string",
        ),
        (
            "builder_options: [a]\n",
            "imagespec/wrong-type",
            "1:18: builder_options: expected a mapping, found a list",
        ),
        (
            "env: {A: true}\n",
            "imagespec/wrong-type",
            "1:10: env.A: expected a string, found a boolean",
        ),
        (
            "env: [A]\n",
            "imagespec/wrong-type",
            "1:6: env: expected a mapping of names to strings, found a list",
        ),
        ("name: 1\n", "imagespec/wrong-type", "1:7: name: expected a string, found a number"),
        (
            "python_version: three\n",
            "imagespec/invalid-value",
            "1:17: python_version: \"three\" is not a python version: expected one as 3.12 or 3.12.4",
        ),
        (
            "platform: amd64\n",
            "imagespec/invalid-value",
            "1:11: platform: \"amd64\" is not a platform: expected os/architecture or os/architecture/variant, as linux/amd64",
        ),
        (
            "source_copy_mode: SOME\n",
            "imagespec/invalid-value",
            "1:19: source_copy_mode: \"SOME\" is not a copy mode: expected LOADED_MODULES, ALL or NO_COPY",
        ),
        (
            "pip_index: ftp://a/\n",
            "imagespec/invalid-value",
            "1:12: pip_index: \"ftp://a/\" is not an http, https or file URL",
        ),
        (
            "registry: https://a\n",
            "imagespec/invalid-registry",
            "1:11: registry: \"https://a\" is not a registry",
        ),
        (
            "copy:\n  - a\n  - ../b\n",
            "imagespec/invalid-copy",
            "3:5: copy[1]: ../b has a \"..\" in it: expected a path below the project",
        ),
        (
            "source_copy_mode: ALL\n",
            "imagespec/no-source-root",
            "1:19: source_copy_mode: there is no source_root to copy from",
        ),
        (
            "base_image:\n  nme: a\n",
            "imagespec/unknown-key",
            "2:3: base_image: unknown key `nme`, did you mean `name`?",
        ),
        ("name: a\nname: b\n", "imagespec/duplicate-key", "2:1: the key `name` is there twice"),
        ("a: b: c\n", "imagespec/yaml-syntax", "1:5: not YAML"),
        ("- a\n", "imagespec/wrong-type", "1:1: expected a mapping of fields, found a list"),
        ("", "imagespec/yaml-empty", "1:1: there is nothing in the file"),
        ("# nothing\n", "imagespec/yaml-empty", "1:1: there is nothing in the file"),
        (
            "name: a\n---\nname: b\n",
            "imagespec/yaml-documents",
            "2:1: a file holds one document only",
        ),
        ("name: !x a\n", "imagespec/yaml-tag", "1:10: the tag is not known"),
        ("[a]: b\n", "imagespec/yaml-key", "1:1: a list or mapping cannot be a key"),
    ] {
        let error = ImageSpec::from_yaml(text, "s.yaml").expect_err(text);
        assert_eq!(error.code(), code, "{text}{error}");
        let shown = error.to_string();
        assert!(shown.starts_with(&format!("s.yaml:{expected}")), "{text}--- {shown}");
    }
}

#[test]
fn all_mistakes_are_shown_at_once() {
    let text = "cuda: [1]\npackages: a\nenv: {A: no}\nextra: 1\n";
    let error = ImageSpec::from_yaml(text, "s.yaml").unwrap_err();
    let lines: Vec<_> = error.problems().iter().map(|p| p.location().to_owned()).collect();
    assert_eq!(lines, ["s.yaml:1:7", "s.yaml:2:11", "s.yaml:3:10", "s.yaml:4:1"]);
    assert_eq!(error.code(), "imagespec/invalid");
    assert!(error.to_string().contains("hint: Quote it if a string is meant: \"no\"."), "{error}");
}

#[test]
fn files_that_are_made_to_explode_are_refused() {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let below = format!("*a{}, ", level - 1).repeat(10);
        text.push_str(&format!("a{level}: &a{level} [{below}]\n"));
    }
    let error = ImageSpec::from_yaml(&text, "s.yaml").unwrap_err();
    assert_eq!(error.code(), "imagespec/yaml-too-large");
    // Each anchor keeps a copy of all that is below it.
    let anchors: String = (0..200).map(|level| format!("&a{level} [")).collect();
    let nested = format!("- {anchors}{}\n", "]".repeat(200)).repeat(8);
    let error = ImageSpec::from_yaml(&nested, "s.yaml").unwrap_err();
    assert_eq!(error.code(), "imagespec/yaml-too-large");
    let deep = format!("name: {}", "[".repeat(10_000));
    assert_eq!(ImageSpec::from_yaml(&deep, "s.yaml").unwrap_err().code(), "imagespec/yaml-syntax");
}
