//! Secrets as `RUN` mounts: by id, never by value.

use crate::dialect::Dialect;
use crate::error::RenderError;
use crate::quote::fits_flag;
use crate::run::Run;
use std::collections::BTreeMap;
use tierce_secret::{SecretValue, Secrets};
use tierce_spec::{Secret, SecretId};

/// Where secrets are mounted that have no path of their own: Docker's default.
const DIRECTORY: &str = "/run/secrets";

/// A secret that the text names by `id`.
#[derive(Clone, Debug)]
pub struct RenderedSecret {
    /// What the text calls it: lower-case letters, digits, `_`, `.` and `-`.
    pub id: String,
    /// Where its value comes from.
    pub source: SecretSource,
}

/// Where a secret's value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretSource {
    /// The image names it.
    Declared(SecretId),
    /// Credentials in the image's own URLs, as a netrc file.
    Credentials(SecretValue),
}

impl RenderedSecret {
    /// The value to hand to the builder, if `secrets` has it.
    pub fn value<'a>(&'a self, secrets: &'a Secrets) -> Option<&'a SecretValue> {
        match &self.source {
            SecretSource::Declared(id) => secrets.get(id),
            SecretSource::Credentials(value) => Some(value),
        }
    }
}

/// The ids of an image's secrets.
#[derive(Default)]
pub(crate) struct SecretIds {
    by_source: BTreeMap<SecretId, String>,
}

impl SecretIds {
    /// Ids for `secrets`: the group and the key in lower case; where two would be the same, the
    /// later one in order gets a number.
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a Secret>) -> Self {
        let mut by_source: BTreeMap<SecretId, String> =
            secrets.into_iter().map(|secret| (secret.id(), String::new())).collect();
        let mut taken = std::collections::BTreeSet::from([CREDENTIALS.to_owned()]);
        for (source, id) in &mut by_source {
            let name = slug(source);
            let numbered = (2..).map(|number| format!("{name}-{number}"));
            *id = std::iter::once(name.clone())
                .chain(numbered)
                .find(|id| !taken.contains(id))
                .unwrap_or(name);
            taken.insert(id.clone());
        }
        SecretIds { by_source }
    }

    /// The id of `secret`.
    pub fn get(&self, secret: &Secret) -> &str {
        self.by_source.get(&secret.id()).map_or("", String::as_str)
    }

    /// All of them, sorted by where they come from.
    pub fn rendered(&self) -> Vec<RenderedSecret> {
        let declared = |(source, id): (&SecretId, &String)| RenderedSecret {
            id: id.clone(),
            source: SecretSource::Declared(source.clone()),
        };
        self.by_source.iter().map(declared).collect()
    }
}

fn slug(source: &SecretId) -> String {
    let word = |c: char| match c {
        c if c.is_ascii_alphanumeric() => c.to_ascii_lowercase(),
        '.' | '-' => c,
        _ => '_',
    };
    let group = source.group.iter().flat_map(|group| group.chars().chain(['_']));
    group.chain(source.key.chars()).map(word).collect()
}

/// The id of the netrc file with the credentials of URLs.
pub(crate) const CREDENTIALS: &str = "tierce.netrc";

/// Who a step runs as, as far as that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reader<'a> {
    /// Root.
    Root,
    /// `user`, `uid`, `user:group` or `uid:gid`.
    User(&'a str),
    /// Whoever the base says.
    Unknown,
}

impl Reader<'_> {
    /// The options that let the reader, and as few others as possible, read a mounted file. Of a
    /// named user the id is not known, so everyone in the step may: there is nobody else.
    fn options(self) -> String {
        let user = match self {
            Reader::Root => return ",mode=0400".to_owned(),
            Reader::Unknown => return ",mode=0444".to_owned(),
            Reader::User(user) => user,
        };
        let (user, group) = user.split_once(':').unwrap_or((user, "0"));
        match (user.parse::<u32>(), group.parse::<u32>()) {
            (Ok(uid), Ok(gid)) => format!(",uid={uid},gid={gid},mode=0400"),
            (Ok(uid), Err(_)) => format!(",uid={uid},mode=0400"),
            (Err(_), _) => ",mode=0444".to_owned(),
        }
    }
}

/// Makes `run` see `secrets`.
pub(crate) fn mount(
    run: &mut Run,
    secrets: &[Secret],
    ids: &SecretIds,
    dialect: &Dialect,
    reader: Reader<'_>,
) -> Result<(), RenderError> {
    for secret in secrets {
        let name = || secret.to_string();
        if !dialect.mounts {
            return Err(RenderError::Secret { secret: name() });
        }
        let id = ids.get(secret);
        let variable = secret.env_name();
        let own = format!("{DIRECTORY}/{id}");
        let target = match &secret.mount {
            Some(path) if !fits_flag(path) => {
                return Err(RenderError::SecretPath { secret: name(), path: path.clone() });
            }
            Some(path) => Some(path.clone()),
            None => None,
        };
        let mut mount = format!("type=secret,id={id}");
        match (&target, dialect.secret_env) {
            (Some(path), _) => mount += &format!(",target={path}{}", reader.options()),
            (None, false) => mount += &format!(",target={own}{}", reader.options()),
            (None, true) => {}
        }
        match (variable, dialect.secret_env) {
            (None, _) => {}
            (Some(variable), true) => mount += &format!(",env={variable}"),
            (Some(variable), false) => {
                if variable.contains(['.', '-']) {
                    return Err(RenderError::SecretVariable { secret: name(), variable });
                }
                run.export_from(&variable, target.as_deref().unwrap_or(&own));
            }
        }
        // A secret that is not there must fail the step, not let it run without.
        mount += ",required=true";
        run.mounts.push(mount);
    }
    Ok(())
}
