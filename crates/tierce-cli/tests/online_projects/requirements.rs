//! Requirements files as they come.

use super::*;
use tierce_testing::GitRepository;

#[test]
fn requirements_install_what_they_name() {
    let index = PackageIndex::start();
    for name in ["plain", "nice", "deep"] {
        index.add_wheel(&WheelSpec::new(name, "1.0"));
    }
    let offered = WheelSpec::new("offered", "2.0");
    let at = WheelSpec::new("atplace", "3.0");
    let lib = ProjectSpec {
        requires: &["deep"],
        extras: &[("nice", &["nice"])],
        ..ProjectSpec::new("mylib", "0.1")
    };
    let git = GitRepository::with_project(&ProjectSpec::new("hosted", "4.0"), None);
    let hosted = git.map(|git| (format!("hosted @ git+{}\n", git.url()), git));
    let text = format!(
        "# of everything\n--index-url {}\n-e ./lib[nice] ; python_version > '3'\n\
         ./w/{}\n--find-links ./links\noffered\n-r sub/more.txt\n-c sub/limits.txt\n\
         hashed==1 ; sys_platform == 'win32'\n\
         nothing ; python_version < '3'\n{}",
        index.url(),
        at.filename(),
        hosted.as_ref().map(|(line, _)| line.as_str()).unwrap_or_default(),
    );
    let project = Project::new(&format!("name = 'r'\n{BASE}requirements = 'requirements.txt'\n"))
        .file("requirements.txt", text)
        .file("sub/more.txt", "plain\n./other\n")
        .file("sub/limits.txt", "plain<2\n")
        .file(&format!("w/{}", at.filename()), at.bytes())
        .file(&format!("links/{}", offered.filename()), offered.bytes());
    index.add_wheel(&WheelSpec::new("plain", "2.0"));
    write(&project, "lib", &lib);
    write(&project, "sub/other", &ProjectSpec::new("other", "0.2"));
    let built = build(&project, "out");
    let mut expected = vec![
        "atplace==3.0",
        "deep==1.0",
        "mylib==0.1",
        "nice==1.0",
        "offered==2.0",
        "other==0.2",
        "plain==1.0",
    ];
    if hosted.is_some() {
        expected.insert(2, "hosted==4.0");
    }
    if let Some(found) = python(&project, "out", &built, INSTALLED) {
        assert_eq!(found.lines().collect::<Vec<_>>(), expected);
    }
    // Nothing has changed: nothing is resolved or built.
    index.forget_requests();
    tierce(&project, ["build", "--output", "oci:again"]).ok();
    assert_eq!(index.requests(), Vec::<String>::new());
    project.write("lib/mylib/more.py", "X = 1\n");
    let layers = made(&build(&project, "changed"));
    assert!(matches!(layers.as_slice(), [one] if one.contains("mylib==0.1")), "{layers:?}");
}
