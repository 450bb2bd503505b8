//! Processes stand still: they are there, their connections stay open, and nothing answers.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use drdrill_core::action::{Action, ActionError, Belt, Presence, Tag, Undo};
use drdrill_core::environment::ProcessIdentity;

use super::pauser::STANDS;
use super::reverter::PauseUndo;
use super::targets::Targets;
use super::threads;

/// Name of the variable in the environment of a pauser that carries the tag of its fault.
pub(super) const MARK: &str = "DRDRILL_PAUSER";

/// Pausers at work, by the tag of their fault. One table for the process: they end with it.
static PAUSERS: Mutex<BTreeMap<String, Pauser>> = Mutex::new(BTreeMap::new());

struct Pauser {
    child: Child,
    /// Its end lets the processes run on.
    lifeline: ChildStdin,
}

fn pausers() -> MutexGuard<'static, BTreeMap<String, Pauser>> {
    PAUSERS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Ends the pauser of a fault and waits for its end; without one nothing is done.
pub(super) fn release(tag: &str) -> io::Result<()> {
    let pauser = pausers().remove(tag);
    let Some(mut pauser) = pauser else { return Ok(()) };
    drop(pauser.lifeline);
    pauser.child.wait().map(drop)
}

/// Processes of a site stand still.
#[derive(Debug)]
pub struct ProcessPause {
    /// Which.
    pub targets: Targets,
    /// The program that is a pauser when started as `PROGRAM pauser`.
    pub program: PathBuf,
    /// Those that were struck.
    pub struck: Mutex<Vec<ProcessIdentity>>,
}

impl ProcessPause {
    fn error(&self, reason: impl std::fmt::Display) -> ActionError {
        self.targets.error("pause", reason)
    }

    fn struck(&self) -> MutexGuard<'_, Vec<ProcessIdentity>> {
        self.struck.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts the pauser; returns when everything stands still.
    fn start(&self, tag: &Tag, processes: &[ProcessIdentity]) -> io::Result<Pauser> {
        let mut child = Command::new(&self.program)
            .arg("pauser")
            .env_clear()
            .env(MARK, tag.as_str())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // A group of its own: what a terminal's Ctrl-C ends is the drill, which ends this in its order.
            .process_group(0)
            .spawn()?;
        let mut ready = [0];
        let said = pipes(&mut child).and_then(|(mut lifeline, mut output)| {
            serde_json::to_writer(&mut lifeline, processes)?;
            lifeline.write_all(b"\n")?;
            output.read_exact(&mut ready)?;
            Ok(lifeline)
        });
        match said {
            Ok(lifeline) if ready == [STANDS] => Ok(Pauser { child, lifeline }),
            _ => {
                let _ = child.kill();
                let why = child.wait_with_output()?.stderr;
                Err(io::Error::other(String::from_utf8_lossy(&why).trim().to_owned()))
            }
        }
    }
}

fn pipes(child: &mut Child) -> io::Result<(ChildStdin, impl Read + use<>)> {
    match (child.stdin.take(), child.stdout.take()) {
        (Some(input), Some(output)) => Ok((input, output)),
        _ => Err(io::Error::other("the pauser has no pipes")),
    }
}

#[async_trait]
impl Action for ProcessPause {
    fn kind(&self) -> &'static str {
        "process_pause"
    }

    fn target(&self) -> String {
        self.targets.on.clone()
    }

    fn via(&self) -> String {
        "ptrace, by a process that ends with drdrill".to_owned()
    }

    fn belts(&self) -> Vec<Belt> {
        vec![Belt::Kernel, Belt::Journal]
    }

    async fn plan(&self, tag: &Tag) -> Result<Undo, ActionError> {
        let targets = self.targets.find().await.map_err(|error| self.error(error))?;
        let processes: Vec<_> = targets.into_iter().map(|target| target.process).collect();
        processes.clone_into(&mut self.struck());
        Ok(PauseUndo { tag: tag.as_str().to_owned(), processes }.into_undo(&self.targets.on))
    }

    async fn apply(&self, tag: &Tag) -> Result<(), ActionError> {
        let processes = self.struck().clone();
        let pauser = self.start(tag, &processes).map_err(|error| self.error(error))?;
        pausers().insert(tag.as_str().to_owned(), pauser);
        Ok(())
    }

    async fn observe(&self, _: &Tag) -> Result<Presence, ActionError> {
        let struck = self.struck().clone();
        let mut proof = Vec::new();
        for process in &struck {
            let threads = threads::of(process).map_err(|error| self.error(error))?;
            let (node, pid) = (&process.node, process.pid);
            if threads.is_empty() {
                return Ok(Presence::Absent { detail: format!("{node} (pid {pid}) has ended") });
            }
            if let Some(runs) = threads.iter().find(|thread| !thread.stands()) {
                let detail = format!("thread {} of {node} (pid {pid}) is not held", runs.id);
                return Ok(Presence::Absent { detail });
            }
            proof.push(format!("{node} (pid {pid}): all {} threads held", threads.len()));
        }
        Ok(Presence::InEffect { proof: proof.join("; ") })
    }
}
