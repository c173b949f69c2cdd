//! What is written or set means the same when it is read again.

use tierce_oci::{ImageConfig, Platform, Reference};

#[test]
fn familiar_references_mean_the_same() {
    for (full, familiar) in [
        ("docker.io/library/python:3.12", "python:3.12"),
        ("docker.io/library/library", "library"),
        ("docker.io/user/image", "user/image"),
        ("ghcr.io/library/a", "ghcr.io/library/a"),
        // Shorter, they would be another repository, or a registry.
        ("docker.io/library/a/b", "library/a/b"),
        ("docker.io/localhost/a", "docker.io/localhost/a"),
        ("docker.io/docker.io/a", "docker.io/docker.io/a"),
        ("docker.io/library/localhost/a", "library/localhost/a"),
        ("docker.io/quay.io/a", "docker.io/quay.io/a"),
    ] {
        let reference: Reference = full.parse().unwrap();
        assert_eq!(reference.familiar(), familiar, "{full}");
        assert_eq!(familiar.parse(), Ok(reference), "{full}");
    }
}

#[test]
fn a_variable_that_was_set_has_its_value() {
    for (before, after) in [
        (&[][..], &["A=new"][..]),
        (&["A=1", "B=2"], &["A=new", "B=2"]),
        (&["B=2", "A"], &["B=2", "A=new"]),
        (&["A=1", "B=2", "A=3", "AB=4"], &["A=new", "B=2", "AB=4"]),
    ] {
        let mut config = ImageConfig::scratch(Platform::linux("amd64"));
        config.config.env = Some(before.iter().map(|&e| e.to_owned()).collect());
        config.set_env("A", "new");
        assert_eq!(config.config.env.as_deref().unwrap(), after);
        assert!(config.env().contains(&("A".to_owned(), "new".to_owned())));
    }
}
