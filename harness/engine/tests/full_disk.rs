//! A ledger on a full disk: what was reserved is enough to begin, to take back and to say so; and what does not fit is
//! refused before anything is touched.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use drdrill_core::action::Undo;
use drdrill_core::environment::ProcessIdentity;
use drdrill_engine::ledger::{Ledger, LedgerError, Line};
use tempfile::TempDir;

/// A small file system of its own. Unmounted when dropped.
struct Tmpfs(TempDir);

impl Tmpfs {
    fn new(size: &str) -> Self {
        let one = Self(tempfile::tempdir().unwrap());
        one.mount(&["-t", "tmpfs", "-o", &format!("mode=700,size={size}"), "tmpfs"]);
        one
    }

    fn mount(&self, arguments: &[&str]) {
        let output = Command::new("mount").args(arguments).arg(self.0.path()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "this test has to be root to mount a tmpfs: {said}");
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes until not one byte more fits.
    fn fill(&self) {
        let mut ballast = fs::File::create(self.path("ballast")).unwrap();
        for size in [65536, 4096, 1] {
            let full = loop {
                if let Err(error) = ballast.write_all(&vec![b'x'; size]) {
                    break error;
                }
            };
            assert_eq!(full.kind(), ErrorKind::StorageFull, "{full}");
        }
        assert_eq!(nix::sys::statvfs::statvfs(self.0.path()).unwrap().blocks_available(), 0);
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.0.path()).status();
    }
}

fn opened() -> Line {
    Line::Opened {
        run_id: "run".to_owned(),
        environment: "lab".to_owned(),
        harness: ProcessIdentity { node: "harness".to_owned(), pid: 1, start_time: 1 },
        boot_id: "boot".to_owned(),
    }
}

fn undo(bytes: usize) -> Undo {
    let params = serde_json::json!({ "text": "x".repeat(bytes) });
    Undo::Revert { kind: "test".to_owned(), node: "n".to_owned(), params }
}

/// Ids of what is open in a ledger on disk, oldest first.
#[track_caller]
fn open(path: &Path) -> Vec<u32> {
    let contents = Ledger::look(path).unwrap();
    assert_eq!(contents.damaged, 0);
    contents.open().iter().rev().map(|intent| intent.id).collect()
}

#[track_caller]
fn fails_with<T: std::fmt::Debug>(result: Result<T, LedgerError>, kind: ErrorKind) {
    let error = result.unwrap_err();
    let LedgerError::Io { source, .. } = &error else { panic!("{error}") };
    assert_eq!(source.kind(), kind, "{error}");
}

#[test]
fn on_a_disk_that_is_full_to_the_last_byte_everything_is_still_written_down() {
    let disk = Tmpfs::new("2M");
    let path = disk.path("run.ledger");
    let mut ledger = Ledger::create(&path, opened()).unwrap();
    disk.fill();
    let ids: Vec<u32> =
        (0..51).map(|_| ledger.intend("fault", "target", undo(3500)).unwrap()).collect();
    assert_eq!(open(&path), ids);
    ledger.stuck(0, &"why ".repeat(10_000)).unwrap();
    for id in &ids[1..] {
        ledger.reverted(*id).unwrap();
    }
    assert_eq!(open(&path), [0]);
    drop(ledger);
    // Whoever comes after a crash has a full disk as well.
    let mut ledger = Ledger::take_over(&path).unwrap();
    ledger.reverted(0).unwrap();
    assert_eq!(open(&path), Vec::<u32>::new());
    ledger.settle(&disk.path("undo.ledger"), false).unwrap();
    assert_eq!((path.exists(), open(&disk.path("undo.ledger"))), (false, Vec::<u32>::new()));
}

#[test]
fn however_many_intents_fit_their_ends_fit_too() {
    let disk = Tmpfs::new("2M");
    let path = disk.path("run.ledger");
    let mut ledger = Ledger::create(&path, opened()).unwrap();
    disk.fill();
    // Small ones, as of commands: far more than there are faults in a scenario.
    let mut ids = Vec::new();
    while let Ok(id) = ledger.intend("command", "target", undo(100)) {
        ids.push(id);
    }
    assert!(ids.len() > 100, "{}", ids.len());
    for id in &ids {
        for _ in 0..2 {
            ledger.stuck(*id, &"e".repeat(1000)).unwrap();
        }
        ledger.reverted(*id).unwrap();
    }
    assert_eq!(open(&path), Vec::<u32>::new());
}

#[test]
fn where_the_reserve_is_used_up_nothing_more_is_begun_and_all_of_it_can_be_ended() {
    let disk = Tmpfs::new("2M");
    let path = disk.path("run.ledger");
    let mut ledger = Ledger::create(&path, opened()).unwrap();
    disk.fill();
    let mut ids = Vec::new();
    let refused = loop {
        match ledger.intend("fault", "target", undo(8000)) {
            Ok(id) => ids.push(id),
            Err(error) => break error,
        }
    };
    assert!((20..32).contains(&ids.len()), "{} intents of 8 kB fit into 256 KiB", ids.len());
    let said = refused.to_string();
    assert!(said.starts_with("reserve space for the undo ledger /"), "{said}");
    fails_with(Err::<(), _>(refused), ErrorKind::StorageFull);
    assert_eq!(open(&path), ids, "what was refused is not in it, and not half of it either");
    for id in &ids {
        for _ in 0..2 {
            ledger.stuck(*id, &"e".repeat(1000)).unwrap();
        }
    }
    for id in &ids {
        ledger.reverted(*id).unwrap();
    }
    assert_eq!(open(&path), Vec::<u32>::new());
    // With space there is room again, beyond what was reserved at first.
    fs::remove_file(disk.path("ballast")).unwrap();
    let more: Vec<u32> =
        (0..50).map(|_| ledger.intend("fault", "target", undo(8000)).unwrap()).collect();
    disk.fill();
    for id in &more {
        ledger.reverted(*id).unwrap();
    }
    assert_eq!(open(&path), Vec::<u32>::new());
}

#[test]
fn without_space_for_the_reserve_there_is_no_ledger_and_no_trace_of_one() {
    let disk = Tmpfs::new("200K");
    fails_with(Ledger::create(&disk.path("run.ledger"), opened()), ErrorKind::StorageFull);
    assert_eq!(fs::read_dir(disk.0.path()).unwrap().count(), 0);
}

#[test]
fn on_a_read_only_disk_nothing_is_begun_and_what_is_there_can_be_read() {
    let disk = Tmpfs::new("2M");
    let path = disk.path("run.ledger");
    let mut ledger = Ledger::create(&path, opened()).unwrap();
    ledger.intend("fault", "target", undo(10)).unwrap();
    drop(ledger);
    let before = fs::read(&path).unwrap();
    disk.mount(&["-o", "remount,ro"]);
    fails_with(Ledger::create(&disk.path("new.ledger"), opened()), ErrorKind::ReadOnlyFilesystem);
    fails_with(Ledger::take_over(&path), ErrorKind::ReadOnlyFilesystem);
    assert_eq!(open(&path), [0]);
    assert!(fs::read(&path).unwrap() == before && !disk.path("new.ledger").exists());
}

#[test]
fn what_is_no_file_is_no_ledger() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("run.ledger");
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
    fails_with(Ledger::take_over(&path), ErrorKind::InvalidInput);
    fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", &path).unwrap();
    assert!(Ledger::take_over(&path).is_err(), "a link was followed");
}
