//! Python packages of PyPI in images that run nothing.

mod support;

use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use support::{Project, Tierce, shared_store, unpack};

/// Packages on a base whose Python is only said: nothing is run.
fn project(more: &str) -> Project {
    Project::new(&format!(
        "name = 'packages'\nbase = 'scratch'\nbytecode = false\n\
         python = {{ version = '3.12', interpreter = '/usr/bin/python3.12' }}\n{more}\n"
    ))
}

fn tierce<'a>(project: &Project, args: impl IntoIterator<Item = &'a str>) -> Tierce {
    project.tierce(args).env("TIERCE_STORE", shared_store("online-python-store"))
}

#[test]
fn requirements_that_cannot_be_met_are_explained() {
    // (packages, platform, error, what uv's explanation and the hint say)
    let table: &[(&str, &str, &str, &[&str])] = &[
        (
            "'numpy<2', 'numpy>2'",
            "linux/amd64",
            "python/unsatisfiable",
            &["you require numpy<2 and numpy>2", "hint: Loosen one of the requirements"],
        ),
        (
            "'six==99'",
            "linux/amd64",
            "python/unsatisfiable",
            &["there is no version of six==99", "unsatisfiable", "hint: "],
        ),
        (
            "'tierce-no-such-package'",
            "linux/amd64",
            "python/unsatisfiable",
            &["tierce-no-such-package was not found", "hint: "],
        ),
        (
            "'pywin32'",
            "linux/arm64",
            "python/no-wheel",
            &["python 3.12 on linux/arm64", "pywin32", "hint: Choose a version with a wheel"],
        ),
    ];
    for (packages, platform, error, parts) in table {
        let project = project(&format!("pip = [{packages}]"));
        let build = ["build", "--output", "oci:out", "--platform", platform];
        let outcome = tierce(&project, build).fails(2, error);
        for part in *parts {
            assert!(outcome.stderr.contains(part), "{part:?} is not in {outcome}");
        }
        assert!(!project.path("out").exists());
    }
}

#[test]
fn an_index_that_is_not_there() {
    let project = project("pip = { packages = ['six'], index = 'http://127.0.0.1:1/simple' }");
    let outcome = tierce(&project, ["build"]).fails(4, "python/index-unreachable");
    assert!(outcome.hint().is_some() && outcome.stderr.contains("127.0.0.1:1"), "{outcome}");
}

/// The processor that an ELF file is for (System V ABI, "ELF Header", `e_machine`).
fn machine(path: &Path) -> u16 {
    let bytes = fs::read(path).unwrap();
    assert_eq!(&bytes[..4], b"\x7fELF", "{}", path.display());
    u16::from_le_bytes([bytes[18], bytes[19]])
}

#[test]
fn wheels_are_installed_for_every_platform() {
    let spec = "pip = ['markupsafe==3.0.2', 'uvicorn==0.30.6']";
    let project = project(spec);
    let build = |platform: &str, output: &str| -> Value {
        let args = ["build", "--format", "json", "--platform", platform, "--output", output];
        tierce(&project, args).ok().json()
    };
    let both = build("linux/amd64,linux/arm64", "oci:both");
    for (index, (platform, number)) in
        [("linux/amd64", 62), ("linux/arm64", 183)].iter().enumerate()
    {
        let directory = platform.replace('/', "-");
        let one = build(platform, &format!("oci:{directory}"));
        assert_eq!(one["digest"], both["platforms"][index]["digest"], "{platform}");
        let tag = one["uri"].as_str().unwrap().rsplit_once(':').unwrap().1;
        let Some(unpacked) = unpack(&project.path(&directory), tag) else { return };
        let site = unpacked.file("opt/venv/lib/python3.12/site-packages");
        let native = fs::read_dir(site.join("markupsafe"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .find(|path| path.extension().is_some_and(|e| e == "so"))
            .expect("a native module");
        assert_eq!(machine(&native), *number, "{platform}");
        assert_eq!(
            fs::read_link(unpacked.file("opt/venv/bin/python")).unwrap().to_str(),
            Some("/usr/bin/python3.12")
        );
        let script = fs::read_to_string(unpacked.file("opt/venv/bin/uvicorn")).unwrap();
        assert!(script.starts_with("#!/opt/venv/bin/python"), "{script}");
        assert!(support::executable(&unpacked.file("opt/venv/bin/uvicorn")));
        let installer = site.join("uvicorn-0.30.6.dist-info/INSTALLER");
        assert!(fs::read_to_string(installer).unwrap().starts_with("tierce"));
        assert!(site.join("click").is_dir(), "dependencies come along");
    }
    // The lock is in the store: the same again asks nobody.
    let offline = tierce(&project, ["build", "--format", "json", "--output", "oci:again"])
        .args(["--platform", "linux/amd64,linux/arm64"])
        .env("HTTPS_PROXY", "http://127.0.0.1:1")
        .env("https_proxy", "http://127.0.0.1:1")
        .ok();
    assert_eq!(offline.json()["digest"], both["digest"]);
}

#[test]
fn a_requirements_file_is_the_same_environment() {
    let list = project("pip = ['six==1.16.0', 'idna==3.7']");
    let file = project("requirements = 'requirements.txt'")
        .file("requirements.txt", "# pinned\nsix==1.16.0\nidna==3.7 ; python_version > '3'\n");
    let layers = |project: &Project| {
        let args = ["build", "--format", "json", "--output", "oci:out"];
        let built = tierce(project, args).ok().json();
        let layers = built["platforms"][0]["layers"].as_array().unwrap().clone();
        layers.iter().map(|l| l["digest"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(layers(&list), layers(&file));
    file.write("requirements.txt", "six==1.17.0\n");
    assert_ne!(layers(&list), layers(&file));
    let plan = tierce(&file, ["plan", "--format", "json"]).ok().json();
    let actions = plan["platforms"][0]["layers"].as_array().unwrap();
    assert!(actions.iter().all(|l| l["action"] == json!("cached")), "{plan}");
}
