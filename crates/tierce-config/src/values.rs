//! The types of values, in files and variables alike.

use crate::redact::redact;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;
use tierce_oci::{Reference, ReferenceError, RegistryPath, RegistryPathError};
use url::Url;

/// Why a text is not the value it should be.
#[derive(Debug, thiserror::Error)]
pub enum ValueError {
    /// It should say where images are pushed.
    #[error("{text:?} is not a registry: {source}")]
    Registry {
        /// What it says.
        text: String,
        /// What is wrong with it.
        source: RegistryPathError,
    },
    /// It should be an image.
    #[error(transparent)]
    Reference(#[from] ReferenceError),
    /// It should be a URL. What it is may hold a password and is not shown.
    #[error("not a URL: {0}")]
    Url(url::ParseError),
    /// It should be true or false.
    #[error("{0:?} is neither true nor false")]
    Boolean(String),
    /// It should be a policy.
    #[error("{0:?} is no policy: expected assume-present, build or fail")]
    Policy(String),
    /// It should be a length of time.
    #[error("{0:?} is no length of time: expected as 45s, 30m, 12h, 1d or 1h30m")]
    Time(String),
    /// It should be arguments as a shell reads them.
    #[error("its quotes do not match")]
    Arguments,
    /// It should be nothing that is empty.
    #[error("it is empty")]
    Empty,
}

/// What to do about an image when nobody can tell whether it exists.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum UnknownImage {
    /// Take it for present, with a warning.
    AssumePresent,
    /// Build it.
    #[default]
    Build,
    /// Give up.
    Fail,
}

impl FromStr for UnknownImage {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        match text {
            "assume-present" => Ok(UnknownImage::AssumePresent),
            "build" => Ok(UnknownImage::Build),
            "fail" => Ok(UnknownImage::Fail),
            _ => Err(ValueError::Policy(text.to_owned())),
        }
    }
}

/// Where images are pushed that name no registry: `ghcr.io/me`, or a name alone for Docker Hub.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PushRegistry(String);

impl PushRegistry {
    /// As references have it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for PushRegistry {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let text = text.trim_end_matches('/');
        match text.parse::<RegistryPath>() {
            Ok(_) => Ok(PushRegistry(text.to_owned())),
            // `me` is short for `docker.io/me`, as in references.
            Err(RegistryPathError::NoHost) => Ok(PushRegistry(format!("docker.io/{text}"))),
            Err(source) => Err(ValueError::Registry { text: redact(text).into_owned(), source }),
        }
    }
}

/// A length of time, as `1d` or `1h30m`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeSpan(pub Duration);

const UNITS: [(char, u64); 4] = [('d', 86_400), ('h', 3_600), ('m', 60), ('s', 1)];

impl FromStr for TimeSpan {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let wrong = || ValueError::Time(text.to_owned());
        if text == "0" {
            return Ok(TimeSpan(Duration::ZERO));
        }
        let mut seconds = 0u64;
        let mut rest = text;
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
            let count: u64 = rest[..digits].parse().map_err(|_| wrong())?;
            let unit = rest[digits..].chars().next();
            let (_, size) = UNITS.iter().find(|(c, _)| Some(*c) == unit).ok_or_else(wrong)?;
            seconds = count
                .checked_mul(*size)
                .and_then(|more| seconds.checked_add(more))
                .ok_or_else(wrong)?;
            rest = &rest[digits + 1..];
        }
        match text.is_empty() {
            true => Err(wrong()),
            false => Ok(TimeSpan(Duration::from_secs(seconds))),
        }
    }
}

impl fmt::Display for TimeSpan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut left = self.0.as_secs();
        if left == 0 {
            return f.write_str("0");
        }
        for (unit, size) in UNITS {
            if left >= size {
                write!(f, "{}{unit}", left / size)?;
                left %= size;
            }
        }
        Ok(())
    }
}

/// What images start from that only say which Python they want.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DebianBase {
    /// A base assembled from the Debian archive: this suite.
    Suite(String),
    /// An image in a registry.
    Image(ImageTemplate),
}

/// An image's name with a place for the Python version: `python:{python}-slim-bookworm`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageTemplate(String);

/// Where the version goes.
const PYTHON: &str = "{python}";

impl ImageTemplate {
    /// The image for this version of Python, as `3.12`.
    pub fn image(&self, python: &str) -> Result<Reference, ReferenceError> {
        self.0.replace(PYTHON, python).parse()
    }
}

impl FromStr for ImageTemplate {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let template = ImageTemplate(text.to_owned());
        template.image("3.12")?;
        Ok(template)
    }
}

impl fmt::Display for ImageTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Default for DebianBase {
    fn default() -> Self {
        DebianBase::Suite("bookworm".to_owned())
    }
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "an image, or a table with the key `debian`")]
enum DebianBaseForm {
    /// An image, `{python}` standing for the version of Python.
    Image(String),
    /// A Debian suite.
    Suite(DebianBaseTable),
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct DebianBaseTable {
    /// The suite, as "bookworm".
    debian: String,
}

impl<'de> Deserialize<'de> for DebianBase {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        match DebianBaseForm::deserialize(d)? {
            DebianBaseForm::Image(text) => parsed(&text).map(DebianBase::Image),
            DebianBaseForm::Suite(table) => Ok(DebianBase::Suite(table.debian)),
        }
    }
}

impl Serialize for DebianBase {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match self {
            DebianBase::Image(template) => DebianBaseForm::Image(template.to_string()),
            DebianBase::Suite(debian) => {
                DebianBaseForm::Suite(DebianBaseTable { debian: debian.clone() })
            }
        }
        .serialize(s)
    }
}

