//! What is restored is what was there.

use std::fs;
use std::path::Path;

use drdrill_lab::Role;
use drdrill_lab::backup::{
    BackupError, BackupInfo, Until, list_backups, restore_point_in_time, verify_backup,
};
use serde_json::json;

use crate::support::node::Node;
use crate::support::site::{Site, config};
use crate::support::{databases, eventually};

pub(crate) fn agent(site: &Site, directory: &Path, interval_ms: u64, keep: usize) -> Node {
    let config = json!({
        "site": "primary", "database": site.database(), "directory": directory,
        "interval_ms": interval_ms, "log_interval_ms": 10, "keep": keep,
    });
    Node::start("backup", &config)
}

/// Waits until the backups reach an lsn, by restoring to it into a scratch file.
pub(crate) async fn covered(directory: &Path, scratch: &Path, lsn: u64) {
    eventually(&format!("the backups reach lsn {lsn}"), async || {
        let reached = restore_point_in_time(directory, scratch, Until::Lsn(lsn)).is_ok();
        if reached {
            fs::remove_file(scratch).unwrap();
        }
        reached.then_some(())
    })
    .await;
}

/// Flips a byte in the middle of a file.
fn damage(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(path, bytes).unwrap();
}

struct Backed {
    directory: tempfile::TempDir,
    site: Site,
    token: String,
}

