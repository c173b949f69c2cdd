//! `tierce render`: the text and the context that other builders get.

mod support;

use support::{Project, run};

const SPEC: &str = r#"
name = "web"
base = "registry.example.com/team/base:1"
pip = { packages = ["six"], index = "https://user:hunter2@pypi.example.com/simple" }
env = { GREETING = "it's $5" }
workdir = "/srv"
copy = [{ src = "app" }]
run = ["make <<EOF\nEOF", { cmd = "make check", network = "none" }]
"#;

fn project() -> Project {
    Project::new(SPEC).file("app/main.py", "print()\n").file("app/.git/HEAD", "left out")
}

#[test]
fn the_text_is_printed_and_nothing_else_happens() {
    let project = project();
    let outcome = project.tierce(["render"]).ok();
    let text = &outcome.stdout;
    assert!(text.starts_with("FROM registry.example.com/team/base:1\n"), "{outcome}");
    assert!(text.contains("ENV GREETING=\"it's \\$5\"\n"), "{outcome}");
    assert!(text.contains("RUN [\"/bin/sh\", \"-c\", \"make <<EOF\\nEOF\"]\n"), "{outcome}");
    assert!(text.contains("RUN --network=none"), "{outcome}");
    assert!(!format!("{outcome}").contains("hunter2"), "{outcome}");
    assert_eq!(outcome.stderr, "");
    assert_eq!(project.tierce(["render"]).ok().stdout, *text);
    assert!(!project.store().join("blobs").exists());
}

#[test]
fn what_a_builder_can_not_do_is_a_warning() {
    let outcome = project().tierce(["render", "--dialect", "docker-20"]).ok();
    assert!(outcome.stderr.contains("warning[render/unsupported]: run.network"), "{outcome}");
    assert!(!outcome.stdout.contains("--network"), "{outcome}");
    // Credentials would be in the text.
    project().tierce(["render", "--dialect", "classic"]).fails(2, "render/credentials");
}

#[test]
fn the_context_is_listed_and_written() {
    let project = project().executable("uv", "#!/bin/sh\n");
    let listed = project.tierce(["render", "--context"]).ok().stdout;
    let paths: Vec<&str> =
        listed.lines().filter_map(|line| line.split_whitespace().last()).collect();
    assert!(paths.contains(&"Dockerfile"), "{listed}");
    assert!(paths.iter().any(|path| path.ends_with("/main.py")), "{listed}");
    assert!(!listed.contains("HEAD"), "{listed}");

    let written = ["render", "--uv", "uv", "--output", "out", "--archive", "out.tar.gz"];
    let text = project.tierce(written).ok().stdout;
    assert_eq!(std::fs::read_to_string(project.path("out/Dockerfile")).expect("written"), text);
    project.tierce(written).fails(2, "context/not-empty");
    let archive = project.path("out.tar.gz").display().to_string();
    if let Some(names) = run("tar", ["-tf", &archive]) {
        let mut found: Vec<String> = names.lines().map(str::to_owned).collect();
        found.sort();
        let mut on_disk = vec![];
        let mut open = vec![project.path("out")];
        while let Some(directory) = open.pop() {
            for entry in std::fs::read_dir(directory).expect("a directory") {
                let path = entry.expect("an entry").path();
                let below = path.strip_prefix(project.path("out")).expect("below").display();
                on_disk.push(format!("{below}{}", if path.is_dir() { "/" } else { "" }));
                if path.is_dir() {
                    open.push(path);
                }
            }
        }
        on_disk.sort();
        assert_eq!(found, on_disk);
    }
    project.tierce(["render", "--archive", "out.rar"]).fails(2, "cli/usage");
    assert!(!project.path("out.rar").exists());
}

#[test]
fn programs_get_all_of_it() {
    let all = project().tierce(["render", "--format", "json"]).ok().json();
    assert_eq!(all["dockerfile-path"], "Dockerfile");
    assert_eq!(all["secrets"][0]["id"], "tierce.netrc");
    assert!(all["context"].as_array().expect("a list").iter().any(|e| e["path"] == "Dockerfile"));
    assert!(!all.to_string().contains("hunter2"));
}
