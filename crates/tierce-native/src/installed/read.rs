//! What is installed in a base's environment, read off its layers: for bases whose programs can't
//! run on this machine.

use super::Installed;
use crate::context::Context;
use crate::error::NativeError;
use crate::layer::Layer;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read;
use std::path::Path;
use tierce_engine::StepHandle;
use tierce_layer::{Entry, EntryKind, LayerPath, LayerReader, ReadError, Whiteout};

/// What a directory with what is known of a package ends in.
const INFO: &str = ".dist-info";

/// The files of an environment that tell what is in it.
#[derive(Debug, PartialEq, Eq)]
struct Files {
    /// Where the environment is, without a leading slash.
    prefix: String,
    paths: BTreeSet<LayerPath>,
    /// A directory above them is a link: what it leads to is not looked at.
    is_elsewhere: bool,
}

impl Context {
    /// What is installed in the environment in an image of these layers. The outer `None` is for
    /// an environment that can't be read, the inner one for no environment.
    pub async fn read_installed(
        &self,
        prefix: &str,
        layers: &[Layer],
        step: &StepHandle,
    ) -> Result<Option<Option<Installed>>, NativeError> {
        let fetched = layers.iter().map(|layer| self.blob_file(layer, step));
        let blobs = futures::future::try_join_all(fetched).await?;
        let prefix = prefix.to_owned();
        let read = move || {
            let mut files = Files::of(&prefix);
            for blob in &blobs {
                let failed = |error: ReadError| NativeError::io(blob)(std::io::Error::other(error));
                let file = File::open(blob).map_err(NativeError::io(blob))?;
                files.add(file).map_err(failed)?;
            }
            Ok((!files.is_elsewhere).then(|| files.installed()))
        };
        tokio::task::spawn_blocking(read).await?
    }
}

impl Files {
    fn of(prefix: &str) -> Self {
        let prefix = prefix.trim_start_matches('/').to_owned();
        Files { prefix, paths: BTreeSet::new(), is_elsewhere: false }
    }

    /// Puts a layer on top.
    fn add(&mut self, layer: impl Read) -> Result<(), ReadError> {
        let mut reader = LayerReader::new(layer)?;
        let mut added = vec![];
        while let Some((entry, _)) = reader.next_entry()? {
            match entry.path.whiteout() {
                // It hides what is below this layer, wherever in it it stands.
                Ok(Some(whiteout)) => self.remove(&whiteout),
                Ok(None) if concerns(&self.prefix, &entry.path) => added.push(entry),
                Ok(None) | Err(_) => {}
            }
        }
        for entry in added {
            self.put(entry);
        }
        Ok(())
    }

    fn remove(&mut self, whiteout: &Whiteout) {
        let gone = whiteout.path();
        self.paths.retain(|path| !path.starts_with(gone));
    }

    fn put(&mut self, entry: Entry) {
        if entry.is_directory() {
            return;
        }
        // What is no directory any more has nothing in it.
        self.paths.retain(|path| !path.starts_with(&entry.path));
        let is_above = !is_interpreter(&self.prefix, &entry.path)
            && dist_info(&self.prefix, &entry.path).is_none();
        match entry.kind {
            EntryKind::Symlink { .. } if is_above => self.is_elsewhere = true,
            _ if is_above => {}
            _ => {
                self.paths.insert(entry.path);
            }
        }
    }

    fn installed(&self) -> Option<Installed> {
        self.paths.iter().find(|path| is_interpreter(&self.prefix, path))?;
        // Of a package: whether it came from elsewhere than from an index.
        let mut packages: BTreeMap<&str, bool> = BTreeMap::new();
        for (package, file) in self.paths.iter().filter_map(|path| dist_info(&self.prefix, path)) {
            *packages.entry(package).or_default() |= file == "direct_url.json";
        }
        let word = |(package, is_direct): (&str, bool)| {
            let (name, version) = package.rsplit_once('-')?;
            Some(format!("{name}{}{version}", if is_direct { "@" } else { "==" }))
        };
        let words: Vec<String> = packages.into_iter().filter_map(word).collect();
        Some(Installed::parse(&words.join(" ")))
    }
}

