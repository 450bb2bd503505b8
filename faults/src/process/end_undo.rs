//! Starts processes again that were ended, knowing only what the ledger knows.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use drdrill_core::action::{ActionError, Reverter, Undo};
use drdrill_core::environment::ProcessIdentity;
use drdrill_core::process::StartCommand;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::canary::refused;
use super::starter;
use crate::site_reverter::Restart;

/// Kind of the undo.
const KIND: &str = "process_end";
/// A process that was started has so long until it is there for its clients: less than one try of an undo may take.
const READY_TIMEOUT: Duration = Duration::from_secs(8);
/// One that was asked to end, and still runs, has so long to do it before it counts as one that stays.
const LAST_CHANCE: Duration = Duration::from_secs(1);
/// Time between two looks.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// A fault that starts again what it ended, and its undo, may want to start the same process at the same time.
static STARTING: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// What the ledger knows of processes that were ended.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct EndUndo {
    pub(super) tag: String,
    pub(super) site: String,
    /// Whether they were only asked to end, and may do so later.
    pub(super) asked: bool,
    pub(super) processes: Vec<Ended>,
}

/// A process that was ended.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Ended {
    pub(super) process: ProcessIdentity,
    /// Where it accepted connections.
    pub(super) canary: Option<String>,
    /// What starts it again; `None` for a child of the environment, which starts it, or ends with it.
    pub(super) start: Option<StartCommand>,
}

impl EndUndo {
    pub(super) fn into_undo(self) -> Undo {
        Undo::Revert {
            kind: KIND.to_owned(),
            node: self.site.clone(),
            // A struct of strings and numbers always becomes JSON.
            params: serde_json::to_value(&self).unwrap_or_default(),
        }
    }

    /// The processes that a command starts again.
    fn by_command(&self) -> impl Iterator<Item = (&Ended, &StartCommand)> {
        let commands =
            self.processes.iter().filter_map(|ended| Some((ended, ended.start.as_ref()?)));
        // With the boot of the kernel that it ran under, whatever had to be put back is over.
        commands.filter(|(ended, _)| ended.process.pid > 0)
    }

    fn children(&self) -> impl Iterator<Item = &Ended> {
        self.processes.iter().filter(|ended| ended.start.is_none())
    }
}

/// Starts processes again.
#[derive(Debug)]
pub struct EndReverter {
    /// Starts children of the environment; `None` in the keeper and in `recover`: they end with their environment,
    /// whose own undo stands in the same ledger.
    pub restart: Option<Restart>,
    /// The program that is a starter when called as `PROGRAM starter`.
    pub program: PathBuf,
}

fn parse(node: &str, params: &Value) -> Result<EndUndo, ActionError> {
    serde_json::from_value(params.clone())
        .map_err(|error| ActionError::new("read the undo of", node, error))
}

/// Starts what does not run, and waits until it is there for its clients, or time is over.
///
/// # Errors
/// When it cannot be started. Whether it runs, a look at the world tells.
pub(super) async fn bring_back(
    undo: &EndUndo,
    restart: Option<&Restart>,
    program: &Path,
) -> Result<(), ActionError> {
    let give_up = Instant::now() + READY_TIMEOUT;
    wait_for_the_end(undo, give_up).await;
    if let Some(restart) = restart
        && undo.children().next().is_some()
    {
        restart.sites.start(&undo.site).await?;
    }
    for (ended, command) in undo.by_command() {
        let _one_at_a_time = STARTING.lock().await;
        start_once(undo, ended, command, program)?;
    }
    for (ended, command) in undo.by_command() {
        while what_is_missing(undo, ended, command).await.is_some() && Instant::now() < give_up {
            sleep(LOOK_AGAIN).await;
        }
    }
    Ok(())
}

/// Waits for the end of those that are ending, and gives those that were asked to end a last chance to do it.
async fn wait_for_the_end(undo: &EndUndo, give_up: Instant) {
    let last_chance = Instant::now() + LAST_CHANCE;
    let still_waits = |ended: &Ended| {
        let process = &ended.process;
        let asked =
            undo.asked && Instant::now() < last_chance && drdrill_process::is_alive(process);
        asked || drdrill_process::is_ending(process)
    };
    while undo.processes.iter().any(still_waits) && Instant::now() < give_up {
        sleep(LOOK_AGAIN).await;
    }
}

