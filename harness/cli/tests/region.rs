//! The loss of a region with the way by which clients come: they come by another one, or the drill says so.

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
use support::restored::{ENVIRONMENT, Entries, Ran};
use support::sandbox::Sandbox;
use support::undisturbed::undisturbed;

static LOST: LazyLock<Ran> = LazyLock::new(|| Ran::new("region_outage", 0));

fn ms(sample: &Value, what: &str) -> f64 {
    sample[what].as_f64().unwrap() / 1e6
}

#[test]
fn clients_come_by_the_other_entrance_and_the_loss_is_what_the_reader_counts() {
    let ran = &*LOST;
    let (record, writes) = (ran.record(), ran.writes());
    let acknowledged = ran.acknowledged();
    let entries = Entries::of(&ran.kept("primary/site.db")).unwrap();
    assert!(entries.is_clean(), "{entries:?}");
    let lost = acknowledged.difference(&entries.intact).count();
    assert_eq!(writes["acknowledged"], acknowledged.len());
    assert_eq!(writes["lost"], lost, "{writes}");
    assert_eq!(record["split_brain"], Value::Array(Vec::new()));
    assert_eq!(record["leftovers"], Value::Array(Vec::new()));
    for (name, backed_up) in ran.backups() {
        assert!(backed_up.unwrap().is_clean(), "{name}");
    }
    let fault = &record["faults"][0];
    let proof = fault["proof"].as_str().unwrap();
    assert!(proof.contains("primary/gateway (pid ") && proof.contains("6 proxies"), "{proof}");
    // While the region is gone, all that is acknowledged is acknowledged by the other one.
    let (gone, back) =
        (fault["in_effect_ms"].as_f64().unwrap(), fault["reverted_ms"].as_f64().unwrap());
    let meanwhile = ran.succeeded("write").into_iter();
    let meanwhile: Vec<Value> =
        meanwhile.filter(|sample| ms(sample, "sent") > gone && ms(sample, "done") < back).collect();
    assert!(meanwhile.len() > 5, "{meanwhile:#?}");
    assert!(meanwhile.iter().all(|sample| sample["decider"]["site"] == "dr"), "{meanwhile:#?}");
}

#[test]
fn a_gateway_that_comes_back_sends_nobody_to_the_site_that_does_not_serve() {
    let ran = &*LOST;
    let record = ran.record();
    let back = record["faults"][0]["reverted_ms"].as_f64().unwrap();
    let steps = record["steps"].as_array().unwrap();
    let promoted = steps.iter().find(|step| step["name"] == "promote the original site").unwrap();
    let promoted = promoted["started_ms"].as_f64().unwrap();
    assert!(promoted > back);
    // The original site is a standby until then, or fenced: had anybody been sent to it as if it served, writes would
    // have been refused or acknowledged by it.
    let between = ran.succeeded("write").into_iter();
    let between: Vec<Value> = between
        .filter(|sample| ms(sample, "sent") > back && ms(sample, "done") < promoted)
        .collect();
    assert!(between.len() > 5, "{between:#?}");
    assert!(between.iter().all(|sample| sample["decider"]["site"] == "dr"), "{between:#?}");
    assert_eq!(ran.record()["failback"]["services"][0]["lost"], 0, "{}", record["failback"]);
}

#[test]
fn who_knows_no_other_entrance_is_not_served_however_well_the_failover_went() {
    let ran = undisturbed(|| {
        let sandbox = Sandbox::new();
        let environment = ENVIRONMENT.replace("lab: {", "lab: { second_entrance: false,");
        assert_ne!(environment, ENVIRONMENT);
        fs::write(sandbox.path("env.yaml"), environment).unwrap();
        Ran::of(sandbox, "run region_outage_one_entrance --env env.yaml --set every=100ms", 10)
    });
    let record = ran.record();
    assert_eq!(record["services"][0]["rto"]["at_most_ms"], Value::Null);
    let reasons = record["reasons"].to_string();
    assert!(reasons.contains("never restored within"), "{reasons}");
    assert_eq!(ran.step("promote the DR site").0, "done");
    assert_eq!(ran.step("redirect the traffic").0, "done");
    assert!(ran.outcome.stderr.contains("fault"), "{:#?}", ran.outcome);
    let explained = ran.sandbox.run("explain region_outage").exits(0);
    assert!(explained.stdout.contains("the entrance of its region"), "{explained:#?}");
}
