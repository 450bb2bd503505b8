//! A primary that acknowledges only what its standby has too.

use std::path::Path;
use std::time::{Duration, Instant};

use drdrill_lab::Role;
use drdrill_lab::service::ServiceTiming;
use serde_json::json;

use crate::failover::lagging;
use crate::support::load::Load;
use crate::support::proxy::Proxy;
use crate::support::site::{Site, config};
use crate::support::{databases, eventually};

/// A primary that waits for `standby`, and that standby, which follows it over `link`.
pub(crate) async fn pair(directory: &Path, timing: ServiceTiming) -> (Site, Site, Proxy) {
    let mut primary = config("primary", directory, Role::Primary);
    primary.timing = timing;
    primary.synchronous = vec!["standby".to_owned()];
    let primary = Site::start(primary);
    let link = Proxy::before(primary.node.ready("replication")).await;
    let mut standby = config("standby", directory, Role::Standby);
    standby.timing = timing;
    let mut source = primary.as_source();
    source.source = link.address.to_string();
    standby.follow = Some(source);
    let standby = Site::start(standby);
    standby.catch_up(primary.lsn().await).await;
    (primary, standby, link)
}

/// A write that the standby does not get is given up on early.
pub(crate) fn impatient() -> ServiceTiming {
    ServiceTiming { synchronous_timeout_ms: 200, ..lagging() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failover_to_a_synchronous_standby_loses_nothing_that_was_acknowledged() {
    for _ in 0..3 {
        let directory = tempfile::tempdir().unwrap();
        // The lag is for those that nobody waits for.
        let (mut primary, standby, _link) = pair(directory.path(), lagging()).await;
        let token = primary.login().await;
        let load = Load::start(&primary, &token, 4);
        let enough = async || (standby.lsn().await > 100).then_some(());
        eventually("writes reach the standby", enough).await;
        primary.node.kill();
        let acknowledged = load.finish().await;
        assert!(acknowledged.len() > 50, "{}", acknowledged.len());
        eventually("the standby has noticed", async || {
            (standby.status().await["connected"] == false).then_some(())
        })
        .await;
        standby.promote(2).await;
        let kept = databases::entries(&standby.database());
        let lost: Vec<_> = acknowledged.iter().filter(|one| !kept.contains_key(&one.id)).collect();
        assert!(lost.is_empty(), "{lost:?} of {}", acknowledged.len());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_only_the_primary_has_is_not_acknowledged() {
    let directory = tempfile::tempdir().unwrap();
    let (primary, standby, link) = pair(directory.path(), impatient()).await;
    let token = primary.login().await;
    assert_eq!(primary.put(&token, "a", 1, "a").await.unwrap().status, 201);

    link.set_silent(true);
    let began = Instant::now();
    let answer = primary.put(&token, "b", 2, "b").await.unwrap();
    // Nobody knows whether it will be kept.
    assert_eq!(answer.status, 504, "{:?}", answer.body);
    assert!(began.elapsed() >= Duration::from_millis(200));
    assert!(String::from_utf8_lossy(&answer.body).contains("standby"), "{:?}", answer.body);
    // Nor is it the second time, although it is there.
    assert_eq!(primary.put(&token, "b", 2, "b").await.unwrap().status, 504);
    assert_eq!(primary.get(&token, "/health").await.status, 503);
    assert!(!databases::entries(&standby.database()).contains_key("b"));

    link.set_silent(false);
    eventually("the standby has it", async || {
        let answer = primary.put(&token, "b", 2, "b").await.unwrap();
        (answer.status == 200).then_some(())
    })
    .await;
    assert!(databases::entries(&standby.database()).contains_key("b"));
    assert_eq!(primary.get(&token, "/health").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_waits_also_after_a_restart_until_an_operator_says_otherwise() {
    let directory = tempfile::tempdir().unwrap();
    let (mut primary, mut standby, _link) = pair(directory.path(), impatient()).await;
    let token = primary.login().await;
    standby.node.kill();
    // What the configuration says counts for a new database only.
    primary.config.synchronous = Vec::new();
    primary.restart();
    assert_eq!(primary.put(&token, "a", 1, "a").await.unwrap().status, 504);
    let (status, body) = primary.admin("/synchronous", json!({ "standbys": [] })).await;
    assert_eq!((status, &body["synchronous"]), (200, &json!([])));
    assert_eq!(primary.put(&token, "b", 2, "b").await.unwrap().status, 201);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_that_nobody_waits_for_still_lags() {
    let directory = tempfile::tempdir().unwrap();
    let (primary, _standby, _link) = pair(directory.path(), lagging()).await;
    let mut far = config("far", directory.path(), Role::Standby);
    far.follow = Some(primary.as_source());
    let far = Site::start(far);
    let token = primary.login().await;
    far.catch_up(primary.lsn().await).await;
    let began = Instant::now();
    assert_eq!(primary.put(&token, "a", 1, "a").await.unwrap().status, 201);
    far.catch_up(primary.lsn().await).await;
    assert!(began.elapsed() >= Duration::from_millis(300), "{:?}", began.elapsed());
    // Told to wait for that one too, it gets changes at once.
    let (status, _) =
        primary.admin("/synchronous", json!({ "standbys": ["standby", "far"] })).await;
    assert_eq!(status, 200);
    assert_eq!(primary.put(&token, "b", 2, "b").await.unwrap().status, 201);
    assert!(databases::entries(&far.database()).contains_key("b"));
}
