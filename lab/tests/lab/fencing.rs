//! Only the newest primary takes writes.

use drdrill_lab::Role;
use drdrill_lab::service::ServiceTiming;
use serde_json::json;

use crate::support::load::Load;
use crate::support::site::{Site, config};
use crate::support::{databases, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn a_fence_returns_when_all_acknowledged_writes_are_below_its_lsn() {
    let directory = tempfile::tempdir().unwrap();
    let site = Site::start(config("primary", directory.path(), Role::Primary));
    let token = site.login().await;
    let load = Load::start(&site, &token, 8);
    eventually("some writes", async || (site.lsn().await > 50).then_some(())).await;
    let (status, fenced) = site.admin("/fence", json!({})).await;
    let lsn = fenced["lsn"].as_u64().unwrap();
    assert_eq!((status, &fenced["fenced"]), (200, &json!(true)));
    assert_eq!(databases::changes(&site.database()).last().unwrap().0, lsn);
    // A client stops at the first refusal.
    let acknowledged = load.finish().await;
    assert_eq!(acknowledged.last().unwrap().lsn, lsn);
    assert_eq!(site.put(&token, "late", 1, "x").await.unwrap().status, 503);
    assert_eq!(site.admin("/fence", json!({})).await.1["lsn"], lsn);
    assert_eq!(site.get("", "/health").await.status, 200, "fenced is not broken");

    assert_eq!(site.admin("/unfence", json!({})).await.0, 200);
    assert_eq!(site.put(&token, "late", 1, "x").await.unwrap().status, 201);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fence_outlives_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let mut site = Site::start(config("primary", directory.path(), Role::Primary));
    let token = site.login().await;
    site.admin("/fence", json!({})).await;
    site.restart();
    assert_eq!(site.put(&token, "a", 1, "x").await.unwrap().status, 503);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_promotion_needs_a_newer_epoch() {
    let directory = tempfile::tempdir().unwrap();
    let mut config = config("dr", directory.path(), Role::Standby);
    config.epoch = 4;
    let mut site = Site::start(config);
    for epoch in [0, 3, 4] {
        let (status, body) = site.admin("/promote", json!({ "epoch": epoch })).await;
        assert_eq!(status, 409, "{body}");
    }
    site.promote(5).await;
    site.promote(5).await;
    assert_eq!(site.admin("/promote", json!({ "epoch": 4 })).await.0, 409);
    site.restart();
    let status = site.status().await;
    assert_eq!((&status["role"], &status["epoch"]), (&json!("primary"), &json!(5)));
    site.login().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stale_primary_is_refused_and_fences_itself() {
    let directory = tempfile::tempdir().unwrap();
    let (stale, other) = Site::pair(directory.path(), ServiceTiming::default());
    let token = stale.login().await;
    stale.put_many(&token, "a", 3).await;
    other.catch_up(stale.lsn().await).await;
    other.promote(2).await;
    stale.put_many(&token, "split", 3).await;
    let history = databases::content(&other.database());

    let target = serde_json::to_value(stale.as_source()).unwrap();
    assert_eq!(other.admin("/follow", target).await.0, 200);
    eventually("the stale primary is fenced", async || {
        (stale.status().await["fenced"] == true).then_some(())
    })
    .await;
    assert_eq!(stale.put(&token, "late", 1, "x").await.unwrap().status, 503);
    assert_eq!(other.status().await["connected"], false);
    assert_eq!(databases::content(&other.database()), history);
}
