//! Projects, scripts and environments of pixi's.

use super::*;

fn uv_project(mode: InstallMode) -> FlyteImage {
    own().with_uv_project("app/pyproject.toml", None, mode, InstallOptions::default()).unwrap()
}

/// The projects among the steps.
fn projects(image: &Image) -> Vec<&Project> {
    let mut found = vec![];
    for step in image.steps() {
        if let Step::Project(project) = step {
            found.push(project);
        }
    }
    found
}

fn uv_project_with(extra_args: &str, mode: InstallMode) -> FlyteImage {
    let options = options(None, Some(extra_args));
    own().with_uv_project("app/pyproject.toml", None, mode, options).unwrap()
}

const LOCKED: [(&str, &str); 2] = [
    ("app/pyproject.toml", "[dependency-groups]\ndev = []\n"),
    ("app/uv.lock", "[manifest]\nmembers = ['app', 'lib']\n"),
];

#[test]
fn projects_are_what_their_locks_say() {
    let image = uv_project(InstallMode::DependenciesOnly);
    let wanted: Vec<PathBuf> = image.wanted(&BTreeMap::new()).into_iter().collect();
    assert!(wanted.contains(&"app/pyproject.toml".into()), "{wanted:?}");
    assert!(wanted.contains(&"app/uv.lock".into()) && wanted.contains(&"app/../uv.lock".into()));
    assert!(!image.wants_uv());
    let bare = Surroundings { uv: None, ..with_texts(&LOCKED) };
    for (image, install) in [
        (image, ProjectInstall::DependenciesOnly),
        (uv_project(InstallMode::InstallProject), ProjectInstall::InstallProject),
        (
            uv_project_with("--no-install-project", InstallMode::InstallProject),
            ProjectInstall::DependenciesOnly,
        ),
    ] {
        let lowered = lower_in(&image, &bare);
        let expected = Project::new(ProjectKind::Uv, "app/pyproject.toml").with_install(install);
        assert_eq!(lowered.image.steps(), [Step::Project(expected)]);
        assert!(lowered.warnings.is_empty(), "{:?}", lowered.warnings);
    }
    // The lock of a workspace is beside its root.
    let workspace = [
        ("app/../pyproject.toml", "[tool.uv.workspace]\nmembers = ['app']\n"),
        ("app/../uv.lock", "version = 1\n"),
    ];
    let image = uv_project(InstallMode::DependenciesOnly);
    let lowered = lower_in(&image, &with_texts(&workspace)).image;
    assert_eq!(projects(&lowered)[0].lock.as_deref(), Some(Path::new("app/../uv.lock")));
    let elsewhere = own()
        .with_uv_project(
            "app/pyproject.toml",
            Some("locks/uv.lock".into()),
            InstallMode::default(),
            InstallOptions::default(),
        )
        .unwrap();
    let lowered = lower(&elsewhere).image;
    assert_eq!(projects(&lowered)[0].lock.as_deref(), Some(Path::new("locks/uv.lock")));
}

#[test]
fn arguments_of_projects_say_what_is_installed() {
    let table: &[(&str, Selection)] = &[
        (
            "--frozen --no-dev",
            Selection { without_groups: vec!["dev".into()], ..Selection::default() },
        ),
        ("--dev", Selection { with_groups: vec!["dev".into()], ..Selection::default() }),
        (
            "--all-packages --extra gpu",
            Selection {
                packages: vec!["app".into(), "lib".into()],
                with_extras: vec!["gpu".into()],
                ..Selection::default()
            },
        ),
        (
            "--only-group docs",
            Selection {
                groups: Groups::Only,
                with_groups: vec!["docs".into()],
                ..Selection::default()
            },
        ),
    ];
    for (arguments, expected) in table {
        let image = uv_project_with(arguments, InstallMode::DependenciesOnly);
        let lowered = lower_in(&image, &with_texts(&LOCKED)).image;
        assert_eq!(projects(&lowered)[0].selection, *expected, "{arguments}");
    }
    // A project without such a group has none to install.
    let image = uv_project_with("--dev", InstallMode::DependenciesOnly);
    let plain = [("app/pyproject.toml", ""), ("app/uv.lock", "")];
    assert!(projects(&lower_in(&image, &with_texts(&plain)).image)[0].selection.is_default());
    let image = uv_project_with("--upgrade", InstallMode::DependenciesOnly);
    let error = image.lower(&with_texts(&LOCKED)).unwrap_err();
    assert_eq!(error.code(), "flyte/extra-args");
}

