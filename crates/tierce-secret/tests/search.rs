//! Values are found and hidden in every form.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use proptest::prelude::*;
use tierce_secret::{SecretValue, Secrets};
use tierce_spec::SecretId;

fn id(key: &str) -> SecretId {
    SecretId { group: None, key: key.to_owned() }
}

fn secrets(value: impl Into<Vec<u8>>) -> Secrets {
    Secrets::new([(id("it"), SecretValue::new(value))])
}

fn found(secrets: &Secrets, text: &[u8], cut: usize) -> bool {
    let mut scanner = secrets.scanner();
    let chunks = text.chunks(cut.max(1));
    chunks.map(|chunk| scanner.feed(chunk).is_some()).fold(false, |any, found| any | found)
}

/// How values are met, each with other text around it.
fn encodings(value: &[u8], before: &[u8], after: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let joined = [before, value, after].concat();
    let standard = STANDARD.encode(&joined);
    let wrap = |width: usize| {
        let lines: Vec<&str> =
            standard.as_bytes().chunks(width).map(|l| std::str::from_utf8(l).unwrap()).collect();
        lines.join("\n")
    };
    let percent = |keep: &[u8], lower: bool| -> String {
        value
            .iter()
            .map(|&b| match b {
                b if b.is_ascii_alphanumeric() || keep.contains(&b) => char::from(b).to_string(),
                b if lower => format!("%{b:02x}"),
                b => format!("%{b:02X}"),
            })
            .collect()
    };
    let surround = |text: String| [before, text.as_bytes(), after].concat();
    let mut all = vec![
        ("raw", joined.clone()),
        ("base64", standard.clone().into_bytes()),
        ("base64url", URL_SAFE_NO_PAD.encode(&joined).into_bytes()),
        ("percent", surround(percent(b"-._~", false))),
        ("percent in lower case", surround(percent(b"-._~", true))),
        ("urllib.parse.quote", surround(percent(b"-._~/", false))),
        ("encodeURIComponent", surround(percent(b"-_.!~*'()", false))),
        ("form", surround(percent(b"-._~", false).replace("%20", "+"))),
    ];
    // Of short values a line break may leave too little on both sides.
    if value.len() >= 16 {
        all.push(("base64 in lines of 76", wrap(76).into_bytes()));
        all.push(("base64 in lines of 64", wrap(64).into_bytes()));
    }
    if let Ok(text) = std::str::from_utf8(value) {
        let json = serde_json::to_string(text).unwrap();
        all.push(("json", surround(json.trim_matches('"').to_owned())));
    }
    all
}

/// Values without white space at their ends, which is not a part of them.
fn value() -> impl Strategy<Value = Vec<u8>> {
    let any = prop::collection::vec(any::<u8>(), 7..200);
    let text = "[ -~]{7,120}".prop_map(String::into_bytes);
    let word = "[a-zA-Z0-9]{7,60}".prop_map(String::into_bytes);
    prop_oneof![any, text, word].prop_map(|mut value| {
        value.insert(0, b'S');
        value.push(b'E');
        value
    })
}

