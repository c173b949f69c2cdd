//! Headers of scripts (PEP 723, "Inline script metadata").

/// Why a script's header can't be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// There is none.
    #[error("the script has no header that begins with # /// script")]
    Missing,
    /// There are several.
    #[error("the script has several headers")]
    Several,
}

/// The TOML in a script's header: the comment block between `# /// script` and `# ///`. Lines
/// outside it are empty, so that the lines of what is malformed in it are those of the script.
pub fn script_header(script: &str) -> Result<String, HeaderError> {
    let lines: Vec<&str> = script.lines().collect();
    let mut found: Option<(usize, usize)> = None;
    let mut at = 0;
    while at < lines.len() {
        if lines[at].trim_end() != "# /// script" {
            at += 1;
            continue;
        }
        let is_comment = |line: &&&str| **line == "#" || line.starts_with("# ");
        let length = lines[at + 1..].iter().take_while(is_comment).count();
        // The last line of the block that closes it does: the content may have such lines, too.
        let block = &lines[at + 1..at + 1 + length];
        match block.iter().rposition(|line| line.trim_end() == "# ///") {
            Some(_) if found.is_some() => return Err(HeaderError::Several),
            Some(end) => {
                found = Some((at + 1, at + 1 + end));
                at += end + 2;
            }
            None => at += 1,
        }
    }
    let (start, end) = found.ok_or(HeaderError::Missing)?;
    let mut text = "\n".repeat(start);
    for line in &lines[start..end] {
        text.push_str(line.strip_prefix("# ").unwrap_or(""));
        text.push('\n');
    }
    Ok(text)
}
