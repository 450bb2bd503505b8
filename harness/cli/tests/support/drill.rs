//! A drill while it runs.

use std::fmt::Write;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::sandbox::Outcome;
use super::wait::until;

/// A drill may take so long to say or do what it is waited for, on a machine that is busy; nothing is asserted by it.
const PATIENCE: Duration = Duration::from_mins(5);

/// One that is interrupted has taken back what it did by then, also on a machine that is busy.
const TAKEN_BACK: Duration = Duration::from_mins(1);

/// A running drill, in a process group of its own as a shell would start it. Interrupted when dropped.
#[derive(Debug)]
pub(crate) struct Drill {
    child: Child,
    said: Arc<Mutex<String>>,
    readers: Option<(JoinHandle<String>, JoinHandle<()>)>,
}

impl Drill {
    pub(crate) fn start(mut command: Command) -> Self {
        let command = command.stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        let mut child = command.spawn().unwrap();
        let said = Arc::new(Mutex::new(String::new()));
        let mut out = child.stdout.take().unwrap();
        let stdout = thread::spawn(move || {
            let mut text = String::new();
            out.read_to_string(&mut text).unwrap();
            text
        });
        let err = BufReader::new(child.stderr.take().unwrap());
        let heard = said.clone();
        let stderr = thread::spawn(move || {
            for line in err.lines() {
                writeln!(heard.lock().unwrap(), "{}", line.unwrap()).unwrap();
            }
        });
        Self { child, said, readers: Some((stdout, stderr)) }
    }

    /// What it said on standard error so far.
    fn said(&self) -> String {
        self.said.lock().unwrap().clone()
    }

    /// Waits until it says `words` on standard error.
    #[track_caller]
    pub(crate) fn says(&mut self, words: &str) -> &mut Self {
        until(words, PATIENCE, || {
            let ended = self.child.try_wait().unwrap();
            if self.said().contains(words) {
                return Some(());
            }
            assert!(ended.is_none(), "{ended:?} before {words:?} was said: {}", self.said());
            None
        });
        self
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().try_into().unwrap())
    }

    /// Sends a signal, which one that has ended meanwhile does not mind.
    pub(crate) fn signal(&mut self, signal: Signal) -> &mut Self {
        let sent = kill(self.pid(), signal);
        assert!(matches!(sent, Ok(()) | Err(Errno::ESRCH)), "{sent:?}");
        self
    }

    /// Waits until it ends.
    #[track_caller]
    pub(crate) fn end(mut self) -> Outcome {
        let status = until("the end of the drill", PATIENCE, || self.child.try_wait().unwrap());
        let (stdout, stderr) = self.readers.take().unwrap();
        stderr.join().unwrap();
        let stdout = stdout.join().unwrap();
        Outcome { code: status.code(), stdout, stderr: self.said() }
    }
}

impl Drop for Drill {
    /// A test that failed leaves nothing behind either: the drill takes back what it did while its ledger is there.
    fn drop(&mut self) {
        let running = |child: &mut Child| matches!(child.try_wait(), Ok(None));
        let give_up = Instant::now() + TAKEN_BACK;
        if running(&mut self.child) {
            let _ = kill(self.pid(), Signal::SIGINT);
        }
        while running(&mut self.child) && Instant::now() < give_up {
            thread::sleep(Duration::from_millis(20));
        }
        // Does nothing when it has ended and was waited for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
