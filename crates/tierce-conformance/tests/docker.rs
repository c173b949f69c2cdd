//! The builder `docker` passes the suite, with a daemon of its own.

mod support;

use std::sync::Arc;
use tierce_docker::{DockerBuilder, DockerSettings};
use tierce_frontend::Frontend;
use tierce_registry::Anonymous;
use tierce_testing::Dockerd;

fn main() -> std::process::ExitCode {
    support::main(async |stage| {
        let Some(dockerd) = Dockerd::start() else { return };
        let settings = DockerSettings {
            host: Some(dockerd.host()),
            temporary: stage.directory.path().to_owned(),
            extra_args: vec![format!("--network={}", Dockerd::NETWORK)],
            ..DockerSettings::default()
        };
        let client = stage.options().registry.expect("a registry").1;
        let builder =
            DockerBuilder::new(settings, Frontend::default(), client, Arc::new(Anonymous));
        support::check(&stage.suite(Arc::new(builder)).await, 28);
    })
}
