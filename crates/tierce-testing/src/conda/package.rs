//! conda packages, made in memory, good and bad.

use super::archive::{self, TarEntry};
use crate::encode::hex_sha256;
use serde_json::{Map, Value, json};

/// The prefix that packages are said to be built for: as long as conda-build makes it.
pub const PLACEHOLDER: &str = "/home/builder/bld/rattler-build_x/host_env_placehold_placehold_placehold_placehold_placehold_placehold_placehold_placehold_placehold_placehold_placehold_placehold_placehold_placehold_placehold_placehold_placehold_placehold_placehold_placehold_pl";

/// When everything in packages was last changed: 2024-01-01.
const MTIME: u64 = 1_704_067_200;

/// The format of a package.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CondaFormat {
    /// `.conda`.
    #[default]
    Conda,
    /// `.tar.bz2`.
    TarBz2,
    /// `.tar.bz2` as before there was `paths.json`: with `files`, `has_prefix` and `no_link`.
    Legacy,
}

/// Something that a package installs.
#[derive(Clone, Debug)]
pub struct CondaFile {
    path: String,
    kind: Kind,
    mode: u32,
    prefix: Option<&'static str>,
}

#[derive(Clone, Debug)]
enum Kind {
    File(Vec<u8>),
    Symlink(String),
    HardLink(String),
    Directory,
    Device,
}

impl CondaFile {
    /// A file of mode 0644.
    pub fn new(path: &str, content: impl Into<Vec<u8>>) -> Self {
        CondaFile {
            path: path.to_owned(),
            kind: Kind::File(content.into()),
            mode: 0o644,
            prefix: None,
        }
    }

    /// A text file with [`PLACEHOLDER`] in it.
    pub fn text(path: &str, content: impl Into<Vec<u8>>) -> Self {
        CondaFile { prefix: Some("text"), ..CondaFile::new(path, content) }
    }

    /// A binary file with [`PLACEHOLDER`] in strings that end with NUL.
    pub fn binary(path: &str, content: impl Into<Vec<u8>>) -> Self {
        CondaFile { prefix: Some("binary"), ..CondaFile::new(path, content) }
    }

    /// A symbolic link.
    pub fn symlink(path: &str, target: &str) -> Self {
        CondaFile { kind: Kind::Symlink(target.to_owned()), mode: 0o777, ..Self::new(path, "") }
    }

    /// A second name of a file that comes before it.
    pub fn hard_link(path: &str, target: &str) -> Self {
        CondaFile { kind: Kind::HardLink(target.to_owned()), ..Self::new(path, "") }
    }

    /// An empty directory.
    pub fn directory(path: &str) -> Self {
        CondaFile { kind: Kind::Directory, mode: 0o755, ..Self::new(path, "") }
    }

    /// A device, which no package may have.
    pub fn device(path: &str) -> Self {
        CondaFile { kind: Kind::Device, ..Self::new(path, "") }
    }

    /// The same with other permissions.
    pub fn mode(self, mode: u32) -> Self {
        CondaFile { mode, ..self }
    }
}

/// A package. `..CondaPackageSpec::new(name, version)` fills what a test does not care about.
#[derive(Clone, Debug)]
pub struct CondaPackageSpec {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its build string.
    pub build: String,
    /// Its build number.
    pub build_number: u64,
    /// The channel's directory that it is in.
    pub subdir: String,
    /// What it depends on.
    pub depends: Vec<String>,
    /// What it restricts.
    pub constrains: Vec<String>,
    /// `python` or `generic`; with the subdirectory `noarch`.
    pub noarch: Option<&'static str>,
    /// What makes the solver avoid it.
    pub track_features: String,
    /// Where an interpreter wants modules (CEP 17).
    pub site_packages: Option<String>,
    /// What it installs.
    pub files: Vec<CondaFile>,
    /// The programs of a noarch Python package: `name = module:function`.
    pub entry_points: Vec<String>,
    /// Its format.
    pub format: CondaFormat,
    /// Files of its `info/` that are something else than they should be.
    pub info: Vec<(String, Vec<u8>)>,
    /// Fields of its entry in the channel's index that are something else than they should be;
    /// `null` takes one away.
    pub record: Map<String, Value>,
}

