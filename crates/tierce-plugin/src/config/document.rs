//! A configuration file that is edited: everything else in it, comments and all, stays as it is.

use crate::flavor::Config;
use serde_json::Value as Json;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use tierce_oci::{Diagnostic, ErrorKind};
use toml_edit::{Array, DocumentMut, InlineTable, Item, Table, Value};

/// Where in a file the settings are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    /// At the top: the user's `config.toml`.
    Top,
    /// In `[workspace]`: a project's `tierce.toml`.
    Workspace,
}

/// A configuration file that is edited.
pub struct ConfigDocument {
    path: PathBuf,
    section: Section,
    document: DocumentMut,
}

/// Why a configuration file could not be edited.
#[derive(Debug, thiserror::Error)]
pub enum ConfigFileError {
    /// It is there but cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// It is no TOML.
    #[error("{} is not valid TOML", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// Where and what.
        source: Box<toml_edit::TomlError>,
    },
    /// Something that has to be a table is none.
    #[error("{} in {} is not a table", key, path.display())]
    NotATable {
        /// The file.
        path: PathBuf,
        /// The key, as `builders.ci`.
        key: String,
    },
    /// It cannot be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
}

impl Diagnostic for ConfigFileError {
    fn code(&self) -> &'static str {
        match self {
            ConfigFileError::Read { .. } => "config/unreadable",
            ConfigFileError::Parse { .. } | ConfigFileError::NotATable { .. } => "config/invalid",
            ConfigFileError::Write { .. } => "config/unwritable",
        }
    }

    fn kind(&self) -> ErrorKind {
        match self {
            ConfigFileError::Parse { .. } | ConfigFileError::NotATable { .. } => ErrorKind::User,
            ConfigFileError::Read { .. } | ConfigFileError::Write { .. } => ErrorKind::Environment,
        }
    }
}

