//! A deposed primary comes back and follows.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::json;

use crate::failover::lagging;
use crate::support::load::Load;
use crate::support::site::Site;
use crate::support::{databases, eventually};

fn aside(site: &Site) -> Vec<PathBuf> {
    let files = std::fs::read_dir(&site.config.data_dir).unwrap();
    let mut names: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    names.retain(|path| path.file_name().unwrap().to_str().unwrap().starts_with("diverged-"));
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn a_returning_primary_keeps_its_lost_writes_aside_and_follows() {
    let directory = tempfile::tempdir().unwrap();
    let (mut old, new) = Site::pair(directory.path(), lagging());
    let token = old.login().await;
    let load = Load::start(&old, &token, 4);
    eventually("writes reach the standby", async || (new.lsn().await > 20).then_some(())).await;
    old.node.kill();
    let acknowledged = load.finish().await;
    new.promote(2).await;
    new.put_many(&token, "new", 10).await;
    let survivors = databases::entries(&new.database());
    let lost: Vec<_> =
        acknowledged.iter().filter(|write| !survivors.contains_key(&write.id)).collect();
    assert!(!lost.is_empty());

    old.config.fenced_at_start = true;
    old.restart();
    let before = old.status().await;
    assert_eq!((&before["role"], &before["fenced"]), (&json!("primary"), &json!(true)));
    assert_eq!(old.put(&token, "late", 1, "x").await.unwrap().status, 503);
    let (old_epoch, old_lsn) = (1, before["lsn"].as_u64().unwrap());
    let target = serde_json::to_value(new.as_source()).unwrap();
    for _ in 0..2 {
        let (status, body) = old.admin("/follow", target.clone()).await;
        assert_eq!((status, &body["role"]), (200, &json!("standby")));
    }
    eventually("the old primary has the new history", async || {
        let status = old.status().await;
        let there = status["lsn"] == new.lsn().await && status["epoch"] == 2;
        (there && status["connected"] == true).then_some(())
    })
    .await;
    assert_eq!(databases::content(&old.database()), databases::content(&new.database()));

    let kept = aside(&old);
    let expected = format!("diverged-{old_epoch}-{old_lsn}.db");
    assert_eq!(kept, [old.config.data_dir.join(expected)]);
    let kept = databases::entries(&kept[0]);
    for write in &lost {
        assert!(kept.contains_key(&write.id), "{} cannot be salvaged", write.id);
    }

    new.put_many(&token, "after", 3).await;
    let lsn = new.lsn().await;
    let (status, fenced) = new.admin("/fence", json!({})).await;
    assert_eq!((status, &fenced["lsn"]), (200, &json!(lsn)));
    old.catch_up(lsn).await;
    old.promote(3).await;
    assert_eq!(old.put(&token, "back", 1, "x").await.unwrap().status, 201);
    let target = serde_json::to_value(old.as_source()).unwrap();
    assert_eq!(new.admin("/follow", target).await.0, 200);
    new.catch_up(old.lsn().await).await;
    assert!(aside(&new).is_empty(), "a planned failback leaves nothing behind");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_that_is_killed_while_it_takes_a_snapshot_takes_it_again() {
    let directory = tempfile::tempdir().unwrap();
    let (mut old, new) = Site::pair(directory.path(), lagging());
    let token = old.login().await;
    let load = Load::start(&old, &token, 4);
    eventually("writes reach the standby", async || (new.lsn().await > 20).then_some(())).await;
    old.node.kill();
    load.finish().await;
    new.promote(2).await;
    new.put_many(&token, "new", 10).await;
    old.restart();
    let target = serde_json::to_value(new.as_source()).unwrap();
    assert_eq!(old.admin("/follow", target).await.0, 200);
    // The source holds a snapshot back for the lag; each kill hits another moment of it.
    for moment_ms in [0, 150, 300, 310, 320, 340] {
        tokio::time::sleep(Duration::from_millis(moment_ms)).await;
        old.restart();
        assert_eq!(old.status().await["role"], "standby");
    }
    old.catch_up(new.lsn().await).await;
    eventually("the histories are the same", async || {
        let same = databases::content(&old.database()) == databases::content(&new.database());
        same.then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shorter_history_that_diverged_is_replaced_too() {
    let directory = tempfile::tempdir().unwrap();
    let mut timing = lagging();
    timing.replication_lag_ms = 3_600_000;
    let (mut old, new) = Site::pair(directory.path(), timing);
    let token = old.login().await;
    old.put_many(&token, "lost", 3).await;
    old.node.kill();
    assert_eq!(new.lsn().await, 0);
    // Sends what it has without waiting an hour.
    let mut promoted = new.config.clone();
    drop(new);
    promoted.timing.replication_lag_ms = 0;
    let new = Site::start(promoted);
    new.promote(2).await;
    new.put_many(&token, "new", 20).await;
    old.restart();
    assert!(old.lsn().await < new.lsn().await);
    let target = serde_json::to_value(new.as_source()).unwrap();
    assert_eq!(old.admin("/follow", target).await.0, 200);
    old.catch_up(new.lsn().await).await;
    assert_eq!(databases::content(&old.database()), databases::content(&new.database()));
    let kept = databases::entries(&aside(&old)[0]);
    assert_eq!(kept.into_keys().collect::<Vec<_>>(), ["lost-0", "lost-1", "lost-2"]);
}
