//! The key of an image: what names the result of a build before there is one.

use crate::canonical::Encoder;
use crate::service_url::redact;
use crate::{
    Apt, Base, Bytecode, Cmd, CodeBundle, Command, Commands, Conda, CondaSource, CopyStyle,
    DebianBase, DockerfileBase, Entrypoint, Env, Extras, Groups, Image, Labels, Network, Pip,
    PipOptions, PixiEnvironment, Project, ProjectInstall, PythonProvider, PythonRequest,
    PythonVersion, Requirements, ResolvedImage, SearchPath, Secret, Selection, ServiceUrl,
    SourceFile, SourceFolder, SourceOptions, Step, User, Wheels, Workdir,
};
use serde::{Deserialize, Serialize};
use std::fmt;
use tierce_oci::{Digest, Platform};

/// The version of the rules by which a declaration becomes bytes. Raised whenever the same
/// declaration would make another image, so that tags of old rules are not taken for new ones.
pub const FORMAT_VERSION: u32 = 1;

/// The SHA-256 of everything that decides what an image holds.
///
/// In it: the base as written, the platforms (sorted), the Python asked for, the bytecode rule,
/// every step in its order, the content digests of sources (with file modes) and of requirements
/// files, what a lock pins where there is one, and [`FORMAT_VERSION`]. Not in it: name, registry
/// and tag of the image, credentials in URLs, where sources lie on the host, ignore rules (what
/// they leave in is in the digest), and where secrets come from (what steps see of them,
/// variables and paths, is in it).
/// The order of variables within one environment step and of labels within one label step does
/// not count.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ImageKey(Digest);

impl ImageKey {
    /// The whole digest.
    pub fn digest(&self) -> Digest {
        self.0
    }

    /// The key as a tag (distribution specification, `<tag>`): `t` and 24 characters of
    /// lower-case base32 (RFC 4648, section 6), the digest's first 120 bits.
    ///
    /// The leading letter keeps every tag a word: `1e10` and `0777` are numbers to YAML.
    pub fn tag(&self) -> String {
        digest_word('t', &self.0)
    }
}

/// `first` and 24 characters of lower-case base32 (RFC 4648, section 6): the digest's first 120
/// bits as a word that tags, file names and variables can hold.
pub fn digest_word(first: char, digest: &Digest) -> String {
    const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let mut word = String::with_capacity(25);
    word.push(first);
    // Five bytes are eight characters of five bits.
    for group in digest.as_bytes()[..15].chunks_exact(5) {
        let bits = group.iter().fold(0u64, |bits, byte| bits << 8 | u64::from(*byte));
        for position in (0..8).rev() {
            word.push(char::from(ALPHABET[(bits >> (5 * position) & 31) as usize]));
        }
    }
    word
}

impl fmt::Display for ImageKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for ImageKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ImageKey({})", self.0)
    }
}

/// The key of `resolved`.
pub(crate) fn key(resolved: &ResolvedImage) -> ImageKey {
    ImageKey(Digest::of(encode(resolved)))
}

/// The canonical encoding of everything that decides what `resolved` holds.
///
/// Each structure is taken apart without `..`: a new field does not compile until somebody has
/// decided whether it belongs here.
pub(crate) fn encode(resolved: &ResolvedImage) -> Vec<u8> {
    let ResolvedImage { image, platforms, digests, base_digest, lock } = resolved;
    // `platforms` stand in for the image's own: they are sorted, and never empty.
    // Who builds it and who may push it do not change what it holds; what an ignore file leaves in
    // is in the digests.
    let Image {
        name: _,
        registry: _,
        tag: _,
        base,
        platforms: _,
        python,
        bytecode,
        root: _,
        dockerignore: _,
        registry_secret: _,
        builder: _,
        steps,
    } = image;
    let mut e = Encoder::new("tierce.image", FORMAT_VERSION);
    encode_base(&mut e, base, base_digest.as_ref());
    e.list("platforms", platforms.iter(), encode_platform);
    e.option("python", python.as_ref(), encode_python);
    e.text("bytecode", bytecode_name(*bytecode));
    e.list("steps", steps.iter().zip(digests), |e, (step, digest)| {
        encode_step(e, step, digest.as_ref());
    });
    // Absent where nothing is locked: keys from before there were locks hold.
    if let Some(lock) = lock {
        e.digest("lock", lock);
    }
    e.finish()
}