#[test]
fn indexes_of_projects_are_the_environments() {
    let named = options(Some("https://me:hunter2@h/simple"), Some("--index https://b/simple"));
    let image =
        own().with_uv_project("app/pyproject.toml", None, InstallMode::default(), named).unwrap();
    let lowered = lower_in(&image, &with_texts(&LOCKED));
    let options = lowered.image.python_environment().unwrap().options;
    assert!(options.index.as_ref().unwrap().has_credentials());
    assert_eq!(options.extra_indexes[0].to_string(), "https://b/simple");
    assert!(!format!("{lowered:?}").contains("hunter2"));
    // One that names none has all it needs, and does not stand in the way of others.
    let image = uv_project(InstallMode::DependenciesOnly)
        .with_pip_packages(["torch"], self::options(Some("https://b/simple"), None))
        .unwrap();
    let lowered = lower_in(&image, &with_texts(&LOCKED));
    assert!(lowered.image.python_environment().unwrap().options.index.is_some());
    assert!(lowered.warnings.is_empty(), "{:?}", lowered.warnings);
}

#[test]
fn projects_without_a_lock_say_themselves_what_they_need() {
    let manifest = "[project]\nname = 'app'\ndependencies = ['httpx>=0.2', 'tool']\n\
        [tool.uv]\nprerelease = 'allow'\n[tool.uv.sources]\ntool = { url = 'https://h/t.whl' }\n";
    let surroundings = with_texts(&[("app/pyproject.toml", manifest)]);
    let lowered = lower_in(&uv_project(InstallMode::DependenciesOnly), &surroundings);
    assert_eq!(lines(&lowered.image), ["pip httpx>=0.2 tool @ https://h/t.whl"]);
    assert!(lowered.image.python_environment().unwrap().options.pre);
    assert_eq!(codes(&lowered), ["flyte/no-lock"]);
    for (image, more) in [
        (uv_project(InstallMode::InstallProject), ""),
        (uv_project_with("--group docs", InstallMode::DependenciesOnly), ""),
        (uv_project(InstallMode::DependenciesOnly), "lib = { path = '../lib' }\n"),
        (uv_project(InstallMode::DependenciesOnly), "httpx = { index = 'x' }\n"),
    ] {
        // Of sources that nothing depends on, nothing is asked.
        let manifest = manifest.replace("'tool'", "'tool', 'lib'") + more;
        let surroundings = with_texts(&[("app/pyproject.toml", &manifest)]);
        let error = image.lower(&surroundings).unwrap_err();
        assert_eq!(error.code(), "flyte/no-lock", "{more}");
        assert!(error.hint().unwrap().contains("uv lock --project app"));
    }
}

#[test]
fn projects_of_poetry_are_what_their_locks_say() {
    let image = |arguments: Option<&str>, mode| {
        let secrets = [Secret::new("token")];
        own()
            .with_poetry_project(
                "app/pyproject.toml",
                None,
                mode,
                arguments.map(str::to_owned),
                secrets,
            )
            .unwrap()
    };
    let mode = InstallMode::InstallProject;
    let lowered = lower(&image(Some("--only main -E gpu"), mode)).image;
    let [project] = projects(&lowered)[..] else { panic!() };
    let selection =
        Selection { groups: Groups::None, with_extras: vec!["gpu".into()], ..Selection::default() };
    assert_eq!((project.kind, &project.lock), (ProjectKind::Poetry, &None));
    assert_eq!(project.install, ProjectInstall::InstallProject);
    assert_eq!(project.selection, selection);
    assert_eq!(lowered.secrets().len(), 1, "secrets are passed on");
    let lowered = lower(&image(Some("--no-root"), mode)).image;
    assert_eq!(projects(&lowered)[0].install, ProjectInstall::DependenciesOnly);
    let error = image(Some("--only-root"), mode).lower(&surroundings()).unwrap_err();
    assert_eq!(error.code(), "flyte/extra-args");
}

