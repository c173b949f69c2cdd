//! A Python that runs, as a conda package: made of Debian's.

use super::package::{CondaFile, CondaPackageSpec, PLACEHOLDER};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// The newest `3.x` that a directory with Debian's packages in it has.
pub fn debian_python_version(root: &Path) -> Option<String> {
    let minors = (9..40_u8).rev();
    minors.map(|minor| format!("3.{minor}")).find(|version| {
        root.join(format!("usr/bin/python{version}")).is_file()
            && root.join(format!("usr/lib/python{version}/os.py")).is_file()
    })
}

/// The package `python` out of a directory that Debian's `python3.x-minimal`,
/// `libpython3.x-minimal`, `libpython3.x-stdlib` and `libexpat1` are unpacked in, which may be `/`
/// itself. `version` is the whole one, as `3.11.2`. For a glibc as old as Debian's.
///
/// It differs from Debian's in what a conda package has to have: modules in `site-packages`, the
/// build's prefix in text and binary files, and the library that it needs found by that prefix.
pub fn conda_python(root: &Path, version: &str) -> CondaPackageSpec {
    let short: String = version.rsplitn(2, '.').last().expect("two dots").to_owned();
    let short = short.as_str();
    let library = root.join(format!("usr/lib/python{short}"));
    let mut files = vec![];
    collect(&library, &format!("lib/python{short}"), &mut files);
    let binary = read(&root.join(format!("usr/bin/python{short}")));
    let expat = ["x86_64-linux-gnu", "aarch64-linux-gnu"].iter().find_map(|triplet| {
        ["usr/lib", "lib"].iter().find_map(|directory| {
            fs::read(root.join(format!("{directory}/{triplet}/libexpat.so.1"))).ok()
        })
    });
    let program = format!("bin/python{short}");
    files.push(CondaFile::binary(&program, with_run_path(binary)).mode(0o755));
    if let Some(expat) = expat {
        files.push(CondaFile::new("lib/libexpat.so.1", expat));
    }
    files.push(CondaFile::symlink("bin/python", &format!("python{short}")));
    files.push(CondaFile::symlink("bin/python3", &format!("python{short}")));
    let pydoc = format!("#!{PLACEHOLDER}/{program}\nimport pydoc\npydoc.cli()\n");
    files.push(CondaFile::text(&format!("bin/pydoc{short}"), pydoc).mode(0o755));
    let subdir = match std::env::consts::ARCH {
        "aarch64" => "linux-aarch64",
        _ => "linux-64",
    };
    CondaPackageSpec {
        build: "h0_0_cpython".to_owned(),
        site_packages: Some(format!("lib/python{short}/site-packages")),
        files,
        ..CondaPackageSpec::new("python", version).subdir(subdir)
    }
}

fn read(path: &Path) -> Vec<u8> {
    fs::read(path).unwrap_or_else(|error| panic!("can't read {}: {error}", path.display()))
}

/// What tests don't need of the standard library.
const SKIPPED: [&str; 8] = [
    "__pycache__",
    "EXTERNALLY-MANAGED",
    "_distutils_system_mod.py",
    "ensurepip",
    "idlelib",
    "lib2to3",
    "pydoc_data",
    "test",
];

fn collect(directory: &Path, place: &str, files: &mut Vec<CondaFile>) {
    let entries = fs::read_dir(directory).expect("Debian's standard library");
    let mut names: Vec<String> =
        entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    for name in names {
        if SKIPPED.contains(&name.as_str()) || name.starts_with("config-") {
            continue;
        }
        let (path, place) = (directory.join(&name), format!("{place}/{name}"));
        let Ok(metadata) = fs::symlink_metadata(&path) else { continue };
        if metadata.is_symlink() {
            let target = fs::read_link(&path).expect("a link");
            // Links into what Debian has elsewhere are of no use here.
            if let Some(target) = target.to_str().filter(|target| !target.contains('/')) {
                files.push(CondaFile::symlink(&place, target));
            }
        } else if metadata.is_dir() {
            collect(&path, &place, files);
        } else {
            let mode = if metadata.permissions().mode() & 0o111 != 0 { 0o755 } else { 0o644 };
            files.push(library_file(&name, &place, read(&path)).mode(mode));
        }
    }
}

