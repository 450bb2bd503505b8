//! A process that may have only a few files open at once.

use std::process::Command;

use crate::support::place::Place;
use crate::support::sandbox::{Outcome, Sandbox};
use crate::support::strace::{spread, under};
use crate::support::wait::alone;

/// As many as drdrill needs at most to take nothing back.
const ENOUGH_TO_RECOVER: u32 = 16;
/// So many are about enough for a drill of an environment that is there already.
const ENOUGH_TO_DRILL: u32 = 26;

/// A command that may have so many descriptors.
fn limited(command: &Command, descriptors: u32) -> Command {
    under(&["prlimit", &format!("--nofile={descriptors}:{descriptors}")], command)
}

fn outcome(mut command: Command) -> Outcome {
    Outcome::of(&command.output().unwrap())
}

#[track_caller]
fn no_panic(outcome: &Outcome, descriptors: u32) {
    assert!(!matches!(outcome.code, None | Some(1 | 101)), "{descriptors}: {outcome:#?}");
    assert!(!outcome.stderr.contains("panicked"), "{descriptors}: {outcome:#?}");
}

#[test]
fn a_recover_without_descriptors_says_so() {
    let sandbox = Sandbox::new();
    // Fewer than four, and the program does not find its libraries.
    for descriptors in 4..ENOUGH_TO_RECOVER {
        no_panic(&outcome(limited(&sandbox.command("recover"), descriptors)), descriptors);
    }
    outcome(limited(&sandbox.command("recover"), ENOUGH_TO_RECOVER)).exits(0);
}

#[test]
fn a_drill_without_descriptors_is_no_pass_and_leaves_nothing() {
    let _alone = alone();
    let place = Place::new();
    let mut passed = 0;
    // Where it does not begin it ends at once; so most of these are quick.
    for descriptors in spread(&(4..=ENOUGH_TO_DRILL).collect::<Vec<_>>(), 4) {
        let outcome = outcome(under(&place.hub(), &limited(&place.run(), descriptors)));
        no_panic(&outcome, descriptors);
        passed += u32::from(outcome.code == Some(0));
        place.nothing_is_left(&format!("{descriptors} descriptors"));
    }
    println!("descriptors: {passed} drills had enough");
}
