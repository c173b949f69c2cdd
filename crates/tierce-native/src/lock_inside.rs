//! Resolving inside the image, for packages that must be built to know what they require.

use crate::context::Context;
use crate::draft::DEFAULT_PATH;
use crate::error::NativeError;
use crate::execute::Job;
use crate::layer::Layer;
use crate::pip::{InsideRequest, PipRequest};
use crate::projects::ProjectError;
use std::path::{Path, PathBuf};
use tierce_engine::{Events, Outcome, StepKind};
use tierce_sandbox::{Mount, Process};
use tierce_wheel::{Lock, LockError, LockInterpreter, LockRequest, Uv};

/// Where things are while uv runs in the image.
const UV: &str = "/run/tierce/lock/uv";
const PROJECT: &str = "/run/tierce/lock/project";
const CACHE: &str = "/run/tierce/lock/cache";
const OUT: &str = "/run/tierce/lock/out";
const WHEELS: &str = "/run/tierce/lock/wheels";

/// A lock larger than this is not one, in bytes.
const LARGEST_LOCK: u64 = 64 << 20;

impl Context {
    /// Resolves on top of `below`, with the image's own interpreter: what has to be built to know
    /// its requirements is built there, and never on the host.
    pub async fn lock_inside(
        &self,
        inside: &InsideRequest,
        request: &PipRequest<'_>,
        below: &[Layer],
        events: &Events,
    ) -> Result<Lock, NativeError> {
        let title = "resolve Python packages in the image";
        self.require_execution(request.platform, title)?;
        let step = events.step(StepKind::Execute, title);
        let roots = self.materialise(below, &step).await?;
        let scratch = self.scratch("lock")?;
        let host = self.store.scratch_dir("lock-out")?;
        let out = host.path().join("out");
        std::fs::create_dir_all(&out).map_err(NativeError::io(&out))?;

        // The user's own uv may be linked against the host's libraries: the pinned one is not.
        let uv = Uv::fetch(&self.fetcher, &self.store, &self.uv_index()).await?;
        let mut wanted = seen_inside(&inside.request, &request.interpreter.path)?;
        wanted.requirements.extend(inside.local.requirements_below(WHEELS));
        if let Some(provided) = &inside.provided {
            let directory = out.join("provided");
            std::fs::create_dir_all(&directory).map_err(NativeError::io(&directory))?;
            let seen_at = Path::new(OUT).join("provided");
            wanted.constraint_files.push(provided.write(&directory, &seen_at)?);
        }
        let pinned = self.pin_inside(&inside.pinned, &out, OUT, &mut wanted)?;
        let (input, output) = (format!("{OUT}/requirements.in"), format!("{OUT}/pylock.toml"));
        let command = uv.lock_command(&wanted)?.with_files(&input, &output);
        let file = out.join("requirements.in");
        std::fs::write(&file, &command.stdin).map_err(NativeError::io(&file))?;
        if let Some(preferences) = &wanted.preferences {
            let file = out.join("pylock.toml");
            std::fs::write(&file, preferences).map_err(NativeError::io(&file))?;
        }

        let argv = std::iter::once(UV.to_owned()).chain(command.args).collect();
        let mut process = Process::new(roots, scratch.path.clone(), argv);
        process.env = self.step_environment(&command.env);
        process.cwd = PROJECT.to_owned();
        let project = host.path().join("project");
        copy_requirements(&inside.request, &project)?;
        let seen = self.seen_by_uv(request);
        let own_cache = self.own_cache(&seen)?;
        let cache = self.build_cache(own_cache.as_ref(), below)?;
        process.mounts = lock_mounts(uv.program(), &project, &out, cache);
        process.mounts.extend(self.local_mounts(&inside.local, WHEELS));
        process.mounts.extend(pinned);
        process.ca_bundle.clone_from(&self.settings.ca_bundle);
        process.time_limit = Some(crate::execute::TIME_LIMIT);
        seen.give(&mut process);
        let (title, secrets) = (title.to_owned(), seen.clone());
        match self.run(Job { process, title, secrets }, &step).await {
            Ok(()) => {}
            Err(NativeError::StepFailed { tail, .. }) => {
                let target = inside.request.target.to_string();
                let error = LockError::from_uv(&tail.join("\n"), &target);
                return Err(match error.is_without_git() {
                    true => ProjectError::NoGitInside { explanation: error.to_string() }.into(),
                    false => error.into(),
                });
            }
            Err(error) => return Err(error),
        }
        let file = out.join("pylock.toml");
        // Builds ran there, and are not trusted: a link may lead anywhere on the host.
        let sound = |m: std::fs::Metadata| m.is_file() && m.len() <= LARGEST_LOCK;
        let pylock = match std::fs::symlink_metadata(&file).is_ok_and(sound) {
            true => std::fs::read(&file).map_err(NativeError::io(&file))?,
            false => vec![],
        };
        let lock = Uv::answer(&pylock, &inside.request)?.without_local_paths();
        if inside.request.preferences.is_none() {
            self.remember_lock(&inside.key, &lock, &seen)?;
        }
        step.finish(Outcome::Made, format!("{} packages", lock.packages().len()));
        Ok(lock)
    }
}

