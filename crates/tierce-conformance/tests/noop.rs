//! The noop builder passes what there is to hold it to: it gives back the base, and refuses what
//! has no reference to give back. All else asks for steps, which it says that it leaves out.

mod support;

fn main() -> std::process::ExitCode {
    support::main(async |stage| {
        support::check(&stage.suite(stage.builder("noop").await).await, 2);
    })
}
