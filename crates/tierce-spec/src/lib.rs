//! What an image is made of, as the user wrote it: [`Image`], its [`Step`]s, validation, and the
//! [`ImageKey`] that names the result.
//!
//! This crate must not know any file system, network, environment, clock or builder: it turns
//! declarations into checked values, and checked values into keys. What has to be read from the
//! host is listed by [`Image::inputs`], read by somebody else, and handed back as digests to
//! [`Image::resolve`].

mod base;
mod canonical;
mod conda;
mod image;
mod image_path;
mod key;
pub mod locked;
pub mod manifest;
mod name;
mod pip;
mod project;
mod project_arguments;
mod python;
pub mod requirements;
mod resolve;
mod secret;
mod service_url;
mod step;
mod validate;

pub use base::{Base, DebianBase, DockerfileBase};
pub use canonical::Encoder as CanonicalEncoder;
pub use conda::{Conda, CondaSource, PixiEnvironment};
pub use image::{Bytecode, Image, UnknownImageName};
pub use image_path::join_image_path;
pub use key::{FORMAT_VERSION, ImageKey, digest_word};
pub use name::{ImageName, KEY_PLACEHOLDER, NameError};
pub use pip::PipOptions;
pub use project::{Extras, Groups, Project, ProjectInstall, ProjectKind, Selection};
pub use project_arguments::{ProjectArgumentError, ProjectArguments, workspace_members};
pub use python::{
    PythonEnvironment, PythonProvider, PythonRequest, PythonVersion, PythonVersionError,
};
pub use resolve::{Input, Inputs, ResolveError, ResolvedImage, ResolvedStep, Slot};
pub use secret::{Secret, SecretId};
pub use service_url::{ServiceUrl, ServiceUrlError};
pub use step::{
    Apt, Cmd, CodeBundle, Command, Commands, CopyStyle, Entrypoint, Env, Labels, Network, Pip,
    Requirements, SearchPath, SourceFile, SourceFolder, SourceOptions, Step, User, Wheels, Workdir,
};
pub use tierce_oci::{hide_address, hide_credentials, without_credentials};
pub use validate::{
    AptPackage, AptPackageError, AptSelector, FieldPath, Item, Problem, ValidationErrors,
};
