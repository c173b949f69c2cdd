//! From the document to the image's steps.

use super::base_value::{
    BaseValue, DebianTable, DockerfileTable, RefTable, ReferenceName, SpecTable,
};
use super::document::{
    AptTable, AptValue, CodeTable, CodeValue, CommandValue, CopyTable, Document, OneOrMany,
    PipTable, PipValue, PlatformName, PythonTable, PythonValue, RunTable, RunValue, StepTable,
};
use super::error::ManifestProblem;
use super::locate::{Segment, Source};
use super::packages::{secret, secrets};
use super::{Manifest, SourceKind};
use crate::{
    Apt, Base, Bytecode, Cmd, CodeBundle, Command, Commands, DebianBase, DockerfileBase,
    Entrypoint, Env, Image, Labels, Network, Pip, PipOptions, PythonProvider, PythonRequest,
    Requirements, SourceFile, SourceFolder, SourceOptions, Step, User, Wheels, Workdir,
};
use std::collections::BTreeMap;
use std::path::Path;

/// A step, and where in the document it is from.
pub(super) struct Lowered {
    pub step: Step,
    pub origin: Vec<Segment>,
    /// The index in the document's list of the step's first item.
    pub offset: usize,
}

/// What is wrong with the document as a whole, beyond its types.
pub(super) fn check_forms(source: &Source, document: &Document) -> Vec<ManifestProblem> {
    let Some(steps) = &document.steps else { return vec![] };
    let mut problems = vec![];
    let report = |code, path: &[Segment], message: String, hint: &str| {
        let (_, span) = source.locate(path);
        ManifestProblem::new(source, code, span, message, Some(hint.to_owned()))
    };
    for key in short_keys(document) {
        problems.push(report(
            "spec/mixed-forms",
            &[key.into()],
            format!("`{key}` can't stand next to [[steps]]"),
            &format!(
                "Make it a step, in its place among the others: [[steps]] with `{key}` below it."
            ),
        ));
    }
    for (index, step) in steps.iter().enumerate() {
        let keys = step_keys(step);
        if keys.len() != 1 {
            let found = match keys.as_slice() {
                [] => "it has none".to_owned(),
                keys => format!("it has `{}`", keys.join("` and `")),
            };
            problems.push(report(
                "spec/one-key-per-step",
                &["steps".into(), Segment::Index(index)],
                format!("steps[{index}]: a step has exactly one key, {found}"),
                "Start a step of its own with [[steps]] for each key.",
            ));
        }
    }
    problems
}

/// The keys of the short form that the document has.
fn short_keys(document: &Document) -> Vec<&'static str> {
    let Document {
        name: _,
        registry: _,
        tag: _,
        base: _,
        platforms: _,
        python: _,
        bytecode: _,
        dockerignore: _,
        registry_secret: _,
        builder: _,
        network: _,
        apt,
        conda,
        project,
        pip,
        requirements,
        wheels,
        env,
        workdir,
        copy,
        run,
        user,
        code,
        entrypoint: _,
        cmd: _,
        labels: _,
        steps: _,
        workspace: _,
    } = document;
    let keys = [
        ("apt", apt.is_some()),
        ("conda", conda.is_some()),
        ("project", project.is_some()),
        ("pip", pip.is_some()),
        ("requirements", requirements.is_some()),
        ("wheels", wheels.is_some()),
        ("env", env.is_some()),
        ("workdir", workdir.is_some()),
        ("copy", copy.is_some()),
        ("run", run.is_some()),
        ("user", user.is_some()),
        ("code", code.is_some()),
    ];
    keys.into_iter().filter(|(_, given)| *given).map(|(key, _)| key).collect()
}

