//! Two drills beside each other.

use crate::support::drill::Drill;
use crate::support::undisturbed::undisturbed;
use crate::{all_is_gone, ready, run_of};

#[test]
fn a_drill_does_not_notice_that_another_one_loses_a_site() {
    undisturbed(|| {
        let (loses, watches) = (ready(), ready());
        let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scenarios/no_op.yaml");
        let text = std::fs::read_to_string(shipped).unwrap();
        let longer = text.replace("samples: 1 }", "samples: 300 }");
        assert_ne!(text, longer);
        std::fs::write(watches.path("watch.yaml"), longer).unwrap();
        // Two environments that are asked 200 times a second are more than two processors have time for.
        let run = "run complete_site_failure --env docker --set failback=none --set soak=1s --set every=100ms";
        let mut losing = Drill::start(loses.command(run));
        let watch = "run watch.yaml --env docker --set every=100ms";
        let mut watching = Drill::start(watches.command(watch));
        // Both are up before the site is lost: to bring one up takes what the other one would be measured by.
        watching.says("baseline: ");
        losing.says("  in effect: ");
        let (lost, other) = (run_of(&loses), run_of(&watches));
        let record = watches.state.join("runs").join(&other).join("record.json");
        assert!(!record.exists(), "it has ended before the other site was lost");
        let codes = [losing.end().code, watching.end().code];
        all_is_gone(&loses, &lost);
        all_is_gone(&watches, &other);
        assert_eq!(codes, [Some(0), Some(0)]);
    });
}
