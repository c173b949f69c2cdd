//! The steps of an image, each in the light of those before it.

use super::problem::{Fault, Reporter};
use super::{Item, apt, conda, may_have_python, pip, project, secret, values};
use crate::{
    Apt, Base, Cmd, CodeBundle, Command, Commands, Entrypoint, Env, Image, Labels, Pip, PipOptions,
    Requirements, SourceFile, SourceFolder, SourceOptions, Step, User, Wheels, Workdir,
};
use std::collections::BTreeSet;
use std::path::Path;

/// What the steps so far say about the next one.
pub(super) struct Checker<'a> {
    image: &'a Image,
    /// The options of the first Python step that names an index.
    index: Option<&'a PipOptions>,
    python_reported: bool,
    workdir: &'a str,
    files: BTreeSet<String>,
    folders: BTreeSet<(&'a Path, String)>,
}

impl<'a> Checker<'a> {
    pub fn new(image: &'a Image) -> Self {
        Checker {
            image,
            index: None,
            python_reported: false,
            // The base's is unknown; any stand-in that no path can be written below will do.
            workdir: "/\0",
            files: BTreeSet::new(),
            folders: BTreeSet::new(),
        }
    }

    pub fn check(&mut self, r: &mut Reporter<'_>, step: &'a Step) {
        match step {
            Step::Apt(Apt { packages, secrets }) => {
                self.apt(r, packages);
                secret::check_all(r, secrets);
            }
            Step::Pip(Pip { packages, options }) => {
                self.python(r, options);
                for (index, package) in packages.iter().enumerate() {
                    r.check([Item::Index(index)], pip::check_requirement(package));
                }
            }
            Step::Requirements(Requirements { file, options }) => {
                self.python(r, options);
                r.check([], values::host_path(file));
            }
            Step::Wheels(Wheels { dir, packages, options }) => {
                self.python(r, options);
                r.check([], values::host_path(dir));
                for (index, package) in packages.iter().enumerate() {
                    let at = [Item::Part("packages"), Item::Index(index)];
                    r.check(at, pip::check_requirement(package));
                }
            }
            Step::Project(step) => {
                self.python(r, &step.options);
                project::check(r, step);
            }
            Step::Conda(step) => {
                conda::check(r, step);
                secret::check_all(r, &step.secrets);
            }
            Step::SourceFolder(folder) => self.folder(r, folder),
            Step::SourceFile(file) => self.file(r, file),
            Step::CodeBundle(CodeBundle { style: _, dst }) => {
                r.check(
                    [Item::Part("dst")],
                    values::contained_path("spec/invalid-destination", dst),
                );
            }
            Step::Env(Env { vars, paths }) => {
                for (name, value) in vars {
                    let at = || [Item::Key(name.clone())];
                    r.check(at(), values::env_name(name));
                    r.check(at(), values::process_text("spec/invalid-env-value", value));
                }
                for (name, path) in paths {
                    let at = || [Item::Key(name.clone())];
                    r.check(at(), values::env_name(name));
                    for directory in path.before.iter().chain(&path.after) {
                        r.check(at(), values::search_directory(directory));
                    }
                }
            }
            Step::Commands(Commands { commands, network: _, secrets }) => {
                secret::check_all(r, secrets);
                for (index, command) in commands.iter().enumerate() {
                    r.check([Item::Index(index)], check_command(command));
                }
            }
            Step::Workdir(Workdir { path }) => {
                r.check([], values::absolute_path("spec/invalid-workdir", path));
                self.workdir = path;
            }
            Step::User(User { user }) => r.check([], values::user(user)),
            Step::Entrypoint(Entrypoint { argv }) | Step::Cmd(Cmd { argv }) => {
                for (index, arg) in argv.iter().enumerate() {
                    r.check(
                        [Item::Index(index)],
                        values::process_text("spec/invalid-argument", arg),
                    );
                }
                if matches!((step, argv.as_slice()), (Step::Entrypoint(_), [first, ..]) if first.is_empty())
                {
                    let fault = Fault::new("spec/invalid-argument", "the program's name is empty");
                    r.report([Item::Index(0)], fault);
                }
            }
            Step::Labels(Labels { labels }) => {
                for (name, value) in labels {
                    let at = || [Item::Key(name.clone())];
                    r.check(at(), values::label_name(name));
                    r.check(at(), values::process_text("spec/invalid-label", value));
                }
            }
        }
    }

