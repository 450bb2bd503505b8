//! Data that was struck, and is restored.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::support::docker::docker;
use crate::support::drill::Drill;
use crate::support::entries::acknowledged;
use crate::support::record::record;
use crate::support::sandbox::Sandbox;
use crate::support::undisturbed::undisturbed;
use crate::{acknowledged_before_the_fault, all_is_gone, psql, ready, run_of};

/// Rows of a database that are not what was written.
pub(crate) const CHANGED: &str = "SELECT count(*) FROM entries WHERE encode(sha256(convert_to(value, 'UTF8')), 'hex') <> checksum";
/// The databases of both sites.
pub(crate) const DATABASES: [&str; 2] = ["primary-database", "dr-database"];

/// Every write that was acknowledged is in both databases, and so says the record; only what was under way while they were
/// asked is left out.
#[track_caller]
pub(crate) fn nothing_is_lost(record: &Value, sandbox: &Sandbox, present: &[BTreeSet<u64>; 2]) {
    let until = present.iter().map(|present| *present.last().unwrap()).min().unwrap() - 10;
    let mut acknowledged = acknowledged(sandbox);
    acknowledged.retain(|sequence| *sequence <= until);
    let missing = present.each_ref().map(|present| acknowledged.difference(present).count() as u64);
    let writes = &record["services"][0]["rpo"]["writes"];
    let lost = writes["lost"].as_u64().unwrap();
    assert_eq!((missing, lost), ([0, 0], 0), "of {}", acknowledged.len());
    assert_eq!(writes["corrupt"], 0);
    assert_eq!(record["leftovers"], Value::Array(Vec::new()));
    assert_eq!(record["split_brain"], Value::Array(Vec::new()));
}

/// What a step of the record says.
pub(crate) fn detail(record: &Value, name: &str) -> String {
    let steps = record["steps"].as_array().unwrap();
    let step = steps.iter().find(|step| step["name"] == name).unwrap();
    step["detail"].as_str().unwrap().to_owned()
}

#[test]
fn a_table_that_was_dropped_is_there_again_with_every_row_as_a_select_says() {
    undisturbed(|| {
        let sandbox = ready();
        let run = "run accidental_deletion --env docker --set every=100ms --set soak=8s";
        let mut drill = Drill::start(sandbox.command(&format!("{run} --format json")));
        drill.says("baseline: ").says("  in effect: ");
        let run = run_of(&sandbox);
        let gone = "SELECT to_regclass('entries') IS NULL";
        for host in DATABASES {
            assert_eq!(psql(&run, host, gone).trim(), "t", "{host}");
        }
        drill.says("  done  hold the backups").says("  done  verify the backups");
        drill.says("  done  serve what was restored").says("  done  rebuild the copy");
        drill.says("  soak: ");
        // In one question: the drill does not wait for who asks. The standby last: it has what the other has had.
        let all = format!(
            "SELECT ({gone}), (SELECT timeline_id FROM pg_control_checkpoint()), \
             (SELECT string_agg(substr(id, 3), ' ') FROM entries WHERE id LIKE 'w-%')"
        );
        let said = DATABASES.map(|host| psql(&run, host, &all));
        let volumes = ["inspect", "-f", "{{range .Mounts}}{{.Name}} {{end}}"];
        let mounted =
            docker(&[&volumes[..], &[&format!("drdrill-{run}-primary-database")]].concat());
        assert!(mounted.contains(&format!("drdrill-{run}-primary-1-data ")), "{mounted}");
        let present = said.map(|said| {
            let mut words = said.trim().split('|');
            assert_eq!(words.next(), Some("f"), "{said}");
            // A recovery from the archive ends on a history of its own.
            assert!(words.next().unwrap().parse::<u32>().unwrap() > 1, "{said}");
            let sequences = words.next().unwrap().split(' ');
            sequences.map(|sequence| sequence.parse().unwrap()).collect::<BTreeSet<u64>>()
        });
        let outcome = drill.end();
        all_is_gone(&sandbox, &run);
        let record = record(&outcome.exits(0));
        let before = acknowledged_before_the_fault(&sandbox);
        assert!(before.len() > 20, "{}", before.len());
        assert_eq!(before.difference(&present[0]).count(), 0);
        nothing_is_lost(&record, &sandbox, &present);
        let restore = detail(&record, "restore");
        assert!(restore.contains(" drops entries; 0 entries of later ones"), "{restore}");
    });
}
