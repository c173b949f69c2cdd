//! Python packages that conda installs, as uv gets to know them.
//!
//! uv asks indexes what a package requires, and conda's build of a package may require other
//! things, or be on no index at all. So each of conda's packages stands in the resolution as a wheel
//! of its name and version that requires nothing, by way of a constraint: it is taken where
//! something asks for it, with no other in its place, and is left out of the answer.

use crate::error::NativeError;
use crate::installed::Installed;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use tierce_wheel::{PackageName, Version};

/// The name of the constraints file.
const CONSTRAINTS: &str = "constraints.txt";

/// Python packages that are there before anything is resolved.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Provided {
    /// Those that conda installs, with their versions.
    conda: BTreeMap<PackageName, String>,
    /// Those that a lock says, which are installed from there.
    exact: BTreeMap<PackageName, String>,
}

impl Provided {
    /// The packages in an environment but for these.
    pub fn of(installed: &Installed, except: &[PackageName]) -> Self {
        let known = installed.versions().filter(|(name, version)| {
            // Nobody can ask for what is no version.
            !except.contains(name) && Version::from_str(version).is_ok()
        });
        let conda = known.map(|(name, version)| (name.clone(), version.to_owned())).collect();
        Provided { conda, exact: BTreeMap::new() }
    }

    /// And these, in exactly these versions.
    pub fn with_exact(mut self, exact: BTreeMap<PackageName, String>) -> Self {
        self.conda.retain(|name, _| !exact.contains_key(name));
        self.exact = exact;
        self
    }

    /// Whether conda installs it, in this version.
    pub fn has(&self, name: &PackageName) -> bool {
        self.conda.contains_key(name)
    }

    /// The version that is there, of conda's or of a lock's for its environment.
    pub fn version(&self, name: &PackageName) -> Option<&str> {
        self.conda.get(name).or_else(|| self.exact.get(name)).map(String::as_str)
    }

    /// All that a resolution depends on.
    pub fn key_parts(&self) -> Vec<String> {
        let part = |kind: &'static str| {
            move |(name, version): (&PackageName, &String)| format!("{kind} {name}=={version}")
        };
        self.conda.iter().map(part("conda")).chain(self.exact.iter().map(part("exact"))).collect()
    }

    /// Writes the wheels and the constraints that name them where they are at `seen_at`; gives the
    /// constraints file.
    pub fn write(&self, directory: &Path, seen_at: &Path) -> Result<PathBuf, NativeError> {
        let mut lines = String::new();
        for (name, version) in &self.conda {
            let file = format!("{}-{version}-py3-none-any.whl", name.as_str().replace('-', "_"));
            let path = directory.join(&file);
            std::fs::write(&path, wheel(name, version)).map_err(NativeError::io(&path))?;
            if let Ok(url) = url::Url::from_file_path(seen_at.join(&file)) {
                lines.push_str(&format!("{name} @ {url}\n"));
            }
        }
        for (name, version) in &self.exact {
            lines.push_str(&format!("{name}=={version}\n"));
        }
        let file = directory.join(CONSTRAINTS);
        std::fs::write(&file, lines).map_err(NativeError::io(&file))?;
        Ok(seen_at.join(CONSTRAINTS))
    }
}

/// A wheel with nothing in it but its metadata.
fn wheel(name: &PackageName, version: &str) -> Vec<u8> {
    let folder = format!("{}-{version}.dist-info", name.as_str().replace('-', "_"));
    let metadata = format!("Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n");
    let kind = "Wheel-Version: 1.0\nGenerator: tierce\nRoot-Is-Purelib: true\nTag: py3-none-any\n";
    zip(&[
        (format!("{folder}/METADATA"), metadata.as_bytes()),
        (format!("{folder}/WHEEL"), kind.as_bytes()),
        (format!("{folder}/RECORD"), b""),
    ])
}

/// A zip file (APPNOTE.TXT) of small files, stored as they are and dated 1980-01-01.
fn zip(files: &[(String, &[u8])]) -> Vec<u8> {
    let (mut bytes, mut directory) = (vec![], vec![]);
    for (name, content) in files {
        let mut header = vec![];
        for field in [20_u16, 0, 0, 0, 0x21] {
            header.extend(field.to_le_bytes());
        }
        let length = (content.len() as u32).to_le_bytes();
        header.extend(crc32fast::hash(content).to_le_bytes());
        header.extend(length);
        header.extend(length);
        header.extend((name.len() as u16).to_le_bytes());
        header.extend(0_u16.to_le_bytes());
        let offset = bytes.len() as u32;
        bytes.extend(b"PK\x03\x04");
        bytes.extend(&header);
        bytes.extend(name.as_bytes());
        bytes.extend(*content);
        directory.extend(b"PK\x01\x02");
        directory.extend(20_u16.to_le_bytes());
        directory.extend(&header);
        directory.extend([0; 10]);
        directory.extend(offset.to_le_bytes());
        directory.extend(name.as_bytes());
    }
    let (start, length) = (bytes.len() as u32, directory.len() as u32);
    bytes.extend(directory);
    bytes.extend(b"PK\x05\x06");
    let count = (files.len() as u16).to_le_bytes();
    bytes.extend([0; 4]);
    bytes.extend(count);
    bytes.extend(count);
    bytes.extend(length.to_le_bytes());
    bytes.extend(start.to_le_bytes());
    bytes.extend([0; 2]);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use tierce_wheel::{DEFAULT_UNPACKED_LIMIT, StoredWheel};

    #[test]
    fn wheels_stand_for_what_conda_installs() {
        let installed = Installed::parse("my-pkg==1.0 numpy==2.1 odd==not.a.version");
        let except = [PackageName::new("numpy").unwrap()];
        let provided = Provided::of(&installed, &except);
        assert_eq!(provided.key_parts(), ["conda my-pkg==1.0"]);
        let directory = tempfile::tempdir().unwrap();
        let file = provided.write(directory.path(), directory.path()).unwrap();
        let text = std::fs::read_to_string(file).unwrap();
        assert!(text.starts_with("my-pkg @ file:///") && text.ends_with(".whl\n"), "{text}");
        let path = directory.path().join("my_pkg-1.0-py3-none-any.whl");
        let bytes = std::fs::read(&path).unwrap();
        let stored = StoredWheel {
            package: PackageName::new("my-pkg").unwrap(),
            filename: "my_pkg-1.0-py3-none-any.whl".parse().unwrap(),
            digest: tierce_oci::Digest::of(&bytes),
            size: bytes.len() as u64,
            path,
        };
        stored.open(DEFAULT_UNPACKED_LIMIT).unwrap();
    }
}
