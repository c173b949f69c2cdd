//! What identifies a spec.

use crate::{BaseImage, Fields, SourceCopyMode};
use serde_json::Value;
use std::fmt;
use std::path::{Path, PathBuf};
use tierce_oci::{Digest, Platform};
use tierce_spec::{CanonicalEncoder, PythonVersion, ServiceUrl, digest_word, without_credentials};

/// The version of the rules by which a spec becomes bytes.
pub const ID_VERSION: u32 = 1;

/// The SHA-256 of all that a spec says about its image.
///
/// In it: every field but those below, each under its name and with its length, so that no two
/// specs that differ have the same bytes; the base spec by its own id. Paths are in it as they
/// are written; what the files hold is not: that is in the image's key, and so in its tag.
///
/// Not in it, as in flytekit: `pip_secret_mounts`, `builder`, `runtime_packages`; and
/// `registry_config`, credentials in URLs, and whether the spec is forced. The order in which
/// variables and options were given does not count, and an empty list is none.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ImageSpecId(Digest);

impl ImageSpecId {
    /// The whole digest.
    pub fn digest(&self) -> Digest {
        self.0
    }

    pub(crate) fn of(fields: &Fields) -> Self {
        let mut e = CanonicalEncoder::new("tierce.imagespec", ID_VERSION);
        encode(&mut e, fields);
        ImageSpecId(Digest::of(e.finish()))
    }
}

/// `s` and 24 characters of lower-case base32.
impl fmt::Display for ImageSpecId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&digest_word('s', &self.0))
    }
}

impl fmt::Debug for ImageSpecId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ImageSpecId({self})")
    }
}

/// The fields are taken apart without `..`: a new one does not compile until somebody has decided
/// whether it belongs here.
fn encode(e: &mut CanonicalEncoder, fields: &Fields) {
    let Fields {
        name,
        registry,
        builder: _,
        platform,
        python_version,
        python_exec,
        base_image,
        packages,
        conda_packages,
        conda_channels,
        requirements,
        apt_packages,
        cuda,
        cudnn,
        pip_index,
        pip_extra_index_url,
        pip_secret_mounts: _,
        pip_extra_args,
        env,
        entrypoint,
        commands,
        source_root,
        source_copy_mode,
        copy,
        runtime_packages: _,
        registry_config: _,
        tag_format,
        builder_options,
        builder_config,
    } = fields;
    e.text("name", name);
    option(e, "registry", registry.as_deref());
    let mut platforms: Vec<&Platform> = platform.iter().collect();
    platforms.sort();
    e.list("platform", platforms.into_iter(), |e, p| e.text("", &p.to_string()));
    option(e, "python_version", python_version.as_ref().map(PythonVersion::to_string).as_deref());
    option(e, "python_exec", python_exec.as_deref());
    match base_image {
        None => option(e, "base_image", None),
        Some(BaseImage::Reference(reference)) => e.text("base_image", reference),
        Some(BaseImage::Spec(spec)) => e.digest("base_image", &spec.id().digest()),
    }
    texts(e, "packages", packages);
    e.texts("conda_packages", conda_packages.iter());
    e.texts("conda_channels", conda_channels.iter());
    option(e, "requirements", requirements.as_deref().map(path).as_deref());
    e.texts("apt_packages", apt_packages.iter());
    option(e, "cuda", cuda.as_deref());
    option(e, "cudnn", cudnn.as_deref());
    option(e, "pip_index", pip_index.as_ref().map(url).as_deref());
    e.list("pip_extra_index_url", pip_extra_index_url.iter(), |e, u| e.text("", &url(u)));
    option(e, "pip_extra_args", pip_extra_args.as_deref().map(without_credentials).as_deref());
    e.list("env", env.iter(), |e, (name, value)| {
        e.record("", |e| {
            e.text("name", name);
            e.text("value", value);
        });
    });
    e.option("entrypoint", entrypoint.as_ref(), |e, name, argv| e.texts(name, argv.iter()));
    e.texts("commands", commands.iter());
    option(e, "source_root", source_root.as_deref().map(path).as_deref());
    option(e, "source_copy_mode", source_copy_mode.map(copy_mode));
    let copy: Vec<String> = copy.iter().map(PathBuf::as_path).map(path).collect();
    e.texts("copy", copy.iter());
    option(e, "tag_format", tag_format.as_deref());
    for (name, options) in
        [("builder_options", builder_options), ("builder_config", builder_config)]
    {
        e.record(name, |e| options.iter().for_each(|(name, value)| json(e, name, value)));
    }
}

fn option(e: &mut CanonicalEncoder, name: &str, value: Option<&str>) {
    e.option(name, value, CanonicalEncoder::text);
}

/// Requirements, which may hold URLs, and URLs credentials.
fn texts(e: &mut CanonicalEncoder, name: &str, texts: &[String]) {
    e.list(name, texts.iter(), |e, text| e.text("", &without_credentials(text)));
}

fn url(url: &ServiceUrl) -> String {
    url.without_credentials().to_string()
}

fn path(path: &Path) -> String {
    path.display().to_string()
}

fn copy_mode(mode: SourceCopyMode) -> &'static str {
    match mode {
        SourceCopyMode::LoadedModules => "loaded-modules",
        SourceCopyMode::All => "all",
        SourceCopyMode::NoCopy => "no-copy",
    }
}

fn json(e: &mut CanonicalEncoder, name: &str, value: &Value) {
    match value {
        Value::Null => option(e, name, None),
        Value::Bool(flag) => e.flag(name, *flag),
        // A record of its own, so that 1 and "1" differ.
        Value::Number(number) => e.record(name, |e| e.text("number", &number.to_string())),
        Value::String(text) => e.text(name, text),
        Value::Array(items) => e.list(name, items.iter(), |e, item| json(e, "", item)),
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_by_key(|(name, _)| *name);
            e.record(name, |e| {
                e.record("object", |e| entries.iter().for_each(|(name, v)| json(e, name, v)));
            });
        }
    }
}
