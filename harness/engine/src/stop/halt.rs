//! The lever of `drdrill halt`: a file in the state directory. While it is there, running drills end and new ones are
//! refused.
//!
//! A file, because it needs neither the drill's help nor a listener, and is still there after a reboot. That it exists
//! is what counts; what stands in it is for people only. So a file that cannot be read halts as well.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::{fmt, process};

use serde::{Deserialize, Serialize};

use crate::state::StateDir;

/// Directory of the levers, in the state directory.
const DIRECTORY: &str = "halts";
/// The lever of every environment. It has no ending, so that it is no environment's.
const EVERY: &str = "every_environment";
/// Ending of the lever of one environment.
const ONE: &str = ".halt";
/// So much of a lever is read; what drdrill writes is far shorter.
const LONGEST_NOTE_BYTES: u64 = 4096;

/// A lever that is pulled.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Halt {
    /// The environment; `None` for all of them.
    pub environment: Option<String>,
    /// Who and when, where that could be written and read.
    #[serde(flatten)]
    pub note: Option<Note>,
}

/// Who pulled a lever.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Note {
    /// The person, the host and the process.
    pub by: String,
    /// Wall clock, for people.
    pub since: String,
}

impl fmt::Display for Halt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.note {
            Some(note) => write!(f, "halted by drdrill halt ({}, {})", note.by, note.since),
            None => f.write_str("halted by drdrill halt (by whom and when cannot be read)"),
        }
    }
}

/// The levers that concern one environment.
#[derive(Clone, Debug)]
pub struct Levers {
    every: PathBuf,
    one: PathBuf,
    environment: String,
}

impl Levers {
    /// The levers of `environment`; nothing is touched.
    #[must_use]
    pub fn of(state: &StateDir, environment: &str) -> Self {
        Self {
            every: path(state, None),
            one: path(state, Some(environment)),
            environment: environment.to_owned(),
        }
    }

    /// Whether the environment is halted.
    ///
    /// # Errors
    /// When that cannot be told. Who asks must then do as if it were.
    pub fn look(&self) -> io::Result<Option<Halt>> {
        if is_there(&self.every)? {
            return Ok(Some(Halt { environment: None, note: note(&self.every) }));
        }
        if is_there(&self.one)? {
            let environment = Some(self.environment.clone());
            return Ok(Some(Halt { environment, note: note(&self.one) }));
        }
        Ok(None)
    }
}

/// All levers that are pulled, the one for every environment first.
///
/// # Errors
/// When the directory cannot be read; a missing one has none.
pub fn all(state: &StateDir) -> io::Result<Vec<Halt>> {
    let directory = state.root().join(DIRECTORY);
    let entries = match fs::read_dir(&directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other?,
    };
    let mut halts = Vec::new();
    for entry in entries {
        let Ok(name) = entry?.file_name().into_string() else { continue };
        let environment = match name.strip_suffix(ONE) {
            Some(environment) => Some(environment.to_owned()),
            None if name == EVERY => None,
            None => continue,
        };
        halts.push(Halt { environment, note: note(&directory.join(&name)) });
    }
    halts.sort_by(|a, b| a.environment.cmp(&b.environment));
    Ok(halts)
}

/// Pulls the lever of one environment, or of every one. It is durable when this returns.
///
/// The error in the answer is that of the note: a full disk may have room for the lever and none for what stands in it.
///
/// # Errors
/// When the lever could not be put in place: nothing is halted then.
pub fn pull(
    state: &StateDir,
    environment: Option<&str>,
    note: &Note,
) -> io::Result<io::Result<()>> {
    let directory = state.root().join(DIRECTORY);
    DirBuilder::new().recursive(true).mode(0o700).create(&directory)?;
    let half = directory.join(format!(".half-{}", process::id()));
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&half)?;
    let noted = serde_json::to_vec(note)
        .map_err(io::Error::from)
        .and_then(|bytes| file.write_all(&bytes))
        .and_then(|()| file.sync_all());
    let in_place = fs::rename(&half, path(state, environment))
        .and_then(|()| File::open(&directory)?.sync_all());
    if let Err(error) = in_place {
        // Half a lever halts nothing.
        let _ = fs::remove_file(&half);
        return Err(error);
    }
    Ok(noted)
}

