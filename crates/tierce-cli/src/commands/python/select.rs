//! Which of the images of Python files are meant.

use super::error::PythonError;
use super::protocol::{File, Found, Name, Named};
use std::path::Path;

/// An image that is meant, and the file that it is in.
pub struct Selected<'a> {
    pub file: &'a File,
    pub image: &'a Found,
    /// Its place among the images of the file.
    pub index: usize,
}

/// The images of `files` that `names` mean, in the files' order; all that are not private if there
/// are no names. `spec` is what the command line names.
pub fn select<'a>(
    spec: &Path,
    files: &'a [File],
    names: &[String],
) -> Result<Vec<Selected<'a>>, PythonError> {
    let all: Vec<Selected<'_>> = files
        .iter()
        .flat_map(|file| {
            let images = file.images.iter().enumerate();
            images.map(move |(index, image)| Selected { file, image, index })
        })
        .collect();
    let without = || files.iter().flat_map(|file| file.without_image.iter().cloned());
    if names.is_empty() {
        let public: Vec<_> = all.into_iter().filter(|found| !found.image.private).collect();
        return match public.is_empty() {
            true => {
                let without = without().collect();
                Err(PythonError::NoImage { file: spec.to_owned(), without })
            }
            false => Ok(public),
        };
    }
    let mut wanted = vec![false; all.len()];
    for name in names {
        let Some(of) = all.iter().filter_map(|found| meaning(found.image, name)).min() else {
            let known: Vec<String> = all.iter().map(|found| described(found.image)).collect();
            return Err(PythonError::NoSuchImage {
                file: spec.to_owned(),
                near: nearest(name, all.iter().flat_map(|found| &found.image.names)),
                without: without().any(|other| other == *name),
                names: known,
                name: name.clone(),
            });
        };
        for (found, wanted) in all.iter().zip(&mut wanted) {
            *wanted |= found.image.names.contains(&Name { of, name: name.clone() });
        }
    }
    Ok(all.into_iter().zip(wanted).filter_map(|(found, wanted)| wanted.then_some(found)).collect())
}

/// As what the image has the name, if it has it.
fn meaning(image: &Found, name: &str) -> Option<Named> {
    image.names.iter().filter(|known| known.name == name).map(|known| known.of).min()
}

/// What the image is called in messages.
pub fn label(image: &Found) -> String {
    image.names.first().map_or_else(|| "(without a name)".to_owned(), |name| name.name.clone())
}

/// The same, and what else it can be called by those who don't look into the file.
pub fn described(image: &Found) -> String {
    let others = image.names.iter().skip(1);
    let others = others.filter(|name| matches!(name.of, Named::Environment | Named::Task));
    let others: Vec<&str> = others.map(|name| &*name.name).collect();
    match others.is_empty() {
        true => label(image),
        false => format!("{} ({})", label(image), others.join(", ")),
    }
}

/// The name that was meant, if one is near enough.
fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a Name>) -> Option<String> {
    let plain = |text: &str| text.to_lowercase().replace('-', "_");
    let wanted = plain(name);
    known
        .map(|known| (strsim::damerau_levenshtein(&wanted, &plain(&known.name)), &known.name))
        .filter(|(distance, known)| *distance <= 1 + wanted.len().min(known.len()) / 4)
        .min()
        .map(|(_, known)| known.clone())
}

#[cfg(test)]
mod tests {
    use super::super::protocol::Kind;
    use super::*;

    fn image(names: &[(Named, &str)], private: bool) -> Found {
        let names = names.iter().map(|(of, name)| Name { of: *of, name: (*name).to_owned() });
        Found {
            kind: Kind::Image,
            names: names.collect(),
            private,
            decided: false,
            document: None,
            problem: None,
            python_builder: None,
            build: None,
        }
    }

    fn file(images: Vec<Found>) -> File {
        File {
            path: "app.py".into(),
            error: None,
            init: Default::default(),
            loaded: vec![],
            images,
            without_image: vec!["plain".into()],
        }
    }

    fn labels(files: &[File], names: &[&str]) -> Result<Vec<String>, PythonError> {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let found = select(Path::new("app.py"), files, &names)?;
        Ok(found.iter().map(|found| label(found.image)).collect())
    }

    #[test]
    fn names_mean_what_is_nearest_to_the_file() {
        use Named::{Environment, Image, Task, Variable};
        let files = [file(vec![
            image(&[(Variable, "base"), (Image, "train")], false),
            image(&[(Variable, "train"), (Environment, "my_env")], false),
            image(&[(Environment, "serve"), (Image, "app")], false),
            image(&[(Task, "app.run"), (Image, "app")], false),
            image(&[(Variable, "_hidden")], true),
        ])];
        for (names, expected) in [
            (&[][..], &["base", "train", "serve", "app.run"][..]),
            (&["train"], &["train"]),
            (&["my_env"], &["train"]),
            (&["app"], &["serve", "app.run"]),
            (&["_hidden"], &["_hidden"]),
            (&["serve", "base"], &["base", "serve"]),
        ] {
            assert_eq!(labels(&files, names).unwrap(), expected, "{names:?}");
        }
    }

    #[test]
    fn unknown_names_get_the_nearest_one() {
        use Named::{Environment, Variable};
        let files = [file(vec![image(&[(Variable, "train"), (Environment, "my-env")], false)])];
        for (name, meant) in [("trian", Some("train")), ("My_env", Some("my-env")), ("xyz", None)] {
            let error = labels(&files, &[name]).unwrap_err();
            let PythonError::NoSuchImage { near, without: false, .. } = error else {
                panic!("{error}")
            };
            assert_eq!(near.as_deref(), meant, "{name}");
        }
        let error = labels(&files, &["plain"]).unwrap_err();
        assert!(matches!(error, PythonError::NoSuchImage { without: true, .. }), "{error}");
    }
}
