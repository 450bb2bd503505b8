//! Killed at any system call.

use std::path::Path;
use std::time::Duration;

use crate::support::one_fault::{DRDRILL, Run, calls, gone, held_until_killed, recovers, sample};
use crate::support::sandbox::Sandbox;
use crate::support::strace::{Trace, spread, strace};
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

/// A run that was killed while its fault was in effect.
#[track_caller]
fn cut_off(struck: &Struck) -> Sandbox {
    let sandbox = Sandbox::new();
    held_until_killed(struck, &sandbox);
    until(struck.kind, Duration::from_secs(5), || {
        (!struck.changed(&sandbox).is_empty()).then_some(())
    });
    sandbox
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
    for kind in kinds() {
        let struck = Struck::new(kind);
        if struck.held_by_the_kernel() {
            continue;
        }
        let all = recover(&cut_off(&struck), &[]).points();
        let points = spread(&all, sample(kind));
        let mut killed = 0;
        for (point, text) in &points {
            let what = format!("recover of {kind}, killed at {} {}: {text}", point.call, point.nth);
            let sandbox = cut_off(&struck);
            let inject = format!("{}:signal=KILL:when={}", point.call, point.nth);
            killed += u32::from(recover(&sandbox, &[inject]).killed().is_some());
            recovers(&struck, &sandbox, &what);
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
        "site_destruction",
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
