//! The native builder passes the suite.

mod support;

fn main() -> std::process::ExitCode {
    support::main(async |stage| {
        // The layer with a working directory knows nothing of the layers below it, and gives a
        // directory that is there already to root.
        let known = ["workdir"];
        support::check_but(&stage.suite(stage.builder("native").await).await, 29, &known);
    })
}
