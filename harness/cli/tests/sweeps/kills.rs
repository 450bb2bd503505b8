//! Killed at any system call.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::support::one_fault::{DRDRILL, Run, calls, gone, sample};
use crate::support::sandbox::Sandbox;
use crate::support::strace::{Point, Trace, spread, strace};
use crate::support::struck::{Struck, kinds};
use crate::support::wait::{alone, until};

/// What the kernel holds is gone so long after the harness was killed.
///
/// Source: undo-and-security goals, R1.
const KERNEL: Duration = Duration::from_millis(250);

#[test]
fn killed_at_any_system_call_it_leaves_nothing_behind() {
    let _alone = alone();
    let mut late = Vec::new();
    for kind in kinds() {
        let struck = Struck::new(kind);
        let all = calls(&struck);
        let points = spread(&all, sample(kind));
        let (mut killed, mut broken, mut recovered) = (0, 0, 0);
        let mut slowest = Duration::ZERO;
        for (point, text) in &points {
            let what = format!("{kind}, killed at {} {}: {text}", point.call, point.nth);
            let run = Run::of(&struck, &[format!("{}:signal=KILL:when={}", point.call, point.nth)]);
            run.the_undo_came_first(&struck, &what);
            // A run may make fewer calls than the one before.
            if let Some(when) = run.trace.killed() {
                killed += 1;
                if struck.held_by_the_kernel() {
                    let took = gone(&struck, &run, when, &what);
                    slowest = slowest.max(took);
                    if took > KERNEL {
                        late.push(format!("{what}: {took:?}"));
                    }
                } else {
                    broken += u32::from(!struck.changed(&run.sandbox).is_empty());
                }
            }
            recovered += u32::from(run.recovers(&struck, &what));
        }
        let took = if struck.held_by_the_kernel() {
            format!(", by the kernel within {slowest:?}")
        } else {
            String::new()
        };
        println!(
            "{kind}: {} of {} system calls tried, killed at {killed}, broken before recover {broken}, open ledgers {recovered}, left after it 0{took}",
            points.len(),
            all.len()
        );
    }
    assert!(late.is_empty(), "not gone within {KERNEL:?}: {late:#?}");
}

/// A run that was killed when its fault was in effect, at the first of these calls at which it is. strace counts calls by
/// thread, so that one of another thread may be hit earlier; those that were found not to do are left out next time.
#[track_caller]
fn cut_off(struck: &Struck, calls: &mut &[(Point, String)]) -> Run {
    loop {
        let [(last, _), later @ ..] = *calls else { panic!("{}: never broken", struck.kind) };
        let run = Run::of(struck, &[format!("{}:signal=KILL:when={}", last.call, last.nth)]);
        // A process that was killed takes a moment to be gone.
        let give_up = Instant::now() + Duration::from_secs(if later.is_empty() { 5 } else { 1 });
        while Instant::now() < give_up {
            if !struck.changed(&run.sandbox).is_empty() {
                return run;
            }
        }
        *calls = later;
    }
}

/// `recover` under strace.
fn recover(sandbox: &Sandbox, inject: &[String]) -> Trace {
    let mut command = sandbox.program(Path::new(DRDRILL));
    command.arg("recover");
    let log = sandbox.path("recover.log");
    strace(&[], &["-f", "-b", "execve", "-y"], &command, inject, &log).1
}

#[test]
fn a_recover_killed_at_any_system_call_is_finished_by_the_next() {
    let _alone = alone();
    let mut journalled = vec![
        "site_loss",
        "network_down",
        "site_partition",
        "storage_read_only",
        "process_kill",
        "network_delay",
    ];
    // Their calls are spread over threads in another way each time, so that it takes long to hit the right one.
    if std::env::var_os("DRDRILL_SWEEP").is_some() {
        journalled.extend(["data_corruption", "data_deletion"]);
    }
    for kind in kinds().into_iter().filter(|kind| journalled.contains(kind)) {
        let struck = Struck::new(kind);
        let calls = calls(&struck);
        let undo = calls.iter().position(|(_, text)| struck.is_undo(text));
        let until_undo = &calls[..undo.unwrap_or(calls.len())];
        let effect = until_undo.iter().rposition(|(_, text)| struck.is_effect(text)).unwrap();
        let mut in_effect = &until_undo[effect + 1..];
        let all = recover(&cut_off(&struck, &mut in_effect).sandbox, &[]).points();
        let points = spread(&all, sample(kind));
        let mut killed = 0;
        for (point, text) in &points {
            let what = format!("recover of {kind}, killed at {} {}: {text}", point.call, point.nth);
            let run = cut_off(&struck, &mut in_effect);
            let inject = format!("{}:signal=KILL:when={}", point.call, point.nth);
            killed += u32::from(recover(&run.sandbox, &[inject]).killed().is_some());
            run.recovers(&struck, &what);
        }
        let (tried, all) = (points.len(), all.len());
        println!(
            "recover of {kind}: {tried} of {all} system calls tried, killed at {killed}, left after the next 0"
        );
    }
}

/// The look at the world that the sweeps rely on.
#[test]
fn what_is_not_as_before_is_seen() {
    for kind in [
        "process_kill",
        "disk_full",
        "data_corruption",
        "backup_damage",
        "iptables",
        "network_delay",
    ] {
        let (struck, sandbox) = (Struck::new(kind), Sandbox::new());
        assert_eq!(struck.changed(&sandbox), Vec::<String>::new());
        struck.spoil();
        until(kind, Duration::from_secs(5), || {
            (!struck.changed(&sandbox).is_empty()).then_some(())
        });
    }
}
