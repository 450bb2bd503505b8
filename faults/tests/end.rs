//! Processes that end and come back: the right ones, or none, and never twice.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use drdrill_core::action::{Action, ActionError, Presence, Reverter, Tag, Undo};
use drdrill_core::environment::{ProcessControl, ProcessIdentity};
use drdrill_core::process::{FoundBy, KnownProcess, StartCommand};
use drdrill_faults::process::end::{End, ProcessEnd};
use drdrill_faults::process::end_undo::EndReverter;
use drdrill_faults::process::targets::Targets;
use tempfile::TempDir;

/// Processes of this test's own. Killed when dropped.
struct Sleeper(Child);

impl Sleeper {
    fn start() -> Self {
        Self(Command::new("sleep").arg("600").spawn().unwrap())
    }

    fn identity(&self, node: &str) -> ProcessIdentity {
        drdrill_process::of_process(node, self.0.id().try_into().unwrap()).unwrap()
    }

    fn runs(&mut self) -> bool {
        self.0.try_wait().unwrap().is_none()
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// An environment that says what it is told to say.
#[derive(Debug)]
struct Says {
    processes: Vec<ProcessIdentity>,
    start: Option<StartCommand>,
}

#[async_trait]
impl ProcessControl for Says {
    async fn processes(&self, site: &str) -> Result<Vec<ProcessIdentity>, ActionError> {
        let of_site = self.processes.iter().filter(|one| (one.node == "other") == (site == "dr"));
        Ok(of_site.filter(|one| one.pid != 0).cloned().collect())
    }

    fn known(&self, site: &str) -> Vec<KnownProcess> {
        let of_site = self.processes.iter().filter(|one| (one.node == "other") == (site == "dr"));
        let known = of_site.map(|one| KnownProcess {
            node: one.node.clone(),
            component: one.node.clone(),
            found_by: FoundBy::Pid(one.pid),
            canary: None,
            start: self.start.clone(),
        });
        known.collect()
    }
}

/// A directory with a program that starts others as `drdrill starter` does, and a daemon.
struct Programs(TempDir);

impl Programs {
    fn new(daemon: &str) -> Self {
        let programs = Self(tempfile::tempdir().unwrap());
        programs.write("starter", "shift 2; setsid -f \"$@\" < /dev/null > /dev/null 2>&1");
        programs.write("daemon", &daemon.replace("DIR", &programs.0.path().display().to_string()));
        programs
    }

    fn write(&self, name: &str, script: &str) {
        let path = self.path(name);
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn command(&self) -> StartCommand {
        StartCommand {
            program: self.path("daemon"),
            arguments: Vec::new(),
            pid_file: self.path("pid"),
        }
    }

    fn reverter(&self) -> EndReverter {
        EndReverter { restart: None, program: self.path("starter") }
    }

    /// How often the daemon was started.
    fn starts(&self) -> usize {
        fs::read_to_string(self.path("starts")).unwrap_or_default().lines().count()
    }

    /// Kills what was started.
    fn end(&self) {
        for pid in fs::read_to_string(self.path("starts")).unwrap_or_default().lines() {
            let pid = pid.parse().unwrap();
            if let Some(process) = drdrill_process::of_process("daemon", pid) {
                drdrill_process::kill(&process).unwrap();
            }
        }
    }
}

impl Drop for Programs {
    fn drop(&mut self) {
        self.end();
    }
}

/// Writes its pid file and stays.
const SOUND: &str = "echo $$ >> DIR/starts; echo $$ > DIR/pid; exec sleep 600";
/// Stays, and writes no pid file.
const SILENT: &str = "echo $$ >> DIR/starts; exec sleep 600";
/// Says that it was started, and ends.
const LIAR: &str = "exit 0";

fn fault(processes: Vec<ProcessIdentity>, start: StartCommand, program: &Path) -> ProcessEnd {
    ProcessEnd {
        end: End::Kill,
        targets: Targets {
            on: "primary".to_owned(),
            component: None,
            max_targets: 1,
            sites: vec!["primary".to_owned(), "dr".to_owned()],
            processes: Arc::new(Says { processes, start: Some(start) }),
        },
        restart: None,
        program: program.to_owned(),
        struck: Mutex::default(),
    }
}

fn params(undo: &Undo) -> (&str, &serde_json::Value) {
    let Undo::Revert { node, params, .. } = undo else { panic!("{undo:?}") };
    (node, params)
}

async fn residue(programs: &Programs, undo: &Undo) -> String {
    let (node, params) = params(undo);
    programs.reverter().residue(node, params).await.unwrap().join("; ")
}

async fn revert(programs: &Programs, undo: &Undo) {
    let (node, params) = params(undo);
    programs.reverter().revert(node, params).await.unwrap();
}

#[tokio::test]
async fn what_was_killed_is_started_once_however_often_it_is_taken_back() {
    let (programs, mut db) = (Programs::new(SOUND), Sleeper::start());
    let fault = fault(vec![db.identity("db")], programs.command(), &programs.path("starter"));
    let tag = Tag::new("end", 1);
    let undo = fault.plan(&tag).await.unwrap();
    fault.apply(&tag).await.unwrap();
    while db.runs() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert!(residue(&programs, &undo).await.contains("db does not run"));
    for _ in 0..3 {
        revert(&programs, &undo).await;
        assert_eq!(residue(&programs, &undo).await, "");
    }
    assert_eq!(programs.starts(), 1);
}

#[tokio::test]
async fn what_was_started_and_has_no_pid_file_yet_is_not_started_again() {
    let (programs, db) = (Programs::new(SILENT), Sleeper::start());
    let fault = fault(vec![db.identity("db")], programs.command(), &programs.path("starter"));
    let tag = Tag::new("silent", 1);
    let undo = fault.plan(&tag).await.unwrap();
    fault.apply(&tag).await.unwrap();
    revert(&programs, &undo).await;
    let left = residue(&programs, &undo).await;
    assert!(left.contains("was started as process") && left.contains("is not there"), "{left}");
    let written = fs::read_to_string(programs.path("starts")).unwrap();
    fs::write(programs.path("pid"), written).unwrap();
    revert(&programs, &undo).await;
    assert_eq!((residue(&programs, &undo).await.as_str(), programs.starts()), ("", 1));
}

#[tokio::test]
async fn an_undo_that_starts_nothing_is_not_believed() {
    let (programs, db) = (Programs::new(LIAR), Sleeper::start());
    let fault = fault(vec![db.identity("db")], programs.command(), &programs.path("starter"));
    let tag = Tag::new("liar", 1);
    let undo = fault.plan(&tag).await.unwrap();
    fault.apply(&tag).await.unwrap();
    revert(&programs, &undo).await;
    assert!(residue(&programs, &undo).await.contains("db does not run"));
    let (node, params) = params(&undo);
    let by_hand = programs.reverter().by_hand(node, params);
    assert!(by_hand.starts_with(&programs.path("daemon").display().to_string()), "{by_hand}");
}

#[tokio::test]
async fn a_process_that_has_the_number_of_the_one_that_was_meant_is_not_struck() {
    let (programs, mut innocent) = (Programs::new(SOUND), Sleeper::start());
    let meant = innocent.identity("db");
    let earlier = ProcessIdentity { start_time: meant.start_time - 1, ..meant };
    for end in [End::Kill, End::Stop(Duration::from_millis(100)), End::Restart] {
        let mut fault = fault(vec![earlier.clone()], programs.command(), &programs.path("starter"));
        fault.end = end;
        let tag = Tag::new("reused", 1);
        fault.plan(&tag).await.unwrap();
        let error = fault.apply(&tag).await.unwrap_err().to_string();
        assert!(error.contains("ended before it was struck"), "{error}");
        assert!(innocent.runs());
    }
    assert_eq!(programs.starts(), 0);
}

#[tokio::test]
async fn a_fault_that_takes_others_along_is_too_wide() {
    let (programs, db, mut other) = (Programs::new(SOUND), Sleeper::start(), Sleeper::start());
    let processes = vec![db.identity("db"), other.identity("other")];
    let fault = fault(processes, programs.command(), &programs.path("starter"));
    let tag = Tag::new("wide", 1);
    fault.plan(&tag).await.unwrap();
    fault.apply(&tag).await.unwrap();
    other.0.kill().unwrap();
    other.0.wait().unwrap();
    loop {
        match fault.observe(&tag).await.unwrap() {
            // What was killed is a moment in dying.
            Presence::Absent { .. } => tokio::time::sleep(Duration::from_millis(1)).await,
            seen => {
                let wide =
                    matches!(&seen, Presence::TooWide { detail } if detail.starts_with("other"));
                assert!(wide, "{seen:?}");
                break;
            }
        }
    }
}
