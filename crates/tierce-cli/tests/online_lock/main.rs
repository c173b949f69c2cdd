//! Locks: what is locked is built again, elsewhere, by others, and after indexes and archives have
//! moved on. uv comes from PyPI, and the packages of a Debian base from Debian's archive.

#[path = "../support/mod.rs"]
mod support;

mod archive;
mod debian;
mod python;
