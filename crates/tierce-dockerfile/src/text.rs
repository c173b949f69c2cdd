//! The text under construction.

/// Frontends read lines of up to 64 KiB.
const LONGEST_LINE: usize = 60_000;

/// Instructions, in paragraphs.
#[derive(Default)]
pub(crate) struct Text {
    out: String,
}

impl Text {
    /// Begins a paragraph.
    pub fn paragraph(&mut self) {
        if !self.out.is_empty() && !self.out.ends_with("\n\n") {
            self.out.push('\n');
        }
    }

    /// Adds an instruction or a comment, of one or more lines.
    pub fn push(&mut self, instruction: &str) {
        for line in instruction.split('\n') {
            self.line(line);
        }
    }

    /// Adds a line; one that is too long is continued on further ones, at places where neither
    /// what ends a line nor what begins one is taken for anything else than it is.
    fn line(&mut self, mut line: &str) {
        while line.len() > LONGEST_LINE {
            let safe = |at: &usize| {
                let (before, after) = line.split_at(*at);
                !before.ends_with(|c: char| c == '\\' || c.is_whitespace())
                    && !after.starts_with(|c: char| c == '#' || c == '\\' || c.is_whitespace())
            };
            let ends = (1..=LONGEST_LINE).rev().filter(|at| line.is_char_boundary(*at));
            let Some(end) = ends.into_iter().find(safe) else { break };
            let (before, after) = line.split_at(end);
            self.out.push_str(before);
            self.out.push_str("\\\n");
            line = after;
        }
        self.out.push_str(line);
        self.out.push('\n');
    }

    /// All of it.
    pub fn finish(self) -> String {
        self.out
    }
}
