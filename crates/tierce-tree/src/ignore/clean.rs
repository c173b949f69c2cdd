//! Lexical normalisation of patterns: what Go's `path.Clean` does.

/// The shortest path that means the same as a non-empty one.
pub(super) fn clean(path: &str) -> String {
    let rooted = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => match parts.last() {
                Some(&last) if last != ".." => {
                    parts.pop();
                }
                _ if rooted => {}
                _ => parts.push(".."),
            },
            name => parts.push(name),
        }
    }
    match (rooted, parts.is_empty()) {
        (true, _) => format!("/{}", parts.join("/")),
        (false, true) => ".".to_owned(),
        (false, false) => parts.join("/"),
    }
}

#[cfg(test)]
mod tests {
    use super::clean;

    #[test]
    fn paths_are_cleaned_as_go_does() {
        for (path, expected) in [
            ("a", "a"),
            ("a/", "a"),
            ("a//b", "a/b"),
            ("./a/./b", "a/b"),
            ("a/../b", "b"),
            ("a/..", "."),
            (".", "."),
            ("./", "."),
            ("..", ".."),
            ("../a", "../a"),
            ("a/../../b", "../b"),
            ("/", "/"),
            ("//a", "/a"),
            ("/../a", "/a"),
            ("/a/../..", "/"),
            ("**/", "**"),
            ("a/**/../b", "a/b"),
        ] {
            assert_eq!(clean(path), expected, "{path}");
        }
    }
}