fn lock_mounts(uv: &Path, project: &Path, out: &Path, cache: PathBuf) -> Vec<Mount> {
    let read_only = |source: &Path, target: &str| Mount::Bind {
        source: source.to_owned(),
        target: target.to_owned(),
        read_only: true,
    };
    vec![
        read_only(uv, UV),
        read_only(project, PROJECT),
        Mount::Cache { source: cache, target: CACHE.to_owned() },
        Mount::Cache { source: out.to_owned(), target: OUT.to_owned() },
    ]
}

/// Copies the requirements files, and those that they include, to where only they are: code that
/// builds packages has no business with the rest of the project.
fn copy_requirements(request: &LockRequest, to: &Path) -> Result<(), NativeError> {
    std::fs::create_dir_all(to).map_err(NativeError::io(to))?;
    for file in &request.requirement_files {
        let file = request.root.join(file);
        let mut read: Vec<(PathBuf, Vec<u8>)> = vec![];
        let gathered = tierce_spec::requirements::gather(&file, |path| {
            let content = std::fs::read(path)?;
            read.push((path.to_owned(), content.clone()));
            Ok::<_, std::io::Error>(content)
        });
        gathered.map_err(tierce_engine::GatherError::Requirements)?;
        for (path, content) in read {
            let outside = |_| NativeError::OutsideProject(path.clone());
            let target = to.join(path.strip_prefix(&request.root).map_err(outside)?);
            let parent = target.parent().unwrap_or(to);
            std::fs::create_dir_all(parent).map_err(NativeError::io(parent))?;
            std::fs::write(&target, content).map_err(NativeError::io(&target))?;
        }
    }
    Ok(())
}

/// The request with the paths and the environment that hold inside the image.
fn seen_inside(request: &LockRequest, interpreter: &str) -> Result<LockRequest, NativeError> {
    let mut inside = request.clone();
    inside.root = PathBuf::from(PROJECT);
    inside.cache_dir = PathBuf::from(CACHE);
    inside.interpreter = LockInterpreter::At(PathBuf::from(interpreter));
    for file in &mut inside.requirement_files {
        let below = match file.strip_prefix(&request.root) {
            Ok(below) => Path::new(PROJECT).join(below),
            Err(_) if file.is_relative() => Path::new(PROJECT).join(&*file),
            Err(_) => return Err(NativeError::OutsideProject(file.clone())),
        };
        *file = below;
    }
    // The host's paths mean nothing there; certificates are shown to every step anyway.
    let of_the_host = |name: &str| {
        name.starts_with("SSL_")
            || ["HOME", "NETRC", "XDG_DATA_HOME", "UV_CREDENTIALS_DIR"].contains(&name)
    };
    inside.env.retain(|(name, _)| !of_the_host(name));
    for (name, value) in [("PATH", DEFAULT_PATH), ("HOME", "/root")] {
        inside.env.push((name.to_owned(), value.to_owned()));
    }
    Ok(inside)
}
