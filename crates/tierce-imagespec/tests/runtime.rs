//! What containers do before they run their command: the program that is in front of it, run here
//! with programs of our own in the place of the image's.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tierce_imagespec::{Fields, ImageSpec, Surroundings};
use tierce_spec::{Command as Line, Step};

struct Container {
    dir: tempfile::TempDir,
}

impl Container {
    /// A container of an image with these programs: their names, and what they are as scripts.
    fn new(programs: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let container = Container { dir };
        fs::create_dir(container.path("bin")).unwrap();
        for (name, script) in programs {
            let file = container.path("bin").join(name);
            fs::write(&file, format!("#!/bin/sh\n{script}\n")).unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        }
        container.write_entry();
        container
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Runs the command that writes the program, here.
    fn write_entry(&self) {
        let fields = Fields { runtime_packages: vec!["a".into()], ..Fields::default() };
        let lowered = ImageSpec::new(fields).unwrap().lower(&Surroundings::default()).unwrap();
        let lines = lowered.image.steps().iter().filter_map(|step| match step {
            Step::Commands(commands) => Some(commands.commands.clone()),
            _ => None,
        });
        let is_writing = |line: &Line| line.to_string().contains("cat > /opt/tierce/entry");
        let line = lines.flatten().find(is_writing).unwrap().to_string();
        let line = line.replace("/opt/tierce", &self.path("opt/tierce").display().to_string());
        let done = Command::new("/bin/sh").args(["-c", &line]).status().unwrap();
        assert!(done.success());
    }

    fn run(&self, packages: Option<&str>, command: &[&str]) -> Output {
        let mut process = Command::new(self.path("opt/tierce/entry"));
        process.args(command).env_clear().env("PATH", self.path("bin")).env("LOG", self.log());
        if let Some(packages) = packages {
            process.env("_F_RUNTIME_PACKAGES", packages);
        }
        process.output().unwrap()
    }

    fn log(&self) -> PathBuf {
        self.path("log")
    }

    /// What was called.
    fn calls(&self) -> Vec<String> {
        let log = fs::read_to_string(self.log()).unwrap_or_default();
        log.lines().map(str::to_owned).collect()
    }
}

const CALL: &str = r#"echo "${0##*/} $*" >> "$LOG"; echo "what ${0##*/} prints""#;
/// An interpreter with pip, and one without.
const WITH_PIP: &str = r#"[ "$3" = --version ] && exit; echo "python $*" >> "$LOG"; echo pip says"#;
const WITHOUT_PIP: &str = "exit 1";
const JOB: &str = r#"echo "job ${_F_RUNTIME_PACKAGES-unset} $*""#;

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn packages_are_installed_with_what_the_image_has() {
    for (programs, installer) in [
        (vec![("python3", WITH_PIP), ("uv", CALL)], "python -m pip install"),
        (vec![("python", WITH_PIP)], "python -m pip install"),
        (vec![("python3", WITHOUT_PIP), ("uv", CALL), ("pip", CALL)], "uv pip install --python"),
        (vec![("python3", WITHOUT_PIP), ("pip3", CALL)], "pip3 --python"),
    ] {
        let container = Container::new(&[programs, vec![("job", JOB)]].concat());
        let output = container.run(Some("a==1 b[x]>=2,<3 *"), &["job", "one two", "three"]);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        // Of what installers print nothing is what the command prints.
        assert_eq!(stdout(&output), "job unset one two three\n");
        let [call] = &container.calls()[..] else { panic!("{:?}", container.calls()) };
        assert!(call.starts_with(installer), "{call}");
        assert!(call.ends_with(" a==1 b[x]>=2,<3 *"), "{call}");
    }
}

#[test]
fn nothing_is_done_where_nothing_is_asked_for() {
    let container = Container::new(&[("python3", WITH_PIP), ("job", JOB)]);
    for packages in [None, Some(""), Some("  ")] {
        let output = container.run(packages, &["job"]);
        assert_eq!(output.status.code(), Some(0));
        assert_eq!(stderr(&output), "");
    }
    assert_eq!(container.calls(), [""; 0]);
    // What the command ends with is what the container ends with.
    let container = Container::new(&[("job", "exit 7")]);
    assert_eq!(container.run(None, &["job"]).status.code(), Some(7));
    assert_eq!(container.run(None, &[]).status.code(), Some(127));
}

#[test]
fn flytekits_own_entrypoint_does_it_itself_where_it_can() {
    for command in ["pyflyte-execute", "/opt/venv/bin/pyflyte-map-execute", "pyflyte-fast-execute"]
    {
        let name = Path::new(command).file_name().unwrap().to_str().unwrap();
        let run = |python| {
            let container = Container::new(&[("python3", python), ("uv", CALL), (name, JOB)]);
            let at = container.path("bin").join(name).display().to_string();
            let output = container.run(Some("a"), &[&at, "--inputs"]);
            (stdout(&output), container.calls().len())
        };
        assert_eq!(run(WITH_PIP), ("job a --inputs\n".to_owned(), 0), "{command}");
        // flytekit calls pip and nothing else.
        assert_eq!(run(WITHOUT_PIP), ("job unset --inputs\n".to_owned(), 1), "{command}");
    }
}

#[test]
fn failures_are_said_and_end_the_container() {
    let failing = r#"[ "$3" = --version ] && exit; echo no such package >&2; exit 3"#;
    let table = [
        ("a failing pip", vec![("python3", failing)], 3, "could not be installed"),
        ("no installer", vec![("python3", WITHOUT_PIP)], 127, "neither pip nor uv"),
        ("no python", vec![], 127, "no python"),
    ];
    for (what, programs, code, message) in table {
        let container = Container::new(&[programs, vec![("job", JOB)]].concat());
        let output = container.run(Some("a"), &["job"]);
        assert_eq!(output.status.code(), Some(code), "{what}");
        assert!(stderr(&output).contains(message), "{what}: {}", stderr(&output));
        assert_eq!(stdout(&output), "", "{what}: the command does not run");
    }
}
