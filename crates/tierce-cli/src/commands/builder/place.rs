//! Which configuration file is edited.

use super::error::BuilderCommandError;
use crate::commands::failure::Failure;
use std::path::PathBuf;
use tierce::Settings;
use tierce::config::FileKind;
use tierce::plugin::{ConfigDocument, ConfigFileError, Section};

/// A configuration file.
pub struct Place {
    path: PathBuf,
    section: Section,
}

impl Place {
    /// The project's file, or the user's.
    pub fn new(settings: &Settings, project: bool) -> Result<Self, BuilderCommandError> {
        match project {
            true => Self::project(settings).ok_or(BuilderCommandError::NoProject),
            false => Self::user(settings).ok_or(BuilderCommandError::NoHome),
        }
    }

    /// The user's file.
    pub fn user(settings: &Settings) -> Option<Self> {
        Some(Place { path: file(settings, FileKind::User)?, section: Section::Top })
    }

    /// The nearest file with a workspace, or the `tierce.toml` that is here.
    fn project(settings: &Settings) -> Option<Self> {
        let here = || Some(PathBuf::from("tierce.toml")).filter(|path| path.is_file());
        let path = file(settings, FileKind::Workspace).or_else(here)?;
        Some(Place { path, section: Section::Workspace })
    }

    /// The file that registers a builder, which is the user's.
    pub fn of_builder(settings: &Settings, name: &str) -> Result<Option<ConfigDocument>, Failure> {
        let Some(place) = Self::user(settings) else { return Ok(None) };
        let document = place.open()?;
        Ok(Some(document).filter(|document| document.has_builder(name)))
    }

    pub fn open(&self) -> Result<ConfigDocument, ConfigFileError> {
        ConfigDocument::open(&self.path, self.section)
    }
}

fn file(settings: &Settings, kind: FileKind) -> Option<PathBuf> {
    settings.files.iter().find(|file| file.kind == kind).map(|file| file.path.clone())
}
