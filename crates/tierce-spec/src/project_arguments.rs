//! What of a project is installed, as arguments of `uv sync` and `poetry install` say it.
//!
//! Nothing runs these commands. An argument that says what is installed is followed; one that says
//! how is left out, since the environment is assembled; any other is an error, for what it asks
//! for would not be done.

use crate::{Extras, Groups, ProjectInstall, Selection};
use tierce_oci::without_credentials;

/// What arguments of `uv sync` or `poetry install` come to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProjectArguments {
    /// What they choose.
    pub selection: Selection,
    /// Whether the project itself is installed, where they say it.
    pub install: Option<ProjectInstall>,
    /// The package index.
    pub index: Option<String>,
    /// Further indexes.
    pub extra_indexes: Vec<String>,
    /// Whether all members of the workspace are installed.
    pub all_packages: bool,
    /// Whether the group `dev` is asked for, if there is one.
    pub dev: bool,
}

/// An argument that can't be followed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProjectArgumentError {
    /// It asks for what can't be done where the command does not run.
    #[error("{argument:?} has no meaning: the environment is put together from the lock")]
    Unknown {
        /// The argument, without credentials.
        argument: String,
        /// Those that say what is installed.
        known: Vec<&'static str>,
    },
    /// It needs a value.
    #[error("{argument} needs a value")]
    NoValue {
        /// The argument.
        argument: String,
    },
}

/// What an argument means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Means {
    Groups(Groups),
    WithGroup,
    WithoutGroup,
    OnlyGroup,
    Dev,
    NoDev,
    OnlyDev,
    AllExtras,
    WithExtra,
    WithoutExtra,
    Package,
    AllPackages,
    NoProject,
    Index,
    ExtraIndex,
    /// It says how something is done that is not done here, or what is done anyway.
    Nothing,
    /// The same, with a value.
    NothingWithValue,
}

impl Means {
    fn takes_value(self) -> bool {
        use Means::*;
        matches!(
            self,
            WithGroup
                | WithoutGroup
                | OnlyGroup
                | WithExtra
                | WithoutExtra
                | Package
                | Index
                | ExtraIndex
                | NothingWithValue
        )
    }

    fn is_known_to_users(self) -> bool {
        !matches!(self, Means::Nothing | Means::NothingWithValue)
    }
}

type Table = &'static [(&'static str, Means)];

/// `uv sync`.
const UV: Table = &[
    ("--group", Means::WithGroup),
    ("--no-group", Means::WithoutGroup),
    ("--only-group", Means::OnlyGroup),
    ("--all-groups", Means::Groups(Groups::All)),
    ("--no-default-groups", Means::Groups(Groups::None)),
    ("--dev", Means::Dev),
    ("--no-dev", Means::NoDev),
    ("--only-dev", Means::OnlyDev),
    ("--extra", Means::WithExtra),
    ("--all-extras", Means::AllExtras),
    ("--no-extra", Means::WithoutExtra),
    ("--package", Means::Package),
    ("--all-packages", Means::AllPackages),
    ("--no-install-project", Means::NoProject),
    ("--index-url", Means::Index),
    ("-i", Means::Index),
    ("--default-index", Means::Index),
    ("--extra-index-url", Means::ExtraIndex),
    ("--index", Means::ExtraIndex),
    // The lock is what counts, whatever else is there, and nothing is installed in place.
    ("--frozen", Means::Nothing),
    ("--locked", Means::Nothing),
    ("--inexact", Means::Nothing),
    ("--active", Means::Nothing),
    ("--no-active", Means::Nothing),
    ("--no-editable", Means::Nothing),
    ("--no-editable-package", Means::NothingWithValue),
    ("--reinstall", Means::Nothing),
    ("--force-reinstall", Means::Nothing),
    ("--reinstall-package", Means::NothingWithValue),
    ("--refresh", Means::Nothing),
    ("--refresh-package", Means::NothingWithValue),
    ("--link-mode", Means::NothingWithValue),
    ("--compile-bytecode", Means::Nothing),
    ("--compile", Means::Nothing),
    ("--no-compile-bytecode", Means::Nothing),
    ("--no-cache", Means::Nothing),
    ("--no-cache-dir", Means::Nothing),
    ("-n", Means::Nothing),
    ("--cache-dir", Means::NothingWithValue),
    ("--python", Means::NothingWithValue),
    ("-p", Means::NothingWithValue),
    ("--python-preference", Means::NothingWithValue),
    ("--managed-python", Means::Nothing),
    ("--no-managed-python", Means::Nothing),
    ("--no-python-downloads", Means::Nothing),
    ("--native-tls", Means::Nothing),
    ("--system-certs", Means::Nothing),
    ("--preview", Means::Nothing),
    ("--no-preview", Means::Nothing),
    ("--output-format", Means::NothingWithValue),
    ("--color", Means::NothingWithValue),
    ("--no-progress", Means::Nothing),
    ("--quiet", Means::Nothing),
    ("-q", Means::Nothing),
    ("--verbose", Means::Nothing),
    ("-v", Means::Nothing),
];

