//! Who outranks whom, and what `tierce config show --origin` tells about it.

mod support;

use support::World;
use tierce_config::{FileKind, Overrides};
use tierce_oci::Diagnostic;

const FLYTE: &str = "admin:\n  endpoint: dns:///flyte.example\nimage:\n  builder: local-podman\n  \
                     registry: ghcr.io/flyte\n  image_refs:\n    default: ghcr.io/flyte/default:1\n";

#[test]
fn flags_then_variables_then_the_project_then_the_user_then_flyte() {
    let mut world = World::new();
    assert_eq!(world.entry("registry"), "nothing from default");
    world = world.file("home/.flyte/config.yaml", FLYTE);
    assert_eq!(world.entry("registry"), "\"ghcr.io/flyte\" from home/.flyte/config.yaml:5");
    world = world.user("# mine\nregistry = \"ghcr.io/user\"\n");
    assert_eq!(world.entry("registry"), "\"ghcr.io/user\" from home/.config/tierce/config.toml:2");
    world = world.project("base = \"scratch\"\n\n[workspace]\nregistry = \"ghcr.io/project\"\n");
    assert_eq!(world.entry("registry"), "\"ghcr.io/project\" from work/project/tierce.toml:4");
    world = world.variable("FLYTE_IMAGE_REGISTRY", "ghcr.io/flytes-variable");
    assert_eq!(world.entry("registry"), "\"ghcr.io/flytes-variable\" from FLYTE_IMAGE_REGISTRY");
    world = world.variable("TIERCE_REGISTRY", "ghcr.io/variable");
    assert_eq!(world.entry("registry"), "\"ghcr.io/variable\" from TIERCE_REGISTRY");
    world.overrides =
        Overrides { registry: Some("ghcr.io/flag".parse().unwrap()), ..Overrides::default() };
    assert_eq!(world.entry("registry"), "\"ghcr.io/flag\" from --registry");
    assert_eq!(world.settings().registry.as_deref(), Some("ghcr.io/flag"));
}

#[test]
fn each_setting_has_its_own_origin() {
    let mut world = World::new()
        .file("home/.flyte/config.yaml", FLYTE)
        .user(
            "[images]\nmine = \"r.example/mine:1\"\n\n[registries.\"docker.io\"]\n\
             mirrors = [\"mirror.example/hub\"]\ninsecure = false\n",
        )
        .project("[workspace]\nimages.ours = \"r.example/ours\"\n[workspace.registries.\"docker.io\"]\nfallback = false\n");
    world.overrides.images.insert("mine".into(), "r.example/other:2".parse().unwrap());
    assert_eq!(world.entry("images.mine"), "\"r.example/other:2\" from --image");
    assert_eq!(world.entry("images.ours"), "\"r.example/ours\" from work/project/tierce.toml:2");
    assert_eq!(
        world.entry("images.default"),
        "\"ghcr.io/flyte/default:1\" from home/.flyte/config.yaml:7"
    );
    assert_eq!(
        world.entry("registries.\"docker.io\".mirrors"),
        "[\"mirror.example/hub\"] from home/.config/tierce/config.toml:5"
    );
    assert_eq!(
        world.entry("registries.\"docker.io\".fallback"),
        "false from work/project/tierce.toml:4"
    );
    assert_eq!(world.entry("check-cache.ttl"), "\"1d\" from default");
    assert_eq!(world.entry("debian-base"), "{ debian = \"bookworm\" } from default");
    let settings = world.settings();
    let hub = &settings.registries[&"docker.io".parse().unwrap()];
    assert_eq!((hub.mirrors.len(), hub.fallback, hub.insecure), (1, false, Some(false)));
    let kinds: Vec<_> = settings.files.iter().map(|file| file.kind).collect();
    assert_eq!(kinds, [FileKind::Workspace, FileKind::User, FileKind::Flyte]);
}

#[test]
fn a_workspace_is_found_above_its_projects() {
    let world = World::new()
        .file("work/tierce.toml", "[workspace]\nbuilder = \"podman\"\n")
        .file("work/other/tierce.toml", "base = \"scratch\"\n")
        .project("base = \"scratch\"\n");
    assert_eq!(world.entry("builder"), "\"podman\" from work/tierce.toml:2");
    // The nearest one is the only one.
    let world = world.project("base = \"scratch\"\n[workspace]\n");
    assert_eq!(world.settings().builder, None);
    let builder = |directory: &str| world.load_in(&world.path(directory)).unwrap().builder;
    assert_eq!(builder("work/other").as_deref(), Some("podman"));
    assert_eq!(builder("home"), None);
    // What is wrong with an image is not for these to say.
    let world = World::new().project("bases = [\n");
    assert_eq!(world.settings().builder, None);
}

