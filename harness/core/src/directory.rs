//! Directories whose file system drdrill may fill.

use std::path::PathBuf;

/// A directory whose file system drdrill may fill.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Directory {
    /// Its name in the inventory.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
    /// Filling it may take no more than so many bytes.
    pub at_most: u64,
    /// Places whose file systems must not be filled: drdrill writes its evidence there, or everybody needs them.
    pub spared: Vec<PathBuf>,
}
