//! What people see of builders and flavors.

use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write;
use tierce::Capabilities;
use tierce::plugin::{
    BuilderEntry, Builders, Config, ConfigSchema, FlavorDescription, FlavorOrigin, Origin,
};

/// Rows of cells as lines, each column as wide as its widest cell.
pub fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width =
        |n: usize| rows.iter().filter_map(|row| row.get(n)).map(|c| c.chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|n| width(n).unwrap_or(0)).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

pub fn list(builders: &BTreeMap<String, BuilderEntry>, all: &Builders, default: &str) -> String {
    let flavors = all.flavors().list();
    let origin = |entry: &BuilderEntry| match &entry.origin {
        Origin::Registered { file } => format!("registered: {}", file.display()),
        Origin::Flavor => flavors.get(&entry.flavor).map(ToString::to_string).unwrap_or_default(),
    };
    let row = |entry: &BuilderEntry| {
        let mark = if entry.name == default { "* " } else { "  " };
        vec![format!("{mark}{}", entry.name), entry.flavor.clone(), origin(entry)]
    };
    table(&builders.values().map(row).collect::<Vec<_>>())
}

/// Builders as programs read their list: which values are secrets, only a flavor knows that has
/// been loaded, which lists do not do.
pub fn without_values(builders: &BTreeMap<String, BuilderEntry>) -> Vec<BuilderEntry> {
    let bare = |entry: &BuilderEntry| BuilderEntry { config: Config::new(), ..entry.clone() };
    builders.values().map(bare).collect()
}

/// A name, and what there is to be said about it.
pub fn title(name: &str, summary: &str) -> String {
    match summary {
        "" => name.to_owned(),
        summary => format!("{name}: {summary}"),
    }
}

pub fn flavors(flavors: &BTreeMap<String, FlavorOrigin>) -> String {
    let row = |(name, origin): (&String, &FlavorOrigin)| vec![name.clone(), origin.to_string()];
    table(&flavors.iter().map(row).collect::<Vec<_>>())
}

/// The keys of a flavor, one a line.
pub fn keys(schema: &ConfigSchema) -> String {
    let row = |(key, property): (&str, &tierce::plugin::Property)| {
        let rule = match (&property.default, property.required) {
            (Some(default), _) => format!("default {default}"),
            (None, true) => "required".to_owned(),
            (None, false) => String::new(),
        };
        let about = property.description.clone().unwrap_or_default();
        vec![format!("  --{key}"), property.expected(), rule, about]
    };
    match schema.properties().map(row).collect::<Vec<_>>().as_slice() {
        [] => "  (none)".to_owned(),
        rows => table(rows),
    }
}

/// A builder as it is described.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Description {
    #[serde(flatten)]
    entry: Option<BuilderEntry>,
    summary: String,
    version: String,
    capabilities: Capabilities,
}

impl Description {
    pub fn new(
        entry: Option<BuilderEntry>,
        flavor: &FlavorDescription,
        capabilities: Capabilities,
    ) -> Self {
        let shown = |entry: BuilderEntry| BuilderEntry {
            config: flavor.schema.redact(&entry.config),
            ..entry
        };
        Description {
            entry: entry.map(shown),
            summary: flavor.summary.clone(),
            version: flavor.version.clone(),
            capabilities,
        }
    }

    pub fn text(&self) -> String {
        let mut text = String::new();
        if let Some(entry) = &self.entry {
            let _ = writeln!(text, "{}", title(&entry.name, &self.summary));
            let _ = writeln!(text, "flavor        {} {}", entry.flavor, self.version);
            if let Origin::Registered { file } = &entry.origin {
                let _ = writeln!(text, "registered    {}", file.display());
            }
            config(&mut text, &entry.config);
        }
        let Capabilities { exports, multi_platform, secrets, dockerfiles, reproducible } =
            &self.capabilities;
        let exports: Vec<String> = exports
            .iter()
            .filter_map(|e| Some(serde_json::to_value(e).ok()?.as_str()?.to_owned()))
            .collect();
        let _ = writeln!(text, "delivers to   {}", exports.join(", "));
        for (name, able) in [
            ("multiplatform", multi_platform),
            ("secrets", secrets),
            ("Dockerfiles", dockerfiles),
            ("reproducible", reproducible),
        ] {
            let _ = writeln!(text, "{name:<13} {}", if *able { "yes" } else { "no" });
        }
        text.trim_end().to_owned()
    }
}

fn config(text: &mut String, config: &Config) {
    for (key, value) in config {
        let _ = writeln!(text, "  {key} = {value}");
    }
}
