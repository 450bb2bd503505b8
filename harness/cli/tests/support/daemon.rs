//! A daemon of a system that is already there: it listens, writes its pid file, and is nobody's child.

use std::fs;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use super::wait::until;

/// A daemon that was started is there after this time, on a busy machine too.
const PATIENCE: Duration = Duration::from_secs(20);

/// A program that listens: a copy of drdrill, because drdrill itself is no target. Made again when drdrill was.
static PROGRAM: LazyLock<PathBuf> = LazyLock::new(|| {
    let (drdrill, place) = (env!("CARGO_BIN_EXE_drdrill"), env!("CARGO_TARGET_TMPDIR"));
    let path = Path::new(place).join("daemon");
    let made = |path: &Path| fs::metadata(path).and_then(|facts| facts.modified()).ok();
    if made(&path) < made(Path::new(drdrill)) {
        // Other tests may be doing the same.
        let new = tempfile::NamedTempFile::new_in(place).unwrap().into_temp_path();
        fs::copy(drdrill, &new).unwrap();
        new.persist(&path).unwrap();
    }
    path
});

/// A daemon. Killed when dropped, however often it was started.
#[derive(Debug)]
pub(crate) struct Daemon {
    dir: TempDir,
    pub(crate) address: String,
}

impl Daemon {
    /// Runs, and listens on `address`.
    pub(crate) fn start(address: &str) -> Self {
        Self::start_with(address, "")
    }

    /// As [`Self::start`]; `first` is what its start script does first.
    pub(crate) fn start_with(address: &str, first: &str) -> Self {
        let daemon = Self { dir: tempfile::tempdir().unwrap(), address: address.to_owned() };
        let (pid_file, program) = (daemon.pid_file(), PROGRAM.display());
        let script = format!(
            "#!/bin/sh\n{first}\necho $$ >> {}\necho $$ > {}\nexec {program} toxiproxy --listen {address}\n",
            daemon.log().display(),
            pid_file.display()
        );
        fs::write(daemon.script(), script).unwrap();
        fs::set_permissions(daemon.script(), fs::Permissions::from_mode(0o755)).unwrap();
        daemon.start_again();
        daemon
    }

    /// Starts it, as somebody else would.
    pub(crate) fn start_again(&self) {
        let mut command = Command::new("setsid");
        command.arg("-f").arg(self.script());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        assert!(command.status().unwrap().success());
        until("the daemon listens", PATIENCE, || self.listens().then_some(()));
    }

    pub(crate) fn script(&self) -> PathBuf {
        self.dir.path().join("start")
    }

    pub(crate) fn pid_file(&self) -> PathBuf {
        self.dir.path().join("pid")
    }

    fn log(&self) -> PathBuf {
        self.dir.path().join("starts")
    }

    /// How often it was started, by whomever. A second one that finds the address taken ends at once, and would not be
    /// seen otherwise.
    pub(crate) fn starts(&self) -> usize {
        fs::read_to_string(self.log()).unwrap().lines().count()
    }

    pub(crate) fn listens(&self) -> bool {
        TcpStream::connect(&self.address).is_ok()
    }

    /// The processes that are this daemon.
    pub(crate) fn pids(&self) -> Vec<i32> {
        let all = fs::read_dir("/proc").unwrap();
        let pids = all.filter_map(|entry| entry.ok()?.file_name().to_string_lossy().parse().ok());
        pids.filter(|pid: &i32| {
            let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let mut words = line.split(|&byte| byte == 0);
            words.next() == Some(PROGRAM.as_os_str().as_encoded_bytes())
                && words.any(|word| word == self.address.as_bytes())
        })
        .collect()
    }

    /// The one process that is this daemon.
    #[track_caller]
    pub(crate) fn pid(&self) -> i32 {
        let pids = self.pids();
        assert_eq!(pids.len(), 1, "{pids:?}");
        pids[0]
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        for pid in self.pids() {
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }
}
