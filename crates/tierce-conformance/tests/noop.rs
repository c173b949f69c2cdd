//! The noop builder says of every image that it leaves its steps out, and of those that start
//! from nothing that it refuses them: there is nothing to hold it to.

mod support;

fn main() -> std::process::ExitCode {
    support::main(async |stage| {
        support::check(&stage.suite(stage.builder("noop").await).await, 0);
    })
}
