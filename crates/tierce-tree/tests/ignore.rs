//! What `.dockerignore` rules leave out. The rows follow Docker's documentation and the
//! behaviour of moby's matcher, oddities included.

use tierce_layer::LayerPath;
use tierce_oci::Diagnostic;
use tierce_tree::{IgnoreRules, PatternProblem};

/// Rules, then paths: those after `+` ship, those after `-` are left out.
const ROWS: &[(&str, &str)] = &[
    ("", "+a +a/b"),
    // Plain names stand for the root, and for what is below them.
    ("a", "-a -a/b -a/b/c +b/a +ab"),
    ("/a", "-a -a/b +b/a"),
    ("a/", "-a -a/b"),
    ("./a", "-a"),
    ("a//b/.", "-a/b -a/b/c +a +a/c"),
    ("x/../a", "-a +x"),
    ("../a", "+a"),
    ("/../a", "-a"),
    (".", "+a +a/b"),
    ("/", "+a +a/b"),
    ("  a  ", "-a"),
    ("a b", "-a_b"),
    // Comments, blank lines, carriage returns, a byte order mark.
    ("#a\n\n   \nb\r\n", "+a +#a -b"),
    (" #a", "-#a"),
    ("\u{feff}a", "-a"),
    ("\u{feff}#a", "+a"),
    // A star stays within a component, and takes dots.
    ("*", "-a -.a -a/b"),
    ("*.md", "-a.md -.md +a.mdx +d/a.md"),
    ("*/a", "-d/a -d/a/x +a +d/e/a"),
    ("*/*/a", "-d/e/a +d/a"),
    ("a*", "-a -ab -ab/c +ba"),
    ("a*/b", "-ax/b +a/x/b -a/b"),
    ("a*b?c", "-axxbyc -abyc +abc +a/byc"),
    ("temp?", "-temp1 -tempa +temp +temp/"),
    ("?", "-a -é +ab"),
    // Two stars: any number of directories.
    ("**", "-a -a/b -a/b/c"),
    ("**/", "-a -a/b"),
    ("**/a", "-a -d/a -d/e/a -d/a/b +ba +d/ba"),
    ("**a", "-a -ba -d/ba -d/ba/c +ab"),
    ("**/*.go", "-a.go -d/a.go -d/e/a.go +a.got"),
    ("**/a*", "-a -ab -d/ab +ba"),
    ("**/a/*.txt", "-a/x.txt -d/a/x.txt +x.txt +a/d/x.txt"),
    ("**/**/*.txt", "-x.txt -d/e/x.txt"),
    ("a/**", "+a -a/b -a/b/c +ab/c"),
    ("a**", "-a -ab -ab/c -a/b"),
    ("a/**/b", "-a/b -a/x/b -a/x/y/b +a/xb +ab"),
    ("a**/*.txt", "-a/x.txt -a/d/e/x.txt"),
    ("a**b", "-ab -a/b -a/x/b +axb"),
    ("a/*.txt**", "-a/x.txt -a/x.txtz +a/x"),
    ("**/d/**", "-d/x -e/d/x -e/d/x/y +d +e/d"),
    // Classes and escapes.
    ("a[b-d]e", "-ace +aae +ae +ab-de"),
    ("a[^b-d]e", "-aze +ace"),
    ("[ab][12]", "-a1 -b2 +a3 +c1"),
    ("[a-cx-z]", "-b -y +m"),
    ("[\\]a]", "-] -a"),
    ("[x\\-]", "-x -- +z"),
    ("[é-ü]", "-ñ +n"),
    ("a\\*b", "-a*b +axb"),
    ("\\!a", "-!a +a"),
    ("\\#a", "-#a"),
    ("a\\b", "-ab"),
    // Characters that mean something elsewhere are themselves.
    ("a.b", "-a.b +axb"),
    ("a(b)c|{d}+$^", "-a(b)c|{d}+$^ +abc"),
    ("a+.*", "-a+.x +aa.x"),
    ("a]", "-a]"),
    // Exceptions: the last match counts.
    ("*.md\n!README.md", "-a.md +README.md"),
    ("*.md\n!README*.md\nREADME-secret.md", "-a.md +README.md +README-x.md -README-secret.md"),
    ("*.md\nREADME-secret.md\n!README*.md", "-a.md +README.md +README-secret.md"),
    ("!a\n*", "-a"),
    ("a\n!a/b", "-a -a/c +a/b +a/b/c"),
    ("a/\n!a/b", "-a/c +a/b"),
    ("a/*\n!a/b", "+a -a/c +a/b +a/b/c"),
    ("a\n!a/*/x", "-a/b +a/b/x -a/b/y"),
    ("a\n!**/x", "-a/b +a/x +a/b/x +x"),
    ("**\n!a/b", "-a -c +a/b +a/b/d"),
    ("**\n!a/b\na/b/d", "+a/b +a/b/c -a/b/d"),
    ("*\n!src\nsrc/*.log\n!src/keep.log", "-x +src +src/a.py -src/a.log +src/keep.log"),
    ("a\n! a/b", "+a/b"),
    ("a\n!/a/b", "+a/b"),
    ("a\n!./a//b/", "+a/b"),
    ("!a", "+a"),
    ("a\n!!a", "-a +!a"),
    // A pattern that changed nothing for the directory is not inherited from it.
    ("!a\n*\n!a/b", "-a +a/b -a/c"),
];

