//! Servers of a test's own, on loopback, for as long as the test wants them.

use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

/// A server may take so long to do what is waited for, on a busy machine too.
const PATIENCE: Duration = Duration::from_secs(30);

/// A server in a directory of its own. Killed when dropped.
pub(crate) struct Server {
    process: Child,
    port: String,
    _dir: TempDir,
}

impl Server {
    /// Starts a program with the words that are made of a port.
    pub(crate) fn of(program: &str, words: impl Fn(&str) -> Vec<String>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        // A port that is free now; whoever takes it first is noticed by the server that does not start.
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port().to_string();
        drop(listener);
        let process = Command::new(program)
            .args(words(&port))
            .current_dir(dir.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self { process, port, _dir: dir }
    }

    pub(crate) fn until_it_answers(&self) {
        until("the server answers", || TcpStream::connect(self.address()).is_ok());
    }

    pub(crate) fn port(&self) -> &str {
        &self.port
    }

    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.process.id().try_into().unwrap()), signal).unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Asks until it is so, and fails when it is not so in time.
#[track_caller]
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let give_up = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < give_up, "{what}: not within {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
