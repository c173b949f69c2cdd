//! Dependency closure.

use tierce_debian::{
    PackageList, PackageName, PackageSpec, Priority, Request, ResolveError, resolve,
};
use tierce_oci::Diagnostic;

/// Packages, one to a line: `name version [Field: value; ...]`.
fn list(lines: &str) -> PackageList {
    let mut text = String::new();
    for (n, line) in lines.lines().map(str::trim).filter(|l| !l.is_empty()).enumerate() {
        let mut words = line.splitn(3, ' ');
        let (name, version) = (words.next().unwrap(), words.next().unwrap());
        text += &format!(
            "Package: {name}\nVersion: {version}\nArchitecture: amd64\nFilename: pool/{n}.deb\n\
             Size: 1\nSHA256: {n:064x}\n"
        );
        for field in words.next().unwrap_or("").split(';').filter(|f| !f.trim().is_empty()) {
            text += &format!("{}\n", field.trim());
        }
        text.push('\n');
    }
    PackageList::parse(text.as_bytes(), "http://localhost/debian".parse().unwrap()).unwrap()
}

fn ask(names: &str) -> Request {
    let names = names.split_whitespace().map(|n| n.parse::<PackageSpec>().unwrap());
    Request::default().with_names(names)
}

fn names(lists: &[PackageList], request: &Request) -> String {
    let packages = resolve(lists, request).unwrap_or_else(|e| panic!("{e}: {:?}", e.hint()));
    packages.iter().map(|p| format!("{}={} ", p.name, p.version)).collect::<String>().trim().into()
}

#[test]
fn closures() {
    for (packages, wanted, expected) in [
        // Order: what is needed first, otherwise by name.
        ("c 1\n b 1 Depends: c\n a 1 Depends: b", "a", "c=1 b=1 a=1"),
        ("a 1\n b 1\n c 1", "c a b", "a=1 b=1 c=1"),
        ("a 1 Depends: z, y\n y 1\n z 1 Depends: y", "a", "y=1 z=1 a=1"),
        ("a 1 Depends: b; Pre-Depends: c\n b 1\n c 1", "a", "c=1 b=1 a=1"),
        // Circles.
        ("a 1 Depends: b\n b 1 Depends: a", "a", "b=1 a=1"),
        // Versions.
        ("a 1 Depends: b (>= 2)\n b 1\n b 3\n b 2", "a", "b=3 a=1"),
        ("a 1\n a 2", "a=1", "a=1"),
        ("a 1 Depends: b\n b 1\n b 2", "a b=1", "b=1 a=1"),
        // Alternatives: the first that can be had, unless another is there anyway.
        ("a 1 Depends: x | y\n x 1\n y 1", "a", "x=1 a=1"),
        ("a 1 Depends: x | y\n y 1", "a", "y=1 a=1"),
        ("a 1 Depends: x (>= 2) | y\n x 1\n y 1", "a", "y=1 a=1"),
        ("a 1 Depends: x | y\n x 1\n y 1", "a y", "y=1 a=1"),
        ("a 1 Depends: x | y\n x 1\n y 1\n z 1 Depends: y", "a z", "y=1 a=1 z=1"),
        ("a 1 Depends: x | y, b\n b 1 Depends: y\n x 1\n y 1", "a", "y=1 b=1 a=1"),
        ("a 1 Depends: x | y\n b 1 Conflicts: x\n x 1\n y 1", "a b", "y=1 a=1 b=1"),
        // Provides: the package of that name, then the most needed provider, then by name.
        ("a 1 Depends: v\n x 1 Provides: v\n y 1 Provides: v\n v 1", "a", "v=1 a=1"),
        ("a 1 Depends: v\n x 1 Provides: v\n y 1 Provides: w, v", "a", "x=1 a=1"),
        ("a 1 Depends: v\n x 1 Provides: v\n y 1 Provides: v; Priority: required", "a", "y=1 a=1"),
        ("a 1 Depends: v (>= 2)\n x 1 Provides: v\n y 1 Provides: v (= 2)", "a", "y=1 a=1"),
        ("a 1 Depends: v\n x 1 Provides: v\n x 2\n y 1 Provides: v", "a", "y=1 a=1"),
        ("x 1 Provides: v", "v", "x=1"),
        // Architecture qualifiers.
        ("a 1 Depends: p:any, q:native, r:amd64\n p 1\n q 1\n r 1", "a", "p=1 q=1 r=1 a=1"),
        // A package may conflict with what it provides.
        ("a 1 Provides: mta; Conflicts: mta", "a", "a=1"),
    ] {
        assert_eq!(names(&[list(packages)], &ask(wanted)), expected, "{packages}");
    }
}