fn rules(text: &str) -> IgnoreRules {
    IgnoreRules::parse(text).unwrap()
}

#[test]
fn rules_ignore_what_docker_ignores() {
    for (text, paths) in ROWS {
        let rules = rules(text);
        for row in paths.split(' ') {
            // An underscore stands for a space, which separates rows.
            let path = LayerPath::new(row[1..].replace('_', " ")).unwrap();
            let expected = row.starts_with('-');
            assert_eq!(rules.is_ignored(&path), expected, "rules {text:?}, path {path}");
        }
        assert!(!rules.is_ignored(&LayerPath::ROOT));
    }
}

#[test]
fn names_that_are_not_utf8() {
    let ignored = |text: &str, path: &[u8]| rules(text).is_ignored(&LayerPath::new(path).unwrap());
    assert!(ignored("*", b"\xff"));
    assert!(ignored("a?b", b"a\xffb"));
    assert!(!ignored("a?b", b"a\xff\xfeb"));
    assert!(ignored("**/x", b"\xff\xfe/x"));
    assert!(ignored("a?b", "a☺b".as_bytes()));
    assert!(!ignored("a???b", "a☺b".as_bytes()));
}

#[test]
fn malformed_patterns_are_named() {
    use PatternProblem::*;
    for (pattern, problem) in [
        ("!", LoneException),
        ("!  ", LoneException),
        ("!/", LoneException),
        ("[", BadClass),
        ("a[", BadClass),
        ("[]", BadClass),
        ("[]a]", BadClass),
        ("[^", BadClass),
        ("[^bc", BadClass),
        ("[-]", BadClass),
        ("[x-]", BadClass),
        ("[-x]", BadClass),
        ("[a-b-c]", BadClass),
        ("[z-a]", BadClass),
        ("[\\", BadClass),
        ("a\\", LoneEscape),
    ] {
        let error = IgnoreRules::parse(&format!("ok\n# fine\n{pattern}\n")).unwrap_err();
        assert_eq!((error.line, error.problem), (3, problem), "{pattern}");
        assert_eq!(error.pattern, pattern.trim());
        assert!(error.hint().is_some());
    }
    let error = IgnoreRules::parse("a[").unwrap_err();
    assert_eq!(error.to_string(), "line 1: pattern \"a[\" has a malformed character class");
}

#[test]
fn no_pattern_takes_for_ever() {
    let rules = rules(&"*a".repeat(60));
    assert!(!rules.is_ignored(&LayerPath::new("a".repeat(4000) + "b").unwrap()));
    let deep = "d/".repeat(500) + "x";
    let rules = self::rules(&("**/d/".repeat(40) + "y*"));
    assert!(!rules.is_ignored(&LayerPath::new(deep).unwrap()));
}