/// The process that a pid file names; why there is none otherwise.
fn running(node: &str, command: &StartCommand) -> Result<ProcessIdentity, String> {
    let named = drdrill_process::of_pid_file(node, &command.pid_file);
    let process = named.map_err(|error| error.to_string())?;
    if drdrill_process::is_ending(&process) {
        return Err(format!("process {} is ending", process.pid));
    }
    Ok(process)
}

/// Starts a process, unless it is seen to run already, whoever started it.
fn start_once(
    undo: &EndUndo,
    ended: &Ended,
    command: &StartCommand,
    program: &Path,
) -> Result<(), ActionError> {
    let node = &ended.process.node;
    let failed = |error: io::Error| ActionError::new("start", node, error);
    if drdrill_process::is_alive(&ended.process)
        || running(node, command).is_ok()
        || !started_by_us(undo, node).map_err(failed)?.is_empty()
    {
        return Ok(());
    }
    starter::start(program, command, &undo.tag, node).map_err(failed)
}

/// What this undo, in this process or in another one, has started and still runs.
fn started_by_us(undo: &EndUndo, node: &str) -> io::Result<Vec<ProcessIdentity>> {
    drdrill_process::marked(&starter::mark(&undo.tag, node))
}

/// What a process lacks of being back; `None` when it is.
async fn what_is_missing(undo: &EndUndo, ended: &Ended, command: &StartCommand) -> Option<String> {
    let node = &ended.process.node;
    if let Err(error) = running(node, command) {
        let ours = started_by_us(undo, node).unwrap_or_default();
        let pids: Vec<String> = ours.iter().map(|process| process.pid.to_string()).collect();
        return Some(if pids.is_empty() {
            format!("{node} does not run: {error}")
        } else {
            format!("{node} was started as process {}, but {error}", pids.join(", "))
        });
    }
    not_accepting(ended).await
}

/// A line about a process that accepts no connections where it did.
async fn not_accepting(ended: &Ended) -> Option<String> {
    let canary = ended.canary.as_ref()?;
    let why = refused(canary).await.unwrap_or_else(|error| Some(error.to_string()))?;
    Some(format!("{} runs, but a connection to {canary} fails: {why}", ended.process.node))
}

#[async_trait]
impl Reverter for EndReverter {
    fn kind(&self) -> &'static str {
        KIND
    }

    async fn revert(&self, node: &str, params: &Value) -> Result<(), ActionError> {
        let undo = parse(node, params)?;
        bring_back(&undo, self.restart.as_ref(), &self.program).await
    }

    async fn residue(&self, node: &str, params: &Value) -> Result<Vec<String>, ActionError> {
        let undo = parse(node, params)?;
        let mut residue = Vec::new();
        for (ended, command) in undo.by_command() {
            residue.extend(what_is_missing(&undo, ended, command).await);
        }
        if let Some(restart) = &self.restart {
            let running = restart.processes.processes(&undo.site).await?;
            for ended in undo.children() {
                if running.iter().any(|process| process.node == ended.process.node) {
                    residue.extend(not_accepting(ended).await);
                } else {
                    residue.push(format!("{} does not run", ended.process.node));
                }
            }
        }
        Ok(residue)
    }

    fn by_hand(&self, _: &str, params: &Value) -> String {
        let undo = serde_json::from_value::<EndUndo>(params.clone());
        let commands = undo.iter().flat_map(EndUndo::by_command).map(|(_, command)| {
            let words = std::iter::once(command.program.display().to_string());
            let words = words.chain(command.arguments.iter().cloned());
            words.map(|word| quoted(&word)).collect::<Vec<_>>().join(" ")
        });
        commands.chain(["drdrill recover".to_owned()]).collect::<Vec<_>>().join("; ")
    }
}

/// A word as a person would type it at a shell.
fn quoted(word: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-=:,@%+".contains(&byte);
    if !word.is_empty() && word.bytes().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}
