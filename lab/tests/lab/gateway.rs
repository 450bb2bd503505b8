//! The gateway spreads exactly, fails quickly, and never sends a request twice.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use drdrill_lab::client::{Answer, Client};
use hyper::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::support::eventually;
use crate::support::node::Node;

/// What a backend does with a request.
#[derive(Clone, Copy)]
enum Manner {
    Answer,
    HangUp,
    Hang,
}

/// A backend that counts.
struct Backend {
    address: String,
    requests: Arc<AtomicUsize>,
    connections: Arc<AtomicUsize>,
}

impl Backend {
    async fn start(manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (requests, connections) = <(Arc<AtomicUsize>, Arc<AtomicUsize>)>::default();
        let (requested, connected) = (Arc::clone(&requests), Arc::clone(&connections));
        tokio::spawn(async move {
            while let Ok((mut link, _)) = listener.accept().await {
                let (requested, connected) = (Arc::clone(&requested), Arc::clone(&connected));
                connected.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(async move {
                    let mut bytes = [0; 4096];
                    // The requests of these tests come in one piece each.
                    while let Ok(1..) = link.read(&mut bytes).await {
                        requested.fetch_add(1, Ordering::SeqCst);
                        match manner {
                            Manner::Answer => {
                                let ok = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
                                link.write_all(ok).await.unwrap();
                            }
                            Manner::HangUp => break,
                            Manner::Hang => {}
                        }
                    }
                    connected.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        Self { address, requests, connections }
    }

    fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

struct Gateway {
    node: Node,
    client: Client,
}

impl Gateway {
    fn start(primary: &str, dr: &str, weights: (u32, u32)) -> Self {
        let config = json!({
            "http": "127.0.0.1:0", "admin": "127.0.0.1:0",
            "backends": { "primary": primary, "dr": dr },
            "weights": { "primary": weights.0, "dr": weights.1 },
            "timing": { "timeout_ms": 300 },
        });
        let client = Client::new(Duration::from_secs(10));
        Self { node: Node::start("gateway", &config), client }
    }

    async fn get(&self) -> Answer {
        let url = format!("http://{}/health", self.node.ready("http"));
        self.client.send(Method::GET, &url, None, "").await.unwrap()
    }

    async fn set_weights(&self, weights: Value) -> Answer {
        let url = format!("http://{}/weights", self.node.ready("admin"));
        self.client.send(Method::PUT, &url, None, weights.to_string()).await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quarter_of_four_hundred_requests_is_one_hundred() {
    let (primary, dr) =
        (Backend::start(Manner::Answer).await, Backend::start(Manner::Answer).await);
    let gateway = Gateway::start(&primary.address, &dr.address, (25, 75));
    for _ in 0..400 {
        let answer = gateway.get().await;
        assert_eq!((answer.status.as_u16(), &answer.body[..]), (200, &b"ok"[..]));
    }
    assert_eq!((primary.requests(), dr.requests()), (100, 300));
}

#[tokio::test(flavor = "multi_thread")]
async fn weights_hold_for_the_first_request_after_they_were_set() {
    let (primary, dr) =
        (Backend::start(Manner::Answer).await, Backend::start(Manner::Answer).await);
    let gateway = Gateway::start(&primary.address, &dr.address, (100, 0));
    for round in 1..=20 {
        gateway.get().await;
        assert_eq!((primary.requests(), dr.requests()), (round, round - 1));
        let weights = json!({ "primary": 0, "dr": 100 });
        let answer = gateway.set_weights(weights.clone()).await;
        assert_eq!((answer.status.as_u16(), answer.json::<Value>().unwrap()), (200, weights));
        gateway.get().await;
        assert_eq!((primary.requests(), dr.requests()), (round, round));
        gateway.set_weights(json!({ "primary": 100, "dr": 0 })).await;
    }
    eventually("no connection is kept to a backend of weight 0", async || {
        (dr.connections.load(Ordering::SeqCst) == 0).then_some(())
    })
    .await;
    for wrong in [json!({ "primary": 100 }), json!({ "primary": 60, "dr": 60 })] {
        assert_eq!(gateway.set_weights(wrong).await.status, 422);
    }
    gateway.get().await;
    assert_eq!((primary.requests(), dr.requests()), (21, 20));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_that_is_away_is_502_at_once() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = closed.local_addr().unwrap().to_string();
    drop(closed);
    let gateway = Gateway::start(&address, "127.0.0.1:9", (100, 0));
    let begun = Instant::now();
    let answer = gateway.get().await;
    assert_eq!(answer.status, 502);
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    assert!(answer.json::<Value>().unwrap()["error"].is_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_may_have_arrived_is_never_sent_again() {
    let (primary, dr) = (Backend::start(Manner::HangUp).await, Backend::start(Manner::Hang).await);
    let gateway = Gateway::start(&primary.address, &dr.address, (100, 0));
    assert_eq!(gateway.get().await.status, 502);
    assert_eq!(primary.requests(), 1);

    gateway.set_weights(json!({ "primary": 0, "dr": 100 })).await;
    let begun = Instant::now();
    assert_eq!(gateway.get().await.status, 504);
    assert!(begun.elapsed() >= Duration::from_millis(300));
    assert_eq!(dr.requests(), 1);
    eventually("the hanging exchange is given up", async || {
        (dr.connections.load(Ordering::SeqCst) == 0).then_some(())
    })
    .await;
}
