//! A replication link that is cut.

use std::time::{Duration, Instant};

use drdrill_lab::Role;
use serde_json::json;

use crate::support::eventually;
use crate::support::proxy::Proxy;
use crate::support::site::{Site, config};

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_link_is_noticed_on_both_sides_and_healed() {
    let directory = tempfile::tempdir().unwrap();
    let primary = Site::start(config("primary", directory.path(), Role::Primary));
    let proxy = Proxy::before(primary.node.ready("replication")).await;
    let mut standby = config("dr", directory.path(), Role::Standby);
    let mut target = primary.as_source();
    target.source = proxy.address.to_string();
    standby.follow = Some(target);
    let standby = Site::start(standby);
    let token = primary.login().await;
    primary.put_many(&token, "a", 3).await;
    standby.catch_up(primary.lsn().await).await;

    proxy.set_silent(true);
    let cut = Instant::now();
    primary.put_many(&token, "b", 3).await;
    for site in [&primary, &standby] {
        eventually("the cut is noticed", async || {
            (site.status().await["connected"] == false).then_some(())
        })
        .await;
    }
    assert!(cut.elapsed() < Duration::from_secs(5), "{:?}", cut.elapsed());
    // Both sides count how far the standby is behind while nothing passes.
    for site in [&primary, &standby] {
        eventually("the lag grows", async || {
            let lag_ms = site.status().await["lag_ms"].as_u64();
            lag_ms.is_some_and(|lag_ms| lag_ms > 1_500).then_some(())
        })
        .await;
    }
    assert_eq!(standby.get("", "/health").await.status, 200, "a cut link is not a broken site");

    proxy.set_silent(false);
    standby.catch_up(primary.lsn().await).await;
    eventually("the lag is gone", async || {
        let status = standby.status().await;
        (status["connected"] == json!(true) && status["lag_ms"].as_u64()? < 1_000).then_some(())
    })
    .await;
}
