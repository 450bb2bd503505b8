//! The log of backups, damaged. Damaged pages: `faults/tests/postgres/pages.rs`.

use std::collections::BTreeSet;

use crate::hosts::restored::DATABASES;
use crate::support::drill::Drill;
use crate::support::entries::acknowledged;
use crate::support::record::record;
use crate::support::undisturbed::undisturbed;
use crate::{all_is_gone, psql, ready, run_of};

/// Writes of the drill.
const WRITES: &str = "SELECT string_agg(substr(id, 3), ' ') FROM entries WHERE id LIKE 'w-%'";

/// Sequences of the writes that each database has. The standby last: it has what the other has had.
fn present(run: &str) -> [BTreeSet<u64>; 2] {
    DATABASES.map(|host| {
        let said = psql(run, host, WRITES);
        said.trim().split(' ').map(|sequence| sequence.parse().unwrap()).collect()
    })
}

#[test]
fn what_was_acknowledged_behind_a_gap_in_the_log_is_lost_and_counted_as_a_select_says() {
    undisturbed(|| {
        let sandbox = ready();
        let command = "run log_unusable_loses_too_much --env docker --set every=100ms --set soak=8s \
                       --format json";
        let mut drill = Drill::start(sandbox.command(command));
        drill.says("baseline: ").says("recovery: ");
        drill.says("  done  hold the backups").says("  done  verify the backups");
        drill.says("  done  serve what was restored").says("  done  rebuild the copy");
        drill.says("  soak: ");
        let run = run_of(&sandbox);
        let present = present(&run);
        let outcome = drill.end();
        all_is_gone(&sandbox, &run);
        let record = record(&outcome.exits(10));
        let until = present.iter().map(|present| *present.last().unwrap()).min().unwrap() - 10;
        let mut acknowledged = acknowledged(&sandbox);
        acknowledged.retain(|sequence| *sequence <= until);
        let missing = present.each_ref().map(|present| acknowledged.difference(present).count());
        let writes = &record["services"][0]["rpo"]["writes"];
        assert_eq!((&writes["lost"], &writes["corrupt"]), (&missing[0].into(), &0.into()));
        assert!(missing[0] > 0 && missing[0] == missing[1], "{missing:?}");
        let reasons = record["reasons"].to_string();
        assert!(reasons.contains("acknowledged writes lost"), "{reasons}");
        let proof = record["faults"][1]["proof"].as_str().unwrap();
        assert!(proof.contains(", and no more to change "), "{proof}");
        assert_eq!(record["leftovers"], serde_json::Value::Array(Vec::new()));
    });
}