fn step_keys(step: &StepTable) -> Vec<&'static str> {
    let StepTable {
        apt,
        conda,
        project,
        pip,
        requirements,
        wheels,
        env,
        workdir,
        copy,
        run,
        user,
        code,
    } = step;
    let keys = [
        ("apt", apt.is_some()),
        ("conda", conda.is_some()),
        ("project", project.is_some()),
        ("pip", pip.is_some()),
        ("requirements", requirements.is_some()),
        ("wheels", wheels.is_some()),
        ("env", env.is_some()),
        ("workdir", workdir.is_some()),
        ("copy", copy.is_some()),
        ("run", run.is_some()),
        ("user", user.is_some()),
        ("code", code.is_some()),
    ];
    keys.into_iter().filter(|(_, given)| *given).map(|(key, _)| key).collect()
}

/// The image without its steps.
pub(super) fn image(manifest: &Manifest, kind: &dyn Fn(&Path) -> SourceKind) -> Image {
    let document = &manifest.document;
    Image {
        name: document.name.clone(),
        registry: document.registry.clone(),
        tag: document.tag.clone(),
        base: base(manifest, kind),
        platforms: document.platforms.iter().flatten().map(|PlatformName(p)| p.clone()).collect(),
        python: document.python.as_ref().map(python),
        bytecode: match document.bytecode {
            None => Bytecode::Auto,
            Some(true) => Bytecode::Compile,
            Some(false) => Bytecode::Skip,
        },
        root: None,
        dockerignore: document.dockerignore.clone(),
        registry_secret: document.registry_secret.as_ref().map(secret),
        builder: document.builder.clone(),
        steps: vec![],
    }
}

fn base(manifest: &Manifest, kind: &dyn Fn(&Path) -> SourceKind) -> Base {
    match &manifest.document.base {
        BaseValue::Reference(ReferenceName::Scratch) => Base::Scratch,
        BaseValue::Reference(ReferenceName::Registry(reference)) => {
            Base::Registry(reference.clone())
        }
        BaseValue::Debian(DebianTable {
            debian,
            python,
            mirror,
            security_mirror,
            components,
            packages,
        }) => Base::Debian(DebianBase {
            suite: debian.clone(),
            python: *python,
            mirror: mirror.clone(),
            security_mirror: security_mirror.clone(),
            components: components.clone(),
            packages: packages.clone(),
        }),
        BaseValue::Spec(SpecTable { spec: _ }) => Base::Image(Box::new(below(manifest, kind))),
        BaseValue::Dockerfile(DockerfileTable { dockerfile, context, build_args, target }) => {
            Base::Dockerfile(DockerfileBase {
                file: dockerfile.clone(),
                context: context.clone(),
                build_args: build_args.clone(),
                target: target.clone(),
            })
        }
        BaseValue::Ref(RefTable { name }) => Base::Named(name.clone()),
    }
}

/// The image below that of `manifest`, which was read with it.
fn below(manifest: &Manifest, kind: &dyn Fn(&Path) -> SourceKind) -> Image {
    let Some(below) = &manifest.below else { return Image::from_scratch() };
    let image = below.manifest.image_with(|src| kind(&below.folder.join(src)));
    let image = match (image.name(), &below.name) {
        (None, Some(name)) => image.with_name(name),
        _ => image,
    };
    match below.folder.as_os_str().is_empty() {
        true => image,
        false => image.with_root(&below.folder),
    }
}

fn python(value: &PythonValue) -> PythonRequest {
    match value {
        PythonValue::Version(version) => PythonRequest {
            version: Some(*version),
            interpreter: None,
            provider: PythonProvider::Auto,
        },
        PythonValue::Table(PythonTable { version, interpreter, provider }) => PythonRequest {
            version: Some(*version),
            interpreter: interpreter.clone(),
            provider: provider.unwrap_or_default(),
        },
    }
}

