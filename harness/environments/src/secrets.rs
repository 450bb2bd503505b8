//! Secrets of environment files, fetched from where the file says they are.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use drdrill_core::action::ActionError;
use drdrill_core::inventory::{HeaderSource, Headers, SecretSource};
use drdrill_core::probe::HeaderValue;
use drdrill_core::secret::Secret;

/// Largest file that is taken for a secret, in bytes.
const LARGEST: u64 = 16 * 1024;

/// Headers with their secrets fetched.
///
/// # Errors
/// When a secret is not there, or others can read its file.
pub fn headers(headers: &Headers) -> Result<Vec<(String, HeaderValue)>, ActionError> {
    let one = |(name, source): (&String, &HeaderSource)| {
        let value = match source {
            HeaderSource::Plain(text) => HeaderValue::Plain(text.clone()),
            HeaderSource::Secret(source) => HeaderValue::Secret(fetch(source).map_err(|why| {
                ActionError::new(format!("fetch the header {name}"), source.to_string(), why)
            })?),
        };
        Ok((name.clone(), value))
    };
    headers.0.iter().map(one).collect()
}

/// A secret from where it is.
///
/// # Errors
/// When it is not there, or others can read its file; the reason, without the place.
pub fn fetch(source: &SecretSource) -> Result<Secret, String> {
    let value = match source {
        SecretSource::Env(name) => std::env::var(name).map_err(|error| error.to_string())?,
        SecretSource::File(path) => from_file(path)?,
    };
    let value = value.trim_end_matches(['\r', '\n']);
    if value.chars().any(char::is_control) {
        return Err("it is more than one line".to_owned());
    }
    Secret::new(value.to_owned()).map_err(|error| error.to_string())
}

fn from_file(path: &Path) -> Result<String, String> {
    let text = |error: io::Error| error.to_string();
    // Not to wait for whoever might write to a pipe of that name.
    let nonblocking = nix::fcntl::OFlag::O_NONBLOCK.bits();
    let mut file = File::options().read(true).custom_flags(nonblocking).open(path).map_err(text)?;
    // Of the file that was opened, which is the one that is read.
    let facts = file.metadata().map_err(text)?;
    if !facts.is_file() {
        return Err("it is not a regular file".to_owned());
    }
    let me = nix::unistd::geteuid().as_raw();
    if facts.uid() != me && facts.uid() != 0 {
        return Err(format!("it belongs to another user (uid {})", facts.uid()));
    }
    if facts.mode() & 0o077 != 0 {
        let mode = facts.mode() & 0o777;
        return Err(format!("others can use it (mode {mode:03o}); run chmod 600 on it"));
    }
    if facts.len() > LARGEST {
        return Err(format!("it is larger than {LARGEST} bytes"));
    }
    let mut value = String::new();
    file.by_ref().take(LARGEST).read_to_string(&mut value).map_err(text)?;
    Ok(value)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn written(text: &str, mode: u32) -> (tempfile::TempDir, SecretSource) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        (dir, SecretSource::File(path))
    }

    #[test]
    fn a_file_of_ones_own_is_a_secret() {
        for mode in [0o600, 0o400] {
            let (_dir, source) = written("from-a-file-1\n", mode);
            assert_eq!(fetch(&source).unwrap().expose(), "from-a-file-1");
        }
    }

    #[test]
    fn a_file_that_others_can_use_is_none() {
        for mode in [0o640, 0o604, 0o666, 0o620, 0o601] {
            let (_dir, source) = written("from-a-file-2\n", mode);
            assert!(fetch(&source).unwrap_err().contains("chmod 600"), "{mode:o}");
        }
    }

    #[test]
    fn what_can_be_no_secret_is_said_without_saying_it() {
        let short = written("short", 0o600);
        let lines = written("two-lines-are-1\ntwo-lines-are-2\n", 0o600);
        let large = written(&"x".repeat(20_000), 0o600);
        for ((_dir, source), why) in
            [(short, "it needs 8"), (lines, "more than one line"), (large, "larger than")]
        {
            let said = fetch(&source).unwrap_err();
            assert!(said.contains(why), "{said}");
            assert!(!said.contains("two-lines") && !said.contains("short "), "{said}");
        }
        let dir = tempfile::tempdir().unwrap();
        let said = fetch(&SecretSource::File(dir.path().to_owned())).unwrap_err();
        assert!(said.contains("not a regular file"), "{said}");
        let said = fetch(&SecretSource::Env("DRDRILL_NO_SUCH_VARIABLE".to_owned())).unwrap_err();
        assert!(said.contains("not found"), "{said}");
    }
}
