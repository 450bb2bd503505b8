//! Processes that may not write to files: seen, survived, and taken back exactly.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use drdrill_core::action::{Action, ActionError, Presence, Reverter, Tag, Undo};
use drdrill_core::environment::{HealthKind, HealthSource, ProcessControl, ProcessIdentity};
use drdrill_core::process::{FoundBy, KnownProcess};
use drdrill_faults::process::read_only::StorageReadOnly;
use drdrill_faults::process::read_only_undo::ReadOnlyReverter;
use drdrill_faults::process::targets::Targets;

/// A shell that appends a line to a file for each line it gets, and says whether it could. Killed when dropped.
#[derive(Debug)]
struct Writer {
    child: Mutex<Child>,
    process: ProcessIdentity,
    kinds: Vec<HealthKind>,
}

impl Writer {
    fn start(file: &Path, first: &str, kinds: &[HealthKind]) -> Arc<Self> {
        Self::under(&["sh"], file, first, kinds)
    }

    /// The same as the first process of a process namespace, as that of a container is.
    fn in_a_container(file: &Path, first: &str) -> Arc<Self> {
        Self::under(&["unshare", "--pid", "--fork", "--kill-child", "sh"], file, first, &[])
    }

    fn under(shell: &[&str], file: &Path, first: &str, kinds: &[HealthKind]) -> Arc<Self> {
        let script = format!(
            "{first}; while read line; do [ \"$line\" = start ] && sleep 60 > /dev/null & \
             if echo \"$line\" >> {} 2>/dev/null; then echo ok; else echo no; fi; done",
            file.display()
        );
        let mut child = Command::new(shell[0])
            .args(&shell[1..])
            .args(["-c", &script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        assert!(answer(&mut child, "line"), "it is ready, and has set its signals");
        let mut pid = child.id().to_string();
        if shell.len() > 1 {
            pid = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
        }
        let process = drdrill_process::of_process("db", pid.trim().parse().unwrap()).unwrap();
        Arc::new(Self { child: Mutex::new(child), process, kinds: kinds.to_vec() })
    }

    /// Whether it can write a line.
    fn writes(&self) -> bool {
        answer(&mut self.child.lock().unwrap(), "line")
    }

    /// Starts a process of its own, which goes on.
    fn starts_another(&self) {
        answer(&mut self.child.lock().unwrap(), "start");
    }

    fn limit(&self) -> String {
        limit_of(&self.process)
    }

    /// The limits of all that are where it is.
    fn limits(&self) -> Vec<String> {
        drdrill_process::population(&self.process).unwrap().iter().map(limit_of).collect()
    }

    fn fault(self: &Arc<Self>, health: bool) -> StorageReadOnly {
        StorageReadOnly {
            targets: Targets {
                on: "primary".to_owned(),
                component: None,
                max_targets: 1,
                sites: vec!["primary".to_owned()],
                processes: self.clone(),
            },
            health: health.then(|| self.clone() as Arc<dyn HealthSource>),
            struck: Mutex::default(),
        }
    }
}

/// Whether a line could be written.
fn answer(child: &mut Child, line: &str) -> bool {
    child.stdin.as_mut().unwrap().write_all(format!("{line}\n").as_bytes()).unwrap();
    let mut answer = String::new();
    let mut output = BufReader::with_capacity(1, child.stdout.as_mut().unwrap());
    output.read_line(&mut answer).unwrap();
    answer == "ok\n"
}

fn limit_of(process: &ProcessIdentity) -> String {
    let limits = fs::read_to_string(format!("/proc/{}/limits", process.pid)).unwrap();
    limits.lines().find(|line| line.starts_with("Max file size")).unwrap().to_owned()
}

impl Drop for Writer {
    fn drop(&mut self) {
        let child = self.child.get_mut().unwrap();
        let _ = child.kill();
        let _ = child.wait();
    }
}

#[async_trait]
impl ProcessControl for Writer {
    async fn processes(&self, _: &str) -> Result<Vec<ProcessIdentity>, ActionError> {
        Ok(vec![self.process.clone()])
    }

    fn known(&self, _: &str) -> Vec<KnownProcess> {
        vec![KnownProcess {
            node: "db".to_owned(),
            component: "db".to_owned(),
            found_by: FoundBy::Pid(self.process.pid),
            canary: None,
            start: None,
        }]
    }
}

#[async_trait]
impl HealthSource for Writer {
    fn kinds(&self) -> Vec<HealthKind> {
        self.kinds.clone()
    }

    async fn look(&self, _: &str, _: HealthKind) -> Result<(), String> {
        if self.writes() { Ok(()) } else { Err("it cannot write".to_owned()) }
    }
}

fn params(undo: &Undo) -> (&str, &serde_json::Value) {
    let Undo::Revert { node, params, .. } = undo else { panic!("{undo:?}") };
    (node, params)
}

const IGNORES: &str = "trap '' XFSZ";

#[tokio::test]
async fn writes_fail_reads_do_not_and_the_limit_comes_back_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    let first = format!("{IGNORES}; ulimit -S -f 2048");
    let writer = Writer::start(&file, &first, &[HealthKind::Database]);
    let before = writer.limit();
    let (fault, tag) = (writer.fault(true), Tag::new("test", 1));
    let undo = fault.plan(&tag).await.unwrap();
    assert_eq!(writer.limit(), before, "planning changes nothing");
    let seen = fault.observe(&tag).await.unwrap();
    assert!(matches!(seen, Presence::Absent { .. }), "{seen:?}");
    fault.apply(&tag).await.unwrap();
    assert!(!writer.writes());
    let Presence::InEffect { proof } = fault.observe(&tag).await.unwrap() else { panic!() };
    assert!(proof.contains("may write 0 bytes") && proof.contains("it cannot write"), "{proof}");
    assert!(fs::read_to_string(&file).unwrap().starts_with("line\n"));

    let (node, params) = params(&undo);
    assert_eq!(ReadOnlyReverter.residue(node, params).await.unwrap().len(), 1);
    let by_hand = ReadOnlyReverter.by_hand(node, params);
    assert!(by_hand.starts_with(&format!("prlimit --pid {}", writer.process.pid)), "{by_hand}");
    for _ in 0..2 {
        ReadOnlyReverter.revert(node, params).await.unwrap();
        assert_eq!(ReadOnlyReverter.residue(node, params).await.unwrap(), Vec::<String>::new());
        assert_eq!(writer.limit(), before);
    }
    assert!(writer.writes());
}

#[tokio::test]
async fn a_process_that_a_refused_write_would_end_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let writer = Writer::start(&dir.path().join("file"), ":", &[]);
    let before = writer.limit();
    let error = writer.fault(false).plan(&Tag::new("test", 1)).await.unwrap_err();
    assert!(error.to_string().contains("SIGXFSZ"), "{error}");
    assert_eq!(writer.limit(), before);
}

