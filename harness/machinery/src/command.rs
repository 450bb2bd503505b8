//! Commands of the operator's own that are steps of a recovery, and how what they did is taken back.
//!
//! The undo is a command too. It stands in the ledger before the command is run, because what it changes outlives the
//! drill and nobody else knows how to change it back.

use std::time::Duration;

use async_trait::async_trait;
use drdrill_core::action::{ActionError, Reverter, Tag, Undo};
use drdrill_core::environment::ProcessIdentity;
use drdrill_core::inventory::NamedCommand;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::checks::exec::{self, Group};

/// Kind of the undo, and of the intent in the ledger.
pub const KIND: &str = "command";
/// Name of the variable that a command carries, with the name of the change: what outlives the drdrill that ran it is
/// found by it, and ended before anything is taken back.
const MARK: &str = "DRDRILL_COMMAND";
/// The same of its undo: one that somebody else began is ended before it is run again, and what it started stays.
const UNDO_MARK: &str = "DRDRILL_COMMAND_UNDO";
/// What was killed has so long to be gone.
const GONE_WITHIN: Duration = Duration::from_secs(2);
/// Time between two looks.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// What the ledger knows of a command.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct CommandUndo {
    tag: String,
    name: String,
    /// What takes it back: a program and its arguments. Empty where nothing has to be taken back, and it only has to be
    /// ended.
    undo: Vec<String>,
    /// The process that its group began with, once it was started: what has another user or another environment, and so
    /// cannot be read or carries no mark, is known by its group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    leader: Option<ProcessIdentity>,
    /// Whether it has ended by itself. What carries its mark since then is what it has started, such as a daemon, and
    /// that belongs to the undo; before, it is the command itself at work.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    over: bool,
    /// The drdrill that ran the command. A ledger of another boot runs nothing; it is known by this process.
    run_by: ProcessIdentity,
}

impl CommandUndo {
    /// The undo of a command that is about to be run.
    #[must_use]
    pub fn of(tag: &Tag, command: &NamedCommand, run_by: ProcessIdentity) -> Undo {
        let (name, undo) = (command.name.clone(), command.undo.clone().unwrap_or_default());
        Self { tag: tag.as_str().to_owned(), name, undo, leader: None, over: false, run_by }
            .written()
    }

    fn written(self) -> Undo {
        Undo::Revert {
            kind: KIND.to_owned(),
            node: self.name.clone(),
            // A struct of strings and numbers always becomes JSON.
            params: serde_json::to_value(self).unwrap_or_default(),
        }
    }

    fn mark(&self) -> (&'static str, &str) {
        (MARK, &self.tag)
    }

    fn running(&self, marks: &[&str]) -> std::io::Result<Vec<ProcessIdentity>> {
        let mut all = Vec::new();
        for mark in marks {
            all.extend(drdrill_process::marked(&format!("{mark}={}", self.tag))?);
        }
        Ok(all)
    }

    /// What of its group runs, where it has not ended by itself.
    fn group(&self) -> std::io::Result<Vec<ProcessIdentity>> {
        let Some(leader) = self.leader.as_ref().filter(|_| !self.over) else {
            return Ok(Vec::new());
        };
        Ok(drdrill_process::of_group(leader)?.unwrap_or_default())
    }

    fn by_hand(&self) -> String {
        if self.undo.is_empty() {
            return format!("end every process with {MARK}={} in its environment", self.tag);
        }
        let words: Vec<String> = self.undo.iter().map(|word| quoted(word)).collect();
        words.join(" ")
    }
}

/// Starts a command. Dropping what comes of it kills it with all of its group.
pub(crate) fn start(command: &NamedCommand, undo: &Undo) -> Result<Group, String> {
    let known = parse(undo);
    exec::start(&command.command, known.as_ref().map(CommandUndo::mark))
}

/// The undo of a command that was started.
pub(crate) fn started(undo: &Undo, leader: ProcessIdentity) -> Option<Undo> {
    parse(undo).map(|known| CommandUndo { leader: Some(leader), ..known }.written())
}

