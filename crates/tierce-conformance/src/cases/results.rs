//! Where results go, and whether they are the same.

use crate::bench::{Ask, Bench, Checked, Stop, fail, same, skip};
use crate::filesystem::FileSystem;
use std::sync::Arc;
use tierce_engine::{Export, ExportKind, Presence, Question, Status, TagKind};
use tierce_oci::Platform;
use tierce_spec::{Image, SourceOptions};

fn with_files(bench: &Bench<'_>, image: Image) -> Result<Image, Stop> {
    bench.write("src/a.txt", "a\n", 0o644)?;
    bench.write("src/bin/run", "#!/bin/sh\n", 0o755)?;
    let image = image.with_source_folder("src", "/app", SourceOptions::new());
    Ok(image.with_env_vars([("A", "1")]).with_labels([("b", "2")]))
}

/// An image that is delivered nowhere: there is only the answer to look at.
pub(super) async fn kept(bench: &Bench<'_>) -> Checked {
    if !bench.can(ExportKind::Local) {
        return skip("the builder keeps nothing");
    }
    let image = with_files(bench, bench.scratch())?;
    let request = bench.request(&image, vec![], &Ask::default())?;
    let build = match bench.run(&request).await {
        Ok((build, _)) => build,
        Err(failed) => return fail(format!("the build failed: {}", failed.told())),
    };
    same("the uri of the answer", build.uri.as_str(), request.uri.as_str())?;
    same("the status of the answer", build.status, Status::Built)?;
    // Who names no platform has built the only one there is.
    for platform in &build.platforms {
        if !request.platforms.iter().any(|wanted| platform.platform.serves(wanted)) {
            return fail(format!("the answer is for {}", platform.platform));
        }
    }
    Ok(())
}

/// A builder that leaves out all steps gives back the base, and says so.
pub(super) async fn gives_back(bench: &Bench<'_>) -> Checked {
    let base = match &bench.options.base {
        Some(base) => base.clone(),
        None => bench.never_pushed("registry.invalid")?,
    };
    let image = bench.named(Image::from_reference(base.clone())).with_env_vars([("A", "1")]);
    let request = bench.request_with_rest_left_out(&image)?;
    let build = match bench.run(&request).await {
        Ok((build, _)) => build,
        Err(failed) => return fail(format!("the build failed: {}", failed.told())),
    };
    same("the uri of the answer", build.uri.as_str(), base.to_string().as_str())?;
    same("the status of the answer", build.status, Status::Unmodified)?;
    match build.digest {
        Some(digest) => {
            fail(format!("the answer has the digest {digest} of what nobody looked at"))
        }
        None => Ok(()),
    }
}

pub(super) async fn platforms(bench: &Bench<'_>) -> Checked {
    let both = [Platform::linux("amd64"), Platform::linux("arm64")];
    let image = with_files(bench, bench.scratch())?.with_platforms(both.clone());
    let built = bench.build(&image).await?;
    for (platform, read) in &built.image.platforms {
        let content = read.files.content("app/a.txt");
        same(&format!("/app/a.txt for {platform}"), content, Some(&b"a\n"[..]))?;
    }
    same("the number of platforms in the answer", built.build.platforms.len(), both.len())
}

pub(super) async fn base_image(bench: &Bench<'_>) -> Checked {
    bench.readable(1)?;
    bench.write("above.txt", "above\n", 0o644)?;
    let base = with_files(bench, bench.scratch())?;
    // Where the base goes: a registry that the builder finds it in, or its own store.
    let exports = match bench.registry() {
        Ok(_) => vec![bench.export(&base, ExportKind::Push)?.1],
        Err(_) if bench.can(ExportKind::Local) => vec![],
        Err(stop) => return Err(stop),
    };
    let request = bench.request(&base, exports, &Ask::default())?;
    let below = match bench.run(&request).await {
        Ok((build, _)) => Arc::new(build),
        Err(failed) => return fail(format!("the base failed: {}", failed.told())),
    };
    let image = bench
        .on_image(base)
        .with_source_file("above.txt", "/app/above.txt")
        .with_env_vars([("B", "2")]);
    let ask = Ask { base: Some(below), ..Ask::default() };
    let built = bench.build_with(&image, &ask).await?;
    same("the base's /app/a.txt", built.text("app/a.txt")?.as_str(), "a\n")?;
    same("/app/above.txt", built.text("app/above.txt")?.as_str(), "above\n")?;
    let env = built.only()?.config.env();
    for (name, value) in [("A", "1"), ("B", "2")] {
        let found = env.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str());
        same(&format!("the variable {name}"), found, Some(value))?;
    }
    Ok(())
}