impl ConfigDocument {
    /// Opens a file; one that is not there is empty.
    pub fn open(path: &Path, section: Section) -> Result<Self, ConfigFileError> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(source) => return Err(ConfigFileError::Read { path: path.to_owned(), source }),
        };
        let document = text.parse().map_err(|source| ConfigFileError::Parse {
            path: path.to_owned(),
            source: Box::new(source),
        })?;
        Ok(ConfigDocument { path: path.to_owned(), section, document })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the file has `[builders.NAME]`.
    pub fn has_builder(&self, name: &str) -> bool {
        self.has("builders", name)
    }

    /// Whether the file has `[flavors.NAME]`.
    pub fn has_flavor(&self, name: &str) -> bool {
        self.has("flavors", name)
    }

    /// Whether the file names this builder as the default.
    pub fn is_default(&self, name: &str) -> bool {
        self.settings().and_then(|t| t.get("builder")).and_then(Item::as_str) == Some(name)
    }

    /// Writes `[builders.NAME]`; keys that stay keep their place and their comments.
    pub fn set_builder(
        &mut self,
        name: &str,
        flavor: &str,
        config: &Config,
    ) -> Result<(), ConfigFileError> {
        let table = self.entry("builders", name)?;
        let stays = |key: &str| key == "flavor" || key == "limits" || config.contains_key(key);
        let gone: Vec<String> =
            table.iter().map(|(key, _)| key.to_owned()).filter(|key| !stays(key)).collect();
        for key in gone {
            table.remove(&key);
        }
        set(table, "flavor", Value::from(flavor));
        for (key, value) in config {
            if let Some(value) = toml_of(value) {
                set(table, key, value);
            }
        }
        Ok(())
    }

    /// Writes `[flavors.NAME]`.
    pub fn set_flavor(&mut self, name: &str, program: &Path) -> Result<(), ConfigFileError> {
        let table = self.entry("flavors", name)?;
        set(table, "program", Value::from(program.to_string_lossy().as_ref()));
        Ok(())
    }

    /// Names the default builder.
    pub fn set_default(&mut self, name: &str) -> Result<(), ConfigFileError> {
        let table = self.settings_mut()?;
        set(table, "builder", Value::from(name));
        Ok(())
    }

    /// Removes `[builders.NAME]`, and the default if it is this builder.
    pub fn remove_builder(&mut self, name: &str) -> Result<(), ConfigFileError> {
        if self.is_default(name) {
            self.settings_mut()?.remove("builder");
        }
        self.remove("builders", name)
    }

    /// Removes `[flavors.NAME]`.
    pub fn remove_flavor(&mut self, name: &str) -> Result<(), ConfigFileError> {
        self.remove("flavors", name)
    }

    /// Writes the file, whole or not at all.
    pub fn save(&self) -> Result<(), ConfigFileError> {
        self.write().map_err(|source| ConfigFileError::Write { path: self.path.clone(), source })
    }

    fn write(&self) -> std::io::Result<()> {
        // A link stays one: what it points to is written.
        let target = std::fs::canonicalize(&self.path).unwrap_or_else(|_| self.path.clone());
        let directory = match target.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        std::fs::create_dir_all(directory)?;
        let mode = std::fs::metadata(&target).map(|m| m.permissions().mode());
        let mut file = tempfile::Builder::new()
            .prefix(".tierce-config-")
            .permissions(std::fs::Permissions::from_mode(mode.unwrap_or(0o600) & 0o777))
            .tempfile_in(directory)?;
        file.write_all(self.document.to_string().as_bytes())?;
        file.as_file().sync_all()?;
        file.persist(&target).map(drop).map_err(|e| e.error)
    }

    fn settings(&self) -> Option<&Table> {
        let top = self.document.as_table();
        match self.section {
            Section::Top => Some(top),
            Section::Workspace => top.get("workspace")?.as_table(),
        }
    }

    fn settings_mut(&mut self) -> Result<&mut Table, ConfigFileError> {
        let top = self.document.as_table_mut();
        match self.section {
            Section::Top => Ok(top),
            Section::Workspace => table_in(top, "workspace", "workspace", false, &self.path),
        }
    }

    fn has(&self, kind: &str, name: &str) -> bool {
        let table = self.settings().and_then(|t| t.get(kind)).and_then(Item::as_table_like);
        table.is_some_and(|t| t.contains_key(name))
    }

    fn entry(&mut self, kind: &str, name: &str) -> Result<&mut Table, ConfigFileError> {
        let path = self.path.clone();
        let settings = self.settings_mut()?;
        let table = table_in(settings, kind, kind, true, &path)?;
        table_in(table, name, &format!("{kind}.{name}"), false, &path)
    }

    fn remove(&mut self, kind: &str, name: &str) -> Result<(), ConfigFileError> {
        let path = self.path.clone();
        let settings = self.settings_mut()?;
        let table = table_in(settings, kind, kind, true, &path)?;
        table.remove(name);
        if table.is_empty() {
            settings.remove(kind);
        }
        Ok(())
    }
}

/// The table `key` of `parent`, made if need be; inline tables become ordinary ones.
fn table_in<'a>(
    parent: &'a mut Table,
    key: &str,
    shown: &str,
    implicit: bool,
    path: &Path,
) -> Result<&'a mut Table, ConfigFileError> {
    let item = parent.entry(key).or_insert_with(|| {
        let mut table = Table::new();
        table.set_implicit(implicit);
        Item::Table(table)
    });
    if let Some(inline) = item.as_inline_table() {
        *item = Item::Table(inline.clone().into_table());
    }
    item.as_table_mut()
        .ok_or_else(|| ConfigFileError::NotATable { path: path.to_owned(), key: shown.to_owned() })
}

/// Sets a key; a value that was there before leaves its comments behind.
fn set(table: &mut Table, key: &str, mut value: Value) {
    match table.get_mut(key).and_then(Item::as_value_mut) {
        Some(old) => {
            *value.decor_mut() = old.decor().clone();
            *old = value;
        }
        None => drop(table.insert(key, Item::Value(value))),
    }
}

/// TOML has no null: such keys are left out.
fn toml_of(value: &Json) -> Option<Value> {
    Some(match value {
        Json::Null => return None,
        Json::Bool(flag) => Value::from(*flag),
        Json::Number(number) => match number.as_i64() {
            Some(whole) => Value::from(whole),
            None => Value::from(number.as_f64()?),
        },
        Json::String(text) => Value::from(text.as_str()),
        Json::Array(list) => Value::Array(list.iter().filter_map(toml_of).collect::<Array>()),
        Json::Object(object) => {
            let entries = object.iter().filter_map(|(k, v)| Some((k.as_str(), toml_of(v)?)));
            Value::InlineTable(entries.collect::<InlineTable>())
        }
    })
}
