//! Debian package names, with dpkg as the oracle.

use proptest::prelude::*;
use std::process::{Command, Stdio};
use tierce_spec::{AptPackage, AptSelector};

fn dpkg_accepts(option: &str, text: &str) -> bool {
    let status = Command::new("dpkg")
        .args([option, text])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    status.is_ok_and(|status| status.success())
}

#[test]
fn packages_are_taken_apart() {
    let cases = [
        ("git", "git", None, AptSelector::Preferred),
        ("g++", "g++", None, AptSelector::Preferred),
        ("libc6:arm64", "libc6", Some("arm64"), AptSelector::Preferred),
        ("git=1:2.39.5-0+deb12u2", "git", None, AptSelector::Version("1:2.39.5-0+deb12u2".into())),
        ("curl=7.88.*", "curl", None, AptSelector::Version("7.88.*".into())),
        (
            "tmux/bookworm-backports",
            "tmux",
            None,
            AptSelector::Release("bookworm-backports".into()),
        ),
        ("libc6:i386=2.36~rc1", "libc6", Some("i386"), AptSelector::Version("2.36~rc1".into())),
        ("python3.11", "python3.11", None, AptSelector::Preferred),
    ];
    for (text, name, architecture, selector) in cases {
        let package: AptPackage = text.parse().unwrap();
        assert_eq!(package.name, name);
        assert_eq!(package.architecture.as_deref(), architecture);
        assert_eq!(package.selector, selector);
        assert_eq!(package.to_string(), text);
    }
    for text in [
        "",
        "a",
        "-y",
        "Git",
        "git curl",
        "git=",
        "git==1",
        "git/",
        "git:",
        "_x",
        "git-",
        "git=1;rm",
        "git\n",
        "git:all:any",
        "../x.deb",
        "./x.deb",
        "git=a b",
        "+git",
    ] {
        assert!(text.parse::<AptPackage>().is_err(), "{text:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn what_is_accepted_dpkg_accepts(name in "[a-zA-Z0-9+.-]{1,4}", version in "[0-9a-z.+~:-]{1,6}") {
        if !dpkg_accepts("--validate-pkgname", "git") {
            eprintln!("skipped: there is no dpkg to ask");
            return Ok(());
        }
        if let Ok(package) = name.parse::<AptPackage>() {
            prop_assert!(dpkg_accepts("--validate-pkgname", &package.name), "{name}");
        }
        if let Ok(package) = format!("git={version}").parse::<AptPackage>() {
            let AptSelector::Version(version) = package.selector else { unreachable!() };
            prop_assert!(dpkg_accepts("--validate-version", &version), "{version}");
        }
    }
}
