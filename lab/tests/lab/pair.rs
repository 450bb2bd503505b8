//! Two sites that both take writes.

use std::path::Path;
use std::time::Duration;

use drdrill_lab::service::ServiceTiming;
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::failover::lagging;
use crate::support::load::Load;
use crate::support::site::Site;
use crate::support::{databases, eventually};

/// Two sites with the same history, of which each then takes writes.
pub(crate) async fn pair(directory: &Path, timing: ServiceTiming) -> (Site, Site, String) {
    let (primary, dr, token) = alike(directory, timing).await;
    told(&dr, &primary, false).await;
    told(&primary, &dr, false).await;
    (primary, dr, token)
}

/// Two sites with the same history, the primary fenced.
async fn alike(directory: &Path, timing: ServiceTiming) -> (Site, Site, String) {
    let (primary, dr) = Site::pair(directory, timing);
    let token = primary.login().await;
    primary.put_many(&token, "before", 3).await;
    primary.admin("/fence", json!({})).await;
    dr.catch_up(primary.lsn().await).await;
    (primary, dr, token)
}

/// Tells one of two sites with the same history that both take writes.
async fn told(site: &Site, other: &Site, fenced: bool) {
    let (source, position) = (other.node.ready("replication"), site.lsn().await);
    let pairing = json!({
        "epoch": 2, "source": source, "pair": "dr+primary", "position": position, "fenced": fenced,
    });
    let (status, body) = site.admin("/pair", pairing).await;
    assert_eq!(status, 200, "{body}");
}

/// Waits until each has merged all of the other's log.
async fn exchanged(one: &Site, other: &Site) {
    for (site, source) in [(one, other), (other, one)] {
        let until = source.lsn().await;
        eventually("the other's changes are merged", async || {
            (site.status().await["merged_lsn"].as_u64()? >= until).then_some(())
        })
        .await;
    }
}

fn conflicts(site: &Site) -> Vec<(String, String, String)> {
    let database = Connection::open(site.database()).unwrap();
    let query = "SELECT kept_site, dropped_site, dropped ->> '$.value' FROM conflicts";
    let mut query = database.prepare(query).unwrap();
    let rows = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
    rows.map(Result::unwrap).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_either_site_takes_both_have() {
    let directory = tempfile::tempdir().unwrap();
    let (primary, dr, token) = pair(directory.path(), ServiceTiming::default()).await;
    primary.put_many(&token, "here", 20).await;
    dr.put_many(&token, "there", 20).await;
    exchanged(&primary, &dr).await;
    let entries = databases::entries(&primary.database());
    assert_eq!(entries.len(), 43);
    assert_eq!(entries, databases::entries(&dr.database()));
    for site in [&primary, &dr] {
        let status = site.status().await;
        assert_eq!((&status["role"], &status["conflicts"]), (&json!("primary"), &json!(0)));
        // None was taken twice, and none went round in circles.
        let lines = site.audit(&token, "").await;
        assert!(lines.iter().all(|line| line["copies"] == 1 && line["checksum_ok"] == true));
        let (status, body) = (site.get(&token, "/health").await, site.status().await);
        assert_eq!(status.status, 200, "{body}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_told_first_acknowledges_nothing_before_the_other_is_told_too() {
    let directory = tempfile::tempdir().unwrap();
    let (primary, dr, token) = alike(directory.path(), ServiceTiming::default()).await;
    told(&dr, &primary, true).await;
    assert_eq!(dr.put(&token, "too-early", 1, "x").await.unwrap().status, 503);
    told(&primary, &dr, false).await;
    primary.put_many(&token, "here", 5).await;
    assert_eq!(dr.put(&token, "too-early", 1, "x").await.unwrap().status, 503);
    let (status, body) = dr.admin("/unfence", json!({})).await;
    assert_eq!(status, 200, "{body}");
    dr.put_many(&token, "there", 5).await;
    exchanged(&primary, &dr).await;
    let entries = databases::entries(&primary.database());
    assert_eq!(entries.len(), 13);
    assert_eq!(entries, databases::entries(&dr.database()));
}

#[tokio::test(flavor = "multi_thread")]
async fn both_say_that_they_decide_together() {
    let directory = tempfile::tempdir().unwrap();
    let (primary, dr, token) = pair(directory.path(), ServiceTiming::default()).await;
    for (site, id) in [(&primary, "a"), (&dr, "b")] {
        let answer = site.put(&token, id, 1, id).await.unwrap();
        assert_eq!(answer.headers["x-drdrill-site"], "dr+primary");
        assert_eq!(answer.headers["x-drdrill-epoch"], "2");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_writes_that_did_not_know_of_each_other_the_later_is_kept_at_both_and_counted() {
    let directory = tempfile::tempdir().unwrap();
    // Neither hears of the other's for 300 ms.
    let (primary, dr, token) = pair(directory.path(), lagging()).await;
    assert_eq!(primary.put(&token, "same", 1, "earlier").await.unwrap().status, 201);
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert_eq!(dr.put(&token, "same", 2, "later").await.unwrap().status, 201);
    assert_eq!(primary.put(&token, "alike", 3, "alike").await.unwrap().status, 201);
    assert_eq!(dr.put(&token, "alike", 3, "alike").await.unwrap().status, 201);
    exchanged(&primary, &dr).await;
    for site in [&primary, &dr] {
        let entries = databases::entries(&site.database());
        assert_eq!(entries["same"], "later", "{}", site.config.site);
        let dropped = ("dr".to_owned(), "primary".to_owned(), "earlier".to_owned());
        assert_eq!(conflicts(site), [dropped], "what is not kept is written down");
        assert_eq!(site.status().await["conflicts"], 1);
    }
    // What is written again, by one who has seen it, is no conflict: the later one is stored already.
    let again = primary.put(&token, "same", 2, "later").await.unwrap();
    assert_eq!(again.status, 200);
    assert_eq!(primary.status().await["conflicts"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_site_that_goes_on_alone_takes_nothing_more_from_the_other() {
    let directory = tempfile::tempdir().unwrap();
    let (mut primary, dr, token) = pair(directory.path(), lagging()).await;
    let load = Load::start(&primary, &token, 4);
    eventually("writes are merged", async || (dr.lsn().await > 100).then_some(())).await;
    primary.node.kill();
    let acknowledged = load.finish().await;
    dr.promote(3).await;
    let kept = databases::entries(&dr.database());
    let lost = acknowledged.iter().filter(|one| !kept.contains_key(&one.id)).count();
    assert!(lost > 0 && lost < acknowledged.len(), "{lost} of {}", acknowledged.len());
    // It comes back with what it had, and is not asked for it.
    primary.config.fenced_at_start = true;
    primary.restart();
    dr.put_many(&token, "after", 3).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(databases::entries(&dr.database()).len(), kept.len() + 3);
    assert_eq!(dr.status().await["merged_lsn"], Value::Null);
    assert_eq!(primary.status().await["fenced"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_histories_that_differ_are_not_paired() {
    let directory = tempfile::tempdir().unwrap();
    let (primary, dr) = Site::pair(directory.path(), ServiceTiming::default());
    dr.catch_up(primary.lsn().await).await;
    let source = primary.node.ready("replication");
    let pairing = |epoch: u64, position: u64| json!({ "epoch": epoch, "source": source, "pair": "x", "position": position });
    let position = dr.lsn().await;
    assert_eq!(dr.admin("/pair", pairing(2, position + 1)).await.0, 409);
    assert_eq!(dr.admin("/pair", pairing(1, position)).await.0, 409);
    assert_eq!(dr.status().await["role"], "standby");
}
