//! A ledger in a process that may open no more files, or write no more bytes. One test, because limits are the
//! process's.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs::{self, File};
use std::path::Path;

use drdrill_core::action::Undo;
use drdrill_core::environment::ProcessIdentity;
use drdrill_engine::ledger::{Ledger, LedgerError, Line};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{SigSet, Signal};

fn opened() -> Line {
    Line::Opened {
        run_id: "run".to_owned(),
        environment: "lab".to_owned(),
        harness: ProcessIdentity { node: "harness".to_owned(), pid: 1, start_time: 1 },
        boot_id: "boot".to_owned(),
    }
}

fn undo(text: &str) -> Undo {
    let params = serde_json::json!({ "text": text });
    Undo::Revert { kind: "test".to_owned(), node: "n".to_owned(), params }
}

/// Runs `what` while this process may have no more than `limit` of a resource.
fn under<T>(resource: Resource, limit: u64, what: impl FnOnce() -> T) -> T {
    let (soft, hard) = getrlimit(resource).unwrap();
    setrlimit(resource, limit, hard).unwrap();
    let result = what();
    setrlimit(resource, soft, hard).unwrap();
    result
}

#[track_caller]
fn fails_with<T: std::fmt::Debug>(result: Result<T, LedgerError>, errno: nix::errno::Errno) {
    let error = result.unwrap_err();
    let LedgerError::Io { source, .. } = &error else { panic!("{error}") };
    assert_eq!(source.raw_os_error(), Some(errno as i32), "{error}");
}

#[track_caller]
fn open(path: &Path) -> Vec<String> {
    let contents = Ledger::look(path).unwrap();
    assert_eq!(contents.damaged_inside, 0);
    contents.open().into_iter().map(|intent| intent.target).collect()
}

fn with_no_descriptor_left(dir: &Path) {
    let path = dir.join("descriptors.ledger");
    let mut ledger = Ledger::create(&path, opened()).unwrap();
    // The lowest number that is free is the next one; a limit below it lets nothing be opened.
    let next = std::os::fd::AsRawFd::as_raw_fd(&File::open("/dev/null").unwrap());
    let next = u64::try_from(next).unwrap();
    let new = dir.join("new.ledger");
    // Each number of descriptors with which a new ledger fails, up to the first with which it is made.
    for more in 0.. {
        let made = under(Resource::RLIMIT_NOFILE, next + more, || Ledger::create(&new, opened()));
        match made {
            Ok(ledger) => {
                assert!(more > 0, "it was made without a descriptor");
                drop(ledger);
                break;
            }
            Err(error) => {
                fails_with(Err::<(), _>(error), nix::errno::Errno::EMFILE);
                assert!(!new.exists() && !dir.join("new.new").exists(), "{more} more");
            }
        }
    }
    under(Resource::RLIMIT_NOFILE, next, || {
        fails_with(Ledger::take_over(&new), nix::errno::Errno::EMFILE);
        // What is under way goes on: a ledger that is held needs no descriptor more.
        let one = ledger.intend("fault", "one", undo("a")).unwrap();
        let two = ledger.intend("fault", "two", undo("b")).unwrap();
        ledger.stuck(one, "no").unwrap();
        ledger.reverted(two).unwrap();
    });
    assert_eq!(open(&path), ["one"]);
}

fn with_no_byte_left(dir: &Path) {
    // The signal that comes with the limit would end the process; its error is what matters.
    SigSet::from(Signal::SIGXFSZ).thread_block().unwrap();
    let path = dir.join("bytes.ledger");
    let mut ledger = Ledger::create(&path, opened()).unwrap();
    let one = ledger.intend("fault", "one", undo("a")).unwrap();
    let used = fs::read(&path).unwrap().iter().rposition(|&byte| byte != 0).unwrap();
    let used = u64::try_from(used).unwrap() + 1;
    let big = "b".repeat(2000);
    // A write that is refused at once, and writes that come to an end somewhere in the line.
    for room in [0, 1, 9, 100, 1999] {
        under(Resource::RLIMIT_FSIZE, used + room, || {
            fails_with(ledger.intend("fault", "two", undo(&big)), nix::errno::Errno::EFBIG);
        });
        // Half an intent, for which nothing was done, is no intent.
        assert_eq!(open(&path), ["one"], "{room} bytes of room");
    }
    // The next lines are written over what the failed one left.
    let two = ledger.intend("fault", "two", undo("c")).unwrap();
    assert_eq!(open(&path), ["two", "one"]);
    ledger.reverted(one).unwrap();
    ledger.reverted(two).unwrap();
    drop(ledger);
    let ledger = Ledger::take_over(&path).unwrap();
    assert_eq!((ledger.open(), ledger.contents().damaged_inside), (Vec::new(), 0));
    let new = dir.join("too-big.ledger");
    let made = under(Resource::RLIMIT_FSIZE, 1000, || Ledger::create(&new, opened()));
    fails_with(made, nix::errno::Errno::EFBIG);
    assert!(!new.exists() && !dir.join("too-big.new").exists());
}

#[test]
fn a_ledger_at_the_limits_of_its_process_fails_cleanly_or_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    with_no_descriptor_left(dir.path());
    with_no_byte_left(dir.path());
}
