//! Wheels of the host's own making, which take the place of what an index has under their names.
//!
//! They go to the resolver as direct requirements (PEP 508, `name @ url`), so that no index can
//! replace them, not even for a package that requires them. From then on they are known by their
//! digests: where they lie on the host is in no lock, no key and no image.

use crate::context::Context;
use crate::error::NativeError;
use crate::pip::PipRequest;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use tierce_engine::LocalWheel;
use tierce_oci::{Diagnostic, Digest, ErrorKind};
use tierce_sandbox::Mount;
use tierce_wheel::{
    FetchSettings, FetchWheelError, FilenameError, PackageName, StoredWheel, Target, WheelFilename,
};
use url::Url;

/// The wheels that an environment takes from the host: one for each package.
#[derive(Clone, Debug, Default)]
pub struct LocalWheels(Vec<Chosen>);

#[derive(Clone, Debug)]
struct Chosen {
    filename: WheelFilename,
    digest: Digest,
    /// Where it was found.
    found: PathBuf,
}

/// Why there are no wheels to take.
#[derive(Debug, thiserror::Error)]
pub enum LocalWheelError {
    /// A file has no wheel's name.
    #[error("{} can't be installed", path.display())]
    Filename {
        /// The file.
        path: PathBuf,
        /// Why.
        source: FilenameError,
    },
    /// There are wheels of a package, and the index must not stand in for them.
    #[error("no local wheel of {package} is for {target}; there are {found}")]
    NoneFits {
        /// The package.
        package: PackageName,
        /// What it would have to be for.
        target: String,
        /// The file names.
        found: String,
    },
}

impl Diagnostic for LocalWheelError {
    fn code(&self) -> &'static str {
        match self {
            LocalWheelError::Filename { .. } => "python/bad-wheel-name",
            LocalWheelError::NoneFits { .. } => "python/no-wheel",
        }
    }

    fn kind(&self) -> ErrorKind {
        ErrorKind::User
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            LocalWheelError::Filename { .. } => {
                "Rename it as its builder named it, or take it out of the folder.".to_owned()
            }
            LocalWheelError::NoneFits { package, .. } => format!(
                "Build {package} for this platform and interpreter, or take it out of the folder."
            ),
        })
    }
}

impl LocalWheels {
    /// The wheels that a request takes: of each package the highest version of which a wheel fits
    /// the target, and of that the one that an installer would take. The folder that is named
    /// first counts where two have a wheel of the same name.
    pub fn choose(request: &PipRequest<'_>, target: &Target) -> Result<Self, LocalWheelError> {
        let folders = request.environment.wheels.iter();
        let files = folders.filter_map(|(step, _)| request.gathered.wheels.get(step)).flatten();
        LocalWheels::among(files, target)
    }

    fn among<'a>(
        files: impl Iterator<Item = &'a LocalWheel>,
        target: &Target,
    ) -> Result<Self, LocalWheelError> {
        let mut packages: BTreeMap<PackageName, Vec<Chosen>> = BTreeMap::new();
        for LocalWheel { path, digest } in files {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let filename = WheelFilename::from_str(&name)
                .map_err(|source| LocalWheelError::Filename { path: path.clone(), source })?;
            let wheels = packages.entry(filename.name().clone()).or_default();
            if !wheels.iter().any(|wheel| wheel.filename == filename) {
                wheels.push(Chosen { filename, digest: *digest, found: path.clone() });
            }
        }
        let tags = target.tags();
        let best = |(package, wheels): (PackageName, Vec<Chosen>)| {
            let fitting = || wheels.iter().filter(|wheel| tags.rank(&wheel.filename).is_some());
            let highest = fitting().map(|wheel| wheel.filename.version()).max();
            let of_it = fitting().filter(|wheel| Some(wheel.filename.version()) == highest);
            tags.best(of_it, |wheel| &wheel.filename).cloned().ok_or_else(|| {
                let names: Vec<&str> = wheels.iter().map(|w| w.filename.as_str()).collect();
                let (target, found) = (target.to_string(), names.join(", "));
                LocalWheelError::NoneFits { package, target, found }
            })
        };
        Ok(LocalWheels(packages.into_iter().map(best).collect::<Result<_, _>>()?))
    }

    /// All that a resolution depends on: names and contents, not places.
    pub fn key_parts(&self) -> Vec<String> {
        self.0.iter().map(|wheel| format!("{} {}", wheel.filename, wheel.digest)).collect()
    }

    /// Requirements for the wheels, whose places are what `place` says.
    fn requirements(&self, place: impl Fn(&Chosen) -> PathBuf) -> Vec<String> {
        let requirement = |wheel: &Chosen| {
            let url = Url::from_file_path(place(wheel)).ok()?;
            Some(format!("{} @ {url}", wheel.filename.name()))
        };
        self.0.iter().filter_map(requirement).collect()
    }

    /// Requirements for the wheels where they are shown in an image below `directory`.
    pub fn requirements_below(&self, directory: &str) -> Vec<String> {
        self.requirements(|wheel| Path::new(directory).join(wheel.filename.as_str()))
    }
}

impl Context {
    /// Brings the wheels into the store, as they were digested, and verifies them.
    pub async fn import_local_wheels(&self, wheels: &LocalWheels) -> Result<(), NativeError> {
        let missing = |wheel: &&Chosen| self.store.has(&wheel.digest).is_none();
        let missing: Vec<Chosen> = wheels.0.iter().filter(missing).cloned().collect();
        if missing.is_empty() {
            return Ok(());
        }
        let (store, settings) = (self.store.clone(), FetchSettings::new(Path::new(".")));
        let import = move || {
            missing.into_iter().try_for_each(|Chosen { digest, found, .. }| {
                let stored = StoredWheel::import(&store, &found, &settings)?;
                match stored.digest == digest {
                    true => Ok(()),
                    false => Err(FetchWheelError::Changed {
                        path: found,
                        expected: digest,
                        actual: stored.digest,
                    }),
                }
            })
        };
        Ok(tokio::task::spawn_blocking(import).await??)
    }

