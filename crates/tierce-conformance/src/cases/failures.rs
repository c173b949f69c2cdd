//! What goes wrong, and how that is said.

use crate::bench::{Ask, Bench, Checked, Failed, fail, same, skip};
use crate::recorder::Recorder;
use std::time::{Duration, Instant};
use tierce_engine::ExportKind;
use tierce_oci::ErrorKind;
use tierce_spec::{Command, Image, Network};

/// An error has a code, and is nobody's bug.
fn is_proper(failed: &Failed) -> Checked {
    let code = failed.error.code();
    if !code.contains('/') {
        return fail(format!("the error's code is {code:?}, and not area/what"));
    }
    match failed.error.kind() {
        ErrorKind::Bug => fail(format!("the error says it is tierce's fault: {}", failed.told())),
        _ => Ok(()),
    }
}

pub(super) async fn command(bench: &Bench<'_>) -> Checked {
    let image = bench
        .on_base()?
        .with_commands(["echo to-be-seen-$((6*7)); echo and-this >&2; exit 3"], Network::Host)
        .with_commands(["echo never-run-$((6*7))"], Network::Host);
    let failed = bench.build_fails(&image, &Ask::default()).await?;
    is_proper(&failed)?;
    let all = format!("{}\n{}", failed.told(), failed.events);
    for text in ["to-be-seen-42", "and-this"] {
        if !all.contains(text) {
            return fail(format!("the command's output is nowhere: {}", failed.told()));
        }
    }
    if all.contains("never-run-42") {
        return fail("the step after the one that failed was run");
    }
    match failed.error.kind() {
        ErrorKind::User | ErrorKind::Step => Ok(()),
        kind => fail(format!("the error's kind is {kind:?}: {}", failed.told())),
    }
}

pub(super) async fn missing_program(bench: &Bench<'_>) -> Checked {
    let argv = vec!["/no/such/program".to_owned()];
    let image = bench.on_base()?.with_commands([Command::Exec(argv)], Network::Host);
    let failed = bench.build_fails(&image, &Ask::default()).await?;
    is_proper(&failed)?;
    let all = format!("{}\n{}", failed.told(), failed.events);
    match all.contains("/no/such/program") {
        true => Ok(()),
        false => fail(format!("the error does not name the program: {}", failed.told())),
    }
}

/// What a builder refuses before anything is built, it refuses for the same reason when it is
/// asked to build it.
pub(super) async fn refused(bench: &Bench<'_>) -> Checked {
    let labelled = |image: Image| image.with_labels([("a", "1")]);
    let below = labelled(bench.scratch());
    let mut any = false;
    for (base, image) in [("scratch", below.clone()), ("an image", labelled(bench.on_image(below)))]
    {
        let Some((request, refusal)) = bench.refused(&image)? else { continue };
        any = true;
        let failed = match bench.run(&request).await {
            Ok(_) => return fail(format!("it refuses {base} as a base, and builds on it")),
            Err(failed) => failed,
        };
        is_proper(&failed)?;
        same(&format!("the error's code, on {base}"), failed.error.code(), refusal.code())?;
    }
    match any {
        true => Ok(()),
        false => skip("the builder takes every base that is tried"),
    }
}

pub(super) async fn unknown_base(bench: &Bench<'_>) -> Checked {
    // A registry that answers, where there is one; else nobody at all.
    let registry = match &bench.options.registry {
        Some((registry, _)) => registry.clone(),
        None => "127.0.0.1:1".to_owned(),
    };
    bench.write("f", "f", 0o644)?;
    let reference = bench.never_pushed(&registry)?;
    let image = Image::from_reference(reference.clone())
        .with_name("unknown-base")
        .with_source_file("f", "/f");
    let failed = bench.build_fails(&image, &Ask::default()).await?;
    is_proper(&failed)?;
    let all = format!("{}\n{}", failed.told(), failed.events);
    match all.contains(reference.repository()) {
        true => Ok(()),
        false => fail(format!("the error does not name the base: {}", failed.told())),
    }
}

/// How long a builder may take to let go of a build that was given up.
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) async fn cancel(bench: &Bench<'_>) -> Checked {
    // A number of seconds that no other process on this machine sleeps for.
    let seconds = 100_000_000 + fastrand::u32(..99_999_999);
    let image =
        bench.on_base()?.with_commands([format!("exec sleep {seconds}").as_str()], Network::Host);
    let kind = bench.readable(1)?;
    let (_, export) = bench.export(&image, kind)?;
    let request = bench.request(&image, vec![export], &Ask::default())?;
    let recorder = Recorder::default();
    let events = recorder.events();
    let seen = tokio::select! {
        built = bench.builder.build(&request, &events) => {
            return match built {
                Ok(_) => fail("the build went well, and its command sleeps for years"),
                Err(e) => fail(format!("the build failed before it was given up: {}", e.0)),
            };
        }
        seen = sleeping(seconds, true) => seen,
    };
    if !seen {
        return skip("the command does not run where the suite can see it");
    }
    // The build's future is dropped now.
    match sleeping(seconds, false).await {
        true => still_builds(bench, kind).await,
        false => fail(format!("the command still runs {} s later", PATIENCE.as_secs())),
    }
}

/// A builder that gave up a build can go on with the next one.
async fn still_builds(bench: &Bench<'_>, kind: ExportKind) -> Checked {
    bench.write("f", "f", 0o644)?;
    let image = bench.scratch().with_source_file("f", "/f");
    bench.build_as(&image, &Ask::default(), kind).await.map(drop)
}

/// Waits until a process that sleeps for so long is there, or is not; false where that does not
/// come to pass.
async fn sleeping(seconds: u32, wanted: bool) -> bool {
    let started = Instant::now();
    let seconds = seconds.to_string();
    while started.elapsed() < PATIENCE {
        let wait = seconds.clone();
        let there = tokio::task::spawn_blocking(move || is_sleeping(&wait)).await;
        if there.is_ok_and(|there| there == wanted) {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    false
}

fn is_sleeping(seconds: &str) -> bool {
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    processes.into_iter().any(|process| {
        let command = std::fs::read(process.path().join("cmdline")).unwrap_or_default();
        let arguments: Vec<&[u8]> = command.split(|byte| *byte == 0).collect();
        arguments.iter().any(|argument| argument.ends_with(b"sleep"))
            && arguments.contains(&seconds.as_bytes())
    })
}