#[test]
fn the_base_is_essential_and_required_packages_and_apt() {
    let lists = [list(
        "dash 1 Essential: yes; Depends: libc\n libc 1\n mount 1 Priority: required\n\
         apt 1 Depends: i\n i 1 Depends: usrmerge | usr-is-merged\n usrmerge 1\n\
         usr-is-merged 1\n nano 1 Priority: important\n vim 1",
    )];
    let base = Request::base();
    assert_eq!(names(&lists, &base), "usr-is-merged=1 i=1 apt=1 libc=1 dash=1 mount=1");
    let mut slim = base.clone();
    slim.exclude.insert("mount".parse().unwrap());
    slim.priorities.insert(Priority::Important);
    assert_eq!(names(&lists, &slim), "usr-is-merged=1 i=1 apt=1 libc=1 dash=1 nano=1");
}

#[test]
fn the_highest_version_of_any_list_wins_whatever_the_order() {
    let main = list("a 1 Depends: b\n b 1");
    let security = list("b 1+deb12u1");
    let expected = "b=1+deb12u1 a=1";
    assert_eq!(names(&[main.clone(), security.clone()], &ask("a")), expected);
    assert_eq!(names(&[security, main], &ask("a")), expected);
}

#[test]
fn errors_name_what_is_in_the_way() {
    for (packages, wanted, code, message, hint) in [
        (
            "python3 1\n pythons 1",
            "pyhton3",
            "debian/unknown-package",
            "no package pyhton3",
            "python3",
        ),
        (
            "a 1",
            "completely-different",
            "debian/unknown-package",
            "completely-different",
            "packages.debian.org",
        ),
        ("a 1\n a 2", "a=3", "debian/unknown-version", "no version 3 of a", "2, 1"),
        (
            "x 1 Provides: v\n y 1 Provides: v",
            "v",
            "debian/virtual-package",
            "v is provided",
            "x, y",
        ),
        (
            "a 1 Depends: b (>= 2)\n b 1",
            "a",
            "debian/unsatisfiable",
            "a depends on b (>= 2), which cannot be installed: the archive has b 1",
            "",
        ),
        (
            "a 1 Depends: b | c",
            "a",
            "debian/unsatisfiable",
            "a depends on b | c, which cannot be installed: the archive does not have it",
            "",
        ),
        (
            "a 1 Conflicts: b (<< 2)\n b 1",
            "a b",
            "debian/conflict",
            "a conflicts with b (<< 2), and b is to be installed",
            "",
        ),
        (
            "a 1 Breaks: v\n b 1 Provides: v",
            "a b",
            "debian/conflict",
            "a breaks v, and b is to be installed",
            "",
        ),
        (
            "a 1 Depends: b\n b 1\n c 1 Conflicts: b",
            "a c",
            "debian/unsatisfiable",
            "b does not go with c",
            "",
        ),
    ] {
        let error = resolve(&[list(packages)], &ask(wanted)).unwrap_err();
        assert_eq!(error.code(), code, "{error}");
        assert!(error.to_string().contains(message), "{error}");
        let given = error.hint().unwrap_or_default();
        assert!(given.contains(hint), "{given:?} has no {hint:?}");
    }
    let mut request = ask("a");
    request.exclude.insert("b".parse::<PackageName>().unwrap());
    let error = resolve(&[list("a 1 Depends: b\n b 1")], &request).unwrap_err();
    assert!(
        matches!(&error, ResolveError::Unsatisfiable { reason, .. } if reason == "b is excluded")
    );
}

#[test]
fn hostile_file_names_are_refused() {
    for name in ["../../etc/passwd", "/etc/passwd", "a//b", "pool/./x.deb", ""] {
        let text = format!(
            "Package: a\nVersion: 1\nArchitecture: all\nFilename: {name}\nSize: 1\nSHA256: {:064x}\n",
            0
        );
        let url = "http://localhost/debian".parse().unwrap();
        let lists = [PackageList::parse(text.as_bytes(), url).unwrap()];
        let error = resolve(&lists, &ask("a")).unwrap_err();
        assert_eq!(error.code(), "debian/bad-index", "{name}");
    }
}
