//! One program of the lab as a process.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::Value;

/// A running program; dropping it ends it.
pub(crate) struct Node {
    child: Child,
    lifeline: Option<ChildStdin>,
    ready: Value,
}

impl Node {
    /// Starts a program and waits for its ready line.
    pub(crate) fn start(program: &str, config: &impl Serialize) -> Self {
        let mut child = spawn(program, &serde_json::to_string(config).unwrap(), Stdio::inherit());
        let lifeline = child.stdin.take();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let ready = line.strip_prefix("ready ").unwrap_or_else(|| panic!("{program}: {line:?}"));
        let ready = serde_json::from_str(ready).unwrap();
        Self { child, lifeline, ready }
    }

    /// A text field of the ready line.
    pub(crate) fn ready(&self, field: &str) -> String {
        self.ready[field].as_str().unwrap_or_else(|| panic!("{field}: {}", self.ready)).to_owned()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// kill -9, and wait until the kernel says that it is gone.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Closes its standard input and tells how it ended.
    pub(crate) fn let_go(&mut self, within: Duration) -> ExitStatus {
        drop(self.lifeline.take());
        self.ended(within)
    }

    /// Waits for its end and tells how it ended.
    pub(crate) fn ended(&mut self, within: Duration) -> ExitStatus {
        let deadline = Instant::now() + within;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < deadline, "still there after {within:?}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a program that is expected to fail, and tells its exit code and standard error.
pub(crate) fn fail(program: &str, config: &str) -> (Option<i32>, String) {
    let mut child = spawn(program, config, Stdio::piped());
    let mut errors = String::new();
    child.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
    (child.wait().unwrap().code(), errors)
}

fn spawn(program: &str, config: &str, stderr: Stdio) -> Child {
    Command::new(env!("CARGO_BIN_EXE_drdrill-lab-node"))
        .args([program, config])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(stderr)
        .spawn()
        .unwrap()
}