/// The undo of a command that has ended by itself.
pub(crate) fn over(undo: &Undo) -> Option<Undo> {
    parse(undo).map(|known| CommandUndo { over: true, ..known }.written())
}

fn parse(undo: &Undo) -> Option<CommandUndo> {
    match undo {
        Undo::Revert { params, .. } => serde_json::from_value(params.clone()).ok(),
        Undo::Nothing { .. } => None,
    }
}

/// Takes back what commands did.
#[derive(Debug)]
pub struct CommandReverter;

/// Ends what still runs of the command, unless it has ended by itself, or of an undo that somebody else began.
async fn end_what_runs(known: &CommandUndo) -> Result<(), ActionError> {
    let failed = |error: std::io::Error| ActionError::new("end the command", &known.name, error);
    let give_up = Instant::now() + GONE_WITHIN;
    let marks: &[&str] = if known.over { &[UNDO_MARK] } else { &[MARK, UNDO_MARK] };
    // Without the first process of a group nobody can swear that the others are ours: they are told, and not killed.
    let ours = known.leader.as_ref().is_some_and(drdrill_process::is_alive);
    let mut of_group = known.group().map_err(failed)?;
    loop {
        let mut running = known.running(marks).map_err(failed)?;
        let others = of_group.into_iter().filter(|one| !running.contains(one)).collect::<Vec<_>>();
        let mut refused = None;
        for process in running.iter().chain(others.iter().filter(|_| ours)) {
            refused = drdrill_process::kill(process).err().or(refused);
        }
        running.extend(others);
        if running.is_empty() {
            return Ok(());
        }
        if Instant::now() >= give_up {
            let pids: Vec<String> = running.iter().map(|one| one.pid.to_string()).collect();
            let why = refused.map_or_else(String::new, |error| format!(" ({error})"));
            let reason =
                format!("it is still at work, so its undo waits: process {}{why}", pids.join(", "));
            return Err(ActionError::new("end the command", &known.name, reason));
        }
        sleep(LOOK_AGAIN).await;
        of_group = known.group().map_err(failed)?;
    }
}