impl CondaPackageSpec {
    /// A package for `linux-64` without files.
    pub fn new(name: &str, version: &str) -> Self {
        CondaPackageSpec {
            name: name.to_owned(),
            version: version.to_owned(),
            build: "h0_0".to_owned(),
            build_number: 0,
            subdir: "linux-64".to_owned(),
            depends: vec![],
            constrains: vec![],
            noarch: None,
            track_features: String::new(),
            site_packages: None,
            files: vec![],
            entry_points: vec![],
            format: CondaFormat::default(),
            info: vec![],
            record: Map::new(),
        }
    }

    /// A noarch Python package with one module of its name, which has `__version__` and a `main`
    /// that prints name, version and the module's place; with the metadata by which
    /// `importlib.metadata` knows it; and with a program of its name.
    pub fn python_module(name: &str, version: &str) -> Self {
        let module = name.replace('-', "_");
        let source = format!(
            "__version__ = {version:?}\n\ndef main():\n    print({name:?}, __version__, __file__)\n"
        );
        let metadata = format!("Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n");
        let dist_info = format!("site-packages/{module}-{version}.dist-info");
        CondaPackageSpec {
            build: "pyh0_0".to_owned(),
            subdir: "noarch".to_owned(),
            noarch: Some("python"),
            depends: vec!["python >=3.9".to_owned()],
            files: vec![
                CondaFile::new(&format!("site-packages/{module}/__init__.py"), source),
                CondaFile::new(&format!("{dist_info}/METADATA"), metadata),
                CondaFile::new(&format!("{dist_info}/INSTALLER"), "conda\n"),
            ],
            entry_points: vec![format!("{name} = {module}:main")],
            ..CondaPackageSpec::new(name, version)
        }
    }

    /// With these dependencies.
    pub fn depends(self, depends: &[&str]) -> Self {
        CondaPackageSpec { depends: depends.iter().map(|d| (*d).to_owned()).collect(), ..self }
    }

    /// With these files.
    pub fn files(self, files: Vec<CondaFile>) -> Self {
        CondaPackageSpec { files, ..self }
    }

    /// In another directory of the channel.
    pub fn subdir(self, subdir: &str) -> Self {
        CondaPackageSpec { subdir: subdir.to_owned(), ..self }
    }

    /// In another format.
    pub fn format(self, format: CondaFormat) -> Self {
        CondaPackageSpec { format, ..self }
    }

    /// Its file's name without the extension.
    pub fn stem(&self) -> String {
        format!("{}-{}-{}", self.name, self.version, self.build)
    }

    /// Its file's name.
    pub fn filename(&self) -> String {
        match self.format {
            CondaFormat::Conda => format!("{}.conda", self.stem()),
            CondaFormat::TarBz2 | CondaFormat::Legacy => format!("{}.tar.bz2", self.stem()),
        }
    }

    /// The package file.
    pub fn build(&self) -> Vec<u8> {
        let entries: Vec<TarEntry> = self.files.iter().map(|file| self.entry(file)).collect();
        let info = self.info_files();
        let info: Vec<TarEntry> = info
            .into_iter()
            .map(|(name, content)| plain(&format!("info/{name}"), content))
            .collect();
        match self.format {
            CondaFormat::Conda => archive::conda(&self.stem(), &info, &entries),
            // The metadata is behind the files, where nobody finds it early.
            CondaFormat::TarBz2 | CondaFormat::Legacy => {
                archive::tar_bz2(&[entries, info].concat())
            }
        }
    }

    fn entry(&self, file: &CondaFile) -> TarEntry {
        let base = TarEntry { mode: file.mode, ..plain(&file.path, vec![]) };
        match &file.kind {
            Kind::File(content) => TarEntry { content: content.clone(), ..base },
            Kind::Symlink(target) => TarEntry { flag: b'2', link: target.clone(), ..base },
            Kind::HardLink(target) => TarEntry { flag: b'1', link: target.clone(), ..base },
            Kind::Directory => TarEntry { flag: b'5', ..base },
            Kind::Device => TarEntry { flag: b'3', ..base },
        }
    }

    fn content(&self, path: &str) -> &[u8] {
        let file = self.files.iter().find(|file| file.path == path);
        match file.map(|file| &file.kind) {
            Some(Kind::File(content)) => content,
            Some(Kind::HardLink(target)) => self.content(target),
            _ => &[],
        }
    }

