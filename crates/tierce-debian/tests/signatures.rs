//! Signatures, made by GnuPG.

mod common;

use common::archive::{Gpg, now};
use std::time::Duration;
use tierce_debian::{
    KeyFault, Keyring, SignatureError, SignatureFault, verify_clearsigned, verify_detached,
};

const TEXT: &str = "Origin: Test\n- a dash\n-----BEGIN\n  indented  \nSHA256:\n abc\n";
/// As it is signed and returned: without white space at the ends of lines.
const TRIMMED: &str = "Origin: Test\n- a dash\n-----BEGIN\n  indented\nSHA256:\n abc\n";

fn faults(error: SignatureError) -> Vec<SignatureFault> {
    match error {
        SignatureError::Rejected(rejections) => rejections.iter().map(|r| r.fault).collect(),
        other => panic!("{other}"),
    }
}

#[test]
fn one_good_signature_suffices() {
    let Some(gpg) = Gpg::new() else { return };
    gpg.key("one", "rsa2048", "1y");
    gpg.key("two", "ed25519", "1y");
    gpg.key("three", "ed25519", "1y");
    gpg.subkey("three", "rsa2048", "1y");
    let (one, two, three) = (gpg.keyring("one"), gpg.keyring("two"), gpg.keyring("three"));
    for names in [&["one"][..], &["two"], &["three"], &["one", "two"], &["one", "two", "three"]] {
        let message = gpg.clearsign(TEXT, names);
        let signature = gpg.sign(TEXT, &["--detach-sign"], names);
        for (keyring, name) in [(&one, "one"), (&two, "two"), (&three, "three")] {
            let verified = verify_clearsigned(&message, keyring, now());
            let detached = verify_detached(TEXT.as_bytes(), &signature, keyring, now());
            if names.contains(&name) {
                assert_eq!(verified.unwrap(), TRIMMED);
                detached.unwrap();
            } else {
                let expected = vec![SignatureFault::UnknownKey; names.len()];
                assert_eq!(faults(verified.unwrap_err()), expected);
                assert_eq!(faults(detached.unwrap_err()), expected);
            }
        }
    }
}

#[test]
fn what_is_wrong_is_named() {
    let Some(gpg) = Gpg::new() else { return };
    gpg.key("short", "ed25519", "1y");
    gpg.key("parent", "ed25519", "never");
    gpg.subkey("parent", "ed25519", "1y");
    let later = now() + Duration::from_secs(400 * 86_400);
    for name in ["short", "parent"] {
        let keyring = gpg.keyring(name);
        let message = gpg.clearsign(TEXT, &[name]);
        let error = verify_clearsigned(&message, &keyring, later).unwrap_err();
        assert_eq!(faults(error), [SignatureFault::Key(KeyFault::Expired)], "{name}");
        let changed = String::from_utf8(message).unwrap().replace("Test", "Best");
        let error = verify_clearsigned(changed.as_bytes(), &keyring, now()).unwrap_err();
        assert_eq!(faults(error), [SignatureFault::Wrong], "{name}");
    }
    let keyring = gpg.keyring("parent");
    let weak = gpg.sign(TEXT, &["--digest-algo", "SHA1", "--clearsign"], &["parent"]);
    let error = verify_clearsigned(&weak, &keyring, now()).unwrap_err();
    assert_eq!(faults(error), [SignatureFault::WeakHash]);
    let brief = gpg.sign(TEXT, &["--default-sig-expire", "1d", "--clearsign"], &["parent"]);
    verify_clearsigned(&brief, &keyring, now()).unwrap();
    let tomorrow = now() + Duration::from_secs(2 * 86_400);
    let error = verify_clearsigned(&brief, &keyring, tomorrow).unwrap_err();
    assert_eq!(faults(error), [SignatureFault::Expired]);
}

#[test]
fn messages_that_readers_could_take_differently_are_refused() {
    let Some(gpg) = Gpg::new() else { return };
    gpg.key("key", "ed25519", "1y");
    let keyring = gpg.keyring("key");
    let good = String::from_utf8(gpg.clearsign(TEXT, &["key"])).unwrap();
    assert!(verify_clearsigned(good.as_bytes(), &keyring, now()).is_ok());
    let cases = [
        ("text before", format!("Origin: Evil\n{good}")),
        ("text after", format!("{good}Origin: Evil\n")),
        ("CRLF", good.replace('\n', "\r\n")),
        ("unescaped dash", good.replace("- -----BEGIN\n", "-----BEGIN\n")),
        ("unknown header", good.replacen("Hash:", "Hush:", 1)),
        ("cut in the text", good[..good.len() / 3].to_owned()),
        ("cut in the signature", good[..good.len() - 40].to_owned()),
        ("no signature", good.split("-----BEGIN PGP SIGNATURE").next().unwrap().to_owned()),
        ("no message", TEXT.to_owned()),
        ("nothing", String::new()),
    ];
    for (what, message) in cases {
        assert!(verify_clearsigned(message.as_bytes(), &keyring, now()).is_err(), "{what}");
    }
}

#[test]
fn keyrings_are_read_armored_and_binary() {
    let Some(gpg) = Gpg::new() else { return };
    gpg.key("one", "rsa2048", "1y");
    gpg.key("two", "ed25519", "1y");
    let binary = [gpg.export("one", &[]), gpg.export("two", &[])].concat();
    let armored = [gpg.export("one", &["--armor"]), gpg.export("two", &["--armor"])].concat();
    let keyring = Keyring::parse(&binary).unwrap();
    assert_eq!(keyring.fingerprints().len(), 2);
    assert_eq!(Keyring::parse(&armored).unwrap(), keyring);
    let message = gpg.clearsign(TEXT, &["two"]);
    verify_clearsigned(&message, &keyring, now()).unwrap();
    for bytes in [&b""[..], b"nonsense", b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nAAAA\n"] {
        assert!(Keyring::parse(bytes).is_err());
    }
}

#[test]
fn shipped_keyrings_hold_the_keys_that_their_readme_names() {
    let readme = include_str!("../keys/README.md");
    let debian = Keyring::debian().fingerprints();
    assert_eq!(debian.len(), 9);
    for fingerprint in debian {
        assert!(readme.contains(&fingerprint.to_uppercase()), "{fingerprint}");
    }
    assert_eq!(Keyring::ubuntu().fingerprints().len(), 3);
}
