//! One process of the lab: started with a lifeline, ready when it says so, killed for good. Or one container, which has no
//! lifeline: its run's ledger knows it by a label.

use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use drdrill_core::action::ActionError;
use drdrill_core::containers::Containers;
use drdrill_core::environment::ProcessIdentity;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::time::timeout;

use super::containers::ContainerHosts;

/// Name of the variable in the environment of every process of a lab, its children included, that carries the id of
/// the run: by it they are found when nobody is left who knows their numbers.
pub const MARK: &str = "DRDRILL_LAB";
/// Time a process may take until it listens. Debug builds on a busy machine take a second.
const READY_TIMEOUT: Duration = Duration::from_secs(20);
/// Time a process may take to be gone once it was killed; measured: 13 to 19 ms for one of 256 MiB.
const GONE_TIMEOUT: Duration = Duration::from_secs(10);
/// Lines of a process's log that an error shows.
const LAST_LINES: usize = 5;

/// How to start the processes of one lab.
#[derive(Debug)]
pub(super) struct Starter {
    /// The program that has the lab's programs as subcommands.
    pub(super) program: PathBuf,
    pub(super) run_id: String,
    pub(super) dir: PathBuf,
    /// Where its sites are containers.
    pub(super) hosts: Option<ContainerHosts>,
}

/// A running process, or a running container by its first process.
#[derive(Debug)]
pub(super) struct Node {
    identity: ProcessIdentity,
    made: Made,
}

#[derive(Debug)]
enum Made {
    Child {
        child: Box<Child>,
        /// Held open: its end is the end of the process.
        _lifeline: ChildStdin,
    },
    Container {
        engine: Arc<dyn Containers>,
        id: String,
    },
}

impl Starter {
    /// Starts `name` and waits until it says that it listens; returns it and what it said. Its configuration goes
    /// through its standard input, because it may carry secrets and anybody can read a command line.
    pub(super) async fn start(
        &self,
        name: &str,
        arguments: &[OsString],
        config: Option<&Value>,
    ) -> Result<(Node, Value), ActionError> {
        let fail = |reason: String| ActionError::new("start", name, reason);
        let log = self.dir.join("logs").join(format!("{}.log", name.replace('/', "-")));
        let log_file = open_log(&log).map_err(|error| fail(error.to_string()))?;
        // Its standard input is its lifeline: whatever way this process ends, the pipe closes and the node ends.
        let mut child = Command::new(&self.program)
            .args(arguments)
            .env_clear()
            .env(MARK, &self.run_id)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log_file)
            // A group of its own: what Ctrl-C at a terminal ends is the drill, not the system that is measured.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| fail(format!("{}: {error}", self.program.display())))?;
        let lifeline = child.stdin.take();
        let mut lifeline = lifeline.ok_or_else(|| fail("it has no standard input".to_owned()))?;
        if let Some(config) = config {
            let line = format!("{config}\n");
            let written = lifeline.write_all(line.as_bytes()).await;
            written.map_err(|error| fail(format!("{error}: {}", last_lines(&log))))?;
        }
        let ready = match timeout(READY_TIMEOUT, ready_line(&mut child)).await {
            Ok(Some(ready)) => ready,
            Ok(None) => return Err(fail(format!("it ended: {}", last_lines(&log)))),
            Err(_) => {
                let waited = READY_TIMEOUT.as_secs();
                return Err(fail(format!(
                    "it does not listen after {waited} s: {}",
                    last_lines(&log)
                )));
            }
        };
        let identity = child
            .id()
            .and_then(|pid| drdrill_process::of_process(name, i32::try_from(pid).ok()?))
            .ok_or_else(|| fail(format!("it ended: {}", last_lines(&log))))?;
        let made = Made::Child { child: Box::new(child), _lifeline: lifeline };
        Ok((Node { identity, made }, ready))
    }
}

impl Node {
    pub(super) const fn of_container(
        engine: Arc<dyn Containers>,
        id: String,
        identity: ProcessIdentity,
    ) -> Self {
        Self { identity, made: Made::Container { engine, id } }
    }

    pub(super) const fn identity(&self) -> &ProcessIdentity {
        &self.identity
    }

    /// Kills the process, where it still runs, and waits until it is gone.
    pub(super) async fn kill(self) -> Result<(), ActionError> {
        let mut child = match self.made {
            Made::Child { child, _lifeline } => child,
            Made::Container { engine, id } => return engine.kill(&id).await,
        };
        let fail = |reason: String| ActionError::new("kill", &self.identity.node, reason);
        match timeout(GONE_TIMEOUT, child.kill()).await {
            Ok(killed) => killed.map_err(|error| fail(error.to_string())),
            Err(_) => Err(fail(format!("it is still there after {GONE_TIMEOUT:?}"))),
        }
    }
}

async fn ready_line(child: &mut Child) -> Option<Value> {
    let mut lines = BufReader::new(child.stdout.take()?).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        if let Some(ready) = line.strip_prefix("ready ") {
            return serde_json::from_str(ready).ok();
        }
    }
    None
}

fn open_log(path: &Path) -> std::io::Result<File> {
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir)?;
    }
    File::options().create(true).append(true).open(path)
}

fn last_lines(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    let last = lines[lines.len().saturating_sub(LAST_LINES)..].join(" | ");
    if last.is_empty() { "it said nothing".to_owned() } else { last }
}
