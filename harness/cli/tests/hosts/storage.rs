//! What databases and their backups are stored in, damaged below PostgreSQL.

use std::process::Command;

use crate::support::drill::Drill;
use crate::support::record::record;
use crate::support::undisturbed::undisturbed;
use crate::{DATABASES, all_is_gone, detail, nothing_is_lost, psql, ready, run_of};

/// Writes of the drill, and whether all that there is can be read.
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

#[test]
fn damaged_pages_are_refused_by_the_server_and_every_row_is_there_again_after_the_restore() {
    undisturbed(|| {
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
        drill.says("  done  serve what was restored").says("  done  rebuild the copy");
        drill.says("  soak: ");
        let present = DATABASES.map(|host| {
            let said = psql(&run, host, WRITES);
            said.trim().split(' ').map(|sequence| sequence.parse().unwrap()).collect()
        });
        let outcome = drill.end();
        all_is_gone(&sandbox);
        let record = record(&outcome.exits(0));
        nothing_is_lost(&record, &sandbox, &present);
        let proof = record["faults"][0]["proof"].as_str().unwrap();
        assert!(proof.contains("invalid page in block 0 of relation"), "{proof}");
        let restored = detail(&record, "check what was restored");
        assert!(restored.ends_with("all of them hold together"), "{restored}");
    });
}
