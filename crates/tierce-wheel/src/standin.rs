//! A stand-in for the interpreter that uv insists on.
//!
//! uv asks some interpreter about itself before it resolves anything, even when the target's
//! version and platform are given and override every answer. The machine that builds images may
//! have no Python, and one that it has should not matter. So uv is given a program that answers
//! in place of an interpreter, with the target's own facts. What uv asks and expects is not
//! documented: it holds for [`PINNED_VERSION`](crate::PINNED_VERSION). Other versions, which are
//! only used where they are asked for by name, are answered as 0.9 and later ask; one that does
//! not understand the answer fails instead of taking an interpreter of the machine's.

use crate::program;
use crate::target::{Libc, Target};
use serde_json::json;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use tierce_oci::Digest;

/// Puts the stand-in for `target` into `directory` and returns its path.
pub(crate) fn install(directory: &Path, target: &Target) -> io::Result<PathBuf> {
    fs::create_dir_all(directory)?;
    // uv caches answers by path, so other answers are at another path.
    let digest = Digest::of(script("", target)).short();
    let path = directory.join(format!("python-{digest}"));
    if path.exists() {
        return Ok(path);
    }
    program::install(&path, &mut script(&path.to_string_lossy(), target).as_bytes())?;
    Ok(path)
}

/// A shell script that needs no program besides the shell.
fn script(path: &str, target: &Target) -> String {
    let answer = answer(path, target).replace('\'', "'\\''");
    format!(
        "#!/bin/sh\n\
         # Answers uv in place of a Python interpreter; runs nothing.\n\
         case \"$*\" in\n\
         *get_interpreter_info*) printf '%s\\n' '{answer}' ;;\n\
         *) printf '%s\\n' 'no interpreter to build with' >&2; exit 1 ;;\n\
         esac\n"
    )
}

fn answer(path: &str, target: &Target) -> String {
    let short = target.python().short();
    let full = format!("{short}.{}", target.python().micro().unwrap_or(0));
    let (os, minor, major) = match target.libc() {
        Libc::Glibc { minor } => ("manylinux", minor, 2),
        Libc::Musl { minor } => ("musllinux", minor, 1),
    };
    let platform = json!({ "name": os, "major": major, "minor": minor });
    let site = format!("lib/python{short}/site-packages");
    let include = format!("include/site/python{short}");
    json!({
        "result": "success",
        "markers": {
            "implementation_name": "cpython",
            "implementation_version": full,
            "os_name": "posix",
            "platform_machine": target.machine(),
            "platform_python_implementation": "CPython",
            "platform_release": "",
            "platform_system": "Linux",
            "platform_version": "",
            "python_full_version": full,
            "python_version": short,
            "sys_platform": "linux",
        },
        "sys_base_prefix": "/nonexistent",
        "sys_base_exec_prefix": "/nonexistent",
        "sys_prefix": "/nonexistent",
        "sys_base_executable": path,
        "sys_executable": path,
        "sys_path": [],
        "site_packages": [],
        "stdlib": format!("/nonexistent/lib/python{short}"),
        "extension_suffixes": [],
        "standalone": false,
        "scheme": {
            "platlib": format!("/nonexistent/{site}"),
            "purelib": format!("/nonexistent/{site}"),
            "include": format!("/nonexistent/{include}"),
            "scripts": "/nonexistent/bin",
            "data": "/nonexistent",
        },
        "virtualenv": {
            "purelib": site,
            "platlib": site,
            "include": include,
            "scripts": "bin",
            "data": "",
        },
        "os": platform,
        "arch": target.machine(),
        // The same where versions before the pinned one look for it.
        "platform": { "os": platform, "arch": target.machine() },
        "cpu_info": { "unavailable": "a stand-in has no processor" },
        "manylinux_compatible": true,
        "gil_disabled": false,
        "debug_enabled": false,
        "pointer_size": "64",
    })
    .to_string()
}
