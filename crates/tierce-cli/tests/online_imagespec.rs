//! `imageSpec.yaml` with what flytekit's users write: packages of PyPI and Debian on the default
//! base.

mod support;

use std::fs;
use support::{Outcome, Project, executable, shared_store};

fn run(project: &Project, script: &str) -> Outcome {
    let args = ["run", "imageSpec.yaml", "--no-network", "--", "python", "-c", script];
    project.tierce(args).env("TIERCE_STORE", shared_store("online-imagespec")).run()
}

/// `None`, with a printed reason, where the archives can't be reached or nothing can be run.
fn built(outcome: Outcome) -> Option<Outcome> {
    match outcome.error_code() {
        Some(code) if code.starts_with("sandbox/") || outcome.code == 4 => {
            eprintln!("skipped: {outcome}");
            None
        }
        _ => Some(outcome),
    }
}

#[test]
fn packages_are_there_for_the_user_of_the_container() {
    const TOKEN: &str = "hunter2-is-not-in-the-image";
    let spec = "\
name: online
packages: [six==1.16.0]
requirements: requirements.txt
apt_packages: [python3-yaml]
python_exec: /usr/bin/python3
pip_secret_mounts: [[secrets/token, /run/token]]
source_root: src
source_copy_mode: ALL
commands: [\"python -c 'import six' && echo ok > /made\"]
builder_options: {flytekit: false}
";
    let project = Project::new("")
        .file("imageSpec.yaml", spec)
        .file("requirements.txt", "idna==3.7\n")
        .file("secrets/token", TOKEN)
        .file("src/mine.py", "WHERE = __file__\n");
    let script = "import getpass, os, six, idna, yaml, mine, sys, subprocess\n\
                  print(getpass.getuser(), os.getcwd(), mine.WHERE, sys.prefix)\n\
                  print(open('/made').read().strip(), os.path.exists('/run/token'))\n\
                  open('/root/written', 'w').close()\n\
                  print(subprocess.check_output(['bash', '-lc', 'which python'], text=True))";
    let Some(ran) = built(run(&project, script)) else { return };
    assert_eq!(ran.code, 0, "{ran}");
    let lines: Vec<&str> = ran.stdout.lines().collect();
    assert_eq!(
        lines[..3],
        ["flytekit /root /root/mine.py /opt/venv", "ok False", "/opt/venv/bin/python"],
        "{ran}"
    );
    // The secret's value is in nothing that was kept.
    let store = shared_store("online-imagespec");
    let grep = std::process::Command::new("grep").args(["-rlF", TOKEN]).arg(&store).output();
    assert_eq!(String::from_utf8_lossy(&grep.unwrap().stdout), "");

    // One that is not there is missed before anything is built.
    fs::remove_file(project.path("secrets/token")).unwrap();
    project.write("requirements.txt", "idna==3.6\n");
    let missed = run(&project, "");
    assert_eq!(missed.code, 2, "{missed}");
    assert!(missed.stderr.contains("secrets/token"), "{missed}");
    assert!(!executable(&project.path("secrets/token")));
}
