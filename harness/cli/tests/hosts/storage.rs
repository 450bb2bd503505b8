//! What databases and their backups are stored in, damaged below PostgreSQL.

use std::collections::BTreeSet;
use std::process::Command;

use crate::hosts::restored::{DATABASES, detail, nothing_is_lost};
use crate::support::among::unhurried;
use crate::support::drill::Drill;
use crate::support::entries::acknowledged;
use crate::support::record::record;
use crate::{all_is_gone, psql, ready, run_of};

/// Writes of the drill.
const WRITES: &str = "SELECT string_agg(substr(id, 3), ' ') FROM entries WHERE id LIKE 'w-%'";

/// Why the database of a host does not answer.
#[track_caller]
fn error_of(run: &str, host: &str, sql: &str) -> String {
    let container = format!("drdrill-{run}-{host}");
    let psql = ["psql", "-h", "/tmp", "-U", "postgres", "-XAtc", sql, "store"];
    let output = Command::new("docker").args(["exec", &container]).args(psql).output().unwrap();
    assert!(!output.status.success(), "{output:?}");
    String::from_utf8(output.stderr).unwrap()
}

/// Sequences of the writes that each database has. The standby last: it has what the other has had.
fn present(run: &str) -> [BTreeSet<u64>; 2] {
    DATABASES.map(|host| {
        let said = psql(run, host, WRITES);
        said.trim().split(' ').map(|sequence| sequence.parse().unwrap()).collect()
    })
}

#[test]
fn damaged_pages_are_refused_by_the_server_and_every_row_is_there_again_after_the_restore() {
    unhurried(|| {
        let sandbox = ready();
        let command =
            "run page_corruption --env docker --set every=100ms --set soak=8s --format json";
        let mut drill = Drill::start(sandbox.command(command));
        drill.says("baseline: ").says("  in effect: ");
        let run = run_of(&sandbox);
        let error = error_of(&run, "primary-database", WRITES);
        assert!(error.contains("invalid page in block 0 of relation"), "{error}");
        // Replication carries rows, and no damage of a disk.
        psql(&run, "dr-database", WRITES);
        drill.says("  done  hold the backups").says("  done  verify the backups");
        drill.says("  done  serve what was restored").says("  done  rebuild the copy");
        drill.says("  soak: ");
        let present = present(&run);
        let outcome = drill.end();
        all_is_gone(&sandbox, &run);
        let record = record(&outcome.exits(0));
        nothing_is_lost(&record, &sandbox, &present);
        let proof = record["faults"][0]["proof"].as_str().unwrap();
        assert!(proof.contains("invalid page in block 0 of relation"), "{proof}");
        let restored = detail(&record, "check what was restored");
        assert!(restored.ends_with("all of them hold together"), "{restored}");
    });
}

#[test]
fn what_was_acknowledged_behind_a_gap_in_the_log_is_lost_and_counted_as_a_select_says() {
    unhurried(|| {
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