proptest! {
    #[test]
    fn every_form_is_found_however_it_is_cut(
        value in value(),
        before in prop::collection::vec(any::<u8>(), 0..40),
        after in prop::collection::vec(any::<u8>(), 0..40),
        cut in 1..300_usize,
    ) {
        let secrets = secrets(value.clone());
        for (form, text) in encodings(&value, &before, &after) {
            prop_assert!(found(&secrets, &text, cut), "{form} in pieces of {cut}");
        }
        // A file's last line break is no part of the value.
        let with_end = [value.as_slice(), b"\n"].concat();
        prop_assert!(found(&self::secrets(with_end), &[before, value, after].concat(), cut));
    }

    #[test]
    fn nothing_is_left_of_values_in_texts(
        values in prop::collection::vec("[a-z0-9]{4,12}", 1..6),
        parts in prop::collection::vec((0..6_usize, "[a-z0-9]{0,6}"), 0..12),
    ) {
        let all = values.iter().enumerate().map(|(n, v)| (id(&n.to_string()), SecretValue::new(v.as_bytes())));
        let secrets = Secrets::new(all);
        let mut text = String::new();
        for (which, other) in parts {
            text += &values[which % values.len()];
            text += &other;
        }
        let redacted = secrets.redact(&text).into_owned();
        for value in &values {
            prop_assert!(!redacted.contains(value), "{value} in {redacted}");
        }
        prop_assert_eq!(secrets.redact(&redacted), redacted.as_str());
    }

    #[test]
    fn nothing_is_left_of_values_that_overlap(
        (text, ends) in "[a-z0-9]{12,40}".prop_flat_map(|text| {
            let end = 4..=text.len();
            (Just(text), prop::collection::vec(end, 1..4))
        }),
    ) {
        // Values that lie across each other in one text.
        let values = ends.iter().map(|&end| &text[end.saturating_sub(9)..end]);
        let all = values.enumerate().map(|(n, v)| (id(&n.to_string()), SecretValue::new(v.as_bytes())));
        let redacted = Secrets::new(all).redact(&text).into_owned();
        let hidden = |at: usize| ends.iter().any(|&end| (end.saturating_sub(9)..end).contains(&at));
        let left = (0..text.len()).filter(|&at| !hidden(at)).count();
        let shown = redacted.chars().filter(|c| *c != '*').count();
        prop_assert!(shown <= left, "{redacted} of {text}");
    }

    #[test]
    fn no_value_is_cut_through(
        values in prop::collection::vec("[ab]{4,9}", 1..3),
        text in "[abc]{0,300}",
        size in 20..60_usize,
    ) {
        let all = values.iter().enumerate().map(|(n, v)| (id(&n.to_string()), SecretValue::new(v.as_bytes())));
        let secrets = Secrets::new(all);
        let (mut shown, mut pending) = (String::new(), String::new());
        for c in text.chars() {
            pending.push(c);
            if pending.len() >= size {
                let cut = secrets.cut(pending.as_bytes());
                shown += &secrets.redact(&pending[..cut]);
                shown.push('\n');
                pending.drain(..cut);
            }
        }
        shown += &secrets.redact(&pending);
        for value in &values {
            prop_assert!(!shown.replace('\n', "").contains(value), "{value} in {shown}");
        }
    }

    #[test]
    fn what_is_not_there_is_not_found(text in prop::collection::vec(any::<u8>(), 0..4096), cut in 1..100_usize) {
        prop_assert!(!found(&secrets("fJ8x0-Aq_Zr7Lw2"), &text, cut));
    }
}

#[test]
fn lines_of_keys_are_found_by_themselves_but_not_what_all_keys_share() {
    let lines = [
        "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtzc2gtZW",
        "QyNTUxOQAAACCq0iVXh5k1iXV8Yv0oZ3J4v2n5bq8x7w1t6z9e0r3a5gAAAJh1u2v3x4y5",
        "zAAAAAtzc2gtZWQyNTUxOQAAACCq0iVXh5k1iXV8Yv0oZ3J4v2n5bq8x7w1t6z9e0r3a5g",
        "AAAEDq9w8e7r6t5y4u3i2o1p0a9s8d7f6g5h4j3k2l1z0xqtIlV4eZNYl1fGL9KGdyeL9p",
        "+W6vMe8NbesvXtK92uYAAAAEbWVAeAEC",
    ];
    let key = format!(
        "-----BEGIN OPENSSH PRIVATE KEY-----\n{}\n-----END OPENSSH PRIVATE KEY-----\n",
        lines.join("\n")
    );
    let secrets = secrets(key.clone());
    for line in &lines[1..] {
        assert!(found(&secrets, format!("  x = \"{line}\",").as_bytes(), 7), "{line}");
    }
    for shared in [lines[0], "-----BEGIN OPENSSH PRIVATE KEY-----"] {
        assert!(!found(&secrets, shared.as_bytes(), 7));
    }
    let boundary = STANDARD.encode("-----BEGIN OPENSSH PRIVATE KEY-----\n");
    assert!(!found(&secrets, boundary.as_bytes(), 7));
    assert!(found(&secrets, STANDARD.encode(&key).as_bytes(), 100));
    for line in lines {
        assert_eq!(secrets.redact(&format!("a {line} b")), "a **** b", "hidden all the same");
    }
}

