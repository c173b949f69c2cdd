//! Secrets: there while their step runs, and nowhere after.

use crate::bench::{Ask, Bench, Built, Checked, fail, same};
use tierce_oci::Digest;
use tierce_secret::{SecretValue, Secrets};
use tierce_spec::{Command, Commands, Image, Network, Secret, Step};

/// Long, so that it is nowhere by chance; with what shells and JSON change.
const VALUE: &str = "s3cr3t-7f1e0c55 \"quoted\" $HOME \\ 9b2d";

fn with_secret(image: &Image, secret: &Secret, commands: &[&str]) -> Image {
    let commands = commands.iter().map(|line| Command::from(*line)).collect();
    let secrets = vec![secret.clone()];
    image.with_step(Step::Commands(Commands { commands, secrets, network: Network::Host }))
}

fn ask(secret: &Secret) -> Ask {
    let values = [(secret.id(), SecretValue::new(VALUE))];
    Ask { secrets: Secrets::new(values), ..Ask::default() }
}

/// The value is nowhere in the image and in nothing that the builder said.
fn is_nowhere(built: &Built) -> Checked {
    let platform = built.only()?;
    if !platform.leaks.is_empty() {
        return fail(format!("the value of the secret is in {}", platform.leaks.join(", ")));
    }
    said_nowhere(&built.events)
}

fn said_nowhere(events: &str) -> Checked {
    // Events are JSON here: the value is in its escaped form.
    let escaped = serde_json::to_string(VALUE).unwrap_or_default();
    let bare = escaped.trim_matches('"');
    match events.contains(bare) || events.contains(VALUE) {
        true => fail("the value of the secret is in the builder's events"),
        false => Ok(()),
    }
}

/// The digest of the value, as `sha256sum` prints it.
fn proof() -> String {
    Digest::of(VALUE).hex()
}

pub(super) async fn variable(bench: &Bench<'_>) -> Checked {
    let secret = Secret::new("token").with_group("conformance");
    let image = with_secret(
        &bench.on_base()?,
        &secret,
        &["printf %s \"$CONFORMANCE_TOKEN\" | sha256sum | cut -c1-64 > /proof"],
    )
    .with_commands(["echo \"${CONFORMANCE_TOKEN-nothing}\" > /after"], Default::default());
    let built = bench.build_with(&image, &ask(&secret)).await?;
    same("the secret that the step saw", built.text("proof")?.trim(), proof().as_str())?;
    same("the secret in the next step", built.text("after")?.trim(), "nothing")?;
    is_nowhere(&built)
}

pub(super) async fn file(bench: &Bench<'_>) -> Checked {
    let secret = Secret::new("netrc").with_mount("/root/.config/token");
    let image = with_secret(
        &bench.on_base()?,
        &secret,
        &["sha256sum < /root/.config/token | cut -c1-64 > /proof"],
    )
    .with_commands(
        ["if test -s /root/.config/token; then echo there; else echo nothing; fi > /after"],
        Default::default(),
    );
    let built = bench.build_with(&image, &ask(&secret)).await?;
    same("the secret that the step saw", built.text("proof")?.trim(), proof().as_str())?;
    same("the secret in the next step", built.text("after")?.trim(), "nothing")?;
    is_nowhere(&built)
}

pub(super) async fn log(bench: &Bench<'_>) -> Checked {
    let secret = Secret::new("token").with_group("conformance");
    let print = "echo \"the value is $CONFORMANCE_TOKEN\"";
    let image = with_secret(&bench.on_base()?, &secret, &[print]);
    let built = bench.build_with(&image, &ask(&secret)).await?;
    is_nowhere(&built)?;
    let failing = with_secret(&bench.on_base()?, &secret, &[print, "exit 3"]);
    let failed = bench.build_fails(&failing, &ask(&secret)).await?;
    said_nowhere(&failed.events)?;
    match failed.told().contains(VALUE) {
        true => fail("the value of the secret is in the error"),
        false => Ok(()),
    }
}
