//! Restores from backups: what drdrill says of them is what an independent reader of the files finds.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support {
    pub(crate) mod restored;
    pub(crate) mod sandbox;
    pub(crate) mod undisturbed;
    pub(crate) mod wait;
    pub(crate) mod world;
}

use std::fs;
use std::sync::LazyLock;

use serde_json::Value;
use sha2::{Digest, Sha256};
use support::restored::{ENVIRONMENT, Entries, Ran};
use support::sandbox::Sandbox;
use support::undisturbed::undisturbed;

static CORRUPTED: LazyLock<Ran> = LazyLock::new(|| Ran::new("data_corruption", 0));
static DROPPED: LazyLock<Ran> = LazyLock::new(|| Ran::new("accidental_deletion", 0));
static UNUSABLE: LazyLock<Ran> = LazyLock::new(|| Ran::new("backup_unusable", 0));

/// What is true of every restore that succeeded.
#[track_caller]
fn restored(ran: &Ran) {
    assert!(ran.outcome.stderr.contains("restore (full-"), "{:#?}", ran.outcome);
    let (record, writes) = (ran.record(), ran.writes());
    assert_eq!(record["verdict"], "pass");
    let acknowledged = ran.acknowledged();
    assert_eq!(writes["acknowledged"], acknowledged.len());
    for site in ["primary", "dr"] {
        let entries = Entries::of(&ran.kept(site).join("site.db")).unwrap();
        assert!(entries.is_clean(), "{site}: {entries:?}");
        let lost = acknowledged.difference(&entries.intact).count();
        if site == "primary" {
            assert_eq!(writes["lost"], lost, "{writes}");
            assert_eq!(writes["corrupt"], entries.corrupt.len(), "{writes}");
        }
    }
    // Writers were fenced and the last changes backed up, so nothing that was acknowledged is lost.
    assert_eq!(writes["lost"], 0, "{writes}");
    assert_eq!(ran.step("back up the last changes").0, "done");
    let order = [
        "fence the writers",
        "back up the last changes",
        "hold the backups",
        "verify the backups",
        "make an empty target",
        "restore",
        "check what was restored",
        "serve what was restored",
        "see that it serves",
        "send the traffic there",
        "take backups again",
        "rebuild the copy",
        "wait for the copy",
    ];
    let names: Vec<&str> = record["steps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| step["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, order);
    assert_eq!(record["split_brain"], Value::Array(Vec::new()));
    assert_eq!(record["leftovers"], Value::Array(Vec::new()));
    // The service was away from the fault until somebody had looked twice.
    let rto = &record["services"][0]["rto"];
    assert!(rto["at_least_ms"].as_f64().unwrap() > 500.0, "{rto}");
    assert!(rto["at_most_ms"].as_f64().unwrap() >= rto["at_least_ms"].as_f64().unwrap());
}

/// The restore point that was used is the newest one that an independent reader finds clean, and each newer one was
/// passed over with a reason.
#[track_caller]
fn walked_back(ran: &Ran) -> usize {
    let (outcome, detail) = ran.step("verify the backups");
    assert_eq!(outcome, "done", "{detail}");
    let used = detail.split(" is clean").next().unwrap().to_owned();
    assert!(ran.step("restore").1.starts_with(&format!("{used} into primary-1: ")));
    let backups = ran.backups();
    let place = backups.iter().position(|(name, _)| *name == used).unwrap();
    assert!(backups[place].1.as_ref().unwrap().is_clean(), "{used}");
    let mut passed_over = 0;
    for (name, entries) in &backups[..place] {
        // Those that were taken after the restore were not there to be looked at.
        if detail.contains(&format!("{name}: ")) {
            passed_over += 1;
        } else {
            assert!(entries.as_ref().unwrap().is_clean(), "{name}: {detail}");
        }
    }
    passed_over
}

