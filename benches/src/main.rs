//! A build of an ML job, measured: `cargo run --release -p tierce-bench`.
//!
//! It builds `tierce`, starts Debian's `docker-registry` on loopback, and measures
//!
//! - the **first build**: numpy, pandas, scikit-learn, pyarrow, matplotlib and 500 source files,
//!   wheels already fetched, no layer made yet, pushed to an empty registry; and beside it the
//!   **floor**, what the machine needs at least for the same wheels (`floor.rs`);
//! - **one edited file** of the 500, and **one more small package**, pushed to that registry;
//! - **nothing changed** in an image of 20,000 source files.
//!
//! The image starts from a small base in the same registry and compiles no modules, so nothing is
//! executed and no sandbox is needed. Packages are resolved and fetched once, into
//! `target/bench/warm`; that is all that the network is used for.

mod floor;
mod project;
mod registry;
mod report;
mod tierce;

use anyhow::{Context, Result, ensure};
use project::{Job, LARGE_TREE, Tree};
use registry::Registry;
use report::{Report, Sample, Series};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use tierce::Tierce;

const USAGE: &str = "\
usage: tierce-bench [--runs N] [--binary PATH]

  --runs N         measure so many first builds (5); the shorter ones are measured more often
  --binary PATH    measure this program instead of building tierce";

struct Options {
    runs: usize,
    binary: Option<PathBuf>,
}

fn main() -> Result<()> {
    let Some(options) = options()? else {
        println!("{USAGE}");
        return Ok(());
    };
    let target = target_directory()?;
    let binary = match &options.binary {
        Some(binary) => binary.clone(),
        None => build_tierce(&target)?,
    };
    let bench = Bench::new(&target.join("bench"), &binary, options.runs)?;
    let report = bench.run()?;
    let file = target.join("bench/mljob.json");
    std::fs::write(&file, serde_json::to_vec_pretty(&report.json())?)?;
    println!("{report}");
    println!("written to {}", file.display());
    Ok(())
}

fn options() -> Result<Option<Options>> {
    let mut options = Options { runs: 5, binary: None };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().with_context(|| format!("{argument} needs a value"));
        match argument.as_str() {
            "--runs" => options.runs = value()?.parse().context("--runs needs a number")?,
            "--binary" => options.binary = Some(value()?.into()),
            "--help" | "-h" => return Ok(None),
            other => anyhow::bail!("unknown argument {other}\n{USAGE}"),
        }
    }
    ensure!(options.runs > 0, "--runs must be at least 1");
    Ok(Some(options))
}

/// The directory that this program was built in.
fn target_directory() -> Result<PathBuf> {
    let program = std::env::current_exe()?;
    let target = program.parent().and_then(Path::parent);
    Ok(target.context("this program is not in a target directory")?.to_owned())
}

fn build_tierce(target: &Path) -> Result<PathBuf> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let status = Command::new("cargo")
        .args(["build", "--release", "-p", "tierce-cli", "--target-dir"])
        .arg(target)
        .current_dir(workspace)
        .status()
        .context("cannot run cargo")?;
    ensure!(status.success(), "tierce was not built");
    Ok(target.join("release/tierce"))
}

struct Bench {
    /// Where everything is that outlives a run.
    directory: PathBuf,
    /// Where the rest is.
    scratch: PathBuf,
    binary: PathBuf,
    runs: usize,
}

impl Bench {
    fn new(directory: &Path, binary: &Path, runs: usize) -> Result<Self> {
        let scratch = directory.join("scratch");
        // Of a run that was stopped.
        if scratch.exists() {
            std::fs::remove_dir_all(&scratch)?;
        }
        std::fs::create_dir_all(&scratch)?;
        let (directory, scratch) = (directory.canonicalize()?, scratch.canonicalize()?);
        let binary = binary.canonicalize().context("the program to measure is not there")?;
        Ok(Bench { directory, scratch, binary, runs })
    }

    fn tierce(&self, store: &Path) -> Tierce {
        Tierce::new(&self.binary, store, &self.scratch)
    }

    fn run(&self) -> Result<Report> {
        let warm = self.warm()?;
        let wheels = floor::wheels(&warm.join("blobs"), project::EXTRA_PACKAGE)?;
        let mut report = Report::new(&self.binary, &wheels)?;
        for run in 1..=self.runs {
            eprintln!("run {run} of {}", self.runs);
            report.floors.push(self.floor(&wheels)?);
            self.job(&warm, run, &mut report)?;
        }
        eprintln!("nothing changed, {LARGE_TREE} files");
        self.unchanged(&mut report)?;
        std::fs::remove_dir_all(&self.scratch)?;
        Ok(report)
    }

