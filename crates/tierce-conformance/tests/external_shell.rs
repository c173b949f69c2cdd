//! The example in shell passes the suite.

mod support;

use serde_json::json;

fn main() -> std::process::ExitCode {
    support::main(async |stage| {
        let config =
            |storage: &str| json!({"root": storage, "storage-driver": "vfs", "tls-verify": false});
        let path = "shell/tierce-builder-buildah";
        let Some(builder) = stage.example(path, &["buildah", "skopeo", "jq"], config).await else {
            return;
        };
        support::check(&stage.suite(builder).await, 24);
    })
}