#[test]
fn changed_rows_are_restored_from_the_last_backup_before_them() {
    let ran = &*CORRUPTED;
    restored(ran);
    let passed_over = walked_back(ran);
    assert!(
        passed_over > 0,
        "no backup was taken of the changed rows: {:?}",
        ran.step("verify the backups")
    );
    let detail = ran.step("verify the backups").1;
    assert!(detail.contains("entries are not what was written"), "{detail}");
    let contaminated: Vec<_> = ran
        .backups()
        .into_iter()
        .filter(|(_, entries)| !entries.as_ref().unwrap().is_clean())
        .collect();
    assert_eq!(contaminated.len(), passed_over, "{detail}");
    for (name, entries) in contaminated {
        let entries = entries.unwrap();
        // 20 rows, and the oldest of them is the landmark.
        assert!(entries.landmark_is_corrupt && entries.corrupt.len() == 19, "{name}: {entries:?}");
    }
}

#[test]
fn the_undo_puts_the_struck_rows_back_and_leaves_the_restored_ones_alone() {
    for ran in [&*CORRUPTED, &*DROPPED, &*UNUSABLE] {
        for (volume, site) in [("primary-0", "primary"), ("dr-0", "dr")] {
            let struck = Entries::of(&ran.kept("detached").join(volume).join("site.db")).unwrap();
            assert!(struck.is_clean(), "{volume}: {struck:?}");
            // What was written after the restore is on the restored volume alone.
            let now = Entries::of(&ran.kept(site).join("site.db")).unwrap();
            assert!(now.intact.len() > struck.intact.len(), "{volume}");
        }
    }
}

#[test]
fn a_dropped_table_is_restored() {
    let ran = &*DROPPED;
    restored(ran);
    walked_back(ran);
    let proof = ran.record()["faults"][0]["proof"].as_str().unwrap().to_owned();
    assert!(proof.contains("no such table"), "{proof}");
}

#[test]
fn a_backup_that_was_cut_short_is_passed_over() {
    let ran = &*UNUSABLE;
    restored(ran);
    assert!(walked_back(ran) > 0);
    let detail = ran.step("verify the backups").1;
    let proof = ran.record()["faults"][1]["proof"].as_str().unwrap().to_owned();
    let damaged = proof.split(" is unusable").next().unwrap().to_owned();
    assert!(detail.contains(&format!("{damaged}: ")) && detail.contains("SHA-256"), "{detail}");
    // Taken back: the file is what its description says again.
    let path = ran.kept("backups/primary").join(&damaged);
    let said: Value =
        serde_json::from_slice(&fs::read(path.with_extension("json")).unwrap()).unwrap();
    let sum = hex::encode(Sha256::digest(fs::read(path.with_extension("db")).unwrap()));
    assert_eq!(said["sha256"], sum);
}

#[test]
fn corrupt_rows_that_nobody_restores_are_counted() {
    let ran = Ran::new("data_corruption_nobody_restores --set give_up_after=3s", 10);
    let record = ran.record();
    assert_eq!(record["services"][0]["rto"]["at_most_ms"], Value::Null);
    // 20 rows, and the oldest of them is the landmark, which is no write of the drill.
    assert_eq!(ran.writes()["corrupt"], 19);
    assert_eq!(ran.writes()["lost"], 0);
    let reasons = record["reasons"].to_string();
    assert!(reasons.contains("19 writes are present with other content"), "{reasons}");
    // The undo has put them back since.
    assert!(Entries::of(&ran.kept("primary/site.db")).unwrap().is_clean());
}

#[test]
fn a_dropped_table_that_nobody_restores_fails() {
    let ran = Ran::new("accidental_deletion_nobody_restores --set give_up_after=3s", 10);
    assert_eq!(ran.record()["services"][0]["rto"]["at_most_ms"], Value::Null);
    let entries = Entries::of(&ran.kept("primary/site.db")).unwrap();
    assert!(entries.is_clean(), "{entries:?}");
}

