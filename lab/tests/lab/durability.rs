//! What is acknowledged is on the disk of the site that acknowledged it.

use std::time::Duration;

use drdrill_lab::Role;
use serde_json::json;

use crate::support::load::Load;
use crate::support::site::{Site, config, entry};
use crate::support::{databases, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn acknowledged_writes_survive_kill_9() {
    let directory = tempfile::tempdir().unwrap();
    let mut site = Site::start(config("primary", directory.path(), Role::Primary));
    let token = site.login().await;
    let load = Load::start(&site, &token, 8);
    eventually("some writes", async || (site.lsn().await > 100).then_some(())).await;
    site.node.kill();
    let acknowledged = load.finish().await;
    assert!(acknowledged.len() > 50, "{}", acknowledged.len());

    site.restart();
    let lines = site.audit(&token, "load-").await;
    for write in &acknowledged {
        let line = lines.iter().find(|line| line["id"] == write.id.as_str());
        let line = line.unwrap_or_else(|| panic!("{} is lost", write.id));
        assert_eq!(line["checksum_ok"], true);
        assert_eq!(line["copies"], 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_write_is_stored_once_and_a_contradicting_one_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let site = Site::start(config("primary", directory.path(), Role::Primary));
    let token = site.login().await;
    let first = site.put(&token, "a", 1, "one").await.unwrap();
    let again = site.put(&token, "a", 1, "one").await.unwrap();
    assert_eq!((first.status.as_u16(), again.status.as_u16()), (201, 200));
    assert_eq!(first.body, again.body);
    assert_eq!(site.put(&token, "a", 1, "two").await.unwrap().status, 409);
    assert_eq!(site.put(&token, "a", 2, "one").await.unwrap().status, 409);

    let expected = json!({
        "id": "a", "sequence": 1, "value_bytes": 3, "checksum_ok": true, "copies": 1
    });
    assert_eq!(site.audit(&token, "").await, [expected]);
    let read: serde_json::Value = site.get(&token, "/entries/a").await.json().unwrap();
    assert_eq!(read["value"], "one");
    assert_eq!(site.get(&token, "/entries/b").await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_with_a_wrong_checksum_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let site = Site::start(config("primary", directory.path(), Role::Primary));
    let token = site.login().await;
    let mut body = entry(1, "one");
    body["value"] = "two".into();
    let answer = site.call(hyper::Method::PUT, "/entries/a", Some(&token), &body).await.unwrap();
    assert_eq!(answer.status, 422);
    assert!(databases::entries(&site.database()).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_audit_sees_a_value_that_was_changed_behind_the_service() {
    let directory = tempfile::tempdir().unwrap();
    let site = Site::start(config("primary", directory.path(), Role::Primary));
    let token = site.login().await;
    site.put_many(&token, "a", 3).await;
    let connection = rusqlite::Connection::open(site.database()).unwrap();
    connection.busy_timeout(Duration::from_secs(10)).unwrap();
    connection.execute("UPDATE entries SET value = x'00ff' WHERE id = 'a-1'", []).unwrap();
    let lines = site.audit(&token, "a-").await;
    let ok: Vec<_> = lines.iter().map(|line| line["checksum_ok"].as_bool().unwrap()).collect();
    assert_eq!(ok, [true, false, true]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_takes_no_write_is_unhealthy() {
    let directory = tempfile::tempdir().unwrap();
    let mut config = config("primary", directory.path(), Role::Primary);
    config.timing.health_timeout_ms = 200;
    let site = Site::start(config);
    assert_eq!(site.get("", "/health").await.status, 200);

    let blocker = rusqlite::Connection::open(site.database()).unwrap();
    blocker.busy_timeout(Duration::from_secs(10)).unwrap();
    blocker.execute_batch("BEGIN IMMEDIATE").unwrap();
    let answer = site.get("", "/health").await;
    assert_eq!(answer.status, 503);
    let body: serde_json::Value = answer.json().unwrap();
    assert_eq!(body["database"], "no answer within 200 ms");
    blocker.execute_batch("ROLLBACK").unwrap();
    eventually("healthy again", async || {
        (site.get("", "/health").await.status == 200).then_some(())
    })
    .await;
}

/// Sets how large files a process may write; `unlimited` for no limit.
fn limit_files(pid: u32, to: &str) {
    let mut command = std::process::Command::new("prlimit");
    command.args(["--pid", &pid.to_string(), &format!("--fsize={to}:unlimited")]);
    assert!(command.status().unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_take_no_writes_end_writes_and_neither_reads_nor_the_service() {
    let directory = tempfile::tempdir().unwrap();
    let site = Site::start(config("primary", directory.path(), Role::Primary));
    let token = site.login().await;
    site.put_many(&token, "before", 20).await;
    limit_files(site.node.pid(), "0");
    for sequence in 0..20 {
        let status =
            site.put(&token, &format!("no-{sequence}"), sequence, "x").await.unwrap().status;
        assert_eq!(status, 500, "whether it is durable cannot be told");
    }
    assert_eq!(site.get(&token, "/entries/before-7").await.status, 200);
    assert_eq!(site.audit(&token, "before").await.len(), 20);
    site.login().await;
    assert_eq!(site.get("", "/health").await.status, 503);
    limit_files(site.node.pid(), "unlimited");
    site.put_many(&token, "after", 20).await;
    assert_eq!(site.get("", "/health").await.status, 200);
    assert_eq!(site.audit(&token, "no-").await, Vec::<serde_json::Value>::new());
    assert_eq!(site.audit(&token, "").await.len(), 40);
}
