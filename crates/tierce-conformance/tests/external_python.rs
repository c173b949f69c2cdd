//! The example in Python passes the suite.

mod support;

use serde_json::json;

fn main() -> std::process::ExitCode {
    support::main(async |stage| {
        let config = |storage: &str| {
            let arguments = [
                format!("--root={storage}/root"),
                format!("--runroot={storage}/run"),
                format!("--tmpdir={storage}/tmp"),
                "--storage-driver=vfs".to_owned(),
                "--cgroup-manager=cgroupfs".to_owned(),
                "--events-backend=none".to_owned(),
            ];
            let build = ["--isolation=chroot"];
            json!({"tls-verify": false, "arguments": arguments, "build-arguments": build})
        };
        let path = "python/tierce-builder-podman-py";
        let Some(builder) = stage.example(path, &["podman", "python3"], config).await else {
            return;
        };
        support::check(&stage.suite(builder).await, 24);
    })
}