#[tokio::test]
async fn one_that_has_ended_needs_no_undo() {
    let dir = tempfile::tempdir().unwrap();
    let writer = Writer::start(&dir.path().join("file"), IGNORES, &[]);
    let (fault, tag) = (writer.fault(false), Tag::new("test", 1));
    let undo = fault.plan(&tag).await.unwrap();
    fault.apply(&tag).await.unwrap();
    {
        let mut child = writer.child.lock().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let (node, params) = params(&undo);
    assert_eq!(ReadOnlyReverter.residue(node, params).await.unwrap(), Vec::<String>::new());
    ReadOnlyReverter.revert(node, params).await.unwrap();
    let seen = fault.observe(&tag).await.unwrap();
    assert!(matches!(seen, Presence::Absent { .. }), "{seen:?}");
}

#[tokio::test]
async fn what_is_started_between_the_plan_and_the_fault_may_not_write_either() {
    let dir = tempfile::tempdir().unwrap();
    let writer = Writer::in_a_container(&dir.path().join("file"), IGNORES);
    let before = writer.limit();
    let (fault, tag) = (writer.fault(false), Tag::new("test", 1));
    let undo = fault.plan(&tag).await.unwrap();
    writer.starts_another();
    assert_eq!(writer.limits(), [&*before, &*before]);
    fault.apply(&tag).await.unwrap();
    writer.starts_another();
    let limits = writer.limits();
    assert_eq!(limits.len(), 3);
    assert!(limits.iter().all(|limit| *limit == limits[0] && *limit != before), "{limits:?}");
    let seen = fault.observe(&tag).await.unwrap();
    assert!(matches!(seen, Presence::InEffect { .. }), "{seen:?}");
    let (node, params) = params(&undo);
    assert_eq!(ReadOnlyReverter.residue(node, params).await.unwrap().len(), 3);
    ReadOnlyReverter.revert(node, params).await.unwrap();
    assert_eq!(ReadOnlyReverter.residue(node, params).await.unwrap(), Vec::<String>::new());
    assert!(writer.limits().iter().all(|limit| *limit == before));
}
