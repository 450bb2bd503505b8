//! A process that may have only a few files open at once.

use std::process::Command;

use crate::support::place::Place;
use crate::support::sandbox::{Outcome, Sandbox};
use crate::support::strace::{spread, under};
use crate::support::wait::alone;

/// As many as drdrill needs at most to take nothing back.
const ENOUGH_TO_RECOVER: u32 = 16;
/// With fewer a drill does not begin: the three that everybody has, and twenty.
const LEAST_TO_DRILL: u32 = 23;
/// So many are about enough for a drill of an environment that is there already.
const ENOUGH_TO_DRILL: u32 = 34;

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
fn a_drill_that_may_not_open_enough_files_says_how_many_it_may() {
    let sandbox = Sandbox::new();
    for descriptors in 4..LEAST_TO_DRILL {
        let refused = outcome(limited(&sandbox.command("run no_op"), descriptors)).exits(13);
        let said = format!(
            "drdrill: this process may have only {descriptors} files open at once (EMFILE), and a drill needs 20 more \
             than are open: raise the limit (ulimit -n)\n"
        );
        assert_eq!(refused.stderr, said);
        assert!(!sandbox.state.exists());
    }
}

#[test]
fn a_drill_without_descriptors_is_no_pass_and_leaves_nothing() {
    let _alone = alone();
    let place = Place::new();
    let mut passed = 0;
    for descriptors in spread(&(LEAST_TO_DRILL..=ENOUGH_TO_DRILL).collect::<Vec<_>>(), 4) {
        let outcome = outcome(under(&place.hub(), &limited(&place.run(), descriptors)));
        no_panic(&outcome, descriptors);
        passed += u32::from(outcome.code == Some(0));
        place.nothing_is_left(&format!("{descriptors} descriptors"));
    }
    println!("descriptors: {passed} drills had enough");
}
