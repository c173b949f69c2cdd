//! YAML as a tree whose scalars are as they were written.
//!
//! What a plain scalar means depends on where it stands: `3.10` is a version for
//! `python_version` and a slip among `packages`. So the tree keeps its spelling, and whether it
//! was quoted.

use super::error::{Fault, Position};
use serde_saphyr::granit_parser::{Event, Marker, Parser, ScalarStyle, Tag};
use std::collections::BTreeMap;

/// Nodes that a file may have, those that aliases repeat counted each time: more than any spec
/// has, and few enough for a file that was made to explode.
const MOST_NODES: usize = 100_000;

/// A node, and where it starts.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub at: Position,
    pub kind: Kind,
}

#[derive(Clone, Debug)]
pub(super) enum Kind {
    /// A scalar without quotes.
    Plain(String),
    /// A scalar that is a text whatever it looks like: quoted, a block, or tagged as one.
    Text(String),
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
}

#[derive(Clone, Debug)]
pub(super) struct Key {
    pub at: Position,
    pub name: String,
}

impl Node {
    /// Whether this is nothing: an empty value, `~` or `null`.
    pub fn is_null(&self) -> bool {
        matches!(&self.kind, Kind::Plain(text) if matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL"))
    }

    /// What this is, for messages.
    pub fn what(&self) -> &'static str {
        match &self.kind {
            _ if self.is_null() => "nothing",
            Kind::Plain(text) if is_bool(text) => "a boolean",
            Kind::Plain(text) if is_number(text) => "a number",
            Kind::Plain(_) | Kind::Text(_) => "a string",
            Kind::List(_) => "a list",
            Kind::Map(_) => "a mapping",
        }
    }

    fn size(&self) -> usize {
        1 + match &self.kind {
            Kind::Plain(_) | Kind::Text(_) => 0,
            Kind::List(items) => items.iter().map(Node::size).sum(),
            Kind::Map(entries) => entries.iter().map(|(_, value)| 1 + value.size()).sum(),
        }
    }
}

/// Whether a plain scalar is a boolean, for the YAML 1.1 that Python's reader speaks, too.
pub(super) fn is_bool(text: &str) -> bool {
    ["true", "false", "yes", "no", "on", "off"].iter().any(|word| text.eq_ignore_ascii_case(word))
}

/// Whether a plain scalar is a number.
pub(super) fn is_number(text: &str) -> bool {
    // "inf" and "nan" are words, and Rust's numbers.
    text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.'))
        && text.contains(|c: char| c.is_ascii_digit())
        && text.replace('_', "").parse::<f64>().is_ok()
}

/// The one document of `text`; `None` where there is none.
pub(super) fn parse(text: &str) -> Result<Option<Node>, Fault> {
    let mut tree = Tree::default();
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| {
            let at = position(error.marker());
            Fault::new(at, "imagespec/yaml-syntax", format!("not YAML: {}", error.info()))
        })?;
        tree.event(event, position(&span.start))?;
    }
    Ok(tree.root)
}

fn position(marker: &Marker) -> Position {
    Position { line: marker.line(), column: marker.col() + 1 }
}

/// A collection that is not complete.
enum Open {
    List { at: Position, anchor: usize, items: Vec<Node> },
    Map { at: Position, anchor: usize, entries: Vec<(Key, Node)>, key: Option<Key> },
}

#[derive(Default)]
struct Tree {
    root: Option<Node>,
    open: Vec<Open>,
    anchors: BTreeMap<usize, Node>,
    nodes: usize,
}

impl Tree {
    fn event(&mut self, event: Event<'_>, at: Position) -> Result<(), Fault> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let plain = style == ScalarStyle::Plain && !is_text(tag.as_deref(), at)?;
                let text = text.into_owned();
                let kind = if plain { Kind::Plain(text) } else { Kind::Text(text) };
                self.add(Node { at, kind }, anchor)
            }
            Event::SequenceStart(_, anchor, _) => {
                self.open.push(Open::List { at, anchor, items: vec![] });
                Ok(())
            }
            Event::MappingStart(_, anchor, _) => {
                self.open.push(Open::Map { at, anchor, entries: vec![], key: None });
                Ok(())
            }
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some(Open::List { at, anchor, items }) => {
                    self.add(Node { at, kind: Kind::List(items) }, anchor)
                }
                Some(Open::Map { at, anchor, entries, key: _ }) => {
                    self.add(Node { at, kind: Kind::Map(entries) }, anchor)
                }
                None => Ok(()),
            },
            Event::Alias(anchor) => match self.anchors.get(&anchor).map(Node::size) {
                Some(size) => {
                    self.count(size, at)?;
                    let node = Node { at, ..self.anchors[&anchor].clone() };
                    self.add(node, 0)
                }
                None => Err(Fault::new(at, "imagespec/yaml-alias", "the alias has no anchor")),
            },
            Event::DocumentStart(..) if self.root.is_some() => {
                Err(Fault::new(at, "imagespec/yaml-documents", "a file holds one document only"))
            }
            _ => Ok(()),
        }
    }

    fn count(&mut self, nodes: usize, at: Position) -> Result<(), Fault> {
        self.nodes += nodes;
        match self.nodes > MOST_NODES {
            true => Err(Fault::new(at, "imagespec/yaml-too-large", "the file is too large")),
            false => Ok(()),
        }
    }

    fn add(&mut self, node: Node, anchor: usize) -> Result<(), Fault> {
        let at = node.at;
        self.count(1, at)?;
        if anchor != 0 {
            // A copy, whether or not an alias asks for it: anchors within anchors add up.
            self.count(node.size(), at)?;
            self.anchors.insert(anchor, node.clone());
        }
        match self.open.last_mut() {
            None => self.root = Some(node),
            Some(Open::List { items, .. }) => items.push(node),
            Some(Open::Map { entries, key, .. }) => match key.take() {
                Some(key) => entries.push((key, node)),
                None => {
                    let (Kind::Plain(name) | Kind::Text(name)) = node.kind else {
                        let message = "a list or mapping cannot be a key";
                        return Err(Fault::new(at, "imagespec/yaml-key", message));
                    };
                    if entries.iter().any(|(key, _)| key.name == name) {
                        let message = format!("the key `{name}` is there twice");
                        return Err(Fault::new(at, "imagespec/duplicate-key", message));
                    }
                    *key = Some(Key { at, name });
                }
            },
        }
        Ok(())
    }
}

/// Whether the tag makes a plain scalar a text.
fn is_text(tag: Option<&Tag>, at: Position) -> Result<bool, Fault> {
    match tag {
        None => Ok(false),
        Some(tag) if tag.is_yaml_core_schema_tag("str") => Ok(true),
        Some(tag) if tag.is_yaml_core_schema() => Ok(false),
        Some(_) => Err(Fault::new(at, "imagespec/yaml-tag", "the tag is not known")),
    }
}