#[test]
fn keys_in_json_are_found_but_not_what_all_such_documents_say() {
    let json = r#"{
  "type": "service_account",
  "private_key_id": "0123456789abcdef0123456789abcdef01234567",
  "private_key": "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7\n-----END PRIVATE KEY-----\n",
  "auth_uri": "https://accounts.google.com/o/oauth2/auth",
  "auth_provider_x509_cert_url": "https://www.googleapis.com/oauth2/v1/certs"
}"#;
    let secrets = secrets(json);
    assert!(found(&secrets, json.as_bytes(), 9));
    assert!(found(&secrets, b"key: 0123456789abcdef0123456789abcdef01234567", 9));
    assert!(found(&secrets, b"\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7\n", 9));
    for shared in json.lines().filter(|line| !line.contains("private")) {
        assert!(!found(&secrets, shared.as_bytes(), 9), "{shared}");
    }
}

#[test]
fn large_values_are_found_in_pieces() {
    let mut state = 1_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    let value: Vec<u8> = (0..400_000).map(|_| next()).collect();
    let secrets = secrets([value.clone(), vec![0; 5000]].concat());
    assert!(found(&secrets, &value, 1 << 16));
    assert!(found(&secrets, &value[100_000..120_000], 1 << 10));
    assert!(found(&secrets, STANDARD.encode(&value).as_bytes(), 1 << 16));
    assert!(!found(&secrets, &[0; 100_000], 1 << 16));
}

#[test]
fn short_values_are_not_looked_for() {
    let all = ["abc", "", "  x\n"].map(|v| (id(v.trim()), SecretValue::new(v)));
    let secrets = Secrets::new(all);
    assert!(!found(&secrets, b"abc x", 100));
    assert_eq!(secrets.redact("abc x"), "abc x");
    assert_eq!(secrets.too_short().len(), 3);
    assert!(self::secrets("abcd").too_short().is_empty());
}

#[test]
fn values_are_trimmed_for_variables_only() {
    let value = SecretValue::new("a b \n\r\n");
    assert_eq!((value.expose(), value.expose_text()), (&b"a b \n\r\n"[..], &b"a b "[..]));
    assert!(SecretValue::new("\n").is_empty());
}

#[test]
fn a_step_is_asked_for_its_own_secrets_only() {
    let all = ["first-value", "second-value"].map(|v| (id(v), SecretValue::new(v)));
    let secrets = Secrets::new(all);
    let own = secrets.only([&id("second-value"), &id("unknown")]);
    assert!(found(&own, b"x second-value", 3) && !found(&own, b"x first-value", 3));
    assert_eq!(secrets.scanner().search(b"a first-value"), Some(&id("first-value")));
}

#[test]
fn nothing_shows_a_value() {
    let secrets = secrets("hunter2-hunter2");
    let value = secrets.get(&id("it")).unwrap();
    assert_eq!(format!("{secrets:?} {value:?}"), "{\"it\"} SecretValue(****)");
}

#[test]
fn base64_is_hidden_to_its_end() {
    use base64::engine::general_purpose::URL_SAFE;
    let value = "a-long-canary\u{1}\u{2}wo";
    let id = SecretId { group: None, key: "token".to_owned() };
    let secrets = Secrets::new([(id, SecretValue::new(value))]);
    for before in ["", "a", "ab"] {
        for after in ["", "\n", "x"] {
            let text = format!("{before}{value}{after}");
            for encoded in [STANDARD.encode(&text), URL_SAFE.encode(&text)] {
                let shown = secrets.redact(&format!("<{encoded}> and more")).into_owned();
                // What comes before the value may be seen, and nothing after it.
                assert!(shown.ends_with("****> and more"), "{encoded}: {shown}");
                // In pieces, too.
                let line = format!("<{encoded}>{}", " and more".repeat(100));
                let cut = secrets.cut(&line.as_bytes()[..encoded.len() + secrets.overlap()]);
                // Before what is hidden of it, or behind it.
                assert!(cut <= 5 || cut > encoded.len(), "{cut}");
            }
        }
    }
    assert_eq!(secrets.redact(&format!("{value}more")), "****more");
}
