//! What can be wrong with an image in Flyte's words.

use std::path::PathBuf;
use tierce_oci::{Diagnostic, ErrorKind, ReferenceError, hide_address, hide_credentials};
use tierce_spec::{ProjectArgumentError, ServiceUrlError};

/// What can be wrong with an image in Flyte's words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FlyteError {
    /// A layer is added to an image that can't have more.
    #[error(
        "{method} can't add a layer to the image {:?}: it is not extendable",
        hide_address(image)
    )]
    NotExtendable {
        /// The method.
        method: &'static str,
        /// What the image is called.
        image: String,
    },
    /// A layer is added to an image that would have no name.
    #[error("{method} can't add a layer to the image {:?}: it has no name", hide_address(image))]
    NoName {
        /// The method.
        method: &'static str,
        /// What the image is called otherwise.
        image: String,
    },
    /// A layer is added to what a Dockerfile makes.
    #[error("{method} can't add a layer to what {} makes", file.display())]
    Dockerfile {
        /// The method.
        method: &'static str,
        /// The Dockerfile.
        file: PathBuf,
    },
    /// The base has no reference.
    #[error("from_base: image_uri is empty")]
    NoBase,
    /// A script is none.
    #[error("{method}: {} is not a script: expected a name that ends in .py", script.display())]
    NotAScript {
        /// The method.
        method: &'static str,
        /// The file.
        script: PathBuf,
    },
    /// A requirements file is none.
    #[error("with_requirements: {} is not a requirements file: expected a name that ends in .txt", file.display())]
    NotRequirements {
        /// The file.
        file: PathBuf,
    },
    /// A manifest is not one that pixi would find.
    #[error("with_pixi_project: {} is not a manifest of pixi: expected pixi.toml or pyproject.toml", manifest.display())]
    NotAPixiManifest {
        /// The file.
        manifest: PathBuf,
    },
    /// Files of the same name go to the same place.
    #[error("with_source_file: several files are called {}, and all go to {dst:?}", names.join(", "))]
    DuplicateSource {
        /// The names.
        names: Vec<String>,
        /// Where they would go.
        dst: String,
    },
    /// It can't be told which wheel is meant.
    #[error("with_local_v2: there is more than one wheel of {package}: {}", found.join(", "))]
    ManyWheels {
        /// The package.
        package: &'static str,
        /// The wheels.
        found: Vec<String>,
    },
    /// A plug-in is none of Flyte's.
    #[error(
        "with_local_v2_plugins: {plugin:?} is not a plug-in: expected a name that starts with flyteplugins-"
    )]
    NotAPlugin {
        /// The name.
        plugin: String,
    },
    /// A reference is none.
    #[error("{:?} is not an image reference", hide_address(text))]
    Reference {
        /// What was written.
        text: String,
        /// What is wrong with it.
        source: ReferenceError,
    },
    /// The URI that Flyte's SDK gave an image has no tag to build under.
    #[error("the image {:?} has no tag to build it under", hide_address(uri))]
    NoTag {
        /// The URI.
        uri: String,
    },
    /// An index has no address.
    #[error("{parameter}: {:?} is not the address of a package index", hide_address(text))]
    Index {
        /// Which parameter.
        parameter: &'static str,
        /// What was written, without credentials.
        text: String,
        /// What is wrong with it.
        source: ServiceUrlError,
    },
    /// A password would be on a command line, and so in the image's history.
    #[error("{parameter} has credentials in it, which would be in the image")]
    Credentials {
        /// Which parameter.
        parameter: &'static str,
    },
    /// A password would be in a layer of the image, in a file that a step reads.
    #[error("{} has credentials in it, which would be in the image", file.display())]
    CredentialsIn {
        /// The file.
        file: PathBuf,
    },
    /// Arguments are not shell words.
    #[error("extra_args: {:?} is not a list of shell words", hide_credentials(text))]
    ExtraArgs {
        /// What was written.
        text: String,
    },
    /// An argument asks for what can't be done where nothing is installed by the program that the
    /// argument is for.
    #[error("{method}: extra_args can't be followed")]
    ExtraArg {
        /// The method.
        method: &'static str,
        /// Which one.
        source: ProjectArgumentError,
    },
    /// A project has no lock, and its manifest does not say all that would be in it.
    #[error("{} has no uv.lock beside it", pyproject.display())]
    NoLock {
        /// The manifest.
        pyproject: PathBuf,
    },
    /// A script has no lock, and only that would say where its dependencies come from.
    #[error(
        "{} has no lock beside it, which says where {} come from",
        script.display(),
        needs.join(", ")
    )]
    NoScriptLock {
        /// The script.
        script: PathBuf,
        /// The dependencies.
        needs: Vec<String>,
    },
    /// A script was not read, or has no header.
    #[error("{} has no header that says what it needs", script.display())]
    NoHeader {
        /// The script.
        script: PathBuf,
    },
    /// A script's header can't be read.
    #[error("the header of {} is wrong: {}", script.display(), hide_credentials(reason))]
    Header {
        /// The script.
        script: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A script asks for another Python than the image is to have.
    #[error("{} requires Python {requires}, and the image has {python}", script.display())]
    ScriptPython {
        /// The script.
        script: PathBuf,
        /// Its `requires-python`.
        requires: String,
        /// The image's.
        python: tierce_spec::PythonVersion,
    },
    /// A file that has to be read is not there.
    #[error("{} can't be read", path.display())]
    Unread {
        /// The file.
        path: PathBuf,
    },
    /// The line of a Dockerfile is one that is not understood.
    #[error("the line {:?} of a Dockerfile is not understood", hide_credentials(line))]
    DockerLine {
        /// The line.
        line: String,
    },
    /// A pixi environment can't be made for a platform.
    #[error("pixi has no environments for {platform}")]
    PixiPlatform {
        /// The platform.
        platform: String,
    },
    /// A script's own list of platforms leaves out one that the image is for.
    #[error("the header of {} is for {}, and the image for {}", script.display(), declared.join(", "), missing.join(", "))]
    PixiPlatforms {
        /// The script.
        script: PathBuf,
        /// The conda platforms that it names.
        declared: Vec<String>,
        /// The conda platforms that it does not name.
        missing: Vec<String>,
    },
}