/// Whether a path is one of the files that tell, or above them.
fn concerns(prefix: &str, path: &LayerPath) -> bool {
    let text = path.as_path();
    let environment = Path::new(prefix);
    let library = environment.join("lib");
    let is_library = text.starts_with(&library)
        && path.components().count() <= environment.components().count() + 3;
    environment.starts_with(text)
        || text == library
        || text == environment.join("bin")
        || is_library
        || is_interpreter(prefix, path)
        || dist_info(prefix, path).is_some()
}

fn is_interpreter(prefix: &str, path: &LayerPath) -> bool {
    path.as_path() == Path::new(prefix).join("bin/python")
}

/// `name-version` and `METADATA`, or `direct_url.json`, of
/// `opt/venv/lib/python3.11/site-packages/name-version.dist-info/METADATA`.
fn dist_info<'p>(prefix: &str, path: &'p LayerPath) -> Option<(&'p str, &'p str)> {
    let inside = path.as_path().strip_prefix(prefix).ok()?;
    let parts: Vec<&str> = inside.iter().map(|part| part.to_str()).collect::<Option<_>>()?;
    let ["lib", python, "site-packages", info, file] = parts[..] else { return None };
    let is_known = python.starts_with("python") && matches!(file, "METADATA" | "direct_url.json");
    is_known.then_some((info.strip_suffix(INFO)?, file))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tierce_layer::{Compression, LayerWriter};

    const SITE: &str = "opt/venv/lib/python3.11/site-packages";

    /// A layer: a path for an empty file, `path -> target` for a link.
    fn layer(paths: &[&str]) -> Vec<u8> {
        let mut writer = LayerWriter::new(vec![], Compression::None);
        for path in paths {
            let entry = |text: &str| text.replace('@', SITE).parse::<LayerPath>().unwrap();
            match path.split_once(" -> ") {
                Some((path, target)) => {
                    writer.append(&Entry::symlink(entry(path), target), &b""[..]).unwrap();
                }
                None => match entry(path).whiteout().unwrap() {
                    Some(whiteout) => writer.whiteout(&whiteout).unwrap(),
                    None => writer.append(&Entry::file(entry(path), 0), &b""[..]).unwrap(),
                },
            }
        }
        writer.finish().unwrap().0
    }

    fn read(layers: &[&[&str]]) -> Option<Option<String>> {
        let mut files = Files::of(crate::python::PREFIX);
        for paths in layers {
            files.add(&layer(paths)[..]).unwrap();
        }
        (!files.is_elsewhere).then(|| files.installed().map(|installed| installed.to_string()))
    }

    const PYTHON: &str = "opt/venv/bin/python -> /usr/local/bin/python3.11";

    #[test]
    fn packages_are_those_with_metadata_that_no_layer_removes() {
        let six: &[&str] = &["@/six-1.17.0.dist-info/METADATA", "@/six.py"];
        let mine: &[&str] =
            &["@/My_Pkg-0.1+b.dist-info/METADATA", "@/My_Pkg-0.1+b.dist-info/direct_url.json"];
        for (layers, expected) in [
            (vec![&[PYTHON][..], six, mine], "my-pkg@0.1+b six==1.17.0"),
            (vec![&[PYTHON], six, &["@/.wh.six-1.17.0.dist-info"]], ""),
            (vec![&[PYTHON], six, &["@/six-1.17.0.dist-info/.wh.METADATA"]], ""),
            (vec![&[PYTHON], six, &["@/.wh..wh..opq"]], ""),
            // The same layer removes and adds.
            (vec![&[PYTHON], mine, &["@/.wh..wh..opq", six[0]]], "six==1.17.0"),
            (vec![&[PYTHON], six, &["opt/.wh.venv", PYTHON]], ""),
            (vec![&[PYTHON], six, &["opt/venv/lib/python3.11"]], ""),
            (vec![&[PYTHON], &["usr/lib/python3/dist-packages/a-1.dist-info/METADATA"]], ""),
        ] {
            assert_eq!(read(&layers), Some(Some(expected.to_owned())), "{layers:?}");
        }
    }

    #[test]
    fn an_environment_has_an_interpreter_and_is_where_it_is_said_to_be() {
        assert_eq!(read(&[&["@/six-1.17.0.dist-info/METADATA"]]), Some(None));
        assert_eq!(read(&[&[PYTHON], &["opt/venv/bin/.wh.python"]]), Some(None));
        for link in ["opt -> /srv", "opt/venv -> /srv/venv", "opt/venv/lib -> ../lib"] {
            assert_eq!(read(&[&[PYTHON], &[link]]), None, "{link}");
        }
    }
}