/// `poetry install`, of 1.x and 2.x.
const POETRY: Table = &[
    ("--with", Means::WithGroup),
    ("--without", Means::WithoutGroup),
    ("--only", Means::OnlyGroup),
    ("--all-groups", Means::Groups(Groups::All)),
    ("--no-dev", Means::Groups(Groups::None)),
    ("--dev-only", Means::OnlyDev),
    ("--extras", Means::WithExtra),
    ("-E", Means::WithExtra),
    ("--all-extras", Means::AllExtras),
    ("--no-root", Means::NoProject),
    ("--sync", Means::Nothing),
    ("--remove-untracked", Means::Nothing),
    ("--compile", Means::Nothing),
    ("--no-interaction", Means::Nothing),
    ("-n", Means::Nothing),
    ("--no-ansi", Means::Nothing),
    ("--ansi", Means::Nothing),
    ("--no-plugins", Means::Nothing),
    ("--no-cache", Means::Nothing),
    ("--quiet", Means::Nothing),
    ("-q", Means::Nothing),
    ("--verbose", Means::Nothing),
    ("-v", Means::Nothing),
    ("-vv", Means::Nothing),
    ("-vvv", Means::Nothing),
];

/// The group of a Poetry project that its own dependencies are in.
const MAIN: &str = "main";
/// The group that uv has words of its own for.
const DEV: &str = "dev";

/// What adds an argument; false where it makes no sense.
type Add = fn(&mut ProjectArguments, Means, &str) -> bool;

fn read(
    table: Table,
    words: &[String],
    add: Add,
) -> Result<ProjectArguments, ProjectArgumentError> {
    let mut chosen = ProjectArguments::default();
    let unknown = |argument: &str| ProjectArgumentError::Unknown {
        argument: without_credentials(argument),
        known: known(table),
    };
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let (option, mut value) = split(table, word);
        let means = table.iter().find(|(name, _)| *name == option).map(|(_, means)| *means);
        let means = means.ok_or_else(|| unknown(option))?;
        if means.takes_value() && value.is_none() {
            let no_value = || ProjectArgumentError::NoValue { argument: option.to_owned() };
            value = Some(words.next().ok_or_else(no_value)?.clone());
        }
        let said = value.as_deref().unwrap_or_default();
        if (!means.takes_value() && value.is_some()) || !add(&mut chosen, means, said) {
            return Err(unknown(word));
        }
    }
    Ok(chosen)
}

/// The members of the workspace whose `uv.lock` says `lock`; none where there is but one project.
pub fn workspace_members(lock: &str) -> Vec<String> {
    let lock = lock.parse::<toml::Table>().ok();
    let members = || lock.as_ref()?.get("manifest")?.get("members")?.as_array();
    let names = members().into_iter().flatten().filter_map(toml::Value::as_str);
    names.map(str::to_owned).collect()
}

