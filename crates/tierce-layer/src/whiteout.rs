//! Whiteouts: how a layer says that something below it is gone (image specification,
//! "Representing Changes").

use crate::{LayerPath, PathError};

/// Names with this prefix are reserved in layers.
pub(crate) const PREFIX: &[u8] = b".wh.";
const OPAQUE: &[u8] = b".wh..wh..opq";

/// The removal of something that lower layers hold.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Whiteout {
    /// This path is gone.
    Of(LayerPath),
    /// Everything that lower layers hold in this directory is gone; the directory stays.
    Opaque(LayerPath),
}

/// Why a path with a reserved name is no whiteout.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WhiteoutError {
    /// `.wh.`, `.wh..` or `.wh...`: it would remove the directory it stands in, or one above.
    #[error("whiteout {0} names nothing that can be removed")]
    NoName(LayerPath),
    /// A name that begins with `.wh..wh.`, which are reserved and not `.wh..wh..opq`, or a
    /// directory with a reserved name.
    #[error("path {0} uses a name that is reserved for whiteouts")]
    Reserved(LayerPath),
    /// The root directory can't be removed.
    #[error("the root directory can't be removed by a whiteout")]
    Root,
}

impl Whiteout {
    /// The path of the marker file that stands for this whiteout.
    pub fn marker(&self) -> Result<LayerPath, WhiteoutError> {
        let marker = match self {
            Whiteout::Opaque(directory) => return Ok(join(directory, OPAQUE.to_vec())),
            Whiteout::Of(path) => {
                let name = path.file_name().ok_or(WhiteoutError::Root)?;
                let directory = path.parent().unwrap_or_default();
                join(&directory, [PREFIX, name].concat())
            }
        };
        // A whiteout of something that itself has a reserved name could be read as another one.
        match marker.whiteout()? {
            Some(read) if read == *self => Ok(marker),
            _ => Err(WhiteoutError::Reserved(marker)),
        }
    }

    /// The path that is removed or emptied.
    pub fn path(&self) -> &LayerPath {
        match self {
            Whiteout::Of(path) | Whiteout::Opaque(path) => path,
        }
    }
}

impl LayerPath {
    /// The whiteout that a file at this path stands for; `None` if it is an ordinary path.
    pub fn whiteout(&self) -> Result<Option<Whiteout>, WhiteoutError> {
        if !self.has_reserved_name() {
            return Ok(None);
        }
        let directory = self.parent().unwrap_or_default();
        let name = self.file_name().unwrap_or_default();
        if directory.has_reserved_name() {
            return Err(WhiteoutError::Reserved(self.clone()));
        }
        if name == OPAQUE {
            return Ok(Some(Whiteout::Opaque(directory)));
        }
        match &name[PREFIX.len()..] {
            b"" | b"." | b".." => Err(WhiteoutError::NoName(self.clone())),
            rest if rest.starts_with(PREFIX) => Err(WhiteoutError::Reserved(self.clone())),
            rest => Ok(Some(Whiteout::Of(join(&directory, rest.to_vec())))),
        }
    }

    /// Whether any component begins with `.wh.`.
    pub(crate) fn has_reserved_name(&self) -> bool {
        self.components().any(|c| c.starts_with(PREFIX))
    }
}

/// Joins one component that is known to be a name.
fn join(directory: &LayerPath, name: Vec<u8>) -> LayerPath {
    let joined: Result<_, PathError> = directory.join(name);
    joined.expect("a component of a valid path is a valid path")
}
