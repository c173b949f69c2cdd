//! Requirements files: what pip reads in them, and what their digest depends on.

use std::collections::BTreeMap;
use std::io::{Error, ErrorKind};
use std::path::{Path, PathBuf};
use std::process::Command;
use tierce_oci::Diagnostic;
use tierce_spec::requirements::{GatherError, Gathered, IncludedAs, LineKind, gather, parse};

const TRICKY: &str = "\u{feff}# leading comment
numpy>=2   # trailing comment
  indented==1
url @ https://example.com/a#sha256=abc
url2 @ https://example.com/b #comment

continued==1 \\
    --hash=sha256:aaaa \\
    --hash=sha256:bbbb
continued-into-comment==1 \\
# this comment ends it
after
-r  other.txt
--requirement=third.txt
--requirement fourth.txt
-rfifth.txt
-c constraints.txt
--constraint=more.txt
-e ./project
--editable=git+https://example.com/x.git
-i https://pypi.example.com/simple
--extra-index-url=https://me:secret@pypi.example.com/simple
--find-links ./wheels
--find-links https://example.com/links
--pre
./local
dir/package.whl
thing-1.0.tar.gz
file:///abs/thing.whl
named @ file:///abs/thing.whl
git+https://example.com/y.git
https://example.com/z-1-py3-none-any.whl
marker ; python_version > '3.9' and sys_platform == 'linux'
last\\";

#[test]
fn each_line_is_what_pip_takes_it_for() {
    use LineKind::*;
    let r = |s: &str| Requirement(s.into());
    let lines: Vec<_> = parse(TRICKY).into_iter().map(|l| (l.number, l.kind)).collect();
    let expected = vec![
        (2, r("numpy>=2")),
        (3, r("indented==1")),
        (4, r("url @ https://example.com/a#sha256=abc")),
        (5, r("url2 @ https://example.com/b")),
        (7, r("continued==1     --hash=sha256:aaaa     --hash=sha256:bbbb")),
        (10, r("continued-into-comment==1")),
        (12, r("after")),
        (13, Include("other.txt".into())),
        (14, Include("third.txt".into())),
        (15, Include("fourth.txt".into())),
        (16, Include("fifth.txt".into())),
        (17, Constraint("constraints.txt".into())),
        (18, Constraint("more.txt".into())),
        (19, Editable("./project".into())),
        (20, Editable("git+https://example.com/x.git".into())),
        (21, Option("-i https://pypi.example.com/simple".into())),
        (22, Option("--extra-index-url=https://me:secret@pypi.example.com/simple".into())),
        (23, LocalPath("--find-links ./wheels".into())),
        (24, Option("--find-links https://example.com/links".into())),
        (25, Option("--pre".into())),
        (26, LocalPath("./local".into())),
        (27, LocalPath("dir/package.whl".into())),
        (28, LocalPath("thing-1.0.tar.gz".into())),
        (29, LocalPath("file:///abs/thing.whl".into())),
        (30, LocalPath("named @ file:///abs/thing.whl".into())),
        (31, Url("git+https://example.com/y.git".into())),
        (32, Url("https://example.com/z-1-py3-none-any.whl".into())),
        (33, r("marker ; python_version > '3.9' and sys_platform == 'linux'")),
        (34, r("last")),
    ];
    assert_eq!(lines.len(), expected.len(), "{lines:#?}");
    for (is, should_be) in lines.into_iter().zip(expected) {
        assert_eq!(is, should_be);
    }
}

/// pip's own reader as the oracle for logical lines: joining, comments, numbers.
#[test]
fn logical_lines_are_those_of_pip() {
    let script = "import json, sys\n\
        from pip._internal.req.req_file import preprocess\n\
        text = sys.stdin.read().lstrip('\\ufeff')\n\
        print(json.dumps([[n, line.strip()] for n, line in preprocess(text) if line.strip()]))";
    let child = Command::new("python3")
        .args(["-c", script])
        .env("PYTHONIOENCODING", "utf-8")
        .env("A", "")
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn();
    let Ok(mut child) = child else {
        eprintln!("skipped: there is no python3 to ask");
        return;
    };
    {
        use std::io::Write;
        child.stdin.take().unwrap().write_all(TRICKY.as_bytes()).unwrap();
    }
    let output = child.wait_with_output().unwrap();
    if !output.status.success() {
        eprintln!("skipped: pip is not importable: {}", String::from_utf8_lossy(&output.stderr));
        return;
    }
    let theirs: Vec<(usize, String)> = serde_json::from_slice(&output.stdout).unwrap();
    let ours: Vec<usize> = parse(TRICKY).iter().map(|line| line.number).collect();
    assert_eq!(ours, theirs.iter().map(|(number, _)| *number).collect::<Vec<_>>());
    for (line, (_, text)) in parse(TRICKY).iter().zip(&theirs) {
        if let LineKind::Requirement(ours) | LineKind::Option(ours) | LineKind::Url(ours) =
            &line.kind
        {
            assert_eq!(ours, text);
        }
    }
}