/// Puts a lever back; whether it was pulled.
///
/// # Errors
/// When it could not be put back: what it halted stays halted.
pub fn release(state: &StateDir, environment: Option<&str>) -> io::Result<bool> {
    match fs::remove_file(path(state, environment)) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

fn path(state: &StateDir, environment: Option<&str>) -> PathBuf {
    let name = environment.map_or_else(|| EVERY.to_owned(), |one| format!("{one}{ONE}"));
    state.root().join(DIRECTORY).join(name)
}

/// Looks at the name alone: a dangling link in its place is a lever too.
fn is_there(path: &Path) -> io::Result<bool> {
    match fs::symlink_metadata(path) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// What stands in a lever. Never waits, whatever lies in its place.
fn note(path: &Path) -> Option<Note> {
    let flags = nix::libc::O_NOFOLLOW | nix::libc::O_NONBLOCK;
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path).ok()?;
    let mut bytes = Vec::new();
    file.take(LONGEST_NOTE_BYTES).read_to_end(&mut bytes).ok()?;
    serde_json::from_slice(&bytes).ok()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn state() -> (tempfile::TempDir, StateDir) {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::at(dir.path().join("state"));
        (dir, state)
    }

    fn someone() -> Note {
        Note { by: "alice on box".into(), since: "2026-11-21 11:00:00 UTC".into() }
    }

    fn halted(state: &StateDir, environment: &str) -> Option<Halt> {
        Levers::of(state, environment).look().unwrap()
    }

    #[test]
    fn a_lever_halts_its_environment_and_no_other_until_it_is_released() {
        let (_dir, state) = state();
        assert_eq!(halted(&state, "lab"), None);
        pull(&state, Some("lab"), &someone()).unwrap().unwrap();
        let halt = halted(&state, "lab").unwrap();
        assert_eq!(halt, Halt { environment: Some("lab".into()), note: Some(someone()) });
        assert_eq!(
            halt.to_string(),
            "halted by drdrill halt (alice on box, 2026-11-21 11:00:00 UTC)"
        );
        assert_eq!(halted(&state, "shop"), None);
        assert!(!release(&state, None).unwrap());
        assert!(halted(&state, "lab").is_some());
        assert!(release(&state, Some("lab")).unwrap());
        assert_eq!(halted(&state, "lab"), None);
    }

    #[test]
    fn the_lever_of_every_environment_is_none_of_an_environment_of_that_name() {
        let (_dir, state) = state();
        pull(&state, Some(EVERY), &someone()).unwrap().unwrap();
        assert_eq!(halted(&state, "lab"), None);
        pull(&state, None, &someone()).unwrap().unwrap();
        assert_eq!(halted(&state, "lab").unwrap().environment, None);
        let names: Vec<_> = all(&state).unwrap().into_iter().map(|halt| halt.environment).collect();
        assert_eq!(names, [None, Some(EVERY.to_owned())]);
    }

    #[test]
    fn only_its_owner_can_read_or_write_a_lever() {
        let (_dir, state) = state();
        pull(&state, None, &someone()).unwrap().unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&path(&state, None)), 0o600);
        assert_eq!(mode(&state.root().join(DIRECTORY)), 0o700);
        assert_eq!(mode(state.root()), 0o700);
    }

    /// What lies in the place of a lever halts, whatever it is, and is read without waiting.
    #[test]
    fn whatever_lies_in_its_place_halts() {
        let (_dir, state) = state();
        let lever = path(&state, Some("lab"));
        fs::create_dir_all(lever.parent().unwrap()).unwrap();
        let nobody = Some(Halt { environment: Some("lab".into()), note: None });
        for note in [&b""[..], b"{", &[0xff; 10_000]] {
            fs::write(&lever, note).unwrap();
            assert_eq!(halted(&state, "lab"), nobody);
        }
        fs::remove_file(&lever).unwrap();
        std::os::unix::fs::symlink("/nowhere", &lever).unwrap();
        assert_eq!(halted(&state, "lab"), nobody);
        fs::remove_file(&lever).unwrap();
        nix::unistd::mkfifo(&lever, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert_eq!(halted(&state, "lab"), nobody);
        fs::remove_file(&lever).unwrap();
        fs::create_dir(&lever).unwrap();
        assert_eq!(halted(&state, "lab"), nobody);
    }

    #[test]
    fn what_cannot_be_told_is_an_error() {
        let (_dir, state) = state();
        fs::create_dir(state.root()).unwrap();
        fs::write(state.root().join(DIRECTORY), b"").unwrap();
        assert!(Levers::of(&state, "lab").look().is_err());
        assert!(pull(&state, None, &someone()).is_err());
    }
}
