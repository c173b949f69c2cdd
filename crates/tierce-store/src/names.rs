//! File names from names that callers choose.

use tierce_oci::Digest;

/// Names longer than this are cut, so that they stay below the file system's 255 bytes.
const LONGEST: usize = 120;

/// A file name for `name`: itself where that is harmless, otherwise a readable part of it and its
/// digest. Distinct names give distinct file names: `~` stands in the second form only.
pub(crate) fn file_name(name: &str) -> String {
    let harmless = |c: char| c.is_ascii_alphanumeric() || "._+=@-".contains(c);
    if !name.is_empty()
        && !name.starts_with('.')
        && name.len() <= LONGEST
        && name.chars().all(harmless)
    {
        return name.to_owned();
    }
    let readable: String =
        name.chars().map(|c| if harmless(c) { c } else { '_' }).take(LONGEST / 2).collect();
    format!("{}~{}", readable.trim_start_matches('.'), &Digest::of(name).hex()[..32])
}

/// A suffix that no other process or thread is using.
pub(crate) fn random_suffix() -> String {
    std::iter::repeat_with(fastrand::alphanumeric).take(12).collect()
}

#[cfg(test)]
mod tests {
    use super::file_name;

    #[test]
    fn harmless_names_stay_and_others_stay_apart() {
        assert_eq!(file_name("layer-0af3"), "layer-0af3");
        let long = "x".repeat(300);
        let hostile = ["", ".", "..", "../x", "a/b", "a_b~", "a\0b", "é", long.as_str()];
        let mut names: Vec<String> = hostile.iter().map(|n| file_name(n)).collect();
        names.push(file_name("a_b"));
        for name in &names {
            assert!(name.len() < 200 && !name.contains(['/', '\0']) && !name.starts_with('.'));
        }
        names.sort();
        names.dedup();
        assert_eq!(names.len(), hostile.len() + 1);
    }
}
