//! The native builder passes the suite.

mod support;

fn main() -> std::process::ExitCode {
    support::main(async |stage| {
        support::check(&stage.suite(stage.builder("native").await).await, 31);
    })
}
