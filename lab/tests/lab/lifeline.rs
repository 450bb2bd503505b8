//! Every program ends with its starter and says clearly why it cannot start.

use std::time::Duration;

use drdrill_lab::Role;
use serde_json::{Value, json};

use crate::support::node::{Node, fail};
use crate::support::site::config;

const ANY: &str = "127.0.0.1:0";

fn programs(directory: &std::path::Path) -> Vec<(&'static str, Value)> {
    let service = serde_json::to_value(config("primary", directory, Role::Primary)).unwrap();
    vec![
        ("service", service),
        ("worker", json!({ "service_url": "http://127.0.0.1:9", "worker_token": "t" })),
        (
            "backup",
            json!({
                "site": "primary",
                "database": directory.join("primary/site.db"),
                "directory": directory.join("backups"),
            }),
        ),
        (
            "gateway",
            json!({
                "http": ANY, "admin": ANY,
                "backends": { "primary": "127.0.0.1:9", "dr": "127.0.0.1:9" },
                "weights": { "primary": 100, "dr": 0 },
            }),
        ),
        (
            "auth",
            json!({
                "http": ANY, "data_dir": directory, "token_secret": "s", "token_lifetime_ms": 1,
            }),
        ),
        ("bystander", json!({ "http": ANY })),
    ]
}

#[test]
fn every_program_ends_when_its_standard_input_ends() {
    let directory = tempfile::tempdir().unwrap();
    for (program, config) in programs(directory.path()) {
        let mut node = Node::start(program, &config);
        assert_eq!(node.ready("program"), program);
        let status = node.let_go(Duration::from_secs(2));
        assert_eq!(status.code(), Some(0), "{program}");
    }
}

#[test]
fn a_program_may_die_with_the_thread_that_started_it() {
    let config = json!({ "http": ANY, "die_with_starting_thread": true });
    let starter = std::thread::spawn(move || Node::start("bystander", &config));
    let mut node = starter.join().unwrap();
    assert_eq!(node.ended(Duration::from_secs(2)).code(), None, "killed by a signal");
}

#[test]
fn every_program_refuses_an_unknown_setting() {
    let directory = tempfile::tempdir().unwrap();
    for (program, mut config) in programs(directory.path()) {
        config["colour"] = "blue".into();
        let (code, errors) = fail(program, &config.to_string());
        assert_eq!(code, Some(1), "{program}");
        assert!(errors.contains("unknown field `colour`"), "{errors}");
    }
}

#[test]
fn a_busy_address_is_one_clear_error() {
    let directory = tempfile::tempdir().unwrap();
    let holder = std::net::TcpListener::bind(ANY).unwrap();
    let busy = holder.local_addr().unwrap().to_string();
    for (program, mut config) in programs(directory.path()) {
        for listener in ["http", "admin", "replication"] {
            if config.get(listener).is_none() {
                continue;
            }
            let before = std::mem::replace(&mut config[listener], busy.clone().into());
            let (code, errors) = fail(program, &config.to_string());
            config[listener] = before;
            assert_eq!(code, Some(1), "{program}");
            let expected = format!(
                "drdrill-lab-node {program}: listen on {busy}: the address is busy \
                 (another process listens there)\n"
            );
            assert_eq!(errors, expected);
        }
    }
}

#[test]
fn an_unknown_program_names_the_known_ones() {
    let (code, errors) = fail("database", "{}");
    assert_eq!(code, Some(1));
    let expected = "drdrill-lab-node database: unknown lab program `database` \
                    (known: service, worker, backup, auth, gateway, bystander)\n";
    assert_eq!(errors, expected);
}

#[tokio::test]
async fn the_bystander_is_healthy() {
    let node = Node::start("bystander", &json!({ "http": ANY }));
    let client = drdrill_lab::client::Client::new(Duration::from_secs(5));
    let url = format!("http://{}/health", node.ready("http"));
    let answer = client.send(hyper::Method::GET, &url, None, "").await.unwrap();
    assert_eq!(answer.status, 200);
}
