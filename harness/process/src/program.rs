//! Programs that are started because a file names them.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::process::geteuid;

/// Refuses a program that somebody else owns or may write to: whoever can change it would have it run as this user.
///
/// # Errors
/// When it is none that may be started, with why.
pub fn check_program(program: &Path) -> io::Result<()> {
    let error = |why: &str| io::Error::other(format!("{}: {why}", program.display()));
    let facts = std::fs::metadata(program).map_err(|cause| error(&cause.to_string()))?;
    if !facts.is_file() || facts.mode() & 0o111 == 0 {
        return Err(error("is no program that can be started"));
    }
    let owner = facts.uid();
    if (owner != 0 && owner != geteuid().as_raw()) || facts.mode() & 0o022 != 0 {
        return Err(error(
            "belongs to somebody else, or others can write to it: it is not started",
        ));
    }
    Ok(())
}
