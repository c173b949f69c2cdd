//! What a machine is known to have: a test that finds it missing there fails, and is not skipped.

use std::fmt::Display;

/// The variable that names what must be there: names between commas, or `all`.
pub const REQUIRE: &str = "TIERCE_TEST_REQUIRE";

/// What tests may find missing, the Python package's included.
const NAMES: [&str; 15] = [
    "buildah", "buildkit", "busybox", "crun", "debian", "docker", "git", "jq", "podman", "python3",
    "registry", "skopeo", "umoci", "unzip", "wheel",
];

/// Prints why a test can't run here, for want of `what`.
///
/// # Panics
///
/// Where [`REQUIRE`] says that this machine has it, or names something that no test asks for.
pub fn skip(what: &str, why: impl Display) {
    assert!(NAMES.contains(&what), "{what} is not among the names of what tests need");
    let required = std::env::var(REQUIRE).unwrap_or_default();
    match is_required(&required, what) {
        Ok(false) => eprintln!("skipped: {why}"),
        Ok(true) => panic!("{REQUIRE} requires {what}: {why}"),
        Err(name) => panic!("{REQUIRE}: {name:?} is none of {}", NAMES.join(", ")),
    }
}

/// What came of an attempt to set `what` up; its failure is why the test can't run here.
pub(crate) fn or_skip<T, E: Display>(what: &str, result: Result<T, E>) -> Option<T> {
    result.map_err(|error| skip(what, format!("{what} cannot be set up here: {error}"))).ok()
}

/// Whether `required` has `what`; a name in it that is none.
fn is_required<'a>(required: &'a str, what: &str) -> Result<bool, &'a str> {
    let mut names = required.split(',').map(str::trim).filter(|name| !name.is_empty());
    if let Some(unknown) = names.clone().find(|name| *name != "all" && !NAMES.contains(name)) {
        return Err(unknown);
    }
    Ok(names.any(|name| name == what || name == "all"))
}

#[cfg(test)]
mod tests {
    use super::is_required;

    #[test]
    fn what_is_required_is_named() {
        for (required, what, expected) in [
            ("", "docker", Ok(false)),
            ("docker", "docker", Ok(true)),
            ("podman, docker,", "docker", Ok(true)),
            ("podman", "docker", Ok(false)),
            ("all", "docker", Ok(true)),
            ("podman,dokcer", "podman", Err("dokcer")),
        ] {
            assert_eq!(is_required(required, what), expected, "{required:?} {what}");
        }
    }
}
