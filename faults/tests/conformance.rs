//! Every exchange recorded from Toxiproxy 2.12.0, in order, against the embedded server.
//!
//! The ports of the recording are mapped to free ones; all else has to be the same to the byte.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::net::TcpListener;

use drdrill_faults::toxiproxy::server::Server;
use serde::Deserialize;
use serde_json::Value;

const CONTRACT: &str = include_str!("data/toxiproxy-2.12-contract.jsonl");

#[derive(Deserialize)]
struct Exchange {
    method: String,
    path: String,
    body: Option<Value>,
    ua: Option<String>,
    status: u16,
    content_type: Option<String>,
    response: String,
}

/// Replaces each port of the recording by one that is free here.
fn with_free_ports(contract: &str) -> String {
    let mut mapped = contract.to_owned();
    let mut held = Vec::new();
    let recorded: BTreeMap<_, _> = (22_101..=22_105)
        .map(|port| {
            let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
            let free = listener.local_addr().unwrap().port();
            held.push(listener);
            (port, free)
        })
        .collect();
    for (port, free) in recorded {
        mapped = mapped.replace(&format!("127.0.0.1:{port}"), &format!("127.0.0.1:{free}"));
    }
    mapped
}

#[tokio::test]
async fn the_server_answers_as_the_real_one_did() {
    let server = Server::start("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let client = reqwest::Client::new();
    let mut exchanges = 0;
    for line in with_free_ports(CONTRACT).lines() {
        let exchange: Exchange = serde_json::from_str(line).unwrap();
        let method = exchange.method.parse().unwrap();
        let mut request = client.request(method, format!("{}{}", server.url(), exchange.path));
        match exchange.body {
            // A text in the recording is a broken body, sent as it is.
            Some(Value::String(broken)) => request = request.body(broken),
            Some(json) => request = request.body(json.to_string()),
            None => {}
        }
        if let Some(agent) = exchange.ua {
            request = request.header("user-agent", agent);
        }
        let response = request.send().await.unwrap();
        assert_eq!(response.status().as_u16(), exchange.status, "{line}");
        let content_type = response.headers().get("content-type");
        let content_type = content_type.map(|value| value.to_str().unwrap().to_owned());
        assert_eq!(content_type, exchange.content_type, "{line}");
        assert_eq!(response.text().await.unwrap(), exchange.response, "{line}");
        exchanges += 1;
    }
    assert_eq!(exchanges, 55);
    server.shutdown().await.unwrap();
}
