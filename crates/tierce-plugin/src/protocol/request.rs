//! What tierce says: one JSON object a line on the builder's standard input.

use super::VERSION;
use serde::Serialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use tierce_engine::Export;
use tierce_oci::Platform;

/// One request. Each starts a process of its own, but for [`Call::Cancel`], which follows a
/// [`Call::Build`] on the same standard input.
#[derive(Serialize)]
#[serde(tag = "method", rename_all = "kebab-case")]
pub enum Call {
    /// What are you?
    Describe,
    /// Is this image there?
    Check(CheckCall),
    /// Build this image.
    Build(Box<BuildCall>),
    /// Give up the build.
    Cancel,
}

/// Is this image there, for all of these platforms?
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct CheckCall {
    /// `registry/name:tag`.
    pub reference: String,
    /// As `linux/amd64`.
    #[serde(serialize_with = "texts")]
    pub platforms: Vec<Platform>,
    /// The configuration of the builder.
    pub config: Map<String, Value>,
}

/// Build this image and deliver it.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct BuildCall {
    /// The image's name with its tag; to be said again in the answer.
    pub uri: String,
    /// The image's key; to be said again in the answer.
    pub key: String,
    /// What to build for, never empty.
    #[serde(serialize_with = "texts")]
    pub platforms: Vec<Platform>,
    /// The image as it was declared, without credentials.
    pub image: Value,
    /// The directory that relative paths in `image` are relative to.
    pub root: PathBuf,
    /// The image that is the base, where the base is another image that tierce built.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base: Option<BaseImage>,
    /// The rendered build context, where the builder needs one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context: Option<Context>,
    /// Where the result goes.
    pub exports: Vec<Output>,
    /// Look everything up anew and build every step again.
    pub force: bool,
    /// The configuration of the builder.
    pub config: Map<String, Value>,
    /// The credentials that the image brings for its registry; for builders that take secrets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub login: Option<Login>,
    /// The values that steps need; empty for builders that take no secrets.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<SecretValue>,
}

/// The image that is the base, already built.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct BaseImage {
    /// Its name with its tag.
    pub uri: String,
    /// The digest of its manifest or index, where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
}

/// A rendered build context: a directory of the builder's to read, removed after the build.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Context {
    /// The directory.
    pub dir: PathBuf,
    /// The Dockerfile in it, relative to `dir`.
    pub dockerfile: String,
    /// The values of its `ARG`s.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub build_args: BTreeMap<String, String>,
    /// The stage to build, if not the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
}

/// One place that the result goes to.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Output {
    /// A registry.
    Push {
        /// `registry/name:tag`.
        reference: String,
    },
    /// An OCI image layout directory.
    OciLayout {
        /// The directory.
        path: PathBuf,
    },
    /// An OCI image layout in a tar file.
    OciArchive {
        /// The file.
        path: PathBuf,
    },
    /// A `docker save` tar file.
    DockerArchive {
        /// The file.
        path: PathBuf,
    },
    /// The local Docker or podman engine.
    Load,
}

/// The value of a secret.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct SecretValue {
    /// The id by which the rendered Dockerfile mounts it; `group/key` where there is none.
    pub id: String,
    /// The value in Base64 (RFC 4648, section 4): values need not be text.
    pub value: String,
}

/// The credentials that an image brings for its registry.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Login {
    /// The registry's host, with the port if any.
    pub registry: String,
    /// `user:password`, or a `config.json` as Docker has it, in Base64.
    pub value: String,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").field("registry", &self.registry).finish_non_exhaustive()
    }
}

impl fmt::Debug for SecretValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretValue").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Output {
    /// The same destination, with an absolute path: a builder need not run where tierce does.
    pub fn of(export: &Export) -> Self {
        let path = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        match export {
            Export::Push(reference) => Output::Push { reference: reference.to_string() },
            Export::OciLayout(dir) => Output::OciLayout { path: path(dir) },
            Export::OciArchive(file) => Output::OciArchive { path: path(file) },
            Export::DockerArchive(file) => Output::DockerArchive { path: path(file) },
            Export::Load => Output::Load,
        }
    }

    /// The file or directory that must be there after the build.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Output::OciLayout { path }
            | Output::OciArchive { path }
            | Output::DockerArchive { path } => Some(path),
            Output::Push { .. } | Output::Load => None,
        }
    }
}

impl Call {
    /// The method's name.
    pub fn method(&self) -> &'static str {
        match self {
            Call::Describe => "describe",
            Call::Check(_) => "check",
            Call::Build(_) => "build",
            Call::Cancel => "cancel",
        }
    }

    /// The request as a line, with its newline.
    pub fn to_line(&self) -> Vec<u8> {
        #[derive(Serialize)]
        struct Line<'a> {
            tierce: u32,
            #[serde(flatten)]
            call: &'a Call,
        }
        let mut line = serde_json::to_vec(&Line { tierce: VERSION, call: self })
            .expect("requests have only string keys");
        line.push(b'\n');
        line
    }
}

fn texts<T: fmt::Display, S: serde::Serializer>(items: &[T], s: S) -> Result<S::Ok, S::Error> {
    s.collect_seq(items.iter().map(ToString::to_string))
}
