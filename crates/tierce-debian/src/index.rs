//! Packages files, reduced to what dependency resolution needs and laid out for binary search.
//!
//! A suite's Packages is 50 MB of text, of which a base looks at a few hundred paragraphs.
//! Reduced once and cached, it is read back without being parsed.
//!
//! The layout, all numbers little-endian `u32`: magic; the counts of packages, provided names
//! and base packages; per package, sorted by name, its paragraph's offset and length and its
//! name's length (the name stands right after `Package: `); per provided name, sorted by it,
//! offset and length of the name and the package's number; the numbers of the packages that are
//! essential or of a priority above optional; the text.

use crate::control::{ControlError, Paragraph, Paragraphs, push_field};
use crate::package::{FIELDS, Package, PackageError};
use std::io::BufRead;
use tierce_oci::Digest;
use url::Url;

/// Grows whenever the layout or the choice of fields changes.
pub(crate) const INDEX_VERSION: u32 = 1;

const MAGIC: &[u8; 8] = b"tdebidx\x01";
const NAME_FIELD: &str = "Package: ";
const HEADER: usize = 8 + 3 * 4;

/// The packages of one Packages file and the mirror they come from.
#[derive(Clone)]
pub struct PackageList {
    bytes: Vec<u8>,
    packages: usize,
    provided: usize,
    base: usize,
    text: usize,
    mirror: Url,
}

impl PackageList {
    /// Reads a Packages file.
    pub fn parse(input: impl BufRead, mirror: Url) -> Result<Self, ControlError> {
        let mut builder = Builder::default();
        for paragraph in Paragraphs::new(input) {
            builder.add(&paragraph?)?;
        }
        let list = Self::load(builder.finish(), mirror);
        Ok(list.expect("what the builder lays out can be loaded"))
    }

    /// Takes back what [`PackageList::as_bytes`] gave; `None` if the bytes are something else.
    pub(crate) fn load(bytes: Vec<u8>, mirror: Url) -> Option<Self> {
        if !bytes.starts_with(MAGIC) {
            return None;
        }
        let [packages, provided, base] =
            [8, 12, 16].map(|at| number(&bytes, at).map(|n| n as usize));
        let (packages, provided, base) = (packages?, provided?, base?);
        let words = packages.checked_mul(3)?.checked_add(provided.checked_mul(3)?)?;
        let text = words.checked_add(base)?.checked_mul(4)?.checked_add(HEADER)?;
        std::str::from_utf8(bytes.get(text..)?).ok()?;
        Some(PackageList { bytes, packages, provided, base, text, mirror })
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// How many packages there are.
    pub fn len(&self) -> usize {
        self.packages
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.packages == 0
    }

    /// All names, sorted, each as often as it has versions.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        (0..self.packages).map(|n| self.name(n))
    }

    /// The packages of this name.
    pub(crate) fn named(&self, name: &str) -> Result<Vec<Package>, PackageError> {
        let start = partition(self.packages, |n| self.name(n) < name);
        let found = (start..self.packages).take_while(|n| self.name(*n) == name);
        found.map(|n| self.package(n)).collect()
    }

    /// The packages that say they provide this name.
    pub(crate) fn providing(&self, name: &str) -> Result<Vec<Package>, PackageError> {
        let start = partition(self.provided, |n| self.provided_name(n) < name);
        let found = (start..self.provided).take_while(|n| self.provided_name(*n) == name);
        found.map(|n| self.package(self.word(HEADER + 12 * (self.packages + n) + 8))).collect()
    }

    /// The packages that are essential or of a priority above optional.
    pub(crate) fn base(&self) -> Result<Vec<Package>, PackageError> {
        let table = HEADER + 12 * (self.packages + self.provided);
        (0..self.base).map(|n| self.package(self.word(table + 4 * n))).collect()
    }

    fn word(&self, at: usize) -> usize {
        number(&self.bytes, at).map_or(0, |n| n as usize)
    }

    fn text(&self, offset: usize, length: usize) -> &str {
        let start = self.text.saturating_add(offset);
        let bytes = self.bytes.get(start..start.saturating_add(length)).unwrap_or_default();
        std::str::from_utf8(bytes).unwrap_or_default()
    }

    fn name(&self, n: usize) -> &str {
        let entry = HEADER + 12 * n;
        self.text(self.word(entry) + NAME_FIELD.len(), self.word(entry + 8))
    }