/// The steps, in the order in which they apply.
pub(super) fn steps(document: &Document, kind: &dyn Fn(&Path) -> SourceKind) -> Vec<Lowered> {
    let mut out = Builder {
        steps: vec![],
        prefix: vec![],
        network: document.network.unwrap_or_default(),
        kind,
    };
    match &document.steps {
        Some(steps) => {
            for (index, step) in steps.iter().enumerate() {
                out.prefix = vec!["steps".into(), Segment::Index(index)];
                out.step_table(step);
            }
            out.prefix = vec![];
        }
        None => out.step_table(&StepTable {
            apt: document.apt.clone(),
            conda: document.conda.clone(),
            project: document.project.clone(),
            pip: document.pip.clone(),
            requirements: document.requirements.clone(),
            wheels: document.wheels.clone(),
            env: document.env.clone(),
            workdir: document.workdir.clone(),
            copy: document.copy.clone(),
            run: document.run.clone(),
            user: document.user.clone(),
            code: document.code.clone(),
        }),
    }
    if let Some(argv) = &document.entrypoint {
        out.push(&["entrypoint"], 0, Step::Entrypoint(Entrypoint { argv: argv.clone() }));
    }
    if let Some(argv) = &document.cmd {
        out.push(&["cmd"], 0, Step::Cmd(Cmd { argv: argv.clone() }));
    }
    if let Some(labels) = &document.labels {
        out.push(&["labels"], 0, Step::Labels(Labels { labels: labels.clone() }));
    }
    out.steps
}

struct Builder<'a> {
    steps: Vec<Lowered>,
    /// Where in the document the keys are from.
    prefix: Vec<Segment>,
    /// The rule of commands that have none of their own.
    network: Network,
    kind: &'a dyn Fn(&Path) -> SourceKind,
}