#[test]
fn scripts_say_what_they_need() {
    let script = "\
# /// script
# requires-python = \">=3.11\"
# dependencies = [\"httpx>=0.2\", \"lib\", \"tool\"]
#
# [tool.uv]
# exclude-newer = \"2025-01-01T00:00:00Z\"
# [tool.uv.sources]
# lib = { path = \"../lib\", editable = true }
# tool = { git = \"https://h/tool.git\", tag = \"v1\" }
# ///
import httpx
";
    let image = FlyteImage::from_uv_script(
        "s/run.py",
        ScriptOptions::new("script"),
        InstallOptions::default(),
        &host(),
    )
    .unwrap();
    let mut texts = with_texts(&[("s/run.py", script)]);
    let wanted = image.wanted(&texts.texts);
    assert!(wanted.contains(Path::new("s/../lib/uv.lock")), "{wanted:?}");
    assert!(wanted.contains(Path::new("s/run.py.lock")), "{wanted:?}");
    texts.texts.insert("s/../lib/uv.lock".into(), String::new());
    let lowered = lower_in(&image, &texts).image;
    assert_eq!(
        lines(&lowered),
        [
            "pip httpx>=0.2 tool @ git+https://h/tool.git@v1",
            "apt git",
            "project uv s/../lib/pyproject.toml",
        ]
    );
    assert_eq!(projects(&lowered)[0].install, ProjectInstall::InstallProject);
    let options = lowered.python_environment().unwrap().options;
    assert_eq!(options.extra_args, ["--exclude-newer", "2025-01-01T00:00:00Z"]);
    // What a script's own lock says is all there is to it.
    let mut locked = texts.clone();
    locked.texts.insert("s/run.py.lock".into(), "version = 1\n".into());
    let lowered = lower_in(&image, &locked).image;
    let expected = Project::new(ProjectKind::Uv, "s/run.py").with_lock("s/run.py.lock");
    assert_eq!(lowered.steps(), [Step::Project(expected)]);
    // A project of the host without a lock of its own.
    texts.texts.remove(Path::new("s/../lib/uv.lock"));
    assert_eq!(image.lower(&texts).unwrap_err().code(), "flyte/no-lock");
    for (text, code) in [
        (None, "flyte/unreadable"),
        (Some("print()"), "flyte/no-script-header"),
        (Some("# /// script\n# a = [\n# ///\n"), "flyte/invalid-script-header"),
        (Some("# /// script\n# dependencies = 'a'\n# ///\n"), "flyte/invalid-script-header"),
        (
            Some(
                "# /// script\n# dependencies = ['a']\n# [tool.uv.sources]\n# a = { index = 'own' }\n# ///\n",
            ),
            "flyte/no-lock",
        ),
    ] {
        let texts: Vec<(&str, &str)> = text.map(|text| ("s/run.py", text)).into_iter().collect();
        assert_eq!(image.lower(&with_texts(&texts)).unwrap_err().code(), code, "{text:?}");
    }
}

#[test]
fn scripts_choose_the_python_unless_the_caller_does() {
    // (what the script requires, what the caller says, the image's Python)
    for (requires, given, expected) in [
        (">=3.9", None, Ok(host().python.to_string())),
        ("==3.9.*", None, Ok("3.9".to_owned())),
        (">=3.25", None, Ok("3.25".to_owned())),
        (">=3.25.2", None, Ok("3.25".to_owned())),
        ("==3.9.4", None, Ok("3.9.4".to_owned())),
        (">=3.9", Some("3.10"), Ok("3.10".to_owned())),
        (">=3.11", Some("3.10"), Err("flyte/script-python")),
        (">=4", None, Err("flyte/invalid-script-header")),
        ("three", None, Err("flyte/invalid-script-header")),
    ] {
        let python_version = given.map(|text: &str| text.parse().unwrap());
        let options = ScriptOptions { python_version, ..ScriptOptions::new("script") };
        let install = InstallOptions::default();
        let image = FlyteImage::from_uv_script("s.py", options, install, &host()).unwrap();
        let text = format!("# /// script\n# requires-python = \"{requires}\"\n# ///\n");
        let found = match image.lower(&with_texts(&[("s.py", &text)])) {
            Ok(lowered) => Ok(lowered.image.python().unwrap().version.unwrap().to_string()),
            Err(error) => Err(error.code()),
        };
        assert_eq!(found, expected, "{requires} {given:?}");
    }
}

