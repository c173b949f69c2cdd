//! The sandbox's helper as a program of its own, for tests and for embedders whose own program
//! can't be re-executed (a Python interpreter).

fn main() {
    tierce_sandbox::helper_main()
}
