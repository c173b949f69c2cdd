//! How containers start.

use crate::bench::{Bench, Built, Checked, fail, same};

/// Names and values that go wrong in a Dockerfile that is written without care.
const DIFFICULT: [(&str, &str); 12] = [
    ("PLAIN", "plain"),
    ("SPACES", "  two  spaces  "),
    ("SINGLE", "it's"),
    ("DOUBLE", "say \"hi\""),
    ("DOLLAR", "$HOME ${PLAIN} $(id) $$"),
    ("BACKSLASH", "a\\b\\\\c\\n\\"),
    ("LINES", "first\nsecond\n\nfourth"),
    ("HASH", "# no comment"),
    ("EQUALS", "a=b=c"),
    ("UNICODE", "grüße 日本語 🛢️"),
    ("TAB", "a\tb"),
    ("BACKTICK", "`id` %s {{x}}"),
];

fn variable(built: &Built, name: &str) -> Option<String> {
    let platform = built.only().ok()?;
    platform.config.env().into_iter().find(|(n, _)| n == name).map(|(_, value)| value)
}

pub(super) async fn env(bench: &Bench<'_>) -> Checked {
    bench.write("f", "f", 0o644)?;
    let image = bench
        .scratch()
        .with_env_vars(DIFFICULT)
        .with_source_file("f", "/f")
        .with_env_vars([("PLAIN", "changed"), ("EMPTY", "")]);
    let built = bench.build(&image).await?;
    for (name, value) in DIFFICULT.iter().skip(1).chain(&[("PLAIN", "changed"), ("EMPTY", "")]) {
        let found = variable(&built, name);
        same(&format!("the variable {name}"), found.as_deref(), Some(*value))?;
    }
    Ok(())
}

pub(super) async fn labels(bench: &Bench<'_>) -> Checked {
    bench.write("f", "f", 0o644)?;
    let labels: Vec<(String, &str)> = DIFFICULT
        .iter()
        .map(|(name, value)| (format!("org.example.{}", name.to_lowercase()), *value))
        .collect();
    let image = bench.scratch().with_source_file("f", "/f").with_labels(labels.clone());
    let built = bench.build(&image).await?;
    let found = built.only()?.config.config.labels.clone().unwrap_or_default();
    for (name, value) in labels {
        same(&format!("the label {name}"), found.get(&name).map(String::as_str), Some(value))?;
    }
    Ok(())
}

pub(super) async fn start(bench: &Bench<'_>) -> Checked {
    bench.write("f", "f", 0o644)?;
    let entrypoint = ["/bin/my app", "it's \"$HOME\"", "", "-x", "a\\b"];
    let cmd = ["serve", "--name=$NAME", "two words"];
    let image = bench
        .scratch()
        .with_source_file("f", "/f")
        .with_workdir("/srv/my app")
        .with_user("1000:1000")
        .with_entrypoint(entrypoint)
        .with_cmd(cmd);
    let built = bench.build(&image).await?;
    let config = &built.only()?.config.config;
    let owned = |argv: &[&str]| Some(argv.iter().map(ToString::to_string).collect::<Vec<_>>());
    same("the entry point", config.entrypoint.clone(), owned(&entrypoint))?;
    same("the command", config.cmd.clone(), owned(&cmd))?;
    same("the directory", config.working_dir.as_deref(), Some("/srv/my app"))?;
    same("the user", config.user.as_deref(), Some("1000:1000"))?;
    if config.volumes.as_ref().is_some_and(|v| !v.is_empty()) {
        return fail("the image has volumes that nobody asked for");
    }
    Ok(())
}

pub(super) async fn inherits(bench: &Bench<'_>) -> Checked {
    bench.write("f", "f", 0o644)?;
    let plain = bench.on_base()?.with_source_file("f", "/f");
    let more = plain.with_env_vars([("ADDED", "1")]).with_labels([("added", "1")]);
    let (plain, more) = (bench.build(&plain).await?, bench.build(&more).await?);
    let (before, after) = (&plain.only()?.config.config, &more.only()?.config.config);
    same("the base's entry point", &after.entrypoint, &before.entrypoint)?;
    same("the base's command", &after.cmd, &before.cmd)?;
    same("the base's directory", &after.working_dir, &before.working_dir)?;
    same("the base's user", &after.user, &before.user)?;
    let path = variable(&plain, "PATH");
    same("the base's PATH", variable(&more, "PATH"), path)?;
    same("the variable ADDED", variable(&more, "ADDED").as_deref(), Some("1"))
}
