//! Versions of Flyte, as much of them as is needed (PEP 440).

/// Whether a version is one that was never released.
pub(crate) fn is_development(version: &str) -> bool {
    version.contains("dev")
}

/// The tag that the images of a release have.
pub(crate) fn tag(version: &str) -> String {
    let version = version.replace('+', "-");
    match version.starts_with('v') {
        true => version,
        false => format!("v{version}"),
    }
}

/// The numbers at the start of a version: what it is a development, a candidate or a build of.
pub(crate) fn base(version: &str) -> &str {
    let version = version.trim_start_matches('v');
    let end = version.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(version.len());
    version[..end].trim_end_matches('.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_base_of_a_version_is_its_numbers() {
        for (version, expected) in [
            ("2.12.1", "2.12.1"),
            ("2.12.1.dev3+g1234", "2.12.1"),
            ("2.0.0rc1", "2.0.0"),
            ("v2.1", "2.1"),
            ("2.12.1+local", "2.12.1"),
        ] {
            assert_eq!(base(version), expected);
        }
    }
}