#[test]
fn somebody_elses_workspace_is_not_obeyed() {
    use std::os::unix::fs::chown;
    let world = World::new()
        .file("work/tierce.toml", "[workspace]\nbuilder = \"evil\"\n")
        .project("base = \"scratch\"\n");
    if chown(world.path("work/tierce.toml"), Some(12_345), None).is_err() {
        eprintln!("skipped: only root can give files away");
        return;
    }
    let settings = world.settings();
    assert_eq!(settings.builder, None);
    let [warning] = settings.warnings.as_slice() else { panic!("{:?}", settings.warnings) };
    assert!(warning.contains("work/tierce.toml is ignored"), "{warning}");
    // Root's is everybody's.
    chown(world.path("work/tierce.toml"), Some(0), None).unwrap();
    chown(world.path("work/project"), Some(12_345), None).unwrap();
    chown(world.path("work/project/tierce.toml"), Some(12_345), None).unwrap();
    assert_eq!(world.settings().builder.as_deref(), Some("evil"));
}

/// Everything that a project that was downloaded could do harm with, one by one.
#[test]
fn projects_do_not_decide_on_what_is_the_users() {
    let registries = ["mirrors", "rewrite", "ca", "client-cert", "client-key"];
    let mut cases: Vec<(String, String, usize)> = vec![];
    for (text, key, line) in [
        ("store = \"/x\"\n", "store", 2),
        ("[workspace.secrets.commands]\nX = [\"sh\"]\n", "secrets", 2),
        ("[workspace.flavors.x]\nprogram = \"sh\"\n", "flavors", 2),
        ("docker.extra-args = [\"--output=/\"]\n", "docker.extra-args", 2),
        ("podman.extra-args = [\"--runtime=x\"]\n", "podman.extra-args", 2),
        ("podman.host = \"tcp://evil\"\n", "podman.host", 2),
        ("docker.tls-verify = false\n", "docker.tls-verify", 2),
        (
            "\n[workspace.registries.\"ghcr.io\"]\nskip-tls-verify = true\n",
            "registries.\"ghcr.io\".skip-tls-verify",
            4,
        ),
        ("registries.\"ghcr.io\".insecure = true\n", "registries.\"ghcr.io\".insecure", 2),
        // Whatever is in it.
        ("[workspace.builders.x]\nflavor = \"noop\"\n", "builders.x", 2),
        ("[workspace.builders.native]\nflavor = \"podman\"\n", "builders.native", 2),
        ("[workspace.builders.\"a b\"]\n", "builders.\"a b\"", 2),
    ] {
        cases.push((text.to_owned(), key.to_owned(), line));
    }
    for last in registries {
        let key = format!("registries.\"docker.io\".{last}");
        let value = if last == "mirrors" { "[\"evil.example\"]" } else { "\"evil.example\"" };
        cases.push((format!("{key} = {value}\n"), key, 2));
    }
    for last in ["host", "context", "cert-path", "builder"] {
        let key = format!("docker.{last}");
        cases.push((format!("{key} = \"x\"\n"), key, 2));
    }
    for table in ["docker", "podman", "buildkit"] {
        let key = format!("{table}.cache-to");
        cases.push((format!("{key} = [\"ghcr.io/me/cache\"]\n"), key, 2));
    }
    for last in ["address", "ca", "client-cert", "client-key", "server-name"] {
        let key = format!("buildkit.{last}");
        cases.push((format!("{key} = \"x\"\n"), key, 2));
    }
    for (text, key, line) in cases {
        let error = World::new().project(&format!("[workspace]\n{text}")).load().unwrap_err();
        assert_eq!(error.code(), "config/user-only", "{error}");
        let expected = format!("tierce.toml:{line}: {key} is not for projects to set");
        assert!(error.to_string().ends_with(&expected), "{error}");
        assert!(error.hint().is_some());
    }
}