    fn provided_name(&self, n: usize) -> &str {
        let entry = HEADER + 12 * (self.packages + n);
        self.text(self.word(entry), self.word(entry + 4))
    }

    fn package(&self, n: usize) -> Result<Package, PackageError> {
        let entry = HEADER + 12 * n;
        let text = self.text(self.word(entry), self.word(entry + 4));
        Package::from_paragraph(&Paragraph::parse_one(text)?, &self.mirror)
    }

    /// The key under which the reduced form of a Packages file is cached.
    pub(crate) fn cache_key(packages: &Digest) -> Digest {
        Digest::of(format!("tierce-debian index {INDEX_VERSION}\n{packages}\n"))
    }
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

/// The first number below `count` that is not before what is searched for.
fn partition(count: usize, before: impl Fn(usize) -> bool) -> usize {
    let (mut low, mut high) = (0, count);
    while low < high {
        let middle = low + (high - low) / 2;
        if before(middle) { low = middle + 1 } else { high = middle }
    }
    low
}

struct Slot {
    offset: usize,
    length: usize,
    name_length: usize,
}

#[derive(Default)]
struct Builder {
    text: String,
    packages: Vec<Slot>,
    /// Offset and length of the name, and the package it belongs to as counted while reading.
    provided: Vec<(usize, usize, usize)>,
    base: Vec<usize>,
}

impl Builder {
    fn add(&mut self, paragraph: &Paragraph) -> Result<(), ControlError> {
        let name = paragraph.require("Package")?;
        let n = self.packages.len();
        let offset = self.text.len();
        push_field(&mut self.text, "Package", name);
        for field in FIELDS.iter().skip(1) {
            let Some(value) = paragraph.get(field).filter(|value| !value.is_empty()) else {
                continue;
            };
            // `optional` is what a missing priority means.
            if *field == "Priority" && !matches!(value, "required" | "important" | "standard") {
                continue;
            }
            let value_start = self.text.len() + field.len() + 2;
            push_field(&mut self.text, field, value);
            if *field == "Provides" {
                self.add_provided(value_start, value, n);
            }
        }
        let important = self.text[offset..].contains("\nPriority: ");
        if important || paragraph.get("Essential") == Some("yes") {
            self.base.push(n);
        }
        let length = self.text.len() - offset;
        self.packages.push(Slot { offset, length, name_length: name.len() });
        Ok(())
    }

    fn add_provided(&mut self, value_start: usize, value: &str, package: usize) {
        let mut at = 0;
        for item in value.split(',') {
            let name_start = at + (item.len() - item.trim_start().len());
            let name = item.trim_start();
            let length = name.find([' ', '(', ':', '\t', '\n']).unwrap_or(name.len());
            if length > 0 {
                self.provided.push((value_start + name_start, length, package));
            }
            at += item.len() + 1;
        }
    }

    fn finish(mut self) -> Vec<u8> {
        let name = |slot: &Slot| {
            let start = slot.offset + NAME_FIELD.len();
            &self.text[start..start + slot.name_length]
        };
        let mut order: Vec<usize> = (0..self.packages.len()).collect();
        // Stable: versions of one package stay in the file's order.
        order.sort_by_key(|n| name(&self.packages[*n]));
        let mut place = vec![0; order.len()];
        for (to, from) in order.iter().enumerate() {
            place[*from] = to;
        }
        let text = &self.text;
        self.provided.sort_by_key(|(at, length, n)| (&text[*at..*at + *length], place[*n]));
        self.base.sort_by_key(|n| place[*n]);

        let mut out = Vec::with_capacity(HEADER + 24 * self.packages.len() + self.text.len());
        out.extend_from_slice(MAGIC);
        let mut put = |n: usize| {
            // Bounded far below: no Packages file comes near 4 GiB.
            out.extend_from_slice(&u32::try_from(n).unwrap_or(u32::MAX).to_le_bytes());
        };
        for count in [self.packages.len(), self.provided.len(), self.base.len()] {
            put(count);
        }
        for slot in order.iter().map(|n| &self.packages[*n]) {
            [slot.offset, slot.length, slot.name_length].into_iter().for_each(&mut put);
        }
        for (offset, length, n) in &self.provided {
            [*offset, *length, place[*n]].into_iter().for_each(&mut put);
        }
        for n in &self.base {
            put(place[*n]);
        }
        out.extend_from_slice(self.text.as_bytes());
        out
    }
}