fn listing(files: &FileSystem) -> Vec<String> {
    files
        .paths()
        .filter_map(|path| {
            let node = files.get(&path)?;
            Some(format!("{path} {:o} {}:{} {:?}", node.mode, node.uid, node.gid, node.kind))
        })
        .collect()
}

pub(super) async fn exports(bench: &Bench<'_>) -> Checked {
    let image = with_files(bench, bench.scratch())?;
    let kinds = [
        ExportKind::OciLayout,
        ExportKind::OciArchive,
        ExportKind::DockerArchive,
        ExportKind::Push,
    ];
    let mut first: Option<(ExportKind, Vec<String>, _)> = None;
    for kind in kinds {
        if !bench.can(kind) || (kind == ExportKind::Push && bench.registry().is_err()) {
            continue;
        }
        let built = bench.build_as(&image, &Ask::default(), kind).await.map_err(|s| of(kind, s))?;
        let read = built.only()?;
        let found = listing(&read.files);
        let config = read.config.config.clone();
        let Some((other, expected, settings)) = &first else {
            if found.is_empty() {
                return fail(format!("{kind:?}: the image is empty"));
            }
            first = Some((kind, found, config));
            continue;
        };
        same(&format!("files by {kind:?} and by {other:?}"), &found, expected)?;
        same(&format!("the variables by {kind:?}"), &config.env, &settings.env)?;
        same(&format!("the labels by {kind:?}"), &config.labels, &settings.labels)?;
    }
    match first {
        Some(_) => Ok(()),
        None => skip("the builder delivers images to no place that the suite can read"),
    }
}

fn of(kind: ExportKind, stop: Stop) -> Stop {
    match stop {
        Stop::Fail(what) => Stop::Fail(format!("{kind:?}: {what}")),
        other => other,
    }
}

pub(super) async fn reproducible(bench: &Bench<'_>) -> Checked {
    if !bench.builder.capabilities().reproducible {
        return skip("the builder does not say that it is reproducible");
    }
    let image = with_files(bench, bench.scratch())?;
    let ask = Ask { force: true, ..Ask::default() };
    let first = bench.build_with(&image, &ask).await?;
    // Times of the sources must not matter.
    bench.write("src/a.txt", "a\n", 0o644)?;
    let second = bench.build_with(&image, &ask).await?;
    if first.build.digest.is_none() {
        return fail("the answer has no digest");
    }
    same("the digest, the second time", second.build.digest, first.build.digest)
}

pub(super) async fn force(bench: &Bench<'_>) -> Checked {
    let image = bench
        .on_base()?
        .with_commands(["cat /proc/sys/kernel/random/uuid > /id"], Default::default());
    let first = bench.build(&image).await?;
    let forced = bench.build_with(&image, &Ask { force: true, ..Ask::default() }).await?;
    match first.text("id")? == forced.text("id")? {
        true => fail("the command did not run again"),
        false => Ok(()),
    }
}

pub(super) async fn check_present(bench: &Bench<'_>) -> Checked {
    bench.registry()?;
    let image = with_files(bench, bench.scratch())?;
    let built = bench.build_as(&image, &Ask::default(), ExportKind::Push).await?;
    let (name, export) = bench.export(&image, ExportKind::Push)?;
    let (Some(reference), Some(digest)) = (name.reference(), built.build.digest) else {
        return fail("the answer to a push has no digest");
    };
    let checkers = bench.builder.checkers(std::slice::from_ref(&export), None);
    if checkers.is_empty() {
        return skip("the builder has nobody who checks");
    }
    for checker in checkers {
        let platforms = &[Platform::host()];
        match checker.check(Question { reference, platforms, tag: TagKind::OfKey }).await {
            Presence::Present(root) => same("the digest that is present", root.digest, digest)?,
            Presence::Vouched(_) => {}
            Presence::Absent => return fail(format!("{} says it is absent", checker.name())),
            Presence::Unknown(e) => return fail(format!("{} cannot tell: {e}", checker.name())),
        }
    }
    Ok(())
}

pub(super) async fn check_absent(bench: &Bench<'_>) -> Checked {
    let (registry, _) = bench.registry()?;
    let reference = bench.never_pushed(registry)?;
    let checkers = bench.builder.checkers(&[Export::Push(reference.clone())], None);
    if checkers.is_empty() {
        return skip("the builder has nobody who checks");
    }
    for checker in checkers {
        let platforms = &[Platform::host()];
        let tag = TagKind::Chosen;
        match checker.check(Question { reference: &reference, platforms, tag }).await {
            Presence::Absent => {}
            Presence::Present(_) | Presence::Vouched(_) => {
                return fail(format!("{} says it is present", checker.name()));
            }
            Presence::Unknown(e) => return fail(format!("{} cannot tell: {e}", checker.name())),
        }
    }
    Ok(())
}
