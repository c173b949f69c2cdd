//! A Poetry project, and the packages that it requires on an index of its own.

use std::path::Path;
use tempfile::TempDir;
use tierce_testing::{GitRepository, PackageIndex, ProjectSpec, WheelSpec};

/// The project with what it refers to: an index, a repository, a directory and a wheel beside it.
pub struct World {
    pub index: PackageIndex,
    pub git: GitRepository,
    pub dir: TempDir,
}

/// How the project is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// All of it in `[tool.poetry]`.
    Poetry,
    /// `[project]`, `[dependency-groups]`, and `[tool.poetry]` for the rest.
    Standard,
}

impl World {
    /// The packages, and a project in `style`; `None` where there is no git.
    pub fn new(style: Style) -> Option<Self> {
        let git = GitRepository::with_project(
            &ProjectSpec { requires: &["leaf"], ..ProjectSpec::new("in-git", "0.3") },
            Some("python"),
        )?;
        git.tag("v0.3");
        let world = World { index: index(), git, dir: TempDir::new().unwrap() };
        let lib = ProjectSpec { requires: &["leaf>=1"], ..ProjectSpec::new("lib", "0.1.0") };
        lib.write_to(&world.project().join("lib")).unwrap();
        let wheel = WheelSpec::new("in-file", "4.0");
        std::fs::write(world.project().join(wheel.filename()), wheel.bytes()).unwrap();
        std::fs::write(world.project().join("pyproject.toml"), world.pyproject(style)).unwrap();
        std::fs::create_dir(world.project().join("demo")).unwrap();
        std::fs::write(world.project().join("demo/__init__.py"), "").unwrap();
        Some(world)
    }

    pub fn project(&self) -> &Path {
        self.dir.path()
    }

    fn pyproject(&self, style: Style) -> String {
        let text = match style {
            Style::Poetry => POETRY,
            Style::Standard => STANDARD,
        };
        let url = self.index.file_url("by_url-5.0-py3-none-any.whl");
        text.replace("@INDEX@", &format!("{}/", self.index.url()))
            .replace("@GIT@", &self.git.url())
            .replace("@URL@", &url)
    }
}

/// Packages with extras, markers, several versions, and files for few platforms.
fn index() -> PackageIndex {
    let index = PackageIndex::start();
    let add = |name: &str, version: &str, requires: &[&str]| {
        index.add_wheel(&WheelSpec::new(name, version).requires(requires));
    };
    for (name, version) in [
        ("beta", "1.5"),
        ("beta", "2.1"),
        ("beta", "3.0"),
        ("leaf", "1.0"),
        ("backport", "1.0"),
        ("only-windows", "1.0"),
        ("epsilon", "1.2"),
        ("zeta", "0.9"),
        ("omega", "1.0"),
        ("psi", "2.0"),
        ("tester", "7.0"),
        ("linter", "1.0"),
        ("sphinxy", "5.0"),
        ("theme", "1.0"),
    ] {
        add(name, version, &[]);
    }
    add(
        "Alpha.Package",
        "1.2",
        &[
            "beta>=1,<3",
            "only-windows; sys_platform == 'win32'",
            "backport; python_version < '3.9'",
        ],
    );
    add("psi-plugin", "1.0", &["psi>=1", "leaf"]);
    add("sphinxy-tools", "1.0", &["sphinxy", "theme>=1", "delta[more]"]);
    // An older interpreter gets an older version, which requires more.
    add("numeric", "1.0", &["beta<2"]);
    add("numeric", "2.0", &["beta>=2"]);
    index.add_wheel(&WheelSpec::new("delta", "1.0").extras(&[
        ("fast", &["epsilon>=1"]),
        ("more", &["zeta", "only-windows; sys_platform == 'win32'"]),
        ("all", &["delta[fast,more]"]),
    ]));
    for tags in [
        "cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64",
        "cp311-cp311-manylinux_2_17_aarch64.manylinux2014_aarch64",
        "cp312-cp312-manylinux_2_17_x86_64.manylinux2014_x86_64",
        "cp311-cp311-win_amd64",
    ] {
        index.add_wheel(&WheelSpec::new("compiled", "1.0").tags(tags));
    }
    index.add_sdist(&ProjectSpec::new("compiled", "1.0"));
    index.add_sdist(&ProjectSpec { requires: &["leaf"], ..ProjectSpec::new("source-only", "1.0") });
    index.add_wheel(&WheelSpec::new("by-url", "5.0").requires(&["leaf"]));
    index
}

const POETRY: &str = r#"
[tool.poetry]
name = "demo"
version = "0.1.0"
description = "grüße 🐍"
authors = ["Nobody <nobody@example.org>"]

[tool.poetry.dependencies]
python = "^3.9"
alpha-package = "^1.0"
delta = { version = "~1.0", extras = ["fast"] }
compiled = "1.*"
source-only = "*"
numeric = [
    { version = "1.0", python = "<3.11" },
    { version = "2.0", python = ">=3.11" },
]
only-windows = { version = "^1", platform = "win32" }
omega = { version = "^1.0", optional = true }
psi-plugin = { version = ">=1", optional = true }
in-git = { git = "@GIT@", tag = "v0.3", subdirectory = "python" }
lib = { path = "lib", develop = true }
in-file = { path = "in_file-4.0-py3-none-any.whl" }
by-url = { url = "@URL@" }

[tool.poetry.extras]
last = ["omega"]
plugins = ["psi-plugin", "omega"]

[tool.poetry.group.dev.dependencies]
tester = "^7.0"

[tool.poetry.group.lint]
optional = true

[tool.poetry.group.lint.dependencies]
linter = { version = "*", markers = "python_version >= '3.9'" }

[tool.poetry.group.docs]
optional = true

[tool.poetry.group.docs.dependencies]
sphinxy-tools = "^1"

[[tool.poetry.source]]
name = "own"
url = "@INDEX@"
priority = "primary"

[build-system]
requires = ["poetry-core"]
build-backend = "poetry.core.masonry.api"
"#;

const STANDARD: &str = r#"
[project]
name = "demo"
version = "0.1.0"
requires-python = ">=3.9,<4"
dependencies = [
    "Alpha_Package (>=1.0,<2.0)",
    "delta[fast]~=1.0",
    "compiled>=1",
    "numeric==1.0; python_version < '3.11'",
    "numeric==2.0; python_version >= '3.11'",
    "only-windows; sys_platform == 'win32'",
    "in-git @ git+@GIT@@v0.3#subdirectory=python",
    "lib",
    "by-url @ @URL@",
]

[project.optional-dependencies]
last = ["omega>=1"]
plugins = ["psi-plugin", "omega>=1"]

[dependency-groups]
dev = ["tester>=7", "linter; python_version >= '3.9'"]
docs = ["sphinxy-tools"]
everything = [{ include-group = "dev" }, "theme"]

[tool.poetry.dependencies]
lib = { path = "lib", develop = true }

[tool.poetry.group.docs]
optional = true

[tool.poetry.group.everything]
optional = true

[tool.poetry.group.deep]
optional = true
include-groups = ["docs"]

[[tool.poetry.source]]
name = "own"
url = "@INDEX@"
priority = "primary"

[build-system]
requires = ["poetry-core"]
build-backend = "poetry.core.masonry.api"
"#;
