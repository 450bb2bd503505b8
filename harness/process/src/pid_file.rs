//! Files in which daemons write their numbers. Such a file is a claim, and is believed only as far as it can be checked.

use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use drdrill_core::environment::ProcessIdentity;
use rustix::process::geteuid;

use crate::of_process;

/// More than this is no number of a process.
const LONGEST: u64 = 64;
/// The boot time that the kernel tells is rounded to seconds, and clocks of file systems are a few milliseconds behind.
const SLACK: Duration = Duration::from_secs(2);
/// The root user.
const ROOT: u32 = 0;

/// A pid file names no process that it could have been written for.
#[derive(Debug, thiserror::Error)]
pub enum PidFileError {
    /// It is not there: a daemon that is not running has none.
    #[error("{path} is not there")]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// It cannot be read, or is none.
    #[error("{path} cannot be read as a pid file: {why}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// No process has that number.
    #[error("{path} is stale: it names process {pid}, which does not run")]
    Stale {
        /// The file.
        path: PathBuf,
        /// The number in it.
        pid: i32,
    },
    /// The number was given to somebody else.
    #[error(
        "{path} is stale: it was written before process {pid}, which it names, was started, so that another process \
         was meant"
    )]
    Reused {
        /// The file.
        path: PathBuf,
        /// The number in it.
        pid: i32,
    },
    /// Somebody could write anybody's number there.
    #[error(
        "{path} belongs to user {owner} or can be written by everybody: it could name any process, and is believed \
         only where it belongs to root, to this user or to the user of the process it names"
    )]
    Untrusted {
        /// The file.
        path: PathBuf,
        /// Number of its owner.
        owner: u32,
    },
}

/// The running process that a pid file names, called `node`.
///
/// # Errors
/// When it names none, or one that it cannot have been written for: one started after the file was written, or one of
/// another user than the file's.
pub fn of_pid_file(node: &str, path: &Path) -> Result<ProcessIdentity, PidFileError> {
    let (pid, facts) = read(path)?;
    let path = path.to_owned();
    let Some(process) = of_process(node, pid) else {
        return Err(PidFileError::Stale { path, pid });
    };
    let of_process = fs::metadata(format!("/proc/{pid}")).map(|facts| facts.uid());
    let owner = facts.uid();
    let trusted = owner == ROOT || owner == geteuid().as_raw() || of_process.ok() == Some(owner);
    if !trusted || facts.mode() & 0o002 != 0 {
        return Err(PidFileError::Untrusted { path, owner });
    }
    let unreadable =
        |error: io::Error| PidFileError::Unreadable { path: path.clone(), why: error.to_string() };
    let written = facts.modified().map_err(unreadable)?;
    if started(&process).map_err(unreadable)? > written + SLACK {
        return Err(PidFileError::Reused { path, pid });
    }
    Ok(process)
}

/// The number in a file, and the facts of that file.
fn read(path: &Path) -> Result<(i32, Metadata), PidFileError> {
    let unreadable = |why: String| PidFileError::Unreadable { path: path.to_owned(), why };
    // A pipe in its place must not keep us waiting, and a link could lead anywhere.
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    let flags = i32::try_from(flags.bits()).unwrap_or_default();
    let file = match File::options().read(true).custom_flags(flags).open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(PidFileError::Missing { path: path.to_owned() });
        }
        other => other.map_err(|error| unreadable(error.to_string()))?,
    };
    let facts = file.metadata().map_err(|error| unreadable(error.to_string()))?;
    if !facts.is_file() {
        return Err(unreadable("it is no regular file".to_owned()));
    }
    let mut text = String::new();
    file.take(LONGEST).read_to_string(&mut text).map_err(|error| unreadable(error.to_string()))?;
    // The first line; some daemons write more below it.
    let number = text.lines().next().unwrap_or_default().trim();
    match number.parse() {
        Ok(pid) if pid > 0 => Ok((pid, facts)),
        _ => Err(unreadable("its first line is no number of a process".to_owned())),
    }
}

/// When a process was started, by the wall clock as it goes now.
fn started(process: &ProcessIdentity) -> io::Result<SystemTime> {
    let stat = fs::read_to_string("/proc/stat")?;
    let boot = stat.lines().find_map(|line| line.strip_prefix("btime "));
    let boot: u64 = boot
        .and_then(|seconds| seconds.trim().parse().ok())
        .ok_or_else(|| io::Error::other("/proc/stat has no boot time"))?;
    let ticks = rustix::param::clock_ticks_per_second().max(1);
    Ok(UNIX_EPOCH + Duration::from_secs(boot) + Duration::from_secs(process.start_time / ticks))
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command};

    use super::*;

    struct Sleeper(Child);

    impl Sleeper {
        fn start() -> Self {
            Self(Command::new("sleep").arg("60").spawn().unwrap())
        }
    }

    impl Drop for Sleeper {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    fn write(text: &str) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pid");
        fs::write(&path, text).unwrap();
        (dir, path)
    }

    #[test]
    fn the_process_that_wrote_its_number_is_found() {
        let sleeper = Sleeper::start();
        let (_dir, path) = write(&format!("{}\nmore\n", sleeper.0.id()));
        let found = of_pid_file("db", &path).unwrap();
        assert_eq!((found.node.as_str(), found.pid), ("db", sleeper.0.id().try_into().unwrap()));
    }

    #[test]
    fn a_number_that_somebody_else_has_now_names_nobody() {
        let sleeper = Sleeper::start();
        let (_dir, path) = write(&sleeper.0.id().to_string());
        let old = SystemTime::now() - Duration::from_mins(1);
        File::options().write(true).open(&path).unwrap().set_modified(old).unwrap();
        let error = of_pid_file("db", &path).unwrap_err();
        assert!(matches!(error, PidFileError::Reused { .. }), "{error}");
    }

    #[test]
    fn what_names_nobody_is_said() {
        let ended = {
            let sleeper = Sleeper::start();
            sleeper.0.id()
        };
        let cases = [
            (ended.to_string(), "which does not run"),
            (String::new(), "no number"),
            ("-1".to_owned(), "no number"),
            ("0".to_owned(), "no number"),
            ("12 13".to_owned(), "no number"),
            ("99999999999".to_owned(), "no number"),
        ];
        for (text, expected) in cases {
            let (_dir, path) = write(&text);
            let error = of_pid_file("db", &path).unwrap_err().to_string();
            assert!(error.contains(expected), "{text:?}: {error}");
        }
        let (dir, path) = write("1");
        let missing = of_pid_file("db", &dir.path().join("none")).unwrap_err();
        assert!(matches!(missing, PidFileError::Missing { .. }), "{missing}");
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert!(matches!(of_pid_file("db", &link), Err(PidFileError::Unreadable { .. })));
        let pipe = dir.path().join("pipe");
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        assert!(matches!(of_pid_file("db", &pipe), Err(PidFileError::Unreadable { .. })));
    }

    #[test]
    fn a_file_that_anybody_can_write_names_nobody() {
        use std::os::unix::fs::PermissionsExt;
        let sleeper = Sleeper::start();
        let (_dir, path) = write(&sleeper.0.id().to_string());
        fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
        let error = of_pid_file("db", &path).unwrap_err();
        assert!(matches!(error, PidFileError::Untrusted { .. }), "{error}");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        of_pid_file("db", &path).unwrap();
        // Where this user may give files away, one of a stranger's is not believed about our process.
        if std::os::unix::fs::chown(&path, Some(65534), None).is_ok() {
            let error = of_pid_file("db", &path).unwrap_err();
            assert!(matches!(error, PidFileError::Untrusted { .. }), "{error}");
        }
    }
}
