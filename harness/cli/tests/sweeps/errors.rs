//! Any system call that touches a file fails.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::support::one_fault::{DRDRILL, Run, calls, gone, sample};
use crate::support::strace::{Point, Trace, spread};
use crate::support::struck::{Struck, kinds};
use crate::support::wait::alone;

/// Calls that touch files, directories or descriptors.
const FILE_CALLS: [&str; 18] = [
    "write",
    "writev",
    "pwrite64",
    "sendto",
    "fsync",
    "fdatasync",
    "open",
    "openat",
    "rename",
    "renameat2",
    "mkdir",
    "unlink",
    "unlinkat",
    "ftruncate",
    "fallocate",
    "flock",
    "socket",
    "pipe2",
];
/// Of them, those that fail again and again on a disk that stays full or was taken away.
const DISK_CALLS: [&str; 6] =
    ["pwrite64", "fsync", "fdatasync", "rename", "ftruncate", "fallocate"];

/// Errors that are injected.
const ERRORS: [&str; 5] = ["ENOSPC", "EIO", "EROFS", "EMFILE", "EPIPE"];

/// Whether an injected error kept something from standing in the ledger, or the ledger from being put aside.
fn spoils_the_ledger(call: &str) -> bool {
    let writes =
        ["write(", "pwrite64(", "fsync(", "fdatasync(", "fallocate(", "ftruncate(", "rename("];
    call.contains("/undo/") && writes.iter().any(|write| call.starts_with(write))
}

/// What a run with injected errors must and must not do. Returns whether there was something for `recover`.
#[track_caller]
fn fails_well(struck: &Struck, run: &Run, what: &str) -> bool {
    let outcome = &run.outcome;
    let injected = run.trace.injected();
    // A thread other than the one aimed at may have been hit, at the counter by which threads wake each other. No
    // kernel fails that, and no program can do without it.
    let real = injected.iter().all(|call| !call.contains("anon_inode"));
    let no_panic = outcome.code.is_some_and(|code| code != 101);
    assert!(!real || no_panic && !outcome.stderr.contains("panicked"), "{what}: {outcome:#?}");
    run.the_undo_came_first(struck, what);
    if injected.iter().any(|call| spoils_the_ledger(call)) {
        assert_ne!(outcome.code, Some(0), "{what}: {outcome:#?}");
    }
    if struck.held_by_the_kernel() {
        gone(struck, run, Duration::ZERO, what);
    } else {
        let changed = struck.changed(&run.sandbox);
        // What it left it has to own up to.
        assert!(
            changed.is_empty() || outcome.code == Some(12),
            "{what}: {changed:#?}, {outcome:#?}"
        );
    }
    run.recovers(struck, what)
}

/// The injections of the second sweep: each error at each call that touches a file, once; and on calls that a disk
/// answers also from there on.
fn errors(all: &[(Point, String)]) -> Vec<(String, String)> {
    let mut errors = Vec::new();
    for (Point { call, nth }, text) in all {
        if !FILE_CALLS.contains(&call.as_str()) || text.contains("anon_inode") {
            continue;
        }
        for error in ERRORS {
            errors.push((format!("{call}:error={error}:when={nth}"), text.clone()));
            if DISK_CALLS.contains(&call.as_str()) {
                errors.push((format!("{call}:error={error}:when={nth}+"), text.clone()));
            }
        }
    }
    errors
}

#[test]
fn whichever_system_call_fails_the_undo_is_durable_first_and_nothing_is_left() {
    let _alone = alone();
    for kind in kinds() {
        let struck = Struck::new(kind);
        let all = errors(&calls(&struck));
        let tried = spread(&all, sample(kind));
        let (mut hit, mut failed, mut recovered) = (0, 0, 0);
        for (inject, text) in &tried {
            let what = format!("{kind}, {inject}: {text}");
            let run = Run::of(&struck, std::slice::from_ref(inject));
            hit += u32::from(!run.trace.injected().is_empty());
            failed += u32::from(run.outcome.code != Some(0));
            recovered += u32::from(fails_well(&struck, &run, &what));
        }
        println!(
            "{kind}: {} of {} errors tried, injected {hit}, ended with an error {failed}, open ledgers {recovered}, left after recover 0",
            tried.len(),
            all.len()
        );
    }
}

/// A program that is drdrill under strace.
fn under_strace(dir: &Path, inject: &str, log: &Path) -> PathBuf {
    let program = dir.join("drdrill-under-strace");
    let inject = if inject.is_empty() { String::new() } else { format!("-e inject={inject}") };
    let (log, name) = (log.display(), program.display());
    let script = format!(
        "#!/bin/sh\nexec /usr/bin/strace -f -b execve -y -ttt -s 64 -o {log} {inject} {DRDRILL} \"$@\"\n"
    );
    fs::write(&program, script).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o700)).unwrap();
    assert!(program.exists(), "{name}");
    program
}

/// Kills and errors at the system calls of a helper, which is drdrill as another process.
fn try_helper(kind: &'static str, helper: &str, sample: usize) {
    let struck = Struck::new(kind);
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("helper.log");
    let run = Run::with_pauser(&struck, &[], &under_strace(dir.path(), "", &log));
    assert_eq!(run.outcome.code, Some(0), "{:#?}", run.outcome);
    let mut all = Trace::read(&log).points();
    assert!(!run.recovers(&struck, helper), "{helper}: it leaves nothing");
    // Before a program takes its place a child resets every signal there is, one as harmless as the other.
    all.retain(|(Point { call, nth }, _)| call != "rt_sigaction" || *nth <= 8 || nth % 25 == 0);
    if std::env::var_os("DRDRILL_SWEEP").is_none() {
        // A child that is killed before it becomes the daemon is waited for by each try of the undo, half a minute in all.
        let child = all.iter().position(|(_, text)| text.contains("CLONE_VFORK"));
        all.truncate(child.unwrap_or(all.len()));
    }
    let kills = all.iter().map(|(Point { call, nth }, text)| {
        (format!("{call}:signal=KILL:when={nth}"), text.clone())
    });
    let all: Vec<_> = kills.chain(errors(&all)).collect();
    assert!(all.len() > 20, "{helper}: {all:?}");
    let tried = spread(&all, sample);
    let mut recovered = 0;
    for (inject, text) in &tried {
        let what = format!("{helper}, {inject}: {text}");
        let _ = fs::remove_file(&log);
        let program = under_strace(dir.path(), inject, &log);
        let run = Run::with_pauser(&struck, &[], &program);
        recovered += u32::from(fails_well(&struck, &run, &what));
    }
    println!(
        "{helper}: {} of {} kills and errors tried, open ledgers {recovered}, left after recover 0",
        tried.len(),
        all.len()
    );
}

#[test]
fn a_pauser_that_is_killed_or_fails_at_any_system_call_lets_everything_run_on() {
    let _alone = alone();
    try_helper("process_pause", "pauser", 16);
}

/// Whatever becomes of it, the daemon runs once in the end: by the undo's next try, or by `recover`.
#[test]
fn a_starter_that_is_killed_or_fails_at_any_system_call_starts_once() {
    let _alone = alone();
    try_helper("process_kill", "starter", 5);
}
