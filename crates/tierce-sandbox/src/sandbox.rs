//! The sandbox, seen from outside.

use crate::client::{Session, Terminal};
use crate::options::DiffJob;
use crate::protocol::{Job, Reply};
use crate::{
    Cancel, DiffError, DiffOptions, Exit, Helper, HelperError, IdMapping, ProbeError, Process,
    RunError, Stdio, Stream, UnpackError, Unpacked, mapping, probe, secret,
};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::Instant;
use tierce_layer::LayerInfo;

/// Runs programs in root file systems. Cheap to clone; everything blocks.
#[derive(Clone, Debug)]
pub struct Sandbox {
    helper: Helper,
    mapping: IdMapping,
}

impl Sandbox {
    /// The sandbox with the best mapping that the machine really offers: each is tried, with an
    /// overlay mount in `scratch`, a directory on the file system that will hold the layers.
    pub fn new(helper: Helper, scratch: &Path) -> Result<Self, ProbeError> {
        let candidates = match mapping::is_root() {
            // Root of a container may lack the capabilities that make it worth its name.
            true => vec![IdMapping::Root, IdMapping::Single],
            false => IdMapping::subordinate().into_iter().chain([IdMapping::Single]).collect(),
        };
        let mut result = Err(ProbeError::Namespace(HelperError::Died));
        for mapping in candidates {
            let sandbox = Sandbox::with_mapping(helper.clone(), mapping);
            result = probe::usable(&sandbox, scratch).map(|()| sandbox);
            if result.is_ok() {
                break;
            }
        }
        result
    }

    /// A sandbox with this mapping, which is not tried.
    pub fn with_mapping(helper: Helper, mapping: IdMapping) -> Self {
        Sandbox { helper, mapping }
    }

    /// How ids are mapped.
    pub fn mapping(&self) -> IdMapping {
        self.mapping
    }

    /// What it is, in a few words, for people.
    pub fn describe(&self) -> String {
        format!("user namespace and overlay file system as {}", self.mapping)
    }

    /// Whether owners are recorded instead of set.
    fn records(&self) -> bool {
        self.mapping == IdMapping::Single
    }

    /// Unpacks a layer into a layer directory, which is made and must not hold anything yet.
    /// Nothing outside of it is touched, whatever the layer says. The files are below
    /// [`crate::tree`]. The blob's own digest is not verified: the diff id is.
    pub fn unpack(&self, layer_blob: &Path, dest: &Path) -> Result<Unpacked, UnpackError> {
        let layer = File::open(layer_blob).map_err(|source| UnpackError::Open {
            path: layer_blob.display().to_string(),
            source: source.into(),
        })?;
        let dest = std::path::absolute(dest).map_err(|source| UnpackError::Destination {
            path: dest.display().to_string(),
            source: source.into(),
        })?;
        let job = Job::Unpack { dest, record: self.records() };
        match self.ask(&job, &[layer.as_fd()])? {
            Reply::Unpacked(result) => result,
            _ => Err(HelperError::Died.into()),
        }
    }

    /// Runs a program and waits for its end, and for that of everything it started.
    ///
    /// `output` gets the captured output piece by piece as it comes; splitting it into lines is
    /// the caller's.
    pub fn run(
        &self,
        process: &Process,
        output: &mut dyn FnMut(Stream, &[u8]),
        cancel: &Cancel,
    ) -> Result<Exit, RunError> {
        let deadline = process.time_limit.and_then(|limit| Instant::now().checked_add(limit));
        if cancel.is_cancelled() {
            return Ok(Exit::Cancelled);
        }
        let pipes = match process.stdio {
            Stdio::Inherit => None,
            Stdio::Captured => Some([pipe()?, pipe()?]),
        };
        let (readers, terminal) = match pipes {
            None => (
                Vec::new(),
                Terminal {
                    stdout: std::process::Stdio::inherit(),
                    stderr: std::process::Stdio::inherit(),
                    foreground: true,
                },
            ),
            Some([stdout, stderr]) => {
                let readers = vec![(Stream::Stdout, stdout.0), (Stream::Stderr, stderr.0)];
                let (stdout, stderr) = (stdout.1.into(), stderr.1.into());
                (readers, Terminal { stdout, stderr, foreground: false })
            }
        };
        let session = Session::start(&self.helper, &self.mapping, terminal, true)?;
        let (secrets, values) = secret::pack(process).map_err(RunError::setup("keep secrets"))?;
        let job =
            Job::Run { process: Box::new(absolute(process)?), secrets, record: self.records() };
        let stdin = io::stdin();
        let stdin = (process.stdio == Stdio::Inherit).then(|| stdin.as_fd());
        let fds: Vec<BorrowedFd<'_>> = values.iter().map(AsFd::as_fd).chain(stdin).collect();
        session.work(&job, &fds)?;
        let mut watch = Watch { session, readers, cancel, deadline, ended_early: None };
        watch.pump(output)
    }

    /// Writes what was changed in a scratch directory as a layer; `None` if nothing was.
    /// The same changes give the same bytes with every mapping.
    pub fn diff(
        &self,
        scratch: &Path,
        options: &DiffOptions,
        out: File,
    ) -> Result<Option<LayerInfo>, DiffError> {
        let scratch_error = |source: io::Error| DiffError::Scratch {
            path: scratch.display().to_string(),
            source: source.into(),
        };
        let lowers: io::Result<Vec<_>> = options.lowers.iter().map(std::path::absolute).collect();
        let job = Job::Diff(DiffJob {
            scratch: std::path::absolute(scratch).map_err(scratch_error)?,
            lowers: lowers.map_err(scratch_error)?,
            started: options.started,
            clamp: options.clamp,
            omit: options.omit.clone(),
            compression: options.compression.into(),
            record: self.records(),
        });
        match self.ask(&job, &[out.as_fd()])? {
            Reply::Diffed(result) => result,
            _ => Err(HelperError::Died.into()),
        }
    }

