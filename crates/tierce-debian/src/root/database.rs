//! dpkg's records of what is unpacked: `/var/lib/dpkg`.

use super::RootError;
use super::tree::Tree;
use crate::control::push_field;
use crate::deb::UnpackedDeb;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use tierce_layer::{Entry, LayerPath};

const ADMIN: &str = "var/lib/dpkg";

/// The order in which dpkg itself writes fields (its `fieldinfos`); others follow as they come.
const FIELD_ORDER: &[&str] = &[
    "Package",
    "Essential",
    "Protected",
    "Status",
    "Priority",
    "Section",
    "Installed-Size",
    "Origin",
    "Maintainer",
    "Bugs",
    "Architecture",
    "Multi-Arch",
    "Source",
    "Version",
    "Replaces",
    "Provides",
    "Depends",
    "Pre-Depends",
    "Recommends",
    "Suggests",
    "Breaks",
    "Conflicts",
    "Enhances",
    "Conffiles",
    "Description",
];

pub(super) fn add(tree: &mut Tree, debs: &[&UnpackedDeb]) -> Result<(), RootError> {
    for directory in ["alternatives", "info", "parts", "triggers", "updates"] {
        tree.add_directory(&format!("{ADMIN}/{directory}"), 0o755)?;
    }
    let mut by_name: Vec<(usize, &UnpackedDeb)> = debs.iter().copied().enumerate().collect();
    by_name.sort_by_key(|(_, deb)| deb.name());
    let mut status = String::new();
    for (_, deb) in &by_name {
        write_stanza(&mut status, deb);
    }
    add_text(tree, "status", status)?;
    for empty in ["available", "diversions", "statoverride"] {
        add_text(tree, empty, String::new())?;
    }
    add_text(tree, "info/format", "1\n".to_owned())?;
    for (n, deb) in &by_name {
        add_info(tree, *n, deb)?;
    }
    add_triggers(tree, &by_name)
}

fn admin_path(name: &str) -> LayerPath {
    LayerPath::new(format!("{ADMIN}/{name}")).expect("names in it are checked")
}

fn add_text(tree: &mut Tree, name: &str, text: String) -> Result<(), RootError> {
    tree.add_file(Entry::file(admin_path(name), 0), text.into_bytes())
}

fn write_stanza(out: &mut String, deb: &UnpackedDeb) {
    let paragraph = deb.paragraph();
    for field in FIELD_ORDER {
        match *field {
            "Status" => push_field(out, field, "install ok unpacked"),
            "Conffiles" => {
                let mut lines = String::new();
                for conffile in deb.conffiles() {
                    let _ = write!(lines, "\n {} {}", conffile.path, conffile.md5);
                }
                if !lines.is_empty() {
                    push_field(out, field, &lines);
                }
            }
            _ => {
                if let Some(value) = paragraph.get(field) {
                    push_field(out, field, value);
                }
            }
        }
    }
    let known = |name: &str| FIELD_ORDER.iter().any(|field| field.eq_ignore_ascii_case(name));
    for (name, value) in paragraph.fields().filter(|(name, _)| !known(name)) {
        push_field(out, name, value);
    }
    out.push('\n');
}

fn add_info(tree: &mut Tree, n: usize, deb: &UnpackedDeb) -> Result<(), RootError> {
    let name = deb.info_name();
    for (kind, file) in deb.control_files() {
        let mode = match kind.as_str() {
            "preinst" | "postinst" | "prerm" | "postrm" | "config" => 0o755,
            _ => 0o644,
        };
        let path = admin_path(&format!("info/{name}.{kind}"));
        let entry = Entry::file(path, 0).with_mode(mode).with_mtime(file.mtime);
        tree.add_file(entry, file.content.clone())?;
    }
    let mut list = Vec::new();
    for entry in deb.entries().filter(|entry| !tree.has_lost(n, &entry.path)) {
        list.push(b'/');
        list.extend_from_slice(if entry.path.is_root() { b"." } else { entry.path.as_bytes() });
        list.push(b'\n');
    }
    tree.add_file(Entry::file(admin_path(&format!("info/{name}.list")), 0), list)
}

/// Who waits for which trigger (`deb-triggers(5)`): `triggers/File` for paths, and a file per
/// other trigger.
fn add_triggers(tree: &mut Tree, debs: &[(usize, &UnpackedDeb)]) -> Result<(), RootError> {
    let mut interests: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (_, deb) in debs {
        let Some(file) = deb.control_files().get("triggers") else { continue };
        for line in String::from_utf8_lossy(&file.content).lines() {
            let line = line.split('#').next().unwrap_or("");
            let mut words = line.split_ascii_whitespace();
            let suffix = match words.next() {
                Some("interest" | "interest-await") => "",
                Some("interest-noawait") => "/noawait",
                _ => continue,
            };
            if let Some(trigger) = words.next() {
                let waiting = interests.entry(trigger.to_owned()).or_default();
                waiting.push(format!("{}{suffix}", deb.info_name()));
            }
        }
    }
    let mut paths = String::new();
    for (trigger, waiting) in interests {
        if trigger.starts_with('/') {
            for package in waiting {
                let _ = writeln!(paths, "{trigger} {package}");
            }
        } else if trigger.bytes().all(|b| b.is_ascii_graphic() && b != b'/') && trigger != ".." {
            let text = waiting.into_iter().map(|package| package + "\n").collect();
            add_text(tree, &format!("triggers/{trigger}"), text)?;
        }
    }
    add_text(tree, "triggers/File", paths)?;
    add_text(tree, "triggers/Unincorp", String::new())
}
