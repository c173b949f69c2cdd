//! Packages of channels that tests make, solved, fetched and written as layers.

mod common;
mod hostile;
mod install;
mod python;
mod repodata;
mod solve;
