//! Contexts that are larger than was meant.

use super::BuildContext;
use std::fmt;

/// Contexts above this size, in bytes, are worth a warning where nobody said what to leave out.
pub const WARNING_SIZE: u64 = 50 << 20;

/// How many entries a warning lists.
const LISTED: usize = 10;

/// A context that is larger than was meant: no ignore file says what of it is needed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LargeContext {
    /// The size of the whole context in bytes.
    pub size: u64,
    /// The largest files with their sizes in bytes, the largest first.
    pub largest: Vec<(String, u64)>,
}

impl BuildContext {
    /// What is worth a warning: a context above [`WARNING_SIZE`] without an ignore file.
    pub fn large(&self) -> Option<LargeContext> {
        self.larger_than(WARNING_SIZE)
    }

    /// The same for another size.
    pub fn larger_than(&self, limit: u64) -> Option<LargeContext> {
        let size = self.size();
        if self.has_ignore_file || size <= limit {
            return None;
        }
        let mut files: Vec<(String, u64)> = self
            .entries()
            .map(|(path, entry)| (path.to_string(), entry.size()))
            .filter(|(_, size)| *size > 0)
            .collect();
        // Stable: of equals, the first by name.
        files.sort_by_key(|(_, size)| std::cmp::Reverse(*size));
        files.truncate(LISTED);
        Some(LargeContext { size, largest: files })
    }
}

impl fmt::Display for LargeContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the build context has {}, and no .dockerignore says what to leave out; the largest files are",
            mebibytes(self.size)
        )?;
        for (number, (path, size)) in self.largest.iter().enumerate() {
            let comma = if number == 0 { "" } else { "," };
            write!(f, "{comma} {path} ({})", mebibytes(*size))?;
        }
        Ok(())
    }
}

fn mebibytes(size: u64) -> String {
    format!("{:.1} MiB", size as f64 / f64::from(1 << 20))
}
