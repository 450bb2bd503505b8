//! A drill while it runs.

use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;

use super::sandbox::Outcome;

/// A drill may take so long to say or do what it is waited for.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Whole drills run one at a time: two labs at once disturb each other's timing on a small machine.
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    // A test that failed has not spoiled anything for the next one.
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Asks until `done` answers, and fails when it does not.
#[track_caller]
pub(crate) fn until<T>(what: &str, patience: Duration, mut done: impl FnMut() -> Option<T>) -> T {
    let give_up = Instant::now() + patience;
    loop {
        if let Some(answer) = done() {
            return answer;
        }
        assert!(Instant::now() < give_up, "{what}: not within {patience:?}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// A running drill, in a process group of its own as a shell would start it. Killed when dropped.
#[derive(Debug)]
pub(crate) struct Drill {
    child: Child,
    said: Arc<Mutex<String>>,
    stdout: JoinHandle<String>,
    stderr: JoinHandle<()>,
}

impl Drill {
    pub(crate) fn start(mut command: Command) -> Self {
        let command =
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0).spawn();
        let mut child = command.unwrap();
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
                let mut heard = heard.lock().unwrap();
                heard.push_str(&line.unwrap());
                heard.push('\n');
            }
        });
        Self { child, said, stdout, stderr }
    }

    /// What it said on standard error so far.
    pub(crate) fn said(&self) -> String {
        self.said.lock().unwrap().clone()
    }

    /// Waits until it says `words` on standard error.
    #[track_caller]
    pub(crate) fn says(&mut self, words: &str) -> &mut Self {
        until(&format!("{words:?} in {:?}", self.said()), PATIENCE, || {
            let ended = self.child.try_wait().unwrap();
            if self.said().contains(words) {
                return Some(());
            }
            assert!(ended.is_none(), "it ended ({ended:?}) before {words:?}: {}", self.said());
            None
        });
        self
    }

    /// The id of the run, which it says first.
    #[track_caller]
    pub(crate) fn run_id(&mut self) -> String {
        self.says("  run ");
        run_id_in(&self.said())
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().try_into().unwrap())
    }

    pub(crate) fn signal(&mut self, signal: Signal) -> &mut Self {
        kill(self.pid(), signal).unwrap();
        self
    }

    /// What a terminal does on Ctrl-C: the signal goes to everybody of the process group.
    pub(crate) fn signal_group(&mut self, signal: Signal) -> &mut Self {
        killpg(self.pid(), signal).unwrap();
        self
    }

    /// Waits until it ends.
    #[track_caller]
    pub(crate) fn end(mut self) -> Outcome {
        let status = until("the end", PATIENCE, || self.child.try_wait().unwrap());
        self.stderr.join().unwrap();
        let stderr = self.said.lock().unwrap().clone();
        Outcome { code: status.code(), stdout: self.stdout.join().unwrap(), stderr }
    }
}

/// The id of the run in the first line on standard error.
pub(crate) fn run_id_in(stderr: &str) -> String {
    let words = stderr.lines().find(|line| line.starts_with("drdrill ")).unwrap();
    words.split_whitespace().nth(3).unwrap().to_owned()
}
