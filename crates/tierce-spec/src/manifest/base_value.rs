//! What a `tierce.toml` says under `base`.

use super::forms::{self, Forms};
use crate::ServiceUrl;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};
use std::collections::BTreeMap;
use std::path::PathBuf;
use tierce_oci::Reference;

/// An image reference, "scratch", or a table.
#[derive(Clone, Debug, JsonSchema)]
#[schemars(untagged)]
pub(super) enum BaseValue {
    /// An image in a registry, as "python:3.12-slim", or "scratch" for nothing.
    Reference(ReferenceName),
    /// A root file system assembled from a Debian archive.
    Debian(DebianTable),
    /// Another image of ours, which is built first.
    Spec(SpecTable),
    /// What a Dockerfile makes; nothing can be added to it here.
    Dockerfile(DockerfileTable),
    /// An image whose reference is looked up when this one is built.
    Ref(RefTable),
}

/// An image in a registry, or nothing.
#[derive(Clone, Debug)]
pub(super) enum ReferenceName {
    Scratch,
    Registry(Reference),
}

/// A root file system assembled from a Debian archive.
#[derive(Clone, Debug, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct DebianTable {
    /// The suite's code name: "bookworm".
    pub debian: String,
    /// Whether the suite's own Python is part of the base.
    #[serde(default)]
    pub python: bool,
    /// The archive, where it is not Debian's own.
    pub mirror: Option<ServiceUrl>,
    /// The archive of security updates, where it is not Debian's own.
    pub security_mirror: Option<ServiceUrl>,
    /// The archive's components; main alone where there are none.
    #[serde(default)]
    pub components: Vec<String>,
    /// Packages of the base itself, besides the essential ones.
    #[serde(default)]
    pub packages: Vec<String>,
}

/// Another image of ours, which is built first.
#[derive(Clone, Debug, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct SpecTable {
    /// Its tierce.toml, relative to the folder of this one: "../base/tierce.toml".
    pub spec: PathBuf,
}

/// What a Dockerfile makes.
#[derive(Clone, Debug, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct DockerfileTable {
    /// The Dockerfile, relative to the folder of tierce.toml.
    pub dockerfile: PathBuf,
    /// The build context; the Dockerfile's own folder where it is not given.
    pub context: Option<PathBuf>,
    /// The values of its ARGs.
    #[serde(default)]
    pub build_args: BTreeMap<String, String>,
    /// The stage to build; the last one where it is not given.
    pub target: Option<String>,
}

/// An image whose reference is looked up by a name.
#[derive(Clone, Debug, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct RefTable {
    /// The name: that of --image NAME=REFERENCE, or below [images] in config.toml.
    #[serde(rename = "ref")]
    pub name: String,
}

/// Every key that a table under `base` may have. Which of them go together is said by the tables
/// above; read as one, so that an unknown key is told from a key that is in the wrong company.
#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
struct BaseTable {
    debian: Option<String>,
    python: Option<bool>,
    mirror: Option<ServiceUrl>,
    security_mirror: Option<ServiceUrl>,
    components: Option<Vec<String>>,
    packages: Option<Vec<String>>,
    spec: Option<PathBuf>,
    dockerfile: Option<PathBuf>,
    context: Option<PathBuf>,
    build_args: Option<BTreeMap<String, String>>,
    target: Option<String>,
    #[serde(rename = "ref")]
    name: Option<String>,
}

/// The keys that say what kind of base a table is.
const KINDS: &str = "`debian`, `spec`, `dockerfile` and `ref`";

impl BaseTable {
    fn value(self) -> Result<BaseValue, String> {
        let kinds = [
            ("debian", self.debian.is_some()),
            ("spec", self.spec.is_some()),
            ("dockerfile", self.dockerfile.is_some()),
            ("ref", self.name.is_some()),
        ];
        let kinds: Vec<_> = kinds.into_iter().filter(|(_, is)| *is).map(|(kind, _)| kind).collect();
        let kind = match kinds.as_slice() {
            [kind] => *kind,
            [] => return Err(format!("it needs one of {KINDS}")),
            [one, other, ..] => return Err(format!("`{one}` and `{other}` can't stand together")),
        };
        let stray = self.companions().into_iter().find(|(_, of)| *of != kind);
        if let Some((key, of)) = stray {
            return Err(format!("`{key}` goes with `{of}`, not with `{kind}`"));
        }
        Ok(self.of_kind())
    }

    /// The other keys that are there, each with the one that it belongs to.
    fn companions(&self) -> Vec<(&'static str, &'static str)> {
        let BaseTable {
            debian: _,
            python,
            mirror,
            security_mirror,
            components,
            packages,
            spec: _,
            dockerfile: _,
            context,
            build_args,
            target,
            name: _,
        } = self;
        let keys = [
            ("python", "debian", python.is_some()),
            ("mirror", "debian", mirror.is_some()),
            ("security-mirror", "debian", security_mirror.is_some()),
            ("components", "debian", components.is_some()),
            ("packages", "debian", packages.is_some()),
            ("context", "dockerfile", context.is_some()),
            ("build-args", "dockerfile", build_args.is_some()),
            ("target", "dockerfile", target.is_some()),
        ];
        let given = keys.into_iter().filter(|(_, _, given)| *given);
        given.map(|(key, of, _)| (key, of)).collect()
    }

    /// The table as what it is; it has one kind.
    fn of_kind(self) -> BaseValue {
        if let Some(spec) = self.spec {
            return BaseValue::Spec(SpecTable { spec });
        }
        if let Some(dockerfile) = self.dockerfile {
            let build_args = self.build_args.unwrap_or_default();
            let (context, target) = (self.context, self.target);
            let table = DockerfileTable { dockerfile, context, build_args, target };
            return BaseValue::Dockerfile(table);
        }
        if let Some(name) = self.name {
            return BaseValue::Ref(RefTable { name });
        }
        BaseValue::Debian(DebianTable {
            debian: self.debian.unwrap_or_default(),
            python: self.python.unwrap_or_default(),
            mirror: self.mirror,
            security_mirror: self.security_mirror,
            components: self.components.unwrap_or_default(),
            packages: self.packages.unwrap_or_default(),
        })
    }
}

impl<'de> Deserialize<'de> for BaseValue {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Forms::new("an image reference, \"scratch\", or a table")
            .text(|text| match text.as_str() {
                "scratch" => Ok(BaseValue::Reference(ReferenceName::Scratch)),
                _ => forms::parsed(&text).map(|r| BaseValue::Reference(ReferenceName::Registry(r))),
            })
            .checked_table(BaseTable::value)
            .read(d)
    }
}