    /// Removes a layer directory, a scratch directory or a cache directory, whoever its files
    /// belong to. It is no error if it isn't there.
    pub fn remove(&self, dir: &Path) -> io::Result<()> {
        let job = Job::Remove(std::path::absolute(dir)?);
        match self.ask(&job, &[]).map_err(io::Error::other)? {
            Reply::Removed(result) => result.map_err(|errno| io::Error::from_raw_os_error(errno.0)),
            _ => Err(io::Error::other(HelperError::Died)),
        }
    }

    /// Has a helper do a job that needs no terminal.
    pub(crate) fn ask(&self, job: &Job, fds: &[BorrowedFd<'_>]) -> Result<Reply, HelperError> {
        let mut session = Session::start(&self.helper, &self.mapping, Terminal::none(), false)?;
        session.work(job, fds)?;
        session.hear()
    }
}

fn pipe() -> Result<(OwnedFd, OwnedFd), RunError> {
    rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)
        .map_err(|error| RunError::Output(error.into()))
}

/// The same process with absolute paths: the helper's working directory is another one.
fn absolute(process: &Process) -> Result<Process, RunError> {
    let fix = |path: &Path| std::path::absolute(path).map_err(RunError::setup("find a directory"));
    let mut process = process.clone();
    process.scratch = fix(&process.scratch)?;
    for lower in &mut process.lowers {
        *lower = fix(lower)?;
    }
    for bundle in process.ca_bundle.iter_mut().chain(process.resolv_conf.iter_mut()) {
        *bundle = fix(bundle)?;
    }
    for mount in &mut process.mounts {
        if let crate::Mount::Cache { source, .. } | crate::Mount::Bind { source, .. } = mount {
            *source = fix(source)?;
        }
    }
    Ok(process)
}

/// A run that is watched.
struct Watch<'a> {
    session: Session,
    readers: Vec<(Stream, OwnedFd)>,
    cancel: &'a Cancel,
    deadline: Option<Instant>,
    /// Why it was killed.
    ended_early: Option<Exit>,
}

impl Watch<'_> {
    /// Passes output on until the helper reports the end.
    fn pump(&mut self, output: &mut dyn FnMut(Stream, &[u8])) -> Result<Exit, RunError> {
        let cancel = self.cancel;
        let cancelled = cancel.wait().map_err(|error| RunError::Output(error.into()))?;
        let mut result = None;
        let mut buffer = vec![0; 1 << 16];
        // The helper's answer comes when all processes are gone, so what is in the pipes then is
        // all there will ever be.
        while result.is_none() || !self.readers.is_empty() {
            if self.ended_early.is_none() {
                self.check_end();
            }
            let ready = self.poll(cancelled.as_fd(), result.is_none())?;
            let mut readable = ready.streams.into_iter();
            self.readers.retain(|(stream, fd)| match readable.next() {
                Some(true) => {
                    match rustix::io::retry_on_intr(|| rustix::io::read(fd, &mut buffer[..])) {
                        Ok(0) | Err(_) => false,
                        Ok(read) => {
                            output(*stream, &buffer[..read]);
                            true
                        }
                    }
                }
                // After the end: nothing more will come.
                _ => result.is_none(),
            });
            if result.is_none() && ready.helper {
                result = Some(match self.session.hear()? {
                    Reply::Ran(result) => result,
                    _ => Err(HelperError::Died.into()),
                });
            }
        }
        match (result, self.ended_early) {
            (Some(Ok(_)) | None, Some(early)) => Ok(early),
            (Some(result), _) => result,
            (None, None) => Err(HelperError::Died.into()),
        }
    }

    /// Kills what runs if it is time to.
    fn check_end(&mut self) {
        let late = self.deadline.is_some_and(|deadline| Instant::now() >= deadline);
        self.ended_early = match (self.cancel.is_cancelled(), late) {
            (true, _) => Some(Exit::Cancelled),
            (false, true) => Some(Exit::TimedOut),
            (false, false) => return,
        };
        self.session.kill();
    }

    fn poll(&self, cancelled: BorrowedFd<'_>, running: bool) -> Result<Ready, RunError> {
        let mut fds = vec![PollFd::from_borrowed_fd(self.session.socket.as_fd(), PollFlags::IN)];
        fds.extend(
            self.readers.iter().map(|(_, fd)| PollFd::from_borrowed_fd(fd.as_fd(), PollFlags::IN)),
        );
        let timeout = match (running, self.ended_early, self.deadline) {
            (false, ..) => Some(Timespec::default()),
            (true, None, deadline) => {
                fds.push(PollFd::from_borrowed_fd(cancelled, PollFlags::IN));
                let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
                left.map(|left| Timespec::try_from(left).unwrap_or_default())
            }
            (true, Some(_), _) => None,
        };
        rustix::io::retry_on_intr(|| poll(&mut fds, timeout.as_ref()))
            .map_err(|error| RunError::Output(error.into()))?;
        let mut fired = fds.iter().map(|fd| !fd.revents().is_empty());
        let helper = fired.next() == Some(true);
        Ok(Ready { helper, streams: fired.take(self.readers.len()).collect() })
    }
}

/// What can be read.
struct Ready {
    helper: bool,
    streams: Vec<bool>,
}
