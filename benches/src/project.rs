//! The projects that are built: deterministic, and about as compressible as real sources.

use anyhow::Result;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// The packages of the job.
const PACKAGES: [&str; 5] = ["numpy", "pandas", "scikit-learn", "pyarrow", "matplotlib"];

/// The package that is added: small, pure Python, and none of the others needs it.
pub const EXTRA_PACKAGE: &str = "tabulate";

/// How many files the large tree has.
pub const LARGE_TREE: usize = 20_000;

/// The base has no Python that could be looked at, so the job says which.
const PYTHON: &str = "python = { version = \"3.11\", interpreter = \"/usr/bin/python3.11\" }";

/// A tree of sources.
#[derive(Clone, Copy)]
pub struct Tree {
    files: usize,
    files_per_directory: usize,
    lines: usize,
}

impl Tree {
    /// The sources of the job: 500 files.
    pub const SMALL: Tree = Tree { files: 500, files_per_directory: 20, lines: 120 };
    /// 20,000 files.
    pub const LARGE: Tree = Tree { files: LARGE_TREE, files_per_directory: 100, lines: 30 };

    fn path(self, file: usize) -> String {
        format!("package_{:03}/module_{file:05}.py", file / self.files_per_directory)
    }
}

/// A project with sources and a `tierce.toml`.
pub struct Job {
    /// Where it is.
    pub directory: PathBuf,
    tree: Tree,
}

impl Job {
    /// Writes the sources.
    pub fn new(directory: &Path, tree: Tree) -> Result<Self> {
        if directory.exists() {
            fs::remove_dir_all(directory)?;
        }
        let job = Job { directory: directory.to_owned(), tree };
        for file in 0..tree.files {
            let path = job.source(file);
            if file % tree.files_per_directory == 0
                && let Some(parent) = path.parent()
            {
                fs::create_dir_all(parent)?;
            }
            fs::write(path, text(file as u64 + 1, tree.lines))?;
        }
        Ok(job)
    }

    fn source(&self, file: usize) -> PathBuf {
        self.directory.join("src").join(self.tree.path(file))
    }

    fn write(&self, lines: &[String]) -> Result<()> {
        Ok(fs::write(self.directory.join("tierce.toml"), lines.join("\n"))?)
    }

    /// The job itself.
    pub fn specify(&self, base: &str, extra: bool) -> Result<()> {
        let mut packages = PACKAGES.to_vec();
        packages.extend(extra.then_some(EXTRA_PACKAGE));
        self.write(&[
            "name = \"bench/job\"".into(),
            format!("base = {base:?}"),
            PYTHON.into(),
            "bytecode = false".into(),
            format!("pip = {packages:?}"),
            "workdir = \"/app\"".into(),
            "copy = [{ src = \"src\" }]".into(),
            "cmd = [\"python\", \"-m\", \"src\"]\n".into(),
        ])
    }

    /// Sources alone.
    pub fn specify_sources(&self, base: &str) -> Result<()> {
        self.write(&[
            "name = \"bench/large\"".into(),
            format!("base = {base:?}"),
            "workdir = \"/app\"".into(),
            "copy = [{ src = \"src\" }]\n".into(),
        ])
    }

    /// A base of one small layer.
    pub fn specify_base(&self) -> Result<()> {
        self.write(&[
            "name = \"bench/base\"".into(),
            "base = \"scratch\"".into(),
            "copy = [{ src = \"tierce.toml\", dst = \"/etc/base.toml\" }]\n".into(),
        ])
    }

    /// Rewrites one source file; another one, with other text, for each `version`.
    pub fn edit(&self, version: usize) -> Result<()> {
        let file = version * 37 % self.tree.files;
        Ok(fs::write(self.source(file), text(1_000_000 + version as u64, self.tree.lines))?)
    }

    /// Removes it.
    pub fn remove(self) -> Result<()> {
        Ok(fs::remove_dir_all(self.directory)?)
    }
}

/// Something like Python.
fn text(seed: u64, lines: usize) -> String {
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let mut out = String::new();
    for line in 0..lines {
        let (a, b, c, number) = (random.word(), random.word(), random.word(), random.next() % 1000);
        // Writing into a string does not fail.
        let _ = match line % 6 {
            0 => writeln!(out, "def {a}_{b}({c}, {b}=None):"),
            1 => writeln!(out, "    \"\"\"Gives the {a} of {b} as {c}.\"\"\""),
            2 => writeln!(out, "    {a} = {c}.{b}({number})"),
            3 => writeln!(out, "    if {a} is None or {b} > {number}:"),
            4 => writeln!(out, "        raise ValueError(f\"{a} {b}: {{{c}}}\")"),
            _ => writeln!(out, "    return {a}.{c}({b})\n"),
        };
    }
    out
}

/// xorshift64*.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }

    /// One of 4096 words of two to four syllables.
    fn word(&mut self) -> String {
        const SYLLABLES: [&str; 16] = [
            "ta", "ri", "no", "ke", "lu", "sto", "mar", "ven", "dis", "pla", "con", "per", "ing",
            "ex", "tor", "a",
        ];
        let choice = self.next() as usize;
        let syllable = |at: usize| SYLLABLES[choice >> (4 * at) & 15];
        match choice >> 12 & 1 {
            0 => format!("{}{}", syllable(0), syllable(1)),
            _ => format!("{}{}{}", syllable(0), syllable(1), syllable(2)),
        }
    }
}
