//! Which files of a folder are loaded.

use super::error::PythonError;
use std::collections::VecDeque;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// Files that other tools run, and that define no images.
const TOOLS: [&str; 3] = ["conftest.py", "noxfile.py", "setup.py"];

/// Folders with other people's code.
const FOREIGN: [&str; 3] = ["node_modules", "site-packages", "__pycache__"];

/// Whether a path names Python code.
pub fn is_python(path: &Path) -> bool {
    path.extension() == Some(OsStr::new("py"))
}

/// The file and the name of what results print for one of its images: `app.py:train`.
pub fn with_name(path: &Path) -> Option<(&Path, &str)> {
    let (file, name) = path.to_str()?.split_once(".py:")?;
    let file = Path::new(&path.to_str()?[..file.len() + ".py".len()]);
    (!name.is_empty() && !path.exists()).then_some((file, name))
}

/// The Python files in `folder`, and in the folders below if it is to be `recursive`: without
/// hidden ones, environments, and files that belong to tools. In order.
pub fn below(folder: &Path, recursive: bool) -> Result<Vec<PathBuf>, PythonError> {
    let mut found = vec![];
    collect(folder, recursive, &mut found)?;
    // A package is loaded with what is in it: its own file alone only if there is nothing else.
    let is_init = |file: &PathBuf| file.file_name() == Some(OsStr::new("__init__.py"));
    if found.iter().any(|file| !is_init(file)) {
        found.retain(|file| !is_init(file));
    }
    Ok(found)
}

/// How many folders are looked into for a hint: it may be the root of a machine.
const GLANCES: usize = 200;

/// Whether there are Python files in the folders below, as far as a glance shows; what can't be
/// read holds none.
pub fn any_below(folder: &Path) -> bool {
    let mut folders = VecDeque::from([folder.to_owned()]);
    for _ in 0..GLANCES {
        let Some(folder) = folders.pop_front() else { return false };
        if below(&folder, false).is_ok_and(|found| !found.is_empty()) {
            return true;
        }
        let entries = std::fs::read_dir(&folder).into_iter().flatten().flatten();
        let inner = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        folders.extend(inner.map(|entry| entry.path()).filter(|path| is_own(path)));
    }
    false
}

/// Whether what is in a folder is a project's own.
fn is_own(folder: &Path) -> bool {
    let name = folder.file_name().and_then(OsStr::to_str);
    name.is_some_and(|name| !name.starts_with('.') && !FOREIGN.contains(&name))
        && !folder.join("pyvenv.cfg").exists()
}

fn collect(folder: &Path, recursive: bool, found: &mut Vec<PathBuf>) -> Result<(), PythonError> {
    let failed = |source| PythonError::Read { path: folder.to_owned(), source };
    let mut entries: Vec<(PathBuf, std::fs::FileType)> = std::fs::read_dir(folder)
        .and_then(|entries| {
            entries
                .map(|entry| {
                    let entry = entry?;
                    // What links lead to is there by its own name.
                    Ok((entry.path(), entry.file_type()?))
                })
                .collect()
        })
        .map_err(failed)?;
    entries.sort_by(|a, b| a.0.cmp(&b.0));
    for (path, kind) in entries {
        let Some(name) = path.file_name().and_then(OsStr::to_str) else { continue };
        if name.starts_with('.') {
            continue;
        }
        if kind.is_dir() {
            if recursive && is_own(&path) {
                collect(&path, recursive, found)?;
            }
        } else if is_python(&path) && !TOOLS.contains(&name) && path.is_file() {
            found.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(files: &[&str], recursive: bool) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        for file in files {
            let path = folder.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        let found = below(folder.path(), recursive).unwrap();
        let relative = |path: &PathBuf| path.strip_prefix(folder.path()).unwrap().to_owned();
        found.iter().map(|path| relative(path).display().to_string()).collect()
    }

    #[test]
    fn what_is_a_projects_own_is_found() {
        let files = [
            "b.py",
            "a.py",
            "__init__.py",
            "setup.py",
            ".hidden.py",
            "notes.txt",
            "sub/c.py",
            "sub/__pycache__/c.py",
            ".git/hook.py",
            "env/pyvenv.cfg",
            "env/d.py",
        ];
        assert_eq!(found(&files, false), ["a.py", "b.py"]);
        assert_eq!(found(&files, true), ["a.py", "b.py", "sub/c.py"]);
        assert_eq!(found(&["__init__.py"], false), ["__init__.py"]);
        assert_eq!(found(&["sub/c.py"], false), Vec::<String>::new());
    }

    #[test]
    fn images_are_named_as_results_print_them() {
        for (text, expected) in [
            ("none/app.py:train", Some(("none/app.py", "train"))),
            ("app.py:images.0", Some(("app.py", "images.0"))),
            ("app.py:a:b", Some(("app.py", "a:b"))),
            ("app.py", None),
            ("app.py:", None),
            ("ghcr.io/me/app:1", None),
        ] {
            let expected = expected.map(|(file, name)| (Path::new(file), name));
            assert_eq!(with_name(Path::new(text)), expected, "{text}");
        }
    }
}
