//! `entry_points.txt` ("Entry points specification") and the programs it asks for.

use std::collections::BTreeMap;

/// A program that an installer makes: `name = module:attribute`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct EntryPoint {
    /// The program's file name.
    pub name: String,
    /// The module to import.
    pub module: String,
    /// The callable in it, dotted.
    pub attribute: String,
}

/// Why an `entry_points.txt` can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EntryPointError {
    /// A line is neither a section, a comment nor `name = value`.
    #[error("line {line} of entry_points.txt is not 'name = value'")]
    Line {
        /// Counted from 1.
        line: usize,
    },
    /// A script's name is not a file name.
    #[error("script name {0:?} is not a plain file name")]
    Name(String),
    /// A script's value names no callable.
    #[error("script {name:?} has the value {value:?} instead of module:function")]
    Value {
        /// The script.
        name: String,
        /// Its value.
        value: String,
    },
}

/// The programs of the sections `console_scripts` and `gui_scripts`, by name.
///
/// On Linux both kinds are the same. Extras after the value (`[extra]`, deprecated) mean nothing
/// to an installer. Of two definitions of one name the console script wins, as with pip.
pub fn scripts(text: &str) -> Result<Vec<EntryPoint>, EntryPointError> {
    let mut found: BTreeMap<String, EntryPoint> = BTreeMap::new();
    for section in ["gui_scripts", "console_scripts"] {
        for (name, value) in section_items(text, section)? {
            let point = parse(name, value)?;
            found.insert(point.name.clone(), point);
        }
    }
    Ok(found.into_values().collect())
}

/// The items of one section, in the dialect that the specification takes from Python's
/// `configparser`: delimiter `=` only, case kept, whole-line comments.
fn section_items<'a>(
    text: &'a str,
    wanted: &str,
) -> Result<Vec<(&'a str, &'a str)>, EntryPointError> {
    let mut items = Vec::new();
    let mut section = "";
    for (i, raw) in text.lines().enumerate() {
        let line = raw.trim();
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        if let Some(name) = line.strip_prefix('[').and_then(|l| l.strip_suffix(']')) {
            section = name.trim();
            continue;
        }
        if section != wanted {
            continue;
        }
        let (name, value) = line.split_once('=').ok_or(EntryPointError::Line { line: i + 1 })?;
        items.push((name.trim(), value.trim()));
    }
    Ok(items)
}

fn parse(name: &str, value: &str) -> Result<EntryPoint, EntryPointError> {
    let plain = |c: char| !c.is_control() && !matches!(c, '/' | '\\');
    if name.is_empty() || name == "." || name == ".." || !name.chars().all(plain) {
        return Err(EntryPointError::Name(name.to_owned()));
    }
    let bad = || EntryPointError::Value { name: name.to_owned(), value: value.to_owned() };
    let reference = value.split('[').next().unwrap_or_default().trim();
    let (module, attribute) = reference.split_once(':').ok_or_else(bad)?;
    let (module, attribute) = (module.trim(), attribute.trim());
    if !is_dotted_name(module) || !is_dotted_name(attribute) {
        return Err(bad());
    }
    Ok(EntryPoint {
        name: name.to_owned(),
        module: module.to_owned(),
        attribute: attribute.to_owned(),
    })
}

/// Whether `text` is identifiers joined by dots: it is pasted into Python source.
fn is_dotted_name(text: &str) -> bool {
    text.split('.').all(|part| {
        let mut chars = part.chars();
        chars.next().is_some_and(|c| c == '_' || c.is_alphabetic())
            && chars.all(|c| c == '_' || c.is_alphanumeric())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_are_found() {
        let text = "\
            # comment\n[console_scripts]\nfoo = foo.cli:main\nBar=b:A.run [extra]\n\n\
            [gui_scripts]\n  gui = g:main\nfoo = other:main\n[pytest11]\nx = not a callable\n";
        let found: Vec<_> = scripts(text)
            .unwrap()
            .into_iter()
            .map(|p| format!("{} {} {}", p.name, p.module, p.attribute))
            .collect();
        assert_eq!(found, ["Bar b A.run", "foo foo.cli main", "gui g main"]);
    }

    #[test]
    fn hostile_scripts_are_refused() {
        for bad in [
            "../x = a:b",
            "a/b = a:b",
            ".. = a:b",
            "x = a",
            "x = a:b; import os",
            "x = a:",
            "x = :b",
            "x = a:b()",
            "noequals",
            " = a:b",
        ] {
            assert!(scripts(&format!("[console_scripts]\n{bad}\n")).is_err(), "{bad:?}");
        }
    }
}