#[test]
fn without_a_usable_backup_nothing_is_restored_and_the_reason_is_said() {
    let ran = Ran::new("every_backup_unusable", 10);
    let (outcome, detail) = ran.step("verify the backups");
    assert_eq!(outcome, "failed");
    assert!(detail.contains("no restore point is usable"), "{detail}");
    for (name, _) in ran.backups() {
        // Those that were taken after the plan was rolled back were not there to be looked at.
        let damaged = ran.record()["faults"][1]["proof"].as_str().unwrap().contains(&name);
        assert!(!damaged || detail.contains(&format!("{name}: ")), "{name}: {detail}");
    }
    assert!(!ran.kept("detached").exists(), "no other volume was ever attached");
    let rolled_back = ran.record()["steps"]
        .as_array()
        .unwrap()
        .iter()
        .any(|step| step["name"] == "hold the backups" && step["rolled_back"] == true);
    assert!(rolled_back, "{:#?}", ran.record()["steps"]);
}

#[test]
fn a_state_that_is_too_old_is_not_restored() {
    let scenario = "\
scenario: stale
title: Backups stopped long before rows are deleted
kind: simulated
faults:
  - at: 1s
    inject: { process_kill: { on: primary, component: backup } }
  - at: 7s
    inject: { data_deletion: { on: primary, rows: 5 } }
recovery: { failover: none, restore: { max_age: 3s, check_every: 500ms }, give_up_after: 8s }
soak: 100ms
";
    let ran = undisturbed(|| {
        let sandbox = Sandbox::new();
        fs::write(sandbox.path("stale.yaml"), scenario).unwrap();
        let environment = ENVIRONMENT.replace("step_timeout: 1min", "step_timeout: 2s");
        fs::write(sandbox.path("env.yaml"), environment).unwrap();
        Ran::of(sandbox, "run stale.yaml --env env.yaml", 10)
    });
    // The backups do not have the last changes, and never will.
    assert_eq!(ran.step("back up the last changes").0, "skipped");
    let (outcome, detail) = ran.step("verify the backups");
    assert_eq!(outcome, "failed");
    assert!(detail.contains(" old, and 3s is the limit"), "{detail}");
}

#[test]
fn backups_in_a_directory_are_verified_and_restored() {
    let ran = &*CORRUPTED;
    let sandbox = &ran.sandbox;
    let copy = sandbox.path("copy");
    fs::create_dir(&copy).unwrap();
    for entry in fs::read_dir(ran.kept("backups/primary")).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, copy.join(path.file_name().unwrap())).unwrap();
    }
    let good = sandbox.run("backup verify copy");
    let restored = sandbox.run("restore copy --to restored.db").exits(0);
    assert!(restored.stdout.contains("restored into restored.db: change "), "{restored:?}");
    assert!(Entries::of(&sandbox.path("restored.db")).unwrap().is_clean());
    let again = sandbox.run("restore copy --to restored.db").exits(13);
    assert!(again.stderr.contains("is not empty"), "{again:?}");
    // The newest one is damaged: said, with the reason, and the one before it is used.
    let newest = &ran.backups()[0].0;
    let full = copy.join(newest).with_extension("db");
    let mut bytes = fs::read(&full).unwrap();
    bytes[100] ^= 1;
    fs::write(&full, bytes).unwrap();
    let bad = sandbox.run("backup verify copy").exits(10);
    assert!(bad.stdout.contains(&format!("{newest} is not usable: ")), "{bad:?}");
    assert!(bad.stdout.contains("SHA-256"), "{bad:?}");
    assert!(bad.stdout.contains("3-2-1 rule: 2 copies"), "{good:?} {bad:?}");
    let old = sandbox.run("backup verify copy --max-age 1ms --format json").exits(10);
    let old: Value = serde_json::from_str(&old.stdout).unwrap();
    assert_eq!(old["directories"][0]["clean"], Value::Null, "{old}");
    sandbox.run("backup verify nowhere").exits(13);
}
