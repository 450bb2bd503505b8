//! Zones against trying every order: never a disagreement.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::cast_precision_loss, reason = "small numbers of random histories")]

#[path = "support/exhaustive.rs"]
mod exhaustive;
#[path = "support/random.rs"]
mod random;

use drdrill_core::time::At;
use drdrill_core::verdict::Verdict;
use drdrill_histories::{Access, Operation, Outcome, Registers};

#[test]
fn zones_and_trying_every_order_agree() {
    let mut histories = random::Histories::new(random::seed());
    let (mut passed, mut failed, mut unknown) = (0, 0, 0);
    for _ in 0..10_000 {
        let (mut history, honest) = histories.small();
        histories.shuffle(&mut history);
        let linearizable = exhaustive::is_linearizable(&history);
        assert!(linearizable || !honest, "a register answered this: {history:#?}");
        match Registers::judge(&history).verdict() {
            Verdict::Pass => {
                assert!(linearizable, "zones passed {history:#?}");
                passed += 1;
            }
            Verdict::Fail => {
                assert!(!linearizable, "zones failed {history:#?}");
                failed += 1;
            }
            // Nothing was read: whatever happened is fine.
            Verdict::Unknown => {
                assert!(linearizable, "{history:#?}");
                unknown += 1;
            }
        }
    }
    println!("{passed} linearizable, {failed} not, {unknown} without a read");
    assert!(passed > 2_000 && failed > 1_500 && unknown > 100, "the histories have no variety");
}

#[test]
fn the_exhaustive_checker_knows_a_stale_read() {
    let one = |access, sent, done| Operation {
        process: 0,
        key: 0,
        access,
        sent: At(sent),
        done: At(done),
        outcome: Outcome::Ok,
    };
    let stale = [
        one(Access::Write(1), 0, 1),
        one(Access::Write(2), 2, 3),
        one(Access::Read(Some(1)), 4, 5),
    ];
    assert!(!exhaustive::is_linearizable(&stale));
    assert!(exhaustive::is_linearizable(&stale[..2]));
    let mut timed_out = stale;
    timed_out[1].outcome = Outcome::Indeterminate;
    assert!(exhaustive::is_linearizable(&timed_out));
}
