//! Version ordering, with dpkg as the oracle.

use proptest::prelude::*;
use std::cmp::Ordering;
use std::process::Command;
use tierce_debian::Version;

/// What dpkg says of two versions; `None` where there is no dpkg or it refuses one of them.
fn dpkg_compares(a: &str, b: &str) -> Option<Ordering> {
    let holds = |operator: &str| {
        let output = Command::new("dpkg").args(["--compare-versions", a, operator, b]).output();
        let output = output.ok()?;
        // It warns of bad syntax, and goes on.
        output.stderr.is_empty().then(|| output.status.success())
    };
    match (holds("lt")?, holds("eq")?) {
        (true, _) => Some(Ordering::Less),
        (_, true) => Some(Ordering::Equal),
        _ => Some(Ordering::Greater),
    }
}

#[test]
fn known_orders() {
    for (a, order, b) in [
        ("1.0", Ordering::Equal, "1.0-0"),
        ("1.0", Ordering::Equal, "0:1.0"),
        ("1.0~rc1", Ordering::Less, "1.0"),
        ("1.0~~", Ordering::Less, "1.0~"),
        ("1.0~~a", Ordering::Less, "1.0~"),
        ("1.0", Ordering::Less, "1.0a"),
        ("1.0a", Ordering::Less, "1.0+"),
        ("1.9", Ordering::Less, "1.10"),
        ("1.09", Ordering::Equal, "1.9"),
        ("2:0.1", Ordering::Greater, "1:9.9"),
        ("1.2.3-1", Ordering::Less, "1.2.3-1+b1"),
        ("1.2.3-1~deb12u1", Ordering::Less, "1.2.3-1"),
        ("1-2-3", Ordering::Less, "1-2-4"),
        ("18446744073709551616", Ordering::Greater, "18446744073709551615"),
    ] {
        let (left, right): (Version, Version) = (a.parse().unwrap(), b.parse().unwrap());
        assert_eq!(left.cmp(&right), order, "{a} {b}");
        if let Some(oracle) = dpkg_compares(a, b) {
            assert_eq!(oracle, order, "dpkg on {a} {b}");
        }
    }
}

#[test]
fn malformed_versions_are_refused() {
    for text in
        ["", "a", "-1", "1-", ":1", "a:1", "-1:1", "1:", "1 2", "1_2", "1.0-1_2", "1\n", "é1"]
    {
        assert!(text.parse::<Version>().is_err(), "{text:?}");
    }
}

#[test]
fn the_upstream_part_is_found() {
    for (text, upstream) in
        [("3.11.2-1+b1", "3.11.2"), ("1:2.39.5-0+deb12u2", "2.39.5"), ("1-2-3", "1-2"), ("7", "7")]
    {
        assert_eq!(text.parse::<Version>().unwrap().upstream(), upstream);
    }
}

/// Versions that are alike enough for the rules to matter.
fn version() -> impl Strategy<Value = String> {
    let part = "[0-9]{1,2}([.+~a-c-]{0,2}[0-9a-b]{0,2}){0,3}";
    (proptest::option::of(0..3u8), part, proptest::option::of("[0-9a~+.]{1,4}")).prop_map(
        |(epoch, upstream, revision)| {
            let mut text = epoch.map(|e| format!("{e}:")).unwrap_or_default();
            text.push_str(&upstream);
            if let Some(revision) = revision {
                text = format!("{text}-{revision}");
            }
            text
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn dpkg_agrees(a in version(), b in version()) {
        let parsed = (a.parse::<Version>(), b.parse::<Version>());
        if let ((Ok(x), Ok(y)), Some(oracle)) = (parsed, dpkg_compares(&a, &b)) {
            prop_assert_eq!(x.cmp(&y), oracle, "{} {}", a, b);
        }
    }
}

proptest! {
    #[test]
    fn the_order_is_total(a in version(), b in version(), c in version()) {
        if let (Ok(a), Ok(b), Ok(c)) =
            (a.parse::<Version>(), b.parse::<Version>(), c.parse::<Version>())
        {
            prop_assert_eq!(a.cmp(&b), b.cmp(&a).reverse());
            if a <= b && b <= c {
                prop_assert!(a <= c);
            }
        }
    }

    #[test]
    fn any_text_is_parsed_or_refused(text in ".*") {
        if let Ok(version) = text.parse::<Version>() {
            prop_assert_eq!(version.as_str(), text);
        }
    }
}
