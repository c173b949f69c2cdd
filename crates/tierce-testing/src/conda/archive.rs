//! The two formats of packages.

use std::io::Write;

/// An entry of a package's archive.
#[derive(Clone, Debug)]
pub(super) struct TarEntry {
    pub(super) path: String,
    /// The type flag of ustar: `0` file, `1` hard link, `2` symbolic link, `3` device, `5`
    /// directory.
    pub(super) flag: u8,
    pub(super) link: String,
    pub(super) mode: u32,
    pub(super) mtime: u64,
    pub(super) content: Vec<u8>,
}

/// A plain tar file, long names as GNU tar writes them.
pub(super) fn tar(entries: &[TarEntry]) -> Vec<u8> {
    let mut out = vec![];
    for entry in entries {
        for (name, flag) in [(&entry.path, b'L'), (&entry.link, b'K')] {
            if name.len() > 100 {
                let content = [name.as_bytes(), &[0]].concat();
                out.extend(header("././@LongLink", flag, "", 0o644, 0, content.len()));
                push(&mut out, &content);
            }
        }
        let size = entry.content.len();
        out.extend(header(&entry.path, entry.flag, &entry.link, entry.mode, entry.mtime, size));
        push(&mut out, &entry.content);
    }
    out.extend([0; 1024]);
    out
}

fn push(out: &mut Vec<u8>, content: &[u8]) {
    out.extend(content);
    out.resize(out.len().next_multiple_of(512), 0);
}

fn header(path: &str, flag: u8, link: &str, mode: u32, mtime: u64, size: usize) -> [u8; 512] {
    let mut header = [0; 512];
    let mut put = |at: usize, bytes: &[u8]| header[at..at + bytes.len()].copy_from_slice(bytes);
    let cut = |text: &str| text.as_bytes()[..text.len().min(100)].to_vec();
    put(0, &cut(path));
    put(100, format!("{mode:07o}\0").as_bytes());
    // Whoever built the package: installers must not care.
    put(108, b"0001750\0");
    put(116, b"0001750\0");
    put(124, format!("{size:011o}\0").as_bytes());
    put(136, format!("{mtime:011o}\0").as_bytes());
    put(148, b"        ");
    put(156, &[flag]);
    put(157, &cut(link));
    put(257, b"ustar  \0");
    put(265, b"builder");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    header
}

/// `.tar.bz2`.
pub(super) fn tar_bz2(entries: &[TarEntry]) -> Vec<u8> {
    let mut encoder = bzip2::write::BzEncoder::new(vec![], bzip2::Compression::fast());
    encoder.write_all(&tar(entries)).expect("memory");
    encoder.finish().expect("memory")
}

/// `.conda`: a zip of two zstd archives, stored.
pub(super) fn conda(stem: &str, info: &[TarEntry], pkg: &[TarEntry]) -> Vec<u8> {
    let zstd = |entries| zstd::encode_all(tar(entries).as_slice(), 1).expect("memory");
    stored_zip(&[
        ("metadata.json".to_owned(), br#"{"conda_pkg_format_version": 2}"#.to_vec()),
        (format!("pkg-{stem}.tar.zst"), zstd(pkg)),
        (format!("info-{stem}.tar.zst"), zstd(info)),
    ])
}

/// Stored, the archives with 64-bit sizes although they are small: rattler-build writes all of its
/// packages so.
fn stored_zip(files: &[(String, Vec<u8>)]) -> Vec<u8> {
    let (mut out, mut directory) = (vec![], vec![]);
    for (name, content) in files {
        let length = content.len() as u64;
        let (size, extra) = match name.ends_with(".tar.zst") {
            true => (u32::MAX, [&[1, 0, 16, 0][..], &[length.to_le_bytes(); 2].concat()].concat()),
            false => (u32::try_from(length).expect("a small file"), vec![]),
        };
        let mut common = vec![];
        for field in [45_u16, 0, 0, 0, 33] {
            common.extend(field.to_le_bytes());
        }
        common.extend(crc32fast::hash(content).to_le_bytes());
        common.extend([size.to_le_bytes(); 2].concat());
        common.extend(u16::try_from(name.len()).expect("a short name").to_le_bytes());
        common.extend((extra.len() as u16).to_le_bytes());
        let offset = u32::try_from(out.len()).expect("a small archive");
        out.extend(b"PK\x03\x04");
        out.extend(&common);
        out.extend(name.as_bytes());
        out.extend(&extra);
        out.extend(content);
        directory.extend(b"PK\x01\x02\x2d\x03");
        directory.extend(&common);
        directory.extend([0; 6]);
        directory.extend((0o100_644_u32 << 16).to_le_bytes());
        directory.extend(offset.to_le_bytes());
        directory.extend(name.as_bytes());
        directory.extend(&extra);
    }
    let count = u16::try_from(files.len()).expect("few files").to_le_bytes();
    let start = u32::try_from(out.len()).expect("a small archive");
    let length = u32::try_from(directory.len()).expect("a small archive");
    out.extend(directory);
    out.extend(b"PK\x05\x06\0\0\0\0");
    out.extend([count, count].concat());
    out.extend(length.to_le_bytes());
    out.extend(start.to_le_bytes());
    out.extend(0_u16.to_le_bytes());
    out
}
