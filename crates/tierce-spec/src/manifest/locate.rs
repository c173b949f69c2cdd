//! Where things are in the text of a manifest.

use crate::Item;
use crate::service_url::may_hold_credentials;
use std::fmt::Write as _;
use std::ops::Range;
use toml::de::{DeTable, DeValue};

/// One part of a path through a TOML document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Segment {
    /// A key of a table.
    Key(String),
    /// An item of an array.
    Index(usize),
}

impl From<&str> for Segment {
    fn from(key: &str) -> Self {
        Segment::Key(key.to_owned())
    }
}

impl From<&Item> for Segment {
    fn from(item: &Item) -> Self {
        match item {
            Item::Index(index) => Segment::Index(*index),
            Item::Key(key) => Segment::Key(key.clone()),
            Item::Part(part) => Segment::Key((*part).to_owned()),
        }
    }
}

/// The text of a manifest, and what messages call it.
#[derive(Clone)]
pub(super) struct Source {
    pub file_name: String,
    pub text: String,
}

/// A place in a text, for people: both from 1, columns in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Position {
    pub line: usize,
    pub column: usize,
}

/// The key of a table form that holds the items: `pip = { packages = […] }`.
const ITEMS: &str = "packages";

impl Source {
    pub fn new(file_name: &str, text: &str) -> Self {
        Source { file_name: file_name.to_owned(), text: text.to_owned() }
    }

    /// Whether the document has a `workspace` table and nothing else.
    pub fn is_workspace_only(&self) -> bool {
        DeTable::parse(&self.text)
            .is_ok_and(|root| root.get_ref().keys().map(|key| key.get_ref()).eq(["workspace"]))
    }

    /// As much of `path` as the document has, as people write it, and where that is.
    pub fn locate(&self, path: &[Segment]) -> (String, Option<Range<usize>>) {
        let mut shown = String::new();
        let Ok(root) = DeTable::parse(&self.text) else { return (shown, None) };
        let [Segment::Key(first), rest @ ..] = path else { return (shown, None) };
        show(&mut shown, &path[0]);
        let Some((key, mut value)) = root.get_ref().get_key_value(first.as_str()) else {
            return (shown, None);
        };
        let mut key_span = Some(key.span());
        for segment in rest {
            let (next_key, next) = match (segment, value.get_ref()) {
                (Segment::Key(key), DeValue::Table(table)) => {
                    match table.get_key_value(key.as_str()) {
                        Some((key, next)) => (Some(key.span()), next),
                        None => break,
                    }
                }
                (Segment::Index(index), DeValue::Array(array)) => match array.get(*index) {
                    Some(next) => (None, next),
                    None => break,
                },
                (Segment::Index(index), DeValue::Table(table)) => {
                    let Some(items) = table.get(ITEMS) else { break };
                    show(&mut shown, &Segment::from(ITEMS));
                    match items.get_ref().as_array().and_then(|a| a.get(*index)) {
                        Some(next) => (None, next),
                        None => break,
                    }
                }
                _ => break,
            };
            show(&mut shown, segment);
            key_span = next_key;
            value = next;
        }
        let value_span = value.span();
        // A table in several lines, or of its own header, is shown by its key.
        let span = match key_span {
            Some(key) if self.text[value_span.clone()].contains('\n') => key,
            _ => value_span,
        };
        (shown, Some(span))
    }

    /// The path of the innermost value whose key or text holds `offset`.
    pub fn path_at(&self, offset: usize) -> Vec<Segment> {
        let mut path = vec![];
        if let Ok(root) = DeTable::parse(&self.text) {
            descend_table(root.get_ref(), offset, &mut path);
        }
        path
    }

    pub fn position(&self, offset: usize) -> Position {
        let before = &self.text[..self.floor(offset)];
        let line = before.matches('\n').count() + 1;
        let start = before.rfind('\n').map_or(0, |at| at + 1);
        Position { line, column: before[start..].chars().count() + 1 }
    }

    /// The line of `span`, with a caret below each of its characters; `None` for a line that
    /// may have credentials in it.
    pub fn snippet(&self, span: &Range<usize>) -> Option<String> {
        let start = self.floor(span.start);
        let Position { line, column } = self.position(start);
        let text = self.text.lines().nth(line - 1).unwrap_or_default();
        if may_hold_credentials(text) {
            return None;
        }
        let end = self.floor(span.end).max(start);
        let width = self.text[start..end].lines().next().unwrap_or_default().chars().count();
        let number = line.to_string();
        let gutter = " ".repeat(number.len());
        // Tabs stay tabs, so that the caret stands below what it means.
        let indent: String =
            text.chars().take(column - 1).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
        let mut out = String::new();
        let _ = writeln!(out, "{gutter} |");
        let _ = writeln!(out, "{number} | {text}");
        let _ = write!(out, "{gutter} | {indent}{}", "^".repeat(width.max(1)));
        Some(out)
    }

    fn floor(&self, offset: usize) -> usize {
        (0..=offset.min(self.text.len()))
            .rev()
            .find(|&at| self.text.is_char_boundary(at))
            .unwrap_or(0)
    }
}

fn descend_table(table: &DeTable<'_>, offset: usize, path: &mut Vec<Segment>) {
    // A table of its own header has only the header for a span: its keys are asked anyway.
    let mut best: Option<Vec<Segment>> = None;
    for (key, value) in table {
        let mut candidate = vec![Segment::from(key.get_ref().as_ref())];
        let inside = holds(&key.span(), offset) || holds(&value.span(), offset);
        descend_value(value.get_ref(), offset, &mut candidate);
        if (inside || candidate.len() > 1)
            && best.as_ref().is_none_or(|b| candidate.len() > b.len())
        {
            best = Some(candidate);
        }
    }
    path.extend(best.unwrap_or_default());
}

fn descend_value(value: &DeValue<'_>, offset: usize, path: &mut Vec<Segment>) {
    match value {
        DeValue::Table(table) => descend_table(table, offset, path),
        DeValue::Array(array) => {
            for (index, item) in array.iter().enumerate() {
                let mut candidate = vec![Segment::Index(index)];
                descend_value(item.get_ref(), offset, &mut candidate);
                if holds(&item.span(), offset) || candidate.len() > 1 {
                    path.extend(candidate);
                    return;
                }
            }
        }
        _ => {}
    }
}

fn holds(span: &Range<usize>, offset: usize) -> bool {
    span.contains(&offset)
}

/// Adds `segment` to a path as people write it.
fn show(out: &mut String, segment: &Segment) {
    match segment {
        Segment::Index(index) => {
            let _ = write!(out, "[{index}]");
        }
        Segment::Key(key) => {
            if !out.is_empty() {
                out.push('.');
            }
            let bare = !key.is_empty()
                && key.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
            match bare {
                true => out.push_str(key),
                false => {
                    let _ = write!(out, "{key:?}");
                }
            }
        }
    }
}

/// A path as people write it.
pub(super) fn shown(path: &[Segment]) -> String {
    let mut out = String::new();
    path.iter().for_each(|segment| show(&mut out, segment));
    out
}
