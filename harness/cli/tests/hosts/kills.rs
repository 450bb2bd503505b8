//! drdrill killed at any moment, and what the engine has afterwards.

use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::drill::Drill;
use crate::support::engine_at::EngineAt;
use crate::support::wait::{alone, until};
use crate::support::world::{LEFT, processes};
use crate::{REMOVED, all_stays_gone, of_engine, ready, run_of};

#[test]
fn killed_at_any_moment_no_container_network_or_volume_is_left() {
    let _alone = alone();
    // The first is while networks and the first containers are made. The keeper alone after a fault: `hosts::network`.
    for (moment, after, signal, keeper_too) in [
        ("drdrill 0", 0, Signal::SIGKILL, false),
        ("drdrill 0", 700, Signal::SIGKILL, true),
        ("drdrill 0", 1900, Signal::SIGINT, false),
        ("  closing", 300, Signal::SIGKILL, false),
        // While one volume is changed for another.
        ("  done  check what was restored", 500, Signal::SIGKILL, true),
    ] {
        let sandbox = ready();
        // Whoever comes afterwards has nothing but the ledger to tell them where the engine is.
        let engine = EngineAt::new(&sandbox.path("engine.sock"));
        let restores = moment.contains(" done ");
        let mut command = sandbox.command(if restores {
            "run accidental_deletion --env docker --set every=100ms"
        } else {
            "run complete_site_failure --env docker --set soak=1s --set failback=none"
        });
        command.env("DOCKER_HOST", engine.address());
        let mut drill = Drill::start(command);
        let asked_by = drill.pid().as_raw();
        if moment == "  closing" || restores {
            drill.says("  in effect: ");
        }
        drill.says(moment);
        let run = run_of(&sandbox);
        if moment == "drdrill 0" {
            // Something is there that has to go.
            until("something of the run is there", REMOVED, || {
                (!of_engine(&run).is_empty()).then_some(())
            });
        }
        // Not a wait for anything: so long after the moment it is struck.
        thread::sleep(Duration::from_millis(after));
        if keeper_too {
            let found = processes(&sandbox.state);
            let keepers = found.iter().filter(|(_, what)| what.contains(" keeper "));
            for (pid, _) in keepers {
                kill(Pid::from_raw(*pid), Signal::SIGKILL).unwrap();
            }
        }
        drill.signal(signal);
        drill.end();
        if keeper_too {
            let outcome = sandbox.run("recover");
            assert_eq!(outcome.code, Some(0), "{LEFT} of {run} at {moment}: {outcome:#?}");
        }
        all_stays_gone(&sandbox, &run);
        let others = engine.clients().into_iter().filter(|&client| client != asked_by).count();
        assert!(
            signal != Signal::SIGKILL || others > 0,
            "{moment}: it was another engine that was asked"
        );
    }
}
