//! What an image declares that has a say in what it is resolved to.

use super::{LockError, manifest};
use crate::gather::{GatherError, Gathered, LocalTarget};
use crate::job::unmodified;
use std::path::Path;
use std::sync::Arc;
use tierce_oci::{Digest, hide_credentials};
use tierce_spec::requirements::{self, LineKind};
use tierce_spec::{
    Base, CondaSource, DebianBase, PipOptions, PythonProvider, PythonRequest, ResolvedStep, Step,
};
use tierce_tree::Node;

/// Where apt's settings are.
const APT: &str = "/etc/apt/";

/// What an image declares that has a say in what it is resolved to, one thing a line, as a lock
/// keeps it and compares it.
///
/// Not what is copied into it, but for settings of apt's, nor variables, users and commands to start: an image whose code
/// changed is built from the same lock. Commands that are run count, since they may say where
/// packages come from.
pub fn declared(gathered: &Gathered) -> Result<Vec<String>, LockError> {
    let image = gathered.resolved.image();
    let mut lines = vec![base(image.base(), gathered)];
    lines.extend(image.python().map(python));
    for step in gathered.resolved.steps() {
        step_lines(&step, gathered, &mut lines)?;
    }
    Ok(lines.iter().map(|line| hide_credentials(line)).collect())
}

fn base(base: &Base, gathered: &Gathered) -> String {
    match base {
        Base::Debian(DebianBase {
            suite,
            python,
            mirror,
            security_mirror,
            components,
            packages,
        }) => {
            let mut line = format!("base debian {suite}");
            let url = |url: &tierce_spec::ServiceUrl| url.without_credentials().to_string();
            let settings = [
                ("mirror", mirror.as_ref().map(url)),
                ("security-mirror", security_mirror.as_ref().map(url)),
            ];
            for (name, value) in settings {
                line.extend(value.map(|value| format!(" {name}={value}")));
            }
            if !components.is_empty() {
                line.push_str(&format!(" components={}", components.join(",")));
            }
            if *python {
                line.push_str(" python");
            }
            for package in packages {
                line.push_str(&format!(" {package}"));
            }
            line
        }
        Base::Registry(reference) => format!("base {reference}"),
        Base::Scratch => "base scratch".to_owned(),
        Base::Image(image) => match unmodified(image) {
            Some(reference) => format!("base {reference}"),
            // The image below has lines of its own.
            None => "base image".to_owned(),
        },
        Base::Dockerfile(_) => {
            let digest = gathered.resolved.base_digest();
            format!("base dockerfile {}", digest.map(|d| d.to_string()).unwrap_or_default())
        }
        Base::Named(name) => format!("base named {name}"),
    }
}

fn python(request: &PythonRequest) -> String {
    let PythonRequest { version, interpreter, provider } = request;
    let mut line = "python".to_owned();
    line.extend(version.map(|version| format!(" {version}")));
    line.extend(interpreter.as_ref().map(|path| format!(" {path}")));
    line.push_str(match provider {
        PythonProvider::Auto => "",
        PythonProvider::Base => " of the base",
        PythonProvider::Standalone => " standalone",
    });
    line
}

