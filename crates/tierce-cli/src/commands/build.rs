//! `tierce build`

use super::failure::{CliError, Failure};
use super::project::{Ask, Project};
use super::python::{self, BuildRequest, Handover, InImage, PythonError};
use super::{Done, lock, print_json, print_line, project};
use crate::args::{BuildArgs, Format, LockUpdateArgs, LockedArgs, NamingArgs, Progress};
use crate::ui::{self, units};
use serde_json::{Value, json};
use std::borrow::Cow;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use tierce::runs::{RunInput, Runs, StartRun};
use tierce::{CheckCache, Error, Events, Export, ImageBuild, Settings, Status, Tierce};

/// What came of each image, in the order of the command line.
type Builds = Vec<Result<ImageBuild, Failure>>;

/// What a command line asks to be built.
pub struct Prepared {
    pub settings: Settings,
    pub projects: Vec<Project>,
    /// The Python that has loaded one of them, if one has.
    python: Option<PathBuf>,
    /// Where it is Python that builds.
    handover: Option<(Group, Handover)>,
}

pub fn run(args: BuildArgs) -> Done {
    let (detach, progress, format) = (args.detach, args.progress, args.format);
    refresh_lock(&args)?;
    let Prepared { settings, projects, python, handover } = prepare(&args)?;
    if let Some((group, handover)) = handover {
        if args.locked.locked || args.locked.lock.is_some() {
            return Err(lock::refuse_handover(&handover.builder));
        }
        let names = handover.labels.clone();
        return show(&names, hand_over(&args, &group, handover)?, format);
    }
    if detach {
        // It is loaded once more there, where it may not be found in the same way.
        let python = python.filter(|_| args.python.python.is_none());
        return start(settings, projects, python, format);
    }
    if let [_] = projects.as_slice() {
        let build = project::drive(settings, progress, async move |tierce, events| {
            build_one(&tierce, &projects, &events).await
        })?;
        return show_one(&build, format);
    }
    let names: Vec<String> = projects.iter().map(|p| p.spec.clone()).collect();
    let builds = project::drive(settings, progress, async move |tierce, events| {
        Ok(build_all(&tierce, projects, &events).await)
    })?;
    show_all(&names, &builds, format)
}

/// Makes the locks anew that are built from then, where that is asked for.
fn refresh_lock(args: &BuildArgs) -> Result<(), Failure> {
    let update = LockUpdateArgs { update: args.update.clone() };
    if !update.is_wanted() {
        return Ok(());
    }
    let Prepared { settings, mut projects, handover, .. } = load(args)?;
    if let Some((_, handover)) = handover {
        return Err(lock::refuse_handover(&handover.builder));
    }
    if let Some(path) = &args.locked.lock {
        projects.iter_mut().for_each(|project| project.lock.file.clone_from(path));
    }
    let locked = lock::make(settings, &projects, update.update(), args.progress)?;
    lock::report(&locked);
    Ok(())
}

/// Has Python build what builders that are written in Python build.
fn hand_over(args: &BuildArgs, group: &Group, handover: Handover) -> Result<Builds, Failure> {
    let naming = &args.naming;
    let refused = [
        (args.detach, "--detach"),
        (!args.output.is_empty(), "--output"),
        (args.load, "--load"),
        (args.no_check_cache, "--no-check-cache"),
        (naming.tag.is_some(), "--tag"),
        (args.specs.len() > 1 + group.names.len(), "other specifications"),
    ];
    if let Some((_, option)) = refused.into_iter().find(|(asked, _)| *asked) {
        return Err(PythonError::PythonBuilder { builder: handover.builder, option }.into());
    }
    let request = BuildRequest {
        images: vec![],
        registry: naming.registry.clone(),
        platforms: naming.platform.iter().map(ToString::to_string).collect(),
        push: args.push,
        no_push: args.no_push,
        force: args.force,
        dry_run: args.dry_run,
        progress: match args.progress {
            Progress::Auto => "auto",
            Progress::Plain | Progress::Json => "plain",
            Progress::Quiet => "quiet",
        },
    };
    handover.build(&ask(args, group, naming), request)
}

fn ask<'a>(args: &'a BuildArgs, group: &'a Group, naming: &'a NamingArgs) -> Ask<'a> {
    Ask {
        spec: group.spec.as_deref(),
        names: Cow::Borrowed(&group.names),
        naming,
        settings: &args.settings,
        python: &args.python,
        code: args.code,
        recursive: args.recursive,
        all: args.all,
        one: false,
    }
}

/// What is to be built, with which settings, and from which locks.
pub fn prepare(args: &BuildArgs) -> Result<Prepared, Failure> {
    let mut prepared = load(args)?;
    let locked = args.locked.locked || !args.update.is_empty();
    lock::pin(&mut prepared.projects, &LockedArgs { locked, ..args.locked.clone() })?;
    Ok(prepared)
}