fn library_file(name: &str, place: &str, content: Vec<u8>) -> CondaFile {
    let changed = |pairs: &[(&str, &str)]| {
        let text = String::from_utf8(content.clone()).expect("Python sources are UTF-8");
        pairs.iter().fold(text, |text, (old, new)| text.replace(old, new))
    };
    if name == "site.py" {
        return CondaFile::new(place, changed(&[("dist-packages", "site-packages")]));
    }
    if name == "sysconfig.py" {
        let local = "prefix_scheme = 'posix_local'";
        return CondaFile::new(place, changed(&[(local, "prefix_scheme = 'posix_prefix'")]));
    }
    if name.starts_with("_sysconfigdata_") {
        let prefix = format!("'{PLACEHOLDER}");
        return CondaFile::text(place, changed(&[("'/usr", &prefix)]));
    }
    CondaFile::new(place, content)
}

/// The program with a run path in the build's prefix, put where its copyright notice was: linkers
/// leave entries of the dynamic section free, and the loader takes names from anywhere.
fn with_run_path(mut elf: Vec<u8>) -> Vec<u8> {
    const DT_STRTAB: u64 = 5;
    const DT_RUNPATH: u64 = 29;
    let path = format!("{PLACEHOLDER}/lib\0");
    let notice = find(&elf, b"Copyright (c) 2001-").expect("Python's copyright notice");
    elf[notice..notice + path.len()].copy_from_slice(path.as_bytes());
    // The module `site` is in the program, compiled; both names are of one length.
    while let Some(at) = find(&elf, b"dist-packages") {
        elf[at..at + 4].copy_from_slice(b"site");
    }
    let number = |elf: &[u8], at: usize, length: usize| {
        let mut bytes = [0; 8];
        bytes[..length].copy_from_slice(&elf[at..at + length]);
        u64::from_le_bytes(bytes) as usize
    };
    let (table, size, count) = (number(&elf, 32, 8), number(&elf, 54, 2), number(&elf, 56, 2));
    let (mut dynamic, mut address) = (None, None);
    for header in (0..count).map(|i| table + i * size) {
        let (offset, place) = (number(&elf, header + 8, 8), number(&elf, header + 16, 8));
        let length = number(&elf, header + 32, 8);
        match number(&elf, header, 4) {
            1 if (offset..offset + length).contains(&notice) => {
                address = Some(place + notice - offset);
            }
            2 => dynamic = Some((offset, length)),
            _ => {}
        }
    }
    let (start, length) = dynamic.expect("a dynamic section");
    let entries: Vec<usize> = (start..start + length).step_by(16).collect();
    let tag = |elf: &[u8], at: usize| number(elf, at, 8) as u64;
    let strings = entries.iter().find(|at| tag(&elf, **at) == DT_STRTAB).expect("names");
    let strings = number(&elf, strings + 8, 8);
    let free = entries.iter().position(|at| tag(&elf, *at) == 0).expect("an end");
    assert!(free + 1 < entries.len(), "the program's dynamic section has no free entry");
    let value = (address.expect("a mapped notice") - strings) as u64;
    elf[entries[free]..entries[free] + 8].copy_from_slice(&DT_RUNPATH.to_le_bytes());
    elf[entries[free] + 8..entries[free] + 16].copy_from_slice(&value.to_le_bytes());
    elf
}

fn find(data: &[u8], what: &[u8]) -> Option<usize> {
    let mut from = 0;
    while let Some(at) = data[from..].iter().position(|byte| *byte == what[0]) {
        if data[from + at..].starts_with(what) {
            return Some(from + at);
        }
        from += at + 1;
    }
    None
}
