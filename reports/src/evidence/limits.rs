//! How large the texts may be that are kept while evidence is verified: a stranger may have made it. Beyond is an error, and
//! nothing less is read instead.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use super::bundle::SUMS;
use super::{ALLOWED_SIGNERS, MANIFEST};

const KIB: u64 = 1024;

/// All texts of a bundle together, in bytes.
pub(super) const ALL: u64 = 128 * KIB * KIB;

/// The longest text of a file of this name, in bytes.
fn most(name: &str) -> u64 {
    match name {
        // A line of some hundred bytes for each file: of all runs, and of one.
        SUMS => 64 * KIB * KIB,
        MANIFEST => 4 * KIB * KIB,
        ALLOWED_SIGNERS => KIB * KIB,
        // Signatures and heads.
        _ => 4 * KIB,
    }
}

/// The text of a file of this name; takes its length from what is `left` for all.
pub(super) fn read(name: &str, reader: &mut impl Read, left: &mut u64) -> io::Result<Vec<u8>> {
    let most = most(name).min(*left);
    let mut bytes = Vec::new();
    let read = reader.take(most + 1).read_to_end(&mut bytes)? as u64;
    *left = left.checked_sub(read).filter(|_| read <= most).ok_or_else(|| {
        io::Error::other(format!("{name} is longer than {most} bytes, which none of ours is"))
    })?;
    Ok(bytes)
}

/// The text of a file of a run directory, which must be a plain file: a link may lead to something without an end, and a pipe
/// may never give anything.
pub(super) fn read_plain(path: &Path) -> io::Result<Vec<u8>> {
    if !fs::symlink_metadata(path)?.is_file() {
        return Err(io::Error::other("it is no plain file"));
    }
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    read(name, &mut File::open(path)?, &mut { ALL })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_long_is_an_error_and_no_shorter_text() {
        let of = |name: &str, bytes: u64, left: u64| {
            let mut left = left;
            read(name, &mut io::repeat(b'x').take(bytes), &mut left).map(|text| (text.len(), left))
        };
        assert_eq!(of("HEAD", 4 * KIB, ALL).unwrap(), (4096, ALL - 4096));
        assert!(of("HEAD", 4 * KIB + 1, ALL).is_err());
        assert!(of(MANIFEST, 4 * KIB + 1, ALL).is_ok());
        // Each of them may be short, and all together are not.
        assert_eq!(of("HEAD", 10, 10).unwrap(), (10, 0));
        assert!(of("HEAD", 11, 10).is_err());
    }

    #[test]
    fn a_pipe_and_a_link_without_an_end_are_not_read() {
        let dir = tempfile::tempdir().unwrap();
        let (pipe, link) = (dir.path().join("pipe"), dir.path().join("link"));
        let made = std::process::Command::new("mkfifo").arg(&pipe).status().unwrap();
        assert!(made.success());
        std::os::unix::fs::symlink("/dev/zero", &link).unwrap();
        for path in [pipe, link] {
            assert!(read_plain(&path).unwrap_err().to_string().contains("no plain file"));
        }
    }
}
