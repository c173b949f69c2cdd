//! What a builder says: one JSON object a line on its standard output.

use super::Event;
use serde::Deserialize;
use serde_json::Value;
use tierce_oci::{Digest, ErrorKind, MediaType, Platform};

/// One line of a builder's standard output.
#[derive(Debug)]
pub(crate) enum Message {
    /// `{"event": ...}`: the answer is still to come.
    Event(Event),
    /// `{"result": ...}`: the answer, and the last line.
    Result(Value),
    /// `{"error": ...}`: the answer, and the last line.
    Error(ReportedError),
}

/// Why a line is no message.
#[derive(Debug, thiserror::Error)]
pub enum Garbage {
    /// It is no JSON object, or a field of it has the wrong type.
    #[error("it is not a message of the protocol")]
    Json(#[from] serde_json::Error),
    /// Not exactly one of the three kinds.
    #[error("it has not exactly one of \"event\", \"result\" and \"error\"")]
    Kind,
    /// A builder that goes on talking after its answer.
    #[error("it comes after the answer")]
    AfterAnswer,
}

impl Message {
    /// Reads a line.
    pub(crate) fn parse(line: &[u8]) -> Result<Message, Garbage> {
        let object: serde_json::Map<String, Value> = serde_json::from_slice(line)?;
        let has = |name: &str| object.get(name).is_some_and(|v| !v.is_null());
        match (has("event"), has("result"), has("error")) {
            (true, false, false) => {
                Ok(Message::Event(serde_json::from_value(Value::Object(object))?))
            }
            (false, true, false) => Ok(Message::Result(object["result"].clone())),
            (false, false, true) => {
                Ok(Message::Error(serde_json::from_value(object["error"].clone())?))
            }
            _ => Err(Garbage::Kind),
        }
    }
}

/// What a builder says of a failure.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct ReportedError {
    /// A stable code of the builder's own.
    #[serde(default)]
    pub code: Option<String>,
    /// Whose turn it is.
    #[serde(default, deserialize_with = "reported_kind")]
    pub kind: ReportedKind,
    /// What failed, in one sentence.
    pub message: String,
    /// What to do next.
    #[serde(default)]
    pub hint: Option<String>,
}

/// Whose turn it is after a failure of a builder.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReportedKind {
    /// What the user wrote is wrong.
    User,
    /// The machine lacks something.
    Environment,
    /// A registry or archive failed.
    Upstream,
    /// A step of the build failed.
    #[default]
    Step,
}

impl From<ReportedKind> for ErrorKind {
    fn from(kind: ReportedKind) -> Self {
        match kind {
            ReportedKind::User => ErrorKind::User,
            ReportedKind::Environment => ErrorKind::Environment,
            ReportedKind::Upstream => ErrorKind::Upstream,
            ReportedKind::Step => ErrorKind::Step,
        }
    }
}

fn reported_kind<'de, D: serde::Deserializer<'de>>(d: D) -> Result<ReportedKind, D::Error> {
    Ok(match String::deserialize(d)?.as_str() {
        "user" => ReportedKind::User,
        "environment" => ReportedKind::Environment,
        "upstream" => ReportedKind::Upstream,
        _ => ReportedKind::Step,
    })
}

/// What a builder is: its answer to `describe`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Described {
    /// Its name.
    pub name: String,
    /// Its own version.
    pub version: String,
    /// What it is, in one sentence.
    #[serde(default)]
    pub description: String,
    /// The versions of the protocol that it speaks.
    pub protocol: Vec<u32>,
    /// What it can do.
    #[serde(default)]
    pub capabilities: DescribedCapabilities,
    /// What it must be given.
    #[serde(default)]
    pub needs: Vec<Need>,
    /// What its Dockerfiles may say, where it needs one: `buildkit` (the default), `docker-20`,
    /// `podman`, `classic`.
    #[serde(default)]
    pub dialect: Option<String>,
    /// The JSON Schema of its configuration; one without keys where it is missing.
    #[serde(default)]
    pub config: Option<Value>,
}

/// What a builder can do. What is not said is not there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct DescribedCapabilities {
    /// Where it can deliver images: `local`, `push`, `oci-layout`, `oci-archive`,
    /// `docker-archive`, `load`. Words of later versions are ignored.
    pub exports: Vec<String>,
    /// The platforms that it builds for; empty for any.
    #[serde(deserialize_with = "platforms")]
    pub platforms: Vec<Platform>,
    /// Whether it makes one image for several platforms.
    pub multi_platform: bool,
    /// Whether it takes the values of secrets.
    pub secrets: bool,
    /// Whether it builds images whose base is a Dockerfile of the user's.
    pub dockerfiles: bool,
    /// Whether it answers `check`.
    pub check: bool,
    /// Whether the same request gives the same digest.
    pub reproducible: bool,
}

/// Something that a builder must be given with a `build`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Need {
    /// The image as a Dockerfile with its context.
    Dockerfile,
}

/// The answer to `check`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct CheckAnswer {
    /// What was found.
    pub presence: Presence,
    /// The digest of the manifest or index; required where it is present.
    #[serde(default)]
    pub digest: Option<Digest>,
    /// Its media type.
    #[serde(default)]
    pub media_type: Option<MediaType>,
    /// Its length in bytes.
    #[serde(default)]
    pub size: Option<u64>,
    /// Why the builder cannot tell.
    #[serde(default)]
    pub message: Option<String>,
}

/// Whether an image is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Presence {
    /// It is, for every platform asked for.
    Present,
    /// It is not, or not for every platform.
    Absent,
    /// The builder cannot tell.
    Unknown,
}

/// The answer to `build`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct BuildAnswer {
    /// The request's `uri`.
    pub uri: String,
    /// The request's `key`.
    pub key: String,
    /// The digest of the manifest or index.
    #[serde(default)]
    pub digest: Option<Digest>,
    /// One entry for each platform of the request.
    #[serde(default)]
    pub platforms: Vec<BuiltPlatform>,
}

/// The result for one platform.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct BuiltPlatform {
    /// As `linux/amd64`.
    #[serde(deserialize_with = "platform")]
    pub platform: Platform,
    /// The digest of the manifest.
    pub digest: Digest,
}

fn platform<'de, D: serde::Deserializer<'de>>(d: D) -> Result<Platform, D::Error> {
    String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
}

fn platforms<'de, D: serde::Deserializer<'de>>(d: D) -> Result<Vec<Platform>, D::Error> {
    let texts = Vec::<String>::deserialize(d)?;
    texts.iter().map(|t| t.parse().map_err(serde::de::Error::custom)).collect()
}
