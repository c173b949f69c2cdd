//! Projects and what is chosen of them.

use super::problem::{Fault, Reporter};
use super::{Item, values};
use crate::{Groups, Project, ProjectKind, Selection};

const SELECTION: &str = "spec/invalid-selection";

/// Checks a project's paths, and the names of what is chosen of it.
pub(super) fn check(r: &mut Reporter<'_>, project: &Project) {
    r.check([], values::host_path(&project.manifest));
    if let Some(lock) = &project.lock {
        r.check([Item::Part("lock")], values::host_path(lock));
    }
    let Selection {
        groups,
        with_groups,
        without_groups,
        extras: _,
        with_extras,
        without_extras,
        packages,
    } = &project.selection;
    for (part, names) in [
        ("with-groups", with_groups),
        ("without-groups", without_groups),
        ("with-extras", with_extras),
        ("without-extras", without_extras),
        ("packages", packages),
    ] {
        for (index, name) in names.iter().enumerate() {
            r.check([Item::Part(part), Item::Index(index)], check_name(name));
        }
    }
    if *groups == Groups::Only && with_groups.is_empty() {
        let fault = Fault::new(SELECTION, "groups = \"only\" installs nothing by itself")
            .hint("Name the groups with with-groups.");
        r.report([Item::Part("groups")], fault);
    }
    if project.kind != ProjectKind::Uv && !packages.is_empty() {
        let fault = Fault::new(SELECTION, "only uv's projects have workspaces");
        r.report([Item::Part("packages")], fault);
    }
}

/// Group and extra names are names as packages have them (PEP 735, PEP 685).
fn check_name(name: &str) -> Result<(), Fault> {
    let is_inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let is_edge = |c: char| c.is_ascii_alphanumeric();
    match name.starts_with(is_edge) && name.ends_with(is_edge) && name.chars().all(is_inner) {
        true => Ok(()),
        false => Err(Fault::new(SELECTION, format!("{name:?} is not a name"))
            .hint("Names have letters, digits, '-', '_' and '.', and begin and end with either.")),
    }
}
