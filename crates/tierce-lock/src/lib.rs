//! `tierce.lock`: what images were resolved to, for people to review and for builds to repeat.
//! Does no I/O and knows no builder.
//!
//! [`LockFile::parse`] and [`LockFile::text`] read and write the file, [`diff()`] says what changed
//! between two, and a [`Ledger`] is what a build takes pinned things from and writes what it
//! finds into.

mod diff;
mod error;
mod ledger;
mod model;
mod parse;
mod sound;
mod text;

pub use diff::{Change, ChangeKind, declaration_changes, diff, listing};
pub use error::{LockFileError, StaleLock};
pub use ledger::{Ledger, Update};
pub use model::{
    FORMAT_VERSION, InterpreterProvider, LockFile, LockedApt, LockedBase, LockedConda,
    LockedCondaPackage, LockedDeb, LockedFile, LockedImage, LockedInterpreter, LockedMirrors,
    LockedPackage, LockedPlatform, LockedPython, LockedSource, Place, Toolchain,
};
