//! The noop builder builds nothing: the suite has nothing to read, and finds nothing wrong.

mod support;

fn main() -> std::process::ExitCode {
    support::main(async |stage| {
        support::check(&stage.suite(stage.builder("noop").await).await, 0);
    })
}
