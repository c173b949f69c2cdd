//! What source trees leave out without being told to.

/// Whether version control, virtual environments, caches and locks of images are left out.
///
/// Left out at any depth are `.git`, `.hg`, `.svn`, `.venv`, `__pycache__`, `*.pyc`,
/// `.mypy_cache`, `.pytest_cache`, `.ruff_cache`, `.tox`, `.nox`, `.DS_Store`,
/// `.ipynb_checkpoints`, `.tierce`, `tierce.lock`, and `venv` if it holds a `pyvenv.cfg` (PEP 405).
///
/// An exception in the ignore rules that names one of them keeps it: `!.git` the one at the
/// top, `!**/.git` all of them, `!.git/HEAD` this one file. An exception that does not name it
/// (`!src`) does not bring it back: `*` and `!src` ship sources, and no caches among them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum DefaultExcludes {
    /// They are left out.
    #[default]
    On,
    /// Only the ignore rules count.
    Off,
}

/// One of the names above.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DefaultMatch {
    /// Left out whatever it holds. How a pattern names it.
    Always(&'static str),
    /// Left out if it is a virtual environment.
    IfVirtualEnv(&'static str),
}

/// Which default, if any, is about a file or directory of this name.
pub(crate) fn find(name: &[u8]) -> Option<DefaultMatch> {
    let named = match name {
        b".git" => ".git",
        b".hg" => ".hg",
        b".svn" => ".svn",
        b".venv" => ".venv",
        b"__pycache__" => "__pycache__",
        b".mypy_cache" => ".mypy_cache",
        b".pytest_cache" => ".pytest_cache",
        b".ruff_cache" => ".ruff_cache",
        b".tox" => ".tox",
        b".nox" => ".nox",
        b".DS_Store" => ".DS_Store",
        b".ipynb_checkpoints" => ".ipynb_checkpoints",
        b".tierce" => ".tierce",
        // It would make each image another one that only was locked anew.
        b"tierce.lock" => "tierce.lock",
        b"venv" => return Some(DefaultMatch::IfVirtualEnv("venv")),
        name if name.ends_with(b".pyc") => "*.pyc",
        _ => return None,
    };
    Some(DefaultMatch::Always(named))
}
