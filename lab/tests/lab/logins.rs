//! Who may do what.

use drdrill_lab::Role;
use drdrill_lab::backup::check_consistency;
use drdrill_lab::service::ServiceTiming;
use hyper::Method;
use serde_json::json;

use crate::support::eventually;
use crate::support::site::{PASSWORD, Site, config};

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_401() {
    let directory = tempfile::tempdir().unwrap();
    let site = Site::start(config("primary", directory.path(), Role::Primary));
    for (user, password) in [("alice", "wrong"), ("bob", PASSWORD), ("", "")] {
        let body = json!({ "user": user, "password": password });
        let answer = site.call(Method::POST, "/login", None, &body).await.unwrap();
        assert_eq!(answer.status, 401);
    }
    site.login().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_token_or_an_altered_or_expired_one_is_401() {
    let directory = tempfile::tempdir().unwrap();
    let mut config = config("primary", directory.path(), Role::Primary);
    let site = Site::start(config.clone());
    let token = site.login().await;
    assert_eq!(site.put(&token, "a", 1, "x").await.unwrap().status, 201);
    let other_user = format!("{}{}", hex::encode("mallory"), &token[token.find('.').unwrap()..]);
    for wrong in ["", "x", ".", "a.b.c", &token[1..], &token[..token.len() - 2], &other_user] {
        assert_eq!(site.put(wrong, "a", 1, "x").await.unwrap().status, 401, "{wrong}");
        assert_eq!(site.get(wrong, "/entries/a").await.status, 401, "{wrong}");
        assert_eq!(site.get(wrong, "/entries").await.status, 401, "{wrong}");
    }
    drop(site);

    config.timing.token_lifetime_ms = 0;
    let site = Site::start(config);
    let expired = site.login().await;
    assert_eq!(site.put(&expired, "a", 1, "x").await.unwrap().status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn logins_and_tokens_survive_a_failover() {
    let directory = tempfile::tempdir().unwrap();
    let (mut primary, standby) = Site::pair(
        directory.path(),
        ServiceTiming { password_iterations: 16, ..ServiceTiming::default() },
    );
    let token = primary.login().await;
    standby.catch_up(primary.lsn().await).await;
    primary.node.kill();
    standby.promote(2).await;
    assert_eq!(standby.put(&token, "a", 1, "x").await.unwrap().status, 201);
    standby.login().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_sends_writes_on_to_its_leader() {
    let directory = tempfile::tempdir().unwrap();
    let (mut primary, standby) = Site::pair(directory.path(), ServiceTiming::default());
    let token = primary.login().await;
    let answer = standby.put(&token, "a", 1, "x").await.unwrap();
    assert_eq!(answer.status, 201, "{:?}", answer.body);
    let said = |name: &str| answer.headers[name].to_str().unwrap().to_owned();
    let decider = (said("x-drdrill-site"), said("x-drdrill-epoch"));
    assert_eq!(decider, ("primary".to_owned(), "1".to_owned()), "the leader decided");
    eventually("the entry is on the standby", async || {
        (standby.get(&token, "/entries/a").await.status == 200).then_some(())
    })
    .await;

    primary.node.kill();
    let answer = standby.put(&token, "b", 2, "y").await.unwrap();
    assert!(answer.status == 503 || answer.status == 502, "{}", answer.status);
    let (status, _) = standby.admin("/demote", json!({})).await;
    assert_eq!(status, 200);
    assert_eq!(standby.get("", "/health").await.status, 200);
}

async fn lets_in(site: &Site, password: &str) -> bool {
    let body = json!({ "user": "alice", "password": password });
    let answer = site.call(Method::POST, "/login", None, &body).await.unwrap();
    assert!(matches!(answer.status.as_u16(), 200 | 401), "{:?}", answer.body);
    answer.status == 200
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_password_is_good_at_every_site_and_the_old_one_nowhere() {
    let directory = tempfile::tempdir().unwrap();
    let (primary, standby) = Site::pair(directory.path(), ServiceTiming::default());
    standby.catch_up(primary.lsn().await).await;
    let new = json!({ "name": "alice", "password": "another one" });
    assert_eq!(standby.admin("/password", new.clone()).await.0, 503, "only a primary decides");
    assert_eq!(primary.admin("/password", new).await.0, 200);
    standby.catch_up(primary.lsn().await).await;
    for site in [&primary, &standby] {
        assert!(lets_in(site, "another one").await && !lets_in(site, PASSWORD).await);
        let seen = check_consistency(&site.database()).unwrap();
        assert_eq!(seen.problems, Vec::<String>::new());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_that_nobody_set_are_a_problem() {
    let directory = tempfile::tempdir().unwrap();
    let site = Site::start(config("primary", directory.path(), Role::Primary));
    assert!(lets_in(&site, PASSWORD).await);
    let database = rusqlite::Connection::open(site.database()).unwrap();
    database.execute("UPDATE users SET hash = replace(hash, substr(hash, 1, 1), 'x')", []).unwrap();
    assert!(!lets_in(&site, PASSWORD).await);
    let seen = check_consistency(&site.database()).unwrap();
    assert_eq!(seen.problems, ["the credentials of 1 of 1 users are not what was set"]);
}