fn files(of: &[(&str, &str)]) -> BTreeMap<PathBuf, Vec<u8>> {
    of.iter().map(|(path, text)| (path.into(), text.as_bytes().to_vec())).collect()
}

fn gathered(root: &str, of: &[(&str, &str)]) -> Result<Gathered, GatherError<Error>> {
    let files = files(of);
    gather(Path::new(root), |path| {
        files.get(path).cloned().ok_or_else(|| Error::from(ErrorKind::NotFound))
    })
}

#[test]
fn included_files_are_found_as_pip_finds_them() {
    let gathered = gathered(
        "req/all.txt",
        &[
            ("req/all.txt", "-r base.txt\n-c ../limits.txt\nnumpy\n"),
            ("req/base.txt", "-r sub/deep.txt\nsix\n"),
            ("req/sub/deep.txt", "-c ./own.txt\nflask\n"),
            ("req/sub/own.txt", "flask<4\n"),
            ("req/../limits.txt", "numpy<3\n"),
        ],
    )
    .unwrap();
    let files: Vec<_> =
        gathered.files.iter().map(|f| (f.path.to_str().unwrap(), f.included_as)).collect();
    use IncludedAs::{Constraints, Requirements};
    assert_eq!(
        files,
        [
            ("req/all.txt", Requirements),
            ("req/base.txt", Requirements),
            ("req/sub/deep.txt", Requirements),
            ("req/sub/own.txt", Constraints),
            ("req/../limits.txt", Constraints),
        ]
    );
}

#[test]
fn the_digest_is_of_what_the_files_say() {
    let digest = |of: &[(&str, &str)]| gathered(of[0].0, of).unwrap().digest;
    let base = digest(&[("a.txt", "-r b.txt\nnumpy\n"), ("b.txt", "six\n")]);
    // Names, comments, blank lines, line ends and credentials do not count.
    for same in [
        digest(&[("x/y.txt", "-r z.txt\n\nnumpy # yes\n"), ("x/z.txt", "# no\nsix")]),
        digest(&[("a.txt", "--requirement=b.txt\r\nnumpy\r\n"), ("b.txt", "six\r\n")]),
    ] {
        assert_eq!(same, base);
    }
    let index = |who: &str| digest(&[("a", &format!("-i https://{who}pypi.example.com/simple\n"))]);
    assert_eq!(index("me:secret@"), index(""));
    // Order, nesting and kind do.
    for other in [
        digest(&[("a.txt", "numpy\n-r b.txt\n"), ("b.txt", "six\n")]),
        digest(&[("a.txt", "-c b.txt\nnumpy\n"), ("b.txt", "six\n")]),
        digest(&[("a.txt", "six\nnumpy\n")]),
        digest(&[("a.txt", "-r b.txt\nnumpy\n"), ("b.txt", "six==1\n")]),
        digest(&[("a.txt", "-r b.txt\n"), ("b.txt", "six\nnumpy\n")]),
    ] {
        assert_ne!(other, base);
    }
}

#[test]
fn what_can_not_be_pinned_is_refused() {
    type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a str);
    let cases: &[Case<'_>] = &[
        ("spec/unreadable-requirements", &[], "can't read requirements file a.txt"),
        (
            "spec/unreadable-requirements",
            &[("a.txt", "\n-r sub/b.txt\n")],
            "can't read requirements file sub/b.txt, which a.txt:2 names",
        ),
        (
            "spec/nested-requirements",
            &[("a.txt", "-r b.txt"), ("b.txt", "\n-c ./a.txt")],
            "b.txt:2 includes a.txt, which includes it",
        ),
        (
            "spec/remote-requirements",
            &[("a.txt", "-r https://me:secret@example.com/r.txt")],
            "a.txt:1 includes \"https://example.com/r.txt\", whose content can change at any time",
        ),
    ];
    for (code, files, message) in cases {
        let error = gathered("a.txt", files).unwrap_err();
        assert_eq!((error.code(), error.to_string().as_str()), (*code, *message));
    }
    let latin1 = gather(Path::new("a.txt"), |_| Ok::<_, Error>(vec![b'#', 0xe9])).unwrap_err();
    assert_eq!(latin1.to_string(), "requirements file a.txt is not UTF-8");
}

#[test]
fn what_lies_on_this_machine_is_found_in_every_file_but_constraints() {
    let files = [
        ("a.txt", "numpy\n-e ./project\n-r b.txt\n-c c.txt"),
        ("b.txt", "\nx @ file:///x.whl"),
        ("c.txt", "y @ file:///y.whl"),
    ];
    let gathered = gathered("a.txt", &files).unwrap();
    let found: Vec<_> = gathered
        .locals()
        .into_iter()
        .map(|local| {
            (local.file.display().to_string(), local.line, local.path.display().to_string())
        })
        .collect();
    let expected = [("a.txt", 2, "./project"), ("b.txt", 2, "/x.whl")];
    assert_eq!(found, expected.map(|(file, line, path)| (file.to_owned(), line, path.to_owned())));
}
