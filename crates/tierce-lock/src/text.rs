//! The file as text: canonical, one entry a line, so that a change is a line of a diff.

use crate::model::{
    FORMAT_VERSION, LockFile, LockedApt, LockedBase, LockedConda, LockedCondaPackage, LockedDeb,
    LockedFile, LockedImage, LockedInterpreter, LockedMirrors, LockedPackage, LockedPlatform,
    LockedSource, Place,
};
use std::fmt::Write;

const HEADER: &str = "\
# What the image was resolved to. Made by `tierce lock`; commit it, but don't edit it.
#   tierce build --locked          builds exactly this
#   tierce lock                    takes up what the specification says anew
#   tierce lock --update [PACKAGE] looks for newer versions
";

/// The last line. A file without it was cut off.
pub(crate) const END: &str = "# end of tierce.lock";

/// The names and values of an inline table.
struct Fields(Vec<String>);

impl Fields {
    fn new() -> Self {
        Fields(vec![])
    }

    fn text(mut self, name: &str, value: &str) -> Self {
        self.0.push(format!("{name} = {}", quote(value)));
        self
    }

    fn option(self, name: &str, value: Option<&str>) -> Self {
        match value {
            Some(value) => self.text(name, value),
            None => self,
        }
    }

    fn number(mut self, name: &str, value: Option<u64>) -> Self {
        self.0.extend(value.map(|value| format!("{name} = {value}")));
        self
    }

    fn flag(mut self, name: &str, value: bool) -> Self {
        self.0.extend(value.then(|| format!("{name} = true")));
        self
    }

    fn file(self, file: &LockedFile) -> Self {
        self.place(&file.place).number("size", file.size).text("sha256", &file.sha256.hex())
    }

    fn place(self, place: &Place) -> Self {
        match place {
            Place::Url(url) => self.text("url", url),
            Place::Path(path) => self.text("path", path),
        }
    }

    fn finish(self) -> String {
        format!("{{ {} }}", self.0.join(", "))
    }
}

impl LockFile {
    /// The file. The same lock always gives the same text; [`LockFile::parse`] reads it back.
    pub fn text(&self) -> String {
        let mut text = format!("{HEADER}version = {FORMAT_VERSION}\n\n[toolchain]\n");
        let _ = writeln!(text, "tierce = {}", quote(&self.toolchain.tierce));
        let _ = writeln!(text, "uv = {}", quote(&self.toolchain.uv));
        for image in &self.images {
            write_image(&mut text, image);
        }
        text.push('\n');
        text.push_str(END);
        text.push('\n');
        text
    }
}

fn write_image(text: &mut String, image: &LockedImage) {
    let _ = writeln!(text, "\n[[image]]\nname = {}", quote(&image.name));
    let _ = writeln!(text, "spec = {}", quote(&image.spec().to_string()));
    list(text, "declared", image.declared.iter().map(|line| quote(line)));
    for locked in &image.platforms {
        text.push('\n');
        text.push_str(&platform(locked));
    }
}

/// One platform of an image.
pub(crate) fn platform(locked: &LockedPlatform) -> String {
    let LockedPlatform { platform, base, interpreter, python, conda, apt } = locked;
    let mut text = format!("[[image.platform]]\nplatform = {}\n", quote(&platform.to_string()));
    if let Some(base) = base {
        write_base(&mut text, base);
    }
    if let Some(interpreter) = interpreter {
        let _ = writeln!(text, "interpreter = {}", interpreter_table(interpreter));
    }
    if let Some(python) = python {
        list(&mut text, "python", python.packages.iter().map(package));
    }
    for environment in conda {
        let LockedConda { prefix, packages } = environment;
        let _ = writeln!(text, "\n[[image.platform.conda]]\nprefix = {}", quote(prefix));
        list(&mut text, "packages", packages.iter().map(conda_package));
    }
    for step in apt {
        let LockedApt { packages, snapshot, debs } = step;
        text.push_str("\n[[image.platform.apt]]\n");
        let packages: Vec<String> = packages.iter().map(|p| quote(p)).collect();
        let _ = writeln!(text, "packages = [{}]", packages.join(", "));
        if let Some(snapshot) = snapshot {
            let _ = writeln!(text, "snapshot = {}", quote(snapshot));
        }
        list(&mut text, "debs", debs.iter().map(deb));
    }
    text
}