impl JsonSchema for DebianBase {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "DebianBase".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        DebianBaseForm::json_schema(generator)
    }
}

/// A key of `[registries]`, with the schema that its own crate does without.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RegistryKey(pub RegistryPath);

/// An image's name, with the schema that its own crate does without.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ImageName(pub Reference);

fn parsed<T: FromStr<Err = ValueError>, E: serde::de::Error>(text: &str) -> Result<T, E> {
    text.parse().map_err(E::custom)
}

/// Types that are texts in files.
macro_rules! text_type {
    ($type:ty, $show:expr, $schema:tt) => {
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                parsed(&String::deserialize(d)?)
            }
        }

        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                let show: fn(&$type) -> String = $show;
                s.serialize_str(&show(self))
            }
        }

        text_schema!($type, $schema);
    };
}

macro_rules! text_schema {
    ($type:ty, { $($schema:tt)* }) => {
        impl JsonSchema for $type {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                stringify!($type).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", $($schema)* })
            }
        }
    };
}

text_type!(PushRegistry, |r| r.0.clone(), { "minLength": 1, "examples": ["ghcr.io/me"] });
text_type!(TimeSpan, ToString::to_string, {
    "pattern": "^(0|([0-9]+[dhms])+)$",
    "examples": ["1d", "12h", "1h30m"]
});
text_schema!(RegistryKey, { "minLength": 1, "examples": ["docker.io", "ghcr.io/team"] });
text_schema!(ImageName, { "minLength": 1, "examples": ["ghcr.io/me/app:1"] });

/// A URL whose errors do not tell what it is: there may be a password in it.
#[derive(Clone, PartialEq, Eq)]
pub struct Address(pub Url);

impl FromStr for Address {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        text.parse().map(Address).map_err(ValueError::Url)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&redact(self.0.as_str()))
    }
}

text_type!(Address, |a| a.0.to_string(), { "format": "uri", "examples": ["https://pypi.example/simple"] });

/// An address that may have a name before it, as uv's indexes do: `private=https://pypi.example`.
pub struct NamedAddress(pub Address);

impl FromStr for NamedAddress {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let is_name = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        let url = match text.split_once('=') {
            Some((name, url)) if name.chars().all(is_name) => url,
            _ => text,
        };
        url.parse().map(NamedAddress)
    }
}

/// An address, or the path of a file, as uv takes for what it downloads.
pub struct FileAddress(pub Address);

impl FromStr for FileAddress {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        match Url::from_file_path(text) {
            Ok(url) => Ok(FileAddress(Address(url))),
            Err(()) => text.parse().map(FileAddress),
        }
    }
}

/// What variables mean by true and false, in the words that Flyte's readers know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Flag(pub bool);

impl FromStr for Flag {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        match text.to_ascii_lowercase().as_str() {
            "1" | "true" | "t" | "yes" | "y" | "on" => Ok(Flag(true)),
            "0" | "false" | "f" | "no" | "n" | "off" => Ok(Flag(false)),
            _ => Err(ValueError::Boolean(text.to_owned())),
        }
    }
}

/// Arguments, as a shell splits them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Arguments(pub Vec<String>);

impl FromStr for Arguments {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        shlex::split(text).map(Arguments).ok_or(ValueError::Arguments)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time() {
        for (text, seconds, shown) in [
            ("1d", 86_400, "1d"),
            ("36h", 129_600, "1d12h"),
            ("1h30m", 5_400, "1h30m"),
            ("45s", 45, "45s"),
            ("0", 0, "0"),
            ("0s", 0, "0"),
        ] {
            let span: TimeSpan = text.parse().unwrap();
            assert_eq!(span.0.as_secs(), seconds, "{text}");
            assert_eq!(span.to_string(), shown);
        }
        for text in ["", "d", "1", "1w", "1.5h", "-1d", "1 d", "99999999999999999999d", "1é"] {
            assert!(text.parse::<TimeSpan>().is_err(), "{text}");
        }
    }

    #[test]
    fn templates_make_images() {
        let template: ImageTemplate = "python:{python}-slim".parse().unwrap();
        assert_eq!(template.image("3.11").unwrap().familiar(), "python:3.11-slim");
        assert!("python:{version}".parse::<ImageTemplate>().is_err());
    }

    #[test]
    fn registries_to_push_to() {
        for (text, registry) in [
            ("ghcr.io/me/", "ghcr.io/me"),
            ("localhost:5000", "localhost:5000"),
            ("me", "docker.io/me"),
        ] {
            assert_eq!(text.parse::<PushRegistry>().unwrap().as_str(), registry);
        }
        for text in ["https://ghcr.io", "ghcr.io/Me", ""] {
            assert!(text.parse::<PushRegistry>().is_err(), "{text}");
        }
        let error = "https://me:hunter2@ghcr.io".parse::<PushRegistry>().unwrap_err();
        assert!(!error.to_string().contains("hunter2"));
    }

    proptest::proptest! {
        #[test]
        fn lengths_of_time_survive_being_shown(seconds: u32) {
            let span = TimeSpan(Duration::from_secs(seconds.into()));
            assert_eq!(span.to_string().parse::<TimeSpan>().unwrap(), span);
        }

        #[test]
        fn no_text_is_too_odd(text in ".*") {
            let _ = (text.parse::<TimeSpan>(), text.parse::<PushRegistry>(), text.parse::<Arguments>());
            let _ = text.parse::<ImageTemplate>();
        }
    }
}