impl Backed {
    async fn up() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let site = Site::start(config("primary", directory.path(), Role::Primary));
        let token = site.login().await;
        Self { directory, site, token }
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.directory.path().join(name)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_reproduces_the_state_at_a_chosen_change() {
    let backed = Backed::up().await;
    let (site, token, backups) = (&backed.site, &backed.token, backed.path("backups"));
    site.put_many(token, "a", 10).await;
    let _agent = agent(site, &backups, 3_600_000, 5);
    let first = eventually("a full backup", async || list_backups(&backups).ok()?.pop()).await;
    site.put_many(token, "b", 10).await;
    let lsn = site.lsn().await;
    let then = databases::content(&site.database());
    let changed_at_ms = site.status().await["last_change_at_ms"].as_u64().unwrap();
    eventually("time goes on", async || {
        site.put(token, "tick", 1, "x").await.unwrap();
        (site.status().await["last_change_at_ms"].as_u64()? > changed_at_ms).then_some(())
    })
    .await;
    site.put_many(token, "c", 10).await;
    let last = site.lsn().await;
    covered(&backups, &backed.path("scratch.db"), last).await;

    let target = backed.path("restored/site.db");
    let report = restore_point_in_time(&backups, &target, Until::Lsn(lsn)).unwrap();
    assert_eq!((report.lsn, report.epoch, report.known_epoch), (lsn, 1, 1));
    assert_eq!((&report.backup, report.backup_lsn), (&first.file, first.lsn));
    assert_eq!(report.replayed, lsn - first.lsn);
    assert_eq!(report.changed_at_ms, changed_at_ms);
    assert_eq!(databases::content(&target), then);

    let by_time = backed.path("by-time.db");
    let report = restore_point_in_time(&backups, &by_time, Until::AtMs(changed_at_ms)).unwrap();
    assert_eq!(report.lsn, lsn);
    let latest = backed.path("latest.db");
    assert_eq!(restore_point_in_time(&backups, &latest, Until::Latest).unwrap().lsn, last);
    assert_eq!(databases::content(&latest), databases::content(&site.database()));
    let beyond = restore_point_in_time(&backups, &backed.path("x.db"), Until::Lsn(last + 1));
    assert!(matches!(beyond, Err(BackupError::OutOfReach { .. })), "{beyond:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_site_serves_after_a_promotion() {
    let backed = Backed::up().await;
    let (site, token, backups) = (&backed.site, &backed.token, backed.path("backups"));
    site.put_many(token, "a", 5).await;
    let _agent = agent(site, &backups, 3_600_000, 5);
    covered(&backups, &backed.path("scratch.db"), site.lsn().await).await;
    let restored = config("restored", backed.directory.path(), Role::Primary);
    let target = drdrill_lab::database_path(&restored.data_dir);
    let report = restore_point_in_time(&backups, &target, Until::Latest).unwrap();
    let restored = Site::start(restored);
    assert_eq!(restored.status().await["role"], "standby");
    restored.promote(report.known_epoch + 1).await;
    let token = restored.login().await;
    assert_eq!(restored.audit(&token, "a-").await.len(), 5);
    assert_eq!(restored.put(&token, "new", 1, "x").await.unwrap().status, 201);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_backup_is_an_error() {
    let backed = Backed::up().await;
    let (site, token, backups) = (&backed.site, &backed.token, backed.path("backups"));
    site.put_many(token, "a", 10).await;
    let mut agent = agent(site, &backups, 3_600_000, 5);
    eventually("a full backup", async || list_backups(&backups).ok()?.pop()).await;
    site.put_many(token, "b", 10).await;
    covered(&backups, &backed.path("scratch.db"), site.lsn().await).await;
    agent.kill();
    let info = list_backups(&backups).unwrap().pop().unwrap();
    verify_backup(&backups, &info).unwrap();

    for file in [BackupInfo::database_in, BackupInfo::log_in, BackupInfo::sidecar_in] {
        let path = file(&info, &backups);
        let whole = fs::read(&path).unwrap();
        damage(&path);
        let target = backed.path("restored.db");
        let outcome = restore_point_in_time(&backups, &target, Until::Latest);
        assert!(matches!(outcome, Err(BackupError::Damaged { .. })), "{path:?}: {outcome:?}");
        assert!(!target.exists());
        fs::write(&path, whole).unwrap();
    }
    damage(&info.database_in(&backups));
    assert!(matches!(verify_backup(&backups, &info), Err(BackupError::Damaged { .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_is_not_empty_is_left_alone() {
    let backed = Backed::up().await;
    let (site, backups) = (&backed.site, backed.path("backups"));
    let _agent = agent(site, &backups, 3_600_000, 5);
    covered(&backups, &backed.path("scratch.db"), site.lsn().await).await;
    let target = backed.path("precious.db");
    fs::write(&target, "precious").unwrap();
    let outcome = restore_point_in_time(&backups, &target, Until::Latest);
    assert!(matches!(outcome, Err(BackupError::TargetNotEmpty { .. })), "{outcome:?}");
    assert_eq!(fs::read(&target).unwrap(), b"precious");
    fs::write(&target, "").unwrap();
    restore_point_in_time(&backups, &target, Until::Latest).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn old_backups_are_pruned_and_the_kept_ones_reach_back_and_on() {
    let backed = Backed::up().await;
    let (site, token, backups) = (&backed.site, &backed.token, backed.path("backups"));
    let mut agent = agent(site, &backups, 50, 3);
    let mut sequence = 0;
    let first = eventually("a full backup", async || list_backups(&backups).ok()?.pop()).await;
    eventually("the first backup is pruned", async || {
        sequence += 1;
        site.put(token, &format!("a-{sequence}"), sequence, "x").await.unwrap();
        (!list_backups(&backups).ok()?.contains(&first)).then_some(())
    })
    .await;
    let last = site.lsn().await;
    covered(&backups, &backed.path("scratch.db"), last).await;
    agent.kill();
    let kept = list_backups(&backups).unwrap();
    // A kill may come between a new backup and the pruning of an old one.
    assert!((3..=4).contains(&kept.len()), "{kept:?}");
    let oldest = &kept[0];
    assert!(oldest.lsn < last);

    // Without the newer copies the oldest one reaches just as far, by the logs.
    for info in &kept[1..] {
        fs::write(info.database_in(&backups), "").unwrap();
    }
    let target = backed.path("restored.db");
    let report = restore_point_in_time(&backups, &target, Until::Lsn(kept[1].lsn - 1)).unwrap();
    assert_eq!(report.backup, oldest.file);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_was_killed_goes_on_with_its_log() {
    let backed = Backed::up().await;
    let (site, token, backups) = (&backed.site, &backed.token, backed.path("backups"));
    let mut first = agent(site, &backups, 3_600_000, 5);
    eventually("a full backup", async || list_backups(&backups).ok()?.pop()).await;
    site.put_many(token, "a", 5).await;
    first.kill();
    site.put_many(token, "b", 5).await;
    let _second = agent(site, &backups, 3_600_000, 5);
    covered(&backups, &backed.path("scratch.db"), site.lsn().await).await;
    assert_eq!(list_backups(&backups).unwrap().len(), 1);
}
