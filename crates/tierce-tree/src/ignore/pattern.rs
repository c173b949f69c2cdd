//! One pattern.
//!
//! The syntax is that of Go's `filepath.Match`, and `**`. How `**` acts depends, as in moby's
//! matcher, on what stands around it: at the end after plain text it is a prefix match, at the
//! beginning before plain text a suffix match, elsewhere "any directories, or none".

use crate::error::PatternProblem;

/// A compiled pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pattern {
    /// Whether it stood after `!`.
    pub(super) exception: bool,
    text: String,
    matcher: Matcher,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Matcher {
    /// The text itself.
    Exact,
    /// `dir/**`: the text without its last two characters is a prefix.
    Prefix,
    /// `**/name`, `**name`: the text without its first two characters is a suffix.
    Suffix,
    /// Everything else. No path matches that does not begin with the literal.
    Glob { literal: Vec<u8>, tokens: Vec<Token> },
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Char(char),
    /// `?`: any character but `/`.
    Any,
    /// `*`: any number of characters but `/`.
    Star,
    /// `**` with something after it: nothing, or anything that ends in `/`.
    Directories,
    /// The same once something was taken for it.
    InDirectories,
    /// `**` at the end: anything.
    Rest,
    /// `[...]`. As in moby, a negated one takes `/` too.
    Class {
        negated: bool,
        ranges: Vec<(char, char)>,
    },
}

impl Pattern {
    /// Compiles a cleaned pattern.
    pub(super) fn compile(text: &str, exception: bool) -> Result<Self, PatternProblem> {
        let matcher = compile(text)?;
        Ok(Pattern { exception, text: text.to_owned(), matcher })
    }

    /// Whether the pattern matches this very path. It then holds for everything below, which is
    /// for the caller to know.
    pub(super) fn matches(&self, path: &[u8]) -> bool {
        let text = self.text.as_bytes();
        match &self.matcher {
            Matcher::Exact => path == text,
            Matcher::Prefix => path.starts_with(&text[..text.len() - 2]),
            Matcher::Suffix => {
                let suffix = &text[2..];
                path.ends_with(suffix) || suffix.strip_prefix(b"/") == Some(path)
            }
            Matcher::Glob { literal, tokens } => {
                path.strip_prefix(literal.as_slice()).is_some_and(|rest| run(tokens, rest))
            }
        }
    }

    /// Whether the pattern may match something below this directory. May err by saying yes.
    pub(super) fn may_match_below(&self, directory: &[u8]) -> bool {
        let text = self.text.as_bytes();
        let below = |literal: &[u8]| {
            let common = literal.len().min(directory.len());
            literal[..common] == directory[..common]
                && literal.get(directory.len()).is_none_or(|&b| b == b'/')
        };
        match &self.matcher {
            Matcher::Exact => text.len() > directory.len() && below(text),
            Matcher::Prefix => below(&text[..text.len() - 2]),
            Matcher::Suffix => true,
            Matcher::Glob { literal, .. } => below(literal),
        }
    }

    /// Whether one of the pattern's components is this very text.
    pub(super) fn names(&self, name: &[u8]) -> bool {
        self.text.split('/').any(|component| component.as_bytes() == name)
    }
}

fn compile(text: &str) -> Result<Matcher, PatternProblem> {
    let chars: Vec<char> = text.chars().collect();
    let mut tokens = Vec::new();
    let mut matcher = Matcher::Exact;
    let glob = || Matcher::Glob { literal: vec![], tokens: vec![] };
    let mut at = 0;
    while at < chars.len() {
        let first = at == 0;
        let c = chars[at];
        at += 1;
        match c {
            '*' if chars.get(at) == Some(&'*') => {
                at += 1;
                if chars.get(at) == Some(&'/') {
                    at += 1;
                }
                if at < chars.len() {
                    tokens.extend([Token::Directories, Token::InDirectories]);
                    matcher = glob();
                } else if matcher == Matcher::Exact {
                    matcher = Matcher::Prefix;
                } else {
                    tokens.push(Token::Rest);
                    matcher = glob();
                }
                if first {
                    matcher = Matcher::Suffix;
                }
                continue;
            }
            '*' => tokens.push(Token::Star),
            '?' => tokens.push(Token::Any),
            '[' => tokens.push(class(&chars, &mut at)?),
            '\\' => {
                let escaped = chars.get(at).ok_or(PatternProblem::LoneEscape)?;
                at += 1;
                tokens.push(Token::Char(*escaped));
            }
            plain => {
                tokens.push(Token::Char(plain));
                continue;
            }
        }
        matcher = glob();
    }
    Ok(match matcher {
        Matcher::Glob { .. } => {
            let literals = tokens.iter().map_while(|token| match token {
                Token::Char(c) => Some(*c),
                _ => None,
            });
            let literal: String = literals.collect();
            let tokens = tokens.split_off(literal.chars().count());
            Matcher::Glob { literal: literal.into_bytes(), tokens }
        }
        other => other,
    })
}

/// What follows `[`, up to `]`.
fn class(chars: &[char], at: &mut usize) -> Result<Token, PatternProblem> {
    let negated = chars.get(*at) == Some(&'^');
    *at += usize::from(negated);
    let mut ranges = Vec::new();
    loop {
        if chars.get(*at) == Some(&']') && !ranges.is_empty() {
            *at += 1;
            return Ok(Token::Class { negated, ranges });
        }
        let low = class_char(chars, at)?;
        let high = match chars.get(*at) {
            Some('-') => {
                *at += 1;
                class_char(chars, at)?
            }
            _ => low,
        };
        if low > high {
            return Err(PatternProblem::BadClass);
        }
        ranges.push((low, high));
    }
}

