//! Images as Dockerfiles: whatever is in a specification, frontends read what it says from the
//! text, and not an instruction more.
#![no_main]

use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use std::collections::BTreeMap;
use std::sync::LazyLock;
use tempfile::TempDir;
use tierce_dockerfile::{Dialect, RenderOptions, render};
use tierce_engine::{GatherCache, gather};
use tierce_fuzz::dockerfile::{Instruction, exec, instructions, pairs, paths, words};
use tierce_spec::{
    Base, Command, Commands, Image, Network, Secret, SourceOptions, Step, join_image_path,
};

#[derive(Arbitrary, Debug)]
enum Part {
    Env(BTreeMap<String, String>),
    Labels(BTreeMap<String, String>),
    Shell(String),
    Exec(Vec<String>),
    Offline(String),
    WithSecret { command: String, variable: String, mount: Option<String> },
    Workdir(String),
    User(String),
    Entrypoint(Vec<String>),
    Cmd(Vec<String>),
    Folder(String),
    File(String),
    Apt(Vec<String>),
}

#[derive(Arbitrary, Debug)]
struct Input {
    base: Option<String>,
    dialect: u8,
    parts: Vec<Part>,
}

static ROOT: LazyLock<TempDir> = LazyLock::new(|| {
    let root = TempDir::new().expect("a temporary directory can be made");
    for file in ["f", "src/it's $x\n\"y\""] {
        let path = root.path().join(file);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("folders can be made");
        std::fs::write(path, file).expect("a file can be written");
    }
    root
});

fn with(image: &Image, part: Part) -> Image {
    let host = Network::Host;
    match part {
        Part::Env(vars) => image.with_env_vars(vars),
        Part::Labels(labels) => image.with_labels(labels),
        Part::Shell(line) => image.with_commands([Command::Shell(line)], host),
        Part::Exec(argv) => image.with_commands([Command::Exec(argv)], host),
        Part::Offline(line) => image.with_commands([Command::Shell(line)], Network::None),
        Part::WithSecret { command, variable, mount } => {
            let secret = Secret::new("key").with_env(variable);
            let secret = match mount {
                Some(path) => secret.with_mount(path),
                None => secret,
            };
            let commands = vec![Command::Shell(command)];
            image.with_step(Step::Commands(Commands {
                commands,
                network: host,
                secrets: vec![secret],
            }))
        }
        Part::Workdir(path) => image.with_workdir(format!("/{path}")),
        Part::User(user) => image.with_user(user),
        Part::Entrypoint(argv) => image.with_entrypoint(argv),
        Part::Cmd(argv) => image.with_cmd(argv),
        Part::Folder(dst) => image.with_source_folder("src", dst, SourceOptions::new()),
        Part::File(dst) => image.with_source_file("f", dst),
        Part::Apt(packages) => image.with_apt_packages(packages),
    }
}

/// Takes the next instruction, which has to be one of this keyword.
fn take<'a>(all: &mut impl Iterator<Item = &'a Instruction>, keyword: &str) -> &'a str {
    let (found, rest) = all.next().unwrap_or_else(|| panic!("{keyword} is missing"));
    assert_eq!(found, keyword, "{rest}");
    rest
}

/// The JSON at the end, flags passed by.
fn after_flags(text: &str) -> &str {
    match text.strip_prefix("--").and_then(|text| text.split_once(char::is_whitespace)) {
        Some((_, rest)) => after_flags(rest.trim_start()),
        None => text,
    }
}

