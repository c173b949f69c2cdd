//! The tag that a spec asks for.

use tierce_spec::KEY_PLACEHOLDER;

/// How a tag is made of a hash: flytekit's `tag_format`, in which `{spec_hash}` stands for the
/// hash and doubled braces for single ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagFormat(Vec<Piece>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Hash,
}

/// Why a text is not a tag format.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TagFormatError {
    /// A brace that nothing closes, or that closes nothing.
    #[error("{0:?} has a brace without its other half")]
    Unbalanced(String),
    /// Something else than the hash in braces.
    #[error("\"{{{name}}}\" is not known in {format:?}: expected {{spec_hash}}")]
    Unknown {
        /// The format.
        format: String,
        /// What is in the braces.
        name: String,
    },
}

impl TagFormat {
    /// Reads a format.
    pub fn parse(format: &str) -> Result<Self, TagFormatError> {
        let unbalanced = || TagFormatError::Unbalanced(format.to_owned());
        let mut pieces = vec![];
        let mut text = String::new();
        let mut rest = format;
        while let Some(at) = rest.find(['{', '}']) {
            let (before, brace) = rest.split_at(at);
            text.push_str(before);
            if let Some(after) = ["{{", "}}"].iter().find_map(|b| brace.strip_prefix(b)) {
                text.push_str(&brace[..1]);
                rest = after;
                continue;
            }
            let inside = brace.strip_prefix('{').ok_or_else(unbalanced)?;
            let (name, after) = inside.split_once('}').ok_or_else(unbalanced)?;
            if name != "spec_hash" {
                let (format, name) = (format.to_owned(), name.to_owned());
                return Err(TagFormatError::Unknown { format, name });
            }
            pieces.push(Piece::Text(std::mem::take(&mut text)));
            pieces.push(Piece::Hash);
            rest = after;
        }
        text.push_str(rest);
        pieces.push(Piece::Text(text));
        pieces.retain(|piece| *piece != Piece::Text(String::new()));
        Ok(TagFormat(pieces))
    }

    /// The format, or that of specs that have none: the hash alone.
    pub(crate) fn parse_or_hash(format: Option<&str>) -> Result<Self, TagFormatError> {
        format.map_or(Ok(TagFormat(vec![Piece::Hash])), TagFormat::parse)
    }

    /// The tag for this hash.
    pub fn apply(&self, hash: &str) -> String {
        let piece = |piece: &Piece| match piece {
            Piece::Text(text) => text.clone(),
            Piece::Hash => hash.to_owned(),
        };
        self.0.iter().map(piece).collect()
    }

    /// The tag as an [`Image`](tierce_spec::Image) has it; `None` where that is the key's own.
    pub(crate) fn for_image(&self) -> Option<String> {
        (self.0 != [Piece::Hash]).then(|| self.apply(KEY_PLACEHOLDER))
    }
}