    /// A store that has all wheels and knows what to install, but has no layer. Kept, so that
    /// the network is used once.
    fn warm(&self) -> Result<PathBuf> {
        let store = self.directory.join("warm");
        let tierce = self.tierce(&store);
        for extra in [false, true] {
            eprintln!("wheels of the job{}", if extra { " and one package more" } else { "" });
            let job = Job::new(&self.scratch.join("warm-project"), Tree::SMALL)?;
            job.specify("scratch", extra)?;
            // What is found out for one base holds for every other with this Python.
            tierce.plan(&job.directory)?;
        }
        Ok(store)
    }

    fn floor(&self, wheels: &[floor::Wheel]) -> Result<floor::Floor> {
        let registry = Registry::start(&self.scratch.join("floor-registry"))?;
        let floor = floor::measure(wheels, registry.address());
        registry.stop()?;
        floor
    }

    /// The first build of the job, and the builds after it.
    fn job(&self, warm: &Path, run: usize, report: &mut Report) -> Result<()> {
        let store = self.scratch.join("store");
        copy_directory(warm, &store)?;
        let registry = Registry::start(&self.scratch.join("registry"))?;
        let base = self.push_base(&registry)?;
        let job = Job::new(&self.scratch.join("job"), Tree::SMALL)?;
        let tierce = self.tierce(&store);
        let build = |name| -> Result<Sample> {
            let before = registry.requests()?;
            let outcome = tierce.build(&job.directory, &registry.address().to_string())?;
            ensure!(outcome.status == "built", "{name}: the image is {}", outcome.status);
            Ok(Sample::new(outcome, registry.requests()? - before))
        };
        job.specify(&base, false)?;
        settle()?;
        report.add(Series::FirstBuild, build("the first build")?);
        for edit in 0..3 {
            job.edit(run * 10 + edit)?;
            settle()?;
            report.add(Series::EditedFile, build("an edited file")?);
        }
        job.specify(&base, true)?;
        settle()?;
        report.add(Series::OneMorePackage, build("one more package")?);
        registry.stop()?;
        std::fs::remove_dir_all(&store)?;
        job.remove()
    }

    /// A large tree that is built once, and then found unchanged.
    fn unchanged(&self, report: &mut Report) -> Result<()> {
        let registry = Registry::start(&self.scratch.join("registry"))?;
        let base = self.push_base(&registry)?;
        let job = Job::new(&self.scratch.join("large"), Tree::LARGE)?;
        job.specify_sources(&base)?;
        // Files that changed within the last two seconds may still change unseen: tierce reads
        // them again, which is not what is measured here.
        std::thread::sleep(Duration::from_secs(3));
        let tierce = self.tierce(&self.scratch.join("large-store"));
        tierce.build(&job.directory, &registry.address().to_string())?;
        settle()?;
        for _ in 0..(self.runs * 3) {
            let before = registry.requests()?;
            let outcome = tierce.build(&job.directory, &registry.address().to_string())?;
            ensure!(outcome.status == "present", "nothing changed, and yet: {}", outcome.status);
            report.add(Series::Unchanged, Sample::new(outcome, registry.requests()? - before));
        }
        registry.stop()
    }

    /// A small base image, made from nothing; gives its name.
    fn push_base(&self, registry: &Registry) -> Result<String> {
        let job = Job::new(&self.scratch.join("base"), Tree::SMALL)?;
        job.specify_base()?;
        let tierce = self.tierce(&self.scratch.join("base-store"));
        Ok(tierce.build(&job.directory, &registry.address().to_string())?.uri)
    }
}

/// Waits until what was written so far is on the disk, so that nobody pays for somebody else.
fn settle() -> Result<()> {
    ensure!(Command::new("sync").status()?.success(), "sync failed");
    Ok(())
}

fn copy_directory(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let (kind, target) = (entry.file_type()?, to.join(entry.file_name()));
        if kind.is_dir() {
            copy_directory(&entry.path(), &target)?;
        } else if kind.is_symlink() {
            std::os::unix::fs::symlink(std::fs::read_link(entry.path())?, &target)?;
        } else {
            std::fs::copy(entry.path(), &target)?;
        }
    }
    Ok(())
}