    fn apt(&mut self, r: &mut Reporter<'_>, packages: &[String]) {
        if *self.image.base() == Base::Scratch {
            let fault = Fault::new("spec/no-apt", "an image from scratch has no apt-get")
                .hint("Start from a Debian base: base = { debian = \"bookworm\" }.");
            r.report([], fault);
        }
        for (index, package) in packages.iter().enumerate() {
            r.check([Item::Index(index)], apt::check_package(package));
        }
    }

    fn python(&mut self, r: &mut Reporter<'_>, options: &'a PipOptions) {
        if !self.python_reported && !may_have_python(self.image) {
            self.python_reported = true;
            let hint = match self.image.base() {
                Base::Debian(debian) => format!(
                    "Ask for the suite's own: base = {{ debian = {:?}, python = true }}.",
                    debian.suite
                ),
                _ => {
                    "Start from a base with Python, or say which one the image gets: python = { version = \"3.12\", interpreter = \"/opt/python/bin/python3\" }.".into()
                }
            };
            let fault =
                Fault::new("spec/no-python", "the image has no python to install packages for");
            r.report([], fault.hint(hint));
        }
        pip::check_options(r, options, self.index);
        secret::check_all(r, &options.secrets);
        if self.index.is_none() && options.index.is_some() {
            self.index = Some(options);
        }
    }

    fn folder(&mut self, r: &mut Reporter<'_>, folder: &'a SourceFolder) {
        let SourceFolder { src, dst, options } = folder;
        let SourceOptions { ignore, keep_defaults: _, only } = options;
        r.check([Item::Part("src")], values::host_path(src));
        r.check([Item::Part("dst")], values::contained_path("spec/invalid-destination", dst));
        for (index, pattern) in ignore.iter().enumerate() {
            if pattern.contains(['\n', '\r', '\0']) {
                let fault = Fault::new(
                    "spec/invalid-ignore",
                    format!("{pattern:?} is more than one pattern"),
                );
                r.report([Item::Part("ignore"), Item::Index(index)], fault);
            }
        }
        for (index, file) in only.iter().flatten().enumerate() {
            r.check([Item::Part("only"), Item::Index(index)], values::path_below(file));
        }
        let path = folder.image_path(self.workdir);
        if !self.folders.insert((src, path)) {
            let message = format!("{} is copied to {dst:?} twice", src.display());
            r.report([Item::Part("src")], Fault::new("spec/duplicate-source", message));
        }
    }

    fn file(&mut self, r: &mut Reporter<'_>, file: &'a SourceFile) {
        let SourceFile { src, dst } = file;
        r.check([Item::Part("src")], values::host_path(src));
        r.check([Item::Part("dst")], values::contained_path("spec/invalid-destination", dst));
        if src.as_os_str().is_empty() {
            return;
        }
        if src.file_name().is_none() {
            let message = format!("{} is not a file's path", src.display());
            r.report([Item::Part("src")], Fault::new("spec/invalid-source", message));
        } else if !self.files.insert(file.image_path(self.workdir)) {
            let message = format!("another file is copied to {:?} already", file.target());
            let fault = Fault::new("spec/duplicate-source", message)
                .hint("Give one of them another name in dst.");
            r.report([Item::Part("dst")], fault);
        }
    }
}

fn check_command(command: &Command) -> Result<(), Fault> {
    const CODE: &str = "spec/invalid-command";
    match command {
        Command::Shell(line) if line.trim().is_empty() => {
            Err(Fault::new(CODE, "the command is empty"))
        }
        Command::Exec(argv) if argv.first().is_none_or(String::is_empty) => {
            Err(Fault::new(CODE, "the command is empty"))
        }
        Command::Shell(line) => values::process_text(CODE, line),
        Command::Exec(argv) => argv.iter().try_for_each(|arg| values::process_text(CODE, arg)),
    }
}