impl Builder<'_> {
    fn push(&mut self, path: &[&str], offset: usize, step: Step) {
        let mut origin = self.prefix.clone();
        origin.extend(path.iter().map(|key| Segment::from(*key)));
        self.steps.push(Lowered { step, origin, offset });
    }

    /// The steps of one table, in the canonical order.
    fn step_table(&mut self, table: &StepTable) {
        let StepTable {
            apt,
            conda,
            project,
            pip,
            requirements,
            wheels,
            env,
            workdir,
            copy,
            run,
            user,
            code,
        } = table;
        if let Some(apt) = apt {
            let (packages, secrets) = match apt {
                AptValue::Packages(packages) => (packages, vec![]),
                AptValue::Table(AptTable { packages, secrets: values }) => {
                    (packages, secrets(values))
                }
            };
            self.push(&["apt"], 0, Step::Apt(Apt { packages: packages.clone(), secrets }));
        }
        if let Some(conda) = conda {
            self.push(&["conda"], 0, Step::Conda(conda.conda()));
        }
        if let Some(project) = project {
            self.push(&["project"], 0, Step::Project(project.project()));
        }
        if let Some(pip) = pip {
            self.pip(pip);
        }
        if let Some(files) = requirements {
            self.requirements(&["requirements"], files, &PipOptions::default());
        }
        if let Some(folders) = wheels {
            self.wheels(folders);
        }
        if let Some(vars) = env {
            self.push(&["env"], 0, Step::Env(Env { vars: vars.clone(), paths: BTreeMap::new() }));
        }
        if let Some(path) = workdir {
            self.push(&["workdir"], 0, Step::Workdir(Workdir { path: path.clone() }));
        }
        for (index, copy) in copy.iter().flatten().enumerate() {
            self.copy(index, copy);
        }
        self.run(run.as_deref().unwrap_or_default());
        if let Some(user) = user {
            self.push(&["user"], 0, Step::User(User { user: user.clone() }));
        }
        if let Some(code) = code {
            let (style, dst) = match code {
                CodeValue::Style(style) => (*style, None),
                CodeValue::Table(CodeTable { style, dst }) => (*style, dst.clone()),
            };
            let dst = dst.unwrap_or_else(|| ".".into());
            self.push(&["code"], 0, Step::CodeBundle(CodeBundle { style, dst }));
        }
    }

    fn pip(&mut self, value: &PipValue) {
        match value {
            PipValue::Packages(packages) => {
                let (packages, options) = (packages.clone(), PipOptions::default());
                self.push(&["pip"], 0, Step::Pip(Pip { packages, options }));
            }
            PipValue::Table(table) => {
                let PipTable {
                    packages,
                    requirements,
                    index,
                    extra_indexes,
                    pre,
                    extra_args,
                    secrets: values,
                } = &**table;
                let options = PipOptions {
                    index: index.clone(),
                    extra_indexes: extra_indexes.clone(),
                    pre: *pre,
                    extra_args: extra_args.clone(),
                    secrets: secrets(values),
                };
                // Files alone need no step of their own to hold the options.
                if !packages.is_empty() || requirements.is_none() {
                    let (packages, options) = (packages.clone(), options.clone());
                    self.push(&["pip"], 0, Step::Pip(Pip { packages, options }));
                }
                if let Some(files) = requirements {
                    self.requirements(&["pip", "requirements"], files, &options);
                }
            }
        }
    }

    fn requirements(&mut self, path: &[&str], files: &OneOrMany, options: &PipOptions) {
        for (index, file) in files.paths().iter().enumerate() {
            let (file, options) = (file.clone(), options.clone());
            self.push(path, 0, Step::Requirements(Requirements { file, options }));
            if let (OneOrMany::Many(_), Some(last)) = (files, self.steps.last_mut()) {
                last.origin.push(Segment::Index(index));
            }
        }
    }

    fn wheels(&mut self, folders: &OneOrMany) {
        for (index, dir) in folders.paths().iter().enumerate() {
            let (dir, options) = (dir.clone(), PipOptions::default());
            self.push(&["wheels"], 0, Step::Wheels(Wheels { dir, packages: vec![], options }));
            if let (OneOrMany::Many(_), Some(last)) = (folders, self.steps.last_mut()) {
                last.origin.push(Segment::Index(index));
            }
        }
    }

    fn copy(&mut self, index: usize, table: &CopyTable) {
        let CopyTable { src, dst, ignore, keep_defaults } = table;
        let step = match (self.kind)(src) {
            SourceKind::Folder => Step::SourceFolder(SourceFolder {
                src: src.clone(),
                dst: dst.clone().unwrap_or_else(|| default_dst(src)),
                options: SourceOptions {
                    ignore: ignore.clone(),
                    keep_defaults: *keep_defaults,
                    only: None,
                },
            }),
            SourceKind::File => Step::SourceFile(SourceFile {
                src: src.clone(),
                dst: dst.clone().unwrap_or_else(|| "./".into()),
            }),
        };
        self.push(&["copy"], 0, step);
        if let Some(last) = self.steps.last_mut() {
            last.origin.push(Segment::Index(index));
        }
    }

    /// Neighbours under one network rule that see the same secrets are one step.
    fn run(&mut self, values: &[RunValue]) {
        let mut open: Option<(usize, Commands)> = None;
        for (index, value) in values.iter().enumerate() {
            let (command, network, secrets) = match value {
                RunValue::Line(line) => (Command::Shell(line.clone()), self.network, vec![]),
                RunValue::Table(RunTable { cmd, network, secrets: values }) => {
                    let command = match cmd {
                        CommandValue::Shell(line) => Command::Shell(line.clone()),
                        CommandValue::Exec(argv) => Command::Exec(argv.clone()),
                    };
                    (command, network.unwrap_or(self.network), secrets(values))
                }
            };
            match &mut open {
                Some((_, open)) if (open.network, &open.secrets) == (network, &secrets) => {
                    open.commands.push(command);
                }
                _ => {
                    if let Some((offset, done)) = open.take() {
                        self.push(&["run"], offset, Step::Commands(done));
                    }
                    let commands = vec![command];
                    open = Some((index, Commands { commands, network, secrets }));
                }
            }
        }
        if let Some((offset, done)) = open {
            self.push(&["run"], offset, Step::Commands(done));
        }
    }
}

/// The folder's own name in the working directory; the working directory for `.` and kin.
fn default_dst(src: &Path) -> String {
    match src.file_name() {
        Some(name) => format!("./{}", name.to_string_lossy()),
        None => ".".to_owned(),
    }
}