fn encode_base(e: &mut Encoder, base: &Base, digest: Option<&Digest>) {
    match base {
        Base::Debian(DebianBase {
            suite,
            python,
            mirror,
            security_mirror,
            components,
            packages,
        }) => e.record("base.debian", |e| {
            e.text("suite", suite);
            e.flag("python", *python);
            e.option("mirror", mirror.as_ref(), encode_url);
            e.option("security-mirror", security_mirror.as_ref(), encode_url);
            e.texts("components", components.iter());
            e.texts("packages", packages.iter());
        }),
        Base::Registry(reference) => e.text("base.registry", &reference.to_string()),
        Base::Scratch => e.record("base.scratch", |_| {}),
        // Its key: everything that decides what is in it.
        Base::Image(_) => e.option("base.image", digest, Encoder::digest),
        Base::Dockerfile(DockerfileBase { file: _, context: _, build_args, target }) => {
            e.record("base.dockerfile", |e| {
                e.option("digest", digest, Encoder::digest);
                e.list("build-args", build_args.iter(), encode_pair);
                e.option("target", target.as_deref(), Encoder::text);
            });
        }
        Base::Named(name) => e.text("base.named", name),
    }
}

fn encode_platform(e: &mut Encoder, platform: &Platform) {
    let Platform { os, architecture, variant } = platform;
    e.record("", |e| {
        e.text("os", os);
        e.text("architecture", architecture);
        e.option("variant", variant.as_deref(), Encoder::text);
    });
}

fn encode_search_path(e: &mut Encoder, (name, path): (&String, &SearchPath)) {
    let SearchPath { before, after } = path;
    e.record("", |e| {
        e.text("name", name);
        e.texts("before", before.iter());
        e.texts("after", after.iter());
    });
}

fn encode_python(e: &mut Encoder, name: &str, python: &PythonRequest) {
    let PythonRequest { version, interpreter, provider } = python;
    let numbers = |version: &PythonVersion| {
        let PythonVersion { major, minor, patch } = version;
        (u64::from(*major), u64::from(*minor), patch.map(u64::from))
    };
    let numbers = version.as_ref().map(numbers);
    e.record(name, |e| {
        e.option("major", numbers.map(|(major, _, _)| major), Encoder::number);
        e.option("minor", numbers.map(|(_, minor, _)| minor), Encoder::number);
        e.option("patch", numbers.and_then(|(_, _, patch)| patch), Encoder::number);
        e.option("interpreter", interpreter.as_deref(), Encoder::text);
        // Absent where nothing is said: keys from before it could be hold.
        match provider {
            PythonProvider::Auto => {}
            PythonProvider::Base => e.text("provider", "base"),
            PythonProvider::Standalone => e.text("provider", "standalone"),
        }
    });
}

fn bytecode_name(bytecode: Bytecode) -> &'static str {
    match bytecode {
        Bytecode::Auto => "auto",
        Bytecode::Compile => "compile",
        Bytecode::Skip => "skip",
    }
}

fn encode_url(e: &mut Encoder, name: &str, url: &ServiceUrl) {
    e.text(name, url.without_credentials().as_str());
}

fn encode_step(e: &mut Encoder, step: &Step, digest: Option<&Digest>) {
    e.record("", |e| {
        e.option("digest", digest, Encoder::digest);
        match step {
            Step::Apt(Apt { packages, secrets }) => {
                e.text("step", "apt");
                e.texts("packages", packages.iter());
                encode_secrets(e, secrets);
            }
            Step::Pip(Pip { packages, options }) => {
                e.text("step", "pip");
                // A requirement may hold a URL, and a URL credentials.
                e.list("packages", packages.iter(), |e, p| e.text("", &redact(p)));
                encode_pip_options(e, options);
            }
            Step::Requirements(Requirements { file: _, options }) => {
                e.text("step", "requirements");
                encode_pip_options(e, options);
            }
            // The digest is that of the wheels of these packages.
            Step::Wheels(Wheels { dir: _, packages: _, options }) => {
                e.text("step", "wheels");
                encode_pip_options(e, options);
            }
            Step::Project(project) => {
                // The digest is that of its files; where they lie does not count.
                let Project { kind, manifest: _, lock: _, install, selection, options } = project;
                e.text("step", "project");
                e.text("kind", kind.name());
                e.text("install", install_name(*install));
                encode_selection(e, selection);
                encode_pip_options(e, options);
            }
            Step::Conda(conda) => {
                let Conda { source, channels, prefix: _, virtual_packages, secrets } = conda;
                e.text("step", "conda");
                encode_conda_source(e, source);
                e.list("channels", channels.iter(), |e, c| e.text("", &redact(c)));
                e.text("prefix", conda.prefix());
                e.list("virtual-packages", virtual_packages.iter(), encode_pair);
                encode_secrets(e, secrets);
            }
            Step::SourceFolder(SourceFolder { src: _, dst, options }) => {
                // The digest is that of what the rules leave in.
                let SourceOptions { ignore: _, keep_defaults: _, only: _ } = options;
                e.text("step", "source-folder");
                e.text("dst", dst);
            }
            Step::SourceFile(file) => {
                // `src` counts where it gives the file its name in the image.
                let SourceFile { src: _, dst: _ } = file;
                e.text("step", "source-file");
                e.text("dst", &file.target());
            }
            Step::CodeBundle(CodeBundle { style, dst }) => {
                e.text("step", "code-bundle");
                e.text(
                    "style",
                    match style {
                        CopyStyle::LoadedModules => "loaded-modules",
                        CopyStyle::All => "all",
                    },
                );
                e.text("dst", dst);
            }
            Step::Env(Env { vars, paths }) => {
                e.text("step", "env");
                e.list("vars", vars.iter(), encode_pair);
                // Absent where there are none: keys from before there were any hold.
                if !paths.is_empty() {
                    e.list("paths", paths.iter(), encode_search_path);
                }
            }
            Step::Commands(Commands { commands, network, secrets }) => {
                e.text("step", "commands");
                e.list("commands", commands.iter(), encode_command);
                let network = match network {
                    Network::Host => "host",
                    Network::None => "none",
                };
                e.text("network", network);
                encode_secrets(e, secrets);
            }
            Step::Workdir(Workdir { path }) => {
                e.text("step", "workdir");
                e.text("path", path);
            }
            Step::User(User { user }) => {
                e.text("step", "user");
                e.text("user", user);
            }
            Step::Entrypoint(Entrypoint { argv }) => {
                e.text("step", "entrypoint");
                e.texts("argv", argv.iter());
            }
            Step::Cmd(Cmd { argv }) => {
                e.text("step", "cmd");
                e.texts("argv", argv.iter());
            }
            Step::Labels(Labels { labels }) => {
                e.text("step", "labels");
                e.list("labels", labels.iter(), encode_pair);
            }
        }
    });
}

