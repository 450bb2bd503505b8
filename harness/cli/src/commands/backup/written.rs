//! Which directories were written to before: where one is missing then, its disk is not mounted, and nothing may be made in
//! its place.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

fn file(state: &Path, plan: &str) -> PathBuf {
    // No name of a plan has a dot, and each has a directory beside this.
    state.join(format!("{plan}.written.json"))
}

/// The directories that points of a plan were written to from this state directory.
pub(super) fn read(state: &Path, plan: &str) -> Result<BTreeSet<PathBuf>, String> {
    let path = file(state, plan);
    let read = match fs::read(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(BTreeSet::new()),
        Err(error) => Err(error),
        Ok(text) => serde_json::from_slice(&text).map_err(io::Error::other),
    };
    read.map_err(|error| format!("{}: {error}", path.display()))
}

/// Adds some.
pub(super) fn add(state: &Path, plan: &str, more: BTreeSet<PathBuf>) -> Result<(), String> {
    let before = read(state, plan)?;
    if more.is_subset(&before) {
        return Ok(());
    }
    let all: BTreeSet<PathBuf> = before.into_iter().chain(more).collect();
    let path = file(state, plan);
    let next = path.with_extension("next");
    let write = || {
        let mut to = File::create(&next)?;
        to.write_all(&serde_json::to_vec(&all)?)?;
        to.sync_all()?;
        fs::rename(&next, &path)
    };
    write().map_err(|error| format!("{}: {error}", path.display()))
}
