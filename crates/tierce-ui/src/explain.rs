//! What an image is and what decides its name, for people.

use crate::text;
use std::fmt::Write;
use tierce_engine::Prepared;
use tierce_spec::{
    Base, Command, Conda, CondaSource, Image, PipOptions, ResolvedImage, Secret, Step,
    hide_credentials,
};

/// How much of a line is shown.
const WIDTH: usize = 100;

/// The image's name, its key, and all that is in the key, a line each. Digests stand beside what
/// was read from the host. Variables are there by name alone, and URLs without credentials.
pub fn explain(prepared: &Prepared) -> String {
    let resolved = &prepared.gathered.resolved;
    let mut lines = vec![
        ("image".to_owned(), prepared.name.to_string()),
        ("key".to_owned(), prepared.key.to_string()),
        ("platforms".to_owned(), joined(resolved.platforms())),
        ("base".to_owned(), base(resolved)),
    ];
    if let Some(version) = resolved.image().python().and_then(|python| python.version.as_ref()) {
        lines.push(("python".to_owned(), version.to_string()));
    }
    for step in resolved.steps() {
        let (what, mut said) = described(step.step);
        if let Some(digest) = step.digest {
            let _ = write!(said, " ({})", digest.short());
        }
        if let Some(source) = prepared.gathered.sources.get(&step.index) {
            let _ = write!(said, ", {}", counted(source.tree.files(), "file"));
        }
        lines.push((format!("{}. {what}", step.index + 1), said));
    }
    let width = lines.iter().map(|(what, _)| what.chars().count()).max().unwrap_or_default();
    let mut out = String::new();
    for (what, said) in lines {
        let _ = writeln!(out, "{what:<width$}  {}", cut(&hide_credentials(&text::line(&said))));
    }
    out
}

fn base(resolved: &ResolvedImage) -> String {
    let said = match resolved.image().base() {
        Base::Debian(base) => {
            let python = if base.python { ", with its python3" } else { "" };
            format!("debian {}, from the archive{python}", base.suite)
        }
        Base::Registry(reference) => reference.to_string(),
        Base::Scratch => "nothing".to_owned(),
        Base::Image(image) => format!("the image {}", named(image)),
        Base::Dockerfile(dockerfile) => dockerfile.file.display().to_string(),
        Base::Named(name) => format!("the image that is configured as {name}"),
    };
    match resolved.base_digest() {
        Some(digest) => format!("{said} ({})", digest.short()),
        None => said,
    }
}

fn named(image: &Image) -> &str {
    image.name().unwrap_or("without a name")
}

/// What a step is, and what it is of.
fn described(step: &Step) -> (&'static str, String) {
    match step {
        Step::Apt(apt) => ("apt", with_secrets(apt.packages.join(", "), &apt.secrets)),
        Step::Pip(pip) => ("pip", with_options(joined(&pip.packages), &pip.options)),
        Step::Requirements(requirements) => {
            let file = requirements.file.display().to_string();
            ("requirements", with_options(file, &requirements.options))
        }
        Step::Wheels(wheels) => {
            ("wheels", with_options(wheels.dir.display().to_string(), &wheels.options))
        }
        Step::Project(project) => {
            let said = format!("{} {}", project.kind.name(), project.manifest.display());
            ("project", with_options(said, &project.options))
        }
        Step::Conda(conda) => ("conda", with_secrets(conda_text(conda), &conda.secrets)),
        Step::SourceFolder(folder) => {
            ("folder", format!("{} -> {}", folder.src.display(), folder.dst))
        }
        Step::SourceFile(file) => ("file", format!("{} -> {}", file.src.display(), file.dst)),
        Step::CodeBundle(code) => ("code", format!("-> {}", code.dst)),
        Step::Env(env) => ("env", joined(env.vars.keys().chain(env.paths.keys()))),
        Step::Commands(commands) => {
            let lines: Vec<String> = commands.commands.iter().map(Command::to_string).collect();
            ("run", with_secrets(lines.join("; "), &commands.secrets))
        }
        Step::Workdir(workdir) => ("workdir", workdir.path.clone()),
        Step::User(user) => ("user", user.user.clone()),
        Step::Entrypoint(entrypoint) => ("entrypoint", entrypoint.argv.join(" ")),
        Step::Cmd(cmd) => ("cmd", cmd.argv.join(" ")),
        Step::Labels(labels) => ("labels", joined(labels.labels.keys())),
    }
}

fn conda_text(conda: &Conda) -> String {
    let said = match (&conda.source, conda.source.files()) {
        (CondaSource::Packages(packages), _) => joined(packages),
        (CondaSource::Pixi(pixi), _) => {
            format!("{} ({})", pixi.manifest.display(), pixi.environment)
        }
        (_, files) => files.map(|(file, _)| file.display().to_string()).unwrap_or_default(),
    };
    match conda.channels.as_slice() {
        [] => said,
        channels => format!("{said}, from {}", joined(channels)),
    }
}

fn with_options(said: String, options: &PipOptions) -> String {
    let PipOptions { index, extra_indexes, pre, extra_args, secrets } = options;
    let mut said = said;
    for index in index.iter().chain(extra_indexes) {
        let _ = write!(said, ", from {index}");
    }
    if *pre {
        said.push_str(", pre-releases");
    }
    for argument in extra_args {
        let _ = write!(said, " {argument}");
    }
    with_secrets(said, secrets)
}

/// Secrets by name: nobody here knows more.
fn with_secrets(said: String, secrets: &[Secret]) -> String {
    match secrets {
        [] => said,
        secrets => format!("{said}, seeing {}", joined(secrets)),
    }
}

fn joined(items: impl IntoIterator<Item = impl ToString>) -> String {
    let texts: Vec<String> = items.into_iter().map(|item| item.to_string()).collect();
    texts.join(", ")
}

fn counted(number: usize, what: &str) -> String {
    let ending = if number == 1 { "" } else { "s" };
    format!("{number} {what}{ending}")
}

/// A line of a readable length.
fn cut(line: &str) -> String {
    match line.chars().count() > WIDTH {
        true => line.chars().take(WIDTH - 1).chain(['…']).collect(),
        false => line.to_owned(),
    }
}
