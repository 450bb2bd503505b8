//! A small write, as a program of the system under drill would do it.

use std::io::{self, Write};

use super::place::Place;

/// Bytes of the write: more than any file system hides beside a file's facts, and one block of most.
const CANARY_BYTES: usize = 4096;

/// Writes a little, makes it durable, and lets it go; `false` when there was no room for it.
///
/// # Errors
/// When writing fails for another reason.
pub fn has_room(place: &Place) -> io::Result<bool> {
    // Not zeros, which some file systems do not store.
    let written = place.nameless().and_then(|mut file| {
        file.write_all(&[b'd'; CANARY_BYTES])?;
        file.sync_all()
    });
    match written {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::StorageFull => Ok(false),
        Err(error) => Err(error),
    }
}
