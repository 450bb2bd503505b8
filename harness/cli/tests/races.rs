//! Eight drills want the same environment at once: one runs, and each of the others is told at once who does.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support {
    pub(crate) mod drill;
    pub(crate) mod number;
    pub(crate) mod quick;
    pub(crate) mod sandbox;
    pub(crate) mod wait;
    pub(crate) mod world;
}

use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use support::drill::Drill;
use support::number::number_of;
use support::quick::quick;
use support::sandbox::{Outcome, Sandbox};
use support::wait::{alone, until};
use support::world::nothing_is_left;

/// Races, unless `DRDRILL_RACES` says otherwise.
const RACES: u64 = 20;
/// Source: undo-and-security goals, R8.
const CONTENDERS: usize = 8;

/// Starts all of them; returns the winner and how the others ended, each with the time from its start to its end.
fn race(sandbox: &Sandbox, run: &str) -> (u32, Vec<(Duration, Outcome)>) {
    let mut command = sandbox.command(run);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let start = |_| (Instant::now(), command.spawn().unwrap());
    let mut running: Vec<(Instant, Child)> = (0..CONTENDERS).map(start).collect();
    let mut losers = Vec::new();
    until("all but one have ended", Duration::from_secs(10), || {
        for (began, mut child) in std::mem::take(&mut running) {
            if child.try_wait().unwrap().is_none() {
                running.push((began, child));
            } else {
                let took = began.elapsed();
                losers.push((took, Outcome::of(&child.wait_with_output().unwrap())));
            }
        }
        (running.len() <= 1).then_some(())
    });
    let (_, mut winner) = running.pop().unwrap_or_else(|| panic!("nobody won: {losers:#?}"));
    let pid = winner.id();
    winner.kill().unwrap();
    winner.wait().unwrap();
    (pid, losers)
}

#[test]
fn of_eight_drills_one_runs_and_the_others_are_told_who_does() {
    let _alone = alone();
    let sandbox = Sandbox::new();
    let run = quick(&sandbox);
    let races = number_of("DRDRILL_RACES").unwrap_or(RACES);
    let mut slowest = Duration::ZERO;
    for _ in 0..races {
        let (winner, losers) = race(&sandbox, &run);
        for (took, loser) in losers {
            let loser = loser.exits(16);
            let by = format!("(process {winner}) since ");
            assert!(loser.stderr.contains("environment lab is in use: run "), "{loser:#?}");
            assert!(loser.stderr.contains(&by), "{winner}: {loser:#?}");
            slowest = slowest.max(took);
        }
        nothing_is_left(&sandbox);
    }
    println!("{races} races of {CONTENDERS}: one winner each; slowest loser {slowest:?}");
}

#[test]
fn who_comes_late_is_told_at_once() {
    let _alone = alone();
    let sandbox = Sandbox::new();
    let run = quick(&sandbox);
    let mut drill = Drill::start(sandbox.command(&run));
    drill.says("baseline: ");
    let began = Instant::now();
    let refused = sandbox.run(&run).exits(16);
    println!("refused after {:?}", began.elapsed());
    assert!(began.elapsed() < Duration::from_secs(1), "{refused:#?}");
    drill.signal(Signal::SIGKILL);
    drill.end();
    nothing_is_left(&sandbox);
}
