//! Paths to leave out of a layer.

use tierce_layer::LayerPath;

/// A path in which `*` stands for anything within a component, `?` for one byte, and `**` for any
/// number of components.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pattern(Vec<Vec<u8>>);

impl Pattern {
    /// Parses a pattern; `None` if it is no path.
    pub(crate) fn new(pattern: &str) -> Option<Self> {
        let path = LayerPath::new(pattern).ok()?;
        (!path.is_root()).then(|| Pattern(path.components().map(<[u8]>::to_vec).collect()))
    }

    /// Whether a path, as a whole, is meant.
    pub(crate) fn matches(&self, path: &LayerPath) -> bool {
        let path: Vec<&[u8]> = path.components().collect();
        components(&self.0, &path)
    }
}

fn components(pattern: &[Vec<u8>], path: &[&[u8]]) -> bool {
    match (pattern.split_first(), path.split_first()) {
        (None, None) => true,
        (Some((first, rest)), _) if first == b"**" => {
            (0..=path.len()).any(|skip| components(rest, &path[skip..]))
        }
        (Some((first, rest)), Some((name, names))) => {
            component(first, name) && components(rest, names)
        }
        _ => false,
    }
}

fn component(pattern: &[u8], name: &[u8]) -> bool {
    match (pattern.split_first(), name.split_first()) {
        (None, None) => true,
        (Some((b'*', rest)), _) => (0..=name.len()).any(|skip| component(rest, &name[skip..])),
        (Some((b'?', rest)), Some((_, left))) => component(rest, left),
        (Some((byte, rest)), Some((first, left))) => byte == first && component(rest, left),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_whole_paths() {
        let cases = [
            ("var/log", "var/log", true),
            ("/var/log", "var/log", true),
            ("var/log", "var/log/dpkg.log", false),
            ("var/log/*.log", "var/log/dpkg.log", true),
            ("var/log/*.log", "var/log/apt/term.log", false),
            ("var/**/*.log", "var/log/apt/term.log", true),
            ("**/__pycache__", "usr/lib/python3/__pycache__", true),
            ("**/__pycache__", "__pycache__", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
        ];
        for (pattern, path, expected) in cases {
            let parsed = Pattern::new(pattern).unwrap();
            let path = LayerPath::new(path).unwrap();
            assert_eq!(parsed.matches(&path), expected, "{pattern} {path}");
        }
        assert_eq!(Pattern::new("/"), None);
        assert_eq!(Pattern::new("../x"), None);
    }
}
