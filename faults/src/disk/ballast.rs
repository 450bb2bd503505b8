//! The space that is taken: real blocks of a file without a name.
//!
//! No name means that the kernel frees the space when this process ends, however it ends, and that nobody ever has to
//! remove a file and could remove the wrong one.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use nix::errno::Errno;
use nix::fcntl::{FallocateFlags, fallocate};

use super::place::Place;

/// Space is taken down to pieces of this many bytes, a block of most file systems.
pub(super) const SMALLEST: u64 = 4096;

/// Ballast that is held, by the tag of its fault. One table for the process: it ends with it.
static HELD: Mutex<BTreeMap<String, File>> = Mutex::new(BTreeMap::new());

fn held() -> MutexGuard<'static, BTreeMap<String, File>> {
    HELD.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes space until so much is `left`, and never more than `at_most`; returns how much was taken, all in bytes.
///
/// # Errors
/// When space cannot be taken for another reason than that there is none.
pub fn take(tag: &str, place: &Place, left: u64, at_most: u64) -> io::Result<u64> {
    let file = place.nameless()?;
    let mut taken = 0;
    let mut piece = u64::MAX;
    loop {
        // Others write and remove meanwhile, so that it is looked at anew each time.
        let wanted = place.space()?.free.saturating_sub(left);
        piece = piece.min(wanted.max(if left == 0 { SMALLEST } else { 0 })).min(at_most - taken);
        if piece < SMALLEST {
            break;
        }
        match fallocate(&file, FallocateFlags::empty(), signed(taken)?, signed(piece)?) {
            Ok(()) => taken += piece,
            // The file system needs some of it to remember the rest.
            Err(Errno::ENOSPC) if piece > SMALLEST => piece = (piece / 2).max(SMALLEST),
            Err(Errno::ENOSPC) => break,
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    held().insert(tag.to_owned(), file);
    Ok(taken)
}

/// A position in a file, as the kernel has it.
fn signed(bytes: u64) -> io::Result<i64> {
    i64::try_from(bytes).map_err(io::Error::other)
}

/// Gives the space of a fault back; without one nothing is done.
pub fn release(tag: &str) {
    held().remove(tag);
}

/// Whether this process holds the ballast of a fault.
#[must_use]
pub fn holds(tag: &str) -> bool {
    held().contains_key(tag)
}
