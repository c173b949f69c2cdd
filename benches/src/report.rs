//! What was measured, for people and programs.

use crate::floor::{Floor, Wheel, unpacked};
use crate::tierce::Outcome;
use anyhow::Result;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Series {
    /// The job, for the first time.
    FirstBuild,
    /// One source file changed.
    EditedFile,
    /// One small package more.
    OneMorePackage,
    /// Nothing changed.
    Unchanged,
}

impl Series {
    const ALL: [Series; 4] =
        [Series::FirstBuild, Series::EditedFile, Series::OneMorePackage, Series::Unchanged];

    fn name(self) -> &'static str {
        match self {
            Series::FirstBuild => "first-build",
            Series::EditedFile => "edited-file",
            Series::OneMorePackage => "one-more-package",
            Series::Unchanged => "unchanged",
        }
    }

    fn title(self) -> &'static str {
        match self {
            Series::FirstBuild => "first build",
            Series::EditedFile => "one edited file of 500",
            Series::OneMorePackage => "one more small package",
            Series::Unchanged => "nothing changed, 20,000 files",
        }
    }
}

/// One build.
pub struct Sample {
    wall: Duration,
    processor: Duration,
    bytes_uploaded: u64,
    /// As tierce says.
    requests: u64,
    /// As the registry says.
    answered: u64,
    peak_memory: u64,
}

impl Sample {
    /// A build for which the registry answered so many requests.
    pub fn new(outcome: Outcome, answered: u64) -> Self {
        let Outcome { wall, processor, bytes_uploaded, requests, peak_memory, .. } = outcome;
        Sample { wall, processor, bytes_uploaded, requests, answered, peak_memory }
    }
}

/// All that was measured.
pub struct Report {
    /// The floors of the first builds.
    pub floors: Vec<Floor>,
    samples: BTreeMap<Series, Vec<Sample>>,
    version: String,
    wheels: usize,
    wheel_bytes: u64,
    unpacked_bytes: u64,
}

impl Report {
    /// Nothing yet.
    pub fn new(binary: &Path, wheels: &[Wheel]) -> Result<Self> {
        let version = Command::new(binary).arg("--version").output()?.stdout;
        Ok(Report {
            floors: vec![],
            samples: BTreeMap::new(),
            version: String::from_utf8_lossy(&version).trim().to_owned(),
            wheels: wheels.len(),
            wheel_bytes: wheels.iter().map(|wheel| wheel.size).sum(),
            unpacked_bytes: unpacked(wheels)?,
        })
    }

    /// Adds a sample.
    pub fn add(&mut self, series: Series, sample: Sample) {
        self.samples.entry(series).or_default().push(sample);
    }

    fn median<T: Ord + Copy>(&self, series: Series, of: impl Fn(&Sample) -> T) -> Option<T> {
        median(self.samples.get(&series)?.iter().map(of).collect())
    }

    fn floor(&self, of: impl Fn(&Floor) -> Duration) -> Duration {
        median(self.floors.iter().map(of).collect()).unwrap_or_default()
    }

    /// The first build as a multiple of the floor.
    fn ratio(&self) -> f64 {
        let first = self.median(Series::FirstBuild, |s| s.wall).unwrap_or_default();
        first.as_secs_f64() / self.floor(Floor::total).as_secs_f64()
    }

    /// For programs.
    pub fn json(&self) -> Value {
        let series = |series: Series| {
            let samples = self.samples.get(&series).map(Vec::as_slice).unwrap_or_default();
            let sample = |s: &Sample| {
                json!({
                    "wall-ms": millis(s.wall),
                    "processor-ms": millis(s.processor),
                    "bytes-uploaded": s.bytes_uploaded,
                    "requests": s.requests,
                    "requests-answered": s.answered,
                    "peak-memory": s.peak_memory,
                })
            };
            let value = json!({
                "runs": samples.len(),
                "median-wall-ms": self.median(series, |s| s.wall).map(millis),
                "median-processor-ms": self.median(series, |s| s.processor).map(millis),
                "median-bytes-uploaded": self.median(series, |s| s.bytes_uploaded),
                "median-requests-answered": self.median(series, |s| s.answered),
                "largest-peak-memory": samples.iter().map(|s| s.peak_memory).max(),
                "samples": samples.iter().map(sample).collect::<Vec<_>>(),
            });
            (series.name().to_owned(), value)
        };
        let floors = self.floors.iter();
        json!({
            "tierce": self.version,
            "cores": cores(),
            "wheels": self.wheels,
            "wheel-bytes": self.wheel_bytes,
            "unpacked-bytes": self.unpacked_bytes,
            "floor": {
                "median-compute-ms": millis(self.floor(|f| f.compute)),
                "median-upload-ms": millis(self.floor(|f| f.upload)),
                "median-total-ms": millis(self.floor(Floor::total)),
                "samples": floors.map(|f| json!({
                    "compute-ms": millis(f.compute),
                    "upload-ms": millis(f.upload),
                })).collect::<Vec<_>>(),
            },
            "first-build-over-floor": self.ratio(),
            "builds": Series::ALL.into_iter().map(series).collect::<serde_json::Map<_, _>>(),
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (wheels, packed, unpacked) =
            (self.wheels, megabytes(self.wheel_bytes), megabytes(self.unpacked_bytes));
        writeln!(f, "{}, {} cores", self.version, cores())?;
        writeln!(f, "{wheels} wheels, {packed} MB, {unpacked} MB unpacked; medians\n")?;
        writeln!(
            f,
            "{:<30} {:>5} {:>10} {:>10} {:>12} {:>9} {:>9}",
            "", "runs", "wall ms", "cpu ms", "uploaded B", "requests", "peak MB"
        )?;
        for series in Series::ALL {
            let Some(samples) = self.samples.get(&series) else { continue };
            writeln!(
                f,
                "{:<30} {:>5} {:>10.1} {:>10.1} {:>12} {:>9} {:>9}",
                series.title(),
                samples.len(),
                self.median(series, |s| s.wall).map_or(0.0, millis),
                self.median(series, |s| s.processor).map_or(0.0, millis),
                self.median(series, |s| s.bytes_uploaded).unwrap_or_default(),
                self.median(series, |s| s.answered).unwrap_or_default(),
                megabytes(samples.iter().map(|s| s.peak_memory).max().unwrap_or_default()),
            )?;
        }
        let (compute, upload) = (self.floor(|f| f.compute), self.floor(|f| f.upload));
        writeln!(f)?;
        writeln!(f, "{:<36} {:>10.1}", "floor: inflate, hash twice", millis(compute))?;
        writeln!(f, "{:<36} {:>10.1}", "floor: upload", millis(upload))?;
        writeln!(f, "{:<36} {:>10.1}", "floor", millis(self.floor(Floor::total)))?;
        write!(f, "{:<36} {:>10.2}", "first build over floor", self.ratio())
    }
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// The middle one; of an even number, the lower of the two in the middle.
fn median<T: Ord + Copy>(mut all: Vec<T>) -> Option<T> {
    all.sort();
    all.get(all.len().checked_sub(1)? / 2).copied()
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

fn megabytes(bytes: u64) -> u64 {
    bytes.div_ceil(1_000_000)
}