fn pixi_of(image: &Image) -> (Conda, PixiEnvironment) {
    let found = image.steps().iter().find_map(|step| match step {
        Step::Conda(conda) => Some(conda.clone()),
        _ => None,
    });
    let conda = found.expect("a conda step");
    let CondaSource::Pixi(pixi) = conda.source.clone() else { panic!("{conda:?}") };
    (conda, pixi)
}

#[test]
fn pixis_environment_is_the_one_that_runs() {
    let image = own()
        .with_pixi_project("app/pixi.toml", None, InstallMode::default(), PixiOptions::default())
        .and_then(|i| i.with_pip_packages(["six"], InstallOptions::default()))
        .and_then(|i| i.with_requirements("requirements.txt", InstallOptions::default()))
        .unwrap();
    // No program of the host is needed.
    assert!(!image.wants_uv());
    let none = Surroundings { uv: None, ..with_texts(&[("app/pixi.lock", "")]) };
    let lowered = lower_in(&image, &none).image;
    let (conda, pixi) = pixi_of(&lowered);
    assert_eq!(conda.prefix(), "/opt/pixi-project/.pixi/envs/default");
    assert_eq!(pixi, PixiEnvironment::new("app/pixi.toml"));
    let all = lines(&lowered).join("\n");
    for part in [
        "VIRTUAL_ENV=/opt/pixi-project/.pixi/envs/default",
        "UV_PYTHON=/opt/pixi-project/.pixi/envs/default/bin/python",
        "PIXI_PROJECT_MANIFEST=/opt/pixi-project/pixi.toml",
    ] {
        assert!(all.contains(part), "{part}: {all}");
    }
    // Other packages come into the same environment.
    let environment = lowered.python_environment().unwrap();
    assert_eq!(
        (environment.packages.as_slice(), environment.requirements.len()),
        (&["six"][..], 1)
    );

    let options = |arguments: &str| PixiOptions {
        extra_args: Some(arguments.into()),
        ..PixiOptions::default()
    };
    let project = |arguments: &str| {
        let lock = Some("locks/pixi.lock".into());
        let mode = InstallMode::InstallProject;
        own().with_pixi_project("app/pyproject.toml", lock, mode, options(arguments)).unwrap()
    };
    let (conda, pixi) = pixi_of(&lower(&project("--frozen --environment gpu")).image);
    assert_eq!(conda.prefix(), "/opt/pixi-project/.pixi/envs/gpu");
    assert_eq!(pixi.lock, Some("locks/pixi.lock".into()));
    assert_eq!(pixi.install, ProjectInstall::InstallProject);
    let error = project("--concurrent-solves 2").lower(&surroundings()).unwrap_err();
    assert_eq!(error.code(), "flyte/extra-args");
    assert!(error.hint().unwrap().contains("--environment"), "{:?}", error.hint());
}

#[test]
fn scripts_of_pixi_are_manifests() {
    let script = "\
# /// script
# requires-python = \">=3.12\"
# dependencies = [\"flyte\"]
# [tool.pixi.dependencies]
# gdal = \"*\"
# ///
";
    let image = |platform: &str| {
        let platform = vec![Platform::linux(platform)];
        let options = ScriptOptions { platform, ..ScriptOptions::new("geo") };
        FlyteImage::from_pixi_script("geo.py", options, PixiOptions::default(), &host()).unwrap()
    };
    let texts = with_texts(&[("geo.py", script), ("geo.py.pixi.lock", "")]);
    let (_, pixi) = pixi_of(&lower_in(&image("arm64"), &texts).image);
    assert_eq!(pixi, PixiEnvironment::new("geo.py"));
    let declared = script.replace(
        "# [tool.pixi.dep",
        "# [tool.pixi.workspace]\n# platforms = [\"linux-64\"]\n# [tool.pixi.dep",
    );
    let error = image("arm64").lower(&with_texts(&[("geo.py", &declared)])).unwrap_err();
    assert_eq!(error.code(), "flyte/pixi-platform");
    assert!(error.to_string().contains("linux-aarch64"), "{error}");
    lower_in(&image("amd64"), &with_texts(&[("geo.py", &declared)]));
    let secret = script.replace("flyte\"", "a @ https://me:pw@h/a.whl\"");
    let error = image("amd64").lower(&with_texts(&[("geo.py", &secret)])).unwrap_err();
    assert_eq!(error.code(), "flyte/credentials");
}