/// An option and the value that is in the same word: `--group=dev`, `-Edev`.
fn split(table: Table, word: &str) -> (&str, Option<String>) {
    if let (true, Some((option, value))) = (word.starts_with("--"), word.split_once('=')) {
        return (option, Some(value.to_owned()));
    }
    let is_short = word.len() > 2 && word.starts_with('-') && !word.starts_with("--");
    if let (true, Some((option, value))) = (is_short, word.split_at_checked(2))
        && table.iter().any(|(name, means)| *name == option && means.takes_value())
    {
        return (option, Some(value.trim_start_matches('=').to_owned()));
    }
    (word, None)
}

/// The arguments that say what is installed.
fn known(table: Table) -> Vec<&'static str> {
    table.iter().filter(|(_, means)| means.is_known_to_users()).map(|(name, _)| *name).collect()
}

/// Names with commas or blanks between them.
fn names(text: &str) -> impl Iterator<Item = String> {
    let parts = text.split(|c: char| c == ',' || c.is_whitespace());
    parts.filter(|name| !name.is_empty()).map(str::to_owned)
}

impl ProjectArguments {
    /// What arguments of `uv sync` come to.
    ///
    /// # Errors
    /// The first that can't be followed.
    pub fn of_uv(words: &[String]) -> Result<Self, ProjectArgumentError> {
        read(UV, words, ProjectArguments::add)
    }

    /// What arguments of `poetry install` come to, of 1.x and 2.x.
    ///
    /// # Errors
    /// The first that can't be followed.
    pub fn of_poetry(words: &[String]) -> Result<Self, ProjectArgumentError> {
        read(POETRY, words, ProjectArguments::add_of_poetry)
    }

    fn add(&mut self, means: Means, value: &str) -> bool {
        let selection = &mut self.selection;
        match means {
            Means::Groups(groups) => selection.groups = groups,
            Means::WithGroup => selection.with_groups.extend(names(value)),
            Means::WithoutGroup => selection.without_groups.extend(names(value)),
            Means::OnlyGroup => {
                selection.groups = Groups::Only;
                selection.with_groups.extend(names(value));
            }
            Means::Dev => self.dev = true,
            Means::NoDev => selection.without_groups.push(DEV.to_owned()),
            Means::OnlyDev => {
                selection.groups = Groups::Only;
                selection.with_groups.push(DEV.to_owned());
            }
            Means::AllExtras => selection.extras = Extras::All,
            Means::WithExtra => selection.with_extras.extend(names(value)),
            Means::WithoutExtra => selection.without_extras.extend(names(value)),
            Means::Package => selection.packages.extend(names(value)),
            Means::AllPackages => self.all_packages = true,
            Means::NoProject => self.install = Some(ProjectInstall::DependenciesOnly),
            Means::Index => self.index = Some(value.to_owned()),
            Means::ExtraIndex => self.extra_indexes.push(value.to_owned()),
            Means::Nothing | Means::NothingWithValue => {}
        }
        true
    }

