//! The builder `podman` passes the suite, on storage of its own.

mod support;

use std::sync::Arc;
use tierce_docker::{PodmanBuilder, PodmanSettings};
use tierce_frontend::Frontend;
use tierce_registry::Anonymous;
use tierce_testing::Podman;

fn main() -> std::process::ExitCode {
    support::main(async |stage| {
        let Some(podman) = Podman::isolated() else { return };
        let directory = podman.program().parent().expect("the directory of a program");
        let settings = PodmanSettings {
            variables: podman.variables(),
            temporary: stage.directory.path().to_owned(),
            search_path: vec![directory.to_owned()],
            extra_args: vec!["--network=host".to_owned()],
            ..PodmanSettings::default()
        };
        let client = stage.options().registry.expect("a registry").1;
        let builder =
            PodmanBuilder::new(settings, Frontend::default(), client, Arc::new(Anonymous));
        support::check(&stage.suite(Arc::new(builder)).await, 28);
    })
}