fn step_lines(
    step: &ResolvedStep<'_>,
    gathered: &Gathered,
    lines: &mut Vec<String>,
) -> Result<(), LockError> {
    match step.step {
        Step::Apt(apt) if apt.packages.is_empty() => {}
        Step::Apt(apt) => lines.push(format!("apt {}", apt.packages.join(" "))),
        Step::Pip(pip) => {
            lines.extend(pip.packages.iter().map(|package| format!("pip {package}")));
            lines.extend(pip_options("pip", &pip.options));
        }
        Step::Requirements(wanted) => {
            let name = wanted.file.display().to_string();
            if let Some(path) = gathered.requirements.get(&step.index) {
                lines.extend(requirements_lines(&name, path)?);
            }
            for local in gathered.locals.get(&step.index).into_iter().flatten() {
                if let LocalTarget::Folder(source) = &local.target {
                    let folder = source.root.strip_prefix(&gathered.root).unwrap_or(&source.root);
                    lines.extend(manifest::of_folder(&name, folder, source));
                }
            }
            lines.extend(pip_options(&name, &wanted.options));
        }
        Step::Wheels(wheels) => {
            for wheel in gathered.wheels.get(&step.index).into_iter().flatten() {
                let name = wheel.path.file_name().unwrap_or_default().to_string_lossy();
                lines.push(format!("wheel {name} {}", wheel.digest));
            }
            lines.extend(pip_options("wheels", &wheels.options));
        }
        Step::Project(project) => {
            let name = format!("{} project {}", project.kind.name(), project.manifest.display());
            lines.extend(manifest::lines(&name, gathered.projects.get(&step.index)));
            let chosen = serde_json::json!([project.install, project.selection]);
            lines.push(format!("{name}: {chosen}"));
            lines.extend(pip_options(&name, &project.options));
        }
        Step::Conda(conda) => {
            let name = format!("conda {}", conda.prefix());
            match &conda.source {
                CondaSource::Packages(packages) => {
                    lines.extend(packages.iter().map(|package| format!("{name}: {package}")));
                }
                CondaSource::Pixi(pixi) => {
                    lines.push(format!("{name}: pixi environment {}", pixi.environment));
                }
                CondaSource::Environment { .. } | CondaSource::Lock { .. } => {}
            }
            lines.extend(manifest::lines(&name, gathered.conda.get(&step.index)));
            lines.extend(conda.channels.iter().map(|c| format!("{name}: channel {c}")));
            let machine = conda.virtual_packages.iter();
            lines.extend(machine.map(|(package, version)| format!("{name}: {package} {version}")));
        }
        Step::Commands(commands) => {
            let shown =
                |command: &tierce_spec::Command| format!("run {}", command.argv().join(" "));
            lines.extend(commands.commands.iter().map(shown));
        }
        Step::SourceFolder(_) | Step::SourceFile(_) => lines.extend(apt_settings(step, gathered)),
        Step::CodeBundle(_)
        | Step::Env(_)
        | Step::Workdir(_)
        | Step::User(_)
        | Step::Entrypoint(_)
        | Step::Cmd(_)
        | Step::Labels(_) => {}
    }
    Ok(())
}

/// What a source puts to where apt finds out where packages come from: that has a say in which
/// they are.
fn apt_settings(step: &ResolvedStep<'_>, gathered: &Gathered) -> Option<String> {
    let source = gathered.sources.get(&step.index)?;
    let place = step.image_path(None)?;
    let place = place.trim_end_matches('/');
    let settings = source.tree.entries().iter().filter_map(|entry| {
        let below = String::from_utf8_lossy(entry.path.as_bytes());
        let path = format!("{place}/{below}");
        let path = path.trim_end_matches('/');
        let is_one = path.starts_with(APT) && !matches!(entry.node, Node::Directory);
        is_one.then(|| format!("{path} {:?}", entry.node))
    });
    let settings: Vec<String> = settings.collect();
    let digest = Digest::of(settings.join("\n"));
    (!settings.is_empty()).then(|| format!("source {APT} {digest}"))
}

fn pip_options(name: &str, options: &PipOptions) -> Vec<String> {
    let PipOptions { index, extra_indexes, pre, extra_args, secrets: _ } = options;
    let url = |url: &tierce_spec::ServiceUrl| url.without_credentials().to_string();
    let mut lines = vec![];
    lines.extend(index.as_ref().map(|i| format!("{name}: index {}", url(i))));
    lines.extend(extra_indexes.iter().map(|i| format!("{name}: extra index {}", url(i))));
    lines.extend(pre.then(|| format!("{name}: pre-releases")));
    lines.extend(extra_args.iter().map(|arg| format!("{name}: {arg}")));
    lines
}

/// What a requirements file, and those that it includes, ask for.
fn requirements_lines(name: &str, path: &Path) -> Result<Vec<String>, LockError> {
    let gathered = requirements::gather(path, |file| std::fs::read(file))
        .map_err(|error| Arc::new(GatherError::Requirements(error)))?;
    let lines = gathered.files.iter().flat_map(|file| {
        let kind = match file.included_as {
            requirements::IncludedAs::Constraints => "constraint ",
            _ => "",
        };
        file.lines.iter().filter_map(move |line| match &line.kind {
            LineKind::Include(_) | LineKind::Constraint(_) => None,
            LineKind::Requirement(text)
            | LineKind::LocalPath(text)
            | LineKind::Url(text)
            | LineKind::Option(text) => Some(format!("{name}: {kind}{text}")),
            LineKind::Editable(text) => Some(format!("{name}: -e {text}")),
        })
    });
    Ok(lines.collect())
}
