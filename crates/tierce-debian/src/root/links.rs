//! Where paths lead once all symbolic links are in place.

use super::RootError;
use std::collections::{BTreeMap, VecDeque};
use tierce_layer::LayerPath;

/// As the kernel's.
const MAX_LINKS: usize = 40;

/// The symbolic links of a file system.
#[derive(Debug, Default)]
pub(super) struct Links(BTreeMap<LayerPath, Vec<u8>>);

impl Links {
    pub(super) fn insert(&mut self, place: LayerPath, target: Vec<u8>) {
        self.0.insert(place, target);
    }

    /// Where a file of this path ends up: its directory resolved, its name kept.
    pub(super) fn place(&self, path: &LayerPath) -> Result<LayerPath, RootError> {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Ok(LayerPath::ROOT);
        };
        let directory = self.follow(&parent)?;
        Ok(directory.join(name).expect("a name taken from a path"))
    }

    /// Where a directory of this path is. Links are followed within the root file system, as
    /// `chroot` confines them.
    pub(super) fn follow(&self, path: &LayerPath) -> Result<LayerPath, RootError> {
        let mut pending: VecDeque<Vec<u8>> = path.components().map(<[u8]>::to_vec).collect();
        let mut at = LayerPath::ROOT;
        let mut followed = 0;
        while let Some(component) = pending.pop_front() {
            if component == b".." {
                at = at.parent().unwrap_or(LayerPath::ROOT);
                continue;
            }
            let next = at.join(&component).expect("a component of a path");
            let Some(target) = self.0.get(&next) else {
                at = next;
                continue;
            };
            followed += 1;
            if followed > MAX_LINKS {
                return Err(RootError::LinkLoop(path.clone()));
            }
            if target.starts_with(b"/") {
                at = LayerPath::ROOT;
            }
            let components = target.split(|b| *b == b'/').filter(|c| !matches!(*c, b"" | b"."));
            for component in components.rev() {
                pending.push_front(component.to_vec());
            }
        }
        Ok(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> LayerPath {
        if text.is_empty() { LayerPath::ROOT } else { LayerPath::new(text).unwrap() }
    }

    #[test]
    fn links_are_followed_inside_the_root() {
        let mut links = Links::default();
        for (place, target) in [
            ("bin", "usr/bin"),
            ("var/run", "/run"),
            ("out", "../../etc"),
            ("a/b", "../bin/x"),
            ("loop", "loop"),
        ] {
            links.insert(path(place), target.into());
        }
        for (from, to) in [
            ("bin/sh", "usr/bin/sh"),
            ("usr/bin/sh", "usr/bin/sh"),
            ("var/run/lock/x", "run/lock/x"),
            ("out/passwd", "etc/passwd"),
            ("a/b/c", "usr/bin/x/c"),
            ("bin", "bin"),
        ] {
            assert_eq!(links.place(&path(from)).unwrap(), path(to), "{from}");
        }
        assert_eq!(links.follow(&path("bin")).unwrap(), path("usr/bin"));
        assert!(matches!(links.place(&path("loop/x")), Err(RootError::LinkLoop(_))));
    }
}