fn write_base(text: &mut String, base: &LockedBase) {
    match base {
        LockedBase::Registry { reference, digest, manifest } => {
            let fields = Fields::new()
                .text("registry", reference)
                .text("digest", &digest.to_string())
                .text("manifest", &manifest.to_string());
            let _ = writeln!(text, "base = {}", fields.finish());
        }
        LockedBase::Debian { suite, snapshot, mirrors, packages } => {
            let fields = Fields::new().text("debian", suite);
            let fields = match mirrors {
                Some(LockedMirrors { archive, security }) => {
                    fields.text("mirror", archive).text("security-mirror", security)
                }
                None => fields,
            };
            let fields = fields.option("snapshot", snapshot.as_deref());
            let _ = writeln!(text, "base = {}", fields.finish());
            list(text, "debs", packages.iter().map(deb));
        }
    }
}

fn interpreter_table(interpreter: &LockedInterpreter) -> String {
    let LockedInterpreter { implementation, version, provider, file } = interpreter;
    let fields = Fields::new()
        .text("implementation", implementation)
        .text("version", version)
        .text("provider", provider.as_str());
    match file {
        Some(file) => fields.text("file", &file.filename).file(file).finish(),
        None => fields.finish(),
    }
}

fn package(package: &LockedPackage) -> String {
    let LockedPackage { name, version, requested, source } = package;
    let fields = Fields::new().text("name", name).option("version", version.as_deref());
    let fields = match source {
        LockedSource::Wheel { file, direct } => {
            fields.text("wheel", &file.filename).file(file).flag("direct", *direct)
        }
        LockedSource::Sdist { file, direct, subdirectory } => fields
            .text("sdist", &file.filename)
            .file(file)
            .flag("direct", *direct)
            .option("subdirectory", subdirectory.as_deref()),
        LockedSource::Vcs { kind, place, requested_revision, commit, subdirectory } => fields
            .text("vcs", kind)
            .place(place)
            .option("requested-revision", requested_revision.as_deref())
            .text("commit", commit)
            .option("subdirectory", subdirectory.as_deref()),
        LockedSource::Directory { path, subdirectory } => {
            fields.text("directory", path).option("subdirectory", subdirectory.as_deref())
        }
    };
    fields.flag("requested", *requested).finish()
}

fn conda_package(package: &LockedCondaPackage) -> String {
    let LockedCondaPackage { name, version, build, subdir, channel, url, size, sha256 } = package;
    Fields::new()
        .text("name", name)
        .text("version", version)
        .text("build", build)
        .text("subdir", subdir)
        .text("channel", channel)
        .text("url", url)
        .number("size", *size)
        .text("sha256", &sha256.hex())
        .finish()
}

fn deb(deb: &LockedDeb) -> String {
    let LockedDeb { name, version, architecture, multi_arch_same, url, size, sha256 } = deb;
    Fields::new()
        .text("name", name)
        .text("version", version)
        .text("architecture", architecture)
        .option("multi-arch", multi_arch_same.then_some("same"))
        .text("url", url)
        .number("size", Some(*size))
        .text("sha256", &sha256.hex())
        .finish()
}

fn list(text: &mut String, name: &str, items: impl Iterator<Item = String>) {
    let mut items = items.peekable();
    if items.peek().is_none() {
        let _ = writeln!(text, "{name} = []");
        return;
    }
    let _ = writeln!(text, "{name} = [");
    for item in items {
        let _ = writeln!(text, "    {item},");
    }
    text.push_str("]\n");
}

/// A basic string of TOML.
fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            c if c.is_control() => {
                let _ = write!(quoted, "\\u{:04X}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}
