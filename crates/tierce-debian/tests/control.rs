//! Control data and relationships.

use proptest::prelude::*;
use tierce_debian::{
    Alternatives, ControlError, PackageName, PackageSpec, Paragraph, Paragraphs, Relation,
};

fn parse(text: &str) -> Result<Vec<Vec<(String, String)>>, ControlError> {
    let owned = |p: Paragraph| p.fields().map(|(n, v)| (n.to_owned(), v.to_owned())).collect();
    Paragraphs::new(text.as_bytes()).map(|p| p.map(owned)).collect()
}

#[test]
fn paragraphs_fields_and_folded_lines() {
    let text = "\n\nPackage: a\nDepends: b,\n c (>= 1)\nEmpty:\nList:\n one\n  two\n\n\nPackage:b";
    let paragraphs = parse(text).unwrap();
    let field = |n: &str, v: &str| (n.to_owned(), v.to_owned());
    assert_eq!(
        paragraphs,
        [
            vec![
                field("Package", "a"),
                field("Depends", "b,\n c (>= 1)"),
                field("Empty", ""),
                field("List", "\n one\n  two"),
            ],
            vec![field("Package", "b")],
        ]
    );
    let one = Paragraph::parse_one("Multi-Arch: same\n").unwrap();
    assert_eq!(one.get("multi-arch"), Some("same"));
    assert!(matches!(one.require("Package"), Err(ControlError::Missing("Package"))));
}

#[test]
fn malformed_lines_are_refused_by_number() {
    for (text, line, reason) in [
        ("Package: a\r\n", 1, "carriage return"),
        ("Package: a\n\nno colon\n", 3, "no colon"),
        (" continued\n", 1, "continues no field"),
        ("A: 1\n   \n", 2, "white space only"),
        ("A: 1\na: 2\n", 2, "repeats"),
        ("# comment: x\n", 1, "field name"),
        ("-A: x\n", 1, "field name"),
        ("A b: x\n", 1, "field name"),
        (": x\n", 1, "field name"),
        ("A: \0\n", 1, "NUL"),
    ] {
        let error = parse(text).unwrap_err();
        let ControlError::Syntax { line: at, .. } = error else { panic!("{text:?}: {error}") };
        assert_eq!(at, line, "{text:?}");
        assert!(error.to_string().contains(reason), "{text:?}: {error}");
    }
    let not_utf8 = Paragraphs::new(&b"A: \xff\n"[..]).next().unwrap();
    assert!(matches!(not_utf8, Err(ControlError::Syntax { line: 1, .. })));
    assert!(matches!(Paragraph::parse_one(""), Err(ControlError::Count(0))));
    assert!(matches!(Paragraph::parse_one("A: 1\n\nB: 2\n"), Err(ControlError::Count(2))));
}

#[test]
fn relations_are_read_and_written() {
    for (text, written) in [
        ("libc6", "libc6"),
        ("libc6 (>= 2.36)", "libc6 (>= 2.36)"),
        ("libc6(>=2.36)", "libc6 (>= 2.36)"),
        ("python3:any (>> 3.11~)", "python3:any (>> 3.11~)"),
        ("debconf (>= 0.5)|debconf-2.0", "debconf (>= 0.5) | debconf-2.0"),
        ("a (<< 1:2-3) | b (<= 1) | c (= 2)", "a (<< 1:2-3) | b (<= 1) | c (= 2)"),
    ] {
        assert_eq!(text.parse::<Alternatives>().unwrap().to_string(), written);
    }
    for text in
        ["", "a |", "a:", "a (1)", "a (> 1)", "a (>= )", "a (>= 1", "a b", "-a", "a (>= 1) x"]
    {
        assert!(text.parse::<Alternatives>().is_err(), "{text:?}");
    }
}

#[test]
fn names_to_install() {
    let spec: PackageSpec = "git=1:2.39.5-0+deb12u2".parse().unwrap();
    assert_eq!(spec.name.as_str(), "git");
    assert_eq!(spec.version.unwrap().as_str(), "1:2.39.5-0+deb12u2");
    assert_eq!("g++".parse::<PackageSpec>().unwrap().version, None);
    for text in ["", "--yes", "a b", "git=", "git=x", "a/b", "ä"] {
        assert!(text.parse::<PackageSpec>().is_err(), "{text:?}");
    }
}

fn field() -> impl Strategy<Value = (String, Vec<String>)> {
    ("[A-Za-z][A-Za-z0-9-]{0,8}", proptest::collection::vec("[!-~äß]( ?[!-~äß]){0,6}", 0..4))
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        paragraphs in proptest::collection::vec(
            proptest::collection::btree_map("[A-Z][a-z0-9-]{0,8}", proptest::collection::vec("[!-~äß]( ?[!-~äß]){0,6}", 1..4), 1..5),
            0..4,
        )
    ) {
        let mut text = String::new();
        let mut expected = Vec::new();
        for paragraph in paragraphs {
            let mut fields = Vec::new();
            for (name, lines) in paragraph {
                let value = lines.join("\n ");
                text += &format!("{name}: {value}\n");
                fields.push((name, value));
            }
            text.push('\n');
            expected.push(fields);
        }
        prop_assert_eq!(parse(&text).unwrap(), expected);
    }

    #[test]
    fn any_bytes_are_parsed_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = Paragraphs::new(bytes.as_slice()).collect::<Result<Vec<_>, _>>();
    }

    #[test]
    fn any_relation_is_refused_or_reads_back(text in "[a-z0-9:() <>=|.+~\\[\\]-]{0,30}") {
        if let Ok(relation) = text.parse::<Relation>() {
            let written = relation.to_string();
            prop_assert_eq!(written.parse::<Relation>().unwrap(), relation);
        }
    }

    #[test]
    fn names_hold_nothing_that_could_be_a_path(text in ".*") {
        if let Ok(name) = text.parse::<PackageName>() {
            prop_assert!(!name.as_str().contains('/') && !name.as_str().starts_with('.'));
        }
    }

    #[test]
    fn a_field_keeps_its_lines((name, lines) in field()) {
        let text: String = format!("{name}:") + &lines.iter().map(|l| format!("\n {l}")).collect::<String>() + "\n";
        let paragraph = Paragraph::parse_one(&text).unwrap();
        let value = paragraph.get(&name).unwrap();
        prop_assert_eq!(value.lines().filter(|l| !l.is_empty()).map(|l| l[1..].to_owned()).collect::<Vec<_>>(), lines);
    }
}
