//! Private package indexes: uv resolves and files are fetched with the same credentials, wherever
//! those come from, and they go nowhere else. uv itself comes from PyPI.

mod support;

use std::fs;
use support::{Canaries, Index, Outcome, Project, Tierce, canary, shared_store};

const USER: &str = "alice";

/// An image of one package, on a base whose Python is only said.
fn project(package: &str, options: &str) -> Project {
    Project::new(&format!(
        "name = 'packages'\nbase = 'scratch'\nbytecode = false\n\
         python = {{ version = '3.12', interpreter = '/usr/bin/python3.12' }}\n\
         [pip]\npackages = ['{package}']\n{options}\n"
    ))
}

fn tierce<'a>(project: &Project, args: impl IntoIterator<Item = &'a str>) -> Tierce {
    project
        .tierce(args)
        .env("TIERCE_STORE", shared_store("online-index-store"))
        .env("TIERCE_LOG", "trace")
        .env("XDG_DATA_HOME", project.beside("home/.local/share"))
        .env("TMPDIR", project.beside("home"))
}

/// A way to have credentials.
struct Way {
    name: &'static str,
    /// More of the `[pip]` table.
    options: String,
    variables: Vec<(&'static str, String)>,
    /// Files in the home directory.
    files: Vec<(&'static str, String)>,
}

fn ways(index: &Index, password: &str) -> Vec<Way> {
    let (url, address) = (index.url(), index.address());
    let plain = format!("index = '{url}'");
    let netrc = format!("machine {address} login {USER} password {password}\n");
    let with = index.url_for(USER, password);
    let way = |name, options: &str| Way {
        name,
        options: options.to_owned(),
        variables: vec![],
        files: vec![],
    };
    let uv_file = format!(
        "[[credential]]\nservice = \"http://{address}/\"\nusername = \"{USER}\"\n\
         scheme = \"basic\"\npassword = \"{password}\"\n"
    );
    let named = |secret: &str| format!("index = 'own={url}'\n{secret}");
    let of_the_name = [
        ("UV_INDEX_OWN_USERNAME", USER.to_owned()),
        ("UV_INDEX_OWN_PASSWORD", password.to_owned()),
    ];
    vec![
        way("url", &format!("index = '{with}'")),
        Way { files: vec![(".netrc", netrc.clone())], ..way("home-netrc", &plain) },
        Way {
            files: vec![("elsewhere", netrc.clone())],
            variables: vec![("NETRC", "elsewhere".to_owned())],
            ..way("netrc", &plain)
        },
        Way {
            variables: [("UV_INDEX", format!("own={url}"))]
                .into_iter()
                .chain(of_the_name.clone())
                .collect(),
            ..way("name-of-the-user", &plain)
        },
        Way { variables: of_the_name.into(), ..way("name-of-the-image", &named("")) },
        Way {
            files: vec![(".local/share/uv/credentials/credentials.toml", uv_file)],
            ..way("uv-auth-login", &plain)
        },
        Way { variables: vec![("UV_DEFAULT_INDEX", with.clone())], ..way("variable", "") },
        Way {
            variables: vec![("GROUP_SECRET", password.to_owned()), ("NAME", USER.to_owned())],
            ..way(
                "secret-of-a-name",
                &named(
                    "secrets = [{ key = 'secret', group = 'group', env = 'UV_INDEX_OWN_PASSWORD' }, \
                     { key = 'name', env = 'UV_INDEX_OWN_USERNAME' }]",
                ),
            )
        },
        Way {
            variables: vec![("SECRET", with)],
            ..way("secret-url", "secrets = [{ key = 'secret', env = 'UV_DEFAULT_INDEX' }]")
        },
        Way {
            variables: vec![("SECRET", netrc)],
            ..way(
                "secret-netrc",
                &format!("{plain}\nsecrets = [{{ key = 'secret', mount = '/root/.netrc' }}]"),
            )
        },
    ]
}

fn build(project: &Project, way: &Way) -> Tierce {
    for (name, content) in &way.files {
        let path = project.beside("home").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    let build = ["build", "--output", "oci:out", "--progress", "json"];
    way.variables.iter().fold(tierce(project, build), |tierce, (name, value)| match *name {
        "NETRC" => tierce.env(name, project.beside("home").join(value)),
        name => tierce.env(name, value),
    })
}

fn heard(canaries: &Canaries, name: &str, outcome: &Outcome) {
    canaries.absent(name, outcome.stdout.as_bytes());
    canaries.absent(name, outcome.stderr.as_bytes());
}

#[test]
fn every_way_serves_resolving_and_downloading() {
    let password = canary("index").replace('/', "_");
    let index = Index::start(USER, &password, None);
    let canaries = Canaries::new(&[("the password", &password)]);
    for way in ways(&index, &password) {
        // A name of its own, so that nothing of it is known.
        let package = format!("{}-{}", way.name, std::process::id());
        let project = project(&package, &way.options);
        let outcome = build(&project, &way).run();
        assert_eq!(outcome.code, 0, "{}: {outcome}", way.name);
        heard(&canaries, way.name, &outcome);
        let file = format!("/files/{}-1.0-py3-none-any.whl", package.replace('-', "_"));
        let by_alice = |path: &str| {
            let user = Some(format!("{USER}:{password}"));
            index.requests().iter().any(|r| r.path == path && r.user == user)
        };
        assert!(by_alice(&format!("/simple/{package}/")), "{}", way.name);
        assert!(by_alice(&file), "{}", way.name);
        canaries.absent_below(&project.path("out"), &[]);
    }
    canaries.absent_below(&shared_store("online-index-store"), &[]);
}

#[test]
fn credentials_are_no_part_of_the_key() {
    let index = Index::open();
    let key = |way: &Way| {
        let project = project("six", &way.options);
        let key = tierce(&project, ["key"]);
        way.variables.iter().fold(key, |tierce, (name, value)| tierce.env(name, value)).ok().stdout
    };
    let ways = ways(&index, "password");
    let key_of = |name: &str| key(ways.iter().find(|way| way.name == name).unwrap());
    for name in ["home-netrc", "netrc", "name-of-the-user", "name-of-the-image", "uv-auth-login"] {
        assert_eq!(key_of(name), key_of("url"), "{name}");
    }
    let other = self::ways(&index, "another");
    for (one, other) in ways.iter().zip(&other) {
        assert_eq!(key(one), key(other), "{}", one.name);
    }
}

#[test]
fn credentials_go_to_their_server_only() {
    let password = canary("index").replace('/', "_");
    let elsewhere = Index::open();
    let index = Index::start(USER, &password, Some(&elsewhere));
    for (number, way) in ways(&index, &password).iter().take(2).enumerate() {
        for kind in ["moved", "there"] {
            let package = format!("{kind}-{number}-{}", std::process::id());
            let project = project(&package, &way.options);
            let outcome = build(&project, way).run();
            assert_eq!(outcome.code, 0, "{kind}: {outcome}");
        }
    }
    let requests = elsewhere.requests();
    assert!(requests.iter().filter(|r| r.path.starts_with("/files/")).count() >= 4);
    assert!(requests.iter().all(|request| request.user.is_none()), "{requests:?}");
}

#[test]
fn wrong_credentials_are_an_error_that_does_not_show_them() {
    let (right, wrong) = (canary("right").replace('/', "_"), canary("wrong").replace('/', "_"));
    let index = Index::start(USER, &right, None);
    let canaries = Canaries::new(&[("the password", &wrong)]);
    for way in ways(&index, &wrong).iter().filter(|way| !way.name.contains("name")) {
        let package = format!("wrong-{}-{}", way.name, std::process::id());
        let project = project(&package, &way.options);
        let outcome = build(&project, way).run();
        assert!([2, 4].contains(&outcome.code), "{}: {outcome}", way.name);
        assert!(outcome.hint().is_some(), "{outcome}");
        heard(&canaries, way.name, &outcome);
    }
    canaries.absent_below(&shared_store("online-index-store"), &[]);
}