fn load(args: &BuildArgs) -> Result<Prepared, Failure> {
    let (naming, recursive) = (&args.naming, args.recursive);
    let mut all: Option<Settings> = None;
    let (mut projects, mut python, mut handover) = (vec![], None, None);
    for group in grouped(&args.specs, recursive) {
        let loaded = project::load(&ask(args, &group, naming))?;
        match &mut all {
            None => all = Some(loaded.settings),
            // Where a specification says that secrets are, they are for it alone; files are named
            // by their secrets, and the first one to name a file is right.
            Some(all) => {
                for (id, path) in loaded.settings.secrets.files {
                    all.secrets.files.entry(id).or_insert(path);
                }
            }
        }
        projects.extend(loaded.projects);
        python = python.or(loaded.python);
        handover = handover.or(loaded.handover.map(|handover| (group, handover)));
    }
    let alone = args.detach || !args.output.is_empty();
    if projects.len() > 1 && alone {
        let names: Vec<&str> = projects.iter().map(|project| &*project.spec).collect();
        let text = format!("--detach and --output take one image, not {}", names.join(", "));
        return Err(CliError::Usage(text).into());
    }
    for project in &mut projects {
        let elsewhere = !args.output.is_empty() || args.load;
        let options = &mut project.options;
        options.push = args.push || (project.pushes && !elsewhere && !args.no_push);
        options.exports.clone_from(&args.output);
        if args.load {
            options.exports.push(Export::Load);
        }
        options.force |= args.force;
        options.dry_run = args.dry_run;
        if args.no_check_cache {
            options.check_cache = CheckCache::Bypass;
        }
    }
    let settings = all.expect("there is a default");
    Ok(Prepared { settings, projects, python, handover })
}

/// A specification, and the names of images in it.
struct Group {
    /// `None` for that of the current directory.
    spec: Option<PathBuf>,
    names: Vec<String>,
}

/// Which of the arguments are names: what follows Python files, and looks like no path.
fn grouped(arguments: &[PathBuf], recursive: bool) -> Vec<Group> {
    let mut groups: Vec<Group> = vec![];
    for argument in arguments {
        if let Some((file, name)) = python::files::with_name(argument) {
            let of_file =
                |group: &&mut Group| group.spec.as_deref() == Some(file) && !group.names.is_empty();
            match groups.last_mut().filter(of_file) {
                Some(group) => group.names.push(name.to_owned()),
                None => {
                    groups.push(Group { spec: Some(file.into()), names: vec![name.to_owned()] });
                }
            }
            continue;
        }
        let last = groups.last_mut().filter(|group| {
            let spec = group.spec.as_deref().unwrap_or(Path::new("."));
            // What is there is a name only after a file, where nothing else makes sense.
            python::files::is_python(spec)
                || (!argument.exists()
                    && spec.is_dir()
                    && !spec.join("tierce.toml").exists()
                    && python::files::below(spec, recursive).is_ok_and(|files| !files.is_empty()))
        });
        match (last, argument.to_str().filter(|text| is_name(text))) {
            (Some(group), Some(name)) => group.names.push(name.to_owned()),
            _ => groups.push(Group { spec: Some(argument.clone()), names: vec![] }),
        }
    }
    if groups.is_empty() {
        groups.push(Group { spec: None, names: vec![] });
    }
    groups
}

/// Whether an argument can be the name of an image.
fn is_name(text: &str) -> bool {
    let path = text.contains('/') || text == "." || text == "..";
    !path && ![".py", ".toml", ".yaml", ".yml"].iter().any(|suffix| text.ends_with(suffix))
}

fn one(projects: &[Project]) -> Result<&Project, Failure> {
    match projects {
        [project] => Ok(project),
        _ => Err(CliError::Usage("only one SPEC is built this way".to_owned()).into()),
    }
}

/// Builds the only one of `projects`.
pub async fn build_one(
    tierce: &Tierce,
    projects: &[Project],
    events: &Events,
) -> Result<ImageBuild, Failure> {
    let project = one(projects)?;
    project.announce(events);
    let build = tierce.build(&project.image, &project.options, events).await;
    build.map_err(|error| project.failed(error))
}

async fn build_all(tierce: &Tierce, projects: Vec<Project>, events: &Events) -> Builds {
    projects.iter().for_each(|project| project.announce(events));
    let images: Vec<_> = projects.into_iter().map(|p| (p.image, p.options)).collect();
    let builds = tierce.build_all(&images, events).await;
    builds.into_iter().map(|build| Ok(build?)).collect()
}

/// Starts a process that builds it. What is wrong with the specification, its sources, its builder
/// or its secrets is found before.
fn start(
    settings: Settings,
    projects: Vec<Project>,
    python: Option<PathBuf>,
    format: Format,
) -> Done {
    let runs = Runs::open(&settings.store);
    let uri = project::drive(settings, Progress::Quiet, async move |tierce, _| {
        let project = one(&projects)?;
        let engine = tierce.engine();
        // Everything that is to be told is told by the process itself, in its log.
        let name = engine.check_ready(&project.image, &project.options, &Events::none()).await;
        name.map_err(|error| project.failed(Error::from(error)))
    })?;
    let named = python.map(|python| ["--python".into(), python.into_os_string()]);
    let arguments = std::env::args_os().skip(1).chain(named.into_iter().flatten());
    let start = StartRun {
        program: std::env::current_exe().map_err(CliError::Program)?,
        input: RunInput::Arguments(arguments.collect()),
        uri,
    };
    let run = runs.start(&start)?;
    match format {
        Format::Json => {
            let mut build = ImageBuild::new(start.uri, Status::Started);
            build.run = Some(run.id().to_string());
            print_json(&build)
        }
        Format::Text => {
            eprintln!("building {} in the background", start.uri);
            print_line(run.id().as_str())
        }
    }
}

