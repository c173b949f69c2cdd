//! What is chosen of a project, in the words of who reads its lock.

use tierce_spec::{Extras, Groups, Project, ProjectInstall, Selection};
use tierce_wheel::poetry::{PoetryExtras, PoetryGroups, PoetrySelection};
use tierce_wheel::{PylockGroups, PylockSelection};

/// The arguments of `uv export`.
pub fn uv_arguments(project: &Project) -> Vec<String> {
    let Selection {
        groups,
        with_groups,
        without_groups,
        extras,
        with_extras,
        without_extras,
        packages,
    } = &project.selection;
    let group = match groups {
        Groups::Only => "--only-group",
        Groups::Defaults | Groups::None | Groups::All => "--group",
    };
    let mut arguments = vec![];
    match groups {
        Groups::None => arguments.push("--no-default-groups".to_owned()),
        Groups::All => arguments.push("--all-groups".to_owned()),
        Groups::Defaults | Groups::Only => {}
    }
    if *extras == Extras::All {
        arguments.push("--all-extras".to_owned());
    }
    for (option, values) in [
        (group, with_groups),
        ("--no-group", without_groups),
        ("--extra", with_extras),
        ("--no-extra", without_extras),
        ("--package", packages),
    ] {
        // As one word: a name is never taken for an option.
        arguments.extend(values.iter().map(|value| format!("{option}={value}")));
    }
    if project.install == ProjectInstall::DependenciesOnly {
        match packages.as_slice() {
            [] => arguments.push("--no-emit-project".to_owned()),
            some => arguments.extend(some.iter().map(|name| format!("--no-emit-package={name}"))),
        }
    }
    arguments
}

/// The same for Poetry.
pub fn poetry_selection(selection: &Selection) -> PoetrySelection {
    let Selection {
        groups,
        with_groups,
        without_groups,
        extras,
        with_extras,
        without_extras,
        packages: _,
    } = selection;
    PoetrySelection {
        groups: match groups {
            Groups::Defaults => PoetryGroups::Defaults,
            Groups::None => PoetryGroups::None,
            Groups::All => PoetryGroups::All,
            Groups::Only => PoetryGroups::Only,
        },
        with_groups: with_groups.clone(),
        without_groups: without_groups.clone(),
        extras: match extras {
            Extras::None => PoetryExtras::None,
            Extras::All => PoetryExtras::All,
        },
        with_extras: with_extras.clone(),
        without_extras: without_extras.clone(),
    }
}

/// The same for `pylock.toml` files. What is in no group is always there: lock files have a group
/// of its own for what a project itself requires, where that can be left out.
pub fn pylock_selection(selection: &Selection) -> PylockSelection {
    let Selection {
        groups,
        with_groups,
        without_groups,
        extras,
        with_extras,
        without_extras,
        packages: _,
    } = selection;
    PylockSelection {
        groups: match groups {
            Groups::Defaults => PylockGroups::Defaults,
            Groups::None | Groups::Only => PylockGroups::None,
            Groups::All => PylockGroups::All,
        },
        with_groups: with_groups.clone(),
        without_groups: without_groups.clone(),
        all_extras: *extras == Extras::All,
        with_extras: with_extras.clone(),
        without_extras: without_extras.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tierce_spec::ProjectKind;

    #[test]
    fn selections_are_uvs_arguments() {
        let names = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
        let all = |selection: Selection, install: ProjectInstall| {
            let project = Project::new(ProjectKind::Uv, "p").with_selection(selection);
            uv_arguments(&project.with_install(install)).join(" ")
        };
        let whole = ProjectInstall::InstallProject;
        assert_eq!(all(Selection::default(), whole), "");
        let dependencies = ProjectInstall::DependenciesOnly;
        assert_eq!(all(Selection::default(), dependencies), "--no-emit-project");
        let some = Selection {
            groups: Groups::None,
            with_groups: names(&["a"]),
            without_groups: names(&["b"]),
            with_extras: names(&["x"]),
            without_extras: names(&["y"]),
            packages: names(&["m", "n"]),
            ..Selection::default()
        };
        let expected = "--no-default-groups --group=a --no-group=b --extra=x --no-extra=y \
                        --package=m --package=n --no-emit-package=m --no-emit-package=n";
        assert_eq!(all(some, dependencies), expected);
        let only = Selection {
            groups: Groups::Only,
            with_groups: names(&["a", "b"]),
            extras: Extras::All,
            ..Selection::default()
        };
        assert_eq!(all(only, whole), "--all-extras --only-group=a --only-group=b");
    }
}
