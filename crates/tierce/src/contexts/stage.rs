//! A context as a folder of this machine.

use super::{ContextFiles, StageError};
use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Component, Path, PathBuf};

/// Writes a context into `folder`, which is empty. Files are linked where that is possible: a
/// context may have gigabytes.
pub(super) fn write(context: &ContextFiles, folder: &Path) -> Result<(), StageError> {
    let mut stage = Stage { folder, folders: BTreeSet::new() };
    for (path, text) in &context.contents {
        let to = stage.place(path)?;
        write_text(&to, text).map_err(unwritten(path))?;
    }
    for (path, from) in &context.files {
        if !context.contents.contains_key(path) {
            stage.copy(path, from)?;
        }
    }
    Ok(())
}

/// Makes a folder.
pub(super) fn make(folder: &Path) -> Result<(), StageError> {
    fs::create_dir(folder).map_err(unwritten(&folder.to_string_lossy()))
}

/// Makes an empty file.
pub(super) fn make_file(file: &Path) -> Result<(), StageError> {
    fs::write(file, "").map_err(unwritten(&file.to_string_lossy()))
}

fn write_text(to: &Path, text: &str) -> io::Result<()> {
    fs::write(to, text)?;
    // Whatever the umask is.
    fs::set_permissions(to, Permissions::from_mode(0o644))
}

struct Stage<'a> {
    folder: &'a Path,
    /// Those made here: none of them is a link to somewhere else.
    folders: BTreeSet<PathBuf>,
}

impl Stage<'_> {
    /// Where `path` is, with the folders above it.
    fn place(&mut self, path: &str) -> Result<PathBuf, StageError> {
        let outside = || StageError::Outside { path: path.to_owned() };
        let mut inside = PathBuf::new();
        for component in Path::new(path).components() {
            match component {
                Component::Normal(name) => inside.push(name),
                // As an archive with it is unpacked.
                Component::RootDir | Component::CurDir => {}
                Component::ParentDir | Component::Prefix(_) => return Err(outside()),
            }
        }
        if inside.as_os_str().is_empty() {
            return Err(outside());
        }
        if let Some(parent) = inside.parent() {
            self.make_folder(parent).map_err(unwritten(path))?;
        }
        Ok(self.folder.join(inside))
    }

    fn make_folder(&mut self, inside: &Path) -> io::Result<()> {
        if inside.as_os_str().is_empty() || self.folders.contains(inside) {
            return Ok(());
        }
        if let Some(parent) = inside.parent() {
            self.make_folder(parent)?;
        }
        let path = self.folder.join(inside);
        fs::create_dir(&path)?;
        fs::set_permissions(&path, Permissions::from_mode(0o755))?;
        self.folders.insert(inside.to_owned());
        Ok(())
    }

    fn copy(&mut self, path: &str, from: &Path) -> Result<(), StageError> {
        let unread = |source| StageError::Read { path: from.to_owned(), source };
        let found = fs::symlink_metadata(from).map_err(unread)?;
        let to = self.place(path)?;
        let kind = found.file_type();
        if kind.is_dir() {
            let inside = to.strip_prefix(self.folder).unwrap_or(&to).to_owned();
            self.make_folder(&inside).map_err(unwritten(path))?;
            // It must be possible to fill it, and to take it away again.
            let mode = found.permissions().mode() & 0o7777 | 0o700;
            fs::set_permissions(&to, Permissions::from_mode(mode)).map_err(unwritten(path))
        } else if kind.is_symlink() {
            let target = fs::read_link(from).map_err(unread)?;
            symlink(target, &to).map_err(unwritten(path))
        } else if kind.is_file() {
            // Not over file systems, nor with files of others.
            match fs::hard_link(from, &to) {
                Ok(()) => Ok(()),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    Err(unwritten(path)(error))
                }
                Err(_) => fs::copy(from, &to).map(|_| ()).map_err(unread),
            }
        } else {
            tracing::debug!(path, "neither a file nor a folder: left out of the context");
            Ok(())
        }
    }
}

fn unwritten(path: &str) -> impl Fn(io::Error) -> StageError + use<'_> {
    move |source| StageError::Write { path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn staged(files: &[(&str, &Path)], contents: &[(&str, &str)]) -> Result<Vec<String>, String> {
        let folder = tempfile::tempdir().unwrap();
        let context = ContextFiles {
            files: files.iter().map(|(k, v)| ((*k).to_owned(), v.to_path_buf())).collect(),
            contents: contents.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
            ignored: false,
        };
        write(&context, folder.path()).map_err(|error| error.to_string())?;
        let mut found = BTreeMap::new();
        list(folder.path(), folder.path(), &mut found);
        Ok(found.into_iter().map(|(path, what)| format!("{path} {what}")).collect())
    }

    fn list(root: &Path, folder: &Path, found: &mut BTreeMap<String, String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let kind = fs::symlink_metadata(&path).unwrap();
            let mode = kind.permissions().mode() & 0o7777;
            let what = if kind.is_symlink() {
                format!("-> {}", fs::read_link(&path).unwrap().display())
            } else if kind.is_dir() {
                list(root, &path, found);
                format!("{mode:o}")
            } else {
                format!("{mode:o} {}", fs::read_to_string(&path).unwrap())
            };
            found.insert(path.strip_prefix(root).unwrap().display().to_string(), what);
        }
    }

    #[test]
    fn files_folders_links_and_texts() {
        let source = tempfile::tempdir().unwrap();
        let at = |name: &str| source.path().join(name);
        fs::create_dir(at("d")).unwrap();
        fs::set_permissions(at("d"), Permissions::from_mode(0o555)).unwrap();
        fs::write(at("run"), "x").unwrap();
        fs::set_permissions(at("run"), Permissions::from_mode(0o750)).unwrap();
        symlink("/usr/bin/python3", at("python")).unwrap();
        let files = [
            ("d", at("d")),
            ("d/run", at("run")),
            ("python", at("python")),
            ("requirements", at("run")),
        ];
        let files: Vec<(&str, &Path)> = files.iter().map(|(k, v)| (*k, v.as_path())).collect();
        let contents = [("/app/Dockerfile", "FROM x"), ("requirements", "numpy")];
        assert_eq!(
            staged(&files, &contents).unwrap(),
            [
                "app 755",
                "app/Dockerfile 644 FROM x",
                "d 755",
                "d/run 750 x",
                "python -> /usr/bin/python3",
                "requirements 644 numpy",
            ]
        );
    }

    #[test]
    fn nothing_is_written_outside() {
        let source = tempfile::tempdir().unwrap();
        let link = source.path().join("link");
        symlink("/tmp", &link).unwrap();
        for (files, contents, said) in [
            (vec![], vec![("../x", "")], "\"../x\" is not a path inside of a build context"),
            (vec![], vec![("/", "")], "\"/\" is not a path inside of a build context"),
            (vec![("a", link.as_path()), ("a/b", &link)], vec![], "cannot write \"a/b\""),
            (vec![("a", link.as_path())], vec![("a/b", "")], "cannot write \"a\""),
        ] {
            let error = staged(&files, &contents).unwrap_err();
            assert!(error.starts_with(said), "{error}");
        }
    }
}
