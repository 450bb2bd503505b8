//! Registers and accounts.

use std::time::{Duration, Instant};

use drdrill_lab::Role;
use drdrill_lab::backup::{Until, restore_point_in_time};
use hyper::{Method, StatusCode};
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::backups::{agent, covered};
use crate::failover::lagging;
use crate::pair::pair as both_decide;
use crate::support::eventually;
use crate::support::load::Load;
use crate::support::site::{Site, config};
use crate::synchronous::{impatient, pair as synchronous};

impl Site {
    async fn write(&self, token: &str, key: &str, value: u64) -> StatusCode {
        let path = format!("/registers/{key}");
        let body = json!({ "value": value });
        self.call(Method::PUT, &path, Some(token), &body).await.unwrap().status
    }

    async fn read(&self, token: &str, key: &str) -> (StatusCode, Value) {
        let answer = self.get(token, &format!("/registers/{key}")).await;
        (answer.status, answer.json().unwrap())
    }

    async fn open(&self, token: &str, balances: Value) -> StatusCode {
        let body = json!({ "balances": balances });
        self.call(Method::POST, "/accounts", Some(token), &body).await.unwrap().status
    }

    async fn transfer(
        &self,
        token: &str,
        id: &str,
        from: &str,
        to: &str,
        amount: i64,
    ) -> StatusCode {
        let body = json!({ "id": id, "from": from, "to": to, "amount": amount });
        self.call(Method::POST, "/transfers", Some(token), &body).await.unwrap().status
    }