    /// Requirements for the wheels as this machine's resolver reads them: under their names, out
    /// of the store, so that it sees what was digested. The place of a wheel is always the same,
    /// so that the resolver remembers what it has read.
    pub fn local_requirements(&self, wheels: &LocalWheels) -> Result<Vec<String>, NativeError> {
        if wheels.0.is_empty() {
            return Ok(vec![]);
        }
        let directory = self.store.cache_dir("local-wheels")?;
        let place =
            |wheel: &Chosen| directory.join(wheel.digest.hex()).join(wheel.filename.as_str());
        for wheel in &wheels.0 {
            let (blob, place) = (self.store.blob_path(&wheel.digest), place(wheel));
            link(&blob, &place).map_err(NativeError::io(&place))?;
        }
        Ok(wheels.requirements(place))
    }

    /// Shows the wheels in an image, below `directory` and under their names.
    pub fn local_mounts(&self, wheels: &LocalWheels, directory: &str) -> Vec<Mount> {
        let mount = |wheel: &Chosen| Mount::Bind {
            source: self.store.blob_path(&wheel.digest),
            target: format!("{directory}/{}", wheel.filename),
            read_only: true,
        };
        wheels.0.iter().map(mount).collect()
    }
}

/// Makes `place` the same file as `blob`.
pub fn link(blob: &Path, place: &Path) -> io::Result<()> {
    if let Some(parent) = place.parent() {
        std::fs::create_dir_all(parent)?;
    }
    match std::fs::hard_link(blob, place) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        linked => linked,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tierce_oci::Platform;
    use tierce_wheel::Libc;

    fn choose(names: &[&str]) -> Result<Vec<String>, LocalWheelError> {
        let target =
            Target::new("3.11".parse().unwrap(), &Platform::linux("amd64"), Libc::DEFAULT).unwrap();
        let file = |name: &&str| LocalWheel {
            path: Path::new("dist").join(name),
            digest: Digest::of(name),
        };
        let files: Vec<LocalWheel> = names.iter().map(file).collect();
        let chosen = LocalWheels::among(files.iter(), &target)?;
        Ok(chosen.0.iter().map(|wheel| wheel.filename.to_string()).collect())
    }

    #[test]
    fn of_each_package_one_wheel_is_taken() {
        for (names, expected) in [
            (&[][..], &[][..]),
            (
                &["b-1-py3-none-any.whl", "a-1-py3-none-any.whl"],
                &["a-1-py3-none-any.whl", "b-1-py3-none-any.whl"],
            ),
            // The highest version, as versions are compared, and not as text is.
            (&["a-1.9-py3-none-any.whl", "a-1.10-py3-none-any.whl"], &["a-1.10-py3-none-any.whl"]),
            (
                &["a-2.0rc1-py3-none-any.whl", "a-1.9-py3-none-any.whl"],
                &["a-2.0rc1-py3-none-any.whl"],
            ),
            // The best tag of it.
            (
                &["a-1-py3-none-any.whl", "a-1-cp311-cp311-manylinux_2_17_x86_64.whl"],
                &["a-1-cp311-cp311-manylinux_2_17_x86_64.whl"],
            ),
            // What does not fit is passed over, though it be higher.
            (
                &["a-2-cp312-cp312-manylinux_2_17_x86_64.whl", "a-1-py3-none-any.whl"],
                &["a-1-py3-none-any.whl"],
            ),
            // Names are compared as indexes do.
            (
                &["My_Lib-1-py3-none-any.whl", "my.lib-2-py3-none-any.whl"],
                &["my.lib-2-py3-none-any.whl"],
            ),
        ] {
            assert_eq!(choose(names).unwrap(), expected, "{names:?}");
        }
    }

    #[test]
    fn an_index_does_not_stand_in_for_a_wheel_that_does_not_fit() {
        let error = choose(&["a-1-cp311-cp311-manylinux_2_17_aarch64.whl"]).unwrap_err();
        assert_eq!(error.code(), "python/no-wheel");
        assert!(error.to_string().contains("aarch64.whl"), "{error}");
        assert_eq!(choose(&["a.whl"]).unwrap_err().code(), "python/bad-wheel-name");
    }

    #[test]
    fn places_are_no_part_of_the_key() {
        let target =
            Target::new("3.11".parse().unwrap(), &Platform::linux("amd64"), Libc::DEFAULT).unwrap();
        let at = |folder: &str| {
            let path = Path::new(folder).join("a-1-py3-none-any.whl");
            let wheel = LocalWheel { path, digest: Digest::of("a") };
            LocalWheels::among([&wheel].into_iter(), &target).unwrap().key_parts()
        };
        assert_eq!(at("/home/me/dist"), at("dist"));
    }

    #[test]
    fn file_names_are_escaped_in_requirements() {
        let wheel = Chosen {
            filename: "a-1+cu12-py3-none-any.whl".parse().unwrap(),
            digest: Digest::of("a"),
            found: PathBuf::new(),
        };
        let requirements = LocalWheels(vec![wheel]).requirements_below("/run/a b#c");
        assert_eq!(requirements, ["a @ file:///run/a%20b%23c/a-1+cu12-py3-none-any.whl"]);
    }
}
