//! What an asynchronous failover loses, and that it loses nothing else.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use drdrill_lab::service::ServiceTiming;

use crate::support::load::Load;
use crate::support::site::Site;
use crate::support::{databases, eventually};

const LAG: Duration = Duration::from_millis(300);

pub(crate) fn lagging() -> ServiceTiming {
    let replication_lag_ms = u64::try_from(LAG.as_millis()).unwrap();
    ServiceTiming { replication_lag_ms, password_iterations: 16, ..ServiceTiming::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failover_loses_exactly_the_acknowledged_writes_that_were_not_shipped() {
    let directory = tempfile::tempdir().unwrap();
    let (mut primary, standby) = Site::pair(directory.path(), lagging());
    let token = primary.login().await;
    let load = Load::start(&primary, &token, 4);
    eventually("writes reach the standby", async || (standby.lsn().await > 50).then_some(())).await;
    let killed = Instant::now();
    primary.node.kill();
    let acknowledged = load.finish().await;
    // All that was shipped may still be on its way to the disk.
    eventually("the standby has noticed", async || {
        (standby.status().await["connected"] == false).then_some(())
    })
    .await;
    standby.promote(2).await;

    let on_primary = databases::changes(&primary.database());
    let on_standby = databases::changes(&standby.database());
    assert_eq!(on_standby, on_primary[..on_standby.len()], "the standby has a prefix");
    let entries_on_primary = databases::entries(&primary.database());
    let entries_on_standby = databases::entries(&standby.database());
    let shipped_lsn = on_standby.last().unwrap().0;

    let lost: BTreeSet<&str> = acknowledged
        .iter()
        .filter(|write| !entries_on_standby.contains_key(&write.id))
        .map(|write| write.id.as_str())
        .collect();
    let unshipped: BTreeSet<&str> = acknowledged
        .iter()
        .filter(|write| write.lsn > shipped_lsn)
        .map(|write| write.id.as_str())
        .collect();
    assert_eq!(lost, unshipped);
    assert!(!lost.is_empty(), "the lag must cost something");
    assert!(lost.len() < acknowledged.len(), "the standby must have something");
    for write in &acknowledged {
        assert!(entries_on_primary.contains_key(&write.id), "{} was not durable", write.id);
        // Sent within the lag before the kill, so committed within it, so never shipped.
        if write.sent + LAG >= killed {
            assert!(lost.contains(write.id.as_str()), "{} was shipped too early", write.id);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_lag_a_standby_is_up_to_date_within_moments() {
    let directory = tempfile::tempdir().unwrap();
    let (primary, standby) = Site::pair(directory.path(), ServiceTiming::default());
    let token = primary.login().await;
    primary.put_many(&token, "a", 20).await;
    let lsn = primary.lsn().await;
    standby.catch_up(lsn).await;
    assert_eq!(databases::content(&primary.database()), databases::content(&standby.database()));
    let view = eventually("the primary knows", async || {
        let view = primary.status().await;
        (view["applied_lsn"] == lsn).then_some(view)
    })
    .await;
    assert_eq!(view["connected"], true);
    assert_eq!(view["lag_ms"], 0);
    let view = standby.status().await;
    assert_eq!(view["role"], "standby");
    assert_eq!(view["connected"], true);
    assert!(view["lag_ms"].as_u64().unwrap() < 5_000, "{view}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_goes_on_from_where_it_was_when_it_comes_back() {
    let directory = tempfile::tempdir().unwrap();
    let (primary, mut standby) = Site::pair(directory.path(), ServiceTiming::default());
    let token = primary.login().await;
    primary.put_many(&token, "a", 5).await;
    standby.catch_up(primary.lsn().await).await;
    standby.node.kill();
    primary.put_many(&token, "b", 5).await;
    standby.restart();
    standby.catch_up(primary.lsn().await).await;
    assert_eq!(databases::content(&primary.database()), databases::content(&standby.database()));
    let kept = std::fs::read_dir(&standby.config.data_dir).unwrap();
    let names = kept.map(|file| file.unwrap().file_name().into_string().unwrap());
    assert_eq!(names.filter(|name| name.contains("diverged")).count(), 0);
}