    /// Poetry's own dependencies are in a group called `main`.
    fn add_of_poetry(&mut self, means: Means, value: &str) -> bool {
        let has_main = names(value).any(|name| name == MAIN);
        let others: Vec<String> = names(value).filter(|name| name != MAIN).collect();
        match (means, has_main) {
            (Means::WithGroup, true) => self.selection.with_groups.extend(others),
            // All but these, and not what the project itself depends on: nothing says that.
            (Means::WithoutGroup, true) => return false,
            (Means::OnlyGroup, true) => {
                self.selection.groups = Groups::None;
                self.selection.with_groups.extend(others);
            }
            _ => return self.add(means, value),
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Found = Result<ProjectArguments, ProjectArgumentError>;

    fn words(text: &str) -> Vec<String> {
        text.split(' ').filter(|word| !word.is_empty()).map(|word| word.replace('+', " ")).collect()
    }

    fn uv(text: &str) -> Found {
        ProjectArguments::of_uv(&words(text))
    }

    fn poetry(text: &str) -> Found {
        ProjectArguments::of_poetry(&words(text))
    }

    fn strings(all: &[&str]) -> Vec<String> {
        all.iter().map(|name| (*name).to_owned()).collect()
    }

    fn selection(groups: Groups, with: &[&str], without: &[&str]) -> Selection {
        let (with_groups, without_groups) = (strings(with), strings(without));
        Selection { groups, with_groups, without_groups, ..Selection::default() }
    }

    #[test]
    fn groups_are_understood() {
        use Groups::{All, Defaults, None, Only};
        for (text, expected) in [
            ("", selection(Defaults, &[], &[])),
            ("--group docs --group=lint", selection(Defaults, &["docs", "lint"], &[])),
            ("--no-group docs --no-dev", selection(Defaults, &[], &["docs", "dev"])),
            ("--only-group a --only-group b", selection(Only, &["a", "b"], &[])),
            ("--only-dev", selection(Only, &["dev"], &[])),
            ("--all-groups --no-group a", selection(All, &[], &["a"])),
            ("--no-default-groups --group a", selection(None, &["a"], &[])),
            ("--frozen -q --link-mode copy --no-editable", selection(Defaults, &[], &[])),
        ] {
            assert_eq!(uv(text).unwrap().selection, expected, "{text}");
        }
        for (text, expected) in [
            ("--with a,b --without c", selection(Defaults, &["a", "b"], &["c"])),
            ("--only main", selection(None, &[], &[])),
            ("--only main,docs -n", selection(None, &["docs"], &[])),
            ("--only docs --sync", selection(Only, &["docs"], &[])),
            ("--with main,a", selection(Defaults, &["a"], &[])),
            ("--no-dev", selection(None, &[], &[])),
            ("--all-groups --no-interaction -vvv", selection(All, &[], &[])),
        ] {
            assert_eq!(poetry(text).unwrap().selection, expected, "{text}");
        }
    }

    #[test]
    fn extras_members_and_indexes_are_understood() {
        let text = "--extra a --extra=b,c --no-extra d --all-extras --package x --all-packages \
            --dev --no-install-project -i https://a/simple --index https://b/simple";
        let found = uv(text).unwrap();
        let Selection { extras, with_extras, without_extras, packages, .. } = &found.selection;
        assert_eq!(*extras, Extras::All);
        assert_eq!(*with_extras, strings(&["a", "b", "c"]));
        assert_eq!((without_extras, packages), (&strings(&["d"]), &strings(&["x"])));
        assert_eq!(found.install, Some(ProjectInstall::DependenciesOnly));
        assert!(found.all_packages && found.dev);
        assert_eq!(found.index.as_deref(), Some("https://a/simple"));
        assert_eq!(found.extra_indexes, ["https://b/simple"]);
        let found = poetry("-E a -Eb --extras c+d --no-root").unwrap();
        assert_eq!(found.selection.with_extras, strings(&["a", "b", "c", "d"]));
        assert_eq!(found.install, Some(ProjectInstall::DependenciesOnly));
    }

    #[test]
    fn what_would_not_be_done_is_an_error() {
        type Row = (fn(&str) -> Found, &'static str, &'static str);
        let table: &[Row] = &[
            (uv, "--upgrade", "--upgrade"),
            (uv, "--no-binary-package=x", "--no-binary-package"),
            (uv, "--group a --dry-run", "--dry-run"),
            (uv, "--frozen=yes", "--frozen=yes"),
            (uv, "extra", "extra"),
            (poetry, "--only-root", "--only-root"),
            (poetry, "--without main", "--without"),
            (poetry, "--group a", "--group"),
        ];
        for (read, text, expected) in table {
            let Err(ProjectArgumentError::Unknown { argument, known }) = read(text) else {
                panic!("{text}");
            };
            assert_eq!(argument, *expected);
            assert!(known.contains(&"--all-groups") && !known.contains(&"-q"));
        }
        let argument = "--group".to_owned();
        assert_eq!(uv("--group"), Err(ProjectArgumentError::NoValue { argument }));
        assert!(!format!("{:?}", uv("https://me:hunter2@h/x")).contains("hunter2"));
    }
}
