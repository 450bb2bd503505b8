//! Systems of which only the backups are left: what drdrill says of them is what an independent reader of the files finds.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support {
    pub(crate) mod restored;
    pub(crate) mod sandbox;
    pub(crate) mod undisturbed;
    pub(crate) mod wait;
    pub(crate) mod world;
}

use serde_json::Value;
use support::restored::{Entries, Ran};
use support::sandbox::Sandbox;

/// Logs of the backups are a second apart; the rest is for a machine that is busy.
const NO_OLDER_MS: f64 = 10_000.0;

#[test]
fn from_backups_alone_both_sites_are_built_anew_and_the_loss_is_what_came_after_the_last_log() {
    let ran = Ran::new("complete_infrastructure_loss", 0);
    assert!(ran.outcome.stderr.contains("provision the site"), "{:#?}", ran.outcome);
    let (record, writes) = (ran.record(), ran.writes());
    let acknowledged = ran.acknowledged();
    let now = Entries::of(&ran.kept("primary/site.db")).unwrap();
    let copy = Entries::of(&ran.kept("dr/site.db")).unwrap();
    assert!(now.is_clean() && copy.is_clean(), "{now:?} {copy:?}");
    let lost: Vec<u64> = acknowledged.difference(&now.intact).copied().collect();
    assert_eq!(
        (&writes["acknowledged"], &writes["lost"]),
        (&acknowledged.len().into(), &lost.len().into())
    );
    // What the sites had is put back where it was, beside what is new: all that was acknowledged until then is there.
    let before = Entries::of(&ran.kept("detached/primary-0/site.db")).unwrap();
    assert!(before.is_clean(), "{before:?}");
    assert!(lost.iter().all(|sequence| before.intact.contains(sequence)), "{lost:?}");
    // The loss is the end of what was there, without holes, and as old as the record says.
    let survived = before.intact.intersection(&now.intact).max().copied();
    assert!(lost.iter().all(|sequence| Some(*sequence) > survived), "{lost:?} {survived:?}");
    let rpo = &record["services"][0]["rpo"];
    assert!(rpo["at_most_ms"].as_f64().unwrap() < NO_OLDER_MS, "{rpo}");
    assert_eq!(rpo["holes"], 0, "{rpo}");
    for fault in record["faults"].as_array().unwrap() {
        let proof = fault["proof"].as_str().unwrap();
        assert!(
            proof.contains("nothing is at ") && proof.contains("6 proxies are down"),
            "{proof}"
        );
        let gateway = format!("{}/gateway (pid ", fault["target"].as_str().unwrap());
        assert!(proof.contains(&gateway), "{proof}");
        assert!(fault["reverted_ms"].is_number(), "{fault}");
    }
    for (name, outcome) in [
        ("fence the writers", "skipped"),
        ("back up the last changes", "skipped"),
        ("verify the backups", "done"),
        ("provision the site", "done"),
        ("make an empty target", "done"),
        ("serve what was restored", "done"),
        ("provision the other site", "done"),
        ("rebuild the copy", "done"),
        ("wait for the copy", "done"),
    ] {
        let (was, detail) = ran.step(name);
        assert_eq!(was, outcome, "{name}: {detail}");
    }
    assert_eq!(record["leftovers"], Value::Array(Vec::new()));
    assert_eq!(record["split_brain"], Value::Array(Vec::new()));
}

#[test]
fn without_backups_nothing_is_built_and_what_was_destroyed_is_put_back() {
    let ran = Ran::new("infrastructure_lost_with_its_backups", 10);
    let reasons = ran.record()["reasons"].to_string();
    assert!(reasons.contains("there is no backup"), "{reasons}");
    assert_eq!(ran.record()["services"][0]["rto"]["at_most_ms"], Value::Null);
    let steps = ran.record()["steps"].clone();
    let steps = steps.as_array().unwrap();
    assert!(steps.iter().all(|step| step["name"] != "provision the site"), "{steps:#?}");
    let acknowledged = ran.acknowledged();
    let entries = Entries::of(&ran.kept("primary/site.db")).unwrap();
    assert!(entries.is_clean() && acknowledged.is_subset(&entries.intact), "{entries:?}");
    assert!(!ran.backups().is_empty());
}

#[test]
fn explain_says_what_is_destroyed_and_how_it_is_built_anew() {
    let explained = Sandbox::new().run("explain complete_infrastructure_loss").exits(0).stdout;
    let words = explained.split_whitespace().collect::<Vec<_>>().join(" ");
    for part in [
        "its network goes dark, and all of its data is gone",
        "are put back unless others are in their place",
        "provision the site anew",
    ] {
        assert!(words.contains(part), "{part}: {explained}");
    }
}