fuzz_target!(|input: Input| {
    let Input { base, dialect, parts } = input;
    let debian = || Image::from_base("debian:12").expect("a reference");
    let image = base.and_then(|base| Image::from_base(&base).ok()).unwrap_or_else(debian);
    // What is no image has no text.
    let image = parts.into_iter().fold(image, |image, part| match with(&image, part) {
        more if more.validate().is_ok() => more,
        _ => image,
    });
    let Ok(gathered) = gather(&image, ROOT.path(), &GatherCache::none()) else { return };
    let dialect = [Dialect::BUILDKIT, Dialect::DOCKER_20, Dialect::PODMAN, Dialect::CLASSIC]
        [usize::from(dialect) % 4];
    let rendered = match render(&gathered, &RenderOptions { dialect, ..RenderOptions::default() }) {
        Ok(rendered) => rendered,
        Err(error) => return drop(error.to_string()),
    };
    let text = &rendered.dockerfile;
    let declared = text.lines().filter(|line| *line == "ARG TIERCE_LF").count();
    assert_eq!(declared, rendered.build_args.len(), "{text}");

    let all = instructions(text);
    check_users(&all, &image);
    // What is there besides the steps: arguments of a base are cleared, and line feeds declared.
    let mut rest = all.iter().filter(|(keyword, rest)| {
        !matches!((keyword.as_str(), rest.as_str()), ("USER" | "ARG", _) | ("CMD", "[]"))
    });
    let Base::Registry(reference) = image.base() else { panic!("a reference is one") };
    assert_eq!(take(&mut rest, "FROM"), reference.to_string());
    for step in image.steps() {
        check(&mut rest, step);
    }
    assert_eq!(rest.next(), None, "{text}");
});

/// Root takes some steps; after each of them, whoever was the user is so again.
fn check_users(all: &[Instruction], image: &Image) {
    let said = |step: &Step| match step {
        Step::User(user) => Some(user.user.clone()),
        _ => None,
    };
    let users = all.iter().filter(|(keyword, _)| keyword == "USER");
    let users: Vec<String> = users.flat_map(|(_, rest)| words(rest)).collect();
    let wanted: Vec<String> = image.steps().iter().filter_map(said).collect();
    assert!(users.iter().all(|user| user == "0" || wanted.contains(user)), "{users:?}");
    assert_eq!(users.last(), wanted.last());
}

fn check<'a>(all: &mut impl Iterator<Item = &'a Instruction>, step: &Step) {
    match step {
        Step::Env(env) if env.vars.is_empty() => {}
        Step::Env(env) => assert_eq!(pairs(take(all, "ENV")), env.vars),
        Step::Labels(labels) if labels.labels.is_empty() => {}
        Step::Labels(labels) => assert_eq!(pairs(take(all, "LABEL")), labels.labels),
        Step::Commands(commands) => {
            for command in &commands.commands {
                let argv = exec(after_flags(take(all, "RUN")));
                match commands.secrets.is_empty() {
                    true => assert_eq!(argv, command.argv()),
                    // A shell may have set variables before.
                    false => assert!(argv.ends_with(&command.argv()), "{argv:?}"),
                }
            }
        }
        Step::Workdir(workdir) => assert_eq!(words(take(all, "WORKDIR")), [workdir.path.as_str()]),
        Step::Entrypoint(entry) => assert_eq!(exec(take(all, "ENTRYPOINT")), entry.argv),
        Step::Cmd(cmd) if cmd.argv.is_empty() => {}
        Step::Cmd(cmd) => assert_eq!(exec(take(all, "CMD")), cmd.argv),
        Step::SourceFolder(folder) => {
            let [from, to] = two_paths(take(all, "COPY"));
            assert!(from.starts_with("sources/"), "{from}");
            let to = format!("/{}", to.trim_end_matches('/'));
            assert!(to.ends_with(join_image_path("/", &folder.dst).trim_end_matches('/')), "{to}");
        }
        Step::SourceFile(_) => {
            let [from, _] = two_paths(take(all, "COPY"));
            assert!(from.starts_with("sources/"), "{from}");
        }
        // Packages' names are checked; the shell form has no JSON that would hold them together.
        Step::Apt(apt) if apt.packages.is_empty() => {}
        Step::Apt(_) => assert!(!take(all, "RUN").contains("<<")),
        _ => {}
    }
}

fn two_paths(text: &str) -> [String; 2] {
    paths(text).try_into().expect("two paths")
}
