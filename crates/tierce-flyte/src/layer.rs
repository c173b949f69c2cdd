//! The layers of Flyte's images.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use tierce_spec::{CopyStyle, Secret};

/// One layer of an image, in Flyte's words.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "layer", rename_all = "snake_case", deny_unknown_fields)]
pub enum Layer {
    /// Packages from an index.
    PipPackages {
        /// Requirements (PEP 508).
        #[serde(default)]
        packages: Vec<String>,
        /// How they are installed.
        #[serde(default)]
        options: InstallOptions,
    },
    /// Packages that a requirements file lists.
    Requirements {
        /// The file on the host.
        file: PathBuf,
        /// How they are installed.
        #[serde(default)]
        options: InstallOptions,
    },
    /// A package of which there is a wheel on the host: that wheel is taken, whatever an index
    /// has.
    Wheels {
        /// The folder with wheels.
        dir: PathBuf,
        /// The package; wheels of others in the folder are looked at for what it requires.
        package: String,
        /// How it is installed.
        #[serde(default)]
        options: InstallOptions,
    },
    /// Packages that are built from folders of the host, and archives of it; ours, not Flyte's.
    LocalPackages {
        /// The packages.
        packages: Vec<LocalPackage>,
    },
    /// A project that uv manages.
    UvProject {
        /// Its `pyproject.toml`.
        pyproject: PathBuf,
        /// Its `uv.lock`; the one beside `pyproject`, if there is one, where none is named.
        #[serde(default)]
        lock: Option<PathBuf>,
        /// What of it is installed.
        #[serde(default)]
        mode: InstallMode,
        /// How it is installed.
        #[serde(default)]
        options: InstallOptions,
    },
    /// A project that Poetry manages.
    PoetryProject {
        /// Its `pyproject.toml`.
        pyproject: PathBuf,
        /// Its `poetry.lock`.
        lock: PathBuf,
        /// What of it is installed.
        #[serde(default)]
        mode: InstallMode,
        /// Further arguments to `poetry install`.
        #[serde(default)]
        extra_args: Option<String>,
        /// What installing needs to see.
        #[serde(default)]
        secrets: Vec<Secret>,
    },
    /// A project that pixi manages.
    PixiProject {
        /// Its `pixi.toml` or `pyproject.toml`.
        manifest: PathBuf,
        /// Its `pixi.lock`; the one beside `manifest`, if there is one, where none is named.
        #[serde(default)]
        lock: Option<PathBuf>,
        /// Which of its environments.
        environment: String,
        /// What of it is installed.
        #[serde(default)]
        mode: InstallMode,
        /// Further arguments to `pixi install`.
        #[serde(default)]
        extra_args: Option<String>,
        /// What installing needs to see.
        #[serde(default)]
        secrets: Vec<Secret>,
    },
    /// What the header of a script asks for (PEP 723).
    UvScript {
        /// The script.
        script: PathBuf,
        /// How it is installed.
        #[serde(default)]
        options: InstallOptions,
    },
    /// What the header of a script asks for, conda packages included.
    PixiScript {
        /// The script.
        script: PathBuf,
        /// Which environment.
        environment: String,
        /// Further arguments to `pixi install`.
        #[serde(default)]
        extra_args: Option<String>,
        /// What installing needs to see.
        #[serde(default)]
        secrets: Vec<Secret>,
    },
    /// Debian packages.
    AptPackages {
        /// Their names.
        packages: Vec<String>,
        /// What `apt-get` needs to see.
        #[serde(default)]
        secrets: Vec<Secret>,
    },
    /// Commands, each a line for a shell.
    Commands {
        /// The lines.
        commands: Vec<String>,
        /// What they need to see.
        #[serde(default)]
        secrets: Vec<Secret>,
    },
    /// Environment variables, in order.
    Env {
        /// Names and values. In an image that Flyte wrote, `$NAME` in a value is what the variable
        /// is so far, as in a Dockerfile; in one of ours, values are literal.
        vars: Vec<(String, String)>,
    },
    /// The working directory.
    Workdir {
        /// The directory.
        workdir: String,
    },
    /// A file or folder of the host.
    Source {
        /// Which of both.
        kind: SourceKind,
        /// Where it is on the host.
        src: PathBuf,
        /// Where it goes. What `COPY` of a Dockerfile makes of it: a folder gets the contents of
        /// `src`.
        dst: String,
    },
    /// The code that runs in the image, where nobody else brings it.
    CodeBundle {
        /// Which files.
        style: CopyStyle,
        /// Where they go.
        dst: String,
        /// Where the code is on the host, once it was decided that the image brings it: then the
        /// layer is a source folder. Until then, whoever builds decides.
        #[serde(default)]
        root: Option<PathBuf>,
        /// The files of the imported modules below `root`, for that style.
        #[serde(default)]
        loaded: Vec<PathBuf>,
    },
    /// The ignore file of sources.
    Dockerignore {
        /// The file on the host.
        path: PathBuf,
    },
    /// Lines of a Dockerfile, which Flyte's own base image has.
    DockerLines {
        /// The lines: `LABEL` and `ENV` are understood.
        lines: Vec<String>,
    },
}

/// A package of the host's own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LocalPackage {
    /// Its name, as indexes compare names.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The project's folder, or an archive.
    pub path: PathBuf,
    /// The digest of an archive; none of a folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
}

/// How packages are installed: the options that Flyte's package layers share.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields, default)]
pub struct InstallOptions {
    /// The package index instead of PyPI.
    pub index_url: Option<String>,
    /// Further indexes.
    pub extra_index_urls: Vec<String>,
    /// Whether pre-releases may be chosen.
    pub pre: bool,
    /// Further arguments to uv, as one line of shell words.
    pub extra_args: Option<String>,
    /// What installing needs to see.
    pub secrets: Vec<Secret>,
}

/// What of a project is installed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InstallMode {
    /// What it depends on.
    #[default]
    DependenciesOnly,
    /// That, and the project itself.
    InstallProject,
}

/// A file or a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SourceKind {
    /// A file.
    File,
    /// A folder.
    Folder,
}