#[test]
fn the_caches_of_projects_are_in_registries() {
    let load = |table: &str, cache: &str| {
        let cache = toml::Value::from(cache);
        World::new().project(&format!("[workspace]\n{table}.cache-from = [{cache}]\n")).load()
    };
    for (table, cache, fine) in [
        ("docker", "type=registry,ref=ghcr.io/me/cache:1,mode=max", true),
        ("docker", "ghcr.io/me/cache", true),
        ("docker", "type=local,src=/etc,dest=/etc", false),
        ("docker", "type=local,type=registry,ref=ghcr.io/me/cache", false),
        ("docker", "type=registry,ref=ghcr.io/me/cache,type=local", false),
        ("docker", "\"type=local\",ref=ghcr.io/me/cache,dest=/etc", false),
        ("docker", " type=local,ref=ghcr.io/me/cache", false),
        ("docker", "TYPE=local,type=registry,ref=ghcr.io/me/cache", false),
        ("docker", "type=registry,ref=ghcr.io/me/cache,dest=/etc", false),
        ("docker", "type=s3,bucket=b", false),
        ("docker", "type=registry", false),
        ("docker", "/var/cache", false),
        ("docker", "", false),
        ("buildkit", "type=registry,ref=ghcr.io/me/cache", true),
        ("buildkit", "type=local,src=/etc,dest=/etc", false),
        ("podman", "ghcr.io/me/cache", true),
        ("podman", "localhost:5000/me/cache", true),
        ("podman", "dir:etc", false),
        ("podman", "oci:5000/etc", false),
        ("podman", "dir:/etc", false),
        ("podman", "docker-archive:/etc/x", false),
        ("podman", "containers-storage:x", false),
        ("podman", "oci:/var/lib", false),
    ] {
        match load(table, cache) {
            Ok(_) => assert!(fine, "{table} {cache}"),
            Err(error) => {
                assert!(!fine, "{error}");
                assert_eq!(error.code(), "config/user-only", "{error}");
                let key = format!("tierce.toml:2: {table}.cache-from of a project");
                assert!(error.to_string().contains(&key), "{error}");
            }
        }
    }
    let user = World::new().user("docker.cache-to = [\"type=local,dest=/cache\"]\n");
    assert_eq!(user.settings().docker.cache_to, ["type=local,dest=/cache"]);
}

#[test]
fn registered_builders_are_builders_of_their_own() {
    for (text, code, message) in [
        (
            "[builders.native]\nflavor = \"podman\"\n",
            "config/reserved-name",
            "1: the builder native",
        ),
        (
            "[builders.docker]\nflavor = \"docker\"\n",
            "config/reserved-name",
            "1: the builder docker",
        ),
        ("[builders.podman]\n", "config/reserved-name", "1: the builder podman"),
        ("[builders.buildkit]\n", "config/reserved-name", "1: the builder buildkit"),
        ("[builders.noop]\n", "config/reserved-name", "1: the builder noop"),
        ("\n[builders.a]\nlevel = 1\n", "config/invalid", "2: builders.a needs a flavor"),
        ("[builders.a]\nflavor = 1\n", "config/invalid", "1: builders.a needs a flavor"),
        ("[builders.a]\nflavor = \"\"\n", "config/invalid", "1: builders.a needs a flavor"),
        (
            "builders.a = { flavor = \"x\", limits = { ideal = 1 } }\n",
            "config/invalid",
            "1: builders.a has a limit \"ideal\"; there are: build, check, describe, grace, idle",
        ),
        (
            "builders.a = { flavor = \"x\", limits = { idle = -1 } }\n",
            "config/invalid",
            "1: builders.a has a limit idle that is no number of seconds",
        ),
        ("builders.a = { flavor = \"x\", limits = 1 }\n", "config/invalid", "no table"),
    ] {
        let error = World::new().user(text).load().unwrap_err();
        assert_eq!(error.code(), code, "{error}");
        assert!(error.to_string().contains(message), "{message}: {error}");
        assert!(error.hint().is_some());
    }
    let fine = World::new().user("builders.a = { flavor = \"x\", limits = { idle = 1 } }\n");
    assert!(fine.settings().builders.contains_key("a"));
}

#[test]
fn mistakes_in_files_are_shown_where_they_are() {
    for (text, message) in [
        ("registri = \"x\"\n", "1:1: unknown field `registri`"),
        ("\n  builder = 1\n", "2:13: invalid type: integer `1`"),
        (
            "registry = \"https://ghcr.io\"\n",
            "1:12: \"https://ghcr.io\" is not a registry: a registry is written without a scheme",
        ),
        ("index = \"u:hunter2@host\"\nunknown = 1\n", "2:11: "),
        ("index = \"//u:hunter2@host\"\n", "1:9: not a URL: relative URL without a base"),
        ("[registries.foobar]\n", "1:13: a registry starts with its host"),
        ("[registries.\"https://ghcr.io\"]\n", "1:13: a registry is written without a scheme"),
        ("registries.\"a.example\".mirrors = [\"m\"]\n", "a registry starts with its host"),
        ("check-cache.ttl = \"soon\"\n", "1:19: \"soon\" is no length of time"),
        ("debian-base = \"Python:{python}\"\n", "1:15: "),
        ("debian-base = 1\n", "1:15: an image, or a table with the key `debian`"),
        ("unknown = \"maybe\"\n", "1:11: unknown variant `maybe`"),
        ("images.x = \"Not An Image\"\n", "1:12: "),
        ("a = [\n", "1:"),
        (
            "[registries.\"a.example/team\"]\nca = \"x\"\n",
            "2: registries.\"a.example/team\".ca is for whole registries",
        ),
        (
            "registries.\"a.example\".client-cert = \"x\"\n",
            "1: registries.\"a.example\" has a client-cert or a client-key, and not both",
        ),
    ] {
        let error = World::new().user(text).load().unwrap_err();
        assert_eq!(error.code(), "config/invalid", "{error}");
        let shown = error.to_string();
        assert!(
            shown.contains(&format!("config.toml:{message}")) || shown.contains(message),
            "{text}: {shown}"
        );
        assert!(shown.contains("config.toml:"), "{shown}");
        assert!(!format!("{shown} {error:?}").contains("hunter2"), "{shown}");
    }
}

