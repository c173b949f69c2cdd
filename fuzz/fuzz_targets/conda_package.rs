//! conda packages: any bytes as either format, and any metadata in a package whose archives are
//! right. What is written as a layer is read again and stays below the prefix.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::io::Write;
use tierce_conda::{ArchiveKind, Package, PackageLimits};
use tierce_fuzz::with_tar_checksums;

fn read(bytes: &[u8], kind: ArchiveKind) {
    let mut file = tempfile::NamedTempFile::new().expect("a temporary file can be made");
    file.write_all(bytes).expect("a temporary file can be written");
    let limits = PackageLimits { unpacked: 64 << 20, in_memory: 16 << 20 };
    let Ok(package) = Package::open(file.path(), "fuzzed", kind, limits) else { return };
    let Ok(info) = package.info() else { return };
    for path in &info.paths {
        assert!(!path.path.starts_with('/') && !path.path.split('/').any(|part| part == ".."));
    }
    for point in &info.entry_points {
        assert!(!point.name.contains('/') && !point.module.contains(['\n', ';', ' ']));
    }
    let json = serde_json::to_vec(&info).expect("it is plain data");
    assert_eq!(serde_json::from_slice::<tierce_conda::PackageInfo>(&json).expect("it was"), info);
}

/// The bytes as the tar file that a `.tar.bz2` holds.
fn packed(tar: &[u8]) -> Vec<u8> {
    let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
    encoder.write_all(tar).expect("memory");
    encoder.finish().expect("memory")
}

fuzz_target!(|data: &[u8]| {
    read(data, ArchiveKind::Conda);
    read(data, ArchiveKind::TarBz2);
    read(&packed(&with_tar_checksums(data)), ArchiveKind::TarBz2);
});