fn install_name(install: ProjectInstall) -> &'static str {
    match install {
        ProjectInstall::DependenciesOnly => "dependencies-only",
        ProjectInstall::InstallProject => "install-project",
    }
}

fn encode_selection(e: &mut Encoder, selection: &Selection) {
    let Selection {
        groups,
        with_groups,
        without_groups,
        extras,
        with_extras,
        without_extras,
        packages,
    } = selection;
    e.record("selection", |e| {
        let groups = match groups {
            Groups::Defaults => "defaults",
            Groups::None => "none",
            Groups::All => "all",
            Groups::Only => "only",
        };
        e.text("groups", groups);
        e.texts("with-groups", with_groups.iter());
        e.texts("without-groups", without_groups.iter());
        let extras = match extras {
            Extras::None => "none",
            Extras::All => "all",
        };
        e.text("extras", extras);
        e.texts("with-extras", with_extras.iter());
        e.texts("without-extras", without_extras.iter());
        e.texts("packages", packages.iter());
    });
}

fn encode_conda_source(e: &mut Encoder, source: &CondaSource) {
    match source {
        CondaSource::Packages(packages) => {
            e.list("packages", packages.iter(), |e, p| e.text("", &redact(p)));
        }
        // The digest is that of the file.
        CondaSource::Environment { file: _ } => e.text("file", "environment"),
        CondaSource::Lock { file: _ } => e.text("file", "lock"),
        CondaSource::Pixi(PixiEnvironment { manifest: _, lock: _, environment, install }) => {
            e.text("file", "pixi");
            e.text("environment", environment);
            e.text("install", install_name(*install));
        }
    }
}

fn encode_pip_options(e: &mut Encoder, options: &PipOptions) {
    let PipOptions { index, extra_indexes, pre, extra_args, secrets } = options;
    e.record("options", |e| {
        e.option("index", index.as_ref(), encode_url);
        e.list("extra-indexes", extra_indexes.iter(), |e, url| encode_url(e, "", url));
        e.flag("pre", *pre);
        e.list("extra-args", extra_args.iter(), |e, arg| e.text("", &redact(arg)));
        encode_secrets(e, secrets);
    });
}

/// What steps see of secrets: which variables and files there are. Not where the values come
/// from, so that everybody may keep them elsewhere. Nothing where there are none, as before there
/// were any.
fn encode_secrets(e: &mut Encoder, secrets: &[Secret]) {
    if secrets.is_empty() {
        return;
    }
    e.list("secrets", secrets.iter(), |e, secret| {
        let Secret { key: _, group: _, mount, env: _ } = secret;
        e.record("", |e| {
            e.option("env", secret.env_name().as_deref(), Encoder::text);
            e.option("mount", mount.as_deref(), Encoder::text);
        });
    });
}

fn encode_command(e: &mut Encoder, command: &Command) {
    match command {
        Command::Shell(line) => e.text("shell", line),
        Command::Exec(argv) => e.texts("exec", argv.iter()),
    }
}

fn encode_pair(e: &mut Encoder, (name, value): (&String, &String)) {
    e.record("", |e| {
        e.text("name", name);
        e.text("value", value);
    });
}