fn show(names: &[String], mut builds: Builds, format: Format) -> Done {
    match builds.len() {
        1 => {
            let build = builds.remove(0).map_err(|failure| InImage::of(&names[0], failure))?;
            show_one(&build, format)
        }
        _ => show_all(names, &builds, format),
    }
}

fn show_one(build: &ImageBuild, format: Format) -> Done {
    if let Format::Json = format {
        return print_json(build);
    }
    match build.status {
        Status::Present => eprintln!("{} is there already", build.uri),
        Status::WouldBuild => {
            let rendered = rendered(build);
            eprint!(
                "{} would be built{}{rendered}",
                build.uri,
                if rendered.is_empty() { "\n" } else { ":\n" }
            );
        }
        Status::Unmodified => eprintln!("{} is used as it is", build.uri),
        Status::Skipped => eprintln!("{} is not built inside of an execution", build.uri),
        Status::Built | Status::AssumedPresent | Status::Started => {}
    }
    print_line(&build.uri)
}

/// What a builder would be given, for people; its base's first.
fn rendered(build: &ImageBuild) -> String {
    let mut text = String::new();
    if let Some(base) = build.base.as_deref().filter(|base| base.status == Status::WouldBuild) {
        let _ = writeln!(text, "\nfirst its base, {}:{}", base.uri, rendered(base));
    }
    let Some(rendering) = &build.rendering else { return text };
    for platform in rendering.plan.iter().flat_map(|plan| &plan.platforms) {
        tierce_ui::plan::write_platform(&mut text, platform);
    }
    if let Some(dockerfile) = &rendering.dockerfile {
        let _ = writeln!(text, "\n{}", dockerfile.trim_end());
    }
    if !rendering.context.is_empty() {
        let _ = writeln!(text, "\ncontext:");
        rendering.context.iter().for_each(|file| {
            let _ = writeln!(text, "  {file}");
        });
    }
    if let Some(command) = &rendering.command {
        let _ = writeln!(text, "\n{command}");
    }
    text
}

/// A table, and what failed; exits as the first failure would.
fn show_all(specs: &[String], builds: &Builds, format: Format) -> Done {
    let failure = builds.iter().find_map(|build| build.as_ref().err());
    let code = failure.map_or(0, |failure| failure.0.kind().exit_code());
    match format {
        Format::Json => {
            let entries: Vec<Value> = specs.iter().zip(builds).map(entry).collect();
            print_json(&entries)?;
        }
        Format::Text => {
            for (spec, build) in specs.iter().zip(builds) {
                match build {
                    Ok(build) => eprint!("{}", rendered(build)),
                    Err(error) => {
                        eprintln!("{spec}:");
                        ui::report(&*error.0);
                    }
                }
            }
            print_line(&table(specs, builds))?;
        }
    }
    Ok(code)
}

/// One image's result, for programs.
fn entry((spec, build): (&String, &Result<ImageBuild, Failure>)) -> Value {
    let mut entry = match build {
        Ok(build) => serde_json::to_value(build).expect("results have only string keys"),
        Err(Failure(error)) => json!({
            "status": "failed",
            "error": {
                "code": error.code(),
                "message": error.to_string(),
                "hint": error.hint(),
            },
        }),
    };
    entry["spec"] = json!(spec);
    entry
}

fn table(specs: &[String], builds: &Builds) -> String {
    let rows: Vec<[String; 4]> = specs
        .iter()
        .zip(builds)
        .map(|(spec, build)| match build {
            Ok(build) => [
                build.uri.clone(),
                word(build.status).to_owned(),
                build.digest.map_or_else(|| "-".to_owned(), |digest| digest.short()),
                units::millis(build.millis),
            ],
            Err(error) => {
                [spec.clone(), "failed".to_owned(), "-".to_owned(), error.0.code().to_owned()]
            }
        })
        .collect();
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let (first, second, third) = (width(0), width(1), width(2));
    let line = |row: &[String; 4]| {
        format!("{:first$}  {:second$}  {:third$}  {}", row[0], row[1], row[2], row[3])
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// The status as JSON has it.
fn word(status: Status) -> &'static str {
    match status {
        Status::Present => "present",
        Status::AssumedPresent => "assumed-present",
        Status::Built => "built",
        Status::WouldBuild => "would-build",
        Status::Unmodified => "unmodified",
        Status::Skipped => "skipped",
        Status::Started => "started",
    }
}