impl Diagnostic for FlyteError {
    fn code(&self) -> &'static str {
        match self {
            FlyteError::NotExtendable { .. } => "flyte/not-extendable",
            FlyteError::NoName { .. } => "flyte/no-name",
            FlyteError::Dockerfile { .. } => "flyte/dockerfile-layers",
            FlyteError::NoBase => "flyte/no-base",
            FlyteError::NotAScript { .. } => "flyte/not-a-script",
            FlyteError::NotRequirements { .. } => "flyte/not-requirements",
            FlyteError::NotAPixiManifest { .. } => "flyte/not-a-pixi-manifest",
            FlyteError::DuplicateSource { .. } => "flyte/duplicate-source",
            FlyteError::ManyWheels { .. } => "flyte/many-wheels",
            FlyteError::NotAPlugin { .. } => "flyte/not-a-plugin",
            FlyteError::Reference { .. } => "flyte/invalid-reference",
            FlyteError::NoTag { .. } => "flyte/no-tag",
            FlyteError::Index { .. } => "flyte/invalid-index",
            FlyteError::Credentials { .. } | FlyteError::CredentialsIn { .. } => {
                "flyte/credentials"
            }
            FlyteError::ExtraArgs { .. } => "flyte/invalid-extra-args",
            FlyteError::ExtraArg { .. } => "flyte/extra-args",
            FlyteError::NoLock { .. } | FlyteError::NoScriptLock { .. } => "flyte/no-lock",
            FlyteError::NoHeader { .. } => "flyte/no-script-header",
            FlyteError::Header { .. } => "flyte/invalid-script-header",
            FlyteError::ScriptPython { .. } => "flyte/script-python",
            FlyteError::Unread { .. } => "flyte/unreadable",
            FlyteError::DockerLine { .. } => "flyte/docker-line",
            FlyteError::PixiPlatform { .. } | FlyteError::PixiPlatforms { .. } => {
                "flyte/pixi-platform"
            }
        }
    }

    fn kind(&self) -> ErrorKind {
        ErrorKind::User
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            FlyteError::NotExtendable { .. } => {
                "Make it extendable first: .clone(name=\"...\", extendable=True).".to_owned()
            }
            FlyteError::NoName { .. } => {
                "Name it first: .clone(name=\"...\", extendable=True).".to_owned()
            }
            FlyteError::Dockerfile { .. } => {
                "Say it in the Dockerfile, or start from the image that it makes: from_base(uri).clone(name=\"...\", extendable=True).".to_owned()
            }
            FlyteError::NoBase => {
                "Give an image reference, as \"python:3.12-slim\"; it may come from a variable that is not set.".to_owned()
            }
            FlyteError::NotRequirements { .. } => {
                "Projects have methods of their own: with_uv_project, with_poetry_project, with_pixi_project.".to_owned()
            }
            FlyteError::NotAPixiManifest { .. } => {
                "Name the manifest, or the folder that it is in.".to_owned()
            }
            FlyteError::DuplicateSource { .. } => {
                "Give each a folder of its own in dst.".to_owned()
            }
            FlyteError::ManyWheels { package, .. } => {
                format!("Keep the one wheel of {package} that is meant.")
            }
            FlyteError::Reference { .. } => {
                "Write it as \"python:3.12-slim\" or \"ghcr.io/team/base:1\".".to_owned()
            }
            FlyteError::NoTag { .. } => {
                "Build it under a tag: digests are what comes out.".to_owned()
            }
            FlyteError::Index { .. } => {
                "Write it as \"https://pypi.example/simple\".".to_owned()
            }
            FlyteError::Credentials { .. } => {
                "It is installed in the image: give uv the password by secret_mounts, as the variable UV_INDEX_NAME_PASSWORD or the file /root/.netrc.".to_owned()
            }
            FlyteError::CredentialsIn { .. } => {
                "Its layer keeps the file, whatever removes it later: name a variable there instead (${TOKEN}), or nothing, and give the password by secret_mounts, as the variable UV_INDEX_NAME_PASSWORD (Poetry: POETRY_HTTP_BASIC_NAME_PASSWORD) or the file /root/.netrc.".to_owned()
            }
            FlyteError::ExtraArgs { .. } => {
                "Close its quotes, and give each option its value.".to_owned()
            }
            FlyteError::ExtraArg { source: ProjectArgumentError::Unknown { known, .. }, .. } => {
                format!("Leave it out. Those that say what is installed are {}.", known.join(", "))
            }
            FlyteError::ExtraArg { .. } => "Give it its value.".to_owned(),
            FlyteError::NoLock { pyproject } => match pyproject.parent() {
                Some(folder) if !folder.as_os_str().is_empty() => {
                    format!("Make it: uv lock --project {}.", folder.display())
                }
                _ => "Make it: uv lock.".to_owned(),
            },
            FlyteError::NoScriptLock { script, .. } => {
                format!("Make it: uv lock --script {}.", script.display())
            }
            FlyteError::NoHeader { .. } => {
                "Begin it with a block as PEP 723 has them: # /// script, # dependencies = [\"httpx\"], # ///.".to_owned()
            }
            FlyteError::DockerLine { .. } => {
                "LABEL and ENV are; for others there are methods, or from_dockerfile.".to_owned()
            }
            FlyteError::PixiPlatform { .. } => {
                "Name platforms that it has some for: linux/amd64, linux/arm64.".to_owned()
            }
            FlyteError::PixiPlatforms { missing, .. } => format!(
                "Add {} to its platforms, or name the image's: platform=(\"linux/amd64\",).",
                missing.join(", ")
            ),
            FlyteError::ScriptPython { .. } => {
                "Leave python_version away, and the script's requires-python says which one it is.".to_owned()
            }
            FlyteError::Unread { .. } => "Check the path.".to_owned(),
            FlyteError::NotAScript { .. }
            | FlyteError::NotAPlugin { .. }
            | FlyteError::Header { .. } => return None,
        })
    }
}
