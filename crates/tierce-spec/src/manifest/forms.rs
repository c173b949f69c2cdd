//! Values that may be written in several forms: a string, a list of strings, a table.
//!
//! serde's untagged enums would do, but for their errors: they forget where and why each form
//! failed.

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Unexpected, Visitor};
use std::fmt;
use std::marker::PhantomData;

type FromText<Out> = fn(String) -> Result<Out, String>;

/// The forms that a value may have, each with what it makes.
pub(super) struct Forms<Table, Out> {
    expected: &'static str,
    text: Option<FromText<Out>>,
    list: Option<fn(Vec<String>) -> Out>,
    table: Option<FromTable<Table, Out>>,
}

/// What a table makes.
enum FromTable<Table, Out> {
    Always(fn(Table) -> Out),
    Checked(fn(Table) -> Result<Out, String>),
}

/// Stands in for the table of values that have no such form.
#[derive(serde::Deserialize)]
pub(super) enum NoTable {}

impl<Table, Out> Forms<Table, Out> {
    /// No forms yet; `expected` describes them all.
    pub fn new(expected: &'static str) -> Self {
        Forms { expected, text: None, list: None, table: None }
    }

    /// A string.
    pub fn text(self, make: FromText<Out>) -> Self {
        Forms { text: Some(make), ..self }
    }

    /// A list of strings.
    pub fn list(self, make: fn(Vec<String>) -> Out) -> Self {
        Forms { list: Some(make), ..self }
    }

    /// A table.
    pub fn table(self, make: fn(Table) -> Out) -> Self {
        Forms { table: Some(FromTable::Always(make)), ..self }
    }

    /// A table whose keys have to go together.
    pub fn checked_table(self, make: fn(Table) -> Result<Out, String>) -> Self {
        Forms { table: Some(FromTable::Checked(make)), ..self }
    }

    /// Reads a value.
    pub fn read<'de, D: Deserializer<'de>>(self, d: D) -> Result<Out, D::Error>
    where
        Table: Deserialize<'de>,
    {
        d.deserialize_any(FormsVisitor { forms: self, lifetime: PhantomData })
    }
}

/// `text` as a `T`, with the whole chain of causes where it is none.
pub(super) fn parsed<T: std::str::FromStr<Err: std::error::Error>>(
    text: &str,
) -> Result<T, String> {
    text.parse().map_err(|error: T::Err| explained(&error))
}

/// An error and its causes, on one line.
fn explained(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", explained(source)),
        None => error.to_string(),
    }
}

struct FormsVisitor<'de, Table, Out> {
    forms: Forms<Table, Out>,
    lifetime: PhantomData<&'de ()>,
}

impl<'de, Table: Deserialize<'de>, Out> Visitor<'de> for FormsVisitor<'de, Table, Out> {
    type Value = Out;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.forms.expected)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Out, E> {
        match self.forms.text {
            Some(make) => make(text.to_owned()).map_err(E::custom),
            None => Err(E::invalid_type(Unexpected::Str(text), &self)),
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Out, A::Error> {
        let Some(make) = self.forms.list else {
            return Err(A::Error::invalid_type(Unexpected::Seq, &self));
        };
        let mut out = vec![];
        while let Some(item) = items.next_element()? {
            out.push(item);
        }
        Ok(make(out))
    }

    fn visit_map<A: MapAccess<'de>>(self, entries: A) -> Result<Out, A::Error> {
        let Some(make) = self.forms.table else {
            return Err(A::Error::invalid_type(Unexpected::Map, &self));
        };
        let table = Table::deserialize(MapAccessDeserializer::new(entries))?;
        match make {
            FromTable::Always(make) => Ok(make(table)),
            FromTable::Checked(make) => make(table).map_err(A::Error::custom),
        }
    }
}