#[async_trait]
impl Reverter for CommandReverter {
    fn kind(&self) -> &'static str {
        KIND
    }

    async fn revert(&self, node: &str, params: &Value) -> Result<(), ActionError> {
        let failed = |reason: String| ActionError::new("take back the command", node, reason);
        let known: CommandUndo =
            serde_json::from_value(params.clone()).map_err(|error| failed(error.to_string()))?;
        if known.run_by.pid == 0 && known.undo.is_empty() {
            // No process of another boot still runs.
            return Ok(());
        }
        if known.run_by.pid == 0 {
            return Err(failed(format!(
                "its ledger is of another boot, and such a ledger runs nothing; run it by hand: {}",
                known.by_hand()
            )));
        }
        end_what_runs(&known).await?;
        if known.undo.is_empty() {
            return Ok(());
        }
        let mark = Some((UNDO_MARK, known.tag.as_str()));
        exec::run_marked(&known.undo, None, mark).await.map(drop).map_err(failed)
    }

    /// The undo said that it worked; what it did nobody here can see. What can be seen is whether something of it runs.
    async fn residue(&self, node: &str, params: &Value) -> Result<Vec<String>, ActionError> {
        let known: CommandUndo = serde_json::from_value(params.clone())
            .map_err(|error| ActionError::new("read the undo of", node, error))?;
        if known.over || known.run_by.pid == 0 {
            return Ok(Vec::new());
        }
        let failed = |error: std::io::Error| ActionError::new("look for", node, error);
        let mut running = known.running(&[MARK]).map_err(failed)?;
        let group = known.group().map_err(failed)?;
        running.extend(group.into_iter().filter(|one| !running.contains(one)).collect::<Vec<_>>());
        Ok(running
            .iter()
            .map(|process| format!("process {} of the command {node} still runs", process.pid))
            .collect())
    }

    fn by_hand(&self, _: &str, params: &Value) -> String {
        let known = serde_json::from_value::<CommandUndo>(params.clone());
        known.map_or_else(|_| format!("undo by hand: {params}"), |known| known.by_hand())
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

#[cfg(test)]
mod tests {
    use super::*;

    fn command(undo: Option<&str>) -> NamedCommand {
        let undo = undo.map(|file| vec!["/bin/rm".to_owned(), file.to_owned()]);
        NamedCommand { name: "mark".into(), command: vec!["/bin/true".into()], undo }
    }

    fn by(pid: i32) -> ProcessIdentity {
        ProcessIdentity { node: "harness".into(), pid, start_time: 1 }
    }

    fn params(undo: &Undo) -> Value {
        let Undo::Revert { kind, node, params } = undo else { panic!("{undo:?}") };
        assert_eq!((kind.as_str(), node.as_str()), (KIND, "mark"));
        params.clone()
    }

    #[tokio::test]
    async fn an_undo_of_another_boot_runs_nothing_and_says_what_to_type() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a file");
        std::fs::write(&file, "").unwrap();
        let name = file.to_str().unwrap();
        // What the engine makes of a process of another boot.
        let undo = CommandUndo::of(&Tag::new("r", 1), &command(Some(name)), by(0));
        let error = CommandReverter.revert("mark", &params(&undo)).await.unwrap_err().to_string();
        assert!(error.contains(&format!("run it by hand: /bin/rm '{name}'")), "{error}");
        assert!(file.exists());
        let undo = CommandUndo::of(&Tag::new("r", 1), &command(Some(name)), by(1));
        CommandReverter.revert("mark", &params(&undo)).await.unwrap();
        assert!(!file.exists());
        let error = CommandReverter.revert("mark", &params(&undo)).await.unwrap_err().to_string();
        assert!(error.contains("exit status: 1"), "an undo that fails has failed: {error}");
    }

    #[tokio::test]
    async fn what_still_runs_of_a_command_is_seen_and_ended_first() {
        let undo = CommandUndo::of(&Tag::new("residue", 7), &command(Some("/nowhere")), by(1));
        let (params, tag) = (params(&undo), Tag::new("residue", 7));
        let mut child = std::process::Command::new("/bin/sleep");
        let mut child = child.arg("600").env(MARK, tag.as_str()).spawn().unwrap();
        let give_up = Instant::now() + Duration::from_secs(10);
        while CommandReverter.residue("mark", &params).await.unwrap().is_empty() {
            assert!(Instant::now() < give_up, "it was never seen");
            sleep(LOOK_AGAIN).await;
        }
        let waits = tokio::task::spawn_blocking(move || child.wait().unwrap());
        let error = CommandReverter.revert("mark", &params).await.unwrap_err().to_string();
        assert!(error.contains("exit status: 1"), "there is no such file: {error}");
        assert!(!waits.await.unwrap().success(), "it was killed");
        assert!(CommandReverter.residue("mark", &params).await.unwrap().is_empty());
    }

    /// Something that carries the mark of the command, as all does that it starts.
    fn marked(tag: &Tag) -> std::process::Child {
        let mut child = std::process::Command::new("/bin/sleep");
        child.arg("600").env(MARK, tag.as_str()).spawn().unwrap()
    }

    #[tokio::test]
    async fn a_command_without_an_undo_is_ended_and_nothing_else() {
        let tag = Tag::new("no-undo", 1);
        let params = params(&CommandUndo::of(&tag, &command(None), by(1)));
        let mut child = marked(&tag);
        let give_up = Instant::now() + Duration::from_secs(10);
        while CommandReverter.residue("mark", &params).await.unwrap().is_empty() {
            assert!(Instant::now() < give_up, "it was never seen");
            sleep(LOOK_AGAIN).await;
        }
        let waits = tokio::task::spawn_blocking(move || child.wait().unwrap());
        CommandReverter.revert("mark", &params).await.unwrap();
        assert!(!waits.await.unwrap().success(), "it was killed");
        assert!(CommandReverter.residue("mark", &params).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn an_undo_that_others_can_write_to_by_then_is_not_run() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let (file, program) = (dir.path().join("file"), dir.path().join("undo"));
        std::fs::write(&program, format!("#!/bin/sh\necho > {}\n", file.display())).unwrap();
        let permit = |mode| {
            let mode = std::fs::Permissions::from_mode(mode);
            std::fs::set_permissions(&program, mode).unwrap();
        };
        let words = vec![program.display().to_string()];
        let command = NamedCommand { undo: Some(words), ..command(None) };
        let params = params(&CommandUndo::of(&Tag::new("others", 1), &command, by(1)));
        permit(0o777);
        let error = CommandReverter.revert("mark", &params).await.unwrap_err().to_string();
        assert!(error.contains("others can write to it") && !file.exists(), "{error}");
        permit(0o755);
        CommandReverter.revert("mark", &params).await.unwrap();
        assert!(file.exists());
    }

    /// A shell in a group of its own that starts a process without the mark and does `then`; and that process.
    async fn with_an_unmarked_child(tag: &Tag, then: &str) -> (Group, ProcessIdentity) {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("pid");
        let script =
            format!("env -i sleep 600 >/dev/null 2>&1 & echo $! > {}; {then}", file.display());
        let words = ["/bin/sh", "-c", &script].map(str::to_owned);
        let group = exec::start(&words, Some((MARK, tag.as_str()))).unwrap();
        let give_up = Instant::now() + Duration::from_secs(10);
        loop {
            assert!(Instant::now() < give_up, "it was never started");
            let pid = std::fs::read_to_string(&file).unwrap_or_default().trim().parse();
            if let Ok(pid) = pid
                && std::fs::read(format!("/proc/{pid}/environ")).is_ok_and(|all| all.is_empty())
                && let Some(child) = drdrill_process::of_process("child", pid)
            {
                return (group, child);
            }
            sleep(LOOK_AGAIN).await;
        }
    }

    #[tokio::test]
    async fn what_lost_the_mark_is_ended_with_the_group_of_the_command() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        std::fs::write(&file, "").unwrap();
        let tag = Tag::new("unmarked", 1);
        let (group, child) = with_an_unmarked_child(&tag, "sleep 600").await;
        let planned = CommandUndo::of(&tag, &command(file.to_str()), by(1));
        let params = params(&started(&planned, group.leader().unwrap()).unwrap());
        assert!(CommandReverter.residue("mark", &params).await.unwrap().len() >= 2);
        let ends = tokio::spawn(group.end(None));
        CommandReverter.revert("mark", &params).await.unwrap();
        assert!(!drdrill_process::is_alive(&child) && !file.exists());
        assert!(ends.await.unwrap().is_err(), "it was killed");
    }

    #[tokio::test]
    async fn no_undo_is_run_while_something_of_the_command_is_at_work() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        std::fs::write(&file, "").unwrap();
        let tag = Tag::new("at-work", 1);
        let (group, child) = with_an_unmarked_child(&tag, "read never < /dev/zero").await;
        let leader = group.leader().unwrap();
        let planned = CommandUndo::of(&tag, &command(file.to_str()), by(1));
        let params = params(&started(&planned, leader.clone()).unwrap());
        // Who began the group is gone, and nobody can swear whose the rest is.
        drdrill_process::kill(&leader).unwrap();
        group.end(None).await.unwrap_err();
        let error = CommandReverter.revert("mark", &params).await.unwrap_err().to_string();
        let told = format!("still at work, so its undo waits: process {}", child.pid);
        assert!(error.contains(&told) && file.exists(), "{error}");
        drdrill_process::kill(&child).unwrap();
        CommandReverter.revert("mark", &params).await.unwrap();
        assert!(!file.exists());
    }

    #[tokio::test]
    async fn what_a_command_that_ended_has_started_is_left_to_its_undo() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        std::fs::write(&file, "").unwrap();
        let tag = Tag::new("daemon", 1);
        let planned = CommandUndo::of(&tag, &command(file.to_str()), by(1));
        let params = params(&over(&planned).unwrap());
        let mut daemon = marked(&tag);
        CommandReverter.revert("mark", &params).await.unwrap();
        assert!(!file.exists(), "the undo was run");
        assert!(CommandReverter.residue("mark", &params).await.unwrap().is_empty());
        assert_eq!(daemon.try_wait().unwrap(), None, "it was killed");
        daemon.kill().unwrap();
        daemon.wait().unwrap();
    }
}