    fn info_files(&self) -> Vec<(String, Vec<u8>)> {
        let json = |value: &Value| serde_json::to_vec_pretty(value).expect("plain data");
        let mut files = vec![("index.json".to_owned(), json(&Value::Object(self.index())))];
        match self.format {
            CondaFormat::Legacy => files.extend(self.legacy_lists()),
            _ => {
                let paths: Vec<Value> = self.files.iter().map(|file| self.path(file)).collect();
                let paths = json!({ "paths": paths, "paths_version": 1 });
                files.push(("paths.json".to_owned(), json(&paths)));
            }
        }
        if self.noarch == Some("python") {
            let noarch = json!({ "type": "python", "entry_points": self.entry_points });
            let link = json!({ "noarch": noarch, "package_metadata_version": 1 });
            files.push(("link.json".to_owned(), json(&link)));
        }
        files.push(("about.json".to_owned(), b"{}".to_vec()));
        for (name, content) in &self.info {
            files.retain(|(known, _)| known != name);
            files.push((name.clone(), content.clone()));
        }
        files
    }

    fn path(&self, file: &CondaFile) -> Value {
        let (kind, content) = match &file.kind {
            Kind::Symlink(target) => ("softlink", target.as_bytes()),
            Kind::Directory => ("directory", &[][..]),
            _ => ("hardlink", self.content(&file.path)),
        };
        let mut entry = json!({
            "_path": file.path,
            "path_type": kind,
            "sha256": hex_sha256(content),
            "size_in_bytes": content.len(),
        });
        if let Some(mode) = file.prefix {
            entry["prefix_placeholder"] = json!(PLACEHOLDER);
            entry["file_mode"] = json!(mode);
        }
        entry
    }

    fn legacy_lists(&self) -> Vec<(String, Vec<u8>)> {
        let lines = |lines: Vec<String>| lines.join("\n").into_bytes();
        let with_prefix = self.files.iter().filter_map(|file| {
            file.prefix.map(|mode| format!("{PLACEHOLDER} {mode} {}", file.path))
        });
        let files = self.files.iter().filter(|file| !matches!(file.kind, Kind::Directory));
        vec![
            ("files".to_owned(), lines(files.map(|file| file.path.clone()).collect())),
            ("has_prefix".to_owned(), lines(with_prefix.collect())),
            ("no_link".to_owned(), lines(vec![])),
        ]
    }

    fn index(&self) -> Map<String, Value> {
        let mut index = Map::new();
        let mut put = |key: &str, value: Value| drop(index.insert(key.to_owned(), value));
        put("name", json!(self.name));
        put("version", json!(self.version));
        put("build", json!(self.build));
        put("build_number", json!(self.build_number));
        put("depends", json!(self.depends));
        put("constrains", json!(self.constrains));
        put("subdir", json!(self.subdir));
        put("license", json!("MIT"));
        put("timestamp", json!(MTIME * 1000));
        if let Some(noarch) = self.noarch {
            put("noarch", json!(noarch));
        }
        if !self.track_features.is_empty() {
            put("track_features", json!(self.track_features));
        }
        if let Some(path) = &self.site_packages {
            put("python_site_packages_path", json!(path));
        }
        index
    }

    /// The package's entry in its channel's index.
    pub(super) fn indexed(&self, bytes: &[u8]) -> Map<String, Value> {
        use md5::Digest;
        let mut record = self.index();
        let md5: String = md5::Md5::digest(bytes).iter().map(|b| format!("{b:02x}")).collect();
        record.insert("md5".to_owned(), json!(md5));
        record.insert("sha256".to_owned(), json!(hex_sha256(bytes)));
        record.insert("size".to_owned(), json!(bytes.len()));
        for (key, value) in &self.record {
            match value {
                Value::Null => drop(record.remove(key)),
                value => drop(record.insert(key.clone(), value.clone())),
            }
        }
        record
    }
}

fn plain(path: &str, content: Vec<u8>) -> TarEntry {
    let path = path.to_owned();
    TarEntry { path, flag: b'0', link: String::new(), mode: 0o644, mtime: MTIME, content }
}
