//! A Poetry project, from its lock to what runs.

use super::*;

/// What `poetry lock` wrote the hash of.
const MANIFEST: &str = include_str!("poetry.toml");
const HASH: &str = "a125ae1f9c39314e8c45054de527f6409318d625cd453410467f008d29d5c1fa";

fn lock(index: &PackageIndex) -> String {
    let package = |name: &str, version: &str, more: &str| {
        let added = index.add_wheel(&WheelSpec::new(name, version));
        format!(
            "[[package]]\nname = \"{name}\"\nversion = \"{version}\"\ndescription = \"\"\n\
             python-versions = \"*\"\n{more}\n\
             files = [{{ file = \"{}\", hash = \"sha256:{}\" }}]\n\n",
            added.filename, added.sha256
        )
    };
    let main = "optional = false\ngroups = [\"main\"]";
    let speed = "optional = true\ngroups = [\"main\"]\nmarkers = \"extra == \\\"speed\\\"\"";
    let text = [
        package("plain", "1.0", main),
        package("fast", "2.0", speed),
        package("tool", "3.0", "optional = false\ngroups = [\"test\"]"),
        package("pages", "4.0", "optional = false\ngroups = [\"docs\"]"),
    ]
    .concat();
    format!(
        "{text}[[package]]\nname = \"beside\"\nversion = \"0.3\"\ndescription = \"\"\n\
         python-versions = \"*\"\n{main}\nfiles = []\ndevelop = true\n\n\
         [package.source]\ntype = \"directory\"\nurl = \"../beside\"\n\n\
         [extras]\nspeed = [\"fast\"]\n\n[metadata]\nlock-version = \"2.1\"\n\
         python-versions = \">=3.9\"\ncontent-hash = \"{HASH}\"\n"
    )
}

#[test]
fn a_poetry_project_is_what_poetry_installs() {
    let index = PackageIndex::start();
    let project = Project::new(&format!(
        "name = 'verse'\n{BASE}[project]\npoetry = 'verse/pyproject.toml'\nextras = ['speed']\n\
         groups = ['docs']\nwithout-groups = ['test']\ninstall = 'project'\nindex = '{}'\n",
        index.url()
    ));
    write(&project, "verse", &ProjectSpec::new("verse", "0.4"));
    write(&project, "beside", &ProjectSpec::new("beside", "0.3"));
    let project =
        project.file("verse/pyproject.toml", MANIFEST).file("verse/poetry.lock", lock(&index));
    let built = build(&project, "out");
    if let Some(found) = python(&project, "out", &built, INSTALLED) {
        let expected = ["beside==0.3", "fast==2.0", "pages==4.0", "plain==1.0", "verse==0.4"];
        assert_eq!(found.lines().collect::<Vec<_>>(), expected);
    }
    index.forget_requests();
    project.write("verse/verse/more.py", "X = 1\n");
    assert_eq!(made(&build(&project, "again")).len(), 1);
    assert_eq!(index.requests(), Vec::<String>::new());
}