fn class_char(chars: &[char], at: &mut usize) -> Result<char, PatternProblem> {
    let mut next = || {
        *at += 1;
        chars.get(*at - 1).copied().ok_or(PatternProblem::BadClass)
    };
    match next()? {
        '-' | ']' => Err(PatternProblem::BadClass),
        '\\' => next(),
        plain => Ok(plain),
    }
}

/// Runs all ways through the tokens at once, so that no pattern takes more than tokens times
/// path length.
fn run(tokens: &[Token], mut path: &[u8]) -> bool {
    let mut now = vec![false; tokens.len() + 1];
    let mut next = now.clone();
    reach(tokens, &mut now, 0);
    while !path.is_empty() {
        let (c, length) = first_char(path);
        path = &path[length..];
        next.fill(false);
        for (at, token) in tokens.iter().enumerate().filter(|(at, _)| now[*at]) {
            match token {
                Token::Char(wanted) if *wanted == c => reach(tokens, &mut next, at + 1),
                Token::Any if c != '/' => reach(tokens, &mut next, at + 1),
                Token::Star if c != '/' => reach(tokens, &mut next, at),
                Token::Rest => reach(tokens, &mut next, at),
                Token::Directories => {
                    next[at + 1] = true;
                    if c == '/' {
                        reach(tokens, &mut next, at + 2);
                    }
                }
                Token::InDirectories => {
                    next[at] = true;
                    if c == '/' {
                        reach(tokens, &mut next, at + 1);
                    }
                }
                Token::Class { negated, ranges } => {
                    let inside = ranges.iter().any(|&(low, high)| (low..=high).contains(&c));
                    if inside != *negated {
                        reach(tokens, &mut next, at + 1);
                    }
                }
                Token::Char(_) | Token::Any | Token::Star => {}
            }
        }
        std::mem::swap(&mut now, &mut next);
    }
    now[tokens.len()]
}

/// Marks a place, and those that can be reached from it without taking a character.
fn reach(tokens: &[Token], places: &mut [bool], mut at: usize) {
    loop {
        places[at] = true;
        at += match tokens.get(at) {
            Some(Token::Star | Token::Rest) => 1,
            Some(Token::Directories) => 2,
            _ => return,
        };
    }
}

/// The first character and its length. A byte that is not UTF-8 counts as one character.
fn first_char(bytes: &[u8]) -> (char, usize) {
    if bytes[0] < 0x80 {
        return (bytes[0].into(), 1);
    }
    let head = &bytes[..bytes.len().min(4)];
    let valid = match std::str::from_utf8(head) {
        Ok(text) => text,
        Err(error) => std::str::from_utf8(&head[..error.valid_up_to()]).unwrap_or_default(),
    };
    match valid.chars().next() {
        Some(c) => (c, c.len_utf8()),
        None => (char::REPLACEMENT_CHARACTER, 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The same by trying every way, one after the other.
    fn oracle(tokens: &[Token], path: &[u8]) -> bool {
        let Some((token, rest)) = tokens.split_first() else { return path.is_empty() };
        let lengths = || (0..=path.len()).filter(|n| std::str::from_utf8(&path[..*n]).is_ok());
        match token {
            Token::Directories => {
                oracle(&rest[1..], path)
                    || lengths()
                        .any(|n| n > 0 && path[n - 1] == b'/' && oracle(&rest[1..], &path[n..]))
            }
            Token::Star => lengths()
                .take_while(|n| !path[..*n].contains(&b'/'))
                .any(|n| oracle(rest, &path[n..])),
            Token::Rest => lengths().any(|n| oracle(rest, &path[n..])),
            _ if path.is_empty() => false,
            one => {
                let (c, length) = first_char(path);
                let takes = match one {
                    Token::Char(wanted) => *wanted == c,
                    Token::Any => c != '/',
                    Token::Class { negated, ranges } => {
                        ranges.iter().any(|&(low, high)| (low..=high).contains(&c)) != *negated
                    }
                    _ => unreachable!("handled above"),
                };
                takes && oracle(rest, &path[length..])
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]

        #[test]
        fn globs_match_what_trying_every_way_matches(
            pattern in r"([ab/é]|\*|\*\*|\*\*/|\?|\[a-b\]|\[\^a\]|\\\*){1,8}",
            path in "[abcé/]{1,10}",
        ) {
            let Ok(pattern) = Pattern::compile(&pattern, false) else { return Ok(()) };
            if let Matcher::Glob { literal, tokens } = &pattern.matcher {
                let whole: Vec<_> = String::from_utf8_lossy(literal)
                    .chars()
                    .map(Token::Char)
                    .chain(tokens.iter().cloned())
                    .collect();
                prop_assert_eq!(pattern.matches(path.as_bytes()), oracle(&whole, path.as_bytes()));
                if pattern.matches(path.as_bytes()) {
                    for (slash, _) in path.match_indices('/').filter(|(at, _)| *at > 0) {
                        prop_assert!(pattern.may_match_below(&path.as_bytes()[..slash]));
                    }
                }
            }
        }
    }
}
