//! What is read of the host, what ignore files leave in of it, and whether it stays the same.

use std::fs;
use std::path::PathBuf;
use tierce_engine::{
    Change, GatherCache, Gathered, GatheredBase, LocalTarget, VerifyError, gather,
};
use tierce_oci::Diagnostic;
use tierce_spec::{
    DockerfileBase, Image, PipOptions, ProjectInstall, ProjectKind, SourceOptions, Step, Wheels,
};

/// A folder with files, each with its own path in it.
struct Project(tempfile::TempDir);

impl Project {
    fn new(files: &[&str]) -> Self {
        let project = Project(tempfile::tempdir().unwrap());
        files.iter().for_each(|file| project.write(file, file));
        project
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, content: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    fn gather(&self, image: &Image) -> Gathered {
        gather(image, self.0.path(), &GatherCache::none()).unwrap_or_else(|e| panic!("{e:?}"))
    }

    /// The code of the error, and what it says without the path of the folder.
    fn fails(&self, image: &Image) -> (&'static str, String) {
        let error = gather(image, self.0.path(), &GatherCache::none()).unwrap_err();
        let folder = format!("{}/", self.0.path().display());
        (error.code(), error.to_string().replace(&folder, ""))
    }
}

fn slim() -> Image {
    Image::from_base("python:3.12-slim").unwrap()
}

fn folder(src: &str) -> Image {
    slim().with_source_folder(src, "/dst", SourceOptions::new())
}

/// The files of a source.
fn files(gathered: &Gathered, step: usize) -> String {
    let entries = gathered.sources[&step].tree.entries();
    let files = entries.iter().filter(|e| e.node != tierce_tree::Node::Directory);
    files.map(|e| e.path.to_string()).collect::<Vec<_>>().join(" ")
}

#[test]
fn the_projects_ignore_file_holds_for_every_source_below_it() {
    let project = Project::new(&["app/a.py", "app/a.log", "app/sub/b.log", "app/sub/b.py", "top"]);
    // The project's rules, those of `app`, those of the step, and what is left of `app`.
    for (root, own, step, left) in [
        ("", "", "", "a.log a.py sub/b.log sub/b.py"),
        ("*.log", "", "", "a.log a.py sub/b.log sub/b.py"),
        ("**/*.log", "", "", "a.py sub/b.py"),
        ("app/sub", "", "", "a.log a.py"),
        ("**/*.log", "!a.log", "", "a.log a.py sub/b.py"),
        ("**/*.log", "!a.log", "*.log", "a.py sub/b.py"),
        ("*\n!app\napp/a.*", "", "!a.py", "a.py sub/b.log sub/b.py"),
        ("app", "", "!sub/b.py", "sub/b.py"),
    ] {
        for (file, rules) in [(".dockerignore", root), ("app/.dockerignore", own)] {
            project.write(file, rules);
        }
        let options = SourceOptions::new().with_ignore(step.lines());
        for src in ["app", "./app", "app/../app", project.path("app").to_str().unwrap()] {
            let image = slim().with_source_folder(src, "/dst", options.clone());
            let found = files(&project.gather(&image), 0).replace(".dockerignore ", "");
            assert_eq!(found, left, "{root:?} {own:?} {step:?} {src:?}");
        }
    }
}

#[test]
fn the_folder_itself_may_be_the_project() {
    let project = Project::new(&["a.py", "a.log", "sub/b.log"]);
    project.write(".dockerignore", "*.log\n.dockerignore\n");
    for src in [".", "./", "sub/.."] {
        assert_eq!(files(&project.gather(&folder(src)), 0), "a.py sub/b.log", "{src:?}");
    }
    // Patterns of the step come last.
    let options = SourceOptions::new().with_ignore(["!a.log", "sub"]);
    let image = slim().with_source_folder(".", "/dst", options);
    assert_eq!(files(&project.gather(&image), 0), "a.log a.py");
}

#[test]
fn another_ignore_file_counts_instead_of_the_projects() {
    let project = Project::new(&["app/a.py", "app/a.log", "app/a.tmp"]);
    project.write(".dockerignore", "**/*.log");
    project.write("conf/ignore", "app/*.tmp");
    project.write("other", "app/*.py");
    let image = folder("app");
    assert_eq!(files(&project.gather(&image), 0), "a.py a.tmp");
    let image = image.with_dockerignore("other").with_dockerignore("conf/ignore");
    assert_eq!(files(&project.gather(&image), 0), "a.log a.py");
    // Of the folder that is the project, the usual one is replaced, too.
    let whole = folder(".").with_dockerignore("conf/ignore");
    assert_eq!(
        files(&project.gather(&whole), 0),
        ".dockerignore app/a.log app/a.py conf/ignore other"
    );
    // It may be the folder's own: it is read once, and its patterns are the project's.
    project.write("app/.dockerignore", "app/*.py\n*.log\n");
    let own = folder("app").with_dockerignore("app/.dockerignore");
    assert_eq!(files(&project.gather(&own), 0), ".dockerignore a.log a.tmp");
    let missing = ("source/missing", "ignore file gone does not exist".to_owned());
    assert_eq!(project.fails(&folder("app").with_dockerignore("gone")), missing);
    assert_eq!(project.fails(&slim().with_dockerignore("gone")), missing);
}

#[test]
fn what_is_not_below_the_project_has_its_own_rules_alone() {
    let project = Project::new(&["project/x", "other/a.py", "other/a.log"]);
    project.write("project/.dockerignore", "**/*.py\n**/*.log");
    project.write("other/.dockerignore", "*.log\n.dockerignore");
    let gathered =
        gather(&folder("../other"), &project.path("project"), &GatherCache::none()).unwrap();
    assert_eq!(files(&gathered, 0), "a.py");
}

#[test]
fn a_folder_that_is_left_out_as_a_whole_is_an_error() {
    let project = Project::new(&["data/a", "app/b"]);
    project.write(".dockerignore", "data\n");
    let said = ".dockerignore leaves out source folder data, with all that is in it";
    assert_eq!(project.fails(&folder("data")), ("source/ignored", said.to_owned()));
    // A file that is named itself is wanted.
    let image = slim().with_source_file("data/a", "/a");
    assert_eq!(project.gather(&image).sources[&0].tree.files(), 1);
    project.write(".dockerignore", "app/*\n");
    assert_eq!(files(&project.gather(&folder("app")), 0), "");
}

#[test]
fn what_is_not_there_has_a_hint_of_where_it_would_be() {
    let project = Project::new(&["app/a"]);
    let hint = |file: &str| {
        let image = slim().with_source_file(file, "/x");
        let error = gather(&image, &project.path(""), &GatherCache::none()).unwrap_err();
        assert_eq!(error.code(), "source/missing");
        error.hint().unwrap()
    };
    assert!(hint("app/b").contains("root_dir"), "{}", hint("app/b"));
    assert!(hint("app/poetry.lock").contains("`poetry lock`"), "{}", hint("app/poetry.lock"));
    assert!(hint("uv.lock").contains("`uv lock`"), "{}", hint("uv.lock"));
}

#[test]
fn malformed_patterns_are_shown_with_their_file() {
    let project = Project::new(&["app/a"]);
    project.write(".dockerignore", "a[\n");
    let said = ".dockerignore has an invalid pattern".to_owned();
    assert_eq!(project.fails(&folder("app")), ("source/invalid-pattern", said));
    project.write(".dockerignore", "");
    project.write("app/.dockerignore", "a[\n");
    let said = "app/.dockerignore has an invalid pattern".to_owned();
    assert_eq!(project.fails(&folder("app")), ("source/invalid-pattern", said));
    project.write("app/.dockerignore", "");
    let image = slim().with_source_folder("app", "/x", SourceOptions::new().with_ignore(["a["]));
    let said = "source folder app has an invalid pattern".to_owned();
    assert_eq!(project.fails(&image), ("source/invalid-pattern", said));
}

#[test]
fn single_files_of_a_folder() {
    let project = Project::new(&["m.py", "pkg/n.py", "pkg/o.py", "data/huge"]);
    let only = |files: &[&str]| {
        slim().with_source_folder(
            ".",
            "/app",
            SourceOptions::new().with_only(files.iter().copied()),
        )
    };
    assert_eq!(files(&project.gather(&only(&["m.py", "pkg/n.py"])), 0), "m.py pkg/n.py");
    let (code, said) = project.fails(&only(&["m.py", "pkg/gone.py"]));
    assert_eq!((code, said.as_str()), ("source/missing", "cannot read source folder ."));
    project.write(".dockerignore", "**/n.py");
    assert_eq!(files(&project.gather(&only(&["m.py", "pkg/n.py"])), 0), "m.py");
}

#[test]
fn an_image_below_has_paths_of_its_own() {
    let project =
        Project::new(&["base/lib/b.py", "base/requirements.txt", "app/src/a.py", "app/lib/x"]);
    project.write("base/.dockerignore", "lib/*.tmp");
    project.write("base/lib/b.tmp", "");
    project.write("base/requirements.txt", "six\n");
    let base = slim()
        .with_source_folder("lib", "/lib", SourceOptions::new())
        .with_requirements("requirements.txt", PipOptions::new());
    let alone = gather(&base, &project.path("base"), &GatherCache::none()).unwrap();
    let outer = Image::from_image(base.with_root("../base")).with_source_folder(
        "src",
        "/src",
        SourceOptions::new(),
    );
    let gathered = gather(&outer, &project.path("app"), &GatherCache::none()).unwrap();
    let Some(GatheredBase::Image(below)) = &gathered.base else { panic!("{:?}", gathered.base) };
    assert_eq!(files(below, 0), "b.py");
    assert_eq!(below.resolved.key(), alone.resolved.key(), "where it lies is of no account");
    assert_eq!(below.root, project.path("app").join("../base"));
    // Messages show the way from the image that is built.
    fs::remove_dir_all(project.path("base/lib")).unwrap();
    let error = gather(&outer, &project.path("app"), &GatherCache::none()).unwrap_err();
    assert_eq!(error.to_string(), "source folder ../base/lib does not exist");
}

#[test]
fn wheels_are_those_in_the_folder_itself() {
    let project = Project::new(&[
        "dist/b-1-py3-none-any.whl",
        "dist/a-1-py3-none-any.whl",
        "dist/a-1.tar.gz",
        "dist/sub/c-1-py3-none-any.whl",
    ]);
    fs::create_dir(project.path("dist/folder.whl")).unwrap();
    std::os::unix::fs::symlink(
        "sub/c-1-py3-none-any.whl",
        project.path("dist/c-1-py3-none-any.whl"),
    )
    .unwrap();
    let image = slim().with_wheels("dist", PipOptions::new());
    let gathered = project.gather(&image);
    let wheels = &gathered.wheels[&0];
    let names: Vec<_> =
        wheels.iter().map(|w| w.path.file_name().unwrap().to_str().unwrap()).collect();
    assert_eq!(names, ["a-1-py3-none-any.whl", "b-1-py3-none-any.whl", "c-1-py3-none-any.whl"]);
    assert_eq!(wheels[2].digest, tierce_oci::Digest::of("dist/sub/c-1-py3-none-any.whl"));
    // Of some packages only, where these are named.
    let of = |package: &str| {
        let (dir, packages) = ("dist".into(), vec![package.to_owned()]);
        slim().with_step(Step::Wheels(Wheels { dir, packages, options: PipOptions::new() }))
    };
    assert_eq!(
        project.gather(&of("B")).wheels[&0][0].path,
        project.path("dist/b-1-py3-none-any.whl")
    );
    assert_eq!(project.gather(&of("b")).wheels[&0].len(), 1);
    assert_eq!(
        project.fails(&of("d")),
        ("source/no-wheels", "folder of wheels dist has no wheels of d in it".to_owned())
    );
    // Names and contents make the key, and nothing else.
    let key = |project: &Project| project.gather(&image).resolved.key();
    let first = key(&project);
    project.write("dist/README", "");
    assert_eq!(key(&project), first);
    fs::rename(
        project.path("dist/b-1-py3-none-any.whl"),
        project.path("dist/b-2-py3-none-any.whl"),
    )
    .unwrap();
    assert_ne!(key(&project), first);
    let none = slim().with_wheels("dist/sub/..", PipOptions::new());
    assert_eq!(project.gather(&none).wheels[&0].len(), 3);
    fs::create_dir(project.path("empty")).unwrap();
    let (code, said) = project.fails(&slim().with_wheels("empty", PipOptions::new()));
    assert_eq!(
        (code, said.as_str()),
        ("source/no-wheels", "folder of wheels empty has no wheels in it")
    );
}

#[test]
fn a_dockerfile_has_the_rules_that_docker_gives_it() {
    let project =
        Project::new(&["docker/Dockerfile", "docker/app/a", "docker/app/a.log", ".git/x"]);
    let dockerfile = |context: Option<&str>| DockerfileBase {
        context: context.map(PathBuf::from),
        ..DockerfileBase::new("docker/Dockerfile")
    };
    let context = |image: &Image| match project.gather(image).base {
        Some(GatheredBase::Dockerfile(dockerfile)) => {
            let entries = dockerfile.context.tree.entries().to_vec();
            let files = entries.iter().filter(|e| e.node != tierce_tree::Node::Directory);
            files.map(|e| e.path.to_string()).collect::<Vec<_>>().join(" ")
        }
        other => panic!("{other:?}"),
    };
    let image = Image::from_dockerfile(dockerfile(None));
    assert_eq!(context(&image), "Dockerfile app/a app/a.log");
    let whole = Image::from_dockerfile(dockerfile(Some(".")));
    // Nothing is left out by default: the Dockerfile may want it.
    assert_eq!(context(&whole), ".git/x docker/Dockerfile docker/app/a docker/app/a.log");
    project.write(".dockerignore", ".git\n**/*.log");
    assert_eq!(context(&whole), ".dockerignore docker/Dockerfile docker/app/a");
    assert_eq!(context(&image), "Dockerfile app/a app/a.log", "not its context's");
    project.write("docker/Dockerfile.dockerignore", "**\n!docker/app/*.log");
    assert_eq!(context(&whole), "docker/app/a.log");
    project.write("conf/ignore", "**\n!.git");
    assert_eq!(context(&whole.with_dockerignore("conf/ignore")), ".git/x");
    let (code, said) = project.fails(&Image::from_dockerfile(dockerfile(Some("gone"))));
    assert_eq!((code, said.as_str()), ("source/missing", "build context gone does not exist"));
}

type Edit = Box<dyn FnOnce(&Project)>;

/// Gathers, changes something, and asks what changed.
fn changed(image: &Image, project: &Project, change: impl FnOnce()) -> Option<(String, Change)> {
    let cache = tempfile::tempdir().unwrap();
    let cache = GatherCache::in_directory(cache.path().to_owned());
    let gathered = gather(image, project.0.path(), &cache).unwrap();
    gathered.verify(&cache).unwrap();
    change();
    match gathered.verify(&cache) {
        Ok(()) => None,
        Err(error @ VerifyError::Changed { .. }) => {
            assert_eq!(error.code(), "source/changed");
            assert!(error.hint().is_some());
            let VerifyError::Changed { path, change } = error else { unreachable!() };
            let path = path.strip_prefix(project.0.path()).unwrap_or(&path);
            Some((path.display().to_string(), change))
        }
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn a_source_that_changes_is_named() {
    let fresh = || {
        let project =
            Project::new(&["app/a.py", "app/sub/b.py", "app/x.log", "file", "Dockerfile"]);
        project.write("base/lib/c.py", "");
        project.write("r.txt", "six\n-r more.txt\n");
        project.write("more.txt", "idna\n");
        project.write("dist/a-1-py3-none-any.whl", "");
        project.write("app/.dockerignore", "*.log");
        project
    };
    let base = slim().with_source_folder("lib", "/lib", SourceOptions::new()).with_root("base");
    let image = Image::from_image(base)
        .with_source_folder("app", "/app", SourceOptions::new())
        .with_source_file("file", "/file")
        .with_requirements("r.txt", PipOptions::new())
        .with_wheels("dist", PipOptions::new());
    let write = |name: &'static str, content: &'static str| {
        Box::new(move |p: &Project| p.write(name, content)) as Edit
    };
    let remove = |name: &'static str| {
        Box::new(move |p: &Project| {
            let path = p.path(name);
            if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }.unwrap();
        }) as Edit
    };
    let rows: Vec<(Edit, Option<(&str, Change)>)> = vec![
        (write("Dockerfile", "not this image's"), None),
        (Box::new(|_| ()), None),
        (write("app/a.py", "other"), Some(("app/a.py", Change::Modified))),
        (write("app/sub/new.py", ""), Some(("app/sub/new.py", Change::Added))),
        (remove("app/sub/b.py"), Some(("app/sub/b.py", Change::Removed))),
        (remove("app"), Some(("app", Change::Removed))),
        (write("app/x.log", "left out"), None),
        (write("app/.dockerignore", "*.log\n*.py"), Some(("app/.dockerignore", Change::Modified))),
        (write("file", "other"), Some(("file", Change::Modified))),
        (remove("file"), Some(("file", Change::Removed))),
        (write("more.txt", "idna # a comment\n"), None),
        (write("more.txt", "idna>3\n"), Some(("more.txt", Change::Modified))),
        (
            write("dist/a-1-py3-none-any.whl", "x"),
            Some(("dist/a-1-py3-none-any.whl", Change::Modified)),
        ),
        (
            write("dist/b-1-py3-none-any.whl", ""),
            Some(("dist/b-1-py3-none-any.whl", Change::Added)),
        ),
        (remove("dist/a-1-py3-none-any.whl"), Some(("dist", Change::Modified))),
        (write("base/lib/c.py", "other"), Some(("base/lib/c.py", Change::Modified))),
        (
            Box::new(|p| {
                use std::os::unix::fs::PermissionsExt;
                fs::set_permissions(p.path("app/a.py"), fs::Permissions::from_mode(0o755)).unwrap();
            }),
            Some(("app/a.py", Change::Modified)),
        ),
    ];
    for (number, (change, expected)) in rows.into_iter().enumerate() {
        let project = fresh();
        let found = changed(&image, &project, || change(&project));
        let expected = expected.map(|(path, change)| (path.to_owned(), change));
        assert_eq!(found, expected, "row {number}");
    }
    let project = fresh();
    let dockerfile = Image::from_dockerfile(DockerfileBase::new("Dockerfile"));
    let found = changed(&dockerfile, &project, || project.write("Dockerfile", "FROM x"));
    assert_eq!(found, Some(("Dockerfile".to_owned(), Change::Modified)));
}

#[test]
fn sources_of_other_folders_do_not_share_what_is_remembered() {
    let project = Project::new(&["app/a", "app/b"]);
    let cache = tempfile::tempdir().unwrap();
    let remembered = GatherCache::in_directory(cache.path().to_owned());
    let options = SourceOptions::new().with_only(["a"]);
    let image = folder("app").with_source_folder("app", "/only", options);
    let first = gather(&image, project.0.path(), &remembered).unwrap();
    let second = gather(&image, project.0.path(), &remembered).unwrap();
    assert_eq!(first.resolved, second.resolved);
    assert_eq!(first.resolved, project.gather(&image).resolved);
}

/// A uv workspace with a member, a package beside it and an archive.
fn workspace() -> Project {
    let project =
        Project::new(&["ws/src/app.py", "ws/packages/core/core.py", "lib/lib.py", "a-1.tar.gz"]);
    project.write(
        "ws/pyproject.toml",
        "[project]\nname = \"app\"\n[tool.uv.workspace]\nmembers = [\"packages/*\"]\n",
    );
    project.write("ws/packages/core/pyproject.toml", "[project]\nname = \"core\"\n");
    project.write("lib/pyproject.toml", "[project]\nname = \"lib\"\n");
    project.write(
        "ws/uv.lock",
        "version = 1\n[manifest]\nmembers = [\"app\", \"core\"]\n\
         [[package]]\nname = \"app\"\nsource = { editable = \".\" }\ndependencies = [{ name = \"core\" }, { name = \"a\" }]\n\
         [[package]]\nname = \"core\"\nsource = { editable = \"packages/core\" }\ndependencies = [{ name = \"lib\" }]\n\
         [[package]]\nname = \"lib\"\nsource = { directory = \"../lib\" }\n\
         [[package]]\nname = \"a\"\nsource = { path = \"../a-1.tar.gz\" }\n",
    );
    project
}

fn uv(manifest: &str, install: ProjectInstall) -> Image {
    slim().with_project(tierce_spec::Project::new(ProjectKind::Uv, manifest).with_install(install))
}

#[test]
fn a_project_is_its_texts_and_what_it_installs_from() {
    use ProjectInstall::{DependenciesOnly, InstallProject};
    let project = workspace();
    let local = |image: &Image| {
        let gathered = project.gather(image);
        let read = &gathered.projects[&0];
        let names = |paths: Vec<&PathBuf>| {
            paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(" ")
        };
        (
            names(read.local.keys().collect()),
            names(read.archives.keys().collect()),
            read.place.clone(),
        )
    };
    let place = PathBuf::new();
    let app = uv("ws/pyproject.toml", DependenciesOnly);
    let archive = "../a-1.tar.gz".to_owned();
    assert_eq!(local(&app), ("../lib packages/core".to_owned(), archive.clone(), place.clone()));
    let whole = uv("ws/pyproject.toml", InstallProject);
    assert_eq!(local(&whole), (". ../lib packages/core".to_owned(), archive, place));
    // The lock of a member is that of its workspace.
    let member = uv("ws/packages/core/pyproject.toml", InstallProject);
    assert_eq!(
        local(&member),
        ("../lib packages/core".to_owned(), String::new(), "packages/core".into())
    );

    // Code counts where it is installed.
    let key = |image: &Image| project.gather(image).resolved.key();
    let before = (key(&app), key(&whole));
    project.write("ws/src/app.py", "changed");
    assert_eq!(key(&app), before.0);
    assert_ne!(key(&whole), before.1);
    let before = key(&app);
    project.write("lib/lib.py", "changed");
    assert_ne!(key(&app), before);
    let change = changed(&app, &project, || project.write("lib/lib.py", "again"));
    assert_eq!(change.unwrap().1, Change::Modified);

    fs::remove_dir_all(project.path("lib")).unwrap();
    let (code, message) = project.fails(&app);
    assert_eq!(code, "source/missing");
    assert!(message.contains("../lib, which ws/uv.lock installs from"), "{message}");
    project.write("ws/uv.lock", "version = 1\n[[package]]\nname = ");
    assert_eq!(project.fails(&app).0, "python/bad-lock");
    fs::remove_file(project.path("ws/uv.lock")).unwrap();
    assert_eq!(
        project.fails(&app),
        ("source/missing", "lock file ws/uv.lock does not exist".to_owned())
    );
}

#[test]
fn locks_install_from_the_project_and_from_what_its_manifests_name() {
    let outside = tempfile::tempdir().unwrap();
    for name in ["lib", "further"] {
        fs::create_dir(outside.path().join(name)).unwrap();
        fs::write(outside.path().join(name).join("setup.py"), "").unwrap();
    }
    let at = |name: &str| outside.path().join(name).display().to_string();
    let project = Project::new(&["plain/a"]);
    let lock = |folder: &str| {
        let lock = format!(
            "version = 1\n[[package]]\nname = \"app\"\nsource = {{ virtual = \".\" }}\n\
             dependencies = [{{ name = \"lib\" }}]\n[[package]]\nname = \"lib\"\n\
             source = {{ directory = {folder:?} }}\n"
        );
        project.write("uv.lock", &lock);
    };
    let app = uv("pyproject.toml", ProjectInstall::DependenciesOnly);
    let plain = "[project]\nname = \"app\"\n".to_owned();
    let naming = format!("{plain}[tool.uv.sources]\nlib = {{ path = {:?} }}\n", at("lib"));
    std::os::unix::fs::symlink(at("lib"), project.path("link")).unwrap();
    for (manifest, folder, expected) in [
        (&plain, at("lib"), Some("source/outside-project")),
        (&plain, "/".to_owned(), Some("source/outside-project")),
        (&plain, "link".to_owned(), Some("source/outside-project")),
        (&plain, "plain".to_owned(), Some("source/no-project")),
        (&naming, at("lib"), None),
        (&naming, "link".to_owned(), None),
        (&naming, at("further"), Some("source/outside-project")),
    ] {
        project.write("pyproject.toml", manifest);
        lock(&folder);
        match expected {
            Some(code) => assert_eq!(project.fails(&app).0, code, "{folder}"),
            None => assert_eq!(project.gather(&app).projects[&0].local.len(), 1, "{folder}"),
        }
    }
    // What is named may name others.
    fs::write(
        outside.path().join("lib/pyproject.toml"),
        "[tool.poetry.dependencies]\nfurther = { path = \"../further\" }\n",
    )
    .unwrap();
    lock(&at("further"));
    assert_eq!(project.gather(&app).projects[&0].local.len(), 1);

    fs::remove_file(project.path("uv.lock")).unwrap();
    std::os::unix::fs::symlink("/dev/zero", project.path("uv.lock")).unwrap();
    assert_eq!(project.fails(&app).0, "source/wrong-kind");
}

#[test]
fn requirements_take_what_they_name_of_the_host() {
    let project =
        Project::new(&["lib/setup.py", "sub/other/setup.py", "w/a-1-py3-none-any.whl", "b.tar.gz"]);
    // As pip has it, paths start from where it is run; or else from the file.
    project.write(
        "sub/r.txt",
        "-e ./lib[x]\n./other ; python_version > '3'\nb @ file:b.tar.gz\n-f ./w\nsix\n",
    );
    let image = slim().with_requirements("sub/r.txt", PipOptions::new());
    let gathered = project.gather(&image);
    let found: Vec<String> = gathered.locals[&0]
        .iter()
        .map(|local| match &local.target {
            LocalTarget::Folder(source) => source.root.display().to_string(),
            LocalTarget::Archive(file) => file.path.display().to_string(),
            LocalTarget::Links(files) => format!("{} archives", files.len()),
        })
        .collect();
    let at = |name: &str| project.path(name).display().to_string();
    assert_eq!(found, [at("./lib"), at("sub/./other"), at("b.tar.gz"), "1 archives".to_owned()]);
    let key = |image: &Image| project.gather(image).resolved.key();
    for file in ["lib/setup.py", "sub/other/setup.py", "w/a-1-py3-none-any.whl", "b.tar.gz"] {
        let before = key(&image);
        project.write(file, "changed");
        assert_ne!(key(&image), before, "{file}");
    }
    fs::remove_dir_all(project.path("lib")).unwrap();
    let (code, message) = project.fails(&image);
    assert_eq!(
        (code, message.as_str()),
        ("source/missing", "./lib, which sub/r.txt:1 installs from, is not there")
    );
}