    async fn balances(&self, token: &str) -> Value {
        self.get(token, "/accounts").await.json::<Value>().unwrap()["balances"].clone()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_register_has_what_was_last_written_also_when_a_standby_is_asked() {
    let directory = tempfile::tempdir().unwrap();
    let (primary, standby) = Site::pair(directory.path(), lagging());
    let token = primary.login().await;
    for site in [&primary, &standby] {
        assert_eq!(site.read(&token, "k").await, (StatusCode::OK, json!({ "value": null })));
    }
    for value in 1..=5 {
        // Whoever is asked, the leader writes and reads: the standby has it only 300 ms later.
        let (writer, reader) =
            if value % 2 == 0 { (&primary, &standby) } else { (&standby, &primary) };
        assert_eq!(writer.write(&token, "k", value).await, StatusCode::OK);
        assert_eq!(reader.read(&token, "k").await.1, json!({ "value": value }));
    }
    let answer = standby.get(&token, "/registers/k").await;
    assert_eq!(
        (&answer.headers["x-drdrill-site"], &answer.headers["x-drdrill-epoch"]),
        (&"primary".parse().unwrap(), &"1".parse().unwrap())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_decide_answers_no_read() {
    let directory = tempfile::tempdir().unwrap();
    let (primary, standby) = Site::pair(directory.path(), lagging());
    let token = primary.login().await;
    assert_eq!(primary.write(&token, "k", 1).await, StatusCode::OK);
    primary.admin("/fence", json!({})).await;
    for site in [&primary, &standby] {
        assert_eq!(site.read(&token, "k").await.0, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(site.get(&token, "/accounts").await.status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(site.write(&token, "k", 2).await, StatusCode::SERVICE_UNAVAILABLE);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_only_a_synchronous_primary_has_is_not_read_either() {
    let directory = tempfile::tempdir().unwrap();
    let (primary, _standby, link) = synchronous(directory.path(), impatient()).await;
    let token = primary.login().await;
    assert_eq!(primary.write(&token, "k", 1).await, StatusCode::OK);
    assert_eq!(primary.read(&token, "k").await.1, json!({ "value": 1 }));
    link.set_silent(true);
    assert_eq!(primary.write(&token, "k", 2).await, StatusCode::GATEWAY_TIMEOUT);
    let began = Instant::now();
    // It is there, and would be gone with this site.
    assert_eq!(primary.read(&token, "k").await.0, StatusCode::GATEWAY_TIMEOUT);
    assert!(began.elapsed() >= Duration::from_millis(200));
    // Nothing stands in the way of what the standby has.
    assert_eq!(primary.read(&token, "other").await.0, StatusCode::OK);
    link.set_silent(false);
    eventually("the standby has it", async || {
        (primary.read(&token, "k").await == (StatusCode::OK, json!({ "value": 2 }))).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn money_moves_once_and_only_where_there_is_enough() {
    let directory = tempfile::tempdir().unwrap();
    let primary = Site::start(config("primary", directory.path(), Role::Primary));
    let token = primary.login().await;
    assert_eq!(primary.open(&token, json!({ "a": 10, "b": 0 })).await, StatusCode::CREATED);
    // Nobody gets new money by opening them again.
    assert_eq!(primary.open(&token, json!({ "a": 1000 })).await, StatusCode::OK);
    assert_eq!(primary.transfer(&token, "t-1", "a", "b", 7).await, StatusCode::CREATED);
    assert_eq!(primary.transfer(&token, "t-1", "a", "b", 7).await, StatusCode::OK);
    assert_eq!(primary.transfer(&token, "t-1", "a", "b", 1).await, StatusCode::CONFLICT);
    assert_eq!(primary.transfer(&token, "t-2", "a", "b", 4).await, StatusCode::CONFLICT);
    assert_eq!(primary.transfer(&token, "t-3", "a", "c", 1).await, StatusCode::NOT_FOUND);
    for (from, to, amount) in [("a", "a", 1), ("a", "b", 0), ("a", "b", -3)] {
        let status = primary.transfer(&token, "t-4", from, to, amount).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    }
    assert_eq!(primary.balances(&token).await, json!({ "a": 3, "b": 7 }));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_copy_ever_has_half_of_a_transfer() {
    let directory = tempfile::tempdir().unwrap();
    let (primary, standby) = Site::pair(directory.path(), lagging());
    let token = primary.login().await;
    assert_eq!(primary.open(&token, json!({ "a": 500, "b": 500 })).await, StatusCode::CREATED);
    standby.catch_up(primary.lsn().await).await;
    let total = |site: &Site| -> i64 {
        let database = Connection::open(site.database()).unwrap();
        database.query_row("SELECT sum(balance) FROM accounts", [], |row| row.get(0)).unwrap()
    };
    for number in 0..60 {
        let (from, to) = if number % 3 == 0 { ("b", "a") } else { ("a", "b") };
        let id = format!("t-{number}");
        assert_eq!(primary.transfer(&token, &id, from, to, 3).await, StatusCode::CREATED);
        assert_eq!((total(&primary), total(&standby)), (1000, 1000));
    }
    standby.catch_up(primary.lsn().await).await;
    assert_eq!(primary.balances(&token).await, json!({ "a": 440, "b": 560 }));
    // A site that takes over has them as they were.
    standby.promote(2).await;
    assert_eq!(standby.balances(&token).await, json!({ "a": 440, "b": 560 }));
}

#[tokio::test(flavor = "multi_thread")]
async fn registers_and_accounts_are_restored_with_everything_else() {
    let directory = tempfile::tempdir().unwrap();
    let primary = Site::start(config("primary", directory.path(), Role::Primary));
    let token = primary.login().await;
    let backups = directory.path().join("backups");
    let _agent = agent(&primary, &backups, 100, 10);
    assert_eq!(primary.open(&token, json!({ "a": 10, "b": 0 })).await, StatusCode::CREATED);
    let load = Load::start(&primary, &token, 1);
    for value in 1..=30 {
        assert_eq!(primary.write(&token, "k", value).await, StatusCode::OK);
        let (from, to) = if value % 2 == 0 { ("b", "a") } else { ("a", "b") };
        let id = format!("t-{value}");
        assert_eq!(primary.transfer(&token, &id, from, to, 9).await, StatusCode::CREATED);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    load.finish().await;
    let lsn = primary.lsn().await;
    covered(&backups, &directory.path().join("scratch.db"), lsn).await;
    let restored = directory.path().join("restored.db");
    restore_point_in_time(&backups, &restored, Until::Lsn(lsn)).unwrap();
    let database = Connection::open(&restored).unwrap();
    let one = |sql: &str| database.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(one("SELECT value FROM registers WHERE key = 'k'"), 30);
    assert_eq!(one("SELECT balance FROM accounts WHERE name = 'a'"), 10);
    assert_eq!(one("SELECT sum(balance) FROM accounts"), 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_changed_past_the_service_is_seen() {
    let directory = tempfile::tempdir().unwrap();
    let primary = Site::start(config("primary", directory.path(), Role::Primary));
    let token = primary.login().await;
    assert_eq!(primary.open(&token, json!({ "a": 10, "b": 0 })).await, StatusCode::CREATED);
    assert_eq!(primary.write(&token, "k", 1).await, StatusCode::OK);
    assert_eq!(primary.write(&token, "k", 2).await, StatusCode::OK);
    assert_eq!(primary.transfer(&token, "t-1", "a", "b", 7).await, StatusCode::CREATED);
    let problems = async || {
        let url = format!("http://{}/consistency", primary.node.ready("admin"));
        let answer = primary.client.send(Method::GET, &url, None, "").await.unwrap();
        answer.json::<Value>().unwrap()["problems"].to_string()
    };
    assert_eq!(problems().await, "[]");
    let database = Connection::open(primary.database()).unwrap();
    for (spoil, mend, says) in [
        (
            "UPDATE registers SET value = 1",
            "UPDATE registers SET value = 2",
            "1 registers have not",
        ),
        (
            "UPDATE accounts SET balance = 4 WHERE name = 'a'",
            "UPDATE accounts SET balance = 3 WHERE name = 'a'",
            "1 accounts have not",
        ),
    ] {
        database.execute(spoil, []).unwrap();
        assert!(problems().await.contains(says), "{}", problems().await);
        database.execute(mend, []).unwrap();
        assert_eq!(problems().await, "[]");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_that_both_take_writes_refuse_what_they_cannot_merge() {
    let directory = tempfile::tempdir().unwrap();
    let (primary, dr, token) = both_decide(directory.path(), lagging()).await;
    for site in [&primary, &dr] {
        assert_eq!(site.write(&token, "k", 1).await, StatusCode::CONFLICT);
        let (status, body) = site.read(&token, "k").await;
        assert_eq!(status, StatusCode::CONFLICT);
        assert!(
            body["error"].as_str().unwrap().contains("neither registers nor accounts"),
            "{body}"
        );
        assert_eq!(site.transfer(&token, "t-1", "a", "b", 1).await, StatusCode::CONFLICT);
        assert_eq!(site.get(&token, "/accounts").await.status, StatusCode::CONFLICT);
    }
}