#[test]
fn parts_of_registries_match_by_whole_components() {
    let world = World::new().user(
        "[registries.\"ghcr.io/foo\"]\nmirrors = [\"mirror.example/foo\"]\n\
         [registries.\"ghcr.io\"]\nrewrite = \"all.example\"\n",
    );
    let settings = world.settings();
    let keys: Vec<String> = settings.registries.keys().map(ToString::to_string).collect();
    assert_eq!(keys, ["ghcr.io", "ghcr.io/foo"]);
    assert!(settings.registries[&"ghcr.io/foo".parse().unwrap()].fallback);
    let world = World::new().user("[registries.\"r.example:5000\"]\ninsecure = true\n");
    assert_eq!(world.settings().insecure_registries().collect::<Vec<_>>(), ["r.example:5000"]);
}

#[test]
fn the_base_of_debian_images_is_a_choice() {
    use tierce_config::DebianBase;
    let base = |text: &str| World::new().user(text).settings().debian_base;
    assert_eq!(base(""), DebianBase::Suite("bookworm".into()));
    assert_eq!(base("debian-base = { debian = \"trixie\" }"), DebianBase::Suite("trixie".into()));
    let DebianBase::Image(template) = base("debian-base = \"python:{python}-slim-bookworm\"")
    else {
        panic!("an image");
    };
    assert_eq!(template.image("3.12").unwrap().familiar(), "python:3.12-slim-bookworm");
}

#[test]
fn registered_builders_are_taken_whole() {
    let world = World::new()
        .user(
            "[builders.kiln]\nflavor = \"oven\"\nheat = 3\n[builders.ours]\nflavor = \"oven\"\n\
             api-token = \"hunter2\"\nkey = [\"hunter2\"]\n[flavors.oven]\nprogram = \"./oven\"\n\
             [flavors.named]\nprogram = \"oven\"\n",
        )
        .project("[workspace]\nbuilder = \"kiln\"\n");
    let settings = world.settings();
    assert_eq!(settings.builder.as_deref(), Some("kiln"));
    assert_eq!(settings.builders["kiln"]["heat"].as_integer(), Some(3));
    assert_eq!(settings.builders["ours"]["api-token"].as_str(), Some("hunter2"));
    assert_eq!(settings.flavors["oven"].program, world.path("home/.config/tierce/./oven"));
    assert_eq!(settings.flavors["named"].program, std::path::Path::new("oven"));
    assert_eq!(
        world.entry("builders.kiln"),
        "{ flavor = \"oven\", heat = \"***\" } from home/.config/tierce/config.toml:1"
    );
    let shown = world.entry("builders.ours");
    assert!(shown.contains("api-token = \"***\"") && !shown.contains("hunter2"), "{shown}");
}

#[test]
fn secrets_have_their_places() {
    let world = World::new().user(
        "[secrets]\ndirectories = [\"/etc/secrets\", \"~/secrets\"]\nfiles.NPM = \"npm.txt\"\n\
         commands.PYPI_TOKEN = [\"pass\", \"show\", \"pypi\"]\n",
    );
    let secrets = world.settings().secrets;
    assert_eq!(secrets.directories, ["/etc/secrets".into(), world.path("home/secrets")]);
    assert_eq!(secrets.files["NPM"], world.path("home/.config/tierce/npm.txt"));
    assert_eq!(secrets.commands["PYPI_TOKEN"], ["pass", "show", "pypi"]);
    assert_eq!(
        world.entry("secrets.commands.PYPI_TOKEN"),
        "[\"pass\", \"***\"] from home/.config/tierce/config.toml:4"
    );
    assert_eq!(World::new().settings().secrets.directories, [std::path::Path::new("/etc/secrets")]);
}
