//! Logins that a process of their own decides.

use drdrill_lab::Role;
use drdrill_lab::auth::AuthConfig;
use hyper::Method;
use serde_json::{Value, json};

use crate::support::eventually;
use crate::support::node::Node;
use crate::support::site::{PASSWORD, Site, config};

/// A site whose logins are decided by a process of their own.
fn start(directory: &std::path::Path) -> (Site, Node) {
    let mut config = config("primary", directory, Role::Primary);
    let auth = AuthConfig {
        http: "127.0.0.1:0".parse().unwrap(),
        data_dir: config.data_dir.clone(),
        token_secret: config.token_secret.clone(),
        token_lifetime_ms: 60_000,
        die_with_starting_thread: false,
    };
    let auth = Node::start("auth", &auth);
    config.auth_url = Some(format!("http://{}", auth.ready("http")));
    (Site::start(config), auth)
}

async fn part(site: &Site, name: &str) -> (u16, Value) {
    let answer = site.get("", "/health").await;
    (answer.status.as_u16(), answer.json::<Value>().unwrap()[name].clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn without_it_nobody_gets_in_and_who_is_in_reads_and_writes_on() {
    let directory = tempfile::tempdir().unwrap();
    let (site, mut auth) = start(directory.path());
    let token = site.login().await;
    let wrong = json!({ "user": "alice", "password": "wrong" });
    assert_eq!(site.call(Method::POST, "/login", None, &wrong).await.unwrap().status, 401);
    assert_eq!(part(&site, "login").await, (200, json!("ok")));
    assert_eq!(site.put(&token, "a", 1, "x").await.unwrap().status, 201);

    auth.kill();
    let right = json!({ "user": "alice", "password": PASSWORD });
    assert_eq!(site.call(Method::POST, "/login", None, &right).await.unwrap().status, 503);
    assert_eq!(site.put(&token, "b", 2, "y").await.unwrap().status, 201);
    assert_eq!(site.get(&token, "/entries/a").await.status, 200);
    let (status, login) = part(&site, "login").await;
    assert_eq!(status, 503, "who can log in nowhere is told so: {login}");
    assert_eq!(part(&site, "database").await.1, json!("ok"));
}

#[tokio::test(flavor = "multi_thread")]
async fn it_may_be_there_before_the_database_is() {
    let directory = tempfile::tempdir().unwrap();
    let (site, _auth) = start(directory.path());
    eventually("healthy", async || (part(&site, "login").await.0 == 200).then_some(())).await;
    site.login().await;
}
